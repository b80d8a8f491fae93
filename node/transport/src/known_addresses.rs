//! Addresses that belong to members, as far as this node has seen: from which one came, or at which the register lists one.
//!
//! Whoever comes from one of them is not kept out by strangers who hold every place for handshakes (`pending`). What the register
//! lists is known as soon as it is looked up for a connection to there, so that a node that was started anew under a flood
//! lets its partners in. To be known opens nothing else: each address keeps its own bound.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pending::grouped;

/// More addresses from which members came, or endpoints that were looked up, are not remembered; far more than any node has
/// partners.
const MOST: usize = 16_384;

/// The addresses of one node's partners. Clones are one.
#[derive(Clone, Default)]
pub(super) struct KnownAddresses(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    came: HashSet<IpAddr>,
    /// "host:port" -> what it was found to be the last time.
    listed: HashMap<String, Vec<IpAddr>>,
    /// Endpoints that were found to be at an address.
    at: HashMap<IpAddr, usize>,
}

impl KnownAddresses {
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let (known, address) = (self.lock(), grouped(address));
        known.came.contains(&address) || known.at.contains_key(&address)
    }

    /// A member came from there.
    pub(super) fn came(&self, address: IpAddr) {
        let mut known = self.lock();
        if known.came.len() < MOST {
            known.came.insert(grouped(address));
        }
    }

    /// The endpoint of a member was looked up; what it was before counts no more.
    pub(super) fn listed(&self, endpoint: &str, addresses: impl Iterator<Item = IpAddr>) {
        let mut known = self.lock();
        if known.listed.len() >= MOST && !known.listed.contains_key(endpoint) {
            return;
        }
        let addresses: Vec<IpAddr> = addresses.map(grouped).collect();
        for address in &addresses {
            *known.at.entry(*address).or_default() += 1;
        }
        for address in known.listed.insert(endpoint.to_owned(), addresses).unwrap_or_default() {
            let left = known.at.get(&address).map_or(0, |endpoints| endpoints.saturating_sub(1));
            match left {
                0 => known.at.remove(&address),
                left => known.at.insert(address, left),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_known_while_some_endpoint_is_found_there() {
        let known = KnownAddresses::default();
        known.listed("a.example:8642", [ip("192.0.2.1"), ip("2001:db8::1")].into_iter());
        known.listed("b.example:8642", [ip("192.0.2.1")].into_iter());
        assert!(known.contains(ip("192.0.2.1")) && known.contains(ip("2001:db8::ffff")), "one /64 is one address");
        assert!(known.contains(ip("::ffff:192.0.2.1")), "the same address, mapped");
        known.listed("a.example:8642", [ip("192.0.2.7")].into_iter());
        assert!(known.contains(ip("192.0.2.1")), "the other one is there still");
        assert!(known.contains(ip("192.0.2.7")) && !known.contains(ip("2001:db8::1")));
        known.listed("b.example:8642", [ip("192.0.2.2")].into_iter());
        assert!(!known.contains(ip("192.0.2.1")));
        known.came(ip("198.51.100.1"));
        assert!(known.contains(ip("198.51.100.1")) && !known.contains(ip("198.51.100.2")));
        assert!(known.lock().at.len() == 2 && known.lock().listed.len() == 2);
    }
}
