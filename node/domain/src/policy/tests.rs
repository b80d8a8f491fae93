//! The one question under every input that proptest can think of.

mod naive;
mod persons;
mod reading;
mod worlds;

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::agreement::{AgreementEnd, AgreementEndReason, Grant, HeldAgreement};
use crate::handling::{Pap, Tlp};
use crate::records::Kind;
use crate::records::alert::{AlertFacet, AlertKind, AssertionBasis};
use crate::records::offer::{DisclosureLevel, OfferFacet, ServiceKind};
use crate::samples::*;

/// A question as plain values, so that it can be varied and asked again.
#[derive(Clone, Debug)]
struct Asked {
    from: AuthorityId,
    to: AuthorityId,
    facet: Facet,
    target: Option<GrantRef>,
    purpose: Purpose,
    usage: Usage,
    tlp: Tlp,
    created: UnixMs,
    side: Side,
    grant: Option<GrantRef>,
    now: UnixMs,
}

impl Asked {
    fn ask(&self, agreements: &AgreementSet, view: &DirectoryView) -> Result<Permit, Reason> {
        self.with(agreements, view, may_share)
    }

    fn with<T>(&self, agreements: &AgreementSet, view: &DirectoryView, ask: impl FnOnce(&ShareQuestion<'_>) -> T) -> T {
        ask(&ShareQuestion {
            from: &self.from,
            to: &self.to,
            facet: self.facet,
            target: self.target,
            purpose: self.purpose,
            usage: self.usage,
            handling: Handling { tlp: self.tlp, pap: Pap::Green },
            shared: Shared::Nothing,
            created: self.created,
            side: self.side,
            grant: self.grant,
            agreements,
            view,
            now: self.now,
        })
    }
}

fn alert_question() -> Asked {
    Asked {
        from: strasbourg(),
        to: kehl(),
        facet: Facet::Alert(alert().facet()),
        target: None,
        purpose: Purpose::Prevention,
        usage: Usage::View,
        tlp: Tlp::Green,
        created: NOW,
        side: Side::Sender,
        grant: None,
        now: NOW,
    }
}

fn anybody() -> impl Strategy<Value = AuthorityId> {
    select(vec![strasbourg(), kehl(), esch()])
}

/// Instants around each other, so that dates meet.
fn instant() -> impl Strategy<Value = UnixMs> {
    (-40_i64..40).prop_map(|minutes| NOW + Millis::minutes(minutes))
}

fn reference() -> impl Strategy<Value = GrantRef> {
    (1_u8..4, 0_u32..3).prop_map(|(n, number)| GrantRef { agreement: crate::ids::AgreementId([n; 32]), number })
}

fn facets() -> impl Strategy<Value = (Facet, Option<GrantRef>)> {
    let alerts = (select(AlertKind::ALL), select(AssertionBasis::ALL))
        .prop_map(|(kind, basis)| (Facet::Alert(AlertFacet { kind, basis }), None));
    let offers = (select(&ServiceKind::ALL[..3]), proptest::option::of(select(DisclosureLevel::ALL)))
        .prop_map(|(service, level)| (Facet::OfferView(OfferFacet { service, level }), None));
    let answers = proptest::option::of(reference()).prop_map(|target| (Facet::Answer(()), target));
    // Of every kind in the list, also with a target that is not its own matter.
    let any = (select(contents()), proptest::option::of(reference())).prop_map(|(one, target)| (one.facet(), target));
    prop_oneof![4 => alerts, 2 => offers, 2 => answers, 2 => any]
}

prop_compose! {
    fn a_grant()(
        from in anybody(), to in anybody(), (from_at, until) in (instant(), instant()),
        record_kinds in subsequence(RecordKind::ALL, 0..8), alert_kinds in subsequence(AlertKind::ALL, 0..6),
        service_kinds in subsequence(&ServiceKind::ALL[..3], 0..3), purposes in subsequence(&Purpose::ALL[..3], 0..3),
        usage in select(Usage::ALL), highest_tlp in select(Tlp::ALL), disclosure_level in proptest::option::of(select(DisclosureLevel::ALL)),
    ) -> Grant {
        Grant {
            from, to, record_kinds, alert_kinds, service_kinds, purposes, usage, highest_tlp, disclosure_level,
            retention: Millis::days(1), valid_from: from_at, valid_until: until,
        }
    }
}

prop_compose! {
    fn a_held()(
        n in 1_u8..4, grants in proptest::collection::vec(a_grant(), 1..4), complete in prop::bool::weighted(0.9),
        leaver in proptest::option::weighted(0.2, (anybody(), instant())),
    ) -> HeldAgreement {
        let mut one = held(n, agreement_of(&[strasbourg(), kehl(), esch()], grants));
        one.complete = complete;
        one.ends.extend(leaver.map(|(by, at)| AgreementEnd { agreement: one.id, by, at, reason: AgreementEndReason::Breach }));
        one
    }
}

prop_compose! {
    fn asked()(
        from in anybody(), to in anybody(), (facet, target) in facets(), purpose in select(&Purpose::ALL[..3]),
        usage in select(Usage::ALL), tlp in select(Tlp::ALL), created in instant(), side in select(&[Side::Sender, Side::Receiver]),
        grant in proptest::option::of(reference()), now in instant(),
    ) -> Asked {
        Asked { from, to, facet, target, purpose, usage, tlp, created, side, grant, now }
    }
}

fn some_agreements() -> impl Strategy<Value = Vec<HeldAgreement>> {
    proptest::collection::vec(a_held(), 0..4)
}

/// Half of the random questions are made to fit some grant: a property over refusals alone shows nothing.
fn fitted(mut asked: Asked, held: &[HeldAgreement], pick: usize) -> Asked {
    let Some(one) = held.get(pick % held.len().max(1)) else { return asked };
    let Some(grant) = one.agreement.grants.get(pick % one.agreement.grants.len()) else { return asked };
    (asked.from, asked.to) = (grant.from.clone(), grant.to.clone());
    asked.purpose = grant.purposes.first().copied().unwrap_or(asked.purpose);
    asked.created = asked.created.min(grant.valid_until - Millis(1));
    if let (Facet::Alert(AlertFacet { basis, .. }), Some(kind)) = (asked.facet, grant.alert_kinds.first()) {
        asked.facet = Facet::Alert(AlertFacet { kind: *kind, basis });
    }
    let number = u32::try_from(pick % one.agreement.grants.len()).unwrap();
    asked.grant = (asked.side == Side::Receiver).then_some(GrantRef { agreement: one.id, number });
    asked
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn without_an_agreement_nothing_passes(asked in asked()) {
        prop_assert!(asked.ask(&AgreementSet::default(), &view()).is_err());
    }

    #[test]
    fn a_permit_names_a_grant_that_says_all_of_it(asked in asked(), held in some_agreements(), pick in 0_usize..9) {
        let asked = if pick < 6 { fitted(asked, &held, pick) } else { asked };
        let set = AgreementSet::new(held);
        if let Ok(permit) = asked.ask(&set, &view()) {
            let found = set.grant(&permit.grant().unwrap()).unwrap();
            let (grant, one) = (found.grant, found.held);
            prop_assert!(one.complete && grant.purposes.contains(&asked.purpose) && asked.tlp <= grant.highest_tlp);
            prop_assert!(asked.usage <= grant.usage);
            prop_assert!(one.left_at(&asked.from).is_none_or(|at| asked.now < at));
            prop_assert!(one.left_at(&asked.to).is_none_or(|at| asked.now < at));
            prop_assert!(asked.created < grant.valid_until && asked.now < grant.valid_until + limits::AGREEMENT_GRACE);
            let kind = asked.facet.kind();
            // What she agreed to opens the first one; what answers it goes back to whom she agreed with.
            prop_assert!(!asked.facet.concerns_person() || asked.facet.is_answer());
            prop_assert!(asked.from != asked.to);
            prop_assert_eq!((permit.from(), permit.to(), permit.kind()), (&asked.from, &asked.to, kind));
            if asked.facet.is_answer() {
                prop_assert_eq!((&grant.from, &grant.to), (&asked.to, &asked.from));
            } else {
                prop_assert_eq!((&grant.from, &grant.to), (&asked.from, &asked.to));
                prop_assert!(grant.record_kinds.contains(&kind));
            }
        }
    }

    #[test]
    fn a_stricter_marking_never_gains(asked in asked(), held in some_agreements(), pick in 0_usize..6, stricter in select(Tlp::ALL)) {
        let asked = fitted(asked, &held, pick);
        let set = AgreementSet::new(held);
        if stricter > asked.tlp && asked.ask(&set, &view()).is_err() {
            let again = Asked { tlp: stricter, ..asked }.ask(&set, &view());
            prop_assert!(again.is_err());
        }
    }

    #[test]
    fn deny_wins(asked in asked(), held in some_agreements(), pick in 0_usize..6, who in any::<bool>(), how in 0..3) {
        let asked = fitted(asked, &held, pick);
        let set = AgreementSet::new(held);
        let denied = if who { &asked.from } else { &asked.to };
        let mut view = view();
        let mut member = Arc::unwrap_or_clone(view.members[denied].clone());
        match how {
            0 => member.suspended_until = Some(asked.now + Millis(1)),
            1 => member.removed_at = Some(NOW - Millis::days(1)),
            _ => { view.overlay.insert(denied.clone(), asked.now + Millis(1)); }
        }
        view.members.insert(denied.clone(), Arc::new(member));
        prop_assert!(asked.ask(&set, &view).is_err());
    }

    #[test]
    fn an_end_never_gains(asked in asked(), held in some_agreements(), pick in 0_usize..6, by in anybody(), at in instant()) {
        let asked = fitted(asked, &held, pick);
        let refused = asked.ask(&AgreementSet::new(held.clone()), &view()).is_err();
        let ended = held.into_iter().map(|mut one| {
            one.ends.push(AgreementEnd { agreement: one.id, by: by.clone(), at, reason: AgreementEndReason::Breach });
            one
        });
        let after = asked.ask(&AgreementSet::new(ended), &view());
        prop_assert!(!refused || after.is_err());
        let party = by == asked.from || by == asked.to;
        prop_assert!(!(party && at <= asked.now) || after.is_err());
    }

    /// What the sender may send, the receiver takes at the same instant, and for five minutes past the end of the grant. Each has
    /// heard a majority of stewards just then.
    #[test]
    fn the_receiver_agrees_with_the_sender_within_the_grace(
        asked in asked(), held in some_agreements(), pick in 0_usize..6, later in 0_i64..30,
    ) {
        let asked = Asked { side: Side::Sender, grant: None, ..fitted(asked, &held, pick) };
        let set = AgreementSet::new(held);
        let fresh = |now: UnixMs| DirectoryView { majority_beat: Some(now), ..view() };
        let Ok(permit) = asked.ask(&set, &fresh(asked.now)) else { return Ok(()) };
        let now = asked.now + Millis::minutes(later);
        let found = set.grant(&permit.grant().unwrap()).unwrap();
        let receiver = Asked { side: Side::Receiver, grant: permit.grant(), now, ..asked };
        let ends = [found.held.left_at(&receiver.from), found.held.left_at(&receiver.to), found.held.ended_at()];
        let ended = ends.into_iter().flatten().any(|at| at <= now);
        let lapsed = now >= found.grant.valid_until + limits::AGREEMENT_GRACE;
        let taken = receiver.ask(&set, &fresh(now));
        prop_assert_eq!(taken.is_ok(), !ended && !lapsed);
        let grace = if now < found.grant.valid_until { Clause::GrantInForce } else { Clause::GrantWithinGrace };
        let answers = receiver.facet.is_answer();
        let clause = if answers { Clause::AnswerUnderGrantOfTarget } else { grace };
        prop_assert!(taken.is_ok_and(|permit| permit.clause() == clause) || ended || lapsed);
    }

    #[test]
    fn an_alert_that_a_person_reported_never_passes_yet(asked in asked(), held in some_agreements(), pick in 0_usize..6, fresh in any::<bool>()) {
        let asked = fitted(asked, &held, pick);
        let facet = Facet::Alert(AlertFacet { kind: AlertKind::AtRiskSite, basis: AssertionBasis::ReportedByPerson });
        let mut view = view();
        view.majority_beat = fresh.then_some(asked.now);
        let about = Asked { facet, ..asked };
        let expected = if fresh { Reason::PersonRecordsClosed } else { Reason::RegisterNotFresh };
        let refused = about.ask(&AgreementSet::new(held), &view);
        prop_assert!(refused.is_err());
        prop_assert!(about.from == about.to || refused == Err(expected));
    }
}

#[test]
fn an_alert_passes_between_twins_and_to_nobody_else() {
    let set = AgreementSet::new([twinning()]);
    let permit = alert_question().ask(&set, &view()).unwrap();
    assert_eq!(permit.grant(), Some(GrantRef { agreement: twinning().id, number: 0 }));
    assert_eq!(permit.clause(), Clause::GrantInForce);
    for (from, to) in [(esch(), kehl()), (kehl(), esch()), (strasbourg(), esch())] {
        let refused = Asked { from, to, ..alert_question() }.ask(&set, &view());
        assert_eq!(refused, Err(Reason::AgreementNotInForce));
    }
}

/// The twinning, its grants for this use.
fn used(usage: Usage) -> HeldAgreement {
    let mut one = twinning();
    Arc::make_mut(&mut one.agreement).grants.iter_mut().for_each(|grant| grant.usage = usage);
    one
}

#[test]
fn the_nearest_reason_is_told() {
    let ask = |asked: Asked, one: HeldAgreement| asked.ask(&AgreementSet::new([one]), &view());
    let red = Asked { tlp: Tlp::Red, ..alert_question() };
    assert_eq!(ask(red, twinning()), Err(Reason::HandlingTooRestricted));
    let purpose = Asked { purpose: Purpose::Statistics, ..alert_question() };
    assert_eq!(ask(purpose, twinning()), Err(Reason::AgreementNotInForce));
    let store = Asked { usage: Usage::Store, ..alert_question() };
    assert!(ask(store.clone(), twinning()).is_ok());
    assert_eq!(ask(store, used(Usage::View)), Err(Reason::UseNotGranted));
    assert_eq!(ask(alert_question(), used(Usage::Query)), Err(Reason::UseNotGranted));
    assert!(ask(Asked { usage: Usage::Query, ..alert_question() }, used(Usage::Query)).is_ok());
    let mut ended = twinning();
    ended.ends.push(AgreementEnd { agreement: ended.id, by: kehl(), at: NOW, reason: AgreementEndReason::Breach });
    assert_eq!(ask(alert_question(), ended.clone()), Err(Reason::AgreementEnded));
    let before = Asked { now: NOW - Millis(1), ..alert_question() };
    assert!(ask(before, ended).is_ok());
    let mut stale = view();
    stale.majority_beat = None;
    assert!(alert_question().ask(&AgreementSet::new([twinning()]), &stale).is_ok(), "content about nobody flows on");
}

#[test]
fn what_a_grant_in_force_does_not_allow_is_told_whatever_has_ended_beside_it() {
    let red = Asked { tlp: Tlp::Red, ..alert_question() };
    for (ended, standing) in [(2, 3), (3, 2)] {
        let of = |n| held(n, agreement_of(&[strasbourg(), kehl()], vec![grant(strasbourg(), kehl())]));
        let mut ended = of(ended);
        ended.ends.push(AgreementEnd { agreement: ended.id, by: kehl(), at: NOW, reason: AgreementEndReason::Breach });
        let only = AgreementSet::new([ended.clone()]);
        assert_eq!(red.ask(&only, &view()), Err(Reason::AgreementEnded));
        let both = AgreementSet::new([ended, of(standing)]);
        assert_eq!(red.ask(&both, &view()), Err(Reason::HandlingTooRestricted), "it is what can be mended");
    }
}

#[test]
fn the_receiver_waits_for_an_agreement_and_tells_nothing_of_others() {
    let named = |agreement, number| Asked {
        side: Side::Receiver,
        grant: Some(GrantRef { agreement, number }),
        ..alert_question()
    };
    let others = held(2, agreement_of(&[kehl(), esch()], vec![grant(kehl(), esch())]));
    let mut incomplete = held(3, agreement_of(&[strasbourg(), kehl()], vec![grant(strasbourg(), kehl())]));
    incomplete.complete = false;
    let set = AgreementSet::new([twinning(), others.clone(), incomplete.clone()]);
    let ask = |asked: Asked| asked.ask(&set, &view());
    assert!(ask(named(twinning().id, 0)).is_ok());
    assert_eq!(ask(named(twinning().id, 1)), Err(Reason::AgreementNotInForce), "the other direction");
    assert_eq!(ask(named(twinning().id, 9)), Err(Reason::AgreementNotInForce));
    let unknown = crate::ids::AgreementId([8; 32]);
    for id in [unknown, others.id, incomplete.id] {
        assert_eq!(ask(named(id, 0)), Err(Reason::AgreementUnknown));
    }
    let unnamed = Asked { side: Side::Receiver, ..alert_question() };
    assert_eq!(ask(unnamed), Err(Reason::AgreementNotInForce));
}

#[test]
fn what_concerns_a_person_needs_a_basis_for_the_country_it_goes_to() {
    let person = Facet::Alert(AlertFacet { basis: AssertionBasis::ReportedByPerson, ..alert().facet() });
    let handled_in = |host: Option<&str>, facet| {
        let mut view = view();
        let mut member = Arc::unwrap_or_clone(view.members[&kehl()].clone());
        member.entry.hosted_by = host.map(authority);
        view.members.insert(kehl(), Arc::new(member));
        let set = AgreementSet::new([twinning()]);
        let asked = Asked { facet, ..alert_question() };
        asked.with(&set, &view, |q| handled(q, &set.grant(&GrantRef { agreement: twinning().id, number: 0 }).unwrap()))
    };
    assert_eq!(handled_in(None, person), Ok(()));
    assert_eq!(handled_in(Some("fr-strasbourg"), person), Ok(()));
    assert_eq!(handled_in(Some("ch-basel"), person), Err(Reason::TransferLapsed));
    assert_eq!(handled_in(Some("ch-basel"), alert_question().facet), Ok(()), "the rest goes on");
}

#[test]
fn an_answer_goes_back_along_the_grant_of_its_target_and_no_other() {
    let set = AgreementSet::new([twinning()]);
    let target = GrantRef { agreement: twinning().id, number: 0 };
    let answer =
        Asked { from: kehl(), to: strasbourg(), facet: Facet::Answer(()), target: Some(target), ..alert_question() };
    let permit = answer.ask(&set, &view()).unwrap();
    assert_eq!((permit.grant(), permit.clause()), (Some(target), Clause::AnswerUnderGrantOfTarget));
    let forward = Asked { from: strasbourg(), to: kehl(), ..answer.clone() };
    assert_eq!(forward.ask(&set, &view()), Err(Reason::AgreementNotInForce));
    let elsewhere = Asked { from: esch(), ..answer.clone() };
    assert_eq!(elsewhere.ask(&set, &view()), Err(Reason::AgreementNotInForce));
    let other_named = Asked { grant: Some(GrantRef { number: 1, ..target }), side: Side::Receiver, ..answer };
    assert_eq!(other_named.ask(&set, &view()), Err(Reason::AgreementNotInForce));
}

#[test]
fn a_view_shows_no_more_than_its_grant() {
    let set = AgreementSet::new([twinning()]);
    let grant = Some(GrantRef { agreement: twinning().id, number: 0 });
    let offer = |service, level| Asked {
        facet: Facet::OfferView(OfferFacet { service, level }),
        side: Side::Receiver,
        grant,
        ..alert_question()
    };
    let refuge = ServiceKind::LongTermRefuge;
    assert!(offer(refuge, Some(DisclosureLevel::Band)).ask(&set, &view()).is_ok());
    assert!(offer(refuge, Some(DisclosureLevel::Light)).ask(&set, &view()).is_ok());
    assert!(offer(refuge, Some(DisclosureLevel::Count)).ask(&set, &view()).is_err());
    assert!(offer(ServiceKind::Medical, Some(DisclosureLevel::Light)).ask(&set, &view()).is_err());
}

#[test]
fn control_passes_between_active_members_and_little_else() {
    let mut suspended = view();
    suspended.overlay.insert(kehl(), NOW + Millis(1));
    let mut removed = view();
    let mut member = member(kehl(), 2);
    member.removed_at = Some(NOW - Millis::days(29));
    removed.members.insert(kehl(), Arc::new(member));
    let refusal = |view: &DirectoryView, from: AuthorityId, to: AuthorityId, kind, now| {
        may_control(&ControlQuestion { from: &from, to: &to, kind, view, now }).err()
    };
    let ask = |view: &DirectoryView, from, to, kind, now| refusal(view, from, to, kind, now).is_none();
    let clause = |view: &DirectoryView, from: AuthorityId, to: AuthorityId, kind| {
        may_control(&ControlQuestion { from: &from, to: &to, kind, view, now: NOW }).unwrap().clause()
    };
    let (notice, receipt) = (RecordKind::WithdrawalNotice, RecordKind::ErasureReceipt);
    assert_eq!(clause(&view(), strasbourg(), kehl(), notice), Clause::ControlBetweenActive);
    assert_eq!(clause(&suspended, strasbourg(), kehl(), notice), Clause::NoticeToSuspended);
    assert_eq!(clause(&removed, strasbourg(), kehl(), notice), Clause::NoticeToRemoved);
    assert_eq!(clause(&suspended, kehl(), strasbourg(), receipt), Clause::ReceiptOfSuspended);
    let control = RecordKind::ALL.iter().copied().filter(|k| k.class() == StreamClass::Control);
    for kind in control {
        assert!(ask(&view(), strasbourg(), kehl(), kind, NOW), "{kind}");
        assert!(!ask(&view(), strasbourg(), strasbourg(), kind, NOW));
        let nobody = refusal(&view(), strasbourg(), authority("xx-nobody"), kind, NOW);
        assert_eq!(nobody, Some(Reason::MemberUnknown));
        let withdrawn = refusal(&removed, kehl(), strasbourg(), kind, NOW);
        assert_eq!(withdrawn, Some(Reason::ControlNotAllowed));
        let notice = kind == RecordKind::WithdrawalNotice;
        assert_eq!(ask(&suspended, strasbourg(), kehl(), kind, NOW), notice);
        assert_eq!(ask(&suspended, kehl(), strasbourg(), kind, NOW), kind == RecordKind::ErasureReceipt);
        assert_eq!(ask(&removed, strasbourg(), kehl(), kind, NOW), notice);
        assert!(!ask(&removed, strasbourg(), kehl(), kind, NOW + Millis::days(1)));
        assert!(!ask(&removed, kehl(), strasbourg(), kind, NOW));
    }
    assert!(!ask(&view(), strasbourg(), kehl(), RecordKind::Alert, NOW), "content is asked the other question");
}
