//! Which backup is restored: the one that was named, or of a folder the newest complete one; and whether it is ours.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use age::x25519::Identity;

use crate::app::data_dir::DataDir;
use crate::app::failure::{CommandFailure, typed};
use crate::app::genesis::federation_of;
use crate::app::scratch::Scratch;
use crate::app::{identity_copy, sealing};
use crate::config::Config;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::storage::backup::{self, BackupReport};
use crate::storage::identity;

/// A backup that is whole.
pub struct Found {
    /// As the operator knows it.
    pub file: PathBuf,
    pub made: Option<UnixMs>,
    /// What it holds; its file is one in the scratch folder, if this one is sealed.
    pub report: BackupReport,
    /// The folder of its keys.
    pub beside: PathBuf,
}

/// The commands that choose one, as they stand before its file.
pub const RESTORE: &str = "havenlink restore";
pub const DRILL: &str = "havenlink restore --drill";
pub const RECOVER: &str = "havenlink recover --from";

/// The backup itself; of a folder the newest one of this authority that is complete. Those that were passed over are named.
/// `command`: what is run, for the line that names an older one.
///
/// # Errors
/// `RECOVERY_KEY_WRONG` for the newest one that nobody passed over, `BACKUP_INVALID` with an older one, if there is one; also in
/// a folder whatever is no backup's fault, such as `STORAGE_FULL`: an older one is not better then.
pub async fn chosen(
    config: &Config,
    from: &Path,
    identities: &[Identity],
    scratch: &Scratch,
    keys_lost: bool,
    command: &str,
) -> Result<Found, CommandFailure> {
    if !from.is_dir() {
        let looked = looked_at(from, identities, scratch, keys_lost).await;
        return looked.map_err(|failure| with_older(config, from, command, failure));
    }
    let mut last = None;
    for file in identity::backups(from, Some(&config.authority))? {
        let failure = match looked_at(&file, identities, scratch, true).await {
            Ok(found) if is_renamed(&found) => renamed(&found),
            Ok(found) if has_its_keys(&found.report, &found.beside) => {
                name_unfinished(config, from);
                return Ok(found);
            }
            Ok(found) => without_keys(&found.beside),
            // Nobody knows whether this one is whole: an older one is the operator's choice.
            Err(failure) if failure.reason() == Reason::RecoveryKeyWrong => {
                return Err(with_older(config, &file, command, failure));
            }
            Err(failure) if failure.reason() == Reason::BackupInvalid => failure,
            Err(failure) => return Err(failure),
        };
        eprintln!("note: {} was passed over:", file.display());
        eprint!("{failure}");
        last = Some(failure);
    }
    name_unfinished(config, from);
    Err(last.unwrap_or_else(|| {
        let none = format!("{} has none of {}", from.display(), config.authority);
        CommandFailure::new(Reason::BackupInvalid).about(none)
    }))
}

/// Opens what is sealed, and reads it through.
async fn looked_at(
    file: &Path,
    identities: &[Identity],
    scratch: &Scratch,
    with_keys: bool,
) -> Result<Found, CommandFailure> {
    let open = match sealing::is_sealed(file) {
        true if identities.is_empty() => return Err(sealing::wrong_key(file).about("none was given")),
        true => {
            scratch.empty()?;
            sealing::open(file, identities, scratch.path())?
        }
        false => file.to_owned(),
    };
    let report = backup::verify(&open).await?;
    let beside = identity_copy::beside(&open);
    if with_keys && !identity_copy::is_whole(&beside) {
        return Err(without_keys(&beside));
    }
    Ok(Found { file: file.to_owned(), made: identity::made_at(&open), report, beside })
}

/// Names the next older one that stands beside a backup which is of no use.
fn with_older(config: &Config, file: &Path, command: &str, failure: CommandFailure) -> CommandFailure {
    let folder = file.parent().unwrap_or(Path::new("."));
    let backups = identity::backups(folder, Some(&config.authority)).unwrap_or_default();
    let older = backups.into_iter().find(|other| identity::made_at(other) < identity::made_at(file));
    let Some(older) = older else { return failure };
    let identity = if sealing::is_sealed(&older) { " --identity -" } else { "" };
    failure.fact("older", format!("{command} {}{identity}", typed(&older)))
}

/// In a folder the names say which one is the newest; a sealed one has the name that it was made with inside.
fn is_renamed(found: &Found) -> bool {
    found.report.file.file_name() != found.file.file_name()
}

fn renamed(found: &Found) -> CommandFailure {
    let failure = CommandFailure::new(Reason::BackupInvalid).about("it was made under another name");
    let made_as = found.report.file.file_name().unwrap_or_default();
    failure.fact("file", found.file.display().to_string()).fact("made as", made_as.to_string_lossy())
}

/// Whether what was put beside a backup is there: exactly the key that it names, if it names one.
fn has_its_keys(found: &BackupReport, beside: &Path) -> bool {
    identity_copy::is_whole(beside) && (found.whose.key.is_none() || identity_copy::key(beside) == found.whose.key)
}

fn without_keys(beside: &Path) -> CommandFailure {
    let failure = CommandFailure::new(Reason::BackupInvalid).about("the keys that were made with it are not beside it");
    failure.fact("missing", beside.display().to_string())
}

/// No store takes the place of another authority's, or of the same one's in another federation; and no key comes with it
/// but the one that stood beside it.
///
/// # Errors
/// `BACKUP_INVALID` with what differs.
pub fn belongs_here(config: &Config, data: Option<&DataDir>, found: &Found) -> Result<(), CommandFailure> {
    let here = data.filter(|data| data.has_keys());
    let (whose, beside) = (&found.report.whose, found.beside.as_path());
    let federation = federation_of(here.map_or(beside, DataDir::path));
    let key = if here.is_none_or(DataDir::key_is_damaged) { identity_copy::key(beside) } else { None };
    same("authority", whose.authority.as_ref(), Some(&config.authority))?;
    same("federation", whose.federation.as_ref(), federation.as_ref())?;
    same("authority's key", whose.key.as_ref(), key.as_ref())
}

/// What one of them does not know cannot differ: an older version wrote less down.
fn same<T: PartialEq + Display>(what: &str, backup: Option<&T>, here: Option<&T>) -> Result<(), CommandFailure> {
    let (Some(backup), Some(here)) = (backup, here) else { return Ok(()) };
    if backup == here {
        return Ok(());
    }
    let differs =
        CommandFailure::new(Reason::BackupInvalid).about(format!("its {what} is {backup}, and here it is {here}"));
    Err(differs.fact("backup", backup.to_string()).fact("here", here.to_string()))
}

/// Says what is left of backups that did not come to their end.
pub fn name_unfinished(config: &Config, folder: &Path) {
    for left in identity::unfinished(folder, Some(&config.authority)).unwrap_or_default() {
        eprintln!("note: {} is left of a backup that was cut off; it is never restored: delete it", left.display());
    }
}
