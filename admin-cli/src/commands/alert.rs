//! `alert`: publish, list, show, answer.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use havenlink_proto::local::v1::alert_service_client::AlertServiceClient;
use havenlink_proto::local::v1::{
    AnswerAlertRequest, Box as InBox, GetAlertRequest, HeldAlert, ListAlertsRequest, ListAlertsResponse,
    PublishAlertRequest,
};
use havenlink_proto::record::v1::alert::Details;
use havenlink_proto::record::v1::{
    AdvertChannel, Alert, AlertKind, Answer, AnswerKind, AssertionBasis, AtRiskSite, BarrierStep, Certainty,
    ExploitationForm, LawfulBasis, NotRelevantReason, Pap, Place, Purpose, Severity, SiteConcern, SiteType,
    SuspiciousAdvertising, Text, Tlp, Urgency,
};

use super::sharing::{self, SharingArgs, Usual, parse_place, parse_summary, show_place};
use super::{Limit, PUBLISH, READ, delivery, pages, read_file};
use crate::coded::{Code, name, number_or_zero, numbers};
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Format, Grid, View, clean, cut};
use crate::session::{Session, call};
use crate::value::{from_json, to_json};
use crate::when;

/// What to do with alerts.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Publishes an alert; durable when this returns
    Publish(Box<Publish>),
    /// Alerts received; or published here
    List {
        /// Those that this authority published
        #[arg(long)]
        published: bool,
        #[command(flatten)]
        limit: Limit,
    },
    /// One alert, with its deliveries and answers
    Show {
        /// Its id, or the beginning of it
        alert: String,
    },
    /// Answers a received alert
    Answer {
        /// Its id, or the beginning of it
        alert: String,
        answer: Code<AnswerKind>,
        /// Why it is not relevant
        #[arg(long)]
        reason: Option<Code<NotRelevantReason>>,
        /// The question, per language, e.g. "de:Gibt es weitere Anzeigen?"
        #[arg(long, value_parser = parse_summary, value_name = "LANGUAGE:TEXT")]
        question: Vec<Text>,
    },
}

/// An alert by arguments, or by a file with `alert` and `sharing` (or an alert alone).
#[derive(Debug, Args)]
pub struct Publish {
    /// The alert as JSON or TOML; arguments win over it; - is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// SUSPICIOUS_ADVERTISING or AT_RISK_SITE in this version
    #[arg(long, hide_possible_values = true, required_unless_present = "file")]
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
    /// The publishing authority, on a node that serves several
    #[arg(long, value_name = "AUTHORITY")]
    authority: Option<String>,
    #[command(flatten)]
    advert: Advert,
    #[command(flatten)]
    site: Site,
    #[command(flatten)]
    sharing: SharingArgs,
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

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Publish(publish) => publish_one(session, *publish).await,
        Verb::List { published, limit } => list(session, published, limit.limit).await,
        Verb::Show { alert } => show(session, &alert).await,
        Verb::Answer { alert, answer, reason, question } => {
            let held = find(session, &alert).await?;
            let answer = Answer { kind: answer.number, not_relevant_reason: number_or_zero(&reason), question };
            let request = AnswerAlertRequest {
                request_id: session.request_id(),
                origin: held.origin.clone(),
                record_id: held.record_id,
                answer: Some(answer),
            };
            let answered = call!(session, PUBLISH, AlertServiceClient, answer_alert, request)?;
            let text = format!("answered; {} will see it\n", clean(&held.origin));
            session.show(&View::text(
                to_json(&answered),
                text,
                vec![("record_id", Cell::text(id::show(&answered.record_id)))],
            ))
        }
    }
}

async fn publish_one(session: &Session, publish: Publish) -> Result<(), Failure> {
    let mut request = request(publish)?;
    request.request_id = session.request_id_over(request.request_id);
    let answer = call!(session, PUBLISH, AlertServiceClient, publish_alert, request)?;
    let record = id::show(&answer.record_id);
    let text = format!("published {record}, queued for {}\n", clean(&answer.recipients.join(", ")));
    let pairs = vec![("record_id", Cell::text(&record)), ("recipients", Cell::list(answer.recipients.iter()))];
    session.show(&View::text(to_json(&answer), text, pairs))?;
    session.next(&[format!("havenctl alert show {record}"), "havenctl delivery list".into()]);
    Ok(())
}

/// Arguments over file.
fn request(publish: Publish) -> Result<PublishAlertRequest, Failure> {
    let mut request = match &publish.file {
        None => PublishAlertRequest::default(),
        Some(file) => {
            let json = read_file(file)?;
            if json.get("alert").is_some() {
                from_json::<PublishAlertRequest>(&json)?
            } else {
                PublishAlertRequest { alert: Some(from_json::<Alert>(&json)?), ..Default::default() }
            }
        }
    };
    let mut alert = request.alert.take().unwrap_or_default();
    let set = |field: &mut i32, argument: Option<i32>, usual: i32| {
        *field = argument.unwrap_or(if *field == 0 { usual } else { *field });
    };
    set(&mut alert.kind, publish.kind.map(|c| c.number), 0);
    set(&mut alert.urgency, publish.urgency.map(|c| c.number), Urgency::Expected.into());
    set(&mut alert.severity, publish.severity.map(|c| c.number), Severity::Moderate.into());
    set(&mut alert.certainty, publish.certainty.map(|c| c.number), Certainty::Possible.into());
    // What a statement rests on is never guessed.
    set(&mut alert.assertion_basis, publish.basis.map(|c| c.number), 0);
    replace(&mut alert.indicators, publish.indicator);
    replace(&mut alert.exploitation_forms, numbers(&publish.form));
    replace(&mut alert.summary, publish.summary);
    alert.sector = publish.sector.unwrap_or(alert.sector);
    alert.place = publish.place.or(alert.place);
    alert.details = details(alert.kind, alert.details, publish.advert, publish.site);
    if alert.assertion_basis == 0 {
        return Err(Failure::usage(
            "what the alert rests on is missing",
            "add --basis OBSERVED, DOCUMENTED or ASSESSMENT",
        ));
    }
    request.alert = Some(alert);
    request.sharing = Some(publish.sharing.over(request.sharing.take(), &USUAL));
    request.authority = publish.authority.unwrap_or(request.authority);
    Ok(request)
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

async fn fetch(session: &Session, published: bool, limit: usize) -> Result<ListAlertsResponse, Failure> {
    let which = if published { InBox::Published } else { InBox::Received };
    let request = ListAlertsRequest { r#box: which.into(), ..Default::default() };
    pages!(session, READ, AlertServiceClient, list_alerts, request, [alerts], limit)
}

async fn list(session: &Session, published: bool, limit: usize) -> Result<(), Failure> {
    let answer = fetch(session, published, limit).await?;
    let mut grid = Grid::new(&["alert", "origin", "kind", "severity", "place", "created", "answers", "summary"]);
    for held in &answer.alerts {
        let alert = held.alert.clone().unwrap_or_default();
        let answers = held.answers.iter().map(|a| {
            let kind = a.answer.as_ref().map(|a| name::<AnswerKind>(a.kind)).unwrap_or_default();
            format!("{} {kind}", a.authority)
        });
        let summary = alert.summary.first().map(|t| t.text.clone()).unwrap_or_default();
        grid.push([
            Cell::text(id::show(&held.record_id)),
            Cell::text(&held.origin),
            Cell::text(name::<AlertKind>(alert.kind)),
            Cell::text(name::<Severity>(alert.severity)),
            Cell::text(show_place(alert.place.as_ref())),
            Cell::time(held.created_ms),
            Cell::list(answers),
            Cell::both(cut(&summary, 48), summary),
        ]);
    }
    if grid.is_empty() {
        session.say(if published { "nothing was published here" } else { "nothing was received" });
    }
    session.show(&View::list(to_json(&answer), &["alerts"], grid))
}

async fn find(session: &Session, typed: &str) -> Result<HeldAlert, Failure> {
    let mut known = fetch(session, false, 0).await?.alerts;
    known.extend(fetch(session, true, 0).await?.alerts);
    let ids = known.iter().map(|a| (&a.record_id[..], a.clone()));
    id::resolve(typed, ids, "alert", "havenctl alert list, or --published")
}

async fn show(session: &Session, typed: &str) -> Result<(), Failure> {
    let found = find(session, typed).await?;
    let request = GetAlertRequest { origin: found.origin, record_id: found.record_id };
    let answer = call!(session, READ, AlertServiceClient, get_alert, request)?;
    let held = answer.alert.unwrap_or_default();
    let pairs = pairs(&held);
    let mut text = View::sheet(serde_json::Value::Null, pairs.clone()).render(Format::Table);
    if !held.deliveries.is_empty() {
        let grid = delivery::grid(&held.deliveries);
        text.push_str(&format!("\n{}", View::list(serde_json::Value::Null, &[], grid).render(Format::Table)));
    }
    session.show(&View::text(to_json(&held), text, pairs))?;
    if held.position > 0 && held.answers.is_empty() {
        let record = id::show(&held.record_id);
        session.next(&[format!("havenctl alert answer {record} ACKNOWLEDGED")]);
    }
    Ok(())
}

fn pairs(held: &HeldAlert) -> Vec<(&'static str, Cell)> {
    let alert = held.alert.clone().unwrap_or_default();
    let mut pairs = vec![
        ("alert", Cell::text(id::show(&held.record_id))),
        ("origin", Cell::text(&held.origin)),
        ("kind", Cell::text(name::<AlertKind>(alert.kind))),
        ("urgency", Cell::text(name::<Urgency>(alert.urgency))),
        ("severity", Cell::text(name::<Severity>(alert.severity))),
        ("certainty", Cell::text(name::<Certainty>(alert.certainty))),
        ("rests on", Cell::text(name::<AssertionBasis>(alert.assertion_basis))),
        ("forms", Cell::list(alert.exploitation_forms.iter().map(|f| name::<ExploitationForm>(*f)))),
        ("indicators", Cell::list(alert.indicators.iter())),
        ("sector", Cell::text(&alert.sector)),
        ("place", Cell::text(show_place(alert.place.as_ref()))),
    ];
    match &alert.details {
        Some(Details::SuspiciousAdvertising(d)) => pairs.extend([
            ("channel", Cell::text(name::<AdvertChannel>(d.channel))),
            ("advert in", Cell::list(d.advert_languages.iter())),
            ("first seen", Cell::time(d.first_seen_ms)),
            ("last seen", Cell::time(d.last_seen_ms)),
            ("adverts", Cell::number(d.adverts_seen)),
            ("promises", Cell::text(&d.promised_occupation)),
        ]),
        Some(Details::AtRiskSite(d)) => pairs.extend([
            ("site", Cell::text(name::<SiteType>(d.site_type))),
            ("step", Cell::text(name::<BarrierStep>(d.barrier_step))),
            ("concerns", Cell::list(d.concerns.iter().map(|c| name::<SiteConcern>(*c)))),
            ("size", Cell::number(format!("at least {}", d.size_class))),
        ]),
        None => {}
    }
    pairs.extend(alert.summary.iter().map(|t| ("summary", Cell::text(format!("[{}] {}", t.language, t.text)))));
    if let Some(sharing) = &held.sharing {
        pairs.extend(sharing::pairs(sharing));
    }
    pairs.push(("created", Cell::time(held.created_ms)));
    pairs.push(("received", Cell::time(held.received_ms)));
    for answer in &held.answers {
        let told = answer.answer.clone().unwrap_or_default();
        let reason = name::<NotRelevantReason>(told.not_relevant_reason);
        let question = told.question.first().map(|t| t.text.clone()).unwrap_or_default();
        let text = [answer.authority.clone(), name::<AnswerKind>(told.kind), reason, question];
        pairs
            .push(("answer", Cell::text(text.iter().filter(|t| !t.is_empty()).cloned().collect::<Vec<_>>().join(" "))));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Noun};
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
        let alert = request.alert.unwrap();
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
                    [alert.at_risk_site]\nsite_type = \"WORKSHOP\"\n[sharing]\npurpose = \"IDENTIFICATION\"\n";
        std::fs::write(&dir, file).unwrap();
        let request = request(publish(&["--file", dir.to_str().unwrap(), "--severity", "SEVERE"])).unwrap();
        std::fs::remove_file(&dir).unwrap();
        let alert = request.alert.unwrap();
        assert_eq!(
            (alert.severity, alert.assertion_basis),
            (Severity::Severe as i32, AssertionBasis::Documented as i32)
        );
        assert!(matches!(alert.details, Some(Details::AtRiskSite(d)) if d.site_type == SiteType::Workshop as i32));
        assert_eq!(request.sharing.unwrap().purpose, Purpose::Identification as i32);
    }

    #[test]
    fn what_it_rests_on_is_never_guessed() {
        let failure = request(publish(&["--kind", "AT_RISK_SITE"])).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.exit), ("USAGE", 2));
    }
}
