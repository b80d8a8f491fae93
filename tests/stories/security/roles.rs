//! Every method of the contract at every role's socket of a running node, and at the peer port.

use bytes::Bytes;
use havenlink::demo::city;
use havenlink::domain::audit::ActorRole;
use havenlink::domain::reason::Reason;
use havenlink::services::access::{self, Listener};
use havenlink_tests::federation::Federation;
use havenlink_tests::peer;
use havenlink_tests::refused::assert_refused;
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
    strasbourg.status().await.unwrap();
}
