//! A disk or a key is lost, and what a sealed backup holds comes back with the key of the safe.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use havenlink::domain::reason::Reason;
use havenlink_proto::admin::v1::GetStatusResponse;
use havenlink_proto::local::v1::DeliveryState;
use havenlink_tests::federation::{Federation, ctl};
use havenlink_tests::refused::assert_refused;
use havenlink_tests::tools::{havenlink, shell};

use super::says;
use crate::steps::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_city_comes_back_from_a_sealed_backup_with_the_key_of_its_safe() {
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two cities") };
    let folder = strasbourg.dir.join("backups");
    let key = std::fs::read(strasbourg.dir.join("data/authority.key")).unwrap();

    // Open only if it is asked for; a steward is told that no sealed one exists.
    let open = strasbourg.dir.join("open");
    let printed = strasbourg.once(&["backup", text(&open), "--unsealed"]).await.unwrap();
    assert!(printed.contains("UNSEALED: whoever gets these files can act as this authority"), "{printed}");
    let found = says(strasbourg, "recovery", "WARNING").await;
    assert!(found.finding.contains("no sealed backup of this steward"), "{found:?}");
    let printed = strasbourg.once(&["backup", text(&folder)]).await.unwrap();
    let file = printed.lines().next().unwrap();
    let sealed = std::fs::read(file).unwrap();
    assert!(sealed.starts_with(b"age-encryption.org/v1\n"));
    assert!(key.chunks_exact(16).all(|piece| !contains(&sealed, piece)), "no key stands in it");
    assert!(says(strasbourg, "recovery", "OK").await.finding.contains("never opened yet"));

    // A drill beside the running node, with the wrong safe's key and with the right one.
    let safe = kehl.safe();
    let kehls = ["restore", "--drill", file, "--identity", text(&safe)];
    assert_refused(&havenlink(strasbourg, &kehls).await.unwrap(), Reason::RecoveryKeyWrong);
    assert!(says(strasbourg, "recovery", "OK").await.finding.contains("never opened yet"));
    let drilled = havenlink(strasbourg, &["restore", "--drill", text(&folder)]).await.unwrap().fine();
    assert!(drilled.contains("opens, made 2") && drilled.contains("nothing was changed"), "{drilled}");
    let id = key_of(strasbourg).unwrap().public().id();
    assert!(drilled.contains(&format!("the authority key of fr-strasbourg: {id}")), "{drilled}");
    assert!(says(strasbourg, "recovery", "OK").await.finding.contains("opened for a drill 0 days ago"));

    lose_disk(strasbourg).await.unwrap();
    let secret = std::fs::read_to_string(strasbourg.safe()).unwrap();
    let typed = ["restore", file, "--identity", secret.trim()];
    let refused = havenlink(strasbourg, &typed).await.unwrap();
    assert_refused(&refused, Reason::FieldInvalid);
    assert!(!refused.err.contains(secret.trim()), "it is not told again");
    strasbourg.once(&["restore", text(&folder)]).await.unwrap();
    assert_eq!(std::fs::read(strasbourg.dir.join("data/authority.key")).unwrap(), key);
    strasbourg.start().unwrap();
    strasbourg.ready().await.unwrap();
    ctl(strasbourg, &["agreement", "confirm", "--yes"]).await.unwrap();
    let record = publish(strasbourg, &[kehl.id()]).await.unwrap();
    until_delivered(strasbourg, kehl.id(), &[record], DeliveryState::Delivered).await;
    for folder in ["data", "backups"] {
        for name in std::fs::read_dir(strasbourg.dir.join(folder)).unwrap() {
            let name = name.unwrap().file_name().into_string().unwrap();
            assert!(name != "scratch" && !name.ends_with(".identity"), "{folder}/{name} lies open");
        }
    }
    strasbourg.stop().await.unwrap();
    let secret = b"AGE-SECRET-KEY";
    assert!(contains(&std::fs::read(strasbourg.safe()).unwrap(), secret), "the search finds what is there");
    let folders = ["data", "backups", "open"].map(|folder| files_below(&strasbourg.dir.join(folder)));
    assert!(folders.iter().all(|files| !files.is_empty()));
    for file in folders.concat().into_iter().chain([strasbourg.dir.join("node.log")]) {
        assert!(!contains(&std::fs::read(&file).unwrap(), secret), "{} has the secret", file.display());
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// All but the ballast, which is large and holds nothing.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.is_file() && path.file_name().is_some_and(|name| name != "ballast") {
            files.push(path);
        }
    }
    files
}

/// `recover` shows the plan first; what it prints is typed as it stands, with the key of the safe.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_comes_back_by_the_commands_that_are_printed() {
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two cities") };
    kehl.once(&["backup", text(&kehl.dir.join("backups"))]).await.unwrap();
    kehl.stop().await.unwrap();
    let file = kehl.dir.join("data/authority.key");
    let key = std::fs::read(&file).unwrap();
    let whole = shell(kehl, "havenlink recover").await.unwrap().fine();
    assert!(whole.contains("nothing is lost here"), "{whole}");

    // The key alone: the backup is found where it was put, and nothing else comes from it.
    std::fs::remove_file(&file).unwrap();
    let refused = havenlink(kehl, &["check"]).await.unwrap();
    assert_refused(&refused, Reason::AuthorityKeyLost);
    assert!(refused.err.contains("fix        havenlink recover "), "{refused:?}");
    let safe = kehl.safe();
    let mut command = "havenlink recover".to_owned();
    for step in ["not opened yet", "would do: put the keys back"] {
        let printed = shell(kehl, &format!("{command} < {}", text(&safe))).await.unwrap().fine();
        assert!(printed.contains(step) && !file.exists(), "a plan changes nothing: {printed}");
        command = printed.lines().find_map(|line| line.strip_prefix("next: ")).unwrap().to_owned();
    }
    let printed = shell(kehl, &format!("{command} < {}", text(&safe))).await.unwrap().fine();
    assert!(printed.contains("the keys are back"), "{printed}");
    assert_eq!(std::fs::read(&file).unwrap(), key);
    kehl.start().unwrap();
    kehl.ready().await.unwrap();

    // The disk: nothing here knows of a backup, the operator does.
    lose_disk(kehl).await.unwrap();
    let lost = shell(kehl, "havenlink recover").await.unwrap().fine();
    assert!(lost.contains("your decision: look for a backup first (--from FOLDER)"), "{lost}");
    let command = format!("havenlink recover --from {}/backups --identity {} --yes", text(&kehl.dir), text(&safe));
    let restored = shell(kehl, &command).await.unwrap().fine();
    assert!(restored.contains("would do: restore it") && restored.contains("restored: "), "{restored}");
    kehl.start().unwrap();
    kehl.ready().await.unwrap();

    // All but the key: a new node, under the same key, and nobody has to decide anything.
    lose_disk(kehl).await.unwrap();
    std::fs::create_dir_all(kehl.dir.join("data")).unwrap();
    std::fs::write(&file, &key).unwrap();
    for (path, mode) in [(file.parent().unwrap(), 0o700), (file.as_path(), 0o600)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    let ticket = ctl(strasbourg, &["member", "recovery-ticket", kehl.id()]).await.unwrap();
    let printed = kehl.once(&["recover", ticket.trim()]).await.unwrap();
    assert!(printed.contains("comes back as a new node, under its own authority key"), "{printed}");
    kehl.start().unwrap();
    kehl.ready().await.unwrap();
    let unlisted = says(kehl, "pin", "CRITICAL").await;
    assert!(printed.contains(&format!("next: {}", unlisted.remedy)), "{printed}");
    shell(kehl, &unlisted.remedy).await.unwrap().fine();
    says(kehl, "pin", "OK").await;
    assert_eq!(std::fs::read(&file).unwrap(), key);
}

/// The register is in the backup of the node that runs, and needs nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_steward_knows_the_register_while_all_others_are_away() {
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two cities") };
    let before = strasbourg.status().await.unwrap();
    strasbourg.once(&["backup", text(&strasbourg.dir.join("backups"))]).await.unwrap();
    kehl.stop().await.unwrap();
    lose_disk(strasbourg).await.unwrap();
    let restored = strasbourg.once(&["restore", text(&strasbourg.dir.join("backups"))]).await.unwrap();
    assert!(restored.contains("tells how this steward votes again"), "{restored}");
    strasbourg.start().unwrap();
    let knows = |s: &GetStatusResponse| s.register_number >= before.register_number && s.authorities == 2;
    let after = strasbourg.until("it knows the register", knows).await.unwrap();
    assert!(after.steward && !after.votes, "it orders nothing of its own accord: {after:?}");
    // The way on is its own majority's, and needs no other member either.
    let found = says(strasbourg, "votes", "CRITICAL").await;
    assert!(found.remedy.contains("havenctl steward refound"), "{found:?}");
    shell(strasbourg, "havenctl steward refound --yes").await.unwrap().fine();
    strasbourg.until("it votes again", |s| s.votes).await.unwrap();
    kehl.start().unwrap();
    kehl.ready().await.unwrap();
}
