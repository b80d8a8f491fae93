//! What only a store on disk can show: reopening, crashes, refusals inside a group, a full disk, backup and restore.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::contract::*;
use crate::domain::audit::AuditAct;
use crate::domain::ids::{AgreementId, Incarnation, OfferId, ShareId};
use crate::domain::limits;
use crate::domain::person::CaseReference;
use crate::domain::time::Millis;
use crate::ops::*;
use crate::owed::{Subject, What};
use crate::rows::{AgreementRow, AnsweredRow};
use crate::{Disclosures, PersonKeys, Store, backup};

/// What a power cut leaves: the files as they are, copied while the store runs.
fn crash_image(from: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        // The shared-memory index is rebuilt from the log; after a power cut it does not exist.
        if path.is_file() && path.extension().is_none_or(|e| !e.to_string_lossy().ends_with("-shm")) {
            std::fs::copy(&path, image.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    image
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path()).await;
    let incarnation = store.incarnation();
    for n in 1..=5 {
        store.write(publish(n)).await.unwrap();
    }
    queued(&store, 1..=3).await;
    store.write(WriteOp::Settle(settle(&store, 1, &[ItemResult::Stored]))).await.unwrap();
    store_batch(&store, 1, vec![received(1), hidden(2, 9)]).await;
    let head = store.audit_head().await.unwrap();

    let image = crash_image(dir.path());
    let again = sqlite(image.path()).await;
    assert_eq!(again.incarnation(), incarnation);
    assert_eq!(again.audit_head().await.unwrap(), head);
    assert_eq!(again.pending_publications(9).await.unwrap().len(), 5);
    assert_eq!(batch(&again).await.iter().map(|i| i.number).collect::<Vec<_>>(), [2, 3]);
    // Counters, streams, salts and what waits go on where they stood.
    assert_eq!(again.write(publish(3)).await.unwrap(), Written::Taken);
    again.write(publish(6)).await.unwrap();
    queued(&again, 4..=4).await;
    assert_eq!(batch(&again).await.last().unwrap().number, 4);
    assert_eq!(store_batch(&again, 3, vec![received(9)]).await, [2]);
    assert_eq!(again.inbox_record(key(THERE, 2)).await.unwrap().unwrap().position, 3);
    again.write(Write::audit(vec![act(AuditAct::ReadForPerson, 1)]).into()).await.unwrap();
    let leaves = again.audit_leaves(0, 99).await.unwrap();
    assert_eq!(commitment(&leaves[0]), commitment(leaves.last().unwrap()), "one salt for a record, before and after");
    drop(again);
    let once_more = sqlite(image.path()).await;
    assert_eq!(once_more.inbox_position().await.unwrap(), 3);
}

#[tokio::test]
async fn dropping_a_caller_cancels_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path()).await;
    for n in 0..50 {
        let mut write = store.write(publish(n));
        // Polled once, so that it is sent; then its caller goes away.
        let polled = futures_util::future::poll_immediate(&mut write).await;
        assert!(polled.is_none());
    }
    drop(store);
    let store = sqlite(dir.path()).await;
    assert_eq!(store.pending_publications(99).await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_lost_keys_db_costs_salts_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path()).await;
    store.write(publish(1)).await.unwrap();
    store.close().await;
    drop(store);
    for file in ["keys.db", "keys.db-wal", "keys.db-shm"] {
        std::fs::remove_file(dir.path().join(file)).ok();
    }
    let store = sqlite(dir.path()).await;
    store.write(Write::audit(vec![act(AuditAct::ReadForPerson, 1)]).into()).await.unwrap();
    let leaves = store.audit_leaves(0, 9).await.unwrap();
    assert_ne!(commitment(&leaves[0]), commitment(&leaves[1]));
}

#[tokio::test]
async fn a_salt_is_in_keys_db_before_its_row_is_in_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path()).await;
    // keys.db cannot be written any more: what needs new salts is refused, and nothing of it is stored.
    store.keys().close().await;
    let mut stored = 0;
    let error = loop {
        match store.write(publish(stored)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Refused(Reason::NodeStopping)), "{error:?}");
    assert_eq!(store.pending_publications(999).await.unwrap().len(), stored as usize);
    // What names no record needs no salt.
    store.write(put_named().into()).await.unwrap();
    // Every slot that a committed row names is there.
    let image = crash_image(dir.path());
    let again = sqlite(image.path()).await;
    let state = {
        let mut conn = schema::connect_writing(&image.path().join(STORE_FILE), &[]).await.unwrap();
        State::load(&mut conn, &UnreadableRows::default()).await.unwrap()
    };
    assert_eq!(state.slot, u64::from(stored));
    for slot in 1..=state.slot {
        assert!(again.keys().salt(slot).await.unwrap().is_some());
    }
}

/// Small, and naming no record.
fn put_named() -> Write {
    Write::put(Put::Named(Named::Federation, vec![7; 32].into()))
}

#[tokio::test]
async fn a_full_disk_refuses_new_records_and_gives_up_the_ballast() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = options();
    small.ballast_bytes = 4 << 20;
    small.pragmas = vec![("max_page_count", "120".to_owned())];
    let store = SqliteStore::open(dir.path(), small).await.unwrap();
    assert!(dir.path().join(BALLAST_FILE).exists());
    let big = |n| {
        let publication = NewPublication { body: vec![n as u8; 20_000].into(), ..publication(n) };
        WriteOp::Publish(Publish { request: None, publication, made: None, audit: Vec::new() })
    };
    let mut stored = 0;
    let error = loop {
        match store.write(big(stored)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), Reason::StorageFull, "{error:?}");
    assert!(stored > 5);
    assert_eq!(store.pending_publications(99).await.unwrap().len(), stored as usize);
    assert!(!dir.path().join(BALLAST_FILE).exists());
    // What is small and must go on does; the refused record can come when there is room.
    store.write(put_named().into()).await.unwrap();
    store.close().await;
    drop(store);
    let store = sqlite(dir.path()).await;
    assert_eq!(store.write(big(stored)).await.unwrap(), Written::Done);
}

#[tokio::test]
async fn any_other_failure_leaves_the_outcome_unknown_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path()).await;
    store.write(publish(1)).await.unwrap();
    // Another process holds the write lock for longer than the busy timeout.
    let mut other = schema::connect_writing(&dir.path().join(STORE_FILE), &[]).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let unknown = store.write(publish(2)).await;
    assert_eq!(unknown.unwrap_err().reason(), Reason::OutcomeUnknown);
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(store.write(publish(2)).await.unwrap(), Written::Done);
    assert_eq!(store.pending_publications(9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_refusal_in_a_group_leaves_its_neighbours_and_the_ledger_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path()).await;
    store_batch(&store, 1, vec![received(1)]).await;
    let queue_of =
        |n| WriteOp::Queue(Queue { publication: Some(key(HERE, n)), items: vec![delivery(n)], ..Queue::default() });
    store.write(publish(1)).await.unwrap();
    // One group: the taken record makes the tables refuse, and everything is done again with savepoints.
    let group = vec![
        publish(2),
        queue_of(1),
        publish(1),
        WriteOp::Receive(Box::new(receive(2, vec![received(1)]))),
        put_named().into(),
        WriteOp::Receive(Box::new(receive(2, vec![received(2)]))),
        queue(vec![delivery(3)]),
    ];
    let answers = futures_util::future::join_all(group.into_iter().map(|op| store.write(op))).await;
    let answers: Vec<Written> = answers.into_iter().map(std::result::Result::unwrap).collect();
    assert_eq!(
        answers,
        [
            Written::Done,
            Written::Done,
            Written::Taken,
            Written::Taken,
            Written::Done,
            Written::Received { positions: vec![2], newest: 2 },
            Written::Done,
        ]
    );
    assert_eq!(batch(&store).await.iter().map(|i| i.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(store.audit_head().await.unwrap().size, 4);
    let report = backup::backup(dir.path(), &dir.path().join("b"), NOW).await.unwrap();
    assert_eq!(report.audit_root, store.audit_head().await.unwrap().root);
}

#[tokio::test]
async fn backup_and_restore_begin_a_new_incarnation() {
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = sqlite(dir.path()).await;
    let offer = NewOwnOffer { id: OfferId([1; 16]), body: "o".into(), version: 1, unconfirmed: false };
    store.write(Write::put(Put::OwnOffer(offer.clone())).into()).await.unwrap();
    let agreement = AgreementRow {
        id: AgreementId([2; 32]),
        signed: "all".into(),
        complete: true,
        ends: vec![],
        unconfirmed: false,
    };
    store.write(Write::put(Put::Agreement(agreement)).into()).await.unwrap();
    let case = store.case_index(CaseReference::parse("case", "CASE-1").unwrap()).await.unwrap();
    let (share, sealed, keep_until) = (ShareId([3; 16]), "sealed".into(), NOW + Millis::days(9));
    let share = NewShare { id: share, authority: authority(HERE), case, version: 1, keep_until, sealed };
    store.write(Write::put(Put::Share(share)).into()).await.unwrap();
    let said = AnsweredRow { ours: authority(HERE), partner: authority(THERE), contact: NOW, unknown: false };
    store.write(Write::put(Put::Answered(said)).into()).await.unwrap();
    assert_eq!(store.shares_unconfirmed(9).await.unwrap(), []);
    store.write(publish(1)).await.unwrap();
    store_batch(&store, 1, vec![received(1)]).await;
    let report = backup::backup(dir.path(), folder.path(), NOW).await.unwrap();
    assert_eq!((report.audit_size, report.publications, report.received), (2, 1, 1));
    assert_eq!(backup::last_backup(dir.path()), Some(NOW));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "one file, nothing half made");
    let old = store.incarnation();
    store.write(publish(2)).await.unwrap();
    store.close().await;
    drop(store);

    // The clock stands still: the incarnation rises all the same.
    let restored = backup::restore(folder.path(), dir.path(), NOW).await.unwrap();
    assert!(restored.incarnation > old);
    assert_eq!((restored.from_size, restored.to_size), (3, 2));
    let store = sqlite(dir.path()).await;
    assert_eq!(store.incarnation(), restored.incarnation);
    assert!(store.own_offers().await.unwrap()[0].unconfirmed);
    let opens = (NOW + limits::HOLD_LONGEST).0.to_be_bytes();
    let stored = store.meta(Named::HoldsOpen).await.unwrap();
    assert_eq!(stored.as_deref(), Some(&opens[..]), "what was held since ends first");
    assert!(store.agreements().await.unwrap()[0].unconfirmed, "it may have been ended since");
    assert_eq!(store.shares_unconfirmed(9).await.unwrap().len(), 1, "it may have been withdrawn since");
    assert_eq!(store.answered().await.unwrap(), [], "and so may what partners sent");
    let owed = store.owed(What::PauseNotice, None, NOW, 9).await.unwrap();
    assert_eq!(owed.iter().map(|row| &row.key.subject).collect::<Vec<_>>(), [&Subject::PauseNotice(offer.id)]);
    assert_eq!(store.publication(key(HERE, 2)).await.unwrap(), None);
    assert_eq!(store.inbox_record(key(THERE, 1)).await.unwrap().unwrap().position, 1);
    let leaves = store.audit_leaves(2, 9).await.unwrap();
    let leaf: havenlink_proto::record::v1::AuditLeaf = prost::Message::decode(leaves[0].clone()).unwrap();
    assert_eq!((leaf.act, leaf.from_size, leaf.to_size), (AuditAct::RestoredFromBackup.code(), 3, 2));
    assert_eq!(commitment(&store.audit_leaves(0, 1).await.unwrap()[0]), {
        store.write(Write::audit(vec![act(AuditAct::ReadForPerson, 1)]).into()).await.unwrap();
        commitment(&store.audit_leaves(3, 1).await.unwrap()[0])
    });
    drop(store);

    // On an empty machine, from the file itself.
    let fresh = tempfile::tempdir().unwrap();
    let again = backup::restore(&report.file, fresh.path(), NOW).await.unwrap();
    assert_eq!((again.from_size, again.to_size), (2, 2));
    sqlite(fresh.path()).await;
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_an_unfinished_restore_does_not_start() {
    let (dir, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = sqlite(dir.path()).await;
    for n in 0..200 {
        store.write(publish(n)).await.unwrap();
    }
    let report = backup::backup(dir.path(), folder.path(), NOW).await.unwrap();
    store.close().await;
    drop(store);
    let good = std::fs::read(&report.file).unwrap();
    let refused = || async {
        let result = backup::restore(&report.file, dir.path(), NOW).await;
        assert!(matches!(result, Err(Error::Refused(Reason::BackupInvalid))), "{result:?}");
    };
    std::fs::write(&report.file, &good[..good.len() / 2]).unwrap();
    refused().await;
    // One leaf changed, in a file that is sound as a database.
    std::fs::write(&report.file, &good).unwrap();
    let mut conn = sqlx::ConnectOptions::connect(&schema::options(&report.file)).await.unwrap();
    let edit = "UPDATE audit_leaf SET leaf = (SELECT leaf FROM audit_leaf WHERE place = 7) WHERE place = 8";
    sqlx::query(edit).execute(&mut conn).await.unwrap();
    sqlx::Connection::close(conn).await.unwrap();
    refused().await;
    sqlite(dir.path()).await.close().await;

    std::fs::write(dir.path().join(RESTORING_FILE), b"half").unwrap();
    assert!(matches!(SqliteStore::open(dir.path(), options()).await, Err(Error::Damaged(_))));
    std::fs::write(&report.file, &good).unwrap();
    backup::restore(&report.file, dir.path(), NOW).await.unwrap();
    assert_eq!(sqlite(dir.path()).await.pending_publications(999).await.unwrap().len(), 200);
}

/// What no check foresees: a row that the tables refuse takes back its operation, in its savepoint, and nothing else.
async fn a_row_that_should_not_be_there(dir: &Path) {
    let store = sqlite(dir).await;
    let mut other = schema::connect_writing(&dir.join(STORE_FILE), &[]).await.unwrap();
    let insert = "INSERT INTO publication (sequence, authority, record_id, kind, target_origin, target_record, created, expires, body)
        VALUES (3, 'fr-strasbourg', x'00', 1, '', x'', 0, 0, x'')";
    sqlx::query(insert).execute(&mut other).await.unwrap();
    let answers = futures_util::future::join_all((1..=4).map(|n| store.write(publish(n)))).await;
    let refused: Vec<bool> = answers.iter().map(std::result::Result::is_err).collect();
    assert!(refused.contains(&true) && refused.contains(&false), "{answers:?}");
    let done = refused.iter().filter(|r| !**r).count();
    assert_eq!(store.audit_head().await.unwrap().size, done as u64);
}

/// A stream whose numbers do not read begins behind all that were given, and loses nothing that waits in it.
async fn a_stream_whose_numbers_are_lost(dir: &Path) {
    let store = sqlite(dir).await;
    queued(&store, 1..=3).await;
    store.close().await;
    drop(store);
    let mut other = schema::connect_writing(&dir.join(STORE_FILE), &[]).await.unwrap();
    sqlx::query("UPDATE out_stream SET next = -1").execute(&mut other).await.unwrap();
    drop(other);
    let store = sqlite(dir).await;
    queued(&store, 4..=4).await;
    let requeue = Requeue {
        origin: authority(HERE),
        recipient: authority(THERE),
        origin_incarnation: store.incarnation(),
        recipient_incarnation: Incarnation(2_000),
        renumber: None,
        at_once: true,
        now: NOW,
    };
    store.write(WriteOp::Requeue(requeue)).await.unwrap();
    let numbered: Vec<_> = batch(&store).await.iter().map(|item| (item.number, item.record_id)).collect();
    assert_eq!(numbered, (1..=4).map(|n| (u64::from(n), record(n))).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_whose_numbers_are_lost_loses_nothing_else() {
    a_stream_whose_numbers_are_lost(tempfile::tempdir().unwrap().path()).await;
}

#[tokio::test]
async fn files_belong_to_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path()).await;
    store.write(publish(1)).await.unwrap();
    store.sweep(NOW).await.unwrap();
    for entry in
        std::fs::read_dir(dir.path()).unwrap().chain(std::fs::read_dir(dir.path().join("keys-backup")).unwrap())
    {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}: {mode:o}", entry.path().display());
        }
    }
}

#[tokio::test]
async fn every_statement_is_run_by_the_suite() {
    let dirs: Arc<std::sync::Mutex<Vec<tempfile::TempDir>>> = Arc::default();
    let kept = dirs.clone();
    every_section(move || {
        let kept = kept.clone();
        Box::pin(async move {
            let dir = tempfile::tempdir().unwrap();
            let store: Arc<dyn Store> = Arc::new(sqlite(dir.path()).await);
            kept.lock().unwrap().push(dir);
            store
        })
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let store = sqlite(dir.path()).await;
    store.write(publish(1)).await.unwrap();
    store.close().await;
    drop(store);
    let store = sqlite(dir.path()).await;
    // A salt that is not in the cache any more is read back, a swept one is destroyed.
    store.write(Write::audit(vec![act(AuditAct::ReadForPerson, 1)]).into()).await.unwrap();
    store_batch(&store, 1, vec![received(2)]).await;
    store.sweep(NOW + limits::DEDUP_AFTER_EXPIRY + Millis::days(3)).await.unwrap();
    backup::backup(dir.path(), &dir.path().join("b"), NOW).await.unwrap();
    store.close().await;
    drop(store);
    backup::restore(&dir.path().join("b"), dir.path(), NOW).await.unwrap();
    a_row_that_should_not_be_there(tempfile::tempdir().unwrap().path()).await;
    a_stream_whose_numbers_are_lost(tempfile::tempdir().unwrap().path()).await;
    let older = tempfile::tempdir().unwrap();
    migration_tests::a_store_of_before(older.path()).await;
    sqlite(older.path()).await;
    let unused: Vec<_> = statements::ALL.iter().filter(|s| !s.used.load(Ordering::Relaxed)).map(|s| s.file).collect();
    assert_eq!(unused, Vec::<&str>::new());
}

/// A log that lost its end under the store: what SQLite reads from it fails with an I/O error.
async fn with_a_torn_log(run: impl AsyncFnOnce(&SqliteStore)) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let ended = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = ended.clone();
    let end_process: EndProcess = Arc::new(move |_| _ = count.fetch_add(1, Ordering::SeqCst));
    let store = SqliteStore::open(dir.path(), Options { end_process, ..options() }).await.unwrap();
    store.write(publish(1)).await.unwrap();
    store.ask(Command::Checkpoint).await.unwrap().unwrap();
    // Another connection writes, so that the writer has none of it in memory: only pages of a table that a sweep looks at
    // last, so that it is in its transaction by then.
    let mut other = schema::connect_writing(&dir.path().join(STORE_FILE), &[]).await.unwrap();
    let insert = "INSERT INTO taken (origin, record_id, position, forget_at) VALUES ('de-kehl', x'00', 1, 0)";
    sqlx::query(insert).execute(&mut other).await.unwrap();
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    let log = std::fs::OpenOptions::new().write(true).open(dir.path().join("havenlink.db-wal")).unwrap();
    log.set_len(32).unwrap();
    run(&store).await;
    ended.load(Ordering::SeqCst)
}

#[tokio::test]
async fn an_io_error_in_a_sweep_or_a_checkpoint_ends_the_process() {
    let swept = with_a_torn_log(async |store| {
        let swept = store.ask(|reply| Command::Sweep(NOW, reply)).await.unwrap();
        assert!(swept.is_err(), "{swept:?}");
    })
    .await;
    assert_eq!(swept, 1, "sweep");
    let checked = with_a_torn_log(async |store| assert!(store.ask(Command::Checkpoint).await.unwrap().is_err())).await;
    assert_eq!(checked, 1, "checkpoint");
}

/// Whoever builds this without `.cargo/config.toml` builds another SQLite.
#[tokio::test]
async fn sqlite_is_built_as_decided() {
    use sqlx::{Connection, SqliteConnection};
    let mut memory = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let options: Vec<String> = sqlx::query_scalar("PRAGMA compile_options").fetch_all(&mut memory).await.unwrap();
    assert!(options.iter().any(|option| option == "DEFAULT_MEMSTATUS=0"), "{options:?}");
    for left_out in ["ENABLE_API_ARMOR", "ENABLE_MEMORY_MANAGEMENT"] {
        assert!(!options.iter().any(|option| option == left_out), "{left_out}");
    }
}
