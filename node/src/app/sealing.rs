//! A sealed backup: one file in the age format, and in it a tar archive of exactly what an unsealed backup is.
//!
//! So `age --decrypt` and `tar` open it where this program is not at hand. Nothing of it is readable, nor its parts to be told apart,
//! without the secret half of the recovery key. Whoever knows the public half can make one: what comes out of it is judged like
//! any other backup, and only names that a backup has are taken.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use age::x25519::{Identity, Recipient};

use super::failure::CommandFailure;
use super::identity_copy;
use crate::domain::reason::Reason;
use crate::storage::identity::BACKUP_ENDING;

/// How each file in this format begins.
const BEGINNING: &[u8] = b"age-encryption.org/";

/// Whether a file is a sealed one, by its beginning.
pub fn is_sealed(file: &Path) -> bool {
    let mut begins = [0; BEGINNING.len()];
    File::open(file).and_then(|mut file| file.read_exact(&mut begins)).is_ok() && begins == *BEGINNING
}

/// Seals an unsealed backup and the folder beside it into a file, which has its name when it is whole and on the disk.
///
/// # Errors
/// When something cannot be read or written; nothing of the file is left then.
pub fn seal(backup: &Path, recipient: &Recipient, to: &Path) -> io::Result<()> {
    let part = to.with_extension("part");
    let sealed = write(backup, recipient, &part).and_then(|()| std::fs::rename(&part, to));
    if sealed.is_err() {
        std::fs::remove_file(&part).ok();
    }
    sealed?;
    File::open(to.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn write(backup: &Path, recipient: &Recipient, part: &Path) -> io::Result<()> {
    std::fs::remove_file(part).ok();
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
    let encryptor =
        age::Encryptor::with_recipients(std::iter::once(recipient as &dyn age::Recipient)).map_err(io::Error::other)?;
    let mut archive = tar::Builder::new(encryptor.wrap_output(BufWriter::new(file))?);
    // The keys first, as they are read first.
    let beside = identity_copy::beside(backup);
    for name in identity_copy::names().filter(|name| beside.join(name).exists()) {
        put(&mut archive, &beside.join(name), &Path::new(last(&beside)).join(name))?;
    }
    put(&mut archive, backup, Path::new(last(backup)))?;
    let file = archive.into_inner()?.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()
}

fn put(archive: &mut tar::Builder<impl io::Write>, from: &Path, name: &Path) -> io::Result<()> {
    let mut file = File::open(from)?;
    let mut header = tar::Header::new_gnu();
    header.set_size(file.metadata()?.len());
    header.set_mode(0o600);
    archive.append_data(&mut header, name, &mut file)
}

fn last(path: &Path) -> &std::ffi::OsStr {
    path.file_name().unwrap_or_default()
}

/// Opens a sealed backup into a folder, as the unsealed one that it was, and gives its file there.
///
/// # Errors
/// `RECOVERY_KEY_WRONG`; `BACKUP_INVALID` when it is not whole, down to its last bit, or holds what no backup does;
/// `STORAGE_FULL` and `STORAGE_FAILED` when what comes out of it cannot be written, which says nothing about it.
pub fn open(sealed: &Path, identities: &[Identity], folder: &Path) -> Result<PathBuf, CommandFailure> {
    let file = File::open(sealed).map_err(|e| CommandFailure::file(sealed, &e))?;
    let decryptor = age::Decryptor::new_buffered(BufReader::new(file)).map_err(|e| refused(sealed, &e))?;
    let identities = identities.iter().map(|identity| identity as &dyn age::Identity);
    let reader = decryptor.decrypt(identities).map_err(|e| refused(sealed, &e))?;
    let mut archive = tar::Archive::new(reader);
    let mut backup = None;
    for entry in archive.entries().map_err(|e| broken(sealed, &e))? {
        let mut entry = entry.map_err(|e| broken(sealed, &e))?;
        let name = entry.path().map_err(|e| broken(sealed, &e))?.into_owned();
        let place = place(&name).filter(|_| entry.header().entry_type().is_file());
        let place = place.map(|place| folder.join(place)).ok_or_else(|| {
            CommandFailure::new(Reason::BackupInvalid)
                .fact("file", sealed.display().to_string())
                .about("a part of no backup")
        })?;
        take(&mut entry, &place, sealed)?;
        if place.extension().is_some_and(|ending| ending == BACKUP_ENDING) {
            backup = Some(place);
        }
    }
    // Only its last piece says that nothing was cut off behind it.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|e| broken(sealed, &e))?;
    backup.ok_or_else(|| broken(sealed, &io::ErrorKind::UnexpectedEof.into()))
}

/// Where a part goes below the folder; `None` for a name that no part of a backup has.
fn place(name: &Path) -> Option<PathBuf> {
    let parts: Vec<_> = name.components().collect();
    let known = match parts[..] {
        [Component::Normal(file)] => Path::new(file).extension()? == BACKUP_ENDING,
        [Component::Normal(folder), Component::Normal(file)] => {
            Path::new(folder) == identity_copy::beside(Path::new(folder))
                && identity_copy::names().any(|known| file == known)
        }
        _ => false,
    };
    known.then(|| name.to_owned())
}

/// What cannot be read is the backup's fault, what cannot be written this machine's.
fn take(entry: &mut impl Read, place: &Path, sealed: &Path) -> Result<(), CommandFailure> {
    let failed = |e: io::Error| CommandFailure::file(place, &e);
    let mut file = create(place).map_err(|e| match e.kind() {
        // It has a part twice.
        io::ErrorKind::AlreadyExists => broken(sealed, &e),
        _ => failed(e),
    })?;
    let mut piece = zeroize::Zeroizing::new(vec![0_u8; 65_536]);
    loop {
        let read = match entry.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(broken(sealed, &e)),
        };
        file.write_all(&piece[..read]).map_err(failed)?;
    }
    file.sync_all().map_err(failed)
}

fn create(place: &Path) -> io::Result<File> {
    if let Some(folder) = place.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(place)
}

fn refused(sealed: &Path, error: &age::DecryptError) -> CommandFailure {
    match error {
        age::DecryptError::NoMatchingKeys => wrong_key(sealed),
        age::DecryptError::Io(error) => broken(sealed, error),
        error => CommandFailure::new(Reason::BackupInvalid).fact("file", sealed.display().to_string()).cause(error),
    }
}

/// What opens a backup was not given, or opens another one.
pub fn wrong_key(sealed: &Path) -> CommandFailure {
    CommandFailure::new(Reason::RecoveryKeyWrong).fact("file", sealed.display().to_string())
}

fn broken(sealed: &Path, error: &io::Error) -> CommandFailure {
    CommandFailure::new(Reason::BackupInvalid).fact("file", sealed.display().to_string()).cause(error)
}
