//! Wake-ups: how a commit tells the worker that waits for it, without either knowing the other.
//!
//! A wake-up carries nothing but "look again": what there is to do stands in the store, so a lost one costs a timer's
//! period and never a record. At one record in flight no timer lies on the path: publish commits and wakes the
//! stream (or the dispatcher, which commits and wakes it), the receiver commits and wakes its readers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::domain::stream::StreamId;
use crate::pass::PassKind;

/// The two calls that the sender of one stream waits for.
#[derive(Default)]
pub struct StreamWakeup {
    items: Notify,
    retry: Notify,
}

impl StreamWakeup {
    /// Waits until something was queued, or until a retry was asked for.
    pub async fn items(&self) {
        tokio::select! {
            () = self.items.notified() => {}
            () = self.retry.notified() => {}
        }
    }

    /// Waits until a retry was asked for: new items do not break a pause that a dead partner earned.
    pub async fn retry(&self) {
        self.retry.notified().await;
    }
}

#[derive(Default)]
struct Streams {
    all: HashMap<StreamId, Arc<StreamWakeup>>,
    unclaimed: Vec<StreamId>,
}

struct Inner {
    passes: [Notify; PassKind::ALL.len()],
    opened: Notify,
    streams: Mutex<Streams>,
    inbox: watch::Sender<u64>,
}

/// All wake-ups of a node. Clones share them.
#[derive(Clone)]
pub struct Wakeups(Arc<Inner>);

impl Default for Wakeups {
    fn default() -> Self {
        Self(Arc::new(Inner {
            passes: Default::default(),
            opened: Notify::new(),
            streams: Mutex::default(),
            inbox: watch::Sender::new(0),
        }))
    }
}

impl Wakeups {
    /// A publication was recorded that the dispatcher has to make envelopes for.
    pub fn wake_dispatch(&self) {
        self.wake(PassKind::Dispatch);
    }

    /// There is something to do for the pass.
    pub fn wake(&self, pass: PassKind) {
        self.0.passes[pass as usize].notify_one();
    }

    /// Waits until there is something to do for the pass. One waiter each.
    pub async fn woken(&self, pass: PassKind) {
        self.0.passes[pass as usize].notified().await;
    }

    /// Waits until something was published. One waiter.
    pub async fn dispatch(&self) {
        self.woken(PassKind::Dispatch).await;
    }

    /// Standing or agreements changed: what is held, and what is owed, has to be looked at.
    pub fn wake_upkeep(&self) {
        PassKind::UPKEEP.into_iter().for_each(|pass| self.wake(pass));
    }

    /// Something was queued for the stream; a stream never seen is announced to the deliverer.
    pub fn wake_stream(&self, id: &StreamId) {
        self.entry(id).items.notify_one();
    }

    /// The partner gave a sign of life, or what it lacked was sent: try again now.
    pub fn retry_stream(&self, id: &StreamId) {
        let known = self.streams().all.get(id).cloned();
        if let Some(wakeup) = known {
            wakeup.retry.notify_one();
        }
    }

    /// The wake-up of one stream; made when it is asked for first.
    pub fn stream(&self, id: &StreamId) -> Arc<StreamWakeup> {
        self.entry(id)
    }

    /// Waits until streams were announced, and gives each of them once. One waiter.
    pub async fn opened(&self) -> Vec<StreamId> {
        loop {
            let unclaimed = std::mem::take(&mut self.streams().unclaimed);
            if !unclaimed.is_empty() {
                return unclaimed;
            }
            self.0.opened.notified().await;
        }
    }

    /// Records up to the position are in the inbox.
    pub fn advance_inbox(&self, position: u64) {
        self.0.inbox.send_if_modified(|now| {
            let higher = position > *now;
            *now = position.max(*now);
            higher
        });
    }

    /// The inbox's highest position, and its changes.
    pub fn inbox(&self) -> watch::Receiver<u64> {
        self.0.inbox.subscribe()
    }

    fn entry(&self, id: &StreamId) -> Arc<StreamWakeup> {
        let mut streams = self.streams();
        if let Some(wakeup) = streams.all.get(id) {
            return wakeup.clone();
        }
        let wakeup = Arc::new(StreamWakeup::default());
        streams.all.insert(id.clone(), wakeup.clone());
        streams.unclaimed.push(id.clone());
        self.0.opened.notify_one();
        wakeup
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.0.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::AuthorityId;
    use crate::domain::record::StreamClass;

    #[tokio::test]
    async fn a_stream_is_announced_once_and_a_wake_up_before_the_wait_is_not_lost() {
        let id = StreamId {
            origin: AuthorityId::parse("fr-strasbourg").unwrap(),
            recipient: AuthorityId::parse("de-kehl").unwrap(),
            class: StreamClass::Content,
        };
        let wakeups = Wakeups::default();
        wakeups.wake_stream(&id);
        wakeups.wake_stream(&id);
        assert_eq!(wakeups.opened().await, vec![id.clone()]);
        wakeups.stream(&id).items().await;
        wakeups.retry_stream(&id);
        wakeups.stream(&id).retry().await;
        wakeups.advance_inbox(3);
        wakeups.advance_inbox(2);
        assert_eq!(*wakeups.inbox().borrow(), 3);
    }
}
