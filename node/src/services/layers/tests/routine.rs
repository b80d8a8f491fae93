//! Spans of what goes on all the time have a target of their own, and no other call's have it.

use super::*;

fn target(method: &str) -> &'static str {
    let row = access::find(&format!("/havenlink.{method}")).unwrap_or_else(|| panic!("{method}"));
    let authority = AuthorityId::parse("de-kehl").unwrap();
    let caller = Caller::Peer { authority, pin: KEHL, proof: Certificate::Pinned };
    tracing::subscriber::with_default(tracing_subscriber::registry(), || {
        span_of(row, &caller).metadata().expect("somebody listens").target()
    })
}

#[test]
fn heartbeats_and_polls_are_routine_and_what_changes_something_is_not() {
    for method in [
        "raft.v1.RaftService/AppendStream",
        "raft.v1.RaftService/Vote",
        "raft.v1.RaftService/PreVote",
        "raft.v1.RaftService/InstallSnapshot",
        "directory.v1.DirectoryService/Gossip",
        "directory.v1.DirectoryService/Follow",
        "directory.v1.DirectoryService/Get",
        "peer.v1.ExchangeService/Greet",
        "admin.v1.NodeService/GetStatus",
        "local.v1.RecordService/ListRecords",
    ] {
        assert_eq!(target(method), ROUTINE, "{method}");
    }
    for method in [
        "directory.v1.DirectoryService/Propose",
        "peer.v1.ExchangeService/Deliver",
        "local.v1.RecordService/PublishRecord",
        "local.v1.OfferService/SetOffer",
        "admin.v1.MemberService/SuspendMember",
    ] {
        assert_ne!(target(method), ROUTINE, "{method}");
    }
}
