//! The screens of a small federation: what an operator and a coordinator see.

use std::time::Duration;

use havenlink_tests::federation::Federation;
use havenlink_tests::tools::havenctl;
use havenlink_tests::wait::eventually;

use super::{publishing, stable};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_cities_that_agreed_and_an_alert() {
    let federation = Federation::found(3, 1, "").await.unwrap();
    let [strasbourg, kehl, _] = &federation.cities[..] else { panic!("three") };
    let propose = [
        "agreement",
        "propose",
        "de-kehl",
        "--share",
        "alerts",
        "--share",
        "offers=LONG_TERM_REFUGE:light",
        "--both-ways",
        "--until",
        "365d",
    ];
    let printed = havenctl(strasbourg, &propose).await.unwrap().fine();
    let id = printed.split_whitespace().find(|w| w.len() == 64).unwrap().to_owned();
    eventually("the proposal at Kehl", PATIENCE, || async {
        (havenctl(kehl, &["agreement", "sign", &id]).await.unwrap().code == 0).then_some(())
    })
    .await;
    let publish = publishing("en:Leaflets promise kitchen work with lodging; the papers are kept.");
    eventually("the agreement in force", PATIENCE, || async {
        (havenctl(strasbourg, &publish).await.unwrap().code == 0).then_some(())
    })
    .await;
    // The proposal, the complete agreement and the alert: what the screens show is still then.
    eventually("the deliveries", PATIENCE, || async {
        (havenctl(strasbourg, &["delivery", "list"]).await.unwrap().out.matches("DELIVERED").count() == 3).then_some(())
    })
    .await;
    havenctl(strasbourg, &["invite", "create", "--for", "be-liege"]).await.unwrap().fine();
    for (name, arguments) in [
        ("status", &["status"][..]),
        ("member-list", &["member", "list"]),
        ("member-show", &["member", "show", "de-kehl"]),
        ("member-list-json", &["member", "list", "-o", "json"]),
        ("agreement-list", &["agreement", "list"]),
        ("agreement-show", &["agreement", "show", &id]),
        ("alert-list", &["alert", "list"]),
        ("delivery-list", &["delivery", "list"]),
        ("delivery-list-csv", &["delivery", "list", "-o", "csv"]),
        ("invite-list", &["invite", "list"]),
        ("steward-list", &["steward", "list"]),
        ("directory-status", &["directory", "status"]),
        ("audit-verify", &["audit", "verify"]),
        ("explain", &["explain", "AGREEMENT_NOT_IN_FORCE"]),
        ("explain-json", &["explain", "AGREEMENT_NOT_IN_FORCE", "-o", "json"]),
    ] {
        let ran = havenctl(strasbourg, arguments).await.unwrap();
        let text = format!("{}--- to the person:\n{}", ran.out, ran.err);
        assert_eq!(ran.code, 0, "{ran:?}");
        insta::assert_snapshot!(name, stable(&text));
    }
    let doctor = havenctl(strasbourg, &["doctor"]).await.unwrap();
    assert_eq!(doctor.code, 1, "no backup yet");
    // How full this machine's disk is, and which groups it has, is its own.
    let machine = |line: &&str| matches!(line.split_whitespace().nth(1), Some("disk" | "sockets"));
    let lines = doctor.out.lines().filter(|line| !machine(line));
    insta::assert_snapshot!("doctor", stable(&lines.collect::<Vec<_>>().join("\n")));
}
