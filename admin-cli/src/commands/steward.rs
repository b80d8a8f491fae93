//! `steward`: who keeps the register together, one change at a time.

use clap::Subcommand;
use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;
use havenlink_proto::admin::v1::{
    DemoteStewardRequest, GetStatusResponse, PromoteStewardRequest, RefoundRequest, ReplaceStewardRequest,
    RetimeRequest,
};
use serde_json::json;

use super::{decision, plan, status};
use crate::confirm;
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View};
use crate::session::{Session, call};
use crate::value::to_json;
use crate::when;

/// The authorities that keep the register together
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Each steward's last sign of life
    List,
    /// Makes a member a steward, once a majority agrees
    Promote {
        authority: String,
        /// Only the second steward is asked about
        #[arg(long)]
        yes: bool,
    },
    /// Makes a steward a member, once a majority of the others agrees
    Demote {
        authority: String,
        #[arg(long)]
        yes: bool,
    },
    /// Takes a steward's new node in place of its lost one
    Replace {
        authority: String,
        #[arg(long)]
        yes: bool,
    },
    /// Begins the register's order anew, where no majority of the stewards' machines can form again: each of them signs
    Refound {
        /// Where no member has the stewards' signs of life any more: from where the order began last
        #[arg(long)]
        from_beginning: bool,
        #[arg(long)]
        yes: bool,
    },
    /// Puts the register's time right after a clock that was ahead, once a majority agrees
    Retime {
        #[arg(long)]
        yes: bool,
    },
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let request_id = session.request_id();
    match verb {
        Verb::List => list(session).await,
        Verb::Promote { authority, yes } => {
            let act = format!("promote {authority}");
            let status = status::fetch(session).await?;
            if status.steward && status.stewards.len() == 1 {
                let sealed = sealed(&status, when::now_ms());
                let at_theirs =
                    format!("there: ask {authority} for the line recovery of havenctl doctor: it is not seen here");
                let consequences = [
                    "of two stewards neither may fail: a majority of two is two, and while one is away nothing can be decided",
                    "one whose authority key is lost for good ends that for ever: each needs a sealed backup, and its recovery key in a safe",
                    &sealed,
                    &at_theirs,
                    "three bear one failure: promote a third one on the same day",
                ];
                confirm::severe(session, &act, &consequences, &authority, yes)?;
            }
            let request = PromoteStewardRequest { request_id, authority };
            decision::show(session, &act, call!(session, MemberServiceClient, promote_steward, request)?.decision)
        }
        Verb::Demote { authority, yes } => {
            let act = format!("demote {authority}");
            let consequences = [
                "it votes no more; it stays a member",
                "fewer stewards means fewer may fail: 3 bear one failure, 5 two",
            ];
            confirm::severe(session, &act, &consequences, &authority, yes)?;
            let request = DemoteStewardRequest { request_id, authority };
            decision::show(session, &act, call!(session, MemberServiceClient, demote_steward, request)?.decision)
        }
        Verb::Replace { authority, yes } => {
            let act = format!("replace the node of {authority}");
            let consequences =
                ["its lost node can never vote again", "its new node votes under a new number, once a majority agrees"];
            confirm::severe(session, &act, &consequences, &authority, yes)?;
            let request = ReplaceStewardRequest { request_id, authority };
            decision::show(session, &act, call!(session, MemberServiceClient, replace_steward, request)?.decision)
        }
        Verb::Refound { from_beginning, yes } => refound(session, request_id, from_beginning, yes).await,
        Verb::Retime { yes } => retime(session, request_id, yes).await,
    }
}

/// What this steward would come back from.
fn sealed(status: &GetStatusResponse, now: i64) -> String {
    match status.last_sealed_backup_ms {
        0 => "here: none yet: first havenlink backup DIRECTORY".to_owned(),
        at => format!("here: sealed {} ago; havenctl doctor says whether it was ever opened", when::span(now - at)),
    }
}

/// What it would be is shown before anything is signed; nothing else than that is signed then.
async fn refound(session: &Session, request_id: String, from_beginning: bool, yes: bool) -> Result<(), Failure> {
    let request = RefoundRequest { request_id: request_id.clone(), plan: true, from_beginning, ..Default::default() };
    let plan = call!(session, MemberServiceClient, refound, request)?;
    let lines = plan::refounding(&plan, from_beginning);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    confirm::severe(session, "begin the register's order anew", &lines, "refound", yes)?;
    let request =
        RefoundRequest { request_id, plan: false, founding: plan.founding, base_head: plan.base_head, from_beginning };
    let done = call!(session, MemberServiceClient, refound, request)?;
    let begun = if done.missing.is_empty() { "begun: the stewards decide again" } else { "signed here" };
    let missing = done.missing.clone();
    session.show(&View::sheet(
        to_json(&done),
        vec![
            ("founding", Cell::number(done.founding)),
            ("stewards", Cell::list(done.stewards.iter().cloned())),
            ("state", Cell::text(begun)),
            ("still to sign", Cell::list(done.missing.iter().cloned())),
        ],
    ))?;
    for authority in missing {
        session.say(&format!("next: at {authority}: havenctl steward refound"));
    }
    Ok(())
}

/// By the clock of the node that is asked: what it would do is shown, and that is asked for.
async fn retime(session: &Session, request_id: String, yes: bool) -> Result<(), Failure> {
    let request = RetimeRequest { request_id: request_id.clone(), plan: true, ..Default::default() };
    let plan = call!(session, MemberServiceClient, retime, request)?;
    let lines = plan::retiming(plan.entry_time_ms, plan.time_ms);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    confirm::severe(session, "retime", &lines, "retime", yes)?;
    let request = RetimeRequest { request_id, time_ms: plan.time_ms, plan: false };
    decision::show(session, "retime", call!(session, MemberServiceClient, retime, request)?.decision)
}

async fn list(session: &Session) -> Result<(), Failure> {
    let status = status::fetch(session).await?;
    let mut grid = Grid::new(&["steward", "leader", "change", "head", "heard_ms"]);
    for beat in &status.stewards {
        let heard = match beat.age_ms {
            ..0 => Cell::figure("never", ""),
            age => Cell::figure(format!("{} ago", when::span(age)), age),
        };
        grid.push([
            Cell::text(&beat.authority),
            Cell::flag(beat.leader, "leader"),
            Cell::number(beat.number),
            Cell::id(id::show(&beat.head)),
            heard,
        ]);
    }
    let whole = to_json(&status);
    session.show(&View::list(json!({ "stewards": whole["stewards"] }), &["stewards"], grid))?;
    for fork in &status.forks {
        session.say(&status::fork(fork, &status.authority));
    }
    Ok(())
}
