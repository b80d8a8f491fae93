//! A steward's keys in the wrong hands: what its node would never send to the other stewards.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use havenlink::demo::acts::reason_of;
use havenlink::directory::state::RegisterState;
use havenlink::directory::{snapshot, statements};
use havenlink::domain::authority::AuthorityEntry;
use havenlink::domain::ids::Digest;
use havenlink::domain::time::{Millis, UnixMs};
use havenlink::transport::PeerChannel;
use havenlink::wire::beat::Beat;
use havenlink::wire::signed;
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::directory::v1::{
    Founder, GossipRequest, Outcome, ProposeRequest, Refound, SnapshotChunk, Statement, snapshot_chunk, statement,
};
use havenlink_proto::raft::v1 as raft;
use havenlink_proto::raft::v1::install_snapshot_request::Part;
use havenlink_proto::raft::v1::raft_service_client::RaftServiceClient;
use havenlink_proto::record::v1::Signed;
use prost::Message;
use raft::entry::Payload;

use crate::intruder::Intruder;

/// What is not answered by then was not refused.
const PATIENCE: Duration = Duration::from_secs(60);

/// A steward's keys, what its register held when its node was stopped, and a channel to another steward.
pub struct Hostile {
    pub keys: Intruder,
    pub state: RegisterState,
    pub channel: PeerChannel,
    /// Raft ids: its own, and that of the steward it talks to.
    pub own: u64,
    pub target: u64,
    /// Term and end of that steward's log, as it tells every steward that asks.
    pub term: u64,
    pub last: raft::LogId,
}

impl Hostile {
    pub fn made(keys: Intruder, state: RegisterState, channel: PeerChannel, target: &str) -> Self {
        let found = |name: &str| state.stewards().iter().find(|s| s.authority.as_str() == name).map(|s| s.raft_id);
        let raft_id = |name: &str| found(name).expect("a steward");
        let (own, target) = (raft_id(keys.authority.as_str()), raft_id(target));
        Self { keys, state, channel, own, target, term: 1, last: raft::LogId::default() }
    }

    /// Looks where the other steward's log ends, as anyone may who asks whether it would be elected.
    pub async fn look(&mut self) {
        let request = raft::PreVoteRequest { request: Some(self.vote_request(1)) };
        let answer =
            self.raft().pre_vote(request).await.expect("it is asked").into_inner().response.expect("an answer");
        (self.term, self.last) = (answer.vote.expect("a vote").term + 1, answer.last_log_id.expect("a log"));
    }

    pub fn raft(&self) -> RaftServiceClient<PeerChannel> {
        RaftServiceClient::new(self.channel.clone())
    }

    pub fn federation(&self) -> Bytes {
        Bytes::copy_from_slice(self.keys.federation.as_bytes())
    }

    pub fn vote_request(&self, term: u64) -> raft::VoteRequest {
        raft::VoteRequest {
            federation_id: self.federation(),
            vote: Some(raft::Vote { term, node_id: self.own, committed: false }),
            last_log_id: Some(self.last),
            leadership_transfer: false,
            target: self.target,
        }
    }

    /// An append as the leader of the next term would send it.
    pub fn append(&self, payload: Payload) -> raft::AppendStreamRequest {
        let log_id = raft::LogId { term: self.term, index: self.last.index + 1 };
        raft::AppendStreamRequest {
            federation_id: self.federation(),
            vote: Some(raft::Vote { term: self.term, node_id: self.own, committed: true }),
            prev_log_id: Some(self.last),
            entries: vec![raft::Entry { log_id: Some(log_id), payload: Some(payload) }],
            leader_commit: None,
            target: self.target,
        }
    }

    /// The same under another vote.
    pub fn append_in(&self, term: u64, node_id: u64) -> raft::AppendStreamRequest {
        let vote = Some(raft::Vote { term, node_id, committed: true });
        raft::AppendStreamRequest { vote, ..self.append(Payload::Blank(raft::Blank {})) }
    }

    /// An entry dated a year ahead.
    pub fn in_a_year(&self) -> raft::AppendStreamRequest {
        let year = (self.keys.now() + Millis::days(365)).0;
        let command = raft::Command { entry_time_ms: year, signed: self.entry("in a year") };
        self.append(Payload::Command(command))
    }

    /// An entry in the place of one that is committed.
    pub fn another_past(&self) -> raft::AppendStreamRequest {
        let before = Some(raft::LogId { term: self.last.term, index: self.last.index - 1 });
        let log_id = raft::LogId { term: self.term, index: self.last.index };
        let entries = vec![raft::Entry { log_id: Some(log_id), payload: Some(Payload::Blank(raft::Blank {})) }];
        raft::AppendStreamRequest { prev_log_id: before, entries, ..self.append(Payload::Blank(raft::Blank {})) }
    }

    /// Voters that no majority decided: itself alone.
    pub fn alone(&self) -> raft::Membership {
        raft::Membership {
            configs: vec![raft::MembershipConfig { voters: vec![self.own] }],
            nodes: BTreeMap::from([(self.own, self.keys.authority.to_string())]).into_iter().collect(),
        }
    }

    /// The reason with which a snapshot is refused that no majority signed, with the same voters.
    pub async fn installed(&self) -> String {
        let encoded = snapshot::encode(&self.state);
        let begin = raft::InstallSnapshotBegin {
            federation_id: self.federation(),
            target: self.target,
            vote: Some(raft::Vote { term: self.term, node_id: self.own, committed: true }),
            meta: Some(raft::SnapshotMeta {
                last_log_id: Some(raft::LogId { term: self.term, index: self.last.index + 100 }),
                last_membership: Some(raft::StoredMembership {
                    log_id: Some(raft::LogId { term: 1, index: 1 }),
                    membership: Some(self.alone()),
                }),
            }),
        };
        let chunk = |part| Part::Chunk(SnapshotChunk { part: Some(part) });
        let parts = [
            Part::Begin(begin),
            chunk(snapshot_chunk::Part::Header(encoded.header)),
            chunk(snapshot_chunk::Part::Items(encoded.items)),
        ];
        let parts = parts.map(|part| raft::InstallSnapshotRequest { part: Some(part) });
        let answer = self.raft().install_snapshot(tokio_stream::iter(parts)).await;
        answer.map_or_else(|status| reason_of(&status), |answer| format!("taken: {answer:?}"))
    }

    /// The reason with which an append is refused.
    pub async fn appended(&self, request: raft::AppendStreamRequest) -> String {
        let requests = tokio_stream::iter([request]).chain(tokio_stream::pending());
        let mut answers = self.raft().append_stream(requests).await.expect("a stream").into_inner();
        let answer = tokio::time::timeout(PATIENCE, answers.message()).await.expect("it is answered");
        answer.map_or_else(|status| reason_of(&status), |answer| format!("taken: {answer:?}"))
    }

    /// What became of a statement: an outcome of the register, or the reason with which it was refused before that.
    pub async fn proposed(&self, signed: Bytes) -> Result<(Outcome, u64), String> {
        let answer = DirectoryServiceClient::new(self.channel.clone()).propose(ProposeRequest { signed }).await;
        answer.map(|a| (a.get_ref().outcome(), a.get_ref().number)).map_err(|status| reason_of(&status))
    }

    /// The reasons with which gossip was refused.
    pub async fn gossiped(&self, beats: &[Bytes], overlay: &[Bytes]) -> Vec<String> {
        let signed = |all: &[Bytes]| all.iter().map(|b| Signed::decode(b.clone()).expect("signed")).collect();
        let request = GossipRequest { beats: signed(beats), overlay: signed(overlay), ..Default::default() };
        let answer = DirectoryServiceClient::new(self.channel.clone()).gossip(request).await;
        answer.expect("gossip is heard").into_inner().refused
    }

    /// The reasons with which a founding of the order was refused: signed by itself alone, and valid for a year.
    pub async fn founds_alone(&self) -> Vec<String> {
        let (federation, now) = (self.federation(), self.keys.now().0);
        let authority = self.keys.authority.to_string();
        let founder = Founder {
            federation_id: federation.clone(),
            authority: authority.clone(),
            raft_id: self.own + 1,
            time_ms: now,
            ..Default::default()
        };
        let head = self.state.head();
        let beat = statements::beat(&self.beat(self.state.number(), head, self.keys.now()), &self.keys.key);
        let refound = Refound {
            founding: 1,
            base_founding: 0,
            base_number: self.state.number(),
            base_head: Bytes::copy_from_slice(head.as_bytes()),
            proof: vec![Signed::decode(beat).expect("signed")],
            founders: vec![signed::sign(&self.keys.federation, &founder, &[&self.keys.key])],
            not_after_ms: now + Millis::days(365).0,
        };
        let statement = Statement {
            federation_id: federation,
            rules_version: 1,
            author: authority,
            subject: "#stewards".to_owned(),
            subject_version: self.state.stewards().len() as u64,
            time_ms: now,
            nonce: Bytes::copy_from_slice(uuid::Uuid::new_v4().as_bytes()),
            body: Some(statement::Body::Refound(refound)),
        };
        let foundings = vec![signed::sign(&self.keys.federation, &statement, &[&self.keys.key])];
        let request = GossipRequest { foundings, ..Default::default() };
        let answer = DirectoryServiceClient::new(self.channel.clone()).gossip(request).await;
        answer.expect("gossip is heard").into_inner().refused
    }

    /// A change of its own entry, as the register stood when its node was stopped.
    pub fn entry(&self, network: &str) -> Bytes {
        let now = self.state.member(&self.keys.authority).expect("a member").entry.clone();
        let entry = AuthorityEntry { networks: vec![network.to_owned()], ..now };
        self.keys.signs(self.keys.now(), |author| author.entry(&self.state, &entry))
    }

    pub fn beat(&self, number: u64, head: Digest, time: UnixMs) -> Beat {
        Beat {
            founding: 0,
            federation: self.keys.federation,
            steward: self.keys.authority.clone(),
            number,
            head,
            overlay: Digest([0; 32]),
            snapshot: None,
            term: 1,
            time,
        }
    }
}
