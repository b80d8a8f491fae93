//! Suspended: what waits is held, and delivered once restored. Removed: closed, with a report of what was shared.

use havenlink_proto::admin::v1::NodeState;
use havenlink_proto::directory::v1::MemberState;
use havenlink_proto::local::v1::DeliveryState;
use havenlink_tests::federation::{Federation, ctl, ctl_refused};
use havenlink_tests::tools::havenctl;
use havenlink_tests::wait::eventually;
use serde_json::Value;

use crate::steps::*;

fn counted(report: &Value, became: &str) -> u64 {
    let counts = report["counts"].as_array().unwrap();
    let of = |c: &&Value| c["became"] == became && c["kind"] == "ALERT";
    counts.iter().filter(of).map(|c| c["count"].as_u64().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_members_records_are_held_and_a_removed_ones_are_closed_with_a_report() {
    let mut federation = Federation::found(3, 2, "").await.unwrap();
    federation.agree(0, 2).await.unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three cities") };
    let long_before = "2026-01-01";
    let shared = publish_many(strasbourg, &[esch.id()], 3).await.unwrap();
    until_delivered(strasbourg, esch.id(), &shared, DeliveryState::Delivered).await;

    // Suspended while it is away: held. Restored by the majority: delivered.
    esch.stop().await.unwrap();
    let waiting = publish_many(strasbourg, &[esch.id()], 2).await.unwrap();
    decide(&[strasbourg, kehl], &["member", "suspend", esch.id(), "--reason", "own-request", "--lasting", "--yes"])
        .await
        .unwrap();
    until_delivered(strasbourg, esch.id(), &waiting, DeliveryState::Held).await;
    let file = esch.dir.join("node.toml");
    let http = format!("127.0.0.1:{}", havenlink::demo::ports::free().unwrap());
    let configured = std::fs::read_to_string(&file).unwrap().replace("http = \"off\"", &format!("http = \"{http}\""));
    std::fs::write(&file, configured).unwrap();
    esch.start().unwrap();
    let status = esch.until("it knows that it is suspended", |s| s.state() == NodeState::Suspended).await.unwrap();
    assert!(status.partners.iter().all(|partner| partner.link != "connected"), "{:?}", status.partners);
    eventually("and says so to whoever watches it", PATIENCE, || async {
        readyz(&http).await.filter(|answer| answer.starts_with("HTTP/1.1 503") && answer.contains("MEMBER_SUSPENDED"))
    })
    .await;
    assert_eq!(read(esch, "all", 0).await.unwrap().len(), 3, "nothing passes while it is suspended");
    decide(&[strasbourg, kehl], &["member", "restore", esch.id()]).await.unwrap();
    until_delivered(strasbourg, esch.id(), &waiting, DeliveryState::Delivered).await;

    // Removed while something waits for it. A lone steward does not do it.
    esch.stop().await.unwrap();
    let never = publish_many(strasbourg, &[esch.id()], 2).await.unwrap();
    let remove = ["member", "remove", esch.id(), "--reason", "breach-of-rules", "--yes"];
    ctl(strasbourg, &remove).await.unwrap();
    let number = strasbourg.status().await.unwrap().register_number;
    reached(kehl, number).await;
    let pending = ctl(kehl, &["member", "list", "--pending"]).await.unwrap();
    assert!(pending.contains("REMOVE") && pending.contains("reason: BREACH_OF_RULES"), "{pending}");
    assert_eq!(member(kehl, esch.id()).await.unwrap().state(), MemberState::Active);
    until_delivered(strasbourg, esch.id(), &never, DeliveryState::Queued).await;
    // The second one is asked first.
    assert_eq!(ctl_refused(kehl, &["member", "approve", esch.id()]).await.unwrap(), "CONFIRMATION_NEEDED");
    assert_eq!(member(kehl, esch.id()).await.unwrap().state(), MemberState::Active);
    ctl(kehl, &["member", "approve", esch.id(), "--yes"]).await.unwrap();
    assert_eq!(member(kehl, esch.id()).await.unwrap().state(), MemberState::Removed);
    until_delivered(strasbourg, esch.id(), &never, DeliveryState::Closed).await;
    let agreements = ctl(strasbourg, &["agreement", "list"]).await.unwrap();
    assert!(agreements.contains("ENDED") && !agreements.contains("IN_FORCE"), "{agreements}");
    let refused = publish(strasbourg, &[esch.id()]).await.unwrap_err().to_string();
    assert!(refused.contains("removed"), "{refused}");

    // The report, by the operator, who reads no content: counts, and each delivery by codes and ids.
    let report = ["delivery", "report", esch.id(), "--since", long_before, "--role", "operator", "-o", "json"];
    let printed = ctl(strasbourg, &report).await.unwrap();
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(counted(&report, "delivered"), 5, "{printed}");
    assert_eq!(counted(&report, "not answered: may have arrived") + counted(&report, "never sent"), 2, "{printed}");
    let rows = report["deliveries"].as_array().unwrap();
    let closed = rows.iter().filter(|d| d["state"] == "CLOSED" && d["reason"] == "MEMBER_REMOVED");
    assert_eq!(closed.count(), 2, "{printed}");
    assert!(rows.iter().all(|d| d["kind"] != "ALERT" || d["agreement_id"] != ""), "{printed}");
    assert!(!printed.contains("nettoyage"), "no content in a report");
    let still_to_come = ["delivery", "report", esch.id(), "--since", "2100-01-01"];
    let refused = havenctl(strasbourg, &still_to_come).await.unwrap();
    assert!(refused.code == 2 && refused.err.contains("still to come"), "{refused:?}");
    let to_others =
        ctl(strasbourg, &["delivery", "report", kehl.id(), "--since", long_before, "-o", "json"]).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&to_others).unwrap()["deliveries"].as_array().map(Vec::len), Some(0));
    let content = ctl_refused(strasbourg, &["alert", "list", "--role", "operator"]).await.unwrap();
    assert_eq!(content, "METHOD_NOT_OPEN");

    // It comes back, and what it sends reaches nobody any more.
    esch.start().unwrap();
    let sent = eventually("Esch is up", PATIENCE, || async { publish(esch, &[strasbourg.id()]).await.ok() }).await;
    eventually("its attempt has failed", PATIENCE, || async {
        let rows = deliveries(esch, strasbourg.id()).await.ok()?;
        rows.iter().any(|d| d.record_id == sent && d.attempts > 0 && !d.reason.is_empty()).then_some(())
    })
    .await;
    assert_eq!(read(strasbourg, "all", 0).await.unwrap().len(), 0);
}

async fn readyz(address: &str) -> Option<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(address).await.ok()?;
    socket.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}
