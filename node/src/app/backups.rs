//! A node's backup, and its way back from one.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::commands::GENESIS;
use super::data_dir::DataDir;
use super::failure::CommandFailure;
use super::identity_copy;
use super::runtimes::Runtimes;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::directory::{self, Directory, Opening};
use crate::domain::ids::FederationId;
use crate::domain::reason::Reason;
use crate::storage::backup::{self, BackupReport};
use crate::storage::identity::{self, Whose};
use crate::wire::statement;

/// Makes a backup of a node, running or not, and reads it back: the store in one file, and beside it what this node is
/// (keys, certificate, the federation's genesis), readable by its owner only.
///
/// # Errors
/// `NOT_JOINED` when there is nothing to back up, `BACKUP_FAILED`.
pub fn backup(config: &Config, directory: &Path) -> Result<(), CommandFailure> {
    if !config.data_dir.join("authority.key").exists() {
        return Err(CommandFailure::new(Reason::NotJoined).fact("directory", config.data_dir.display().to_string()));
    }
    let runtimes = Runtimes::start(1)?;
    let made = runtimes.block_on(made(config, directory));
    runtimes.shutdown();
    let (report, beside) = made?;
    println!("{}", report.file.display());
    println!(
        "  {} bytes, {} records published, {} received, ledger of {}",
        report.bytes, report.publications, report.received, report.audit_size
    );
    println!("{}  (keys: keep it where only you can read it)", beside.display());
    Ok(())
}

/// The keys first: a backup that is there has them beside it, and knows which.
async fn made(config: &Config, directory: &Path) -> Result<(BackupReport, PathBuf), CommandFailure> {
    let now = SystemClock::shared().now();
    let file = backup::file_for(&config.data_dir, directory, now).await?;
    let beside = identity_copy::beside(&file);
    let copied = std::fs::create_dir_all(directory).and_then(|()| identity_copy::write(&config.data_dir, &beside));
    let copied = copied.map_err(|e| CommandFailure::new(Reason::BackupFailed).cause(&e));
    let made = match copied {
        Ok(()) => {
            backup::make(&config.data_dir, &file, identity_copy::key(&beside), now).await.map_err(CommandFailure::from)
        }
        Err(failure) => Err(failure),
    };
    if made.is_err() {
        std::fs::remove_dir_all(&beside).ok();
    }
    Ok((made?, beside))
}

/// Puts a backup in place of the store, under a new incarnation. Keys that are lost come from beside the backup; a
/// steward comes back as a mirror, under a new Raft id.
///
/// # Errors
/// `DATA_DIR_IN_USE` while the node runs, `BACKUP_INVALID` also for another authority's or another federation's, with
/// nothing changed; after any other failure run it again.
pub fn restore(config: &Config, file: &Path) -> Result<(), CommandFailure> {
    let restored = restored(config, file, &mut |_| Ok(()))?;
    let report = restored.report;
    println!("restored: incarnation {}, ledger from {} to {}", report.incarnation, report.from_size, report.to_size);
    println!("check: havenctl agreement list: what was ended after the backup is in force here again; end it again");
    println!("next: havenlink run        (or systemctl start havenlink)");
    println!("next: havenctl offer confirm --all-unchanged");
    if restored.mirror {
        println!("next: another steward runs havenctl steward replace {}", config.authority);
    } else if restored.anew {
        println!("next: if it was a steward, another steward runs havenctl steward replace {}", config.authority);
    }
    Ok(())
}

struct Restored {
    report: backup::RestoreReport,
    /// A steward that comes back without its vote.
    mirror: bool,
    /// The register begins at genesis: whether it was a steward is not known here.
    anew: bool,
}

/// Its steps, so that it can be made again after any of them: no node starts before the last one. `done` hears of each.
fn restored(
    config: &Config,
    file: &Path,
    done: &mut dyn FnMut(&'static str) -> Result<(), CommandFailure>,
) -> Result<Restored, CommandFailure> {
    let data = DataDir::take(&config.data_dir)?;
    let file = &chosen(config, file)?;
    let beside = identity_copy::beside(file);
    let runtimes = Runtimes::start(1)?;
    let prepared = runtimes.block_on(async {
        let found = backup::verify(file).await?;
        belongs_here(config, &data, &found.whose, &beside)?;
        Ok::<_, CommandFailure>(backup::prepare(&found, data.path(), SystemClock::shared().now()).await?)
    });
    runtimes.shutdown();
    let prepared = prepared?;
    done("the store")?;
    if !data.has_keys() {
        identity_copy::read(&beside, data.path()).map_err(|e| CommandFailure::file(&beside, &e))?;
    }
    done("the keys")?;
    let (directory, anew) = register(config, &data)?;
    done("the register")?;
    let mirror = comes_back_as_mirror(config, &directory);
    drop(directory);
    if mirror {
        directory::forget_raft(data.path())?;
    }
    done("the vote")?;
    Ok(Restored { report: prepared.finish()?, mirror, anew })
}

/// The backup itself; of a folder the newest one of this authority.
fn chosen(config: &Config, from: &Path) -> Result<PathBuf, CommandFailure> {
    if !from.is_dir() {
        return Ok(from.to_owned());
    }
    let none = || format!("{} has none of {}", from.display(), config.authority);
    identity::newest_backup(from, Some(&config.authority)).map_err(|e| CommandFailure::from(e).about(none()))
}

/// No store takes the place of another authority's, or of the same one's in another federation; and no key comes with it
/// but the one that stood beside it.
fn belongs_here(config: &Config, data: &DataDir, whose: &Whose, beside: &Path) -> Result<(), CommandFailure> {
    let lost = !data.has_keys();
    let federation = federation_of(if lost { beside } else { data.path() });
    let key = if lost { identity_copy::key(beside) } else { None };
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

/// The federation whose genesis statement stands in a folder.
fn federation_of(folder: &Path) -> Option<FederationId> {
    let genesis = std::fs::read(folder.join(GENESIS)).ok()?;
    let (_, signed) = statement::open(genesis.into()).ok()?;
    Some(FederationId(signed.payload_digest().0))
}

/// The register of a data directory. Where it was lost it begins at the genesis statement, which stands there too.
fn register(config: &Config, data: &DataDir) -> Result<(Directory, bool), CommandFailure> {
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
    let path = data.path().join(GENESIS);
    let genesis = std::fs::read(&path).map_err(|e| CommandFailure::file(&path, &e))?;
    Ok((open(Some(genesis.into()))?, true))
}

/// A restored steward never votes under its old id (9.10). The only steward keeps it: nobody else ever voted, its
/// register was not touched by the restore, and nobody could name it again.
fn comes_back_as_mirror(config: &Config, directory: &Directory) -> bool {
    let view = directory.view();
    view.is_steward(&config.authority) && view.stewards.len() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::commands::{GenesisPolicy, check, init};
    use crate::app::tests::config;
    use crate::domain::ids::AuthorityId;
    use crate::storage::sqlite::RESTORING_FILE;

    /// A node that was founded, with a store, and a backup of it.
    fn backed_up(root: &Path) -> (Config, PathBuf) {
        let config = config(root, &[]);
        let backups = root.join("backups");
        founded(&config);
        backup(&config, &backups).unwrap();
        (config, backups)
    }

    /// A node that was founded, and its store.
    fn founded(config: &Config) {
        crate::transport::install_provider();
        init(config, GenesisPolicy::default()).unwrap();
        let runtimes = Runtimes::start(1).unwrap();
        let options = crate::storage::sqlite::Options::new(Arc::new(|| SystemClock::shared().now()));
        let federation = federation_of(&config.data_dir).unwrap();
        runtimes.block_on(async {
            let store = crate::storage::sqlite::SqliteStore::open(&config.data_dir, options).await.unwrap();
            identity::claim(&store, &config.authority, &federation).await.unwrap();
            crate::storage::Store::close(&store).await;
        });
        runtimes.shutdown();
    }

    fn of_kehl(root: &Path) -> Config {
        Config { authority: AuthorityId::parse("de-kehl").unwrap(), ..config(root, &[]) }
    }

    /// The one backup of a folder whose name has this in it.
    fn named(folder: &Path, part: &str) -> PathBuf {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let fits = |path: &PathBuf| path.to_str().unwrap().contains(part) && path.extension().unwrap() == "backup";
        files.filter(fits).last().unwrap()
    }

    fn refused(config: &Config, from: &Path, what: &str) {
        let failure = restored(config, from, &mut |_| Ok(())).err().unwrap();
        assert_eq!(failure.reason(), Reason::BackupInvalid);
        assert!(failure.to_string().contains(what), "{failure}");
        assert!(!config.data_dir.join(RESTORING_FILE).exists(), "nothing was begun");
    }

    #[test]
    fn another_citys_backup_takes_no_stores_place() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (strasbourg, backups) = backed_up(root.path());
        let kehl = of_kehl(other.path());
        founded(&kehl);
        // In one folder; Kehl's is the newer one.
        std::thread::sleep(std::time::Duration::from_millis(2));
        backup(&kehl, &backups).unwrap();
        let of_kehl = named(&backups, "de-kehl");
        refused(&strasbourg, &of_kehl, "its authority is de-kehl, and here it is fr-strasbourg");
        assert!(starts(&strasbourg));
        restored(&strasbourg, &backups, &mut |_| Ok(())).unwrap();
        restored(&kehl, &backups, &mut |_| Ok(())).unwrap();

        // Its disk is lost: the folder's newest keys are not its own, those beside its own backup are.
        let key = std::fs::read(strasbourg.data_dir.join("authority.key")).unwrap();
        std::fs::remove_dir_all(&strasbourg.data_dir).unwrap();
        refused(&strasbourg, &of_kehl, "fr-strasbourg");
        assert!(!strasbourg.data_dir.join("authority.key").exists());
        restored(&strasbourg, &backups, &mut |_| Ok(())).unwrap();
        assert_eq!(std::fs::read(strasbourg.data_dir.join("authority.key")).unwrap(), key);
        let nothing = tempfile::tempdir().unwrap();
        std::fs::copy(&of_kehl, nothing.path().join(of_kehl.file_name().unwrap())).unwrap();
        refused(&strasbourg, nothing.path(), "has none of fr-strasbourg");
    }

    #[test]
    fn a_backup_of_another_federation_or_with_another_key_is_refused() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (here, ours) = backed_up(root.path());
        let (there, theirs) = backed_up(other.path());
        let (ours, theirs) = (named(&ours, "fr-strasbourg"), named(&theirs, "fr-strasbourg"));
        let federation = federation_of(&there.data_dir).unwrap().to_string();
        refused(&here, &theirs, &format!("its federation is {federation}, and here it is"));
        // Keys that are lost come from beside it, and nobody puts others there.
        std::fs::remove_dir_all(&here.data_dir).unwrap();
        let beside = identity_copy::beside(&ours).join("authority.key");
        let key = std::fs::read(&beside).unwrap();
        std::fs::copy(identity_copy::beside(&theirs).join("authority.key"), &beside).unwrap();
        refused(&here, &ours, "its authority's key is");
        std::fs::write(&beside, key).unwrap();
        restored(&here, &ours, &mut |_| Ok(())).unwrap();
        assert!(starts(&here));
    }

    fn starts(config: &Config) -> bool {
        let runtimes = Runtimes::start(1).unwrap();
        let options = crate::storage::sqlite::Options::new(Arc::new(|| SystemClock::shared().now()));
        let opened = runtimes.block_on(async {
            let opened = crate::storage::sqlite::SqliteStore::open(&config.data_dir, options).await;
            opened.is_ok()
        });
        runtimes.shutdown();
        opened
    }

    #[test]
    fn a_restore_that_was_cut_off_after_any_step_is_made_again() {
        let mut cut = 0;
        loop {
            let root = tempfile::tempdir().unwrap();
            let (config, backups) = backed_up(root.path());
            let (federation, key) = {
                let data = DataDir::take(&config.data_dir).unwrap();
                let federation = register(&config, &data).unwrap().0.view().federation;
                (federation, std::fs::read(data.path().join("authority.key")).unwrap())
            };
            std::fs::remove_dir_all(&config.data_dir).unwrap();
            let mut steps = 0;
            let ended = restored(&config, &backups, &mut |step| {
                steps += 1;
                if steps > cut { Err(CommandFailure::new(Reason::Internal).about(step)) } else { Ok(()) }
            });
            let Err(ended) = ended.map(|_| ()) else { break };
            assert!(!starts(&config), "after {ended}: no node starts on half of it");
            restored(&config, &backups, &mut |_| Ok(())).unwrap_or_else(|again| panic!("after {ended}: {again}"));
            assert!(starts(&config), "after {ended}");
            check(&config).unwrap_or_else(|wrong| panic!("after {ended}: {wrong}"));
            let data = DataDir::take(&config.data_dir).unwrap();
            assert_eq!(register(&config, &data).unwrap().0.view().federation, federation);
            assert_eq!(std::fs::read(data.path().join("authority.key")).unwrap(), key);
            cut += 1;
        }
        assert_eq!(cut, 4, "it was cut off after each step");
    }
}
