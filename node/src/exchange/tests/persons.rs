//! What a person let be shared, from the call to the file: what opens, what is kept of it, and what becomes of it.

use std::path::Path;

use serde_json::Value;

use super::world::*;
use crate::clock::Clock;
use crate::domain::actor::{Actor, ActorRole};
use crate::domain::audit::AuditAct;
use crate::domain::handling::{LawfulBasis, Purpose, SpecialBasis};
use crate::domain::ids::{Digest, ShareId};
use crate::domain::person::CaseReference;
use crate::domain::person::share::*;
use crate::domain::reason::Reason;
use crate::domain::text::{Language, TranslationProvenance};
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::{AskedToShare, Call, Error};
use crate::storage::sqlite::STORE_FILE;
use crate::wire::audit;

/// Words that stand in what was agreed, and may stand in no file.
const PROVISION: &str = "CASF L116-1 canary";
const EXCLUDED: &str = "de-stuttgart-canary";
const REFERENCE: &str = "SB-2026/0417";

pub fn case() -> CaseReference {
    CaseReference::parse("case", REFERENCE).unwrap()
}

/// A shelter may be looked for in Kehl; once each, nine times.
pub fn terms(now: UnixMs) -> Terms {
    Terms {
        notice: Notice {
            version: "notice 3".into(),
            hash: Digest::of(b"notice"),
            language: Language::parse("ro").unwrap(),
            provenance: TranslationProvenance::Human,
        },
        scopes: vec![ScopeTerms {
            scope: ShareScope::ReferralShelter,
            purposes: vec![Purpose::Assistance],
            recipients: vec![id(KEHL)],
            countries: vec![Country::parse("de").unwrap()],
            expires: now + Millis::days(90),
            erase_by: now + Millis::days(120),
            uses: 9,
        }],
        exclusions: Exclusions { recipients: vec![id(EXCLUDED)], countries: vec![] },
        lawful_basis: LawfulBasis::PublicTask,
        special_basis: SpecialBasis::HealthOrSocialCare,
        provision: PROVISION.into(),
        reconfirm_by: now + Millis::days(180),
    }
}

pub fn asked(terms: Terms) -> AskedToShare {
    let subject = Subject { age: AgeAssessment::Adult, child: None };
    AskedToShare { authority: None, case: case(), terms, subject }
}

pub fn freely() -> Circumstances {
    Circumstances {
        mode: NoticeMode::Interpreted,
        interpreter: Interpreter::Independent,
        setting: ShareSetting::Shelter,
        exploiter_excluded: true,
        called_back_alone_with_code_word: false,
        duress: false,
    }
}

fn by(code: u8) -> Call {
    Call { actor: Actor { role: COORDINATOR, code: Some([code; 16]) }, ..call() }
}

async fn give(world: &World, call: &Call) -> Result<ShareId, Error> {
    let asked = asked(terms(world.clock.now()));
    world.exchange(STRASBOURG).persons.give(call, asked, Decider::Person, Some(freely())).await
}

async fn opens(world: &World, to: &str) -> Result<ShareId, Reason> {
    let wanted = (ShareScope::ReferralShelter, Purpose::Assistance);
    let opened = world.exchange(STRASBOURG).persons.check(case(), wanted, &id(to)).await;
    opened.map(|(id, _)| id).map_err(|error| error.reason())
}

#[tokio::test]
async fn what_she_gave_opens_for_whom_she_named_until_she_withdraws_it() {
    let world = World::new().await;
    assert_eq!(opens(&world, KEHL).await, Err(Reason::NoAgreementToShare), "nobody asked her");
    let first = by(1);
    let given = give(&world, &first).await.unwrap();
    assert_eq!(opens(&world, KEHL).await, Ok(given));
    for other in [ESCH, EXCLUDED, STRASBOURG] {
        assert_eq!(opens(&world, other).await, Err(Reason::NoAgreementToShare), "{other}");
    }
    // Said again under its request id it is the same one; the id with other words is refused.
    assert_eq!(give(&world, &first).await.unwrap(), given);
    let reused = Call { body: Digest::of(b"other"), ..first };
    assert_eq!(give(&world, &reused).await.unwrap_err().reason(), Reason::RequestIdReused);

    let persons = &world.exchange(STRASBOURG).persons;
    let other_case = CaseReference::parse("case", "SB-2026/0418").unwrap();
    assert_eq!(persons.withdraw(&by(2), other_case).await.unwrap(), []);
    let withdrawal = by(2);
    assert_eq!(persons.withdraw(&withdrawal, case()).await.unwrap(), [given]);
    assert_eq!(opens(&world, KEHL).await, Err(Reason::NoAgreementToShare));
    // What was answered stays answered; a new call has nothing left to withdraw.
    assert_eq!(persons.withdraw(&withdrawal, case()).await.unwrap(), [given]);
    assert_eq!(persons.withdraw(&by(2), case()).await.unwrap(), []);
    let held = persons.show(case()).await.unwrap();
    assert_eq!(held[0].standing, Some(ShareStanding::Ended(ShareEventKind::Withdrawn)));
    let late = persons.confirm(&by(1), (case(), given), (Decider::Person, freely()), UnixMs::NEVER).await;
    assert_eq!(late.unwrap_err().reason(), Reason::SharingClosed);
}

#[tokio::test]
async fn what_was_not_free_is_not_kept_and_a_no_is() {
    let world = World::new().await;
    let persons = &world.exchange(STRASBOURG).persons;
    let now = world.clock.now();
    let watched = Circumstances { exploiter_excluded: false, ..freely() };
    let refused = persons.give(&by(1), asked(terms(now)), Decider::Person, Some(watched)).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::SharingNotFree);
    assert!(persons.show(case()).await.unwrap().is_empty());

    let mut endless = terms(now);
    endless.scopes[0].expires = UnixMs::NEVER;
    let Error::Refused(refusal) =
        persons.give(&by(1), asked(endless), Decider::Person, Some(freely())).await.unwrap_err()
    else {
        panic!("a refusal")
    };
    assert_eq!((refusal.reason, refusal.field.as_str()), (Reason::FieldInvalid, "terms.scopes[0].expires_ms"));

    persons.refuse(&by(1), asked(terms(now))).await.unwrap();
    let held = persons.show(case()).await.unwrap();
    assert_eq!(held[0].standing, Some(ShareStanding::Ended(ShareEventKind::Refused)));
    // Nobody decides over her no.
    assert_eq!(emergency(&world).await.unwrap_err().reason(), Reason::DeciderNotAllowed);
}

async fn emergency(world: &World) -> Result<ShareId, Error> {
    let now = world.clock.now();
    let mut vital = terms(now);
    (vital.lawful_basis, vital.special_basis) = (LawfulBasis::VitalInterests, SpecialBasis::VitalInterests);
    (vital.scopes[0].expires, vital.scopes[0].erase_by) = (now + Millis::hours(72), now + Millis::days(30));
    let call = by(1);
    let decider = Decider::VitalInterest { incapacity: Incapacity::Physical, by: call.actor };
    world.exchange(STRASBOURG).persons.give(&call, asked(vital), decider, None).await
}

#[tokio::test]
async fn an_emergency_is_approved_by_somebody_else_or_ends_after_a_day() {
    let world = World::new().await;
    let persons = &world.exchange(STRASBOURG).persons;
    let given = emergency(&world).await.unwrap();
    assert_eq!(opens(&world, KEHL).await, Ok(given));
    let own = persons.approve(&by(1), case(), given).await.unwrap_err();
    assert_eq!(own.reason(), Reason::DeciderNotAllowed);
    world.clock.advance(Millis::hours(25));
    assert_eq!(opens(&world, KEHL).await, Err(Reason::NoAgreementToShare));
    assert_eq!(persons.approve(&by(2), case(), given).await.unwrap_err().reason(), Reason::SharingClosed);
    let officer = Call { actor: Actor { role: ActorRole::DataProtection, code: Some([3; 16]) }, ..call() };
    persons.approve(&officer, case(), given).await.unwrap();
    assert_eq!(opens(&world, KEHL).await, Ok(given));
    world.clock.advance(Millis::hours(47));
    assert_eq!(opens(&world, KEHL).await, Err(Reason::NoAgreementToShare));
    assert_eq!(persons.show(case()).await.unwrap()[0].standing, Some(ShareStanding::Expired));
    let unknown = persons.approve(&by(2), case(), ShareId([9; 16])).await.unwrap_err();
    assert_eq!(unknown.reason(), Reason::NotFound);
}

/// Every file of a node, as it lies on the disk.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    entries.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

fn found(dir: &Path, words: &str) -> Vec<String> {
    let has = |bytes: &[u8]| bytes.windows(words.len()).any(|window| window == words.as_bytes());
    files(dir).into_iter().filter(|(_, bytes)| has(bytes)).map(|(name, _)| name).collect()
}

#[tokio::test]
async fn no_file_says_what_she_agreed_to_and_it_ends_with_its_key() {
    let (world, dir) = World::on_disk().await;
    let dir = dir.path().join(STRASBOURG);
    let given = give(&world, &by(1)).await.unwrap();
    // What concerns no person is found by the same look, so the look finds.
    world.exchange(STRASBOURG).persons.withdraw(&by(1), case()).await.unwrap();
    world.publish(STRASBOURG, &[KEHL]).await;
    assert!(!found(&dir, KEHL).is_empty(), "a look that finds nothing shows nothing");
    for words in [PROVISION, EXCLUDED, REFERENCE, "notice 3"] {
        assert_eq!(found(&dir, words), Vec::<String>::new(), "{words}");
    }

    // Whoever has the row of today opens nothing once its time is over.
    let node = world.node(STRASBOURG);
    let case = node.store.case_index(case()).await.unwrap();
    let row = node.store.shares_of(case).await.unwrap().remove(0);
    let key = crate::domain::record::RecordKey { origin: id(STRASBOURG), record_id: given.sealed_as(true) };
    assert!(node.store.open_sealed(key.clone(), row.sealed.clone()).await.unwrap().is_some());
    let end = world.clock.now() + Millis::days(120 + 365);
    node.store.sweep(end - Millis::days(1)).await.unwrap();
    assert_eq!(node.store.shares_of(case).await.unwrap().len(), 1);
    node.store.sweep(end).await.unwrap();
    assert_eq!(node.store.shares_of(case).await.unwrap(), []);
    assert!(node.store.open_sealed(key.clone(), row.sealed).await.unwrap().is_none());
    assert_eq!(node.store.seal(key, zeroize::Zeroizing::new(vec![1])).await.unwrap(), None, "nothing brings it back");
}

/// The database of before with the keys of today: what a backup, or a thief, brings back.
#[tokio::test]
async fn a_backup_from_before_the_withdrawal_opens_nothing() {
    let (mut world, dir) = World::on_disk().await;
    let home = dir.path().join(STRASBOURG);
    let given = give(&world, &by(1)).await.unwrap();
    let kept = dir.path().join("kept.db");
    world.node(STRASBOURG).store.close().await;
    std::fs::copy(home.join(STORE_FILE), &kept).unwrap();
    let store = world.open(&home).await;
    world.start(STRASBOURG, 0, Some(store)).await;
    world.exchange(STRASBOURG).persons.withdraw(&by(1), case()).await.unwrap();
    world.node(STRASBOURG).store.close().await;

    std::fs::copy(&kept, home.join(STORE_FILE)).unwrap();
    let store = world.open(&home).await;
    world.start(STRASBOURG, 0, Some(store)).await;
    assert_eq!(opens(&world, KEHL).await, Err(Reason::NoAgreementToShare));
    let persons = &world.exchange(STRASBOURG).persons;
    let held = persons.show(case()).await.unwrap();
    let closed = held[0].share.as_ref().unwrap_err().reason;
    assert_eq!((held[0].id, closed), (given, Reason::SharingClosed));
    // Nobody decides over the no that the backup has lost.
    assert_eq!(emergency(&world).await.unwrap_err().reason(), Reason::DeciderNotAllowed);
}

#[tokio::test]
async fn it_outlives_a_restart_and_only_its_case_finds_it() {
    let (mut world, dir) = World::on_disk().await;
    let given = give(&world, &by(1)).await.unwrap();
    world.node(STRASBOURG).store.close().await;
    let store = world.open(&dir.path().join(STRASBOURG)).await;
    world.start(STRASBOURG, 0, Some(store)).await;
    assert_eq!(opens(&world, KEHL).await, Ok(given));
    // Kehl was told nothing, and finds nothing by the same reference.
    assert!(world.exchange(KEHL).persons.show(case()).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_export_says_all_but_whom_she_excluded_and_the_ledger_says_that_it_was_read() {
    let world = World::new().await;
    let given = give(&world, &by(1)).await.unwrap();
    let persons = &world.exchange(STRASBOURG).persons;
    let officer = Actor { role: ActorRole::DataProtection, code: Some([3; 16]) };
    let text = persons.export(officer, case(), given).await.unwrap();
    assert!(!text.contains(EXCLUDED) && !text.contains(REFERENCE));
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["@type"], "dpv:ConsentRecord");
    assert_eq!(json["dpv:hasDataSubject"]["dpv:hasIdentifier"].as_str().map(str::len), Some(32), "a pseudonym");
    let process = &json["dpv:hasProcess"][0];
    assert_eq!(process["dpv:hasRecipient"][0], "urn:havenlink:de-kehl");
    assert_eq!(process["dpv:hasLegalBasis"], serde_json::json!(["eu-gdpr:A6-1-e", "eu-gdpr:A9-2-h"]));
    let kinds: Vec<&str> =
        json["dpv:hasConsentStatus"].as_array().unwrap().iter().filter_map(|status| status["@type"].as_str()).collect();
    assert_eq!(kinds, ["dpv:ConsentRequested", "dpv:ConsentGiven"]);

    let leaves = world.node(STRASBOURG).store.audit_leaves(0, 1_000).await.unwrap();
    let leaf = |bytes: &bytes::Bytes| audit::from_proto(prost::Message::decode(bytes.clone()).unwrap()).unwrap();
    let acts: Vec<_> = leaves.iter().map(leaf).map(|leaf| (leaf.act, leaf.actor.role, leaf.commitment)).collect();
    assert_eq!(
        acts[acts.len() - 2..],
        [(AuditAct::SharingAnswered, COORDINATOR, None), (AuditAct::ReadForPerson, ActorRole::DataProtection, None)]
    );
}
