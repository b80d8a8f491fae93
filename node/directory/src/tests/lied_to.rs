//! A mirror whose source lies to it: what was followed goes, as soon as a majority of stewards has signed another order.

use super::*;
use crate::chain::Chain;
use crate::clock::MovedClock;
use crate::disk::{Disk, Meta, Write};
use crate::domain::reason::Reason;
use crate::{Directory, Opening};
use havenlink_proto::directory::v1::Change;

/// Longer than what a node remembers of its own heads.
const LIES: u64 = 10_000;

/// A clock that shows a minute later than the world's.
fn clock_after(world: &World) -> Arc<MovedClock> {
    let clock = MovedClock::new();
    let now = crate::clock::Clock::now(&*clock);
    clock.advance((world.now + Millis::minutes(1)).since(now));
    clock
}

pub async fn mirror(dir: &tempfile::TempDir, world: &World) -> Chain {
    mirror_at(dir, world, clock_after(world)).await
}

async fn mirror_at(dir: &tempfile::TempDir, world: &World, clock: Arc<MovedClock>) -> Chain {
    let disk = Disk::open(&dir.path().join("directory.redb")).unwrap();
    disk.write(vec![Write::Set(Meta::Genesis, world.state.genesis_signed().to_vec())]).await.unwrap();
    Chain::open(disk, clock).unwrap()
}

/// A member's directory that nothing runs in yet.
pub fn member(dir: &tempfile::TempDir, world: &World) -> Directory {
    let genesis = Some(world.state.genesis_signed().clone());
    let (data_dir, authority) = (dir.path().to_owned(), id(GENT));
    let key = Arc::clone(&world.keys[&authority]);
    Directory::open(Opening { data_dir, authority, key, clock: clock_after(world), genesis }).unwrap()
}

/// What an honest source sends: all changes in their order, with their outcomes.
pub fn changes(world: &World) -> Vec<Change> {
    let mut state = RegisterState::genesis(world.state.genesis_signed(), &Plain).unwrap();
    let applied = world.log.iter().filter_map(|(time, signed)| {
        let applied = state.apply(*time, signed, &Plain);
        let number = applied.taken()?;
        let (entry_time_ms, outcome) = (time.0, applied.outcome.code());
        Some(Change { number, entry_time_ms, signed: signed.clone(), outcome })
    });
    applied.collect()
}

/// Changes that nobody ordered: malformed statements are numbered too.
fn lies(from: u64, time: UnixMs) -> Vec<Change> {
    let outcome = Outcome::Malformed.code();
    let lie = |number| Change { number, entry_time_ms: time.0, signed: Bytes::new(), outcome };
    (from + 1..=from + LIES).map(lie).collect()
}

#[tokio::test]
async fn a_majority_s_beats_take_back_what_a_source_made_up() {
    let mut world = World::three();
    let dir = tempfile::tempdir().unwrap();
    let chain = mirror(&dir, &world).await;
    chain.follow(changes(&world)).unwrap();
    let agreed = world.state.number();
    chain.follow(lies(agreed, world.now)).unwrap();
    assert_eq!(chain.number(), agreed + LIES);
    // Its rows are on disk: memory does not reach back to where the lies begin.
    chain.disk().write(Vec::new()).await.unwrap();

    world.change_own(GENT, |entry| entry.networks = vec!["eurocities".to_owned()]);
    assert!(chain.accept_beat(&world.signed_beat(&world.beat_of(KEHL))).unwrap());
    assert_eq!(chain.number(), agreed + LIES, "one steward may be the liar");
    assert!(chain.accept_beat(&world.signed_beat(&world.beat_of(ESCH))).unwrap());
    assert!(chain.number() < world.state.number(), "what a majority contradicts is gone");
    assert_eq!(chain.forks().len(), 1, "and stays on record");
    assert_eq!(chain.misled(), 1, "so that the node looks for another source");

    let honest = changes(&world);
    let missing = honest.into_iter().skip(usize::try_from(chain.number()).unwrap());
    chain.follow(missing.collect()).unwrap();
    assert_eq!((chain.number(), chain.state().head()), (world.state.number(), world.state.head()));
    chain.disk().close().await.unwrap();
    drop(chain);
    let again = mirror(&dir, &world).await;
    assert_eq!(
        (again.number(), again.state().head()),
        (world.state.number(), world.state.head()),
        "also after a start"
    );
}

/// A register whose stewards beat one after the other while it moves on: each names another number.
fn moving(world: &mut World) -> [Bytes; 3] {
    [KEHL, ESCH, STRASBOURG].map(|steward| {
        let networks = vec![format!("network-{}", world.state.number())];
        assert_eq!(world.change_own(GENT, |entry| entry.networks = networks), Outcome::Accepted);
        world.signed_beat(&world.beat_of(steward))
    })
}

#[tokio::test]
async fn stewards_that_never_beat_at_one_number_take_it_back_as_well() {
    let mut world = World::three();
    let dir = tempfile::tempdir().unwrap();
    let chain = mirror(&dir, &world).await;
    chain.follow(changes(&world)).unwrap();
    let agreed = world.state.number();
    for steward in [KEHL, ESCH] {
        chain.accept_beat(&world.signed_beat(&world.beat_of(steward))).unwrap();
    }
    assert!(chain.view().is_fresh(world.now));
    // The source keeps what the stewards decide to itself, and makes up as much.
    chain.follow(lies(agreed, world.now)).unwrap();
    chain.disk().write(Vec::new()).await.unwrap();
    let [first, second, _] = moving(&mut world);
    assert!(!chain.is_behind(), "it has more than the stewards");
    assert!(chain.accept_beat(&first).unwrap());
    assert_eq!(chain.number(), agreed + LIES, "one steward may be the liar");
    assert!(!chain.view().is_fresh(world.now), "but it makes nothing fresh");
    assert!(chain.accept_beat(&second).unwrap());
    assert!(chain.number() <= agreed, "a majority contradicts it, each at its own number");
    assert_eq!(chain.misled(), 1, "so that another source is asked for what they have");
    chain.follow(changes(&world).into_iter().skip(usize::try_from(chain.number()).unwrap()).collect()).unwrap();
    assert_eq!(chain.state().head(), world.state.head());
    assert!(chain.view().is_fresh(world.now));
}

#[tokio::test]
async fn what_is_made_up_after_the_stewards_spoke_does_not_stay_either() {
    let mut world = World::three();
    let dir = tempfile::tempdir().unwrap();
    let chain = mirror(&dir, &world).await;
    chain.follow(changes(&world)).unwrap();
    let agreed = world.state.number();
    for beat in moving(&mut world) {
        assert!(chain.accept_beat(&beat).unwrap());
    }
    assert!(chain.is_behind());
    chain.follow(lies(agreed, world.now)).unwrap();
    assert!(chain.number() <= agreed && chain.misled() == 1, "it goes with the message that brought it");
}

#[tokio::test]
async fn a_snapshot_of_what_had_to_go_is_not_what_the_node_starts_from() {
    let mut world = World::founded_with(&Policy { snapshot_interval: 64, ..Policy::default() });
    for (name, raft_id) in [(KEHL, 2), (ESCH, 3)] {
        world.admit(name, raft_id);
        world.promote(name, raft_id);
    }
    world.admit(GENT, 4);
    let dir = tempfile::tempdir().unwrap();
    let chain = Arc::new(mirror(&dir, &world).await);
    chain.follow(changes(&world)).unwrap();
    let agreed = world.state.number();
    // While it is encoded, the stewards speak.
    let due = chain.follow(lies(agreed, world.now)).unwrap().expect("a snapshot is due");
    chain.disk().write(Vec::new()).await.unwrap();
    for beat in moving(&mut world) {
        chain.accept_beat(&beat).unwrap();
    }
    assert!(chain.number() <= agreed);
    chain.keep_snapshot(due).await.unwrap();
    assert!(chain.snapshot().is_none());
    chain.disk().close().await.unwrap();
    drop(chain);
    let again = mirror(&dir, &world).await;
    assert!(again.number() <= agreed, "{} was made up", again.number());
}

#[tokio::test]
async fn an_order_from_the_future_is_not_followed() {
    let world = World::three();
    let dir = tempfile::tempdir().unwrap();
    let chain = mirror(&dir, &world).await;
    chain.follow(changes(&world)).unwrap();
    let number = world.state.number();
    for time in [UnixMs(i64::MAX), world.now + Millis::days(365), world.now - Millis(1)] {
        let refused = chain.follow(lies(number, time)).unwrap_err();
        assert_eq!((refused.reason(), chain.number()), (Reason::EntryTimeInvalid, number));
    }
}

#[tokio::test]
async fn a_snapshot_is_encoded_once_for_all_who_ask_and_let_go_when_nobody_does() {
    let world = World::three();
    let dir = tempfile::tempdir().unwrap();
    let clock = clock_after(&world);
    let chain = Arc::new(mirror_at(&dir, &world, clock.clone()).await);
    chain.follow(changes(&world)).unwrap();
    chain.keep_snapshot(chain.state()).await.unwrap();
    let handle = chain.snapshot().unwrap();
    let first = chain.encoded(handle.clone()).await.unwrap();
    let again = chain.encoded(handle.clone()).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!(first.mark, handle.mark);
    drop(again);
    clock.advance(Millis::seconds(50));
    chain.forget_encoded();
    assert_eq!(Arc::strong_count(&first), 2, "the next one may come in a moment");
    clock.advance(Millis::seconds(11));
    chain.forget_encoded();
    assert_eq!(Arc::strong_count(&first), 1);
}
