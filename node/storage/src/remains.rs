//! What is left of a record in the files of a node, looked for byte by byte: what the database believes of itself is not asked.
//!
//! What lives here: which files are looked into, and for what. What does not: whether anything should be left (`exchange/persons`).
//! The database goes on naming what was erased, in what was shared with whom and in the answers that were signed; there an envelope
//! of the record in the clear is looked for. Everywhere else its id is: `keys.db` and its backups name a record for as long as they
//! hold its key, and no other file has a reason to name it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::domain::ids::RecordId;

/// One file that was looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookedAt {
    /// Below the data directory.
    pub file: String,
    pub bytes: u64,
    /// How often the record stands in it.
    pub found: u64,
}

const PIECE: usize = 1 << 20;

/// Looks through every file of a data directory, of which one is the database. One that goes while it is looked for is gone.
///
/// # Errors
/// When a file cannot be read.
pub fn look(dir: &Path, database: &str, record: &RecordId) -> io::Result<Vec<LookedAt>> {
    let mut looked = Vec::new();
    let wanted = Wanted { dir, database, record };
    look_below(&wanted, dir, &mut looked)?;
    looked.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(looked)
}

/// What is looked for, and where.
struct Wanted<'a> {
    dir: &'a Path,
    database: &'a str,
    record: &'a RecordId,
}

fn look_below(wanted: &Wanted<'_>, folder: &Path, looked: &mut Vec<LookedAt>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            look_below(wanted, &path, looked)?;
        } else if kind.is_file() {
            let file = path.strip_prefix(wanted.dir).unwrap_or(&path).to_string_lossy().into_owned();
            match File::open(&path).and_then(|open| count(open, &wanted.traces(&file))) {
                Ok((bytes, found)) => looked.push(LookedAt { file, bytes, found }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

impl Wanted<'_> {
    /// By what the record is known in this file.
    fn traces(&self, file: &str) -> Vec<Vec<u8>> {
        let (id, database) = (self.record.as_bytes().as_slice(), self.database);
        let own = [database.to_owned(), format!("{database}-wal"), format!("{database}-shm")];
        if own.iter().any(|name| name == file) {
            // The field of an envelope that has it: number 5, 16 bytes.
            return vec![[&[0x2a, 16], id].concat()];
        }
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        vec![id.to_vec(), parts.join("-").into_bytes(), hex.into_bytes()]
    }
}

/// How many bytes there are, and how often one of the traces stands in them.
fn count(mut from: impl Read, traces: &[Vec<u8>]) -> io::Result<(u64, u64)> {
    let longest = traces.iter().map(Vec::len).max().unwrap_or(1);
    let (mut bytes, mut found, mut held) = (0, 0, Vec::with_capacity(PIECE + longest));
    loop {
        let read = from.by_ref().take(PIECE as u64).read_to_end(&mut held)?;
        bytes += read as u64;
        // What begins here ends here, unless the file does.
        let last = if read == 0 { held.len() } else { held.len().saturating_sub(longest - 1) };
        for start in 0..last {
            let rest = &held[start..];
            found +=
                traces.iter().filter(|trace| trace.first() == rest.first() && rest.starts_with(trace)).count() as u64;
        }
        if read == 0 {
            return Ok((bytes, found));
        }
        held.drain(..last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: &str = "havenlink.db";
    const ID: RecordId = RecordId([0x5a, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

    #[test]
    fn a_trace_is_counted_wherever_it_stands_over_the_border_of_two_pieces_as_well() {
        let (id, wanted) = (ID.as_bytes().to_vec(), Wanted { dir: Path::new(""), database: STORE, record: &ID });
        for before in [0, 1, PIECE - 20, PIECE - 16, PIECE - 15, PIECE - 1, PIECE, 2 * PIECE - 7] {
            let file = [vec![0x5a; before], id.clone(), vec![0x5a; 3], id.clone()].concat();
            assert_eq!(count(&file[..], &wanted.traces("keys.db")).unwrap(), (file.len() as u64, 2), "{before}");
        }
        let cut = [vec![7; 40], id[..15].to_vec()].concat();
        assert_eq!(count(&cut[..], &wanted.traces("keys.db")).unwrap(), (55, 0));
    }

    #[test]
    fn every_file_is_looked_through_and_only_the_database_may_name_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("keys-backup")).unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        let (id, envelope) = (ID.as_bytes().as_slice(), [&[0x2a, 16], ID.as_bytes().as_slice()].concat());
        write(STORE, id);
        write("havenlink.db-wal", &envelope);
        write("havenlink.db.kept", id);
        write("keys-backup/1.db", id);
        write("notes.txt", b"5a010203-0405-0607-0809-0a0b0c0d0e0f");
        write("other", b"5a010203");
        let found =
            |file: &str| look(dir.path(), STORE, &ID).unwrap().into_iter().find(|one| one.file == file).unwrap().found;
        assert_eq!([STORE, "havenlink.db-wal", "havenlink.db.kept"].map(found), [0, 1, 1]);
        assert_eq!(["keys-backup/1.db", "notes.txt", "other"].map(found), [1, 1, 0]);
    }
}
