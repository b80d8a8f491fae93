//! Words in every field of every call, at every door, at TRACE: they stand in no log, trace, metric, error, line of the ledger,
//! and not in the register.
//!
//! What lives here: the same words sung twice, as whatever a field takes (most of it is refused), and in what people share each
//! day (all of it is taken). What does not: the files of records, which hold what was shared, sealed (`faults/erasures`).

use bytes::Bytes;
use havenlink::demo::acts::{referring, request_id};
use havenlink::demo::city::{self, City};
use havenlink::demo::sample;
use havenlink::demo::stage::Stage;
use havenlink::domain::audit::ActorRole;
use havenlink::services::access::{self, Listener, Method};
use havenlink_proto::admin::v1::ListLeavesRequest;
use havenlink_proto::admin::v1::audit_service_client::AuditServiceClient;
use havenlink_proto::local::v1::{Content, PublishRecordRequest, SetOfferRequest};
use havenlink_proto::record::v1::{Purpose, Tlp};
use havenlink_tests::collector::Collector;
use havenlink_tests::federation::{Federation, ctl};
use havenlink_tests::peer;
use havenlink_tests::wait::eventually;
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{self, StdError};

use super::{call, role_name};
use crate::scraped;
use crate::steps::{PATIENCE, again_with};

/// What is said of somebody, in a text; a city's own number of a case; where somebody is called back.
const WORDS: [&str; 3] = ["Kanarienvogel", CASE, "+33199007391"];
const CASE: &str = "SB-7391/2084";
const ROLES: [ActorRole; 7] = [
    ActorRole::Operator,
    ActorRole::Coordinator,
    ActorRole::Publisher,
    ActorRole::Consumer,
    ActorRole::DataProtection,
    ActorRole::Inspection,
    ActorRole::Liaison,
];
/// Most alternatives of one field (`oneof`): a song for each.
const ALTERNATIVES: usize = 12;
/// How deep a message in a message is filled.
const DEPTH: usize = 6;

/// How a field is filled: with a word whatever it is for, or with what passes where it names something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Song {
    Anywhere,
    InTexts,
}

fn filled(message: &MessageDescriptor, song: Song, turn: usize, depth: usize) -> DynamicMessage {
    let mut made = DynamicMessage::new(message.clone());
    for field in message.fields() {
        let chosen = field.containing_oneof().is_none_or(|one| {
            let fields: Vec<FieldDescriptor> = one.fields().collect();
            fields[turn % fields.len()].number() == field.number()
        });
        let Some(value) = value(&field, song, turn, depth).filter(|_| chosen) else { continue };
        made.set_field(&field, if field.is_list() { Value::List(vec![value]) } else { value });
    }
    made
}

fn value(field: &FieldDescriptor, song: Song, turn: usize, depth: usize) -> Option<Value> {
    Some(match field.kind() {
        _ if field.is_map() => return None,
        Kind::String => Value::String(text(field.name(), song, turn)),
        Kind::Bytes => Value::Bytes(Bytes::from_static(WORDS[0].as_bytes())),
        Kind::Enum(values) => Value::EnumNumber(values.values().nth(1 + turn % 3).map_or(0, |value| value.number())),
        Kind::Message(inner) if inner.full_name() == "google.protobuf.Timestamp" => {
            let mut at = DynamicMessage::new(inner);
            at.set_field_by_name("seconds", Value::I64(1_990_000_000));
            Value::Message(at)
        }
        Kind::Message(inner) if depth > 0 => Value::Message(filled(&inner, song, turn, depth - 1)),
        Kind::Message(_) => return None,
        Kind::Bool => Value::Bool(turn.is_multiple_of(2)),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(1),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(1),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(1),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(1),
        Kind::Float => Value::F32(1.0),
        Kind::Double => Value::F64(1.0),
    })
}

fn text(field: &str, song: Song, turn: usize) -> String {
    let named = |words: &[&str]| words.iter().any(|word| field.contains(word));
    match song {
        Song::Anywhere => WORDS[turn % WORDS.len()].to_owned(),
        Song::InTexts if named(&["_id"]) => uuid::Uuid::new_v4().to_string(),
        Song::InTexts
            if named(&["authorit", "origin", "recipient", "partner", "owner", "member", "target", "steward"]) =>
        {
            "lu-esch-sur-alzette".to_owned()
        }
        Song::InTexts if named(&["language"]) => "fr".to_owned(),
        Song::InTexts if named(&["countr"]) => "de".to_owned(),
        Song::InTexts if named(&["case"]) => CASE.to_owned(),
        Song::InTexts if named(&["phone", "callback"]) => WORDS[2].to_owned(),
        Song::InTexts => WORDS[0].to_owned(),
    }
}

/// Calls one method at a door with each song; what it answers with a word in it.
async fn sung_at<C>(channel: C, door: &str, row: &'static Method, input: &MessageDescriptor) -> Vec<String>
where
    C: GrpcService<Body> + Clone,
    C::ResponseBody: codegen::Body<Data = Bytes> + Send + 'static,
    <C::ResponseBody as codegen::Body>::Error: Into<StdError>,
    C::Error: Into<StdError>,
{
    let mut faults = Vec::new();
    for turn in 0..ALTERNATIVES {
        for song in [Song::Anywhere, Song::InTexts] {
            let message = Bytes::from(filled(input, song, turn, DEPTH).encode_to_vec());
            let Err(status) = call(channel.clone(), row.path, message, row.is_stream()).await else { continue };
            let said = format!("{} {}", status.message(), String::from_utf8_lossy(status.details()));
            if WORDS.iter().any(|word| said.contains(word)) {
                faults.push(format!("{} at {door} says it again: {said}", row.path));
            }
        }
    }
    faults
}

/// Sings at all doors; gives each call that answered with a word, and how many calls there were.
async fn sung(city: &City, partner: &City) -> (Vec<String>, usize) {
    let pool = DescriptorPool::decode(havenlink_proto::DESCRIPTOR_SET).unwrap();
    let (mut faults, mut count) = (Vec::new(), 0);
    let peers = peer::as_city(partner, city).await.unwrap();
    let mut doors = Vec::new();
    for role in ROLES {
        doors.push((role, city::door(&city.sockets(), &role_name(role)).await.unwrap()));
    }
    for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let row = access::find(&format!("/{}/{}", method.parent_service().full_name(), method.name())).unwrap();
        let open = doors.iter().filter(|(role, _)| access::opens_at(row, Listener::Local(*role)));
        for (role, door) in open {
            faults.extend(sung_at(door.clone(), &role_name(*role), row, &method.input()).await);
            count += 2 * ALTERNATIVES;
        }
        if access::opens_at(row, Listener::Peer) {
            faults.extend(sung_at(peers.clone(), "the peer port", row, &method.input()).await);
            count += 2 * ALTERNATIVES;
        }
    }
    (faults, count)
}

/// What people share each day, with a word wherever they write one.
async fn shared(city: &City, partner: &City) {
    let mut alert = sample::advert_alert();
    alert.summary.iter_mut().for_each(|text| text.text.insert_str(0, &format!("{}: ", WORDS[0])));
    let mut practice = sample::practice();
    practice.texts.iter_mut().for_each(|text| text.title.insert_str(0, &format!("{}: ", WORDS[0])));
    for (purpose, content) in
        [(Purpose::Prevention, Content::from(alert)), (Purpose::Learning, Content::from(practice))]
    {
        let sharing = Some(sample::sharing(&[partner.id()], purpose, Tlp::Green));
        let request =
            PublishRecordRequest { request_id: request_id(), sharing, content: Some(content), ..Default::default() };
        city.publisher().await.unwrap().publish_record(request).await.unwrap();
    }
    let set = SetOfferRequest { request_id: request_id(), offer: Some(sample::refuge(4)) };
    city.offers().await.unwrap().set_offer(set).await.unwrap();
    referring::give(city, CASE, &[partner.id()]).await.unwrap();
    let record = referring::refer(city, CASE, partner.id()).await.unwrap();
    referring::received(partner, city.id(), &record).await.unwrap();
    let listed = eventually("the alert is there", PATIENCE, || async {
        ctl(partner, &["alert", "list"]).await.ok().filter(|listed| listed.contains(WORDS[0]))
    });
    listed.await;
    ctl(city, &["referral", "disclosures", "--case", CASE]).await.unwrap();
    referring::withdraw(city, CASE).await.unwrap();
    referring::erased(city, &record).await.unwrap();
}

/// The bytes of each line of a ledger.
async fn ledger(city: &City) -> Vec<u8> {
    let mut audit = AuditServiceClient::new(city::door(&city.sockets(), "data-protection").await.unwrap());
    let mut bytes = Vec::new();
    let mut from = 0;
    loop {
        let page = audit.list_leaves(ListLeavesRequest { from, page_size: 500 }).await.unwrap().into_inner();
        page.leaves.iter().for_each(|leaf| bytes.extend(leaf.encode_to_vec()));
        from += i64::try_from(page.leaves.len()).unwrap();
        if page.leaves.is_empty() || from.unsigned_abs() >= page.size {
            break;
        }
    }
    let acts = bytes.windows(13).filter(|window| *window == b"fr-strasbourg").count();
    assert!(from > 40 && acts > 0, "the ledger has what was done");
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_in_every_field_of_every_call_are_told_nowhere() {
    let (collector, address) = Collector::listen().await.unwrap();
    let names: Vec<String> = ROLES.iter().map(|role| format!("\"{}\"", role_name(*role))).collect();
    let settings = format!("roles = [{}]\notlp.endpoint = \"http://{address}\"\n", names.join(", "));
    let mut federation = Federation::found(3, 1, &settings).await.unwrap();
    federation.agree(0, 1).await.unwrap();
    referring::agree(&mut Stage::silent(), &federation.cities[0], &federation.cities[1]).await.unwrap();
    for city in &mut federation.cities {
        again_with(city, "log.level = \"info\"", "log.level = \"trace\"").await;
    }
    let numbers_at = scraped::told_at(&mut federation.cities[0]).await;
    let [strasbourg, kehl, _] = &federation.cities[..] else { panic!("three") };
    shared(strasbourg, kehl).await;
    let (mut faults, count) = sung(strasbourg, kehl).await;
    assert!(count > 2_000, "{count} calls");
    strasbourg.status().await.unwrap();

    let ledger = ledger(strasbourg).await;
    let mut told = vec![("the ledger of Strasbourg".to_owned(), ledger)];
    told.push(("its metrics".to_owned(), scraped::numbers(&numbers_at).await.into_bytes()));
    for city in &federation.cities {
        let log = std::fs::read(city.dir.join("node.log")).unwrap();
        let traced = String::from_utf8_lossy(&log).contains(" TRACE ");
        assert!(traced || city.id() != strasbourg.id(), "who is asked logs all it can");
        told.push((format!("the log of {}", city.id()), log));
        let register = std::fs::read(city.dir.join("data/directory.redb")).unwrap();
        assert!(String::from_utf8_lossy(&register).contains("lu-esch-sur-alzette"), "a register has members");
        told.push((format!("the register of {}", city.id()), register));
    }
    eventually("traces are sent", PATIENCE, || async { collector.has(b"PublishRecord").then_some(()) }).await;
    for word in WORDS {
        faults.extend(
            told.iter()
                .filter(|(_, bytes)| String::from_utf8_lossy(bytes).contains(word))
                .map(|(what, _)| format!("{word} in {what}")),
        );
        if collector.has(word.as_bytes()) {
            faults.push(format!("{word} in a trace, a metric or a log line that was exported"));
        }
    }
    faults.sort();
    faults.dedup();
    assert!(faults.is_empty(), "{} of {count} calls:\n{}", faults.len(), faults.join("\n"));
}
