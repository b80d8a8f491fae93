//! Events: what the journal keeps for the caller's role, as a list and as it happens.
//!
//! What lives here: cursors, and an event as the contract has it. What does not: who may follow what
//! (`telemetry/journal/audience.rs`), which is asked when an event is put away, not when it is read. Invariant: a reader holds
//! a cursor and nothing else, so that a slow one makes nothing grow.

use std::pin::Pin;

use futures_util::Stream;
use havenlink_proto::admin::v1 as admin;
use havenlink_proto::admin::v1::event_service_server::EventService;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use crate::domain::audit::ActorRole;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::services::errors::{self, RefusalDetails};
use crate::services::{layers, page};
use crate::telemetry::journal::{Cursor, Event, Page, Told, Wanted, kept};
use crate::wire::{self, fields};

/// The Event service.
pub struct Events;

/// Events in one message of a stream.
const BATCH: usize = 200;

/// A cursor belongs to its role: numbers are each role's own.
fn list(role: ActorRole) -> String {
    format!("events/{role}")
}

fn token(role: ActorRole, cursor: Cursor) -> String {
    page::token(&list(role), &[cursor.run.0.to_be_bytes(), cursor.number.to_be_bytes()].concat())
}

fn cursor(role: ActorRole, token: &str) -> Result<Option<Cursor>, Status> {
    let read = |bytes: Vec<u8>| {
        let (run, number) = bytes.split_first_chunk::<8>()?;
        Some(Cursor { run: UnixMs(i64::from_be_bytes(*run)), number: u64::from_be_bytes(number.try_into().ok()?) })
    };
    let invalid = || errors::refuse(Reason::PageTokenInvalid);
    page::cursor(&list(role), token)?.map(|bytes| read(bytes).ok_or_else(invalid)).transpose()
}

fn wanted(role: ActorRole, kinds: &[i32], since_ms: i64) -> Result<Wanted, Status> {
    let mut events = Vec::new();
    for (i, number) in kinds.iter().enumerate() {
        let field = format!("kinds[{i}]");
        let event = Event::from_number(*number).ok_or_else(|| errors::field(&wire::Error::unknown(&field, *number)))?;
        if !event.audience().is_open_to(role) {
            let about = format!("{field}: {} is for other roles", event.name());
            return Err(errors::status(Reason::MethodNotOpen, RefusalDetails { about, ..Default::default() }));
        }
        events.push(event);
    }
    Ok(Wanted { events, since: (since_ms != 0).then_some(UnixMs(since_ms)) })
}

fn after(role: ActorRole, from: Option<Cursor>, wanted: &Wanted, most: usize) -> Result<Page, Status> {
    kept().after(role, from, wanted, most).ok_or_else(|| errors::refuse(Reason::PageTokenInvalid))
}

fn shown(told: &Told) -> admin::Event {
    let entry = &told.entry;
    admin::Event {
        time_ms: told.at.0,
        kind: entry.event.number(),
        authority: entry.authority.as_ref().map(ToString::to_string).unwrap_or_default(),
        actor_role: entry.role.map_or(0, ActorRole::code),
        agreement_id: entry.agreement.map(|id| fields::bytes_of(id.as_bytes())).unwrap_or_default(),
        reason: entry.reason.map(|reason| reason.code().to_owned()).unwrap_or_default(),
        record_kind: entry.kind.map_or(0, |kind| kind.code()),
        number: entry.number.unwrap_or_default(),
        count: entry.count.unwrap_or_default(),
        until_ms: entry.until.map_or(0, |at| at.0),
        version: entry.version.unwrap_or_default().to_owned(),
    }
}

fn all_shown(page: &Page) -> Vec<admin::Event> {
    page.told.iter().map(|told| shown(told)).collect()
}

/// Where one reader is.
struct Reader {
    role: ActorRole,
    wanted: Wanted,
    at: Option<Cursor>,
    news: watch::Receiver<()>,
    /// Whether it was told from when on events are known.
    greeted: bool,
}

impl Reader {
    /// What it is told next; waits until there is something.
    async fn next(&mut self) -> Result<admin::WatchEventsResponse, Status> {
        loop {
            self.news.mark_unchanged();
            let page = after(self.role, self.at, &self.wanted, BATCH)?;
            self.at = Some(page.next);
            if !page.told.is_empty() || page.missed > 0 || !self.greeted {
                self.greeted = true;
                return Ok(admin::WatchEventsResponse {
                    events: all_shown(&page),
                    missed: page.missed,
                    known_since_ms: page.since.0,
                    cursor: token(self.role, page.next),
                });
            }
            if !page.more && self.news.changed().await.is_err() {
                return Err(errors::refuse(Reason::NodeStopping));
            }
        }
    }
}

#[tonic::async_trait]
impl EventService for Events {
    async fn list_events(
        &self,
        request: Request<admin::ListEventsRequest>,
    ) -> Result<Response<admin::ListEventsResponse>, Status> {
        let (role, _) = layers::local(&request)?;
        let asked = request.into_inner();
        let (size, from) = (page::size(asked.page_size)?, cursor(role, &asked.page_token)?);
        let page = after(role, from, &wanted(role, &asked.kinds, asked.since_ms)?, size)?;
        let cursor = token(role, page.next);
        Ok(Response::new(admin::ListEventsResponse {
            events: all_shown(&page),
            next_page_token: if page.more { cursor.clone() } else { String::new() },
            cursor,
            known_since_ms: page.since.0,
            missed: page.missed,
        }))
    }

    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<admin::WatchEventsResponse, Status>> + Send>>;

    async fn watch_events(
        &self,
        request: Request<admin::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let (role, _) = layers::local(&request)?;
        let asked = request.into_inner();
        let wanted = wanted(role, &asked.kinds, asked.since_ms)?;
        let at = match cursor(role, &asked.cursor)? {
            None if asked.since_ms == 0 => Some(after(role, None, &Wanted::default(), usize::MAX)?.next),
            from => from,
        };
        let reader = Reader { role, wanted, at, news: kept().news(), greeted: false };
        let told = futures_util::stream::unfold(Some(reader), |reader| async {
            let mut reader = reader?;
            let next = reader.next().await;
            // After an error there is nothing more.
            let left = next.is_ok().then_some(reader);
            Some((next, left))
        });
        Ok(Response::new(Box::pin(told)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_a_kind_of_the_contract_by_number_and_name() {
        for event in Event::ALL {
            let kind = admin::EventKind::try_from(event.number()).unwrap();
            assert_eq!(kind.as_str_name(), format!("EVENT_KIND_{}", event.name()));
            assert_eq!(Event::from_number(event.number()), Some(*event));
        }
        let kinds = (1..1_000).filter(|number| admin::EventKind::try_from(*number).is_ok()).count();
        assert_eq!(kinds, Event::ALL.len(), "the contract has no other");
    }

    #[test]
    fn a_cursor_goes_on_for_its_own_role_alone() {
        let at = Cursor { run: UnixMs(1_700_000_000_000), number: 7 };
        let given = token(ActorRole::Operator, at);
        assert_eq!(cursor(ActorRole::Operator, &given).unwrap(), Some(at));
        assert_eq!(cursor(ActorRole::Operator, "").unwrap(), None);
        let short = page::token(&list(ActorRole::Operator), &[0; 9]);
        for (role, token) in [(ActorRole::Coordinator, &given), (ActorRole::Operator, &short)] {
            let refused = cursor(role, token).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{role}");
        }
    }

    #[test]
    fn a_kind_that_is_for_other_roles_is_refused_and_not_merely_never_told() {
        let named = |role, event: Event| wanted(role, &[event.number()], 0);
        assert_eq!(named(ActorRole::DataProtection, Event::Erased).unwrap().events, [Event::Erased]);
        for role in [ActorRole::Operator, ActorRole::Publisher, ActorRole::Inspection] {
            assert_eq!(named(role, Event::Erased).unwrap_err().code(), tonic::Code::PermissionDenied, "{role}");
        }
        assert!(named(ActorRole::Inspection, Event::Published).is_ok(), "of the kind that it reads");
        assert!(named(ActorRole::Liaison, Event::Published).is_err(), "which reads none");
        assert!(wanted(ActorRole::Operator, &[0], 0).is_err() && wanted(ActorRole::Operator, &[9_999], 0).is_err());
    }
}
