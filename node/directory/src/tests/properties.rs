//! Whatever comes: `apply` answers, numbers and heads run as they must, a rejected statement changes nothing, and a
//! register from a snapshot answers like the one that made it.

use proptest::prelude::*;

use super::*;
use crate::domain::ids::Hasher;
use crate::domain::register::{RejectionReason, RemoveReason};
use crate::snapshot::{self, encode};
use crate::state::{Proposal, ProposalState};

pub(super) const NAMES: [&str; 6] = [STRASBOURG, KEHL, ESCH, GENT, GRAZ, "it-trento"];

/// One step of a random history: what, by whom, about whom, a variant, and how much time passes before.
pub(super) type Step = (u8, u8, u8, u16, u8);

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((0_u8..28, 0_u8..6, 0_u8..6, any::<u16>(), any::<u8>()), 1..most)
}

fn pick<T: Clone>(of: &[T], n: u16) -> Option<T> {
    (!of.is_empty()).then(|| of[usize::from(n) % of.len()].clone())
}

impl World {
    /// A statement that might be valid, often is, and often is not.
    pub(super) fn random(&mut self, (what, by, about, n, pause): Step) -> Bytes {
        // Mostly nothing, sometimes hours, rarely long enough for proposals to expire and to be forgotten.
        self.now = self.now
            + match pause {
                0..=199 => Millis(i64::from(n)),
                200..=248 => Millis::hours(i64::from(n % 48)),
                _ => Millis::days(i64::from(n % 45)),
            };
        // Decisions are mostly the stewards' business; whoever else tries is refused soon enough.
        let by = if what > 3 && n % 4 != 0 { usize::from(n) % self.state.stewards().len() } else { usize::from(by) };
        let (author, target) = (NAMES[by], NAMES[usize::from(about)]);
        if !self.keys.contains_key(&id(author)) {
            let key = self.fresh_key();
            self.keys.insert(id(author), key);
        }
        // Mostly what is still open, so that decisions are reached, and now and then what is not.
        let any = n % 8 == 0;
        let open: Vec<Arc<Proposal>> = self.state.proposals().filter(|p| any || p.is_open(self.now)).cloned().collect();
        let proposal = pick(&open, n).map_or(StatementId([0; 32]), |p| p.id);
        let raft_id = u64::from(n % 9);
        let built = match what {
            0..=3 => self.random_own(author, n),
            4 | 5 => {
                let application = self.application_of(target, raft_id);
                let invited = Invited { by: id(author), invitation: None, words: None };
                Some(self.sign(author, |a, s| a.admit(s, &id(target), application, &invited)))
            }
            6..=10 | 22..=25 => self.sign(author, |a, s| a.approve(s, &proposal)),
            11 => self.sign(author, |a, s| a.reject(s, &proposal, RejectionReason::NoLegalBasis)),
            12 => self.sign(author, |a, s| a.withdraw(s, &proposal)),
            13 => Some(self.random_set(author, target, raft_id)),
            14 | 15 => {
                let signed = self.emergency(author, target);
                Some(if n.is_multiple_of(2) && self.keys.contains_key(&id(NAMES[usize::from(n % 6)])) {
                    self.second(&signed, NAMES[usize::from(n % 6)])
                } else {
                    signed
                })
            }
            16 => Some(self.sign(author, |a, s| a.lasting_suspend(s, &id(target), SuspendReason::ErasureNotProven))),
            17 => Some(self.sign(author, |a, s| a.restore(s, &id(target), &[proposal]))),
            18 => Some(self.sign(author, |a, s| a.remove(s, &id(target), RemoveReason::BreachOfRules))),
            19 => self.random_key(author, target, n),
            20 => Some(self.random_decision(author, target, n)),
            26 => {
                let time = self.state.entry_time() - Millis::hours(i64::from(n % 500));
                Some(self.sign(author, |a, s| a.retime(s, time)))
            }
            27 => {
                // A clock is put right, after a RETIME or without one.
                self.now = self.state.entry_time();
                self.random_own(author, n)
            }
            _ => pick(&self.log, n).map(|(_, bytes)| bytes),
        };
        let built = built
            .or_else(|| self.random_own(STRASBOURG, n))
            .unwrap_or_else(|| Bytes::from(n.to_be_bytes().repeat(usize::from(what))));
        if pause % 16 == 0 { flipped(&built, n) } else { built }
    }

    fn random_own(&mut self, author: &str, n: u16) -> Option<Bytes> {
        let mut entry = self.state.member(&id(author))?.entry.clone();
        match n % 4 {
            0 => entry.endpoints = vec![format!("n{n}.example:7400")],
            1 => entry.raft_id = u64::from(n % 16),
            2 => entry.pins = vec![PinnedKey { valid_until: UnixMs(i64::from(n)), ..pinned(&(n % 12).to_string()) }],
            _ => entry.kind = ParticipantKind::ALL[usize::from(n % 14)],
        }
        // Some are published by whoever does not hold the key.
        let prove = n % 32 != 2;
        Some(self.sign(author, |a, s| a.entry(s, &if prove { proved(&s.federation(), entry) } else { entry })))
    }

    fn application_of(&mut self, target: &str, raft_id: u64) -> crate::domain::statement::SignedEntry {
        let member = self.state.member(&id(target)).is_some_and(|m| m.removed_at.is_none());
        let key = self.fresh_key();
        if !member {
            self.keys.insert(id(target), Arc::clone(&key));
        }
        let version = self.state.entry_version(&id(target));
        self.sign_with(&id(target), &key, |a, s| {
            a.application(&s.federation(), 1, version, &proved(&s.federation(), entry(target, &key, raft_id)))
        })
    }

    fn random_set(&mut self, author: &str, target: &str, raft_id: u64) -> Bytes {
        let mut set = self.state.stewards().to_vec();
        let announced = self.state.member(&id(target)).map_or(raft_id, |m| m.entry.raft_id);
        let raft_id = if raft_id.is_multiple_of(3) { raft_id } else { announced };
        match set.iter().position(|s| s.authority == id(target)) {
            Some(at) if raft_id % 2 == 0 => drop(set.remove(at)),
            Some(at) => set[at].raft_id = raft_id,
            None => set.push(Steward { authority: id(target), raft_id }),
        }
        self.sign(author, |a, s| a.steward_set(s, &set))
    }

    fn random_key(&mut self, author: &str, target: &str, n: u16) -> Option<Bytes> {
        let key = self.fresh_key();
        if n.is_multiple_of(2) {
            let signed = self.sign(author, |a, s| a.key_rotation(s, &key, n.is_multiple_of(3)));
            // Taken into use only if the register takes it.
            if self.state.clone().apply(self.now + Millis(1), &signed, &Plain).outcome == Outcome::Accepted {
                self.keys.insert(id(author), key);
            }
            return Some(signed);
        }
        let mut entry = self.state.member(&id(target))?.entry.clone();
        entry.authority_key = key.public();
        let recovery = self.sign_with(&id(target), &key, |a, s| a.recovery_entry(s, &entry));
        Some(self.sign(author, |a, s| a.key_recovery(s, &id(target), &key.public(), recovery)))
    }

    fn random_decision(&mut self, author: &str, target: &str, n: u16) -> Bytes {
        if n.is_multiple_of(2) {
            let life = Millis::days(i64::from(n % 9) + 1);
            let policy = Policy { admission_approvals: u32::from(n % 3) + 1, proposal_life: life, ..Policy::default() };
            return self.sign(author, |a, s| a.policy(s, &policy));
        }
        let key = self.fresh_key();
        let mut entry = self.state.member(&id(target)).map_or_else(|| entry(target, &key, 0), |m| m.entry.clone());
        entry.kind = ParticipantKind::ALL[usize::from(n % 14)];
        self.sign(author, |a, s| a.entry_change(s, &entry))
    }
}

fn flipped(bytes: &Bytes, n: u16) -> Bytes {
    let mut bytes = bytes.to_vec();
    if !bytes.is_empty() {
        let at = usize::from(n) % bytes.len();
        bytes[at] ^= 1 << (n % 8);
    }
    bytes.into()
}

/// Everything about a state but its position: what a rejected statement must leave alone.
fn content(state: &RegisterState) -> Vec<u8> {
    use prost::Message;
    let mut stream = encode(state).items;
    let _position = havenlink_proto::directory::v1::SnapshotItem::decode_length_delimited(&mut stream).unwrap();
    stream.to_vec()
}

pub(super) fn restored(state: &RegisterState, known: Option<&RegisterState>) -> RegisterState {
    let encoded = encode(state);
    let opened = snapshot::open(&state.federation(), &encoded.header, &encoded.items, known, &Plain);
    opened.unwrap_or_else(|error| panic!("{error} at {state:?}")).from_own_disk()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_register_from_a_snapshot_answers_like_the_one_that_made_it(history in steps(140), at in 0_usize..100) {
        let mut world = World::three();
        let before = world.state.clone();
        let mut other: Option<RegisterState> = None;
        for (n, step) in history.iter().enumerate() {
            if n == at || n % 45 == 44 {
                other = Some(restored(&world.state, Some(other.as_ref().unwrap_or(&before))));
            }
            let signed = world.random(*step);
            let applied = world.apply(&signed);
            if let Some(other) = &mut other {
                prop_assert_eq!(other.apply(world.now, &signed, &Plain), applied);
            }
        }
        let end = restored(&world.state, Some(&before));
        prop_assert_eq!(encode(&end).mark, encode(&world.state).mark);
        if let Some(other) = other {
            prop_assert_eq!(encode(&other).mark, encode(&world.state).mark);
        }
    }

    #[test]
    fn numbers_heads_and_content_run_as_they_must(history in steps(80)) {
        let mut world = World::three();
        for step in history {
            let signed = world.random(step);
            let (number, head, before) = (world.state.number(), world.state.head(), content(&world.state));
            let applied = world.apply(&signed);
            prop_assert!(applied.head.is_none_or(|head| head == world.state.head()));
            let Some(taken) = applied.taken() else {
                prop_assert!(applied.outcome.is_accepted());
                prop_assert_eq!((world.state.number(), world.state.head()), (number, head));
                prop_assert!(content(&world.state) == before);
                continue;
            };
            prop_assert_eq!((taken, world.state.number()), (number + 1, number + 1));
            let mut hasher = Hasher::new();
            hasher.update(head.as_bytes());
            hasher.update(&taken.to_be_bytes());
            hasher.update(&world.now.0.to_be_bytes());
            hasher.update(Digest::of(&signed).as_bytes());
            hasher.update(&u16::try_from(applied.outcome.code()).unwrap().to_be_bytes());
            prop_assert_eq!(applied.head, Some(hasher.finish()));
            prop_assert_eq!(content(&world.state) == before, !applied.outcome.is_accepted());
            prop_assert!(!world.state.stewards().is_empty());
        }
        // The same statements at the same times from the same beginning: the same register.
        let mut again = RegisterState::genesis(world.state.genesis_signed(), &Plain).unwrap();
        for (at, signed) in &world.log {
            again.apply(*at, signed, &Plain);
        }
        prop_assert_eq!(encode(&again).mark, encode(&world.state).mark);
    }

    #[test]
    fn arbitrary_bytes_are_an_outcome(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in any::<i64>()) {
        let mut world = World::founded();
        let signed = Bytes::from(bytes);
        let applied = world.state.apply(UnixMs(at), &signed, &Plain);
        prop_assert_eq!((applied.taken(), applied.outcome), (Some(1), Outcome::Malformed));
        prop_assert!(crate::overlay::Overlay::default().judge(&signed, &world.state, UnixMs(at), &Plain).is_err());
        prop_assert!(crate::beats::Beats::default().accept(&signed, &world.state, UnixMs(at), &Plain).is_err());
        let mut encoded = encode(&world.state);
        encoded.items = signed.clone();
        encoded.header.digest = Digest::of(&signed).as_bytes().to_vec().into();
        let opened = snapshot::open(&world.state.federation(), &encoded.header, &encoded.items, None, &Plain);
        prop_assert!(opened.is_err());
    }

    #[test]
    fn arbitrary_payloads_under_a_true_signature_are_an_outcome(
        flips in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..6),
        step in (0_u8..21, 0_u8..3, 0_u8..6, any::<u16>(), 0_u8..10),
    ) {
        use prost::Message;
        let mut world = World::three();
        let signed = world.random(step);
        let Ok(mut message) = havenlink_proto::record::v1::Signed::decode(signed) else { return Ok(()) };
        let mut payload = message.payload.to_vec();
        for (at, value) in flips {
            let at = usize::from(at) % payload.len().max(1);
            payload.resize(payload.len().max(1), 0);
            payload[at] = value;
        }
        message.payload = payload.into();
        let key = &world.keys[&id(NAMES[usize::from(step.1)])];
        message.signatures = vec![crate::wire::signed::countersign(&world.state.federation(), &message, key)];
        let before = content(&world.state);
        let applied = world.apply(&message.encode_to_vec().into());
        prop_assert!(applied.is_new);
        prop_assert_eq!(content(&world.state) == before, !applied.outcome.is_accepted());
    }
}

/// The histories above are worth something only if they get somewhere.
#[test]
fn random_histories_carry_out_every_act() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut carried, mut outcomes) = (BTreeMap::new(), BTreeMap::new());
    for _ in 0..60 {
        let mut world = World::three();
        for step in steps(140).new_tree(&mut runner).unwrap().current() {
            let signed = world.random(step);
            *outcomes.entry(world.apply(&signed).outcome).or_insert(0) += 1;
        }
        for proposal in world.state.proposals().filter(|p| p.state == ProposalState::Carried) {
            *carried.entry(proposal.act.name()).or_insert(0) += 1;
        }
    }
    assert_eq!(carried.len(), crate::domain::statement::Act::NAMES.len(), "{carried:?}");
    assert!(outcomes.len() > 20 && outcomes[&Outcome::Accepted] > 500, "{outcomes:?}");
}
