//! Agreements to share: replaced by version, found by their case, and sealed under keys that die.

use zeroize::Zeroizing;

use super::*;
use crate::domain::ids::ShareId;
use crate::domain::person::{CaseIndex, CaseReference, CaseScope};
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::time::Millis;
use crate::ops::*;
use crate::rows::ShareRow;
use crate::{Error, Store};

fn case(text: &str) -> CaseReference {
    CaseReference::parse("case", text).unwrap()
}

fn put(case: CaseIndex, n: u8, replaces: u64, sealed: &'static str) -> WriteOp {
    let row = NewShare {
        id: ShareId([n; 16]),
        authority: authority(HERE),
        case,
        version: replaces + 1,
        keep_until: NOW + Millis::days(i64::from(n)),
        sealed: sealed.into(),
    };
    let expects = vec![Expect::ShareVersion(row.id, replaces)];
    Write { expects, ..Write::put(Put::Share(row)) }.into()
}

fn row(n: u8, version: u64, sealed: &'static str) -> ShareRow {
    ShareRow { id: ShareId([n; 16]), authority: authority(HERE), version, sealed: sealed.into(), unconfirmed: false }
}

pub(super) async fn agreements_to_share_are_found_by_their_case_and_replaced_by_version(store: &dyn Store) {
    let (one, other) = (case("CASE-1"), case("CASE-2"));
    let (one, other) = (store.case_index(one).await.unwrap(), store.case_index(other).await.unwrap());
    assert_eq!(store.case_index(case("CASE-1")).await.unwrap(), one);
    assert_ne!(one, other);
    for (case, n) in [(one, 2), (other, 1), (one, 3)] {
        assert_eq!(store.write(put(case, n, 0, "given")).await.unwrap(), Written::Done);
    }
    let stale = store.write(put(one, 2, 7, "withdrawn")).await;
    assert!(matches!(stale, Err(Error::Refused(Reason::EtagMismatch))), "{stale:?}");
    assert_eq!(store.write(put(one, 2, 1, "withdrawn")).await.unwrap(), Written::Done);
    assert_eq!(store.shares_of(one).await.unwrap(), [row(2, 2, "withdrawn"), row(3, 1, "given")]);
    assert_eq!(store.shares_of(other).await.unwrap(), [row(1, 1, "given")]);
    store.sweep(NOW + Millis::days(2)).await.unwrap();
    assert_eq!(store.shares_of(one).await.unwrap(), [row(3, 1, "given")]);
    assert_eq!(store.shares_of(other).await.unwrap(), []);
}

pub(super) async fn what_is_sealed_opens_until_its_row_is_past(store: &dyn Store) {
    let key = RecordKey { origin: authority(HERE), record_id: ShareId([1; 16]).sealed_as(false) };
    let sealed = store.seal(key.clone(), Zeroizing::new(b"plain".to_vec())).await.unwrap().unwrap();
    assert!(!sealed.windows(5).any(|window| window == b"plain"));
    let opened = store.open_sealed(key.clone(), sealed.clone()).await.unwrap().unwrap();
    assert_eq!(opened.as_slice(), b"plain");
    let case = store.case_index(case("CASE-1")).await.unwrap();
    let subject = |reference| store.subjects(self::case(reference), CaseScope::Support, vec![authority(THERE)], NOW);
    let (known, other) = (subject("CASE-1").await.unwrap(), subject("CASE-2").await.unwrap());
    store.write(put(case, 1, 0, "sealed elsewhere")).await.unwrap();
    store.sweep(NOW + Millis::days(1)).await.unwrap();
    assert!(store.open_sealed(key.clone(), sealed).await.unwrap().is_none());
    assert_eq!(store.seal(key, Zeroizing::new(b"again".to_vec())).await.unwrap(), None);
    // With the last of a case its keys are gone too: the same reference begins anew.
    assert_ne!(subject("CASE-1").await.unwrap(), known);
    assert_eq!(subject("CASE-2").await.unwrap(), other);
}

pub(super) async fn each_partner_knows_a_case_by_another_name(store: &dyn Store) {
    let partners = vec![authority(HERE), authority(THERE)];
    let ask = |case, scope| store.subjects(case, scope, partners.clone(), NOW);
    let support = ask(case("CASE-1"), CaseScope::Support).await.unwrap();
    assert_ne!(support[0], support[1]);
    assert_eq!(ask(case("CASE-1"), CaseScope::Support).await.unwrap(), support);
    let others = [
        ask(case("CASE-2"), CaseScope::Support).await.unwrap(),
        ask(case("CASE-1"), CaseScope::Liaison).await.unwrap(),
    ];
    assert!(others.iter().flatten().all(|subject| !support.contains(subject)));
}
