//! What was withdrawn while a node was away, lost, suspended or without an agreement: it is erased before anybody reads it again,
//! and what nobody has been asked about stays closed (9.10).

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::persons::{asked, case, freely};
use super::referrals::{agree, give, key, listed, refer, shared_terms, state, to_refer};
use super::world::*;
use crate::clock::Clock;
use crate::domain::agreement::AgreementState;
use crate::domain::ids::RecordId;
use crate::domain::person::CaseReference;
use crate::domain::person::share::{Decider, ShareEventKind, ShareStanding};
use crate::domain::reason::Reason;
use crate::domain::stream::{ItemBody, WithdrawalsQuestion};
use crate::domain::time::Millis;
use crate::exchange::{DisclosureState, Folder, ToRefer};
use crate::pass::PassKind;
use crate::storage::backup;

/// As what a machine was, and what comes back of it: the last backup, and `keys.db` as it was then.
struct Image {
    folder: PathBuf,
}

impl Image {
    async fn of(world: &World, dir: &Path, name: &str) -> Self {
        let folder = dir.join(format!("{name}-image"));
        std::fs::create_dir_all(&folder).unwrap();
        backup::backup(&dir.join(name), &folder, world.clock.now()).await.unwrap();
        for file in std::fs::read_dir(dir.join(name)).unwrap().map(|entry| entry.unwrap().path()) {
            let called = file.file_name().unwrap().to_str().unwrap();
            if called.starts_with("keys.db") && !called.ends_with("-shm") && file.is_file() || called == "node.key" {
                std::fs::copy(&file, folder.join(called)).unwrap();
            }
        }
        Self { folder }
    }

    /// The node is lost, and comes back from it.
    async fn restore(&self, world: &mut World, name: &str) {
        world.node(name).store.close().await;
        let to = self.folder.join("restored");
        std::fs::create_dir_all(&to).unwrap();
        for file in std::fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path()) {
            let called = file.file_name().unwrap().to_str().unwrap();
            if called.starts_with("keys.db") || called == "node.key" {
                std::fs::copy(&file, to.join(called)).unwrap();
            }
        }
        backup::restore(&self.folder, &to, world.clock.now()).await.unwrap();
        let store = world.open(&to).await;
        world.start(name, 0, Some(store)).await;
    }
}

/// Another person, whose referral to Kehl stays as it is.
async fn refer_another(world: &World) -> RecordId {
    let other = CaseReference::parse("case", "SB-2026/0999").unwrap();
    let give = crate::exchange::AskedToShare { case: other.clone(), ..asked(shared_terms(world.clock.now())) };
    world.exchange(STRASBOURG).persons.give(&call(), give, Decider::Person, Some(freely())).await.unwrap();
    let wished = ToRefer { case: other, ..to_refer(KEHL, true) };
    world.exchange(STRASBOURG).road.refer(&call(), wished).await.unwrap().record_id
}

async fn withdraw(world: &World) {
    world.exchange(STRASBOURG).persons.withdraw(&call(), case()).await.unwrap();
}

/// What Kehl answers to who asks it for one.
async fn got(world: &World, record_id: RecordId) -> Result<(), Reason> {
    let got = world.exchange(KEHL).road.get(COORDINATOR, key(record_id)).await;
    got.map(drop).map_err(|error| error.reason())
}

/// Whether it lies in Kehl's store, for who could read it.
async fn is_stored(world: &World, record_id: RecordId) -> bool {
    world.node(KEHL).store.inbox_record(key(record_id)).await.unwrap().is_some()
}

async fn received(world: &World) -> Vec<RecordId> {
    let mut all = listed(world, KEHL, Folder::Received).await;
    all.sort_unstable();
    all
}

fn postponed(world: &World, name: &str) -> Option<Reason> {
    let reports = world.exchange(name).upkeep.pass_reports();
    reports.into_iter().find(|report| report.pass == PassKind::Withdrawals).unwrap().reason
}

fn down(world: &World, name: &str) {
    world.line.down.lock().unwrap().insert(id(name));
}

fn up(world: &World) {
    world.line.down.lock().unwrap().clear();
}

/// On disk, with one referral that will be withdrawn and one that stays, both at Kehl.
async fn referred() -> (World, tempfile::TempDir, RecordId, RecordId) {
    let (world, dir) = World::on_disk().await;
    agree(&world).await;
    give(&world).await;
    let (gone, stays) = (refer(&world, KEHL).await.unwrap(), refer_another(&world).await);
    world.settle().await;
    let mut both = [gone, stays];
    both.sort_unstable();
    assert_eq!(received(&world).await, both);
    (world, dir, gone, stays)
}

#[tokio::test]
async fn what_was_withdrawn_after_the_backup_is_read_by_nobody_from_the_restore_on() {
    let (mut world, dir, gone, stays) = referred().await;
    let image = Image::of(&world, dir.path(), KEHL).await;
    withdraw(&world).await;
    world.settle().await;
    assert_eq!((state(&world, gone).await, is_stored(&world, gone).await), (DisclosureState::Done, false));

    down(&world, STRASBOURG);
    image.restore(&mut world, KEHL).await;
    assert!(is_stored(&world, gone).await, "it came back, with its key");
    for _ in 0..2 {
        // Nobody answers; a start on the same disk changes nothing about that.
        world.settle().await;
        assert_eq!(received(&world).await, []);
        for record in [gone, stays] {
            assert_eq!(got(&world, record).await, Err(Reason::NotFound));
            let explained = world.exchange(KEHL).road.explain(COORDINATOR, &key(record), None).await.unwrap();
            assert_eq!(explained.answer.unwrap_err(), Reason::WithdrawalsNotAnswered);
        }
        let answer = crate::domain::records::referral::Referral::Accepted;
        let answered = world.exchange(KEHL).road.answer(&call(), key(gone), answer.into()).await;
        assert_eq!(answered.unwrap_err().reason(), Reason::TargetUnknown);
        assert_eq!(postponed(&world, KEHL), Some(Reason::WithdrawalsNotAnswered));
        let store = world.node(KEHL).store.clone();
        world.start(KEHL, 0, Some(store)).await;
    }
    up(&world);
    world.settle().await;
    assert_eq!((received(&world).await, postponed(&world, KEHL)), (vec![stays], None));
    assert!(!is_stored(&world, gone).await && world.node(KEHL).store.is_erased(key(gone)).await.unwrap());
    assert_eq!(state(&world, gone).await, DisclosureState::Done, "it says so once more");
}

#[tokio::test]
async fn what_was_answered_to_it_leaves_no_restored_node_either() {
    let (mut world, dir, gone, stays) = referred().await;
    down(&world, STRASBOURG);
    for record in [gone, stays] {
        let answer = crate::domain::records::referral::Referral::Accepted;
        world.exchange(KEHL).road.answer(&call(), key(record), answer.into()).await.unwrap();
    }
    world.exchange(KEHL).road.dispatch_pass().await.unwrap();
    let image = Image::of(&world, dir.path(), KEHL).await;
    up(&world);
    withdraw(&world).await;
    world.settle().await;
    image.restore(&mut world, KEHL).await;
    world.confirm(KEHL).await;
    world.line.delivered.lock().unwrap().clear();
    world.exchange(KEHL).upkeep.greet_pass().await.unwrap();
    world.settle().await;
    world.clock.advance(Millis::minutes(2));
    world.settle().await;
    let held = world.exchange(STRASBOURG).road.get(COORDINATOR, key(stays)).await.unwrap();
    assert_eq!(held.answers.len(), 1, "what stays is answered");
    let delivered = world.line.delivered.lock().unwrap();
    let of_kehl = delivered.iter().filter(|batch| batch.stream.origin == id(KEHL)).flat_map(|batch| &batch.items);
    let envelopes = of_kehl.filter_map(|item| match &item.body {
        ItemBody::Envelope(bytes) => Some(understood(bytes)),
        ItemBody::Skip(_) => None,
    });
    let answers = envelopes.filter(|envelope| envelope.kind.is_about_persons());
    let targets: Vec<_> = answers.map(|answer| answer.references[0].target.clone()).collect();
    assert_eq!(targets, [key(stays)], "the other one never left");
}

#[tokio::test]
async fn a_restored_origin_refers_nobody_until_its_recipients_have_returned_what_they_were_told() {
    let (mut world, dir, gone, stays) = referred().await;
    let image = Image::of(&world, dir.path(), STRASBOURG).await;
    withdraw(&world).await;
    world.settle().await;

    down(&world, KEHL);
    image.restore(&mut world, STRASBOURG).await;
    world.settle().await;
    world.confirm(STRASBOURG).await;
    let shows = async |world: &World| world.exchange(STRASBOURG).persons.show(case()).await.unwrap()[0].standing;
    assert_eq!(shows(&world).await, Some(ShareStanding::Given), "nothing here says otherwise");
    for to in [KEHL, ESCH] {
        assert_eq!(refer(&world, to).await.unwrap_err().reason(), Reason::NoAgreementToShare, "{to}");
    }
    up(&world);
    world.settle().await;
    assert_eq!(shows(&world).await, Some(ShareStanding::Ended(ShareEventKind::Withdrawn)));
    assert_eq!(refer(&world, ESCH).await.unwrap_err().reason(), Reason::NoAgreementToShare);
    assert_eq!(listed(&world, STRASBOURG, Folder::Published).await, [stays]);
    assert_eq!(state(&world, gone).await, DisclosureState::Done);
    // Of whom nobody was told anything, who sent it goes on.
    refer_another(&world).await;
    world.settle().await;
    assert_eq!(received(&world).await.len(), 2);
}

#[tokio::test]
async fn of_whom_a_recipient_stays_silent_or_knows_more_is_asked_again() {
    let (world, dir) = World::on_disk().await;
    let mut world = world;
    agree(&world).await;
    give(&world).await;
    let image = Image::of(&world, dir.path(), STRASBOURG).await;
    // Shared, and withdrawn, after the backup: the restored node knows of neither.
    refer(&world, KEHL).await.unwrap();
    world.settle().await;
    withdraw(&world).await;
    world.settle().await;
    down(&world, ESCH);
    image.restore(&mut world, STRASBOURG).await;
    world.settle().await;
    world.confirm(STRASBOURG).await;
    let tried = async |world: &World, to| refer(world, to).await.map(drop).map_err(|error| error.reason());
    assert_eq!(tried(&world, KEHL).await, Err(Reason::NoAgreementToShare), "Esch is silent, and Kehl knows more");
    up(&world);
    world.settle().await;
    assert_eq!(tried(&world, KEHL).await, Err(Reason::NoAgreementToShare), "Kehl knows of a withdrawal");
    assert_eq!(tried(&world, ESCH).await, Err(Reason::NoAgreementToShare), "which may have been hers");
    let share = world.exchange(STRASBOURG).persons.show(case()).await.unwrap()[0].id;
    let until = world.clock.now() + Millis::days(170);
    let persons = &world.exchange(STRASBOURG).persons;
    persons.confirm(&call(), (case(), share), (Decider::Person, freely()), until).await.unwrap();
    assert_eq!(tried(&world, KEHL).await, Ok(()), "she was asked again");
}

#[tokio::test]
async fn a_referral_under_an_agreement_that_ended_after_the_backup_is_never_sent() {
    let (mut world, dir) = World::on_disk().await;
    agree(&world).await;
    give(&world).await;
    down(&world, KEHL);
    let waits = refer(&world, KEHL).await.unwrap();
    world.settle().await;
    let image = Image::of(&world, dir.path(), STRASBOURG).await;
    up(&world);
    let all = world.exchange(KEHL).agreements.list_agreements().await.unwrap();
    for agreement in all {
        let reason = crate::domain::agreement::AgreementEndReason::Breach;
        world.exchange(KEHL).agreements.end_agreement(&call(), agreement.id, reason).await.unwrap();
    }
    image.restore(&mut world, STRASBOURG).await;
    world.settle().await;
    world.confirm(STRASBOURG).await;
    world.exchange(STRASBOURG).upkeep.greet_pass().await.unwrap();
    world.settle().await;
    world.clock.advance(Millis::minutes(30));
    world.settle().await;
    for held in world.exchange(STRASBOURG).agreements.list_agreements().await.unwrap() {
        let shown = world.exchange(STRASBOURG).agreements.show_agreement(held.id).await.unwrap();
        let with_kehl = shown.held.agreement.is_party(&id(KEHL));
        assert_eq!(shown.state == AgreementState::Ended, with_kehl);
    }
    assert!(received(&world).await.is_empty() && !is_stored(&world, waits).await);
}

#[tokio::test]
async fn one_that_was_off_erases_before_its_first_read() {
    let (mut world, _dir, gone, stays) = referred().await;
    // A short absence asks nobody, and shows what it showed.
    world.clock.advance(Millis::minutes(1));
    world.settle().await;
    down(&world, KEHL);
    let store = world.node(KEHL).store.clone();
    world.clock.advance(Millis::minutes(9));
    world.start(KEHL, 0, Some(store.clone())).await;
    assert_eq!(got(&world, gone).await, Ok(()));
    // A longer one.
    withdraw(&world).await;
    world.settle().await;
    world.clock.advance(Millis::minutes(2));
    world.start(KEHL, 0, Some(store)).await;
    world.settle().await;
    assert_eq!((got(&world, gone).await, got(&world, stays).await), (Err(Reason::NotFound), Err(Reason::NotFound)));
    assert_eq!(state(&world, gone).await, DisclosureState::Noticed);
    up(&world);
    world.settle().await;
    world.clock.advance(Millis::minutes(1));
    world.settle().await;
    assert_eq!((received(&world).await, is_stored(&world, gone).await), (vec![stays], false));
    assert_eq!(state(&world, gone).await, DisclosureState::Done);
}

#[tokio::test]
async fn one_that_is_suspended_erases_and_says_so_while_it_is() {
    let (world, _dir, gone, stays) = referred().await;
    world.suspend(KEHL);
    world.settle().await;
    withdraw(&world).await;
    world.settle().await;
    for _ in 0..2 {
        world.clock.advance(Millis::seconds(30));
        world.settle().await;
    }
    assert_eq!((received(&world).await, is_stored(&world, gone).await), (vec![stays], false));
    assert_eq!(state(&world, gone).await, DisclosureState::Done, "no stream carried its answer");
    let row = world.node(STRASBOURG).store.disclosure(key(gone)).await.unwrap().unwrap();
    assert_eq!(understood(&row.receipt).origin.as_str(), KEHL);
    world.restore(KEHL);
    world.settle().await;
    assert_eq!((received(&world).await, state(&world, gone).await), (vec![stays], DisclosureState::Done));
}

#[tokio::test]
async fn one_that_was_suspended_out_of_reach_reads_nothing_before_it_has_asked() {
    for who in [KEHL, STRASBOURG] {
        let (world, _dir, gone, stays) = referred().await;
        world.suspend(who);
        world.settle().await;
        down(&world, KEHL);
        withdraw(&world).await;
        world.settle().await;
        assert_eq!(got(&world, stays).await, Ok(()), "whoever was taken on is looked after");
        world.restore(who);
        assert_eq!(got(&world, gone).await, Err(Reason::NotFound), "with the end of the suspension");
        assert_eq!(received(&world).await, []);
        up(&world);
        world.settle().await;
        world.clock.advance(Millis::minutes(2));
        world.settle().await;
        assert_eq!((received(&world).await, is_stored(&world, gone).await), (vec![stays], false), "{who}");
        assert_eq!(state(&world, gone).await, DisclosureState::Done, "{who}");
    }
}

#[tokio::test]
async fn one_without_an_agreement_any_more_erases_all_the_same() {
    for ends in [STRASBOURG, KEHL] {
        let (mut world, _dir, gone, stays) = referred().await;
        for held in world.exchange(ends).agreements.list_agreements().await.unwrap() {
            let reason = crate::domain::agreement::AgreementEndReason::Breach;
            world.exchange(ends).agreements.end_agreement(&call(), held.id, reason).await.unwrap();
        }
        world.settle().await;
        assert_eq!(got(&world, gone).await, Ok(()), "an end erases nothing");
        // And it was away, so that it asks whom it has no agreement with.
        down(&world, KEHL);
        withdraw(&world).await;
        world.settle().await;
        world.clock.advance(Millis::minutes(20));
        let store = world.node(KEHL).store.clone();
        world.start(KEHL, 0, Some(store)).await;
        assert_eq!(got(&world, stays).await, Err(Reason::NotFound));
        up(&world);
        world.settle().await;
        world.clock.advance(Millis::minutes(2));
        world.settle().await;
        assert_eq!((received(&world).await, is_stored(&world, gone).await), (vec![stays], false), "{ends}");
        assert_eq!(state(&world, gone).await, DisclosureState::Done, "{ends}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_verify_opens_nothing() {
    let (mut world, dir, gone, stays) = referred().await;
    let image = Image::of(&world, dir.path(), KEHL).await;
    withdraw(&world).await;
    world.settle().await;
    image.restore(&mut world, KEHL).await;
    let lies: [fn(&mut crate::domain::stream::WithdrawalsAnswer); 3] = [
        |answer| answer.notices = vec![Bytes::from_static(b"nothing was withdrawn")],
        |answer| {
            let mut forged = answer.notices[0].to_vec();
            *forged.last_mut().unwrap() ^= 1;
            answer.notices = vec![forged.into()];
        },
        // A word of the asked is none of the asker's own.
        |answer| answer.held = std::mem::take(&mut answer.notices),
    ];
    for lie in lies {
        *world.line.withdrawals.lock().unwrap() = Some(Box::new(lie));
        world.exchange(KEHL).upkeep.run_pass(PassKind::Withdrawals).await.unwrap();
        assert_eq!(postponed(&world, KEHL), Some(Reason::WithdrawalsNotAnswered));
        assert_eq!((got(&world, gone).await, got(&world, stays).await), (Err(Reason::NotFound), Err(Reason::NotFound)));
    }
    *world.line.withdrawals.lock().unwrap() = None;
    world.settle().await;
    assert_eq!(received(&world).await, [stays]);
}

#[tokio::test]
async fn each_is_told_of_its_own_and_nobody_asks_for_another() {
    let (world, _dir, gone, _) = referred().await;
    refer(&world, ESCH).await.unwrap();
    withdraw(&world).await;
    world.settle().await;
    let strasbourg = &world.exchange(STRASBOURG).persons;
    let asks = async |caller: &str, asker: &str| {
        let (known, after, held_after, receipts) = (0, 0, 0, Vec::new());
        let (asker, asked) = (id(asker), id(STRASBOURG));
        let question = WithdrawalsQuestion { asker, asked, known, after, held_after, receipts };
        let answer = strasbourg.withdrawals_for(&id(caller), question).await;
        answer.map(|answer| answer.notices).map_err(|error| error.reason())
    };
    let told = asks(KEHL, KEHL).await.unwrap();
    let envelopes: Vec<_> = told.iter().map(understood).collect();
    assert_eq!((envelopes.len(), envelopes[0].recipient.as_str()), (1, KEHL));
    assert_eq!(asks(ESCH, ESCH).await.unwrap().len(), 1);
    assert_eq!(asks(ESCH, KEHL).await, Err(Reason::WrongOrigin));
    world.suspend(KEHL);
    assert_eq!(asks(KEHL, KEHL).await.unwrap().len(), 1, "it may ask while it is suspended");
    world.change_member(KEHL, |member| member.removed_at = Some(world.clock.now()));
    assert_eq!(asks(KEHL, KEHL).await, Err(Reason::MemberRemoved));
    world.suspend(STRASBOURG);
    assert_eq!(asks(ESCH, ESCH).await, Err(Reason::MemberSuspended), "it says nothing while it is suspended itself");
    assert_eq!(state(&world, gone).await, DisclosureState::Done);
}

#[tokio::test]
async fn more_than_one_answer_holds_are_asked_for_page_by_page() {
    let (mut world, dir) = World::on_disk().await;
    agree(&world).await;
    let mut sent = Vec::new();
    for _ in 0..6 {
        give(&world).await;
        for _ in 0..9 {
            sent.push(refer(&world, KEHL).await.unwrap());
        }
    }
    world.settle().await;
    assert_eq!(received(&world).await.len(), 10, "a page of them");
    let image = Image::of(&world, dir.path(), KEHL).await;
    withdraw(&world).await;
    world.settle().await;
    image.restore(&mut world, KEHL).await;
    world.line.withdrawals_asked.store(0, std::sync::atomic::Ordering::SeqCst);
    world.exchange(KEHL).upkeep.run_pass(PassKind::Withdrawals).await.unwrap();
    assert_eq!(world.line.withdrawals_asked.load(std::sync::atomic::Ordering::SeqCst), 2);
    for record in sent {
        assert!(!is_stored(&world, record).await);
    }
}
