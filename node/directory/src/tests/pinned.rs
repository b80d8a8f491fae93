//! Registers that were, statement by statement: the same bytes get the same outcomes, heads and snapshots for ever, and
//! what is asked for again is signed as the same bytes (decisions/001-frozen-formats.md).

use std::fmt::Write as _;
use std::path::Path;

use havenlink_proto::directory::v1 as proto;
use prost::Message;

use super::properties::{NAMES, Step};
use super::*;
use crate::snapshot::encode;
use crate::state::ProposalState;

/// Histories that are kept whole: the genesis statement, then every change, each with its length before it.
const WHOLE: [(u64, &[u8]); 3] = [
    (1, include_bytes!("pinned/1.changes")),
    (2, include_bytes!("pinned/2.changes")),
    (3, include_bytes!("pinned/3.changes")),
];
const WHOLE_STEPS: usize = 60;
/// Of more histories, and longer ones, the heads.
const HEADS: &str = include_str!("pinned/heads.txt");
const HISTORIES: u64 = 24;
const STEPS: usize = 160;
/// Kinds of step that `World::random` had when these histories were written down.
const KINDS: u64 = 26;

/// SplitMix64: the same numbers in every run, whatever becomes of any library.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn byte(&mut self, end: u64) -> u8 {
        u8::try_from(self.below(end)).unwrap()
    }

    fn step(&mut self) -> Step {
        let names = NAMES.len() as u64;
        let (what, by, about) = (self.byte(KINDS), self.byte(names), self.byte(names));
        (what, by, about, u16::try_from(self.below(1 << 16)).unwrap(), self.byte(256))
    }
}

/// The history that follows from a number.
fn played(seed: u64, steps: usize) -> World {
    let (mut world, mut numbers) = (World::seeded(seed).with_three(), Numbers(seed));
    for _ in 0..steps {
        let signed = world.random(numbers.step());
        world.apply(&signed);
    }
    world
}

/// All that was applied to it, with what came of each, from the genesis statement on.
fn changes(world: &World) -> (Vec<proto::Change>, RegisterState) {
    let genesis = world.state.genesis_signed().clone();
    let mut state = RegisterState::genesis(&genesis, &Plain).unwrap();
    let first = proto::Change { number: 0, entry_time_ms: 0, signed: genesis, outcome: 1 };
    let mut changes = vec![first];
    for (at, signed) in &world.log {
        let applied = state.apply(*at, signed, &Plain);
        // 0: it took no number.
        let number = applied.taken().unwrap_or(0);
        let (entry_time_ms, outcome) = (at.0, applied.outcome.code());
        changes.push(proto::Change { number, entry_time_ms, signed: signed.clone(), outcome });
    }
    (changes, state)
}

fn encoded(changes: &[proto::Change]) -> Vec<u8> {
    changes.iter().flat_map(Message::encode_length_delimited_to_vec).collect()
}

/// Position and snapshot of a state, on one line.
fn line(of: &str, state: &RegisterState) -> String {
    let mark = encode(state).mark;
    format!("{of} {} {} {}", mark.number, mark.head, mark.digest)
}

/// Every history's position after each quarter of it.
fn heads() -> String {
    let mut lines = String::new();
    for seed in 1..=HISTORIES {
        for quarter in 1..=4 {
            let world = played(seed, STEPS / 4 * quarter);
            writeln!(lines, "{}", line(&format!("{seed}/{quarter}"), &world.state)).unwrap();
        }
    }
    for (seed, _) in WHOLE {
        writeln!(lines, "{}", line(&format!("whole {seed}"), &played(seed, WHOLE_STEPS).state)).unwrap();
    }
    lines
}

#[test]
fn kept_statements_get_the_outcomes_heads_and_snapshots_that_they_got() {
    for (seed, kept) in WHOLE {
        let mut rest = Bytes::from_static(kept);
        let mut next = || (!rest.is_empty()).then(|| proto::Change::decode_length_delimited(&mut rest).unwrap());
        let mut state = RegisterState::genesis(&next().unwrap().signed, &Plain).unwrap();
        while let Some(change) = next() {
            let applied = state.apply(UnixMs(change.entry_time_ms), &change.signed, &Plain);
            assert_eq!((applied.taken().unwrap_or(0), applied.outcome.code()), (change.number, change.outcome));
        }
        let line = line(&format!("whole {seed}"), &state);
        assert!(HEADS.lines().any(|kept| kept == line), "{line}");
    }
}

#[test]
fn what_is_asked_for_again_is_signed_as_the_same_bytes() {
    for (seed, kept) in WHOLE {
        let (changes, _) = changes(&played(seed, WHOLE_STEPS));
        assert!(encoded(&changes) == kept, "history {seed} is another one");
    }
}

#[test]
fn histories_lead_where_they_led() {
    for (now, kept) in heads().lines().zip(HEADS.lines()) {
        assert_eq!(now, kept);
    }
    assert_eq!(HEADS.lines().count(), HISTORIES as usize * 4 + WHOLE.len());
}

/// What is pinned says something only if everything happens in it.
#[test]
fn the_kept_histories_carry_out_every_act() {
    let (mut carried, mut outcomes) = (BTreeMap::new(), BTreeMap::new());
    for (seed, steps) in (1..=HISTORIES).map(|seed| (seed, STEPS)) {
        let world = played(seed, steps);
        for change in changes(&world).0 {
            *outcomes.entry(change.outcome).or_insert(0) += 1;
        }
        for proposal in world.state.proposals().filter(|p| p.state == ProposalState::Carried) {
            *carried.entry(proposal.act.name()).or_insert(0) += 1;
        }
    }
    assert_eq!(carried.len(), 8, "{carried:?}");
    assert!(outcomes.len() > 25, "{outcomes:?}");
}

/// Only when a frozen format changes by decision: writes the files anew.
#[test]
#[ignore = "writes what the others compare with"]
fn writes_the_kept_histories() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/pinned");
    for (seed, _) in WHOLE {
        let (changes, _) = changes(&played(seed, WHOLE_STEPS));
        std::fs::write(folder.join(format!("{seed}.changes")), encoded(&changes)).unwrap();
    }
    std::fs::write(folder.join("heads.txt"), heads()).unwrap();
}
