//! The access table: the contract's rows, and those of the libraries that are served beside it. What has no row cannot
//! be called.

use std::collections::HashMap;
use std::sync::LazyLock;

use havenlink_proto::access::Listener as Port;
use havenlink_proto::access::METHODS;
pub use havenlink_proto::access::{Certificate, Effect, Method, MinimumStatus, Work};
use havenlink_proto::record::v1::ActorRole as Role;

use crate::domain::audit::ActorRole;

/// Where a call comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Mutual TLS with a pinned member.
    Peer,
    /// ALPN `havenlink-join/1`, while an invitation is open.
    Join,
    /// The socket of a role.
    Local(ActorRole),
}

/// Health and reflection: everybody with a socket.
const ANYONE_LOCAL: &[Role] = &[
    Role::Operator,
    Role::Coordinator,
    Role::Publisher,
    Role::DataProtection,
    Role::Consumer,
    Role::Inspection,
    Role::Liaison,
];

const fn health(path: &'static str, listeners: &'static [Port]) -> Method {
    Method {
        path,
        service: "health.Health",
        listeners,
        roles: ANYONE_LOCAL,
        verb: None,
        minimum_status: MinimumStatus::Member,
        certificate: Certificate::Pinned,
        request_bytes: 1_024,
        deadline_ms: Some(10_000),
        idle_ms: None,
        work: Work::Members,
        effect: Effect::Read,
        orders: false,
        waits: false,
    }
}

/// At the local doors alone (decisions/061).
const fn reflection(path: &'static str) -> Method {
    Method {
        service: "reflection.ServerReflection",
        deadline_ms: None,
        idle_ms: Some(60_000),
        work: Work::Exchange,
        request_bytes: 65_536,
        ..health(path, &[])
    }
}

/// Health and reflection are served beside the contract.
static LIBRARIES: [Method; 4] = [
    health("/grpc.health.v1.Health/Check", &[Port::Peer]),
    Method {
        deadline_ms: None,
        work: Work::Exchange,
        request_bytes: 65_536,
        ..health("/grpc.health.v1.Health/Watch", &[])
    },
    reflection("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    reflection("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
];

/// Every method that can be called.
pub fn table() -> impl Iterator<Item = &'static Method> {
    METHODS.iter().chain(&LIBRARIES)
}

/// The row of a method.
pub fn find(path: &str) -> Option<&'static Method> {
    static ROWS: LazyLock<HashMap<&'static str, &'static Method>> =
        LazyLock::new(|| table().map(|row| (row.path, row)).collect());
    ROWS.get(path).copied()
}

/// Whether the listener leads to the method.
pub fn opens_at(row: &Method, listener: Listener) -> bool {
    match listener {
        Listener::Peer => row.listeners.contains(&Port::Peer),
        Listener::Join => row.listeners.contains(&Port::Join),
        Listener::Local(role) => row.roles.iter().any(|open| *open as i32 == role.code()),
    }
}

pub fn is_consensus(row: &Method) -> bool {
    row.work == Work::Register && row.service == "raft.RaftService"
}

/// The largest message of any method of the contract, in bytes.
pub fn largest_request() -> usize {
    METHODS.iter().map(|row| row.request_bytes as usize).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use havenlink_proto::access::{self as contract, KINDS};
    use prost::Message;

    use super::*;
    use crate::domain::limits;
    use crate::domain::reason::Reason;
    use crate::domain::records::{RecordKind, Verb};

    #[test]
    fn each_method_of_the_contract_has_exactly_one_row_and_streams_no_deadline() {
        let set = prost_types::FileDescriptorSet::decode(havenlink_proto::DESCRIPTOR_SET).unwrap();
        let mut contract = BTreeSet::new();
        for file in set.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    let row = find(&path).unwrap_or_else(|| panic!("{path} has no row"));
                    let streams = method.client_streaming() || method.server_streaming();
                    assert_eq!(row.is_stream(), streams, "{path}");
                    assert!(!row.listeners.is_empty() || !row.roles.is_empty(), "{path} opens nowhere");
                    contract.insert(path);
                }
            }
        }
        let mut rows = BTreeSet::new();
        for row in table() {
            assert!(rows.insert(row.path), "{} has two rows", row.path);
            assert!(row.path.starts_with("/grpc.") || contract.contains(row.path), "{} is in no contract", row.path);
        }
        assert!(contract.len() > 50);
        assert!(find("/havenlink.peer.v1.ExchangeService/Nothing").is_none());
    }

    /// What brings two nodes back together, and the ordering by which alone a pin comes to be listed; no record (9.6).
    #[test]
    fn an_issued_certificate_opens_five_methods_and_ordering() {
        let open: Vec<_> = table().filter(|row| row.certificate == Certificate::Issued).map(|row| row.path).collect();
        let directory = |method: &str| format!("/havenlink.directory.v1.DirectoryService/{method}");
        let mut named = ["Propose", "Follow", "Snapshot", "Gossip"].map(directory).to_vec();
        named.push("/havenlink.peer.v1.ExchangeService/Greet".to_owned());
        let raft = |path: &&str| path.starts_with("/havenlink.raft.v1.RaftService/");
        named.extend(table().map(|row| row.path).filter(raft).map(str::to_owned));
        assert_eq!(open, named);
        assert!(table().filter(|row| !opens_at(row, Listener::Peer)).all(|row| row.certificate == Certificate::Pinned));
    }

    #[test]
    fn roles_are_apart() {
        for row in table() {
            let opens = |role| opens_at(row, Listener::Local(role));
            let content = row.path.starts_with("/havenlink.local.v1.") && row.service != "local.DeliveryService";
            assert!(!(content && opens(ActorRole::Operator)), "{}: the operator reads no content", row.path);
            for role in [ActorRole::Inspection, ActorRole::Liaison] {
                let special = content && row.verb.is_none();
                assert!(!(special && opens(role)), "{}: {role} reads support records", row.path);
            }
            for role in [ActorRole::Node, ActorRole::Peer] {
                assert!(!opens(role), "{}: {role} has no socket", row.path);
            }
            let (peer, join) = (opens_at(row, Listener::Peer), opens_at(row, Listener::Join));
            assert!(!((peer || join) && content), "{}: a local method at the peer listener", row.path);
            assert!(!(peer && join), "{}", row.path);
            let reflection = row.service == "reflection.ServerReflection";
            assert!(!(reflection && (peer || join)), "{}: on a port of the network", row.path);
        }
    }

    /// What the contract calls it.
    fn asked(verb: contract::Verb) -> Verb {
        match verb {
            contract::Verb::Publish => Verb::Publish,
            contract::Verb::Read => Verb::Read,
            contract::Verb::Consume => Verb::Consume,
            contract::Verb::Answer => Verb::Answer,
        }
    }

    /// Who reads records of support reads neither inspections nor what a liaison gets, and the reverse: no role has a kind
    /// beside one of another of these.
    const APART: [&[ActorRole]; 3] = [
        &[ActorRole::Publisher, ActorRole::Coordinator, ActorRole::Consumer],
        &[ActorRole::Inspection],
        &[ActorRole::Liaison],
    ];

    /// The contract tells a city's own software and the tools what the node does. Each cell of kind by verb by role.
    #[test]
    fn the_contract_says_of_each_kind_what_the_kind_itself_says() {
        for kind in RecordKind::ALL {
            let number = u32::try_from(kind.code()).unwrap();
            let row = KINDS.iter().find(|row| row.number == number);
            assert_eq!(row.is_some(), RecordKind::CONTENT.contains(kind), "{kind}: its option in the contract");
            for (verb, role) in
                contract::Verb::ALL.into_iter().flat_map(|verb| ActorRole::ALL.iter().map(move |role| (verb, *role)))
            {
                let said = row.is_some_and(|row| row.roles(verb).iter().any(|open| *open as i32 == role.code()));
                assert_eq!(said, kind.open_to(asked(verb), role).is_ok(), "{role} may {verb:?} {kind}");
                assert!(
                    row.is_some() || kind.open_to(asked(verb), role) == Err(Reason::KindNotSupported),
                    "{kind}: a number"
                );
            }
            let has = |roles: &&&[ActorRole]| {
                let with = |verb| roles.iter().any(|role| kind.open_to(asked(verb), *role).is_ok());
                contract::Verb::ALL.into_iter().any(with)
            };
            assert!(APART.iter().filter(has).count() <= 1, "{kind} is read on both sides of a wall");
            let kept_out = ActorRole::ALL.iter().filter(|role| !APART.concat().contains(role));
            for (role, verb) in kept_out.flat_map(|role| contract::Verb::ALL.map(|verb| (*role, verb))) {
                assert!(kind.open_to(asked(verb), role).is_err(), "{role} has no content, and {verb:?} of {kind}");
            }
        }
    }

    #[test]
    fn the_methods_that_serve_every_kind_are_open_to_the_roles_that_the_kinds_name() {
        let mut verbs = BTreeSet::new();
        for row in METHODS {
            let Some(verb) = row.verb else { continue };
            verbs.insert(format!("{verb:?}"));
            for role in ActorRole::ALL {
                let some = RecordKind::CONTENT.iter().any(|kind| kind.open_to(asked(verb), *role).is_ok());
                assert_eq!(opens_at(row, Listener::Local(*role)), some, "{} for {role}", row.path);
            }
        }
        assert_eq!(verbs.len(), contract::Verb::ALL.len());
        let row = |role, verb, kind: RecordKind| kind.open_to(verb, role).map_err(Reason::code);
        assert_eq!(row(ActorRole::Publisher, Verb::Read, RecordKind::OfferView), Err("METHOD_NOT_OPEN"));
        assert_eq!(row(ActorRole::Coordinator, Verb::Read, RecordKind::OfferView), Ok(()));
        assert_eq!(row(ActorRole::Coordinator, Verb::Publish, RecordKind::OfferView), Err("KIND_NOT_SUPPORTED"));
        assert_eq!(row(ActorRole::Consumer, Verb::Publish, RecordKind::Alert), Err("METHOD_NOT_OPEN"));
    }

    /// The options say numbers; what the rest of the node does by its own constants must fit them.
    #[test]
    fn the_options_and_the_limits_of_the_product_agree() {
        let row = |path: &str| find(&format!("/havenlink.{path}")).unwrap();
        let bytes = |path: &str| row(path).request_bytes as usize;
        assert_eq!(bytes("peer.v1.ExchangeService/Deliver"), limits::DELIVER_BYTES);
        assert_eq!(bytes("peer.v1.ExchangeService/Greet"), limits::CALL_BYTES);
        assert_eq!(bytes("peer.v1.JoinService/Commit"), limits::JOIN_BYTES);
        assert_eq!(bytes("directory.v1.DirectoryService/Propose"), limits::STATEMENT_BYTES + 1_024);
        assert_eq!(bytes("raft.v1.RaftService/AppendStream"), limits::RAFT_APPEND_BYTES);
        assert_eq!(bytes("raft.v1.RaftService/InstallSnapshot"), limits::CHUNK_BYTES + limits::CALL_BYTES);
        assert_eq!(row("peer.v1.ExchangeService/Greet").deadline(), Some(limits::UNARY.to_duration()));
        let follow = row("directory.v1.DirectoryService/Follow");
        assert_eq!(follow.idle(), Some(limits::IDLE_STREAM.to_duration()));
    }

    #[test]
    fn every_service_has_its_label() {
        for row in table() {
            assert!(crate::telemetry::metrics::SERVICE.has(row.service), "{}", row.service);
        }
        assert_eq!(find("/havenlink.peer.v1.ExchangeService/Deliver").unwrap().service, "peer.ExchangeService");
    }
}
