//! What a partner's node of another make might send: the test holds Kehl's keys, and says it to Strasbourg in Kehl's name.

use bytes::Bytes;
use havenlink::clock::SystemClock;
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink::domain::ids::AgreementId;
use havenlink::domain::issued::NodeName;
use havenlink::domain::reason::Reason;
use havenlink::domain::record::StreamClass;
use havenlink::domain::records::Control;
use havenlink::domain::records::agreement::{AgreementEnd, AgreementEndReason, Proposal};
use havenlink::domain::time::Millis;
use havenlink::transport::{Issuing, NodeIdentity};
use havenlink::wire::signed;
use havenlink_proto::peer::v1::DeliverRequest;
use havenlink_proto::peer::v1::exchange_service_client::ExchangeServiceClient;
use havenlink_proto::record::v1::{Agreement, DisclosureLevel, Envelope, Signed};
use havenlink_tests::asker::Asker;
use havenlink_tests::federation::Federation;
use havenlink_tests::intruder::{Intruder, address_of};
use havenlink_tests::peer;
use prost::Message;

use crate::told::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_make_sends_is_refused_with_what_its_operator_looks_at() {
    let scene = Scene::new("foreign");
    let mut federation = Federation::found(3, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three") };
    not_published(&scene, strasbourg, kehl).await;
    let (held, address) = (Intruder::with_keys_of(kehl).await.unwrap(), address_of(strasbourg).await.unwrap());
    kehl.stop().await.unwrap();
    let mut asker = Asker::greet(held, strasbourg, &address).await.unwrap();
    of_others(&scene, &mut asker, strasbourg, esch).await;
    malformed(&scene, &mut asker, kehl).await;
    // Kehl's place on the stream is taken by who spoke in its name: its own node has nothing more to say here.
    federation.judge();
    scene.ends();
}

/// A certificate that Kehl's key vouches for, and that stands in no register yet.
async fn not_published(scene: &Scene, strasbourg: &City, kehl: &City) {
    let held = Intruder::with_keys_of(kehl).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    NodeIdentity::store(dir.path(), &peer::self_issued(kehl.id(), Millis::days(30)).unwrap()).unwrap();
    let identity = NodeIdentity::load(dir.path()).unwrap();
    let name = NodeName { federation: held.federation, authority: held.authority.clone() };
    let issuing = Issuing { name: &name, key: &held.key, crosses: &[] };
    identity.issue(dir.path(), &issuing, SystemClock::shared().now()).unwrap();
    let mut early = ExchangeServiceClient::new(peer::dial(identity, strasbourg).await.unwrap());
    let answer = early.deliver(DeliverRequest::default()).await;
    let told = scene.answered(kehl, "deliver", answer, Reason::CertificateNotPinned);
    let doctor = told.run("havenctl doctor").await;
    let register = doctor.out.lines().filter(|line| line.contains("register")).collect::<Vec<_>>();
    assert!(!register.is_empty() && register.iter().all(|line| line.contains("OK")), "nothing does: {doctor:?}");
}

/// An agreement between Kehl and Esch is nothing of Strasbourg's.
async fn of_others(scene: &Scene, asker: &mut Asker, strasbourg: &City, esch: &City) {
    let now = SystemClock::shared().now().0;
    let agreement = Agreement {
        federation_id: Bytes::copy_from_slice(asker.held.federation.as_bytes()),
        created_ms: now,
        nonce: Bytes::copy_from_slice(uuid::Uuid::new_v4().as_bytes()),
        proposer: "de-kehl".to_owned(),
        ..sample::agreement("de-kehl", esch.id(), DisclosureLevel::Light, now)
    };
    let bytes = signed::sign(&asker.held.federation, &agreement, &[&asker.held.key]).encode_to_vec();
    let envelope = asker.control(&Control::AgreementProposal(Proposal(bytes.into())));
    let (_, outcome) = asker.deliver(StreamClass::Control, &envelope).await.unwrap();
    let told = scene.looked_up(strasbourg, &outcome, Reason::AgreementNotParty).await;
    let listed = told.run("havenctl agreement list").await.fine();
    assert!(listed.contains("de-kehl") && !listed.contains(esch.id()), "those of this authority: {listed}");
}

/// The end of an agreement that nobody knows.
fn end(asker: &Asker) -> Bytes {
    let (by, at) = (asker.held.authority.clone(), SystemClock::shared().now());
    let (agreement, reason) = (AgreementId([7; 32]), AgreementEndReason::NoLongerNeeded);
    asker.control(&Control::AgreementEnd(AgreementEnd { agreement, by, at, reason }))
}

/// An envelope that ends before it begins; its sender's operator finds what waits there.
async fn malformed(scene: &Scene, asker: &mut Asker, kehl: &mut City) {
    let whole = Signed::decode(end(asker)).unwrap();
    let right = Envelope::decode(whole.payload).unwrap();
    let wrong = Envelope { expires_ms: right.created_ms - 1, ..right };
    let bytes = signed::sign(&asker.held.federation, &wrong, &[&asker.held.key]).encode_to_vec().into();
    let (_, outcome) = asker.deliver(StreamClass::Control, &bytes).await.unwrap();
    kehl.start().unwrap();
    kehl.until("it answers", |_| true).await.unwrap();
    let told = scene.looked_up(kehl, &outcome, Reason::EnvelopeMalformed).await;
    let listed = told.run("havenctl delivery list").await.fine();
    assert!(listed.contains("fr-strasbourg"), "what was sent, and what became of it: {listed}");
}
