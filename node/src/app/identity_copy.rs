//! What a node is, beside the backup of what it holds: keys, certificate, genesis, register, where others were reached. Never the key of `keys.db` (9.9).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::directory;
use crate::domain::ids::KeyId;
use crate::wire::keys::SigningKey;

/// Each file, and whether there can be none without it. The authority's key last: where it is, the others are.
const FILES: &[(&str, bool)] = &[
    ("tls.key", true),
    ("tls.crt", true),
    (super::genesis::FILE, false),
    (super::contacts::FILE, false),
    (crate::transport::crosses::FILE, false),
    (crate::transport::local_ca::CERTIFICATE, false),
    (crate::transport::local_ca::KEY, false),
    (super::recipient::FILE, false),
    ("authority.key", true),
];

const ENDING: &str = "identity";

/// The folder beside a backup.
pub fn beside(backup: &Path) -> PathBuf {
    backup.with_extension(ENDING)
}

/// The names of all that such a folder may hold.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name).chain([directory::FILE])
}

/// The id of the authority's key in such a folder; `None`: there is none.
pub fn key(folder: &Path) -> Option<KeyId> {
    let pkcs8 = zeroize::Zeroizing::new(fs::read(folder.join("authority.key")).ok()?);
    SigningKey::from_pkcs8(&pkcs8).map(|key| key.public().id())
}

/// Copies from a data directory, durably: under its name the folder is whole. `register`: a copy of the register that nobody has
/// open; the node's own file cannot be copied while it runs.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write(data_dir: &Path, to: &Path, register: Option<&Path>) -> io::Result<()> {
    let part = to.with_added_extension("part");
    match fs::remove_dir_all(&part) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    if let Some(register) = register {
        DirBuilder::new().mode(0o700).create(&part)?;
        place_register(register, &part)?;
    }
    copy(data_dir, &part)?;
    fs::rename(&part, to)?;
    File::open(to.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Whether a folder has all that a node cannot be without.
pub fn is_whole(folder: &Path) -> bool {
    FILES.iter().all(|(name, needed)| !needed || folder.join(name).exists()) && key(folder).is_some()
}

/// Copies into a data directory that has lost them, durably. Nothing there is overwritten; what an earlier call copied is
/// taken as it is, so that a call which was cut off can be made again.
///
/// # Errors
/// When a file cannot be read or written, or another one stands in its place.
pub fn read(from: &Path, data_dir: &Path) -> io::Result<()> {
    read_register(from, data_dir)?;
    copy(from, data_dir)
}

/// Copies the register into a data directory that has lost it. One that is here is as new or newer, and stays.
///
/// # Errors
/// When it cannot be read or written.
pub fn read_register(from: &Path, data_dir: &Path) -> io::Result<()> {
    let register = from.join(directory::FILE);
    if register.exists() && !data_dir.join(directory::FILE).exists() {
        place_register(&register, data_dir)?;
    }
    Ok(())
}

/// Copies what is missing in a data directory, and leaves alone what is there. Of a certificate and its key one alone is of no
/// use: both come then.
///
/// # Errors
/// As `read`.
pub fn read_missing(from: &Path, data_dir: &Path) -> io::Result<()> {
    let here = |name: &str| data_dir.join(name).exists();
    let pair = here("tls.key") && here("tls.crt");
    for (name, _) in FILES {
        let of_pair = matches!(*name, "tls.key" | "tls.crt");
        if of_pair && !pair && here(name) {
            fs::remove_file(data_dir.join(name))?;
        }
        if !here(name) && from.join(name).exists() {
            place(&data_dir.join(name), &zeroize::Zeroizing::new(fs::read(from.join(name))?))?;
        }
    }
    File::open(data_dir)?.sync_all()
}

/// Under its name the register is whole, like all else; it may be large.
fn place_register(register: &Path, folder: &Path) -> io::Result<()> {
    let place = folder.join(directory::FILE);
    let part = place.with_added_extension("part");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&part)?;
    io::copy(&mut File::open(register)?, &mut file)?;
    file.sync_all()?;
    fs::rename(&part, &place)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    for (name, needed) in FILES {
        // A recovery key that was made since is the one that lies in the safe now.
        if *name == super::recipient::FILE && to.join(name).exists() {
            continue;
        }
        let bytes = match fs::read(from.join(name)) {
            Ok(bytes) => zeroize::Zeroizing::new(bytes),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !needed => continue,
            Err(e) => return Err(e),
        };
        place(&to.join(name), &bytes)?;
    }
    File::open(to)?.sync_all()
}

/// Under its name a file is whole: a copy that was cut off has another one.
fn place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::read(path).map(zeroize::Zeroizing::new) {
        Ok(there) if there.as_slice() == bytes => return Ok(()),
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let part = path.with_added_extension("part");
    match fs::remove_file(&part) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_copied_comes_back_and_overwrites_nothing() {
        let root = tempfile::tempdir().unwrap();
        let (data, other) = (root.path().join("data"), root.path().join("other"));
        fs::create_dir(&data).unwrap();
        for name in ["authority.key", "tls.key", "tls.crt", "node.key"] {
            fs::write(data.join(name), name).unwrap();
        }
        let backup = root.path().join("havenlink-7.backup");
        write(&data, &beside(&backup), None).unwrap();
        assert!(!beside(&backup).join("node.key").exists());
        read(&beside(&backup), &other).unwrap();
        assert_eq!(fs::read(other.join("tls.key")).unwrap(), b"tls.key");
        fs::write(other.join("tls.key"), "of somebody else").unwrap();
        assert!(read(&beside(&backup), &other).is_err());
        assert_eq!(fs::read(other.join("tls.key")).unwrap(), b"of somebody else");
    }

    #[test]
    fn a_copy_that_was_cut_off_anywhere_is_made_again() {
        let root = tempfile::tempdir().unwrap();
        let from = root.path().join("havenlink-7.identity");
        fs::create_dir(&from).unwrap();
        for (name, _) in FILES {
            fs::write(from.join(name), name).unwrap();
        }
        for done in 0..=FILES.len() {
            let to = root.path().join(done.to_string());
            fs::create_dir(&to).unwrap();
            for (name, _) in &FILES[..done] {
                fs::write(to.join(name), name).unwrap();
            }
            if let Some((half, _)) = FILES.get(done) {
                fs::write(to.join(half).with_added_extension("part"), "ha").unwrap();
                assert!(!to.join("authority.key").exists(), "it tells that the others are there");
            }
            read(&from, &to).unwrap();
            for (name, _) in FILES {
                assert_eq!(fs::read(to.join(name)).unwrap(), name.as_bytes(), "{name} after {done}");
            }
            assert_eq!(fs::read_dir(&to).unwrap().count(), FILES.len(), "nothing else is left");
        }
    }
}
