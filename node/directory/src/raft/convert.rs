//! Raft's messages between wire or disk and openraft, field by field.

use std::collections::{BTreeMap, BTreeSet};

use havenlink_proto::raft::v1 as proto;
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderRequest, VoteRequest, VoteResponse,
};

use crate::domain::time::UnixMs;
use crate::wire::Error;

use super::types::{
    Command, Entry, LogId, Membership, Payload, Peer, SnapshotMeta, StoredMembership, TypeConfig, Vote,
};

type C = TypeConfig;

pub fn vote_to(vote: &Vote) -> proto::Vote {
    let leader = vote.leader_id();
    proto::Vote { term: leader.term, node_id: leader.voted_for, committed: vote.is_committed() }
}

pub fn vote_from(vote: Option<proto::Vote>) -> Result<Vote, Error> {
    let vote = vote.ok_or_else(|| Error::missing("vote"))?;
    Ok(if vote.committed { Vote::new_committed(vote.term, vote.node_id) } else { Vote::new(vote.term, vote.node_id) })
}

pub fn log_id_to(id: &LogId) -> proto::LogId {
    proto::LogId { term: id.committed_leader_id().term, index: id.index() }
}

pub fn log_id_from(id: proto::LogId) -> LogId {
    LogId::new_term_index(id.term, id.index)
}

fn log_id_option(id: Option<proto::LogId>) -> Option<LogId> {
    id.map(log_id_from)
}

pub fn membership_to(membership: &Membership) -> proto::Membership {
    proto::Membership {
        configs: membership
            .get_joint_config()
            .iter()
            .map(|voters| proto::MembershipConfig { voters: voters.iter().copied().collect() })
            .collect(),
        nodes: membership.nodes().map(|(id, peer)| (*id, peer.authority.clone())).collect(),
    }
}

/// Refuses what openraft refuses or would panic at: no voters, a voter that is no node, more than two configurations.
pub fn membership_from(membership: proto::Membership) -> Result<Membership, Error> {
    let configs: Vec<BTreeSet<u64>> =
        membership.configs.into_iter().map(|config| config.voters.into_iter().collect()).collect();
    let nodes: BTreeMap<u64, Peer> =
        membership.nodes.into_iter().map(|(id, authority)| (id, Peer { authority })).collect();
    if configs.len() > 2 {
        return Err(Error::invalid("membership.configs", "one or two"));
    }
    Membership::new(configs, nodes).map_err(|error| Error::invalid("membership", error.to_string()))
}

pub fn entry_to(entry: &Entry) -> proto::Entry {
    let payload = match &entry.payload {
        Payload::Blank => proto::entry::Payload::Blank(proto::Blank {}),
        Payload::Normal(command) => proto::entry::Payload::Command(proto::Command {
            entry_time_ms: command.entry_time.0,
            signed: command.signed.clone(),
        }),
        Payload::Membership(membership) => proto::entry::Payload::Membership(membership_to(membership)),
    };
    proto::Entry { log_id: Some(log_id_to(&entry.log_id)), payload: Some(payload) }
}

pub fn entry_from(entry: proto::Entry) -> Result<Entry, Error> {
    let log_id = log_id_from(entry.log_id.ok_or_else(|| Error::missing("entry.log_id"))?);
    let payload = match entry.payload.ok_or_else(|| Error::missing("entry.payload"))? {
        proto::entry::Payload::Blank(proto::Blank {}) => Payload::Blank,
        proto::entry::Payload::Command(command) => {
            Payload::Normal(Command { entry_time: UnixMs(command.entry_time_ms), signed: command.signed })
        }
        proto::entry::Payload::Membership(membership) => Payload::Membership(membership_from(membership)?),
    };
    Ok(Entry { log_id, payload })
}

/// Where a message goes: the federation, and the Raft id that it is meant for.
#[derive(Clone, Debug)]
pub struct To {
    pub federation: bytes::Bytes,
    pub target: u64,
}

pub fn append_to(to: &To, request: AppendEntriesRequest<C>) -> proto::AppendStreamRequest {
    proto::AppendStreamRequest {
        federation_id: to.federation.clone(),
        target: to.target,
        vote: Some(vote_to(&request.vote)),
        prev_log_id: request.prev_log_id.as_ref().map(log_id_to),
        entries: request.entries.iter().map(entry_to).collect(),
        leader_commit: request.leader_commit.as_ref().map(log_id_to),
    }
}

/// Entries must follow `prev_log_id` without a hole and in order of terms: openraft takes that for granted.
pub fn append_from(request: proto::AppendStreamRequest) -> Result<AppendEntriesRequest<C>, Error> {
    let vote = vote_from(request.vote)?;
    let prev_log_id = log_id_option(request.prev_log_id);
    let entries = request.entries.into_iter().map(entry_from).collect::<Result<Vec<_>, _>>()?;
    let mut last = prev_log_id;
    for entry in &entries {
        let index = last.as_ref().map_or(Some(0), |id| id.index().checked_add(1));
        let term = last.as_ref().map_or(0, |id| id.committed_leader_id().term);
        let entry_term = entry.log_id.committed_leader_id().term;
        if Some(entry.log_id.index()) != index || entry_term < term || entry_term > vote.leader_id().term {
            return Err(Error::invalid("entries.log_id", "consecutive, terms not falling nor beyond the vote's"));
        }
        last = Some(entry.log_id);
    }
    Ok(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit: log_id_option(request.leader_commit) })
}

pub fn appended_to(result: StreamAppendResult<C>) -> proto::AppendStreamResponse {
    use proto::append_stream_response::Result as R;
    let result = match result {
        Ok(Some(id)) => R::Stored(log_id_to(&id)),
        Ok(None) => R::StoredNone(proto::Blank {}),
        Err(StreamAppendError::Conflict(id)) => R::ConflictAt(log_id_to(&id)),
        Err(StreamAppendError::HigherVote(vote)) => R::HigherVote(vote_to(&vote)),
    };
    proto::AppendStreamResponse { result: Some(result) }
}

pub fn appended_from(response: proto::AppendStreamResponse) -> Result<StreamAppendResult<C>, Error> {
    use proto::append_stream_response::Result as R;
    Ok(match response.result.ok_or_else(|| Error::missing("result"))? {
        R::Stored(id) => Ok(Some(log_id_from(id))),
        R::StoredNone(proto::Blank {}) => Ok(None),
        R::ConflictAt(id) => Err(StreamAppendError::Conflict(log_id_from(id))),
        R::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote_from(Some(vote))?)),
    })
}

pub fn vote_request_to(to: &To, request: &VoteRequest<C>) -> proto::VoteRequest {
    proto::VoteRequest {
        federation_id: to.federation.clone(),
        target: to.target,
        vote: Some(vote_to(&request.vote)),
        last_log_id: request.last_log_id.as_ref().map(log_id_to),
        leadership_transfer: request.leadership_transfer,
    }
}

pub fn vote_request_from(request: proto::VoteRequest) -> Result<VoteRequest<C>, Error> {
    let mut out = VoteRequest::new(vote_from(request.vote)?, log_id_option(request.last_log_id));
    out.leadership_transfer = request.leadership_transfer;
    Ok(out)
}

pub fn vote_response_to(response: &VoteResponse<C>) -> proto::VoteResponse {
    proto::VoteResponse {
        vote: Some(vote_to(&response.vote)),
        vote_granted: response.vote_granted,
        last_log_id: response.last_log_id.as_ref().map(log_id_to),
    }
}

pub fn vote_response_from(response: proto::VoteResponse) -> Result<VoteResponse<C>, Error> {
    let last = log_id_option(response.last_log_id);
    Ok(VoteResponse::new(vote_from(response.vote)?, last, response.vote_granted))
}

pub fn transfer_to(to: &To, request: &TransferLeaderRequest<C>) -> proto::TransferLeaderRequest {
    proto::TransferLeaderRequest {
        federation_id: to.federation.clone(),
        target: to.target,
        from_leader: Some(vote_to(request.from_leader())),
        to_node_id: *request.to_node_id(),
        last_log_id: request.last_log_id().map(log_id_to),
    }
}

pub fn transfer_from(request: proto::TransferLeaderRequest) -> Result<TransferLeaderRequest<C>, Error> {
    let from = vote_from(request.from_leader).map_err(|error| error.within("from_leader"))?;
    Ok(TransferLeaderRequest::new(from, request.to_node_id, log_id_option(request.last_log_id)))
}

pub fn meta_to(meta: &SnapshotMeta) -> proto::SnapshotMeta {
    proto::SnapshotMeta {
        last_log_id: meta.last_log_id.as_ref().map(log_id_to),
        last_membership: Some(proto::StoredMembership {
            log_id: meta.last_membership.log_id().as_ref().map(log_id_to),
            membership: Some(membership_to(meta.last_membership.membership())),
        }),
    }
}

pub fn meta_from(meta: Option<proto::SnapshotMeta>) -> Result<SnapshotMeta, Error> {
    let meta = meta.ok_or_else(|| Error::missing("meta"))?;
    let stored = meta.last_membership.ok_or_else(|| Error::missing("meta.last_membership"))?;
    let membership = stored.membership.ok_or_else(|| Error::missing("meta.last_membership.membership"))?;
    let membership = if membership.configs.is_empty() { Membership::default() } else { membership_from(membership)? };
    Ok(SnapshotMeta {
        last_log_id: log_id_option(meta.last_log_id),
        last_membership: StoredMembership::new(log_id_option(stored.log_id), membership),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn to() -> To {
        To { federation: Bytes::from_static(&[7; 32]), target: 3 }
    }

    fn membership() -> Membership {
        let nodes = [1, 2, 3].map(|id| (id, Peer { authority: format!("fr-{id}") }));
        Membership::new(vec![BTreeSet::from([1, 2]), BTreeSet::from([1, 2, 3])], BTreeMap::from(nodes)).unwrap()
    }

    fn entries() -> Vec<Entry> {
        let command = Command { entry_time: UnixMs(7), signed: Bytes::from_static(b"signed") };
        [Payload::Blank, Payload::Normal(command), Payload::Membership(membership())]
            .into_iter()
            .zip(4..)
            .map(|(payload, index)| Entry { log_id: LogId::new_term_index(2, index), payload })
            .collect()
    }

    #[test]
    fn an_append_comes_back_as_it_went() {
        let request = AppendEntriesRequest::<C> {
            vote: Vote::new_committed(3, 2),
            prev_log_id: Some(LogId::new_term_index(1, 3)),
            entries: entries(),
            leader_commit: Some(LogId::new_term_index(1, 2)),
        };
        let back = append_from(append_to(&to(), request.clone())).unwrap();
        assert_eq!(format!("{back:?}"), format!("{request:?}"));
        assert_eq!(back.entries, request.entries);
    }

    #[test]
    fn an_append_with_a_hole_or_a_term_beyond_its_vote_is_refused() {
        let good = AppendEntriesRequest::<C> {
            vote: Vote::new_committed(3, 2),
            prev_log_id: Some(LogId::new_term_index(1, 3)),
            entries: entries(),
            leader_commit: None,
        };
        let federation = to();
        let mut hole = append_to(&federation, good.clone());
        hole.entries.remove(0);
        assert!(append_from(hole).is_err());
        let mut term = append_to(&federation, good.clone());
        term.entries[2].log_id = Some(proto::LogId { term: 4, index: 6 });
        assert!(append_from(term).is_err());
        let mut from_nothing = append_to(&federation, good);
        from_nothing.prev_log_id = None;
        assert!(append_from(from_nothing).is_err());
    }

    #[test]
    fn votes_results_and_meta_come_back_as_they_went() {
        for vote in [Vote::new(3, 2), Vote::new_committed(3, 2)] {
            assert_eq!(vote_from(Some(vote_to(&vote))).unwrap(), vote);
        }
        let id = LogId::new_term_index(2, 9);
        let results: [StreamAppendResult<C>; 4] = [
            Ok(None),
            Ok(Some(id)),
            Err(StreamAppendError::Conflict(id)),
            Err(StreamAppendError::HigherVote(Vote::new(9, 1))),
        ];
        for result in results {
            assert_eq!(appended_from(appended_to(result.clone())).unwrap(), result);
        }
        let meta = SnapshotMeta {
            last_log_id: Some(id),
            last_membership: StoredMembership::new(Some(LogId::new_term_index(1, 4)), membership()),
        };
        assert_eq!(meta_from(Some(meta_to(&meta))).unwrap(), meta);
        assert_eq!(meta_from(Some(meta_to(&SnapshotMeta::default()))).unwrap(), SnapshotMeta::default());
    }
}
