//! Stewards that are away, and content about a person that waits for them: what is named says so, and all goes on when they are back.

use havenlink::demo::acts::referring;
use havenlink::demo::city::City;
use havenlink::demo::stage::Stage;
use havenlink::domain::reason::Reason;
use havenlink_proto::admin::v1::NodeState;
use havenlink_proto::local::v1::DeliveryState;
use havenlink_tests::federation::{Federation, ctl};
use havenlink_tests::tools::{Ran, havenctl};
use havenlink_tests::wait::eventually;

use crate::steps::*;
use crate::told::{Scene, Told};

const QUICK: &[&str] = &["--freshness-limit", "5s", "--beat-interval", "1s"];
const ROLES: &str = "roles = [\"operator\", \"coordinator\", \"publisher\", \"data-protection\"]\n";
const ELSEWHERE: &[&str] = &["node", "update", "--network", "Eurocities"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_stewards_goes_on_when_they_are_back() {
    let scene = Scene::new("stale");
    let mut federation = Federation::found_as(4, 2, ROLES, QUICK).await.unwrap();
    let [strasbourg, kehl, esch, liege] = &mut federation.cities[..] else { panic!("four") };
    referring::agree(&mut Stage::silent(), liege, esch).await.unwrap();
    withdrawn(&scene, liege, esch).await;
    let leads = kehl.status().await.unwrap().leader;
    let (leader, other) = if leads { (kehl, strasbourg) } else { (strasbourg, kehl) };
    without_a_leader(&scene, leader, other).await;
    nobody_decides(&scene, [leader, other], liege, esch).await;
    scene.ends();
}

/// A person is referred, in this case, to a partner whose node is down.
async fn referred(from: &City, case: &str, to: &City) -> bytes::Bytes {
    eventually("she is referred", PATIENCE, || async {
        referring::give(from, case, &[to.id()]).await.ok()?;
        referring::refer(from, case, to.id()).await.ok()
    })
    .await
}

async fn listed(city: &City, reason: Reason) -> String {
    eventually(&format!("{} lists {reason}", city.id()), ELECTED, || async {
        let listed = ctl(city, &["delivery", "list", "--limit", "9"]).await.unwrap();
        listed.lines().find(|line| line.contains(reason.code())).map(str::to_owned)
    })
    .await
}

/// She withdraws before it was sent.
async fn withdrawn(scene: &Scene, from: &City, to: &mut City) {
    to.stop().await.unwrap();
    referred(from, "LIEGE-2026/01", to).await;
    referring::withdraw(from, "LIEGE-2026/01").await.unwrap();
    to.start().unwrap();
    to.ready().await.unwrap();
    let line = listed(from, Reason::RecordWithdrawn).await;
    let told = scene.looked_up(from, &line, Reason::RecordWithdrawn).await;
    let told = &told;
    eventually("who has erased it is shown", PATIENCE, || async {
        let erasures = told.run("havenctl referral erasures").await.fine();
        (erasures.contains(to.id()) && erasures.contains("DONE")).then_some(())
    })
    .await;
}

/// What a command says in the end, when it is refused for this reason.
async fn refused_for(city: &City, reason: Reason) -> Ran {
    eventually(&format!("{} is refused for {reason}", city.id()), ELECTED, || async {
        Some(havenctl(city, ELSEWHERE).await.unwrap()).filter(|ran| ran.err.contains(&format!("[{}]", reason.code())))
    })
    .await
}

/// One of two stewards is down: the other one makes no leader.
async fn without_a_leader(scene: &Scene, leader: &mut City, other: &mut City) {
    leader.kill().await.unwrap();
    let ran = refused_for(other, Reason::NoLeader).await;
    let told = scene.printed(other, &ELSEWHERE.join(" "), &ran, Reason::NoLeader);
    let stewards = told.run("havenctl steward list").await.fine();
    assert!(stewards.contains(leader.id()) && stewards.contains(other.id()), "each steward: {stewards}");
    let reason = not_fresh(other).await;
    let stale = scene.looked_up(other, &reason, Reason::RegisterNotFresh).await;
    let said = stale.run("havenctl status").await.fine();
    assert!(said.contains("NOT FRESH: content about a person stops"), "{said}");
    leader.start().unwrap();
    leader.ready().await.unwrap();
    decided_again(&told).await;
    other.ready().await.unwrap();
}

/// What the city's node says once no majority has confirmed its register lately.
async fn not_fresh(city: &City) -> String {
    eventually(&format!("{} is not fresh", city.id()), PATIENCE, || async {
        city.status().await.ok().filter(|s| s.state() == NodeState::NotFresh).map(|s| s.reason)
    })
    .await
}

/// The same command once more, as it was printed, until the stewards decide again.
async fn decided_again(told: &Told<'_, '_>) {
    eventually("the same command is carried out", ELECTED, || async {
        (told.repeated().await.code == 0).then_some(())
    })
    .await;
}

/// No steward at all: a change is refused, and what is about a person waits.
async fn nobody_decides(scene: &Scene, stewards: [&mut City; 2], from: &City, to: &mut City) {
    to.stop().await.unwrap();
    let record = referred(from, "LIEGE-2026/02", to).await;
    let [first, second] = stewards;
    first.kill().await.unwrap();
    second.kill().await.unwrap();
    let ran = refused_for(from, Reason::LastRegisterUnreachable).await;
    let told = scene.printed(from, &ELSEWHERE.join(" "), &ran, Reason::LastRegisterUnreachable);
    let doctor = told.run("havenctl doctor").await;
    let silent = doctor.out.lines().find(|line| line.contains("silent: ")).unwrap_or_default();
    assert!(silent.contains(first.id()) && silent.contains(second.id()), "who is away: {doctor:?}");
    not_fresh(from).await;
    to.start().unwrap();
    to.until("it answers", |_| true).await.unwrap();

    let line = listed(from, Reason::PersonContentWaits).await;
    let waits = scene.looked_up(from, &line, Reason::PersonContentWaits).await;
    for city in [from, &*to] {
        let doctor = waits.run_at(city, "havenctl doctor", &[], "").await;
        let freshness = doctor.out.lines().find(|line| line.contains("freshness")).unwrap_or_default();
        assert!(freshness.starts_with("WARNING"), "which of the two it is: {doctor:?}");
    }
    for steward in [first, second] {
        steward.start().unwrap();
        steward.until("it answers", |_| true).await.unwrap();
    }
    until_delivered(from, to.id(), &[record], DeliveryState::Delivered).await;
    decided_again(&told).await;
}
