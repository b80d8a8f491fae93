//! Backup of a running node, and the way back (9.10).
//!
//! A backup is one file: a copy of `havenlink.db` at one instant, made online, read back before it is called a backup.
//! Keys, salts and tombstones are in `keys.db`, which has backups of its own and is never part of this one (9.9).
//! A restore begins a new incarnation, writes it into the ledger, and leaves the node's own offers unconfirmed.

use std::path::{Path, PathBuf};

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnection;

use super::audit::Replay;
use super::identity::{self, Whose};
use super::named::Named;
use super::owed::{Owed, OwedKey, Subject};
use super::sqlite::db::{self, Args, Columns, failed};
use super::sqlite::offers::offer_id;
use super::sqlite::rare::bind_new_owed;
use super::sqlite::state::{State, stored_incarnation};
use super::sqlite::{RESTORING_FILE, STORE_FILE, data_version, schema, statements};
use super::unreadable::UnreadableRows;
use super::{Error, Result};
use crate::domain::audit::{AuditAct, AuditDraft};
use crate::domain::ids::{Digest, Incarnation, KeyId};
use crate::domain::incarnation;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;

/// File in the data directory that tells when the last backup was made.
pub const LAST_BACKUP: &str = "last-backup";
/// And when the last one that only the holder of the recovery key can open.
pub const LAST_SEALED: &str = "last-sealed-backup";
/// And when a backup was last opened to see whether it holds what a restore needs.
pub const LAST_DRILL: &str = "last-drill";

/// What a whole, verified backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupReport {
    pub file: PathBuf,
    pub whose: Whose,
    pub bytes: u64,
    pub incarnation: Incarnation,
    pub audit_size: u64,
    pub audit_root: Digest,
    pub publications: u64,
    pub deliveries: u64,
    pub received: u64,
    pub agreements: u64,
}

/// What a restore led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreReport {
    pub incarnation: Incarnation,
    /// Size of the audit log before; that of the backup when the old log could not be read.
    pub from_size: u64,
    /// Size of the audit log of the backup.
    pub to_size: u64,
}

/// Copies the store of a data directory, whether a node runs on it or not, into a file of the folder.
///
/// # Errors
/// `BACKUP_FAILED` when the copy cannot be made, or does not verify; no file is left then.
pub async fn backup(data_dir: &Path, folder: &Path, now: UnixMs) -> Result<BackupReport> {
    let made = make(data_dir, &file_for(data_dir, folder, now).await?, None).await?;
    noted(data_dir, LAST_BACKUP, now);
    Ok(made)
}

/// The file of a backup that is made now: its name tells whose it is, if the store does.
///
/// # Errors
/// `BACKUP_FAILED` when the store cannot be read.
pub async fn file_for(data_dir: &Path, folder: &Path, now: UnixMs) -> Result<PathBuf> {
    let asked = async {
        let mut store = schema::options(&data_dir.join(STORE_FILE)).connect().await.map_err(failed)?;
        identity::told(&mut store).await
    };
    let whose = asked.await.map_err(|error| not_made(&error))?;
    Ok(folder.join(identity::backup_name(whose.authority.as_ref(), now)))
}

fn not_made(error: &Error) -> Error {
    tracing::error!(%error, "the backup could not be made");
    Error::Refused(Reason::BackupFailed)
}

/// Makes the backup in this file, and notes nothing yet. `key`: the authority's key that stands beside it; the backup
/// tells, so that no other is taken for it.
///
/// # Errors
/// As `backup`.
pub async fn make(data_dir: &Path, file: &Path, key: Option<KeyId>) -> Result<BackupReport> {
    let part = file.with_extension("part");
    let report = copy(&data_dir.join(STORE_FILE), &part, key).await.map_err(|error| {
        std::fs::remove_file(&part).ok();
        not_made(&error)
    })?;
    std::fs::rename(&part, file).and_then(|()| schema::sync_folder(file)).map_err(io)?;
    Ok(BackupReport { file: file.to_owned(), ..report })
}

/// Notes a backup that is one: that its time could not be written down takes nothing from it.
pub fn noted(data_dir: &Path, file: &str, at: UnixMs) {
    if let Err(error) = note(data_dir, file, at) {
        tracing::warn!(%error, file, "the time could not be noted in the data directory");
    }
}

/// Writes down when something was last done, in one of the files named above, unless a later time stands there.
///
/// # Errors
/// When the data directory cannot be written.
pub fn note(data_dir: &Path, file: &str, at: UnixMs) -> Result<()> {
    if last(data_dir, file).is_some_and(|last| at <= last) {
        return Ok(());
    }
    // By a rename: an older note may belong to somebody else.
    let (file, part) = (data_dir.join(file), data_dir.join(format!("{file}.part")));
    std::fs::write(&part, at.0.to_string()).and_then(|()| std::fs::rename(&part, &file)).map_err(io)
}

/// Forgets what is noted of sealed backups: the key that they hold, or the one that opens them, is another one from now on.
pub fn forget_sealed(data_dir: &Path) {
    for file in [LAST_SEALED, LAST_DRILL] {
        match std::fs::remove_file(data_dir.join(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, file, "the note of older backups could not be removed");
            }
            _ => {}
        }
    }
}

/// When the last backup of this data directory was made.
pub fn last_backup(data_dir: &Path) -> Option<UnixMs> {
    last(data_dir, LAST_BACKUP)
}

/// What one of the files named above tells.
pub fn last(data_dir: &Path, file: &str) -> Option<UnixMs> {
    std::fs::read_to_string(data_dir.join(file)).ok()?.trim().parse().ok().map(UnixMs)
}

async fn copy(store: &Path, part: &Path, key: Option<KeyId>) -> Result<BackupReport> {
    std::fs::create_dir_all(part.parent().unwrap_or(Path::new("."))).map_err(io)?;
    std::fs::remove_file(part).ok();
    schema::create_private(part).map_err(io)?;
    let mut source = schema::options(store).connect().await.map_err(failed)?;
    let before = State::load_counters(&mut source).await?;
    let target = part.to_str().ok_or(Error::Damaged("the backup's name is not text"))?;
    db::run(&mut source, &statements::FILE_COPY, Args::new().with(target)).await.map_err(failed)?;
    if let Some(key) = key {
        let mut copy = schema::options(part).connect().await.map_err(failed)?;
        let args = Args::new().with(Named::BackupKey.name()).with(key.as_bytes().as_slice());
        db::run(&mut copy, &statements::META_PUT, args).await.map_err(failed)?;
        sqlx::Connection::close(copy).await.map_err(failed)?;
    }
    std::fs::File::open(part).and_then(|f| f.sync_all()).map_err(io)?;
    let report = verify(part).await?;
    let mut copy = schema::reading(part).connect().await.map_err(failed)?;
    let copied = State::load_counters(&mut copy).await?;
    let after = State::load_counters(&mut source).await?;
    let counters = |s: &State| [s.publication, s.delivery, s.position, s.ledger.frontier.size()];
    let between = counters(&before).iter().zip(counters(&copied)).all(|(a, b)| *a <= b)
        && counters(&copied).iter().zip(counters(&after)).all(|(a, b)| *a <= b);
    between.then_some(report).ok_or(Error::Damaged("the copy is not of an instant of the store"))
}

/// Reads a backup through: pages, indexes, the whole ledger.
///
/// # Errors
/// `BACKUP_INVALID` when it is not a whole backup.
pub async fn verify(file: &Path) -> Result<BackupReport> {
    read_through(file).await.map_err(|error| {
        tracing::error!(%error, "the backup does not verify");
        match error {
            Error::Refused(reason) => Error::Refused(reason),
            _ => Error::Refused(Reason::BackupInvalid),
        }
    })
}

async fn read_through(file: &Path) -> Result<BackupReport> {
    let bytes = std::fs::metadata(file).map_err(io)?.len();
    let mut conn = schema::reading(file).connect().await.map_err(failed)?;
    let sound = db::one(&mut conn, &statements::FILE_CHECK, Args::new()).await.map_err(failed)?;
    if sound.map(|row| row.text(0)).transpose().map_err(failed)?.as_deref() != Some("ok") {
        return Err(Error::Damaged("the integrity check found something"));
    }
    let state = State::load_counters(&mut conn).await?;
    let replay = replay(&mut conn).await?;
    if replay.first_bad().is_some() || *replay.frontier() != state.ledger.frontier {
        return Err(Error::Damaged("the audit log does not fit its root"));
    }
    let counts = db::one(&mut conn, &statements::FILE_COUNTS, Args::new()).await.map_err(failed)?;
    let counts = counts.ok_or(Error::Damaged("no counts"))?;
    let count = |column| counts.number(column).map_err(failed);
    if count(4)? != state.ledger.frontier.size() {
        return Err(Error::Damaged("the audit log has another number of leaves than its head says"));
    }
    Ok(BackupReport {
        file: file.to_owned(),
        whose: identity::told(&mut conn).await?,
        bytes,
        incarnation: stored_incarnation(&mut conn).await?.ok_or(Error::Damaged("the incarnation"))?,
        audit_size: state.ledger.frontier.size(),
        audit_root: state.ledger.frontier.root(),
        publications: count(0)?,
        deliveries: count(1)?,
        received: count(2)?,
        agreements: count(3)?,
    })
}

/// The whole ledger, leaf by leaf.
async fn replay(conn: &mut SqliteConnection) -> Result<Replay> {
    const PAGE: u64 = 1_000;
    let mut replay = Replay::default();
    loop {
        let args = Args::new().with(replay.frontier().size()).with(PAGE);
        let rows = db::all(&mut *conn, &statements::AUDIT_LEAF_LIST, args).await.map_err(failed)?;
        for row in &rows {
            replay.push(&row.blob(1).map_err(failed)?);
        }
        if (rows.len() as u64) < PAGE {
            return Ok(replay);
        }
    }
}

/// Puts a backup (a file, or a folder's newest one), whosever it is, in the place of the data directory's store. `keys.db`
/// stays as it is: what was erased since the backup stays erased. No node may run on the directory.
///
/// # Errors
/// `BACKUP_INVALID` when the backup does not verify; nothing has been changed then. After any other failure, run it
/// again: the node does not start in between.
pub async fn restore(from: &Path, data_dir: &Path, now: UnixMs) -> Result<RestoreReport> {
    let file = if from.is_dir() { identity::newest_backup(from, None)? } else { from.to_owned() };
    prepare(&verify(&file).await?, data_dir, now).await?.finish()
}

/// A restore that needs nothing but its last step. While it waits, or when it is dropped, no node starts on the directory.
#[must_use]
pub struct Prepared {
    restoring: PathBuf,
    store: PathBuf,
    report: RestoreReport,
}

impl Prepared {
    /// Puts the restored store in the place of the old one: from now on a node may start.
    ///
    /// # Errors
    /// When the files cannot be renamed; run the restore again.
    pub fn finish(self) -> Result<RestoreReport> {
        // The old log must be gone before the new file has the name that it belongs to.
        for ending in ["-wal", "-shm"] {
            match std::fs::remove_file(with_ending(&self.store, ending)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(e)),
                _ => {}
            }
        }
        let renamed = std::fs::rename(&self.restoring, &self.store);
        renamed.and_then(|()| schema::sync_folder(&self.store)).map_err(io)?;
        Ok(self.report)
    }
}

/// All of a restore of a verified backup but its last step, so that the rest of the node can be put in order before a node
/// may start.
///
/// # Errors
/// When files cannot be written: run it again.
pub async fn prepare(backup: &BackupReport, data_dir: &Path, now: UnixMs) -> Result<Prepared> {
    std::fs::create_dir_all(data_dir).map_err(io)?;
    let store = data_dir.join(STORE_FILE);
    let old = if store.exists() { old_store(&store).await.ok() } else { None };
    let restoring = data_dir.join(RESTORING_FILE);
    for ending in ["", "-wal", "-shm"] {
        std::fs::remove_file(with_ending(&restoring, ending)).ok();
    }
    schema::create_private(&restoring).map_err(io)?;
    std::fs::copy(&backup.file, &restoring).map_err(io)?;
    let newest = old.map_or(backup.incarnation, |(incarnation, _)| incarnation.max(backup.incarnation));
    let incarnation = incarnation::begun(now, newest, drawn()?);
    let from_size = old.map_or(backup.audit_size, |(_, size)| size);
    let report = RestoreReport { incarnation, from_size, to_size: backup.audit_size };
    begin_anew(&restoring, &report, now).await?;
    Ok(Prepared { restoring, store, report })
}

/// What tells this life of the node from another one that began at the same backup.
fn drawn() -> Result<u32> {
    let mut bytes = [0; 4];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Failed("the system gives no randomness".into()))?;
    Ok(u32::from_be_bytes(bytes))
}

/// New incarnation, RESTORED leaf, offers and agreements unconfirmed, nothing held for a while, what partners said of withdrawals forgotten, and partners to
/// be told of the offers: in one commit, and with no log left beside the file.
async fn begin_anew(file: &Path, report: &RestoreReport, now: UnixMs) -> Result<()> {
    let mut conn = schema::connect_writing(file, &[]).await?;
    data_version::migrate_store(&mut conn).await?;
    let mut state = State::load(&mut conn, &UnreadableRows::default()).await?;
    state.begin(report.incarnation);
    let draft = AuditDraft {
        sizes: Some((report.from_size, report.to_size)),
        ..AuditDraft::by_node(AuditAct::RestoredFromBackup)
    };
    let place = state.ledger.frontier.size();
    let leaf = state.ledger.append(now, &draft, None);
    let stored = async {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut conn).await?;
        let incarnation =
            Args::new().with(Named::Incarnation.name()).with(report.incarnation.0.to_be_bytes().as_slice());
        db::run(&mut conn, &statements::META_PUT, incarnation).await?;
        // What was held between the backup and the restore is unknown here until it has ended (9.11).
        let opens = (now + limits::HOLD_LONGEST).0.to_be_bytes();
        let opens = Args::new().with(Named::HoldsOpen.name()).with(opens.as_slice());
        db::run(&mut conn, &statements::META_PUT, opens).await?;
        db::run(&mut conn, &statements::META_DELETE, Args::new().with(Named::BackupKey.name())).await?;
        db::run(&mut conn, &statements::OWN_OFFER_PAUSE_ALL, Args::new()).await?;
        db::run(&mut conn, &statements::AGREEMENT_UNCONFIRM_ALL, Args::new()).await?;
        db::run(&mut conn, &statements::AGREEMENT_TO_SHARE_UNCONFIRM_ALL, Args::new()).await?;
        // What was withdrawn since, partners say.
        db::run(&mut conn, &statements::WITHDRAWALS_ANSWERED_FORGET_ALL, Args::new()).await?;
        // An offer that does not read stays paused; the node names it when it lists offers.
        let offers = db::all(&mut conn, &statements::OWN_OFFER_ALL, Args::new()).await?;
        let pause = |id| Owed::now(OwedKey::of(Subject::PauseNotice(id)), now);
        let pauses: Vec<Owed> = offers.iter().filter_map(|row| offer_id(row, 0).ok().map(pause)).collect();
        db::run_many(&mut conn, &statements::OWED_PUT, &pauses, bind_new_owed).await?;
        let leaves = [(place, leaf)];
        db::run_many(&mut conn, &statements::AUDIT_LEAF_INSERT, &leaves, |(place, leaf), args| {
            args.push(*place).push(leaf);
        })
        .await?;
        db::run(&mut conn, &statements::HEAD_PUT, state.head()).await?;
        sqlx::query("COMMIT").execute(&mut conn).await?;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut conn).await
    };
    let stored: std::result::Result<_, sqlx::Error> = stored.await;
    stored.map_err(failed)?;
    sqlx::Connection::close(conn).await.map_err(failed)
}

async fn old_store(file: &Path) -> Result<(Incarnation, u64)> {
    let mut conn = schema::options(file).connect().await.map_err(failed)?;
    let state = State::load_counters(&mut conn).await?;
    let incarnation = stored_incarnation(&mut conn).await?.ok_or(Error::Damaged("the incarnation"))?;
    sqlx::Connection::close(conn).await.map_err(failed)?;
    Ok((incarnation, state.ledger.frontier.size()))
}

fn with_ending(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn io(error: std::io::Error) -> Error {
    Error::Failed(Box::new(error))
}
