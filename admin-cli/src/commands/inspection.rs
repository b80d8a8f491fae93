//! `inspection`: propose, list, show, accept, update, cancel.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use havenlink_proto::local::v1::{HeldRecord, PublishRecordRequest};
use havenlink_proto::record::v1::{
    Inspection, InspectionPart, InspectionReason, InspectionState, LawfulBasis, Pap, Place, Purpose, RecordKind,
    SiteType, Tlp,
};

use super::sharing::{self, SharingArgs, Usual, parse_place, show_place};
use super::which::{self, Sort, Which};
use super::{Limit, record};
use crate::contract_enum::{Code, name, numbers};
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View};
use crate::session::Session;
use crate::value::to_json;
use crate::when;

/// Inspections done together: who is asked, and who takes part
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Asks authorities by name to inspect together; TLP:RED
    Propose(Box<Propose>),
    /// Inspections to which this authority was asked; or that it proposed
    List {
        /// Those that this authority proposed
        #[arg(long)]
        published: bool,
        #[command(flatten)]
        limit: Limit,
    },
    /// One inspection, with who takes part
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Takes part in an inspection that was proposed
    Accept {
        #[command(flatten)]
        which: Which,
        /// What this authority does there; all that is sought, if not given
        #[arg(long, value_delimiter = ',')]
        part: Vec<Code<InspectionPart>>,
    },
    /// Says an own proposal anew; who was asked gets what is typed over what it says now
    Update {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        words: Box<Words>,
    },
    /// Takes an own proposal back; who was asked is told
    Cancel {
        #[command(flatten)]
        which: Which,
    },
}

/// A proposal by arguments, or by a file with `inspection` and `sharing` (or an inspection alone).
#[derive(Debug, Args)]
pub struct Propose {
    /// The proposal as JSON or TOML; arguments win over it; - is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    words: Words,
    /// The proposing authority, on a node that serves several
    #[arg(long, value_name = "AUTHORITY")]
    authority: Option<String>,
    #[command(flatten)]
    sharing: SharingArgs,
}

/// What a proposal says.
#[derive(Debug, Args)]
pub struct Words {
    /// NACE section and division, e.g. I56
    #[arg(long)]
    sector: Option<String>,
    /// LAU or NUTS-3, nothing finer, e.g. LAU:67482 [needed, here or in the file]
    #[arg(long, value_parser = parse_place, value_name = "SCHEME:CODE")]
    place: Option<Place>,
    #[arg(long, value_delimiter = ',')]
    site_type: Vec<Code<SiteType>>,
    /// First day that is proposed [needed, here or in the file]
    #[arg(long, value_parser = when::parse_start, value_name = "DATE")]
    from: Option<i64>,
    /// Last day that is proposed, or a span from now; at most 92 days after the first [needed, here or in the file]
    #[arg(long, value_parser = when::parse_end, value_name = "DATE")]
    until: Option<i64>,
    /// Why [needed, here or in the file]
    #[arg(long, value_delimiter = ',')]
    reason: Vec<Code<InspectionReason>>,
    /// What is sought of those who take part [needed, here or in the file]
    #[arg(long, value_delimiter = ',')]
    part: Vec<Code<InspectionPart>>,
}

const USUAL: Usual =
    Usual { purpose: Purpose::Prevention, tlp: Tlp::Red, pap: Pap::Red, lawful_basis: LawfulBasis::PublicTask };

/// How inspections are found.
const INSPECTIONS: Sort =
    Sort { kind: RecordKind::Inspection, noun: "inspection", list: "havenctl inspection list, or --published" };

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let session = &session.about(RecordKind::Inspection);
    match verb {
        Verb::Propose(propose) => {
            record::publish(session, request(*propose)?, &["havenctl inspection show RECORD"]).await
        }
        Verb::List { published, limit } => list(session, published, &limit).await,
        Verb::Show { which } => show(session, &which).await,
        Verb::Accept { which, part } => accept(session, &which, numbers(&part)).await,
        Verb::Update { which, words } => {
            let held = which.held_own(session, &INSPECTIONS).await?;
            let said = words.over(record::held::<Inspection>(&held));
            record::update(session, (held.origin, held.record_id.to_vec()), said.into()).await
        }
        Verb::Cancel { which } => record::cancel(session, which.own(session, &INSPECTIONS).await?).await,
    }
}

/// What is typed stands over what the file says.
fn request(propose: Propose) -> Result<PublishRecordRequest, Failure> {
    let mut request = match &propose.file {
        None => PublishRecordRequest::default(),
        Some(file) => record::from_file::<Inspection>(file)?,
    };
    let said = record::said::<Inspection>(request.content.as_ref()).unwrap_or_default();
    let said = propose.words.over(said);
    let sharing = propose.sharing.over(request.sharing.take(), &USUAL)?;
    Failure::unless_given(&[
        (said.place.is_some(), "where it is", "--place LAU:CODE or NUTS:CODE"),
        (said.not_before_ms != 0, "the first day", "--from DATE"),
        (said.not_after_ms != 0, "the last day", "--until DATE"),
        (!said.reasons.is_empty(), "why", "--reason REASON"),
        (!said.parts.is_empty(), "what is sought", "--part PART"),
        (sharing::is_for_somebody(&sharing), "who is asked", "--to AUTHORITY,AUTHORITY"),
    ])?;
    (request.content, request.sharing) = (Some(said.into()), Some(sharing));
    request.authority = propose.authority.unwrap_or(request.authority);
    Ok(request)
}

impl Words {
    /// What is typed stands over what is there.
    fn over(self, mut said: Inspection) -> Inspection {
        let replace = |list: &mut Vec<i32>, given: Vec<i32>| {
            if !given.is_empty() {
                *list = given;
            }
        };
        said.state = InspectionState::Proposed.into();
        said.sector = self.sector.unwrap_or(said.sector);
        said.place = self.place.or(said.place);
        replace(&mut said.site_types, numbers(&self.site_type));
        said.not_before_ms = self.from.unwrap_or(said.not_before_ms);
        said.not_after_ms = self.until.unwrap_or(said.not_after_ms);
        replace(&mut said.reasons, numbers(&self.reason));
        replace(&mut said.parts, numbers(&self.part));
        said
    }
}

async fn accept(session: &Session, which: &Which, parts: Vec<i32>) -> Result<(), Failure> {
    let held = which.held(session, &INSPECTIONS).await?;
    let sought = record::held::<Inspection>(&held).parts;
    let parts = if parts.is_empty() { sought } else { parts };
    let answer = Inspection { state: InspectionState::Accepted.into(), parts, ..Default::default() };
    record::answer(session, (held.origin, held.record_id.to_vec()), answer.into(), "accepted").await
}

/// `de-kehl SUPPORT_SERVICE,INTERPRETATION` of each that takes part.
fn accepted(held: &HeldRecord) -> impl Iterator<Item = String> + '_ {
    held.answers.iter().map(|answer| {
        let parts = record::said::<Inspection>(answer.content.as_ref()).unwrap_or_default().parts;
        let parts: Vec<String> = parts.iter().map(|part| name::<InspectionPart>(*part)).collect();
        format!("{} {}", answer.authority, parts.join(","))
    })
}

async fn list(session: &Session, published: bool, limit: &Limit) -> Result<(), Failure> {
    let answer = which::list(session, &INSPECTIONS, published, limit).await?;
    let mut grid = Grid::new(&["inspection", "origin", "place", "sector", "from", "until", "sought", "accepted"]);
    for held in &answer.records {
        let said = record::held::<Inspection>(held);
        grid.push([
            Cell::id(id::show(&held.record_id)),
            Cell::text(&held.origin),
            Cell::text(record::or_unreadable(held, show_place(said.place.as_ref()))),
            Cell::text(&said.sector),
            Cell::time(said.not_before_ms),
            Cell::time(said.not_after_ms),
            Cell::list(said.parts.iter().map(|part| name::<InspectionPart>(*part))),
            Cell::list(accepted(held)),
        ]);
    }
    if grid.is_empty() {
        session.say(if published { "nothing was proposed here" } else { "this authority was not asked" });
    }
    session.show(&View::list(to_json(&answer), &["records"], grid))
}

async fn show(session: &Session, which: &Which) -> Result<(), Failure> {
    let held = which.held(session, &INSPECTIONS).await?;
    record::show(session, &held, INSPECTIONS.noun, pairs(&held), "accept RECORD")
}

fn pairs(held: &HeldRecord) -> Vec<(&'static str, Cell)> {
    let said = record::held::<Inspection>(held);
    let mut pairs = record::head(held, INSPECTIONS.noun);
    pairs.extend([
        ("state", Cell::text(name::<InspectionState>(said.state))),
        ("place", Cell::text(show_place(said.place.as_ref()))),
        ("sector", Cell::text(&said.sector)),
        ("sites", Cell::list(said.site_types.iter().map(|site| name::<SiteType>(*site)))),
        ("from", Cell::time(said.not_before_ms)),
        ("until", Cell::time(said.not_after_ms)),
        ("reasons", Cell::list(said.reasons.iter().map(|reason| name::<InspectionReason>(*reason)))),
        ("sought", Cell::list(said.parts.iter().map(|part| name::<InspectionPart>(*part)))),
    ]);
    pairs.extend(held.sharing.as_ref().map(sharing::pairs).into_iter().flatten());
    pairs.push(("created", Cell::time(held.created_ms)));
    pairs.push(("received", Cell::time(held.received_ms)));
    pairs.extend(accepted(held).map(|who| ("accepted", Cell::text(who))));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Noun};
    use clap::Parser;

    #[test]
    fn a_proposal_by_arguments_is_red_and_names_who_is_asked() {
        let line = "havenctl inspection propose --to de-kehl --place LAU:FR_67482 --from 2026-12-01 --until 2026-12-14 \
                    --reason WORKING_CONDITIONS --part LABOUR_INSPECTION,SUPPORT_SERVICE --sector I56";
        let Noun::Inspection(Verb::Propose(propose)) = Cli::try_parse_from(line.split_whitespace()).unwrap().noun
        else {
            panic!("a proposal")
        };
        let request = request(*propose).unwrap();
        let said = record::said::<Inspection>(request.content.as_ref()).unwrap();
        assert_eq!((said.state(), said.parts, said.reasons), (InspectionState::Proposed, vec![1, 5], vec![3]));
        assert!(said.not_after_ms > said.not_before_ms);
        let sharing = request.sharing.unwrap();
        assert_eq!((sharing.recipients, sharing.handling.unwrap().tlp()), (vec!["de-kehl".to_owned()], Tlp::Red));
    }
}
