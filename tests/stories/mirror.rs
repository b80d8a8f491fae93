//! A member that was off while thousands of changes happened catches up from a proven snapshot, and serves another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use havenlink::demo::acts::request_id;
use havenlink_proto::admin::v1::UpdateEntryRequest;
use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;
use havenlink_proto::directory::v1::follow_response::Event;
use havenlink_proto::directory::v1::{AuthorityEntry, FollowRequest};
use havenlink_tests::federation::{Federation, ctl};
use havenlink_tests::wait::eventually;
use tonic::transport::Channel;

use crate::steps::*;

const CHANGES: usize = 2_400;
const INTERVAL: &str = "256";

/// Changes its own entry until all together have made enough changes.
async fn change(mut members: MemberServiceClient<Channel>, mut entry: AuthorityEntry, done: Arc<AtomicUsize>) {
    while done.fetch_add(1, Ordering::Relaxed) < CHANGES {
        entry.services = vec![1 + u32::try_from(done.load(Ordering::Relaxed) % 20).unwrap()];
        let request = UpdateEntryRequest { request_id: request_id(), entry: Some(entry.clone()), version: 0 };
        members.update_entry(request).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_away_installs_a_snapshot_and_feeds_another_without_the_stewards() {
    let mut federation = Federation::found(4, 1, "").await.unwrap();
    let [strasbourg, kehl, esch, liege] = &mut federation.cities[..] else { panic!("four cities") };
    ctl(strasbourg, &["policy", "propose", "--snapshot-interval", INTERVAL, "--beat-interval", "500ms"]).await.unwrap();
    let number = strasbourg.status().await.unwrap().register_number;
    for city in [&*kehl, &*esch, &*liege] {
        reached(city, number).await;
    }
    let left = esch.status().await.unwrap();
    let left = FollowRequest { number: left.register_number, head: left.register_head, founding: 0 };
    esch.stop().await.unwrap();
    liege.stop().await.unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    let mut writers = tokio::task::JoinSet::new();
    for city in [&*strasbourg, &*kehl] {
        let entry = member(city, city.id()).await.unwrap().entry.unwrap();
        writers.spawn(change(city.members().await.unwrap(), entry, done.clone()));
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    let wrote = strasbourg.status().await.unwrap();
    assert!(wrote.register_number >= number + u64::try_from(CHANGES).unwrap(), "{}", wrote.register_number);
    // The changes since then go once the stewards have signed for a snapshot, with a beat.
    eventually("the changes since Esch left are gone", PATIENCE, || async {
        let events = strasbourg.directory().await.ok()?.follow(left.clone()).await.ok()?;
        let first = events.into_inner().message().await.ok()??;
        matches!(first.event, Some(Event::SnapshotFirst(_))).then_some(())
    })
    .await;

    esch.start().unwrap();
    reached(esch, wrote.register_number).await;
    let log = std::fs::read_to_string(esch.dir.join("node.log")).unwrap();
    assert!(log.contains("taking a snapshot first"), "Esch took every single change: {log}");
    let caught_up = esch.status().await.unwrap();
    let there = strasbourg.status().await.unwrap();
    reached(esch, there.register_number).await;
    if caught_up.register_number == there.register_number {
        assert_eq!(caught_up.register_head, there.register_head);
    }
    assert!(caught_up.forks.is_empty());

    // No steward answers, and neither does Kehl: Liège has only Esch to follow.
    let last = esch.status().await.unwrap();
    strasbourg.kill().await.unwrap();
    kehl.kill().await.unwrap();
    liege.start().unwrap();
    reached(liege, last.register_number).await;
    let fed = liege.status().await.unwrap();
    assert_eq!((fed.register_number, fed.register_head), (last.register_number, last.register_head));
    assert!(fed.forks.is_empty());
    let log = std::fs::read_to_string(liege.dir.join("node.log")).unwrap();
    assert!(log.contains("taking a snapshot first"), "{log}");
}
