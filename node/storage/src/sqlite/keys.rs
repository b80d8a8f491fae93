//! `keys.db`: what must be able to die with a record, kept apart from the records and from their backups (9.9).
//!
//! What lives here: commitment salts, each sealed under `node.key` (AES-256-GCM, a fresh nonce each, bound to its place);
//! keys and epochs of cases (`cases`), record keys and tombstones (`records`), and the one commit of theirs (`steps`). What does
//! not: which record a salt belongs to, or what a case was shared for; the store knows that. Invariant: a salt is durable here
//! before the row that uses it commits there. Salts are made in blocks ahead of need, so that this costs the path of a record no
//! second fsync (decisions/010-salts-ahead-of-need.md).

mod cases;
mod records;
mod steps;

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use sqlx::sqlite::SqliteConnection;
use zeroize::Zeroizing;

use super::db::{self, Args, Columns, ErrorClass, classify, failed};
use super::{schema, statements};
use crate::audit::Salt;
use crate::domain::reason::Reason;
use crate::domain::time::{Millis, UnixMs};
use crate::{EndProcess, Error, Result};

/// File of the key that seals everything else: 32 bytes, mode 0600.
pub const NODE_KEY: &str = "node.key";
/// The second database.
pub const KEYS_FILE: &str = "keys.db";
/// Folder of its own backups.
pub const KEYS_BACKUP: &str = "keys-backup";
/// No backup of keys is older than this: what was erased is gone from every backup a day later.
pub const BACKUP_LIFE: Millis = Millis::hours(24);
/// A backup is made when the last one is this old.
pub const BACKUP_EVERY: Millis = Millis::hours(1);

const FIRST_BLOCK: usize = 64;
const LARGEST_BLOCK: usize = 2_048;
const PROOF: &[u8] = b"havenlink keys.db";

/// The open `keys.db`.
pub struct KeyStore {
    dir: PathBuf,
    seal: LessSafeKey,
    conn: tokio::sync::Mutex<Option<SqliteConnection>>,
    /// Durable, and not taken yet.
    ready: Mutex<VecDeque<(u64, Salt)>>,
    next_slot: AtomicU64,
    block: AtomicU64,
    filling: AtomicBool,
    end_process: EndProcess,
}

impl KeyStore {
    /// Opens or makes `keys.db` and `node.key`. Slots above `highest_used` that were never taken into use are dropped;
    /// no slot number is ever used for a second salt.
    ///
    /// # Errors
    /// `Damaged` when `node.key` is missing, or is not the one that the file was sealed with.
    pub async fn open(dir: &Path, highest_used: u64, end_process: EndProcess) -> Result<Arc<Self>> {
        let file = dir.join(KEYS_FILE);
        let seal = node_key(dir, file.exists())?;
        schema::create_private(&file).map_err(|e| Error::Failed(Box::new(e)))?;
        let mut conn = schema::connect_writing(&file, &[]).await?;
        schema::migrate(&mut conn, schema::KEYS).await?;
        let this = Self {
            dir: dir.to_owned(),
            seal,
            conn: tokio::sync::Mutex::new(None),
            ready: Mutex::default(),
            next_slot: AtomicU64::new(0),
            block: AtomicU64::new(FIRST_BLOCK as u64),
            filling: AtomicBool::new(false),
            end_process,
        };
        this.prove(&mut conn).await?;
        let last = db::one(&mut conn, &statements::KEY_SALT_LAST, Args::new()).await.map_err(failed)?;
        let last = last.map_or(Ok(0), |row| row.number(0)).map_err(failed)?;
        let unused = Args::new().with(highest_used);
        db::run(&mut conn, &statements::KEY_SALT_DROP_UNUSED, unused).await.map_err(failed)?;
        this.next_slot.store(last.max(highest_used) + 1, Ordering::Relaxed);
        *this.conn.lock().await = Some(conn);
        let this = Arc::new(this);
        this.fill().await?;
        Ok(this)
    }

    /// Takes new salts into use. They are durable already; more are made in the background when few are left.
    ///
    /// # Errors
    /// When none are left and new ones cannot be stored: nothing may be written that would need them.
    pub async fn take(self: &Arc<Self>, count: usize) -> Result<Vec<(u64, Salt)>> {
        loop {
            {
                let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
                if ready.len() >= count {
                    let taken = ready.drain(..count).collect();
                    let few = ready.len() < self.block_size() / 2;
                    drop(ready);
                    if few && !self.filling.swap(true, Ordering::AcqRel) {
                        let this = self.clone();
                        tokio::spawn(async move {
                            if let Err(error) = this.fill().await {
                                havenlink_runtime::repeated!(warn; %error, "salts could not be made ahead of need");
                            }
                            this.filling.store(false, Ordering::Release);
                        });
                    }
                    return Ok(taken);
                }
            }
            self.fill().await?;
        }
    }

    /// Where it lies.
    pub(super) fn folder(&self) -> &Path {
        &self.dir
    }

    fn block_size(&self) -> usize {
        usize::try_from(self.block.load(Ordering::Relaxed)).unwrap_or(LARGEST_BLOCK)
    }

    /// Makes one block of salts, durably; the next block is twice as large.
    async fn fill(&self) -> Result<()> {
        let mut conn = self.conn.lock().await;
        let count = self.block_size();
        let first = self.next_slot.fetch_add(count as u64, Ordering::Relaxed);
        let mut salts = Vec::with_capacity(count);
        let mut rows = Vec::with_capacity(count);
        for slot in (first..).take(count) {
            let mut salt: Salt = [0; 32];
            random(&mut salt)?;
            rows.push((slot, self.sealed("salt", slot, &salt)?));
            salts.push((slot, salt));
        }
        let conn = self.connected(&mut conn)?;
        let stored = async {
            sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
            db::run_many(conn, &statements::KEY_SALT_INSERT, &rows, |(slot, sealed), args| {
                args.push(*slot).push(sealed.as_slice());
            })
            .await?;
            sqlx::query("COMMIT").execute(&mut *conn).await
        };
        let stored = stored.await;
        self.checked(conn, stored).await?;
        self.block.store((count * 2).min(LARGEST_BLOCK) as u64, Ordering::Relaxed);
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).extend(salts);
        Ok(())
    }

    fn connected<'a>(&self, conn: &'a mut Option<SqliteConnection>) -> Result<&'a mut SqliteConnection> {
        conn.as_mut().ok_or(Error::Refused(Reason::NodeStopping))
    }

    /// A failed write or fsync may have lost pages that SQLite believes to be on disk: no going on after that (9.8).
    async fn checked<T>(&self, conn: &mut SqliteConnection, result: std::result::Result<T, sqlx::Error>) -> Result<T> {
        let error = match result {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if classify(&error) == ErrorClass::Io {
            (self.end_process)("keys.db could not be written");
        }
        sqlx::query("ROLLBACK").execute(conn).await.ok();
        Err(failed(error))
    }

    /// The salt in a slot; `None` when it was destroyed or lost.
    ///
    /// # Errors
    /// `Damaged` when it does not open under the node key.
    pub async fn salt(&self, slot: u64) -> Result<Option<Salt>> {
        let mut conn = self.conn.lock().await;
        let conn = self.connected(&mut conn)?;
        let row = db::one(&mut *conn, &statements::KEY_SALT_GET, Args::new().with(slot)).await.map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let plain = self.opened("salt", slot, row.blob(0).map_err(failed)?)?;
        plain.as_slice().try_into().map(Some).map_err(|_| Error::Damaged("a salt in keys.db has another length"))
    }

    /// Destroys salts: overwritten (`secure_delete`) in one commit, and gone from the log too.
    ///
    /// # Errors
    /// When it could not be done; then the records must stay as well.
    pub async fn destroy(&self, slots: &[u64]) -> Result<()> {
        if slots.is_empty() {
            return Ok(());
        }
        let mut conn = self.conn.lock().await;
        let conn = self.connected(&mut conn)?;
        let gone = async {
            sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
            db::run_many(conn, &statements::KEY_SALT_DESTROY, slots, |slot, args| {
                args.push(*slot);
            })
            .await?;
            sqlx::query("COMMIT").execute(&mut *conn).await.map(|_| ())
        };
        let gone = gone.await;
        self.checked(conn, gone).await?;
        self.emptied(conn).await
    }

    /// Takes what was destroyed out of the log as well.
    async fn emptied(&self, conn: &mut SqliteConnection) -> Result<()> {
        let busy = async { sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *conn).await?.int(0) };
        let busy = busy.await;
        if self.checked(conn, busy).await? == 0 {
            Ok(())
        } else {
            Err(Error::Failed("keys.db is being read: its log still holds what was destroyed".into()))
        }
    }

    /// Makes a backup of `keys.db` when the last one is an hour old, and deletes those that would be older than a day
    /// before the next round.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn back_up(&self, now: UnixMs) -> Result<()> {
        let io = |e: std::io::Error| Error::Failed(Box::new(e));
        let folder = self.dir.join(KEYS_BACKUP);
        std::fs::create_dir_all(&folder).map_err(io)?;
        let mut newest = UnixMs(i64::MIN);
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let whole = path.extension().is_some_and(|ending| ending == "db");
            let made = path.file_stem().filter(|_| whole).and_then(|s| s.to_str());
            let made = made.and_then(|s| s.parse().ok()).map(UnixMs);
            let keep = made.is_some_and(|at| now.since(at) < BACKUP_LIFE - BACKUP_EVERY && at <= now + BACKUP_EVERY);
            if keep {
                newest = newest.max(made.unwrap_or(newest));
            } else {
                std::fs::remove_file(&path).map_err(io)?;
            }
        }
        if now.since(newest) < BACKUP_EVERY {
            return Ok(());
        }
        // Only what is whole has the name of a backup; what a failed copy left goes with the next round.
        let (part, file) = (folder.join(format!("{}.part", now.0)), folder.join(format!("{}.db", now.0)));
        schema::create_private(&part).map_err(io)?;
        let mut conn = self.conn.lock().await;
        let conn = self.connected(&mut conn)?;
        let target = part.to_str().ok_or(Error::Damaged("the data directory's name is not text"))?;
        db::run(&mut *conn, &statements::FILE_COPY, Args::new().with(target)).await.map_err(failed)?;
        std::fs::File::open(&part).and_then(|f| f.sync_all()).map_err(io)?;
        std::fs::rename(&part, &file).and_then(|()| schema::sync_folder(&file)).map_err(io)
    }

    /// Closes the file; what is asked for later is refused.
    pub async fn close(&self) {
        if let Some(conn) = self.conn.lock().await.take() {
            sqlx::Connection::close(conn).await.ok();
        }
    }

    async fn prove(&self, conn: &mut SqliteConnection) -> Result<()> {
        match db::one(&mut *conn, &statements::KEY_PROOF_GET, Args::new()).await.map_err(failed)? {
            Some(row) => {
                let known = self.opened("proof", 1, row.blob(0).map_err(failed)?);
                known.map(|_| ()).map_err(|_| Error::Damaged("node.key is not the key of keys.db"))
            }
            None => {
                let sealed = self.sealed("proof", 1, PROOF)?;
                let args = Args::new().with(sealed.as_slice());
                db::run(conn, &statements::KEY_PROOF_PUT, args).await.map(|_| ()).map_err(failed)
            }
        }
    }

    fn sealed(&self, table: &str, row: u64, plain: &[u8]) -> Result<Vec<u8>> {
        self.sealed_at(format!("{table}/{row}").as_bytes(), plain)
    }

    /// The same, bound to any place.
    fn sealed_at(&self, place: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        sealed(&self.seal, place, plain)
    }

    fn opened(&self, table: &str, row: u64, sealed: Vec<u8>) -> Result<Zeroizing<Vec<u8>>> {
        opened(&self.seal, format!("{table}/{row}").as_bytes(), sealed)
    }

    /// 32 bytes that are sealed at this place.
    fn key_at(&self, place: &[u8], sealed: Vec<u8>) -> Result<[u8; 32]> {
        let plain = opened(&self.seal, place, sealed)?;
        plain.as_slice().try_into().map_err(|_| Error::Damaged("a key in keys.db has another length"))
    }
}

/// Nonce, then ciphertext and tag.
fn sealed(seal: &LessSafeKey, place: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    let mut nonce = [0_u8; NONCE_LEN];
    random(&mut nonce)?;
    let mut body = plain.to_vec();
    seal.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut body)
        .map_err(|_| Error::Failed("sealing failed".into()))?;
    Ok([nonce.as_slice(), &body].concat())
}

fn opened(seal: &LessSafeKey, place: &[u8], sealed: Vec<u8>) -> Result<Zeroizing<Vec<u8>>> {
    let damaged = Error::Damaged("a value in keys.db does not open under node.key");
    let Some((nonce, body)) = sealed.split_first_chunk::<NONCE_LEN>() else { return Err(damaged) };
    let mut body = Zeroizing::new(body.to_vec());
    let aad = Aad::from(place);
    let opened = seal.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut body);
    let length = opened.map_err(|_| damaged)?.len();
    body.truncate(length);
    Ok(body)
}

/// Looks whether `keys.db` opens under `node.key`, and changes nothing.
///
/// # Errors
/// `Damaged` when `node.key` is missing, or is not the one that the file was sealed with.
pub(crate) async fn look_at(dir: &Path) -> Result<()> {
    use sqlx::{ConnectOptions, Connection};
    let seal = node_key(dir, true)?;
    let mut conn = schema::reading(&dir.join(KEYS_FILE)).connect().await.map_err(failed)?;
    let proof = db::one(&mut conn, &statements::KEY_PROOF_GET, Args::new()).await.map_err(failed)?;
    let sealed = proof.map(|row| row.blob(0)).transpose().map_err(failed)?;
    conn.close().await.map_err(failed)?;
    match sealed.map(|sealed| opened(&seal, b"proof/1", sealed)) {
        Some(Err(_)) => Err(Error::Damaged("node.key is not the key of keys.db")),
        _ => Ok(()),
    }
}

fn random(bytes: &mut [u8]) -> Result<()> {
    rand::fill(bytes).map_err(|_| Error::Failed("the system gives no randomness".into()))
}

/// Reads `node.key`, or makes it when nothing was sealed yet.
fn node_key(dir: &Path, keys_exist: bool) -> Result<LessSafeKey> {
    let io = |e: std::io::Error| Error::Failed(Box::new(e));
    let path = dir.join(NODE_KEY);
    if !path.exists() {
        if keys_exist {
            return Err(Error::Damaged("node.key is missing: keys.db cannot be opened without it"));
        }
        let mut key = Zeroizing::new([0_u8; 32]);
        random(key.as_mut_slice())?;
        let temporary = dir.join("node.key.new");
        std::fs::remove_file(&temporary).ok();
        schema::create_private(&temporary).map_err(io)?;
        let mut file = std::fs::OpenOptions::new().write(true).open(&temporary).map_err(io)?;
        file.write_all(key.as_slice()).and_then(|()| file.sync_all()).map_err(io)?;
        std::fs::rename(&temporary, &path).and_then(|()| schema::sync_folder(&path)).map_err(io)?;
    }
    let bytes = Zeroizing::new(std::fs::read(&path).map_err(io)?);
    let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| Error::Damaged("node.key does not have 32 bytes"))?;
    Ok(LessSafeKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_end() -> EndProcess {
        Arc::new(|why| panic!("{why}"))
    }

    #[tokio::test]
    async fn salts_survive_and_are_never_given_twice() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyStore::open(dir.path(), 0, no_end()).await.unwrap();
        let taken = keys.take(1_000).await.unwrap();
        assert_eq!(keys.salt(taken[999].0).await.unwrap(), Some(taken[999].1));
        // The process ends without closing; only 500 of them were taken into use by rows that committed.
        let used = taken[499].0;
        keys.close().await;
        drop(keys);
        let keys = KeyStore::open(dir.path(), used, no_end()).await.unwrap();
        assert_eq!(keys.salt(taken[10].0).await.unwrap(), Some(taken[10].1));
        assert_eq!(keys.salt(taken[700].0).await.unwrap(), None);
        let later = keys.take(1).await.unwrap();
        assert!(later[0].0 > taken[999].0);
    }

    #[tokio::test]
    async fn a_slot_gets_no_second_salt_when_an_open_ends_half_way() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyStore::open(dir.path(), 0, no_end()).await.unwrap();
        let taken = keys.take(1_000).await.unwrap();
        keys.close().await;
        // The next open came as far as dropping what no committed row uses.
        let mut conn = schema::connect_writing(&dir.path().join(KEYS_FILE), &[]).await.unwrap();
        let unused = Args::new().with(3_u64);
        db::run(&mut conn, &statements::KEY_SALT_DROP_UNUSED, unused).await.unwrap();
        sqlx::Connection::close(conn).await.unwrap();
        let keys = KeyStore::open(dir.path(), 3, no_end()).await.unwrap();
        assert_eq!(keys.salt(taken[500].0).await.unwrap(), None);
        assert!(keys.take(1).await.unwrap()[0].0 > taken[999].0);
    }

    #[tokio::test]
    async fn a_backup_that_failed_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let start = UnixMs(1_700_000_000_000);
        let keys = KeyStore::open(dir.path(), 0, no_end()).await.unwrap();
        // Fails where the copy would be made.
        keys.close().await;
        assert!(keys.back_up(start).await.is_err());
        let keys = KeyStore::open(dir.path(), 0, no_end()).await.unwrap();
        keys.back_up(start + Millis::minutes(1)).await.unwrap();
        let left: Vec<_> =
            std::fs::read_dir(dir.path().join(KEYS_BACKUP)).unwrap().map(|f| f.unwrap().path()).collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(std::fs::metadata(&left[0]).unwrap().len() > 0 && left[0].extension().unwrap() == "db");
    }

    #[tokio::test]
    async fn a_destroyed_salt_is_in_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyStore::open(dir.path(), 0, no_end()).await.unwrap();
        let taken = keys.take(3).await.unwrap();
        let sealed: Vec<u8> = {
            let mut conn = keys.conn.lock().await;
            let query = sqlx::query_scalar("SELECT sealed FROM salt WHERE slot = $1").bind(taken[1].0 as i64);
            query.fetch_one(conn.as_mut().unwrap()).await.unwrap()
        };
        let files_with_it = || {
            let files = std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().path());
            files.filter(|f| std::fs::read(f).unwrap().windows(60).any(|w| w == sealed)).count()
        };
        assert!(files_with_it() > 0);
        keys.destroy(&[taken[1].0]).await.unwrap();
        assert_eq!(files_with_it(), 0);
        assert_eq!(keys.salt(taken[1].0).await.unwrap(), None);
        assert_eq!(keys.salt(taken[2].0).await.unwrap(), Some(taken[2].1));
    }

    #[tokio::test]
    async fn nothing_is_stored_in_the_clear_and_another_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyStore::open(dir.path(), 0, no_end()).await.unwrap();
        let salt = keys.take(1).await.unwrap()[0].1;
        keys.close().await;
        let file = std::fs::read(dir.path().join(KEYS_FILE)).unwrap();
        assert!(!file.windows(8).any(|w| w == &salt[..8]));
        let good = std::fs::read(dir.path().join(NODE_KEY)).unwrap();
        std::fs::write(dir.path().join(NODE_KEY), [7; 32]).unwrap();
        assert!(matches!(KeyStore::open(dir.path(), 0, no_end()).await, Err(Error::Damaged(_))));
        std::fs::remove_file(dir.path().join(NODE_KEY)).unwrap();
        assert!(matches!(KeyStore::open(dir.path(), 0, no_end()).await, Err(Error::Damaged(_))));
        std::fs::write(dir.path().join(NODE_KEY), good).unwrap();
        KeyStore::open(dir.path(), 0, no_end()).await.unwrap();
    }

    #[tokio::test]
    async fn own_backups_live_less_than_a_day() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyStore::open(dir.path(), 0, no_end()).await.unwrap();
        let count = || std::fs::read_dir(dir.path().join(KEYS_BACKUP)).unwrap().count();
        let start = UnixMs(1_700_000_000_000);
        keys.back_up(start).await.unwrap();
        keys.back_up(start + Millis::minutes(59)).await.unwrap();
        assert_eq!(count(), 1);
        for hour in 1..48 {
            keys.back_up(start + Millis::hours(hour)).await.unwrap();
            for entry in std::fs::read_dir(dir.path().join(KEYS_BACKUP)).unwrap() {
                let made: i64 = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().parse().unwrap();
                assert!((start + Millis::hours(hour)).since(UnixMs(made)) < BACKUP_LIFE - BACKUP_EVERY);
            }
        }
    }
}
