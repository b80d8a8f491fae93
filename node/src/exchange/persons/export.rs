//! An agreement to share as JSON-LD: the Data Privacy Vocabulary's profile of ISO/IEC TS 27560, without whom the person excluded.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::handling::{LawfulBasis, SpecialBasis};
use crate::domain::ids::{AuthorityId, ShareId};
use crate::domain::person::SubjectRef;
use crate::domain::person::share::{AgreementToShare, Country, ScopeTerms, ShareEvent, ShareEventKind};
use crate::domain::time::UnixMs;

/// What is exported.
pub(super) struct Exported<'a> {
    pub id: ShareId,
    pub authority: &'a AuthorityId,
    /// By which its origin itself knows the case.
    pub subject: SubjectRef,
    pub share: &'a AgreementToShare,
}

/// The record as text.
pub(super) fn json_ld(exported: &Exported<'_>) -> String {
    let Exported { id, authority, subject, share } = exported;
    let subject = data_encoding::HEXLOWER.encode(subject.as_bytes());
    let recipients = share.terms.scopes.iter().flat_map(|scope| &scope.recipients);
    let mut entities: Vec<&AuthorityId> = recipients.chain([*authority]).collect();
    entities.sort_unstable();
    entities.dedup();
    let entity = |id: &&AuthorityId| {
        let role = if *id == *authority { "dpv:DataController" } else { "dpv:Recipient" };
        json!({ "@id": urn(id), "@type": ["dpv:Organisation", role], "dpv:hasJurisdiction": place(id.country()) })
    };
    let record = json!({
        "@context": {
            "dct": "http://purl.org/dc/terms/",
            "dpv": "https://w3id.org/dpv#",
            "dpv-27560": "https://w3id.org/dpv/guides/consent-27560#",
            "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
            "loc": "https://w3id.org/dpv/loc#",
            "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        },
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": "dpv-27560:record-2",
        "dpv:hasIdentifier": uuid::Uuid::from_bytes(id.0).to_string(),
        "dpv:hasDataSubject": { "@type": "dpv:DataSubject", "dpv:hasIdentifier": subject },
        "dct:created": share.events.first().map(|event| instant(event.at)),
        "dct:creator": urn(authority),
        "dct:language": share.terms.notice.language.as_str(),
        "dpv:hasProcess": share.terms.scopes.iter().map(|scope| process(exported, scope)).collect::<Vec<_>>(),
        "dpv:hasConsentStatus": share.events.iter().map(|event| status(exported, &subject, event)).collect::<Vec<_>>(),
        "dpv:hasEntity": entities.iter().map(entity).collect::<Vec<_>>(),
    });
    format!("{record:#}")
}

fn process(exported: &Exported<'_>, scope: &ScopeTerms) -> Value {
    let Exported { authority, share, .. } = exported;
    let places: Vec<String> = scope.countries.iter().map(|country: &Country| place(country.as_str())).collect();
    let purpose =
        |purpose: &crate::domain::handling::Purpose| json!({ "@type": "dpv:Purpose", "dct:title": purpose.name() });
    json!({
        "@type": "dpv:Process",
        "dct:title": scope.scope.name(),
        "dpv:hasPurpose": scope.purposes.iter().map(purpose).collect::<Vec<_>>(),
        "dpv:hasProcessing": ["dpv:Share"],
        "dpv:hasDataController": urn(authority),
        "dpv:hasRecipient": scope.recipients.iter().map(urn).collect::<Vec<_>>(),
        "dpv:hasJurisdiction": places.clone(),
        "dpv:hasLegalBasis": legal_bases(share.terms.lawful_basis, share.terms.special_basis),
        "dpv:hasApplicableLaw": { "@type": "dpv:Law", "dct:title": share.terms.provision },
        "dpv:hasStorageCondition": [
            { "@type": "dpv:StorageLocation", "dpv:hasLocation": places },
            { "@type": "dpv:StorageDuration", "dpv:hasDuration": until(scope.erase_by) },
        ],
        "dpv:hasProcessingCondition": [
            { "@type": "dpv:ProcessingDuration", "dpv:hasDuration": until(scope.expires) },
        ],
        "dpv:hasRight": ["eu-gdpr:A15", "eu-gdpr:A16", "eu-gdpr:A17", "eu-gdpr:A18", "eu-gdpr:A21"],
    })
}

fn until(end: UnixMs) -> Value {
    json!({ "@type": "dpv:UntilTimeDuration", "rdf:value": instant(end) })
}

fn status(exported: &Exported<'_>, subject: &str, event: &ShareEvent) -> Value {
    let notice = &exported.share.terms.notice;
    let by_her = matches!(
        event.kind,
        ShareEventKind::Given | ShareEventKind::Renewed | ShareEventKind::Refused | ShareEventKind::Withdrawn
    );
    json!({
        "@type": match event.kind {
            ShareEventKind::Requested => "dpv:ConsentRequested",
            ShareEventKind::Given => "dpv:ConsentGiven",
            ShareEventKind::Renewed => "dpv:RenewedConsentGiven",
            ShareEventKind::Refused => "dpv:ConsentRefused",
            ShareEventKind::Expired => "dpv:ConsentExpired",
            ShareEventKind::Invalidated => "dpv:ConsentInvalidated",
            ShareEventKind::Revoked => "dpv:ConsentRevoked",
            ShareEventKind::Withdrawn => "dpv:ConsentWithdrawn",
        },
        "dpv:isIndicatedAtTime": instant(event.at),
        "dpv:isIndicatedBy": if by_her { subject.to_owned() } else { urn(exported.authority) },
        "dpv:hasNotice": {
            "@type": "dpv:ConsentNotice",
            "dpv:hasIdentifier": format!("sha256:{}", notice.hash.to_hex()),
            "dct:title": notice.version,
        },
    })
}

fn legal_bases(lawful: LawfulBasis, special: SpecialBasis) -> Vec<&'static str> {
    let lawful = match lawful {
        LawfulBasis::PublicTask => Some("eu-gdpr:A6-1-e"),
        LawfulBasis::LegalObligation => Some("eu-gdpr:A6-1-c"),
        LawfulBasis::VitalInterests => Some("eu-gdpr:A6-1-d"),
        LawfulBasis::Consent => Some("eu-gdpr:A6-1-a"),
        LawfulBasis::NoPersonalData => None,
    };
    let special = match special {
        SpecialBasis::None => None,
        SpecialBasis::ExplicitConsent => Some("eu-gdpr:A9-2-a"),
        SpecialBasis::VitalInterests => Some("eu-gdpr:A9-2-c"),
        SpecialBasis::SubstantialPublicInterest => Some("eu-gdpr:A9-2-g"),
        SpecialBasis::HealthOrSocialCare => Some("eu-gdpr:A9-2-h"),
    };
    lawful.into_iter().chain(special).collect()
}

fn urn(authority: &AuthorityId) -> String {
    format!("urn:havenlink:{authority}")
}

fn place(country: &str) -> String {
    format!("loc:{}", country.to_ascii_uppercase())
}

fn instant(at: UnixMs) -> String {
    Timestamp::from_millisecond(at.0).map(|at| at.to_string()).unwrap_or_default()
}
