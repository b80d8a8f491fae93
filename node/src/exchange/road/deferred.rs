//! Items that made room: the partner asked for them again for longer than a stream may be blocked, or they wait for something
//! that concerns them alone. Their numbers went out as SKIP(DEFERRED); they are queued again under new ones (9.3).
//!
//! A number is settled by the receipt, so an item is deferred only when the partner has signed that its number came as a skip;
//! an earlier attempt that arrived after all stands in that receipt as what it was. An item that has waited once does not block
//! its stream a second time: `waiting_since` stays.

use crate::domain::agreement::AgreementState;
use crate::domain::stream::StreamId;
use crate::domain::time::Millis;
use crate::exchange::context::{Error, Passed};
use crate::storage::ops::{QUEUE_AGAIN, QueueAgain, WriteOp};

use super::Road;

/// How long an item is left alone before it is queued again.
pub(super) const PAUSE: Millis = Millis::seconds(15);

impl Road {
    /// Gives deferred items new numbers, once their pause is over.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(in crate::exchange) async fn queue_again_pass(&self) -> Result<Passed, Error> {
        let (now, mut passed) = (self.now(), Passed::default());
        let agreements = self.context.agreements().load_full();
        for waiting in self.store().deferred().await? {
            // A clock that was ahead when they were deferred keeps nothing back once it is right.
            let deferred_by = if waiting.oldest > now { waiting.oldest } else { now - PAUSE };
            if waiting.oldest > deferred_by {
                continue;
            }
            // What waits for a confirmation here goes when that is given, or the agreement is closed.
            let held = waiting.agreement.and_then(|id| agreements.get(&id).cloned());
            if held.is_some_and(|held| held.state(now) == AgreementState::Unconfirmed) {
                continue;
            }
            let id = StreamId { origin: waiting.origin, recipient: waiting.recipient, class: waiting.class };
            let (origin, recipient) = (id.origin.clone(), id.recipient.clone());
            let agreement = waiting.agreement;
            let op = QueueAgain { origin, recipient, class: id.class, agreement, deferred_by, now };
            match self.store().write(WriteOp::QueueAgain(op)).await {
                Ok(_) => {
                    passed.done += waiting.items.min(QUEUE_AGAIN as u64);
                    self.context.wakeups().wake_stream(&id);
                }
                Err(error) => passed.postpone(error.reason()),
            }
        }
        Ok(passed)
    }
}
