//! Kehl's keys in the wrong hands, while its node is away: what is sent with them to the other stewards is refused by name, and what
//! is named shows who it was.

use bytes::Bytes;
use havenlink::demo::city::City;
use havenlink::directory::statements;
use havenlink::domain::ids::{AuthorityId, Digest};
use havenlink::domain::reason::Reason;
use havenlink::domain::register::SuspendReason;
use havenlink::domain::time::Millis;
use havenlink_proto::directory::v1::FollowRequest;
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::raft::v1::Blank;
use havenlink_proto::raft::v1::entry::Payload;
use havenlink_tests::hostile::Hostile;
use havenlink_tests::intruder::{Intruder, address_of};
use havenlink_tests::wait::eventually;

use crate::steps::*;
use crate::told::Scene;

/// All that its keys can say to Strasbourg. `target` is a member that it would keep out.
pub async fn keys_of_kehl(scene: &Scene, strasbourg: &City, kehl: &mut City, esch: &City, target: &str) {
    let keys = Intruder::with_keys_of(kehl).await.unwrap();
    kehl.stop().await.unwrap();
    eventually("one of the other two leads", ELECTED, || async {
        let (one, other) = (strasbourg.status().await.ok()?, esch.status().await.ok()?);
        (one.leader || other.leader).then_some(())
    })
    .await;
    let state = Intruder::register_of(kehl).await.unwrap();
    let channel = keys.channel(&address_of(strasbourg).await.unwrap()).unwrap();
    let mut hostile = Hostile::made(keys, state, channel, strasbourg.id());
    gossip(scene, &hostile, strasbourg, target).await;
    founds_alone(scene, &hostile, strasbourg).await;
    hostile.look().await;
    messages(scene, &hostile, strasbourg).await;
    another_head(scene, &hostile, strasbourg).await;
}

/// An order that was kept for later, and a sign of life from a clock far ahead.
async fn gossip(scene: &Scene, hostile: &Hostile, strasbourg: &City, target: &str) {
    let now = hostile.keys.now();
    let order = |at| {
        let target = AuthorityId::parse(target).unwrap();
        hostile.keys.signs(at, |author| author.suspend(&hostile.state, &target, SuspendReason::BreachOfRules).signed)
    };
    let refused = refused_by(hostile, &[], &[order(now - Millis::hours(25))]).await;
    let about = format!("order about {target}: {refused}");
    let told = scene.looked_up(strasbourg, &about, Reason::EmergencyTimeInvalid).await;
    let why = "--reason NODE_COMPROMISED --yes";
    let said = told.filled("havenctl member suspend AUTHORITY", &[("AUTHORITY", target)], why).await.fine();
    assert!(said.contains("in force here at once"), "an order of now counts: {said}");

    let beat = hostile.beat(hostile.state.number(), hostile.state.head(), now + Millis::days(365));
    let refused = refused_by(hostile, &[statements::beat(&beat, &hostile.keys.key)], &[]).await;
    let told = scene.looked_up(strasbourg, &refused, Reason::BeatInvalid).await;
    let status = told.run("havenctl status").await.fine();
    assert!(status.contains(", change "), "it goes on: {status}");
}

async fn refused_by(hostile: &Hostile, beats: &[Bytes], overlay: &[Bytes]) -> String {
    hostile.gossiped(beats, overlay).await.join(" ")
}

/// A founding of the order by one of three stewards, for a year.
async fn founds_alone(scene: &Scene, hostile: &Hostile, strasbourg: &City) {
    let about = hostile.founds_alone().await.join(" ");
    let told = scene.looked_up(strasbourg, &about, Reason::RefoundingInvalid).await;
    let doctor = told.run("havenctl doctor").await;
    assert!(!doctor.out.contains("contested"), "nothing stands against the register: {doctor:?}");
    let stewards = told.run("havenctl steward list").await.fine();
    assert!(stewards.contains("lu-esch-sur-alzette"), "whom to call: {stewards}");
}

/// Messages of the consensus that no honest node sends.
async fn messages(scene: &Scene, hostile: &Hostile, strasbourg: &City) {
    let alone = hostile.append(Payload::Membership(hostile.alone()));
    for (request, reason) in [
        (hostile.append_in(u64::MAX, hostile.own), Reason::RaftTermTooFar),
        (hostile.append_in(hostile.term, hostile.target), Reason::RaftSenderMismatch),
        (hostile.another_past(), Reason::RaftLogContradicted),
        (alone, Reason::RaftMembershipUnsigned),
        (hostile.append(Payload::Blank(Blank {})), Reason::RaftLeaderStands),
    ] {
        let about = format!("de-kehl: {}", hostile.appended(request).await);
        let told = scene.looked_up(strasbourg, &about, reason).await;
        let stewards = told.run("havenctl steward list").await.fine();
        assert!(stewards.contains("de-kehl") && stewards.contains("lu-esch-sur-alzette"), "whom to call: {stewards}");
    }
    let about = hostile.appended(hostile.in_a_year()).await;
    let told = scene.looked_up(strasbourg, &about, Reason::EntryTimeInvalid).await;
    let doctor = told.run("havenctl doctor").await;
    let clock = doctor.out.lines().find(|line| line.contains("clock")).unwrap_or_default();
    assert!(clock.contains("OK"), "no clock here differs: {doctor:?}");

    let told = scene.looked_up(strasbourg, &hostile.installed().await, Reason::SnapshotInvalid).await;
    let number = strasbourg.status().await.unwrap().register_number;
    let status = told.run("havenctl status").await.fine();
    assert!(status.contains(&number.to_string()), "it goes on at its own change: {status}");
}

/// Its sign under another order of the register.
async fn another_head(scene: &Scene, hostile: &Hostile, strasbourg: &City) {
    let now = strasbourg.status().await.unwrap();
    let beat = hostile.beat(now.register_number, Digest([0xbd; 32]), hostile.keys.now());
    assert_eq!(refused_by(hostile, &[statements::beat(&beat, &hostile.keys.key)], &[]).await, "");
    let other = FollowRequest { number: now.register_number, head: vec![0xbd; 32].into(), founding: 0 };
    let answer = DirectoryServiceClient::new(hostile.channel.clone()).follow(other).await.map(drop);
    let told = scene.answered(strasbourg, "follow", answer, Reason::HeadMismatch);
    let told = &told;
    eventually("both heads are shown, with who signed them", PATIENCE, || async {
        let status = told.run("havenctl status").await.fine();
        let parts = ["FORK", "head bdbdbdbdbdbd signed by de-kehl", "(held here) signed by ", "by phone"];
        parts.iter().all(|part| status.contains(part)).then_some(())
    })
    .await;
}
