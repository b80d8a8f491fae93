//! What a member can bring about by calling: it is counted under its name, raises no alarm, and comes to an end.

use bytes::Bytes;
use havenlink::demo::city::City;
use havenlink::domain::reason::Reason;
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::directory::v1::{Consistency, FollowRequest, GetRequest};
use havenlink_proto::raft::v1 as raft;
use havenlink_proto::raft::v1::raft_service_client::RaftServiceClient;
use havenlink_tests::federation::Federation;
use havenlink_tests::intruder::{Intruder, address_of};
use havenlink_tests::refused::assert_refused;
use havenlink_tests::wait::eventually;

use crate::steps::PATIENCE;

/// More than what is refused in a minute before connections end.
const CALLS: usize = 3_000;

fn log(city: &City) -> String {
    std::fs::read_to_string(city.dir.join("node.log")).unwrap()
}

fn told(city: &City, event: &str) -> Vec<String> {
    log(city).lines().filter(|line| line.contains(event)).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_made_up_head_raft_calls_and_a_flood_of_a_member() {
    let mut federation = Federation::found(2, 1, "budget.register_calls_per_second = 30\n").await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two cities") };
    let intruder = Intruder::with_keys_of(kehl).await.unwrap();
    kehl.kill().await.unwrap();
    let before = strasbourg.status().await.unwrap();
    let channel = intruder.channel(&address_of(strasbourg).await.unwrap()).unwrap();

    // A head that nobody has signed.
    let mut register = DirectoryServiceClient::new(channel.clone());
    let head = Bytes::from_static(&[7; 32]);
    let made_up = FollowRequest { number: before.register_number, head, founding: 0 };
    for _ in 0..5 {
        assert_refused(&register.follow(made_up.clone()).await, Reason::HeadMismatch);
    }
    let after = strasbourg.status().await.unwrap();
    assert!(after.forks.is_empty(), "it is no fork: {:?}", after.forks);

    // Raft, of which it is no part: nothing of a stream is read before it is refused.
    let mut consensus = RaftServiceClient::new(channel.clone());
    for _ in 0..5 {
        let vote = raft::VoteRequest {
            federation_id: before.federation_id.clone(),
            vote: Some(raft::Vote { term: 9, node_id: 1, committed: false }),
            target: 1,
            ..Default::default()
        };
        assert_refused(&consensus.vote(vote).await, Reason::NotASteward);
    }
    let nothing_yet = tokio::time::timeout(PATIENCE, consensus.append_stream(tokio_stream::pending()));
    assert_refused(&nothing_yet.await.expect("refused before its first message"), Reason::NotASteward);
    let nothing_yet = tokio::time::timeout(PATIENCE, consensus.install_snapshot(tokio_stream::pending()));
    assert_refused(&nothing_yet.await.expect("refused before its first message"), Reason::NotASteward);
    let lines = told(strasbourg, "event=REFUSED authority=de-kehl reason=NOT_A_STEWARD");
    assert_eq!(lines.len(), 1, "one line a minute: {lines:?}");

    // It goes on although it is told to wait: its connection ends, and it may come again.
    let get = GetRequest { authority: kehl.id().to_owned(), consistency: Consistency::Local.into() };
    let (mut cut, mut calls) = (Vec::new(), 0);
    let ended = loop {
        for _ in 0..100 {
            let Err(status) = register.get(get.clone()).await else { continue };
            if tonic_types::StatusExt::get_details_error_info(&status).is_none() {
                cut.push(status);
            } else {
                assert_refused(&Err::<(), _>(status), Reason::BudgetExhausted);
            }
        }
        calls += 100;
        if let Some(ended) = told(strasbourg, "event=FLOOD_ENDED authority=de-kehl").pop() {
            break ended;
        }
        assert!(calls < CALLS, "it calls on and on, and its connection stays: {cut:?}");
    };
    assert!(ended.contains("count=1"), "one connection was ended: {ended}");
    assert!(!cut.is_empty(), "and a call ended with it");
    eventually("it comes again", PATIENCE, || {
        let (mut register, get) = (register.clone(), get.clone());
        async move { register.get(get).await.ok() }
    })
    .await;

    let alarms: Vec<String> = log(strasbourg)
        .lines()
        .filter(|line| line.split_whitespace().nth(1).is_some_and(|level| level == "ERROR" || level == "WARN"))
        .filter(|line| line.contains("HEAD_MISMATCH") || line.contains("Raft") || line.contains("fork"))
        .map(str::to_owned)
        .collect();
    assert!(alarms.is_empty(), "{alarms:?}");
}
