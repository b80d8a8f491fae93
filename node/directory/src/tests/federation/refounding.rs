//! Raft has died, the register has not: stewards whose disks were lost begin its order anew (9.15).

use super::cities::{Federation, quick, until};
use crate::dial::Dial;
use crate::disk::{Disk, Kept, Write};
use crate::domain::authority::{AuthorityEntry, MemberStatus};
use crate::domain::directory::Position;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::register::{Applied, Outcome, SuspendReason};
use crate::domain::time::Millis;
use crate::refounding::WithoutProof;
use crate::tests::{ESCH, GENT, KEHL, STRASBOURG, id};

const THREE: &[&str] = &[STRASBOURG, KEHL, ESCH];

pub async fn change(federation: &Federation, name: &str, network: &str) -> Applied {
    let entry = federation.at(name).view().member(&id(name)).unwrap().entry.clone();
    let entry = AuthorityEntry { networks: vec![network.to_owned()], ..entry };
    federation.act(name, |a, s| a.entry(s, &entry)).await
}

impl Federation {
    /// The disk of a city is gone; its node starts again with the genesis statement and its key, and finds another one.
    pub async fn lose_disk(&mut self, name: &str, found_at: &str) {
        if self.city(name).directory.is_some() {
            self.stop(name).await;
        }
        self.cities.get_mut(&id(name)).unwrap().dir = tempfile::tempdir().unwrap();
        self.start(name).await;
        let channel = self.pipes.dial_as(&id(name)).channel(&id(found_at)).unwrap();
        self.at(name).catch_up(channel).await.unwrap();
    }

    /// Until somebody else holds beats of these at its own newest change.
    pub async fn beaten(&self, at: &str, stewards: &[&str]) {
        let holds = |steward: &&str| {
            let view = self.at(at).view();
            self.at(at).beats().iter().any(|b| b.steward == id(steward) && b.number == view.number)
        };
        until("its newest change is signed by beats", || stewards.iter().all(holds)).await;
    }

    pub async fn refound(&self, name: &str) -> Result<Vec<AuthorityId>, Reason> {
        let plan = self.at(name).refounding_plan(WithoutProof::Refuse).await.map_err(|error| error.reason())?;
        self.at(name).refound(plan).await.map_err(|error| error.reason())
    }

    pub async fn all_stand_on(&self, founding: u64) {
        until("all follow the founding", || self.running().all(|d| d.view().founding == founding)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sole_steward_whose_disk_was_lost_begins_anew_alone() {
    let mut federation = Federation::of(&[STRASBOURG], &[KEHL], &quick()).await;
    assert_eq!(federation.refound(STRASBOURG).await.unwrap_err(), Reason::RefoundingNotNeeded);
    change(&federation, KEHL, "before").await;
    federation.together().await;
    federation.beaten(KEHL, &[STRASBOURG]).await;
    let before = federation.at(KEHL).view();
    federation.lose_disk(STRASBOURG, KEHL).await;
    until("it is told", || federation.at(STRASBOURG).status().refounding.without_majority == [id(STRASBOURG)]).await;
    assert_eq!(
        federation.at(KEHL).refounding_plan(WithoutProof::Refuse).await.unwrap_err().reason(),
        Reason::NotASteward
    );
    let plan = federation.at(STRASBOURG).refounding_plan(WithoutProof::Refuse).await.unwrap();
    assert_eq!((plan.founding, plan.base, plan.base_head), (1, before.position(), before.head));
    assert_eq!((plan.stewards.as_slice(), plan.above), (&[id(STRASBOURG)][..], 0));
    assert_eq!(federation.at(STRASBOURG).refound(plan).await.unwrap(), [], "one is a majority of one");
    federation.leader().await;
    let after = change(&federation, KEHL, "after").await;
    assert_eq!(after.outcome, Outcome::Accepted);
    federation.all_stand_on(1).await;
    federation.together().await;
    assert!(federation.at(KEHL).view().position() > Position { founding: 1, number: before.number + 1 });
    until("it is fresh again", || federation.at(KEHL).status().fresh).await;
    // And once more, after a restart on the new line.
    for name in [STRASBOURG, KEHL] {
        federation.stop(name).await;
        federation.start(name).await;
    }
    federation.leader().await;
    assert_eq!(change(&federation, KEHL, "after a restart").await.outcome, Outcome::Accepted);
    federation.together().await;
    federation.beaten(KEHL, &[STRASBOURG]).await;
    federation.lose_disk(STRASBOURG, KEHL).await;
    assert_eq!(federation.refound(STRASBOURG).await.unwrap(), []);
    federation.all_stand_on(2).await;
    assert_eq!(change(&federation, KEHL, "twice").await.outcome, Outcome::Accepted);
    assert_eq!(federation.refound(STRASBOURG).await.unwrap_err(), Reason::RefoundingNotNeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stewards_of_which_one_lost_its_disk_sign_it_both() {
    let mut federation = Federation::of(&[STRASBOURG, KEHL], &[GENT], &quick()).await;
    change(&federation, GENT, "before").await;
    federation.together().await;
    federation.beaten(GENT, &[STRASBOURG, KEHL]).await;
    federation.stop(KEHL).await;
    assert_eq!(
        federation.at(STRASBOURG).refounding_plan(WithoutProof::Refuse).await.unwrap_err().reason(),
        Reason::RefoundingAlone
    );
    federation.lose_disk(KEHL, STRASBOURG).await;
    until("both know", || {
        let knows = |name: &str| federation.at(name).status().refounding.without_majority == [id(KEHL)];
        knows(STRASBOURG) && knows(KEHL)
    })
    .await;
    assert_eq!(federation.refound(STRASBOURG).await.unwrap(), [id(KEHL)], "one of two");
    assert!(federation.at(STRASBOURG).status().raft.is_none(), "it has left before its signature went out");
    let again = federation.refound(STRASBOURG).await.unwrap();
    assert_eq!(again, [id(KEHL)], "the same again is told again, and signs nothing else");
    assert_eq!(federation.refound(KEHL).await.unwrap(), []);
    federation.all_stand_on(1).await;
    federation.leader().await;
    for name in [STRASBOURG, KEHL] {
        federation.votes(name).await;
    }
    assert_eq!(change(&federation, GENT, "after").await.outcome, Outcome::Accepted);
    federation.together().await;
    assert_eq!(federation.at(GENT).status().refounding.without_majority, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_signed_a_founding_says_no_more_that_its_vote_is_lost() {
    let mut federation = Federation::of(&[STRASBOURG, KEHL], &[GENT], &quick()).await;
    federation.together().await;
    federation.beaten(GENT, &[STRASBOURG, KEHL]).await;
    federation.stop(KEHL).await;
    federation.lose_disk(KEHL, STRASBOURG).await;
    until("both know", || federation.at(STRASBOURG).status().refounding.without_majority == [id(KEHL)]).await;
    assert!(federation.at(KEHL).own_word().is_some_and(|word| word.without_vote));
    assert_eq!(federation.refound(KEHL).await.unwrap(), [id(STRASBOURG)]);
    // It is under way while the last one signs, and comes when the order has begun anew.
    let late = federation.at(KEHL).own_word().unwrap();
    assert_eq!(federation.refound(STRASBOURG).await.unwrap(), []);
    federation.at(STRASBOURG).hear_word(late.signed).unwrap();
    assert_eq!(federation.at(STRASBOURG).status().refounding.without_majority, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_its_disk_again_before_it_signed_begins_the_next_one() {
    let mut federation = Federation::of(&[STRASBOURG, KEHL], &[GENT], &quick()).await;
    federation.together().await;
    federation.beaten(GENT, &[STRASBOURG, KEHL]).await;
    federation.stop(KEHL).await;
    federation.lose_disk(KEHL, STRASBOURG).await;
    until("it is known", || federation.at(STRASBOURG).status().refounding.without_majority == [id(KEHL)]).await;
    assert_eq!(federation.refound(STRASBOURG).await.unwrap(), [id(KEHL)]);
    // The founding names the Raft id of the disk that is gone now.
    federation.lose_disk(KEHL, STRASBOURG).await;
    assert_eq!(federation.refound(KEHL).await.unwrap(), [id(STRASBOURG)], "another one, which it can sign");
    assert_eq!(federation.refound(STRASBOURG).await.unwrap(), []);
    federation.all_stand_on(2).await;
    federation.leader().await;
    assert_eq!(change(&federation, GENT, "after").await.outcome, Outcome::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_stewards_of_which_two_lost_their_disks_begin_anew_and_nothing_acknowledged_is_lost() {
    let mut federation = Federation::of(THREE, &[GENT], &quick()).await;
    change(&federation, GENT, "proved").await;
    federation.together().await;
    federation.beaten(GENT, THREE).await;
    for name in [KEHL, ESCH] {
        federation.stop(name).await;
    }
    for name in [KEHL, ESCH] {
        federation.lose_disk(name, STRASBOURG).await;
    }
    until("it is known", || federation.at(STRASBOURG).status().refounding.without_majority.len() == 2).await;
    assert_eq!(federation.refound(STRASBOURG).await.unwrap().len(), 2);
    assert_eq!(federation.refound(ESCH).await.unwrap(), [id(KEHL)]);
    assert_eq!(federation.refound(KEHL).await.unwrap(), []);
    federation.all_stand_on(1).await;
    federation.leader().await;
    for name in THREE {
        federation.votes(name).await;
    }
    assert_eq!(change(&federation, GENT, "after").await.outcome, Outcome::Accepted);
    federation.together().await;
    assert_eq!(federation.at(KEHL).view().stewards.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_of_the_old_line_is_told_and_what_it_alone_has_denies_and_is_ordered_again() {
    let mut federation = Federation::of(&[STRASBOURG, KEHL], &[GENT, ESCH], &quick()).await;
    federation.together().await;
    federation.beaten(GENT, &[STRASBOURG, KEHL]).await;
    // What the members never hear of, and nobody has signed by a beat that is known elsewhere.
    for name in [GENT, ESCH] {
        federation.pipes.cut(&id(name));
    }
    let suspended = federation.act(KEHL, |a, s| a.lasting_suspend(s, &id(ESCH), SuspendReason::OwnRequest)).await;
    federation.act(STRASBOURG, |a, s| a.approve(s, &suspended.statement).unwrap()).await;
    federation.together_of(&[STRASBOURG, KEHL]).await;
    for name in [STRASBOURG, KEHL] {
        federation.stop(name).await;
    }
    for name in [GENT, ESCH] {
        federation.pipes.mend(&id(name));
    }
    let city = federation.cities.get_mut(&id(STRASBOURG)).unwrap();
    let old = std::mem::replace(&mut city.dir, tempfile::tempdir().unwrap());
    for name in [STRASBOURG, KEHL] {
        federation.lose_disk(name, GENT).await;
    }
    until("both know", || federation.at(STRASBOURG).status().refounding.without_majority.len() == 2).await;
    assert_eq!(federation.refound(KEHL).await.unwrap(), [id(STRASBOURG)]);
    assert_eq!(federation.refound(STRASBOURG).await.unwrap(), []);
    federation.all_stand_on(1).await;
    federation.leader().await;
    assert_eq!(change(&federation, GENT, "on the new line").await.outcome, Outcome::Accepted);
    let status = |federation: &Federation, at: &str| {
        let now = crate::clock::Clock::now(&*federation.city(at).clock);
        federation.at(at).view().status(&id(ESCH), now)
    };
    assert_eq!(status(&federation, GENT), MemberStatus::Active, "nobody who runs knows");
    // The old machine of Strasbourg starts again: its authority has signed the founding.
    federation.stop(STRASBOURG).await;
    federation.cities.get_mut(&id(STRASBOURG)).unwrap().dir = old;
    federation.start(STRASBOURG).await;
    until("it follows the new line", || federation.at(STRASBOURG).view().founding == 1).await;
    until("it orders nothing", || federation.at(STRASBOURG).status().raft.is_none_or(|raft| !raft.leads)).await;
    assert!(!federation.at(STRASBOURG).status().steward, "it is no founder: another disk was");
    assert_eq!(federation.at(STRASBOURG).status().refounding.above, 2, "kept, to be proposed again");
    assert_eq!(status(&federation, STRASBOURG), MemberStatus::Suspended, "what stood above the base goes on denying");
    // Of the two founders one is gone with its disk: the next founding, and then what it had is ordered again.
    until("it is known", || federation.at(KEHL).status().refounding.without_majority.len() == 1).await;
    assert_eq!(federation.refound(STRASBOURG).await.unwrap(), [id(KEHL)]);
    assert_eq!(federation.refound(KEHL).await.unwrap(), []);
    federation.all_stand_on(2).await;
    until("it is ordered again", || status(&federation, GENT) == MemberStatus::Suspended).await;
    until("nothing is left to propose", || federation.at(STRASBOURG).status().refounding.above == 0).await;
    assert_eq!(status(&federation, STRASBOURG), MemberStatus::Suspended, "by the register now");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_follows_a_founding_on_a_base_ahead_of_its_clock_by_itself() {
    let mut federation = Federation::of(&[STRASBOURG], &[KEHL, GENT], &quick()).await;
    federation.together().await;
    federation.stop(GENT).await;
    let clock = std::sync::Arc::clone(&federation.city(STRASBOURG).clock);
    clock.advance(Millis::days(3));
    assert_eq!(change(&federation, STRASBOURG, "three-days-early").await.outcome, Outcome::Accepted);
    clock.advance(Millis::days(-3));
    federation.together_of(&[STRASBOURG, KEHL]).await;
    federation.beaten(KEHL, &[STRASBOURG]).await;
    federation.lose_disk(STRASBOURG, KEHL).await;
    federation.together_of(&[STRASBOURG, KEHL]).await;
    assert_eq!(federation.refound(STRASBOURG).await.unwrap(), []);
    federation.leader().await;
    assert_eq!(change(&federation, KEHL, "after").await.outcome, Outcome::Accepted);
    federation.start(GENT).await;
    federation.all_stand_on(1).await;
    federation.together().await;
    until("it is fresh", || federation.at(GENT).status().fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_has_a_proof_any_more_a_person_decides_that_it_begins_where_it_began() {
    let mut federation = Federation::of(&[STRASBOURG], &[KEHL], &quick()).await;
    change(&federation, KEHL, "before").await;
    federation.together().await;
    for name in [STRASBOURG, KEHL] {
        federation.stop(name).await;
    }
    // It has the changes, and lost what the steward said of them.
    let disk = Disk::open(&federation.city(KEHL).dir.path().join(crate::handle::FILE)).unwrap();
    disk.write(vec![Write::DropAllKept(Kept::Beat)]).await.unwrap();
    disk.close().await.unwrap();
    drop(disk);
    federation.start(KEHL).await;
    federation.lose_disk(STRASBOURG, KEHL).await;
    assert_eq!(federation.refound(STRASBOURG).await.unwrap_err(), Reason::RefoundingUnproved);
    let here = federation.at(STRASBOURG);
    let plan = here.refounding_plan(WithoutProof::FromBeginning).await.unwrap();
    assert_eq!((plan.founding, plan.base), (1, Position::default()));
    assert_eq!(plan.above, here.view().number);
    assert_eq!(here.refound(plan).await.unwrap(), []);
    federation.leader().await;
    until("what stood above is ordered again", || {
        federation.running().all(|d| d.view().member(&id(KEHL)).is_some_and(|m| m.entry.networks == ["before"]))
    })
    .await;
    federation.all_stand_on(1).await;
    assert_eq!(change(&federation, KEHL, "after").await.outcome, Outcome::Accepted);
}

/// Who signs twice has lost its disk in between: both foundings are complete, and machines of both run.
#[tokio::test(flavor = "multi_thread")]
async fn two_lines_under_one_number_stop_and_a_person_decides() {
    let mut federation = Federation::of(&[STRASBOURG, KEHL], &[GENT], &quick()).await;
    federation.together().await;
    federation.beaten(GENT, &[STRASBOURG, KEHL]).await;
    let both_sign = async |federation: &mut Federation| {
        for name in [STRASBOURG, KEHL] {
            federation.lose_disk(name, GENT).await;
        }
        federation.at(KEHL).refounding_plan(WithoutProof::Refuse).await.unwrap();
        federation.pipes.cut(&id(GENT));
        assert_eq!(federation.refound(KEHL).await.unwrap(), [id(STRASBOURG)]);
        let plan = federation.at(STRASBOURG).refounding_plan(WithoutProof::Refuse).await.unwrap();
        assert_eq!(federation.at(STRASBOURG).refound(plan.clone()).await.unwrap(), []);
        let twice = federation.at(STRASBOURG).refound(plan).await.unwrap_err();
        assert_eq!(twice.reason(), Reason::RefoundingSigned);
        for name in [STRASBOURG, KEHL] {
            federation.stop(name).await;
        }
        federation.pipes.mend(&id(GENT));
    };
    both_sign(&mut federation).await;
    let city = federation.cities.get_mut(&id(STRASBOURG)).unwrap();
    let first = std::mem::replace(&mut city.dir, tempfile::tempdir().unwrap());
    assert_eq!(federation.at(GENT).view().founding, 0, "it has heard of nothing");
    federation.start(STRASBOURG).await;
    both_sign(&mut federation).await;
    federation.start(KEHL).await;
    until("Gent follows the second one", || federation.at(GENT).view().founding == 1).await;
    federation.cities.get_mut(&id(STRASBOURG)).unwrap().dir = first;
    federation.start(STRASBOURG).await;
    let all = [STRASBOURG, KEHL, GENT];
    let contested = |name: &&str| federation.at(name).status().refounding.contested;
    until("they are told of each other", || all.iter().all(|name| contested(name).len() == 2)).await;
    let refused = federation.at(KEHL).refounding_plan(WithoutProof::Refuse).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::RegisterContested);
    assert!(all.iter().all(|name| !federation.at(name).status().fresh), "content about persons stops");
    assert!(federation.at(KEHL).status().raft.is_none(), "nothing is ordered");
    assert_ne!(federation.at(STRASBOURG).view().head, federation.at(GENT).view().head);
    let second = federation.at(GENT).state().founding().by.unwrap();
    for name in all {
        federation.at(name).choose_founding(second).await.unwrap();
    }
    until("one line, and no doubt", || {
        all.iter().all(|name| contested(name).is_empty() && federation.at(name).state().founding().by == Some(second))
    })
    .await;
    // The founder's second disk is gone: what is left founds once more.
    assert_eq!(federation.refound(STRASBOURG).await.unwrap(), [id(KEHL)]);
    assert_eq!(federation.refound(KEHL).await.unwrap(), []);
    federation.all_stand_on(2).await;
    federation.leader().await;
    assert_eq!(change(&federation, GENT, "after all").await.outcome, Outcome::Accepted);
}

impl Federation {
    async fn together_of(&self, names: &[&str]) {
        until("these at one head", || {
            let heads: std::collections::BTreeSet<_> = names.iter().map(|name| self.at(name).view().head).collect();
            heads.len() == 1
        })
        .await;
    }
}
