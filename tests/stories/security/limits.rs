//! Every limit on a message (9.14), at the doors of a running node: the largest is taken, one byte more is not.

use bytes::{BufMut, Bytes, BytesMut};
use havenlink::demo::city;
use havenlink::domain::audit::ActorRole;
use havenlink::domain::limits;
use havenlink::domain::reason::Reason;
use havenlink::services::access::{find, table};
use havenlink::transport::NodeIdentity;
use havenlink_proto::access::Listener;
use havenlink_proto::directory::v1::ProposeRequest;
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::raft::v1 as raft;
use havenlink_tests::federation::Federation;
use havenlink_tests::peer;
use havenlink_tests::refused::assert_refused;
use havenlink_tests::tools::havenctl;

use prost::Message;

use super::{call, role_name};

/// A message of exactly so many bytes that every contract understands: one field that nobody knows.
fn message(bytes: usize) -> Bytes {
    let varint = |mut value: usize, out: &mut BytesMut| {
        while value > 0x7f {
            out.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        out.put_u8(value as u8);
    };
    for filling in (0..bytes).rev() {
        let mut out = BytesMut::new();
        varint(2_000 << 3 | 2, &mut out);
        varint(filling, &mut out);
        out.resize(out.len() + filling, 0);
        if out.len() == bytes {
            return out.freeze();
        }
    }
    panic!("no message of {bytes} bytes");
}

fn is_too_large(answer: &Result<Option<Bytes>, tonic::Status>) -> bool {
    use tonic_types::StatusExt;
    let info = answer.as_ref().err().and_then(|status| status.get_details_error_info());
    info.is_some_and(|info| info.reason == Reason::MessageTooLarge.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_method_takes_its_largest_message_and_not_one_byte_more() {
    let settings = "roles = [\"operator\", \"coordinator\", \"publisher\", \"consumer\", \"data-protection\", \
                    \"inspection\", \"liaison\"]\n";
    let federation = Federation::found(2, 1, settings).await.unwrap();
    let [strasbourg, kehl] = &federation.cities[..] else { panic!("two") };
    havenctl(strasbourg, &["invite", "create", "--for", "lu-esch-sur-alzette"]).await.unwrap().fine();
    let as_kehl = NodeIdentity::load(&kehl.dir.join("data")).unwrap();
    let applicant = peer::self_issued("lu-esch-sur-alzette", havenlink::domain::time::Millis::days(1)).unwrap();
    let applicant = NodeIdentity::from_der(&applicant.key, &applicant.certificate.der).unwrap();
    let mut seen = 0;
    for row in table() {
        let largest = row.request_bytes as usize;
        for (bytes, too_large) in [(largest, false), (largest + 1, true)] {
            let (message, stands) = (message(bytes), row.is_stream() && !too_large);
            let answer = match (row.listeners.first(), row.roles.first()) {
                (Some(Listener::Peer), _) => {
                    let channel = peer::dial(as_kehl.clone(), strasbourg).await.unwrap();
                    call(channel, row.path, message, stands).await
                }
                (Some(Listener::Join), _) => {
                    let channel = peer::knock(applicant.clone(), strasbourg).await.unwrap();
                    call(channel, row.path, message, stands).await
                }
                (None, role) => {
                    let role = ActorRole::from_code(*role.unwrap() as i32).unwrap();
                    let socket = city::door(&strasbourg.sockets(), &role_name(role)).await.unwrap();
                    call(socket, row.path, message, stands).await
                }
            };
            // The library's reflection ends its stream without a word of what it could not read.
            if row.path.starts_with("/grpc.reflection.") && too_large {
                assert!(matches!(answer, Ok(None)), "{} with {bytes} bytes: {answer:?}", row.path);
                seen += 1;
                continue;
            }
            // Who is no steward is refused before anything is read.
            if row.path.starts_with("/havenlink.raft.") && too_large && !is_too_large(&answer) {
                assert_refused(&answer, Reason::NotASteward);
                seen += 1;
                continue;
            }
            assert_eq!(is_too_large(&answer), too_large, "{} with {bytes} bytes: {answer:?}", row.path);
            if too_large {
                assert_refused(&answer, Reason::MessageTooLarge);
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 2 * table().count());
    strasbourg.status().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_has_at_most_sixteen_kibibytes() {
    let federation = Federation::found(2, 1, "").await.unwrap();
    let [strasbourg, kehl] = &federation.cities[..] else { panic!("two") };
    let identity = NodeIdentity::load(&kehl.dir.join("data")).unwrap();
    let mut register = DirectoryServiceClient::new(peer::dial(identity, strasbourg).await.unwrap());
    let mut proposed = async |bytes| register.propose(ProposeRequest { signed: message(bytes) }).await;
    assert_refused(&proposed(limits::STATEMENT_BYTES).await, Reason::StatementMalformed);
    assert_refused(&proposed(limits::STATEMENT_BYTES + 1).await, Reason::MessageTooLarge);
}

/// The numbers of the protocol, written out: a constant that is changed by mistake changes with every test that uses it.
#[test]
fn the_limits_are_those_of_the_protocol() {
    let bytes = |method: &str| find(&format!("/havenlink.{method}")).unwrap().request_bytes;
    assert_eq!(bytes("peer.v1.ExchangeService/Deliver"), 1_048_576 + 65_536);
    assert_eq!(limits::ENVELOPE_BYTES, 49_152);
    assert_eq!(limits::STATEMENT_BYTES, 16_384);
    assert_eq!(limits::CONTROL_BYTES, 8_192);
    assert_eq!(bytes("raft.v1.RaftService/AppendStream"), 1_048_576);
    assert_eq!(limits::RAFT_APPEND_ENTRIES, 48);
    assert_eq!(limits::CHUNK_BYTES, 262_144);
    let own = ["Deliver", "AppendStream", "InstallSnapshot", "Propose"];
    for row in table().filter(|row| !own.iter().any(|name| row.path.ends_with(&format!("/{name}")))) {
        assert!(row.request_bytes <= 65_536, "{}", row.path);
    }
    for method in ["peer.v1.ExchangeService/Greet", "local.v1.RecordService/PublishRecord", "raft.v1.RaftService/Vote"]
    {
        assert_eq!(bytes(method), 65_536, "{method}");
    }
}

/// A leader sends at most 48 entries, each with the longest statement: what it sends fits what the others take.
#[test]
fn the_largest_append_that_a_leader_sends_is_taken() {
    let id = || Some(raft::LogId { term: u64::MAX, index: u64::MAX });
    let signed = Bytes::from(vec![0; limits::STATEMENT_BYTES]);
    let command = || raft::Command { entry_time_ms: i64::MAX, signed: signed.clone() };
    let entry = |_| raft::Entry { log_id: id(), payload: Some(raft::entry::Payload::Command(command())) };
    let request = raft::AppendStreamRequest {
        federation_id: Bytes::from(vec![0; 32]),
        vote: Some(raft::Vote { term: u64::MAX, node_id: u64::MAX, committed: true }),
        prev_log_id: id(),
        entries: (0..limits::RAFT_APPEND_ENTRIES).map(entry).collect(),
        leader_commit: id(),
        target: u64::MAX,
    };
    let sent = request.encoded_len();
    assert!(sent > 48 * 16_384, "{sent}");
    assert!(sent <= find("/havenlink.raft.v1.RaftService/AppendStream").unwrap().request_bytes as usize, "{sent}");
}
