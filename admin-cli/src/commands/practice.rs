//! `practice`: publish, search, show, update, cancel.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use havenlink_proto::local::v1::practice_service_client::PracticeServiceClient;
use havenlink_proto::local::v1::{
    HeldRecord, PublishRecordRequest, SearchPracticesRequest, SearchPracticesResponse, Sharing,
};
use havenlink_proto::record::v1::{
    CostBand, LawfulBasis, Pap, Place, Practice, PracticeAudience, PracticeOutcome, PracticeText, PracticeTopic,
    Purpose, RecordKind, Tlp, TranslationProvenance,
};

use super::sharing::{self, SharingArgs, Usual, parse_place, show_place};
use super::which::{Sort, Which};
use super::{Limit, pages, record};
use crate::contract_enum::{Code, name, numbers};
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View, clean, cut};
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
        #[command(flatten)]
        which: Which,
    },
    /// A new version of an own practice, with what is typed over what it says now
    Update {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        words: Box<Words>,
    },
    /// Takes an own practice back; who holds it is told
    Cancel {
        #[command(flatten)]
        which: Which,
    },
}

/// A practice by arguments in one language, or by a file in several.
#[derive(Debug, Args)]
pub struct Publish {
    /// The practice as JSON or TOML, alone or with sharing; arguments win over it; - is stdin
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

/// What a practice says, in one language.
#[derive(Debug, Args)]
pub struct Words {
    /// Language of the texts [needed, here or in the file, as title, problem and measure are]
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    #[arg(long, requires = "language")]
    title: Option<String>,
    #[arg(long, requires = "language")]
    problem: Option<String>,
    #[arg(long, requires = "language")]
    measure: Option<String>,
    #[arg(long, requires = "language")]
    evidence: Option<String>,
    /// Whether it worked [needed, here or in the file]
    #[arg(long)]
    outcome: Option<Code<PracticeOutcome>>,
    #[arg(long)]
    cost: Option<Code<CostBand>>,
    #[arg(long, value_delimiter = ',')]
    audience: Vec<Code<PracticeAudience>>,
    /// What it is about [needed, here or in the file]
    #[arg(long, value_delimiter = ',')]
    topic: Vec<Code<PracticeTopic>>,
    /// Paragraph that it answers, e.g. 196:12.q
    #[arg(long, value_delimiter = ',')]
    paragraph: Vec<String>,
    #[arg(long, value_parser = parse_place, value_name = "SCHEME:CODE")]
    place: Option<Place>,
}

/// All that is given must fit; a repeated field fits by any of its values.
#[derive(Debug, Default, Args)]
pub struct Search {
    /// Words that all occur in one language's texts
    words: Vec<String>,
    #[arg(long, value_delimiter = ',')]
    topic: Vec<Code<PracticeTopic>>,
    #[arg(long, value_delimiter = ',')]
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

/// How practices are found.
const PRACTICES: Sort = Sort { kind: RecordKind::Practice, noun: "practice", list: "havenctl practice search" };

pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let session = &session.about(RecordKind::Practice);
    match verb {
        Verb::Publish(publish) => {
            record::publish(session, request(*publish)?, &["havenctl practice show RECORD"]).await
        }
        Verb::Search(search) => list(session, search).await,
        Verb::Show { which } => show(session, &which).await,
        Verb::Update { which, words } => {
            let held = which.held_own(session, &PRACTICES).await?;
            let now = record::held::<Practice>(&held);
            let version = now.version;
            let mut said = words.over(now.clone());
            check(&said, None)?;
            if said != now {
                said.version = version.saturating_add(1);
            }
            record::update(session, (held.origin, held.record_id.to_vec()), said.into()).await
        }
        Verb::Cancel { which } => record::cancel(session, which.own(session, &PRACTICES).await?).await,
    }
}

/// What is typed stands over what the file says.
fn request(publish: Publish) -> Result<PublishRecordRequest, Failure> {
    let mut request = match &publish.file {
        None => PublishRecordRequest::default(),
        Some(file) => record::from_file::<Practice>(file)?,
    };
    let practice = record::said::<Practice>(request.content.as_ref()).unwrap_or_default();
    let practice = publish.words.over(practice);
    let sharing = publish.sharing.over(request.sharing.take(), &USUAL)?;
    check(&practice, Some(&sharing))?;
    (request.content, request.sharing) = (Some(practice.into()), Some(sharing));
    request.authority = publish.authority.unwrap_or(request.authority);
    Ok(request)
}

impl Words {
    /// What is typed stands over what is there; of a text, field by field.
    fn over(self, mut practice: Practice) -> Practice {
        practice.version = practice.version.max(1);
        if let Some(language) = self.language {
            let at = practice.texts.iter().position(|t| t.language == language).unwrap_or_else(|| {
                let provenance = TranslationProvenance::Original.into();
                practice.texts.push(PracticeText { language, provenance, ..Default::default() });
                practice.texts.len() - 1
            });
            let text = &mut practice.texts[at];
            text.title = self.title.unwrap_or(std::mem::take(&mut text.title));
            text.problem = self.problem.unwrap_or(std::mem::take(&mut text.problem));
            text.measure = self.measure.unwrap_or(std::mem::take(&mut text.measure));
            text.evidence = self.evidence.unwrap_or(std::mem::take(&mut text.evidence));
        }
        practice.outcome = self.outcome.map_or(practice.outcome, |c| c.number);
        practice.cost_band = self.cost.map_or(practice.cost_band, |c| c.number);
        if !self.audience.is_empty() {
            practice.audiences = numbers(&self.audience);
        }
        if !self.topic.is_empty() {
            practice.topics = numbers(&self.topic);
        }
        if !self.paragraph.is_empty() {
            practice.resolution_paragraphs = self.paragraph;
        }
        practice.place = self.place.or(practice.place);
        practice
    }
}

/// What a practice cannot be without, in each of its languages, and who gets it (`sharing`; none: those that hold it).
///
/// # Errors
/// A usage error that names all that is missing.
fn check(practice: &Practice, sharing: Option<&Sharing>) -> Result<(), Failure> {
    let in_each = |part: fn(&PracticeText) -> &String| {
        !practice.texts.is_empty() && practice.texts.iter().all(|text| !part(text).is_empty())
    };
    Failure::unless_given(&[
        (!practice.texts.is_empty(), "a language", "--language LANGUAGE"),
        (in_each(|text| &text.title), "a title", "--title TEXT"),
        (in_each(|text| &text.problem), "the problem", "--problem TEXT"),
        (in_each(|text| &text.measure), "what was done", "--measure TEXT"),
        (practice.outcome != 0, "whether it worked", "--outcome EFFECTIVE, MIXED or another"),
        (!practice.topics.is_empty(), "a topic", "--topic TOPIC"),
        (sharing.is_none_or(sharing::is_for_somebody), "who gets it", sharing::WHO),
    ])
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
    pages!(session, PracticeServiceClient, search_practices, request, [practices], &search.limit)
}

async fn list(session: &Session, search: Search) -> Result<(), Failure> {
    let answer = fetch(session, &search).await?;
    let mut grid = Grid::new(&["practice", "origin", "outcome", "topics", "languages", "title"]);
    for found in &answer.practices {
        let practice = found.practice.clone().unwrap_or_default();
        let title = text_in(&practice, search.language.as_deref()).map(|t| t.title.clone()).unwrap_or_default();
        grid.push([
            Cell::id(id::show(&found.record_id)),
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

async fn show(session: &Session, which: &Which) -> Result<(), Failure> {
    let held = which.held(session, &PRACTICES).await?;
    session.show(&sheet(&held))?;
    record::later(session, &held, PRACTICES.noun);
    Ok(())
}

fn sheet(held: &HeldRecord) -> View {
    let practice = record::held::<Practice>(held);
    let mut pairs = record::head(held, PRACTICES.noun);
    pairs.extend([
        ("version", Cell::number(practice.version)),
        ("outcome", Cell::text(name::<PracticeOutcome>(practice.outcome))),
        ("cost", Cell::text(name::<CostBand>(practice.cost_band))),
        ("audiences", Cell::list(practice.audiences.iter().map(|a| name::<PracticeAudience>(*a)))),
        ("topics", Cell::list(practice.topics.iter().map(|t| name::<PracticeTopic>(*t)))),
        ("answers", Cell::list(practice.resolution_paragraphs.iter())),
        ("place", Cell::text(show_place(practice.place.as_ref()))),
        ("created", Cell::time(held.created_ms)),
    ]);
    pairs.extend(held.sharing.as_ref().map(sharing::pairs).into_iter().flatten());
    let title = text_in(&practice, None).map(|t| t.title.clone()).unwrap_or_default();
    // Shown with the other texts of its language.
    pairs.push(("title", Cell::both("", title)));
    let mut text = String::new();
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
    View::sheet(to_json(held), pairs).and_text(text)
}
