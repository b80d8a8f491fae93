//! What is wrong with the node itself: backup, keys, certificate, disk, ledger, rules, clock.

use std::os::unix::fs::PermissionsExt;

use havenlink::app::{DataDir, RunningMember};
use havenlink::clock::MovedClock;
use havenlink::config::{self, Sources};
use havenlink::demo::city::City;
use havenlink::demo::sample::CITIES;
use havenlink::domain::directory::Policy;
use havenlink::domain::reason::Reason;
use havenlink::domain::time::Millis;
use havenlink::services::layers::Runtimes;
use havenlink::transport::NodeIdentity;
use havenlink::wire::acts;
use havenlink_proto::directory::v1::{Outcome, proposal};
use havenlink_tests::federation::{Federation, built};
use havenlink_tests::peer;
use havenlink_tests::rest::Watched;
use havenlink_tests::tools::{havenctl, shell, skipped};
use havenlink_tests::wait::eventually;

use super::{PATIENCE, content, says};
use crate::steps::propose;

/// Backs a city up into its folder and gives the file.
async fn backup(city: &City) -> String {
    let remedy = says(city, "backup", "WARNING").await.remedy;
    let command =
        remedy.split(',').next().unwrap().replace("DIRECTORY", &city.dir.join("backup").display().to_string());
    let printed = shell(city, &command).await.unwrap().fine();
    printed.lines().next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_key_files_disk_certificate_and_pin() {
    let mut federation = Federation::found(1, 1, "").await.unwrap();
    let city = &mut federation.cities[0];
    backup(city).await;
    content(city).await;

    let key = city.dir.join("data/authority.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let found = says(city, "key files", "CRITICAL").await;
    assert!(found.finding.contains("authority.key"), "{found:?}");
    shell(city, &found.remedy).await.unwrap().fine();
    content(city).await;

    // The disk goes away under the node, and comes back.
    let (data, away) = (city.dir.join("data"), city.dir.join("away"));
    std::fs::rename(&data, &away).unwrap();
    let found = says(city, "disk", "UNKNOWN").await;
    assert!(found.remedy.contains("mount it again"), "{found:?}");
    std::fs::rename(&away, &data).unwrap();
    content(city).await;

    // A certificate that ends soon and that nobody published: somebody copied files about. The authority's key vouches for the
    // node, which publishes another one by itself.
    city.stop().await.unwrap();
    let foreign = peer::self_issued(city.id(), Millis::days(10)).unwrap();
    NodeIdentity::store(&data, &foreign).unwrap();
    city.start().unwrap();
    city.ready().await.unwrap();
    says(city, "pin", "OK").await;
    says(city, "certificate", "OK").await;
    content(city).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_says_something_else_than_the_register() {
    let mut federation = Federation::found(1, 1, "").await.unwrap();
    let city = &mut federation.cities[0];
    backup(city).await;
    content(city).await;

    let file = city.dir.join("node.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    let changed = before.replace("contact@strasbourg.example", "veille@strasbourg.example");
    assert_ne!(before, changed);
    std::fs::write(&file, changed).unwrap();
    city.stop().await.unwrap();
    city.start().unwrap();
    city.ready().await.unwrap();
    let found = says(city, "entry", "WARNING").await;
    assert!(found.finding.contains("contact.email is veille@strasbourg.example"), "{found:?}");

    // Another change of the entry says so as well.
    let updated = havenctl(city, &["node", "update", "--contact-phone", "+33199001234"]).await.unwrap();
    assert!(updated.code == 0 && (updated.out + &updated.err).contains("contact.email"), "the file is named");
    let (command, _) = found.remedy.split_once(", or put").unwrap();
    shell(city, command).await.unwrap().fine();
    content(city).await;

    // What is shown is what is taken.
    let shown = havenctl(city, &["member", "show", city.id(), "-o", "json"]).await.unwrap().fine();
    let entry = city.dir.join("entry.json");
    std::fs::write(&entry, shown.replace("+33199001234", "+33199005678")).unwrap();
    havenctl(city, &["node", "update", "--file", &entry.display().to_string()]).await.unwrap().fine();
    let stale = havenctl(city, &["node", "update", "--file", &entry.display().to_string()]).await.unwrap();
    assert!(stale.code != 0 && stale.err.contains("STALE_VERSION"), "{stale:?}");
    let shown = havenctl(city, &["member", "show", city.id()]).await.unwrap().fine();
    assert!(shown.contains("+33199005678") && shown.contains("veille@strasbourg.example"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_ledger_and_rules_of_a_later_version() {
    let mut federation = Federation::found(1, 1, "").await.unwrap();
    let city = &mut federation.cities[0];
    havenctl(city, &["invite", "create", "--for", "de-kehl"]).await.unwrap().fine();
    says(city, "ledger", "OK").await;
    let file = backup(city).await;

    city.stop().await.unwrap();
    change_first_leaf(&city.dir.join("data/havenlink.db")).await;
    city.start().unwrap();
    city.ready().await.unwrap();
    let found = says(city, "ledger", "CRITICAL").await;
    assert!(found.remedy.contains("havenctl audit verify"), "{found:?}");
    let verify = havenctl(city, &["audit", "verify"]).await.unwrap();
    assert!(verify.code == 1 && verify.err.contains("AUDIT_DAMAGED"), "{verify:?}");
    city.stop().await.unwrap();
    city.once(&["restore", &file]).await.unwrap();
    city.start().unwrap();
    city.ready().await.unwrap();
    says(city, "ledger", "OK").await;

    // The lone steward's own program does not raise the rules beyond what it knows. A later one has done so; only a later
    // program mends that.
    let refused = havenctl(city, &["policy", "propose", "--rules-version", "2", "--yes"]).await.unwrap();
    assert!(refused.code == 5 && refused.err.contains("RULES_TOO_OLD"), "{refused:?}");
    says(city, "rules", "OK").await;
    let raised = Policy { rules_version: 2, ..Policy::default() };
    let act = proposal::Act::Policy(acts::policy_to_proto(&raised));
    assert_eq!(propose(city, "#policy", 1, act).await.unwrap().outcome(), Outcome::Accepted);
    let stopped = city.status().await.unwrap().reason;
    assert_eq!(stopped, Reason::RulesTooOld.code());
    let found = says(city, "rules", "CRITICAL").await;
    assert!(found.finding.contains("version 2") && found.remedy.starts_with("update havenlink"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_row_that_cannot_be_read() {
    let mut federation = Federation::found(1, 1, "").await.unwrap();
    let city = &mut federation.cities[0];
    for partner in ["de-kehl", "be-gent"] {
        havenctl(city, &["invite", "create", "--for", partner]).await.unwrap().fine();
    }
    says(city, "stored rows", "OK").await;
    city.stop().await.unwrap();
    damage_first_invitation(&city.dir.join("data/havenlink.db")).await;
    city.start().unwrap();
    city.ready().await.unwrap();
    let listed = havenctl(city, &["invite", "list"]).await.unwrap().fine();
    assert!(listed.contains("UNREADABLE (STORAGE_DAMAGED)") && listed.contains("OPEN"), "{listed}");
    let status = havenctl(city, &["status"]).await.unwrap().fine();
    assert!(status.contains("unreadable  invitation ") && status.contains("everything else works"), "{status}");
    let found = says(city, "stored rows", "WARNING").await;
    assert!(found.finding.contains("1 in invitation") && found.remedy.contains("havenlink restore"), "{found:?}");
}

async fn damage_first_invitation(file: &std::path::Path) {
    use sqlx::{Connection, SqliteConnection};
    let mut db = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    let damage = "UPDATE invitation SET held = x'ffff' WHERE id = (SELECT min(id) FROM invitation)";
    assert_eq!(sqlx::query(damage).execute(&mut db).await.unwrap().rows_affected(), 1);
    db.close().await.unwrap();
}

/// Somebody with the file edits what was recorded.
async fn change_first_leaf(file: &std::path::Path) {
    use sqlx::{Connection, SqliteConnection};
    let mut db = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    let leaf: Vec<u8> =
        sqlx::query_scalar("SELECT leaf FROM audit_leaf WHERE place = 0").fetch_one(&mut db).await.unwrap();
    let mut changed = leaf;
    *changed.last_mut().unwrap() ^= 1;
    let done =
        sqlx::query("UPDATE audit_leaf SET leaf = ? WHERE place = 0").bind(changed).execute(&mut db).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
    db.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_nearly_full() {
    let root = tempfile::tempdir().unwrap();
    let mut city = Watched::prepare(root.path(), &CITIES[0], &built("havenlink").unwrap()).unwrap();
    let data = city.dir.join("data");
    std::fs::create_dir(&data).unwrap();
    let mounted = Mounted::tmpfs(&data, "size=256m,mode=0700");
    let Some(mounted) = mounted else {
        return skipped("doctor: a disk that is nearly full: needs root, to mount one");
    };
    city.once(&["init"]).await.unwrap();
    city.start().unwrap();
    city.ready().await.unwrap();
    let found = says(&city, "disk", "CRITICAL").await;
    assert!(found.remedy.starts_with("df -h "), "{found:?}");
    shell(&city, found.remedy.split(" shows").next().unwrap()).await.unwrap().fine();
    mounted.again("size=1g");
    says(&city, "disk", "WARNING").await;
    mounted.again("size=4g");
    says(&city, "disk", "OK").await;
    city.stop().await.unwrap();
}

/// A small disk for as long as it is held.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn tmpfs(at: &std::path::Path, options: &str) -> Option<Self> {
        let done = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).output();
        done.is_ok_and(|o| o.status.success()).then(|| Self(at.to_owned()))
    }

    fn again(&self, options: &str) {
        let options = format!("remount,{options}");
        let done = std::process::Command::new("mount").args(["-o", &options]).arg(&self.0).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_wrong() {
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two") };
    says(kehl, "clock", "OK").await;
    // Kehl's node again, in this process: the machine's own clock cannot be moved in a test.
    kehl.stop().await.unwrap();
    let clock = MovedClock::new();
    clock.advance(Millis::seconds(-90));
    let sources = Sources::read(Some(&kehl.dir.join("node.toml")), Vec::new()).unwrap();
    let config = config::load(&Sources { variables: Vec::new(), ..sources }).unwrap();
    havenlink::transport::install_provider();
    let data = DataDir::take(&config.data_dir).unwrap();
    let member = RunningMember::start(config, data, clock.clone(), &Runtimes::current(), None).await.unwrap();
    eventually("Kehl's door", PATIENCE, || async { kehl.status().await.ok() }).await;

    let found = says(kehl, "clock", "WARNING").await;
    assert!(found.finding.contains("behind that of fr-strasbourg"), "{found:?}");
    assert!(found.remedy.contains("timedatectl"), "{found:?}");
    clock.advance(Millis::minutes(-5));
    let found = says(kehl, "clock", "CRITICAL").await;
    assert!(found.finding.contains("content about a person stops"), "{found:?}");
    clock.advance(Millis::minutes(9));
    let found = says(kehl, "clock", "WARNING").await;
    assert!(found.finding.contains("ahead of that of fr-strasbourg"), "{found:?}");
    clock.advance(Millis::seconds(-150));
    says(kehl, "clock", "OK").await;
    says(strasbourg, "clock", "OK").await;
    member.stop().await;
}
