//! What two authorities agreed on, and what passes under it: what is refused goes once the command that is named was run.

use havenlink::demo::acts::request_id;
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink::domain::reason::Reason;
use havenlink_proto::admin::v1::ProposeAgreementRequest;
use havenlink_proto::local::v1::{AnswerRecordRequest, DeliveryState};
use havenlink_proto::record::v1::{Answer, AnswerKind, DisclosureLevel};
use havenlink_tests::federation::{Federation, ctl};
use havenlink_tests::tools::{Ran, havenctl};
use havenlink_tests::wait::eventually;

use crate::steps::*;
use crate::told::Scene;

/// So many proposals of one authority wait at a partner, and no more.
const OPEN_PROPOSALS: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_agreement_covers_is_mended_by_the_agreement_that_is_named() {
    let scene = Scene::new("agreements");
    let mut federation = Federation::found(3, 1, "").await.unwrap();
    federation.agree(0, 2).await.unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three") };
    let (view, record) = none_in_force(&scene, strasbourg, kehl).await;
    handled(&scene, strasbourg, kehl).await;
    used(&scene, strasbourg, kehl, (&view, &record)).await;
    for_another(&scene, strasbourg, kehl, esch).await;
    drawn_up(&scene, strasbourg, kehl).await;
    answered(&scene, kehl).await;
    too_many(&scene, strasbourg, esch).await;
    restored(&scene, strasbourg, kehl).await;
    scene.ends();
}

/// Publishes an alert about leaflets.
async fn alert(city: &City, to: &str, tlp: &str) -> Ran {
    havenctl(city, &words(&format!("alert publish {}", an_alert(to, tlp)))).await.unwrap()
}

fn an_alert(to: &str, tlp: &str) -> String {
    format!(
        "--to {to} --kind SUSPICIOUS_ADVERTISING --channel LEAFLET --place NUTS:FRF11 --indicator ilo11:2 --basis OBSERVED \
         --purpose PREVENTION --tlp {tlp}"
    )
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The id of the agreement, or of the record, that a command printed.
pub fn printed_id(printed: &str, length: usize) -> String {
    let mut words = printed.split_whitespace().map(|word| word.trim_end_matches(','));
    words.find(|word| word.len() == length).unwrap_or_else(|| panic!("no id: {printed}")).to_owned()
}

async fn signed(city: &City, id: &str) {
    eventually(&format!("{} signs {id}", city.id()), PATIENCE, || async {
        ctl(city, &["agreement", "sign", id]).await.ok()
    })
    .await;
}

/// What was refused is published, once the agreement that was signed at the partner has come back.
async fn published(city: &City, to: &str, tlp: &str) -> String {
    let printed = eventually(&format!("{} publishes to {to}", city.id()), PATIENCE, || async {
        Some(alert(city, to, tlp).await).filter(|ran| ran.code == 0)
    })
    .await;
    printed_id(&printed.out, 36)
}

/// No agreement at all; then one that lets the partner look, and no more, and a record under it.
async fn none_in_force(scene: &Scene, strasbourg: &City, kehl: &City) -> (String, String) {
    let typed = format!("alert publish {}", an_alert(kehl.id(), "GREEN"));
    let told = scene.refused(strasbourg, &words(&typed), Reason::AgreementNotInForce).await;
    let listed = told.run("havenctl agreement list").await.fine();
    assert!(!listed.contains(kehl.id()), "there is none with it: {listed}");
    let propose = "havenctl agreement propose AUTHORITY";
    let proposed =
        told.filled(propose, &[("AUTHORITY", kehl.id())], "--share alerts --use VIEW --until 365d").await.fine();
    let view = printed_id(&proposed, 64);
    signed(kehl, &view).await;
    let record = published(strasbourg, kehl.id(), "GREEN").await;
    (view, record)
}

/// What Kehl's own systems may not take under this agreement.
async fn used(scene: &Scene, strasbourg: &City, kehl: &City, (view, record): (&str, &str)) {
    let line = may_take(kehl, record, Reason::UseNotGranted.code()).await;
    let told = scene.looked_up(kehl, &line, Reason::UseNotGranted).await;
    let shown = told.known(kehl, "havenctl agreement show ID", &[("ID", view)], "").await.fine();
    assert!(shown.contains("to view at its node"), "what was agreed: {shown}");
    let more = "havenctl agreement propose AUTHORITY --use STORE";
    let options = "--receive alerts --until 365d";
    let proposed = told.known(kehl, more, &[("AUTHORITY", strasbourg.id())], options).await.fine();
    signed(strasbourg, &printed_id(&proposed, 64)).await;
    ctl(strasbourg, &["agreement", "end", view, "--reason", "REPLACED", "--yes"]).await.unwrap();
    let record = published(strasbourg, kehl.id(), "GREEN").await;
    may_take(kehl, &record, "yes").await;
}

/// Whether the city's own systems may have a record, and why: the line that says so.
async fn may_take(city: &City, record: &str, why: &str) -> String {
    eventually(&format!("{} says {why} of {record}", city.id()), PATIENCE, || async {
        let ran = havenctl(city, &["--role", "consumer", "agreement", "explain", record]).await.unwrap();
        ran.out.lines().find(|line| line.contains(why)).map(str::to_owned)
    })
    .await
}

/// Stricter than what was agreed, and for nobody in particular.
async fn handled(scene: &Scene, strasbourg: &City, kehl: &City) {
    let typed = format!("alert publish {}", an_alert(kehl.id(), "RED"));
    let told = scene.refused(strasbourg, &words(&typed), Reason::HandlingTooRestricted).await;
    let options = format!("{} --share alerts --tlp RED --until 365d", kehl.id());
    let proposed = told.filled("havenctl agreement propose", &[], &options).await.fine();
    signed(kehl, &printed_id(&proposed, 64)).await;
    published(strasbourg, kehl.id(), "RED").await;

    let typed = format!("alert publish {}", an_alert("all", "RED"));
    let told = scene.refused(strasbourg, &words(&typed), Reason::AudienceNotNamed).await;
    let partners = told.run("havenctl agreement list").await.fine();
    assert!(partners.contains(kehl.id()), "whom to name: {partners}");
    published(strasbourg, kehl.id(), "RED").await;
}

/// Esch asks for what was published for Kehl.
async fn for_another(scene: &Scene, strasbourg: &City, kehl: &City, esch: &City) {
    let record = published(strasbourg, kehl.id(), "GREEN").await;
    let explain = ["agreement", "explain", &record, "--to", esch.id()];
    let ran = havenctl(strasbourg, &explain).await.unwrap();
    let about = format!("{} {}", explain.join(" "), ran.out);
    let told = scene.looked_up(strasbourg, &about, Reason::NotForThisAuthority).await;
    let options = an_alert("", "GREEN").replacen("--to ", "", 1);
    let publish = "havenctl alert publish --to AUTHORITY";
    let printed = told.filled(publish, &[("AUTHORITY", esch.id())], &options).await.fine();
    let own = printed_id(&printed, 36);
    let shown = ctl(strasbourg, &["agreement", "explain", &own, "--to", esch.id()]).await.unwrap();
    assert!(shown.contains("GRANT_IN_FORCE"), "{shown}");
}

/// One that does not hold together, one that nobody knows, and one that was ended before it was signed.
async fn drawn_up(scene: &Scene, strasbourg: &City, kehl: &City) {
    let now = havenlink::clock::SystemClock::shared().now().0;
    let mut wrong = sample::agreement(strasbourg.id(), kehl.id(), DisclosureLevel::Light, now);
    wrong.grants[0].valid_until_ms = wrong.grants[0].valid_from_ms;
    let request = ProposeAgreementRequest { request_id: request_id(), agreement: Some(wrong) };
    let refused = strasbourg.agreements().await.unwrap().propose_agreement(request).await;
    let told = scene.answered(strasbourg, "propose", refused, Reason::AgreementInvalid);
    assert!(told.text.contains("grants[0].valid_until_ms"), "what is to be corrected: {}", told.text);
    let right = "de-kehl --share practices --until 10d";
    let id = printed_id(&told.filled("havenctl agreement propose", &[], right).await.fine(), 64);

    let nobodys = "5a".repeat(32);
    let told = scene.refused(strasbourg, &["agreement", "show", &nobodys], Reason::AgreementNotFound).await;
    let listed = told.run("havenctl agreement list").await.fine();
    assert!(listed.contains(&id[..8]), "those that there are: {listed}");

    eventually("the proposal is at Kehl", PATIENCE, || async { ctl(kehl, &["agreement", "show", &id]).await.ok() })
        .await;
    ctl(strasbourg, &["agreement", "end", &id, "--reason", "NO_LONGER_NEEDED", "--yes"]).await.unwrap();
    eventually("the end is at Kehl", PATIENCE, || async {
        ctl(kehl, &["agreement", "show", &id]).await.ok().filter(|shown| shown.contains("ENDED"))
    })
    .await;
    let told = scene.refused(kehl, &["agreement", "sign", &id], Reason::AgreementEnded).await;
    let shown = told.filled("havenctl agreement show ID", &[("ID", &id)], "").await.fine();
    assert!(shown.contains(strasbourg.id()) && shown.contains("NO_LONGER_NEEDED"), "who ended it: {shown}");
    let with = [("AUTHORITY", strasbourg.id())];
    let options = "--receive practices --until 10d";
    let proposed = told.known(kehl, "havenctl agreement propose AUTHORITY", &with, options).await.fine();
    signed(strasbourg, &printed_id(&proposed, 64)).await;
}

/// An answer to what is not here.
async fn answered(scene: &Scene, kehl: &City) {
    let answer = |record_id: Vec<u8>| AnswerRecordRequest {
        request_id: request_id(),
        origin: "fr-strasbourg".to_owned(),
        record_id: record_id.into(),
        answer: Some(Answer { kind: AnswerKind::Acknowledged.into(), ..Default::default() }.into()),
    };
    let refused = kehl.records().await.unwrap().answer_record(answer(vec![7; 16])).await;
    let told = scene.answered(kehl, "answer", refused, Reason::TargetUnknown);
    let listed = told.run("havenctl alert list").await.fine();
    let beginning = listed.lines().nth(1).and_then(|line| line.split_whitespace().next()).unwrap();
    ctl(kehl, &["alert", "answer", beginning, "ACKNOWLEDGED"]).await.unwrap();
}

/// A program proposes again and again, and nobody signs.
async fn too_many(scene: &Scene, strasbourg: &City, esch: &City) {
    let now = havenlink::clock::SystemClock::shared().now();
    let propose = async |again: usize| {
        let mut agreement = sample::agreement(strasbourg.id(), esch.id(), DisclosureLevel::Light, now.0);
        agreement.review_by_ms -= i64::try_from(again).unwrap() * 1_000;
        let request = ProposeAgreementRequest { request_id: request_id(), agreement: Some(agreement) };
        let proposed = strasbourg.agreements().await.unwrap().propose_agreement(request).await.unwrap();
        hex(&proposed.into_inner().agreement_id)
    };
    let mut ids = Vec::new();
    for again in 1..=OPEN_PROPOSALS + 1 {
        ids.push(propose(again).await);
    }
    let line = eventually("one is refused", PATIENCE, || async {
        let listed = ctl(strasbourg, &["delivery", "list", "--limit", "5"]).await.unwrap();
        listed.lines().find(|line| line.contains(Reason::TooManyProposals.code())).map(str::to_owned)
    })
    .await;
    let told = scene.looked_up(strasbourg, &line, Reason::TooManyProposals).await;
    let listed = told.run("havenctl agreement list").await.fine();
    assert!(listed.contains(&ids[0][..8]), "what waits: {listed}");
    let sign = "havenctl agreement sign ID";
    eventually("the first is signed", PATIENCE, || async {
        Some(told.known(esch, sign, &[("ID", &ids[0])], "").await).filter(|ran| ran.code == 0)
    })
    .await;
    signed(esch, &propose(OPEN_PROPOSALS + 2).await).await;
}

/// Kehl comes back from a backup: whether its agreements still hold is for its operator to say.
async fn restored(scene: &Scene, strasbourg: &City, kehl: &mut City) {
    let folder = kehl.dir.join("backups");
    kehl.once(&["backup", text(&folder)]).await.unwrap();
    lose_disk(kehl).await.unwrap();
    kehl.once(&["restore", text(&folder)]).await.unwrap();
    kehl.start().unwrap();
    kehl.ready().await.unwrap();
    let record = publish(strasbourg, &[kehl.id()]).await.unwrap();
    let line = eventually("it is held", PATIENCE, || async {
        let listed = ctl(strasbourg, &["delivery", "list", "--limit", "5"]).await.unwrap();
        listed.lines().find(|line| line.contains(Reason::AgreementUnconfirmed.code())).map(str::to_owned)
    })
    .await;
    let told = scene.looked_up(strasbourg, &line, Reason::AgreementUnconfirmed).await;
    told.run_at(kehl, "havenctl agreement confirm", &[], "--yes").await.fine();
    until_delivered(strasbourg, kehl.id(), &[record], DeliveryState::Delivered).await;
}
