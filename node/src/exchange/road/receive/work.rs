//! What partners' batches have cost, until somebody takes it into account: whoever hangs up pays with the next call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::ids::AuthorityId;
use crate::exchange::road::Road;

/// What is known only afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Processor time of opening and verifying.
    pub worked: Duration,
    /// Bytes stored: envelopes, and what stands beside each item. One that was refused leaves a line in the ledger.
    pub stored: usize,
}

/// What an item leaves beside its envelope: rows, and a line of the ledger.
const BESIDE: usize = 512;

/// By the authority of the connection. Clones are one.
#[derive(Clone, Default)]
pub(in crate::exchange::road) struct Work(Arc<Mutex<HashMap<AuthorityId, Spent>>>);

impl Work {
    /// Does it on this thread, and counts the time that the processor spent on it, not the time that others took meanwhile.
    pub(super) fn measured<T>(&self, whose: &AuthorityId, work: impl FnOnce() -> T) -> T {
        let began = processor_time();
        let done = work();
        let took = processor_time().saturating_sub(began);
        self.add(whose, |spent| spent.worked += took);
        done
    }

    /// So many items were answered for good, and so many bytes of envelopes stored.
    pub(super) fn stored(&self, whose: &AuthorityId, items: usize, bytes: usize) {
        self.add(whose, |spent| spent.stored += items * BESIDE + bytes);
    }

    fn add(&self, whose: &AuthorityId, add: impl FnOnce(&mut Spent)) {
        add(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(whose.clone()).or_default());
    }
}

/// Of this thread.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

impl Road {
    /// What a partner's batches have cost since this was asked last.
    pub fn take_spent(&self, partner: &AuthorityId) -> Spent {
        self.work.0.lock().unwrap_or_else(PoisonError::into_inner).remove(partner).unwrap_or_default()
    }
}
