//! What the node's own machine makes it refuse: files, addresses, configuration, a full disk.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use havenlink::demo::city::City;
use havenlink::demo::sample::{self, CITIES};
use havenlink::domain::reason::Reason;
use havenlink_proto::local::v1::content::Said;
use havenlink_proto::local::v1::{ListRecordsRequest, PublishRecordRequest, SearchPracticesRequest};
use havenlink_proto::record::v1::{Alert, AlertKind, AssertionBasis, Purpose, RecordKind, Tlp};
use havenlink_tests::federation::{Federation, built};
use havenlink_tests::refused::assert_refused;
use havenlink_tests::rest::Watched;
use havenlink_tests::tools::{Ran, havenctl, havenlink, shell};

use crate::steps::PATIENCE;

fn prepared(root: &tempfile::TempDir) -> Watched {
    Watched::prepare(root.path(), &CITIES[0], &built("havenlink").unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_that_is_empty_taken_damaged_or_no_directory() {
    let root = tempfile::tempdir().unwrap();
    let mut city = prepared(&root);
    assert_refused(&havenlink(&city, &["check"]).await.unwrap(), Reason::NotJoined);
    assert_refused(&havenlink(&city, &["backup", "/tmp"]).await.unwrap(), Reason::NotJoined);
    let file = format!("data_dir={}/node.toml/data", city.dir.display());
    assert_refused(&havenlink(&city, &["init", "--set", &file]).await.unwrap(), Reason::StorageFailed);
    city.once(&["init"]).await.unwrap();
    assert_refused(&havenlink(&city, &["init"]).await.unwrap(), Reason::AlreadyJoined);

    city.start().unwrap();
    city.ready().await.unwrap();
    assert_refused(&havenlink(&city, &["run"]).await.unwrap(), Reason::DataDirInUse);
    assert_refused(&havenlink(&city, &["backup", "/proc/nowhere"]).await.unwrap(), Reason::BackupFailed);
    let nonsense = city.dir.join("nonsense.backup");
    std::fs::write(&nonsense, "no database").unwrap();
    city.stop().await.unwrap();
    let restore = havenlink(&city, &["restore", &nonsense.display().to_string()]).await.unwrap();
    assert_refused(&restore, Reason::BackupInvalid);

    let key = city.dir.join("data/authority.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::write(&key, "not a key").unwrap();
    assert_refused(&havenlink(&city, &["check"]).await.unwrap(), Reason::StorageDamaged);
    std::fs::write(&key, kept).unwrap();
    assert!(havenlink(&city, &["check"]).await.unwrap().fine().contains("register       fine"));
}

/// What does not end by itself was not refused.
async fn in_time(city: &City, command: &str) -> Ran {
    let ran = tokio::time::timeout(PATIENCE, havenlink(city, &[command])).await;
    ran.unwrap_or_else(|_| panic!("{command} is not refused")).unwrap()
}

/// By `check` and by a start, with the command that shuts it; then both are fine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_folders_that_others_can_open() {
    let root = tempfile::tempdir().unwrap();
    let mut city = prepared(&root);
    city.once(&["init"]).await.unwrap();
    let (data, run) = (city.dir.join("data"), city.sockets());
    let key = data.join("authority.key");
    for (file, open) in [(&key, 0o644), (&data, 0o777), (&run, 0o777)] {
        std::fs::set_permissions(file, Permissions::from_mode(open)).unwrap();
        for command in ["check", "run"] {
            let refused = in_time(&city, command).await;
            assert_refused(&refused, Reason::OpenToOthers);
            assert!(refused.err.contains(&file.display().to_string()), "{command}: {refused:?}");
        }
        let refused = havenlink(&city, &["check"]).await.unwrap();
        let fix = refused.err.lines().find_map(|line| line.trim().strip_prefix("fix")).expect("it names the command");
        shell(&city, fix).await.unwrap().fine();
        havenlink(&city, &["check"]).await.unwrap().fine();
    }
    // Where somebody else's folder is, sockets could be somebody else's too.
    let elsewhere = city.dir.join("elsewhere");
    std::fs::rename(&run, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &run).unwrap();
    for command in ["check", "run"] {
        assert_refused(&in_time(&city, command).await, Reason::OpenToOthers);
    }
    std::fs::remove_file(&run).unwrap();
    let checked = havenlink(&city, &["check"]).await.unwrap().fine();
    assert!(checked.lines().filter(|line| line.starts_with("sockets ")).count() == 1, "{checked}");
    city.start().unwrap();
    city.ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_taken_and_a_configuration_with_faults() {
    let root = tempfile::tempdir().unwrap();
    let city = prepared(&root);
    city.once(&["init"]).await.unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("listen={}", other.local_addr().unwrap());
    let refused = havenlink(&city, &["run", "--set", &taken]).await.unwrap();
    assert_refused(&refused, Reason::AddressInUse);
    assert!(refused.err.contains("for listen in node.toml"), "{refused:?}");
    let metrics = taken.replace("listen=", "http=");
    for command in ["check", "run"] {
        let refused = havenlink(&city, &[command, "--set", &metrics]).await.unwrap();
        assert_refused(&refused, Reason::AddressInUse);
        assert!(refused.err.contains("for http in node.toml"), "{command}: {refused:?}");
    }
    let nowhere = havenlink(&city, &["run", "--set", "run_dir=/proc/nowhere/run"]).await.unwrap();
    assert_refused(&nowhere, Reason::RunDirUnusable);
    assert!(
        nowhere.err.contains("/proc/nowhere/run") && nowhere.err.contains("systemctl start havenlink"),
        "{nowhere:?}"
    );
    let ran = havenlink(&city, &["run", "--set", "listn=x", "--set", "http=nowhere"]).await.unwrap();
    assert_refused(&ran, Reason::ConfigInvalid);
    assert!(ran.err.contains("did you mean listen?") && ran.err.contains("http:"), "all at once: {ran:?}");
    assert_refused(&havenlink(&city, &["run", "--config", "/nonexistent.toml"]).await.unwrap(), Reason::ConfigInvalid);
    assert_refused(&havenctl(&city, &["member", "list"]).await.unwrap(), Reason::NodeNotReachable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_token_of_another_list() {
    let federation = Federation::found(1, 1, "").await.unwrap();
    let city = &federation.cities[0];
    let mut records = city.records().await.unwrap();
    let mut practices = city.practices().await.unwrap();
    for token in ["x", "bm9uZQ", "%%%"] {
        let kind = RecordKind::Alert.into();
        let request = ListRecordsRequest { kind, page_token: token.into(), ..Default::default() };
        assert_refused(&records.list_records(request).await, Reason::PageTokenInvalid);
        let request = SearchPracticesRequest { page_token: token.into(), ..Default::default() };
        assert_refused(&practices.search_practices(request).await, Reason::PageTokenInvalid);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn free_text_and_closed_fields_that_do_not_pass() {
    let federation = Federation::found(2, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let mut publisher = federation.cities[0].publisher().await.unwrap();
    let good = || PublishRecordRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        sharing: Some(sample::sharing(&["de-kehl"], Purpose::Prevention, Tlp::Green)),
        content: Some(sample::advert_alert().into()),
        ..Default::default()
    };
    fn alert(request: &mut PublishRecordRequest) -> &mut Alert {
        match request.content.as_mut().unwrap().said.as_mut().unwrap() {
            Said::Alert(alert) => alert,
            other => panic!("{other:?}"),
        }
    }
    let first = good();
    publisher.publish_record(first.clone()).await.unwrap();
    type Change = fn(&mut PublishRecordRequest);
    let cases: [(Change, Reason); 10] = [
        (|r| r.content = None, Reason::FieldMissing),
        (|r| alert(r).kind = 77, Reason::ValueUnknown),
        (|r| alert(r).kind = AlertKind::LicenceAction.into(), Reason::KindNotSupported),
        (|r| alert(r).assertion_basis = AssertionBasis::ReportedByPerson.into(), Reason::PersonRecordsClosed),
        (|r| alert(r).summary[0].text = "a".repeat(501), Reason::FieldTooLong),
        (|r| alert(r).summary[0].text = "Appelez le +33 1 99 00 12 34".into(), Reason::PersonalDataInText),
        (|r| r.sharing.as_mut().unwrap().handling = None, Reason::HandlingUnknown),
        (|r| r.sharing.as_mut().unwrap().handling.as_mut().unwrap().tlp = 99, Reason::HandlingUnknown),
        (
            |r| r.sharing.as_mut().unwrap().handling.as_mut().unwrap().tlp = Tlp::Red.into(),
            Reason::HandlingTooRestricted,
        ),
        (|r| r.sharing.as_mut().unwrap().recipients = vec!["Kehl am Rhein".into()], Reason::FieldInvalid),
    ];
    for (change, reason) in cases {
        let mut request = good();
        change(&mut request);
        assert_refused(&publisher.publish_record(request).await, reason);
    }
    let mut again = first;
    again.content = Some(sample::site_alert().into());
    assert_refused(&publisher.publish_record(again).await, Reason::RequestIdReused);
}
