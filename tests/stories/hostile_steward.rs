//! A steward's keys in the wrong hands: what is sent with them to the other stewards is refused by name, and they go on.

use std::collections::BTreeMap;

use crate::steps::PATIENCE;
use bytes::Bytes;
use futures_util::StreamExt;
use havenlink::demo::acts::reason_of;
use havenlink::directory::snapshot;
use havenlink::directory::state::RegisterState;
use havenlink::directory::statements;
use havenlink::domain::authority::AuthorityEntry;
use havenlink::domain::ids::{AuthorityId, Digest};
use havenlink::domain::register::SuspendReason;
use havenlink::domain::time::{Millis, UnixMs};
use havenlink::transport::PeerChannel;
use havenlink::wire::beat::Beat;
use havenlink::wire::keys::SigningKey;
use havenlink_proto::admin::v1::NodeState;
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::directory::v1::{GossipRequest, Outcome, ProposeRequest, SnapshotChunk, snapshot_chunk};
use havenlink_proto::raft::v1 as raft;
use havenlink_proto::raft::v1::install_snapshot_request::Part;
use havenlink_proto::raft::v1::raft_service_client::RaftServiceClient;
use havenlink_proto::record::v1::Signed;
use havenlink_tests::federation::Federation;
use havenlink_tests::intruder::{Intruder, address_of};
use havenlink_tests::operator::havenctl;
use havenlink_tests::road;
use havenlink_tests::wait::eventually;
use prost::Message;
use raft::entry::Payload;

/// Kehl's keys, what its register held when its node was stopped, and a channel to another steward.
struct Hostile {
    keys: Intruder,
    state: RegisterState,
    channel: PeerChannel,
    /// Raft ids: its own, and that of the steward it talks to.
    own: u64,
    target: u64,
    /// Term and end of that steward's log, as it tells every steward that asks.
    term: u64,
    last: raft::LogId,
}

impl Hostile {
    fn made(keys: Intruder, state: RegisterState, channel: PeerChannel, target: &str) -> Self {
        let raft_id =
            |name: &str| state.stewards().iter().find(|s| s.authority.as_str() == name).map(|s| s.raft_id).unwrap();
        let (own, target) = (raft_id(keys.authority.as_str()), raft_id(target));
        Self { keys, state, channel, own, target, term: 1, last: raft::LogId::default() }
    }

    /// Looks where the other steward's log ends, as anyone may who asks whether it would be elected.
    async fn look(&mut self) {
        let request = raft::PreVoteRequest { request: Some(self.vote_request(1)) };
        let answer = self.raft().pre_vote(request).await.unwrap().into_inner().response.unwrap();
        (self.term, self.last) = (answer.vote.unwrap().term + 1, answer.last_log_id.unwrap());
    }

    fn raft(&self) -> RaftServiceClient<PeerChannel> {
        RaftServiceClient::new(self.channel.clone())
    }

    fn federation(&self) -> Bytes {
        Bytes::copy_from_slice(self.keys.federation.as_bytes())
    }

    fn vote_request(&self, term: u64) -> raft::VoteRequest {
        raft::VoteRequest {
            federation_id: self.federation(),
            vote: Some(raft::Vote { term, node_id: self.own, committed: false }),
            last_log_id: Some(self.last),
            leadership_transfer: false,
            target: self.target,
        }
    }

    /// An append as the leader of the next term would send it.
    fn append(&self, payload: Payload) -> raft::AppendStreamRequest {
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

    /// The reason with which an append is refused.
    async fn appended(&self, request: raft::AppendStreamRequest) -> String {
        let requests = tokio_stream::iter([request]).chain(tokio_stream::pending());
        let mut answers = self.raft().append_stream(requests).await.unwrap().into_inner();
        let answer = tokio::time::timeout(PATIENCE, answers.message()).await.unwrap();
        answer.map_or_else(|status| reason_of(&status), |answer| format!("taken: {answer:?}"))
    }

    /// What became of a statement: an outcome of the register, or the reason with which it was refused before that.
    async fn proposed(&self, signed: Bytes) -> Result<(Outcome, u64), String> {
        let answer = DirectoryServiceClient::new(self.channel.clone()).propose(ProposeRequest { signed }).await;
        answer.map(|a| (a.get_ref().outcome(), a.get_ref().number)).map_err(|status| reason_of(&status))
    }

    /// The reasons with which gossip was refused.
    async fn gossiped(&self, beats: &[Bytes], overlay: &[Bytes]) -> Vec<String> {
        let signed = |all: &[Bytes]| all.iter().map(|b| Signed::decode(b.clone()).unwrap()).collect();
        let request = GossipRequest { beats: signed(beats), overlay: signed(overlay), ..Default::default() };
        DirectoryServiceClient::new(self.channel.clone()).gossip(request).await.unwrap().into_inner().refused
    }

    /// A change of Kehl's own entry, as the register stood when its node was stopped.
    fn entry(&self, network: &str) -> Bytes {
        let now = self.state.member(&self.keys.authority).unwrap().entry.clone();
        let entry = AuthorityEntry { networks: vec![network.to_owned()], ..now };
        self.keys.signs(self.keys.now(), |author| author.entry(&self.state, &entry))
    }

    fn beat(&self, number: u64, head: Digest, time: UnixMs) -> Beat {
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

    async fn statements(&self) {
        // Unsigned; signed with another key under Kehl's name; with Kehl's key, and changed afterwards.
        let whole = Signed::decode(self.entry("changed")).unwrap();
        let unsigned = Signed { signatures: Vec::new(), ..whole.clone() };
        assert_eq!(self.proposed(unsigned.encode_to_vec().into()).await, Err("STATEMENT_MALFORMED".into()));
        let stranger = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
        let forged = Signed { signatures: Vec::new(), ..whole.clone() }.encode_to_vec().into();
        let forged = statements::countersign(&self.keys.federation, &forged, &stranger).unwrap();
        assert_eq!(self.proposed(forged).await.map(|(outcome, _)| outcome), Ok(Outcome::BadSignature));
        let mut payload = whole.payload.to_vec();
        let last = payload.len() - 1;
        payload[last] ^= 1;
        let changed = Signed { payload: payload.into(), ..whole };
        assert_eq!(self.proposed(changed.encode_to_vec().into()).await, Err("SIGNATURE_INVALID".into()));

        // Replayed: it counts once. Stale: made for a version that is gone.
        let first = self.entry("first");
        let (outcome, number) = self.proposed(first.clone()).await.unwrap();
        assert_eq!(outcome, Outcome::Accepted);
        assert_eq!(self.proposed(first).await, Ok((Outcome::Accepted, number)), "a replay takes no number");
        assert_eq!(self.proposed(self.entry("second")).await.map(|(o, _)| o), Ok(Outcome::StaleVersion));

        // By gossip: kept for later, dated ahead, of a steward alone; and signs of life from a clock far ahead.
        let suspends = |target: &str, at| {
            let target = AuthorityId::parse(target).unwrap();
            self.keys.signs(at, |author| author.suspend(&self.state, &target, SuspendReason::BreachOfRules).signed)
        };
        let now = self.keys.now();
        let kept = suspends("be-liege", now - Millis::hours(25));
        let ahead = suspends("be-liege", now + Millis::hours(1));
        let lone = suspends("fr-strasbourg", now);
        let times = ["EMERGENCY_TIME_INVALID", "EMERGENCY_TIME_INVALID", "NEEDS_TWO_SIGNATURES"];
        assert_eq!(self.gossiped(&[], &[kept, ahead, lone]).await, times);
        let beat = self.beat(self.state.number(), self.state.head(), now + Millis::days(365));
        let (ahead, forged) = (statements::beat(&beat, &self.keys.key), statements::beat(&beat, &stranger));
        assert_eq!(self.gossiped(&[ahead, forged], &[]).await, ["BEAT_INVALID", "BEAT_INVALID"]);
    }

    async fn raft_messages(&self) {
        // A term that would leave room for no other.
        let far = self.raft().vote(self.vote_request(u64::MAX)).await.unwrap_err();
        assert_eq!(reason_of(&far), "RAFT_TERM_TOO_FAR");
        let vote = Some(raft::Vote { term: u64::MAX, node_id: self.own, committed: true });
        let request = raft::AppendStreamRequest { vote, ..self.append(Payload::Blank(raft::Blank {})) };
        assert_eq!(self.appended(request).await, "RAFT_TERM_TOO_FAR");
        // Under another steward's id.
        let vote = Some(raft::Vote { term: self.term, node_id: self.target, committed: true });
        let request = raft::AppendStreamRequest { vote, ..self.append(Payload::Blank(raft::Blank {})) };
        assert_eq!(self.appended(request).await, "RAFT_SENDER_MISMATCH");
        // An entry dated a year ahead.
        let year = (self.keys.now() + Millis::days(365)).0;
        let command = raft::Command { entry_time_ms: year, signed: self.entry("in a year") };
        assert_eq!(self.appended(self.append(Payload::Command(command))).await, "ENTRY_TIME_INVALID");
        // Another past: an entry in the place of one that is committed.
        let before = Some(raft::LogId { term: self.last.term, index: self.last.index - 1 });
        let log_id = raft::LogId { term: self.term, index: self.last.index };
        let entries = vec![raft::Entry { log_id: Some(log_id), payload: Some(Payload::Blank(raft::Blank {})) }];
        let request =
            raft::AppendStreamRequest { prev_log_id: before, entries, ..self.append(Payload::Blank(raft::Blank {})) };
        assert_eq!(self.appended(request).await, "RAFT_LOG_CONTRADICTED");
        // Voters that no majority decided: itself alone.
        let alone = raft::Membership {
            configs: vec![raft::MembershipConfig { voters: vec![self.own] }],
            nodes: BTreeMap::from([(self.own, self.keys.authority.to_string())]).into_iter().collect(),
        };
        let request = self.append(Payload::Membership(alone.clone()));
        assert_eq!(self.appended(request).await, "RAFT_MEMBERSHIP_UNSIGNED");
        // A snapshot that no majority signed, with the same voters.
        let encoded = snapshot::encode(&self.state);
        let begin = raft::InstallSnapshotBegin {
            federation_id: self.federation(),
            target: self.target,
            vote: Some(raft::Vote { term: self.term, node_id: self.own, committed: true }),
            meta: Some(raft::SnapshotMeta {
                last_log_id: Some(raft::LogId { term: self.term, index: self.last.index + 100 }),
                last_membership: Some(raft::StoredMembership {
                    log_id: Some(raft::LogId { term: 1, index: 1 }),
                    membership: Some(alone),
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
        let refused = self.raft().install_snapshot(tokio_stream::iter(parts)).await.unwrap_err();
        assert_eq!(reason_of(&refused), "SNAPSHOT_INVALID");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_steward_is_refused_by_name_and_the_others_go_on() {
    let mut federation = Federation::found(4, 3, "").await.unwrap();
    federation.agree(0, 3).await.unwrap();
    let [strasbourg, kehl, esch, liege] = &mut federation.cities[..] else { panic!("four cities") };
    let keys = Intruder::with_keys_of(kehl).await.unwrap();
    kehl.stop().await.unwrap();
    // Kehl may have led.
    eventually("one of the other two leads", PATIENCE, || async {
        let (one, other) = (strasbourg.status().await.ok()?, esch.status().await.ok()?);
        (one.leader || other.leader).then_some(())
    })
    .await;
    let state = Intruder::register_of(kehl).await.unwrap();
    for steward in [&*strasbourg, &*esch] {
        steward.status().await.unwrap();
        let keys = Intruder::clone_of(&keys, kehl).unwrap();
        let channel = keys.channel(&address_of(steward).await.unwrap()).unwrap();
        let mut hostile = Hostile::made(keys, state.clone(), channel, steward.id());
        if steward.id() == strasbourg.id() {
            hostile.statements().await;
        }
        hostile.look().await;
        hostile.raft_messages().await;
    }

    // The other two decide, exchange goes on, nobody found a fork, and Kehl's own node comes back to the same register.
    let said = havenctl(strasbourg, &["policy", "propose", "--proposal-life", "6d"]).await.unwrap();
    assert_eq!(said.code, 0, "{said:?}");
    let pending = eventually("the proposal is here", PATIENCE, || async {
        esch.status().await.unwrap().pending.into_iter().find(|p| p.act == "POLICY")
    })
    .await;
    let id: String = pending.proposal_id.iter().map(|b| format!("{b:02x}")).collect();
    let said = havenctl(esch, &["member", "approve", "--proposal", &id]).await.unwrap();
    assert!(said.code == 0 && said.out.contains("done"), "{said:?}");
    road::passes(strasbourg, liege).await.unwrap();
    kehl.start().unwrap();
    kehl.ready().await.unwrap();
    let head = strasbourg.status().await.unwrap().register_head;
    for city in [&*strasbourg, &*kehl, &*esch, &*liege] {
        let status = eventually("the same register", PATIENCE, || async {
            city.status().await.ok().filter(|s| s.register_head == head)
        })
        .await;
        assert!(status.state() == NodeState::Ready && status.forks.is_empty(), "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_steward_that_signs_another_order_is_shown_with_both_heads() {
    let mut federation = Federation::found(4, 3, "").await.unwrap();
    let [strasbourg, kehl, _, liege] = &mut federation.cities[..] else { panic!("four cities") };
    let keys = Intruder::with_keys_of(kehl).await.unwrap();
    kehl.stop().await.unwrap();
    let state = Intruder::register_of(kehl).await.unwrap();
    let channel = keys.channel(&address_of(strasbourg).await.unwrap()).unwrap();
    let hostile = Hostile::made(keys, state, channel, strasbourg.id());
    let now = strasbourg.status().await.unwrap();
    // Kehl's key under another head at the number at which everybody stands.
    let beat = hostile.beat(now.register_number, Digest([0xbd; 32]), hostile.keys.now());
    assert!(hostile.gossiped(&[statements::beat(&beat, &hostile.keys.key)], &[]).await.is_empty());
    for city in [&*strasbourg, &*liege] {
        let status = eventually("the fork is seen, also by who only follows", PATIENCE, || async {
            city.status().await.ok().filter(|s| !s.forks.is_empty())
        })
        .await;
        let fork = &status.forks[0];
        assert_eq!((fork.number, fork.sides.len()), (now.register_number, 2), "{fork:?}");
        let side = |head: &[u8]| fork.sides.iter().find(|side| side.head == head).unwrap().stewards.clone();
        assert_eq!(side(&[0xbd; 32]), ["de-kehl"]);
        assert!(side(&now.register_head).contains(&city.id().to_owned()), "{fork:?}");
        for command in ["status", "directory"] {
            let arguments: &[&str] = if command == "status" { &["status"] } else { &["directory", "status"] };
            let said = havenctl(city, arguments).await.unwrap();
            let shown = format!("at change {}: ", now.register_number);
            let theirs = "head bdbdbdbdbdbd signed by de-kehl";
            let parts = ["FORK", &shown, theirs, "(held here) signed by ", "tell the other stewards, by phone"];
            assert!(parts.iter().all(|part| said.out.contains(part)), "{said:?}");
        }
    }
}
