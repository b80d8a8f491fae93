//! A hostile steward at Raft's message guard: what it sends is refused before openraft sees it, by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use havenlink_proto::raft::v1 as raft;
use havenlink_proto::record::v1::Signed;
use prost::Message;

use super::cities::{Federation, LIMIT, quick, until};
use crate::Directory;
use crate::clock::Clock;
use crate::domain::ids::{AuthorityId, Digest};
use crate::domain::reason::Reason;
use crate::domain::time::Millis;
use crate::state::RegisterState;
use crate::statements;
use crate::tests::{ESCH, GENT, KEHL, STRASBOURG, id};
use crate::wire::beat::{Beat, SnapshotMark};

const THREE: &[&str] = &[STRASBOURG, KEHL, ESCH];

/// What the hostile steward knows: it takes part, so it knows terms, ids and the log's end.
struct Hostile {
    name: AuthorityId,
    raft_id: u64,
    term: u64,
    federation: Bytes,
    target: Directory,
    next: raft::LogId,
}

impl Hostile {
    async fn of(federation: &Federation) -> Self {
        let leader = federation.leader().await;
        federation.together().await;
        let target = THREE.iter().find(|name| **name != leader).unwrap();
        let status = federation.at(&leader).status().raft.unwrap();
        let last = federation.at(target).last_log_id_for_tests();
        Self {
            name: id(&leader),
            raft_id: federation.at(&leader).raft_id(),
            term: status.term,
            federation: Bytes::copy_from_slice(federation.at(&leader).view().federation.as_bytes()),
            target: federation.at(target).clone(),
            next: raft::LogId { term: last.0, index: last.1 },
        }
    }

    fn append(&self, payload: raft::entry::Payload) -> raft::AppendStreamRequest {
        let log_id = raft::LogId { term: self.term, index: self.next.index + 1 };
        raft::AppendStreamRequest {
            federation_id: self.federation.clone(),
            vote: Some(raft::Vote { term: self.term, node_id: self.raft_id, committed: true }),
            prev_log_id: Some(self.next),
            entries: vec![raft::Entry { log_id: Some(log_id), payload: Some(payload) }],
            leader_commit: None,
            target: self.target.raft_id(),
        }
    }

    async fn sent_by(&self, sender: &AuthorityId, request: raft::AppendStreamRequest) -> Option<Reason> {
        let requests = futures_util::stream::iter([Ok::<_, ()>(request)]).chain(futures_util::stream::pending());
        let answers = match self.target.append_stream(sender.clone(), requests) {
            Ok(answers) => answers,
            Err(error) => return Some(error.reason()),
        };
        let answer = tokio::time::timeout(LIMIT, Box::pin(answers).next()).await.unwrap().unwrap();
        answer.err().map(|error| error.reason())
    }

    async fn sent(&self, request: raft::AppendStreamRequest) -> Option<Reason> {
        self.sent_by(&self.name, request).await
    }

    fn is_installing(&self) -> bool {
        self.target.node().is_some_and(|node| node.is_installing(&self.name))
    }

    async fn vote(&self, sender: &AuthorityId, term: u64, node_id: u64, federation: &Bytes) -> Option<Reason> {
        let request = raft::VoteRequest {
            federation_id: federation.clone(),
            vote: Some(raft::Vote { term, node_id, committed: false }),
            last_log_id: Some(self.next),
            leadership_transfer: false,
            target: self.target.raft_id(),
        };
        let pre = raft::PreVoteRequest { request: Some(request.clone()) };
        let refused = self.target.vote(sender, request).await.err().map(|error| error.reason());
        let pre_refused = self.target.pre_vote(sender, pre).await.err().map(|error| error.reason());
        assert_eq!(refused, pre_refused);
        refused
    }
}

fn blank() -> raft::entry::Payload {
    raft::entry::Payload::Blank(raft::Blank {})
}

fn command(time_ms: i64) -> raft::entry::Payload {
    raft::entry::Payload::Command(raft::Command { entry_time_ms: time_ms, signed: Bytes::from_static(b"junk") })
}

fn membership(configs: &[&[u64]], nodes: &[(u64, &str)]) -> raft::entry::Payload {
    raft::entry::Payload::Membership(raft::Membership {
        configs: configs.iter().map(|voters| raft::MembershipConfig { voters: voters.to_vec() }).collect(),
        nodes: nodes.iter().map(|(id, name)| (*id, (*name).to_owned())).collect::<BTreeMap<_, _>>(),
    })
}

/// Requests that note whether anybody reads them.
fn read_by(read: &Arc<AtomicBool>) -> impl Stream<Item = Result<raft::AppendStreamRequest, ()>> + Send + use<> {
    let read = Arc::clone(read);
    futures_util::stream::poll_fn(move |_| {
        read.store(true, Ordering::SeqCst);
        std::task::Poll::Ready(None)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_sends_to_raft_is_not_even_read() {
    let federation = Federation::of(THREE, &[GENT], &quick()).await;
    let hostile = Hostile::of(&federation).await;
    let (gent, read) = (id(GENT), Arc::<AtomicBool>::default());
    let refused = hostile.target.append_stream(gent.clone(), read_by(&read)).err();
    assert_eq!(refused.map(|error| error.reason()), Some(Reason::NotASteward));
    let snapshot = read_by(&read).map(|request| request.map(|_| raft::InstallSnapshotRequest::default()));
    let refused = hostile.target.install_snapshot(&gent, snapshot).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::NotASteward);
    let refused = hostile.vote(&gent, hostile.term + 1, hostile.raft_id, &hostile.federation).await;
    assert_eq!(refused, Some(Reason::NotASteward));
    assert!(!read.load(Ordering::SeqCst), "by its certificate alone, before the first message");
    let answers = hostile.target.append_stream(hostile.name.clone(), read_by(&read)).unwrap();
    assert_eq!(answers.count().await, 0);
    assert!(read.load(Ordering::SeqCst), "a steward's is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_steward_is_refused_by_name() {
    let federation = Federation::of(THREE, &[GENT], &quick()).await;
    let hostile = Hostile::of(&federation).await;
    let before = federation.at(STRASBOURG).view();
    let now = federation.city(STRASBOURG).clock.now();

    // Who speaks.
    let gent = id(GENT);
    assert_eq!(hostile.sent_by(&gent, hostile.append(blank())).await, Some(Reason::NotASteward));
    let other = THREE.iter().map(|name| id(name)).find(|name| *name != hostile.name).unwrap();
    assert_eq!(hostile.sent_by(&other, hostile.append(blank())).await, Some(Reason::RaftSenderMismatch));
    assert_eq!(
        hostile.vote(&other, hostile.term + 1, hostile.raft_id, &hostile.federation).await,
        Some(Reason::RaftSenderMismatch)
    );
    // In which federation, in which term.
    let strange = Bytes::from_static(&[9; 32]);
    let request = raft::AppendStreamRequest { federation_id: strange.clone(), ..hostile.append(blank()) };
    assert_eq!(hostile.sent(request).await, Some(Reason::WrongFederation));
    assert_eq!(
        hostile.vote(&hostile.name, hostile.term + 1, hostile.raft_id, &strange).await,
        Some(Reason::WrongFederation)
    );
    let request = raft::AppendStreamRequest { target: 5, ..hostile.append(blank()) };
    assert_eq!(hostile.sent(request).await, Some(Reason::RaftTargetOther));
    let term = u64::MAX;
    assert_eq!(
        hostile.vote(&hostile.name, term, hostile.raft_id, &hostile.federation).await,
        Some(Reason::RaftTermTooFar)
    );
    let vote = Some(raft::Vote { term, node_id: hostile.raft_id, committed: true });
    let request = raft::AppendStreamRequest { vote, ..hostile.append(blank()) };
    assert_eq!(hostile.sent(request).await, Some(Reason::RaftTermTooFar));
    // In which place: so far ahead that an index would begin again at 0, or committed in a term before what is here.
    let far = raft::LogId { term: hostile.next.term, index: u64::MAX - 1 };
    let ahead = raft::LogId { term: hostile.next.term, index: hostile.next.index + (1 << 33) };
    for prev_log_id in [Some(far), Some(ahead)] {
        let request = raft::AppendStreamRequest { prev_log_id, entries: Vec::new(), ..hostile.append(blank()) };
        assert_eq!(hostile.sent(request).await, Some(Reason::RaftLogContradicted));
    }
    let before_it = raft::LogId { term: hostile.next.term - 1, index: hostile.next.index + 1_000 };
    for leader_commit in [Some(far), Some(before_it)] {
        let request = raft::AppendStreamRequest { leader_commit, entries: Vec::new(), ..hostile.append(blank()) };
        assert_eq!(hostile.sent(request).await, Some(Reason::RaftLogContradicted));
    }
    // A vote that is asked for and called won, and one by a log that cannot be.
    let mut asked = raft::VoteRequest {
        federation_id: hostile.federation.clone(),
        vote: Some(raft::Vote { term: hostile.term + 1, node_id: hostile.raft_id, committed: true }),
        last_log_id: Some(hostile.next),
        leadership_transfer: true,
        target: hostile.target.raft_id(),
    };
    let refused = hostile.target.vote(&hostile.name, asked.clone()).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::RaftSenderMismatch);
    asked.vote = Some(raft::Vote { term: hostile.term + 1, node_id: hostile.raft_id, committed: false });
    asked.last_log_id = Some(far);
    let refused = hostile.target.vote(&hostile.name, asked).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::RaftLogContradicted);
    // When.
    let year = (now + Millis::days(365)).0;
    assert_eq!(hostile.sent(hostile.append(command(year))).await, Some(Reason::EntryTimeInvalid));
    assert_eq!(hostile.sent(hostile.append(command(1_000))).await, Some(Reason::EntryTimeInvalid));
    // At a committed place: another entry, or after another one.
    let request = raft::AppendStreamRequest {
        prev_log_id: Some(raft::LogId { term: hostile.next.term, index: hostile.next.index - 1 }),
        entries: vec![raft::Entry {
            log_id: Some(raft::LogId { term: hostile.term + 1, index: hostile.next.index }),
            payload: Some(blank()),
        }],
        vote: Some(raft::Vote { term: hostile.term + 1, node_id: hostile.raft_id, committed: true }),
        ..hostile.append(blank())
    };
    assert_eq!(hostile.sent(request.clone()).await, Some(Reason::RaftLogContradicted));
    let prev_log_id = Some(raft::LogId { term: hostile.next.term + 1, index: hostile.next.index });
    let heartbeat = raft::AppendStreamRequest { prev_log_id, entries: Vec::new(), ..request };
    assert_eq!(hostile.sent(heartbeat).await, Some(Reason::RaftLogContradicted));
    // Who votes from now on: itself alone, a friend that nobody made a steward, a node under another's name.
    let own = hostile.raft_id;
    let friend = (77, GENT);
    let itself = (own, hostile.name.as_str());
    let ids: Vec<u64> = before.stewards.iter().map(|steward| steward.raft_id).collect();
    let named: Vec<(u64, &str)> = before.stewards.iter().map(|s| (s.raft_id, s.authority.as_str())).collect();
    let with_friend: Vec<u64> = ids.iter().copied().chain([77]).collect();
    let names_with_friend: Vec<_> = named.iter().copied().chain([friend]).collect();
    let mut misnamed = named.clone();
    misnamed[0].1 = GENT;
    let stranger: Vec<_> = named.iter().copied().chain([(78, "fr-nobody")]).collect();
    for unsigned in [
        membership(&[&[own]], &[itself]),
        membership(&[&with_friend], &names_with_friend),
        membership(&[&ids, &with_friend], &names_with_friend),
        membership(&[&ids], &misnamed),
        membership(&[&ids], &stranger),
    ] {
        assert_eq!(hostile.sent(hostile.append(unsigned)).await, Some(Reason::RaftMembershipUnsigned));
    }
    // And nothing of it happened.
    for name in THREE {
        let status = federation.at(name).status();
        assert_eq!((status.number, status.head), (before.number, before.head));
        assert_eq!(status.raft.unwrap().voters.len(), 3);
        assert_eq!(status.raft_error, None);
    }
}

/// Beats of stewards that name a snapshot: what makes it theirs.
fn signed_by(federation: &Federation, stewards: &[&str], state: &RegisterState, mark: SnapshotMark) -> Vec<Signed> {
    let beat = |name: &&str| {
        let beat = Beat {
            founding: 0,
            federation: state.federation(),
            steward: id(name),
            number: mark.number,
            head: mark.head,
            overlay: Digest([0; 32]),
            snapshot: Some(mark),
            term: 1,
            time: federation.city(name).clock.now(),
        };
        Signed::decode(statements::beat(&beat, &federation.city(name).key)).unwrap()
    };
    stewards.iter().map(beat).collect()
}

impl Hostile {
    /// Sends a snapshot of a state, signed by these stewards, that stands so far behind the target's log, with these voters.
    async fn installed(
        &self,
        federation: &Federation,
        signers: &[&str],
        state: &RegisterState,
        ahead: u64,
        voters: &[u64],
    ) -> Option<Reason> {
        let requests = futures_util::stream::iter(self.snapshot(federation, signers, state, ahead, voters));
        let answer = self.target.install_snapshot(&self.name, requests).await;
        answer.err().map(|error| error.reason())
    }

    fn snapshot(
        &self,
        federation: &Federation,
        signers: &[&str],
        state: &RegisterState,
        ahead: u64,
        voters: &[u64],
    ) -> [Result<raft::InstallSnapshotRequest, ()>; 3] {
        use havenlink_proto::directory::v1::{SnapshotChunk, snapshot_chunk};
        use raft::install_snapshot_request::Part;
        let mut encoded = crate::snapshot::encode(state);
        encoded.header.beats = signed_by(federation, signers, state, encoded.mark);
        let nodes = state.stewards().iter().map(|s| (s.raft_id, s.authority.to_string())).collect::<BTreeMap<_, _>>();
        let begin = raft::InstallSnapshotBegin {
            federation_id: self.federation.clone(),
            target: self.target.raft_id(),
            vote: Some(raft::Vote { term: self.term, node_id: self.raft_id, committed: true }),
            meta: Some(raft::SnapshotMeta {
                last_log_id: Some(raft::LogId { term: self.next.term, index: self.next.index + ahead }),
                last_membership: Some(raft::StoredMembership {
                    log_id: Some(raft::LogId { term: 1, index: 1 }),
                    membership: Some(raft::Membership {
                        configs: vec![raft::MembershipConfig { voters: voters.to_vec() }],
                        nodes,
                    }),
                }),
            }),
        };
        let chunk = |part| Part::Chunk(SnapshotChunk { part: Some(part) });
        let header = chunk(snapshot_chunk::Part::Header(encoded.header));
        let items = chunk(snapshot_chunk::Part::Items(encoded.items));
        [Part::Begin(begin), header, items].map(|part| Ok(raft::InstallSnapshotRequest { part: Some(part) }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_refused_that_nobody_signed_that_is_old_or_that_names_other_voters() {
    let federation = Federation::of(THREE, &[GENT], &quick()).await;
    let old = federation.at(STRASBOURG).state();
    let entry = old.member(&id(GENT)).unwrap().entry.clone();
    let entry = crate::domain::authority::AuthorityEntry { networks: vec!["eurocities".to_owned()], ..entry };
    federation.act(GENT, |a, s| a.entry(s, &entry)).await;
    let hostile = Hostile::of(&federation).await;
    let now = federation.at(hostile.name.as_str()).state();
    let voters: Vec<u64> = now.stewards().iter().map(|steward| steward.raft_id).collect();
    let sent = async |signers: &[&str], state: &RegisterState, ahead, voters: &[u64]| {
        hostile.installed(&federation, signers, state, ahead, voters).await
    };
    let refused = hostile.target.0.chain.snapshots_refused();
    assert_eq!(sent(&[], &now, 100, &voters).await, Some(Reason::SnapshotInvalid), "nobody signed it");
    assert_eq!(hostile.target.0.chain.snapshots_refused(), refused + 1, "a refused one is counted, and shown");
    assert_eq!(
        sent(&[hostile.name.as_str()], &now, 100, &voters).await,
        Some(Reason::SnapshotInvalid),
        "one signed it"
    );
    // A majority signed these, and says nothing about where in the log they stand, nor who votes.
    assert_eq!(sent(THREE, &now, 100, &[hostile.raft_id]).await, Some(Reason::RaftMembershipUnsigned), "alone");
    let two = [hostile.raft_id, hostile.target.raft_id()];
    assert_eq!(sent(THREE, &now, 100, &two).await, Some(Reason::RaftMembershipUnsigned), "before there were three");
    assert_eq!(sent(THREE, &old, 100, &voters).await, Some(Reason::SnapshotInvalid), "it would take changes back");
    let far = u64::MAX - 1 - hostile.next.index;
    assert_eq!(sent(THREE, &now, far, &voters).await, Some(Reason::SnapshotInvalid), "where no log can be");
    assert_eq!(sent(THREE, &now, 1 << 33, &voters).await, Some(Reason::SnapshotInvalid), "further than logs grow");
    let mut misnamed = hostile.snapshot(&federation, THREE, &now, 100, &voters);
    if let Ok(raft::InstallSnapshotRequest { part: Some(raft::install_snapshot_request::Part::Begin(begin)) }) =
        &mut misnamed[0]
    {
        let membership = begin.meta.as_mut().and_then(|meta| meta.last_membership.as_mut()?.membership.as_mut());
        membership.unwrap().nodes.insert(hostile.target.raft_id(), GENT.to_owned());
    }
    let refused = hostile.target.install_snapshot(&hostile.name, futures_util::stream::iter(misnamed)).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::RaftMembershipUnsigned, "a steward under another's name");
    // While one of it is on its way, no other one is held in memory.
    let begun = futures_util::stream::iter(hostile.snapshot(&federation, THREE, &now, 0, &voters).into_iter().take(2));
    let (target, name) = (hostile.target.clone(), hostile.name.clone());
    let begun = begun.chain(futures_util::stream::pending());
    let unfinished = tokio::spawn(async move { target.install_snapshot(&name, begun).await.map(drop) });
    until("a second one is refused", || unfinished.is_finished() || hostile.is_installing()).await;
    assert_eq!(sent(THREE, &now, 0, &voters).await, Some(Reason::BudgetExhausted), "one at a time");
    unfinished.abort();
    drop(unfinished.await);
    assert_eq!(sent(THREE, &now, 0, &voters).await, None, "and the true one is taken");
    for name in THREE {
        assert_eq!(federation.at(name).status().raft.unwrap().voters.len(), 3);
    }
}
