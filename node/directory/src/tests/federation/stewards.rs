//! Stewards among themselves: elect, write, fail over, hand on, restart.

use super::cities::{Federation, LIMIT, quick, until};
use crate::clock::Clock;
use crate::domain::reason::Reason;
use crate::domain::register::Outcome;
use crate::domain::time::{Millis, UnixMs};
use crate::tests::{ESCH, GENT, KEHL, STRASBOURG, id};

const THREE: &[&str] = &[STRASBOURG, KEHL, ESCH];

async fn change(federation: &Federation, name: &str, network: &str) -> crate::domain::register::Applied {
    let entry = federation.at(name).view().member(&id(name)).unwrap().entry.clone();
    let entry = crate::domain::authority::AuthorityEntry { networks: vec![network.to_owned()], ..entry };
    federation.act(name, |a, s| a.entry(s, &entry)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_stewards_agree_and_everybody_writes() {
    let federation = Federation::of(THREE, &[GENT], &quick()).await;
    for round in 0..3 {
        for name in [STRASBOURG, KEHL, ESCH, GENT] {
            let proposed = change(&federation, name, &format!("eurocities-{round}")).await;
            assert_eq!(proposed.outcome, Outcome::Accepted, "{name}");
        }
    }
    federation.together().await;
    let number = federation.at(ESCH).view().number;
    let signed = federation.sign(GENT, GENT, |a, s| {
        let entry = s.member(&id(GENT)).unwrap().entry.clone();
        a.entry(s, &entry)
    });
    let first = federation.at(GENT).propose(signed.clone()).await.unwrap();
    change(&federation, ESCH, "meanwhile").await;
    let again = federation.at(KEHL).propose(signed).await.unwrap();
    assert_eq!(first, again, "with its own number, and the head there");
    assert!(first.head.is_some());
    assert_eq!(first.number, number + 1);
    let read = federation.at(GENT).linearizable().await.unwrap();
    assert!(read.number >= first.number);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_dies_and_the_others_go_on() {
    let mut federation = Federation::of(THREE, &[], &quick()).await;
    let old = federation.leader().await;
    federation.stop(&old).await;
    let other = THREE.iter().find(|name| **name != old).unwrap();
    let instance = federation.at(other).node().unwrap();
    assert!(!instance.status().has_changed().unwrap(), "it tells of what comes, or whoever waits for it spins");
    let proposed = change(&federation, other, "after-the-leader").await;
    assert_eq!(proposed.outcome, Outcome::Accepted);
    assert_ne!(federation.leader().await, old);
    federation.start(&old).await;
    federation.at(&old).wait_for(proposed.number, LIMIT).await.unwrap();
    federation.together().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_stop_and_start_again() {
    let mut federation = Federation::of(THREE, &[GENT], &quick()).await;
    for round in 0..20 {
        change(&federation, KEHL, &format!("round-{round}")).await;
    }
    let before = federation.at(KEHL).view();
    for name in [STRASBOURG, KEHL, ESCH, GENT] {
        federation.stop(name).await;
    }
    for name in [STRASBOURG, KEHL, ESCH, GENT] {
        federation.start(name).await;
        assert!(federation.at(name).view().number <= before.number);
    }
    federation.leader().await;
    let proposed = change(&federation, GENT, "after-the-night").await;
    assert_eq!((proposed.number, proposed.outcome), (before.number + 1, Outcome::Accepted));
    federation.together().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steward_is_demoted_and_the_rest_decides() {
    let federation = Federation::of(THREE, &[], &quick()).await;
    let leader = federation.leader().await;
    send_out(&federation, &leader).await;
    super::cities::until("the demoted steward's Raft stops", || federation.at(&leader).status().raft.is_none()).await;
    let proposed = change(&federation, &leader, "as-a-mirror").await;
    assert_eq!(proposed.outcome, Outcome::Accepted);
    federation.together().await;
    let now = federation.leader().await;
    assert_ne!(now, leader);
    assert_eq!(federation.at(&now).status().raft.unwrap().voters.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_acknowledges_nothing_and_comes_back() {
    let federation = Federation::of(THREE, &[], &quick()).await;
    let old = federation.leader().await;
    let before = federation.at(&old).view();
    federation.pipes.cut(&id(&old));
    let lonely = federation.sign(&old, &old, |a, s| {
        let entry = s.member(&id(&old)).unwrap().entry.clone();
        let networks = vec!["written-alone".to_owned()];
        a.entry(s, &crate::domain::authority::AuthorityEntry { networks, ..entry })
    });
    let alone = federation.at(&old).clone();
    let written = tokio::spawn({
        let lonely = lonely.clone();
        async move { alone.propose(lonely).await }
    });
    let other = THREE.iter().find(|name| **name != old).unwrap();
    let proposed = change(&federation, other, "without-the-old-leader").await;
    assert_eq!(proposed.outcome, Outcome::Accepted);
    assert_eq!(federation.at(&old).view().number, before.number);
    federation.pipes.mend(&id(&old));
    federation.at(&old).wait_for(proposed.number, LIMIT).await.unwrap();
    // The old leader's own write is either refused or goes through once, by the new leader.
    let written = written.await.unwrap();
    federation.together().await;
    let accepted = federation
        .at(&old)
        .state()
        .accepted(&crate::domain::ids::StatementId(crate::wire::statement::open(lonely).unwrap().1.payload_digest().0));
    assert_eq!(accepted.is_some(), written.is_ok());
    let term = federation.at(&old).status().raft.unwrap().term;
    for name in THREE {
        assert_eq!(federation.at(name).status().raft.unwrap().term, term);
        assert!(federation.at(name).status().forks.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_a_majority_says_so_in_time() {
    let mut federation = Federation::of(THREE, &[], &quick()).await;
    let leader = federation.leader().await;
    for other in THREE.iter().filter(|name| **name != leader) {
        federation.stop(other).await;
    }
    let signed = federation.sign(&leader, &leader, |a, s| {
        let entry = s.member(&id(&leader)).unwrap().entry.clone();
        a.entry(s, &entry)
    });
    // Callers wait for 10 s (9.14), and it gives up before them; how late its answer is, is the machine's.
    let patience = std::time::Duration::from_secs(30);
    let (written, read) = tokio::join!(
        tokio::time::timeout(patience, federation.at(&leader).propose(signed)),
        tokio::time::timeout(patience, federation.at(&leader).linearizable()),
    );
    // Once it leads no more it looks for somebody who does, and reaches nobody.
    for refused in [written.unwrap().unwrap_err(), read.unwrap().unwrap_err()] {
        assert!([Reason::NoLeader, Reason::LastRegisterUnreachable].contains(&refused.reason()), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_steward_is_a_mirror_until_its_new_id_is_named() {
    let mut federation = Federation::of(THREE, &[], &quick()).await;
    let old_id = federation.at(ESCH).raft_id();
    federation.stop(ESCH).await;
    crate::forget_raft(federation.city(ESCH).dir.path()).unwrap();
    let number = change(&federation, KEHL, "meanwhile").await.number;
    federation.start(ESCH).await;
    let new_id = federation.at(ESCH).raft_id();
    assert_ne!(new_id, old_id);
    federation.at(ESCH).wait_for(number, LIMIT).await.unwrap();
    let announced = |name: &str| federation.at(name).view().member(&id(ESCH)).unwrap().entry.raft_id == new_id;
    super::cities::until("the new Raft id is announced", || announced(STRASBOURG) && announced(ESCH)).await;
    // A leader's call, meant for the old one, may have it look whether it is to learn: nobody counts its vote.
    assert!(!federation.at(ESCH).status().steward);
    for name in THREE {
        assert!(federation.at(name).status().raft.is_none_or(|raft| !raft.voters.contains(&new_id)), "{name}");
    }
    let outcome = federation
        .decide(|a, s| {
            let mut set = s.stewards().to_vec();
            set.iter_mut().filter(|steward| steward.authority == id(ESCH)).for_each(|steward| steward.raft_id = new_id);
            a.steward_set(s, &set)
        })
        .await;
    assert_eq!(outcome, Outcome::Accepted);
    federation.votes(ESCH).await;
    change(&federation, ESCH, "back-again").await;
    federation.together().await;
    let voters = federation.at(ESCH).status().raft.unwrap().voters;
    assert!(voters.len() == 3 && voters.contains(&new_id) && !voters.contains(&old_id));
}

/// Decides that one is a steward no more.
async fn send_out(federation: &Federation, name: &str) {
    let gone = id(name);
    let outcome = federation
        .decide(|a, s| {
            let set: Vec<_> = s.stewards().iter().filter(|steward| steward.authority != gone).cloned().collect();
            a.steward_set(s, &set)
        })
        .await;
    assert_eq!(outcome, Outcome::Accepted);
}

fn voters(federation: &Federation, name: &str) -> usize {
    let raft = federation.at(name).status().raft;
    raft.filter(|raft| raft.running && !raft.changing).map_or(0, |raft| raft.voters.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_sent_out_still_votes_until_the_voters_have_changed() {
    let mut federation = Federation::of(&[STRASBOURG, KEHL], &[], &quick()).await;
    let staying = federation.leader().await;
    let leaving = [STRASBOURG, KEHL].into_iter().find(|name| *name != staying).unwrap();
    federation.pipes.keeps_voters(&id(leaving), true);
    send_out(&federation, leaving).await;
    until("it knows", || !federation.at(leaving).status().steward).await;
    let raft_id = federation.at(leaving).raft_id();
    // It dies before it has heard that the voters are to change: without it there is no majority for that.
    federation.stop(leaving).await;
    federation.pipes.keeps_voters(&id(leaving), false);
    federation.start(leaving).await;
    assert_eq!(federation.at(leaving).raft_id(), raft_id, "Raft still counts its vote");
    until("one voter", || voters(&federation, &staying) == 1).await;
    assert_eq!(change(&federation, &staying, "alone").await.outcome, Outcome::Accepted);
    until("its Raft ends", || federation.at(leaving).status().raft.is_none()).await;
    federation.stop(leaving).await;
    federation.start(leaving).await;
    assert_ne!(federation.at(leaving).raft_id(), raft_id, "and only now it is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_when_it_was_sent_out_finds_out_and_begins_anew() {
    let mut federation = Federation::of(THREE, &[], &quick()).await;
    let leader = federation.leader().await;
    let away = THREE.iter().find(|name| **name != leader).unwrap();
    let raft_id = federation.at(away).raft_id();
    federation.stop(away).await;
    send_out(&federation, away).await;
    let strangers =
        |federation: &Federation| federation.at(&leader).status().raft.unwrap().nodes.contains_key(&raft_id);
    until("it is forgotten", || voters(&federation, &leader) == 2 && !strangers(&federation)).await;
    federation.start(away).await;
    assert_eq!(federation.at(away).raft_id(), raft_id, "nothing here says that the voters have changed");
    until("its Raft begins", || federation.at(away).status().raft.is_some()).await;
    until("its Raft ends", || !federation.at(away).status().steward && federation.at(away).status().raft.is_none())
        .await;
    federation.stop(away).await;
    federation.start(away).await;
    assert_ne!(federation.at(away).raft_id(), raft_id);
    federation.together().await;
}

/// Four, one of them down since before the leader was elected; then one is sent out.
async fn sent_out_while_another_is_down(out: impl Fn(&str) -> bool) {
    const FOUR: &[&str] = &[STRASBOURG, KEHL, ESCH, GENT];
    let mut federation = Federation::of(FOUR, &[], &quick()).await;
    let first = federation.leader().await;
    let down = FOUR.iter().find(|name| **name != first).unwrap();
    federation.stop(down).await;
    federation.stop(&first).await;
    federation.start(&first).await;
    let leader = federation.leader().await;
    let alive = || FOUR.iter().filter(|name| *name != down);
    let gone = alive().find(|name| out(&leader) == (**name == leader)).unwrap();
    send_out(&federation, gone).await;
    until("three voters", || alive().filter(|name| *name != gone).all(|name| voters(&federation, name) == 3)).await;
    let stays = alive().find(|name| *name != gone).unwrap();
    assert_eq!(change(&federation, stays, "by-two-of-three").await.outcome, Outcome::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steward_that_is_down_does_not_keep_another_one_in() {
    sent_out_while_another_is_down(|_| false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_sent_out_hands_over_to_one_that_is_there() {
    sent_out_while_another_is_down(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_breaks_down_is_started_again() {
    let federation = Federation::of(THREE, &[], &quick()).await;
    let broken = federation.leader().await;
    federation.at(&broken).node().unwrap().break_down().await;
    until("it is noticed", || federation.at(&broken).status().raft_error.is_some()).await;
    let mended = || voters(&federation, &broken) == 3 && federation.at(&broken).status().raft_error.is_none();
    until("it runs again", mended).await;
    assert_eq!(change(&federation, &broken, "after-the-fault").await.outcome, Outcome::Accepted);
    federation.together().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_clock_jumps_orders_nothing_and_lets_another_one_lead() {
    let federation = Federation::of(THREE, &[], &quick()).await;
    let jumps = federation.leader().await;
    let other = THREE.iter().find(|name| **name != jumps).unwrap();
    let heard = || federation.at(&jumps).beats().into_iter().map(|beat| beat.time).min().unwrap();
    let enough = federation.city(other).clock.now();
    until("beats of all", || heard() > enough).await;
    federation.city(&jumps).clock.advance(Millis::hours(1));
    assert_eq!(change(&federation, other, "in-time").await.outcome, Outcome::Accepted);
    let ordered = federation.at(other).status().entry_time;
    assert!(ordered.since(federation.city(other).clock.now()) < Millis::seconds(1), "not by the clock that jumped");
    assert_ne!(federation.leader().await, jumps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_steward_goes_on_from_an_entry_of_a_clock_that_was_ahead() {
    let mut federation = Federation::of(&[STRASBOURG], &[GENT], &quick()).await;
    federation.city(STRASBOURG).clock.advance(Millis::days(3));
    let early = change(&federation, STRASBOURG, "three-days-early").await;
    let ahead = federation.at(STRASBOURG).status().entry_time;
    federation.city(STRASBOURG).clock.advance(Millis::days(-3));
    let next = change(&federation, STRASBOURG, "by-the-right-clock").await;
    assert_eq!((next.outcome, next.number), (Outcome::Accepted, early.number + 1));
    assert_eq!(federation.at(STRASBOURG).status().entry_time, ahead, "no earlier than what stands, and no later");
    federation.at(GENT).wait_for(next.number, LIMIT).await.unwrap();
    until("it is fresh again", || federation.at(STRASBOURG).status().fresh && federation.at(GENT).status().fresh).await;
    // Whoever comes now has a right clock, and takes the same way: as a member, then as a steward.
    federation.admit(KEHL).await;
    federation.promote(KEHL).await;
    assert_eq!(change(&federation, KEHL, "by-the-second-steward").await.outcome, Outcome::Accepted);
    federation.together().await;
}

/// Puts the register's time right, as the stewards decide it.
async fn retime(federation: &Federation, to: UnixMs) {
    assert_eq!(federation.decide(|a, s| a.retime(s, to)).await, Outcome::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_steward_puts_the_register_s_time_right() {
    let mut federation = Federation::of(&[STRASBOURG], &[GENT], &quick()).await;
    federation.city(STRASBOURG).clock.advance(Millis::days(3));
    change(&federation, STRASBOURG, "three-days-early").await;
    federation.city(STRASBOURG).clock.advance(Millis::days(-3));
    let now = federation.city(STRASBOURG).clock.now();
    retime(&federation, now).await;
    let next = change(&federation, STRASBOURG, "by-the-right-clock").await;
    let entry_time = federation.at(STRASBOURG).status().entry_time;
    assert!(now <= entry_time && entry_time.since(now) < Millis::minutes(1), "{entry_time} is in time again");
    federation.at(GENT).wait_for(next.number, LIMIT).await.unwrap();
    // A steward that starts from the log, and one that comes now.
    federation.stop(STRASBOURG).await;
    federation.start(STRASBOURG).await;
    federation.admit(KEHL).await;
    federation.promote(KEHL).await;
    assert_eq!(change(&federation, KEHL, "by-the-second-steward").await.outcome, Outcome::Accepted);
    federation.together().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_stewards_put_the_register_s_time_right_and_one_that_was_away_follows() {
    let mut federation = Federation::of(THREE, &[GENT], &quick()).await;
    THREE.iter().for_each(|name| federation.city(name).clock.advance(Millis::days(3)));
    change(&federation, STRASBOURG, "three-days-early").await;
    federation.stop(ESCH).await;
    THREE.iter().for_each(|name| federation.city(name).clock.advance(Millis::days(-3)));
    let now = federation.city(STRASBOURG).clock.now();
    retime(&federation, now).await;
    change(&federation, KEHL, "in-time").await;
    assert!(federation.at(KEHL).status().entry_time.since(now) < Millis::minutes(1));
    federation.start(ESCH).await;
    federation.together().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_steward_orders_nothing_while_three_members_agree_on_another_time() {
    let mut federation = Federation::of(&[STRASBOURG], &[KEHL, ESCH, GENT], &quick()).await;
    federation.stop(STRASBOURG).await;
    federation.city(STRASBOURG).clock.set(Millis::days(3));
    federation.start(STRASBOURG).await;
    federation.leader().await;
    until("the members are asked", || federation.at(STRASBOURG).members_ahead().is_some()).await;
    let (ahead, agreeing) = federation.at(STRASBOURG).members_ahead().unwrap();
    assert!((ahead.0 + Millis::days(3).0).abs() < 60_000 && agreeing == 3, "{ahead:?} {agreeing}");
    let signed = federation.sign(STRASBOURG, STRASBOURG, |a, s| {
        let entry = s.member(&id(STRASBOURG)).unwrap().entry.clone();
        a.entry(s, &entry)
    });
    let refused = federation.at(STRASBOURG).propose(signed).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::EntryTimeInvalid);
    let now = federation.city(KEHL).clock.now();
    let confirmed = federation.at(STRASBOURG).0.chain.confirmed_time();
    assert!(confirmed.is_none_or(|at| at.since(now).0 < 60_000), "nor is anything destroyed by its clock");
    federation.at(STRASBOURG).clock_is_right();
    assert_eq!(change(&federation, STRASBOURG, "by-the-operator-s-word").await.outcome, Outcome::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_is_confirmed_where_a_majority_beats_and_a_member_vouches_for_a_lone_steward() {
    let federation = Federation::of(&[STRASBOURG], &[KEHL], &quick()).await;
    let confirmed = |name: &str| federation.at(name).0.chain.confirmed_time();
    until("a member takes a beat's word", || confirmed(KEHL).is_some()).await;
    until("the steward takes a member's", || confirmed(STRASBOURG).is_some()).await;
    let now = federation.city(KEHL).clock.now();
    assert!(confirmed(KEHL).unwrap().since(now).0.abs() < 60_000);
    federation.city(KEHL).clock.set(Millis::days(3_653));
    assert!(confirmed(KEHL).unwrap().since(now).0.abs() < 60_000, "no setting of the clock moves it");
}
