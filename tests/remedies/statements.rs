//! Statements that no node of ours makes: by a program of another make, with a city's own keys, or with none.

use bytes::Bytes;
use havenlink::clock::SystemClock;
use havenlink::demo::acts::request_id;
use havenlink::demo::city::City;
use havenlink::demo::sample::CITIES;
use havenlink::domain::directory::Policy;
use havenlink::domain::ids::{Digest, FederationId};
use havenlink::domain::reason::Reason;
use havenlink::domain::time::Millis;
use havenlink::transport::NodeIdentity;
use havenlink::wire::{acts, signed};
use havenlink_proto::admin::v1::UpdateEntryRequest;
use havenlink_proto::directory::v1::{
    Admit, Approval, AuthorityEntry, Outcome, ParticipantKind, Pin, Proposal, Statement, Steward, StewardSet, proposal,
    statement,
};
use havenlink_proto::record::v1::Signed;
use havenlink_tests::authors::{Author, request};
use havenlink_tests::federation::built;
use havenlink_tests::peer;
use havenlink_tests::rest::Watched;
use havenlink_tests::tools::havenlink;
use tonic::Status;

use crate::steps::*;
use crate::stewards;
use crate::told::Scene;

/// All of them, at stewards; Liège is a member.
pub async fn by_hand(scene: &Scene, stewards: [&City; 3], liege: &City) {
    let [strasbourg, kehl, esch] = stewards;
    stewards::unknown(scene, strasbourg).await;
    votes(scene, strasbourg, kehl, esch).await;
    two_at_once(scene, stewards, liege).await;
    pins(scene, strasbourg, liege).await;
    of_strangers(scene, strasbourg, liege).await;
    of_other_rules(scene, strasbourg).await;
}

async fn federation_of(city: &City) -> FederationId {
    FederationId::from_slice(&city.status().await.unwrap().federation_id).unwrap()
}

/// What the register answers.
async fn answered(city: &City, signed: &Signed) -> Result<Outcome, Status> {
    let answer = city.directory().await.unwrap().propose(request(signed)).await?;
    Ok(answer.into_inner().outcome())
}

/// A vote that was given already, and one about what is decided.
async fn votes(scene: &Scene, strasbourg: &City, kehl: &City, esch: &City) {
    let policy = acts::policy_to_proto(&Policy { proposal_life: Millis::days(6), ..Policy::default() });
    let mut proposed = Default::default();
    for version in 0..9 {
        let act = proposal::Act::Policy(policy);
        let answer = propose(strasbourg, "#policy", version, act).await.unwrap();
        if answer.outcome() != Outcome::StaleVersion {
            proposed = (answer, version);
            break;
        }
    }
    let (answer, version) = proposed;
    assert_eq!(answer.outcome(), Outcome::Pending);
    let approval = || statement::Body::Approval(Approval { proposal_id: answer.statement_id.clone() });
    let vote = async |city: &City| {
        Author::of(city, federation_of(city).await).unwrap().statement("#policy", version, approval())
    };
    let again = answered(strasbourg, &vote(strasbourg).await).await.unwrap();
    let told = scene.judged(strasbourg, again, Reason::AlreadyApproved).await;
    let pending = told.run("havenctl member list --pending").await.fine();
    let id = hex(&answer.statement_id);
    assert!(pending.contains(&id[..8]) && pending.contains(kehl.id()), "who is missing: {pending}");

    reached(kehl, strasbourg.status().await.unwrap().register_number).await;
    ctl_decided(kehl, &["member", "approve", "--proposal", &id]).await.unwrap();
    reached(esch, kehl.status().await.unwrap().register_number).await;
    let late = answered(esch, &vote(esch).await).await.unwrap();
    let told = scene.judged(esch, late, Reason::ProposalClosed).await;
    let pending = told.run("havenctl member list --pending").await.fine();
    assert!(!pending.contains(&id[..8]), "it is not open any more: {pending}");
}

/// Liège instead of Esch, in one decision.
async fn two_at_once(scene: &Scene, [strasbourg, kehl, esch]: [&City; 3], liege: &City) {
    let mut set = Vec::new();
    for city in [strasbourg, kehl, liege] {
        let raft_id = member(strasbourg, city.id()).await.unwrap().entry.unwrap().raft_id;
        set.push(Steward { authority: city.id().to_owned(), raft_id });
    }
    let mut outcome = Outcome::StaleVersion;
    for version in (0..9).take_while(|_| outcome == Outcome::StaleVersion).collect::<Vec<_>>() {
        if outcome == Outcome::StaleVersion {
            let act = proposal::Act::StewardSet(StewardSet { stewards: set.clone() });
            outcome = propose(strasbourg, "#stewards", version, act).await.unwrap().outcome();
        }
    }
    let told = scene.judged(strasbourg, outcome, Reason::OneStewardAtATime).await;
    let status = told.run("havenctl status").await.fine();
    assert!(status.contains(", change "), "the last change: {status}");
    let one = ctl_decided(strasbourg, &["steward", "demote", esch.id(), "--yes"]).await.unwrap();
    assert!(one.contains("1 of 2"), "one at a time is taken: {one}");
}

/// Pins of an entry that are another's, nobody's, or everybody's.
async fn pins(scene: &Scene, strasbourg: &City, liege: &City) {
    let own = member(liege, liege.id()).await.unwrap().entry.unwrap();
    let update = async |pin: Pin| {
        let mut entry = own.clone();
        entry.pins.push(pin);
        let request = UpdateEntryRequest { request_id: request_id(), entry: Some(entry), version: 0 };
        liege.members().await.unwrap().update_entry(request).await
    };
    let of_another = member(liege, strasbourg.id()).await.unwrap().entry.unwrap().pins[0].clone();
    let unproved = Pin { spki_sha256: vec![7; 32].into(), spki: Bytes::new(), proof: Bytes::new(), valid_until_ms: 0 };
    let mut known = 1;
    for (pin, reason) in [(of_another, Reason::DuplicatePin), (unproved, Reason::PinUnproved)] {
        let told = scene.answered(liege, "update", update(pin).await, reason);
        told.run("havenctl node renew").await.fine();
        let now = member(liege, liege.id()).await.unwrap().entry.unwrap().pins.len();
        assert!(now > known, "a new one is published: {now}");
        known = 1;
    }
    // The Ed25519 key of RFC 8032, section 7.1, test 1, as a certificate's key.
    let raw = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let raw: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&raw[2 * i..2 * i + 2], 16).unwrap()).collect();
    let spki = [&own.authority_key[..12], &raw].concat();
    let well_known = Pin { spki_sha256: Digest::of(&spki).0.to_vec().into(), ..own.pins[0].clone() };
    let told = scene.answered(liege, "update", update(well_known).await, Reason::WellKnownKey);
    makes_new_keys(&told, liege).await;
}

/// An empty data directory, and keys that nobody else has.
async fn makes_new_keys(told: &crate::told::Told<'_, '_>, other: &City) {
    let root = tempfile::tempdir().unwrap();
    let anew = Watched::prepare(root.path(), &CITIES[0], &built("havenlink").unwrap()).unwrap();
    told.run_at(&anew, "havenlink init", &[], "").await.fine();
    assert_ne!(key_of(&anew).unwrap().public().0, key_of(other).unwrap().public().0);
    havenlink(&anew, &["check"]).await.unwrap().fine();
}

/// Of nobody, of somebody else's key, and altered on the way.
async fn of_strangers(scene: &Scene, strasbourg: &City, liege: &City) {
    let federation = federation_of(strasbourg).await;
    let of_liege = Author::of(liege, federation).unwrap();
    let held = member(liege, liege.id()).await.unwrap();
    let (entry, version) = (held.entry.unwrap(), held.version);
    let whole = of_liege.statement(liege.id(), 0, statement::Body::Entry(entry.clone()));
    let mut payload = whole.payload.to_vec();
    *payload.last_mut().unwrap() ^= 1;
    let altered = Signed { payload: payload.into(), ..whole };
    let refused = answered(strasbourg, &altered).await;
    let told = scene.answered(strasbourg, "propose of be-liege", refused, Reason::SignatureInvalid);
    let shown = told.run_at(liege, "havenctl member show OWN-ID", &[("OWN-ID", liege.id())], "").await.fine();
    let key = hex(&key_of(liege).unwrap().public().0[12..20]);
    assert!(shown.contains(&key), "the key that is compared: {key} {shown}");

    let stranger = Author::new("xx-nobody", federation).unwrap();
    let approval = Approval { proposal_id: vec![1; 32].into() };
    let signed = stranger.statement(liege.id(), version, statement::Body::Approval(approval));
    let outcome = answered(strasbourg, &signed).await.unwrap();
    let told = scene.judged(strasbourg, outcome, Reason::AuthorUnknown).await;
    let members = told.run("havenctl member list").await.fine();
    assert!(members.contains(liege.id()) && !members.contains("xx-nobody"), "{members}");

    let elsewhere = Author::of(liege, FederationId([9; 32])).unwrap();
    let signed = elsewhere.statement(liege.id(), 0, statement::Body::Entry(entry));
    let told = scene.answered(strasbourg, "propose", answered(strasbourg, &signed).await, Reason::WrongFederation);
    let status = told.run("havenctl directory status").await.fine();
    assert!(status.contains(&hex(federation.as_bytes())[..12]), "this node's federation: {status}");
}

/// A kind that nobody knows, rules that are not in force, and what is not changed alone.
async fn of_other_rules(scene: &Scene, city: &City) {
    let federation = federation_of(city).await;
    let entry = member(city, city.id()).await.unwrap();
    let version = entry.version;
    let entry = AuthorityEntry { kind: ParticipantKind::MandatedNgo.into(), ..entry.entry.unwrap() };
    let alone = |rules_version, body| {
        let statement = Statement {
            federation_id: Bytes::copy_from_slice(federation.as_bytes()),
            rules_version,
            author: city.id().to_owned(),
            subject: city.id().to_owned(),
            subject_version: version,
            time_ms: SystemClock::shared().now().0,
            nonce: Bytes::copy_from_slice(uuid::Uuid::new_v4().as_bytes()),
            body,
        };
        signed::sign(&federation, &statement, &[&key_of(city).unwrap()])
    };
    let body = || Some(statement::Body::Entry(entry.clone()));
    for (signed, reason) in
        [(alone(9, body()), Reason::RulesVersionOther), (alone(1, None), Reason::StatementKindUnknown)]
    {
        let outcome = answered(city, &signed).await.unwrap();
        let told = scene.judged(city, outcome, reason).await;
        let doctor = told.run("havenctl doctor").await;
        let rules = doctor.out.lines().find(|line| line.contains("rules")).unwrap_or_default();
        assert!(
            rules.contains("OK") && rules.contains("knows the rules"),
            "whether this version knows them: {doctor:?}"
        );
    }
    let outcome = answered(city, &alone(1, body())).await.unwrap();
    let told = scene.judged(city, outcome, Reason::NeedsApproval).await;
    let asked = UpdateEntryRequest { request_id: request_id(), entry: Some(entry.clone()), version: 0 };
    city.members().await.unwrap().update_entry(asked).await.unwrap();
    let pending = told.run("havenctl member list --pending").await.fine();
    assert!(pending.contains("MANDATED_NGO"), "who still has to approve: {pending}");
    duplicate(scene, city).await;
}

/// Somebody applies with a key that is a member's.
async fn duplicate(scene: &Scene, city: &City) {
    let federation = federation_of(city).await;
    let mut thief = Author::of(city, federation).unwrap();
    thief.id = "be-gent".to_owned();
    let made = peer::self_issued(&thief.id, Millis::days(30)).unwrap();
    let entry = thief.entry(&NodeIdentity::from_der(&made.key, &made.certificate.der).unwrap()).unwrap();
    let application = thief.statement(&thief.id, 0, statement::Body::Entry(entry));
    let admit = Admit { application: Some(application), invited_by: city.id().to_owned(), ..Default::default() };
    let act = Proposal { act: Some(proposal::Act::Admit(admit)) };
    let proposed = Author::of(city, federation).unwrap().statement(&thief.id, 0, statement::Body::Proposal(act));
    let outcome = answered(city, &proposed).await.unwrap();
    let told = scene.judged(city, outcome, Reason::DuplicateKey).await;
    makes_new_keys(&told, city).await;
}
