//! The order of changes as the replicas tell it: followed from each of them, heads computed here by the rule of 9.4.
//!
//! The first replica that tells of a number fixes it; every other must come to the same head there. A head binds all
//! changes before it, so equal heads at one number are equal orders up to it.

use std::collections::{BTreeMap, HashMap};

use havenlink::domain::ids::{Digest, FederationId, Hasher};
use havenlink_proto::directory::v1::{Change, Outcome};
use havenlink_proto::record::v1::Signed;
use prost::Message;

/// One change in the common order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// SHA-256 of the signed payload: the statement's id.
    pub statement: Digest,
    pub accepted: bool,
    pub head: Digest,
}

/// How far one replica has told.
#[derive(Clone, Debug)]
struct Replica {
    number: u64,
    head: Digest,
    /// First and last number of each stretch that it told change by change.
    told: Vec<(u64, u64)>,
}

/// The common order, and what does not fit into it.
pub struct Ledger {
    entries: BTreeMap<u64, Entry>,
    accepted: HashMap<Digest, u64>,
    replicas: Vec<Replica>,
    faults: Vec<String>,
}

/// head_n = SHA-256(head_{n-1} ‖ u64be n ‖ u64be entry time in ms ‖ SHA-256(Signed bytes) ‖ u16be outcome).
fn head_after(head: &Digest, change: &Change) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(head.as_bytes());
    hasher.update(&change.number.to_be_bytes());
    hasher.update(&change.entry_time_ms.to_be_bytes());
    hasher.update(Digest::of(&change.signed).as_bytes());
    hasher.update(&u16::try_from(change.outcome).unwrap_or(u16::MAX).to_be_bytes());
    hasher.finish()
}

impl Ledger {
    /// Before the first change, with so many replicas.
    pub fn new(federation: FederationId, replicas: usize) -> Self {
        let start = Replica { number: 0, head: Digest(federation.0), told: Vec::new() };
        Self { entries: BTreeMap::new(), accepted: HashMap::new(), replicas: vec![start; replicas], faults: Vec::new() }
    }

    /// Up to where a replica has told, and the head there.
    pub fn reached(&self, replica: usize) -> (u64, Digest) {
        (self.replicas[replica].number, self.replicas[replica].head)
    }

    /// The replica tells of its next change.
    pub fn take(&mut self, replica: usize, change: &Change) {
        let teller = &mut self.replicas[replica];
        if change.number != teller.number + 1 {
            self.faults.push(format!("replica {replica} told of change {} after {}", change.number, teller.number));
            return;
        }
        teller.head = head_after(&teller.head, change);
        teller.number = change.number;
        match teller.told.last_mut() {
            Some(stretch) if stretch.1 + 1 == change.number => stretch.1 = change.number,
            _ => teller.told.push((change.number, change.number)),
        }
        let head = teller.head;
        let payload = Signed::decode(change.signed.clone()).map(|signed| signed.payload).unwrap_or_default();
        let accepted = matches!(change.outcome(), Outcome::Accepted | Outcome::Pending);
        let entry = Entry { statement: Digest::of(&payload), accepted, head };
        match self.entries.get(&change.number) {
            Some(held) if *held == entry => return,
            Some(_) => return self.faults.push(format!("replica {replica} has another change {}", change.number)),
            None => drop(self.entries.insert(change.number, entry)),
        }
        if accepted && let Some(earlier) = self.accepted.insert(entry.statement, change.number) {
            self.faults.push(format!("one statement was accepted twice: changes {earlier} and {}", change.number));
        }
    }

    /// The replica took a snapshot: what it tells next comes after this number.
    pub fn jump(&mut self, replica: usize, number: u64, head: Digest) {
        let teller = &mut self.replicas[replica];
        (teller.number, teller.head) = (number, head);
    }

    /// The change of a number.
    pub fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.get(&number)
    }

    /// Whether a replica told of this very change, and did not only vouch for it with a later head.
    pub fn told(&self, replica: usize, number: u64) -> bool {
        self.replicas[replica].told.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }

    /// How many replicas there are.
    pub fn replicas(&self) -> usize {
        self.replicas.len()
    }

    /// What does not fit.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const FEDERATION: FederationId = FederationId([9; 32]);

    pub fn change(number: u64, payload: &'static str, outcome: Outcome) -> Change {
        let signed = Signed { payload: payload.into(), ..Default::default() };
        Change {
            number,
            entry_time_ms: 1_000 + i64::try_from(number).unwrap(),
            signed: signed.encode_to_vec().into(),
            outcome: outcome.into(),
        }
    }

    pub fn statement(payload: &str) -> Digest {
        Digest::of(payload.as_bytes())
    }

    /// Three replicas that tell the same: a, b and c, of which b was rejected.
    pub fn three() -> Ledger {
        let mut ledger = Ledger::new(FEDERATION, 3);
        for replica in 0..3 {
            ledger.take(replica, &change(1, "a", Outcome::Accepted));
            ledger.take(replica, &change(2, "b", Outcome::StaleVersion));
            ledger.take(replica, &change(3, "c", Outcome::Accepted));
        }
        ledger
    }

    #[test]
    fn replicas_that_tell_the_same_leave_no_fault() {
        let ledger = three();
        assert!(ledger.faults().is_empty(), "{:?}", ledger.faults());
        assert_eq!((ledger.reached(1).0, ledger.replicas()), (3, 3));
        assert_eq!(ledger.entry(3).unwrap().statement, statement("c"));
        assert_eq!(ledger.reached(0), ledger.reached(2));
    }

    #[test]
    fn another_order_another_time_and_a_second_acceptance_are_faults() {
        let mut ledger = Ledger::new(FEDERATION, 2);
        ledger.take(0, &change(1, "a", Outcome::Accepted));
        ledger.take(1, &change(1, "b", Outcome::Accepted));
        assert!(ledger.faults()[0].contains("another change 1"));

        let mut ledger = Ledger::new(FEDERATION, 2);
        ledger.take(0, &change(1, "a", Outcome::Accepted));
        ledger.take(1, &Change { entry_time_ms: 7, ..change(1, "a", Outcome::Accepted) });
        assert_eq!(ledger.faults().len(), 1, "a head covers the time");

        let mut ledger = Ledger::new(FEDERATION, 1);
        ledger.take(0, &change(1, "a", Outcome::Accepted));
        ledger.take(0, &change(2, "a", Outcome::Accepted));
        assert!(ledger.faults()[0].contains("twice"));
        ledger.take(0, &change(4, "b", Outcome::Accepted));
        assert!(ledger.faults()[1].contains("change 4 after 2"));
    }

    #[test]
    fn after_a_snapshot_a_replica_goes_on_from_its_head() {
        let mut ledger = three();
        ledger.jump(1, 3, ledger.entry(3).unwrap().head);
        ledger.take(0, &change(4, "d", Outcome::Accepted));
        ledger.take(1, &change(4, "d", Outcome::Accepted));
        assert!(ledger.faults().is_empty() && ledger.told(1, 4));
        let mut late = Ledger::new(FEDERATION, 2);
        late.take(0, &change(1, "a", Outcome::Accepted));
        late.jump(1, 1, Digest([1; 32]));
        late.take(0, &change(2, "b", Outcome::Accepted));
        late.take(1, &change(2, "b", Outcome::Accepted));
        assert!(late.faults()[0].contains("another change 2") && !late.told(1, 1));
    }
}
