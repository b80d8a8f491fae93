//! The journal: what happened to this node, one line for each event, at `info`, in the log and in OTLP logs; and kept for a
//! while for the roles that may follow it.
//!
//! What lives here: the closed list of events (`events`), who may follow each (`audience`), the last ones for each role
//! (`kept`), the fields that one may have, and counting of those that others can provoke. What does not: where they happen.
//! Each sort has one place that tells it (decisions/039, 069).
//! Invariant: a field is a number, an instant, an id of the register or a code of a closed list, so that no content can get
//! into the journal. Whatever happens again and again is told by its count: ten lines a minute for each event, authority
//! and reason, and one for what others can bring about by calling. What concerns records and persons is in no line.

mod audience;
mod events;
mod kept;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use audience::Audience;
pub use events::Event;
pub use kept::{Cursor, KEPT, Kept, Page, Told, Wanted, kept};

use crate::domain::audit::{ActorRole, AuditDraft};
use crate::domain::ids::{AgreementId, AuthorityId};
use crate::domain::reason::Reason;
use crate::domain::record::RecordKind;
use crate::domain::time::UnixMs;

/// What the lines of the journal have as their target.
pub const TARGET: &str = "havenlink::journal";

/// One event with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub event: Event,
    /// Whom it is about.
    pub authority: Option<AuthorityId>,
    /// Under which role somebody brought it about.
    pub role: Option<ActorRole>,
    pub agreement: Option<AgreementId>,
    pub reason: Option<Reason>,
    /// Of records that are counted, never of one.
    pub kind: Option<RecordKind>,
    /// A change number, a version, a founding: what the event says.
    pub number: Option<u64>,
    /// How often, since the last line of the same.
    pub count: Option<u64>,
    pub until: Option<UnixMs>,
    /// Of the program.
    pub version: Option<&'static str>,
}

impl Entry {
    /// An event of which nothing more is known; fill in the rest with struct update syntax.
    pub const fn of(event: Event) -> Self {
        Self {
            event,
            authority: None,
            role: None,
            agreement: None,
            reason: None,
            kind: None,
            number: None,
            count: None,
            until: None,
            version: None,
        }
    }

    /// An event about an authority.
    pub fn about(event: Event, authority: &AuthorityId) -> Self {
        Self { authority: Some(authority.clone()), ..Self::of(event) }
    }

    /// Tells of it. Of the same event about the same authority ten are told one by one; how many more there were follows when
    /// the minute is over.
    pub fn tell(self) {
        self.among(1, SINGLY);
    }

    /// Tells of something that others can bring about by calling again and again: the first at once, then once a minute with
    /// how often.
    pub fn count(self, times: u64) {
        Self { count: Some(times), ..self }.among(times, 1);
    }

    fn among(self, times: u64, most: u32) {
        if let Some(entry) = counted(self.event).add(self, times, most, Instant::now()) {
            entry.told();
        }
    }

    /// Into the log, if it is one for the log, and to whom it concerns.
    fn told(self) {
        if self.event.audience().logged {
            self.write();
        }
        kept().put(self);
    }

    fn write(&self) {
        // Records are counted by their kind for the roles alone.
        let Self { event, authority, role, agreement, reason, kind: _, number, count, until, version } = self;
        tracing::info!(
            target: TARGET,
            event = event.name(),
            authority = authority.as_ref().map(AuthorityId::as_str),
            role = role.map(ActorRole::name),
            agreement = agreement.map(|id| id.to_string()),
            reason = reason.map(Reason::code),
            number,
            count,
            until = until.map(|at| at.to_string()),
            version,
            message = event.says(),
        );
    }
}

/// Tells what came of the acts of a commit: those about no single record one by one, those about records by their number.
pub fn committed<'a>(drafts: impl IntoIterator<Item = &'a AuditDraft>) {
    let mut records: BTreeMap<Key, u64> = BTreeMap::new();
    for draft in drafts {
        let Some(event) = Event::of_act(draft.act) else { continue };
        let (authority, reason) = (draft.counterparty.clone(), draft.reason);
        if event == Event::RecordsRefused {
            *records.entry((event, authority, reason, None)).or_default() += 1;
        } else if event.audience().logged {
            let role = Some(draft.actor.role);
            Entry { authority, role, agreement: draft.agreement, reason, ..Entry::of(event) }.tell();
        } else {
            let kind = draft.record.map(|(kind, _)| kind);
            *records.entry((event, authority, reason, kind)).or_default() += 1;
        }
    }
    for ((event, authority, reason, kind), times) in records {
        // Others bring about refusals by calling; the rest is done here.
        let most = if event == Event::RecordsRefused { 1 } else { SINGLY };
        Entry { authority, reason, kind, count: Some(times), ..Entry::of(event) }.among(times, most);
    }
}

/// Tells the counts whose minute is over. Whoever keeps time for the node calls it every few seconds.
pub fn tell_counts() {
    let now = Instant::now();
    LOGGED.due(now).into_iter().chain(UNLOGGED.due(now)).for_each(Entry::told);
}

/// What is in no line is counted by itself: it takes no room from what is.
static LOGGED: Counted = Counted(Mutex::new(BTreeMap::new()));
static UNLOGGED: Counted = Counted(Mutex::new(BTreeMap::new()));

fn counted(event: Event) -> &'static Counted {
    if event.audience().logged { &LOGGED } else { &UNLOGGED }
}

/// Between two lines about the same.
const BETWEEN: Duration = Duration::from_secs(60);
/// Lines about the same within a minute, of what nobody can bring about by calling alone.
const SINGLY: u32 = 10;
/// Whom and what is told apart; further ones count without the authority.
const APART: usize = 256;

type Key = (Event, Option<AuthorityId>, Option<Reason>, Option<RecordKind>);

struct Met {
    told: Instant,
    /// When it was met last: what is told together is told in this order.
    last: Instant,
    since: u64,
    /// How many had a line of their own.
    lines: u32,
}

/// What was met since it was told last.
struct Counted(Mutex<BTreeMap<Key, Met>>);

impl Counted {
    /// Gives the line that is due at once, if one is: of the same, so many have lines of their own.
    fn add(&self, entry: Entry, times: u64, most: u32, now: Instant) -> Option<Entry> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (entry.event, entry.authority.clone(), entry.reason, entry.kind);
        if all.len() >= APART && !all.contains_key(&key) {
            key.1 = None;
        }
        let met = all.entry(key).or_insert(Met { told: now, last: now, since: 0, lines: 0 });
        met.last = now;
        if met.lines >= most {
            met.since = met.since.saturating_add(times);
            return None;
        }
        met.lines += 1;
        Some(entry)
    }

    fn due(&self, now: Instant) -> Vec<Entry> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |met: &Met| now.saturating_duration_since(met.told) >= BETWEEN;
        // What was not met for a minute after it was told is new when it comes back.
        all.retain(|_, met| met.since > 0 || !over(met));
        let mut due: Vec<(Instant, Entry)> = Vec::new();
        for (key, met) in all.iter_mut().filter(|(_, met)| met.since > 0 && over(met)) {
            met.told = now;
            let count = Some(std::mem::take(&mut met.since));
            let (event, authority, reason, kind) = key.clone();
            due.push((met.last, Entry { authority, reason, kind, count, ..Entry::of(event) }));
        }
        due.sort_by_key(|(last, _)| *last);
        due.into_iter().map(|(_, entry)| entry).collect()
    }
}

#[cfg(test)]
mod tests;
