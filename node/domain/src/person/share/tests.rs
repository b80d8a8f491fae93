//! Each rule by itself, and random lives compared with a model that knows nothing of the code.

use proptest::prelude::*;

use super::*;
use crate::actor::ActorRole;
use crate::authority::ParticipantKind;
use crate::handling::{LawfulBasis, SpecialBasis};
use crate::ids::Digest;
use crate::text::{Language, TranslationProvenance};
use crate::time::Millis;

const NOW: UnixMs = UnixMs(1_700_000_000_000);
const DAY: Millis = Millis::days(1);

fn actor(code: u8) -> Actor {
    Actor { role: ActorRole::Coordinator, code: Some([code; 16]) }
}

fn authority(id: &str) -> AuthorityId {
    AuthorityId::parse(id).unwrap()
}

fn scope(scope: ShareScope) -> ScopeTerms {
    ScopeTerms {
        scope,
        purposes: vec![Purpose::Assistance],
        recipients: vec![authority("de-kehl")],
        countries: vec![Country::parse("de").unwrap(), Country::parse("fr").unwrap()],
        expires: NOW + Millis::days(90),
        erase_by: NOW + Millis::days(120),
        uses: 3,
    }
}

fn terms(scopes: &[ShareScope]) -> Terms {
    Terms {
        notice: Notice {
            version: "notice 3".into(),
            hash: Digest::of(b"notice"),
            language: Language::parse("ro").unwrap(),
            provenance: TranslationProvenance::Human,
        },
        scopes: scopes.iter().copied().map(scope).collect(),
        exclusions: Exclusions::default(),
        lawful_basis: LawfulBasis::PublicTask,
        special_basis: SpecialBasis::HealthOrSocialCare,
        provision: "CASF L116-1".into(),
        reconfirm_by: NOW + Millis::days(180),
    }
}

fn shelter() -> Terms {
    terms(&[ShareScope::ReferralShelter])
}

fn adult() -> Subject {
    Subject { age: AgeAssessment::Adult, child: None }
}

fn child() -> Subject {
    let child = ChildTerms {
        best_interests: "BIA-12".into(),
        views: ChildViews::Heard,
        unaccompanied: false,
        both_officers_agreed: false,
    };
    Subject { age: AgeAssessment::Child, child: Some(child) }
}

fn freely() -> Circumstances {
    Circumstances {
        mode: NoticeMode::Interpreted,
        interpreter: Interpreter::Independent,
        setting: ShareSetting::Shelter,
        exploiter_excluded: true,
        called_back_alone_with_code_word: false,
        duress: false,
    }
}

fn vital() -> Terms {
    let mut terms = shelter();
    terms.lawful_basis = LawfulBasis::VitalInterests;
    terms.special_basis = SpecialBasis::VitalInterests;
    terms.scopes[0].expires = NOW + Millis::hours(72);
    terms.scopes[0].erase_by = NOW + Millis::days(30);
    terms
}

const BY_VITAL: Decider = Decider::VitalInterest {
    incapacity: Incapacity::Physical,
    by: Actor { role: ActorRole::Coordinator, code: Some([1; 16]) },
};

fn given(terms: Terms, how: &Circumstances) -> AgreementToShare {
    let mut share = AgreementToShare::requested(terms, adult(), actor(1), NOW);
    share.give(Decider::Person, Some(how), false, actor(1), NOW).unwrap();
    share
}

fn asks(recipient: &AuthorityId, now: UnixMs) -> UseQuestion<'_> {
    let (scope, purpose) = (ShareScope::ReferralShelter, Purpose::Assistance);
    UseQuestion { scope, purpose, recipient, host: None, silent: false, now }
}

fn opens(share: &AgreementToShare, now: UnixMs) -> bool {
    share.opens(&asks(&authority("de-kehl"), now)).is_ok()
}

#[test]
fn who_has_not_answered_a_withdrawal_gets_nothing_whatever_she_agreed_to() {
    let (share, kehl) = (given(shelter(), &freely()), authority("de-kehl"));
    let ask = asks(&kehl, NOW);
    assert_eq!(share.opens(&ask).unwrap().check_silence(), Ok(()));
    let silent = UseQuestion { silent: true, ..ask };
    for opened in [share.opens(&silent), share.opens_again(&silent)] {
        assert_eq!(opened.unwrap().check_silence(), Err(Reason::ErasureOverdue));
    }
}

#[test]
fn terms_of_an_honest_case_hold_together() {
    terms(ShareScope::ALL).check(ParticipantKind::LocalAuthority, NOW).unwrap();
    vital().check(ParticipantKind::LocalAuthority, NOW).unwrap();
}

#[test]
fn what_is_endless_unknown_or_open_is_refused() {
    type Change = fn(&mut Terms);
    let changes: [(&str, Change); 16] = [
        ("scopes", |t| t.scopes.clear()),
        ("scopes[1].scope", |t| t.scopes.push(t.scopes[0].clone())),
        ("scopes[0].purposes", |t| t.scopes[0].purposes.clear()),
        ("scopes[0].recipients", |t| t.scopes[0].recipients.clear()),
        ("scopes[0].countries", |t| t.scopes[0].countries.clear()),
        ("scopes[0].recipients[0]", |t| t.scopes[0].countries = vec![Country::parse("lu").unwrap()]),
        ("scopes[0].recipients[0]", |t| t.exclusions.recipients = vec![authority("de-kehl")]),
        ("scopes[0].recipients[0]", |t| t.exclusions.countries = vec![Country::parse("de").unwrap()]),
        ("scopes[0].expires_ms", |t| t.scopes[0].expires = NOW + Millis::days(366)),
        ("scopes[0].expires_ms", |t| t.scopes[0].expires = NOW),
        ("scopes[0].erase_by_ms", |t| t.scopes[0].erase_by = t.scopes[0].expires + Millis::days(31)),
        ("scopes[0].erase_by_ms", |t| t.scopes[0].erase_by = t.scopes[0].expires - Millis(1)),
        ("scopes[0].uses", |t| t.scopes[0].uses = 0),
        ("reconfirm_by_ms", |t| t.reconfirm_by = UnixMs::NEVER),
        ("notice.provenance", |t| t.notice.provenance = TranslationProvenance::Machine),
        ("special_basis", |t| t.special_basis = SpecialBasis::None),
    ];
    for (field, change) in changes {
        let mut changed = shelter();
        change(&mut changed);
        assert_eq!(changed.check(ParticipantKind::MandatedNgo, NOW).unwrap_err().field, field);
    }
}

#[test]
fn agreement_is_never_the_basis_of_a_public_authority() {
    for (kind, allowed) in [
        (ParticipantKind::LocalAuthority, false),
        (ParticipantKind::PoliceLiaison, false),
        (ParticipantKind::SupervisoryAuthority, false),
        (ParticipantKind::MandatedNgo, true),
        (ParticipantKind::TradeUnion, true),
    ] {
        let mut consent = shelter();
        consent.lawful_basis = LawfulBasis::Consent;
        assert_eq!(consent.check(kind, NOW).is_ok(), allowed, "{kind}");
        let mut explicit = shelter();
        explicit.special_basis = SpecialBasis::ExplicitConsent;
        assert_eq!(explicit.check(kind, NOW).is_ok(), allowed, "{kind}");
    }
    let mut nothing = shelter();
    nothing.lawful_basis = LawfulBasis::NoPersonalData;
    assert_eq!(nothing.check(ParticipantKind::MandatedNgo, NOW).unwrap_err().field, "lawful_basis");
}

#[test]
fn free_or_not_given() {
    type Change = fn(&mut Circumstances);
    let cases: [(Change, Result<Freedom, Reason>); 10] = [
        (|_| (), Ok(Freedom::Free)),
        (|c| c.exploiter_excluded = false, Err(Reason::SharingNotFree)),
        (|c| c.interpreter = Interpreter::Companion, Err(Reason::SharingNotFree)),
        (|c| c.interpreter = Interpreter::None, Err(Reason::SharingNotFree)),
        (|c| c.interpreter = Interpreter::IndependenceUnknown, Ok(Freedom::Provisional)),
        (|c| c.setting = ShareSetting::PolicePremises, Ok(Freedom::Provisional)),
        (|c| c.setting = ShareSetting::Detention, Ok(Freedom::Provisional)),
        (|c| c.setting = ShareSetting::Remote, Err(Reason::SharingNotFree)),
        (|c| (c.setting, c.called_back_alone_with_code_word) = (ShareSetting::Remote, true), Ok(Freedom::Provisional)),
        (|c| (c.mode, c.interpreter) = (NoticeMode::Read, Interpreter::None), Ok(Freedom::Free)),
    ];
    for (i, (change, expected)) in cases.into_iter().enumerate() {
        let mut how = freely();
        change(&mut how);
        assert_eq!(how.freedom(), expected, "{i}");
    }
}

#[test]
fn what_was_given_among_others_is_for_help_and_48_hours() {
    let mut how = freely();
    how.setting = ShareSetting::Detention;
    let wide = terms(&[ShareScope::ReferralShelter, ShareScope::LiaisonPolice]);
    let mut asked = AgreementToShare::requested(wide, adult(), actor(1), NOW);
    assert_eq!(asked.give(Decider::Person, Some(&how), false, actor(1), NOW), Err(Reason::SharingNotFree));
    assert_eq!(asked.standing(NOW), ShareStanding::Requested);

    let mut share = given(shelter(), &how);
    let end = NOW + Millis::hours(48);
    assert!(opens(&share, end - Millis(1)) && !opens(&share, end));
    assert_eq!(share.standing(end), ShareStanding::ToBeConfirmed);
    // Confirming it in the same place confirms nothing.
    let later = end + DAY;
    assert_eq!(share.renew(Decider::Person, &how, later + DAY, actor(1), later), Err(Reason::SharingNotFree));
    assert_eq!(share.renew(Decider::Person, &freely(), UnixMs::NEVER, actor(1), later), Err(Reason::FieldInvalid));
    share.renew(Decider::Person, &freely(), later + DAY, actor(1), later).unwrap();
    assert!(opens(&share, later) && !opens(&share, later + DAY));
}

#[test]
fn a_duress_word_looks_like_success_and_shares_nothing() {
    let duress = Circumstances { duress: true, ..freely() };
    let (share, honest) = (given(shelter(), &duress), given(shelter(), &freely()));
    assert_eq!((share.standing(NOW), &share.events), (honest.standing(NOW), &honest.events));
    assert!(opens(&honest, NOW) && !opens(&share, NOW));
}

#[test]
fn who_decides_for_whom() {
    let guardian = |independent, conflict| Decider::Guardian {
        independent_of_migration_authorities: independent,
        in_conflict: conflict,
    };
    let (mut alone, mut uncertain) = (child(), child());
    alone.child.as_mut().unwrap().unaccompanied = true;
    uncertain.age = AgeAssessment::UncertainTreatedAsChild;
    for (who, decider, allowed) in [
        (adult(), Decider::Person, true),
        (adult(), guardian(true, false), false),
        (adult(), Decider::ChildProtection, false),
        (child(), Decider::Person, false),
        (child(), guardian(false, false), true),
        (child(), guardian(true, true), false),
        (child(), Decider::ChildProtection, true),
        (uncertain.clone(), Decider::Person, false),
        (uncertain, guardian(false, false), true),
        (alone.clone(), guardian(false, false), false),
        (alone.clone(), guardian(true, false), true),
        (alone.clone(), guardian(true, true), false),
        (alone, Decider::ChildProtection, true),
    ] {
        let expected = if allowed { Ok(()) } else { Err(Reason::DeciderNotAllowed) };
        assert_eq!(check_decider(decider, &who, &shelter(), false, NOW), expected, "{decider:?} for {who:?}");
    }
}

#[test]
fn a_child_is_known_for_one_and_searched_for_by_two_officers() {
    let shared = |scopes: &[ShareScope], officers| {
        let mut subject = child();
        subject.child.as_mut().unwrap().both_officers_agreed = officers;
        subject.check(&terms(scopes)).map_err(|fault| fault.field)
    };
    assert_eq!(shared(&[ShareScope::ReferralShelter], false), Ok(()));
    for scope in [ShareScope::MatchPerson, ShareScope::LiaisonPolice] {
        assert_eq!(shared(&[scope], false), Err("subject.child.both_officers_agreed".into()));
        assert_eq!(shared(&[scope], true), Ok(()));
    }
    let unknown = Subject { age: AgeAssessment::UncertainTreatedAsChild, child: None };
    assert_eq!(unknown.check(&shelter()).unwrap_err().field, "subject.child");
    let both = Subject { age: AgeAssessment::Adult, ..child() };
    assert_eq!(both.check(&shelter()).unwrap_err().field, "subject.child");
}

#[test]
fn vital_interests_never_over_a_no_and_only_for_shelter_and_medicine() {
    let decide = |terms: &Terms, prior| check_decider(BY_VITAL, &adult(), terms, prior, NOW);
    assert_eq!(decide(&vital(), false), Ok(()));
    assert_eq!(decide(&vital(), true), Err(Reason::DeciderNotAllowed));
    assert_eq!(decide(&shelter(), false), Err(Reason::DeciderNotAllowed));
    let mut longer = vital();
    longer.scopes[0].expires = NOW + Millis::hours(72) + Millis(1);
    assert_eq!(decide(&longer, false), Err(Reason::DeciderNotAllowed));
    let mut legal = vital();
    legal.scopes[0].scope = ShareScope::ReferralLegal;
    assert_eq!(decide(&legal, false), Err(Reason::DeciderNotAllowed));
    // Its basis is for nobody else.
    assert_eq!(check_decider(Decider::Person, &adult(), &vital(), false, NOW), Err(Reason::DeciderNotAllowed));
}

#[test]
fn an_emergency_has_a_second_approver_and_an_end() {
    let mut share = AgreementToShare::requested(vital(), adult(), actor(1), NOW);
    // Nobody asks the unconscious where they are; of anybody else it is known how it was given, or it was not.
    let mut unasked = AgreementToShare::requested(shelter(), adult(), actor(1), NOW);
    assert_eq!(unasked.give(Decider::Person, None, false, actor(1), NOW), Err(Reason::SharingNotFree));
    share.give(BY_VITAL, None, false, actor(1), NOW).unwrap();
    let day = NOW + Millis::hours(24);
    assert!(opens(&share, day - Millis(1)) && !opens(&share, day));
    assert_eq!(share.standing(day), ShareStanding::Restricted);

    let mut late = share.clone();
    assert_eq!(late.approve(actor(2), day), Err(Reason::SharingClosed));
    late.approve(Actor { role: ActorRole::DataProtection, code: Some([3; 16]) }, day).unwrap();
    assert!(opens(&late, day));

    assert_eq!(share.approve(actor(1), NOW), Err(Reason::DeciderNotAllowed));
    assert_eq!(share.approve(Actor::NODE, NOW), Err(Reason::DeciderNotAllowed));
    share.approve(actor(2), NOW).unwrap();
    let end = NOW + Millis::hours(72);
    assert!(opens(&share, end - Millis(1)) && !opens(&share, end));
    assert_eq!(share.standing(end), ShareStanding::Expired);
    let kehl = authority("de-kehl");
    assert!(share.opens(&asks(&kehl, NOW)).unwrap().expires() <= end);
    assert_eq!(share.renew(BY_VITAL, &freely(), NOW + DAY, actor(1), NOW), Err(Reason::SharingClosed));
    // What a person agreed to has nothing to approve.
    assert_eq!(given(shelter(), &freely()).approve(actor(2), NOW), Err(Reason::SharingClosed));
}

#[test]
fn each_no_is_the_same_no() {
    let mut share = given(shelter(), &freely());
    share.terms.scopes[0].recipients.push(authority("fr-strasbourg"));
    share.terms.exclusions.recipients = vec![authority("de-stuttgart")];
    let (kehl, excluded, other) = (authority("de-kehl"), authority("de-stuttgart"), authority("lu-esch"));
    let ask = asks(&kehl, NOW);
    assert!(share.opens(&ask).is_ok());
    assert!(share.opens(&UseQuestion { host: Some(&authority("fr-strasbourg")), ..ask }).is_ok());
    for no in [
        UseQuestion { recipient: &excluded, ..ask },
        UseQuestion { recipient: &other, ..ask },
        UseQuestion { host: Some(&excluded), ..ask },
        UseQuestion { host: Some(&other), ..ask },
        UseQuestion { purpose: Purpose::Statistics, ..ask },
        UseQuestion { scope: ShareScope::LiaisonPolice, ..ask },
        UseQuestion { now: NOW + Millis::days(90), ..ask },
    ] {
        assert_eq!(share.opens(&no), Err(Reason::NoAgreementToShare), "{no:?}");
    }
    for _ in 0..3 {
        let once = share.opens(&ask).unwrap();
        share.spend(&once);
    }
    assert_eq!(share.opens(&ask), Err(Reason::NoAgreementToShare));
    assert!(!format!("{share:?}").contains("stuttgart"));
}

#[test]
fn who_said_no_is_remembered_and_nothing_is_answered_twice() {
    let mut refused = AgreementToShare::requested(shelter(), adult(), actor(1), NOW);
    assert!(!refused.was_refused_or_withdrawn());
    refused.refuse(actor(1), NOW).unwrap();
    assert!(refused.was_refused_or_withdrawn());
    assert_eq!(refused.refuse(actor(1), NOW), Err(Reason::SharingClosed));
    assert_eq!(refused.give(Decider::Person, Some(&freely()), false, actor(1), NOW), Err(Reason::SharingClosed));
    let mut withdrawn = given(shelter(), &freely());
    assert!(withdrawn.withdraw(actor(9), NOW) && !withdrawn.withdraw(actor(9), NOW));
    assert!(withdrawn.was_refused_or_withdrawn());
}

/// What may happen to one, with hours between.
#[derive(Clone, Copy, Debug)]
enum Step {
    Give { free: u8, duress: bool },
    Renew { free: u8, days: i64 },
    Refuse,
    Withdraw,
    Use,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let step = prop_oneof![
        4 => (0_u8..3, proptest::bool::weighted(0.1)).prop_map(|(free, duress)| Step::Give { free, duress }),
        2 => (0_u8..3, 1_i64..60).prop_map(|(free, days)| Step::Renew { free, days }),
        1 => Just(Step::Refuse),
        1 => Just(Step::Withdraw),
        5 => Just(Step::Use),
    ];
    proptest::collection::vec((0_i64..72, step), 1..14)
}

/// What holds, said in the words of the chapter and with a list of facts instead of a state.
#[derive(Default)]
struct Model {
    answered: bool,
    ended: bool,
    duress: bool,
    closes: Option<UnixMs>,
    reconfirm_by: Option<UnixMs>,
    used: u32,
}

const HOW: [fn(Circumstances) -> Circumstances; 3] = [
    |how| how,
    |how| Circumstances { setting: ShareSetting::PolicePremises, ..how },
    |how| Circumstances { exploiter_excluded: false, ..how },
];

impl Model {
    fn open(&self, now: UnixMs) -> bool {
        self.answered
            && !self.ended
            && !self.duress
            && now < NOW + Millis::days(90)
            && self.closes.is_none_or(|closes| now < closes)
            && self.reconfirm_by.is_none_or(|by| now < by)
            && self.used < 3
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_random_life_opens_what_the_model_opens(steps in steps()) {
        let kehl = authority("de-kehl");
        let mut share = AgreementToShare::requested(shelter(), adult(), actor(1), NOW);
        let mut model = Model { reconfirm_by: Some(NOW + Millis::days(180)), ..Model::default() };
        let (mut now, mut withdrawn) = (NOW, false);
        for (hours, step) in steps {
            now = now + Millis::hours(hours);
            match step {
                Step::Give { free, duress } => {
                    let how = Circumstances { duress, ..HOW[usize::from(free)](freely()) };
                    let done = share.give(Decider::Person, Some(&how), false, actor(1), now).is_ok();
                    let expected = !model.answered && !model.ended && free < 2;
                    prop_assert_eq!(done, expected);
                    if done {
                        (model.answered, model.duress) = (true, duress);
                        model.closes = (free == 1).then(|| now + Millis::hours(48));
                    }
                }
                Step::Renew { free, days } => {
                    let how = HOW[usize::from(free)](freely());
                    let done = share.renew(Decider::Person, &how, now + Millis::days(days), actor(1), now).is_ok();
                    let alive = model.answered && !model.ended && now < NOW + Millis::days(90);
                    prop_assert_eq!(done, alive && free == 0);
                    if done {
                        (model.closes, model.reconfirm_by) = (None, Some(now + Millis::days(days)));
                    }
                }
                Step::Refuse => {
                    let done = share.refuse(actor(1), now).is_ok();
                    prop_assert_eq!(done, !model.answered && !model.ended);
                    model.ended |= done;
                }
                Step::Withdraw => {
                    prop_assert_eq!(share.withdraw(actor(1), now), !withdrawn);
                    (withdrawn, model.ended) = (true, true);
                }
                Step::Use => {
                    let answer = share.opens(&asks(&kehl, now));
                    prop_assert_eq!(answer.is_ok(), model.open(now), "{:?}", share.events);
                    if let Ok(once) = answer {
                        prop_assert!(once.expires() > now && once.erase_by() >= once.expires());
                        share.spend(&once);
                        model.used += 1;
                    }
                }
            }
            prop_assert_eq!(opens(&share, now), model.open(now), "{:?}", share.events);
            if withdrawn {
                prop_assert!(!opens(&share, now) && share.standing(now) == ShareStanding::Ended(ShareEventKind::Withdrawn));
            }
        }
    }
}
