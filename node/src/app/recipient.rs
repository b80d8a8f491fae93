//! The recovery key: its public half, to which backups are sealed, and the secret half as a person brings it.
//!
//! What lives here: both in the form of the age format. What does not: a secret half on disk. Invariant: this node never stores
//! the secret half; it is made, shown once, and forgotten.

use std::io::{BufRead, Write};
use std::path::Path;

use age::secrecy::ExposeSecret;
pub use age::x25519::Identity;
use age::x25519::Recipient;
use zeroize::Zeroizing;

use super::data_dir;
use super::failure::CommandFailure;
use super::owner::{self, Owner};
use crate::config::Config;
use crate::domain::reason::Reason;
use crate::storage::backup;

/// The public half, in the data directory.
pub const FILE: &str = "recovery.recipient";
const SECRET: &str = "AGE-SECRET-KEY-1";

/// A public half as it is typed.
///
/// # Errors
/// `FIELD_INVALID`; the words that were given are not repeated, they may be a secret.
pub fn parse(text: &str) -> Result<Recipient, CommandFailure> {
    text.trim().parse().map_err(|_| CommandFailure::argument("the recovery recipient", "a public key: age1…"))
}

/// The public half of a data directory; `None`: it has none.
///
/// # Errors
/// `STORAGE_DAMAGED` when the file holds none; when it cannot be read.
pub fn of(data_dir: &Path) -> Result<Option<Recipient>, CommandFailure> {
    let file = data_dir.join(FILE);
    let damaged = |_| {
        let failure = CommandFailure::new(Reason::StorageDamaged).fact("file", file.display().to_string());
        failure.remedy("havenlink recovery-key --replace makes another one")
    };
    match std::fs::read_to_string(&file) {
        Ok(text) => parse(&text).map(Some).map_err(damaged),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(CommandFailure::file(&file, &e)),
    }
}

/// Takes the public half that a new node is given; without one makes a recovery key and shows its secret half. One that is here
/// already stays, for its secret half was shown.
///
/// # Errors
/// As `of`; when the file or the secret half cannot be written.
pub fn settle(data_dir: &Path, given: Option<&Recipient>) -> Result<(), CommandFailure> {
    match (given, of(data_dir)?) {
        (Some(recipient), _) => keep(data_dir, recipient),
        (None, Some(_)) => Ok(()),
        (None, None) => make(data_dir),
    }
}

/// Shown before the public half is kept: a node never seals to a key that nobody saw.
fn make(data_dir: &Path) -> Result<(), CommandFailure> {
    let identity = Identity::generate();
    show(&identity).map_err(|e| CommandFailure::file(Path::new("standard output"), &e))?;
    keep(data_dir, &identity.to_public())
}

fn show(identity: &Identity) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "Recovery key of this node, for the safe. It is shown this once; without it no backup opens:")?;
    writeln!(out, "\n  {}\n", identity.to_string().expose_secret())?;
    writeln!(out, "Only its public half stays here: {}", identity.to_public())?;
    writeln!(out)?;
    out.flush()
}

fn keep(data_dir: &Path, recipient: &Recipient) -> Result<(), CommandFailure> {
    let (file, part) = (data_dir.join(FILE), data_dir.join("recovery.part"));
    let written = std::fs::File::create(&part).and_then(|mut open| {
        writeln!(open, "{recipient}")?;
        open.sync_all()?;
        std::fs::rename(&part, &file)
    });
    written.map_err(|e| CommandFailure::file(&file, &e))
}

/// `havenlink recovery-key`: gives a node that has none a recovery key, or another one.
///
/// # Errors
/// `NOT_JOINED`, `WRONG_USER`; `FIELD_INVALID` where there is one and none was to take its place; as `settle`.
pub fn recovery_key(config: &Config, given: Option<&str>, replace: bool) -> Result<(), CommandFailure> {
    let data_dir = config.data_dir.as_path();
    if !data_dir.join("authority.key").exists() {
        return Err(data_dir::no_key(data_dir));
    }
    let owner = Owner::of(data_dir).map_err(|e| CommandFailure::file(data_dir, &e))?;
    data_dir::of_ours(data_dir, owner)?;
    put(data_dir, given, replace)?;
    owner::give(data_dir, owner).map_err(|e| CommandFailure::file(data_dir, &e))?;
    println!("next: havenlink backup DIRECTORY        (older ones open with the older key only)");
    Ok(())
}

fn put(data_dir: &Path, given: Option<&str>, replace: bool) -> Result<(), CommandFailure> {
    let given = given.map(parse).transpose()?;
    if !replace && let Some(here) = of(data_dir)? {
        let failure = CommandFailure::new(Reason::FieldInvalid).about("this node has a recovery key already");
        let failure = failure.fact("public", here.to_string());
        return Err(failure.remedy("havenlink recovery-key --replace, if its secret half is lost or known to others"));
    }
    match given {
        Some(recipient) => keep(data_dir, &recipient),
        None => make(data_dir),
    }?;
    // The key of the safe opens none of those that are there.
    backup::forget_sealed(data_dir);
    Ok(())
}

/// The secret half from a file, of which several are tried one after the other; for `-` the first one on standard input.
///
/// # Errors
/// `FIELD_INVALID` when there is none, and for a secret on the command line itself: others see it there.
pub fn read_identity(from: &str) -> Result<Vec<Identity>, CommandFailure> {
    if from.trim().to_ascii_uppercase().starts_with(SECRET) {
        let failure = CommandFailure::argument("--identity", "a file, or - for standard input, never the key itself");
        return Err(failure.remedy(
            "this key stands in the list of processes and in the shell's history now: havenlink recovery-key --replace, \
             then a new backup",
        ));
    }
    let found = if from == "-" {
        eprintln!("recovery key (AGE-SECRET-KEY-1…), then Enter:");
        identities_of(std::io::stdin().lock(), 1).map_err(|e| CommandFailure::file(Path::new("standard input"), &e))?
    } else {
        let path = Path::new(from);
        let file = std::fs::File::open(path).map_err(|e| CommandFailure::file(path, &e))?;
        identities_of(std::io::BufReader::new(file), usize::MAX).map_err(|e| CommandFailure::file(path, &e))?
    };
    if found.is_empty() {
        return Err(CommandFailure::argument("what --identity names", "a recovery key: AGE-SECRET-KEY-1…"));
    }
    Ok(found)
}

/// The first ones, up to this many; what is behind them is not waited for.
fn identities_of(from: impl BufRead, most: usize) -> std::io::Result<Vec<Identity>> {
    let mut found = Vec::new();
    for line in from.lines() {
        let line = Zeroizing::new(line?);
        found.extend(line.trim().parse::<Identity>().ok());
        if found.len() >= most {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::UnixMs;

    /// A terminal: behind the line that was typed nothing comes, and no end either.
    struct Typed(std::io::Cursor<Vec<u8>>);

    impl std::io::Read for Typed {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let read = std::io::Read::read(&mut self.0, into)?;
            assert!(read > 0, "it was read on behind the key");
            Ok(read)
        }
    }

    #[test]
    fn what_is_typed_ends_with_the_line_of_the_key() {
        let identity = Identity::generate();
        let typed = format!("\n# for the safe\n {} \n", identity.to_string().expose_secret());
        let typed = std::io::BufReader::new(Typed(std::io::Cursor::new(typed.into_bytes())));
        let read = identities_of(typed, 1).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].to_public().to_string(), identity.to_public().to_string());
    }

    #[test]
    fn a_secret_half_is_read_from_a_file_and_never_from_the_command_line() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::generate();
        let secret = identity.to_string();
        let file = dir.path().join("safe");
        let from = file.to_str().unwrap();
        std::fs::write(&file, format!("# of the town hall's safe\n\n  {}  \n", secret.expose_secret())).unwrap();
        let read = read_identity(from).unwrap();
        assert_eq!(
            read.iter().map(|i| i.to_public().to_string()).collect::<Vec<_>>(),
            [identity.to_public().to_string()]
        );
        std::fs::write(&file, identity.to_public().to_string()).unwrap();
        assert_eq!(read_identity(from).err().unwrap().reason(), Reason::FieldInvalid);
        let typed = read_identity(secret.expose_secret()).err().unwrap();
        assert_eq!(typed.reason(), Reason::FieldInvalid);
        let told = typed.to_string();
        assert!(told.contains("recovery-key --replace") && !told.contains(secret.expose_secret()), "{told}");
        assert!(!parse(secret.expose_secret()).err().unwrap().to_string().contains(secret.expose_secret()));
    }

    #[test]
    fn one_that_was_shown_stays_until_it_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let here = || of(dir.path()).unwrap().map(|r| r.to_string());
        let (first, second) = (Identity::generate().to_public(), Identity::generate().to_public());
        assert_eq!(here(), None);
        settle(dir.path(), Some(&first)).unwrap();
        settle(dir.path(), None).unwrap();
        assert_eq!(here(), Some(first.to_string()));
        assert!(put(dir.path(), Some(&second.to_string()), false).is_err());
        let notes = [backup::LAST_SEALED, backup::LAST_DRILL];
        for note in notes {
            backup::note(dir.path(), note, UnixMs(1_000)).unwrap();
        }
        put(dir.path(), Some(&second.to_string()), true).unwrap();
        assert_eq!(notes.map(|note| backup::last(dir.path(), note)), [None, None], "they open with the older key");
        assert_eq!(here(), Some(second.to_string()));
        // Nothing in the folder is a secret.
        put(dir.path(), None, true).unwrap();
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            assert!(!text.contains(SECRET), "{text}");
        }
        std::fs::write(dir.path().join(FILE), "age1").unwrap();
        assert_eq!(of(dir.path()).err().unwrap().reason(), Reason::StorageDamaged);
    }
}
