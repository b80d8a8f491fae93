//! A key that its owner withdrew proves nothing any more, also while nothing can be decided.

use super::cities::{Federation, quick, until};
use super::refounding::change;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::register::{Outcome, SuspendReason};
use crate::refounding::WithoutProof;
use crate::samples::new_key;
use crate::tests::{ESCH, GENT, KEHL, STRASBOURG, id};

fn is_withdrawn(federation: &Federation, at: &str, whose: &str) -> bool {
    let view = federation.at(at).view();
    view.member(&id(whose)).is_some_and(|member| member.keys.iter().any(|key| key.compromised))
}

fn heard(federation: &Federation, at: &str) -> Vec<AuthorityId> {
    federation.at(at).beats().into_iter().map(|beat| beat.steward).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_withdrawn_without_a_quorum_and_proves_nothing_from_then_on() {
    let mut federation = Federation::of(&[STRASBOURG, KEHL, ESCH], &[GENT], &quick()).await;
    federation.together().await;
    until("all stewards are heard", || heard(&federation, GENT).len() == 3).await;
    for name in [STRASBOURG, ESCH] {
        federation.stop(name).await;
    }
    let key = new_key();
    let withdrawal = federation.sign(KEHL, KEHL, |a, s| a.key_rotation(s, &key, true));
    let merely_replaced = federation.sign(KEHL, KEHL, |a, s| a.key_rotation(s, &key, false));
    let order = federation.sign(KEHL, KEHL, |a, s| a.suspend(s, &id(GENT), SuspendReason::NodeCompromised).signed);
    assert!(federation.at(GENT).overlay_add(withdrawal.clone()).await.unwrap());
    assert!(!federation.at(GENT).overlay_add(withdrawal.clone()).await.unwrap(), "once");
    assert!(is_withdrawn(&federation, GENT, KEHL) && !heard(&federation, GENT).contains(&id(KEHL)));
    // What Kehl's machine, or whoever has its key, says is none of a steward's any more; the rest of a message is looked at.
    let refused = federation.at(GENT).overlay_add(order).await.unwrap_err().reason();
    assert_eq!(refused, Reason::NotASteward);
    let refused = federation.at(GENT).overlay_add(merely_replaced).await.unwrap_err().reason();
    assert_eq!(refused, Reason::StatementKindUnknown, "a replaced key is no withdrawn one");
    until("Kehl has heard of it itself", || is_withdrawn(&federation, KEHL, KEHL)).await;

    federation.stop(GENT).await;
    federation.start(GENT).await;
    assert!(is_withdrawn(&federation, GENT, KEHL), "it is kept");
    for name in [STRASBOURG, ESCH] {
        federation.start(name).await;
    }
    until("those who were away are told", || {
        [STRASBOURG, ESCH].iter().all(|name| is_withdrawn(&federation, name, KEHL))
    })
    .await;
    // What is ordered has one outcome, whatever anybody has heard; from then on the register says it.
    federation.leader().await;
    let ordered = federation.at(KEHL).propose(withdrawal).await.unwrap();
    assert_eq!(ordered.outcome, Outcome::Accepted);
    federation.together().await;
    assert!(
        federation.running().all(|directory| directory.0.chain.denials().is_empty()),
        "nobody has to be told any more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_withdraws_anothers_key() {
    let federation = Federation::of(&[STRASBOURG], &[KEHL, GENT], &quick()).await;
    let (key, mine) = (new_key(), federation.city(GENT).key.clone());
    let forged = federation.sign(KEHL, KEHL, |a, s| {
        let forged = crate::statements::Author { authority: a.authority, key: &mine, now: a.now, nonce: a.nonce };
        forged.key_rotation(s, &key, true)
    });
    assert_eq!(federation.at(STRASBOURG).overlay_add(forged).await.unwrap_err().reason(), Reason::SignatureInvalid);
    assert!(!is_withdrawn(&federation, STRASBOURG, KEHL));
}

impl Federation {
    /// Its key was stolen, and its operator knows: withdrawn here, told to all, and nothing ordered. The key that comes next.
    async fn withdraw(&self, name: &str) -> std::sync::Arc<crate::wire::keys::SigningKey> {
        let next = new_key();
        self.at(name).set_next_key(next.clone());
        let withdrawal = self.sign(name, name, |a, s| a.key_rotation(s, &next, true));
        assert!(self.at(name).overlay_add(withdrawal).await.unwrap());
        until("all have heard of it", || self.cities.keys().all(|at| is_withdrawn(self, at.as_str(), name))).await;
        next
    }

    /// The order has begun anew under the next key, which is ordered then.
    async fn goes_on(&mut self, whose: &str, next: std::sync::Arc<crate::wire::keys::SigningKey>) {
        self.all_stand_on(1).await;
        self.leader().await;
        // Another word of its own node about its entry may be ordered between its look and this one: then it is signed anew, as
        // the node does.
        let mut rotated = Outcome::StaleVersion;
        for _ in 0..5 {
            rotated = self.act(whose, |a, s| a.key_rotation(s, &next, true)).await.outcome;
            if rotated != Outcome::StaleVersion {
                break;
            }
        }
        assert_eq!(rotated, Outcome::Accepted);
        self.at(whose).set_key(next.clone());
        self.cities.get_mut(&id(whose)).unwrap().key = next;
        assert_eq!(change(self, GENT, "after").await.outcome, Outcome::Accepted);
        self.together().await;
        until("fresh again", || self.running().all(|directory| directory.status().fresh)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steward_whose_key_was_withdrawn_founds_with_the_key_that_comes_after_it() {
    let mut federation = Federation::of(&[STRASBOURG, KEHL], &[GENT], &quick()).await;
    change(&federation, GENT, "before").await;
    federation.together().await;
    federation.beaten(GENT, &[STRASBOURG, KEHL]).await;
    federation.lose_disk(STRASBOURG, KEHL).await;
    let next = federation.withdraw(KEHL).await;
    until("its beats count under the next key", || heard(&federation, GENT).contains(&id(KEHL))).await;
    until("both know", || federation.at(KEHL).status().refounding.without_majority == [id(STRASBOURG)]).await;
    assert_eq!(federation.refound(STRASBOURG).await.unwrap(), [id(KEHL)]);
    assert_eq!(federation.refound(KEHL).await.unwrap(), []);
    federation.goes_on(KEHL, next).await;
    // Whoever comes after all of it is shown the founding with the key's proof beside it.
    federation.lose_disk(GENT, STRASBOURG).await;
    federation.together().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_lost_its_vote_and_its_key_says_again_what_proves_the_base() {
    let mut federation = Federation::of(&[STRASBOURG, KEHL], &[GENT], &quick()).await;
    change(&federation, GENT, "before").await;
    federation.together().await;
    federation.beaten(GENT, &[STRASBOURG, KEHL]).await;
    let before = federation.at(KEHL).view().position();
    federation.lose_disk(STRASBOURG, KEHL).await;
    until("it was given its own beats", || federation.at(STRASBOURG).0.chain.last_said(&id(STRASBOURG)).is_some())
        .await;
    let next = federation.withdraw(STRASBOURG).await;
    let knows = |name: &str| federation.at(name).status().refounding.without_majority == [id(STRASBOURG)];
    until("both know", || knows(KEHL) && knows(STRASBOURG)).await;
    let plan = federation.at(KEHL).refounding_plan(WithoutProof::Refuse).await.unwrap();
    assert_eq!(plan.base, before, "nothing that a majority had signed is given up");
    assert_eq!(federation.at(KEHL).refound(plan).await.unwrap(), [id(STRASBOURG)]);
    assert_eq!(federation.refound(STRASBOURG).await.unwrap(), []);
    federation.goes_on(STRASBOURG, next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sole_steward_founds_under_its_next_key_and_a_thiefs_other_one_ends_both() {
    let mut federation = Federation::of(&[STRASBOURG], &[GENT], &quick()).await;
    change(&federation, GENT, "before").await;
    federation.together().await;
    federation.beaten(GENT, &[STRASBOURG]).await;
    federation.lose_disk(STRASBOURG, GENT).await;
    until("it was given its own beats", || federation.at(STRASBOURG).0.chain.last_said(&id(STRASBOURG)).is_some())
        .await;
    let thiefs = new_key();
    let stolen = federation.sign(STRASBOURG, STRASBOURG, |a, s| a.key_rotation(s, &thiefs, true));
    let next = federation.withdraw(STRASBOURG).await;
    until("its word counts", || heard(&federation, GENT).contains(&id(STRASBOURG))).await;
    assert!(federation.at(GENT).overlay_add(stolen.clone()).await.unwrap(), "another key is claimed to come after it");
    assert!(!federation.at(GENT).overlay_add(stolen).await.unwrap());
    assert!(!heard(&federation, GENT).contains(&id(STRASBOURG)), "neither counts");
    federation.stop(GENT).await;
    federation.start(GENT).await;
    assert_eq!(
        federation.at(GENT).0.chain.successor(&federation.city(STRASBOURG).key.public().id()),
        None,
        "it is kept"
    );
    drop(next);
}
