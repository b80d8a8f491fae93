//! Snapshots: whole ones give the same register; forged, shortened and unproven ones give none.

use havenlink_proto::directory::v1 as proto;
use havenlink_proto::record::v1::Signed;
use prost::Message;
use proto::snapshot_item::Item;

use super::*;
use crate::snapshot::{self, Encoded, Error, chunks, encode};
use crate::wire::beat::Beat;

fn open(world: &World, encoded: &Encoded, known: Option<&RegisterState>) -> Result<RegisterState, Error> {
    snapshot::open(&world.state.federation(), &encoded.header, &encoded.items, known, &Plain).map(|s| s.from_own_disk())
}

/// The items changed, and the header made to fit: what a hostile steward would send.
fn edited(encoded: &Encoded, change: impl Fn(&mut Vec<Item>)) -> Encoded {
    let mut stream = encoded.items.clone();
    let mut items = Vec::new();
    while !stream.is_empty() {
        items.push(proto::SnapshotItem::decode_length_delimited(&mut stream).unwrap().item.unwrap());
    }
    change(&mut items);
    let mut bytes = Vec::new();
    let mut out = encoded.clone();
    out.header.items = items.len() as u64;
    for item in items {
        proto::SnapshotItem { item: Some(item) }.encode_length_delimited(&mut bytes).unwrap();
    }
    out.items = bytes.into();
    out.mark.digest = Digest::of(&out.items);
    out.header.digest = out.mark.digest.as_bytes().to_vec().into();
    out
}

fn member<'a>(items: &'a mut [Item], name: &str) -> &'a mut proto::SnapshotMember {
    let found = items.iter_mut().find_map(|item| match item {
        Item::Member(member) if member.authority == name => Some(member),
        _ => None,
    });
    found.unwrap()
}

/// A register with a bit of everything in it.
pub fn eventful() -> World {
    let mut world = World::three();
    for n in 0..3 {
        world.change_own(GENT, |e| e.services = vec![n + 1]);
        world.change_own(KEHL, |e| e.endpoints = vec![format!("kehl{n}.example:7400")]);
    }
    let key = new_key();
    let rotation = world.sign(KEHL, |a, s| a.key_rotation(s, &key, false));
    world.apply(&rotation);
    world.keys.insert(id(KEHL), key);
    // Pins change hands: Gent takes the one that Kehl had when it was admitted.
    assert_eq!(world.change_own(KEHL, |e| e.pins = vec![pinned("kehl, next")]), Outcome::Accepted);
    assert_eq!(world.change_own(GENT, |e| e.pins.push(pinned(KEHL))), Outcome::Accepted);
    let suspend = world.emergency(KEHL, GENT);
    let suspended = world.apply(&suspend);
    let opened = world.act(STRASBOURG, |a, s| a.restore(s, &id(GENT), &[suspended.statement]));
    assert_eq!(world.decide(opened), Outcome::Accepted);
    let again = world.emergency(ESCH, GENT);
    assert_eq!(world.outcome(&again), Outcome::Accepted);
    let opened = world.act(KEHL, |a, s| a.policy(s, &Policy { snapshot_interval: 64, ..Policy::default() }));
    assert_eq!(world.decide(opened), Outcome::Accepted);
    world.propose_admission(GRAZ, 5);
    world
}

#[test]
fn a_snapshot_gives_the_same_register() {
    for mut world in [World::founded(), World::three(), eventful()] {
        let encoded = encode(&world.state);
        let mut restored = open(&world, &encoded, Some(&world.state)).unwrap();
        assert_eq!(encode(&restored).mark, encoded.mark);
        assert_eq!((restored.number(), restored.head()), (world.state.number(), world.state.head()));
        let next = world.sign(STRASBOURG, |a, s| a.suspend(s, &id(GENT), SuspendReason::OwnRequest)).signed;
        let applied = world.apply(&next);
        assert_eq!(restored.apply(world.now, &next, &Plain), applied);
        assert_eq!(chunks(&encoded.items).map(|c| c.len()).sum::<usize>(), encoded.items.len());
    }
}

#[test]
fn one_is_taken_wherever_others_prove_from_then_on() {
    let mut world = World::three();
    assert!(!world.state.is_snapshot_due(), "an admission changes nobody's word");
    world.promote(GENT, 4);
    assert!(world.state.is_snapshot_due(), "at each change of the stewards");
    let next = new_key();
    let rotation = world.sign(KEHL, |a, s| a.key_rotation(s, &next, false));
    assert_eq!(world.outcome(&rotation), Outcome::Accepted);
    assert!(!world.state.is_snapshot_due());
    let stolen = new_key();
    world.keys.insert(id(KEHL), next);
    let rotation = world.sign(KEHL, |a, s| a.key_rotation(s, &stolen, true));
    assert_eq!(world.outcome(&rotation), Outcome::Accepted);
    assert!(world.state.is_snapshot_due(), "where a key is withdrawn");
    world.keys.insert(id(KEHL), stolen);
    let opened = world.act(STRASBOURG, |a, s| a.policy(s, &Policy { snapshot_interval: 4_000, ..Policy::default() }));
    assert_eq!(world.decide(opened), Outcome::Accepted);
    assert!(!world.state.is_snapshot_due());
    let opened = world.act(STRASBOURG, |a, s| {
        a.policy(s, &Policy { rules_version: 2, snapshot_interval: 4_000, ..Policy::default() })
    });
    assert_eq!(world.decide(opened), Outcome::Accepted);
    assert!(world.state.is_snapshot_due(), "where the rules are raised");
}

#[test]
fn replaced_entries_leave_no_trace_but_the_version() {
    let mut world = World::three();
    let before = encode(&world.state).items.len();
    for n in 0..200 {
        world.change_own(GENT, |e| e.endpoints = vec![format!("gent{n}.example:7400")]);
    }
    // 200 accepted payloads are remembered by their digest, not by their bytes.
    assert!(encode(&world.state).items.len() < before + 200 * 48 + 1_000);
    assert_eq!(open(&world, &encode(&world.state), None).unwrap().entry_version(&id(GENT)), 201);
}

#[test]
fn forged_and_unsigned_entries_are_found() {
    let world = eventful();
    let whole = encode(&world.state);
    assert!(open(&world, &edited(&whole, |_| {}), None).is_ok());

    let forged = |statement: &mut Bytes, strip: bool| {
        let mut message = Signed::decode(statement.clone()).unwrap();
        let mut inner = proto::Statement::decode(message.payload.clone()).unwrap();
        if let Some(proto::statement::Body::Entry(entry)) = &mut inner.body {
            entry.endpoints = vec!["attacker.example:1".into()];
        }
        message.payload = inner.encode_to_vec().into();
        if strip {
            message.signatures.clear();
        }
        *statement = message.encode_to_vec().into();
    };
    let refuse = |what: &str, change: &dyn Fn(&mut Vec<Item>)| {
        assert!(open(&world, &edited(&whole, change), None).is_err(), "{what}");
    };
    let last = |items: &mut Vec<Item>| member(items, KEHL).changes.len() - 1;
    refuse("an entry that its authority did not sign", &|items| {
        let at = last(items);
        forged(&mut member(items, KEHL).changes[at].signed, false);
    });
    refuse("an unsigned entry", &|items| {
        let at = last(items);
        forged(&mut member(items, KEHL).changes[at].signed, true);
    });
    refuse("an admission by too few", &|items| {
        // Gent was admitted by two stewards: the second vote is taken out.
        let changes = &mut member(items, GENT).changes;
        changes.remove(1);
    });
    refuse("a member without statements", &|items| member(items, GENT).changes.clear());
    refuse("a key that was never rotated in", &|items| {
        let changes = &mut member(items, KEHL).changes;
        let rotation = changes.iter().position(|c| {
            let message = Signed::decode(c.signed.clone()).unwrap();
            message.signatures.len() == 2
        });
        changes.remove(rotation.unwrap());
    });
    refuse("no genesis", &|items| {
        for item in items {
            if let Item::Policy(policy) = item {
                policy.changes.remove(0);
            }
        }
    });
    refuse("another outcome", &|items| member(items, GENT).changes[0].outcome = Outcome::Accepted.code());
    refuse("another time", &|items| member(items, GENT).changes[0].entry_time_ms += 1 << 40);
    refuse("another number", &|items| member(items, GENT).changes[0].number += 10_000);
}

#[test]
fn claims_beside_the_statements_are_not_believed() {
    let world = eventful();
    let whole = encode(&world.state);
    let refuse = |what: &str, change: &dyn Fn(&mut Vec<Item>)| {
        assert!(open(&world, &edited(&whole, change), None).is_err(), "{what}");
    };
    refuse("a version", &|items| member(items, GENT).version += 1);
    refuse("no suspension", &|items| member(items, GENT).status.as_mut().unwrap().suspended_until_ms = 0);
    refuse("a removal", &|items| member(items, GENT).status.as_mut().unwrap().removed_at_ms = 1);
    refuse("a key", &|items| member(items, GENT).keys[0].compromised = true);
    refuse("an unused emergency", &|items| member(items, GENT).status.as_mut().unwrap().emergencies.clear());
    refuse("stewards", &|items| {
        for item in items {
            if let Item::Stewards(set) = item {
                set.stewards.pop();
            }
        }
    });
    refuse("Raft ids that are free again", &|items| {
        for item in items {
            if let Item::Stewards(set) = item {
                set.used_raft_ids.retain(|id| *id != 4);
            }
        }
    });
    refuse("a forgotten statement", &|items| {
        let accepted = items.iter().position(|item| matches!(item, Item::Accepted(a) if a.number == 1));
        items.remove(accepted.unwrap());
    });
    refuse("items in another order", &|items| items.reverse());
    refuse("an item twice", &|items| items.push(items[3].clone()));
    let mut wrong = whole.clone();
    wrong.header.entry_time_ms += 1;
    assert!(open(&world, &wrong, None).is_err());
    let mut wrong = whole.clone();
    wrong.items = whole.items.slice(..whole.items.len() - 1);
    assert!(open(&world, &wrong, None).is_err());
    let other = World::founded();
    assert!(open(&other, &whole, None).is_err(), "another federation");
}

/// A register in which the suspension of Gent never happened, dressed up as the true one.
fn without_suspension(world: &mut World) -> (Encoded, Encoded) {
    let omitted = encode(&world.state);
    let signed = world.emergency(KEHL, GENT);
    assert_eq!(world.outcome(&signed), Outcome::Accepted);
    let whole = encode(&world.state);
    let mut dressed = edited(&omitted, |items| {
        for item in items {
            if let Item::Position(position) = item {
                position.number = whole.mark.number;
                position.head = whole.header.head.clone();
                position.entry_time_ms = whole.header.entry_time_ms;
            }
        }
    });
    (dressed.header.number, dressed.mark.number) = (whole.mark.number, whole.mark.number);
    (dressed.header.head, dressed.mark.head) = (whole.header.head.clone(), whole.mark.head);
    dressed.header.entry_time_ms = whole.header.entry_time_ms;
    (whole, dressed)
}

fn beats(world: &World, mark: crate::wire::beat::SnapshotMark, stewards: &[&str]) -> Vec<Signed> {
    let beat = |name: &&str| Beat { snapshot: Some(mark), ..world.beat_of(name) };
    stewards.iter().map(|name| Signed::decode(world.signed_beat(&beat(name))).unwrap()).collect()
}

#[test]
fn an_omitted_suspension_has_no_majority() {
    let mut world = World::three();
    let (mut whole, mut dressed) = without_suspension(&mut world);
    let majority = |encoded: &Encoded| {
        snapshot::open(&world.state.federation(), &encoded.header, &encoded.items, None, &Plain)?
            .by_majority(&world.state, &Plain)
            .map(|(state, _)| state)
    };
    // Seen from the inside it holds together; what it lacks is the stewards.
    assert!(open(&world, &dressed, None).is_ok());
    assert_eq!(majority(&dressed).unwrap_err(), Error("no majority of stewards signed it"));
    // The true one's beats do not name it, and one steward's own is not enough, however often it is sent.
    dressed.header.beats = beats(&world, whole.mark, &[STRASBOURG, KEHL, ESCH]);
    assert!(majority(&dressed).is_err());
    dressed.header.beats = beats(&world, dressed.mark, &[KEHL, KEHL, KEHL, GENT]);
    assert!(majority(&dressed).is_err());
    whole.header.beats = beats(&world, whole.mark, &[KEHL, ESCH]);
    assert_eq!(majority(&whole).unwrap().head(), world.state.head());
    let mut forged = whole.clone();
    forged.header.beats[0].signatures[0].sig = vec![0; 64].into();
    assert!(majority(&forged).is_err());
}

#[test]
fn a_snapshot_continues_what_is_known() {
    let mut world = World::three();
    let old = world.state.clone();
    let (whole, dressed) = without_suspension(&mut world);
    let known = world.state.clone();
    assert!(open(&world, &whole, Some(&old)).is_ok());
    assert!(open(&world, &whole, Some(&known)).is_ok());
    assert!(open(&world, &encode(&old), Some(&known)).is_err(), "older");
    assert!(open(&world, &dressed, Some(&known)).is_err(), "who knows of the suspension misses it");
    assert!(open(&world, &dressed, Some(&old)).is_ok());
    // A history in which other stewards were chosen.
    let mut other = world.clone();
    other.state = old;
    other.admit(GRAZ, 9);
    let set: Vec<Steward> = world.state.stewards().iter().filter(|s| s.authority != id(ESCH)).cloned().collect();
    let opened = world.act(STRASBOURG, |a, s| a.steward_set(s, &set));
    assert_eq!(world.decide(opened), Outcome::Accepted);
    for n in 0..6 {
        other.change_own(GRAZ, |e| e.services = vec![n + 1]);
    }
    assert!(other.state.number() > world.state.number());
    assert!(open(&world, &encode(&other.state), Some(&world.state)).is_err());
    // Going on, everything fits: own changes, recovery, removal.
    let key = new_key();
    let recovery =
        world.sign_with(&id(GENT), &key, |a, s| a.recovery_entry(s, &proved(&s.federation(), entry(GENT, &key, 0))));
    let opened = world.act(KEHL, |a, s| a.key_recovery(s, &id(GENT), &key.public(), recovery));
    let known = world.state.clone();
    assert_eq!(world.decide(opened), Outcome::Accepted);
    assert!(open(&world, &encode(&world.state), Some(&known)).is_ok());
}
