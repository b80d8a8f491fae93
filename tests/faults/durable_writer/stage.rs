//! The open store and register, and the voice in which acknowledgements are said.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use havenlink::clock::SystemClock;
use havenlink::directory::durability::RegisterLog;
use havenlink::domain::ids::RecordId;
use havenlink::domain::time::UnixMs;
use havenlink::storage::sqlite::{Options, SqliteStore};

use crate::parties::Parties;

/// The register's file in a data directory.
pub const REGISTER_FILE: &str = "directory.redb";

/// What every caller shares.
pub struct Stage {
    pub store: SqliteStore,
    pub register: RegisterLog,
    pub parties: Parties,
    pub now: UnixMs,
}

impl Stage {
    /// Opens both as a node does, or makes them.
    pub async fn open(dir: &Path, ballast_bytes: u64) -> anyhow::Result<Arc<Self>> {
        let clock = SystemClock::shared();
        let now = clock.now();
        let options = Options { ballast_bytes, ..Options::new(Arc::new(move || clock.now())) };
        let store = SqliteStore::open(dir, options).await.context("opening the store")?;
        let register = RegisterLog::open(&dir.join(REGISTER_FILE)).context("opening the register's log")?;
        Ok(Arc::new(Self { store, register, parties: Parties::new(now), now }))
    }
}

/// One line, at once. Who reads may be gone: then there is nobody left to tell.
pub fn say(line: &str) {
    let line = format!("{line}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).ok();
}

/// A record's id as a UUID is written.
pub fn uuid_of(id: &RecordId) -> uuid::Uuid {
    uuid::Uuid::from_bytes(id.0)
}
