//! `events`: what happened to the node, as far as it concerns the role, and what happens from now on.
//!
//! Codes, times, ids and counts alone: the contract has no field for more. Followed, each event is a line of its own, for
//! people as the node's log has it; an end that the node makes is told and is a failure, Ctrl-C is none.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use havenlink_proto::admin::v1::event_service_client::EventServiceClient;
use havenlink_proto::admin::v1::{Event, EventKind, ListEventsRequest, WatchEventsRequest, WatchEventsResponse};
use havenlink_proto::record::v1::{ActorRole, RecordKind};
use serde_json::Value;
use tonic::{Request, Status, Streaming};

use super::{ALL, pages};
use crate::contract_enum::{self, Code};
use crate::failure::{Failure, Outcome};
use crate::global::Role;
use crate::id;
use crate::output::{Cell, Format, Grid, Screen, View, with_byte_order_mark};
use crate::reasons;
use crate::session::{LARGEST, Session};
use crate::value::to_json;
use crate::when;

#[derive(Debug, Args)]
pub struct Events {
    /// From this time on: 2026-12-31, 2026-12-31T18:00:00Z, or a span before now such as 2h
    #[arg(long, value_parser = when::parse_past, value_name = "DATE")]
    since: Option<i64>,
    /// Goes on with each as it happens, until Ctrl-C; without --since from now on
    #[arg(short, long)]
    follow: bool,
    /// Of this kind only; may be given several times
    #[arg(long, value_name = "KIND")]
    kind: Vec<Code<EventKind>>,
}

/// Asks for what is kept, or follows. A kind that is not for the first role that has a socket here is asked for under the others.
///
/// # Errors
/// When the node does not tell, or ends while it is followed.
pub async fn run(session: &Session, asked: Events) -> Result<ExitCode, Failure> {
    let refused = match told(session, &asked).await {
        Err(refused) if refused.code == "METHOD_NOT_OPEN" => refused,
        other => return other,
    };
    for session in Role::value_variants().iter().filter_map(|role| session.under(*role)) {
        match told(&session, &asked).await {
            Err(other) if PASSED_OVER.contains(&&*other.code) => {}
            other => return other,
        }
    }
    Err(refused)
}

/// Why a role is passed over where another may do.
const PASSED_OVER: [&str; 3] = ["METHOD_NOT_OPEN", reasons::NODE_NOT_REACHABLE.code, reasons::SOCKET_DENIED.code];

async fn told(session: &Session, asked: &Events) -> Result<ExitCode, Failure> {
    let (since_ms, kinds) = (asked.since.unwrap_or_default(), contract_enum::numbers(&asked.kind));
    if asked.follow {
        return follow(session, WatchEventsRequest { since_ms, kinds, ..Default::default() }).await;
    }
    let request = ListEventsRequest { since_ms, kinds, ..Default::default() };
    let answer = pages!(session, EventServiceClient, list_events, request, [events], &ALL)?;
    session.show(&View::list(to_json(&answer), &["events"], grid(&answer.events)))?;
    if answer.events.is_empty() {
        session.say("nothing of it concerns this role");
    }
    tell_gap(session, since_ms, answer.known_since_ms);
    Ok(ExitCode::SUCCESS)
}

/// Says where what is known begins, when more was asked for.
fn tell_gap(session: &Session, since_ms: i64, known_since_ms: i64) {
    if since_ms < known_since_ms && session.format == Format::Table {
        session.say(&format!(
            "known since {}; of before, journalctl -u havenlink has what the log had",
            when::exact(known_since_ms)
        ));
    }
}

async fn follow(session: &Session, request: WatchEventsRequest) -> Result<ExitCode, Failure> {
    let (since_ms, channel) = (request.since_ms, session.channel_for(&request).await?);
    let mut client = EventServiceClient::new(channel).max_decoding_message_size(LARGEST);
    // Without a deadline: it goes on for as long as somebody reads.
    let mut told = session.answer(client.watch_events(Request::new(request))).await?;
    let mut shown = Lines::new(session);
    let mut first = true;
    loop {
        let next = tokio::select! {
            next = next(&mut told) => next?,
            // The end that was asked for; each line is out already.
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        };
        if std::mem::take(&mut first) && since_ms != 0 {
            tell_gap(session, since_ms, next.known_since_ms);
        }
        if next.missed > 0 {
            session.left_out(&format!("{} events were missed: they came faster than they were read", next.missed));
        }
        if !shown.add(&next.events)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// What the node tells next; that it tells nothing more is a failure.
async fn next(told: &mut Streaming<WatchEventsResponse>) -> Result<WatchEventsResponse, Failure> {
    match told.message().await {
        Ok(Some(next)) => Ok(next),
        Ok(None) => Err(gone()),
        Err(status) if is_gone(&status) => Err(gone()),
        Err(status) => Err(Failure::from(status).leaving(Outcome::Known)),
    }
}

/// Whether the connection ended, and no word of the node's own came.
fn is_gone(status: &Status) -> bool {
    status.details().is_empty()
}

fn gone() -> Failure {
    let fix = "systemctl status havenlink; then havenctl events --since 1h, which begins where the node did";
    Failure::new(&reasons::NODE_NOT_REACHABLE, "the node has gone while it was followed", "it stopped, or failed", fix)
}

/// Events as they come, in the form that was asked for.
struct Lines<'a> {
    session: &'a Session,
    begun: bool,
}

impl<'a> Lines<'a> {
    fn new(session: &'a Session) -> Self {
        Self { session, begun: false }
    }

    /// Puts them out; `false` when nobody reads any more.
    fn add(&mut self, events: &[Event]) -> Result<bool, Failure> {
        let text = match self.session.format {
            Format::Table => events.iter().map(line).collect(),
            Format::Json | Format::Jsonl => events.iter().map(|event| format!("{}\n", to_json(event))).collect(),
            Format::Csv => self.csv(events),
        };
        self.begun = true;
        self.session.put(&text)
    }

    /// The header once.
    fn csv(&self, events: &[Event]) -> String {
        let whole = View::list(Value::Null, &[], grid(events)).render(Format::Csv, Screen::default());
        if !self.begun {
            return if self.session.bom { with_byte_order_mark(whole) } else { whole };
        }
        whole.split_once('\n').map(|(_, rows)| rows.to_owned()).unwrap_or_default()
    }
}

/// The names and values that an event has, in the order in which they are shown.
fn fields(event: &Event) -> [(&'static str, Cell); 9] {
    let code = |text: String| Cell::text(text);
    let figure = |n: u64| if n == 0 { Cell::text("") } else { Cell::number(n) };
    [
        ("authority", Cell::text(&event.authority)),
        ("role", code(contract_enum::name::<ActorRole>(event.actor_role))),
        ("reason", Cell::text(&event.reason)),
        ("records", code(contract_enum::name::<RecordKind>(event.record_kind))),
        ("count", figure(event.count)),
        ("number", figure(event.number)),
        ("agreement", Cell::id(id::show(&event.agreement_id))),
        ("until", instant(event.until_ms)),
        ("version", Cell::text(&event.version)),
    ]
}

/// To the millisecond: what happened first is what is looked for.
fn instant(ms: i64) -> Cell {
    Cell::figure(when::exact(ms), when::exact(ms))
}

fn grid(events: &[Event]) -> Grid {
    let mut grid = Grid::new(&[
        "time",
        "event",
        "authority",
        "role",
        "reason",
        "records",
        "count",
        "number",
        "agreement",
        "until",
        "version",
    ]);
    for event in events {
        let [authority, role, reason, records, count, number, agreement, until, version] =
            fields(event).map(|(_, cell)| cell);
        let kind = Cell::text(contract_enum::name::<EventKind>(event.kind));
        let time = instant(event.time_ms);
        grid.push([time, kind, authority, role, reason, records, count, number, agreement, until, version]);
    }
    grid
}

/// As the node's log has it.
fn line(event: &Event) -> String {
    let known = fields(event).into_iter().filter(|(_, cell)| !cell.is_empty());
    let known: String = known.map(|(name, cell)| format!(" {name}={}", cell.for_programs())).collect();
    format!("{} {}{known}\n", when::exact(event.time_ms), contract_enum::name::<EventKind>(event.kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_is_known_and_nothing_else() {
        let event = Event {
            time_ms: 1_700_000_000_551,
            kind: EventKind::PartnerLost.into(),
            authority: "de-kehl".into(),
            reason: "PEER_UNREACHABLE".into(),
            count: 2,
            ..Default::default()
        };
        let told = "2023-11-14T22:13:20.551Z PARTNER_LOST authority=de-kehl reason=PEER_UNREACHABLE count=2\n";
        assert_eq!(line(&event), told);
        let bare = Event { time_ms: 1, kind: EventKind::NodeReady.into(), ..Default::default() };
        assert_eq!(line(&bare), "1970-01-01T00:00:00.001Z NODE_READY\n");
    }

    #[test]
    fn an_event_has_no_field_that_somebody_could_write_a_text_into() {
        let event = contract_enum::pool().get_message_by_name("havenlink.admin.v1.Event").unwrap();
        let texts: Vec<String> = event
            .fields()
            .filter(|field| matches!(field.kind(), prost_reflect::Kind::String | prost_reflect::Kind::Bytes))
            .map(|field| field.name().to_owned())
            .collect();
        assert_eq!(texts, ["authority", "agreement_id", "reason", "version"], "ids of the register, and codes");
        assert!(event.fields().all(|field| !field.is_list() && !field.is_map()));
    }
}
