//! Who may speak for whom on a connection, and what a change of standing does to what waits.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::storage::ops::{Holding, SetHeld, WriteOp};
use crate::storage::rows::OutStream;

use super::Exchange;
use super::error::Error;
use super::passes::Passed;

/// The caller of a connection speaks for itself and for those whose entry names it as their host.
pub(super) fn speaks_for(view: &DirectoryView, caller: &AuthorityId, origin: &AuthorityId) -> Result<(), Reason> {
    if view.host_of(origin).is_some_and(|host| host == caller) { Ok(()) } else { Err(Reason::WrongOrigin) }
}

impl Exchange {
    /// Brings what waits into line with the register: held for suspended recipients, released for restored ones,
    /// closed for removed ones; and what waited because an authority of this node was suspended itself goes on. A recipient
    /// whose streams the store does not change keeps no other one back.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn hold_or_release_pass(&self) -> Result<Passed, Error> {
        let (view, now) = (self.view(), self.now());
        let mut passed = Passed::done(self.own_standing().await?);
        for (recipient, count) in self.store().queue_counts().await? {
            let (holding, reason) = match view.status(&recipient, now) {
                MemberStatus::Suspended if count.queued > 0 => (Holding::Hold, Reason::MemberSuspended),
                MemberStatus::Removed if count.queued + count.held > 0 => (Holding::Close, Reason::MemberRemoved),
                MemberStatus::Active if count.held > 0 => (Holding::Release, Reason::MemberSuspended),
                _ => continue,
            };
            match self.set_held(SetHeld { recipient, holding, reason, now }).await {
                Ok(()) => passed.done += 1,
                Err(error) => passed.postpone(error.reason()),
            }
        }
        Ok(passed)
    }

    async fn set_held(&self, op: SetHeld) -> Result<(), Error> {
        let released = (op.holding == Holding::Release).then(|| op.recipient.clone());
        self.store().write(WriteOp::SetHeld(op)).await?;
        match released {
            Some(recipient) => self.wake_streams_to(&recipient).await,
            None => Ok(()),
        }
    }

    /// Streams of an authority of this node that is let in again are woken: nothing is held for their recipients, and they
    /// rest until somebody does.
    async fn own_standing(&self) -> Result<usize, Error> {
        let (view, now) = (self.view(), self.now());
        let out: BTreeSet<AuthorityId> =
            self.0.keys.authorities().into_iter().filter(|own| view.status(own, now) != MemberStatus::Active).collect();
        let before = {
            let mut held = self.0.suspended_here.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *held, out.clone())
        };
        let back: Vec<AuthorityId> = before.difference(&out).cloned().collect();
        for own in &back {
            self.wake_streams(|stream| stream.origin == *own).await?;
        }
        Ok(back.len())
    }

    /// Wakes every open stream to the recipient and breaks its pause.
    pub(super) async fn wake_streams_to(&self, recipient: &AuthorityId) -> Result<(), Error> {
        self.wake_streams(|stream| stream.recipient == *recipient).await
    }

    async fn wake_streams(&self, which: impl Fn(&OutStream) -> bool) -> Result<(), Error> {
        for stream in self.store().open_streams().await? {
            if which(&stream) {
                let id = crate::domain::stream::StreamId {
                    origin: stream.origin,
                    recipient: stream.recipient,
                    class: stream.class,
                };
                self.0.wakeups.wake_stream(&id);
                self.0.wakeups.retry_stream(&id);
            }
        }
        Ok(())
    }
}
