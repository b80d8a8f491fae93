//! The access table: one row per full method name. What has no row cannot be called.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::domain::audit::ActorRole;
use crate::domain::limits;
use crate::domain::time::Millis;

/// A listener, and on the local one a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Mutual TLS with a pinned member.
    Peer,
    /// ALPN `havenlink-join/1`, while an invitation is open.
    Join,
    /// The socket of a role.
    Local(ActorRole),
}

/// What a member must be to pass the peer door for a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Neither suspended nor removed.
    Active,
    /// Suspended ones too: reading the register and voting go on (9.4). Who votes is asked by the register's own doors,
    /// which know Raft's state as well as the view.
    Member,
}

/// What kind of work a call is, and so on which threads it runs and from which budget a peer's call is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Records and all that is about them.
    Exchange,
    /// What members ask of the register, and have verified here: beside consensus, so that it never runs before it.
    Members,
    /// Consensus, and an operator's governing and suspending: behind nobody, and without a budget.
    Register,
}

/// One row.
#[derive(Debug)]
pub struct Row {
    /// `/package.Service/Method`.
    pub method: &'static str,
    pub doors: &'static [Door],
    /// At the peer door.
    pub standing: Standing,
    /// Largest message in bytes (9.14).
    pub bytes: usize,
    /// Of a unary call.
    pub deadline: Option<Millis>,
    /// How long a stream may be silent; `None`: for ever (local readers).
    pub idle: Option<Millis>,
    pub work: Work,
    /// What it brings is ordered into the register, on every steward's disk: a budget of its own.
    pub orders: bool,
    /// It waits for something to happen: it is answered at once when the node stops.
    pub waits: bool,
}

use ActorRole::{Consumer, Coordinator, DataProtection, Inspection, Liaison, Operator, Publisher};

const PEER: &[Door] = &[Door::Peer];
const JOIN: &[Door] = &[Door::Join];
const OPERATOR: &[Door] = &[Door::Local(Operator)];
const PEER_OR_OPERATOR: &[Door] = &[Door::Peer, Door::Local(Operator)];
const PUBLISH: &[Door] = &[Door::Local(Publisher), Door::Local(Coordinator)];
const READ: &[Door] = &[Door::Local(Publisher), Door::Local(Coordinator), Door::Local(Consumer)];
const COORDINATE: &[Door] = &[Door::Local(Coordinator)];
const CONSUME: &[Door] = &[Door::Local(Consumer)];
const DELIVERIES: &[Door] =
    &[Door::Local(Operator), Door::Local(Publisher), Door::Local(Coordinator), Door::Local(DataProtection)];
const AUDIT: &[Door] = &[Door::Local(Operator), Door::Local(DataProtection)];
const AGREEMENTS_READ: &[Door] =
    &[Door::Local(Operator), Door::Local(Coordinator), Door::Local(Publisher), Door::Local(DataProtection)];
/// Status and reasons: everybody with a socket.
const ANYONE_LOCAL: &[Door] = &[
    Door::Local(Operator),
    Door::Local(Coordinator),
    Door::Local(Publisher),
    Door::Local(Consumer),
    Door::Local(DataProtection),
    Door::Local(Inspection),
    Door::Local(Liaison),
];
const EVERYWHERE: &[Door] = &[
    Door::Peer,
    Door::Local(Operator),
    Door::Local(Coordinator),
    Door::Local(Publisher),
    Door::Local(Consumer),
    Door::Local(DataProtection),
    Door::Local(Inspection),
    Door::Local(Liaison),
];

const CALL: usize = limits::CALL_BYTES;
/// Watching an application waits up to 30 s for a change.
const LONG_POLL: Millis = Millis::seconds(40);
/// Statements go through the log; a decision may wait for an election.
const DECISION: Millis = Millis::seconds(20);
/// Verifying the whole audit log reads all of it.
const WHOLE_LOG: Millis = Millis::minutes(5);

const fn row(method: &'static str, doors: &'static [Door], standing: Standing, bytes: usize) -> Row {
    Row {
        method,
        doors,
        standing,
        bytes,
        deadline: Some(limits::UNARY),
        idle: None,
        work: Work::Exchange,
        orders: false,
        waits: false,
    }
}

const fn local(method: &'static str, doors: &'static [Door]) -> Row {
    row(method, doors, Standing::Active, CALL)
}

const fn slow(method: &'static str, doors: &'static [Door], deadline: Millis) -> Row {
    Row { deadline: Some(deadline), ..local(method, doors) }
}

/// Governing and status: never behind the exchange or behind what members ask.
const fn govern(method: &'static str, doors: &'static [Door], deadline: Millis) -> Row {
    Row { work: Work::Register, ..slow(method, doors, deadline) }
}

const fn members(method: &'static str, doors: &'static [Door], bytes: usize) -> Row {
    Row { work: Work::Members, ..row(method, doors, Standing::Member, bytes) }
}

const fn consensus(method: &'static str, bytes: usize) -> Row {
    Row { work: Work::Register, ..row(method, PEER, Standing::Member, bytes) }
}

const fn stream(row: Row, idle: Option<Millis>) -> Row {
    Row {
        method: row.method,
        doors: row.doors,
        standing: row.standing,
        bytes: row.bytes,
        deadline: None,
        idle,
        work: row.work,
        orders: row.orders,
        waits: row.waits,
    }
}

const IDLE: Option<Millis> = Some(limits::IDLE_STREAM);
const APPEND: usize = limits::RAFT_APPEND_BYTES;
const CHUNK: usize = limits::CHUNK_BYTES + CALL;
const STATEMENT: usize = limits::STATEMENT_BYTES + 1_024;

/// Every method that can be called.
pub const TABLE: &[Row] = &[
    // City to city
    row("/havenlink.peer.v1.ExchangeService/Greet", PEER, Standing::Active, CALL),
    row("/havenlink.peer.v1.ExchangeService/Deliver", PEER, Standing::Active, limits::DELIVER_BYTES),
    // Joining
    row("/havenlink.peer.v1.JoinService/Commit", JOIN, Standing::Active, limits::JOIN_BYTES),
    row("/havenlink.peer.v1.JoinService/Reveal", JOIN, Standing::Active, limits::JOIN_BYTES),
    Row {
        deadline: Some(LONG_POLL),
        waits: true,
        ..row("/havenlink.peer.v1.JoinService/Watch", JOIN, Standing::Active, limits::JOIN_BYTES)
    },
    row("/havenlink.peer.v1.JoinService/Withdraw", JOIN, Standing::Active, limits::JOIN_BYTES),
    // The register
    members("/havenlink.directory.v1.DirectoryService/Get", PEER_OR_OPERATOR, CALL),
    members("/havenlink.directory.v1.DirectoryService/List", PEER_OR_OPERATOR, CALL),
    Row {
        deadline: Some(DECISION),
        orders: true,
        ..members("/havenlink.directory.v1.DirectoryService/Propose", PEER_OR_OPERATOR, STATEMENT)
    },
    stream(members("/havenlink.directory.v1.DirectoryService/Follow", PEER_OR_OPERATOR, CALL), IDLE),
    stream(members("/havenlink.directory.v1.DirectoryService/Snapshot", PEER_OR_OPERATOR, CALL), IDLE),
    members("/havenlink.directory.v1.DirectoryService/Gossip", PEER, CALL),
    // Passing on what members propose. Its statements are counted by the handler, which knows how many there are.
    members("/havenlink.raft.v1.RaftService/Forward", PEER, CALL),
    // Consensus
    stream(consensus("/havenlink.raft.v1.RaftService/AppendStream", APPEND), IDLE),
    consensus("/havenlink.raft.v1.RaftService/Vote", CALL),
    consensus("/havenlink.raft.v1.RaftService/PreVote", CALL),
    stream(consensus("/havenlink.raft.v1.RaftService/InstallSnapshot", CHUNK), IDLE),
    consensus("/havenlink.raft.v1.RaftService/TransferLeader", CALL),
    // A city's own systems and coordinators
    local("/havenlink.local.v1.AlertService/PublishAlert", PUBLISH),
    local("/havenlink.local.v1.AlertService/ListAlerts", READ),
    local("/havenlink.local.v1.AlertService/GetAlert", READ),
    local("/havenlink.local.v1.AlertService/AnswerAlert", PUBLISH),
    local("/havenlink.local.v1.PracticeService/PublishPractice", PUBLISH),
    local("/havenlink.local.v1.PracticeService/SearchPractices", READ),
    local("/havenlink.local.v1.OfferService/SetOffer", COORDINATE),
    local("/havenlink.local.v1.OfferService/ConfirmOffer", COORDINATE),
    local("/havenlink.local.v1.OfferService/ListOffers", COORDINATE),
    stream(local("/havenlink.local.v1.InboxService/Consume", CONSUME), None),
    local("/havenlink.local.v1.InboxService/CommitCursor", CONSUME),
    local("/havenlink.local.v1.DeliveryService/ListDeliveries", DELIVERIES),
    stream(local("/havenlink.local.v1.DeliveryService/WatchDeliveries", DELIVERIES), None),
    // Operators
    govern("/havenlink.admin.v1.NodeService/GetStatus", ANYONE_LOCAL, limits::UNARY),
    govern("/havenlink.admin.v1.NodeService/ExplainReason", ANYONE_LOCAL, limits::UNARY),
    govern("/havenlink.admin.v1.NodeService/RenewCertificate", OPERATOR, DECISION),
    govern("/havenlink.admin.v1.NodeService/RunDoctor", OPERATOR, LONG_POLL),
    govern("/havenlink.admin.v1.MemberService/CreateInvitation", OPERATOR, limits::UNARY),
    govern("/havenlink.admin.v1.MemberService/ListInvitations", OPERATOR, limits::UNARY),
    govern("/havenlink.admin.v1.MemberService/RevokeInvitation", OPERATOR, limits::UNARY),
    govern("/havenlink.admin.v1.MemberService/ListMembers", ANYONE_LOCAL, limits::UNARY),
    govern("/havenlink.admin.v1.MemberService/ShowMember", ANYONE_LOCAL, limits::UNARY),
    govern("/havenlink.admin.v1.MemberService/ApproveMember", OPERATOR, DECISION),
    govern("/havenlink.admin.v1.MemberService/RejectMember", OPERATOR, DECISION),
    govern("/havenlink.admin.v1.MemberService/SuspendMember", OPERATOR, DECISION),
    govern("/havenlink.admin.v1.MemberService/RestoreMember", OPERATOR, DECISION),
    govern("/havenlink.admin.v1.MemberService/RemoveMember", OPERATOR, DECISION),
    govern("/havenlink.admin.v1.MemberService/ApproveProposal", OPERATOR, DECISION),
    govern("/havenlink.admin.v1.MemberService/PromoteSteward", OPERATOR, DECISION),
    govern("/havenlink.admin.v1.MemberService/DemoteSteward", OPERATOR, DECISION),
    govern("/havenlink.admin.v1.MemberService/ReplaceSteward", OPERATOR, DECISION),
    govern("/havenlink.admin.v1.MemberService/UpdateEntry", OPERATOR, DECISION),
    govern("/havenlink.admin.v1.MemberService/ProposePolicy", OPERATOR, DECISION),
    govern("/havenlink.admin.v1.MemberService/RotateKey", OPERATOR, DECISION),
    govern("/havenlink.admin.v1.MemberService/RecoverKey", OPERATOR, DECISION),
    govern("/havenlink.admin.v1.MemberService/CreateRecoveryTicket", OPERATOR, limits::UNARY),
    local("/havenlink.admin.v1.AgreementService/ProposeAgreement", OPERATOR),
    local("/havenlink.admin.v1.AgreementService/SignAgreement", OPERATOR),
    local("/havenlink.admin.v1.AgreementService/EndAgreement", OPERATOR),
    local("/havenlink.admin.v1.AgreementService/ShowAgreement", AGREEMENTS_READ),
    local("/havenlink.admin.v1.AgreementService/ListAgreements", AGREEMENTS_READ),
    local("/havenlink.admin.v1.AuditService/ListLeaves", AUDIT),
    slow("/havenlink.admin.v1.AuditService/VerifyAudit", AUDIT, WHOLE_LOG),
    // Not of our contract
    members("/grpc.health.v1.Health/Check", EVERYWHERE, 1_024),
    members("/grpc.health.v1.Health/List", ANYONE_LOCAL, 1_024),
    stream(local("/grpc.health.v1.Health/Watch", ANYONE_LOCAL), None),
    stream(local("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", ANYONE_LOCAL), IDLE),
];

/// The row of a method.
pub fn find(method: &str) -> Option<&'static Row> {
    static ROWS: LazyLock<HashMap<&'static str, &'static Row>> =
        LazyLock::new(|| TABLE.iter().map(|row| (row.method, row)).collect());
    ROWS.get(method).copied()
}

impl Row {
    /// Whether the door leads to the method.
    pub fn opens_at(&self, door: Door) -> bool {
        self.doors.contains(&door)
    }

    /// Raft's own messages.
    pub fn is_consensus(&self) -> bool {
        self.work == Work::Register && self.method.starts_with("/havenlink.raft.")
    }

    /// `peer.ExchangeService`: the service as metrics know it.
    pub fn service(&self) -> &'static str {
        let whole = self.method.trim_start_matches('/');
        let name = whole.split('/').next().unwrap_or(whole);
        let name = name.strip_prefix("havenlink.").or_else(|| name.strip_prefix("grpc.")).unwrap_or(name);
        match name.find(".v1.") {
            Some(at) => service_label(&name[..at], &name[at + 4..]),
            None => "other",
        }
    }
}

/// The label of the closed set; built once per row so that measuring a call allocates nothing.
fn service_label(area: &str, service: &str) -> &'static str {
    static LABELS: LazyLock<HashMap<String, &'static str>> =
        LazyLock::new(|| crate::telemetry::metrics::SERVICE.values().iter().map(|v| ((*v).to_owned(), *v)).collect());
    LABELS.get(&format!("{area}.{service}")).copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;

    use super::*;

    fn methods_of_the_contract() -> BTreeSet<String> {
        let set = prost_types::FileDescriptorSet::decode(havenlink_proto::DESCRIPTOR_SET).unwrap();
        let mut methods = BTreeSet::new();
        for file in set.file {
            for service in &file.service {
                for method in &service.method {
                    methods.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        methods
    }

    #[test]
    fn each_method_of_the_contract_has_exactly_one_row() {
        let contract = methods_of_the_contract();
        let mut rows = BTreeSet::new();
        for row in TABLE {
            assert!(rows.insert(row.method.to_owned()), "{} has two rows", row.method);
            assert!(!row.doors.is_empty(), "{} opens nowhere", row.method);
            assert!(
                row.method.starts_with("/grpc.") || contract.contains(row.method),
                "{} is in no contract",
                row.method
            );
        }
        let missing: Vec<_> = contract.difference(&rows).collect();
        assert!(missing.is_empty(), "without a row: {missing:?}");
    }

    #[test]
    fn streams_have_no_deadline_and_unary_calls_have_one() {
        let set = prost_types::FileDescriptorSet::decode(havenlink_proto::DESCRIPTOR_SET).unwrap();
        for file in set.file {
            for service in &file.service {
                for method in &service.method {
                    let name = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    let streams = method.client_streaming() || method.server_streaming();
                    assert_eq!(find(&name).unwrap().deadline.is_none(), streams, "{name}");
                }
            }
        }
    }

    #[test]
    fn roles_are_apart() {
        for row in TABLE {
            let opens = |role| row.opens_at(Door::Local(role));
            let content = row.method.starts_with("/havenlink.local.v1.") && !row.method.contains("DeliveryService");
            assert!(!(content && opens(ActorRole::Operator)), "{}: the operator reads no content", row.method);
            for role in [ActorRole::Inspection, ActorRole::Liaison] {
                assert!(!(content && opens(role)), "{}: {role} reads support records", row.method);
            }
            let federation = row.opens_at(Door::Peer) || row.opens_at(Door::Join);
            assert!(!(federation && content), "{}: a local method at the peer door", row.method);
            assert!(!(row.opens_at(Door::Peer) && row.opens_at(Door::Join)), "{}", row.method);
        }
    }

    #[test]
    fn every_service_has_its_label() {
        for row in TABLE {
            assert_ne!(row.service(), "other", "{}", row.method);
        }
        assert_eq!(find("/havenlink.peer.v1.ExchangeService/Deliver").unwrap().service(), "peer.ExchangeService");
        assert!(find("/havenlink.peer.v1.ExchangeService/Nothing").is_none());
    }
}
