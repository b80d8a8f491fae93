//! What may not be read any more, or not by this role, is found by no method that returns content, before any sweep (9.2).
//!
//! The methods are those of the contract: a new one that returns content fails `answers_of` until it is walked here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::{FutureExt, StreamExt};
use havenlink_proto::local::v1 as local;
use havenlink_proto::local::v1::inbox_service_server::InboxService;
use havenlink_proto::local::v1::offer_service_server::OfferService;
use havenlink_proto::local::v1::practice_service_server::PracticeService;
use havenlink_proto::local::v1::record_service_server::RecordService;
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorSet};
use tonic::Request;

use super::world::*;
use crate::clock::Clock;
use crate::demo::sample;
use crate::domain::audit::ActorRole;
use crate::domain::ids::{OfferId, RecordId};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind};
use crate::domain::records::Verb;
use crate::domain::records::answer::Answer;
use crate::domain::records::offer::DisclosureLevel;
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::*;
use crate::services::access;
use crate::services::actor::Codes;
use crate::services::layers::{Actor, Caller};
use crate::services::local::inbox::Inbox;
use crate::services::local::offer::Offers;
use crate::services::local::practice::Practices;
use crate::services::local::record::Records;
use crate::wire::records::{offer, practice};

const LIST: &str = "RecordService/ListRecords";
const GET: &str = "RecordService/GetRecord";
const WATCH: &str = "RecordService/WatchRecords";
const CONSUME: &str = "InboxService/Consume";
const SEARCH: &str = "PracticeService/SearchPractices";
const BOARD: &str = "OfferService/ListOffers";
const FIND: &str = "OfferService/FindOffers";
/// Answers with what its caller says in this very call.
const SAYS_BACK: &str = "OfferService/SetOffer";

/// The local methods whose answer has, anywhere below it, what a record says: by the contract's descriptors.
fn content_methods() -> BTreeSet<String> {
    let set = FileDescriptorSet::decode(havenlink_proto::DESCRIPTOR_SET).unwrap();
    let mut messages: HashMap<String, DescriptorProto> = HashMap::new();
    for file in &set.file {
        for message in &file.message_type {
            let name = format!(".{}.{}", file.package(), message.name());
            let nested = message.nested_type.iter().map(|inner| (format!("{name}.{}", inner.name()), inner.clone()));
            messages.extend(nested);
            messages.insert(name, message.clone());
        }
    }
    let mut content: BTreeSet<String> =
        messages[".havenlink.local.v1.Content"].field.iter().map(|field| field.type_name().to_owned()).collect();
    content.extend([".havenlink.record.v1.Envelope", ".havenlink.local.v1.OwnOffer"].map(str::to_owned));
    let reaches = |from: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(name) = open.pop().filter(|name| !content.contains(name)) {
            if let Some(message) = messages.get(&name).filter(|_| seen.insert(name.clone())) {
                open.extend(message.field.iter().map(|field| field.type_name().to_owned()));
            }
        }
        seen.iter().any(|name| messages[name].field.iter().any(|field| content.contains(field.type_name())))
    };
    let mut found = BTreeSet::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let row = access::find(&format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                if row.is_some_and(|row| !row.roles.is_empty()) && reaches(method.output_type()) {
                    found.insert(format!("{}/{}", service.name(), method.name()));
                }
            }
        }
    }
    found
}

type Watches = HashMap<ActorRole, <Records as RecordService>::WatchRecordsStream>;

fn request<T>(role: ActorRole, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Caller::Local { role, actor: Actor::Uid(1) });
    request
}

fn records(world: &World, name: &str) -> Records {
    Records { road: world.exchange(name).road.clone(), codes: Codes::new([0; 32]) }
}

/// Streams of those roles that may look on at all, from now on; nobody reads them yet.
async fn watches(world: &World, name: &str) -> Watches {
    let mut open = HashMap::new();
    for role in ActorRole::ALL {
        let asked = request(*role, local::WatchRecordsRequest::default());
        if let Ok(stream) = records(world, name).watch_records(asked).await {
            open.insert(*role, stream.into_inner());
        }
    }
    let may = |role: &&ActorRole| RecordKind::CONTENT.iter().any(|kind| kind.open_to(Verb::Read, **role).is_ok());
    assert_eq!(open.len(), ActorRole::ALL.iter().filter(may).count(), "the roles that some kind lets watch");
    open
}

fn has(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// What a node answers to a role, by method; nothing where it refuses. `last`: the newest record, up to which a watch is read.
async fn answers_of(
    world: &World,
    name: &str,
    role: ActorRole,
    (keys, watches, last): (&[RecordKey], &mut Watches, RecordId),
) -> BTreeMap<String, Vec<u8>> {
    let exchange = world.exchange(name).clone();
    let records = records(world, name);
    let mut all = BTreeMap::new();
    for method in content_methods() {
        let mut said = Vec::new();
        match method.as_str() {
            LIST => {
                for (kind, folder) in RecordKind::CONTENT.iter().flat_map(|kind| [1, 2].map(|folder| (kind, folder))) {
                    let asked =
                        local::ListRecordsRequest { kind: kind.code(), folder, page_size: 50, ..Default::default() };
                    let listed = records.list_records(request(role, asked)).await;
                    said.extend(listed.map(|answer| answer.into_inner().encode_to_vec()).unwrap_or_default());
                }
            }
            GET => {
                for key in keys {
                    let (origin, record_id) = (key.origin.to_string(), key.record_id.as_bytes().to_vec().into());
                    let got = records.get_record(request(role, local::GetRecordRequest { origin, record_id })).await;
                    said.extend(got.map(|answer| answer.into_inner().encode_to_vec()).unwrap_or_default());
                }
            }
            WATCH => {
                let Some(stream) = watches.get_mut(&role) else { continue };
                // Whoever may not read the newest record would wait for it for ever: all that has come is looked at.
                let waits = RecordKind::Alert.open_to(Verb::Read, role).is_ok();
                while !has(&said, last.as_bytes()) {
                    let next = stream.next();
                    let next = if waits { Some(next.await) } else { next.now_or_never() };
                    let Some(record) = next else { break };
                    said.extend(record.unwrap().unwrap().encode_to_vec());
                }
            }
            CONSUME => {
                for signed in [false, true] {
                    let (consumer, until_empty, all_kinds) = (uuid::Uuid::new_v4().to_string(), true, true);
                    let asked =
                        local::ConsumeRequest { consumer, until_empty, all_kinds, signed, ..Default::default() };
                    let inbox = Inbox { road: exchange.road.clone() };
                    let Ok(stream) = inbox.consume(request(role, asked)).await else { continue };
                    let read: Vec<_> = stream.into_inner().collect().await;
                    said.extend(read.into_iter().flat_map(|record| record.unwrap().encode_to_vec()));
                }
            }
            SEARCH => {
                let asked = request(role, local::SearchPracticesRequest::default());
                let found = Practices { practices: exchange.practices.clone() }.search_practices(asked).await;
                said.extend(found.map(|answer| answer.into_inner().encode_to_vec()).unwrap_or_default());
            }
            BOARD => {
                let clock = world.clock.clone();
                let now: crate::services::layers::Now = std::sync::Arc::new(move || clock.now());
                let offers = Offers { capacity: exchange.capacity.clone(), codes: Codes::new([0; 32]), now };
                let board = offers.list_offers(request(role, local::ListOffersRequest::default())).await;
                said.extend(board.map(|answer| answer.into_inner().encode_to_vec()).unwrap_or_default());
            }
            FIND => {
                let (clock, capacity) = (world.clock.clone(), exchange.capacity.clone());
                let now: crate::services::layers::Now = std::sync::Arc::new(move || clock.now());
                let offers = Offers { capacity, codes: Codes::new([0; 32]), now };
                // What is kept here is looked for: a partner that answers shows its offer anew.
                let others = [STRASBOURG, KEHL].map(id).into_iter().filter(|other| *other != id(name));
                world.line.down.lock().unwrap().extend(others);
                let found = offers.find_offers(request(role, local::FindOffersRequest::default())).await;
                let Ok(found) = found else {
                    world.line.down.lock().unwrap().clear();
                    continue;
                };
                let parts: Vec<_> = found.into_inner().collect().await;
                world.line.down.lock().unwrap().clear();
                said.extend(parts.into_iter().flat_map(|part| part.unwrap().encode_to_vec()));
            }
            SAYS_BACK => {}
            new => panic!("{new} returns content: walk it here, with a record whose time is over"),
        }
        all.insert(method, said);
    }
    all
}

/// A record, and where it is to be found as long as it may be.
struct Sought {
    what: &'static str,
    kind: RecordKind,
    bytes: Vec<u8>,
    shown_by: &'static [&'static str],
}

/// A fresh alert from the partner, so that a stream has an end to be read to.
async fn newest(world: &World, at: &str) -> RecordId {
    let (from, to) = if at == KEHL { (STRASBOURG, KEHL) } else { (KEHL, STRASBOURG) };
    let last = world.publish(from, &[to]).await.record_id;
    world.settle().await;
    last
}

/// Looks for everything as each role, by each method: `there` is it for exactly those that its kind names.
async fn look(
    world: &World,
    name: &str,
    roles: &[ActorRole],
    (sought, keys, mut watches): (&[Sought], &[RecordKey], Watches),
    there: bool,
) {
    let last = newest(world, name).await;
    for role in roles {
        let answers = answers_of(world, name, *role, (keys, &mut watches, last)).await;
        for one in sought {
            for (method, said) in &answers {
                let verb = if method == CONSUME { Verb::Consume } else { Verb::Read };
                let open = one.kind.open_to(verb, *role).is_ok();
                let expected = there && open && one.shown_by.contains(&method.as_str());
                assert_eq!(has(said, &one.bytes), expected, "{} by {method} as {role} at {name}", one.what);
            }
        }
    }
}

async fn agree(world: &World, retention: Millis) {
    let mut agreement = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Count);
    agreement.grants.iter_mut().for_each(|grant| grant.retention = retention);
    let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), agreement).await.unwrap();
    world.settle().await;
    world.exchange(KEHL).agreements.sign_agreement(&call(), made).await.unwrap();
    world.settle().await;
}

fn until(end: UnixMs, to: &[&str]) -> crate::domain::sharing::Sharing {
    crate::domain::sharing::Sharing { expires: Some(end), ..sharing(to) }
}

fn of(name: &str, record_id: RecordId) -> RecordKey {
    RecordKey { origin: id(name), record_id }
}

/// Of the alert: an own answer to it names its id, and goes on being this authority's own.
const WORDS: &str = "Adverts near the station";
const SECOND: Millis = Millis::seconds(1);
const RETENTION: Millis = Millis::hours(1);
const READERS: [ActorRole; 2] = [ActorRole::Coordinator, ActorRole::Consumer];

#[tokio::test]
async fn what_is_past_its_retention_is_found_by_no_method_and_what_is_not_a_roles_neither() {
    let world = World::new().await;
    world.clock.stop();
    agree(&world, RETENTION).await;
    let (strasbourg, kehl) = (world.exchange(STRASBOURG), world.exchange(KEHL));
    let open = [watches(&world, KEHL).await, watches(&world, KEHL).await, watches(&world, KEHL).await];
    let at_home = [watches(&world, STRASBOURG).await, watches(&world, STRASBOURG).await];
    let began = world.clock.now();
    let practice = practice::from_proto(sample::practice()).unwrap();
    let refuge = offer::own_from_proto(sample::refuge(4), OfferId([5; 16]), &id(STRASBOURG), began).unwrap();
    let mut told = sample_alert();
    told.summary[0].text = WORDS.to_owned();
    let alert = strasbourg.road.publish(&call(), wished(sharing(&[KEHL]), told)).await.unwrap().record_id;
    let practice = strasbourg.road.publish(&call(), wished(sharing(&[]), practice)).await.unwrap().record_id;
    strasbourg.capacity.set_offer(&call(), refuge, None).await.unwrap();
    world.settle().await;
    let answer = kehl.road.answer(&call(), of(STRASBOURG, alert), Answer::Acknowledged.into()).await.unwrap();
    world.settle().await;
    let view = world.node(KEHL).store.inbox_after(0, vec![RecordKind::OfferView], 9).await.unwrap()[0].key.clone();

    let sought = |what, kind, bytes: &[u8], shown_by| Sought { what, kind, bytes: bytes.to_vec(), shown_by };
    let received = [
        sought("an alert", RecordKind::Alert, WORDS.as_bytes(), &[LIST, GET, WATCH, CONSUME]),
        sought("a practice", RecordKind::Practice, practice.as_bytes(), &[LIST, GET, WATCH, CONSUME, SEARCH]),
        sought("an offer", RecordKind::OfferView, &[5; 16], &[LIST, GET, WATCH, CONSUME, BOARD, FIND]),
    ];
    let answered = [sought("an answer", RecordKind::Answer, answer.as_bytes(), &[LIST, GET, WATCH, CONSUME])];
    let keys = [of(STRASBOURG, alert), of(STRASBOURG, practice), view];
    let own_keys = [of(STRASBOURG, alert), of(KEHL, answer)];
    let [first, second, third] = open;
    look(&world, KEHL, ActorRole::ALL, (&received, &keys, first), true).await;
    let [before, after] = at_home;
    world.clock.advance(RETENTION - SECOND);
    look(&world, KEHL, &READERS, (&received, &keys, second), true).await;
    look(&world, STRASBOURG, &READERS, (&answered, &own_keys, before), true).await;
    world.clock.advance(Millis::seconds(2));
    look(&world, KEHL, &READERS, (&received, &keys, third), false).await;
    look(&world, STRASBOURG, &READERS, (&answered, &own_keys, after), false).await;
    for key in keys {
        assert!(world.node(KEHL).store.inbox_record(key).await.unwrap().is_some(), "no sweep came");
    }
    // Nor is it counted.
    let own = strasbourg.road.get(COORDINATOR, of(STRASBOURG, alert)).await.unwrap();
    assert_eq!((own.answers.len(), own.answers_left_out), (0, 0));
}

#[tokio::test]
async fn an_own_record_past_its_expiry_is_found_by_no_method() {
    let world = World::new().await;
    world.clock.stop();
    agree(&world, Millis::days(30)).await;
    let strasbourg = world.exchange(STRASBOURG);
    let open = [watches(&world, STRASBOURG).await, watches(&world, STRASBOURG).await];
    let end = world.clock.now() + Millis::hours(2);
    let practice = practice::from_proto(sample::practice()).unwrap();
    let alert = strasbourg.road.publish(&call(), wished(until(end, &[KEHL]), sample_alert())).await.unwrap().record_id;
    let practice = strasbourg.road.publish(&call(), wished(until(end, &[]), practice)).await.unwrap().record_id;
    world.settle().await;
    let sought = |what, kind, id: RecordId, shown_by| Sought { what, kind, bytes: id.as_bytes().to_vec(), shown_by };
    let own = [
        sought("an own alert", RecordKind::Alert, alert, &[LIST, GET]),
        sought("an own practice", RecordKind::Practice, practice, &[LIST, GET, SEARCH]),
    ];
    let keys = [of(STRASBOURG, alert), of(STRASBOURG, practice)];
    let [before, after] = open;
    world.clock.advance(Millis::hours(2) - SECOND);
    look(&world, STRASBOURG, &READERS, (&own, &keys, before), true).await;
    world.clock.advance(Millis::seconds(2));
    look(&world, STRASBOURG, &READERS, (&own, &keys, after), false).await;
    for key in keys {
        assert!(world.node(STRASBOURG).store.publication(key).await.unwrap().is_some(), "no sweep came");
    }
    // Its publisher is told why it cannot be said anew.
    let key = of(STRASBOURG, alert);
    let updated = strasbourg.road.update(&call(), key.clone(), sample_alert().into()).await.unwrap_err();
    let cancelled = strasbourg.road.cancel(&call(), key).await.unwrap_err();
    assert_eq!([updated.reason(), cancelled.reason()], [Reason::EnvelopeExpired; 2]);
}

#[tokio::test]
async fn a_reader_passes_over_what_it_may_not_have_and_its_cursor_moves_on() {
    let world = World::new().await;
    world.clock.stop();
    agree(&world, RETENTION).await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    world.clock.advance(RETENTION);
    let fresh = newest(&world, KEHL).await;
    let kehl = world.exchange(KEHL);
    let read = async || -> Vec<Consumed> {
        let stream = kehl.road.consume(reader("case-system", 0, &[RecordKind::Alert], true)).await.unwrap();
        stream.map(Result::unwrap).collect().await
    };
    let given = read().await;
    assert_eq!(given.iter().map(|record| record.key.record_id).collect::<Vec<_>>(), [fresh]);
    kehl.road.commit_cursor("case-system".to_owned(), given[0].position).await.unwrap();
    assert!(read().await.is_empty());
}

#[tokio::test]
async fn what_is_past_its_retention_is_answered_by_nobody_and_a_role_that_may_not_answers_nothing() {
    let world = World::new().await;
    world.clock.stop();
    agree(&world, RETENTION).await;
    let alert = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    let kehl = world.exchange(KEHL);
    let by = |role| {
        let mut call = call();
        call.actor.role = role;
        call
    };
    let answer = async |call| kehl.road.answer(&call, of(STRASBOURG, alert), Answer::Acknowledged.into()).await;
    let refused = answer(by(ActorRole::Consumer)).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::MethodNotOpen);
    world.clock.advance(RETENTION - SECOND);
    answer(by(ActorRole::Publisher)).await.unwrap();
    world.clock.advance(SECOND);
    let refused = answer(by(ActorRole::Publisher)).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::TargetUnknown);
}
