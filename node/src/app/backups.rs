//! A node's backup, and its way back from one.

use std::path::Path;
use std::sync::Arc;

use super::commands::GENESIS;
use super::data_dir::DataDir;
use super::failure::Failure;
use super::identity_copy;
use super::runtimes::Runtimes;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::directory::{self, Directory, Opening};
use crate::domain::reason::Reason;
use crate::storage::backup;

/// Makes a backup of a node, running or not, and reads it back: the store in one file, and beside it what this node is
/// (keys, certificate, the federation's genesis), readable by its owner only.
///
/// # Errors
/// `NOT_JOINED` when there is nothing to back up, `BACKUP_FAILED`.
pub fn backup(config: &Config, directory: &Path) -> Result<(), Failure> {
    if !config.data_dir.join("authority.key").exists() {
        return Err(Failure::new(Reason::NotJoined).fact("directory", config.data_dir.display().to_string()));
    }
    let runtimes = Runtimes::start(1)?;
    let now = SystemClock::shared().now();
    let made = runtimes.block_on(backup::backup(&config.data_dir, directory, now));
    runtimes.shutdown();
    let report = made?;
    let beside = identity_copy::beside(&report.file);
    identity_copy::write(&config.data_dir, &beside).map_err(|e| Failure::new(Reason::BackupFailed).cause(&e))?;
    println!("{}", report.file.display());
    println!(
        "  {} bytes, {} records published, {} received, ledger of {}",
        report.bytes, report.publications, report.received, report.audit_size
    );
    println!("{}  (keys: keep it where only you can read it)", beside.display());
    Ok(())
}

/// Puts a backup in place of the store, under a new incarnation. Keys that are lost come from beside the backup; a
/// steward comes back as a mirror, under a new Raft id.
///
/// # Errors
/// `DATA_DIR_IN_USE` while the node runs, `BACKUP_INVALID`; after any other failure run it again.
pub fn restore(config: &Config, file: &Path) -> Result<(), Failure> {
    let restored = restored(config, file, &mut |_| Ok(()))?;
    let report = restored.report;
    println!("restored: incarnation {}, ledger from {} to {}", report.incarnation, report.from_size, report.to_size);
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
    done: &mut dyn FnMut(&'static str) -> Result<(), Failure>,
) -> Result<Restored, Failure> {
    let data = DataDir::take(&config.data_dir)?;
    let runtimes = Runtimes::start(1)?;
    let now = SystemClock::shared().now();
    let prepared = runtimes.block_on(backup::prepare(file, data.path(), now));
    runtimes.shutdown();
    let prepared = prepared?;
    done("the store")?;
    if !data.has_keys() {
        let beside = identity_copy::beside(file);
        identity_copy::read(&beside, data.path()).map_err(|e| Failure::file(&beside, &e))?;
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

/// The register of a data directory. Where it was lost it begins at the genesis statement, which stands there too.
fn register(config: &Config, data: &DataDir) -> Result<(Directory, bool), Failure> {
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
    let genesis = std::fs::read(&path).map_err(|e| Failure::file(&path, &e))?;
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
    use std::path::PathBuf;

    use super::*;
    use crate::app::commands::{GenesisPolicy, check, init};
    use crate::app::tests::config;

    /// A node that was founded, with a store, and a backup of it.
    fn backed_up(root: &Path) -> (Config, PathBuf) {
        crate::transport::install_provider();
        let config = config(root, &[]);
        init(&config, GenesisPolicy::default()).unwrap();
        let runtimes = Runtimes::start(1).unwrap();
        let options = crate::storage::sqlite::Options::new(Arc::new(|| SystemClock::shared().now()));
        runtimes.block_on(async {
            let store = crate::storage::sqlite::SqliteStore::open(&config.data_dir, options).await.unwrap();
            crate::storage::Store::close(&store).await;
        });
        runtimes.shutdown();
        let backups = root.join("backups");
        backup(&config, &backups).unwrap();
        (config, backups)
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
                if steps > cut { Err(Failure::new(Reason::Internal).about(step)) } else { Ok(()) }
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
