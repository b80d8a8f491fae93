//! Who is to vote catches up first: the set does not change before.

use havenlink_proto::raft::v1 as raft;

use super::cities::{Federation, quick, until};
use crate::domain::directory::{Policy, Steward};
use crate::domain::reason::Reason;
use crate::domain::register::Outcome;
use crate::tests::{ESCH, GENT, GRAZ, KEHL, STRASBOURG, id};

const THREE: &[&str] = &[STRASBOURG, KEHL, ESCH];

fn newcomer(federation: &Federation, name: &str) -> Steward {
    Steward { authority: id(name), raft_id: federation.at(name).raft_id() }
}

async fn change(federation: &Federation, name: &str, network: &str) -> Outcome {
    let entry = federation.at(name).view().member(&id(name)).unwrap().entry.clone();
    let entry = crate::domain::authority::AuthorityEntry { networks: vec![network.to_owned()], ..entry };
    federation.act(name, |a, s| a.entry(s, &entry)).await.outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_has_the_register_before_it_is_decided_on() {
    let policy = Policy { snapshot_interval: 4, ..quick() };
    let mut federation = Federation::of(&[STRASBOURG], &[KEHL], &policy).await;
    for round in 0..40 {
        assert_eq!(change(&federation, STRASBOURG, &format!("round-{round}")).await, Outcome::Accepted);
    }
    until("old entries are dropped", || federation.at(STRASBOURG).first_log_index_for_tests() > 8).await;
    federation.at(STRASBOURG).prepare(&newcomer(&federation, KEHL)).await.unwrap();
    let leads = federation.at(STRASBOURG).status();
    let raft = leads.raft.unwrap();
    assert_eq!((raft.voters.len(), raft.nodes.len()), (1, 2), "it learns, and does not vote");
    assert_eq!(federation.at(STRASBOURG).view().stewards.len(), 1, "nor does any majority need it");
    assert!(federation.at(KEHL).0.chain.raft_snapshot().is_some(), "by a snapshot that the one steward has signed");
    federation.promote(KEHL).await;
    assert_eq!(change(&federation, KEHL, "by-the-second").await, Outcome::Accepted);
    federation.together().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_answer_is_not_decided_on_and_everything_else_is() {
    let mut federation = Federation::of(&[STRASBOURG], &[KEHL], &quick()).await;
    federation.pipes.cut(&id(KEHL));
    let behind = federation.at(STRASBOURG).prepare(&newcomer(&federation, KEHL)).await.unwrap_err();
    assert_eq!(behind.reason(), Reason::NewcomerCatchingUp);
    assert_eq!(change(&federation, STRASBOURG, "alone").await, Outcome::Accepted);
    federation.pipes.mend(&id(KEHL));
    let kehl = newcomer(&federation, KEHL);
    federation.at(STRASBOURG).prepare(&kehl).await.unwrap();
    federation.promote(KEHL).await;
    federation.together().await;
}

/// Of two stewards one is cut off, and so is who is to be a third: the other may take itself for the leader still, and brings nobody
/// up to date.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_a_majority_does_not_say_that_the_newcomer_is_behind() {
    let federation = Federation::of(&[STRASBOURG, KEHL], &[ESCH], &quick()).await;
    let leader = federation.leader().await;
    let other = if leader == STRASBOURG { KEHL } else { STRASBOURG };
    for silent in [other, ESCH] {
        federation.pipes.cut(&id(silent));
    }
    let refused = federation.at(&leader).prepare(&newcomer(&federation, ESCH)).await.unwrap_err();
    assert!(matches!(refused.reason(), Reason::NoLeader | Reason::LastRegisterUnreachable), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_steward_asks_the_leader_and_nobody_else_may() {
    let federation = Federation::of(THREE, &[GENT], &quick()).await;
    let leader = federation.leader().await;
    let follower = THREE.iter().find(|name| **name != leader).unwrap();
    let gent = newcomer(&federation, GENT);
    federation.at(follower).prepare(&gent).await.unwrap();
    until("Gent's own instance runs", || federation.at(GENT).status().raft.is_some()).await;
    assert_eq!(change(&federation, GENT, "as-a-member").await, Outcome::Accepted, "it goes on as one meanwhile");
    let other = Steward { raft_id: gent.raft_id + 1, ..gent.clone() };
    assert_eq!(federation.at(follower).prepare(&other).await.unwrap_err().reason(), Reason::EntryInvalid);
    let stranger = Steward { authority: id(GRAZ), raft_id: 7 };
    assert_eq!(federation.at(follower).prepare(&stranger).await.unwrap_err().reason(), Reason::MemberUnknown);
    let request = raft::EnlistRequest {
        federation_id: bytes::Bytes::copy_from_slice(federation.at(&leader).view().federation.as_bytes()),
        target: federation.at(&leader).raft_id(),
        authority: GENT.to_owned(),
        raft_id: gent.raft_id,
    };
    assert!(federation.at(&leader).enlisted(&id(follower), &request).unwrap().caught_up);
    let refused = federation.at(&leader).enlisted(&id(GENT), &request).unwrap_err();
    assert_eq!(refused.reason(), Reason::NotASteward);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_an_open_decision_names_learns_while_it_is_open() {
    let federation = Federation::of(THREE, &[GENT], &quick()).await;
    let gent = newcomer(&federation, GENT);
    let proposed = federation
        .act(STRASBOURG, |a, s| {
            let mut set = s.stewards().to_vec();
            set.push(gent.clone());
            a.steward_set(s, &set)
        })
        .await;
    assert_eq!(proposed.outcome, Outcome::Pending);
    let leader = federation.leader().await;
    until("the leader brings it up to date", || {
        federation.at(&leader).status().raft.is_some_and(|raft| raft.nodes.contains_key(&gent.raft_id))
    })
    .await;
    assert_eq!(federation.at(&leader).view().stewards.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steward_without_a_vote_is_named_by_the_others() {
    let federation = Federation::of(THREE, &[GENT], &quick()).await;
    federation.pipes.cut(&id(GENT));
    let gent = newcomer(&federation, GENT);
    // Decided by stewards whose programs did not look.
    let outcome = federation
        .decide(|a, s| {
            let mut set = s.stewards().to_vec();
            set.push(gent.clone());
            a.steward_set(s, &set)
        })
        .await;
    assert_eq!(outcome, Outcome::Accepted);
    let names = |name: &str| federation.at(name).status().without_a_vote;
    until("every other steward names it", || THREE.iter().all(|name| names(name) == [id(GENT)])).await;
    federation.pipes.mend(&id(GENT));
    federation.votes(GENT).await;
    until("nobody is named any more", || THREE.iter().all(|name| names(name).is_empty())).await;
}
