//! What is refused, by whom, and with which reason.

use bytes::Bytes;
use havenlink_proto::record::v1::{AuditAct, AuditLeaf};

use super::world::*;
use crate::clock::Clock;
use crate::domain::agreement::AgreementEndReason;
use crate::domain::authority::KeyRecord;
use crate::domain::ids::{Digest, Incarnation};
use crate::domain::reason::Reason;
use crate::domain::receipt::Verdict;
use crate::domain::record::StreamClass;
use crate::domain::records::offer::DisclosureLevel;
use crate::domain::stream::{Batch, Greeting, Hello, ItemBody, StreamId, Understands};
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::*;
use crate::wire::keys::SigningKey;
use crate::wire::peer;

/// The last content batch that was sent.
fn last_content(world: &World) -> Batch {
    let delivered = world.line.delivered.lock().unwrap();
    delivered.iter().rfind(|batch| batch.stream.class == StreamClass::Content).cloned().unwrap()
}

/// What the receiver says about each item, from its signed receipt.
async fn verdicts(world: &World, to: &str, caller: &str, batch: Batch) -> Vec<Verdict> {
    let answer = world.exchange(to).road.receive(&id(caller), batch).await.unwrap();
    let view = world.view.load_full();
    let now = world.clock.now();
    let key_of = |a: &_, k: &_| view.verifying_key(a, k, now).copied();
    let receipt = peer::open_receipt(answer.receipt.unwrap(), &view.federation, &key_of).unwrap();
    receipt.outcomes.iter().map(|o| o.verdict).collect()
}

#[tokio::test]
async fn without_an_agreement_nothing_is_published_and_the_refusal_names_the_recipient() {
    let world = World::with_agreements().await;
    let esch = world.exchange(ESCH);
    let refused = esch.road.publish(&call(), wished(sharing(&[STRASBOURG, KEHL]), sample_alert())).await.unwrap_err();
    let Error::Refused(refusal) = refused else { panic!("{refused:?}") };
    assert_eq!((refusal.reason, refusal.authority), (Reason::AgreementNotInForce, Some(id(KEHL))));
    world.settle().await;
    assert!(world.inbox(STRASBOURG).await.is_empty());
    let nobody = world
        .exchange(KEHL)
        .road
        .publish(&call(), Wished { authority: Some(id(ESCH)), ..wished(sharing(&[]), sample_alert()) })
        .await;
    assert_eq!(nobody.unwrap_err().reason(), Reason::NotFound);
}

#[tokio::test]
async fn an_envelope_replayed_to_another_city_is_refused() {
    let world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let for_kehl = last_content(&world);
    world.publish(STRASBOURG, &[ESCH]).await;
    world.settle().await;
    let for_esch = last_content(&world);
    let replayed = Batch { first: 2, items: for_kehl.items.clone(), ..for_esch.clone() };
    assert_eq!(verdicts(&world, ESCH, STRASBOURG, replayed).await, [Verdict::Refused(Reason::WrongRecipient)]);
    // And somebody else cannot deliver it, under its own name or under the origin's.
    let stream = StreamId { origin: id(KEHL), recipient: id(ESCH), class: StreamClass::Content };
    let foreign = Batch { stream, first: 1, items: for_esch.items.clone(), ..for_esch.clone() };
    let refused = world.exchange(ESCH).road.receive(&id(KEHL), foreign).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::IncarnationChanged, "Kehl and Esch never greeted");
    let refused = world.exchange(ESCH).road.receive(&id(KEHL), for_esch).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::WrongOrigin);
    let refused = world.exchange(ESCH).road.receive(&id(STRASBOURG), for_kehl).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::WrongRecipient);
}

/// Another place than the one that was signed.
fn tampered(envelope: &[u8]) -> Vec<u8> {
    let mut tampered = envelope.to_vec();
    let at = tampered.windows(4).position(|w| w == b"FRF1").expect("the place stands in the bytes");
    tampered[at + 3] = b'2';
    tampered
}

#[tokio::test]
async fn a_tampered_envelope_a_foreign_key_and_a_withdrawn_key_are_refused() {
    let world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let good = last_content(&world);
    let ItemBody::Envelope(bytes) = good.items[0].body.clone() else { panic!() };
    let tampered = tampered(&bytes);
    let with = |first, body: Vec<u8>| {
        let mut batch = Batch { first, ..good.clone() };
        batch.items[0].body = ItemBody::Envelope(body.into());
        batch
    };
    let seen = verdicts(&world, KEHL, STRASBOURG, with(2, tampered)).await;
    assert_eq!(seen, [Verdict::Refused(Reason::SignatureInvalid)]);

    let stranger = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    let envelope = understood(&bytes);
    let forged = crate::wire::sealed::seal(&envelope, &stranger);
    let seen = verdicts(&world, KEHL, STRASBOURG, with(3, forged.bytes.to_vec())).await;
    assert_eq!(seen, [Verdict::RetryLater(Reason::KeyNotCurrent)], "the register may list it in a moment");
    world.change_member(STRASBOURG, |m| {
        m.keys.insert(0, KeyRecord { key: stranger.public(), replaced_at: Some(UnixMs(0)), compromised: false });
    });
    let seen = verdicts(&world, KEHL, STRASBOURG, with(3, forged.bytes.to_vec())).await;
    assert_eq!(seen, [Verdict::Refused(Reason::KeyNotCurrent)], "replaced more than 24 hours ago");

    world.change_member(STRASBOURG, |m| m.keys[1].compromised = true);
    let seen = verdicts(&world, KEHL, STRASBOURG, with(4, bytes.to_vec())).await;
    assert_eq!(seen, [Verdict::Refused(Reason::KeyNotCurrent)]);
    assert_eq!(world.inbox(KEHL).await.len(), 1);
}

#[tokio::test]
async fn items_of_a_batch_that_cannot_be_opened_are_one_line_of_the_ledger() {
    let world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let mut batch = Batch { first: 2, ..last_content(&world) };
    let ItemBody::Envelope(bytes) = batch.items[0].body.clone() else { panic!() };
    let tampered = tampered(&bytes);
    batch.items[0].body = ItemBody::Envelope(tampered.into());
    batch.items = vec![batch.items[0].clone(); 40];
    let seen = verdicts(&world, KEHL, STRASBOURG, batch.clone()).await;
    assert_eq!(seen, [Verdict::Refused(Reason::SignatureInvalid); 40], "each is answered");
    verdicts(&world, KEHL, STRASBOURG, Batch { first: 42, ..batch }).await;
    let leaves = world.exchange(KEHL).upkeep.audit_leaves(0, 1_000).await.unwrap().0;
    let leaves = leaves.into_iter().map(|leaf| <AuditLeaf as prost::Message>::decode(leaf).unwrap());
    let refused: Vec<_> = leaves.filter(|leaf| leaf.act() == AuditAct::Refused).map(|leaf| leaf.reason).collect();
    assert_eq!(refused, ["SIGNATURE_INVALID"; 2], "one for each batch");
}

#[tokio::test]
async fn looking_at_bad_signatures_is_counted_and_what_they_leave_too() {
    let world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let good = last_content(&world);
    let ItemBody::Envelope(bytes) = good.items[0].body.clone() else { panic!() };
    let tampered = tampered(&bytes);
    let road = &world.exchange(KEHL).road;
    road.take_spent(&id(STRASBOURG));
    let (mut first, mut worked) = (2, std::time::Duration::ZERO);
    for _ in 0..3 {
        let mut batch = Batch { first, ..good.clone() };
        batch.items[0].body = ItemBody::Envelope(tampered.clone().into());
        batch.items = vec![batch.items[0].clone(); 50];
        assert_eq!(verdicts(&world, KEHL, STRASBOURG, batch).await, [Verdict::Refused(Reason::SignatureInvalid); 50]);
        first += 50;
        let spent = road.take_spent(&id(STRASBOURG));
        assert!(spent.worked > std::time::Duration::ZERO && spent.stored > 0, "{spent:?}");
        worked += spent.worked;
    }
    assert!(worked > std::time::Duration::from_micros(150 * 20), "{worked:?}: more than nothing for each signature");
    assert_eq!(road.take_spent(&id(STRASBOURG)), Spent::default(), "it is taken into account once");
    assert_eq!(road.take_spent(&id(ESCH)), Spent::default(), "and nobody pays for another one");
}

#[tokio::test]
async fn times_are_checked_by_the_receiver() {
    let world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let good = last_content(&world);
    let ItemBody::Envelope(bytes) = good.items[0].body.clone() else { panic!() };
    let key = &world.node(STRASBOURG).key;
    let with = |first, change: &dyn Fn(&mut crate::domain::envelope::Envelope)| {
        let mut envelope = understood(&bytes);
        envelope.record_id = crate::domain::ids::RecordId([7; 16]);
        change(&mut envelope);
        let mut batch = Batch { first, ..good.clone() };
        batch.items[0].body = ItemBody::Envelope(crate::wire::sealed::seal(&envelope, key).bytes);
        batch
    };
    let now = world.clock.now();
    let ahead = with(2, &|e| e.created = now + Millis::minutes(6));
    assert_eq!(verdicts(&world, KEHL, STRASBOURG, ahead).await, [Verdict::RetryLater(Reason::EnvelopeFromFuture)]);
    let expired = with(2, &|e| {
        e.created = now - Millis::days(2);
        e.expires = now - Millis::days(1);
        e.review_by = e.expires;
    });
    assert_eq!(verdicts(&world, KEHL, STRASBOURG, expired).await, [Verdict::Refused(Reason::EnvelopeExpired)]);
    let other_federation = with(3, &|e| e.federation = crate::domain::ids::FederationId([8; 32]));
    let seen = verdicts(&world, KEHL, STRASBOURG, other_federation).await;
    assert_eq!(seen, [Verdict::Refused(Reason::SignatureInvalid)]);
}

#[tokio::test]
async fn an_ended_agreement_is_refused_by_the_sender_and_by_the_receiver() {
    let world = World::with_agreements().await;
    let made = world.exchange(KEHL).agreements.set().partners(&id(KEHL), world.clock.now());
    assert_eq!(made.into_iter().collect::<Vec<_>>(), [id(STRASBOURG)]);
    let before = world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let agreement = world.exchange(KEHL).agreements.list_agreements().await.unwrap()[0].id;
    // Kehl ends it while the line is down: Strasbourg does not know yet, and still sends.
    world.line.down.lock().unwrap().insert(id(STRASBOURG));
    world
        .exchange(KEHL)
        .agreements
        .end_agreement(&call(), agreement, AgreementEndReason::NoLongerNeeded)
        .await
        .unwrap();
    let late = world.publish(STRASBOURG, &[KEHL]).await;
    let refused = world.exchange(KEHL).road.publish(&call(), wished(sharing(&[STRASBOURG]), sample_alert())).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::AgreementEnded);
    world.exchange(STRASBOURG).road.dispatch_pass().await.unwrap();
    world.line.down.lock().unwrap().clear();
    let content = StreamId { origin: id(STRASBOURG), recipient: id(KEHL), class: StreamClass::Content };
    while world.exchange(STRASBOURG).road.deliver_pass(&content).await == Pass::Now {}
    let states = world.delivery(STRASBOURG, late.record_id).await;
    assert_eq!(states, [(DeliveryState::Refused, Some(Reason::AgreementEnded))]);
    world.settle().await;
    let refused = world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[KEHL]), sample_alert())).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::AgreementEnded);
    assert_eq!(world.inbox(KEHL).await.into_iter().map(|(_, r)| r).collect::<Vec<_>>(), [before.record_id]);
}

#[tokio::test]
async fn what_was_delivered_stays_so_if_its_recipient_lost_it_and_the_agreement_has_ended() {
    let mut world = World::with_agreements().await;
    let delivered = world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    world.line.down.lock().unwrap().insert(id(KEHL));
    let queued = world.publish(STRASBOURG, &[KEHL]).await;
    world.end_with(STRASBOURG, KEHL).await;
    world.start(KEHL, 1 << 43, None).await;
    world.line.down.lock().unwrap().clear();
    world.settle().await;
    assert!(world.inbox(KEHL).await.is_empty());
    assert_eq!(world.delivery(STRASBOURG, delivered.record_id).await, [(DeliveryState::Delivered, None)]);
    let states = world.delivery(STRASBOURG, queued.record_id).await;
    assert_eq!(states, [(DeliveryState::Refused, Some(Reason::AgreementEnded))], "it never arrived");
}

#[tokio::test]
async fn what_was_queued_under_an_ended_agreement_is_not_sent() {
    let world = World::with_agreements().await;
    world.line.down.lock().unwrap().insert(id(KEHL));
    let queued = world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    world.end_with(STRASBOURG, KEHL).await;
    world.line.down.lock().unwrap().clear();
    world.settle().await;
    let states = world.delivery(STRASBOURG, queued.record_id).await;
    assert_eq!(states, [(DeliveryState::Refused, Some(Reason::AgreementEnded))]);
    assert!(world.inbox(KEHL).await.is_empty());
    let sent = world.line.delivered.lock().unwrap();
    let content = sent.iter().filter(|b| b.stream.class == StreamClass::Content).flat_map(|b| &b.items);
    assert!(content.clone().count() > 0 && content.clone().all(|i| matches!(i.body, ItemBody::Skip(_))));
}

#[tokio::test]
async fn a_stale_or_unknown_incarnation_is_refused_as_a_whole() {
    let world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let good = last_content(&world);
    for batch in [
        Batch { origin_incarnation: Incarnation(7), ..good.clone() },
        Batch { recipient_incarnation: Incarnation(7), ..good.clone() },
    ] {
        let refused = world.exchange(KEHL).road.receive(&id(STRASBOURG), batch).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::IncarnationChanged);
    }
    let old = Hello {
        federation: world.view.load().federation,
        authority: id(STRASBOURG),
        incarnation: Incarnation(0),
        time: world.clock.now(),
        recipient: id(KEHL),
        register: world.view.load().position(),
        understands: Understands::here(1, &[]),
    };
    let told = |hello: &Hello| Greeting {
        hello: peer::sign_hello(hello, &world.node(STRASBOURG).key),
        recipient: id(KEHL),
        held: Bytes::new(),
    };
    let kehl = &world.exchange(KEHL).road;
    let shown = kehl.greet(&id(STRASBOURG), told(&old)).await.unwrap().held;
    assert!(!shown.is_empty(), "it is shown its own word, and nothing is taken");
    let foreign = kehl.greet(&id(ESCH), told(&old)).await.unwrap_err();
    assert_eq!(foreign.reason(), Reason::WrongOrigin);
    let to_esch = Hello { recipient: id(ESCH), ..old };
    let passed_on = kehl.greet(&id(STRASBOURG), told(&to_esch)).await.unwrap_err();
    assert_eq!(passed_on.reason(), Reason::WrongRecipient);
}

#[tokio::test]
async fn a_forged_receipt_settles_nothing() {
    let world = World::new().await;
    world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let published = world.publish(STRASBOURG, &[KEHL]).await;
    world.exchange(STRASBOURG).road.dispatch_pass().await.unwrap();
    // The partner stores other bytes than were sent and signs for them.
    let other = world.envelope(STRASBOURG, KEHL);
    let other = crate::wire::sealed::seal(&other, &world.node(STRASBOURG).key);
    *world.line.tap.lock().unwrap() = Some(Box::new(move |batch| {
        if batch.stream.class == StreamClass::Content {
            batch.items[0].body = ItemBody::Envelope(other.bytes.clone());
        }
    }));
    let content = StreamId { origin: id(STRASBOURG), recipient: id(KEHL), class: StreamClass::Content };
    // It may be a receipt that was given to an earlier life of this node: a greeting tells, once, before anybody waits.
    for waits in [false, true] {
        let pass = world.exchange(STRASBOURG).road.deliver_pass(&content).await;
        assert_eq!(matches!(pass, Pass::After(_)), waits, "{pass:?}");
        let states = world.delivery(STRASBOURG, published.record_id).await;
        assert_eq!(states, [(DeliveryState::Queued, Some(Reason::StreamOutOfOrder))]);
    }
    assert_ne!(Digest::of(b"sent"), Digest::of(b"signed for"));
}

#[tokio::test]
async fn an_unknown_key_waits_while_the_register_is_behind() {
    let world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let good = last_content(&world);
    let ItemBody::Envelope(bytes) = good.items[0].body.clone() else { panic!() };
    let new_key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    let sealed = crate::wire::sealed::seal(&understood(&bytes), &new_key);
    let mut batch = Batch { first: 2, ..good };
    batch.items[0].body = ItemBody::Envelope(sealed.bytes);
    let long_ago = world.clock.now() - Millis::days(36_501);
    world.change_view(|view| view.majority_beat = Some(long_ago));
    // The call fails, not the item: nothing is consumed, however long the register stays behind.
    let refused = world.exchange(KEHL).road.receive(&id(STRASBOURG), batch).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::RegisterNotFresh, "it may be a key that came since");
}

#[tokio::test]
async fn a_batch_that_overtakes_the_one_before_it_is_refused() {
    let world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let next = Batch { first: 2, ..last_content(&world) };
    let origin = id(STRASBOURG);
    let mut first = Box::pin(world.exchange(KEHL).road.receive(&origin, next.clone()));
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    let second = world.exchange(KEHL).road.receive(&origin, next).await;
    assert_eq!(second.unwrap_err().reason(), Reason::BatchInFlight);
    assert_eq!(first.await.unwrap().next, 3);
}

#[tokio::test]
async fn an_agreement_of_others_is_not_taken() {
    let world = World::with_agreements().await;
    let sent = |to: &str| {
        let delivered = world.line.delivered.lock().unwrap();
        let to_it = |b: &&Batch| b.stream.class == StreamClass::Control && b.stream.recipient == id(to);
        delivered.iter().rfind(to_it).cloned().unwrap()
    };
    // What Strasbourg agreed with Kehl, put into an envelope for Esch by Strasbourg itself.
    let (for_kehl, for_esch) = (sent(KEHL), sent(ESCH));
    let ItemBody::Envelope(bytes) = for_kehl.items[0].body.clone() else { panic!() };
    let mut envelope = understood(&bytes);
    envelope.recipient = id(ESCH);
    envelope.record_id = crate::domain::ids::RecordId([7; 16]);
    let sealed = crate::wire::sealed::seal(&envelope, &world.node(STRASBOURG).key);
    let mut batch = Batch { first: for_esch.first + for_esch.items.len() as u64, ..for_esch };
    batch.items.truncate(1);
    batch.items[0].body = ItemBody::Envelope(sealed.bytes);
    assert_eq!(verdicts(&world, ESCH, STRASBOURG, batch).await, [Verdict::Refused(Reason::AgreementNotParty)]);
}
