//! A node's backup, and its way back from one.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::commands::GENESIS;
use super::data_dir::{self, DataDir};
use super::failure::CommandFailure;
use super::identity_copy;
use super::owner::{self, Owner};
use super::runtimes::Runtimes;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::directory::{self, Directory, Opening};
use crate::domain::ids::FederationId;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::storage::backup::{self, BackupReport};
use crate::storage::identity::{self, Whose};
use crate::wire::statement;

/// Makes a backup of a node, running or not, and reads it back: the store in one file, and beside it what this node is
/// (keys, certificate, the federation's genesis), readable by its owner only: the owner of the folder.
///
/// # Errors
/// `NOT_JOINED` when there is nothing to back up, `BACKUP_FAILED`; nothing that could be taken for a backup is left then.
pub fn backup(config: &Config, directory: &Path) -> Result<(), CommandFailure> {
    if !config.data_dir.join("authority.key").exists() {
        return Err(data_dir::no_key(&config.data_dir));
    }
    let owner = Owner::of(&config.data_dir).map_err(|e| CommandFailure::file(&config.data_dir, &e))?;
    data_dir::of_ours(&config.data_dir, owner)?;
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
    name_unfinished(config, directory);
    Ok(())
}

/// The keys first, and each part under its name only when it is whole: what has the name of a backup has its keys beside it,
/// and knows which.
async fn made(config: &Config, directory: &Path) -> Result<(BackupReport, PathBuf), CommandFailure> {
    let failed = |e: std::io::Error| CommandFailure::new(Reason::BackupFailed).cause(&e);
    let owner = Owner::of(directory).map_err(failed)?;
    let new_folder = !directory.exists();
    let now = SystemClock::shared().now();
    let file = backup::file_for(&config.data_dir, directory, now).await?;
    let beside = identity_copy::beside(&file);
    let copied = std::fs::create_dir_all(directory).and_then(|()| identity_copy::write(&config.data_dir, &beside));
    let made = match copied.map_err(failed) {
        Ok(()) => {
            backup::make(&config.data_dir, &file, identity_copy::key(&beside), now).await.map_err(CommandFailure::from)
        }
        Err(failure) => Err(failure),
    };
    if made.is_err() {
        std::fs::remove_dir_all(&beside).ok();
        std::fs::remove_dir_all(beside.with_added_extension("part")).ok();
    }
    // What root made beside the node's files, and in the folder, is their owners'.
    let of_node = Owner::of(&config.data_dir).map_err(failed)?;
    for path in [if new_folder { directory } else { &file }, &beside] {
        owner::give(path, owner).map_err(failed)?;
    }
    owner::give(&config.data_dir, of_node).map_err(failed)?;
    Ok((made?, beside))
}

/// Says what is left of backups that did not come to their end.
fn name_unfinished(config: &Config, folder: &Path) {
    for left in identity::unfinished(folder, Some(&config.authority)).unwrap_or_default() {
        eprintln!("note: {} is left of a backup that was cut off; it is never restored: delete it", left.display());
    }
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
    let made = restored.made.map(|made| format!(", made {made}")).unwrap_or_default();
    println!("restored: {}{made}", restored.file.display());
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
    done: &mut dyn FnMut(&'static str) -> Result<(), CommandFailure>,
) -> Result<Restored, CommandFailure> {
    let data = DataDir::take(&config.data_dir)?;
    let runtimes = Runtimes::start(1)?;
    let prepared = runtimes.block_on(async {
        let found = chosen(config, from, !data.has_keys()).await?;
        let beside = identity_copy::beside(&found.file);
        belongs_here(config, &data, &found.whose, &beside)?;
        let prepared = backup::prepare(&found, data.path(), SystemClock::shared().now()).await?;
        Ok::<_, CommandFailure>((found.file, beside, prepared))
    });
    runtimes.shutdown();
    let (file, beside, prepared) = prepared?;
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
    let report = prepared.finish()?;
    let made = identity::made_at(&file);
    if let Some(made) = made {
        // Else the doctor says that there was never a backup.
        backup::note(data.path(), made)?;
    }
    Ok(Restored { report, file, made, mirror, anew })
}

/// The backup itself; of a folder the newest one of this authority that is complete. Those that were passed over are named.
async fn chosen(config: &Config, from: &Path, keys_lost: bool) -> Result<BackupReport, CommandFailure> {
    if !from.is_dir() {
        let found = backup::verify(from).await?;
        let beside = identity_copy::beside(from);
        if keys_lost && !identity_copy::is_whole(&beside) {
            return Err(without_keys(&beside));
        }
        return Ok(found);
    }
    let mut last = None;
    for file in identity::backups(from, Some(&config.authority))? {
        let failure = match backup::verify(&file).await {
            Ok(found) if has_its_keys(&found) => {
                name_unfinished(config, from);
                return Ok(found);
            }
            Ok(_) => without_keys(&identity_copy::beside(&file)),
            Err(error) => CommandFailure::from(error),
        };
        eprintln!("note: {} is not complete, and was passed over:", file.display());
        eprint!("{failure}");
        last = Some(failure);
    }
    name_unfinished(config, from);
    Err(last.unwrap_or_else(|| {
        let none = format!("{} has none of {}", from.display(), config.authority);
        CommandFailure::new(Reason::BackupInvalid).about(none)
    }))
}

/// Whether what was put beside a backup is there: exactly the key that it names, if it names one.
fn has_its_keys(found: &BackupReport) -> bool {
    let beside = identity_copy::beside(&found.file);
    identity_copy::is_whole(&beside) && (found.whose.key.is_none() || identity_copy::key(&beside) == found.whose.key)
}

fn without_keys(beside: &Path) -> CommandFailure {
    let failure = CommandFailure::new(Reason::BackupInvalid).about("the keys that were made with it are not beside it");
    failure.fact("missing", beside.display().to_string())
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
    use crate::app::check::check;
    use crate::app::commands::{GenesisPolicy, init};
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
        // In one folder; Kehl's is the newer one, by the millisecond in its name.
        let made = SystemClock::shared().now();
        while SystemClock::shared().now() <= made {}
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
    fn the_newest_complete_backup_is_restored_and_what_is_no_backup_never() {
        let root = tempfile::tempdir().unwrap();
        let (config, backups) = backed_up(root.path());
        let complete = named(&backups, "fr-strasbourg");
        let made = SystemClock::shared().now();
        while SystemClock::shared().now() <= made {}
        backup(&config, &backups).unwrap();
        let newest = identity::newest_backup(&backups, None).unwrap();
        assert_ne!(newest, complete);
        let key = identity_copy::beside(&newest).join("authority.key");
        let kept = std::fs::read(&key).unwrap();
        std::fs::remove_file(&key).unwrap();
        // What a copy that was cut off has left.
        std::fs::write(backups.join("havenlink-fr-strasbourg-99999999999999.part"), "half").unwrap();
        assert_eq!(restored(&config, &backups, &mut |_| Ok(())).unwrap().file, complete);
        std::fs::remove_dir_all(&config.data_dir).unwrap();
        refused(&config, &newest, "the keys that were made with it are not beside it");
        let found = restored(&config, &backups, &mut |_| Ok(())).unwrap();
        assert_eq!((&found.file, found.made), (&complete, identity::made_at(&complete)));
        assert_eq!(backup::last_backup(&config.data_dir), found.made, "the doctor knows of it");

        std::fs::write(&key, kept).unwrap();
        assert_eq!(restored(&config, &backups, &mut |_| Ok(())).unwrap().file, newest);
        // One that does not verify is passed over too.
        std::fs::write(&newest, "no database").unwrap();
        assert_eq!(restored(&config, &backups, &mut |_| Ok(())).unwrap().file, complete);
    }

    #[test]
    fn a_backup_is_complete_or_absent() {
        let root = tempfile::tempdir().unwrap();
        let (config, backups) = backed_up(root.path());
        let before = std::fs::read_dir(&backups).unwrap().count();
        let key = config.data_dir.join("tls.crt");
        let kept = std::fs::read(&key).unwrap();
        std::fs::remove_file(&key).unwrap();
        assert_eq!(backup(&config, &backups).unwrap_err().reason(), Reason::BackupFailed);
        assert_eq!(std::fs::read_dir(&backups).unwrap().count(), before, "nothing is left");
        std::fs::write(&key, kept).unwrap();
        // The note of an earlier backup is in its way: the backup is one all the same, with its keys.
        std::fs::remove_file(config.data_dir.join(backup::LAST_BACKUP)).unwrap();
        std::fs::create_dir(config.data_dir.join(backup::LAST_BACKUP)).unwrap();
        backup(&config, &backups).unwrap();
        assert_eq!(std::fs::read_dir(&backups).unwrap().count(), before + 2);
        assert!(identity_copy::is_whole(&identity_copy::beside(&identity::newest_backup(&backups, None).unwrap())));
    }

    #[test]
    fn what_root_backs_up_and_restores_belongs_to_the_folders_owners() {
        if !Owner::here().is_root() {
            let skipped = "skipped: backups::what_root_backs_up_and_restores: needs root\n";
            std::io::Write::write_all(&mut std::io::stderr(), skipped.as_bytes()).unwrap();
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let (node, archive) = (Owner { uid: 54_321, gid: 54_321 }, Owner { uid: 54_400, gid: 54_400 });
        let config = config(root.path(), &[]);
        let backups = root.path().join("backups");
        for (folder, owner) in [(&config.data_dir, node), (&backups, archive)] {
            std::fs::create_dir(folder).unwrap();
            std::os::unix::fs::chown(folder, Some(owner.uid), Some(owner.gid)).unwrap();
        }
        let all_are = |what: &str| {
            for (folder, owner) in [(&config.data_dir, node), (&backups, archive)] {
                let mut folders = vec![folder.clone()];
                while let Some(folder) = folders.pop() {
                    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                        assert_eq!(Owner::of(&path).unwrap(), owner, "{what}: {}", path.display());
                        folders.extend(path.is_dir().then_some(path));
                    }
                }
            }
        };
        founded(&config);
        owner::give(&config.data_dir, node).unwrap();
        backup(&config, &backups).unwrap();
        all_are("a backup");
        restored(&config, &backups, &mut |_| Ok(())).unwrap();
        all_are("a restore over what is there");
        for entry in std::fs::read_dir(&config.data_dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
        }
        assert_eq!(check(&config).unwrap_err().reason(), Reason::NotJoined, "nothing is here");
        restored(&config, &backups, &mut |_| Ok(())).unwrap();
        all_are("a restore of a lost disk");
        check(&config).unwrap();
        all_are("a look");

        // What was left by somebody else is named, by a look and by a start.
        let foreign = config.data_dir.join("havenlink.db");
        std::os::unix::fs::chown(&foreign, Some(archive.uid), None).unwrap();
        let wrong = check(&config).unwrap_err();
        assert_eq!(wrong.reason(), Reason::WrongUser);
        assert!(wrong.to_string().contains(foreign.to_str().unwrap()), "{wrong}");
        assert!(wrong.to_string().contains("sudo chown -R 54321:54321"), "{wrong}");
        assert_eq!(
            DataDir::take_to_run(&config.data_dir).err().unwrap().reason(),
            Reason::WrongUser,
            "root is not its user"
        );
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
