//! `alert publish`: an alert by arguments, by a file, or both.

use std::path::PathBuf;

use clap::Args;
use havenlink_proto::local::v1::PublishRecordRequest;
use havenlink_proto::record::v1::alert::Details;
use havenlink_proto::record::v1::{
    AdvertChannel, Alert, AlertKind, AssertionBasis, AtRiskSite, BarrierStep, Certainty, ExploitationForm, LawfulBasis,
    Pap, Place, Purpose, Severity, SiteConcern, SiteType, SuspiciousAdvertising, Text, Tlp, Urgency,
};

use crate::commands::record;
use crate::commands::sharing::{SharingArgs, Usual, parse_place, parse_summary};
use crate::contract_enum::{Code, numbers};
use crate::failure::Failure;
use crate::session::Session;
use crate::when;

/// An alert by arguments, or by a file with `alert` and `sharing` (or an alert alone).
#[derive(Debug, Args)]
pub struct Publish {
    /// The alert as JSON or TOML; arguments win over it; - is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    words: Words,
    /// The publishing authority, on a node that serves several
    #[arg(long, value_name = "AUTHORITY")]
    authority: Option<String>,
    #[command(flatten)]
    sharing: SharingArgs,
}

/// What an alert says.
#[derive(Debug, Args)]
pub struct Words {
    /// SUSPICIOUS_ADVERTISING or AT_RISK_SITE in this version
    #[arg(long, hide_possible_values = true)]
    kind: Option<Code<AlertKind>>,
    #[arg(long)]
    urgency: Option<Code<Urgency>>,
    #[arg(long)]
    severity: Option<Code<Severity>>,
    #[arg(long)]
    certainty: Option<Code<Certainty>>,
    /// What the statement rests on
    #[arg(long)]
    basis: Option<Code<AssertionBasis>>,
    /// Indicators of a registry, e.g. ilo11:4
    #[arg(long, value_delimiter = ',', value_name = "CODE")]
    indicator: Vec<String>,
    #[arg(long, value_delimiter = ',', hide_possible_values = true)]
    form: Vec<Code<ExploitationForm>>,
    /// NACE section and division, e.g. I56
    #[arg(long)]
    sector: Option<String>,
    /// LAU or NUTS-3, nothing finer, e.g. LAU:67482
    #[arg(long, value_parser = parse_place, value_name = "SCHEME:CODE")]
    place: Option<Place>,
    /// Per language; no phone, e-mail, web address or account number
    #[arg(long, value_parser = parse_summary, value_name = "LANGUAGE:TEXT")]
    summary: Vec<Text>,
    #[command(flatten)]
    advert: Advert,
    #[command(flatten)]
    site: Site,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Suspicious advertising")]
struct Advert {
    #[arg(long)]
    channel: Option<Code<AdvertChannel>>,
    /// Languages of the advert itself
    #[arg(long, value_delimiter = ',', value_name = "LANGUAGE")]
    advert_language: Vec<String>,
    #[arg(long, value_parser = when::parse_start, value_name = "DATE")]
    first_seen: Option<i64>,
    #[arg(long, value_parser = when::parse_start, value_name = "DATE")]
    last_seen: Option<i64>,
    /// How many adverts look alike
    #[arg(long, value_name = "N")]
    adverts_seen: Option<u32>,
    /// ISCO-08 group that the advert promises, e.g. 513
    #[arg(long, value_name = "CODE")]
    occupation: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Site at risk")]
struct Site {
    #[arg(long, hide_possible_values = true)]
    site_type: Option<Code<SiteType>>,
    #[arg(long)]
    barrier: Option<Code<BarrierStep>>,
    #[arg(long, value_delimiter = ',', hide_possible_values = true)]
    concern: Vec<Code<SiteConcern>>,
    /// Workplaces or beds affected, at least: 1, 5, 20 or 100
    #[arg(long, value_name = "N")]
    size_class: Option<u32>,
}

const USUAL: Usual =
    Usual { purpose: Purpose::Prevention, tlp: Tlp::Amber, pap: Pap::Amber, lawful_basis: LawfulBasis::PublicTask };

pub async fn run(session: &Session, publish: Publish) -> Result<(), Failure> {
    let next = ["havenctl alert show RECORD", "havenctl delivery list"];
    record::publish(session, request(publish)?, &next).await
}

/// What is typed stands over what the file says.
fn request(publish: Publish) -> Result<PublishRecordRequest, Failure> {
    let mut request = match &publish.file {
        None => PublishRecordRequest::default(),
        Some(file) => record::from_file::<Alert>(file)?,
    };
    let alert = record::said::<Alert>(request.content.as_ref()).unwrap_or_default();
    request.content = Some(publish.words.over(alert)?.into());
    request.sharing = Some(publish.sharing.over(request.sharing.take(), &USUAL)?);
    request.authority = publish.authority.unwrap_or(request.authority);
    Ok(request)
}

impl Words {
    /// What is typed stands over what is there.
    ///
    /// # Errors
    /// A usage error for what is never guessed.
    pub fn over(self, mut alert: Alert) -> Result<Alert, Failure> {
        let set = |field: &mut i32, argument: Option<i32>, usual: i32| {
            *field = argument.unwrap_or(if *field == 0 { usual } else { *field });
        };
        set(&mut alert.kind, self.kind.map(|c| c.number), 0);
        set(&mut alert.urgency, self.urgency.map(|c| c.number), Urgency::Expected.into());
        set(&mut alert.severity, self.severity.map(|c| c.number), Severity::Moderate.into());
        set(&mut alert.certainty, self.certainty.map(|c| c.number), Certainty::Possible.into());
        set(&mut alert.assertion_basis, self.basis.map(|c| c.number), 0);
        replace(&mut alert.indicators, self.indicator);
        replace(&mut alert.exploitation_forms, numbers(&self.form));
        replace(&mut alert.summary, self.summary);
        alert.sector = self.sector.unwrap_or(alert.sector);
        alert.place = self.place.or(alert.place);
        alert.details = details(alert.kind, alert.details, self.advert, self.site);
        // What it is about and what it rests on is never guessed.
        for (missing, what, how) in [
            (
                alert.kind == 0,
                "what the alert is about is missing",
                "add --kind SUSPICIOUS_ADVERTISING or AT_RISK_SITE",
            ),
            (
                alert.assertion_basis == 0,
                "what the alert rests on is missing",
                "add --basis OBSERVED, DOCUMENTED or ASSESSMENT",
            ),
        ] {
            if missing {
                return Err(Failure::usage(what, how));
            }
        }
        Ok(alert)
    }
}

fn replace<T>(list: &mut Vec<T>, given: Vec<T>) {
    if !given.is_empty() {
        *list = given;
    }
}

fn details(kind: i32, file: Option<Details>, advert: Advert, site: Site) -> Option<Details> {
    if kind == AlertKind::SuspiciousAdvertising as i32 {
        let mut d = match file {
            Some(Details::SuspiciousAdvertising(d)) => d,
            _ => SuspiciousAdvertising::default(),
        };
        d.channel = advert.channel.map_or(d.channel, |c| c.number);
        replace(&mut d.advert_languages, advert.advert_language);
        d.first_seen_ms = advert.first_seen.unwrap_or(d.first_seen_ms);
        d.last_seen_ms = advert.last_seen.unwrap_or(if d.last_seen_ms == 0 { d.first_seen_ms } else { d.last_seen_ms });
        d.adverts_seen = advert.adverts_seen.unwrap_or(d.adverts_seen.max(1));
        d.promised_occupation = advert.occupation.unwrap_or(d.promised_occupation);
        return Some(Details::SuspiciousAdvertising(d));
    }
    if kind == AlertKind::AtRiskSite as i32 {
        let mut d = match file {
            Some(Details::AtRiskSite(d)) => d,
            _ => AtRiskSite::default(),
        };
        d.site_type = site.site_type.map_or(d.site_type, |c| c.number);
        d.barrier_step = site.barrier.map_or(d.barrier_step, |c| c.number);
        replace(&mut d.concerns, numbers(&site.concern));
        d.size_class = site.size_class.unwrap_or(d.size_class.max(1));
        return Some(Details::AtRiskSite(d));
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Noun};
    use crate::commands::alert::Verb;
    use clap::Parser;

    fn publish(arguments: &[&str]) -> Publish {
        let line = ["havenctl", "alert", "publish"].iter().chain(arguments);
        match Cli::try_parse_from(line).unwrap().noun {
            Noun::Alert(Verb::Publish(publish)) => *publish,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_alert_by_arguments() {
        let arguments = publish(&[
            "--kind",
            "suspicious-advertising",
            "--basis",
            "OBSERVED",
            "--place",
            "LAU:67482",
            "--summary",
            "fr:Annonce suspecte",
            "--summary",
            "de:Verdächtige Anzeige",
            "--channel",
            "CLASSIFIED_SITE",
            "--first-seen",
            "2026-11-01",
            "--adverts-seen",
            "7",
            "--form",
            "LABOUR,SEXUAL",
            "--to",
            "de-kehl,lu-esch-sur-alzette",
            "--tlp",
            "amber",
        ]);
        let request = request(arguments).unwrap();
        let alert = record::said::<Alert>(request.content.as_ref()).unwrap();
        assert_eq!(alert.exploitation_forms, [2, 1]);
        assert_eq!(alert.summary.len(), 2);
        let Some(Details::SuspiciousAdvertising(d)) = alert.details else { panic!() };
        assert_eq!((d.channel, d.adverts_seen, d.first_seen_ms == d.last_seen_ms), (3, 7, true));
        let sharing = request.sharing.unwrap();
        assert_eq!(sharing.recipients, ["de-kehl", "lu-esch-sur-alzette"]);
        assert_eq!(sharing.purpose, Purpose::Prevention as i32);
    }

    #[test]
    fn arguments_win_over_the_file() {
        let dir = std::env::temp_dir().join(format!("havenctl-alert-{}.toml", std::process::id()));
        let file = "[alert]\nkind = \"AT_RISK_SITE\"\nassertion_basis = \"DOCUMENTED\"\nseverity = \"MINOR\"\n\
                    [alert.at_risk_site]\nsite_type = \"WORKSHOP\"\n[sharing]\nrecipients = [\"de-kehl\"]\npurpose = \"IDENTIFICATION\"\n";
        std::fs::write(&dir, file).unwrap();
        let request = request(publish(&["--file", dir.to_str().unwrap(), "--severity", "SEVERE"])).unwrap();
        std::fs::remove_file(&dir).unwrap();
        let alert = record::said::<Alert>(request.content.as_ref()).unwrap();
        assert_eq!(
            (alert.severity, alert.assertion_basis),
            (Severity::Severe as i32, AssertionBasis::Documented as i32)
        );
        assert!(matches!(alert.details, Some(Details::AtRiskSite(d)) if d.site_type == SiteType::Workshop as i32));
        let sharing = request.sharing.unwrap();
        assert_eq!((sharing.purpose, sharing.recipients), (Purpose::Identification as i32, vec!["de-kehl".to_owned()]));
    }

    #[test]
    fn who_gets_it_is_never_guessed() {
        let failure = request(publish(&["--kind", "AT_RISK_SITE", "--basis", "OBSERVED"])).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.exit), ("USAGE", 2));
        assert!(failure.text(false).contains("--to all"), "{}", failure.text(false));
    }

    #[test]
    fn what_it_rests_on_is_never_guessed() {
        let failure = request(publish(&["--kind", "AT_RISK_SITE"])).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.exit), ("USAGE", 2));
    }
}
