//! Backups that are made and restored, with a store and keys, without a running node.

use super::*;
use crate::app::check::check;
use crate::app::commands::{GenesisPolicy, init};
use crate::app::genesis::federation_of;
use crate::app::tests::config;
use crate::domain::ids::AuthorityId;
use crate::domain::time::Millis;
use crate::storage::identity;
use crate::storage::sqlite::RESTORING_FILE;

/// A node that was founded, with a store, and a backup of it.
fn backed_up(root: &Path) -> (Config, PathBuf) {
    let config = config(root, &[]);
    let backups = root.join("backups");
    founded(&config);
    backup(&config, &backups, true).unwrap();
    (config, backups)
}

/// A node that was founded, and its store.
fn founded(config: &Config) {
    crate::transport::install_provider();
    init(config, GenesisPolicy::default(), Some(&safe_key().to_public().to_string())).unwrap();
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
    let failure = restored(config, from, &[safe_key()], &mut |_| Ok(())).err().unwrap();
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
    backup(&kehl, &backups, true).unwrap();
    let of_kehl = named(&backups, "de-kehl");
    refused(&strasbourg, &of_kehl, "its authority is de-kehl, and here it is fr-strasbourg");
    assert!(starts(&strasbourg));
    restored(&strasbourg, &backups, &[safe_key()], &mut |_| Ok(())).unwrap();
    restored(&kehl, &backups, &[safe_key()], &mut |_| Ok(())).unwrap();

    // Its disk is lost: the folder's newest keys are not its own, those beside its own backup are.
    let key = std::fs::read(strasbourg.data_dir.join("authority.key")).unwrap();
    std::fs::remove_dir_all(&strasbourg.data_dir).unwrap();
    refused(&strasbourg, &of_kehl, "fr-strasbourg");
    assert!(!strasbourg.data_dir.join("authority.key").exists());
    restored(&strasbourg, &backups, &[safe_key()], &mut |_| Ok(())).unwrap();
    assert_eq!(last_folder(&strasbourg.data_dir), Some(backups), "the next bad day finds its backups");
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
    restored(&here, &ours, &[safe_key()], &mut |_| Ok(())).unwrap();
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
    backup(&config, &backups, true).unwrap();
    let newest = identity::newest_backup(&backups, None).unwrap();
    assert_ne!(newest, complete);
    let key = identity_copy::beside(&newest).join("authority.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    // What a copy that was cut off has left.
    std::fs::write(backups.join("havenlink-fr-strasbourg-99999999999999.part"), "half").unwrap();
    assert_eq!(restored(&config, &backups, &[safe_key()], &mut |_| Ok(())).unwrap().file, complete);
    std::fs::remove_dir_all(&config.data_dir).unwrap();
    refused(&config, &newest, "the keys that were made with it are not beside it");
    let found = restored(&config, &backups, &[safe_key()], &mut |_| Ok(())).unwrap();
    assert_eq!((&found.file, found.made), (&complete, identity::made_at(&complete)));
    assert_eq!(backup::last_backup(&config.data_dir), found.made, "the doctor knows of it");

    std::fs::write(&key, kept).unwrap();
    assert_eq!(restored(&config, &backups, &[safe_key()], &mut |_| Ok(())).unwrap().file, newest);
    // One that does not verify is passed over too.
    std::fs::write(&newest, "no database").unwrap();
    assert_eq!(restored(&config, &backups, &[safe_key()], &mut |_| Ok(())).unwrap().file, complete);
}

#[test]
fn a_backup_is_complete_or_absent() {
    let root = tempfile::tempdir().unwrap();
    let (config, backups) = backed_up(root.path());
    let before = std::fs::read_dir(&backups).unwrap().count();
    let key = config.data_dir.join("tls.crt");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    assert_eq!(backup(&config, &backups, true).unwrap_err().reason(), Reason::BackupFailed);
    assert_eq!(std::fs::read_dir(&backups).unwrap().count(), before, "nothing is left");
    std::fs::write(&key, kept).unwrap();
    // The note of an earlier backup is in its way: the backup is one all the same, with its keys.
    std::fs::remove_file(config.data_dir.join(backup::LAST_BACKUP)).unwrap();
    std::fs::create_dir(config.data_dir.join(backup::LAST_BACKUP)).unwrap();
    backup(&config, &backups, true).unwrap();
    assert_eq!(std::fs::read_dir(&backups).unwrap().count(), before + 2);
    assert!(identity_copy::is_whole(&identity_copy::beside(&identity::newest_backup(&backups, None).unwrap())));
}

#[test]
fn what_root_backs_up_and_restores_belongs_to_the_folders_owners() {
    if !Owner::here().is_root() {
        let skipped = "\nskipped: backups: what_root_backs_up_and_restores: needs root\n";
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
    backup(&config, &backups, true).unwrap();
    all_are("a backup");
    restored(&config, &backups, &[safe_key()], &mut |_| Ok(())).unwrap();
    all_are("a restore over what is there");
    for entry in std::fs::read_dir(&config.data_dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
    }
    assert_eq!(check(&config).unwrap_err().reason(), Reason::NotJoined, "nothing is here");
    restored(&config, &backups, &[safe_key()], &mut |_| Ok(())).unwrap();
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
fn a_register_that_alone_is_lost_comes_back_and_does_not_vote() {
    let root = tempfile::tempdir().unwrap();
    let (config, backups) = backed_up(root.path());
    let back = restored(&config, &backups, &[safe_key()], &mut |_| Ok(())).unwrap();
    assert!(!back.mirror && !back.anew, "the only steward, with its own register, goes on");

    std::fs::remove_file(config.data_dir.join(directory::FILE)).unwrap();
    let back = restored(&config, &backups, &[safe_key()], &mut |_| Ok(())).unwrap();
    assert!(back.mirror && !back.anew, "the register of the backup, under an id that nobody named");
    // As after a restore that was cut off once the register was there.
    let again = restored(&config, &backups, &[safe_key()], &mut |_| Ok(())).unwrap();
    assert!(again.mirror);
}

#[test]
fn a_key_that_is_none_is_put_aside_for_that_of_the_backup() {
    let root = tempfile::tempdir().unwrap();
    let (config, backups) = backed_up(root.path());
    let files = ["authority.key", "tls.key", "tls.crt"].map(|name| config.data_dir.join(name));
    let kept = std::fs::read(&files[0]).unwrap();
    std::fs::write(&files[0], "no key").unwrap();
    // A certificate that was renewed since the backup stays.
    let now = SystemClock::shared().now();
    let newer = NodeIdentity::generate(&config.authority, now, Millis::days(30)).unwrap();
    NodeIdentity::store(&config.data_dir, &newer).unwrap();
    let others = [&files[1], &files[2]].map(|file| std::fs::read(file).unwrap());
    assert_eq!(check(&config).unwrap_err().reason(), Reason::StorageDamaged);

    restored(&config, &backups, &[safe_key()], &mut |_| Ok(())).unwrap();
    assert_eq!(std::fs::read(&files[0]).unwrap(), kept);
    assert_eq!([&files[1], &files[2]].map(|file| std::fs::read(file).unwrap()), others);
    let aside = config.data_dir.join("authority.lost.key");
    assert_eq!(std::fs::read(&aside).unwrap(), b"no key", "it is never deleted");
    restored(&config, &backups, &[safe_key()], &mut |_| Ok(())).unwrap();
    assert_eq!(std::fs::read(&aside).unwrap(), b"no key");
}

#[test]
fn a_restore_that_was_cut_off_after_any_step_is_made_again() {
    let mut cut = 0;
    loop {
        let root = tempfile::tempdir().unwrap();
        let (config, backups) = backed_up(root.path());
        let (federation, key) = {
            let data = DataDir::take(&config.data_dir).unwrap();
            let federation = opened(&config, &data).unwrap().0.view().federation;
            (federation, std::fs::read(data.path().join("authority.key")).unwrap())
        };
        std::fs::remove_dir_all(&config.data_dir).unwrap();
        let mut steps = 0;
        let ended = restored(&config, &backups, &[safe_key()], &mut |step| {
            steps += 1;
            if steps > cut { Err(CommandFailure::new(Reason::Internal).about(step)) } else { Ok(()) }
        });
        let Err(ended) = ended.map(|_| ()) else { break };
        assert!(!starts(&config), "after {ended}: no node starts on half of it");
        restored(&config, &backups, &[safe_key()], &mut |_| Ok(()))
            .unwrap_or_else(|again| panic!("after {ended}: {again}"));
        assert!(starts(&config), "after {ended}");
        check(&config).unwrap_or_else(|wrong| panic!("after {ended}: {wrong}"));
        let data = DataDir::take(&config.data_dir).unwrap();
        assert_eq!(opened(&config, &data).unwrap().0.view().federation, federation);
        assert_eq!(std::fs::read(data.path().join("authority.key")).unwrap(), key);
        cut += 1;
    }
    assert_eq!(cut, 4, "it was cut off after each step");
}

/// Of one safe for all tests here.
fn safe_key() -> Identity {
    use std::sync::LazyLock;
    static KEY: LazyLock<Identity> = LazyLock::new(Identity::generate);
    KEY.clone()
}

/// A node that was founded, with a store, and two sealed backups of it, the older one first.
fn sealed_twice(root: &Path) -> (Config, PathBuf, [PathBuf; 2]) {
    let config = config(root, &[]);
    let backups = root.join("backups");
    founded(&config);
    let made = [(); 2].map(|()| {
        let now = SystemClock::shared().now();
        while SystemClock::shared().now() <= now {}
        backup(&config, &backups, false).unwrap();
        identity::newest_backup(&backups, None).unwrap()
    });
    (config, backups, made)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_sealed_backup_has_no_key_in_it_and_brings_all_of_them_back() {
    let root = tempfile::tempdir().unwrap();
    let (config, backups, [_, newest]) = sealed_twice(root.path());
    let names = ["authority.key", "tls.key", "tls.crt"];
    let keys = names.map(|name| std::fs::read(config.data_dir.join(name)).unwrap());
    let files: Vec<_> = std::fs::read_dir(&backups).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "one file each, and nothing beside it: {files:?}");
    for file in &files {
        let sealed = std::fs::read(file).unwrap();
        for key in &keys {
            // Any piece of it that is long enough to be no accident.
            assert!(key.chunks_exact(16).all(|piece| !contains(&sealed, piece)), "{}", file.display());
        }
        for told in [&b"SQLite format"[..], b"authority.key", b"fr-strasbourg"] {
            assert!(!contains(&sealed, told), "{}", String::from_utf8_lossy(told));
        }
    }
    // The search finds what is there.
    let open = root.path().join("open");
    backup(&config, &open, true).unwrap();
    let beside = identity_copy::beside(&identity::newest_backup(&open, None).unwrap());
    assert!(
        keys[0].chunks_exact(16).all(|piece| contains(&std::fs::read(beside.join("authority.key")).unwrap(), piece))
    );
    assert_eq!(backup::last(&config.data_dir, backup::LAST_SEALED), identity::made_at(&newest));
    assert!(!config.data_dir.join("scratch").exists(), "nothing stays open");

    std::fs::remove_dir_all(&config.data_dir).unwrap();
    let restored = restored(&config, &backups, &[Identity::generate(), safe_key()], &mut |_| Ok(())).unwrap();
    assert_eq!((restored.file, restored.made), (newest.clone(), identity::made_at(&newest)));
    assert_eq!(names.map(|name| std::fs::read(config.data_dir.join(name)).unwrap()), keys);
    assert!(starts(&config) && !config.data_dir.join("scratch").exists());
    let recipient = recipient::of(&config.data_dir).unwrap().unwrap();
    assert_eq!(
        recipient.to_string(),
        safe_key().to_public().to_string(),
        "and the next backup is sealed to the same key"
    );
}

#[test]
fn the_wrong_key_opens_nothing_and_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (config, backups, [older, newest]) = sealed_twice(root.path());
    std::fs::remove_dir_all(&config.data_dir).unwrap();
    for identities in [vec![], vec![Identity::generate()]] {
        for from in [&backups, &newest] {
            let refused = restored(&config, from, &identities, &mut |_| Ok(())).unwrap_err();
            assert_eq!(refused.reason(), Reason::RecoveryKeyWrong);
            let told = refused.to_string();
            assert!(told.contains(&format!("havenlink restore {} --identity -", older.display())), "{told}");
            assert!(!config.data_dir.join("authority.key").exists() && !config.data_dir.join(RESTORING_FILE).exists());
            let refused = drill(&config, from, &identities).unwrap_err();
            assert_eq!(refused.reason(), Reason::RecoveryKeyWrong);
            let told = refused.to_string();
            assert!(told.contains(&format!("havenlink restore --drill {} --identity -", older.display())), "{told}");
        }
    }
    assert_eq!(backup::last(&config.data_dir, backup::LAST_DRILL), None);
}

#[test]
fn one_that_was_cut_off_or_changed_anywhere_is_refused_and_the_older_one_taken() {
    let root = tempfile::tempdir().unwrap();
    let (config, backups, [older, newest]) = sealed_twice(root.path());
    let whole = std::fs::read(&newest).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let header = whole.windows(4).position(|window| window == b"\n---").unwrap();
    // A piece of the stream is 64 KiB and its tag; without the last one it still ends at the end of a piece.
    let pieces = whole.len() - (whole.len() - header) % (65_536 + 16);
    for (what, bytes) in [
        ("cut off in a piece", whole[..whole.len() / 2].to_vec()),
        ("cut off behind a piece", whole[..pieces].to_vec()),
        ("without its last byte", whole[..whole.len() - 1].to_vec()),
        ("changed in the header's seal", flipped(header + 6)),
        ("changed in the middle", flipped(whole.len() / 2)),
        ("changed at its end", flipped(whole.len() - 1)),
        ("longer", [&whole[..], b"x"].concat()),
    ] {
        std::fs::write(&newest, bytes).unwrap();
        refused(&config, &newest, &format!("havenlink restore {} --identity -", older.display()));
        let taken = restored(&config, &backups, &[safe_key()], &mut |_| Ok(())).unwrap();
        assert_eq!(taken.file, older, "{what}");
    }
}

#[test]
fn an_older_one_under_a_newer_name_is_not_the_newest_of_a_folder() {
    let root = tempfile::tempdir().unwrap();
    let (config, backups, [older, newest]) = sealed_twice(root.path());
    let renamed = backups.join("havenlink-fr-strasbourg-99999999999999.backup");
    std::fs::rename(&older, &renamed).unwrap();
    assert_eq!(restored(&config, &backups, &[safe_key()], &mut |_| Ok(())).unwrap().file, newest);
    // Who names it gets it, with the day on which it was made.
    let taken = restored(&config, &renamed, &[safe_key()], &mut |_| Ok(())).unwrap();
    assert_eq!((taken.file, taken.made), (renamed, identity::made_at(&older)));
}

#[test]
fn what_cannot_be_written_while_it_is_opened_is_not_the_backups_fault() {
    let root = tempfile::tempdir().unwrap();
    let (_, _, [_, newest]) = sealed_twice(root.path());
    let file = root.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    let failed = sealing::open(&newest, &[safe_key()], &file).unwrap_err();
    assert_eq!(failed.reason(), Reason::StorageFailed);
}

#[test]
fn a_founding_whose_recovery_key_is_not_kept_begins_anew() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), &[]);
    std::fs::create_dir(&config.data_dir).unwrap();
    let recipient = config.data_dir.join(recipient::FILE);
    std::fs::write(&recipient, "age1").unwrap();
    assert_eq!(init(&config, GenesisPolicy::default(), None).unwrap_err().reason(), Reason::StorageDamaged);
    std::fs::remove_file(&recipient).unwrap();
    founded(&config);
}

#[test]
fn without_a_recovery_key_a_backup_is_refused_unless_it_is_to_be_open() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), &[]);
    founded(&config);
    let recipient = config.data_dir.join(recipient::FILE);
    std::fs::remove_file(&recipient).unwrap();
    let backups = root.path().join("backups");
    assert_eq!(backup(&config, &backups, false).unwrap_err().reason(), Reason::RecoveryRecipientMissing);
    assert!(!backups.exists());
    backup(&config, &backups, true).unwrap();
    assert_eq!(backup::last(&config.data_dir, backup::LAST_SEALED), None);
    recipient::recovery_key(&config, Some(&safe_key().to_public().to_string()), false).unwrap();
    backup(&config, &backups, false).unwrap();
    assert!(sealing::is_sealed(&identity::newest_backup(&backups, None).unwrap()));
}

#[test]
fn a_drill_opens_all_and_leaves_nothing_but_its_date() {
    let root = tempfile::tempdir().unwrap();
    let (config, backups, [_, newest]) = sealed_twice(root.path());
    let before = std::fs::read(config.data_dir.join("havenlink.db")).unwrap();
    // Beside a running node, which holds its directory.
    let running = DataDir::take(&config.data_dir).unwrap();
    drill(&config, &backups, &[safe_key()]).unwrap();
    drop(running);
    let drilled = backup::last(&config.data_dir, backup::LAST_DRILL).unwrap();
    assert!(drilled <= SystemClock::shared().now());
    assert!(!config.data_dir.join("scratch").exists());
    assert_eq!(std::fs::read(config.data_dir.join("havenlink.db")).unwrap(), before);
    // Its key is another one since: this backup brings nobody back.
    let data = DataDir::take(&config.data_dir).unwrap();
    data.retire_authority_key().unwrap();
    data.make_authority_key().unwrap();
    drop(data);
    let refused = drill(&config, &newest, &[safe_key()]).unwrap_err();
    assert_eq!(refused.reason(), Reason::BackupInvalid);
    assert!(refused.to_string().contains("its authority key was replaced since"), "{refused}");
    for note in [backup::LAST_SEALED, backup::LAST_DRILL] {
        assert_eq!(backup::last(&config.data_dir, note), None, "what the doctor knew is of the older key");
    }
    // Of another authority's it says so.
    let kehl = of_kehl(root.path());
    assert_eq!(drill(&kehl, &newest, &[safe_key()]).unwrap_err().reason(), Reason::BackupInvalid);
}

#[test]
fn what_a_killed_backup_left_open_is_erased_at_the_next_start() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), &[]);
    founded(&config);
    let left = config.data_dir.join("scratch/havenlink-fr-strasbourg-7.identity");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::copy(config.data_dir.join("authority.key"), left.join("authority.key")).unwrap();
    drop(DataDir::take_to_run(&config.data_dir).unwrap());
    assert!(!config.data_dir.join("scratch").exists());
}
