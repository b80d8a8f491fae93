//! The data directory: who may use it, and the keys in it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::failure::CommandFailure;
use crate::domain::reason::Reason;
use crate::wire::keys::SigningKey;

/// A data directory that this process holds.
pub struct DataDir {
    path: PathBuf,
    // Held until the process ends, whatever ends it.
    _lock: File,
}

const AUTHORITY_KEY: &str = "authority.key";
const LOST_KEY: &str = "authority.lost.key";

impl DataDir {
    /// Takes the directory, and makes it where there is none.
    ///
    /// # Errors
    /// `DATA_DIR_IN_USE` when another process holds it.
    pub fn take(path: &Path) -> Result<Self, CommandFailure> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| CommandFailure::file(path, &e))?;
        let name = path.join("lock");
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(&name).map_err(|e| CommandFailure::file(&name, &e))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| CommandFailure::new(Reason::DataDirInUse).fact("directory", path.display().to_string()))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether keys were made here.
    pub fn has_keys(&self) -> bool {
        self.path.join(AUTHORITY_KEY).exists()
    }

    /// The authority's key.
    ///
    /// # Errors
    /// `NOT_JOINED` when there is none, `STORAGE_DAMAGED` when it is none.
    pub fn authority_key(&self) -> Result<SigningKey, CommandFailure> {
        let path = self.path.join(AUTHORITY_KEY);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => zeroize::Zeroizing::new(bytes),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(CommandFailure::new(Reason::NotJoined).fact("directory", self.path.display().to_string()));
            }
            Err(e) => return Err(CommandFailure::file(&path, &e)),
        };
        SigningKey::from_pkcs8(&bytes)
            .ok_or_else(|| CommandFailure::new(Reason::StorageDamaged).fact("file", path.display().to_string()))
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

#[cfg(test)]
mod tests {
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
}
