//! openraft's own suite for stores, and what it does not ask: what is there after a crash.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use openraft::entry::RaftEntry;
use openraft::raft::AppendEntriesRequest;
use openraft::storage::{IOFlushed, RaftLogStorage, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::TypeConfigExt;
use openraft::{RaftLogReader, RaftSnapshotBuilder, StorageError};
use tempfile::TempDir;

use super::leader_lease::LeaderLease;
use super::log_store::LogStore;
use super::message_guard::{MessageGuard, Passed};
use super::state_machine::StateMachine;
use super::types::{Command, Entry, LogId, Membership, Payload, Peer, SnapshotMeta, TypeConfig, Vote, config};
use crate::chain::Chain;
use crate::clock::{MovedClock, SharedClock, SystemClock};
use crate::disk::{Disk, Meta, Write};
use crate::domain::time::{Millis, UnixMs};
use crate::tests::{GENT, KEHL, STRASBOURG, World, id};

/// A log and a register that is founded.
pub(super) fn log_and_chain(path: &Path, clock: SharedClock) -> (LogStore, Arc<Chain>) {
    let disk = Disk::open(path).unwrap();
    if disk.meta(Meta::Genesis).unwrap().is_none() {
        let genesis = World::founded().state.genesis_signed().to_vec();
        disk.submit(vec![Write::Set(Meta::Genesis, genesis)], true, None).unwrap();
        while disk.meta(Meta::Genesis).unwrap().is_none() {
            std::thread::yield_now();
        }
    }
    let chain = Arc::new(Chain::open(disk.clone(), clock).unwrap());
    chain.open_raft().unwrap();
    (LogStore::open(disk).unwrap(), chain)
}

fn open(path: &Path) -> (LogStore, StateMachine) {
    let (log, chain) = log_and_chain(path, SystemClock::shared());
    (log, StateMachine::open(chain).unwrap())
}

struct InTemporary;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, TempDir> for InTemporary {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let (log, machine) = open(&dir.path().join("directory.redb"));
        Ok((dir, log, machine))
    }
}

#[test]
fn the_store_passes_openrafts_suite() {
    tokio::runtime::Runtime::new().unwrap().block_on(Suite::test_all(InTemporary)).unwrap();
}

#[test]
fn the_settings_are_taken_as_they_are_given() {
    let config = config("federation").unwrap();
    assert_eq!(config.enable_pre_vote, Some(true));
    assert_eq!(config.enable_leader_restore, Some(false));
    assert_eq!(
        (config.heartbeat_interval, config.election_timeout_min, config.election_timeout_max),
        (250, 1000, 2000)
    );
    assert_eq!(config.max_payload_entries, 48);
    assert!(matches!(config.snapshot_policy, openraft::SnapshotPolicy::Never));
}

fn entries(range: std::ops::Range<u64>) -> Vec<Entry> {
    range
        .map(|index| Entry {
            log_id: LogId::new_term_index(1, index),
            payload: Payload::Normal(Command { entry_time: UnixMs(7), signed: vec![7; 100].into() }),
        })
        .collect()
}

async fn append(log: &mut LogStore, entries: Vec<Entry>) {
    let (sender, flushed) = TypeConfig::oneshot();
    log.append(entries, IOFlushed::signal(sender)).await.unwrap();
    flushed.await.unwrap().unwrap();
}

/// What a process that dies now would leave: the file as it stands, while it is still open.
fn killed(path: &Path) -> (TempDir, LogStore) {
    let after = tempfile::tempdir().unwrap();
    let copy = after.path().join("directory.redb");
    std::fs::copy(path, &copy).unwrap();
    let log = LogStore::open(Disk::open(&copy).unwrap()).unwrap();
    (after, log)
}

#[tokio::test]
async fn what_was_called_durable_is_there_after_a_kill_at_each_step() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("directory.redb");
    let (mut log, _machine) = open(&path);

    log.save_vote(&Vote::new(3, 2)).await.unwrap();
    assert_eq!(killed(&path).1.vote(), Some(Vote::new(3, 2)));

    append(&mut log, entries(0..10)).await;
    let (_dir, mut after) = killed(&path);
    assert_eq!(after.try_get_log_entries(..).await.unwrap(), entries(0..10));
    assert_eq!(after.last(), Some(LogId::new_term_index(1, 9)));

    log.truncate_after(Some(LogId::new_term_index(1, 6))).await.unwrap();
    assert_eq!(killed(&path).1.last(), Some(LogId::new_term_index(1, 6)));

    log.purge(LogId::new_term_index(1, 2)).await.unwrap();
    let (_dir, mut after) = killed(&path);
    assert_eq!(after.try_get_log_entries(..).await.unwrap(), entries(3..7));
    assert_eq!(after.get_log_state().await.unwrap().last_purged_log_id, Some(LogId::new_term_index(1, 2)));

    append(&mut log, entries(7..8)).await;
    log.save_vote(&Vote::new_committed(4, 1)).await.unwrap();
    let (_dir, after) = killed(&path);
    assert_eq!((after.vote(), after.last()), (Some(Vote::new_committed(4, 1)), Some(LogId::new_term_index(1, 7))));
}

#[tokio::test]
async fn only_what_stands_before_an_entry_says_what_time_may_follow_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _machine) = open(&dir.path().join("directory.redb"));
    let at = |index: u64| Entry {
        log_id: LogId::new_term_index(1, index),
        payload: Payload::Normal(Command { entry_time: UnixMs(i64::try_from(index).unwrap()), signed: vec![7].into() }),
    };
    append(&mut log, (0..10).map(at).collect()).await;
    log.purge(LogId::new_term_index(1, 4)).await.unwrap();
    assert_eq!(log.time_at(LogId::new_term_index(1, 7)), Some(UnixMs(7)));
    // A new leader begins where its own log begins: right after what was purged, long before our newest entry.
    assert_eq!(log.time_at(LogId::new_term_index(1, 4)), None);
    assert_eq!(log.time_at(LogId::new_term_index(2, 7)), None, "another leader's entry stands there");
    assert_eq!(log.time_at(LogId::new_term_index(1, 12)), None, "not in the log");
    assert_eq!(log.membership_at(Some(4)), None);
}

#[tokio::test]
async fn a_log_with_a_hole_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("directory.redb");
    let (mut log, _machine) = open(&path);
    append(&mut log, entries(0..3)).await;
    let copy = dir.path().join("copy.redb");
    std::fs::copy(&path, &copy).unwrap();
    let disk = Disk::open(&copy).unwrap();
    disk.write(vec![Write::PurgeTo(1)]).await.unwrap();
    assert!(LogStore::open(disk).is_err());
}

#[tokio::test]
async fn an_entry_is_readable_before_it_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _machine) = open(&dir.path().join("directory.redb"));
    let (sender, flushed) = TypeConfig::oneshot();
    log.append(entries(0..2), IOFlushed::signal(sender)).await.unwrap();
    assert_eq!(log.try_get_log_entries(0..2).await.unwrap().len(), 2);
    assert_eq!(log.try_get_log_entries(1..9).await.unwrap()[0].index(), 1);
    flushed.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_membership_before_what_it_follows_on_is_not_let_through() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, machine) = open(&dir.path().join("directory.redb"));
    let chain = Arc::clone(machine.chain());
    let clock = SystemClock::shared();
    let guard = MessageGuard::new(
        chain.state().federation(),
        1,
        chain,
        log.clone(),
        machine,
        clock,
        Arc::new(LeaderLease::new()),
    );
    append(&mut log, entries(0..3)).await;
    let peer = Peer { authority: "fr-strasbourg".into() };
    let alone = Membership::new(vec![[1].into()], BTreeMap::from([(1, peer)])).unwrap();
    let request = |previous: u64| AppendEntriesRequest::<TypeConfig> {
        vote: Vote::new_committed(1, 1),
        prev_log_id: Some(LogId::new_term_index(1, previous)),
        entries: vec![Entry {
            log_id: LogId::new_term_index(1, previous + 1),
            payload: Payload::Membership(alone.clone()),
        }],
        leader_commit: None,
    };
    let mut known = request(2);
    guard.entries(&mut known, &mut Passed::default()).await.unwrap();
    assert_eq!(known.entries.len(), 1, "the set in force, behind what is here");
    let mut unknown = request(7);
    guard.entries(&mut unknown, &mut Passed::default()).await.unwrap();
    assert!(unknown.entries.is_empty(), "nobody can say yet whether it may stand there");
}

#[tokio::test]
async fn only_what_is_in_the_log_counts_as_committed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut log, _machine) = open(&dir.path().join("directory.redb"));
    append(&mut log, entries(0..3)).await;
    log.save_committed(Some(LogId::new_term_index(1, 1))).await.unwrap();
    for beyond in [LogId::new_term_index(0, 1_000_000_000_000), LogId::new_term_index(0, 2)] {
        assert!(log.save_committed(Some(beyond)).await.is_err(), "openraft would apply up to there");
    }
    assert_eq!(log.committed(), Some(LogId::new_term_index(1, 1)));
}

#[tokio::test]
async fn a_snapshot_that_is_overtaken_while_it_is_built_ends_as_the_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let (_log, mut machine) = open(&dir.path().join("directory.redb"));
    let first = machine.try_create_snapshot_builder(true).await.unwrap().build_snapshot().await.unwrap();
    let membership = machine.applied_state().await.unwrap().1;
    let at = |index| SnapshotMeta {
        last_log_id: Some(LogId::new_term_index(1, index)),
        last_membership: membership.clone(),
    };
    // One that was asked for and has not begun, and one that has.
    let mut late = machine.try_create_snapshot_builder(true).await.unwrap();
    machine.install_snapshot(&at(5), first.snapshot.clone()).await.unwrap();
    assert_eq!(late.build_snapshot().await.unwrap().meta, at(5));
    let mut begun = machine.try_create_snapshot_builder(true).await.unwrap();
    let newer = at(9);
    let (built, installed) = tokio::join!(begun.build_snapshot(), machine.install_snapshot(&newer, first.snapshot));
    installed.unwrap();
    assert!(built.unwrap().meta.last_log_id.is_some());
    assert_eq!(machine.current().unwrap().0, at(9));
}

#[tokio::test]
async fn a_voter_that_the_register_names_no_more_is_heard_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("directory.redb");
    drop(open(&path));
    let (disk, clock) = (Disk::open(&path).unwrap(), MovedClock::new());
    let chain = Arc::new(Chain::open(disk.clone(), clock.clone()).unwrap());
    let (mut log, machine) = (LogStore::open(disk).unwrap(), StateMachine::open(Arc::clone(&chain)).unwrap());
    let guard = MessageGuard::new(
        chain.state().federation(),
        1,
        chain,
        log.clone(),
        machine,
        clock.clone(),
        Arc::new(LeaderLease::new()),
    );
    let heard = |name: &str| guard.sender(&id(name), &Vote::new(1, 2)).is_ok();
    assert!(!heard(KEHL), "nobody knows it");
    let nodes = [(1, STRASBOURG), (2, KEHL)].map(|(id, name)| (id, Peer { authority: name.to_owned() }));
    let both = Membership::new(vec![[1, 2].into()], BTreeMap::from(nodes)).unwrap();
    append(&mut log, vec![Entry { log_id: LogId::new_term_index(1, 0), payload: Payload::Membership(both) }]).await;
    assert!(heard(KEHL) && !heard(GENT), "Raft counts its vote, and its alone");
    clock.advance(Millis::seconds(11));
    assert!(!heard(KEHL), "the others are to lead now");
    clock.advance(Millis::seconds(50));
    assert!(heard(KEHL), "but not for good: its log may be the only one that is long enough");
}
