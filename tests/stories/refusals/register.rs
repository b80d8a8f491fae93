//! What the register refuses, to members and to those who follow it.

use havenlink::domain::reason::Reason;
use havenlink_proto::directory::v1::{Consistency, FollowRequest, GetRequest, SnapshotRequest};
use havenlink_tests::federation::Federation;
use havenlink_tests::refused::assert_refused;
use havenlink_tests::tools::havenctl;
use havenlink_tests::wait::eventually;

use crate::steps::ELECTED;

const QUICK: &[&str] = &["--freshness-limit", "2s", "--beat-interval", "500ms"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_history_and_a_snapshot_that_nobody_has_signed() {
    let federation = Federation::found(2, 1, "").await.unwrap();
    let [strasbourg, kehl] = &federation.cities[..] else { panic!("two") };
    let number = strasbourg.status().await.unwrap().register_number;
    for city in [strasbourg, kehl] {
        let mut register = city.directory().await.unwrap();
        let other_history = FollowRequest { number, head: vec![7; 32].into(), founding: 0 };
        assert_refused(&register.follow(other_history).await.map(drop), Reason::HeadMismatch);
        assert_refused(&register.snapshot(SnapshotRequest::default()).await.map(drop), Reason::ChangesGone);
        let nobody = GetRequest { authority: "xx-nobody".into(), consistency: Consistency::Local.into() };
        assert_refused(&register.get(nobody).await, Reason::MemberUnknown);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_member_may_not_decide_and_what_cannot_be_decided_now() {
    let mut federation = Federation::found_as(3, 2, "", QUICK).await.unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three") };
    let promote = ["steward", "promote", "lu-esch-sur-alzette"];
    assert_refused(&havenctl(esch, &promote).await.unwrap(), Reason::NotASteward);
    let suspend = ["member", "suspend", "xx-nobody", "--reason", "OWN_REQUEST", "--yes"];
    assert_refused(&havenctl(strasbourg, &suspend).await.unwrap(), Reason::MemberUnknown);
    let restore = ["member", "restore", "lu-esch-sur-alzette"];
    assert_refused(&havenctl(strasbourg, &restore).await.unwrap(), Reason::NotSuspended);
    let again = ["member", "suspend", "lu-esch-sur-alzette", "--reason", "OWN_REQUEST", "--yes"];
    havenctl(strasbourg, &again).await.unwrap().fine();
    assert_refused(&havenctl(strasbourg, &again).await.unwrap(), Reason::EmergencyUsed);
    let remove = ["member", "remove", "de-kehl", "--reason", "OWN_REQUEST", "--yes"];
    assert_refused(&havenctl(strasbourg, &remove).await.unwrap(), Reason::StillASteward);

    // The leader is gone, and one of two stewards cannot make another.
    let elsewhere = ["node", "update", "--network", "Eurocities"];
    let kehl_leads = kehl.status().await.unwrap().leader;
    let (leader, other) = if kehl_leads { (kehl, strasbourg) } else { (strasbourg, kehl) };
    leader.kill().await.unwrap();
    let refused = eventually("the other notices", ELECTED, || async {
        let ran = havenctl(other, &elsewhere).await.unwrap();
        ran.err.contains("NO_LEADER").then_some(ran)
    });
    assert_refused(&refused.await, Reason::NoLeader);
    other.until("it says that nobody confirms its register", |s| s.reason == "REGISTER_NOT_FRESH").await.unwrap();
    // No steward at all. Whose time ends in the middle of an attempt is told only that nobody decided.
    other.kill().await.unwrap();
    let refused = eventually("nobody is reached", ELECTED, || async {
        let ran = havenctl(esch, &elsewhere).await.unwrap();
        (!ran.err.contains("NO_LEADER")).then_some(ran)
    });
    assert_refused(&refused.await, Reason::LastRegisterUnreachable);
}
