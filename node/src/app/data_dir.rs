//! The data directory: who may use it, and the keys in it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::failure::CommandFailure;
use super::owner::{self, Owner};
use super::scratch::Scratch;
use crate::domain::reason::Reason;
use crate::storage::backup;
use crate::transport::local_ca;
use crate::wire::keys::SigningKey;

/// A data directory that this process holds. What root writes there is given to the directory's owner when it lets go, and
/// what an earlier command left when it takes hold.
pub struct DataDir {
    path: PathBuf,
    owner: Owner,
    // Held until the process ends, whatever ends it.
    _lock: File,
}

const AUTHORITY_KEY: &str = "authority.key";
const LOST_KEY: &str = "authority.lost.key";

impl DataDir {
    /// Takes the directory, and makes it where there is none.
    ///
    /// # Errors
    /// `DATA_DIR_IN_USE` when another process holds it, `WRONG_USER` when another user owns it and this is not root.
    pub fn take(path: &Path) -> Result<Self, CommandFailure> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| CommandFailure::file(path, &e))?;
        let owner = Owner::of(path).map_err(|e| CommandFailure::file(path, &e))?;
        of_ours(path, owner)?;
        let name = path.join("lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(&name).map_err(|e| CommandFailure::file(&name, &e))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| CommandFailure::new(Reason::DataDirInUse).fact("directory", path.display().to_string()))?;
        owner::give(path, owner).map_err(|e| CommandFailure::file(path, &e))?;
        Ok(Self { path: path.to_owned(), owner, _lock: lock })
    }

    /// Takes the directory for as long as a node runs: as its owner, and with nothing in it that the owner cannot open.
    ///
    /// # Errors
    /// As `take`; `WRONG_USER` also for root, and with the files that belong to another user.
    pub fn take_to_run(path: &Path) -> Result<Self, CommandFailure> {
        let data = Self::take(path)?;
        if Owner::here().uid != data.owner.uid {
            return Err(of_another(path, data.owner).remedy("systemctl start havenlink, which runs as that user"));
        }
        openable(path)?;
        Scratch::sweep(path)?;
        Ok(data)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives what was written since it was taken to the directory's owner: for a process that goes on holding it.
    ///
    /// # Errors
    /// When something there cannot be given.
    pub fn give(&self) -> Result<(), CommandFailure> {
        owner::give(&self.path, self.owner).map_err(|e| CommandFailure::file(&self.path, &e))
    }

    /// Whether keys were made here.
    pub fn has_keys(&self) -> bool {
        self.path.join(AUTHORITY_KEY).exists()
    }

    /// Whether the authority's key is here, and is none: a disk that wrote something else there.
    pub fn key_is_damaged(&self) -> bool {
        self.authority_key().is_err_and(|failure| failure.reason() == Reason::StorageDamaged)
    }

    /// The authority's key.
    ///
    /// # Errors
    /// `NOT_JOINED` when nothing is there, `AUTHORITY_KEY_LOST` when it alone is not, `STORAGE_DAMAGED` when it is none.
    pub fn authority_key(&self) -> Result<SigningKey, CommandFailure> {
        authority_key(&self.path)
    }

    /// Makes the authority's key, durable when this returns.
    ///
    /// # Errors
    /// `ALREADY_JOINED` when there is one: it is never overwritten.
    pub fn make_authority_key(&self) -> Result<SigningKey, CommandFailure> {
        let path = self.path.join(AUTHORITY_KEY);
        let random = |_| CommandFailure::new(Reason::Internal).about("the system gives no randomness");
        let pkcs8 = SigningKey::generate().map_err(random)?;
        let failed = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::AlreadyExists => CommandFailure::new(Reason::AlreadyJoined),
            _ => CommandFailure::file(&path, &e),
        };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        // Backups that were made here before hold another key.
        backup::forget_sealed(&self.path);
        file.write_all(&pkcs8).and_then(|()| file.sync_all()).map_err(failed)?;
        File::open(&self.path).and_then(|d| d.sync_all()).map_err(failed)?;
        SigningKey::from_pkcs8(&pkcs8).ok_or_else(|| CommandFailure::new(Reason::Internal))
    }

    /// Puts the authority's key aside: the stewards replace it. One that was put aside before stays: this one may be the
    /// key of an attempt that a crash cut short, and that one the key that partners know.
    ///
    /// # Errors
    /// When the file cannot be renamed.
    pub fn retire_authority_key(&self) -> Result<(), CommandFailure> {
        let path = self.path.join(AUTHORITY_KEY);
        let names = std::iter::once(LOST_KEY.to_owned()).chain((2_u32..).map(|n| format!("authority.lost.{n}.key")));
        let free = names.map(|name| self.path.join(name)).find(|aside| !aside.exists());
        let Some(aside) = free else { return Err(CommandFailure::new(Reason::StorageFailed)) };
        let renamed = std::fs::rename(&path, aside);
        renamed.and_then(|()| File::open(&self.path)?.sync_all()).map_err(|e| CommandFailure::file(&path, &e))
    }

    /// Removes keys of an `init` or `join` that did not come to its end. The node key stays where it has sealed something:
    /// without it `keys.db` could never be read again (9.9).
    pub fn forget_keys(&self) {
        let sealed = self.path.join("keys.db").exists();
        let names = [AUTHORITY_KEY, "tls.key", "tls.crt"].into_iter().chain((!sealed).then_some("node.key"));
        for name in names {
            let _ = std::fs::remove_file(self.path.join(name));
        }
    }
}

/// The authority's key in a data directory, which may be another process's.
///
/// # Errors
/// As `DataDir::authority_key`.
pub fn authority_key(path: &Path) -> Result<SigningKey, CommandFailure> {
    let file = path.join(AUTHORITY_KEY);
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => zeroize::Zeroizing::new(bytes),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(no_key(path)),
        Err(e) => return Err(CommandFailure::file(&file, &e)),
    };
    SigningKey::from_pkcs8(&bytes)
        .ok_or_else(|| CommandFailure::new(Reason::StorageDamaged).fact("file", file.display().to_string()))
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if let Err(failure) = self.give() {
            eprint!("{failure}");
        }
    }
}

/// Whether this user may work on a data directory: its owner, and root.
///
/// # Errors
/// `WRONG_USER`.
pub fn of_ours(path: &Path, owner: Owner) -> Result<(), CommandFailure> {
    let here = Owner::here();
    if here.is_root() || here.uid == owner.uid { Ok(()) } else { Err(of_another(path, owner)) }
}

fn of_another(path: &Path, owner: Owner) -> CommandFailure {
    let failure = CommandFailure::new(Reason::WrongUser).fact("directory", path.display().to_string());
    let failure = failure.fact("owner", owner.name()).fact("this user", Owner::here().name());
    failure.remedy(format!("sudo -u {} havenlink, with the same words behind it", owner.name()))
}

/// Whether the owner of a data directory can open all that stands in it, and nobody else its keys.
///
/// # Errors
/// `WRONG_USER` with the files that it cannot, `OPEN_TO_OTHERS` with the first that others can.
pub fn openable(path: &Path) -> Result<(), CommandFailure> {
    private(path)?;
    let owner = Owner::of(path).map_err(|e| CommandFailure::file(path, &e))?;
    let wrong = owner::not_openable(path).map_err(|e| CommandFailure::file(path, &e))?;
    if wrong.is_empty() {
        return Ok(());
    }
    let failure = CommandFailure::new(Reason::WrongUser).fact("owner", owner.name());
    let failure = wrong.iter().take(4).fold(failure, |failure, file| failure.fact("file", file.display().to_string()));
    let place = path.display();
    Err(failure.remedy(format!("sudo chown -R {}:{} {place} && sudo chmod -R u+rwX {place}", owner.uid, owner.gid)))
}

/// Keys that their owner alone reads.
const KEYS: [&str; 4] = [AUTHORITY_KEY, "tls.key", "node.key", local_ca::KEY];

/// Whether others of this machine can read a key, or put a file in place of one.
///
/// # Errors
/// `OPEN_TO_OTHERS` with the command that shuts it.
fn private(path: &Path) -> Result<(), CommandFailure> {
    let refused = |file: &Path, mode: &str| {
        let failure = CommandFailure::new(Reason::OpenToOthers).fact("file", file.display().to_string());
        Err(failure.remedy(format!("chmod {mode} {}", file.display())))
    };
    if is_open(path, WRITTEN_BY_OTHERS) {
        return refused(path, "700");
    }
    key_open_to_others(path).map_or(Ok(()), |key| refused(&path.join(key), "600"))
}

/// The first key of a data directory that others of this machine can open.
pub fn key_open_to_others(path: &Path) -> Option<&'static str> {
    KEYS.into_iter().find(|key| is_open(&path.join(key), OPENED_BY_OTHERS))
}

fn is_open(file: &Path, bits: u32) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.permissions().mode() & bits != 0)
}

/// Bits of a mode: group or others may write; they may do anything.
pub const WRITTEN_BY_OTHERS: u32 = 0o022;
const OPENED_BY_OTHERS: u32 = 0o077;

/// Why a directory without an authority's key is no node's: nothing is there, its key is lost, or this user may not look.
pub fn no_key(path: &Path) -> CommandFailure {
    let failure = match path.join(AUTHORITY_KEY).metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => match Owner::of(path) {
            Ok(owner) => return of_another(path, owner),
            Err(e) => return CommandFailure::file(path, &e),
        },
        _ if TRACES.iter().any(|name| path.join(name).exists()) => CommandFailure::new(Reason::AuthorityKeyLost),
        _ => CommandFailure::new(Reason::NotJoined),
    };
    failure.fact("directory", path.display().to_string())
}

/// Only a node that ran, or is being restored, has these.
const TRACES: &[&str] = &[
    crate::storage::sqlite::STORE_FILE,
    crate::storage::sqlite::RESTORING_FILE,
    crate::storage::sqlite::keys::KEYS_FILE,
];

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn one_process_and_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let held = DataDir::take(&path).unwrap();
        assert_eq!(DataDir::take(&path).err().unwrap().reason(), Reason::DataDirInUse);
        assert_eq!(held.authority_key().err().unwrap().reason(), Reason::NotJoined);
        let made = held.make_authority_key().unwrap();
        assert!(held.authority_key().unwrap().public() == made.public());
        assert_eq!(held.make_authority_key().err().unwrap().reason(), Reason::AlreadyJoined);
        drop(held);
        assert!(DataDir::take(&path).unwrap().has_keys());
    }

    #[test]
    fn not_joined_is_said_only_where_there_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(no_key(&dir.path().join("nowhere")).reason(), Reason::NotJoined);
        let held = DataDir::take(dir.path()).unwrap();
        assert_eq!(held.authority_key().err().unwrap().reason(), Reason::NotJoined);
        for name in TRACES {
            std::fs::write(dir.path().join(name), "").unwrap();
            assert_eq!(held.authority_key().err().unwrap().reason(), Reason::AuthorityKeyLost, "{name}");
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
    }

    #[test]
    fn the_key_of_what_is_sealed_is_never_removed() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::take(&dir.path().join("data")).unwrap();
        let node_key = held.path().join("node.key");
        for (sealed, kept) in [(true, true), (false, false)] {
            held.make_authority_key().unwrap();
            std::fs::write(&node_key, "key").unwrap();
            match sealed {
                true => std::fs::write(held.path().join("keys.db"), "sealed").unwrap(),
                false => std::fs::remove_file(held.path().join("keys.db")).unwrap(),
            }
            held.forget_keys();
            assert_eq!((held.has_keys(), node_key.exists()), (false, kept));
        }
    }

    #[test]
    fn a_key_put_aside_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::take(&dir.path().join("data")).unwrap();
        let mut made = Vec::new();
        for name in [LOST_KEY, "authority.lost.2.key", "authority.lost.3.key"] {
            made.push((name, held.make_authority_key().unwrap().public()));
            held.retire_authority_key().unwrap();
            assert!(!held.has_keys());
        }
        for (name, key) in made {
            let kept = SigningKey::from_pkcs8(&std::fs::read(held.path().join(name)).unwrap()).unwrap();
            assert!(kept.public() == key, "{name}");
        }
    }

    #[test]
    fn what_others_can_read_or_replace_is_refused_with_the_command_that_shuts_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data");
        let data = DataDir::take(&dir).unwrap();
        data.make_authority_key().unwrap();
        openable(&dir).unwrap();
        let key = dir.join(AUTHORITY_KEY);
        for (file, mode, right) in [(&key, 0o644, 0o600), (&key, 0o640, 0o600), (&dir, 0o777, 0o700)] {
            std::fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
            let refused = openable(&dir).unwrap_err();
            assert_eq!(refused.reason(), Reason::OpenToOthers, "{mode:o}");
            std::fs::set_permissions(file, Permissions::from_mode(right)).unwrap();
            openable(&dir).unwrap();
        }
        let run = root.path().join("run");
        crate::app::listeners::make_run_dir(&run).unwrap();
        std::fs::set_permissions(&run, Permissions::from_mode(0o777)).unwrap();
        assert_eq!(crate::app::listeners::make_run_dir(&run).unwrap_err().reason(), Reason::OpenToOthers);
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&dir, &link).unwrap();
        assert_eq!(crate::app::listeners::make_run_dir(&link).unwrap_err().reason(), Reason::OpenToOthers);
    }
}
