//! The file `join.state`: what the applicant has said and heard. Replaced as a whole, synced before the next call.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::Error;
use crate::domain::ids::Digest;
use crate::domain::join::applicant::Applying;
use crate::domain::reason::Reason;
use crate::wire::joining;

/// Name of the file in the data directory.
const NAME: &str = "join.state";

pub(super) struct StateFile {
    path: PathBuf,
}

impl StateFile {
    pub(super) fn in_dir(dir: &Path) -> Self {
        Self { path: dir.join(NAME) }
    }

    /// `None`: there is none.
    pub(super) fn read(&self) -> Result<Option<Applying>, Error> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => Bytes::from(bytes),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let damaged = || Error::Refused(Reason::StorageDamaged);
        let (digest, body) = bytes.split_first_chunk::<32>().ok_or_else(damaged)?;
        if Digest::of(body).0 != *digest {
            return Err(damaged());
        }
        Ok(Some(joining::decode_applying(bytes.slice(32..))?))
    }

    /// Durable when it returns. Only the owner may read it: the token's secret stands in it.
    pub(super) fn write(&self, applying: &Applying) -> Result<(), Error> {
        let body = joining::encode_applying(applying);
        let fresh = self.path.with_extension("state.new");
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(Digest::of(&body).as_bytes())?;
        file.write_all(&body)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        self.sync_dir()
    }

    pub(super) fn remove(&self) -> Result<(), Error> {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e.into()),
            _ => self.sync_dir(),
        }
    }

    fn sync_dir(&self) -> Result<(), Error> {
        let dir = self.path.parent().unwrap_or_else(|| Path::new("."));
        Ok(fs::File::open(dir)?.sync_all()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_file_of_then_is_read_and_written_as_it_was() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/compat/0.1.0/stored/StoredJoin-applied.hex");
        let text = fs::read_to_string(golden).unwrap();
        let digits: String = text.split_whitespace().collect();
        let body = data_encoding::HEXLOWER.decode(digits.as_bytes()).unwrap();
        let file = [&Digest::of(&body).0[..], &body].concat();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NAME), &file).unwrap();
        let state = StateFile::in_dir(dir.path());
        let applying = state.read().unwrap().unwrap();
        state.write(&applying).unwrap();
        assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), file);
        fs::write(dir.path().join(NAME), &file[1..]).unwrap();
        assert_eq!(state.read().err().unwrap().reason(), Reason::StorageDamaged);
    }
}
