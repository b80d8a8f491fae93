//! State to items: position, policy, stewards, members, proposals, accepted; each group in the order of its keys.

use std::sync::Arc;

use bytes::Bytes;
use havenlink_proto::directory::v1 as proto;
use prost::Message;
use proto::snapshot_item::Item;

use crate::domain::authority::KeyRecord;
use crate::domain::ids::{AuthorityId, Digest, StatementId};
use crate::domain::limits;
use crate::domain::statement::Subject;
use crate::domain::time::UnixMs;
use crate::state::{Change, Proposal, ProposalState, RegisterState};
use crate::wire::acts;
use crate::wire::beat::SnapshotMark;

/// A snapshot, encoded.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// Without beats: whoever sends it adds the majority's.
    pub header: proto::SnapshotHeader,
    /// The items, each with its length before it.
    pub items: Bytes,
    /// What a beat says of it.
    pub mark: SnapshotMark,
}

/// Encodes the state.
pub fn encode(state: &RegisterState) -> Encoded {
    let mut stream = Vec::new();
    let mut count = 0_u64;
    for item in items(state) {
        let item = proto::SnapshotItem { item: Some(item) };
        stream.reserve(item.encoded_len() + 10);
        item.encode_length_delimited(&mut stream).expect("a vector grows");
        count += 1;
    }
    let items = Bytes::from(stream);
    let mark = SnapshotMark { number: state.number(), head: state.head(), digest: Digest::of(&items) };
    let header = proto::SnapshotHeader {
        federation_id: raw(state.federation().as_bytes()),
        number: mark.number,
        head: raw(mark.head.as_bytes()),
        digest: raw(mark.digest.as_bytes()),
        items: count,
        entry_time_ms: state.entry_time().0,
        beats: Vec::new(),
        founding: state.position().founding,
    };
    Encoded { header, items, mark }
}

/// The items cut into pieces of at most 256 KiB.
pub fn chunks(items: &Bytes) -> impl Iterator<Item = Bytes> + '_ {
    let size = limits::CHUNK_BYTES;
    (0..items.len()).step_by(size).map(move |at| items.slice(at..items.len().min(at + size)))
}

fn items(state: &RegisterState) -> impl Iterator<Item = Item> + '_ {
    let head = [position(state), policy(state), stewards(state)];
    let members = state.members().keys().filter_map(|authority| member(state, authority));
    let proposals = state.proposals().map(|p| proposal(p));
    let accepted = state.accepted_statements().map(|(digest, number, outcome)| {
        let digest = raw(digest.as_bytes());
        Item::Accepted(proto::AcceptedStatement { digest, number, outcome: outcome.code() })
    });
    head.into_iter().chain(members).chain(proposals).chain(accepted)
}

fn position(state: &RegisterState) -> Item {
    Item::Position(proto::SnapshotPosition {
        federation_id: raw(state.federation().as_bytes()),
        number: state.number(),
        head: raw(state.head().as_bytes()),
        entry_time_ms: state.entry_time().0,
        founding: state.position().founding,
    })
}

fn policy(state: &RegisterState) -> Item {
    Item::Policy(proto::SnapshotPolicy {
        version: state.version(&Subject::Policy),
        policy: Some(acts::policy_to_proto(state.policy())),
        changes: changes(state.policy_changes()),
    })
}

fn stewards(state: &RegisterState) -> Item {
    Item::Stewards(proto::SnapshotStewards {
        version: state.version(&Subject::Stewards),
        stewards: acts::stewards_to_proto(state.stewards()),
        used_raft_ids: state.used_raft_ids().collect(),
        changes: changes(state.stewards_changes()),
    })
}

fn member(state: &RegisterState, authority: &AuthorityId) -> Option<Item> {
    let (member, history) = (state.member(authority)?, state.history(authority)?);
    let status = proto::MemberStatus {
        suspended_until_ms: member.suspended_until.map_or(0, |at| at.0),
        removed_at_ms: member.removed_at.map_or(0, |at| at.0),
        admitted_at_ms: history.admitted_at.0,
        lifted: history.lifted.iter().map(|id: &StatementId| raw(id.as_bytes())).collect(),
        emergencies: history.emergencies.iter().map(|(who, at): (_, &UnixMs)| (who.to_string(), at.0)).collect(),
    };
    let mut changes: Vec<&Arc<Change>> =
        history.decided.iter().chain(&history.own).chain(state.mandates().changes_about(authority)).collect();
    changes.sort_by_key(|change| change.number);
    Some(Item::Member(proto::SnapshotMember {
        authority: authority.to_string(),
        version: member.version,
        status_version: member.status_version,
        status: Some(status),
        keys: member.keys.iter().map(key).collect(),
        changes: changes.into_iter().map(|change| change_to_proto(change)).collect(),
    }))
}

fn key(key: &KeyRecord) -> proto::KeyRecord {
    proto::KeyRecord {
        key: raw(&key.key.0),
        replaced_at_ms: key.replaced_at.map_or(0, |at| at.0),
        compromised: key.compromised,
    }
}

fn proposal(proposal: &Proposal) -> Item {
    let (state, rejection) = match proposal.state {
        ProposalState::Open => (proto::ProposalState::Open, 0),
        ProposalState::Carried => (proto::ProposalState::Carried, 0),
        ProposalState::Rejected(reason) => (proto::ProposalState::Rejected, reason.code()),
        ProposalState::Withdrawn => (proto::ProposalState::Withdrawn, 0),
    };
    Item::Proposal(proto::SnapshotProposal {
        id: raw(proposal.id.as_bytes()),
        state: state as i32,
        rejection,
        opened_at_ms: proposal.opened_at.0,
        expires_at_ms: proposal.expires_at.0,
        changes: changes(&proposal.changes),
    })
}

fn changes(changes: &[Arc<Change>]) -> Vec<proto::Change> {
    changes.iter().map(|change| change_to_proto(change)).collect()
}

fn change_to_proto(change: &Change) -> proto::Change {
    proto::Change {
        number: change.number,
        entry_time_ms: change.entry_time.0,
        signed: change.signed.clone(),
        outcome: change.outcome.code(),
    }
}

fn raw(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
