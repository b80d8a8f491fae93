//! The product's own functions, asked about a world of the model: values are translated, and nothing is decided here.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use havenlink_domain as domain;
use havenlink_model::persons::*;
use havenlink_wire as wire;

use domain::actor::{Actor, ActorRole};
use domain::agreement::set::AgreementSet;
use domain::agreement::{self as agreed, AgreementEnd, AgreementEndReason, HeldAgreement, TransferBasis};
use domain::authority::ParticipantKind;
use domain::delivery::skip_before_sending;
use domain::directory::{ConfirmedTime, DirectoryView};
use domain::envelope::{Envelope, GrantRef};
use domain::handling::{self, Handling, LawfulBasis, Pap, RecordStatus, SpecialBasis};
use domain::ids::{AgreementId, AuthorityId, Digest, PublicationId, RecordId};
use domain::light::Clocks;
use domain::person::SubjectRef;
use domain::person::share::{
    self as shares, AgreementToShare, ChildTerms, ChildViews, Exclusions, Incapacity, NoticeMode, ShareUse,
    SharedUnder, Subject, Terms, UseQuestion,
};
use domain::policy::{KeptRecord, ReadPurpose, ShareQuestion, Shared, Side, may_read, may_share};
use domain::record::StreamClass;
use domain::records::offer::ServiceKind;
use domain::records::referral::{self, Referral, Sought};
use domain::records::{Content, RecordBody, RecordKind};
use domain::sharing::{check_marking, keep_until};
use domain::stream::StreamId;
use domain::text::{Language, TranslationProvenance};
use domain::time::{Millis, UnixMs};
use wire::keys::SigningKey;

use super::world::{HOST, ORIGIN, OTHER_HOST, RECIPIENT, World};

/// The key of every authority: what is compared is no question of keys.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let pkcs8 = SigningKey::generate().expect("the system gives randomness");
    SigningKey::from_pkcs8(&pkcs8).expect("a key just made")
});

const FEDERATION: domain::ids::FederationId = domain::ids::FederationId([9; 32]);
const REFERENCE: [u8; 16] = [5; 16];

/// How a record left.
#[derive(Debug)]
pub struct Left {
    /// Agreement and grant.
    pub under: (usize, usize),
    pub ends: At,
    /// As it travels.
    pub erase_by: At,
}

/// An agreement to share, as the product has it.
pub struct Product {
    share: AgreementToShare,
    used: Option<ShareUse>,
}

impl Product {
    /// `None`: it is not given.
    pub fn given(world: &World, share: &Share, (at, decider, how): (At, Decider, Circumstances)) -> Option<Self> {
        let (terms, subject) = (terms(world, share, decider), subject(share));
        terms.check(ParticipantKind::LocalAuthority, UnixMs(at)).ok()?;
        subject.check(&terms).ok()?;
        let prior = world.case.iter().any(|case| said_no(&terms, &subject, case));
        let mut share = AgreementToShare::requested(terms, subject, actor(1, false), UnixMs(at));
        // Who decides for somebody who cannot speak is not asked how she agreed.
        let how = Some(circumstances(how)).filter(|_| !matches!(decider, Decider::Vital { .. }));
        share.give(decider_of(decider), how.as_ref(), prior, actor(1, false), UnixMs(at)).ok()?;
        Some(Self { share, used: None })
    }

    pub fn confirmed(&mut self, decider: Decider, how: Circumstances, by: At, at: At) -> bool {
        let (decider, how) = (decider_of(decider), circumstances(how));
        self.share.renew(decider, &how, UnixMs(by), actor(3, false), UnixMs(at)).is_ok()
    }

    pub fn approved(&mut self, by: u8, officer: bool, at: At) -> bool {
        self.share.approve(actor(by, officer), UnixMs(at)).is_ok()
    }

    pub fn withdrawn(&mut self, at: At) {
        self.share.withdraw(actor(4, false), UnixMs(at));
    }

    /// As often as this before.
    pub fn used(&mut self, used: u32) {
        self.share.used[0] = used;
    }

    /// One more: what has left.
    pub fn spent(&mut self) {
        if let Some(used) = self.used.take() {
            self.share.spend(&used);
        }
    }

    /// One attempt: the first finds a grant, a later one is made under the same.
    pub fn leaves(&mut self, node: &Node, record: &Record, under: Option<(usize, usize)>) -> Option<Left> {
        let now = closing(node);
        let (from, to) = (name(node, record.origin), name(node, record.recipient));
        let host = node.register[record.recipient].host.map(|host| name(node, host));
        let (scope, purpose) = (referral::scope_of(service_of(record.service)), purpose_of(record.purpose));
        let question = UseQuestion { scope, purpose, recipient: &to, host: host.as_ref(), silent: false, now };
        let again = under.is_some();
        let opened = if again { self.share.opens_again(&question) } else { self.share.opens(&question) }.ok()?;
        let ends = record.expires.min(opened.expires().0);
        if skip_before_sending(UnixMs(record.expires), now).is_some() {
            return None;
        }
        let facet = content(record).facet();
        check_marking(tlp_of(record.tlp), facet).ok()?;
        let permit = may_share(&ShareQuestion {
            from: &from,
            to: &to,
            facet,
            target: None,
            purpose,
            usage: agreed::Usage::View,
            handling: Handling { tlp: tlp_of(record.tlp), pap: Pap::Amber },
            shared: Shared::Opened(&opened),
            created: UnixMs(record.created),
            side: Side::Sender,
            grant: under.map(reference),
            agreements: &agreements(node),
            view: &view(node),
            now,
        });
        let grant = permit.ok()?.grant()?;
        let travels = opened.under(REFERENCE, UnixMs(ends), now);
        self.used = Some(opened);
        let under = (usize::from(grant.agreement.0[0]) - 1, usize::try_from(grant.number).unwrap_or(usize::MAX));
        Some(Left { under, ends, erase_by: travels.erase_by.0 })
    }
}

/// What a record asks of an agreement to share, in the words of the model.
pub fn asked(record: &Record) -> (Scope, Purpose, Who) {
    (scope_of(record.service), record.purpose, record.recipient)
}

/// Whether what was sent is taken: opened from its signed bytes, and judged.
pub fn enters(node: &Node, sent: &Sent) -> bool {
    let record = &sent.record;
    let (view, agreements, now) = (view(node), agreements(node), UnixMs(node.wall));
    let sealed = wire::sealed::seal(&envelope(node, sent), &KEY);
    let stream =
        StreamId { origin: name(node, record.origin), recipient: name(node, node.own), class: StreamClass::Content };
    let Ok(opened) = wire::sealed::open(sealed.bytes, &stream, &FEDERATION, |_| Some(KEY.public())) else {
        return false;
    };
    let (envelope, RecordBody::Content(content)) = (opened.envelope, opened.body) else { return false };
    let permit = may_share(&ShareQuestion {
        from: &envelope.origin,
        to: &envelope.recipient,
        facet: content.facet(),
        target: None,
        purpose: envelope.purpose,
        usage: agreed::Usage::View,
        handling: envelope.handling,
        shared: envelope.shared_under.as_ref().map_or(Shared::Nothing, Shared::Travels),
        created: envelope.created,
        side: Side::Receiver,
        grant: envelope.grant,
        agreements: &agreements,
        view: &view,
        now,
    });
    envelope.timely(now).is_ok() && permit.is_ok()
}

pub fn reads(kept: &Kept, reader: Reader, aim: Aim, now: At) -> bool {
    let (kind, expires) = (RecordKind::Referral, UnixMs(kept.expires));
    let keep = keep_until(expires, UnixMs(kept.since), Some(Millis(kept.retention)));
    let record = if kept.own {
        KeptRecord::own(kind, expires, Bytes::new())
    } else {
        KeptRecord::received(kind, expires, keep, agreed::Usage::Store, Bytes::new())
    };
    may_read(&record, role_of(reader), purpose_of_reading(aim), UnixMs(now)).is_ok()
}

fn envelope(node: &Node, sent: &Sent) -> Envelope {
    let record = &sent.record;
    let under =
        |(scope, erase_by)| SharedUnder { reference: REFERENCE, scope: share_scope(scope), erase_by: UnixMs(erase_by) };
    let special = if record.special { SpecialBasis::HealthOrSocialCare } else { SpecialBasis::None };
    Envelope {
        federation: FEDERATION,
        origin: name(node, record.origin),
        recipient: name(node, record.recipient),
        publication_id: PublicationId([1; 16]),
        record_id: RecordId([2; 16]),
        kind: RecordKind::Referral,
        purpose: purpose_of(record.purpose),
        lawful_basis: LawfulBasis::PublicTask,
        special_basis: special,
        grant: Some(reference((sent.agreement, sent.grant))),
        shared_under: sent.under.map(under),
        handling: Handling { tlp: tlp_of(record.tlp), pap: Pap::Amber },
        status: RecordStatus::Exercise,
        created: UnixMs(record.created),
        expires: UnixMs(record.expires),
        review_by: UnixMs(record.created.min(record.expires)),
        references: vec![],
        body: wire::records::encode(&content(record)),
    }
}

fn content(record: &Record) -> Content {
    let sought = Sought {
        service: service_of(record.service),
        urgency: referral::ReferralUrgency::Tonight,
        household: referral::HouseholdShape::OneAdult,
        age_band: referral::AgeBand::NotSaid,
        needs: vec![],
        languages: vec![],
    };
    let subject = SubjectRef::from_slice(&[7; 16]).expect("16 bytes");
    match record.form {
        Form::Query => Referral::Query(sought).into(),
        Form::Asked => {
            Referral::Asked(referral::Asked { subject, sought, callback_phone: "+493023125014".into() }).into()
        }
    }
}

/// The time that closes, by what the node's clocks and beats say.
fn closing(node: &Node) -> UnixMs {
    let monotonic = std::time::Duration::from_secs(100_000_000);
    view(node).closing_time(Clocks { monotonic, wall: UnixMs(node.wall) }, UnixMs(node.stored))
}

fn view(node: &Node) -> DirectoryView {
    let monotonic = std::time::Duration::from_secs(100_000_000);
    let passed = std::time::Duration::from_millis(u64::try_from(node.heard_ago).unwrap_or(0));
    let mut view = DirectoryView { federation: FEDERATION, ..DirectoryView::default() };
    view.majority_beat = node.beat.map(UnixMs);
    view.confirmed =
        node.beat.map(|beat| ConfirmedTime { beat: UnixMs(beat), heard: monotonic.saturating_sub(passed) });
    for (who, known) in node.register.iter().enumerate() {
        let id = name(node, who);
        if let Some(seen) = known.emergency {
            view.overlay.insert(id.clone(), UnixMs(seen) + view.policy.emergency);
        }
        let mut member = domain::samples::member(id.clone(), 1);
        member.entry.hosted_by = known.host.map(|host| name(node, host));
        match known.standing {
            Membership::Active => {}
            Membership::Suspended => member.suspended_until = Some(UnixMs::NEVER),
            Membership::Removed => member.removed_at = Some(UnixMs(0)),
            Membership::Unknown => continue,
        }
        view.members.insert(id, Arc::new(member));
    }
    view
}

fn agreements(node: &Node) -> AgreementSet {
    AgreementSet::new(node.agreements.iter().enumerate().map(|(place, short)| held(node, place, short)))
}

fn held(node: &Node, place: usize, short: &Agreement) -> HeldAgreement {
    let id = reference((place, 0)).agreement;
    let transfer = |transfer: &Transfer| agreed::Transfer {
        country: domain::country::Country::parse(letters(transfer.country)).expect("two letters"),
        basis: TransferBasis::Adequacy,
        until: UnixMs(transfer.until),
        document: Digest([0; 32]),
    };
    let party = |party: &Party| agreed::Party {
        authority: name(node, party.who),
        corridor_roles: vec![],
        transfers: party.transfers.iter().map(transfer).collect(),
    };
    let agreement = agreed::Agreement {
        federation: FEDERATION,
        parties: short.parties.iter().map(party).collect(),
        grants: short.grants.iter().map(|short| grant(node, short)).collect(),
        created: UnixMs(0),
        review_by: UnixMs::NEVER,
        nonce: [0; 16],
        proposer: name(node, ORIGIN),
    };
    let complete = short.parties.iter().all(|party| short.signed.contains(&party.who));
    let reason = AgreementEndReason::Breach;
    let end = |(by, at): &(Who, At)| AgreementEnd { agreement: id, by: name(node, *by), at: UnixMs(*at), reason };
    let ends = short.ends.iter().map(end).collect();
    HeldAgreement { id, agreement: Arc::new(agreement), complete, ends, unconfirmed: short.unconfirmed }
}

fn grant(node: &Node, short: &Grant) -> agreed::Grant {
    agreed::Grant {
        from: name(node, short.from),
        to: name(node, short.to),
        record_kinds: vec![if short.referrals { RecordKind::Referral } else { RecordKind::Practice }],
        alert_kinds: vec![],
        service_kinds: short.services.iter().copied().map(service_of).collect(),
        purposes: short.purposes.iter().copied().map(purpose_of).collect(),
        usage: match short.usage {
            Usage::Query => agreed::Usage::Query,
            Usage::View => agreed::Usage::View,
            Usage::Store => agreed::Usage::Store,
        },
        highest_tlp: tlp_of(short.highest),
        disclosure_level: None,
        retention: Millis(short.retention),
        valid_from: UnixMs(short.valid_from),
        valid_until: UnixMs(short.until),
    }
}

fn terms(world: &World, share: &Share, decider: Decider) -> Terms {
    let node = &world.origin;
    let names = |all: &[Who]| all.iter().map(|who| name(node, *who)).collect::<Vec<_>>();
    let countries = |all: &[Country]| {
        all.iter().map(|country| shares::Country::parse(letters(*country)).expect("two letters")).collect::<Vec<_>>()
    };
    let scope = |short: &ScopeTerms| shares::ScopeTerms {
        scope: share_scope(short.scope),
        purposes: short.purposes.iter().copied().map(purpose_of).collect(),
        recipients: names(&short.recipients),
        countries: countries(&short.countries),
        expires: UnixMs(short.expires),
        erase_by: UnixMs(short.erase_by),
        uses: short.uses,
    };
    let vital = matches!(decider, Decider::Vital { .. });
    let lawful_basis = match (share.consent, vital) {
        (true, _) => LawfulBasis::Consent,
        (false, true) => LawfulBasis::VitalInterests,
        (false, false) => LawfulBasis::PublicTask,
    };
    let special_basis = match (share.special, vital) {
        (false, _) => SpecialBasis::None,
        (true, true) => SpecialBasis::VitalInterests,
        (true, false) => SpecialBasis::HealthOrSocialCare,
    };
    Terms {
        notice: shares::Notice {
            version: "notice 3".into(),
            hash: Digest([0; 32]),
            language: Language::parse("ro").expect("a language"),
            provenance: TranslationProvenance::Human,
        },
        scopes: share.scopes.iter().map(scope).collect(),
        exclusions: Exclusions { recipients: names(&share.excluded), countries: countries(&share.excluded_countries) },
        lawful_basis,
        special_basis,
        provision: "CASF L116-1".into(),
        reconfirm_by: UnixMs(share.reconfirm_by),
    }
}

fn subject(share: &Share) -> Subject {
    let child = |minor: &Minor| ChildTerms {
        best_interests: if minor.best_interests { "BIA-12".into() } else { String::new() },
        views: ChildViews::Heard,
        unaccompanied: minor.unaccompanied,
        both_officers_agreed: minor.both_officers,
    };
    let age = match share.age {
        Age::Adult => shares::AgeAssessment::Adult,
        Age::Child => shares::AgeAssessment::Child,
        Age::Uncertain => shares::AgeAssessment::UncertainTreatedAsChild,
    };
    Subject { age, child: share.minor.as_ref().map(child) }
}

/// Whether the product takes an earlier agreement to share of the case for a no.
fn said_no(terms: &Terms, subject: &Subject, case: &Share) -> bool {
    let (by, at) = (actor(1, false), UnixMs(0));
    let mut earlier = AgreementToShare::requested(terms.clone(), subject.clone(), by, at);
    for event in &case.events {
        match event {
            Event::Refused => earlier.refuse(by, at).unwrap_or_default(),
            Event::Withdrawn => _ = earlier.withdraw(by, at),
            Event::Given(..) | Event::Confirmed(..) | Event::Approved(..) => {}
        }
    }
    earlier.was_refused_or_withdrawn()
}

fn circumstances(how: Circumstances) -> shares::Circumstances {
    shares::Circumstances {
        mode: if how.interpreted { NoticeMode::Interpreted } else { NoticeMode::Oral },
        interpreter: match how.interpreter {
            Interpreter::Nobody => shares::Interpreter::None,
            Interpreter::Independent => shares::Interpreter::Independent,
            Interpreter::Unknown => shares::Interpreter::IndependenceUnknown,
            Interpreter::Companion => shares::Interpreter::Companion,
        },
        setting: match how.place {
            AskedAt::Shelter => shares::ShareSetting::Shelter,
            AskedAt::PolicePremises => shares::ShareSetting::PolicePremises,
            AskedAt::Detention => shares::ShareSetting::Detention,
            AskedAt::Remote => shares::ShareSetting::Remote,
        },
        exploiter_excluded: how.exploiter_excluded,
        called_back_alone_with_code_word: how.called_back_alone,
        duress: how.duress,
    }
}

fn decider_of(decider: Decider) -> shares::Decider {
    match decider {
        Decider::Person => shares::Decider::Person,
        Decider::Guardian { independent, in_conflict } => {
            shares::Decider::Guardian { independent_of_migration_authorities: independent, in_conflict }
        }
        Decider::ChildProtection => shares::Decider::ChildProtection,
        Decider::Vital { by } => {
            shares::Decider::VitalInterest { incapacity: Incapacity::Physical, by: actor(by, false) }
        }
    }
}

fn actor(code: u8, officer: bool) -> Actor {
    let role = if officer { ActorRole::DataProtection } else { ActorRole::Coordinator };
    Actor { role, code: Some([code; 16]) }
}

fn reference((agreement, grant): (usize, usize)) -> GrantRef {
    let place = u8::try_from(agreement + 1).unwrap_or(u8::MAX);
    GrantRef { agreement: AgreementId([place; 32]), number: u32::try_from(grant).unwrap_or(u32::MAX) }
}

/// `<country>-<slug>`.
fn name(node: &Node, who: Who) -> AuthorityId {
    let slug = match who {
        ORIGIN => "origin",
        RECIPIENT => "recipient",
        HOST => "host",
        OTHER_HOST => "other-host",
        _ => "third",
    };
    AuthorityId::parse(&format!("{}-{slug}", letters(node.register[who].country))).expect("a valid id")
}

fn letters(country: Country) -> &'static str {
    match country {
        Country::France => "fr",
        Country::Germany => "de",
        Country::Switzerland => "ch",
        Country::Britain => "gb",
    }
}

fn service_of(service: Service) -> ServiceKind {
    match service {
        Service::Refuge => ServiceKind::LongTermRefuge,
        Service::Medical => ServiceKind::Medical,
        Service::Psychological => ServiceKind::Psychological,
        Service::LegalAid => ServiceKind::LegalAid,
        Service::Casework => ServiceKind::CaseworkReintegration,
    }
}

fn share_scope(scope: Scope) -> shares::ShareScope {
    match scope {
        Scope::Shelter => shares::ShareScope::ReferralShelter,
        Scope::Medical => shares::ShareScope::ReferralMedical,
        Scope::Psychological => shares::ShareScope::ReferralPsychological,
        Scope::Legal => shares::ShareScope::ReferralLegal,
        Scope::Casework => shares::ShareScope::ReferralCasework,
        Scope::Match => shares::ShareScope::MatchPerson,
        Scope::Police => shares::ShareScope::LiaisonPolice,
    }
}

fn purpose_of(purpose: Purpose) -> handling::Purpose {
    match purpose {
        Purpose::Assistance => handling::Purpose::Assistance,
        Purpose::Protection => handling::Purpose::Protection,
        Purpose::Identification => handling::Purpose::Identification,
    }
}

fn tlp_of(tlp: Tlp) -> handling::Tlp {
    match tlp {
        Tlp::Clear => handling::Tlp::Clear,
        Tlp::Green => handling::Tlp::Green,
        Tlp::Amber => handling::Tlp::Amber,
        Tlp::AmberStrict => handling::Tlp::AmberStrict,
        Tlp::Red => handling::Tlp::Red,
    }
}

fn role_of(reader: Reader) -> ActorRole {
    match reader {
        Reader::Operator => ActorRole::Operator,
        Reader::Coordinator => ActorRole::Coordinator,
        Reader::Publisher => ActorRole::Publisher,
        Reader::Consumer => ActorRole::Consumer,
        Reader::DataProtection => ActorRole::DataProtection,
        Reader::Inspection => ActorRole::Inspection,
        Reader::Liaison => ActorRole::Liaison,
        Reader::Node => ActorRole::Node,
    }
}

fn purpose_of_reading(aim: Aim) -> ReadPurpose {
    match aim {
        Aim::Show => ReadPurpose::Show,
        Aim::Consume => ReadPurpose::Consume,
        Aim::Answer => ReadPurpose::Answer,
        Aim::SayLater => ReadPurpose::SayLater,
        Aim::Prepare => ReadPurpose::Prepare,
        Aim::Order => ReadPurpose::Order,
    }
}
