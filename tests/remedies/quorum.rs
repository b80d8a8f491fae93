//! Stewards that are down, that came back from a backup, or that are alone: who decides then, and how it goes on.

use havenlink::demo::city::City;
use havenlink::domain::reason::Reason;
use havenlink_tests::federation::{Federation, ctl};
use havenlink_tests::tools::{Ran, havenctl, shell};
use havenlink_tests::wait::eventually;

use crate::steps::*;
use crate::told::Scene;

const ELSEWHERE: &[&str] = &["node", "update", "--network", "Eurocities"];

/// What a command says in the end, when it is refused for this reason.
async fn refused_for(city: &City, typed: &[&str], reason: Reason) -> Ran {
    eventually(&format!("{} is refused for {reason}", city.id()), ELECTED, || async {
        Some(havenctl(city, typed).await.unwrap()).filter(|ran| ran.err.contains(&format!("[{}]", reason.code())))
    })
    .await
}

/// A federation of one steward: it cannot go, and its register needs nothing put right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_steward_is_told_what_comes_first() {
    let scene = Scene::new("alone");
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two") };
    let told = scene.refused(strasbourg, &["steward", "retime", "--yes"], Reason::RegisterNotAhead).await;
    let doctor = told.run("havenctl doctor").await;
    assert!(doctor.out.contains("register-time"), "{doctor:?}");
    let demote = ["steward", "demote", strasbourg.id(), "--yes"];
    let told = scene.refused(strasbourg, &demote, Reason::LastSteward).await;
    let with = [("AUTHORITY", kehl.id())];
    told.known(strasbourg, "havenctl steward promote AUTHORITY", &with, "--yes").await.fine();
    kehl.until("it votes", |s| s.votes).await.unwrap();
    let said = ctl_decided(strasbourg, &demote).await.unwrap();
    assert!(said.contains("1 of 2"), "it is not refused any more: {said}");
    scene.ends();
}

async fn backed_up(city: &City) {
    city.once(&["backup", text(&city.dir.join("backups"))]).await.unwrap();
}

async fn restored(city: &mut City) {
    city.once(&["restore", text(&city.dir.join("backups"))]).await.unwrap();
    city.start().unwrap();
    city.ready().await.unwrap();
}

/// One of two lost its disk, and a majority has to sign that the order begins anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founding_anew_waits_for_the_other_steward() {
    let scene = Scene::new("founded");
    let mut federation = Federation::found(2, 2, "").await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two") };
    backed_up(kehl).await;
    lose_disk(kehl).await.unwrap();
    let ran = refused_for(strasbourg, &["steward", "refound", "--yes"], Reason::RefoundingAlone).await;
    let told = scene.printed(strasbourg, "steward refound", &ran, Reason::RefoundingAlone);
    restored(kehl).await;
    let command = "havenctl steward refound";
    told.takes(command);
    for city in [&*strasbourg, &*kehl] {
        eventually(&format!("{} signs", city.id()), ELECTED, || async {
            (shell(city, &format!("{command} --yes")).await.unwrap().code == 0).then_some(())
        })
        .await;
    }
    kehl.until("it votes again", |s| s.votes).await.unwrap();
    ctl_decided(kehl, ELSEWHERE).await.unwrap();
    scene.ends();
}

/// A lone steward's backup was restored twice, and the second time nobody could tell of the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_lines_of_one_steward_end_by_what_a_person_decides() {
    let scene = Scene::new("contested");
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two") };
    backed_up(strasbourg).await;
    begins_anew(strasbourg).await;
    // What stood above the base is proposed again, that it is a member among it.
    eventually("Kehl follows", ELECTED, || async { ctl(kehl, ELSEWHERE).await.ok() }).await;
    kehl.stop().await.unwrap();
    begins_anew(strasbourg).await;
    kehl.start().unwrap();
    let ran = refused_for(strasbourg, &["steward", "refound", "--yes"], Reason::RegisterContested).await;
    let told = scene.printed(strasbourg, "steward refound", &ran, Reason::RegisterContested);
    let doctor = told.run("havenctl doctor").await;
    let lines: Vec<&str> =
        doctor.out.split("havenctl register choose ").skip(1).filter_map(|rest| rest.get(..64)).collect();
    assert_eq!(lines.len(), 2, "both are shown: {doctor:?}");
    for city in [&*strasbourg, &*kehl] {
        let decides = format!("havenctl register choose {} --yes", lines[0]);
        eventually(&format!("{} has both", city.id()), ELECTED, || async {
            (shell(city, &decides).await.unwrap().code == 0).then_some(())
        })
        .await;
    }
    eventually("one line, ordered by the machine that is left", ELECTED, || async {
        let ran = shell(strasbourg, "havenctl steward refound --yes").await.unwrap();
        (ran.code == 0 || ran.err.contains(&format!("[{}]", Reason::RefoundingNotNeeded.code()))).then_some(())
    })
    .await;
    let after = ["node", "update", "--network", "SecuCities"];
    eventually("it is ordered again", ELECTED, || async { ctl(kehl, &after).await.ok() }).await;
    scene.ends();
}

/// Its disk is gone, its backup is restored, and it begins the order anew.
async fn begins_anew(city: &mut City) {
    lose_disk(city).await.unwrap();
    city.once(&["restore", text(&city.dir.join("backups"))]).await.unwrap();
    city.start().unwrap();
    eventually(&format!("{} begins anew", city.id()), ELECTED, || async {
        (shell(city, "havenctl steward refound --yes").await.unwrap().code == 0).then_some(())
    })
    .await;
}
