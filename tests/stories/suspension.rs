//! Suspending a steward takes two; a suspended one still votes; one bad steward of three keeps nobody out.

use std::time::Duration;

use bytes::Bytes;
use havenlink::demo::acts::reason_of;
use havenlink::demo::city::City;
use havenlink::directory::statements::countersign;
use havenlink::domain::ids::AuthorityId;
use havenlink::domain::register::SuspendReason;
use havenlink::transport::PeerChannel;
use havenlink_proto::admin::v1::{GetStatusResponse, NodeState};
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::directory::v1::{GossipRequest, Outcome, ProposeRequest};
use havenlink_proto::record::v1::Signed;
use havenlink_tests::federation::Federation;
use havenlink_tests::intruder::{Intruder, address_of};
use havenlink_tests::operator::{Said, havenctl};
use havenlink_tests::road;
use havenlink_tests::wait::eventually;
use prost::Message;

use crate::steps::{ELECTED, decided, undecided};

const SOON: Duration = Duration::from_secs(60);

async fn says(city: &City, arguments: &[&str]) -> Said {
    havenctl(city, arguments).await.unwrap()
}

/// Waits until the city's status is as asked.
async fn status(city: &City, what: &str, holds: impl Fn(&GetStatusResponse) -> bool) -> GetStatusResponse {
    eventually(&format!("{}: {what}", city.id()), SOON, || async { city.status().await.ok().filter(|s| holds(s)) })
        .await
}

/// What becomes of a statement, once the stewards judge it.
async fn judged(register: &DirectoryServiceClient<PeerChannel>, signed: &Bytes) -> Outcome {
    eventually("the stewards judge a statement", ELECTED, || {
        let (mut register, signed) = (register.clone(), signed.clone());
        async move {
            let answer = register.propose(ProposeRequest { signed }).await;
            if let Err(status) = &answer {
                assert!(undecided(&reason_of(status)), "{status:?}");
            }
            answer.ok().map(|answer| answer.get_ref().outcome())
        }
    })
    .await
}

fn waits_for_us(status: &GetStatusResponse, act: &str) -> bool {
    status.pending.iter().any(|p| p.act == act && p.waits_for_us)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stewards_suspend_a_third_and_it_still_votes() {
    let mut federation = Federation::found(4, 3, "").await.unwrap();
    federation.agree(1, 3).await.unwrap();
    let [strasbourg, kehl, esch, liege] = &mut federation.cities[..] else { panic!("four cities") };
    road::passes(kehl, liege).await.unwrap();

    // The first signature does nothing, and says whose second one is needed, and how.
    let said = says(strasbourg, &["member", "suspend", "de-kehl", "--reason", "NODE_COMPROMISED", "--yes"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("1 of 2 stewards approved (fr-strasbourg), 1 pending"), "{said:?}");
    let command = "havenctl member suspend de-kehl --reason NODE_COMPROMISED";
    assert!(said.err.contains("until a second steward signs too") && said.err.contains(command), "{said:?}");
    let again = says(strasbourg, &["member", "suspend", "de-kehl", "--reason", "NODE_COMPROMISED", "--yes"]).await;
    assert!(again.code == 0 && again.out.contains("1 of 2"), "asked twice, signed once: {again:?}");
    status(esch, "the order waits here", |s| waits_for_us(s, "EMERGENCY_SUSPEND")).await;
    status(kehl, "it sees the order too", |s| s.pending.iter().any(|p| p.act == "EMERGENCY_SUSPEND")).await;
    let own = says(kehl, &["member", "approve", "de-kehl", "--yes"]).await;
    assert!(own.code == 5 && own.err.contains("NEEDS_TWO_SIGNATURES"), "the target is not one of the two: {own:?}");
    assert_eq!(kehl.status().await.unwrap().state(), NodeState::Ready);
    road::passes(liege, kehl).await.unwrap();

    // The second one acts everywhere.
    let said = says(esch, &["member", "suspend", "de-kehl", "--reason", "NODE_COMPROMISED", "--yes"]).await;
    assert!(said.code == 0 && said.out.contains("in force here at once, and spreading"), "{said:?}");
    for (from, to) in [(&*kehl, &*liege), (&*liege, &*kehl)] {
        road::refused(from, to, "MEMBER_SUSPENDED").await.unwrap();
    }
    status(kehl, "it knows that it is suspended", |s| s.state() == NodeState::Suspended && s.pending.is_empty()).await;

    // A suspended steward votes, and its signature counts: without it there is no majority.
    esch.kill().await.unwrap();
    let said = decided(strasbourg, &["policy", "propose", "--proposal-life", "6d"]).await;
    assert!(said.code == 0 && said.out.contains("1 of 2"), "{said:?}");
    status(kehl, "the proposal is here", |s| waits_for_us(s, "POLICY")).await;
    let pending = kehl.status().await.unwrap().pending.remove(0);
    let id: String = pending.proposal_id.iter().map(|b| format!("{b:02x}")).collect();
    let said = says(kehl, &["member", "approve", "--proposal", &id]).await;
    assert!(said.code == 0 && said.out.contains("done"), "{said:?}");

    // Restored by the two others.
    esch.start().unwrap();
    esch.ready().await.unwrap();
    let said = says(strasbourg, &["member", "restore", "de-kehl"]).await;
    assert!(said.code == 0 && said.out.contains("1 of 2"), "{said:?}");
    status(esch, "the proposal is here", |s| waits_for_us(s, "RESTORE")).await;
    let said = says(esch, &["member", "approve", "de-kehl"]).await;
    assert!(said.code == 0 && said.out.contains("done"), "{said:?}");
    road::passes(kehl, liege).await.unwrap();
    road::passes(liege, kehl).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_steward_of_three_cannot_stop_the_federation() {
    let mut federation = Federation::found(5, 3, "").await.unwrap();
    federation.agree(3, 4).await.unwrap();
    let [strasbourg, kehl, esch, liege, maastricht] = &mut federation.cities[..] else { panic!("five cities") };
    road::passes(liege, maastricht).await.unwrap();

    // Kehl's lone order about a steward, on both ways in, with its real keys.
    let bad = Intruder::with_keys_of(kehl).await.unwrap();
    let door = address_of(strasbourg).await.unwrap();
    let mut register = DirectoryServiceClient::new(bad.channel(&door).unwrap());
    kehl.stop().await.unwrap();
    let state = Intruder::register_of(kehl).await.unwrap();
    kehl.start().unwrap();
    kehl.ready().await.unwrap();
    let suspends = |target: &str| {
        let target = AuthorityId::parse(target).unwrap();
        bad.signs(bad.now(), |author| author.suspend(&state, &target, SuspendReason::BreachOfRules).signed)
    };
    let lone = suspends(esch.id());
    // Kehl may have led: the other two elect first.
    assert_eq!(judged(&register, &lone).await, Outcome::NeedsTwoSignatures);
    let gossiped =
        |signed: &Bytes| GossipRequest { overlay: vec![Signed::decode(signed.clone()).unwrap()], ..Default::default() };
    let answer = register.gossip(gossiped(&lone)).await.unwrap().into_inner();
    assert_eq!(answer.refused, ["NEEDS_TWO_SIGNATURES"]);
    let twice = countersign(&bad.federation, &lone, &bad.key).unwrap();
    let answer = register.gossip(gossiped(&twice)).await.unwrap().into_inner();
    assert_eq!(answer.refused, ["STATEMENT_MALFORMED"], "its own signature twice is not two");
    for city in [&*strasbourg, &*esch] {
        assert_eq!(city.status().await.unwrap().state(), NodeState::Ready);
    }

    // A member that Kehl suspends alone: out at once, and back by the two others.
    let said = says(kehl, &["member", "suspend", "be-liege", "--reason", "BREACH_OF_RULES", "--yes"]).await;
    assert!(said.code == 0 && said.out.contains("in force here at once"), "{said:?}");
    for (from, to) in [(&*liege, &*maastricht), (&*maastricht, &*liege)] {
        road::refused(from, to, "MEMBER_SUSPENDED").await.unwrap();
    }
    let said = says(strasbourg, &["member", "restore", "be-liege"]).await;
    assert!(said.code == 0 && said.out.contains("1 of 2"), "{said:?}");
    status(esch, "the proposal is here", |s| waits_for_us(s, "RESTORE")).await;
    // Nobody lifts what they have not seen: Esch's own order comes between, and what was proposed before it is dead. The
    // same command then proposes anew.
    let said = says(esch, &["member", "suspend", "be-liege", "--reason", "OWN_REQUEST", "--yes"]).await;
    assert!(said.code == 0, "{said:?}");
    status(strasbourg, "the dead proposal waits for nobody", |s| s.pending.is_empty()).await;
    let said = says(strasbourg, &["member", "restore", "be-liege"]).await;
    assert!(said.code == 0 && said.out.contains("1 of 2"), "{said:?}");
    status(esch, "the proposal is here", |s| waits_for_us(s, "RESTORE")).await;
    let said = says(esch, &["member", "restore", "be-liege"]).await;
    assert!(said.code == 0 && said.out.contains("done"), "the equal proposal is approved: {said:?}");
    for (from, to) in [(&*liege, &*maastricht), (&*maastricht, &*liege)] {
        road::passes(from, to).await.unwrap();
    }
    // And not again.
    let said = says(kehl, &["member", "suspend", "be-liege", "--reason", "BREACH_OF_RULES", "--yes"]).await;
    assert!(said.code == 5 && said.err.contains("EMERGENCY_USED"), "{said:?}");
    let answer = register.gossip(gossiped(&suspends(liege.id()))).await.unwrap().into_inner();
    assert_eq!(answer.refused, ["EMERGENCY_USED"]);
    road::passes(liege, maastricht).await.unwrap();
}
