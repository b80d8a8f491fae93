//! What is stored about a person is sealed, and erasing takes all of it; who got it is kept apart.

use bytes::Bytes;

use super::*;
use crate::domain::audit::AuditAct;
use crate::domain::handling::Purpose;
use crate::domain::ids::ShareId;
use crate::domain::person::CaseIndex;
use crate::domain::person::share::ShareScope;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind};
use crate::domain::time::{Millis, UnixMs};
use crate::ops::*;
use crate::rows::*;
use crate::{Error, Store};

fn about_person(n: u32) -> NewInbox {
    let kind = RecordKind::Referral;
    NewInbox { permit: crate::domain::policy::Permit::unasked(THERE, HERE, kind, grant()), kind, ..received(n) }
}

fn own(n: u32) -> NewPublication {
    NewPublication { kind: RecordKind::Referral, ..publication(n) }
}

async fn read(store: &dyn Store, key: RecordKey) -> Option<Bytes> {
    let row = store.inbox_record(key).await.unwrap()?;
    let reading = crate::domain::policy::Reading::unasked(&row.record).bytes().clone();
    Some(reading)
}

async fn erase(store: &dyn Store, key: RecordKey) {
    store.erase(vec![key.clone()], NOW).await.unwrap();
    let deletes = vec![Delete::Erased { key, at: NOW }];
    store.write(Write { deletes, ..Write::default() }.into()).await.unwrap();
    assert!(store.empty_log().await.unwrap());
}

pub(super) async fn what_is_about_a_person_is_read_until_it_is_erased(store: &dyn Store) {
    store_batch(store, 1, vec![about_person(1), about_person(2), received(3)]).await;
    assert_eq!(read(store, key(THERE, 1)).await.unwrap(), "received 1");
    let answer = NewInbox { target: Some(key(THERE, 1)), ..about_person(4) };
    store_batch(store, 4, vec![answer, NewInbox { target: Some(key(THERE, 9)), hidden: true, ..about_person(5) }])
        .await;
    assert_eq!(store.inbox_before(RecordKind::Referral, None, 9).await.unwrap().len(), 3);
    erase(store, key(THERE, 1)).await;
    assert!(read(store, key(THERE, 1)).await.is_none());
    assert!(read(store, key(THERE, 4)).await.is_none(), "what was answered to it goes too");
    erase(store, key(THERE, 9)).await;
    assert_eq!(store.inbox_before(RecordKind::Referral, None, 9).await.unwrap().len(), 1);
    assert!(read(store, key(THERE, 3)).await.is_some(), "another record");
    // Its dedup key stays, and what was erased is never sealed again.
    assert_eq!(store.taken(vec![key(THERE, 1)]).await.unwrap(), [true]);
    let again = WriteOp::Receive(Box::new(receive(6, vec![about_person(9)])));
    let refused = store.write(again).await;
    assert!(matches!(refused, Err(Error::Refused(Reason::RecordWithdrawn))), "{refused:?}");
    assert!(store.is_erased(key(THERE, 9)).await.unwrap() && !store.is_erased(key(THERE, 2)).await.unwrap());
}

pub(super) async fn what_was_on_its_way_travels_as_a_skip(store: &dyn Store) {
    let publish = Write { publications: vec![own(1)], ..Write::default() };
    store.write(publish.into()).await.unwrap();
    assert_eq!(store.pending_publications(9).await.unwrap().len(), 1);
    let items = vec![delivery_to(THERE, RecordKind::Referral, 1), delivery(2)];
    store.write(queue(items)).await.unwrap();
    let envelope = |items: &[OutItem]| match &items[0].payload {
        OutPayload::Envelope(bytes) => Ok(bytes.clone()),
        OutPayload::Skip(reason) => Err(*reason),
    };
    assert_eq!(envelope(&batch(store).await).unwrap(), format!("envelope 1 for {THERE}"));
    // A partner's record of the same id takes nothing of ours with it.
    erase(store, key(THERE, 1)).await;
    assert!(envelope(&batch(store).await).is_ok());
    erase(store, key(HERE, 1)).await;
    let items = batch(store).await;
    assert_eq!((items.len(), envelope(&items)), (2, Err(Reason::RecordWithdrawn)));
    assert!(store.publication(key(HERE, 1)).await.unwrap().is_none());
    assert_eq!(store.pending_publications(9).await.unwrap(), []);
}

pub(super) async fn its_time_takes_the_key_with_it(store: &dyn Store) {
    store_batch(store, 1, vec![about_person(1)]).await;
    store
        .write(WriteOp::Publish(Publish { request: None, publication: own(2), made: Some(vec![]), audit: vec![] }))
        .await
        .unwrap();
    store.sweep(NOW + Millis::days(60)).await.unwrap();
    for key in [key(THERE, 1), key(HERE, 2)] {
        assert!(store.is_erased(key.clone()).await.unwrap(), "{key:?}");
    }
    assert!(store.publication(key(HERE, 2)).await.unwrap().is_none());
}

pub(super) async fn who_got_it_and_what_came_of_it_is_kept(store: &dyn Store) {
    let case = CaseIndex::from_slice(&[3; 32]).unwrap();
    let row = |n: u32, recipient: &str| DisclosureRow {
        key: key(HERE, n),
        recipient: authority(recipient),
        kind: RecordKind::Referral,
        scope: ShareScope::ReferralLegal,
        purpose: Purpose::Assistance,
        case,
        share: ShareId([4; 16]),
        shared_at: NOW,
        erase_by: NOW + Millis::days(9),
        state: DisclosureState::Shared,
        counter: 0,
        noticed_at: UnixMs(0),
        due_by: UnixMs(0),
        answered_at: UnixMs(0),
        receipt: Bytes::new(),
    };
    for n in [1, 2] {
        store.write(Write::put(Put::Disclosure(row(n, THERE))).into()).await.unwrap();
    }
    assert_eq!(store.last_notice(authority(HERE), authority(THERE)).await.unwrap(), 0);
    let (due_by, state) = (NOW + Millis::days(3), DisclosureState::Noticed);
    let noticed = DisclosureRow { state, counter: 7, noticed_at: NOW, due_by, ..row(2, THERE) };
    // Whom it went to is never rewritten.
    let put = Put::Disclosure(DisclosureRow { recipient: authority(HERE), ..noticed.clone() });
    store.write(Write::put(put).into()).await.unwrap();
    assert_eq!(store.disclosure(key(HERE, 2)).await.unwrap(), Some(noticed.clone()));
    assert_eq!(store.disclosures_of(case).await.unwrap(), [row(1, THERE), noticed.clone()]);
    assert_eq!(store.disclosures_in(DisclosureState::Noticed, 9).await.unwrap(), [noticed]);
    assert_eq!(store.last_notice(authority(HERE), authority(THERE)).await.unwrap(), 7);

    let heard = WithdrawalRow {
        key: key(THERE, 5),
        recipient: authority(HERE),
        counter: 2,
        received: NOW,
        due_by,
        done_at: None,
        notice: "signed".into(),
    };
    let done = WithdrawalRow { done_at: Some(NOW), ..heard.clone() };
    for row in [&heard, &done] {
        store.write(Write::put(Put::Withdrawal(row.clone())).into()).await.unwrap();
        assert_eq!(store.withdrawal(key(THERE, 5)).await.unwrap().as_ref(), Some(row));
    }
    // One that came before notices were kept is shown to nobody.
    let older = WithdrawalRow { key: key(THERE, 6), counter: 1, notice: Bytes::new(), ..heard.clone() };
    store.write(Write::put(Put::Withdrawal(older)).into()).await.unwrap();
    let between = || (authority(THERE), authority(HERE));
    assert_eq!(store.notices_held(between(), 0, 9).await.unwrap(), [done]);
    assert_eq!(store.notices_held(between(), 2, 9).await.unwrap(), []);
    assert_eq!(store.last_notice_from(authority(THERE), authority(HERE)).await.unwrap(), 2);
    assert_eq!(store.last_notice_from(authority(HERE), authority(THERE)).await.unwrap(), 0);
}

pub(super) async fn what_was_called_back_is_told_by_its_counter_and_while_it_is_open(store: &dyn Store) {
    let case = CaseIndex::from_slice(&[3; 32]).unwrap();
    let row = |n: u32, state| DisclosureRow {
        key: key(HERE, n),
        recipient: authority(THERE),
        kind: RecordKind::Referral,
        scope: ShareScope::ReferralLegal,
        purpose: Purpose::Assistance,
        case,
        share: ShareId([4; 16]),
        shared_at: NOW,
        erase_by: NOW + Millis::days(9),
        state,
        counter: u64::from(n),
        noticed_at: NOW,
        due_by: NOW,
        answered_at: UnixMs(0),
        receipt: Bytes::new(),
    };
    use DisclosureState::{Done, Noticed, Partial};
    for (n, state) in [(1, Done), (2, Noticed), (3, Partial), (4, Done)] {
        store.write(Write::put(Put::Disclosure(row(n, state))).into()).await.unwrap();
    }
    let shared = DisclosureRow { counter: 0, ..row(5, DisclosureState::Shared) };
    store.write(Write::put(Put::Disclosure(shared)).into()).await.unwrap();
    let told = async |known, after, limit| {
        let rows = store.called_back((authority(HERE), authority(THERE)), known, after, limit).await.unwrap();
        rows.iter().map(|row| row.counter).collect::<Vec<_>>()
    };
    assert_eq!(told(0, 0, 9).await, [1, 2, 3, 4], "nothing is known there");
    assert_eq!(told(0, 0, 2).await, [1, 2]);
    assert_eq!(told(0, 2, 2).await, [3, 4]);
    assert_eq!(told(3, 0, 9).await, [2, 4], "what lies above, and what is open");
    assert_eq!(told(4, 4, 9).await, Vec::<u64>::new());
    let other = store.called_back((authority(THERE), authority(HERE)), 0, 0, 9).await.unwrap();
    assert_eq!(other, []);
}

pub(super) async fn who_sent_records_about_persons_and_who_has_said_what_was_withdrawn(store: &dyn Store) {
    assert_eq!(store.senders_about_persons().await.unwrap(), []);
    store_batch(store, 1, vec![received(3)]).await;
    assert_eq!(store.senders_about_persons().await.unwrap(), [], "an alert is about nobody");
    store_batch(store, 2, vec![about_person(1), about_person(2)]).await;
    assert_eq!(store.senders_about_persons().await.unwrap(), [(authority(HERE), authority(THERE))]);
    let row = |contact, unknown| AnsweredRow { ours: authority(HERE), partner: authority(THERE), contact, unknown };
    for row in [row(NOW, true), row(NOW + Millis::minutes(1), false)] {
        store.write(Write::put(Put::Answered(row.clone())).into()).await.unwrap();
        assert_eq!(store.answered().await.unwrap(), [row]);
    }
}

pub(super) async fn the_salts_of_what_was_erased_die_with_the_next_sweep(store: &dyn Store) {
    let refused = async |n| {
        store.write(Write::audit(vec![act(AuditAct::Refused, n)]).into()).await.unwrap();
        let size = store.audit_head().await.unwrap().size;
        commitment(&store.audit_leaves(size - 1, 1).await.unwrap()[0])
    };
    store_batch(store, 1, vec![about_person(1), about_person(2)]).await;
    let answer = NewInbox { target: Some(key(THERE, 1)), ..about_person(4) };
    store_batch(store, 3, vec![answer]).await;
    let (first, second, fourth) = (refused(1).await, refused(2).await, refused(4).await);
    assert!(!first.is_empty() && !second.is_empty() && !fourth.is_empty());
    erase(store, key(THERE, 1)).await;
    assert_eq!(store.sweep(NOW).await.unwrap(), 2);
    assert!(refused(1).await.is_empty() && refused(4).await.is_empty(), "with what was answered to it");
    assert_eq!(refused(2).await, second, "its neighbour's lives");
    assert_eq!(store.sweep(NOW).await.unwrap(), 0);
}

pub(super) async fn who_got_it_is_known_for_a_year_and_while_somebody_owes_an_answer(store: &dyn Store) {
    let row = |n: u32, state, answered_at| DisclosureRow {
        key: key(HERE, n),
        recipient: authority(THERE),
        kind: RecordKind::Referral,
        scope: ShareScope::ReferralLegal,
        purpose: Purpose::Assistance,
        case: CaseIndex::from_slice(&[3; 32]).unwrap(),
        share: ShareId([4; 16]),
        shared_at: NOW,
        erase_by: NOW + Millis::days(9),
        state,
        counter: u64::from(n),
        noticed_at: NOW,
        due_by: NOW,
        answered_at,
        receipt: Bytes::new(),
    };
    use DisclosureState::{Done, Noticed, Shared};
    let late = NOW + Millis::days(30);
    for row in [row(1, Shared, UnixMs(0)), row(2, Noticed, UnixMs(0)), row(3, Done, NOW), row(4, Done, late)] {
        store.write(Write::put(Put::Disclosure(row)).into()).await.unwrap();
    }
    let left = async |days| {
        store.sweep(NOW + Millis::days(days)).await.unwrap();
        let mut left = Vec::new();
        for n in 1..=4 {
            left.extend(store.disclosure(key(HERE, n)).await.unwrap().map(|row| row.counter));
        }
        left
    };
    assert_eq!(left(373).await, [1, 2, 3, 4]);
    assert_eq!(left(374).await, [2, 4]);
    assert_eq!(left(395).await, [2]);
}
