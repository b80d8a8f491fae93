//! A node's backup, and its way back from one.

mod chosen;
mod register;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use age::x25519::{Identity, Recipient};
pub use chosen::{DRILL, Found, RECOVER, RESTORE, belongs_here, chosen};

use super::data_dir::{self, DataDir};
use super::failure::CommandFailure;
use super::owner::{self, Owner};
use super::runtimes::Runtimes;
use super::scratch::Scratch;
use super::{genesis, identity_copy, recipient, sealing};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::directory::{self, Directory, Opening};
use crate::domain::ids::KeyId;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::storage::backup::{self, BackupReport};
use crate::transport::NodeIdentity;

/// Makes a backup of a node, running or not, and reads it back: the store in one file, and with it what this node is (keys,
/// certificate, the federation's genesis); all of it sealed to the recovery key, unless it is asked for open. The folder's owner
/// alone can read it.
///
/// # Errors
/// `NOT_JOINED` when there is nothing to back up, `RECOVERY_RECIPIENT_MISSING`, `BACKUP_FAILED`; nothing that could be taken
/// for a backup is left then.
pub fn backup(config: &Config, directory: &Path, unsealed: bool) -> Result<(), CommandFailure> {
    if !config.data_dir.join("authority.key").exists() {
        return Err(data_dir::no_key(&config.data_dir));
    }
    let owner = Owner::of(&config.data_dir).map_err(|e| CommandFailure::file(&config.data_dir, &e))?;
    data_dir::of_ours(&config.data_dir, owner)?;
    let recipient = match unsealed {
        true => None,
        false => Some(
            recipient::of(&config.data_dir)?.ok_or(Reason::RecoveryRecipientMissing).map_err(CommandFailure::new)?,
        ),
    };
    let runtimes = Runtimes::start(1)?;
    let made = runtimes.block_on(made(config, directory, recipient.as_ref()));
    runtimes.shutdown();
    let report = made?;
    println!("{}", report.file.display());
    println!(
        "  {} bytes, {} records published, {} received, ledger of {}",
        report.bytes, report.publications, report.received, report.audit_size
    );
    match recipient {
        Some(recipient) => println!("  sealed to {recipient}: it opens with the recovery key of the safe alone"),
        None => tell_of_thieves(&report.file),
    }
    chosen::name_unfinished(config, directory);
    Ok(())
}

fn tell_of_thieves(file: &Path) {
    println!("  {}", identity_copy::beside(file).display());
    println!("UNSEALED: whoever gets these files can act as this authority (sign, withdraw, admit) and reads all that");
    println!("is stored here but what concerns persons. Keep them where only you can read them, or make a sealed one.");
}

/// The keys first, and each part under its name only when it is whole: what has the name of a backup has its keys with it,
/// and knows which. A sealed one is made in the open where the node's own files lie, and leaves that place sealed.
async fn made(config: &Config, folder: &Path, recipient: Option<&Recipient>) -> Result<BackupReport, CommandFailure> {
    let failed = |e: std::io::Error| CommandFailure::new(Reason::BackupFailed).cause(&e);
    let owner = Owner::of(folder).map_err(failed)?;
    let of_node = Owner::of(&config.data_dir).map_err(failed)?;
    let new_folder = !folder.exists();
    let made = made_by(config, folder, recipient).await;
    // What root made beside the node's files, and in the folder, is their owners', also where it did not come to its end.
    let mut given = owner::give(&config.data_dir, of_node);
    if new_folder && folder.exists() {
        given = given.and(owner::give(folder, owner));
    }
    if let Ok(report) = &made {
        for path in [&report.file, &identity_copy::beside(&report.file)] {
            given = given.and(owner::give(path, owner));
        }
    }
    let report = made?;
    given.map_err(failed)?;
    Ok(report)
}

/// As whoever runs the command.
async fn made_by(
    config: &Config,
    folder: &Path,
    recipient: Option<&Recipient>,
) -> Result<BackupReport, CommandFailure> {
    let now = SystemClock::shared().now();
    std::fs::create_dir_all(folder).map_err(|e| CommandFailure::new(Reason::BackupFailed).cause(&e))?;
    let scratch = Scratch::take(&config.data_dir)?;
    // Other members have the register too; a backup without it is one all the same.
    let register = register::copied(config, scratch.path()).await.unwrap_or_else(|failure| {
        eprint!("note: the register is not in this backup:\n{failure}");
        None
    });
    let report = match recipient {
        None => open(config, folder, register.as_deref(), now).await?,
        Some(recipient) => {
            let report = open(config, scratch.path(), register.as_deref(), now).await?;
            sealed(report, folder, recipient)?
        }
    };
    backup::noted(&config.data_dir, backup::LAST_BACKUP, now);
    remember(&config.data_dir, folder);
    if recipient.is_some() {
        backup::noted(&config.data_dir, backup::LAST_SEALED, now);
    }
    Ok(report)
}

/// The folder of the last backup, for the day on which somebody asks where they are.
const FOLDER: &str = "last-backup-folder";

fn remember(data_dir: &Path, folder: &Path) {
    let written = std::path::absolute(folder).and_then(|folder| {
        let part = data_dir.join("last-backup-folder.part");
        std::fs::write(&part, folder.as_os_str().as_encoded_bytes())?;
        std::fs::rename(&part, data_dir.join(FOLDER))
    });
    if let Err(error) = written {
        tracing::warn!(%error, "the folder of the backup could not be noted in the data directory");
    }
}

/// After a way back from a backup: where it was found is where backups are, unless this data directory knows better.
pub fn found_in(data_dir: &Path, file: &Path) {
    let file = std::path::absolute(file);
    if let (None, Some(folder)) = (last_folder(data_dir), file.ok().as_deref().and_then(Path::parent)) {
        remember(data_dir, folder);
    }
}

/// Where the last backup of a data directory was put, if that is still there.
pub fn last_folder(data_dir: &Path) -> Option<PathBuf> {
    let folder = PathBuf::from(std::fs::read_to_string(data_dir.join(FOLDER)).ok()?);
    folder.is_dir().then_some(folder)
}

fn sealed(report: BackupReport, folder: &Path, recipient: &Recipient) -> Result<BackupReport, CommandFailure> {
    let file = folder.join(report.file.file_name().unwrap_or_default());
    sealing::seal(&report.file, recipient, &file).map_err(|e| CommandFailure::new(Reason::BackupFailed).cause(&e))?;
    let bytes = std::fs::metadata(&file).map_or(report.bytes, |file| file.len());
    Ok(BackupReport { file, bytes, ..report })
}

async fn open(
    config: &Config,
    folder: &Path,
    register: Option<&Path>,
    now: UnixMs,
) -> Result<BackupReport, CommandFailure> {
    let failed = |e: std::io::Error| CommandFailure::new(Reason::BackupFailed).cause(&e);
    let file = backup::file_for(&config.data_dir, folder, now).await?;
    let beside = identity_copy::beside(&file);
    let made = match identity_copy::write(&config.data_dir, &beside, register).map_err(failed) {
        Ok(()) => {
            backup::make(&config.data_dir, &file, identity_copy::key(&beside)).await.map_err(CommandFailure::from)
        }
        Err(failure) => Err(failure),
    };
    if made.is_err() {
        std::fs::remove_dir_all(&beside).ok();
        std::fs::remove_dir_all(beside.with_added_extension("part")).ok();
    }
    made
}

/// Puts a backup in place of the store, under a new incarnation. Keys that are lost come with the backup, and an authority's key
/// that cannot be read is put aside for the backup's; a steward comes back as a mirror, under a new Raft id. `identities`: what
/// may open it, if it is sealed.
///
/// # Errors
/// `DATA_DIR_IN_USE` while the node runs, `RECOVERY_KEY_WRONG`, `BACKUP_INVALID` also for another authority's or another
/// federation's, with nothing changed; after any other failure run it again.
pub fn restore(config: &Config, file: &Path, identities: &[Identity]) -> Result<(), CommandFailure> {
    let restored = restored(config, file, identities, &mut |_| Ok(()))?;
    let report = restored.report;
    println!("restored: {}{}", restored.file.display(), made_when(restored.made));
    println!("  incarnation {}, ledger from {} to {}", report.incarnation, report.from_size, report.to_size);
    println!("next: havenlink run        (or systemctl start havenlink)");
    println!(
        "next: havenctl agreement confirm        (nothing passes under an agreement that may have been ended since)"
    );
    println!("next: havenctl offer confirm --all-unchanged");
    if restored.mirror {
        println!("next: havenctl doctor    (tells how this steward votes again)");
    } else if restored.anew {
        println!("next: havenctl doctor    (if this was a steward: tells how it votes again)");
    }
    Ok(())
}

/// For a line that names a backup.
pub fn made_when(made: Option<UnixMs>) -> String {
    made.map(|made| format!(", made {made}")).unwrap_or_default()
}

/// Opens a backup and makes all of a restore in a folder that is erased after: what an operator does twice a year, so that
/// the day on which it is needed is not the first. Beside a running node too; notes the day.
///
/// # Errors
/// As `restore`; `BACKUP_INVALID` also when the authority's key here is another one than the backup's. Nothing is changed.
pub fn drill(config: &Config, file: &Path, identities: &[Identity]) -> Result<(), CommandFailure> {
    let owner = Owner::of(&config.data_dir).map_err(|e| CommandFailure::file(&config.data_dir, &e))?;
    data_dir::of_ours(&config.data_dir, owner)?;
    crate::transport::install_provider();
    let scratch = Scratch::take(&config.data_dir)?;
    let runtimes = Runtimes::start(1)?;
    let found = runtimes.block_on(async {
        let found = chosen(config, file, identities, &scratch, true, DRILL).await?;
        let now = SystemClock::shared().now();
        // Under another name than any part of a backup has, and never finished.
        let restored = scratch.path().join("restored");
        let _prepared = backup::prepare(&found.report, &restored, now).await?;
        identity_copy::read(&found.beside, &restored).map_err(|e| CommandFailure::file(&found.beside, &e))?;
        Ok::<_, CommandFailure>(found)
    });
    runtimes.shutdown();
    let found = found?;
    belongs_here(config, None, &found)?;
    let key = data_dir::authority_key(&found.beside)?.public().id();
    if identity_copy::key(&config.data_dir).is_some_and(|here| here != key) {
        return Err(replaced_since(key).remedy("havenlink backup DIRECTORY, then the drill again with that one"));
    }
    // A certificate that does not fit its key is found here, and a register that does not follow from its beginning.
    let data = DataDir::take(&scratch.path().join("restored"))?;
    NodeIdentity::load(data.path())?;
    let number = opened(config, &data)?.0.view().number;
    drop(data);
    drop(scratch);
    backup::noted(&config.data_dir, backup::LAST_DRILL, SystemClock::shared().now());
    owner::give(&config.data_dir, owner).map_err(|e| CommandFailure::file(&config.data_dir, &e))?;
    let report = &found.report;
    println!("drill: {} opens{}", found.file.display(), made_when(found.made));
    println!(
        "  {} records published, {} received, {} agreements, ledger of {}: whole",
        report.publications, report.received, report.agreements, report.audit_size
    );
    println!("  the register at change {number}");
    println!("  the authority key of {}: {key}", config.authority);
    println!("  what was opened is erased again, and nothing was changed");
    Ok(())
}

/// A backup is of no use any more whose authority's key is nobody's.
pub fn replaced_since(key: KeyId) -> CommandFailure {
    let failure = CommandFailure::new(Reason::BackupInvalid).about("its authority key was replaced since");
    failure.fact("backup", key.to_string())
}

#[derive(Debug)]
struct Restored {
    report: backup::RestoreReport,
    file: PathBuf,
    made: Option<UnixMs>,
    /// A steward that comes back without its vote.
    mirror: bool,
    /// The register begins at genesis: whether it was a steward is not known here.
    anew: bool,
}

/// Its steps, so that it can be made again after any of them: no node starts before the last one. `done` hears of each.
fn restored(
    config: &Config,
    from: &Path,
    identities: &[Identity],
    done: &mut dyn FnMut(&'static str) -> Result<(), CommandFailure>,
) -> Result<Restored, CommandFailure> {
    let data = DataDir::take(&config.data_dir)?;
    let damaged = data.key_is_damaged();
    let scratch = Scratch::take(&config.data_dir)?;
    let runtimes = Runtimes::start(1)?;
    let prepared = runtimes.block_on(async {
        let found = chosen(config, from, identities, &scratch, !data.has_keys() || damaged, RESTORE).await?;
        belongs_here(config, Some(&data), &found)?;
        let prepared = backup::prepare(&found.report, data.path(), SystemClock::shared().now()).await?;
        Ok::<_, CommandFailure>((found, prepared))
    });
    runtimes.shutdown();
    let (Found { file, beside, made, .. }, prepared) = prepared?;
    done("the store")?;
    let put = if damaged {
        // What else is here is as new or newer, and stays.
        data.retire_authority_key()?;
        identity_copy::read_register(&beside, data.path())
            .and_then(|()| identity_copy::read_missing(&beside, data.path()))
    } else if data.has_keys() {
        identity_copy::read_register(&beside, data.path())
    } else {
        identity_copy::read(&beside, data.path())
    };
    put.map_err(|e| CommandFailure::file(&beside, &e))?;
    done("the keys")?;
    let (directory, anew) = opened(config, &data)?;
    done("the register")?;
    let mirror = comes_back_as_mirror(config, &directory);
    drop(directory);
    if mirror {
        directory::forget_raft(data.path())?;
    }
    done("the vote")?;
    let report = prepared.finish()?;
    if let Some(made) = made {
        // Else the doctor says that there was never a backup.
        backup::note(data.path(), backup::LAST_BACKUP, made)?;
        if sealing::is_sealed(&file) {
            backup::note(data.path(), backup::LAST_SEALED, made)?;
        }
    }
    found_in(data.path(), &file);
    Ok(Restored { report, file, made, mirror, anew })
}

/// The register of a data directory. Where it was lost it begins at the genesis statement, which stands there too.
fn opened(config: &Config, data: &DataDir) -> Result<(Directory, bool), CommandFailure> {
    let key = Arc::new(data.authority_key()?);
    let open = |genesis| {
        Directory::open(Opening {
            data_dir: data.path().to_owned(),
            authority: config.authority.clone(),
            key: Arc::clone(&key),
            clock: SystemClock::shared(),
            genesis,
        })
    };
    match open(None) {
        Err(error) if error.reason() == Reason::NotJoined => {}
        known => return Ok((known?, false)),
    }
    let path = data.path().join(genesis::FILE);
    let genesis = std::fs::read(&path).map_err(|e| CommandFailure::file(&path, &e))?;
    Ok((open(Some(genesis.into()))?, true))
}

/// A restored steward never votes under its old id (9.10). The only steward keeps it where its register names the one that it has:
/// nobody else ever voted, and nobody could name it again. A register out of a backup has an id that nobody named, and may lack
/// what was ordered since.
fn comes_back_as_mirror(config: &Config, directory: &Directory) -> bool {
    let view = directory.view();
    let named = view.stewards.iter().find(|steward| steward.authority == config.authority);
    named.is_some_and(|named| view.stewards.len() > 1 || named.raft_id != directory.raft_id())
}
