//! Stores for the tests of what stands above: real ones, in a folder that goes when they do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Now;
use crate::domain::ids::Incarnation;
use crate::domain::time::UnixMs;
use crate::sqlite::{Options, SqliteStore};

/// Memory that is a file system, where there is one: tests of what is above the store do not wait for a disk.
const MEMORY: &str = "/dev/shm";

/// A new store of this incarnation; `now` gives the audit leaves their time.
pub async fn fresh(incarnation: Incarnation, now: Now) -> SqliteStore {
    let memory = Path::new(MEMORY);
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let dir = dir.expect("a folder for a test's store can be made");
    let asked = AtomicBool::new(false);
    // The first that a new store asks the time for is the number of its first incarnation.
    let number = UnixMs(i64::try_from(incarnation.0).unwrap_or(i64::MAX));
    let time: Now = Arc::new(move || if asked.swap(true, Ordering::SeqCst) { now() } else { number });
    let options = Options { ballast_bytes: 0, end_process: Arc::new(|why| panic!("{why}")), ..Options::new(time) };
    let mut store = SqliteStore::open(dir.path(), options).await.expect("a new store opens");
    store.folder = Some(dir);
    store
}
