//! Queueing again, after one side of a stream lost its place, waits its turn (9.10).
//!
//! Invariants: a partner's word costs one row at once; the work behind it begins at most once in five minutes per partner, goes
//! in pieces between which others write, control before content; what is new does not wait for what is queued again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::ids::AuthorityId;
use crate::domain::record::StreamClass;
use crate::domain::stream::StreamId;
use crate::exchange::context::{Error, Passed};
use crate::pass::PassKind;
use crate::storage::ops::{NumberAgain, Requeue, WriteOp};

use super::Road;

/// Between two beginnings for one partner.
const PAUSE: Duration = Duration::from_secs(300);

struct Turn {
    /// When the work may begin, or began, by the monotonic clock.
    due: Duration,
    /// So many more beginnings are free: a greeting can show a new incarnation and, after it, that both classes lost their place.
    spare: u8,
}

const SPARE: u8 = 2;

/// Our authority and the partner.
type Pair = (AuthorityId, AuthorityId);

/// Whose turn it is.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Pair, Turn>>);

impl Turns {
    /// Whether the work for this partner may begin now; otherwise it gets a later turn.
    fn take(&self, pair: Pair, now: Duration) -> bool {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = Turn { due: now, spare: SPARE };
        let Some(turn) = turns.get_mut(&pair) else { return turns.insert(pair, free).is_none() };
        if turn.due > now {
            return false;
        }
        if now >= turn.due + PAUSE {
            *turn = free;
            return true;
        }
        match turn.spare.checked_sub(1) {
            Some(left) => turn.spare = left,
            None => *turn = Turn { due: turn.due + PAUSE, spare: SPARE },
        }
        turn.due <= now
    }

    /// Whether the work for this partner may go on.
    fn has_come(&self, pair: &Pair, now: Duration) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(pair).is_none_or(|turn| turn.due <= now)
    }
}

impl Road {
    /// Streams to a partner begin anew; what waits in them is queued again now, or when its turn comes.
    pub(super) async fn requeue(&self, op: Requeue) -> Result<(), Error> {
        let at_once = self.turns.take((op.origin.clone(), op.recipient.clone()), self.context.monotonic());
        self.store().write(WriteOp::Requeue(Requeue { at_once, ..op })).await?;
        if at_once {
            self.context.wakeups().wake(PassKind::Deferred);
        }
        Ok(())
    }

    /// One piece of each stream whose turn has come.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(in crate::exchange) async fn number_again_pass(&self) -> Result<Passed, Error> {
        let now = self.context.monotonic();
        let mut streams = self.store().streams_again().await?;
        streams.retain(|id| self.turns.has_come(&(id.origin.clone(), id.recipient.clone()), now));
        streams.sort_by_key(|id| id.class != StreamClass::Control);
        let mut passed = Passed::default();
        for id in streams {
            let StreamId { origin, recipient, class } = id.clone();
            let op = NumberAgain { origin, recipient, class, now: self.context.best_time() };
            match self.store().write(WriteOp::NumberAgain(op)).await {
                Ok(written) => {
                    passed.done += written.items();
                    passed.more = true;
                    self.context.wakeups().wake_stream(&id);
                }
                Err(error) => passed.postpone(error.reason()),
            }
        }
        Ok(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_partner_has_one_turn_in_five_minutes_and_another_partner_its_own() {
        let id = |id| AuthorityId::parse(id).unwrap();
        let (turns, a, b) = (Turns::default(), (id("fr-ours"), id("fr-a")), (id("fr-ours"), id("fr-b")));
        let take = |pair: &Pair, at: u32| turns.take(pair.clone(), at * SECOND);
        assert!((1..=3).all(|at| take(&a, at)), "a greeting, and the places that it shows to be lost");
        assert!(turns.has_come(&a, 3 * SECOND));
        for asked in 4..301 {
            assert!(!take(&a, asked) && !turns.has_come(&a, asked * SECOND), "{asked}");
        }
        assert!(take(&b, 4) && take(&(id("fr-other"), id("fr-a")), 4));
        assert!(turns.has_come(&a, 301 * SECOND), "what waited is done, asked again or not");
        assert!(take(&a, 302) && take(&a, 303), "the places that are lost after it");
        assert!(!take(&a, 304));
        assert!(take(&a, 902), "and later on all is as at first");
    }
}
