//! Mistyped commands get a suggestion; every ending has its exit code.

use std::time::Duration;

use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink::domain::reason::Reason;
use havenlink::services::errors::{code, code_name};
use havenlink_proto::local::v1::SetOfferRequest;
use havenlink_tests::federation::Federation;
use havenlink_tests::road;
use havenlink_tests::tools::{havenctl, havenlink};
use havenlink_tests::wait::eventually;

use super::{alone, publishing, stable};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_mistyped_command_is_answered_with_the_one_that_was_meant() {
    for (tool, typed, meant) in [
        ("havenctl", &["membre", "list"][..], "'member'"),
        ("havenctl", &["member", "lst"], "'list'"),
        ("havenctl", &["agreement", "propse", "de-kehl"], "'propose'"),
        ("havenctl", &["status", "--jsn"], "--"),
        ("havenctl", &["status", "-o", "jsn"], "'json'"),
        ("havenctl", &["member", "suspend", "de-kehl", "--reason", "OWN_REQEST"], "OWN_REQUEST"),
        ("havenctl", &["alert", "publish", "--kind", "ADVERTISING"], "SUSPICIOUS_ADVERTISING"),
        ("havenctl", &["--role", "operater", "status"], "'operator'"),
        ("havenlink", &["ini"], "'init'"),
        ("havenlink", &["joyn", "TOKEN"], "'join'"),
        ("havenlink", &["run", "--set", "listn=x", "--set", "authority=fr-x"], "listen"),
    ] {
        let (code, out, err) = alone(tool, typed);
        assert_eq!((code, out.as_str()), (2, ""), "{tool} {typed:?}: {err}");
        assert!(err.contains(meant), "{tool} {typed:?}: {err}");
    }
}

#[test]
fn what_the_tool_explains_by_itself_says_what_the_catalogue_says() {
    let (code, out, _) = alone("havenctl", &["explain", "--all", "-o", "jsonl"]);
    assert_eq!(code, 0, "no node is needed");
    let told: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for reason in Reason::ALL {
        let told = told.iter().find(|told| told["code"] == reason.code()).unwrap_or_else(|| panic!("{reason}"));
        let row = reason.row();
        let texts = [&told["what"], &told["why"], &told["remedy"]];
        assert_eq!(texts.map(|text| text.as_str()), [row.what, row.why, row.remedy].map(Some), "{reason}");
        assert_eq!(told["exit_code"], row.status.exit_code(), "{reason}");
        assert_eq!(told["retryable"], row.retryable, "{reason}");
    }
}

/// The file of the contract is the node's own list; `UPDATE_REASONS=1` writes it.
#[test]
fn the_catalogue_of_the_contract_is_that_of_the_node() {
    let mut table = "code\tgrpc_status\texit_code\tretryable\twhat\twhy\tremedy\n".to_owned();
    for reason in Reason::ALL {
        let row = reason.row();
        let status = code_name(code(*reason));
        let (exit, again) = (row.status.exit_code(), row.retryable);
        let fields = [row.code, status, &exit.to_string(), &again.to_string(), row.what, row.why, row.remedy];
        table.push_str(&format!("{}\n", fields.join("\t")));
    }
    if std::env::var_os("UPDATE_REASONS").is_some() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/reasons.tsv");
        std::fs::write(file, &table).unwrap();
    }
    assert!(havenlink_proto::REASONS == table, "UPDATE_REASONS=1 writes it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_ending_has_its_code() {
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two") };
    let code = async |city: &City, arguments: &[&str]| havenctl(city, arguments).await.unwrap().code;
    assert_eq!(code(strasbourg, &["status"]).await, 0);
    assert_eq!(code(strasbourg, &["member", "suspend", "de-kehl", "--reason", "OWN_REQUEST"]).await, 2, "no --yes");
    assert_eq!(code(kehl, &["steward", "promote", "de-kehl"]).await, 3, "no steward");
    assert_eq!(code(strasbourg, &["steward", "promote", "de-kehl"]).await, 2, "neither of two may fail: it asks");
    assert_eq!(code(strasbourg, &["--role", "publisher", "member", "restore", "de-kehl"]).await, 3, "another door");
    assert_eq!(code(strasbourg, &["member", "show", "xx-nobody"]).await, 4);
    assert_eq!(code(strasbourg, &["explain", "NO_SUCH_REASON"]).await, 4);
    assert_eq!(code(strasbourg, &["member", "restore", "de-kehl"]).await, 5, "it is not suspended");
    assert_eq!(code(strasbourg, &["doctor"]).await, 1, "no backup yet: a warning of the monitoring kind");
    kehl.kill().await.unwrap();
    assert_eq!(code(kehl, &["status"]).await, 6);
    assert_eq!(havenlink(kehl, &["restore", "/nonexistent"]).await.unwrap().code, 2, "no backup");
    assert_eq!(havenlink(strasbourg, &["check"]).await.unwrap().code, 0, "beside the running node");
    assert_eq!(havenlink(strasbourg, &["run"]).await.unwrap().code, 5, "the node runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_without_a_partner_s_word_is_partial_and_a_silent_node_is_timed_out() {
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let list = ["offer", "list", "--timeout", "2s"];
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two") };
    let set = SetOfferRequest { request_id: "places".into(), offer: Some(sample::refuge(4)) };
    kehl.offers().await.unwrap().set_offer(set).await.unwrap();
    // On a slow machine a list may take longer than the limit of its call: only those that came count.
    eventually("Kehl's refuge is shown, by a whole list", PATIENCE, || async {
        havenctl(strasbourg, &list).await.ok().filter(|said| said.code == 0 && said.out.contains(kehl.id()))
    })
    .await;
    kehl.kill().await.unwrap();
    // That nobody is there is found by whatever goes out next.
    road::publish(strasbourg, kehl).await.unwrap().unwrap();
    let partial = eventually("the list is partial", PATIENCE, || async {
        havenctl(strasbourg, &list).await.ok().filter(|said| said.code == 7)
    });
    let partial = partial.await;
    assert!(
        partial.out.contains("UNREACHABLE")
            && partial.err.contains("partial answer")
            && partial.err.contains("de-kehl"),
        "{partial:?}"
    );
    federation.freeze(0, true).unwrap();
    let silent = havenctl(&federation.cities[0], &list).await.unwrap();
    federation.freeze(0, false).unwrap();
    assert_eq!(silent.code, 8, "{silent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_has_one_form() {
    let federation = Federation::found(1, 1, "").await.unwrap();
    let city = &federation.cities[0];
    let mut text = String::new();
    for arguments in [
        &["member", "show", "xx-nobody"][..],
        &["--role", "publisher", "member", "restore", "de-kehl"],
        &["explain", "AGREEMENT_NOT_IN_FROCE"],
        &["steward", "demote", "fr-strasbourg"],
        &["agreement", "show", "00"],
        &publishing("en:Call +33 1 99 00 12 34"),
    ] {
        let ran = havenctl(city, arguments).await.unwrap();
        assert!(ran.code != 0 && ran.out.is_empty(), "{ran:?}");
        text.push_str(&format!("$ havenctl {}\n{}\nexit code {}\n\n", arguments.join(" "), stable(&ran.err), ran.code));
    }
    let ran = havenlink(city, &["init"]).await.unwrap();
    let told = ran.err.replace(&city.dir.display().to_string(), "[city]");
    text.push_str(&format!("$ havenlink init\n{}\nexit code {}\n", stable(&told), ran.code));
    insta::assert_snapshot!("errors", text);
}
