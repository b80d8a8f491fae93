//! A folder for what lies open for a moment: the parts of a backup before they are sealed, and after they were opened.
//!
//! It is in the data directory, which holds the same in the open anyway, so that nothing leaves it unsealed. It is erased when its
//! user lets go, and by whoever comes next when that one was killed: the next backup, restore, or start of the node.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::failure::CommandFailure;
use super::owner::{self, Owner};
use crate::domain::reason::Reason;

const FOLDER: &str = "scratch";
const LOCK: &str = "scratch.lock";

/// The folder, empty and this process's own until it is dropped.
pub struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// # Errors
    /// `DATA_DIR_IN_USE` while another backup, restore or drill has it; when files cannot be made.
    pub fn take(data_dir: &Path) -> Result<Self, CommandFailure> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)
            .map_err(|e| CommandFailure::file(data_dir, &e))?;
        let lock = lock(data_dir)?.ok_or_else(|| {
            let failure = CommandFailure::new(Reason::DataDirInUse).fact("directory", data_dir.display().to_string());
            failure.about("a backup, a restore or a drill is under way").remedy("wait until it has ended")
        })?;
        let path = data_dir.join(FOLDER);
        erase(&path)?;
        DirBuilder::new().mode(0o700).create(&path).map_err(|e| CommandFailure::file(&path, &e))?;
        // The lock stays, whatever becomes of the command that root runs.
        let given = Owner::of(data_dir).and_then(|owner| {
            owner::give(&data_dir.join(LOCK), owner)?;
            owner::give(&path, owner)
        });
        given.map_err(|e| CommandFailure::file(data_dir, &e))?;
        Ok(Self { path, _lock: lock })
    }

    /// Erases what one left that was killed.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn sweep(data_dir: &Path) -> Result<(), CommandFailure> {
        let path = data_dir.join(FOLDER);
        if !path.exists() {
            return Ok(());
        }
        // Somebody who has it now erases it when done.
        lock(data_dir)?.map_or(Ok(()), |_lock| erase(&path))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Empties it for the next try.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn empty(&self) -> Result<(), CommandFailure> {
        erase(&self.path)?;
        DirBuilder::new().mode(0o700).create(&self.path).map_err(|e| CommandFailure::file(&self.path, &e))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(failure) = erase(&self.path) {
            eprint!("{failure}");
        }
    }
}

fn lock(data_dir: &Path) -> Result<Option<File>, CommandFailure> {
    let name = data_dir.join(LOCK);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let lock = options.open(&name).map_err(|e| CommandFailure::file(&name, &e))?;
    Ok(flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(lock))
}

fn erase(path: &Path) -> Result<(), CommandFailure> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(CommandFailure::file(path, &e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_open_is_erased_by_its_user_or_by_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let open = |scratch: &Scratch| {
            std::fs::write(scratch.path().join("open"), "open").unwrap();
            scratch.path().join("open")
        };
        let scratch = Scratch::take(dir.path()).unwrap();
        let left = open(&scratch);
        assert_eq!(Scratch::take(dir.path()).err().unwrap().reason(), Reason::DataDirInUse);
        Scratch::sweep(dir.path()).unwrap();
        assert!(left.exists(), "it is in use");
        drop(scratch);
        assert!(!left.exists());
        for next in [|dir: &Path| drop(Scratch::take(dir).unwrap()), |dir: &Path| Scratch::sweep(dir).unwrap()] {
            // As a process leaves it that is killed: its lock ends with it, its folder does not.
            std::fs::create_dir_all(left.parent().unwrap()).unwrap();
            std::fs::write(&left, "open").unwrap();
            next(dir.path());
            assert!(!left.exists());
        }
    }
}
