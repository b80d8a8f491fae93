//! How many handshakes are under way, per address and in all: a stranger's only foothold.
//!
//! The bound over all addresses does not hold for one that belongs to a member (`known_addresses`): a flood from many addresses
//! cannot keep the members out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::known_addresses::KnownAddresses;
use super::settings::Limits;

pub(super) struct Pending {
    per_address: usize,
    total: usize,
    known: KnownAddresses,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One handshake's place; gives it back when dropped.
pub(super) struct Slot {
    address: IpAddr,
    pending: Arc<Pending>,
}

impl Pending {
    pub(super) fn new(limits: &Limits, known: KnownAddresses) -> Arc<Self> {
        let counts = Mutex::default();
        Arc::new(Self { per_address: limits.pending_per_address, total: limits.pending_total, known, counts })
    }

    /// `None` when the address, or all together, have as many pending as they may.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Slot> {
        let address = grouped(address);
        let mut counts = self.counts();
        if counts.total >= self.total && !self.known.contains(address) {
            return None;
        }
        let here = counts.by_address.entry(address).or_default();
        if *here >= self.per_address {
            return None;
        }
        *here += 1;
        counts.total += 1;
        Some(Slot { address, pending: self.clone() })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// A member came from this address.
    pub(super) fn remember(&self) {
        self.pending.known.came(self.address);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.pending.counts();
        counts.total -= 1;
        if let Some(here) = counts.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

/// One customer holds a whole IPv6 /64, so it counts as one address.
pub(super) fn grouped(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_counted_by_address_and_in_all() {
        let limits = Limits { pending_per_address: 2, pending_total: 3, ..Limits::default() };
        let pending = Pending::new(&limits, KnownAddresses::default());
        let here: IpAddr = "2001:db8::1".parse().unwrap();
        let same_net: IpAddr = "2001:db8::ffff:1".parse().unwrap();
        let first = pending.enter(here);
        let second = pending.enter(same_net);
        assert!(first.is_some() && second.is_some());
        assert!(pending.enter(here).is_none(), "one /64 is one address");
        let other = pending.enter("192.0.2.1".parse().unwrap());
        assert!(other.is_some());
        assert!(pending.enter("192.0.2.2".parse().unwrap()).is_none(), "all together");
        other.as_ref().unwrap().remember();
        drop(other);
        let _third = pending.enter("192.0.2.3".parse().unwrap());
        let other = pending.enter("192.0.2.1".parse().unwrap());
        assert!(other.is_some(), "a member's address is not shut out by others");
        drop(first);
        assert!(pending.enter("::ffff:192.0.2.1".parse().unwrap()).is_some(), "the same address, mapped");
        drop((second, other));
        assert!(pending.counts().by_address.len() <= 1);
    }
}
