//! What can be counted only once it is done: processor time, bytes stored. Whoever spent more than it had waits until the rest
//! is made up for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::budget::RetryAfter;
use crate::clock::SharedClock;
use crate::domain::ids::AuthorityId;

/// How much of a thing each peer may spend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Units in a second.
    pub per_second: f64,
    /// How many seconds' worth may be spent at once.
    pub at_once: Duration,
}

/// What each peer has spent of one thing.
pub struct Debts {
    rate: ArcSwap<Rate>,
    clock: SharedClock,
    /// When what was spent is made up for, by the monotonic clock.
    until: Mutex<HashMap<AuthorityId, Duration>>,
}

/// Peers that are remembered before those without debts are dropped.
const REMEMBERED: usize = 1_024;

impl Debts {
    /// Nobody owes anything.
    pub fn new(rate: Rate, clock: SharedClock) -> Self {
        Self { rate: ArcSwap::from_pointee(rate), clock, until: Mutex::default() }
    }

    /// Another rate from now on. What was spent counts on where the rate is the same, and anew where it is another one.
    pub fn change(&self, rate: Rate) {
        if **self.rate.load() != rate {
            self.rate.store(rate.into());
            self.until.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Whether the peer may begin anything.
    ///
    /// # Errors
    /// How long it has to wait (`BUDGET_EXHAUSTED`).
    pub fn check(&self, peer: &AuthorityId) -> Result<(), RetryAfter> {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner).get(peer).copied().unwrap_or_default();
        let may = self.clock.monotonic() + self.rate.load().at_once;
        if until <= may { Ok(()) } else { Err(RetryAfter(until - may)) }
    }

    /// The peer has spent so many units.
    pub fn spend(&self, peer: &AuthorityId, units: f64) {
        let now = self.clock.monotonic();
        let cost = Duration::try_from_secs_f64(units / self.rate.load().per_second).unwrap_or(Duration::MAX);
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() > REMEMBERED {
            until.retain(|_, until| *until > now);
        }
        let until = until.entry(peer.clone()).or_default();
        *until = (*until).max(now).saturating_add(cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MovedClock;
    use crate::domain::time::Millis;

    #[test]
    fn whoever_overspends_waits_until_it_is_made_up_for_and_nobody_else_does() {
        let clock = MovedClock::new();
        clock.stop();
        let debts = Debts::new(Rate { per_second: 100.0, at_once: Duration::from_secs(2) }, clock.clone());
        let (kehl, esch) = (AuthorityId::parse("de-kehl").unwrap(), AuthorityId::parse("lu-esch").unwrap());
        debts.spend(&kehl, 200.0);
        debts.check(&kehl).unwrap();
        debts.spend(&kehl, 300.0);
        assert_eq!(debts.check(&kehl), Err(RetryAfter(Duration::from_secs(3))));
        debts.check(&esch).unwrap();
        clock.advance(Millis::seconds(2));
        assert_eq!(debts.check(&kehl), Err(RetryAfter(Duration::from_secs(1))));
        clock.advance(Millis::seconds(1));
        debts.check(&kehl).unwrap();
        debts.spend(&kehl, 100.0);
        debts.change(Rate { per_second: 100.0, at_once: Duration::from_secs(2) });
        assert!(debts.check(&kehl).is_err(), "the same rate");
        debts.change(Rate { per_second: 200.0, at_once: Duration::from_secs(2) });
        debts.check(&kehl).unwrap();
        debts.spend(&esch, f64::MAX);
        assert!(debts.check(&esch).is_err(), "no cost is too large to be counted");
    }
}
