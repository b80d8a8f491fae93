//! Every method of the contract at every role's socket of a running node, and at the peer port.

use bytes::Bytes;
use havenlink::demo::acts::request_id;
use havenlink::demo::{city, sample};
use havenlink::domain::audit::ActorRole;
use havenlink::domain::reason::Reason;
use havenlink::domain::records::{RecordKind, Verb};
use havenlink::services::access::{self, Listener};
use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use havenlink_proto::local::v1::{
    ConsumeRequest, Content, Folder, GetRecordRequest, ListRecordsRequest, PublishRecordRequest, SetOfferRequest,
    WatchRecordsRequest,
};
use havenlink_proto::record::v1::{Purpose, Tlp};
use havenlink_tests::federation::Federation;
use havenlink_tests::peer;
use havenlink_tests::refused::assert_refused;
use prost::Message;
use prost_reflect::DescriptorPool;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{call, role_name};

const ROLES: [ActorRole; 7] = [
    ActorRole::Operator,
    ActorRole::Coordinator,
    ActorRole::Publisher,
    ActorRole::Consumer,
    ActorRole::DataProtection,
    ActorRole::Inspection,
    ActorRole::Liaison,
];

/// `/package.Service/Method` of everything in the descriptor set that is shipped.
fn methods() -> Vec<&'static str> {
    let pool = DescriptorPool::decode(havenlink_proto::DESCRIPTOR_SET).unwrap();
    let path = |m: prost_reflect::MethodDescriptor| format!("/{}/{}", m.parent_service().full_name(), m.name());
    let found: Vec<String> = pool.services().flat_map(|s| s.methods().map(path).collect::<Vec<_>>()).collect();
    found.into_iter().map(|name| access::find(&name).unwrap_or_else(|| panic!("{name} has no row")).path).collect()
}

/// A partner learns of what is not its own only that nothing is found: no reason, and the same for all of it.
fn is_nothing(answer: &Result<Option<Bytes>, Status>) -> bool {
    answer.as_ref().is_err_and(|s| (s.code(), s.message(), s.details()) == (Code::NotFound, "not found", &[]))
}

/// Whether a call may wait there for what is to come.
fn stands(method: &str, listener: Listener) -> bool {
    access::find(method).is_some_and(|row| row.is_stream() && access::opens_at(row, listener))
}

fn is_closed(answer: &Result<Option<Bytes>, Status>) -> bool {
    let info = answer.as_ref().err().and_then(|status| status.get_details_error_info());
    info.is_some_and(|info| info.reason == Reason::MethodNotOpen.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_calls_each_method_and_gets_what_its_row_says() {
    let names: Vec<String> = ROLES.iter().map(|role| format!("\"{}\"", role_name(*role))).collect();
    let federation = Federation::found(2, 1, &format!("roles = [{}]\n", names.join(", "))).await.unwrap();
    let [strasbourg, kehl] = &federation.cities[..] else { panic!("two") };
    let methods = methods();
    assert!(methods.len() > 50, "{methods:?}");
    let mut calls = tokio::task::JoinSet::new();
    for role in ROLES {
        let socket = city::door(&strasbourg.sockets(), &role_name(role)).await.unwrap();
        for method in &methods {
            let (socket, method, listener) = (socket.clone(), *method, Listener::Local(role));
            calls.spawn(async move {
                (listener, method, call(socket, method, Bytes::new(), stands(method, listener)).await)
            });
        }
    }
    let partner = peer::as_city(kehl, strasbourg).await.unwrap();
    for method in &methods {
        let (partner, method, listener) = (partner.clone(), *method, Listener::Peer);
        calls.spawn(
            async move { (listener, method, call(partner, method, Bytes::new(), stands(method, listener)).await) },
        );
    }
    let (mut open, mut closed) = (0, 0);
    while let Some(done) = calls.join_next().await {
        let (listener, method, answer) = done.unwrap();
        let opens = access::opens_at(access::find(method).unwrap(), listener);
        match (opens, listener) {
            (true, _) => {
                open += 1;
                assert!(!is_closed(&answer), "{method} at {listener:?}: {answer:?}");
                // Whatever an empty request leads to, a refusal has its reason.
                if let Err(status) = &answer {
                    assert!(status.get_details_error_info().is_some(), "{method} at {listener:?}: {status:?}");
                }
            }
            (false, Listener::Peer) => {
                closed += 1;
                assert!(is_nothing(&answer), "{method} at {listener:?}: {answer:?}");
            }
            (false, _) => {
                closed += 1;
                assert!(is_closed(&answer), "{method} at {listener:?}: {answer:?}");
                assert_refused(&answer, Reason::MethodNotOpen);
            }
        }
    }
    assert_eq!(open + closed, methods.len() * (ROLES.len() + 1));
    // What a door opens is told at the local ones alone: a partner has the contract.
    for row in access::table().filter(|row| row.service == "reflection.ServerReflection") {
        let list_services = Bytes::from_static(b"\x3a\x01*");
        let answer = call(partner.clone(), row.path, list_services.clone(), false).await;
        assert!(is_nothing(&answer), "{}: {answer:?}", row.path);
        let socket = city::door(&strasbourg.sockets(), "operator").await.unwrap();
        let listed = call(socket, row.path, list_services, false).await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&listed).contains("havenlink.admin.v1.NodeService"), "{}", row.path);
    }
    strasbourg.status().await.unwrap();
}

/// A content of the kind that says nothing: refused for what is missing, once the role was found to be one that may.
fn blank(kind: RecordKind) -> Content {
    let content = vec![u8::try_from(kind.code() << 3 | 2).expect("content is below 16"), 0];
    Content::decode(content.as_slice()).unwrap()
}

/// What a role does with records of one kind, as bytes for each method that says a kind.
fn said_of(kind: RecordKind) -> [(&'static str, Verb, Bytes, bool); 4] {
    let number = kind.code();
    let (request_id, content) = (uuid::Uuid::new_v4().to_string(), Some(blank(kind)));
    let publish = PublishRecordRequest { request_id, content, ..Default::default() };
    let list = ListRecordsRequest { kind: number, ..Default::default() };
    let watch = WatchRecordsRequest { kinds: vec![number] };
    let consume =
        ConsumeRequest { consumer: "roles".into(), kinds: vec![number], until_empty: true, ..Default::default() };
    [
        ("/havenlink.local.v1.RecordService/PublishRecord", Verb::Publish, publish.encode_to_vec().into(), false),
        ("/havenlink.local.v1.RecordService/ListRecords", Verb::Read, list.encode_to_vec().into(), false),
        ("/havenlink.local.v1.RecordService/WatchRecords", Verb::Read, watch.encode_to_vec().into(), true),
        ("/havenlink.local.v1.InboxService/Consume", Verb::Consume, consume.encode_to_vec().into(), false),
    ]
}

/// Method by kind by role: no role has a kind that is not its own, in lists, in what it watches and consumes, and by its id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_does_with_each_kind_what_the_kind_says() {
    let names: Vec<String> = ROLES.iter().map(|role| format!("\"{}\"", role_name(*role))).collect();
    let federation = Federation::found(2, 1, &format!("roles = [{}]\n", names.join(", "))).await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let strasbourg = &federation.cities[0];
    let mut calls = tokio::task::JoinSet::new();
    for role in ROLES {
        let socket = city::door(&strasbourg.sockets(), &role_name(role)).await.unwrap();
        for kind in RecordKind::CONTENT {
            for (method, verb, message, stands) in said_of(*kind) {
                let (socket, kind) = (socket.clone(), *kind);
                let row = access::find(method).unwrap();
                let expected = match access::opens_at(row, Listener::Local(role)) {
                    true => kind.open_to(verb, role).err(),
                    false => Some(Reason::MethodNotOpen),
                };
                let stands = stands && expected.is_none();
                calls.spawn(async move { (role, kind, method, expected, call(socket, method, message, stands).await) });
            }
        }
    }
    let mut seen = 0;
    while let Some(done) = calls.join_next().await {
        let (role, kind, method, expected, answer) = done.unwrap();
        let info = answer.as_ref().err().and_then(|status| status.get_details_error_info());
        let refused = info.map(|info| info.reason).unwrap_or_default();
        match expected {
            Some(reason) => assert_eq!(refused, reason.code(), "{role}: {method} of {kind}: {answer:?}"),
            None => {
                let closed = [Reason::MethodNotOpen.code(), Reason::KindNotSupported.code()];
                assert!(!closed.contains(&refused.as_str()), "{role}: {method} of {kind}: {answer:?}");
            }
        }
        seen += 1;
    }
    assert_eq!(seen, ROLES.len() * RecordKind::CONTENT.len() * 4);
    by_its_id(strasbourg, federation.cities[1].id()).await;
}

/// An alert, a practice and an offer, asked for by their ids: what is not a role's is answered like what is not there.
async fn by_its_id(strasbourg: &city::City, partner: &str) {
    let mut publisher = strasbourg.publisher().await.unwrap();
    let mut ids = Vec::new();
    for (kind, purpose, content) in [
        (RecordKind::Alert, Purpose::Prevention, Content::from(sample::advert_alert())),
        (RecordKind::Practice, Purpose::Learning, Content::from(sample::practice())),
    ] {
        let sharing = Some(sample::sharing(&[partner], purpose, Tlp::Green));
        let request =
            PublishRecordRequest { request_id: request_id(), sharing, content: Some(content), ..Default::default() };
        ids.push((kind, publisher.publish_record(request).await.unwrap().into_inner().record_id));
    }
    let set = SetOfferRequest { request_id: request_id(), offer: Some(sample::refuge(4)) };
    strasbourg.offers().await.unwrap().set_offer(set).await.unwrap();
    let (kind, folder) = (RecordKind::OfferView.code(), Folder::Published.into());
    let offers = ListRecordsRequest { kind, folder, ..Default::default() };
    let offers = strasbourg.records().await.unwrap().list_records(offers).await.unwrap().into_inner().records;
    ids.push((RecordKind::OfferView, offers.first().expect("the offer that was set").record_id.clone()));
    for role in [ActorRole::Coordinator, ActorRole::Publisher, ActorRole::Consumer] {
        let socket = city::door(&strasbourg.sockets(), &role_name(role)).await.unwrap();
        let mut records = RecordServiceClient::new(socket);
        for (kind, record_id) in &ids {
            let request = GetRecordRequest { origin: strasbourg.id().to_owned(), record_id: record_id.clone() };
            let answer = records.get_record(request).await.map(tonic::Response::into_inner);
            match kind.open_to(Verb::Read, role) {
                Ok(()) => assert_eq!(answer.unwrap().record.unwrap().kind, kind.code()),
                Err(_) => assert_refused(&answer, Reason::NotFound),
            }
        }
    }
}
