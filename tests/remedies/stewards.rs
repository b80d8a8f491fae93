//! What stewards decide, and what one of them, or a member, cannot decide alone. Strasbourg, Kehl and Esch are stewards, Liège is a
//! member.

use havenlink::demo::acts::{founding, request_id};
use havenlink::demo::city::City;
use havenlink::domain::reason::Reason;
use havenlink_proto::admin::v1::{ApproveMemberRequest, ApproveProposalRequest, NodeState};
use havenlink_tests::federation::{Federation, applicant, built, ctl};
use havenlink_tests::rest::Watched;
use havenlink_tests::tools::Ran;
use havenlink_tests::wait::eventually;

use crate::steps::*;
use crate::told::{Scene, Told};
use crate::{hostile, statements};

const WHY: &str = "--reason OWN_REQUEST --yes";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_steward_cannot_decide_is_decided_by_what_is_named() {
    let scene = Scene::new("stewards");
    let mut federation = Federation::found(4, 3, "").await.unwrap();
    let newcomer = applicant(&federation, 4).unwrap();
    let [strasbourg, kehl, esch, liege] = &mut federation.cities[..] else { panic!("four") };
    asks_a_steward(&scene, strasbourg, liege).await;
    suspended(&scene, strasbourg, kehl, liege).await;
    a_suspended_steward(&scene, strasbourg, kehl, esch).await;
    steps_down(&scene, strasbourg, kehl, esch).await;
    let new = [strasbourg.status().await.unwrap().register_number, esch.status().await.unwrap().register_number];
    reached(kehl, new[0].max(new[1])).await;
    several(&scene, newcomer, [strasbourg, kehl, esch]).await;
    let open = [&*strasbourg, &*kehl, &*esch];
    statements::by_hand(&scene, open, liege).await;
    removed(&scene, strasbourg, kehl, liege).await;
    hostile::keys_of_kehl(&scene, strasbourg, kehl, esch, "nl-maastricht").await;
    scene.ends();
}

/// A command that the stewards decide on is refused in the end, for this reason.
async fn refused<'s, 'c>(scene: &'s Scene, city: &'c City, typed: &[&str], reason: Reason) -> Told<'s, 'c> {
    let said = decided(city, typed).await;
    let ran = Ran { code: said.code, out: said.out, err: said.err };
    scene.printed(city, &typed.join(" "), &ran, reason)
}

/// The command of a remedy at several desks, one after the other; what the last one said.
async fn at_each(told: &Told<'_, '_>, desks: &[&City], command: &str, with: &[(&str, &str)], options: &str) -> String {
    let mut said = String::new();
    for city in desks {
        let what = format!("{command} at {}", city.id());
        said = eventually(&what, ELECTED, || async {
            let ran = told.run_at(city, command, with, options).await;
            assert!(ran.code == 0 || undecided(&reason_of(&ran)), "{ran:?}");
            (ran.code == 0).then_some(ran.out)
        })
        .await;
        let number = city.status().await.unwrap().register_number;
        for other in desks {
            reached(other, number).await;
        }
    }
    said
}

fn reason_of(ran: &Ran) -> String {
    let told = ran.err.split_once("error[").and_then(|(_, rest)| rest.split_once(']'));
    told.map(|(code, _)| code.to_owned()).unwrap_or_default()
}

/// A member that asks for what stewards decide, and a newcomer whose node does not run.
async fn asks_a_steward(scene: &Scene, strasbourg: &City, liege: &mut City) {
    let promote = ["steward", "promote", "be-liege"];
    let told = refused(scene, liege, &promote, Reason::NotASteward).await;
    let stewards = told.run("havenctl steward list").await.fine();
    assert!(stewards.contains(strasbourg.id()), "whom to ask: {stewards}");

    liege.stop().await.unwrap();
    let told = refused(scene, strasbourg, &promote, Reason::NewcomerCatchingUp).await;
    liege.start().unwrap();
    liege.ready().await.unwrap();
    let doctor = told.run_at(liege, "havenctl doctor", &[], "").await;
    assert!(doctor.out.contains("register"), "{doctor:?}");
    let said =
        eventually("it has caught up", ELECTED, || async { Some(told.repeated().await).filter(|ran| ran.code == 0) })
            .await;
    assert!(said.out.contains("1 of 2"), "the same command is taken: {said:?}");
}

/// A member is suspended by one steward, which does so once; a majority restores it, or keeps it out.
async fn suspended(scene: &Scene, strasbourg: &City, kehl: &City, liege: &mut City) {
    let with = [("AUTHORITY", liege.id())];
    let restore = ["member", "restore", liege.id()];
    let told = refused(scene, strasbourg, &restore, Reason::NotSuspended).await;
    let shown = told.filled("havenctl member show AUTHORITY", &with, "").await.fine();
    assert!(shown.contains("ACTIVE"), "{shown}");

    let suspend = ["member", "suspend", liege.id(), "--reason", "OWN_REQUEST", "--yes"];
    ctl(strasbourg, &suspend).await.unwrap();
    let status = liege.until("it is suspended", |s| s.state() == NodeState::Suspended).await.unwrap();
    let told = scene.looked_up(liege, &format!("{}: {}", liege.id(), status.reason), Reason::MemberSuspended).await;
    let shown = told.filled("havenctl member show AUTHORITY", &with, "").await.fine();
    assert!(shown.contains("SUSPENDED") && shown.contains("until"), "until when: {shown}");
    let restored = at_each(&told, &[strasbourg, kehl], "havenctl member restore AUTHORITY", &with, "").await;
    assert!(restored.contains("done"), "{restored}");
    liege.ready().await.unwrap();

    let told = refused(scene, strasbourg, &suspend, Reason::EmergencyUsed).await;
    let lasting = "havenctl member suspend AUTHORITY --lasting";
    at_each(&told, &[strasbourg, kehl], lasting, &with, WHY).await;
    liege.until("the majority suspends it", |s| s.state() == NodeState::Suspended).await.unwrap();
    let propose = ["agreement", "propose", liege.id(), "--share", "alerts", "--until", "30d"];
    let told = refused(scene, strasbourg, &propose, Reason::ControlNotAllowed).await;
    let shown = told.filled("havenctl member show AUTHORITY", &with, "").await.fine();
    assert!(shown.contains("SUSPENDED"), "why not: {shown}");
    decide(&[strasbourg, kehl], &restore).await.unwrap();
    liege.ready().await.unwrap();
    ctl(strasbourg, &propose).await.unwrap();
}

/// One steward alone stops no other one.
async fn a_suspended_steward(scene: &Scene, strasbourg: &City, kehl: &mut City, esch: &City) {
    let why = ["--reason", "NODE_COMPROMISED", "--yes"];
    let suspend = [&["member", "suspend", kehl.id()], &why[..]].concat();
    ctl(strasbourg, &suspend).await.unwrap();
    for city in [&*kehl, esch] {
        eventually("the order waits", PATIENCE, || async {
            let pending = city.status().await.ok()?.pending;
            pending.iter().any(|p| p.act == "EMERGENCY_SUSPEND").then_some(())
        })
        .await;
    }
    let own = ["member", "approve", kehl.id(), "--yes"];
    let told = refused(scene, kehl, &own, Reason::NeedsTwoSignatures).await;
    let command = "havenctl member suspend AUTHORITY";
    told.run_at(esch, command, &[("AUTHORITY", kehl.id())], &why.join(" ")).await.fine();
    kehl.until("it is suspended", |s| s.state() == NodeState::Suspended).await.unwrap();
    decide(&[strasbourg, esch], &["member", "restore", kehl.id()]).await.unwrap();
    kehl.ready().await.unwrap();
}

/// Esch is to be removed, is demoted for that, and becomes a steward again under a new number.
async fn steps_down(scene: &Scene, strasbourg: &City, kehl: &City, esch: &mut City) {
    let with = [("AUTHORITY", esch.id())];
    let remove = ["member", "remove", esch.id(), "--reason", "OWN_REQUEST", "--yes"];
    let told = refused(scene, strasbourg, &remove, Reason::StillASteward).await;
    at_each(&told, &[strasbourg, kehl], "havenctl steward demote AUTHORITY", &with, "--yes").await;
    esch.until("it is no steward", |s| !s.steward).await.unwrap();
    let said = ctl_decided(strasbourg, &remove).await.unwrap();
    assert!(said.contains("1 of 2"), "it is not refused any more: {said}");

    let promote = ["steward", "promote", esch.id()];
    let told = refused(scene, strasbourg, &promote, Reason::RaftIdReused).await;
    let spent = member(strasbourg, esch.id()).await.unwrap().entry.unwrap().raft_id;
    esch.stop().await.unwrap();
    esch.start().unwrap();
    eventually("it has a new number", PATIENCE, || async {
        (member(strasbourg, esch.id()).await.ok()?.entry?.raft_id != spent).then_some(())
    })
    .await;
    at_each(&told, &[strasbourg, kehl], "havenctl steward promote AUTHORITY", &with, "").await;
    esch.until("it votes", |s| s.votes).await.unwrap();
}

/// Two stewards admit the same authority under different keys, and a third one is asked.
async fn several(scene: &Scene, first: Watched, [strasbourg, kehl, esch]: [&City; 3]) {
    let root = tempfile::tempdir().unwrap();
    let second = Watched::prepare(root.path(), first.sample, &built("havenlink").unwrap()).unwrap();
    for (city, newcomer) in [(strasbourg, &first), (kehl, &second)] {
        let token = ctl(city, &["invite", "create", "--for", newcomer.id()]).await.unwrap();
        let printed = newcomer.once(&["join", token.trim()]).await.unwrap();
        let words = founding::six_words(&printed).unwrap();
        ctl_decided(city, &["member", "approve", newcomer.id(), "--words", &words]).await.unwrap();
        reached(esch, city.status().await.unwrap().register_number).await;
    }
    let authority = first.id().to_owned();
    let request = ApproveMemberRequest { request_id: request_id(), authority, ..Default::default() };
    let answer = esch.members().await.unwrap().approve_member(request).await;
    let told = scene.answered(esch, "approve nl-maastricht", answer, Reason::SeveralApplications);
    let pending = told.run("havenctl member list --pending").await.fine();
    let shown = told.known(esch, "havenctl member show AUTHORITY", &[("AUTHORITY", first.id())], "").await.fine();
    let keys = [&first, &second].map(|city| hex(&key_of(city).unwrap().public().0[12..20]));
    assert!(keys.iter().all(|key| shown.contains(key)), "the key that is compared: {keys:?} {pending} {shown}");
    let of_strasbourg = |line: &&str| line.contains(first.id()) && line.contains(strasbourg.id());
    let line = pending.lines().find(of_strasbourg).unwrap_or_else(|| panic!("{pending}"));
    let id = line.split_whitespace().find(|word| word.len() == 64).unwrap_or_else(|| panic!("{pending}"));
    let with = [("AUTHORITY", first.id()), ("ID", id)];
    told.known(esch, "havenctl member approve AUTHORITY --proposal ID", &with, "").await.fine();
    let key = member(esch, first.id()).await.unwrap().entry.unwrap().authority_key;
    assert_eq!(hex(&key[12..20]), keys[0], "the one whose key was compared");
}

/// Out for good.
async fn removed(scene: &Scene, strasbourg: &City, kehl: &City, liege: &City) {
    let remove = ["member", "remove", liege.id(), "--reason", "OWN_REQUEST", "--yes"];
    decide(&[strasbourg, kehl], &remove).await.unwrap();
    let told = refused(scene, strasbourg, &["member", "restore", liege.id()], Reason::MemberRemoved).await;
    let shown = told.filled("havenctl member show AUTHORITY", &[("AUTHORITY", liege.id())], "").await.fine();
    assert!(shown.contains("REMOVED"), "{shown}");
}

/// A decision that nobody knows.
pub async fn unknown(scene: &Scene, city: &City) {
    let request = ApproveProposalRequest { request_id: request_id(), proposal_id: vec![0x5a; 32].into() };
    let answer = city.members().await.unwrap().approve_proposal(request).await;
    let told = scene.answered(city, "approve", answer, Reason::ProposalUnknown);
    let pending = told.run("havenctl member list --pending").await.fine();
    assert!(pending.contains("REMOVE"), "those that are open: {pending}");
}
