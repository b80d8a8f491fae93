//! What an agreement is proposed with: `--share alerts=…`, `--share offers=LONG_TERM_REFUGE:band`, turned into grants.

use std::path::PathBuf;

use clap::Args;
use havenlink_proto::ContractEnum;
use havenlink_proto::access::KINDS;
use havenlink_proto::record::v1::{
    Agreement, AlertKind, CorridorRole, DisclosureLevel, Grant, Party, Purpose, RecordKind, ServiceKind, Tlp, Usage,
};

use crate::contract_enum::{Code, descriptor, names_of, nearest, number_of, numbers};
use crate::failure::Failure;
use crate::when;

use super::transfers::{self, GivenTransfer};

const DAY: i64 = 86_400_000;

/// What an agreement grants, as it is typed.
#[derive(Clone, Debug, Args)]
pub struct Terms {
    /// Partners; with each of them the same is shared
    #[arg(value_name = "AUTHORITY", required_unless_present = "file")]
    pub partners: Vec<String>,
    /// What we share: alerts[=KIND,…], offers[=SERVICE,…][:light|band|count], or another kind, e.g. practices; repeat for more
    #[arg(long, value_parser = parse_share, value_name = "WHAT")]
    pub share: Vec<Share>,
    /// What we receive, in the same form
    #[arg(long, value_parser = parse_share, value_name = "WHAT")]
    pub receive: Vec<Share>,
    /// They share with us what we share with them
    #[arg(long)]
    pub both_ways: bool,
    /// Purposes; the usual ones of each kind if not given
    #[arg(long, value_delimiter = ',')]
    pub purpose: Vec<Code<Purpose>>,
    /// How far it may go there; STORE: their own systems may take it
    #[arg(long = "use", default_value = "STORE")]
    pub usage: Code<Usage>,
    /// Strictest handling that may be sent
    #[arg(long, default_value = "AMBER")]
    pub tlp: Code<Tlp>,
    /// First instant: a date, an instant; now if not given
    #[arg(long, value_parser = when::parse_start, value_name = "TIME")]
    pub from: Option<i64>,
    /// Last day (UTC), or a span from now; nothing is endless [needed, here or in the file]
    #[arg(long, value_parser = when::parse_end, value_name = "TIME", required_unless_present = "file")]
    pub until: Option<i64>,
    /// When the parties look at it again; in a year, or at its end
    #[arg(long, value_parser = when::parse_end, value_name = "TIME")]
    pub review_by: Option<i64>,
    /// How long a receiver keeps a record; the usual span of each kind if not given
    #[arg(long, value_parser = when::parse_span, value_name = "SPAN")]
    pub retention: Option<i64>,
    /// Our place in the corridor
    #[arg(long, value_delimiter = ',')]
    pub our_role: Vec<Code<CorridorRole>>,
    /// Their place in the corridor
    #[arg(long, value_delimiter = ',')]
    pub their_role: Vec<Code<CorridorRole>>,
    /// On what data about persons go out of the European Economic Area: COUNTRY=BASIS:LAST-DAY:SHA-256 of the document, for
    /// the parties of that country, AUTHORITY/COUNTRY=… for one that is hosted there; repeat for more
    #[arg(long, value_parser = transfers::parse, value_name = "WHAT")]
    pub transfer: Vec<GivenTransfer>,
    /// The whole agreement as JSON or TOML; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["partners", "share", "receive", "both_ways", "until"])]
    pub file: Option<PathBuf>,
}

/// One sort of record that is shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    record: RecordKind,
    alerts: Vec<i32>,
    services: Vec<i32>,
    level: DisclosureLevel,
}

/// What can be shared, as it is typed: each kind that somebody reads, in the plural; answers follow what they answer.
fn sorts() -> impl Iterator<Item = (RecordKind, String)> {
    let kinds = KINDS.iter().filter_map(|row| RecordKind::try_from(i32::try_from(row.number).ok()?).ok());
    kinds.filter(|kind| *kind != RecordKind::Answer).map(|kind| {
        let name = kind.as_str_name().trim_start_matches("RECORD_KIND_").trim_end_matches("_VIEW");
        (kind, format!("{}s", name.to_ascii_lowercase()))
    })
}

/// Reads one `--share`.
///
/// # Errors
/// What the form is, and the values that are allowed.
pub fn parse_share(typed: &str) -> Result<Share, String> {
    let (head, level) = match typed.split_once(':') {
        Some((head, level)) => (head, Some(level)),
        None => (typed, None),
    };
    let (sort, list) = match head.split_once('=') {
        Some((sort, list)) => (sort, Some(list)),
        None => (head, None),
    };
    let sort = sort.trim().to_ascii_lowercase();
    let Some((record, _)) = sorts().find(|(_, name)| *name == sort) else {
        let names: Vec<String> = sorts().map(|(_, name)| name).collect();
        let hint = nearest(&sort, names.iter().map(String::as_str)).map(|n| format!("nearest: {n}; "));
        return Err(format!("{sort:?} cannot be shared; {}allowed: {}", hint.unwrap_or_default(), names.join(", ")));
    };
    let mut share = Share { record, alerts: Vec::new(), services: Vec::new(), level: DisclosureLevel::Unspecified };
    match record {
        RecordKind::Alert => share.alerts = values::<AlertKind>(list)?,
        RecordKind::OfferView => {
            share.services = values::<ServiceKind>(list)?;
            let level = level.map(Code::<DisclosureLevel>::parse).transpose()?;
            share.level =
                level.and_then(|code| DisclosureLevel::try_from(code.number).ok()).unwrap_or(DisclosureLevel::Light);
        }
        RecordKind::Referral => share.services = values::<ServiceKind>(list)?,
        _ if list.is_some() => return Err(format!("{sort} are shared as a whole: --share {sort}")),
        _ => {}
    }
    if level.is_some() && record != RecordKind::OfferView {
        return Err(format!("{sort} have no level; only offers are shown as light, band or count"));
    }
    Ok(share)
}

/// The listed values, or all that the contract has.
fn values<E: ContractEnum>(list: Option<&str>) -> Result<Vec<i32>, String> {
    let descriptor = descriptor::<E>();
    let all = names_of(&descriptor);
    let names: Vec<&str> = match list {
        Some(list) => list.split(',').collect(),
        None => all.iter().map(String::as_str).collect(),
    };
    names.into_iter().map(|name| number_of(&descriptor, name)).collect()
}

impl Share {
    fn usual_purposes(&self) -> Vec<i32> {
        let usual: &[Purpose] = match self.record {
            RecordKind::OfferView => &[Purpose::Assistance, Purpose::Protection],
            RecordKind::Practice => &[Purpose::Learning, Purpose::Prevention],
            _ => &[Purpose::Prevention, Purpose::Identification],
        };
        usual.iter().map(|p| *p as i32).collect()
    }

    fn usual_retention(&self) -> i64 {
        match self.record {
            RecordKind::OfferView => DAY,
            RecordKind::Practice => 5 * 365 * DAY,
            _ => 180 * DAY,
        }
    }

    fn grant(&self, terms: &Terms, from: &str, to: &str, now: i64, until: i64) -> Grant {
        Grant {
            from: from.to_owned(),
            to: to.to_owned(),
            record_kinds: vec![self.record.into()],
            alert_kinds: self.alerts.clone(),
            service_kinds: self.services.clone(),
            purposes: if terms.purpose.is_empty() { self.usual_purposes() } else { numbers(&terms.purpose) },
            highest_tlp: terms.tlp.number,
            disclosure_level: self.level.into(),
            retention_ms: terms.retention.unwrap_or(self.usual_retention()),
            valid_from_ms: terms.from.unwrap_or(now),
            valid_until_ms: until,
            usage: terms.usage.number,
        }
    }
}

impl Terms {
    /// Parties and grants; federation, nonce, proposer and creation time are the node's.
    ///
    /// # Errors
    /// When nothing is shared, or the end is not after the beginning.
    pub fn agreement(&self, own: &str, now: i64) -> Result<Agreement, Failure> {
        let until = self.until.unwrap_or_default();
        if self.share.is_empty() && self.receive.is_empty() {
            return Err(Failure::usage(
                "nothing is shared",
                "add --share alerts, --share practices, --share offers:band or --receive …",
            ));
        }
        if until <= self.from.unwrap_or(now) {
            return Err(Failure::usage("it would end before it begins", "choose a later --until"));
        }
        let mut grants = Vec::new();
        for partner in &self.partners {
            if partner == own {
                return Err(Failure::usage(
                    format!("{own} is this node's own authority"),
                    "name the partner: havenctl member list",
                ));
            }
            grants.extend(self.share.iter().map(|s| s.grant(self, own, partner, now, until)));
            let back = self.receive.iter().chain(if self.both_ways { &self.share[..] } else { &[] });
            grants.extend(back.map(|s| s.grant(self, partner, own, now, until)));
        }
        let party = |authority: &str, roles: &[Code<CorridorRole>]| Party {
            authority: authority.to_owned(),
            corridor_roles: numbers(roles),
            transfers: self.transfer.iter().filter(|t| t.is_for(authority)).map(|t| t.transfer.clone()).collect(),
        };
        let mut parties = vec![party(own, &self.our_role)];
        parties.extend(self.partners.iter().map(|p| party(p, &self.their_role)));
        Ok(Agreement {
            parties,
            grants,
            review_by_ms: self.review_by.unwrap_or(until.min(now + 365 * DAY)),
            ..Default::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Noun};
    use crate::commands::agreement::Verb;
    use clap::Parser;

    fn terms(arguments: &[&str]) -> Terms {
        let line = ["havenctl", "agreement", "propose"].iter().chain(arguments);
        match Cli::try_parse_from(line).unwrap().noun {
            Noun::Agreement(Verb::Propose(terms)) => *terms,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn shares_become_grants_in_both_directions() {
        let terms = terms(&[
            "de-kehl",
            "--share",
            "alerts=SUSPICIOUS_ADVERTISING,AT_RISK_SITE",
            "--share",
            "practices",
            "--share",
            "offers=LONG_TERM_REFUGE:band",
            "--both-ways",
            "--tlp",
            "AMBER",
            "--until",
            "2027-12-31",
        ]);
        let agreement = terms.agreement("fr-strasbourg", 1_780_000_000_000).unwrap();
        assert_eq!(agreement.grants.len(), 6);
        let refuge = &agreement.grants[2];
        assert_eq!((refuge.from.as_str(), refuge.to.as_str()), ("fr-strasbourg", "de-kehl"));
        assert_eq!(refuge.record_kinds, [RecordKind::OfferView as i32]);
        assert_eq!(refuge.service_kinds, [ServiceKind::LongTermRefuge as i32]);
        assert_eq!(refuge.disclosure_level, DisclosureLevel::Band as i32);
        assert_eq!(refuge.purposes, [Purpose::Assistance as i32, Purpose::Protection as i32]);
        assert_eq!(when::show(refuge.valid_until_ms), "2027-12-31 23:59Z");
        assert_eq!(refuge.usage, Usage::Store as i32);
        assert_eq!(agreement.grants[0].alert_kinds, [1, 5]);
        assert_eq!(agreement.grants[0].disclosure_level, 0, "only offers have a level");
        assert_eq!((agreement.grants[3].from.as_str(), agreement.grants[3].to.as_str()), ("de-kehl", "fr-strasbourg"));
        assert!(agreement.review_by_ms <= refuge.valid_until_ms);
    }

    #[test]
    fn what_we_receive_is_not_what_we_share() {
        let terms = terms(&["de-kehl", "--share", "offers", "--receive", "alerts", "--until", "90d"]);
        let agreement = terms.agreement("fr-strasbourg", when::now_ms()).unwrap();
        assert_eq!(agreement.grants.len(), 2);
        assert_eq!(
            agreement.grants[0].disclosure_level,
            DisclosureLevel::Light as i32,
            "the least, if nothing is said"
        );
        assert_eq!(agreement.grants[1].from, "de-kehl");
        assert_eq!(agreement.grants[1].alert_kinds.len(), 6, "all kinds of the contract");
    }

    #[test]
    fn wrong_terms_say_what_is_allowed() {
        assert!(parse_share("alert").unwrap_err().contains("nearest: alerts"));
        assert!(parse_share("alerts=SUSPICIOUS").unwrap_err().contains("nearest: SUSPICIOUS_ADVERTISING"));
        assert!(parse_share("practices:band").unwrap_err().contains("no level"));
        assert!(parse_share("offers:bands").unwrap_err().contains("nearest: BAND"));
        let nothing = terms(&["de-kehl", "--until", "90d"]);
        assert_eq!(nothing.agreement("fr-strasbourg", when::now_ms()).unwrap_err().exit, 2);
        let line = ["havenctl", "agreement", "propose", "de-kehl", "--share", "practices"];
        assert!(Cli::try_parse_from(line).is_err(), "nothing is endless");
    }
}
