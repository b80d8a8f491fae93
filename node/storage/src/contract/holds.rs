//! Units that are set aside: slots of own offers, and what was asked for at partners.

use super::*;
use crate::domain::audit::{AuditAct, AuditDraft};
use crate::domain::holds::HoldState;
use crate::domain::ids::{HoldId, OfferId};
use crate::domain::time::Millis;
use crate::ops::*;
use crate::rows::{AskedHoldRow, SlotsRow};

pub(super) async fn slots_are_replaced_by_version_and_what_goes_with_them_is_whole_or_not_at_all(store: &dyn Store) {
    let offer = OfferId([4; 16]);
    let put = |version: u64, replaces, body: &'static str| Write {
        expects: vec![Expect::SlotsVersion(offer, replaces)],
        audit: vec![AuditDraft::by_node(AuditAct::HoldTaken)],
        ..Write::put(Put::Slots(SlotsRow { offer, version, body: body.into() }))
    };
    assert_eq!(store.offer_slots(offer).await.unwrap(), None);
    assert_eq!(store.write(put(1, 1, "none is there").into()).await.unwrap(), Written::Taken);
    assert_eq!(store.write(put(1, 0, "one").into()).await.unwrap(), Written::Done);
    // Two that have looked at the same slots: the second stores nothing, and has no line in the ledger.
    assert_eq!(store.write(put(2, 1, "two").into()).await.unwrap(), Written::Done);
    assert_eq!(store.write(put(2, 1, "another two").into()).await.unwrap(), Written::Taken);
    let row = SlotsRow { offer, version: 2, body: "two".into() };
    assert_eq!(store.offer_slots(offer).await.unwrap().as_ref(), Some(&row));
    assert_eq!(store.audit_head().await.unwrap().size, 2);
    // A change that came behind one of the offer's in between stores neither.
    let stale = Expect::OfferVersion(offer, 7);
    let both = Write { expects: vec![Expect::SlotsVersion(offer, 2), stale], ..put(3, 2, "three") };
    assert!(store.write(both.into()).await.is_err());
    assert_eq!(store.all_offer_slots().await.unwrap(), [row]);
}

pub(super) async fn what_was_asked_for_is_kept_until_its_time_and_what_it_is_does_not_change(store: &dyn Store) {
    let asked = |n: u8| AskedHoldRow {
        id: HoldId([n; 16]),
        ours: authority(HERE),
        owner: authority(THERE),
        offer: OfferId([n; 16]),
        asked: NOW + Millis(i64::from(n)),
        state: None,
        token: 0,
        extended: false,
        keep_until: NOW + Millis::hours(24),
    };
    for n in [2, 1] {
        store.write(Write::put(Put::AskedHold(asked(n))).into()).await.unwrap();
    }
    assert_eq!(store.asked_holds().await.unwrap(), [asked(1), asked(2)], "oldest first");
    let (state, keep_until) = (Some(HoldState::Held), NOW + Millis::hours(48));
    let heard = AskedHoldRow { state, token: 7, extended: true, keep_until, ..asked(1) };
    let other = AskedHoldRow { owner: authority(HERE), offer: OfferId([9; 16]), ..heard.clone() };
    store.write(Write::put(Put::AskedHold(other)).into()).await.unwrap();
    assert_eq!(store.asked_hold(HoldId([1; 16])).await.unwrap(), Some(heard.clone()), "whose it is stays");
    store.sweep(NOW + Millis::hours(24)).await.unwrap();
    assert_eq!(store.asked_holds().await.unwrap(), [heard]);
    let refused = Write { deletes: vec![Delete::AskedHold(HoldId([1; 16]))], ..Write::default() };
    store.write(refused.into()).await.unwrap();
    assert_eq!(store.asked_hold(HoldId([1; 16])).await.unwrap(), None);
}
