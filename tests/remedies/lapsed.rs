//! What comes to its end by time: a basis for transfers, how long a record is kept, an answer that is overdue. Two of the nodes run in
//! this process, since the machine's own clock cannot be moved in a test.

use std::sync::Arc;

use havenlink::app::{DataDir, RunningMember};
use havenlink::clock::{MovedClock, SystemClock};
use havenlink::config::{self, Sources};
use havenlink::demo::acts::{agreeing, founding, referring, request_id};
use havenlink::demo::city::City;
use havenlink::demo::sample::{self, CitySample};
use havenlink::demo::stage::Stage;
use havenlink::domain::reason::Reason;
use havenlink::domain::time::Millis;
use havenlink::services::layers::Runtimes;
use havenlink_proto::local::v1::GiveAgreementToShareRequest;
use havenlink_proto::record::v1::{DisclosureLevel, RecordKind, Tlp, Transfer, TransferBasis};
use havenlink_tests::federation::{Federation, built, ctl};
use havenlink_tests::rest::Watched;
use havenlink_tests::tools::havenctl;
use havenlink_tests::wait::eventually;

use crate::agreements::printed_id;
use crate::steps::*;
use crate::told::Scene;

const ROLES: &str = "roles = [\"operator\", \"coordinator\", \"publisher\", \"data-protection\"]\n";
const CASE: &str = "SB-2026/0417";
/// Of a transfer: which document carries it.
const DOCUMENT: [u8; 32] = [0x5a; 32];

/// Outside the European Economic Area.
static BASEL: CitySample = CitySample {
    authority: "ch-basel",
    name: ("de", "Basel"),
    nuts: "CH031",
    identifier: ("LAU", "2701"),
    contact: "kontakt@basel.example",
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_basis_that_has_ended_is_replaced_by_what_is_named() {
    let scene = Scene::new("transfers");
    let mut federation = Federation::found(1, 1, ROLES).await.unwrap();
    let root = tempfile::tempdir().unwrap();
    let mut basel = Watched::prepare(root.path(), &BASEL, &built("havenlink").unwrap()).unwrap();
    basel.configure(ROLES).unwrap();
    let strasbourg = &mut federation.cities[0];
    founding::join(&mut Stage::silent(), strasbourg, &mut basel).await.unwrap();
    transfer(&scene, strasbourg, &basel).await;
    scene.ends();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_no_longer_is_explained_by_what_is_named() {
    let scene = Scene::new("retention");
    let mut federation = Federation::found(2, 1, ROLES).await.unwrap();
    let (here, there, clock) = in_this_process(&mut federation).await;
    let [strasbourg, kehl] = &federation.cities[..] else { panic!("two") };
    kept(&scene, strasbourg, kehl, &clock).await;
    there.stop().await;
    here.stop().await;
    scene.ends();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_overdue_is_shown_by_what_is_named() {
    let scene = Scene::new("overdue");
    let mut federation = Federation::found(2, 1, ROLES).await.unwrap();
    let (here, there, clock) = in_this_process(&mut federation).await;
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two") };
    overdue(&scene, strasbourg, (kehl, there), &clock).await;
    here.stop().await;
    scene.ends();
}

/// Two that agreed on referrals, by one clock that can be moved.
async fn in_this_process(federation: &mut Federation) -> (RunningMember, RunningMember, Arc<MovedClock>) {
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two") };
    referring::agree(&mut Stage::silent(), strasbourg, kehl).await.unwrap();
    strasbourg.stop().await.unwrap();
    kehl.stop().await.unwrap();
    let clock = MovedClock::new();
    (started(strasbourg, &clock).await, started(kehl, &clock).await, clock)
}

/// A city's node, in this process, by this clock.
async fn started(city: &mut City, clock: &Arc<MovedClock>) -> RunningMember {
    let sources = Sources::read(Some(&city.dir.join("node.toml")), Vec::new()).unwrap();
    let config = config::load(&Sources { variables: Vec::new(), ..sources }).unwrap();
    havenlink::transport::install_provider();
    let data = DataDir::take(&config.data_dir).unwrap();
    let member = RunningMember::start(config, data, clock.clone(), &Runtimes::current(), None).await.unwrap();
    city.ready().await.unwrap();
    member
}

/// The person agrees to what is shared with Basel, outside the countries of the other sample.
async fn given(city: &City, case: &str, recipient: &str) {
    let mut terms = sample::share_terms(&[recipient], SystemClock::shared().now().0);
    terms.scopes[0].countries = vec!["ch".to_owned()];
    let asked = GiveAgreementToShareRequest {
        request_id: request_id(),
        case_reference: case.to_owned(),
        terms: Some(terms),
        ..sample::given_freely()
    };
    city.shares().await.unwrap().give_agreement_to_share(asked).await.unwrap();
}

/// A basis that ends in a moment, and one that lasts.
async fn transfer(scene: &Scene, strasbourg: &City, basel: &City) {
    let now = SystemClock::shared().now().0;
    let until_ms = now + 3_000;
    let mut agreement = sample::agreement(strasbourg.id(), basel.id(), DisclosureLevel::Unspecified, now);
    for grant in &mut agreement.grants {
        grant.record_kinds = vec![RecordKind::Referral.into()];
        grant.alert_kinds.clear();
        grant.highest_tlp = Tlp::AmberStrict.into();
    }
    agreement.parties[1].transfers = vec![Transfer {
        country: "ch".to_owned(),
        basis: TransferBasis::Adequacy.into(),
        until_ms,
        document_sha256: DOCUMENT.to_vec().into(),
    }];
    agreeing::sign(&mut Stage::silent(), strasbourg, basel, agreement).await.unwrap();
    given(strasbourg, "SB-2026/0418", basel.id()).await;
    eventually("the basis ends", PATIENCE, || async { (SystemClock::shared().now().0 > until_ms).then_some(()) }).await;
    let refused = referring::refer(strasbourg, "SB-2026/0418", basel.id()).await.unwrap_err();
    let refused = refused.downcast::<tonic::Status>().unwrap();
    let told = scene.answered(strasbourg, "refer to ch-basel", Err::<(), _>(refused), Reason::TransferLapsed);
    let document = hex(&DOCUMENT);
    let last_day = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(300 * 24);
    let last_day = last_day.strftime("%Y-%m-%d").to_string();
    let with = [
        ("AUTHORITY", basel.id()),
        ("COUNTRY", "ch"),
        ("BASIS", "ADEQUACY"),
        ("DATE", &last_day),
        ("SHA-256", &document),
    ];
    let command = "havenctl agreement propose AUTHORITY --transfer COUNTRY=BASIS:DATE:SHA-256";
    let options = "--share referrals=LONG_TERM_REFUGE --tlp AMBER_STRICT --purpose ASSISTANCE --until 365d";
    let id = printed_id(&told.known(strasbourg, command, &with, options).await.fine(), 64);
    eventually("Basel signs", PATIENCE, || async { ctl(basel, &["agreement", "sign", &id]).await.ok() }).await;
    eventually("she is referred", PATIENCE, || async {
        referring::refer(strasbourg, "SB-2026/0418", basel.id()).await.ok()
    })
    .await;
}

/// An alert that Kehl may keep for a day.
async fn kept(scene: &Scene, strasbourg: &City, kehl: &City, clock: &MovedClock) {
    let propose = "agreement propose de-kehl --share alerts --retention 1d --until 365d";
    let propose: Vec<&str> = propose.split_whitespace().collect();
    let id = printed_id(&ctl(strasbourg, &propose).await.unwrap(), 64);
    eventually("Kehl signs", PATIENCE, || async { ctl(kehl, &["agreement", "sign", &id]).await.ok() }).await;
    let record =
        eventually("it is published", PATIENCE, || async { publish(strasbourg, &[kehl.id()]).await.ok() }).await;
    let record = uuid::Uuid::from_slice(&record).unwrap().to_string();
    let show = ["alert", "show", &record, "--origin", strasbourg.id()];
    eventually("it is at Kehl", PATIENCE, || async { ctl(kehl, &show).await.ok() }).await;
    clock.advance(Millis::hours(25));
    let explain = ["agreement", "explain", &record, "--origin", strasbourg.id()];
    let ran = havenctl(kehl, &explain).await.unwrap();
    let told = scene.looked_up(kehl, &ran.out, Reason::RetentionEnded).await;
    let shown = told.known(kehl, "havenctl agreement show ID", &[("ID", &id)], "").await.fine();
    assert!(shown.contains("1d") || shown.contains("1 day"), "for how long: {shown}");
}

/// So much time passes, in steps that are too short for a silence after which members are asked.
async fn passes(clock: &MovedClock, hours: i64, city: &City) {
    let mut left = hours;
    while left > 0 {
        let step = left.min(23);
        clock.advance(Millis::hours(step));
        left -= step;
        fresh(city).await;
    }
}

/// Its stewards have spoken since the clock was moved.
async fn fresh(city: &City) {
    eventually(&format!("{} is fresh", city.id()), PATIENCE, || async {
        city.status().await.ok()?.fresh.then_some(())
    })
    .await;
}

/// Kehl's node was away when she withdrew, and three days have passed.
async fn overdue(scene: &Scene, strasbourg: &City, kehl: (&mut City, RunningMember), clock: &Arc<MovedClock>) {
    let (city, there) = kehl;
    referring::give(strasbourg, CASE, &[city.id()]).await.unwrap();
    let record = referring::refer(strasbourg, CASE, city.id()).await.unwrap();
    referring::received(city, strasbourg.id(), &record).await.unwrap();
    there.stop().await;
    referring::withdraw(strasbourg, CASE).await.unwrap();
    referring::give(strasbourg, "SB-2026/0419", &[city.id()]).await.unwrap();
    passes(clock, 73, strasbourg).await;
    let refused = referring::refer(strasbourg, "SB-2026/0419", city.id()).await.unwrap_err();
    let refused = Err::<(), _>(refused.downcast::<tonic::Status>().unwrap());
    let told = scene.answered(strasbourg, "refer to de-kehl", refused, Reason::ErasureOverdue);
    let erasures = told.run("havenctl referral erasures").await.fine();
    assert!(erasures.contains(city.id()) && erasures.contains("NOTICED"), "what is open: {erasures}");
    let there = started(city, clock).await;
    referring::erased(strasbourg, &record).await.unwrap();
    referring::refer(strasbourg, "SB-2026/0419", city.id()).await.unwrap();
    there.stop().await;
}
