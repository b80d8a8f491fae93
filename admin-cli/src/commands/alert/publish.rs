//! `alert publish`: an alert by arguments, by a file, or both.

use std::path::PathBuf;

use clap::Args;
use havenlink_proto::local::v1::{PublishRecordRequest, Sharing};
use havenlink_proto::record::v1::alert::Details;
use havenlink_proto::record::v1::{
    AdvertChannel, Alert, AlertKind, AssertionBasis, AtRiskSite, BarrierStep, Certainty, ExploitationForm, LawfulBasis,
    Pap, Place, Purpose, Severity, SiteConcern, SiteType, SuspiciousAdvertising, Text, Tlp, Urgency,
};

use crate::commands::record;
use crate::commands::sharing::{self, SharingArgs, Usual, parse_place, parse_summary};
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
    /// What it is about; this version takes SUSPICIOUS_ADVERTISING and AT_RISK_SITE [needed, here or in the file]
    #[arg(long)]
    kind: Option<Code<AlertKind>>,
    #[arg(long)]
    urgency: Option<Code<Urgency>>,
    #[arg(long)]
    severity: Option<Code<Severity>>,
    #[arg(long)]
    certainty: Option<Code<Certainty>>,
    /// What the statement rests on [needed, here or in the file]
    #[arg(long)]
    basis: Option<Code<AssertionBasis>>,
    /// Indicators of a registry, e.g. ilo11:4
    #[arg(long, value_delimiter = ',', value_name = "CODE")]
    indicator: Vec<String>,
    /// Form of exploitation that it may belong to
    #[arg(long, value_delimiter = ',')]
    form: Vec<Code<ExploitationForm>>,
    /// NACE section and division, e.g. I56
    #[arg(long)]
    sector: Option<String>,
    /// LAU or NUTS-3, nothing finer, e.g. LAU:67482 [needed, here or in the file]
    #[arg(long, value_parser = parse_place, value_name = "SCHEME:CODE")]
    place: Option<Place>,
    /// Per language; no phone, e-mail, web address, account, card, plate, street, document or birth date
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
    /// Where it was seen [needed for such an alert]
    #[arg(long)]
    channel: Option<Code<AdvertChannel>>,
    /// Languages of the advert itself
    #[arg(long, value_delimiter = ',', value_name = "LANGUAGE")]
    advert_language: Vec<String>,
    /// When the first was seen: a day (UTC), an instant, or a span before now: 2d is two days ago
    #[arg(long, value_parser = when::parse_past, value_name = "DATE")]
    first_seen: Option<i64>,
    /// When the last was seen, typed alike; as the first, if not given
    #[arg(long, value_parser = when::parse_past, value_name = "DATE")]
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
    /// What sort of site [needed for such an alert]
    #[arg(long)]
    site_type: Option<Code<SiteType>>,
    /// Step of the barrier model that it belongs to [needed for such an alert]
    #[arg(long)]
    barrier: Option<Code<BarrierStep>>,
    /// What was noticed
    #[arg(long, value_delimiter = ',')]
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
    let alert = publish.words.over(alert);
    let sharing = publish.sharing.over(request.sharing.take(), &USUAL)?;
    check(&alert, Some(&sharing))?;
    (request.content, request.sharing) = (Some(alert.into()), Some(sharing));
    request.authority = publish.authority.unwrap_or(request.authority);
    Ok(request)
}

impl Words {
    /// What is typed stands over what is there.
    pub fn over(self, mut alert: Alert) -> Alert {
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
        alert
    }
}

/// What an alert is about and what it rests on is never guessed, nor who gets it (`sharing`; none: those that hold it).
///
/// # Errors
/// A usage error that names all that is missing.
pub fn check(alert: &Alert, sharing: Option<&Sharing>) -> Result<(), Failure> {
    let (advert, site) = match &alert.details {
        Some(Details::SuspiciousAdvertising(advert)) => (Some(advert.channel), None),
        Some(Details::AtRiskSite(site)) => (None, Some((site.site_type, site.barrier_step))),
        None => (None, None),
    };
    Failure::unless_given(&[
        (alert.kind != 0, "what the alert is about", "--kind SUSPICIOUS_ADVERTISING or AT_RISK_SITE"),
        (alert.assertion_basis != 0, "what it rests on", "--basis OBSERVED, DOCUMENTED or ASSESSMENT"),
        (alert.place.is_some(), "where it is", "--place LAU:CODE or NUTS:CODE"),
        (advert != Some(0), "where the advert was seen", "--channel CHANNEL"),
        (site.is_none_or(|(site, _)| site != 0), "the sort of site", "--site-type SITE_TYPE"),
        (site.is_none_or(|(_, step)| step != 0), "the step it belongs to", "--barrier BARRIER"),
        (sharing.is_none_or(sharing::is_for_somebody), "who gets it", sharing::WHO),
    ])
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
                    [alert.at_risk_site]\nsite_type = \"WORKSHOP\"\nbarrier_step = \"WORK\"\n[alert.place]\nscheme = \"LAU\"\ncode = \"67482\"\n[sharing]\nrecipients = [\"de-kehl\"]\npurpose = \"IDENTIFICATION\"\n";
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
    fn what_is_never_guessed_is_named_all_at_once() {
        let failure = request(publish(&["--kind", "AT_RISK_SITE"])).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.exit), ("USAGE", 2));
        let missing =
            "what it rests on, where it is, the sort of site, the step it belongs to, who gets it are missing";
        assert_eq!(failure.what, missing);
        let told = failure.text(false);
        assert!(
            ["--basis", "--place", "--site-type", "--barrier", "--to all"].iter().all(|o| told.contains(o)),
            "{told}"
        );
        let site = ["--kind", "AT_RISK_SITE", "--basis", "OBSERVED", "--place", "LAU:67482", "--site-type", "WORKSHOP"];
        let failure = request(publish(&[&site[..], &["--barrier", "WORK"]].concat())).unwrap_err();
        assert_eq!(failure.what, "who gets it is missing");
        assert!(request(publish(&[&site[..], &["--barrier", "WORK", "--to", "all"]].concat())).is_ok());
    }
}
