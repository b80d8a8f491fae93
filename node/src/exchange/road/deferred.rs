//! Items that made room: the partner asked for them again for longer than a stream may be blocked, or they wait for something
//! that concerns them alone. Their numbers went out as SKIP(DEFERRED); they are queued again under new ones (9.3).
//!
//! A number is settled by the receipt, so an item is deferred only when the partner has signed that its number came as a skip;
//! an earlier attempt that arrived after all stands in that receipt as what it was. An item that has waited once does not block
//! its stream a second time: `waiting_since` stays.

use std::collections::BTreeMap;

use crate::domain::agreement::AgreementState;
use crate::domain::ids::AuthorityId;
use crate::domain::record::RecordKind;
use crate::domain::stream::StreamId;
use crate::domain::time::Millis;
use crate::exchange::context::{Error, Passed};
use crate::storage::ops::{QueueAgain, WriteOp};
use crate::storage::rows::DeferredItems;

use super::Road;

/// How long an item is left alone before it is queued again.
pub(super) const PAUSE: Millis = Millis::seconds(15);

/// How many records wait until their recipient names the kind, by both.
pub type NotNamed = BTreeMap<AuthorityId, BTreeMap<RecordKind, u64>>;

impl Road {
    /// Gives deferred items new numbers, once their pause is over.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(in crate::exchange) async fn queue_again_pass(&self) -> Result<Passed, Error> {
        let (now, mut passed) = (self.now(), Passed::default());
        let (agreements, view) = (self.context.agreements().load_full(), self.view());
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
            if waiting.kind.is_about_persons() && self.persons_wait(&waiting.recipient, &view) {
                continue;
            }
            if !self.takes(&waiting).await? {
                continue;
            }
            let id = StreamId { origin: waiting.origin, recipient: waiting.recipient, class: waiting.class };
            let (origin, recipient) = (id.origin.clone(), id.recipient.clone());
            let (agreement, kind) = (waiting.agreement, waiting.kind);
            let op = QueueAgain { origin, recipient, class: id.class, agreement, kind, deferred_by, now };
            match self.store().write(WriteOp::QueueAgain(op)).await {
                Ok(written) => {
                    passed.done += written.items();
                    self.context.wakeups().wake_stream(&id);
                }
                Err(error) => passed.postpone(error.reason()),
            }
        }
        Ok(passed)
    }

    /// What waits until its recipient names the kind, by recipient.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn not_named(&self) -> Result<NotNamed, Error> {
        let mut found = NotNamed::new();
        for waiting in self.store().deferred().await? {
            if !self.takes(&waiting).await? {
                *found.entry(waiting.recipient).or_default().entry(waiting.kind).or_default() += waiting.items;
            }
        }
        Ok(found)
    }

    /// Whether the recipient takes what waits for it, as far as it ever told.
    async fn takes(&self, waiting: &DeferredItems) -> Result<bool, Error> {
        let told = self.told_by(&waiting.origin, &waiting.recipient).await?;
        Ok(told.is_none_or(|told| told.kinds.contains(&waiting.kind)))
    }
}
