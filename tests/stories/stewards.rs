//! Who keeps the register: one more, one less, and a dead one replaced whose keys and disk are gone for good.

use havenlink::demo::city::City;
use havenlink_proto::directory::v1::{Outcome, ProposeResponse, Steward, StewardSet, proposal};
use havenlink_tests::federation::{Federation, ctl, ctl_refused};
use havenlink_tests::wait::eventually;

use crate::steps::*;

/// A proposal to change the stewards, as a node of another make might build it.
async fn propose_set(city: &City, version: u64, stewards: Vec<Steward>) -> ProposeResponse {
    propose(city, "#stewards", version, proposal::Act::StewardSet(StewardSet { stewards })).await.unwrap()
}

async fn steward(city: &City, authority: &str) -> Steward {
    let raft_id = member(city, authority).await.unwrap().entry.unwrap().raft_id;
    Steward { authority: authority.to_owned(), raft_id }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stewards_change_one_at_a_time_and_a_dead_one_without_keys_is_replaced() {
    let mut federation = Federation::found(4, 3, "").await.unwrap();
    let [strasbourg, kehl, esch, liege] = &mut federation.cities[..] else { panic!("four cities") };

    // Two changes in one decision: Liège instead of Esch.
    let set = vec![
        steward(strasbourg, strasbourg.id()).await,
        steward(strasbourg, kehl.id()).await,
        steward(strasbourg, liege.id()).await,
    ];
    let mut outcome = Outcome::StaleVersion;
    for version in 0..9 {
        if outcome == Outcome::StaleVersion {
            outcome = propose_set(strasbourg, version, set.clone()).await.outcome();
        }
    }
    assert_eq!(outcome, Outcome::OneStewardAtATime);
    // Two decisions at once: the second one was asked about stewards that are not those of now.
    ctl(strasbourg, &["steward", "demote", esch.id(), "--yes"]).await.unwrap();
    let second = ctl(strasbourg, &["steward", "promote", liege.id(), "-o", "json"]).await.unwrap();
    let second: serde_json::Value = serde_json::from_str(&second).unwrap();
    let number = strasbourg.status().await.unwrap().register_number;
    reached(kehl, number).await;
    ctl(kehl, &["steward", "demote", esch.id(), "--yes"]).await.unwrap();
    assert!(second["statement_id"].is_string(), "{second}");
    // Nobody is asked to approve it any more.
    let late = ctl_refused(kehl, &["member", "approve", liege.id()]).await.unwrap();
    assert_eq!(late, "NOT_FOUND");

    // Esch is a member like others now, and goes on following.
    let status = esch.until("it is no steward", |s| !s.steward && s.stewards.len() == 2).await.unwrap();
    let refused = ctl_refused(esch, &["steward", "promote", liege.id()]).await.unwrap();
    assert_eq!(refused, "NOT_A_STEWARD", "{status:?}");
    // A Raft id is never used twice: it takes another one when it starts again.
    assert_eq!(ctl_refused(strasbourg, &["steward", "promote", esch.id()]).await.unwrap(), "RAFT_ID_REUSED");
    let spent = member(strasbourg, esch.id()).await.unwrap().entry.unwrap().raft_id;
    esch.stop().await.unwrap();
    esch.start().unwrap();
    eventually("Esch announces another Raft id", PATIENCE, || async {
        (member(strasbourg, esch.id()).await.ok()?.entry?.raft_id != spent).then_some(())
    })
    .await;
    decide(&[strasbourg, kehl], &["steward", "promote", esch.id()]).await.unwrap();
    esch.until("it votes again, under a new Raft id", |s| s.votes).await.unwrap();
    let raft_id = member(kehl, esch.id()).await.unwrap().entry.unwrap().raft_id;

    // Esch burns down: no keys, no register, no backup. What is left is its name, and its partners.
    lose_disk(esch).await.unwrap();
    let ticket = ctl(kehl, &["member", "recovery-ticket", esch.id()]).await.unwrap();
    let wrong = strasbourg.once(&["recover", ticket.trim()]).await.unwrap_err().to_string();
    assert!(wrong.contains("TICKET_INVALID"), "{wrong}");
    let printed = esch.once(&["recover", ticket.trim()]).await.unwrap();
    let entry = esch.dir.join("data/recovery.entry");
    let shown = printed.split("new key").nth(1).and_then(|r| r.split_whitespace().next()).unwrap();
    esch.start().unwrap();
    let arguments = ["member", "recover-key", esch.id(), "--entry", text(&entry), "--yes"];
    ctl_decided(strasbourg, &arguments).await.unwrap(); // Esch may have led.
    assert_ne!(member(strasbourg, esch.id()).await.unwrap().entry.unwrap().raft_id, 0);
    let number = strasbourg.status().await.unwrap().register_number;
    reached(kehl, number).await;
    let before = hex(&member(kehl, esch.id()).await.unwrap().entry.unwrap().authority_key[12..20]);
    let plan = ctl(kehl, &["member", "show", esch.id()]).await.unwrap();
    assert!(plan.contains(&format!("- authority key: {before} → {}", shown.trim_end_matches('…'))), "{shown} {plan}");
    assert_eq!(ctl_refused(kehl, &["member", "approve", esch.id()]).await.unwrap(), "CONFIRMATION_NEEDED");
    ctl_decided(kehl, &arguments).await.unwrap();
    let status = esch.ready().await.unwrap();
    assert!(status.steward && !status.votes, "{status:?}");
    let now = member(kehl, esch.id()).await.unwrap().entry.unwrap();
    assert_ne!(now.raft_id, raft_id);
    let key = hex(&now.authority_key[12..]);
    assert!(key.starts_with(shown.trim_end_matches('…')), "{shown} {key}");
    eventually("the recovery is over", PATIENCE, || async { (!entry.exists()).then_some(()) }).await;

    // It votes again once the others have named its new node; the lost one never will.
    decide(&[strasbourg, kehl], &["steward", "replace", esch.id(), "--yes"]).await.unwrap();
    esch.until("it votes", |s| s.votes).await.unwrap();
    kehl.stop().await.unwrap();
    ctl_decided(strasbourg, &["policy", "propose", "--beat-interval", "7s"]).await.unwrap();
    let number = strasbourg.status().await.unwrap().register_number;
    reached(esch, number).await;
    ctl_decided(esch, &["policy", "propose", "--beat-interval", "7s"]).await.unwrap();
}
