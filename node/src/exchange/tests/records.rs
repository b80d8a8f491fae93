//! Offers at their level, practices by their codes, the ledger.

use havenlink_proto::record::v1::{AuditAct, AuditLeaf};

use super::world::*;
use crate::clock::Clock;
use crate::demo::sample;
use crate::domain::ids::{Incarnation, OfferId};
use crate::domain::light::Light;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind, ReferenceKind, StreamClass};
use crate::domain::records::alert::AlertDetails;
use crate::domain::records::answer::Answer;
use crate::domain::records::offer::{AvailabilityClass, CapacityBand, CapacityLevel, DisclosureLevel, OwnOffer};
use crate::domain::records::practice::{PracticeOutcome, PracticeTopic};
use crate::domain::text::{Language, Text};
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::*;
use crate::storage::ops::{NewPartnerOffer, Put, Receive, Write, WriteOp};
use crate::storage::rows::InStreamKey;
use crate::wire::records::{offer, practice};

fn refuge(world: &World, free: u32) -> OwnOffer {
    let now = world.clock.now();
    offer::own_from_proto(sample::refuge(free), OfferId([5; 16]), &id(STRASBOURG), now).unwrap()
}

#[tokio::test]
async fn a_refuge_is_a_band_for_one_partner_and_a_light_for_the_other() {
    let world = World::with_agreements().await;
    let strasbourg = world.exchange(STRASBOURG);
    let (held, recipients) = strasbourg.capacity.set_offer(&call(), refuge(&world, 2), None).await.unwrap();
    assert_eq!(recipients.len(), 2);
    world.settle().await;
    let kehl = world.exchange(KEHL).capacity.partner_offers(COORDINATOR).await.unwrap();
    let esch = world.exchange(ESCH).capacity.partner_offers(COORDINATOR).await.unwrap();
    assert_eq!(view(&kehl[0]).capacity.level, CapacityLevel::Availability(AvailabilityClass::Few));
    assert_eq!(view(&esch[0]).capacity.level, CapacityLevel::Band(CapacityBand::OneToTwo));
    assert_eq!((kehl[0].light, esch[0].light), (Light::Few, Light::Few));
    assert!(view(&kehl[0]).area.code().len() <= 4, "a protected offer shows NUTS-2 at most");
    // An hour later nobody calls it available; confirmed, it is again.
    world.clock.advance(Millis::minutes(61));
    assert_eq!(world.exchange(KEHL).capacity.partner_offers(COORDINATOR).await.unwrap()[0].light, Light::CallFirst);
    assert_eq!(strasbourg.capacity.confirm_offers(&call(), Which::All).await.unwrap(), 1);
    world.settle().await;
    let again = world.exchange(KEHL).capacity.partner_offers(COORDINATOR).await.unwrap();
    assert_eq!((again.len(), again[0].light), (1, Light::Few));
    assert!(view(&again[0]).version > held.version);
    // A partner that does not answer is shown as such, with what was last known.
    world.line.down.lock().unwrap().insert(id(STRASBOURG));
    world.exchange(KEHL).upkeep.greet_pass().await.unwrap();
    assert_eq!(world.exchange(KEHL).capacity.partner_offers(COORDINATOR).await.unwrap()[0].light, Light::Unreachable);
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_offer_available_again() {
    let mut world = World::with_agreements().await;
    world.exchange(STRASBOURG).capacity.set_offer(&call(), refuge(&world, 4), None).await.unwrap();
    world.settle().await;
    async fn light(world: &World) -> Light {
        world.exchange(KEHL).capacity.partner_offers(COORDINATOR).await.unwrap()[0].light
    }
    assert_eq!(light(&world).await, Light::Available);
    world.clock.advance(Millis::minutes(150));
    assert_eq!(light(&world).await, Light::CallFirst);
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    world.clock.advance(Millis::minutes(-120));
    assert_eq!(light(&world).await, Light::CallFirst);
    // Nor does a start: the ledger knows that it was later already.
    let store = world.node(KEHL).store.clone();
    world.start(KEHL, 0, Some(store)).await;
    assert_eq!(light(&world).await, Light::NotReported);
    assert_eq!(world.exchange(STRASBOURG).capacity.confirm_offers(&call(), Which::All).await.unwrap(), 1);
    world.settle().await;
    assert_eq!(light(&world).await, Light::Available);
}

#[tokio::test]
async fn an_offer_is_not_shown_past_its_time_and_not_kept() {
    let world = World::with_agreements().await;
    world.exchange(STRASBOURG).capacity.set_offer(&call(), refuge(&world, 2), None).await.unwrap();
    world.settle().await;
    let kehl = world.exchange(KEHL);
    let kept = async || world.node(KEHL).store.partner_offers().await.unwrap().len();
    world.clock.advance(limits::CAPACITY_LIFE - Millis::minutes(1));
    assert_eq!(kehl.capacity.partner_offers(COORDINATOR).await.unwrap().len(), 1);
    // The statement has expired. Nothing newer came, and no agreement has to end for it.
    world.clock.advance(Millis::minutes(1));
    assert!(kehl.capacity.partner_offers(COORDINATOR).await.unwrap().is_empty());
    assert_eq!(kept().await, 1);
    kehl.upkeep.sweep_pass().await.unwrap();
    assert_eq!(kept().await, 0);
    assert_eq!(world.exchange(STRASBOURG).capacity.confirm_offers(&call(), Which::All).await.unwrap(), 1);
    world.settle().await;
    assert_eq!(kehl.capacity.partner_offers(COORDINATOR).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_partner_with_too_many_offers_is_refused_one_more_and_nothing_waits_behind_it() {
    let world = World::with_agreements().await;
    let offer = |n: u8| {
        let mut offer = refuge(&world, 4);
        offer.id = OfferId([n; 16]);
        offer
    };
    let (strasbourg, kehl) = (world.exchange(STRASBOURG), world.exchange(KEHL));
    strasbourg.capacity.set_offer(&call(), offer(1), None).await.unwrap();
    world.settle().await;
    let known = world.node(KEHL).store.partner_offers().await.unwrap().remove(0);
    let others = (2..limits::PARTNER_OFFERS as u128)
        .map(|n| Put::PartnerOffer(NewPartnerOffer { id: OfferId(n.to_be_bytes()), ..partner_offer_again(&known) }));
    let stream = InStreamKey {
        origin: id(ESCH),
        recipient: id(KEHL),
        class: StreamClass::Content,
        origin_incarnation: Incarnation(1),
        recipient_incarnation: Incarnation(1),
    };
    let (items, audit, receipt, now) = (vec![], vec![], "".into(), world.clock.now());
    let others = Receive {
        stream,
        first: 1,
        next: 2,
        items,
        puts: others.collect(),
        deletes: vec![],
        owes: vec![],
        receipt,
        now,
        audit,
    };
    world.node(KEHL).store.write(WriteOp::Receive(Box::new(others))).await.unwrap();

    // The last that fits, one more, a new statement about one that is known; and behind them an alert.
    strasbourg.capacity.set_offer(&call(), offer(2), None).await.unwrap();
    strasbourg.capacity.set_offer(&call(), offer(3), None).await.unwrap();
    strasbourg.capacity.set_offer(&call(), offer(1), None).await.unwrap();
    strasbourg.road.dispatch_pass().await.unwrap();
    let alert = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, alert).await, [(DeliveryState::Delivered, None)]);
    let to_kehl = DeliveryFilter { recipient: Some(id(KEHL)), ..DeliveryFilter::default() };
    let mut rows = strasbourg.road.deliveries(to_kehl, None, 4).await.unwrap();
    rows.reverse();
    let became: Vec<_> = rows.iter().map(|row| (row.state, row.reason)).collect();
    let delivered = (DeliveryState::Delivered, None);
    let refused = (DeliveryState::Refused, Some(Reason::BudgetExhausted));
    assert_eq!(became, [delivered, refused, delivered, delivered]);
    let held = world.node(KEHL).store.partner_offers().await.unwrap();
    assert_eq!(held.len(), limits::PARTNER_OFFERS);
    let version = |n: u8| held.iter().find(|row| row.id == OfferId([n; 16])).map(|row| row.version);
    assert!(version(1) > Some(known.version) && version(2).is_some() && version(3).is_none());
    // The ledger says what kind was refused, and nothing that needs a salt: no sweep would come for that.
    let leaves = kehl.upkeep.audit_leaves(0, 1_000).await.unwrap().0;
    let mut leaves = leaves.into_iter().map(|leaf| <AuditLeaf as prost::Message>::decode(leaf).unwrap());
    let refused = leaves.find(|leaf| leaf.act() == AuditAct::Refused).unwrap();
    assert_eq!((refused.record_kind, refused.reason.as_str()), (RecordKind::OfferView.code(), "BUDGET_EXHAUSTED"));
    assert!(refused.record_commitment.is_empty());
}

#[tokio::test]
async fn an_offer_changed_meanwhile_is_not_overwritten() {
    let world = World::with_agreements().await;
    let strasbourg = world.exchange(STRASBOURG);
    let set = call();
    let first = strasbourg.capacity.set_offer(&set, refuge(&world, 2), None).await.unwrap();
    let again = strasbourg.capacity.set_offer(&set, refuge(&world, 2), None).await.unwrap();
    assert_eq!((first.0.version, first.1), (again.0.version, again.1), "the same request, the first answer");
    let read = first.0.version;
    let second = strasbourg.capacity.set_offer(&call(), refuge(&world, 3), Some(read)).await.unwrap();
    assert!(second.0.version > read);
    let stale = strasbourg.capacity.set_offer(&call(), refuge(&world, 4), Some(read)).await.unwrap_err();
    assert_eq!(stale.reason(), Reason::EtagMismatch);
    let unknown = strasbourg.capacity.confirm_offers(&call(), Which::These(&[OfferId([6; 16])])).await.unwrap_err();
    assert_eq!(unknown.reason(), Reason::NotFound);
}

#[tokio::test]
async fn a_french_practice_is_found_by_its_codes_and_by_its_words() {
    let world = World::with_agreements().await;
    let sample = practice::from_proto(sample::practice()).unwrap();
    let word = sample.texts[0].title.split_whitespace().next().unwrap().to_uppercase();
    let strasbourg = world.exchange(STRASBOURG);
    strasbourg.road.publish(&call(), wished(sharing(&[]), sample.clone())).await.unwrap();
    world.settle().await;
    let by_topic = PracticeQuery { topics: sample.topics[..1].to_vec(), ..PracticeQuery::default() };
    let by_words = PracticeQuery { words: word, ..PracticeQuery::default() };
    for node in [KEHL, STRASBOURG] {
        for query in [&by_topic, &by_words] {
            let found = world.exchange(node).practices.search_practices(COORDINATOR, query, None, 10).await.unwrap();
            assert_eq!(found.len(), 1, "{node} {query:?}");
            assert_eq!(found[0].practice, sample);
        }
        let other = PracticeTopic::ALL.iter().find(|t| !sample.topics.contains(t)).unwrap();
        let outcome = PracticeOutcome::ALL.iter().find(|o| **o != sample.outcome).unwrap();
        for query in [
            PracticeQuery { topics: vec![*other], ..PracticeQuery::default() },
            PracticeQuery { outcomes: vec![*outcome], ..by_topic.clone() },
            PracticeQuery { words: "word-that-nobody-wrote".to_owned(), ..PracticeQuery::default() },
        ] {
            assert!(
                world
                    .exchange(node)
                    .practices
                    .search_practices(COORDINATOR, &query, None, 10)
                    .await
                    .unwrap()
                    .is_empty()
            );
        }
    }
}

#[tokio::test]
async fn a_search_is_read_page_by_page_without_gap_or_repetition() {
    let world = World::with_agreements().await;
    let sample = practice::from_proto(sample::practice()).unwrap();
    for from in [STRASBOURG, KEHL, STRASBOURG, KEHL, STRASBOURG] {
        world.exchange(from).road.publish(&call(), wished(sharing(&[]), sample.clone())).await.unwrap();
    }
    world.settle().await;
    let all = async |together| {
        let (mut seen, mut from) = (Vec::new(), None);
        loop {
            let found = world
                .exchange(KEHL)
                .practices
                .search_practices(COORDINATOR, &PracticeQuery::default(), from, together)
                .await
                .unwrap();
            assert!(found.len() <= together);
            from = found.last().map(|found| found.place);
            seen.extend(found.into_iter().map(|found| found.key));
            if from.is_none() {
                return seen;
            }
        }
    };
    let seen = all(2).await;
    let unique: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), unique.len()), (5, 5));
    // A later version, from a partner whose node writes them already: the one that it replaces shows on no page.
    let replaced = seen.iter().find(|key| key.origin == id(STRASBOURG)).unwrap().clone();
    world.queue_version(STRASBOURG, KEHL, &sample, &replaced).await;
    world.settle().await;
    for together in [1, 2, 10] {
        let seen = all(together).await;
        assert_eq!((seen.len(), seen.contains(&replaced)), (5, false), "{together} together");
    }
}

#[tokio::test]
async fn an_alert_shows_the_newest_answers_and_how_many_it_leaves_out() {
    let world = World::with_agreements().await;
    let published = world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let key = RecordKey { origin: id(STRASBOURG), record_id: published.record_id };
    // As long as a question may be: 24 languages, and nearly as many bytes as an envelope has.
    let text = |letter: char| Text {
        language: Language::parse(&format!("q{letter}")).unwrap(),
        text: "\u{10348}".repeat(480),
    };
    let question = Answer::Question(('a'..='x').map(text).collect());
    for _ in 0..8 {
        world.exchange(KEHL).road.answer(&call(), key.clone(), question.clone().into()).await.unwrap();
    }
    world.exchange(KEHL).road.answer(&call(), key.clone(), Answer::Acknowledged.into()).await.unwrap();
    world.settle().await;
    let alert = world.exchange(STRASBOURG).road.get(COORDINATOR, key).await.unwrap();
    assert_eq!(alert.answers.len() + alert.answers_left_out, 9);
    assert!((2..9).contains(&alert.answers.len()), "{}", alert.answers.len());
    assert_eq!(alert.answers.last().unwrap().answer, Ok(Answer::Acknowledged.into()), "the newest is among them");
}

/// However often a partner answers, what the others answered stays in sight.
#[tokio::test]
async fn no_number_of_further_answers_pushes_out_what_another_partner_answered() {
    let world = World::with_agreements().await;
    let published = world.publish(STRASBOURG, &[KEHL, ESCH]).await;
    world.settle().await;
    let key = RecordKey { origin: id(STRASBOURG), record_id: published.record_id };
    let answer = async |name: &str| {
        world.exchange(name).road.answer(&call(), key.clone(), Answer::Acknowledged.into()).await.unwrap()
    };
    let first = answer(ESCH).await;
    world.settle().await;
    futures_util::future::join_all((0..1_001).map(|_| answer(KEHL))).await;
    world.settle().await;
    let alert = world.exchange(STRASBOURG).road.get(COORDINATOR, key.clone()).await.unwrap();
    assert_eq!(alert.answers[0].key, RecordKey { origin: id(ESCH), record_id: first });
    let own = world.exchange(ESCH).road.get(COORDINATOR, key.clone()).await.unwrap();
    assert_eq!(own.answers.len(), 1, "and Esch sees that it has answered");
}

/// What the authorities of one node answer each other stands in the same tables as what a publisher says later.
#[tokio::test]
async fn no_number_of_answers_undoes_that_a_record_was_taken_back() {
    let world = World::new().await;
    world.change_member(ESCH, |m| m.entry.hosted_by = Some(id(KEHL)));
    world.host(KEHL, ESCH);
    let kehl = world.exchange(KEHL);
    let agreement = world.agreement(KEHL, ESCH, DisclosureLevel::Light);
    let made = kehl.agreements.propose_agreement(&call(), agreement).await.unwrap();
    world.settle().await;
    kehl.agreements.sign_agreement(&call(), made).await.unwrap();
    world.settle().await;
    let published = world.publish(KEHL, &[ESCH]).await;
    world.settle().await;
    let key = RecordKey { origin: id(KEHL), record_id: published.record_id };
    assert_eq!(world.delivery(KEHL, published.record_id).await, [(DeliveryState::Delivered, None)]);
    kehl.road.cancel(&call(), key.clone()).await.unwrap();
    let answer = async || kehl.road.answer(&call(), key.clone(), Answer::Acknowledged.into()).await.unwrap();
    futures_util::future::join_all((0..201).map(|_| answer())).await;
    let later = kehl.road.own_superseded(&key).await.unwrap();
    assert_eq!(later.map(|later| later.how), Some(ReferenceKind::Cancels));
    let again = kehl.road.cancel(&call(), key).await.unwrap_err().reason();
    assert_eq!(again, Reason::EtagMismatch, "it is taken back once");
}

#[tokio::test]
async fn the_ledger_names_what_was_disclosed_received_and_refused_and_verifies() {
    let world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    for node in [STRASBOURG, KEHL] {
        let exchange = world.exchange(node);
        assert!(exchange.upkeep.checkpoint_pass().await.unwrap());
        assert!(!exchange.upkeep.checkpoint_pass().await.unwrap(), "nothing has grown");
        let finding = exchange.upkeep.verify_audit().await.unwrap();
        assert!(finding.consistent && finding.first_bad.is_none());
        assert_eq!((finding.checkpoints, finding.contradicting), (1, None));
        let (leaves, head) = exchange.upkeep.audit_leaves(0, 1_000).await.unwrap();
        assert_eq!(leaves.len() as u64, head.size);
        assert_eq!(head.checkpoint.map(|(size, _)| size), Some(head.size - 1), "the last leaf says that it was signed");
    }
}

/// Whoever holds the file can make the root fit other leaves, but not sign for the authority.
#[tokio::test]
async fn a_ledger_that_contradicts_a_signed_checkpoint_is_found() {
    use crate::domain::audit::AuditCheckpoint;
    use crate::domain::ids::Digest;
    use crate::wire::checkpoint::sign;
    let world = World::with_agreements().await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let exchange = world.exchange(STRASBOURG);
    let size = exchange.upkeep.verify_audit().await.unwrap().head.size;
    let put = async |size, root, key: &str| {
        let federation = world.view.load().federation;
        let authority = id(STRASBOURG);
        let checkpoint = AuditCheckpoint { federation, authority, size, root, time: world.clock.now() };
        let signed = sign(&checkpoint, &world.node(key).key);
        world.node(STRASBOURG).store.write(Write::put(Put::Checkpoint { size, signed }).into()).await.unwrap();
        let found = exchange.upkeep.verify_audit().await.unwrap();
        (found.consistent, found.contradicting)
    };
    let root = exchange.upkeep.verify_audit().await.unwrap().head.root;
    assert_eq!(put(size, Digest([1; 32]), STRASBOURG).await, (false, Some(size)), "an edit");
    assert_eq!(put(size, root, KEHL).await, (false, Some(size)), "a signature of somebody else");
    assert_eq!(put(size, root, STRASBOURG).await, (true, None), "none was counted yet");
    assert_eq!(put(size + 5, root, STRASBOURG).await, (false, Some(size + 5)), "cut off");
}

#[tokio::test]
async fn a_record_that_fits_no_envelope_is_refused_when_it_is_published() {
    let world = World::with_agreements().await;
    let mut sample = practice::from_proto(sample::practice()).unwrap();
    for (i, language) in ["de", "ro", "bg", "pl", "uk", "es"].iter().enumerate() {
        let mut text = sample.texts[0].clone();
        text.language = crate::domain::text::Language::parse(language).unwrap();
        (text.problem, text.measure) = ("é".repeat(3_990), "ü".repeat(3_000 + i));
        sample.texts.push(text);
    }
    let refused = world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[]), sample)).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::MessageTooLarge);
}

#[tokio::test]
async fn nobody_has_seen_what_is_still_to_come() {
    let world = World::with_agreements().await;
    let now = world.clock.now();
    let publish = async |first: UnixMs, last: UnixMs| {
        let mut alert = sample_alert();
        let AlertDetails::SuspiciousAdvertising(advert) = &mut alert.details else { panic!("an advert") };
        (advert.first_seen, advert.last_seen) = (Some(first), Some(last));
        world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[KEHL]), alert)).await
    };
    let (yesterday, soon) = (now - Millis::days(1), now + limits::CREATED_AHEAD);
    let published = publish(yesterday, soon).await.unwrap();
    let later = soon + Millis::minutes(1);
    for (first, last, field) in [(later, later, "first_seen_ms"), (yesterday, now + Millis::days(2), "last_seen_ms")] {
        let Error::Refused(refused) = publish(first, last).await.unwrap_err() else { panic!("a refusal") };
        assert_eq!(refused.reason, Reason::FieldInvalid);
        assert_eq!(refused.field, format!("content.alert.suspicious_advertising.{field}"));
    }
    // An update is asked the same.
    let mut alert = sample_alert();
    let AlertDetails::SuspiciousAdvertising(advert) = &mut alert.details else { panic!("an advert") };
    advert.last_seen = Some(now + Millis::days(2));
    let key = RecordKey { origin: id(STRASBOURG), record_id: published.record_id };
    let updated = world.exchange(STRASBOURG).road.update(&call(), key, alert.into()).await;
    assert_eq!(updated.unwrap_err().reason(), Reason::FieldInvalid);
}
