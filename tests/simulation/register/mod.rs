//! A register that is ordered by a clock that may be wrong, whose order dies and begins anew, and mirrors of it that crash, lag, are
//! lied to and gossip.
//!
//! What lives here: the order (`order`), foundings (`founding`), what a mirror takes of it and keeps over a crash (`mirror`), what is said (`steps`),
//! and the invariants at the place where each may fail. What does not: Raft, whose commit is one step here.

mod founding;
mod mirror;
mod order;
mod steps;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use havenlink_directory::overlay::Entry;
use havenlink_directory::samples;
use havenlink_domain::authority::PublicKey;
use havenlink_domain::ids::{AuthorityId, Digest, Hasher};
use havenlink_domain::register::Outcome;
use havenlink_domain::time::{Millis, UnixMs};
use havenlink_wire::keys::{self, Verify};

use crate::Broken;
use crate::chance::Chance;
use crate::trace::{Ran, Trace};
use founding::Foundings;
use mirror::Mirror;

const MIRRORS: usize = 3;

/// The plain check, which remembers what it has checked.
#[derive(Default)]
struct Remembering(RefCell<HashMap<Digest, bool>>);

impl Verify for Remembering {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let mut hasher = Hasher::new();
        hasher.update(&key.0);
        hasher.update(signature);
        hasher.update(message);
        let asked = hasher.finish();
        *self.0.borrow_mut().entry(asked).or_insert_with(|| keys::verify(key, message, signature))
    }
}

/// A numbered change.
#[derive(Clone)]
struct Link {
    number: u64,
    time: UnixMs,
    signed: Bytes,
    outcome: Outcome,
    head: Digest,
}

struct Register {
    chance: Chance,
    trace: Trace,
    broken: Option<Broken>,
    verify: Remembering,
    /// The register as it is ordered, and everybody's keys.
    book: samples::World,
    log: Vec<Link>,
    mirrors: Vec<Mirror>,
    /// True time, and how far the clock of whoever orders is off.
    now: UnixMs,
    off: i64,
    /// When a steward last suspended somebody alone.
    emergencies: BTreeMap<(AuthorityId, AuthorityId), UnixMs>,
    /// What was gossiped, to be given again.
    gossiped: Vec<Vec<Bytes>>,
    foundings: Foundings,
}

/// Runs one world.
pub fn run(seed: u64, broken: Option<Broken>) -> Ran {
    let mut register = Register::new(seed, broken);
    for _ in 0..40 + register.chance.below(40) {
        if register.trace.is_faulty() {
            break;
        }
        register.now = register.now + Millis(1 + register.chance.span(60_000));
        register.step();
    }
    register.come_to_rest();
    register.trace.into_ran(seed)
}

impl Register {
    fn new(seed: u64, broken: Option<Broken>) -> Self {
        let book = samples::World::seeded(seed % 64).with_three();
        let now = book.now;
        let begin = samples::World::seeded(seed % 64);
        let mirrors = (0..MIRRORS).map(|n| Mirror::new(n, begin.state.clone())).collect();
        let mut register = Self {
            chance: Chance::new(seed),
            trace: Trace::default(),
            broken,
            verify: Remembering::default(),
            book,
            log: Vec::new(),
            mirrors,
            now,
            off: 0,
            emergencies: BTreeMap::new(),
            gossiped: Vec::new(),
            foundings: Foundings::default(),
        };
        // What the three founded with, as mirrors are sent it.
        let mut state = begin.state;
        for (time, signed) in register.book.log.clone() {
            let applied = state.apply(time, &signed, &register.verify);
            if let Some(number) = applied.taken() {
                let outcome = applied.outcome;
                register.log.push(Link { number, time, signed, outcome, head: state.head() });
            }
        }
        register
    }

    fn is(&self, bug: Broken) -> bool {
        self.broken == Some(bug)
    }

    /// All clocks are right, everybody follows and gossips: everybody has the same register and denies the same.
    fn come_to_rest(&mut self) {
        self.off = 0;
        for n in 0..MIRRORS {
            self.mirrors[n].off = 0;
        }
        if self.book.state.entry_time() > self.now + Millis::minutes(1) {
            self.retime();
        }
        self.proposes_again(usize::MAX);
        self.check_above();
        for _ in 0..3 {
            for n in 0..MIRRORS {
                self.meets(n);
                self.beats_reach(n);
                self.follows(n, 0, usize::MAX);
                for to in 0..MIRRORS {
                    self.gossip(n, to);
                }
            }
        }
        let now = self.now;
        for n in 0..MIRRORS {
            let (mirror, book) = (&self.mirrors[n], &self.book.state);
            let place = (mirror.state.number(), mirror.state.head());
            if place != (book.number(), book.head()) {
                self.trace
                    .fault("EQUAL", format_args!("mirror {n} ends at {}, the register at {}", place.0, book.number()));
            }
            // Whoever has not heard of it takes no order of a steward that a founding left out.
            let orders = |mirror: &Mirror| -> BTreeSet<_> {
                let counts =
                    |entry: &&Arc<Entry>| entry.stewards.iter().all(|steward| self.book.state.is_steward(steward));
                mirror.overlay.to_gossip(now).filter(counts).map(|entry| entry.id).collect()
            };
            if orders(&self.mirrors[n]) != orders(&self.mirrors[0]) {
                self.trace.fault("DENIED", format_args!("mirror {n} and mirror 0 end with other orders"));
            }
        }
    }
}
