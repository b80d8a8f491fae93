//! Whose a folder is. What is written into it is given to its owner: a command that root runs leaves nothing that the
//! node's user cannot open.
//!
//! Everything is looked at through open folders, without following links, and only what this user owns itself is given: who
//! owns the folder cannot lead the command to a file elsewhere.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, fstat, open, openat};

use crate::directory;

/// A user of this machine and its group, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

impl Owner {
    /// The owner of a folder; of one that is not there yet, of the first one above it that is.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let folder = std::path::absolute(folder)?;
        for above in folder.ancestors() {
            match std::fs::metadata(above) {
                Ok(found) => return Ok(Self { uid: found.uid(), gid: found.gid() }),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }

    /// The user of this process.
    pub fn here() -> Self {
        Self { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    pub fn is_root(self) -> bool {
        self.uid == 0
    }

    /// Its name, or its number where the system has none for it.
    pub fn name(self) -> String {
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let named = users.lines().find_map(|line| {
            let mut parts = line.split(':');
            let (name, uid) = (parts.next()?, parts.nth(1)?);
            (uid.parse() == Ok(self.uid)).then(|| name.to_owned())
        });
        named.unwrap_or_else(|| self.uid.to_string())
    }
}

/// Gives an owner what root has made at a path, and below it. Nothing where this is not root, or the owner is.
///
/// # Errors
/// When something there cannot be looked at or given.
pub fn give(path: &Path, to: Owner) -> io::Result<()> {
    if !Owner::here().is_root() || to.is_root() {
        return Ok(());
    }
    // The way to it may be a link, as systemd makes one for a state directory; from there on none is followed.
    let path = match path.canonicalize() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    let opened = open(&path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    Ok(give_opened(opened.as_fd(), to)?)
}

fn give_opened(opened: BorrowedFd<'_>, to: Owner) -> rustix::io::Result<()> {
    let found = fstat(opened)?;
    let kind = kind_of(&found);
    // A file with a second name elsewhere is not one that was made here.
    if found.st_uid == 0 && (kind == FileType::Directory || kind == FileType::RegularFile && found.st_nlink == 1) {
        chownat(opened, c"", Some(Uid::from_raw(to.uid)), Some(Gid::from_raw(to.gid)), AtFlags::EMPTY_PATH)?;
    }
    if kind == FileType::Directory {
        let folder = openat(opened, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        each(&folder, |name| match entry(&folder, name)? {
            Some(inner) => give_opened(inner.as_fd(), to),
            None => Ok(()),
        })?;
    }
    Ok(())
}

fn kind_of(found: &Stat) -> FileType {
    FileType::from_raw_mode(found.st_mode)
}

fn entry(folder: &OwnedFd, name: &CStr) -> rustix::io::Result<Option<OwnedFd>> {
    match openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(opened) => Ok(Some(opened)),
        // A running node removes files.
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

fn each(folder: &OwnedFd, mut look: impl FnMut(&CStr) -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            look(entry.file_name())?;
        }
    }
    Ok(())
}

/// The files and folders below this one that its owner cannot use as a node does, because another user owns them, or their
/// mode says so.
///
/// # Errors
/// When the folder cannot be looked through.
pub fn not_openable(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let owner = Owner::of(folder)?;
    let opened = open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut found = Vec::new();
    look(&opened, folder, owner, &mut found)?;
    Ok(found)
}

fn look(folder: &OwnedFd, path: &Path, owner: Owner, found: &mut Vec<PathBuf>) -> rustix::io::Result<()> {
    each(folder, |name| {
        let Some(opened) = entry(folder, name)? else { return Ok(()) };
        let stat = fstat(&opened)?;
        let path = path.join(OsStr::from_bytes(name.to_bytes()));
        let kind = kind_of(&stat);
        if kind == FileType::Symlink {
            return Ok(());
        }
        if !may(owner, &stat, needed(&path, kind)) {
            found.push(path);
        } else if kind == FileType::Directory {
            let inner = openat(&opened, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            look(&inner, &path, owner, found)?;
        }
        Ok(())
    })
}

/// Files that are written where they stand; all others are read, and replaced by a rename.
const WRITTEN: &[&str] = &["db", "db-wal", "db-shm"];

/// What a node does with it, as one digit of a mode.
fn needed(path: &Path, kind: FileType) -> u32 {
    match path.extension().and_then(OsStr::to_str) {
        _ if kind == FileType::Directory => 0o7,
        Some(ending) if WRITTEN.contains(&ending) => 0o6,
        _ if path.file_name().is_some_and(|name| name == "lock" || name == directory::FILE) => 0o6,
        _ => 0o4,
    }
}

/// Whether a user may do this with what has this owner and mode.
fn may(user: Owner, stat: &Stat, needed: u32) -> bool {
    let digit = match (stat.st_uid == user.uid, stat.st_gid == user.gid) {
        (true, _) => stat.st_mode >> 6,
        (false, true) => stat.st_mode >> 3,
        (false, false) => stat.st_mode,
    };
    user.is_root() || digit & needed == needed
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NODE: Owner = Owner { uid: 54_321, gid: 54_322 };

    /// Names it past the capture of the test runner, and says whether this is root.
    fn root_or_skipped(what: &str) -> bool {
        let root = Owner::here().is_root();
        if !root {
            let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("\nskipped: {what}: needs root\n"));
        }
        root
    }

    #[test]
    fn what_root_made_is_the_folders_owners_and_nothing_beyond_a_link_is() {
        if !root_or_skipped("owner: what_root_made_is_the_folders_owners") {
            return;
        }
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = root.path().join("data");
        std::fs::create_dir_all(folder.join("deep/er")).unwrap();
        std::os::unix::fs::chown(&folder, Some(NODE.uid), Some(NODE.gid)).unwrap();
        for (name, mode) in [("one", 0o600), ("deep/er/two", 0o600), ("read", 0o644), ("store.db", 0o644)] {
            std::fs::write(folder.join(name), name).unwrap();
            std::fs::set_permissions(folder.join(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        let (secret, twice) = (elsewhere.path().join("secret"), elsewhere.path().join("twice"));
        std::fs::write(&secret, "root's").unwrap();
        std::fs::write(&twice, "root's").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.join("link")).unwrap();
        std::fs::hard_link(&twice, folder.join("hard")).unwrap();
        assert_eq!(Owner::of(&folder).unwrap(), NODE);
        assert_eq!(Owner::of(&folder.join("not/there")).unwrap(), NODE);
        let mut wrong = not_openable(&folder).unwrap();
        wrong.sort();
        assert_eq!(wrong, ["deep", "one", "store.db"].map(|name| folder.join(name)));
        give(&folder, NODE).unwrap();
        for name in ["one", "store.db", "deep", "deep/er", "deep/er/two"] {
            assert_eq!(Owner::of(&folder.join(name)).unwrap(), NODE, "{name}");
        }
        for path in [&secret, &twice] {
            assert!(Owner::of(path).unwrap().is_root(), "{}", path.display());
        }
        give(&folder, Owner { uid: 0, gid: 0 }).unwrap();
        assert_eq!(Owner::of(&folder.join("one")).unwrap(), NODE, "root's folder takes nothing from others");
    }

    #[test]
    fn a_user_has_a_name_or_a_number() {
        assert_eq!(Owner { uid: 0, gid: 0 }.name(), "root");
        assert_eq!(Owner { uid: 54_321, gid: 0 }.name(), "54321");
    }
}
