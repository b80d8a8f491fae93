//! What concerns a person passes through two gates, and either closes.

use super::*;
use crate::person::share::{ShareScope, ShareUse, SharedUnder};
use crate::records::grant::Grant;
use crate::records::referral::{Referral, ReferralForm};

const UNDER: SharedUnder =
    SharedUnder { reference: [5; 16], scope: ShareScope::ReferralLegal, erase_by: UnixMs(NOW.0 + 86_400_000) };

fn agreements() -> AgreementSet {
    let legal = |from, to| Grant {
        record_kinds: vec![RecordKind::Referral],
        alert_kinds: vec![],
        service_kinds: vec![ServiceKind::LegalAid],
        disclosure_level: None,
        ..grant(from, to)
    };
    let agreement = agreement_of(&[strasbourg(), kehl()], vec![legal(strasbourg(), kehl())]);
    AgreementSet::new([held(1, agreement)])
}

fn opened() -> ShareUse {
    ShareUse::unasked(kehl(), Purpose::Assistance, ShareScope::ReferralLegal, UnixMs(NOW.0 + 60_000))
}

fn ask(shared: Shared<'_>, change: impl FnOnce(&mut ShareQuestion<'_>)) -> Result<Clause, Reason> {
    ask_in(&view(), shared, change)
}

fn ask_in(
    view: &DirectoryView,
    shared: Shared<'_>,
    change: impl FnOnce(&mut ShareQuestion<'_>),
) -> Result<Clause, Reason> {
    let set = agreements();
    let (from, to) = (strasbourg(), kehl());
    let mut question = ShareQuestion {
        from: &from,
        to: &to,
        facet: Facet::Referral((ReferralForm::Asked, Some(ServiceKind::LegalAid))),
        target: None,
        purpose: Purpose::Assistance,
        usage: Usage::View,
        handling: Handling { tlp: Tlp::AmberStrict, pap: Pap::Amber },
        shared,
        created: NOW,
        side: Side::Sender,
        grant: None,
        agreements: &set,
        view,
        now: NOW,
    };
    change(&mut question);
    may_share(&question).map(|permit| permit.clause())
}

#[test]
fn a_referral_leaves_with_an_agreement_between_authorities_and_one_of_the_person() {
    let opened = opened();
    assert_eq!(ask(Shared::Opened(&opened), |_| {}), Ok(Clause::GrantInForce));
    let no = Err(Reason::NoAgreementToShare);
    assert_eq!(ask(Shared::Nothing, |_| {}), no);
    assert_eq!(ask(Shared::Travels(&UNDER), |_| {}), no, "what travels with a record opens nothing at its origin");
    assert_eq!(ask(Shared::Opened(&opened), |q| q.purpose = Purpose::Protection), no);
    assert_eq!(ask(Shared::Opened(&opened), |q| q.now = UnixMs(NOW.0 + 60_000)), no);
    let shelter = Facet::Referral((ReferralForm::Asked, Some(ServiceKind::LongTermRefuge)));
    assert_eq!(ask(Shared::Opened(&opened), |q| q.facet = shelter), no, "another scope");
    let other = ShareUse::unasked(esch(), Purpose::Assistance, ShareScope::ReferralLegal, UnixMs::NEVER);
    assert_eq!(ask(Shared::Opened(&other), |_| {}), no, "another recipient");
    let medical = ShareUse::unasked(kehl(), Purpose::Assistance, ShareScope::ReferralMedical, UnixMs::NEVER);
    let facet = Facet::Referral((ReferralForm::Asked, Some(ServiceKind::Medical)));
    assert_eq!(ask(Shared::Opened(&medical), |q| q.facet = facet), Err(Reason::AgreementNotInForce), "no grant");
}

#[test]
fn who_was_removed_and_is_admitted_again_gets_nothing_of_before() {
    let (opened, made) = (opened(), NOW - Millis::minutes(25));
    // It may have been made up to ten minutes after the time that it carries.
    let since = |admitted| {
        let admitted = [(kehl(), admitted)].into_iter().collect();
        let view = DirectoryView { admitted, ..view() };
        ask_in(&view, Shared::Opened(&opened), |q| q.created = made)
    };
    assert_eq!(since(NOW), Err(Reason::MemberRemoved));
    assert_eq!(since(made + Millis::minutes(10)), Err(Reason::MemberRemoved));
    assert_eq!(since(made + Millis::minutes(9)), Ok(Clause::GrantInForce));
    assert_eq!(since(made - Millis::days(9)), Ok(Clause::GrantInForce));
}

#[test]
fn its_recipient_takes_it_under_what_travels_with_it() {
    let grant = Some(GrantRef { agreement: agreements().all().next().unwrap().id, number: 0 });
    let receive =
        |shared: Shared<'_>, now: UnixMs| ask(shared, |q| (q.side, q.grant, q.now) = (Side::Receiver, grant, now));
    assert_eq!(receive(Shared::Travels(&UNDER), NOW), Ok(Clause::GrantInForce));
    let no = Err(Reason::NoAgreementToShare);
    assert_eq!(receive(Shared::Nothing, NOW), no);
    assert_eq!(receive(Shared::Opened(&opened()), NOW), no);
    let medical = SharedUnder { scope: ShareScope::ReferralMedical, ..UNDER };
    assert_eq!(receive(Shared::Travels(&medical), NOW), no, "a scope that is not the service's");
    let over = SharedUnder { erase_by: NOW, ..UNDER };
    assert_eq!(receive(Shared::Travels(&over), NOW), no, "to be erased by now");
}

#[test]
fn an_answer_goes_back_to_whom_she_agreed_with_and_nothing_passes_by_a_stale_register() {
    let target = Some(GrantRef { agreement: agreements().all().next().unwrap().id, number: 0 });
    let (from, to) = (kehl(), strasbourg());
    let set = agreements();
    let mut view = view();
    let facet = Facet::Referral(Referral::Accepted.facet());
    let answer = |view: &DirectoryView| {
        may_share(&ShareQuestion {
            from: &from,
            to: &to,
            facet,
            target,
            purpose: Purpose::Assistance,
            usage: Usage::View,
            handling: Handling { tlp: Tlp::AmberStrict, pap: Pap::Amber },
            shared: Shared::Nothing,
            created: NOW,
            side: Side::Sender,
            grant: None,
            agreements: &set,
            view,
            now: NOW,
        })
        .map(|permit| permit.clause())
    };
    assert_eq!(answer(&view), Ok(Clause::AnswerUnderGrantOfTarget));
    view.majority_beat = None;
    assert_eq!(answer(&view), Err(Reason::RegisterNotFresh));
}
