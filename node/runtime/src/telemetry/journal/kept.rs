//! The last events for each role, in memory.
//!
//! What lives here: a shelf for each role, bounded, with where each reader is by a cursor of its own. What does not: the table
//! of who may follow what. Invariants: a role's shelf has only what it may follow, so its numbers tell nothing of others'; no
//! reader makes anything grow: what it was too slow for falls off, and it is told how much that was (decisions/069).

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::sync::watch;

use super::audience::DOORS;
use super::{Entry, Event};
use crate::domain::audit::ActorRole;
use crate::domain::time::UnixMs;

/// So many events are kept for each role: days of a quiet node, and about a megabyte for all roles when each is full.
pub const KEPT: usize = 1_024;

/// An event, and when it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub at: UnixMs,
    pub entry: Entry,
}

/// How far a reader is: in which run of the node, and how many events its role had been told by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub run: UnixMs,
    pub number: u64,
}

/// What a reader is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub told: Vec<Arc<Told>>,
    /// Events behind its cursor that are not kept any more.
    pub missed: u64,
    /// From when on everything is kept.
    pub since: UnixMs,
    /// Behind all that was looked at.
    pub next: Cursor,
    /// Whether there is more behind it already.
    pub more: bool,
}

/// Which events a reader wants.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// None: all that the role may follow.
    pub events: Vec<Event>,
    pub since: Option<UnixMs>,
}

impl Wanted {
    fn has(&self, told: &Told) -> bool {
        (self.events.is_empty() || self.events.contains(&told.entry.event)) && self.since.is_none_or(|at| told.at >= at)
    }
}

/// Of one role.
struct Shelf {
    told: VecDeque<Arc<Told>>,
    /// How many fell off.
    gone: u64,
    since: UnixMs,
}

/// All shelves of this process.
pub struct Kept {
    run: UnixMs,
    shelves: Mutex<Vec<(ActorRole, Shelf)>>,
    news: watch::Sender<()>,
}

/// Those of this node.
pub fn kept() -> &'static Kept {
    static KEPT_HERE: LazyLock<Kept> = LazyLock::new(|| Kept::new(now()));
    &KEPT_HERE
}

/// As the lines of the log have it.
fn now() -> UnixMs {
    UnixMs(jiff::Timestamp::now().as_millisecond())
}

impl Kept {
    fn new(run: UnixMs) -> Self {
        let shelf = || Shelf { told: VecDeque::new(), gone: 0, since: run };
        let shelves = Mutex::new(DOORS.iter().map(|role| (*role, shelf())).collect());
        Self { run, shelves, news: watch::Sender::new(()) }
    }

    pub(super) fn put(&self, entry: Entry) {
        self.put_at(entry, now());
    }

    fn put_at(&self, entry: Entry, at: UnixMs) {
        let told = Arc::new(Told { at, entry });
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let (audience, kind) = (told.entry.event.audience(), told.entry.kind);
        for (_, shelf) in shelves.iter_mut().filter(|(role, _)| audience.has(*role, kind)) {
            if shelf.told.len() == KEPT
                && let Some(oldest) = shelf.told.pop_front()
            {
                shelf.gone += 1;
                // One that fell off in the same millisecond is not there any more.
                shelf.since = UnixMs(oldest.at.0.saturating_add(1));
            }
            shelf.told.push_back(told.clone());
        }
        drop(shelves);
        self.news.send_replace(());
    }

    /// Wakes when there may be something new for anybody.
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// What the role was told after this, oldest first, at most so many that it wants. Without a cursor, or with one of an
    /// earlier run: from the first that is kept. `None`: a cursor of this run that is ahead of it, or a role without a door.
    pub fn after(&self, role: ActorRole, cursor: Option<Cursor>, wanted: &Wanted, most: usize) -> Option<Page> {
        let shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, shelf) = shelves.iter().find(|(of, _)| *of == role)?;
        let end = shelf.gone + shelf.told.len() as u64;
        // Who begins misses nothing; who comes from an earlier run misses what this one has not any more.
        let from = match cursor {
            None => shelf.gone,
            Some(cursor) if cursor.run != self.run => 0,
            Some(cursor) => cursor.number,
        };
        if from > end {
            return None;
        }
        let missed = shelf.gone.saturating_sub(from);
        let first = from.max(shelf.gone);
        let (mut told, mut number) = (Vec::new(), first);
        for one in shelf.told.iter().skip(usize::try_from(first - shelf.gone).ok()?) {
            if told.len() == most {
                break;
            }
            number += 1;
            if wanted.has(one) {
                told.push(one.clone());
            }
        }
        let next = Cursor { run: self.run, number };
        Some(Page { told, missed, since: shelf.since, next, more: number < end })
    }
}

#[cfg(test)]
mod tests;
