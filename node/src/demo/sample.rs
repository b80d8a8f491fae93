//! The bundled sample: records that read like real ones. Numbers are reserved for fiction, hosts end in `.example`,
//! NUTS and LAU codes are real.

use havenlink_proto::local::v1::{
    AgeAssessment, Capacity, DeciderKind, GiveAgreementToShareRequest, Interpreter, NoticeMode, OwnOffer,
    ShareCircumstances, ShareDecider, ShareNotice, ShareScopeTerms, ShareSetting, ShareSubject, ShareTerms, Sharing,
};
use havenlink_proto::record::v1::alert::Details;
use havenlink_proto::record::v1::*;

/// One of the three cities of the demo.
pub struct CitySample {
    pub authority: &'static str,
    /// Language and name.
    pub name: (&'static str, &'static str),
    /// NUTS-3 code of its area.
    pub nuts: &'static str,
    /// Scheme and value of its official identifier.
    pub identifier: (&'static str, &'static str),
    /// Role mailbox.
    pub contact: &'static str,
}

/// Strasbourg, Kehl across the Rhine, and Esch-sur-Alzette: three countries.
pub const CITIES: [CitySample; 3] = [
    CitySample {
        authority: "fr-strasbourg",
        name: ("fr", "Strasbourg"),
        nuts: "FRF11",
        identifier: ("LAU", "67482"),
        contact: "point-contact@strasbourg.example",
    },
    CitySample {
        authority: "de-kehl",
        name: ("de", "Kehl"),
        nuts: "DE134",
        identifier: ("LAU", "08317057"),
        contact: "kontaktstelle@kehl.example",
    },
    CitySample {
        authority: "lu-esch-sur-alzette",
        name: ("fr", "Esch-sur-Alzette"),
        nuts: "LU000",
        identifier: ("NUTS", "LU000"),
        contact: "contact@esch.example",
    },
];

fn place(code: &str) -> Option<Place> {
    Some(Place { scheme: PlaceScheme::Nuts.into(), code: code.to_owned() })
}

fn text(language: &str, text: &str) -> Text {
    Text { language: language.to_owned(), text: text.to_owned() }
}

/// How the demo's records are shared: with these, or, if nobody is named, with all partners.
pub fn sharing(recipients: &[&str], purpose: Purpose, tlp: Tlp) -> Sharing {
    Sharing {
        recipients: recipients.iter().map(|r| (*r).to_owned()).collect(),
        all_partners: recipients.is_empty(),
        purpose: purpose.into(),
        lawful_basis: LawfulBasis::PublicTask.into(),
        special_basis: SpecialBasis::None.into(),
        handling: Some(Handling { tlp: tlp.into(), pap: Pap::Green.into() }),
        status: RecordStatus::Actual.into(),
        ..Default::default()
    }
}

/// An advert seen on leaflets and on a classified-ads site.
pub fn advert_alert() -> Alert {
    Alert {
        kind: AlertKind::SuspiciousAdvertising.into(),
        urgency: Urgency::Expected.into(),
        severity: Severity::Moderate.into(),
        certainty: Certainty::Likely.into(),
        indicators: vec!["ilo11:1".into(), "ilo11:2".into()],
        exploitation_forms: vec![ExploitationForm::Labour.into()],
        sector: "N81".into(),
        place: place("FRF11"),
        assertion_basis: AssertionBasis::Observed.into(),
        summary: vec![
            text("fr", "Annonces de nettoyage bien payé, logement compris, papiers gardés par l'employeur."),
            text("en", "Cleaning jobs with lodging; the adverts say that the employer keeps the papers."),
        ],
        details: Some(Details::SuspiciousAdvertising(SuspiciousAdvertising {
            channel: AdvertChannel::ClassifiedSite.into(),
            advert_languages: vec!["ro".into(), "bg".into()],
            adverts_seen: 14,
            promised_occupation: "911".into(),
            ..Default::default()
        })),
    }
}

/// A site where people live at their workplace.
pub fn site_alert() -> Alert {
    Alert {
        kind: AlertKind::AtRiskSite.into(),
        urgency: Urgency::Immediate.into(),
        severity: Severity::Severe.into(),
        certainty: Certainty::Possible.into(),
        indicators: vec!["ilo11:8".into()],
        exploitation_forms: vec![ExploitationForm::Labour.into()],
        sector: "I56".into(),
        place: place("LU000"),
        assertion_basis: AssertionBasis::Documented.into(),
        summary: vec![text("fr", "Couchages dans une cuisine de restaurant constatés lors d'une visite d'hygiène.")],
        details: Some(Details::AtRiskSite(AtRiskSite {
            site_type: SiteType::Hospitality.into(),
            barrier_step: BarrierStep::Housing.into(),
            concerns: vec![SiteConcern::LivingAtWorkplace.into(), SiteConcern::ExcessiveHours.into()],
            size_class: 5,
        })),
    }
}

/// A practice written in French; its coded fields are found in any language.
pub fn practice() -> Practice {
    Practice {
        version: 1,
        texts: vec![PracticeText {
            language: "fr".into(),
            provenance: TranslationProvenance::Original.into(),
            title: "Médiation de rue avant l'ouverture des marchés".into(),
            problem: "Les personnes recrutées à la journée ne connaissent ni leurs droits ni les lieux d'aide.".into(),
            measure:
                "Une équipe mobile bilingue, présente de 4 h à 7 h, remet une carte muette avec le numéro d'accueil."
                    .into(),
            evidence: "Douze mois : 340 contacts, 41 demandes d'aide, aucune mise en danger signalée.".into(),
        }],
        outcome: PracticeOutcome::Effective.into(),
        cost_band: CostBand::CostBand10kTo100k.into(),
        audiences: vec![PracticeAudience::PotentialVictims.into()],
        topics: vec![PracticeTopic::Outreach.into(), PracticeTopic::LanguageAndInterpretation.into()],
        resolution_paragraphs: vec!["510:3.e".into()],
        legal_prerequisites: vec!["FR".into()],
        place: place("FRF11"),
    }
}

/// Places in a refuge: protected, so never a count and never a fine area at a partner.
pub fn refuge(free: u32) -> OwnOffer {
    OwnOffer {
        service_kind: ServiceKind::LongTermRefuge.into(),
        unit: CapacityUnit::Bed.into(),
        eligibility: Some(Eligibility {
            women: true,
            children: true,
            children_max_age: 14,
            staff_languages: vec!["fr".into(), "de".into(), "ro".into()],
            step_free: true,
            ..Default::default()
        }),
        area: Some(Place { scheme: PlaceScheme::Nuts.into(), code: "FRF1".into() }),
        protected: true,
        intake_phone: "+33199001234".into(),
        out_of_hours_phone: "+33199005678".into(),
        capacity: Some(Capacity { free, baseline: 12, status: OfferStatus::Open.into(), ..Default::default() }),
        own_label: "Refuge, bâtiment B".into(),
        ..Default::default()
    }
}

/// An agreement in which the first city shares with the second: alerts, practices, answers, and places at a level.
pub fn agreement(first: &str, second: &str, level: DisclosureLevel, now_ms: i64) -> Agreement {
    let grant = |from: &str, to: &str| Grant {
        from: from.to_owned(),
        to: to.to_owned(),
        record_kinds: vec![RecordKind::Alert.into(), RecordKind::Practice.into(), RecordKind::OfferView.into()],
        alert_kinds: vec![AlertKind::SuspiciousAdvertising.into(), AlertKind::AtRiskSite.into()],
        service_kinds: vec![ServiceKind::LongTermRefuge.into(), ServiceKind::TranslationInterpretation.into()],
        purposes: vec![
            Purpose::Prevention.into(),
            Purpose::Identification.into(),
            Purpose::Assistance.into(),
            Purpose::Learning.into(),
        ],
        usage: Usage::Store.into(),
        highest_tlp: Tlp::Amber.into(),
        disclosure_level: level.into(),
        retention_ms: 180 * 86_400_000,
        valid_from_ms: now_ms - 3_600_000,
        valid_until_ms: now_ms + 365 * 86_400_000,
    };
    Agreement {
        parties: [first, second]
            .iter()
            .map(|a| Party {
                authority: (*a).to_owned(),
                corridor_roles: vec![CorridorRole::Destination.into()],
                transfers: Vec::new(),
            })
            .collect(),
        grants: vec![grant(first, second), grant(second, first)],
        review_by_ms: now_ms + 300 * 86_400_000,
        ..Default::default()
    }
}

/// A refuge may be looked for at these, twice, for two weeks.
pub fn share_terms(recipients: &[&str], now_ms: i64) -> ShareTerms {
    let scope = ShareScopeTerms {
        scope: ShareScope::ReferralShelter.into(),
        purposes: vec![Purpose::Assistance.into()],
        recipients: recipients.iter().map(|name| (*name).to_owned()).collect(),
        countries: vec!["de".into(), "lu".into()],
        expires_ms: now_ms + 14 * 86_400_000,
        erase_by_ms: now_ms + 44 * 86_400_000,
        uses: 2,
    };
    ShareTerms {
        notice: Some(ShareNotice {
            version: "notice 3".into(),
            hash: bytes::Bytes::from_static(&[3; 32]),
            language: "ro".into(),
            provenance: TranslationProvenance::Human.into(),
        }),
        scopes: vec![scope],
        lawful_basis: LawfulBasis::PublicTask.into(),
        special_basis: SpecialBasis::HealthOrSocialCare.into(),
        provision: "the provision of national law".into(),
        reconfirm_by_ms: now_ms + 14 * 86_400_000,
        ..Default::default()
    }
}

/// By herself, an adult, in a shelter, with an interpreter of the city's own.
pub fn given_freely() -> GiveAgreementToShareRequest {
    GiveAgreementToShareRequest {
        subject: Some(ShareSubject { age: AgeAssessment::Adult.into(), minor: None }),
        decider: Some(ShareDecider { kind: DeciderKind::Person.into(), ..Default::default() }),
        circumstances: Some(ShareCircumstances {
            mode: NoticeMode::Interpreted.into(),
            interpreter: Interpreter::Independent.into(),
            setting: ShareSetting::Shelter.into(),
            exploiter_excluded: true,
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A refuge for one adult within three days.
pub fn referral() -> Referral {
    Referral {
        form: ReferralForm::Asked.into(),
        service: ServiceKind::LongTermRefuge.into(),
        urgency: ReferralUrgency::WithinThreeDays.into(),
        household: HouseholdShape::OneAdult.into(),
        age_band: AgeBand::From25To64.into(),
        languages: vec!["ro".into()],
        callback_phone: "+33199001234".into(),
        ..Default::default()
    }
}
