//! Stewards that came back from a backup under a new number: who counts them again, and with which command.

use havenlink::demo::city::City;
use havenlink::domain::reason::Reason;
use havenlink_proto::raft::v1 as raft;
use havenlink_proto::raft::v1::raft_service_client::RaftServiceClient;
use havenlink_tests::federation::Federation;
use havenlink_tests::intruder::{Intruder, address_of};
use havenlink_tests::tools::havenctl;
use havenlink_tests::wait::eventually;

use crate::steps::*;
use crate::told::{Scene, Told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_steward_votes_again_by_the_command_that_is_named() {
    let scene = Scene::new("restored");
    let mut federation = Federation::found(3, 3, "").await.unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three") };
    let before = number_of(strasbourg, kehl).await;
    restored(kehl).await;
    let with = [("AUTHORITY", kehl.id())];
    let replace = "havenctl steward replace AUTHORITY";

    let ran = eventually("the others decide", ELECTED, || async {
        let ran = havenctl(kehl, &["steward", "refound", "--yes"]).await.unwrap();
        ran.err.contains(Reason::RefoundingNotNeeded.code()).then_some(ran)
    })
    .await;
    let told = scene.printed(kehl, "steward refound de-kehl", &ran, Reason::RefoundingNotNeeded);
    let stewards = told.run("havenctl steward list").await.fine();
    assert!(stewards.contains(strasbourg.id()) && stewards.contains(esch.id()), "who decides: {stewards}");
    told.takes(replace);

    let told = by_the_old_number(&scene, esch, kehl, before).await;
    let doctor = told.run("havenctl doctor").await;
    assert!(doctor.out.contains("havenctl steward replace de-kehl"), "the way: {doctor:?}");
    for city in [&*strasbourg, &*esch] {
        let told = &told;
        eventually(&format!("{} replaces it", city.id()), ELECTED, || async {
            (told.known(city, replace, &with, "--yes").await.code == 0).then_some(())
        })
        .await;
        let number = city.status().await.unwrap().register_number;
        reached(strasbourg, number).await;
        reached(esch, number).await;
    }
    kehl.until("it votes", |s| s.votes).await.unwrap();

    let before = number_of(strasbourg, kehl).await;
    restored(kehl).await;
    restored(esch).await;
    let told = by_the_old_number(&scene, esch, kehl, before).await;
    let refound = "havenctl steward refound";
    for city in [&*strasbourg, &*kehl, &*esch] {
        let told = &told;
        eventually(&format!("{} signs", city.id()), ELECTED, || async {
            let doctor = havenctl(city, &["doctor"]).await.unwrap();
            if !doctor.out.contains(refound) {
                return None;
            }
            (told.known(city, refound, &[], "--yes").await.code == 0).then_some(())
        })
        .await;
    }
    kehl.until("it votes again", |s| s.votes).await.unwrap();
    ctl_decided(kehl, &["node", "update", "--network", "Eurocities"]).await.unwrap();
    scene.ends();
}

/// The disk is lost, and restored from the backup of a moment ago.
async fn restored(city: &mut City) {
    let backups = city.dir.join("backups");
    city.once(&["backup", text(&backups)]).await.unwrap();
    lose_disk(city).await.unwrap();
    city.once(&["restore", text(&backups)]).await.unwrap();
    city.start().unwrap();
    city.ready().await.unwrap();
}

/// The number under which a steward votes.
async fn number_of(asked: &City, steward: &City) -> u64 {
    member(asked, steward.id()).await.unwrap().entry.unwrap().raft_id
}

/// Somebody asks for the steward's vote under the number that it had.
async fn by_the_old_number<'s, 'c>(scene: &'s Scene, asks: &City, city: &'c City, target: u64) -> Told<'s, 'c> {
    let keys = Intruder::with_keys_of(asks).await.unwrap();
    let channel = keys.channel(&address_of(city).await.unwrap()).unwrap();
    let vote = raft::VoteRequest {
        federation_id: bytes::Bytes::copy_from_slice(keys.federation.as_bytes()),
        vote: Some(raft::Vote { term: 1, node_id: number_of(city, asks).await, committed: false }),
        target,
        ..Default::default()
    };
    let answer = RaftServiceClient::new(channel).vote(vote).await;
    scene.answered(city, "vote of de-kehl", answer, Reason::RaftTargetOther)
}
