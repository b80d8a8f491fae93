//! The way into a federation: tokens that do not let in, applications that wait, and what stewards are asked.

use std::path::Path;

use havenlink::demo::acts::{founding, request_id};
use havenlink::demo::city::City;
use havenlink::demo::sample::CITIES;
use havenlink::domain::reason::Reason;
use havenlink_proto::admin::v1::{ApproveMemberRequest, NodeState};
use havenlink_tests::federation::{Federation, built, ctl};
use havenlink_tests::rest::Watched;
use havenlink_tests::tools::{havenctl, havenlink};
use havenlink_tests::wait::eventually;
use tempfile::TempDir;

use crate::steps::*;
use crate::told::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_comes_in_by_what_is_named() {
    let scene = Scene::new("joining");
    let mut federation = Federation::found(1, 1, "").await.unwrap();
    let strasbourg = &mut federation.cities[0];
    tokens(&scene, strasbourg).await;
    waits(&scene, strasbourg).await;
    scene.ends();
}

fn applicant(root: &Path, place: usize) -> Watched {
    Watched::prepare(root, &CITIES[place], &built("havenlink").unwrap()).unwrap()
}

async fn token(inviter: &City, more: &[&str]) -> String {
    let invite = [&["invite", "create", "--for", "de-kehl"], more].concat();
    ctl(inviter, &invite).await.unwrap().trim().to_owned()
}

/// An applicant in a folder of its own is refused with this token; the steward is asked for a new one, and that lets it in.
async fn let_in_by_another(scene: &Scene, inviter: &City, token: &str, reason: Reason) -> (TempDir, Watched) {
    let root = tempfile::tempdir().unwrap();
    let kehl = applicant(root.path(), 1);
    let ran = havenlink(&kehl, &["join", token]).await.unwrap();
    let told = scene.printed(&kehl, "join de-kehl", &ran, reason);
    let invite = "havenctl invite create --for AUTHORITY";
    let new = told.run_at(inviter, invite, &[("AUTHORITY", "de-kehl")], "").await.fine();
    let printed = havenlink(&kehl, &["join", new.trim()]).await.unwrap().fine();
    assert!(founding::six_words(&printed).is_some(), "{printed}");
    (root, kehl)
}

/// Tokens that nobody knows, that were not used in time, that were used, and that were burnt.
async fn tokens(scene: &Scene, strasbourg: &City) {
    let revoked = token(strasbourg, &[]).await;
    let listed = ctl(strasbourg, &["invite", "list", "-o", "json"]).await.unwrap();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let id = listed["invitations"][0]["invitation_id"].as_str().unwrap().to_owned();
    ctl(strasbourg, &["invite", "revoke", &id]).await.unwrap();
    // No invitation is open at all: the door for applicants is shut.
    let _unknown = let_in_by_another(scene, strasbourg, &revoked, Reason::InvitationUnknown).await;
    ctl(strasbourg, &["member", "reject", "de-kehl", "--reason", "INCOMPLETE"]).await.unwrap();

    // The words differ on the phone.
    let burnt = token(strasbourg, &[]).await;
    let root = tempfile::tempdir().unwrap();
    havenlink(&applicant(root.path(), 1), &["join", &burnt]).await.unwrap().fine();
    ctl(strasbourg, &["member", "reject", "de-kehl", "--reason", "WORDS_DIFFER"]).await.unwrap();
    let _burnt = let_in_by_another(scene, strasbourg, &burnt, Reason::InvitationBurnt).await;

    let short = token(strasbourg, &["--expires", "1s"]).await;
    eventually("the invitation is over", PATIENCE, || async {
        ctl(strasbourg, &["invite", "list"]).await.unwrap().contains("EXPIRED").then_some(())
    })
    .await;
    let _open = token(strasbourg, &[]).await;
    let _expired = let_in_by_another(scene, strasbourg, &short, Reason::InvitationExpired).await;

    let good = token(strasbourg, &[]).await;
    let root = tempfile::tempdir().unwrap();
    let first = applicant(root.path(), 1);
    havenlink(&first, &["join", &good]).await.unwrap().fine();
    let _used = let_in_by_another(scene, strasbourg, &good, Reason::InvitationUsed).await;
}

/// An applicant that waits, and those who decide on it.
async fn waits(scene: &Scene, strasbourg: &mut City) {
    let nobody = ["member", "reject", "lu-esch-sur-alzette", "--reason", "NO_LEGAL_BASIS"];
    let told = scene.refused(strasbourg, &nobody, Reason::ApplicationUnknown).await;
    let pending = told.run("havenctl member list --pending").await.fine();
    assert!(!pending.contains("lu-esch-sur-alzette"), "{pending}");

    let root = tempfile::tempdir().unwrap();
    let mut esch = applicant(root.path(), 2);
    let token = ctl(strasbourg, &["invite", "create", "--for", esch.id()]).await.unwrap();
    let words = founding::six_words(&esch.once(&["join", token.trim()]).await.unwrap()).unwrap();
    esch.start().unwrap();
    let listed = eventually("Esch's node waits", PATIENCE, || async {
        let ran = havenctl(&esch, &["agreement", "list"]).await.unwrap();
        ran.err.contains(Reason::JoinPending.code()).then_some(ran)
    })
    .await;
    let pending = scene.printed(&esch, "agreement list", &listed, Reason::JoinPending);
    // It runs, and keeps waiting.
    pending.takes("havenlink run");

    let request = |words: &str| ApproveMemberRequest {
        request_id: request_id(),
        authority: "lu-esch-sur-alzette".into(),
        words: words.into(),
    };
    let without = strasbourg.members().await.unwrap().approve_member(request("")).await;
    let told = scene.answered(strasbourg, "approve lu-esch-sur-alzette", without, Reason::WordsNeeded);
    let with = [("AUTHORITY", "lu-esch-sur-alzette")];
    let options = format!("--words '{words}'");
    told.filled("havenctl member approve AUTHORITY", &with, &options).await.fine();
    esch.ready().await.unwrap();
    ctl(&esch, &["agreement", "list"]).await.unwrap();

    let again = ["invite", "create", "--for", "lu-esch-sur-alzette"];
    let told = scene.refused(strasbourg, &again, Reason::AlreadyMember).await;
    let shown = told.filled("havenctl member show AUTHORITY", &with, "").await.fine();
    assert!(shown.contains("ACTIVE"), "how it stands: {shown}");
    comes_back(scene, strasbourg, &mut esch).await;
}

/// Its disk and its keys are lost: it comes back by a ticket that is its own.
async fn comes_back(scene: &Scene, strasbourg: &mut City, esch: &mut City) {
    let ticket = ctl(strasbourg, &["member", "recovery-ticket", esch.id()]).await.unwrap();
    lose_disk(esch).await.unwrap();
    let ticket = ticket.trim();
    let cut = havenlink(esch, &["recover", &ticket[..ticket.len() / 2]]).await.unwrap();
    let told = scene.printed(esch, &format!("recover {}", esch.id()), &cut, Reason::TicketInvalid);
    let command = "havenctl member recovery-ticket AUTHORITY";
    let whole = told.run_at(strasbourg, command, &[("AUTHORITY", esch.id())], "").await.fine();
    esch.once(&["recover", whole.trim()]).await.unwrap();
    let entry = esch.dir.join("data/recovery.entry");
    starting(scene, strasbourg, esch).await;
    ctl_decided(strasbourg, &["member", "recover-key", esch.id(), "--entry", text(&entry), "--yes"]).await.unwrap();
    esch.ready().await.unwrap();
}

/// A new node knows nobody until a steward has told it the register.
async fn starting(scene: &Scene, strasbourg: &mut City, esch: &mut City) {
    strasbourg.stop().await.unwrap();
    esch.start().unwrap();
    let status = esch.until("it starts", |s| s.state() == NodeState::Starting).await.unwrap();
    let told = scene.looked_up(esch, &status.reason, Reason::NodeStarting).await;
    let status = told.run("havenctl status").await.fine();
    assert!(status.contains("STARTING"), "{status}");
    strasbourg.start().unwrap();
    strasbourg.ready().await.unwrap();
}
