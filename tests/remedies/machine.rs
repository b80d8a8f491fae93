//! What a node's own machine makes it refuse: files, folders, configuration, backups. The commands are typed beside a node that does
//! not run, or at its own sockets.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use havenlink::demo::city::City;
use havenlink::demo::sample::CITIES;
use havenlink::domain::reason::Reason;
use havenlink::domain::time::Millis;
use havenlink::transport::NodeIdentity;
use havenlink_tests::federation::{built, ctl};
use havenlink_tests::peer;
use havenlink_tests::rest::Watched;
use havenlink_tests::tools::{havenctl, havenlink, shell};

use crate::steps::*;
use crate::told::{Scene, Told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_machine_refuses_is_mended_by_what_it_says() {
    let scene = Scene::new("machine");
    let root = tempfile::tempdir().unwrap();
    let [mut strasbourg, mut kehl] = [0, 1].map(|place| prepared(root.path(), place));
    belongs_to_no_federation(&scene, &mut strasbourg, &mut kehl).await;
    kehl.kill().await.unwrap();
    configured(&scene, &strasbourg).await;
    backed_up(&scene, &strasbourg).await;
    strasbourg.stop().await.unwrap();
    damaged(&scene, &mut strasbourg).await;
    open_to_others(&scene, &mut strasbourg).await;
    a_certificate_of_nobody(&scene, &mut strasbourg).await;
    scene.ends();
}

fn prepared(root: &Path, place: usize) -> Watched {
    Watched::prepare(root, &CITIES[place], &built("havenlink").unwrap()).unwrap()
}

/// A command of the node is refused for this reason.
async fn refused<'s, 'c>(scene: &'s Scene, city: &'c City, typed: &[&str], reason: Reason) -> Told<'s, 'c> {
    let ran = havenlink(city, typed).await.unwrap();
    scene.printed(city, &typed.join(" "), &ran, reason)
}

async fn fine(city: &City) {
    let checked = havenlink(city, &["check"]).await.unwrap().fine();
    assert!(checked.contains("authority key  fine") && checked.contains("\nregister "), "{checked}");
}

/// A new federation, one that stands, and one whose member lost its disk.
async fn belongs_to_no_federation(scene: &Scene, strasbourg: &mut City, kehl: &mut City) {
    let told = refused(scene, strasbourg, &["check"], Reason::NotJoined).await;
    let printed = told.run("havenlink init").await.fine();
    strasbourg.into_safe(&printed).unwrap();
    fine(strasbourg).await;
    let told = refused(scene, strasbourg, &["init"], Reason::AlreadyJoined).await;
    let checked = told.run("havenlink check").await.fine();
    assert!(checked.contains("fr-strasbourg"), "whose it is: {checked}");
    strasbourg.start().unwrap();
    strasbourg.ready().await.unwrap();

    let told = refused(scene, kehl, &["check"], Reason::NotJoined).await;
    let token = ctl(strasbourg, &["invite", "create", "--for", kehl.id()]).await.unwrap();
    let quoted = format!("'{}'", token.trim());
    let printed = told.known(kehl, "havenlink join TOKEN", &[("TOKEN", &quoted)], "").await.fine();
    kehl.into_safe(&printed).unwrap();
    let words = havenlink::demo::acts::founding::six_words(&printed).unwrap();
    ctl(strasbourg, &["member", "approve", kehl.id(), "--words", &words]).await.unwrap();
    kehl.start().unwrap();
    kehl.ready().await.unwrap();
    let folder = kehl.dir.join("backups");
    kehl.once(&["backup", text(&folder)]).await.unwrap();
    lose_disk(kehl).await.unwrap();
    let told = refused(scene, kehl, &["check"], Reason::NotJoined).await;
    let options = format!("--identity {} --yes", text(&kehl.safe()));
    let recover = told.known(kehl, "havenlink recover --from FOLDER", &[("FOLDER", text(&folder))], &options).await;
    assert!(recover.fine().contains("restored: "), "from its backup");
    fine(kehl).await;
    kehl.start().unwrap();
    kehl.ready().await.unwrap();
}

/// Lines of the configuration, of the command and of the environment.
async fn configured(scene: &Scene, city: &City) {
    let file = city.dir.join("node.toml");
    let right = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("listn = \"x\"\n{}", right.replace("\"off\"", "\"nowhere\""))).unwrap();
    let told = refused(scene, city, &["check"], Reason::ConfigInvalid).await;
    assert!(told.text.contains("did you mean listen?") && told.text.contains("http:"), "{}", told.text);
    std::fs::write(&file, &right).unwrap();
    told.run("havenlink check").await.fine();

    let data = text(&city.dir.join("data")).to_owned();
    let below_a_file = format!("{}/data", text(&file));
    std::fs::write(&file, right.replace(&format!("\"{data}\""), &format!("\"{below_a_file}\""))).unwrap();
    let told = refused(scene, city, &["init"], Reason::StorageFailed).await;
    let same = told.run("havenlink check").await;
    assert!(same.code != 0 && same.err.contains(&below_a_file), "it names the place: {same:?}");
    std::fs::write(&file, &right).unwrap();
    told.run("havenlink check").await.fine();

    let told = scene.refused(city, &["--sockets", "/nonexistent", "status"], Reason::NodeNotReachable).await;
    let sockets = city.sockets();
    told.known(city, "havenctl --sockets DIR", &[("DIR", text(&sockets))], "status").await.fine();
}

/// A folder that cannot be written, and nothing to seal to.
async fn backed_up(scene: &Scene, city: &City) {
    let folder = city.dir.join("backups");
    let told = refused(scene, city, &["backup", "/proc/nowhere"], Reason::BackupFailed).await;
    told.known(city, "havenlink backup", &[], text(&folder)).await.fine();

    std::fs::remove_file(city.dir.join("data/recovery.recipient")).unwrap();
    let again = ["backup", text(&folder)];
    let told = refused(scene, city, &again, Reason::RecoveryRecipientMissing).await;
    let printed = told.run("havenlink recovery-key").await.fine();
    city.into_safe(&printed).unwrap();
    let printed = havenlink(city, &again).await.unwrap().fine();
    assert!(printed.contains("sealed to "), "{printed}");
}

/// A key that is lost, and one that is no key.
async fn damaged(scene: &Scene, city: &mut City) {
    let (file, safe) = (city.dir.join("data/authority.key"), city.safe());
    let kept = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let told = refused(scene, city, &["check"], Reason::AuthorityKeyLost).await;
    let with_safe = format!("< {}", text(&safe));
    let mut printed = told.known(city, "havenlink recover", &[], &with_safe).await.fine();
    while let Some(next) = printed.lines().find_map(|line| line.strip_prefix("next: havenlink recover ")) {
        assert!(!file.exists(), "a plan changes nothing: {printed}");
        printed = shell(city, &format!("havenlink recover {next} {with_safe}")).await.unwrap().fine();
    }
    assert!(printed.contains("the keys are back"), "{printed}");
    assert_eq!(std::fs::read(&file).unwrap(), kept);
    fine(city).await;

    changed_ledger(scene, city).await;
    std::fs::write(&file, "no key").unwrap();
    let told = refused(scene, city, &["check"], Reason::StorageDamaged).await;
    let last = format!("{} --identity {}", text(&city.dir.join("backups")), text(&safe));
    told.known(city, "havenlink restore", &[], &last).await.fine();
    assert_eq!(std::fs::read(&file).unwrap(), kept);
    fine(city).await;
}

/// Somebody with the file edits what was recorded; the backup has it as it was.
async fn changed_ledger(scene: &Scene, city: &mut City) {
    use sqlx::{Connection, SqliteConnection};
    let store = format!("sqlite://{}", city.dir.join("data/havenlink.db").display());
    let mut db = SqliteConnection::connect(&store).await.unwrap();
    let other = "UPDATE audit_leaf SET leaf = x'00' WHERE place = 0";
    assert_eq!(sqlx::query(other).execute(&mut db).await.unwrap().rows_affected(), 1);
    db.close().await.unwrap();
    city.start().unwrap();
    city.ready().await.unwrap();
    let told = scene.refused(city, &["audit", "verify"], Reason::AuditDamaged).await;
    let same = told.run("havenctl audit verify").await;
    assert!(same.code == 1 && same.err.contains("0"), "from which entry on: {same:?}");
    city.stop().await.unwrap();
}

/// A key that others of the machine could read is not only shut, but replaced.
async fn open_to_others(scene: &Scene, city: &mut City) {
    let key = city.dir.join("data/authority.key");
    let before = std::fs::read(&key).unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let told = refused(scene, city, &["check"], Reason::OpenToOthers).await;
    let shut = told.text.lines().find_map(|line| line.trim().strip_prefix("fix")).expect("the command that shuts it");
    shell(city, shut).await.unwrap().fine();
    fine(city).await;
    let text = told.text.clone();
    city.start().unwrap();
    votes(city).await;
    ctl(city, &["audit", "verify"]).await.unwrap();
    let told = scene.again(city, Reason::OpenToOthers, text);
    told.known(city, "havenctl node rotate-key --compromised", &[], "--yes").await.fine();
    assert_ne!(std::fs::read(&key).unwrap(), before, "the key is another one");
    fine(city).await;
    city.stop().await.unwrap();
}

/// A lone steward that was restored votes again by the command that its doctor names.
async fn votes(city: &mut City) {
    city.until("it answers", |_| true).await.unwrap();
    if !city.status().await.unwrap().votes {
        havenctl(city, &["steward", "refound", "--yes"]).await.unwrap().fine();
    }
    city.until("it votes", |s| s.votes).await.unwrap();
}

/// A certificate that stands in no entry: somebody copied files about.
async fn a_certificate_of_nobody(scene: &Scene, city: &mut City) {
    let foreign = peer::self_issued(city.id(), Millis::days(30)).unwrap();
    NodeIdentity::store(&city.dir.join("data"), &foreign).unwrap();
    let text = refused(scene, city, &["check"], Reason::CertificateInvalid).await.text;
    city.start().unwrap();
    city.ready().await.unwrap();
    let told = scene.again(city, Reason::CertificateInvalid, text);
    told.run("havenctl node renew").await.fine();
    fine(city).await;
}
