//! Entries and keys: what an authority changes alone, what must be unique, what is never accepted.

use data_encoding::HEXLOWER;

use super::*;
use crate::domain::authority::PublicKey;
use crate::domain::country::Country;
use crate::domain::ids::FederationId;
use crate::domain::reason::Reason;
use crate::wire::signed::NO_FEDERATION;

/// One more than an entry may name.
const NINE: [&str; 9] = ["at", "be", "bg", "cy", "cz", "de", "dk", "ee", "es"];

fn border() -> Country {
    Country::parse("at").unwrap()
}

#[test]
fn an_authority_changes_alone_what_is_operational() {
    let mut world = World::three();
    type Change = fn(&mut AuthorityEntry);
    let alone: [Change; 8] = [
        |e| e.endpoints = vec!["[2001:db8::7]:7400".into()],
        |e| e.pins.push(PinnedKey { valid_until: UnixMs(1_900_000_000_000), ..pinned("next") }),
        |e| e.contacts.clear(),
        |e| e.networks = vec!["Eurocities".into()],
        |e| e.services = vec![2, 9_999],
        |e| e.corridor.roles = vec![1, 9_999],
        |e| e.corridor.borders = vec![border()],
        |e| e.raft_id = 77,
    ];
    for (n, change) in alone.into_iter().enumerate() {
        assert_eq!(world.change_own(GENT, change), Outcome::Accepted, "change {n}");
    }
    assert_eq!(world.state.entry_version(&id(GENT)), 9);
    let approved: [Change; 5] = [
        |e| e.kind = ParticipantKind::MandatedNgo,
        |e| e.names[0].name = "Another".into(),
        |e| e.identifiers.clear(),
        |e| e.authority_key = new_key().public(),
        |e| (e.hosted_by, e.pins, e.endpoints, e.raft_id) = (Some(id(KEHL)), vec![], vec![], 0),
    ];
    for (n, change) in approved.into_iter().enumerate() {
        assert_eq!(world.change_own(GENT, change), Outcome::NeedsApproval, "change {n}");
    }
}

#[test]
fn entries_that_do_not_hold_together_are_refused() {
    let mut world = World::three();
    type Change = fn(&mut AuthorityEntry);
    let bad: [Change; 20] = [
        |e| e.names.clear(),
        |e| e.names.push(Name { language: "FR".into(), name: "again".into() }),
        |e| e.names[0].language = "not a tag".into(),
        |e| e.names[0].name = "x".repeat(121),
        |e| e.names[0].name = "evil\u{1b}[2J".into(),
        |e| e.identifiers[0].value = "frf11".into(),
        |e| e.endpoints = vec!["https://node.example".into()],
        |e| e.endpoints = (1..6).map(|n| format!("n{n}.example:1")).collect(),
        |e| e.endpoints.clear(),
        |e| e.pins.clear(),
        |e| e.pins = (0..5).map(|n| pinned(&n.to_string())).collect(),
        |e| e.pins.push(e.pins[0].clone()),
        |e| e.pins = vec![PinnedKey { pin: Pin(Digest::of(&e.authority_key.0).0), ..pinned("its own") }],
        |e| e.contacts[0].email = "marie.weber@gent.example".into(),
        |e| e.contacts[0].email.clear(),
        |e| e.services = vec![0],
        |e| e.corridor.roles = vec![1, 1],
        |e| e.corridor.borders = vec![border(); 2],
        |e| e.corridor.borders = NINE.map(|code| Country::parse(code).unwrap()).to_vec(),
        |e| e.hosted_by = Some(id(KEHL)),
    ];
    for (n, change) in bad.into_iter().enumerate() {
        assert_eq!(world.change_own(GENT, change), Outcome::InvalidEntry, "entry {n}");
    }
}

#[test]
fn a_pin_stands_in_one_entry_only() {
    let mut world = World::three();
    let kehls = || pinned(KEHL);
    assert_eq!(world.change_own(GENT, |e| e.pins = vec![kehls()]), Outcome::DuplicatePin);
    assert_eq!(world.change_own(KEHL, |e| e.pins = vec![pinned("kehl 2")]), Outcome::Accepted);
    assert_eq!(world.change_own(GENT, |e| e.pins.push(kehls())), Outcome::Accepted, "Kehl gave it up");
    assert_eq!(world.change_own(KEHL, |e| e.pins.push(kehls())), Outcome::DuplicatePin);
    let view = world.state.view(&Default::default(), None);
    assert_eq!(view.authority_of_pin(&pin(KEHL), world.now), Some(&id(GENT)));
    // In an application too.
    let key = new_key();
    let mut copied = entry(GRAZ, &key, 0);
    copied.pins[0].pin = pin(ESCH);
    let application = world.sign_with(&id(GRAZ), &key, |a, s| a.application(&s.federation(), 1, 0, &copied));
    let invited = Invited { by: id(STRASBOURG), invitation: None, words: None };
    assert_eq!(world.act(KEHL, |a, s| a.admit(s, &id(GRAZ), application, &invited)).outcome, Outcome::DuplicatePin);
}

/// Gent has seen the key of a node at its door, and would have its partners believe that it is Gent's.
#[test]
fn nobody_publishes_a_pin_without_its_key() {
    let mut world = World::three();
    let (here, seen) = (world.state.federation(), pinned("a node that joins nowhere"));
    let proved_as = |authority: &str, federation| {
        let entry = AuthorityEntry { pins: vec![seen.clone()], ..entry(authority, &new_key(), 0) };
        proved(federation, entry).pins.remove(0)
    };
    let mut altered = proved_as(GENT, &here);
    altered.proof.signature = vec![7; 64].into();
    let unproved = [
        ("none", seen.clone()),
        ("another authority", proved_as(KEHL, &here)),
        ("another federation", proved_as(GENT, &FederationId([3; 32]))),
        ("one that has no id yet", proved_as(GENT, &NO_FEDERATION)),
        ("another key", PinnedKey { pin: pin("another"), ..proved_as(GENT, &here) }),
        ("altered", altered),
    ];
    let invited = Invited { by: id(STRASBOURG), invitation: None, words: None };
    for (what, pinned) in unproved {
        let mut own = world.state.member(&id(GENT)).unwrap().entry.clone();
        own.pins.push(pinned.clone());
        assert_eq!(world.act(GENT, |a, s| a.entry(s, &own)).outcome, Outcome::PinUnproved, "{what}");
        assert_eq!(world.act(KEHL, |a, s| a.entry_change(s, &own)).outcome, Outcome::PinUnproved, "{what}, decided");
        let key = new_key();
        own.authority_key = key.public();
        let recovery = world.sign_with(&id(GENT), &key, |a, s| a.recovery_entry(s, &own));
        let recovered = world.act(KEHL, |a, s| a.key_recovery(s, &id(GENT), &key.public(), recovery));
        assert_eq!(recovered.outcome, Outcome::PinUnproved, "{what}, recovered");
        let applicant = AuthorityEntry { pins: vec![pinned], ..entry(GRAZ, &key, 0) };
        let application = world.sign_with(&id(GRAZ), &key, |a, s| a.application(&s.federation(), 1, 0, &applicant));
        let admitted = world.act(KEHL, |a, s| a.admit(s, &id(GRAZ), application, &invited));
        assert_eq!(admitted.outcome, Outcome::PinUnproved, "{what}, admitted");
    }
    assert_eq!(world.change_own(GENT, |e| e.pins.push(proved_as(GENT, &here))), Outcome::Accepted);
}

/// When the founder signed its first pin, the federation had no id yet.
#[test]
fn the_founders_first_pin_stands_as_long_as_it_is_listed() {
    let mut world = World::three();
    let first = world.state.member(&id(STRASBOURG)).unwrap().entry.pins[0].clone();
    let end = UnixMs(1_900_000_000_000);
    let shortened = world.change_own(STRASBOURG, |e| {
        e.pins[0].valid_until = end;
        e.pins.push(pinned("strasbourg 2"));
    });
    assert_eq!(shortened, Outcome::Accepted);
    assert_eq!(world.change_own(STRASBOURG, |e| drop(e.pins.remove(0))), Outcome::Accepted);
    assert_eq!(world.change_own(STRASBOURG, |e| e.pins.push(first.clone())), Outcome::PinUnproved, "it was dropped");
    // A founder that shows somebody else's key founds nothing.
    let (authority, key) = (id(GRAZ), new_key());
    let author = Author { authority: &authority, key: &key, now: world.now, nonce: [1; 16] };
    for federation in [NO_FEDERATION, world.state.federation()] {
        let genesis = author.genesis(&proved(&federation, entry(GRAZ, &key, 1)), &Policy::default());
        let founded = RegisterState::genesis(&genesis, &Plain).map_err(|e| e.reason);
        assert_eq!(founded.err(), (federation != NO_FEDERATION).then_some(Reason::PinUnproved));
    }
}

#[test]
fn well_known_and_known_keys_are_refused() {
    let mut world = World::three();
    let invited = Invited { by: id(STRASBOURG), invitation: None, words: None };
    let mut apply_as = |key: &SigningKey| {
        let application = world.sign_with(&id(GRAZ), key, |a, s| {
            a.application(&s.federation(), 1, 0, &proved(&s.federation(), entry(GRAZ, key, 0)))
        });
        world.act(KEHL, |a, s| a.admit(s, &id(GRAZ), application, &invited)).outcome
    };
    // RFC 8032, section 7.1, test 1: the secret key is printed there, so anyone can sign with it.
    let seed = HEXLOWER.decode(b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
    let pkcs8 = [&HEXLOWER.decode(b"302e020100300506032b657004220420").unwrap()[..], &seed].concat();
    assert_eq!(apply_as(&SigningKey::from_pkcs8(&pkcs8).unwrap()), Outcome::WellKnownKey);
    let zeros = [&pkcs8[..16], &[0; 32]].concat();
    assert_eq!(apply_as(&SigningKey::from_pkcs8(&zeros).unwrap()), Outcome::WellKnownKey);
    let kehls = world.keys[&id(KEHL)].clone();
    let application = world.sign_with(&id(GRAZ), &kehls, |a, s| {
        a.application(&s.federation(), 1, 0, &proved(&s.federation(), entry(GRAZ, &kehls, 0)))
    });
    assert_eq!(world.act(KEHL, |a, s| a.admit(s, &id(GRAZ), application, &invited)).outcome, Outcome::DuplicateKey);
    // A node key from a specification: its pin.
    let mut spki = PublicKey::PREFIX.to_vec();
    spki.extend(HEXLOWER.decode(b"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap());
    let known = PinnedKey { pin: Pin(Digest::of(&spki).0), ..pinned("known") };
    assert_eq!(world.change_own(GENT, |e| e.pins.push(known)), Outcome::WellKnownKey);
}

#[test]
fn small_towns_are_hosted() {
    let mut world = World::three();
    let key = new_key();
    let hosted = |host: &str| AuthorityEntry {
        hosted_by: Some(id(host)),
        pins: vec![],
        endpoints: vec![],
        ..entry(GRAZ, &key, 0)
    };
    let invited = Invited { by: id(STRASBOURG), invitation: None, words: None };
    let admit = |world: &mut World, host: &str| {
        let application = world.sign_with(&id(GRAZ), &key, |a, s| a.application(&s.federation(), 1, 0, &hosted(host)));
        world.act(KEHL, |a, s| a.admit(s, &id(GRAZ), application, &invited))
    };
    assert_eq!(admit(&mut world, "xx-nobody").outcome, Outcome::InvalidEntry);
    let opened = admit(&mut world, GENT);
    assert_eq!(world.decide(opened), Outcome::Accepted);
    let view = world.state.view(&Default::default(), None);
    assert_eq!(view.host_of(&id(GRAZ)), Some(&id(GENT)));
    // The host cannot be hosted in turn, nor can the hosted vote.
    let mut gent = world.state.member(&id(GENT)).unwrap().entry.clone();
    (gent.hosted_by, gent.pins, gent.endpoints, gent.raft_id) = (Some(id(KEHL)), vec![], vec![], 0);
    assert_eq!(world.act(KEHL, |a, s| a.entry_change(s, &gent)).outcome, Outcome::InvalidEntry);
    let mut set = world.state.stewards().to_vec();
    set.push(Steward { authority: id(GRAZ), raft_id: 9 });
    assert_eq!(world.act(KEHL, |a, s| a.steward_set(s, &set)).outcome, Outcome::InvalidEntry);
}

#[test]
fn a_key_is_rotated_by_the_old_and_the_new_one() {
    let mut world = World::three();
    let (old, key) = (world.keys[&id(GENT)].clone(), new_key());
    let rotation = world.sign(GENT, |a, s| a.key_rotation(s, &key, false));
    let mut by_old_alone = {
        use prost::Message;
        havenlink_proto::record::v1::Signed::decode(rotation.clone()).unwrap()
    };
    by_old_alone.signatures.truncate(1);
    let by_old_alone = Bytes::from(prost::Message::encode_to_vec(&by_old_alone));
    assert_eq!(world.outcome(&by_old_alone), Outcome::BadSignature);
    let kehls = world.keys[&id(KEHL)].clone();
    let to_kehls = world.sign(GENT, |a, s| a.key_rotation(s, &kehls, false));
    assert_eq!(world.outcome(&to_kehls), Outcome::DuplicateKey);
    assert_eq!(world.outcome(&rotation), Outcome::Accepted);
    let rotated_at = world.now;
    assert_eq!(
        world.change_own(GENT, |e| e.services = vec![3]),
        Outcome::BadSignature,
        "the old key signs nothing new"
    );
    world.keys.insert(id(GENT), key.clone());
    assert_eq!(world.change_own(GENT, |e| e.services = vec![3]), Outcome::Accepted);
    // Envelopes signed before still verify for a day (9.3).
    let view = world.state.view(&Default::default(), None);
    let old_id = old.public().id();
    assert!(view.verifying_key(&id(GENT), &old_id, rotated_at + Millis::hours(23)).is_some());
    assert!(view.verifying_key(&id(GENT), &old_id, rotated_at + Millis::hours(24)).is_none());
    // Back to an old key: never.
    let back = world.sign(GENT, |a, s| a.key_rotation(s, &old, false));
    assert_eq!(world.outcome(&back), Outcome::DuplicateKey);
    // A compromised one verifies nothing from now on.
    let next = new_key();
    let compromised = world.sign(GENT, |a, s| a.key_rotation(s, &next, true));
    assert_eq!(world.outcome(&compromised), Outcome::Accepted);
    let view = world.state.view(&Default::default(), None);
    assert!(view.verifying_key(&id(GENT), &key.public().id(), world.now).is_none());
}

#[test]
fn a_lost_key_is_recovered_by_the_majority_whatever_a_thief_does_meanwhile() {
    let mut world = World::three();
    let (thief, key) = (world.keys[&id(GENT)].clone(), new_key());
    let new_entry = AuthorityEntry { pins: vec![pinned("gent, new machine")], ..entry(GENT, &key, 40) };
    let new_entry = proved(&world.state.federation(), new_entry);
    let recovery = world.sign_with(&id(GENT), &key, |a, s| a.recovery_entry(s, &new_entry));
    let opened = world.act(KEHL, |a, s| a.key_recovery(s, &id(GENT), &key.public(), recovery.clone()));
    assert_eq!(opened.outcome, Outcome::Pending);
    // The thief changes the entry and even rotates the key: the decision stands.
    assert_eq!(world.change_own(GENT, |e| e.endpoints = vec!["thief.example:1".into()]), Outcome::Accepted);
    let thiefs = new_key();
    let rotation = world.sign(GENT, |a, s| a.key_rotation(s, &thiefs, true));
    assert_eq!(world.outcome(&rotation), Outcome::Accepted);
    assert_eq!(world.approve(ESCH, &opened.statement), Outcome::Accepted);
    let member = world.state.member(&id(GENT)).unwrap();
    assert_eq!(member.entry, new_entry);
    let view = world.state.view(&Default::default(), None);
    for stolen in [&thief, &thiefs] {
        assert!(view.verifying_key(&id(GENT), &stolen.public().id(), world.now).is_none());
    }
    assert!(view.verifying_key(&id(GENT), &key.public().id(), world.now).is_some());
    // A recovery whose entry the new key did not sign, or that changes the name, is refused.
    let (other, wrong) = (new_key(), new_key());
    let mut renamed = proved(&world.state.federation(), entry(GENT, &other, 0));
    let by_wrong = world.sign_with(&id(GENT), &wrong, |a, s| a.recovery_entry(s, &renamed));
    assert_eq!(
        world.act(KEHL, |a, s| a.key_recovery(s, &id(GENT), &other.public(), by_wrong)).outcome,
        Outcome::BadSignature
    );
    renamed.names[0].name = "Other".into();
    let signed = world.sign_with(&id(GENT), &other, |a, s| a.recovery_entry(s, &renamed));
    assert_eq!(
        world.act(KEHL, |a, s| a.key_recovery(s, &id(GENT), &other.public(), signed)).outcome,
        Outcome::NeedsApproval
    );
}
