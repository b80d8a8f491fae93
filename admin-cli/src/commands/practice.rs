//! `practice`: publish, search, show.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use havenlink_proto::local::v1::practice_service_client::PracticeServiceClient;
use havenlink_proto::local::v1::{
    FoundPractice, PublishRecordRequest, SearchPracticesRequest, SearchPracticesResponse,
};
use havenlink_proto::record::v1::{
    CostBand, LawfulBasis, Pap, Place, Practice, PracticeAudience, PracticeOutcome, PracticeText, PracticeTopic,
    Purpose, RecordKind, Tlp, TranslationProvenance,
};

use super::sharing::{SharingArgs, Usual, parse_place, show_place};
use super::{Limit, pages, record};
use crate::contract_enum::{Code, name, numbers};
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Format, Grid, View, clean, cut};
use crate::session::Session;
use crate::value::to_json;

/// Practices: what worked, and what did not
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Publishes a practice; also what did not work
    Publish(Box<Publish>),
    /// Finds practices by words and coded fields
    Search(Search),
    /// One practice, in every language it has
    Show {
        /// Its id, or the beginning of it
        practice: String,
    },
}

/// A practice by arguments in one language, or by a file in several.
#[derive(Debug, Args)]
pub struct Publish {
    /// The practice as JSON or TOML, alone or with sharing; arguments win over it; - is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Language of the texts
    #[arg(long, value_name = "LANGUAGE", required_unless_present = "file")]
    language: Option<String>,
    #[arg(long, requires = "language", required_unless_present = "file")]
    title: Option<String>,
    #[arg(long, requires = "language", required_unless_present = "file")]
    problem: Option<String>,
    #[arg(long, requires = "language", required_unless_present = "file")]
    measure: Option<String>,
    #[arg(long, requires = "language")]
    evidence: Option<String>,
    #[arg(long, required_unless_present = "file")]
    outcome: Option<Code<PracticeOutcome>>,
    #[arg(long)]
    cost: Option<Code<CostBand>>,
    #[arg(long, value_delimiter = ',', hide_possible_values = true)]
    audience: Vec<Code<PracticeAudience>>,
    #[arg(long, value_delimiter = ',', hide_possible_values = true)]
    topic: Vec<Code<PracticeTopic>>,
    /// Paragraph that it answers, e.g. 196:12.q
    #[arg(long, value_delimiter = ',')]
    paragraph: Vec<String>,
    #[arg(long, value_parser = parse_place, value_name = "SCHEME:CODE")]
    place: Option<Place>,
    /// The publishing authority, on a node that serves several
    #[arg(long, value_name = "AUTHORITY")]
    authority: Option<String>,
    #[command(flatten)]
    sharing: SharingArgs,
}

/// All that is given must fit; a repeated field fits by any of its values.
#[derive(Debug, Default, Args)]
pub struct Search {
    /// Words that all occur in one language's texts
    words: Vec<String>,
    #[arg(long, value_delimiter = ',', hide_possible_values = true)]
    topic: Vec<Code<PracticeTopic>>,
    #[arg(long, value_delimiter = ',', hide_possible_values = true)]
    audience: Vec<Code<PracticeAudience>>,
    #[arg(long, value_delimiter = ',')]
    outcome: Vec<Code<PracticeOutcome>>,
    #[arg(long, value_delimiter = ',')]
    paragraph: Vec<String>,
    /// Show titles in this language where there is one
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    #[command(flatten)]
    limit: Limit,
}

const USUAL: Usual =
    Usual { purpose: Purpose::Learning, tlp: Tlp::Green, pap: Pap::Clear, lawful_basis: LawfulBasis::NoPersonalData };

pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let session = &session.about(RecordKind::Practice);
    match verb {
        Verb::Publish(publish) => {
            record::publish(session, request(*publish)?, &["havenctl practice show RECORD"]).await
        }
        Verb::Search(search) => list(session, search).await,
        Verb::Show { practice } => {
            let found = fetch(session, &Search::default()).await?.practices;
            let ids = found.iter().map(|p| (&p.record_id[..], p));
            let found = id::resolve(&practice, ids, "practice", "havenctl practice search")?;
            session.show(&sheet(found))
        }
    }
}

/// What is typed stands over what the file says.
fn request(publish: Publish) -> Result<PublishRecordRequest, Failure> {
    let mut request = match &publish.file {
        None => PublishRecordRequest::default(),
        Some(file) => record::from_file::<Practice>(file)?,
    };
    let mut practice = record::said::<Practice>(request.content.as_ref()).unwrap_or_default();
    practice.version = practice.version.max(1);
    if let Some(language) = publish.language {
        practice.texts.retain(|t| t.language != language);
        practice.texts.push(PracticeText {
            language,
            provenance: TranslationProvenance::Original.into(),
            title: publish.title.unwrap_or_default(),
            problem: publish.problem.unwrap_or_default(),
            measure: publish.measure.unwrap_or_default(),
            evidence: publish.evidence.unwrap_or_default(),
        });
    }
    practice.outcome = publish.outcome.map_or(practice.outcome, |c| c.number);
    practice.cost_band = publish.cost.map_or(practice.cost_band, |c| c.number);
    if !publish.audience.is_empty() {
        practice.audiences = numbers(&publish.audience);
    }
    if !publish.topic.is_empty() {
        practice.topics = numbers(&publish.topic);
    }
    if !publish.paragraph.is_empty() {
        practice.resolution_paragraphs = publish.paragraph;
    }
    practice.place = publish.place.or(practice.place);
    request.content = Some(practice.into());
    request.sharing = Some(publish.sharing.over(request.sharing.take(), &USUAL)?);
    request.authority = publish.authority.unwrap_or(request.authority);
    Ok(request)
}

async fn fetch(session: &Session, search: &Search) -> Result<SearchPracticesResponse, Failure> {
    let request = SearchPracticesRequest {
        topics: numbers(&search.topic),
        audiences: numbers(&search.audience),
        outcomes: numbers(&search.outcome),
        resolution_paragraphs: search.paragraph.clone(),
        words: search.words.join(" "),
        ..Default::default()
    };
    pages!(session, PracticeServiceClient, search_practices, request, [practices], search.limit.limit)
}

async fn list(session: &Session, search: Search) -> Result<(), Failure> {
    let answer = fetch(session, &search).await?;
    let mut grid = Grid::new(&["practice", "origin", "outcome", "topics", "languages", "title"]);
    for found in &answer.practices {
        let practice = found.practice.clone().unwrap_or_default();
        let title = text_in(&practice, search.language.as_deref()).map(|t| t.title.clone()).unwrap_or_default();
        grid.push([
            Cell::text(id::show(&found.record_id)),
            Cell::text(&found.origin),
            Cell::text(name::<PracticeOutcome>(practice.outcome)),
            Cell::list(practice.topics.iter().map(|t| name::<PracticeTopic>(*t))),
            Cell::list(practice.texts.iter().map(|t| t.language.clone())),
            Cell::both(cut(&title, 60), title),
        ]);
    }
    if grid.is_empty() {
        session.say("no practice fits; fewer words or fields find more");
    }
    session.show(&View::list(to_json(&answer), &["practices"], grid))
}

/// The text in a language, or the first there is.
fn text_in<'a>(practice: &'a Practice, language: Option<&str>) -> Option<&'a PracticeText> {
    practice.texts.iter().find(|t| Some(t.language.as_str()) == language).or_else(|| practice.texts.first())
}

fn sheet(found: &FoundPractice) -> View {
    let practice = found.practice.clone().unwrap_or_default();
    let mut pairs = vec![
        ("practice", Cell::text(id::show(&found.record_id))),
        ("origin", Cell::text(&found.origin)),
        ("version", Cell::number(practice.version)),
        ("outcome", Cell::text(name::<PracticeOutcome>(practice.outcome))),
        ("cost", Cell::text(name::<CostBand>(practice.cost_band))),
        ("audiences", Cell::list(practice.audiences.iter().map(|a| name::<PracticeAudience>(*a)))),
        ("topics", Cell::list(practice.topics.iter().map(|t| name::<PracticeTopic>(*t)))),
        ("answers", Cell::list(practice.resolution_paragraphs.iter())),
        ("place", Cell::text(show_place(practice.place.as_ref()))),
        ("created", Cell::time(found.created_ms)),
    ];
    let head = View::sheet(serde_json::Value::Null, pairs.clone()).render(Format::Table);
    let mut text = head;
    for t in &practice.texts {
        text.push_str(&format!(
            "\n[{}, {}] {}\n",
            clean(&t.language),
            name::<TranslationProvenance>(t.provenance),
            clean(&t.title)
        ));
        for (label, part) in [("problem", &t.problem), ("measure", &t.measure), ("evidence", &t.evidence)] {
            if !part.is_empty() {
                text.push_str(&format!("  {label:<9} {}\n", clean(part)));
            }
        }
    }
    pairs.push(("title", Cell::text(text_in(&practice, None).map(|t| t.title.clone()).unwrap_or_default())));
    View::text(to_json(found), text, pairs)
}
