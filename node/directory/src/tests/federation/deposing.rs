//! One steward whose keys others have: whatever it says, the leader that stands goes on leading, and orders what it is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt;
use havenlink_proto::raft::v1 as raft;

use super::cities::{Federation, quick, until};
use crate::Directory;
use crate::domain::authority::AuthorityEntry;
use crate::domain::ids::AuthorityId;
use crate::tests::{ESCH, KEHL, STRASBOURG, id};

const THREE: &[&str] = &[STRASBOURG, KEHL, ESCH];
const CHANGES: usize = 10;

/// Somebody with a steward's keys, who asks for votes as if the leader handed over, and says that it leads, in terms that rise.
#[derive(Clone)]
struct Usurper {
    name: AuthorityId,
    raft_id: u64,
    federation: Bytes,
    term: u64,
    calls: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Usurper {
    fn vote(&self, committed: bool) -> Option<raft::Vote> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        // Not so fast that its terms lie too far ahead to be looked at.
        let term = self.term + self.calls.load(Ordering::Relaxed) / 64 + 1;
        Some(raft::Vote { term, node_id: self.raft_id, committed })
    }

    async fn floods(self, target: Directory) {
        let last = target.last_log_id_for_tests();
        let last = Some(raft::LogId { term: last.0, index: last.1 + 1_000 });
        while !self.over.load(Ordering::Relaxed) {
            let request = raft::VoteRequest {
                federation_id: self.federation.clone(),
                vote: self.vote(false),
                last_log_id: last,
                leadership_transfer: true,
                target: target.raft_id(),
            };
            drop(target.vote(&self.name, request).await);
            let append = raft::AppendStreamRequest {
                federation_id: self.federation.clone(),
                vote: self.vote(true),
                target: target.raft_id(),
                ..Default::default()
            };
            let appends = futures_util::stream::iter([Ok::<_, ()>(append)]);
            if let Ok(answers) = target.append_stream(self.name.clone(), appends) {
                answers.for_each(|_| std::future::ready(())).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stands_is_not_deposed_by_one_steward() {
    let federation = Federation::of(THREE, &[], &quick()).await;
    let leader = federation.leader().await;
    federation.together().await;
    let others: Vec<&str> = THREE.iter().copied().filter(|name| *name != leader).collect();
    let [follower, hostile] = others[..] else { unreachable!("two follow") };
    let raft = |name: &str| federation.at(name).status().raft.unwrap();
    until("both follow", || [&leader, follower].iter().all(|name| raft(name).leader == raft(&leader).leader)).await;
    let before = raft(&leader);
    let usurper = Usurper {
        name: id(hostile),
        raft_id: federation.at(hostile).raft_id(),
        federation: Bytes::copy_from_slice(federation.at(&leader).view().federation.as_bytes()),
        term: before.term,
        calls: Arc::default(),
        over: Arc::default(),
    };
    federation.pipes.boasts(&id(hostile));
    let floods: Vec<_> = [&leader, follower]
        .into_iter()
        .map(|name| tokio::spawn(usurper.clone().floods(federation.at(name).clone())))
        .collect();
    for change in 0..CHANGES {
        let by = if change % 2 == 0 { leader.as_str() } else { follower };
        let entry = federation.at(by).state().member(&id(by)).unwrap().entry.clone();
        let entry = AuthorityEntry { networks: vec![format!("network-{change}")], ..entry };
        federation.act(by, |a, s| a.entry(s, &entry)).await;
    }
    until("the leader was told of later terms as well", || federation.pipes.boasted() > 2).await;
    usurper.over.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.await.unwrap();
    }
    for name in [leader.as_str(), follower] {
        let now = raft(name);
        assert_eq!(
            (now.term, now.leader),
            (before.term, before.leader),
            "{name} after {} calls",
            usurper.calls.load(Ordering::Relaxed)
        );
    }
}
