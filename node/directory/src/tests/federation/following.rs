//! Mirrors: follow, verify, catch up from a snapshot, serve others; snapshots to late stewards; suspensions that spread.

use super::cities::{Federation, LIMIT, quick, until};
use crate::domain::authority::MemberStatus;
use crate::domain::register::{Outcome, SuspendReason};
use crate::tests::{ESCH, GENT, GRAZ, KEHL, STRASBOURG, id};

async fn changes(federation: &Federation, name: &str, count: usize) -> u64 {
    let mut number = 0;
    for round in 0..count {
        let entry = federation.at(name).view().member(&id(name)).unwrap().entry.clone();
        let networks = vec![format!("round-{round}-{}", federation.at(name).view().number)];
        let entry = crate::domain::authority::AuthorityEntry { networks, ..entry };
        let proposed = federation.act(name, |a, s| a.entry(s, &entry)).await;
        assert_eq!(proposed.outcome, Outcome::Accepted);
        number = proposed.number;
    }
    number
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_follows_and_serves_another_one() {
    let mut federation = Federation::of(&[STRASBOURG], &[GENT, GRAZ], &quick()).await;
    let number = changes(&federation, STRASBOURG, 5).await;
    federation.at(GENT).wait_for(number, LIMIT).await.unwrap();
    federation.stop(GRAZ).await;
    let number = changes(&federation, STRASBOURG, 5).await;
    federation.at(GENT).wait_for(number, LIMIT).await.unwrap();
    federation.stop(STRASBOURG).await;
    federation.start(GRAZ).await;
    federation.at(GRAZ).wait_for(number, LIMIT).await.unwrap();
    assert_eq!(federation.at(GRAZ).view().head, federation.at(GENT).view().head);
    until("the beats of the steward reach the mirror of a mirror", || !federation.at(GRAZ).beats().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_steward_and_a_late_mirror_start_from_a_proven_snapshot() {
    let policy = crate::domain::directory::Policy { snapshot_interval: 4, ..quick() };
    let mut federation = Federation::of(&[STRASBOURG, KEHL], &[GENT], &policy).await;
    let left = federation.at(GENT).view().number;
    federation.stop(GENT).await;
    changes(&federation, KEHL, 40).await;
    until("what Gent lacks, and old entries, are dropped", || {
        let gone = |name| federation.at(name).0.chain.after(left, 1).unwrap().is_none();
        gone(STRASBOURG) && gone(KEHL) && federation.at(STRASBOURG).first_log_index_for_tests() > 4
    })
    .await;
    federation.start(GENT).await;
    federation.together().await;
    assert!(federation.at(GENT).0.chain.snapshot().is_some(), "Gent began with a snapshot");
    federation.admit(ESCH).await;
    federation.promote(ESCH).await;
    assert!(federation.at(ESCH).0.chain.raft_snapshot().is_some(), "Esch's Raft began with a snapshot");
    changes(&federation, ESCH, 3).await;
    federation.together().await;
    for name in [ESCH, KEHL, GENT] {
        federation.stop(name).await;
        federation.start(name).await;
    }
    changes(&federation, GENT, 3).await;
    federation.together().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_sends_back_to_its_snapshot_each_time_is_asked_no_more() {
    let policy = crate::domain::directory::Policy { snapshot_interval: 4, ..quick() };
    let federation = Federation::of(&[STRASBOURG], &[GENT], &policy).await;
    purged(&federation, &[STRASBOURG]).await;
    federation.together().await;
    let proven = || federation.at(STRASBOURG).0.chain.proven_snapshot().is_some();
    until("the steward has a snapshot to give", proven).await;
    federation.pipes.sends_back(&id(STRASBOURG));
    let channel = crate::dial::Dial::channel(&*federation.pipes.dial_as(&id(GENT)), &id(STRASBOURG)).unwrap();
    let asked = tokio::time::timeout(LIMIT, federation.at(GENT).catch_up(channel)).await;
    asked.expect("it does not go on asking").unwrap();
}

/// Changes until the logs of the stewards begin late: whoever comes now needs a snapshot.
async fn purged(federation: &Federation, stewards: &[&str]) {
    changes(federation, stewards[0], 40).await;
    until("old entries are dropped", || {
        stewards.iter().all(|name| federation.at(name).first_log_index_for_tests() > 8)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_steward_votes_after_the_log_was_purged() {
    let policy = crate::domain::directory::Policy { snapshot_interval: 4, ..quick() };
    let mut federation = Federation::of(&[STRASBOURG], &[KEHL], &policy).await;
    purged(&federation, &[STRASBOURG]).await;
    federation.promote(KEHL).await;
    changes(&federation, KEHL, 10).await;
    federation.together().await;
    assert_eq!(federation.at(KEHL).0.chain.snapshots_refused(), 0, "nothing was sent that could not be taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fourth_steward_votes_after_the_log_was_purged_while_another_one_is_down() {
    let policy = crate::domain::directory::Policy { snapshot_interval: 4, ..quick() };
    let mut federation = Federation::of(&[STRASBOURG, KEHL, ESCH], &[GENT], &policy).await;
    federation.stop(ESCH).await;
    purged(&federation, &[STRASBOURG, KEHL]).await;
    federation.promote(GENT).await;
    changes(&federation, GENT, 10).await;
    federation.together().await;
    federation.start(ESCH).await;
    federation.together().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_acts_without_a_quorum() {
    let mut federation = Federation::of(&[STRASBOURG, KEHL, ESCH], &[GENT, GRAZ], &quick()).await;
    federation.stop(KEHL).await;
    federation.stop(ESCH).await;
    let signed =
        federation.sign(STRASBOURG, STRASBOURG, |a, s| a.suspend(s, &id(GENT), SuspendReason::NodeCompromised).signed);
    assert!(federation.at(STRASBOURG).overlay_add(signed.clone()).await.unwrap());
    until("Graz knows", || {
        let now = crate::clock::Clock::now(&*federation.city(GRAZ).clock);
        federation.at(GRAZ).view().status(&id(GENT), now) == MemberStatus::Suspended
    })
    .await;
    federation.stop(GRAZ).await;
    federation.start(GRAZ).await;
    let now = crate::clock::Clock::now(&*federation.city(GRAZ).clock);
    assert_eq!(federation.at(GRAZ).view().status(&id(GENT), now), MemberStatus::Suspended);
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_that_follow_each_other_find_the_steward_again() {
    let federation = Federation::of(&[STRASBOURG], &[KEHL, GENT], &quick()).await;
    federation.pipes.cut(&id(STRASBOURG));
    let follows = |who: &str, whom: &str| federation.at(who).status().follows == Some(id(whom));
    until("the two follow each other", || follows(KEHL, GENT) && follows(GENT, KEHL)).await;
    federation.pipes.mend(&id(STRASBOURG));
    let entry = federation.at(STRASBOURG).view().member(&id(STRASBOURG)).unwrap().entry.clone();
    let entry = crate::domain::authority::AuthorityEntry { networks: vec!["eurocities".to_owned()], ..entry };
    let proposed = federation.act(STRASBOURG, |a, s| a.entry(s, &entry)).await;
    for name in [KEHL, GENT] {
        federation.at(name).wait_for(proposed.number, LIMIT).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_sends_messages_and_no_changes_is_left() {
    let mut federation = Federation::of(&[STRASBOURG, KEHL, ESCH], &[GENT], &quick()).await;
    let stewards = [STRASBOURG, KEHL, ESCH];
    federation.stop(GENT).await;
    stewards.iter().for_each(|name| federation.pipes.withholds(&id(name), true));
    federation.start(GENT).await;
    let mut source = None;
    until("Gent follows one of them", || {
        source = federation.at(GENT).status().follows;
        source.is_some()
    })
    .await;
    // Whoever it follows goes on withholding; the others would not.
    stewards.iter().for_each(|name| federation.pipes.withholds(&id(name), false));
    let entry = federation.at(KEHL).view().member(&id(KEHL)).unwrap().entry.clone();
    let entry = crate::domain::authority::AuthorityEntry { networks: vec!["eurocities".to_owned()], ..entry };
    let proposed = federation.act(KEHL, |a, s| a.entry(s, &entry)).await;
    federation.at(GENT).wait_for(proposed.number, LIMIT).await.unwrap();
}
