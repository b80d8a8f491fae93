//! The screens of a small federation: what an operator and a coordinator see.

use std::time::Duration;

use havenlink::demo::city::City;
use havenlink_tests::federation::Federation;
use havenlink_tests::tools::{havenctl, shell};
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
    of_the_ledger(strasbourg, kehl).await;
}

/// Verified by the tool of somebody else, with keys from the other city; and told to the data-protection officer alone.
async fn of_the_ledger(strasbourg: &City, kehl: &City) {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (ledger, keys, others) = (at("ledger.jsonl"), at("keys.json"), at("others.json"));
    let shows = |of: &City, to: &str| format!("havenctl member show {} -o json > {to}", of.id());
    shell(kehl, &shows(strasbourg, &keys)).await.unwrap().fine();
    shell(kehl, &shows(kehl, &others)).await.unwrap().fine();
    let exported = eventually("a checkpoint", 2 * PATIENCE, || async {
        shell(strasbourg, &format!("havenctl audit export > {ledger}")).await.unwrap().fine();
        let text = std::fs::read_to_string(&ledger).unwrap();
        text.contains("checkpoint\":").then_some(text)
    })
    .await;
    let verify = async |rest: &str| {
        let ran = shell(strasbourg, &format!("havenlink-audit {ledger} {rest}")).await.unwrap();
        (ran.code, ran.out, ran.err)
    };
    let (code, told, _) = verify(&format!("--keys {keys} --seen {ledger}")).await;
    let seen = told.lines().any(|line| line.starts_with("begins with what "));
    assert!(code == 0 && seen && told.starts_with("consistent with itself: fr-strasbourg, "), "{told}");
    let (code, told, _) = verify(&format!("--keys {keys}")).await;
    assert!(code == 0 && told.contains("never cosigned"), "{told}");
    let (code, told, _) = verify(&format!("--keys {others}")).await;
    assert!(code == 1 && told.contains("is not signed with a key of the authority"), "{told}");
    let (code, _, err) = verify("").await;
    assert!(code == 2 && err.contains("--keys FILE"), "{err}");
    shell(strasbourg, &format!("havenctl audit prove --entry 0 > {}", at("proof"))).await.unwrap().fine();
    let proved = shell(kehl, &format!("havenlink-audit {} --keys {keys}", at("proof"))).await.unwrap().fine();
    assert!(proved.starts_with("entry 0, "), "{proved}");
    // One entry less, and the same checkpoint.
    let lines: Vec<&str> = exported.lines().collect();
    std::fs::write(&ledger, [&lines[..1], &lines[2..]].concat().join("\n")).unwrap();
    let (code, told, _) = verify(&format!("--keys {keys}")).await;
    assert!(code == 1 && told.starts_with("DAMAGED: entry 0 "), "{told}");

    let report = havenctl(strasbourg, &["report", "--since", "2020-01-01"]).await.unwrap();
    assert_eq!(report.code, 0, "{report:?}");
    insta::assert_snapshot!("report", stable(&format!("{}--- to the person:\n{}", report.out, report.err)));
    let refused = havenctl(strasbourg, &["--role", "operator", "report", "--since", "1d"]).await.unwrap();
    assert_eq!(refused.code, 3, "{refused:?}");
}
