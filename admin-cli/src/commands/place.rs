//! `place`: the board, and units that are set aside, of partners' offers for people here, and of own offers for partners.

use std::process::ExitCode;

use clap::Subcommand;
use havenlink_proto::local::v1::hold_service_client::HoldServiceClient;
use havenlink_proto::local::v1::{
    ArriveHoldRequest, AskedHold, ExtendHoldRequest, GivenHold, ListHoldsRequest, ListHoldsResponse,
    ReleaseHoldRequest, TakeHoldRequest,
};
use havenlink_proto::record::v1::HoldState;

use super::board::{self, Find};
use crate::contract_enum::name;
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View};
use crate::session::{Session, call};
use crate::value::to_json;
use crate::when;

/// Places and services that fit, here and at partners, and units that are set aside for a while
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Looks for places and services: what is known here, and what each partner answers now
    Find(Box<Find>),
    /// Has one unit of an offer set aside; protected offers are called instead
    Hold {
        /// The offer, by id or its beginning
        offer: String,
        /// For how long, 1m to 90m
        #[arg(long = "for", value_parser = when::parse_span, value_name = "SPAN", default_value = "90m")]
        lease: i64,
    },
    /// Holds it for another 90 minutes; once
    Extend {
        /// The hold, by id or its beginning
        hold: String,
    },
    /// Gives it back: it is free for others at once
    Release {
        /// The hold, by id or its beginning
        hold: String,
    },
    /// Somebody has arrived: the unit is in use
    Arrive {
        /// The hold, by id or its beginning
        hold: String,
    },
    /// What is held at partners and for them, with how much longer, and what ended in the last 24 hours
    Holds,
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<ExitCode, Failure> {
    let hold = match verb {
        Verb::Find(wanted) => return board::find(session, &wanted).await,
        Verb::Holds => return holds(session).await.map(|()| ExitCode::SUCCESS),
        Verb::Hold { offer, lease } => {
            let offer_id = board::any(session, &offer).await?.into();
            let request = TakeHoldRequest { request_id: session.request_id(), offer_id, lease_ms: lease };
            call!(session, HoldServiceClient, take_hold, request)?.hold
        }
        Verb::Extend { hold } => {
            let request =
                ExtendHoldRequest { request_id: session.request_id(), hold_id: find(session, &hold).await?.into() };
            call!(session, HoldServiceClient, extend_hold, request)?.hold
        }
        Verb::Release { hold } => {
            let request =
                ReleaseHoldRequest { request_id: session.request_id(), hold_id: find(session, &hold).await?.into() };
            call!(session, HoldServiceClient, release_hold, request)?.hold
        }
        Verb::Arrive { hold } => {
            let request =
                ArriveHoldRequest { request_id: session.request_id(), hold_id: find(session, &hold).await?.into() };
            call!(session, HoldServiceClient, arrive_hold, request)?.hold
        }
    };
    let hold = hold.unwrap_or_default();
    session.show(&View::sheet(
        to_json(&hold),
        vec![
            ("hold", Cell::id(id::show(&hold.hold_id))),
            ("authority", Cell::text(&hold.authority)),
            ("offer", Cell::id(id::show(&hold.offer_id))),
            ("state", state(hold.state)),
            ("left_ms", left(hold.left_ms)),
            ("extended", Cell::text(hold.extended.to_string())),
        ],
    ))?;
    if hold.state == HoldState::Held as i32 {
        let hold = id::show(&hold.hold_id);
        session.next(&[format!("havenctl place arrive {hold}"), format!("havenctl place release {hold}")]);
    }
    Ok(ExitCode::SUCCESS)
}

async fn all(session: &Session) -> Result<ListHoldsResponse, Failure> {
    call!(session, HoldServiceClient, list_holds, ListHoldsRequest {})
}

/// The hold that is meant.
async fn find(session: &Session, typed: &str) -> Result<Vec<u8>, Failure> {
    let asked = all(session).await?.asked;
    let ids = asked.iter().map(|hold| (&hold.hold_id[..], hold.hold_id.to_vec()));
    id::resolve(typed, ids, "hold", "havenctl place holds")
}

async fn holds(session: &Session) -> Result<(), Failure> {
    let answer = all(session).await?;
    let mut grid = Grid::new(&["hold", "held", "authority", "offer", "state", "left_ms", "extended", "since"]);
    answer.asked.iter().for_each(|hold| grid.push(asked_row(hold)));
    answer.given.iter().for_each(|hold| grid.push(given_row(hold)));
    if grid.is_empty() {
        session.say("nothing is held");
    }
    session.show(&View::list(to_json(&answer), &["asked", "given"], grid))?;
    if let Some(unanswered) = answer.asked.iter().find(|hold| hold.state == HoldState::Unspecified as i32) {
        session.say("an owner has not answered: it may hold the unit all the same");
        session.next(&[format!("havenctl place hold {}", id::show(&unanswered.offer_id))]);
    }
    Ok(())
}

fn asked_row(hold: &AskedHold) -> [Cell; 8] {
    [
        Cell::id(id::show(&hold.hold_id)),
        Cell::text("at"),
        Cell::text(&hold.authority),
        Cell::id(id::show(&hold.offer_id)),
        state(hold.state),
        left(hold.left_ms),
        Cell::text(hold.extended.to_string()),
        Cell::time(hold.asked_ms),
    ]
}

fn given_row(hold: &GivenHold) -> [Cell; 8] {
    [
        Cell::default(),
        Cell::text("for"),
        Cell::text(&hold.holder),
        Cell::id(id::show(&hold.offer_id)),
        state(hold.state),
        left(hold.left_ms),
        Cell::text(hold.extended.to_string()),
        Cell::time(hold.taken_ms),
    ]
}

fn state(number: i32) -> Cell {
    match number {
        0 => Cell::both("not answered", "UNSPECIFIED"),
        number => Cell::state(name::<HoldState>(number)),
    }
}

/// The countdown: what may be relied upon.
fn left(ms: i64) -> Cell {
    match ms {
        0 => Cell::figure("", 0),
        ms if ms < 0 => Cell::figure("unknown", ms),
        ms => Cell::figure(when::span(ms), ms),
    }
}
