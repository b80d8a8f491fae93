//! The store on SQLite: one file, one writer, a few readers.
//!
//! What lives here: opening, the writer with its group commit (9.8), reads, sweeping, the ballast. What does not: the
//! meaning of rows. WAL with `synchronous=FULL`, read back; `secure_delete`; statements in `storage/sql/`.
//! Invariant: nothing is answered before the commit that holds it has been fsynced; only the writer's thread writes.

mod again;
mod agreements;
mod ballast;
mod batch;
mod carry_over;
pub(crate) mod data_version;
pub(crate) mod db;
mod disclosures;
mod facts;
mod holds;
pub mod keys;
mod lists;
mod look;
pub(crate) mod offers;
mod person_keys;
mod publications;
mod questions;
pub(crate) mod rare;
pub(crate) mod read;
mod rows;
mod salts;
pub(crate) mod schema;
mod script;
mod sealing;
pub(crate) mod state;
pub(crate) mod statements;
mod sweep;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnection, SqlitePool, SqlitePoolOptions};
use tokio::sync::{mpsc, oneshot};

use super::named::Named;
use super::{EndProcess, Error, Now, Result};
use crate::domain::reason::Reason;
use crate::unreadable::UnreadableRows;
pub use ballast::{BALLAST_FILE, make_room_to_start};
pub use data_version::DATA_VERSION;
use db::{Args, failed};
use keys::KeyStore;
pub use look::look_at;
use state::State;
use writer::{Command, Writer};

/// The database's file in the data directory.
pub const STORE_FILE: &str = "havenlink.db";
/// A restore that was not finished; the store does not start beside it.
pub const RESTORING_FILE: &str = "havenlink.db.restoring";
/// Operations that may wait for the writer before callers have to.
const WAITING_OPS: usize = 1_024;

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Gives audit leaves their time, and the first incarnation its number.
    pub now: Now,
    /// Called when the process must not go on; the default logs and aborts.
    pub end_process: EndProcess,
    /// Bytes set aside for when the disk is full; 0: none.
    pub ballast_bytes: u64,
    /// Connections that read.
    pub readers: u32,
    /// Settings of the write connection for tests.
    #[cfg(test)]
    pub pragmas: Vec<(&'static str, String)>,
}

impl Options {
    /// The settings of a node.
    pub fn new(now: Now) -> Self {
        Self {
            now,
            end_process: Arc::new(|why| {
                tracing::error!(why, "the process ends, so that nothing is built on what may be lost");
                std::process::abort()
            }),
            ballast_bytes: 64 << 20,
            readers: 4,
            #[cfg(test)]
            pragmas: Vec::new(),
        }
    }

    fn pragmas(&self) -> Vec<(&'static str, String)> {
        #[cfg(test)]
        return self.pragmas.clone();
        #[cfg(not(test))]
        Vec::new()
    }
}

/// The store on SQLite. Dropping it without `close` is what a kill does, except that taken writes are finished first.
pub struct SqliteStore {
    dir: PathBuf,
    incarnation: Arc<AtomicU64>,
    commands: Option<mpsc::Sender<Command>>,
    readers: SqlitePool,
    keys: Arc<KeyStore>,
    unreadable: Arc<UnreadableRows>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// A test's folder, which goes with the store.
    #[cfg(any(test, feature = "samples"))]
    pub(crate) folder: Option<tempfile::TempDir>,
}

impl SqliteStore {
    /// Opens the store in a data directory, making its files and its first incarnation if there are none.
    ///
    /// # Errors
    /// `STORAGE_TOO_OLD`, `DATA_NEWER`; `Damaged` when a file does not hold together; `Failed` otherwise.
    pub async fn open(dir: &Path, options: Options) -> Result<Self> {
        let io = |e: std::io::Error| Error::Failed(Box::new(e));
        std::fs::create_dir_all(dir).map_err(io)?;
        if dir.join(RESTORING_FILE).exists() {
            return Err(Error::Damaged("a restore was not finished: run it again"));
        }
        make_room_to_start(dir);
        let file = dir.join(STORE_FILE);
        schema::create_private(&file).map_err(io)?;
        let mut conn = schema::connect_writing(&file, &options.pragmas()).await?;
        data_version::migrate_store(&mut conn).await?;
        begin(&mut conn, &options).await?;
        let unreadable = Arc::<UnreadableRows>::default();
        let state = State::load(&mut conn, &unreadable).await?;
        let incarnation = Arc::new(AtomicU64::new(state.incarnation.0));
        let keys = KeyStore::open(dir, state.slot, options.end_process.clone()).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(options.readers)
            .min_connections(1)
            .acquire_timeout(Duration::from_secs(5))
            .test_before_acquire(false)
            .idle_timeout(Duration::from_secs(600))
            .max_lifetime(None)
            .connect_with(schema::reading(&file))
            .await
            .map_err(failed)?;
        let writer = Writer {
            file,
            pragmas: options.pragmas(),
            incarnation: incarnation.clone(),
            now: options.now,
            end_process: options.end_process,
            keys: keys.clone(),
            unreadable: unreadable.clone(),
            ballast: ballast::Ballast::new(dir, options.ballast_bytes),
            salts: salts::SaltCache::default(),
            script: script::Script::default(),
            open: Some((conn, state)),
        };
        let (commands, received) = mpsc::channel(WAITING_OPS);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io)?;
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || runtime.block_on(writer.serve(received)))
            .map_err(io)?;
        let thread = Mutex::new(Some(thread));
        Ok(Self {
            dir: dir.to_owned(),
            incarnation,
            commands: Some(commands),
            readers,
            keys,
            unreadable,
            thread,
            #[cfg(any(test, feature = "samples"))]
            folder: None,
        })
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `keys.db`.
    pub fn keys(&self) -> &Arc<KeyStore> {
        &self.keys
    }

    /// Sends a command to the writer and waits for its answer.
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T> {
        let stopping = || Error::Refused(Reason::NodeStopping);
        let (reply, answer) = oneshot::channel();
        let commands = self.commands.as_ref().ok_or_else(stopping)?;
        commands.send(command(reply)).await.map_err(|_| stopping())?;
        // The writer's thread is gone: it was taken, and nobody knows how far it came.
        answer.await.map_err(|_| Error::OutcomeUnknown(None))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.commands = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.join().ok();
        }
    }
}

/// The first incarnation, if the file has none yet.
async fn begin(conn: &mut SqliteConnection, options: &Options) -> Result<()> {
    if state::stored_incarnation(&mut *conn).await?.is_some() {
        return Ok(());
    }
    let first = u64::try_from((options.now)().0).unwrap_or(0).max(1);
    let args = Args::new().with(Named::Incarnation.name()).with(first.to_be_bytes().as_slice());
    db::run(conn, &statements::META_PUT, args).await.map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod tests;
