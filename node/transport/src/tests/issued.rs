//! Certificates under an authority's own key: what they open, and everything that only looks like one.

use super::world::*;
use crate::certificate::{Generated, LIFETIME};
use crate::clock::Clock;
use crate::domain::authority::{KeyRecord, PinnedKey, PublicKey};
use crate::domain::ids::FederationId;
use crate::domain::issued::{AuthoritySigner, NodeName};
use crate::domain::reason::Reason;
use crate::domain::time::{Millis, UnixMs};
use crate::issued::CROSSES;
use crate::*;

/// A fresh TLS key, with a certificate that nobody has published.
fn fresh(world: &World, name: &str) -> Generated {
    NodeIdentity::generate(&id(name), world.clock.now(), LIFETIME).unwrap()
}

/// A leaf for that key, under an authority's key.
fn leaf(world: &World, key: &Key, made: &Generated) -> Vec<u8> {
    let now = world.clock.now();
    key.issuing().leaf(&made.certificate.spki, now, now + LIFETIME).unwrap()
}

/// A member's node that shows this list from now on.
async fn showing(world: &World, name: &str, key: Key, made: &Generated, list: &[Vec<u8>]) -> Node {
    let listed = fresh(world, name).certificate.pin;
    let node = world.node(name, NodeIdentity::from_list(&made.key, list).unwrap(), key).await;
    world.admit_with(&node.authority, &node.key.public_key(), &[node.address], &[listed]);
    node
}

/// How both sides take a certificate over the lane that an issued one opens: as a caller's, and as the answering node's.
async fn both_ways(stranger: &Node, partner: &Node) -> (Result<String, Reason>, Result<String, Reason>) {
    let called = stranger.meet(partner).await.map_err(|status| classify(&status));
    let answered = partner.meet(stranger).await.map_err(|status| classify(&status));
    (called, answered)
}

fn refused(both: &(Result<String, Reason>, Result<String, Reason>)) -> bool {
    *both == (Err(Reason::PeerRefusedUs), Err(Reason::PeerPinUnknown))
}

#[tokio::test]
async fn a_new_certificate_of_a_partner_is_met_and_nothing_is_sent_to_it() {
    let world = World::new();
    let strasbourg = world.member("fr-strasbourg").await;
    let (key, made) = (Key::new(&id("de-kehl")), fresh(&world, "de-kehl"));
    let list = [leaf(&world, &key, &made)];
    let kehl = showing(&world, "de-kehl", key, &made, &list).await;
    assert_eq!(both_ways(&kehl, &strasbourg).await, (Ok("de-kehl".into()), Ok("fr-strasbourg".into())));
    // Records go over another connection, which only the exact pin opens.
    let refused = strasbourg.greet(&kehl).await.unwrap_err();
    assert_eq!(classify(&refused), Reason::PeerPinUnknown, "{refused:?}");
    // What is ordered is what lists a pin: it needs none.
    let ordering = strasbourg.pool.lane(&kehl.authority, Lane::Register).unwrap();
    assert_eq!(super::world::greet(ordering, "").await.unwrap(), "fr-strasbourg");
    let pin = made.certificate.pin;
    world.edit(&kehl.authority, |m| {
        m.entry.pins.push(PinnedKey { pin, valid_until: UnixMs::NEVER, proof: Default::default() })
    });
    strasbourg.greet(&kehl).await.unwrap();
}

/// An address that somebody said on the phone.
#[tokio::test]
async fn who_answers_at_an_address_proves_itself_by_its_pin_or_its_authoritys_key() {
    let world = World::new();
    let strasbourg = world.member("fr-strasbourg").await;
    let (kehl, stranger) = (world.member("de-kehl").await, world.stranger("xx-nobody").await);
    let asked = async |address: std::net::SocketAddr| {
        strasbourg.pool.who_answers(&address.to_string()).await.map_err(|error| error.reason())
    };
    let met = asked(kehl.address).await.unwrap();
    assert_eq!((met.authority, met.pin, met.is_pinned), (kehl.authority.clone(), kehl.identity.pin(), true));
    assert_eq!(asked(stranger.address).await, Err(Reason::PeerPinUnknown));
    let (key, made) = (Key::new(&id("lu-esch")), fresh(&world, "lu-esch"));
    let list = [leaf(&world, &key, &made)];
    let esch = showing(&world, "lu-esch", key, &made, &list).await;
    let met = asked(esch.address).await.unwrap();
    assert_eq!((met.authority, met.pin, met.is_pinned), (esch.authority.clone(), made.certificate.pin, false));
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(asked(dead).await, Err(Reason::PeerUnreachable));
}

/// A node that was restored knows a member by a file: by pins that may have been renewed since, and by its key.
#[tokio::test]
async fn a_contact_of_a_file_is_known_by_its_pins_or_by_its_authoritys_key() {
    let world = World::new();
    let restored = world.member("fr-strasbourg").await;
    let (key, made) = (Key::new(&id("de-kehl")), fresh(&world, "de-kehl"));
    let list = [leaf(&world, &key, &made)];
    let kehl = showing(&world, "de-kehl", key, &made, &list).await;
    let federation = FederationId([7; 32]);
    let (old, new) = ([fresh(&world, "de-kehl").certificate.pin], [made.certificate.pin]);
    let (own, other) = (kehl.key.public_key(), Key::new(&kehl.authority).public_key());
    let address = kehl.address.to_string();
    for (pins, key, met) in [(&old, &own, true), (&new, &other, true), (&old, &other, false)] {
        let known = pool::Known { federation, authority: &kehl.authority, pins, key };
        let greeted = greet(restored.pool.dial_known(&address, known).unwrap(), "").await;
        assert_eq!(greeted.is_ok(), met, "{greeted:?}");
        assert!(met || classify(&greeted.unwrap_err()) == Reason::PeerPinUnknown);
    }
}

#[tokio::test]
async fn nobody_is_vouched_for_by_anothers_key() {
    let world = World::new();
    let (strasbourg, esch) = (world.member("fr-strasbourg").await, world.member("lu-esch").await);
    // Esch's key, in Kehl's name.
    let made = fresh(&world, "de-kehl");
    let esch_as_kehl = Issuing { name: &Key::new(&id("de-kehl")).name, key: &esch.key, crosses: &[] };
    let now = world.clock.now();
    let forged = esch_as_kehl.leaf(&made.certificate.spki, now, now + LIFETIME).unwrap();
    let kehl = showing(&world, "de-kehl", Key::new(&id("de-kehl")), &made, &[forged]).await;
    assert!(refused(&both_ways(&kehl, &strasbourg).await));

    // Esch itself, at Kehl's address: a member, and not Kehl.
    let own = leaf(&world, &esch.key, &made);
    let at_kehls =
        world.node("de-kehl", NodeIdentity::from_list(&made.key, &[own]).unwrap(), Key::new(&id("xx-nobody"))).await;
    world.edit(&kehl.authority, |member| member.entry.endpoints = vec![at_kehls.address.to_string()]);
    assert_eq!(classify(&strasbourg.meet(&kehl).await.unwrap_err()), Reason::PeerPinUnknown);

    // Kehl's own certificate, shown by whoever does not hold its TLS key: for that key nobody signed.
    let theirs = leaf(&world, &kehl.key, &fresh(&world, "de-kehl"));
    let list = [made.certificate.der.clone(), theirs];
    let thief =
        world.node("fr-thief", NodeIdentity::from_list(&made.key, &list).unwrap(), Key::new(&id("xx-nobody"))).await;
    assert_eq!(classify(&thief.meet(&strasbourg).await.unwrap_err()), Reason::PeerRefusedUs);
}

/// A chain that a browser would take: Kehl's key, a certificate of it, and one that this one issued.
#[tokio::test]
async fn a_certificate_issues_no_certificate() {
    let world = World::new();
    let strasbourg = world.member("fr-strasbourg").await;
    let (key, between, made) = (Key::new(&id("de-kehl")), Key::new(&id("de-kehl")), fresh(&world, "de-kehl"));
    let now = world.clock.now();
    let link = key.issuing().leaf(&between.public_key().0, now, now + LIFETIME).unwrap();
    let list = [leaf(&world, &between, &made), link];
    let kehl = showing(&world, "de-kehl", key, &made, &list).await;
    assert!(refused(&both_ways(&kehl, &strasbourg).await));
}

/// Makes a certificate under a key.
type Form<'a> = &'a dyn Fn(&Key) -> Vec<u8>;

#[tokio::test]
async fn a_certificate_of_another_form_does_not_vouch() {
    let world = World::new();
    let strasbourg = world.member("fr-strasbourg").await;
    let (now, made) = (world.clock.now(), fresh(&world, "de-kehl"));
    let spki = &made.certificate.spki;
    let elsewhere = |key: &Key| {
        let name = NodeName { federation: FederationId([8; 32]), authority: id("de-kehl") };
        Issuing { name: &name, key, crosses: &[] }.leaf(spki, now, now + LIFETIME).unwrap()
    };
    let ended = |key: &Key| key.issuing().leaf(spki, now - LIFETIME, now - Millis::hours(1)).unwrap();
    let ahead = |key: &Key| key.issuing().leaf(spki, now + Millis::hours(1), now + LIFETIME).unwrap();
    let long = |key: &Key| issued::tests_only_leaf(&key.issuing(), spki, now, now + LIFETIME + Millis::hours(1));
    let forms: [(&str, Form<'_>); 4] =
        [("another federation", &elsewhere), ("ended", &ended), ("not yet valid", &ahead), ("91 days", &long)];
    for (what, form) in forms {
        let key = Key::new(&id("de-kehl"));
        // Beside a certificate that is valid, so that nothing but the leaf's own form is judged.
        let list = [made.certificate.der.clone(), form(&key)];
        let kehl = showing(&world, "de-kehl", key, &made, &list).await;
        assert!(refused(&both_ways(&kehl, &strasbourg).await), "{what}");
    }
    let key = Key::new(&id("de-kehl"));
    let list = [leaf(&world, &key, &made)];
    let kehl = showing(&world, "de-kehl", key, &made, &list).await;
    assert!(kehl.meet(&strasbourg).await.is_ok());
    world.edit(&kehl.authority, |member| member.removed_at = Some(now));
    let held = || strasbourg.connections.held() + kehl.connections.held();
    eventually("the connection of a removed one ends at both ends", || held() == 0).await;
    assert_eq!(classify(&kehl.meet(&strasbourg).await.unwrap_err()), Reason::PeerRefusedUs);
}

/// Rotations, oldest first: keys, and the cross certificates between them.
fn rotated(world: &World, name: &str, times: usize) -> (Vec<Key>, Vec<Vec<u8>>) {
    let mut keys = vec![Key::new(&id(name))];
    let mut crosses = Vec::new();
    for _ in 0..times {
        let next = Key::new(&id(name));
        crosses.push(keys.last().unwrap().issuing().cross(&next.public_key(), world.clock.now()).unwrap());
        keys.push(next);
    }
    (keys, crosses)
}

fn records(keys: &[PublicKey], withdrawn: Option<&PublicKey>) -> Vec<KeyRecord> {
    let (last, before) = keys.split_last().unwrap();
    let before = before.iter().map(|key| (key, Some(UnixMs(1)))).chain([(last, None)]);
    let record =
        |(key, replaced_at): (&PublicKey, _)| KeyRecord { key: *key, replaced_at, compromised: Some(key) == withdrawn };
    before.map(record).collect()
}

#[tokio::test]
async fn whoever_missed_up_to_eight_rotations_is_led_through_them() {
    for (missed, met) in [(1, true), (CROSSES, true), (CROSSES + 1, false)] {
        let world = World::new();
        let strasbourg = world.member("fr-strasbourg").await;
        let ((mut keys, crosses), made) = (rotated(&world, "de-kehl", missed), fresh(&world, "de-kehl"));
        let mut list = vec![leaf(&world, keys.last().unwrap(), &made)];
        // Their order says nothing.
        list.extend(crosses.iter().rev().cloned());
        let kehl = showing(&world, "de-kehl", keys.remove(0), &made, &list).await;
        let both = both_ways(&kehl, &strasbourg).await;
        assert_eq!(both.0.is_ok() && both.1.is_ok(), met, "{missed}: {both:?}");
        assert!(met || refused(&both), "{both:?}");
    }
}

#[tokio::test]
async fn a_withdrawn_key_vouches_for_nothing() {
    let world = World::new();
    let strasbourg = world.member("fr-strasbourg").await;
    let ((keys, crosses), made) = (rotated(&world, "de-kehl", 1), fresh(&world, "de-kehl"));
    let [stolen, current] = &keys[..] else { unreachable!() };
    let (thief, now) = (Key::new(&id("de-kehl")), world.clock.now());
    let public = [stolen.public_key(), current.public_key()];
    let lists = [
        ("the stolen key itself", vec![leaf(&world, stolen, &made)]),
        (
            "what it leads to",
            vec![leaf(&world, &thief, &made), stolen.issuing().cross(&thief.public_key(), now).unwrap()],
        ),
        ("a way back to it", vec![leaf(&world, stolen, &made), current.issuing().cross(&public[0], now).unwrap()]),
    ];
    for (what, list) in lists {
        let kehl = showing(&world, "de-kehl", Key::new(&id("de-kehl")), &made, &list).await;
        let withdraw = |member: &mut domain::directory::Member| {
            member.entry.authority_key = public[1];
            member.keys = records(&public, Some(&public[0]));
        };
        world.edit(&kehl.authority, withdraw);
        assert!(refused(&both_ways(&kehl, &strasbourg).await), "{what}");
    }
    // The owner goes on: what leads up to the key that is current now does not matter.
    let list = [leaf(&world, current, &made), crosses[0].clone()];
    let kehl = showing(&world, "de-kehl", Key::new(&id("de-kehl")), &made, &list).await;
    world.edit(&kehl.authority, |member| member.entry.authority_key = public[1]);
    assert!(kehl.meet(&strasbourg).await.is_ok());
}

#[tokio::test]
async fn a_withdrawal_ends_what_the_key_opened() {
    let world = World::new();
    let strasbourg = world.member("fr-strasbourg").await;
    let (key, made) = (Key::new(&id("de-kehl")), fresh(&world, "de-kehl"));
    let list = [leaf(&world, &key, &made)];
    let kehl = showing(&world, "de-kehl", key, &made, &list).await;
    assert!(kehl.meet(&strasbourg).await.is_ok() && strasbourg.meet(&kehl).await.is_ok());
    let keys = [kehl.key.public_key(), Key::new(&kehl.authority).public_key()];
    world.edit(&kehl.authority, |member| {
        member.entry.authority_key = keys[1];
        member.keys = records(&keys, Some(&keys[0]));
    });
    eventually("both ways", || strasbourg.connections.held() == 0).await;
}

#[tokio::test]
async fn of_two_successors_of_one_key_neither_is_believed() {
    let world = World::new();
    let strasbourg = world.member("fr-strasbourg").await;
    let (keys, crosses) = rotated(&world, "de-kehl", 1);
    let (made, stolen) = (fresh(&world, "de-kehl"), fresh(&world, "de-kehl"));
    let list = [leaf(&world, &keys[1], &made), crosses[0].clone()];
    let (thief, now) = (Key::new(&id("de-kehl")), world.clock.now());
    let forged = [leaf(&world, &thief, &stolen), keys[0].issuing().cross(&thief.public_key(), now).unwrap()];
    let after = keys[1].public_key();
    let kehl = showing(&world, "de-kehl", keys.into_iter().next().unwrap(), &made, &list).await;
    assert!(kehl.meet(&strasbourg).await.is_ok());
    let thief = world.node("de-kehl", NodeIdentity::from_list(&stolen.key, &forged).unwrap(), thief).await;
    assert_eq!(classify(&thief.meet(&strasbourg).await.unwrap_err()), Reason::PeerRefusedUs);
    assert_eq!(strasbourg.connections.sweep(), 1, "what the first one opened ends too");
    eventually("ended at both ends", || strasbourg.connections.held() + kehl.connections.held() == 0).await;
    assert!(refused(&both_ways(&kehl, &strasbourg).await));
    // Both in one list are no better.
    let fresh_view = world.member("be-liege").await;
    let both = [&list[..], &forged[1..]].concat();
    let both =
        world.node("de-kehl", NodeIdentity::from_list(&made.key, &both).unwrap(), Key::new(&id("de-kehl"))).await;
    assert_eq!(classify(&both.meet(&fresh_view).await.unwrap_err()), Reason::PeerRefusedUs);
    // The register says which.
    world.edit(&kehl.authority, |member| member.entry.authority_key = after);
    assert!(kehl.meet(&strasbourg).await.is_ok());
    assert_eq!(classify(&thief.meet(&strasbourg).await.unwrap_err()), Reason::PeerRefusedUs);
}

/// A certificate that another CA issued, as a national PKI's.
fn national(world: &World, made: &Generated) -> Vec<u8> {
    let ca = Key::new(&id("xx-pki"));
    let now = world.clock.now();
    issued::tests_only_national(&ca.issuing(), &made.certificate.spki, now, now + Millis::days(700))
}

#[tokio::test]
async fn a_national_pkis_certificate_works_by_its_pin_beside_an_issued_one() {
    let world = World::new();
    let strasbourg = world.member("fr-strasbourg").await;
    let (key, made, dir) = (Key::new(&id("de-kehl")), fresh(&world, "de-kehl"), tempfile::tempdir().unwrap());
    let identity = NodeIdentity::from_der(&made.key, &national(&world, &made)).unwrap();
    identity.issue(dir.path(), &key.issuing(), world.clock.now()).unwrap();
    let kehl = world.node("de-kehl", identity.clone(), key).await;
    let listed = |pin| world.admit_with(&kehl.authority, &kehl.key.public_key(), &[kehl.address], &[pin]);
    listed(made.certificate.pin);
    kehl.greet(&strasbourg).await.unwrap();
    strasbourg.greet(&kehl).await.unwrap();
    // Strasbourg knows an older pin of it.
    listed(fresh(&world, "de-kehl").certificate.pin);
    assert_eq!(both_ways(&kehl, &strasbourg).await, (Ok("de-kehl".into()), Ok("fr-strasbourg".into())));
    assert!(strasbourg.greet(&kehl).await.is_err());
    // The one beside it is made anew long before it ends; the other stays what it is.
    let (before, shown) = (identity.generation(), identity.certificate());
    identity.issue(dir.path(), &kehl.key.issuing(), world.clock.now() + Millis::days(59)).unwrap();
    assert_eq!(identity.generation(), before);
    identity.issue(dir.path(), &kehl.key.issuing(), world.clock.now() + Millis::days(61)).unwrap();
    assert_eq!((identity.generation(), identity.certificate()), (before + 1, shown));
}

/// Brought by the operator, published, promoted: partners know it by its pin, and whoever was away by the authority's key.
#[tokio::test]
async fn a_certificate_that_is_brought_stays_in_front_of_an_issued_one() {
    let world = World::new();
    let strasbourg = world.member("fr-strasbourg").await;
    let (key, made, dir) = (Key::new(&id("de-kehl")), fresh(&world, "de-kehl"), tempfile::tempdir().unwrap());
    let identity = world.identity(&id("de-kehl"));
    assert!(!identity.is_anothers());
    let der = national(&world, &made);
    let brought = NodeIdentity::bring(dir.path(), &made.key, &der, world.clock.now()).unwrap();
    let kehl = world.node("de-kehl", identity.clone(), key).await;
    let pinned = brought.pinned(&FederationId([7; 32]), &kehl.authority).unwrap();
    assert_eq!((pinned.pin, pinned.valid_until), (made.certificate.pin, brought.certificate().not_after));
    let key = kehl.key.public_key();
    world.admit_with(&kehl.authority, &key, &[kehl.address], &[identity.pin(), pinned.pin]);
    identity.promote(dir.path(), &kehl.key.issuing(), &world.view.load(), world.clock.now()).unwrap();
    assert!(identity.is_anothers() && identity.shown()[0] == der && identity.shown().len() == 2);
    strasbourg.greet(&kehl).await.unwrap();
    kehl.greet(&strasbourg).await.unwrap();
    let unlisted = fresh(&world, "de-kehl").certificate.pin;
    world.admit_with(&kehl.authority, &key, &[kehl.address], &[unlisted]);
    assert_eq!(both_ways(&kehl, &strasbourg).await, (Ok("de-kehl".into()), Ok("fr-strasbourg".into())));
}

#[test]
fn a_nodes_own_certificate_is_issued_once_and_again_when_its_key_or_its_time_is_over() {
    let world = World::new();
    let (authority, dir, now) = (id("de-kehl"), tempfile::tempdir().unwrap(), world.clock.now());
    let (keys, crosses) = rotated(&world, "de-kehl", 1);
    let made = fresh(&world, "de-kehl");
    NodeIdentity::store(dir.path(), &made).unwrap();
    let identity = NodeIdentity::load(dir.path()).unwrap();
    let issue = |key: &Key, at| {
        let before = identity.generation();
        identity.issue(dir.path(), &key.issuing(), at).unwrap();
        identity.generation() - before
    };
    assert_eq!((issue(&keys[0], now), issue(&keys[0], now)), (1, 0));
    let first = identity.certificate();
    assert_eq!((first.pin, first.not_before, first.not_after), same_dates(&made));
    assert_ne!(first.der, made.certificate.der);
    assert_eq!(NodeIdentity::load(dir.path()).unwrap().certificate(), first, "stored");
    assert_eq!((issue(&keys[1], now), issue(&keys[1], now)), (1, 0), "rotated");
    crosses::add(dir.path(), &crosses[0]).unwrap();
    crosses::add(dir.path(), &crosses[0]).unwrap();
    let read = crosses::read(dir.path(), &keys[1].public_key());
    assert_eq!(read, crosses, "once, however often it is added");
    assert!(crosses::read(dir.path(), &keys[0].public_key()).is_empty(), "none leads to the first");
    let with = Issuing { crosses: &read, ..keys[1].issuing() };
    identity.issue(dir.path(), &with, now).unwrap();
    assert_eq!(identity.shown().len(), 2);
    let ended = now + LIFETIME + Millis::hours(1);
    identity.issue(dir.path(), &with, ended).unwrap();
    let again = identity.certificate();
    assert_eq!((again.pin, again.is_valid(ended)), (first.pin, true), "for the same key, with fresh dates");
    assert_eq!(authority, with.name.authority);
    // A clock that was ten years ahead dated it; put right, the node shows one that is valid now.
    identity.issue(dir.path(), &with, now + Millis::days(3_650)).unwrap();
    assert!(!identity.certificate().is_valid(now));
    identity.issue(dir.path(), &with, now).unwrap();
    assert_eq!((identity.certificate().pin, identity.certificate().is_valid(now)), (first.pin, true));
}

fn same_dates(made: &Generated) -> (domain::ids::Pin, UnixMs, UnixMs) {
    (made.certificate.pin, made.certificate.not_before, made.certificate.not_after)
}

#[test]
fn the_chain_in_the_file_is_the_one_that_leads_to_the_key_in_use() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let (keys, crosses) = rotated(&world, "de-kehl", CROSSES + 3);
    // One of before a recovery, which leads nowhere.
    let (_, lost) = rotated(&world, "de-kehl", 1);
    for cross in lost.iter().chain(&crosses) {
        crosses::add(dir.path(), cross).unwrap();
    }
    let read = |at: usize| crosses::read(dir.path(), &keys[at].public_key());
    assert_eq!(read(CROSSES + 3), crosses[3..]);
    assert_eq!(read(CROSSES + 2), crosses[3..CROSSES + 2]);
    crosses::forget(dir.path()).unwrap();
    crosses::forget(dir.path()).unwrap();
    assert!(read(CROSSES + 3).is_empty());
}
