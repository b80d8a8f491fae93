//! What each peer may take in a while: calls, bytes, rows, open streams. One peer's flood is its own;
//! and what applicants may ask, by address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::pending::grouped;
use crate::clock::SharedClock;
use crate::domain::ids::AuthorityId;

/// How much a peer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Calls per second; twice as many at once.
    pub calls: u32,
    /// Bytes received per second; four times as many at once.
    pub bytes: u32,
    /// Rows stored for the peer, or read by it, per day; as many at once.
    pub rows: u32,
    /// Streams that it may have open.
    pub streams: u32,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { calls: 4_000, bytes: 32 << 20, rows: 5_000_000, streams: 32 }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub calls: u32,
    pub bytes: usize,
    pub rows: usize,
}

impl Cost {
    /// One call of this size.
    pub const fn call(bytes: usize) -> Self {
        Self { calls: 1, bytes, rows: 0 }
    }

    /// Rows alone, once it is known how many.
    pub const fn rows(rows: usize) -> Self {
        Self { calls: 0, bytes: 0, rows }
    }
}

/// The peer must wait at least this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter(pub Duration);

/// The budgets of all peers. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Budgets(Arc<Inner>);

struct Inner {
    calls: ArcSwap<Metered>,
    bytes: ArcSwap<Metered>,
    rows: ArcSwap<Metered>,
    clock: Monotonic,
    streams: u32,
    open: Mutex<HashMap<AuthorityId, u32>>,
}

/// How much of one thing there is in a period and at once, and what each peer took of it.
struct Metered {
    much: (Duration, u32, u32),
    taken: Limiter<AuthorityId>,
}

impl Metered {
    fn new(much: (Duration, u32, u32), clock: &Monotonic) -> Self {
        let (period, n, at_once) = much;
        let each = (period / n.max(1)).max(Duration::from_nanos(1));
        let burst = NonZeroU32::new(at_once).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(each).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(burst);
        Self { much, taken: RateLimiter::new(quota, DashMapStateStore::default(), clock.clone()) }
    }
}

/// Of calls, bytes and rows: how much in a period, and at once.
fn quantities(allowance: &Allowance) -> [(Duration, u32, u32); 3] {
    let second = Duration::from_secs(1);
    [
        (second, allowance.calls, allowance.calls.saturating_mul(2)),
        (second, allowance.bytes, allowance.bytes.saturating_mul(4)),
        (DAY, allowance.rows, allowance.rows),
    ]
}

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, Monotonic, NoOpMiddleware<Duration>>;

/// The node's clock, as governor wants it.
#[derive(Clone)]
struct Monotonic(SharedClock);

impl Clock for Monotonic {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

const DAY: Duration = Duration::from_secs(86_400);

impl Budgets {
    /// The same allowance for every peer.
    pub fn new(allowance: Allowance, clock: SharedClock) -> Self {
        let clock = Monotonic(clock);
        let [calls, bytes, rows] = quantities(&allowance).map(|much| ArcSwap::from_pointee(Metered::new(much, &clock)));
        Self(Arc::new(Inner { calls, bytes, rows, clock, streams: allowance.streams, open: Mutex::default() }))
    }

    /// Puts another allowance in force, but for the number of streams. What a peer took counts on where the number is the
    /// same, and anew where it is another one.
    pub fn change(&self, allowance: &Allowance) {
        let inner = &self.0;
        for (held, much) in [&inner.calls, &inner.bytes, &inner.rows].into_iter().zip(quantities(allowance)) {
            if held.load().much != much {
                held.store(Arc::new(Metered::new(much, &inner.clock)));
            }
        }
    }

    /// Takes the cost from the peer's budgets.
    ///
    /// # Errors
    /// How long the peer has to wait (`BUDGET_EXHAUSTED`). What fitted before the part that did not stays taken.
    pub fn check(&self, authority: &AuthorityId, cost: Cost) -> Result<(), RetryAfter> {
        self.take(&self.0.calls, authority, cost.calls)?;
        self.take(&self.0.bytes, authority, u32::try_from(cost.bytes).unwrap_or(u32::MAX))?;
        self.take(&self.0.rows, authority, u32::try_from(cost.rows).unwrap_or(u32::MAX))
    }

    fn take(&self, metered: &ArcSwap<Metered>, authority: &AuthorityId, n: u32) -> Result<(), RetryAfter> {
        let Some(n) = NonZeroU32::new(n) else { return Ok(()) };
        match metered.load().taken.check_key_n(authority, n) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_yet)) => Err(RetryAfter(not_yet.wait_time_from(self.0.clock.now()))),
            // More than may ever be taken at once: waiting does not help, but the answer is the same.
            Err(_) => Err(RetryAfter(DAY)),
        }
    }

    /// Room for one open stream; given back when the value is dropped.
    ///
    /// # Errors
    /// When the peer has as many open as it may.
    pub fn stream(&self, authority: &AuthorityId) -> Result<StreamPlace, RetryAfter> {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(authority.clone()).or_default();
        if *count >= self.0.streams {
            return Err(RetryAfter(Duration::from_secs(1)));
        }
        *count += 1;
        Ok(StreamPlace { authority: authority.clone(), budgets: self.clone() })
    }
}

/// What applicants may ask, by address: they are nobody's peers yet. One customer's IPv6 /64 is one address.
#[derive(Clone)]
pub struct Strangers(Arc<Limiter<IpAddr>>);

/// Calls of one address in a second, and at once. An applicant makes four in all, and a long poll every 30 s.
const STRANGERS_CALLS: NonZeroU32 = NonZeroU32::new(5).expect("not zero");
const STRANGERS_AT_ONCE: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
/// Addresses that are remembered before those that asked for nothing lately are dropped.
const STRANGERS_REMEMBERED: usize = 1_024;

impl Strangers {
    pub fn new(clock: SharedClock) -> Self {
        let quota = Quota::per_second(STRANGERS_CALLS).allow_burst(STRANGERS_AT_ONCE);
        Self(Arc::new(RateLimiter::new(quota, DashMapStateStore::default(), Monotonic(clock))))
    }

    /// Takes one call.
    ///
    /// # Errors
    /// How long whoever calls from there has to wait (`BUDGET_EXHAUSTED`).
    pub fn call(&self, address: IpAddr) -> Result<(), RetryAfter> {
        if self.0.len() > STRANGERS_REMEMBERED {
            self.0.retain_recent();
        }
        let taken = self.0.check_key(&grouped(address));
        taken.map_err(|not_yet| RetryAfter(not_yet.wait_time_from(self.0.clock().now())))
    }
}

/// One open stream of a peer.
pub struct StreamPlace {
    authority: AuthorityId,
    budgets: Budgets,
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut open = self.budgets.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.authority) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.authority);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MovedClock;
    use crate::domain::time::Millis;

    #[test]
    fn one_peers_budget_is_its_own_and_fills_again() {
        let clock = MovedClock::new();
        let allowance = Allowance { calls: 2, bytes: 1_000, rows: 10, streams: 1 };
        let budgets = Budgets::new(allowance, clock.clone());
        let (kehl, esch) = (AuthorityId::parse("de-kehl").unwrap(), AuthorityId::parse("lu-esch").unwrap());
        for _ in 0..4 {
            budgets.check(&kehl, Cost::call(10)).unwrap();
        }
        let RetryAfter(wait) = budgets.check(&kehl, Cost::call(10)).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(500), "{wait:?}");
        budgets.check(&esch, Cost::call(10)).unwrap();
        clock.advance(Millis::seconds(1));
        budgets.check(&kehl, Cost::call(10)).unwrap();

        budgets.check(&esch, Cost::rows(10)).unwrap();
        let RetryAfter(wait) = budgets.check(&esch, Cost::rows(1)).unwrap_err();
        assert!(wait > Duration::from_secs(3_600), "{wait:?}");
        assert_eq!(budgets.check(&esch, Cost { bytes: 4_001, ..Cost::default() }), Err(RetryAfter(DAY)));
    }

    #[test]
    fn an_address_has_a_budget_and_a_whole_network_is_one_address() {
        let clock = MovedClock::new();
        let strangers = Strangers::new(clock.clone());
        let from = |address: &str| strangers.call(address.parse().unwrap());
        for n in 0..20 {
            from(if n % 2 == 0 { "2001:db8::1" } else { "2001:db8::ffff:2" }).unwrap();
        }
        let RetryAfter(wait) = from("2001:db8::3").unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(200), "{wait:?}");
        from("2001:db8:0:1::1").unwrap();
        clock.advance(Millis::seconds(1));
        from("2001:db8::3").unwrap();
    }

    #[test]
    fn a_stream_gives_its_place_back() {
        let clock = MovedClock::new();
        let budgets = Budgets::new(Allowance { streams: 1, ..Allowance::default() }, clock);
        let kehl = AuthorityId::parse("de-kehl").unwrap();
        let place = budgets.stream(&kehl).unwrap();
        assert!(budgets.stream(&kehl).is_err());
        drop(place);
        assert!(budgets.stream(&kehl).is_ok());
    }
}
