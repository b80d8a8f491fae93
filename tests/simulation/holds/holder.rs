//! A partner: what it wished for, what it was told, and what it counts on.

use std::time::Duration;

use havenlink_domain::holds::{HeldLease, HoldState, Lease};
use havenlink_domain::ids::HoldId;
use havenlink_domain::reason::Reason;

use super::{MINUTE, Word};

pub struct Want {
    id: HoldId,
    /// `None`: not answered yet.
    token: Option<u64>,
    /// In memory, and when it was asked for.
    lease: Option<(HeldLease, i64)>,
    refused: bool,
    /// It was given back or used, whether or not its owner has heard of it.
    over: bool,
    asked: i64,
}

pub struct Holder {
    number: usize,
    pub wanted: Vec<Want>,
}

fn monotonic(now: i64) -> Duration {
    Duration::from_millis(u64::try_from(now).unwrap_or(0))
}

impl Holder {
    pub fn new(number: usize) -> Self {
        Self { number, wanted: Vec::new() }
    }

    /// Wishes for another unit, under a name of its own.
    pub fn asks(&mut self, now: i64) -> HoldId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(self.wanted.len() as u64).to_be_bytes());
        id[8..].copy_from_slice(&(self.number as u64).to_be_bytes());
        self.wanted.push(Want { id: HoldId(id), token: None, lease: None, refused: false, over: false, asked: now });
        HoldId(id)
    }

    /// The oldest want that nobody answered, of the last 90 minutes.
    pub fn unanswered(&self, now: i64) -> Option<(usize, HoldId)> {
        let open = |want: &Want| want.token.is_none() && !want.refused && now - want.asked < 90 * MINUTE;
        self.wanted.iter().enumerate().find(|(_, want)| open(want)).map(|(about, want)| (about, want.id))
    }

    /// What it gives back or uses it counts on no more.
    pub fn says(&mut self, about: usize, word: Word) {
        if matches!(word, Word::Release(_) | Word::Arrive(_)) {
            (self.wanted[about].over, self.wanted[about].lease) = (true, None);
        }
    }

    /// Tokens that it was told, oldest first.
    pub fn known(&self) -> Vec<(usize, u64)> {
        self.wanted.iter().enumerate().filter_map(|(about, want)| Some((about, want.token?))).collect()
    }

    pub fn hears(&mut self, about: usize, word: Word, counted_from: i64, answer: Result<Lease, Reason>) {
        let want = &mut self.wanted[about];
        match answer {
            Ok(lease) => {
                want.token = Some(lease.token);
                let counts = lease.state == HoldState::Held && !want.over;
                want.lease = counts.then(|| (HeldLease::new(monotonic(counted_from), lease.left), counted_from));
            }
            Err(Reason::HoldFenced) => (want.lease, want.refused) = (None, true),
            Err(_) => want.refused |= matches!(word, Word::Take(_)),
        }
    }

    pub fn is_killed(&mut self) {
        self.wanted.iter_mut().for_each(|want| want.lease = None);
    }

    /// A token of such a slot that it counts on now, given to what it asked for after the owner's clock was last set forward.
    pub fn counting_on(&self, now: i64, forward: i64, slot: impl Fn(u64) -> bool) -> Option<u64> {
        self.wanted.iter().rev().find_map(|want| {
            let (token, (lease, since)) = (want.token?, want.lease?);
            (since > forward && lease.left(monotonic(now)).is_some() && slot(token)).then_some(token)
        })
    }
}
