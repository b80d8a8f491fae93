//! A new certificate: proved before it replaces the old one, and nothing that runs is dropped.

use super::world::*;
use crate::certificate::{Generated, LIFETIME};
use crate::clock::Clock;
use crate::domain::authority::PinnedKey;
use crate::domain::reason::Reason;
use crate::domain::time::{Millis, UnixMs};
use crate::*;

fn publish(world: &World, node: &Node, new: &Generated) {
    let pin = new.certificate.pin;
    world.edit(&node.authority, |m| {
        m.entry.pins.push(PinnedKey { pin, valid_until: UnixMs::NEVER, proof: Default::default() })
    });
}

#[tokio::test]
async fn a_certificate_is_replaced_under_a_running_call() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    let channel = strasbourg.pool.channel(&kehl.authority).unwrap();
    let entered = kehl.fake.entered.notified();
    let running = tokio::spawn(greet(channel, "wait"));
    entered.await;

    for node in [&kehl, &strasbourg] {
        let new = NodeIdentity::generate(&node.authority, world.clock.now(), LIFETIME).unwrap();
        publish(&world, node, &new);
        let now = world.clock.now();
        let taken = node.identity.replace(&new.key, &new.certificate.der, &node.authority, &world.view.load(), now);
        assert_eq!(taken.unwrap(), new.certificate.pin);
    }
    // New calls go over a new connection, with the new certificates on both sides, while the old call still runs.
    assert_eq!(strasbourg.greet(&kehl).await.unwrap(), "fr-strasbourg");
    assert_eq!(kehl.connections.counts(&strasbourg.authority).incoming, 2);
    kehl.fake.go_on.notify_one();
    assert_eq!(running.await.unwrap().unwrap(), "fr-strasbourg");
    eventually("the old connection drains", || kehl.connections.counts(&strasbourg.authority).incoming == 1).await;

    // The old pins go: what is in use stays.
    for node in [&kehl, &strasbourg] {
        world.edit(&node.authority, |member| member.entry.pins.retain(|p| p.pin == node.identity.pin()));
    }
    assert_eq!(strasbourg.greet(&kehl).await.unwrap(), "fr-strasbourg");
}

#[tokio::test]
async fn what_is_not_proved_is_not_taken() {
    let world = World::new();
    let kehl = world.member("de-kehl").await;
    let (old, now) = (kehl.identity.pin(), world.clock.now());
    let good = NodeIdentity::generate(&kehl.authority, now, LIFETIME).unwrap();
    let other = NodeIdentity::generate(&kehl.authority, now, LIFETIME).unwrap();
    let later = NodeIdentity::generate(&kehl.authority, now + Millis::hours(1), LIFETIME).unwrap();
    let attempt = |key: &[u8], certificate: &[u8]| {
        let taken = kehl.identity.replace(key, certificate, &kehl.authority, &world.view.load(), now);
        taken.map_err(|error| (error.reason(), std::error::Error::source(&error).unwrap().to_string()))
    };
    let refused = |text: &str| Err((Reason::CertificateInvalid, text.to_owned()));
    let unpublished = "the pin is not published in this authority's register entry";
    assert_eq!(attempt(&good.key, &good.certificate.der), refused(unpublished));
    publish(&world, &kehl, &good);
    publish(&world, &kehl, &later);
    assert_eq!(attempt(&other.key, &good.certificate.der), refused("the key does not fit the certificate"));
    assert_eq!(attempt(&later.key, &later.certificate.der), refused("the certificate is not valid now"));
    assert_eq!(attempt(&good.key, b"0 not a certificate"), refused("the certificate does not load"));
    assert_eq!(kehl.identity.pin(), old);
    assert_eq!(attempt(&good.key, &good.certificate.der), Ok(good.certificate.pin));
    assert_eq!(kehl.identity.generation(), 1);
}

#[tokio::test]
async fn a_renewal_survives_a_restart_at_each_step() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let (authority, now) = (id("de-kehl"), world.clock.now());
    let key = Key::new(&authority);
    let first = NodeIdentity::generate(&authority, now, LIFETIME).unwrap();
    NodeIdentity::store(dir.path(), &first).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&dir.path().join("tls.key").metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let identity = NodeIdentity::load(dir.path()).unwrap();
    assert_eq!(identity.pin(), first.certificate.pin);
    let nothing = identity.promote(dir.path(), &key.issuing(), &world.view.load(), now).unwrap_err();
    assert_eq!(nothing.reason(), Reason::CertificateInvalid);

    let next = NodeIdentity::prepare(dir.path(), &key.issuing(), now, LIFETIME).unwrap();
    assert_eq!(
        NodeIdentity::prepare(dir.path(), &key.issuing(), now, LIFETIME).unwrap().certificate(),
        next.certificate(),
        "the same after a restart"
    );
    assert!(identity.promote(dir.path(), &key.issuing(), &world.view.load(), now).is_err(), "not published yet");
    assert_eq!(NodeIdentity::load(dir.path()).unwrap().pin(), first.certificate.pin);
    world.admit(&authority, &[], &[first.certificate.pin, next.pin()]);
    // The process dies after the first of the two renames.
    std::fs::rename(dir.path().join("tls.next.key"), dir.path().join("tls.key")).unwrap();
    assert_eq!(NodeIdentity::load(dir.path()).unwrap().pin(), next.pin());

    let identity = NodeIdentity::load(dir.path()).unwrap();
    let third = NodeIdentity::prepare(dir.path(), &key.issuing(), now, LIFETIME).unwrap();
    assert_ne!(third.pin(), next.pin());
    world.admit(&authority, &[], &[next.pin(), third.pin()]);
    assert_eq!(identity.promote(dir.path(), &key.issuing(), &world.view.load(), now).unwrap(), third.pin());
    assert_eq!(NodeIdentity::load(dir.path()).unwrap().pin(), third.pin());
    let third = third.certificate();
    assert_eq!(third.renew_at(), third.not_before + Millis::days(60));
}

#[test]
fn what_does_not_fit_is_not_brought() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let (kehl, now) = (id("de-kehl"), world.clock.now());
    let make = |from, life| NodeIdentity::generate(&kehl, from, life).unwrap();
    let (good, other) = (make(now, LIFETIME), make(now, LIFETIME));
    let (ended, later) = (make(now - LIFETIME, Millis::days(89)), make(now + Millis::hours(1), LIFETIME));
    let unknown = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
    let of_unknown = rcgen::CertificateParams::new(vec!["de-kehl".to_owned()]).unwrap().self_signed(&unknown).unwrap();
    local_ca::LocalCa::open(dir.path(), &kehl, now).unwrap();
    let read = |name| std::fs::read(dir.path().join(name)).unwrap();
    let (ca_key, ca) = (read(local_ca::KEY), read(local_ca::CERTIFICATE));
    let attempt = |key: &[u8], certificate: &[u8]| {
        let brought = NodeIdentity::bring(dir.path(), key, certificate, now);
        brought.map(|identity| identity.pin()).map_err(|error| std::error::Error::source(&error).unwrap().to_string())
    };
    for (key, certificate, what) in [
        (&other.key[..], &good.certificate.der[..], "the key does not fit"),
        (&ended.key[..], &ended.certificate.der[..], "is not valid now"),
        (&later.key[..], &later.certificate.der[..], "is not valid now"),
        (&good.key[..], &b"-----BEGIN CERTIFICATE-----"[..], "the certificate does not load"),
        (&b"-----BEGIN EC PRIVATE KEY-----"[..], &good.certificate.der[..], "an unencrypted PKCS#8 key"),
        (&unknown.serialize_der()[..], &of_unknown.der()[..], "keys of four forms"),
        (&ca_key[..], &ca[..], "a CA's certificate"),
    ] {
        let refused = attempt(key, certificate).unwrap_err();
        assert!(refused.contains(what), "{refused}, not {what}");
        assert_eq!(NodeIdentity::prepared(dir.path()).unwrap(), None, "{what}");
    }
    assert_eq!(attempt(&good.key, &good.certificate.der), Ok(good.certificate.pin));
    assert_eq!(NodeIdentity::prepared(dir.path()).unwrap(), Some(good.certificate.pin));
}

#[tokio::test]
async fn four_hundred_days_of_renewals_drop_no_exchange() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut renewals = 0;
    for _day in 0..400 {
        for (node, dir) in [&strasbourg, &kehl].into_iter().zip(&dirs) {
            let now = world.clock.now();
            if now < node.identity.certificate().renew_at() {
                continue;
            }
            let next = NodeIdentity::prepare(dir.path(), &node.key.issuing(), now, LIFETIME).unwrap();
            let overlap = now + Millis::days(7);
            world.edit(&node.authority, |member| {
                member.entry.pins.iter_mut().for_each(|old| old.valid_until = old.valid_until.min(overlap));
                member.entry.pins.push(PinnedKey {
                    pin: next.pin(),
                    valid_until: UnixMs::NEVER,
                    proof: Default::default(),
                });
            });
            let taken = node.identity.promote(dir.path(), &node.key.issuing(), &world.view.load(), now).unwrap();
            assert_eq!(taken, next.pin());
            renewals += 1;
        }
        strasbourg.greet(&kehl).await.unwrap();
        kehl.greet(&strasbourg).await.unwrap();
        strasbourg.connections.sweep();
        kehl.connections.sweep();
        world.clock.advance(Millis::days(1));
    }
    assert_eq!(renewals, 12, "every 60 days on both sides");
}

/// Compiles only while the type has no `Debug`: with it, the item would be ambiguous.
macro_rules! has_no_debug {
    ($type:ty) => {{
        trait Item<A> {
            fn item() {}
        }
        struct WithDebug;
        impl<T> Item<()> for T {}
        impl<T: std::fmt::Debug> Item<WithDebug> for T {}
        <$type as Item<_>>::item();
    }};
}

#[test]
fn what_holds_a_private_key_cannot_be_printed() {
    has_no_debug!(NodeIdentity);
    has_no_debug!(Generated);
}
