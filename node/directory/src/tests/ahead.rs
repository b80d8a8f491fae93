//! A register whose newest entries lie ahead of this node's clock: followed on a majority's word, and on nobody else's.

use super::lied_to::{changes, mirror};
use super::*;
use crate::chain::Chain;
use crate::domain::ids::AuthorityId;
use havenlink_proto::directory::v1::Change;

const AHEAD: Millis = Millis::days(3);

/// Three stewards, a mirror that has all of it, and then two changes that were ordered while a clock was ahead.
async fn ordered_ahead(dir: &tempfile::TempDir) -> (World, Chain, Vec<Change>, UnixMs) {
    let mut world = World::three();
    let chain = mirror(dir, &world).await;
    chain.follow(changes(&world)).unwrap();
    let (missing, then) = two_ahead(&mut world);
    (world, chain, missing, then)
}

/// Two changes by a clock that is ahead, and the right time.
pub fn two_ahead(world: &mut World) -> (Vec<Change>, UnixMs) {
    let (number, then) = (world.state.number(), world.now);
    world.now = world.now + AHEAD;
    for service in 0..2 {
        assert_eq!(world.change_own(GENT, |entry| entry.services = vec![service + 1]), Outcome::Accepted);
    }
    (changes(world).into_iter().filter(|change| change.number > number).collect(), then)
}

/// A steward's word for what the world is now, dated as its clock shows.
pub fn word(world: &World, steward: &str, at: UnixMs) -> Bytes {
    world.signed_beat(&crate::wire::beat::Beat { time: at, ..world.beat_of(steward) })
}

#[tokio::test]
async fn what_lies_ahead_is_taken_on_the_word_of_a_majority() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, chain, missing, then) = ordered_ahead(&dir).await;
    let (known, whole) = (chain.number(), world.state.number());
    assert!(chain.follow(missing).is_ok(), "it waits");
    assert_eq!(chain.number(), known);
    assert!(chain.accept_beat(&word(&world, KEHL, world.now)).is_err(), "a clock that is ahead vouches for nothing");
    assert!(chain.accept_beat(&word(&world, KEHL, then)).unwrap());
    assert_eq!(chain.number(), known, "one of three");
    assert!(chain.accept_beat(&word(&world, STRASBOURG, then - Millis::minutes(20))).unwrap());
    assert_eq!(chain.number(), known, "one of three, and another one of long ago");
    assert!(chain.accept_beat(&word(&world, ESCH, then)).unwrap());
    assert_eq!((chain.number(), chain.state().head()), (whole, world.state.head()));

    // From there on it goes on, at that time, and no further ahead.
    let next = |world: &mut World, at: UnixMs| {
        world.now = at - Millis(1);
        let (number, networks) = (world.state.number(), vec![format!("after-{}", at.0)]);
        assert_eq!(world.change_own(GENT, |entry| entry.networks = networks), Outcome::Accepted);
        changes(world).into_iter().filter(|change| change.number > number).collect::<Vec<_>>()
    };
    let newest = world.state.entry_time();
    let at_that_time = next(&mut world, newest);
    chain.follow(at_that_time).unwrap();
    assert_eq!(chain.number(), whole + 1);
    let further = next(&mut world, newest + Millis(1));
    chain.follow(further).unwrap();
    assert_eq!(chain.number(), whole + 1, "that again needs their word");

    chain.disk().close().await.unwrap();
    drop(chain);
    assert_eq!(mirror(&dir, &world).await.number(), whole + 1, "also after a start");
}

#[tokio::test]
async fn nobody_else_s_word_counts_for_what_lies_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let (world, chain, missing, then) = ordered_ahead(&dir).await;
    let known = chain.number();
    // A source that dates a change of its own ahead, and hides what the stewards say it should be.
    let made_up = Change { outcome: Outcome::Malformed.code(), signed: Bytes::from_static(&[1]), ..missing[0].clone() };
    chain.follow(vec![made_up]).unwrap();
    for steward in [KEHL, ESCH, STRASBOURG] {
        assert!(chain.accept_beat(&word(&world, steward, then)).unwrap());
    }
    assert_eq!(chain.number(), known, "they name another head");
    // Another source sends something else at that number, and that is what the beats name.
    chain.follow(missing).unwrap();
    assert_eq!((chain.number(), chain.state().head()), (world.state.number(), world.state.head()));
    let who: Vec<AuthorityId> = chain.beats().into_iter().map(|(beat, _)| beat.steward).collect();
    assert_eq!(who.len(), 3);
}

#[test]
fn a_beat_that_was_heard_while_the_clocks_were_ahead_gives_way_to_one_of_now() {
    let mut world = World::founded();
    let mut beats = crate::beats::Beats::default();
    let then = world.now;
    world.now = world.now + AHEAD;
    let signed = word(&world, STRASBOURG, world.now);
    assert_eq!(beats.accept(&signed, &world.state, world.now, &Plain), Ok(true));
    let signed = word(&world, STRASBOURG, then);
    assert_eq!(beats.accept(&signed, &world.state, then, &Plain), Ok(true));
    assert_eq!(beats.majority_beat(&world.state), Some(then), "or nothing would be fresh for three days");
}

#[tokio::test]
async fn a_change_of_stewards_that_lies_ahead_is_confirmed_by_those_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut world, chain, missing, then) = ordered_ahead(&dir).await;
    chain.follow(missing).unwrap();
    world.promote(GENT, 4);
    let set = changes(&world).into_iter().filter(|change| change.number > chain.number() + 2).collect();
    chain.follow(set).unwrap();
    // Three of four would need Gent, whose beats nobody takes before this very change, and Esch is down.
    for steward in [STRASBOURG, KEHL] {
        assert!(chain.accept_beat(&word(&world, steward, then)).unwrap());
    }
    assert_eq!((chain.number(), chain.view().stewards.len()), (world.state.number(), 4));
}
