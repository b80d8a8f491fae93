//! A person agreed to be referred: who hears of it, what two of them could compare, and what becomes of it everywhere once she withdraws.

use std::path::Path;

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::persons::{asked, case, freely, terms};
use super::world::*;
use crate::clock::Clock;
use crate::domain::handling::{Purpose, RecordStatus, Tlp};
use crate::domain::ids::RecordId;
use crate::domain::person::SubjectRef;
use crate::domain::person::share::{Country, Decider, Terms};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind};
use crate::domain::records::offer::{DisclosureLevel, ServiceKind};
use crate::domain::records::referral::{Asked, DeclineCode, DeclinedBy, NextStep, Referral, Sought};
use crate::domain::records::withdrawal::{ErasureOutcome, ErasureReceipt, WithdrawalNotice, WithdrawalReason};
use crate::domain::records::{Content, Control};
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::{AskedToShare, DeliveryFilter, DeliveryState, DisclosureState, Error, Folder, ToRefer};
use crate::pass::PassKind;
use crate::storage::ops::Write;
use crate::storage::sqlite::STORE_FILE;

/// Stands in what is sent, and may stand in no file.
const CALLBACK: &str = "+493023125777";

pub(super) fn to_refer(to: &str, asks: bool) -> ToRefer {
    ToRefer {
        authority: None,
        recipient: id(to),
        case: case(),
        purpose: Purpose::Assistance,
        status: RecordStatus::Exercise,
        expires: None,
        sought: Sought { service: ServiceKind::LongTermRefuge, ..Sought::sample() },
        callback_phone: asks.then(|| CALLBACK.into()),
    }
}

pub(super) async fn refer(world: &World, to: &str) -> Result<RecordId, Error> {
    world.exchange(STRASBOURG).road.refer(&call(), to_refer(to, true)).await.map(|published| published.record_id)
}

pub(super) fn key(record_id: RecordId) -> RecordKey {
    RecordKey { origin: id(STRASBOURG), record_id }
}

/// Strasbourg may refer to Kehl and Esch.
pub(super) async fn agree(world: &World) {
    for partner in [KEHL, ESCH] {
        let mut agreement = world.agreement(STRASBOURG, partner, DisclosureLevel::Light);
        for grant in &mut agreement.grants {
            grant.record_kinds.push(RecordKind::Referral);
        }
        let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), agreement).await.unwrap();
        world.settle().await;
        world.exchange(partner).agreements.sign_agreement(&call(), made).await.unwrap();
        world.settle().await;
    }
}

/// Kehl and Esch may be asked for a refuge.
pub(super) fn shared_terms(now: UnixMs) -> Terms {
    let mut terms = terms(now);
    terms.scopes[0].recipients.push(id(ESCH));
    terms.scopes[0].countries.push(Country::parse("lu").unwrap());
    terms
}

/// She agreed that a refuge is looked for at both.
pub(super) async fn give(world: &World) {
    let asked: AskedToShare = asked(shared_terms(world.clock.now()));
    world.exchange(STRASBOURG).persons.give(&call(), asked, Decider::Person, Some(freely())).await.unwrap();
}

async fn world() -> World {
    let world = World::new().await;
    agree(&world).await;
    give(&world).await;
    world
}

pub(super) async fn listed(world: &World, name: &str, folder: Folder) -> Vec<RecordId> {
    let held = world.exchange(name).road.list(COORDINATOR, RecordKind::Referral, folder, None, 10).await.unwrap();
    held.into_iter().map(|held| held.key.record_id).collect()
}

async fn said(world: &World, name: &str, record_id: RecordId) -> Referral {
    let held = world.exchange(name).road.get(COORDINATOR, key(record_id)).await.unwrap();
    let Content::Referral(referral) = held.said.unwrap().content else { panic!("a referral") };
    referral
}

pub(super) async fn state(world: &World, record_id: RecordId) -> DisclosureState {
    world.node(STRASBOURG).store.disclosure(key(record_id)).await.unwrap().unwrap().state
}

#[tokio::test]
async fn who_she_agreed_with_is_asked_and_answers_to_her_city_alone() {
    let world = world().await;
    let sent = refer(&world, KEHL).await.unwrap();
    world.settle().await;
    assert_eq!(listed(&world, KEHL, Folder::Received).await, [sent]);
    assert_eq!(listed(&world, STRASBOURG, Folder::Published).await, [sent]);
    assert_eq!(listed(&world, ESCH, Folder::Received).await, []);
    assert_eq!(world.line.withdrawals_asked.load(std::sync::atomic::Ordering::SeqCst), 0, "it is shown at once");
    let Referral::Asked(Asked { callback_phone, .. }) = said(&world, KEHL, sent).await else { panic!("asked") };
    assert_eq!(callback_phone, CALLBACK);

    let kehl = &world.exchange(KEHL).road;
    let declined =
        Referral::Declined { by: DeclinedBy::Provider, code: DeclineCode::NoPlace, next: NextStep::AskLater };
    kehl.answer(&call(), key(sent), declined.clone().into()).await.unwrap();
    kehl.answer(&call(), key(sent), Referral::Accepted.into()).await.unwrap();
    world.settle().await;
    let held = world.exchange(STRASBOURG).road.get(COORDINATOR, key(sent)).await.unwrap();
    let answers: Vec<_> = held.answers.iter().map(|answer| answer.answer.clone()).collect();
    assert_eq!(answers, [Ok(declined.into()), Ok(Referral::Accepted.into())]);
    let row = world.node(STRASBOURG).store.inbox_record(held.answers[0].key.clone()).await.unwrap().unwrap();
    let answer = understood(&stored_bytes(&row.record));
    assert_eq!((answer.handling.tlp, answer.shared_under), (Tlp::AmberStrict, None));
}

#[tokio::test]
async fn nothing_leaves_that_she_did_not_agree_to_and_each_no_is_the_same() {
    let world = world().await;
    let road = &world.exchange(STRASBOURG).road;
    let tried = async |change: fn(&mut ToRefer)| {
        let mut wished = to_refer(KEHL, true);
        change(&mut wished);
        road.refer(&call(), wished).await.map(drop).map_err(|error| error.reason())
    };
    let no = Err(Reason::NoAgreementToShare);
    assert_eq!(tried(|wished| wished.sought.service = ServiceKind::LegalAid).await, no, "another scope");
    assert_eq!(tried(|wished| wished.purpose = Purpose::Protection).await, no);
    assert_eq!(tried(|wished| wished.recipient = id(GOERLITZ)).await, no, "nobody named it");
    let other = |wished: &mut ToRefer| {
        wished.case = crate::domain::person::CaseReference::parse("case", "SB-2026/0999").unwrap();
    };
    assert_eq!(tried(other).await, no, "nobody was asked");
    // By the call for every kind nothing about a person can be published at all.
    let wished = wished(sharing(&[KEHL]), Referral::Query(Sought::sample()));
    assert_eq!(road.publish(&call(), wished).await.unwrap_err().reason(), Reason::KindNotSupported);
    // Nine uses; a question before the referral takes none of them.
    for _ in 0..9 {
        road.refer(&call(), to_refer(KEHL, false)).await.unwrap();
        refer(&world, KEHL).await.unwrap();
    }
    assert_eq!(refer(&world, KEHL).await.unwrap_err().reason(), Reason::NoAgreementToShare);
    world.settle().await;
    assert_eq!(world.node(KEHL).store.inbox_before(RecordKind::Referral, None, 99).await.unwrap().len(), 18);
}

#[tokio::test]
async fn two_partners_have_nothing_in_common_but_what_she_needs() {
    let world = world().await;
    let (at_kehl, at_esch) = (refer(&world, KEHL).await.unwrap(), refer(&world, ESCH).await.unwrap());
    let again = refer(&world, KEHL).await.unwrap();
    world.settle().await;
    let envelope = async |name: &str, record_id| {
        let row = world.node(name).store.inbox_record(key(record_id)).await.unwrap().unwrap();
        understood(&stored_bytes(&row.record))
    };
    let subject = async |name: &str, record_id| -> SubjectRef {
        let Referral::Asked(asked) = said(&world, name, record_id).await else { panic!("asked") };
        asked.subject
    };
    let (one, other) = (envelope(KEHL, at_kehl).await, envelope(ESCH, at_esch).await);
    assert_ne!((one.record_id, one.publication_id), (other.record_id, other.publication_id));
    assert_ne!(one.publication_id, other.publication_id);
    assert_ne!(one.shared_under.unwrap().reference, other.shared_under.unwrap().reference);
    assert_eq!((one.created.0 % 600_000, one.references.len()), (0, 0), "no instant that only the two of them know");
    // Nor a date that only her agreement has: what she agreed to until some minute ends with the day before.
    for at in [one.expires, one.shared_under.unwrap().erase_by, other.expires, other.shared_under.unwrap().erase_by] {
        assert_eq!(at.0 % 86_400_000, 0, "{}", at.0);
    }
    assert_ne!(subject(KEHL, at_kehl).await, subject(ESCH, at_esch).await);
    assert_eq!(subject(KEHL, at_kehl).await, subject(KEHL, again).await, "one partner joins what is of one case");
    assert_ne!(envelope(KEHL, again).await.shared_under.unwrap().reference, one.shared_under.unwrap().reference);
}

/// Files of a node that hold the bytes.
fn found(dir: &Path, bytes: &[u8]) -> Vec<String> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let has = |path: &Path| std::fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes);
    files.filter(|path| has(path)).map(|path| path.display().to_string()).collect()
}

/// A block of each sealed value of a kind about persons, as whoever has the file reads it.
async fn sealed_blocks(dir: &Path) -> Vec<Vec<u8>> {
    let options = SqliteConnectOptions::new().filename(dir.join(STORE_FILE)).read_only(true);
    let mut conn = options.connect().await.unwrap();
    let query = "SELECT envelope FROM inbox WHERE kind = 5 UNION ALL SELECT body FROM publication WHERE kind = 5 \
                 UNION ALL SELECT o.envelope FROM outbox o JOIN delivery d ON d.sequence = o.sequence WHERE d.kind = 5";
    let rows = sqlx::query_scalar::<_, Vec<u8>>(query).fetch_all(&mut conn).await.unwrap();
    rows.into_iter().map(|sealed| sealed[sealed.len() / 2..sealed.len() / 2 + 16].to_vec()).collect()
}

#[tokio::test]
async fn withdrawn_it_is_gone_from_every_file_and_each_partner_says_so_signed() {
    let (world, dir) = World::on_disk().await;
    agree(&world).await;
    give(&world).await;
    let (at_kehl, at_esch) = (refer(&world, KEHL).await.unwrap(), refer(&world, ESCH).await.unwrap());
    world.settle().await;
    let answer = world.exchange(KEHL).road.answer(&call(), key(at_kehl), Referral::Accepted.into()).await.unwrap();
    world.settle().await;
    // It is there, for who may read it, and in no file of any node.
    said(&world, KEHL, at_kehl).await;
    let homes = [STRASBOURG, KEHL, ESCH].map(|name| dir.path().join(name));
    for home in &homes {
        assert_eq!(found(home, CALLBACK.as_bytes()), Vec::<String>::new());
    }
    let mut blocks = Vec::new();
    for home in &homes {
        let here = sealed_blocks(home).await;
        assert!(!here.is_empty(), "{}", home.display());
        assert!(here.iter().all(|block| !found(home, block).is_empty()), "a look that finds nothing shows nothing");
        blocks.extend(here);
    }

    world.exchange(STRASBOURG).persons.withdraw(&call(), case()).await.unwrap();
    assert_eq!(refer(&world, KEHL).await.unwrap_err().reason(), Reason::NoAgreementToShare);
    world.settle().await;
    for (name, record_id) in [(KEHL, at_kehl), (ESCH, at_esch)] {
        let row = world.node(STRASBOURG).store.disclosure(key(record_id)).await.unwrap().unwrap();
        assert_eq!((row.state, row.recipient.as_str()), (DisclosureState::Done, name));
        let envelope = understood(&row.receipt);
        assert_eq!((envelope.kind, envelope.origin.as_str()), (RecordKind::ErasureReceipt, name));
        assert_eq!(listed(&world, name, Folder::Received).await, []);
        let gone = world.exchange(name).road.get(COORDINATOR, key(record_id)).await.unwrap_err();
        assert_eq!(gone.reason(), Reason::NotFound);
        assert!(world.node(name).store.is_erased(key(record_id)).await.unwrap());
    }
    let answer = RecordKey { origin: id(KEHL), record_id: answer };
    for name in [STRASBOURG, KEHL] {
        assert!(world.node(name).store.is_erased(answer.clone()).await.unwrap(), "the key of the answer, at {name}");
    }
    assert_eq!(listed(&world, STRASBOURG, Folder::Published).await, []);
    assert_eq!(world.node(STRASBOURG).store.inbox_before(RecordKind::Referral, None, 9).await.unwrap().len(), 0);
    for home in &homes {
        assert_eq!(sealed_blocks(home).await, Vec::<Vec<u8>>::new());
        for block in &blocks {
            assert_eq!(found(home, block), Vec::<String>::new(), "ciphertext is left");
        }
    }
    let open = world.exchange(STRASBOURG).persons.erasures().await.unwrap();
    assert!(open.iter().all(|row| row.state == DisclosureState::Done) && open.len() == 2);
}

#[tokio::test]
async fn nobody_says_done_while_the_log_still_holds_it() {
    let (world, dir) = World::on_disk().await;
    agree(&world).await;
    give(&world).await;
    let sent = refer(&world, KEHL).await.unwrap();
    world.settle().await;
    // Somebody reads for long: the log cannot be emptied.
    let options = SqliteConnectOptions::new().filename(dir.path().join(KEHL).join(STORE_FILE)).read_only(true);
    let mut reader = options.connect().await.unwrap();
    sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
    sqlx::query("SELECT count(*) FROM inbox").execute(&mut reader).await.unwrap();
    world.exchange(STRASBOURG).persons.withdraw(&call(), case()).await.unwrap();
    world.settle().await;
    // Looked for by itself: in which order nodes take their turns says how often it was tried so far.
    world.clock.advance(Millis::minutes(2));
    world.exchange(KEHL).upkeep.run_pass(PassKind::Erasures).await.unwrap();
    let reports = world.exchange(KEHL).upkeep.pass_reports();
    let report = reports.iter().find(|report| report.pass == PassKind::Erasures).unwrap();
    assert_eq!((report.postponed, report.reason), (1, Some(Reason::ErasureUnfinished)));
    assert_eq!(listed(&world, KEHL, Folder::Received).await, [], "it is read no more");
    assert_eq!(state(&world, sent).await, DisclosureState::Noticed);
    sqlx::Connection::close(reader).await.unwrap();
    world.clock.advance(Millis::minutes(2));
    world.settle().await;
    assert_eq!(state(&world, sent).await, DisclosureState::Done);
}

#[tokio::test]
async fn what_was_withdrawn_on_its_way_never_arrives() {
    let world = world().await;
    let sent = refer(&world, KEHL).await.unwrap();
    // Made and queued; Kehl has not been called.
    world.exchange(STRASBOURG).road.dispatch_pass().await.unwrap();
    let queued = world.node(STRASBOURG).store.publication(key(sent)).await.unwrap();
    assert!(queued.unwrap().dispatched);
    world.exchange(STRASBOURG).persons.withdraw(&call(), case()).await.unwrap();
    world.exchange(STRASBOURG).upkeep.run_pass(PassKind::Erasures).await.unwrap();
    world.settle().await;
    assert_eq!(listed(&world, KEHL, Folder::Received).await, []);
    let filter = DeliveryFilter { record: Some(sent), ..DeliveryFilter::default() };
    let rows = world.exchange(STRASBOURG).road.deliveries(filter, None, 9).await.unwrap();
    assert!(rows.iter().all(|row| row.state != DeliveryState::Delivered), "{rows:?}");
    assert_eq!(state(&world, sent).await, DisclosureState::Done, "who never had it says so too");
    // Should it come all the same, it is not taken.
    assert!(world.exchange(KEHL).persons.was_erased(&key(sent)).await.unwrap());
}

#[tokio::test]
async fn what_waits_is_asked_again_when_it_goes() {
    let world = world().await;
    let sent = refer(&world, KEHL).await.unwrap();
    world.suspend(KEHL);
    world.settle().await;
    // Her agreement is to be confirmed by then, and nobody did.
    world.clock.advance(Millis::days(181));
    world.change_view(|view| view.majority_beat = None);
    let now = world.clock.now();
    world.change_view(|view| view.majority_beat = Some(now));
    world.restore(KEHL);
    world.settle().await;
    assert_eq!(listed(&world, KEHL, Folder::Received).await, []);
    assert_eq!(state(&world, sent).await, DisclosureState::Shared);
}

#[tokio::test]
async fn what_a_suspended_partner_would_get_is_held_and_asked_again_after_its_restore() {
    for withdrawn in [false, true] {
        let world = world().await;
        world.line.down.lock().unwrap().insert(id(KEHL));
        let sent = refer(&world, KEHL).await.unwrap();
        world.settle().await;
        world.suspend(KEHL);
        world.settle().await;
        refer(&world, KEHL).await.map(drop).expect_err("nothing more is made for it");
        if withdrawn {
            world.exchange(STRASBOURG).persons.withdraw(&call(), case()).await.unwrap();
        }
        world.line.down.lock().unwrap().clear();
        world.restore(KEHL);
        world.settle().await;
        world.clock.advance(Millis::minutes(2));
        world.settle().await;
        let expected = if withdrawn { vec![] } else { vec![sent] };
        assert_eq!(listed(&world, KEHL, Folder::Received).await, expected);
    }
}

#[tokio::test]
async fn a_removed_partner_that_is_admitted_again_gets_nothing_of_before() {
    let world = world().await;
    world.line.down.lock().unwrap().insert(id(KEHL));
    let before = refer(&world, KEHL).await.unwrap();
    world.settle().await;
    // Removed and admitted again while this node did not look.
    world.clock.advance(Millis::minutes(30));
    let now = world.clock.now();
    world.change_view(|view| _ = view.admitted.insert(id(KEHL), now));
    world.change_member(KEHL, |member| member.status_version += 2);
    world.line.down.lock().unwrap().clear();
    world.settle().await;
    world.clock.advance(Millis::minutes(11));
    let after = refer(&world, KEHL).await.unwrap();
    world.settle().await;
    assert_eq!(listed(&world, KEHL, Folder::Received).await, [after]);
    let filter = DeliveryFilter { record: Some(before), ..DeliveryFilter::default() };
    let rows = world.exchange(STRASBOURG).road.deliveries(filter, None, 9).await.unwrap();
    let states: Vec<_> = rows.iter().map(|row| (row.state, row.reason)).collect();
    assert_eq!(states, [(DeliveryState::Refused, Some(Reason::MemberRemoved))]);
}

#[tokio::test]
async fn a_partner_that_does_not_answer_is_named_and_gets_nothing_more() {
    let world = world().await;
    let sent = refer(&world, KEHL).await.unwrap();
    world.settle().await;
    world.line.down.lock().unwrap().insert(id(KEHL));
    world.exchange(STRASBOURG).persons.withdraw(&call(), case()).await.unwrap();
    world.settle().await;
    assert_eq!(state(&world, sent).await, DisclosureState::Noticed);
    give(&world).await;
    let waits = refer(&world, KEHL).await.unwrap();
    let opened = async || world.exchange(STRASBOURG).persons.still_opens(&key(waits)).await.unwrap().unwrap();
    assert_eq!(opened().await.check_silence(), Ok(()));
    world.clock.advance(Millis::hours(73));
    let refused = refer(&world, KEHL).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::ErasureOverdue);
    assert_eq!(opened().await.check_silence(), Err(Reason::ErasureOverdue), "what waits for it does not go either");
    refer(&world, ESCH).await.unwrap();
    world.line.down.lock().unwrap().clear();
    world.settle().await;
    assert_eq!(state(&world, sent).await, DisclosureState::Done);
    refer(&world, KEHL).await.unwrap();
}

/// One authority's control record, as its node sends it.
async fn say(world: &World, from: &str, to: &str, control: Control) {
    let context = &world.exchange(from).context;
    let as_what = (crate::exchange::context::new_random_record_id(), Millis::days(1));
    let sealed = context.control((&context.view(), context.now()), (&id(from), &id(to)), as_what, &control).unwrap();
    let write = Write { deliveries: vec![sealed], ..Write::default() };
    world.node(from).store.write(write.into()).await.unwrap();
}

#[tokio::test]
async fn nobody_withdraws_or_answers_for_somebody_else() {
    let world = world().await;
    let sent = refer(&world, KEHL).await.unwrap();
    world.settle().await;
    let (now, counter) = (world.clock.now(), 1);
    let due_by = now + Millis::hours(1);
    let notice = WithdrawalNotice { record_id: sent, reason: WithdrawalReason::Withdrawn, counter, due_by };
    let receipt = ErasureReceipt { record_id: sent, counter, outcome: ErasureOutcome::Done, at: now };
    let (control, answer) = (Control::WithdrawalNotice, Control::ErasureReceipt);
    // Esch names Strasbourg's record to Kehl as if it were its own, and says to Strasbourg that it has erased it.
    say(&world, ESCH, KEHL, control(notice)).await;
    say(&world, ESCH, STRASBOURG, answer(receipt)).await;
    // Kehl says so itself, and nobody has asked.
    say(&world, KEHL, STRASBOURG, answer(receipt)).await;
    world.settle().await;
    assert_eq!(listed(&world, KEHL, Folder::Received).await, [sent]);
    assert_eq!(state(&world, sent).await, DisclosureState::Shared);
}

#[tokio::test]
async fn its_end_erases_it_at_both_without_a_message() {
    let world = world().await;
    let sent = refer(&world, KEHL).await.unwrap();
    world.settle().await;
    let end = world.clock.now() + Millis::days(31);
    for name in [STRASBOURG, KEHL] {
        assert!(!world.node(name).store.is_erased(key(sent)).await.unwrap());
        world.node(name).store.sweep(end).await.unwrap();
        assert!(world.node(name).store.is_erased(key(sent)).await.unwrap(), "{name}");
        assert!(world.node(name).store.inbox_record(key(sent)).await.unwrap().is_none());
        assert!(world.node(name).store.publication(key(sent)).await.unwrap().is_none());
    }
}

/// Nothing about a person passes, however often it is looked for; what is published beside it does.
async fn waits_alone(world: &World, sent: RecordId) {
    let alert = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, alert).await, [(DeliveryState::Delivered, None)], "an alert goes on");
    world.clock.advance(Millis::minutes(1));
    world.settle().await;
    assert_eq!(listed(world, KEHL, Folder::Received).await, []);
    let waiting = world.delivery(STRASBOURG, sent).await;
    assert!(matches!(waiting[..], [(DeliveryState::Held, Some(Reason::PersonContentWaits))]), "{waiting:?}");
}

async fn goes_by_itself(world: &World, sent: RecordId) {
    world.clock.advance(Millis::minutes(2));
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, sent).await, [(DeliveryState::Delivered, None)]);
    assert_eq!(listed(world, KEHL, Folder::Received).await, [sent]);
}

#[tokio::test]
async fn while_no_majority_confirms_the_register_a_referral_waits_and_an_alert_goes_on() {
    let world = world().await;
    let sent = refer(&world, KEHL).await.unwrap();
    world.exchange(STRASBOURG).road.dispatch_pass().await.unwrap();
    let limit = |limit: Millis| world.change_view(|view| view.policy.freshness_limit = limit);
    limit(Millis(-1));
    waits_alone(&world, sent).await;
    limit(Millis::days(36_500));
    goes_by_itself(&world, sent).await;
}

#[tokio::test]
async fn while_two_clocks_differ_by_more_than_five_minutes_a_referral_waits_and_an_alert_goes_on() {
    let mut world = world().await;
    world.start_with_clock(KEHL, Millis::minutes(6)).await;
    let sent = refer(&world, KEHL).await.unwrap();
    waits_alone(&world, sent).await;
    world.start_with_clock(KEHL, Millis(0)).await;
    goes_by_itself(&world, sent).await;
}
