//! Room set aside: a file that is given up when the disk is full, so that withdrawals, suspensions and answers still
//! find place while new records are refused first (9.9).

use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

/// File of the room set aside.
pub const BALLAST_FILE: &str = "ballast";
/// With less than this free, the files of a node can perhaps not even be opened.
const ROOM_TO_START: u64 = 1 << 20;

/// Gives up the room set aside where the disk is so full that the node could not start: a node that does not start
/// recalls nothing. Called before any file of the data directory is opened.
pub fn make_room_to_start(dir: &Path) {
    let file = dir.join(BALLAST_FILE);
    if free(dir).is_some_and(|free| free < ROOM_TO_START) && std::fs::remove_file(file).is_ok() {
        tracing::error!("the disk is full: the room set aside is given up, so that the node can start");
    }
}

/// Bytes that this process may still write there.
fn free(dir: &Path) -> Option<u64> {
    rustix::fs::statvfs(dir).ok().map(|s| s.f_bavail.saturating_mul(s.f_frsize))
}

/// The file, and whether it was given up.
pub(super) struct Ballast {
    file: PathBuf,
    bytes: u64,
    pub released: bool,
}

impl Ballast {
    /// Sets the room aside, if the disk has it or it still stands from before; 0 bytes: none is wanted.
    pub fn new(dir: &Path, bytes: u64) -> Self {
        let mut ballast = Self { file: dir.join(BALLAST_FILE), bytes, released: true };
        ballast.released = !ballast.stands();
        ballast.restore();
        ballast
    }

    /// Whether the whole of it is there, whatever else the disk has.
    fn stands(&self) -> bool {
        self.bytes > 0 && std::fs::metadata(&self.file).is_ok_and(|m| m.len() >= self.bytes)
    }

    /// Gives the room up; false if that was done before.
    pub fn release(&mut self) -> bool {
        let released = !std::mem::replace(&mut self.released, true) && std::fs::remove_file(&self.file).is_ok();
        if released {
            tracing::error!("the disk is full: new records are refused, and the room set aside is given up");
        }
        released
    }

    /// Sets the room aside again when the disk has twice as much; answers whether it is set aside.
    pub fn restore(&mut self) -> bool {
        if self.released && self.has_room() && self.allocate().is_ok() {
            self.released = false;
        }
        !self.released
    }

    fn has_room(&self) -> bool {
        let there = std::fs::metadata(&self.file).map_or(0, |m| m.len());
        free(self.file.parent().unwrap_or(Path::new("."))).is_some_and(|free| free + there >= self.bytes * 2)
    }

    fn allocate(&self) -> std::io::Result<()> {
        if self.bytes == 0 {
            return Ok(());
        }
        super::schema::create_private(&self.file)?;
        let file = std::fs::OpenOptions::new().write(true).open(&self.file)?;
        if rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, self.bytes).is_err() {
            // A file system without fallocate: written out.
            std::io::copy(&mut std::io::Read::take(std::io::repeat(0x5a), self.bytes), &mut &file)?;
        }
        file.sync_all()
    }
}
