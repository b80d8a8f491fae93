//! What a change of standing does to what waits.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::exchange::context::{Error, Passed};
use crate::storage::ops::{Holding, SetHeld, WriteOp};

use super::Upkeep;

impl Upkeep {
    /// Brings what waits into line with the register: held for suspended recipients, released for restored ones,
    /// closed for removed ones; and what waited because an authority of this node was suspended itself goes on. A recipient
    /// whose streams the store does not change keeps no other one back.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn hold_or_release_pass(&self) -> Result<Passed, Error> {
        let (view, now) = (self.view(), self.now());
        let (mut passed, mut released) = (Passed::default(), BTreeSet::new());
        for (recipient, count) in self.store().queue_counts().await? {
            let (holding, reason) = match view.status(&recipient, now) {
                MemberStatus::Suspended if count.queued > 0 => (Holding::Hold, Reason::MemberSuspended),
                MemberStatus::Removed if count.queued + count.held + count.deferred > 0 => {
                    (Holding::Close, Reason::MemberRemoved)
                }
                MemberStatus::Active if count.held > 0 => (Holding::Release, Reason::MemberSuspended),
                _ => continue,
            };
            if holding == Holding::Release {
                released.insert(recipient.clone());
            }
            match self.store().write(WriteOp::SetHeld(SetHeld { recipient, holding, reason, now })).await {
                Ok(_) => passed.done += 1,
                Err(error) => passed.postpone(error.reason()),
            }
        }
        passed.done += self.wake_what_may_go(&view, &released).await?;
        self.agreements.catch_up().await?;
        Ok(passed)
    }

    /// Wakes every stream that has something to send, and breaks the pause of those that rested because of a suspension: of
    /// their recipient, or of their own authority, for whose recipients nothing is held. All of them, each time: who was not
    /// woken once, for the store could not be read then, is woken by the next pass. Answers how many authorities are back.
    async fn wake_what_may_go(&self, view: &DirectoryView, released: &BTreeSet<AuthorityId>) -> Result<u64, Error> {
        let now = self.now();
        let mut out: BTreeSet<AuthorityId> = self.context.keys().authorities().into_iter().collect();
        out.retain(|own| view.status(own, now) != MemberStatus::Active);
        let back: BTreeSet<AuthorityId> = self.suspended_here().difference(&out).cloned().collect();
        for id in self.road.open_streams().await? {
            self.context.wakeups().wake_stream(&id);
            if back.contains(&id.origin) || released.contains(&id.recipient) {
                self.context.wakeups().retry_stream(&id);
            }
        }
        *self.suspended_here() = out;
        Ok(back.len() as u64)
    }

    fn suspended_here(&self) -> MutexGuard<'_, BTreeSet<AuthorityId>> {
        self.suspended_here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
