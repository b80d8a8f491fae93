//! Whoever heard no majority for more than a day asks others which head they have (9.4).

use super::cities::{Federation, quick, until};
use crate::domain::time::Millis;
use crate::tests::{ESCH, GENT, KEHL, STRASBOURG, id};

#[tokio::test(flavor = "multi_thread")]
async fn after_more_than_a_day_one_source_makes_nothing_fresh() {
    let mut federation = Federation::of(&[STRASBOURG], &[KEHL, ESCH, GENT], &quick()).await;
    federation.together().await;
    let fresh = |federation: &Federation, name: &str| federation.at(name).status().fresh;
    until("all are fresh", || [STRASBOURG, KEHL, ESCH, GENT].iter().all(|name| fresh(&federation, name))).await;
    // Gent is cut off for two days; of the others only Strasbourg is there when it comes back.
    federation.pipes.cut(&id(GENT));
    for name in [STRASBOURG, KEHL, ESCH, GENT] {
        federation.city(name).clock.advance(Millis::days(2));
    }
    until("the others are fresh again", || [STRASBOURG, KEHL, ESCH].iter().all(|name| fresh(&federation, name))).await;
    for name in [KEHL, ESCH] {
        federation.stop(name).await;
    }
    federation.pipes.mend(&id(GENT));
    let missing = |federation: &Federation| federation.at(GENT).view().sources_missing;
    until("one source has the same head", || missing(&federation) == 1).await;
    let view = federation.at(GENT).view();
    let clock = federation.city(GENT).clock.clone();
    let now = crate::clock::Clock::now(&*clock);
    assert!(view.is_confirmed_lately(now) && !view.is_fresh(now), "the steward's word, and its alone");
    assert_eq!(view.confirmed_time(crate::clock::Clock::monotonic(&*clock)), None, "nor is the time confirmed");
    // It knows that over a restart.
    federation.stop(GENT).await;
    federation.start(GENT).await;
    until("one source again", || missing(&federation) == 1).await;
    assert!(!fresh(&federation, GENT));
    federation.start(KEHL).await;
    until("two sources", || fresh(&federation, GENT)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_one_other_member_it_is_enough() {
    let mut federation = Federation::of(&[STRASBOURG], &[GENT], &quick()).await;
    until("it is fresh", || federation.at(GENT).status().fresh).await;
    federation.stop(GENT).await;
    for name in [STRASBOURG, GENT] {
        federation.city(name).clock.advance(Millis::days(2));
    }
    federation.start(GENT).await;
    until("both are fresh", || [STRASBOURG, GENT].iter().all(|name| federation.at(name).status().fresh)).await;
}
