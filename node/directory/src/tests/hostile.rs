//! The hostile steward, as leader and as follower: unsigned, wrongly signed, replayed, stale, out of time, reordered.

use bytes::Bytes;
use havenlink_proto::directory::v1 as proto;
use havenlink_proto::record::v1::Signed;
use prost::Message;

use super::*;
use crate::domain::ids::Hasher;
use crate::wire::beat::Beat;
use crate::wire::signed;

fn reopened(signed: &Bytes) -> (Signed, proto::Statement) {
    let message = Signed::decode(signed.clone()).unwrap();
    let statement = proto::Statement::decode(message.payload.clone()).unwrap();
    (message, statement)
}

/// The statement changed by `change`, signed by the same authority.
fn altered(world: &World, author: &str, signed: &Bytes, change: impl FnOnce(&mut proto::Statement)) -> Bytes {
    let (_, mut statement) = reopened(signed);
    change(&mut statement);
    let message = signed::sign(&world.state.federation(), &statement, &[&world.keys[&id(author)]]);
    message.encode_to_vec().into()
}

fn own_change(world: &mut World, name: &str) -> Bytes {
    let mut entry = world.state.member(&id(name)).unwrap().entry.clone();
    entry.endpoints = vec!["other.example:7401".into()];
    world.sign(name, |a, s| a.entry(s, &entry))
}

#[test]
fn an_unsigned_or_wrongly_signed_statement_is_refused() {
    let mut world = World::three();
    let good = own_change(&mut world, GENT);
    let (message, _) = reopened(&good);

    let unsigned = Signed { signatures: vec![], ..message.clone() };
    assert_eq!(world.outcome(&unsigned.encode_to_vec().into()), Outcome::Malformed);

    let federation = world.state.federation();
    let statement = reopened(&good).1;
    let by_kehl = signed::sign(&federation, &statement, &[&world.keys[&id(KEHL)]]);
    assert_eq!(world.outcome(&by_kehl.encode_to_vec().into()), Outcome::BadSignature, "a steward signs for a member");

    let mut broken = message.clone();
    let mut sig = broken.signatures[0].sig.to_vec();
    sig[10] ^= 1;
    broken.signatures[0].sig = sig.into();
    assert_eq!(world.outcome(&broken.encode_to_vec().into()), Outcome::BadSignature);

    let mut renamed = broken.clone();
    renamed.signatures[0].sig = message.signatures[0].sig.clone();
    renamed.r#type = "havenlink.directory.v1.Beat".into();
    assert_eq!(world.outcome(&renamed.encode_to_vec().into()), Outcome::Malformed, "bytes signed as something else");

    let extra = world.second(&good, KEHL);
    assert_eq!(world.outcome(&extra), Outcome::BadSignature, "a second signature that nobody asked for");
    assert_eq!(world.outcome(&good), Outcome::Accepted);
}

#[test]
fn an_accepted_payload_counts_once_and_a_rejected_one_may_come_again() {
    let mut world = World::three();
    let good = own_change(&mut world, GENT);
    let first = world.apply(&good);
    assert_eq!((first.outcome, first.is_new), (Outcome::Accepted, true));
    let again = world.apply(&good);
    assert_eq!((again.outcome, again.is_new, again.number), (Outcome::Accepted, false, first.number));

    // The same payload under other signatures is the same payload, and a dead one changes nothing either.
    let (mut message, _) = reopened(&good);
    message.signatures[0].sig = vec![0; 64].into();
    assert_eq!(world.apply(&message.encode_to_vec().into()).taken(), None);

    let stale = altered(&world, GENT, &good, |s| s.nonce = vec![9; 16].into());
    assert_eq!(world.outcome(&stale), Outcome::StaleVersion);
    let before = world.state.number();
    assert_eq!(world.apply(&stale).taken(), Some(before + 1), "each rejected try takes a number");
}

#[test]
fn statements_of_other_federations_rules_kinds_and_versions_are_refused() {
    let mut world = World::three();
    let good = own_change(&mut world, GENT);
    for (expected, change) in [
        (
            Outcome::WrongFederation,
            Box::new(|s: &mut proto::Statement| s.federation_id = vec![5; 32].into()) as Box<dyn FnOnce(&mut _)>,
        ),
        (Outcome::WrongFederation, Box::new(|s: &mut proto::Statement| s.federation_id = vec![0; 32].into())),
        (Outcome::RulesVersion, Box::new(|s: &mut proto::Statement| s.rules_version = 2)),
        (Outcome::RulesVersion, Box::new(|s: &mut proto::Statement| s.rules_version = 0)),
        (Outcome::RulesVersion, Box::new(|s: &mut proto::Statement| (s.rules_version, s.body) = (2, None))),
        (Outcome::UnknownKind, Box::new(|s: &mut proto::Statement| s.body = None)),
        (
            Outcome::UnknownKind,
            Box::new(|s: &mut proto::Statement| {
                s.body = Some(proto::statement::Body::Proposal(proto::Proposal { act: None }))
            }),
        ),
        (Outcome::StaleVersion, Box::new(|s: &mut proto::Statement| s.subject_version += 1)),
        (Outcome::StaleVersion, Box::new(|s: &mut proto::Statement| s.subject_version = 0)),
        (Outcome::StaleVersion, Box::new(|s: &mut proto::Statement| s.subject_version = u64::MAX)),
        (Outcome::NotYours, Box::new(|s: &mut proto::Statement| s.subject = KEHL.into())),
        (Outcome::Malformed, Box::new(|s: &mut proto::Statement| s.nonce = vec![1; 15].into())),
        (Outcome::Malformed, Box::new(|s: &mut proto::Statement| s.subject = "#else".into())),
        (
            Outcome::UnknownAuthor,
            Box::new(|s: &mut proto::Statement| {
                s.body = Some(proto::statement::Body::Approval(proto::Approval { proposal_id: vec![1; 32].into() }));
                s.author = "xx-nobody".into();
            }),
        ),
    ] {
        let bad = altered(&world, GENT, &good, change);
        assert_eq!(world.outcome(&bad), expected);
    }
    let genesis = world.state.genesis_signed().clone();
    let replayed = world.apply(&genesis);
    assert_eq!(
        (replayed.taken(), replayed.outcome),
        (None, Outcome::Accepted),
        "the genesis was accepted, as number 0"
    );
    let long = Bytes::from(vec![0; 16 * 1024 + 1]);
    assert_eq!(world.outcome(&long), Outcome::TooLarge);
    assert_eq!(world.outcome(&Bytes::from(vec![0; 16 * 1024])), Outcome::Malformed);
    assert_eq!(world.outcome(&Bytes::new()), Outcome::Malformed);
}

#[test]
fn entry_time_never_runs_back_and_is_bounded_at_the_door() {
    let mut world = World::three();
    let good = own_change(&mut world, GENT);
    let back = world.state.entry_time() - Millis(1);
    let applied = world.state.apply(back, &good, &Plain);
    assert_eq!(applied.outcome, Outcome::TimeOutOfBounds);
    assert_eq!(world.state.entry_time(), back + Millis(1));
    assert_eq!(world.outcome(&good), Outcome::Accepted);

    let now = world.now;
    assert!(entry_time_fits(now, now, now) && entry_time_fits(now, now + Millis::seconds(60), now));
    assert!(!entry_time_fits(now, now + Millis(60_001), now), "a minute and no more ahead");
    assert!(!entry_time_fits(now, now + Millis::days(365), now), "a year ahead");
    assert!(!entry_time_fits(now, now - Millis(1), now), "backwards");
    let ahead = now + Millis::days(3);
    assert!(entry_time_fits(ahead, ahead, now), "what is agreed on is gone on from");
    assert!(!entry_time_fits(ahead, ahead + Millis(1), now) && !entry_time_fits(ahead, now, now));
}

#[test]
fn two_orders_give_two_heads_and_equal_orders_one() {
    let mut world = World::three();
    let (a, b) = (own_change(&mut world, GENT), own_change(&mut world, KEHL));
    let (mut first, mut second, mut third) = (world.state.clone(), world.state.clone(), world.state.clone());
    let at = world.now + Millis(1);
    for (state, order) in [(&mut first, [&a, &b]), (&mut second, [&b, &a]), (&mut third, [&a, &b])] {
        for signed in order {
            assert_eq!(state.apply(at, signed, &Plain).outcome, Outcome::Accepted);
        }
    }
    assert_eq!(first.number(), second.number());
    assert_ne!(first.head(), second.head());
    assert_eq!(first.head(), third.head());
    // A withheld statement or another time shows as well.
    let mut withheld = world.state.clone();
    withheld.apply(at, &b, &Plain);
    let mut later = world.state.clone();
    later.apply(at + Millis(1), &a, &Plain);
    let mut earlier = world.state.clone();
    assert_ne!(earlier.apply(at, &a, &Plain).head, Some(later.head()));
    assert_ne!(withheld.head(), later.head());
}

#[test]
fn heads_follow_the_formula() {
    let mut world = World::founded();
    assert_eq!(world.state.head().0, world.state.federation().0);
    let before = world.state.head();
    let bad = Bytes::from_static(b"nonsense");
    let applied = world.apply(&bad);
    let mut hasher = Hasher::new();
    hasher.update(before.as_bytes());
    hasher.update(&1_u64.to_be_bytes());
    hasher.update(&world.now.0.to_be_bytes());
    hasher.update(Digest::of(&bad).as_bytes());
    hasher.update(&16_u16.to_be_bytes());
    assert_eq!((applied.taken(), applied.outcome), (Some(1), Outcome::Malformed));
    assert_eq!(applied.head, Some(hasher.finish()));
}

#[test]
fn genesis_statements_that_could_not_found_anything_are_refused() {
    let world = World::founded();
    let genesis = world.state.genesis_signed().clone();
    let key = &world.keys[&id(STRASBOURG)];
    let resigned = |change: &dyn Fn(&mut proto::Statement)| {
        let mut statement = reopened(&genesis).1;
        change(&mut statement);
        let message = signed::sign(&signed::NO_FEDERATION, &statement, &[key]);
        RegisterState::genesis(&message.encode_to_vec().into(), &Plain)
    };
    assert!(resigned(&|_| {}).is_ok());
    assert!(resigned(&|s| s.federation_id = vec![1; 32].into()).is_err());
    assert!(resigned(&|s| s.subject_version = 1).is_err());
    assert!(resigned(&|s| s.author = KEHL.into()).is_err());
    assert!(resigned(&|s| s.rules_version = 2).is_err());
    let of_genesis = |s: &mut proto::Statement, change: fn(&mut proto::Genesis)| {
        if let Some(proto::statement::Body::Genesis(genesis)) = &mut s.body {
            change(genesis);
        }
    };
    assert!(resigned(&|s| of_genesis(s, |g| g.policy = None)).is_err());
    assert!(resigned(&|s| of_genesis(s, |g| g.steward.as_mut().unwrap().raft_id = 0)).is_err());
    assert!(resigned(&|s| of_genesis(s, |g| g.steward.as_mut().unwrap().pins.clear())).is_err());
    let other = signed::sign(&signed::NO_FEDERATION, &reopened(&genesis).1, &[&new_key()]);
    assert!(RegisterState::genesis(&other.encode_to_vec().into(), &Plain).is_err(), "signed by another key");
}

#[tokio::test]
async fn a_signature_that_does_not_hold_ends_the_look_at_what_came_with_it() {
    let mut world = World::three();
    let dir = tempfile::tempdir().unwrap();
    let directory = lied_to::member(&dir, &world);
    directory.0.chain.follow(lied_to::changes(&world)).unwrap();
    let signed = |beat: &Bytes| Signed::decode(beat.clone()).unwrap();
    let [kehl, esch, strasbourg] =
        [KEHL, ESCH, STRASBOURG].map(|name| signed(&world.signed_beat(&world.beat_of(name))));
    let suspension = signed(&world.emergency(STRASBOURG, GENT));
    // A real steward's id and key, a new time, and a signature that somebody made up.
    let forged = |time| {
        let mut beat = signed(&world.signed_beat(&Beat { time: world.now + Millis(time), ..world.beat_of(ESCH) }));
        beat.signatures[0].sig = vec![7; 64].into();
        beat
    };
    let gossip = async |beats: Vec<Signed>| {
        let request = proto::GossipRequest { beats, overlay: vec![suspension.clone()], ..Default::default() };
        directory.gossip(&id(GENT), request).await.refused
    };
    let beats = [kehl].into_iter().chain((1..250).map(forged)).chain([esch.clone()]).collect();
    assert_eq!(gossip(beats).await, ["SIGNATURE_INVALID"], "one look, not two hundred and fifty");
    let heard: Vec<_> = directory.beats().into_iter().map(|beat| beat.steward).collect();
    assert_eq!(heard, [id(KEHL)], "what came before it counts, what came after it was not looked at");
    assert!(directory.overlay().is_empty());
    // A beat of nobody known costs no look at a signature, and spoils nothing.
    let mut unknown = forged(1);
    unknown.signatures[0].key_id = vec![1; 8].into();
    assert_eq!(gossip(vec![unknown, esch, strasbourg]).await, ["BEAT_INVALID"]);
    assert_eq!((directory.beats().len(), directory.overlay().len()), (3, 1));
}
