//! Authority keys and pins: rotation, a withdrawn key, and what the register never takes.

use havenlink::demo::acts::{reason_of, request_id};
use havenlink::demo::city::City;
use havenlink::domain::ids::Digest;
use havenlink_proto::admin::v1::UpdateEntryRequest;
use havenlink_proto::directory::v1::{AuthorityEntry, Pin};
use havenlink_proto::local::v1::DeliveryState;
use havenlink_tests::federation::{Federation, ctl};

use crate::steps::*;

async fn update(city: &City, entry: AuthorityEntry) -> Result<(), String> {
    let request = UpdateEntryRequest { request_id: request_id(), entry: Some(entry), version: 0 };
    let updated = city.members().await.unwrap().update_entry(request).await;
    updated.map(drop).map_err(|status| reason_of(&status))
}

async fn entry_of(city: &City) -> AuthorityEntry {
    member(city, city.id()).await.unwrap().entry.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partners_go_on_through_rotations_and_no_record_is_lost_with_a_withdrawn_key() {
    let mut federation = Federation::found(3, 1, "").await.unwrap();
    federation.agree(1, 2).await.unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three cities") };

    // Records flow while Kehl rotates: new signatures meet a register that does not know the key yet.
    let mut sent = publish_many(kehl, &[esch.id()], 3).await.unwrap();
    let before = entry_of(kehl).await.authority_key;
    ctl(kehl, &["node", "rotate-key"]).await.unwrap();
    sent.extend(publish_many(kehl, &[esch.id()], 3).await.unwrap());
    assert_ne!(entry_of(kehl).await.authority_key, before);
    until_delivered(kehl, esch.id(), &sent, DeliveryState::Delivered).await;

    // Signed with the old key, waiting for a partner that is away, and the key is replaced meanwhile: it verifies for 24
    // hours. Withdrawn, nothing signed with it verifies: what waits is signed again. The partner knows of both before
    // the records come, and the sender goes on with the keys that lie on its disk.
    for rotation in [&["node", "rotate-key"][..], &["node", "rotate-key", "--compromised", "--yes"]] {
        esch.stop().await.unwrap();
        let mut waiting = publish_many(kehl, &[esch.id()], 3).await.unwrap();
        ctl(kehl, rotation).await.unwrap();
        waiting.extend(publish_many(kehl, &[esch.id()], 2).await.unwrap());
        let number = kehl.status().await.unwrap().register_number;
        kehl.stop().await.unwrap();
        esch.start().unwrap();
        reached(esch, number).await;
        kehl.start().unwrap();
        kehl.ready().await.unwrap();
        until_delivered(kehl, esch.id(), &waiting, DeliveryState::Delivered).await;
    }

    // What the register never takes, each by its own reason.
    let own = entry_of(kehl).await;
    let mut of_another = own.clone();
    of_another.pins.push(entry_of(strasbourg).await.pins[0].clone());
    assert_eq!(update(kehl, of_another).await, Err("DUPLICATE_PIN".to_owned()));
    // The Ed25519 key of RFC 8032, section 7.1, test 1, as a certificate's key.
    let raw = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let raw: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&raw[2 * i..2 * i + 2], 16).unwrap()).collect();
    let spki = [&own.authority_key[..12], &raw].concat();
    let mut known = own.clone();
    known.pins.push(Pin { spki_sha256: Digest::of(&spki).0.to_vec().into(), ..own.pins[0].clone() });
    assert_eq!(update(kehl, known).await, Err("WELL_KNOWN_KEY".to_owned()));
    // A certificate is renewed beside the one in use, and the exchange goes on.
    ctl(kehl, &["node", "renew"]).await.unwrap();
    assert_eq!(entry_of(kehl).await.pins.len(), 2, "the old pin stands beside the new one");
    let last = publish(kehl, &[esch.id()]).await.unwrap();
    until_delivered(kehl, esch.id(), &[last], DeliveryState::Delivered).await;
}
