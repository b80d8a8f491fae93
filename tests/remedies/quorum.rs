//! Stewards that are down, that came back from a backup, or that are alone: who decides then, and how it goes on.

use std::path::Path;

use havenlink::demo::city::City;
use havenlink::domain::reason::Reason;
use havenlink_tests::federation::{Federation, ctl};
use havenlink_tests::tools::{Ran, havenctl, shell};
use havenlink_tests::wait::{done, eventually};

use crate::steps::*;
use crate::told::Scene;

const ELSEWHERE: &[&str] = &["node", "update", "--network", "Eurocities"];

/// What a command says in the end, when it is refused for this reason.
async fn refused_for(city: &City, typed: &[&str], reason: Reason) -> Ran {
    eventually(&format!("{} is refused for {reason}", city.id()), ELECTED, || async {
        Some(havenctl(city, typed).await.unwrap()).filter(|ran| ran.is_refused_for(reason))
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
        taken(city, &format!("{command} --yes")).await;
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
    done("Kehl follows", ELECTED, || ctl(kehl, ELSEWHERE)).await;
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
        taken(city, &format!("havenctl register choose {} --yes", lines[0])).await;
    }
    // One line, ordered by the machine that is left: whichever line that is, and whether anybody heard how far the other one had come.
    done("the order goes on", ELECTED, || async {
        let ran = shell(strasbourg, "havenctl steward refound --yes").await.unwrap();
        if ran.is_refused_for(Reason::RefoundingUnproved) {
            let without = shell(strasbourg, "havenctl steward refound --from-beginning --yes").await.unwrap();
            return if without.code == 0 { Ok(()) } else { Err(without) };
        }
        if ran.code == 0 || ran.is_refused_for(Reason::RefoundingNotNeeded) { Ok(()) } else { Err(ran) }
    })
    .await;
    let after = ["node", "update", "--network", "SecuCities"];
    done("it is ordered again", ELECTED, || ctl(kehl, &after)).await;
    scene.ends();
}

/// The steward's disk is lost, and nobody has the signs of life that would prove how far the order had come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_proof_the_order_begins_where_it_began() {
    let scene = Scene::new("unproved");
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two") };
    backed_up(strasbourg).await;
    kehl.stop().await.unwrap();
    lose_disk(strasbourg).await.unwrap();
    strasbourg.once(&["restore", text(&strasbourg.dir.join("backups"))]).await.unwrap();
    for city in [&mut *strasbourg, &mut *kehl] {
        forget_signs_of_life(&city.dir.join("data/directory.redb"));
        city.start().unwrap();
    }
    let ran = refused_for(strasbourg, &["steward", "refound", "--yes"], Reason::RefoundingUnproved).await;
    let told = scene.printed(strasbourg, "steward refound", &ran, Reason::RefoundingUnproved);
    let command = "havenctl steward refound --from-beginning";
    told.takes(command);
    taken(strasbourg, &format!("{command} --yes")).await;
    done("Kehl is a member again, and its change is ordered", ELECTED, || ctl(kehl, ELSEWHERE)).await;
    scene.ends();
}

/// What is kept of stewards' beats goes from a register that no node has open.
fn forget_signs_of_life(file: &Path) {
    const KEPT: redb::TableDefinition<&[u8], &[u8]> = redb::TableDefinition::new("kept");
    const BEATS: u8 = 5;
    let database = redb::Database::open(file).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(KEPT).unwrap().retain_in(&[BEATS][..]..&[BEATS + 1][..], |_, _| false).unwrap();
    write.commit().unwrap();
}

/// Its disk is gone, its backup is restored, and it begins the order anew.
async fn begins_anew(city: &mut City) {
    lose_disk(city).await.unwrap();
    city.once(&["restore", text(&city.dir.join("backups"))]).await.unwrap();
    city.start().unwrap();
    taken(city, "havenctl steward refound --yes").await;
}

/// Typed again until it is done.
async fn taken(city: &City, typed: &str) {
    done(typed, ELECTED, || async {
        let ran = shell(city, typed).await.unwrap();
        if ran.code == 0 { Ok(()) } else { Err(ran) }
    })
    .await;
}
