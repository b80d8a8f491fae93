//! `alert`: publish, list, show, answer, update, cancel.

mod publish;

use clap::Subcommand;
use havenlink_proto::local::v1::HeldRecord;
use havenlink_proto::record::v1::alert::Details;
use havenlink_proto::record::v1::{
    AdvertChannel, Alert, AlertKind, Answer, AnswerKind, AssertionBasis, BarrierStep, Certainty, ExploitationForm,
    NotRelevantReason, RecordKind, Severity, SiteConcern, SiteType, Text, Urgency,
};

use self::publish::{Publish, Words};
use super::sharing::{self, parse_summary, show_place};
use super::which::{self, Sort, Which};
use super::{Limit, record};
use crate::contract_enum::{Code, name, number_or_zero};
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View, cut};
use crate::session::Session;
use crate::value::to_json;

/// Alerts, published and received
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
        #[command(flatten)]
        which: Which,
    },
    /// Answers a received alert
    Answer {
        #[command(flatten)]
        which: Which,
        answer: Code<AnswerKind>,
        /// Why it is not relevant
        #[arg(long)]
        reason: Option<Code<NotRelevantReason>>,
        /// The question, per language, e.g. "de:Gibt es weitere Anzeigen?"
        #[arg(long, value_parser = parse_summary, value_name = "LANGUAGE:TEXT")]
        question: Vec<Text>,
    },
    /// Says an own alert anew; who holds it gets what is typed over what it says now
    Update {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        words: Box<Words>,
    },
    /// Takes an own alert back; who holds it is told
    Cancel {
        #[command(flatten)]
        which: Which,
    },
}

/// How alerts are found.
const ALERTS: Sort = Sort { kind: RecordKind::Alert, noun: "alert", list: "havenctl alert list, or --published" };

pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let session = &session.about(RecordKind::Alert);
    match verb {
        Verb::Publish(publish) => publish::run(session, *publish).await,
        Verb::List { published, limit } => list(session, published, &limit).await,
        Verb::Show { which } => show(session, &which).await,
        Verb::Update { which, words } => {
            let held = which.held_own(session, &ALERTS).await?;
            let said = words.over(record::held::<Alert>(&held));
            publish::check(&said, None)?;
            record::update(session, (held.origin, held.record_id.to_vec()), said.into()).await
        }
        Verb::Cancel { which } => record::cancel(session, which.own(session, &ALERTS).await?).await,
        Verb::Answer { which, answer, reason, question } => {
            let key = which.to_answer(session, &ALERTS).await?;
            let answer = Answer { kind: answer.number, not_relevant_reason: number_or_zero(&reason), question };
            record::answer(session, key, answer.into(), "answered").await
        }
    }
}

async fn list(session: &Session, published: bool, limit: &Limit) -> Result<(), Failure> {
    let answer = which::list(session, &ALERTS, published, limit).await?;
    let mut grid = Grid::new(&["alert", "origin", "kind", "severity", "place", "created", "answers", "summary"]);
    for held in &answer.records {
        let alert = record::held::<Alert>(held);
        let answers = held.answers.iter().map(|a| {
            let kind =
                record::said::<Answer>(a.content.as_ref()).map(|a| name::<AnswerKind>(a.kind)).unwrap_or_default();
            format!("{} {kind}", a.authority)
        });
        let summary = alert.summary.first().map(|t| t.text.clone()).unwrap_or_default();
        let summary = record::or_unreadable(held, summary);
        grid.push([
            Cell::id(id::show(&held.record_id)),
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
    session.show(&View::list(to_json(&answer), &["records"], grid))
}

async fn show(session: &Session, which: &Which) -> Result<(), Failure> {
    let held = which.held(session, &ALERTS).await?;
    record::show(session, &held, ALERTS.noun, pairs(&held), "answer RECORD ACKNOWLEDGED")
}

fn pairs(held: &HeldRecord) -> Vec<(&'static str, Cell)> {
    let alert = record::held::<Alert>(held);
    let mut pairs = record::head(held, ALERTS.noun);
    pairs.extend([
        ("kind", Cell::text(name::<AlertKind>(alert.kind))),
        ("urgency", Cell::text(name::<Urgency>(alert.urgency))),
        ("severity", Cell::text(name::<Severity>(alert.severity))),
        ("certainty", Cell::text(name::<Certainty>(alert.certainty))),
        ("rests on", Cell::text(name::<AssertionBasis>(alert.assertion_basis))),
        ("forms", Cell::list(alert.exploitation_forms.iter().map(|f| name::<ExploitationForm>(*f)))),
        ("indicators", Cell::list(alert.indicators.iter())),
        ("sector", Cell::text(&alert.sector)),
        ("place", Cell::text(show_place(alert.place.as_ref()))),
    ]);
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
    if held.answers_left_out > 0 {
        let older = format!("{} older ones are not shown; the consumer's stream has all", held.answers_left_out);
        pairs.push(("answers", Cell::text(older)));
    }
    for answer in &held.answers {
        let told = record::said::<Answer>(answer.content.as_ref()).unwrap_or_default();
        let reason = name::<NotRelevantReason>(told.not_relevant_reason);
        let question = told.question.first().map(|t| t.text.clone()).unwrap_or_default();
        let unreadable = match answer.unreadable.as_str() {
            "" => String::new(),
            reason => super::unreadable(reason),
        };
        let text = [answer.authority.clone(), name::<AnswerKind>(told.kind), reason, question, unreadable];
        let text: Vec<String> = text.into_iter().filter(|t| !t.is_empty()).collect();
        pairs.push(("answer", Cell::text(text.join(" "))));
    }
    pairs
}
