//! Values for tests of the pure rooms: three cities, a register that knows them, agreements between them.
#![allow(clippy::unwrap_used, reason = "only tests turn this on")]

use std::sync::Arc;

use imbl::{HashMap, OrdMap};

use super::agreement::{Agreement, Grant, HeldAgreement, Party, Usage};
use super::authority::{AuthorityEntry, KeyRecord, ParticipantKind, PublicKey};
use super::directory::{DirectoryView, Member, Policy};
use super::envelope::{Envelope, GrantRef};
use super::handling::*;
use super::ids::*;
use super::records::alert::*;
use super::records::offer::*;
use super::records::practice::*;
use super::records::{Content, RecordKind};
use super::text::{Language, Text};
use super::time::{Millis, UnixMs};

/// Noon of a spring day.
pub const NOW: UnixMs = super::records::SAMPLED;

pub fn authority(id: &str) -> AuthorityId {
    AuthorityId::parse(id).unwrap()
}

pub fn strasbourg() -> AuthorityId {
    authority("fr-strasbourg")
}

pub fn kehl() -> AuthorityId {
    authority("de-kehl")
}

pub fn esch() -> AuthorityId {
    authority("lu-esch-sur-alzette")
}

fn key(n: u8) -> PublicKey {
    let mut spki = [n; 44];
    spki[..12].copy_from_slice(&PublicKey::PREFIX);
    PublicKey(spki)
}

pub fn member(id: AuthorityId, n: u8) -> Member {
    let entry = AuthorityEntry {
        authority: id,
        kind: ParticipantKind::LocalAuthority,
        names: vec![],
        identifiers: vec![],
        authority_key: key(n),
        endpoints: vec![],
        pins: vec![],
        contacts: vec![],
        hosted_by: None,
        networks: vec![],
        services: vec![],
        corridor: Default::default(),
        raft_id: 0,
    };
    let keys = vec![KeyRecord { key: key(n), replaced_at: None, compromised: false }];
    Member { entry, version: 1, status_version: 0, keys, suspended_until: None, removed_at: None }
}

/// A fresh view in which all three cities are active.
pub fn view() -> DirectoryView {
    let members = [(strasbourg(), 1), (kehl(), 2), (esch(), 3)];
    DirectoryView {
        federation: FederationId([9; 32]),
        number: 7,
        head: Digest([1; 32]),
        policy: Policy::default(),
        members: members.into_iter().map(|(id, n)| (id.clone(), Arc::new(member(id, n)))).collect(),
        pins: HashMap::new(),
        overlay: OrdMap::new(),
        majority_beat: Some(NOW - Millis::seconds(10)),
        confirmed: None,
        ..DirectoryView::default()
    }
}

pub fn grant(from: AuthorityId, to: AuthorityId) -> Grant {
    Grant {
        from,
        to,
        record_kinds: vec![RecordKind::Alert, RecordKind::Practice, RecordKind::OfferView],
        alert_kinds: vec![AlertKind::SuspiciousAdvertising, AlertKind::AtRiskSite],
        service_kinds: vec![ServiceKind::LongTermRefuge],
        purposes: vec![Purpose::Prevention, Purpose::Assistance],
        usage: Usage::Store,
        highest_tlp: Tlp::AmberStrict,
        disclosure_level: Some(DisclosureLevel::Band),
        retention: Millis::days(90),
        valid_from: NOW - Millis::days(30),
        valid_until: NOW + Millis::days(300),
    }
}

pub fn agreement_of(parties: &[AuthorityId], grants: Vec<Grant>) -> Agreement {
    Agreement {
        federation: FederationId([9; 32]),
        parties: parties
            .iter()
            .map(|p| Party { authority: p.clone(), corridor_roles: vec![], transfers: vec![] })
            .collect(),
        grants,
        created: NOW - Millis::days(31),
        review_by: NOW + Millis::days(300),
        nonce: [5; 16],
        proposer: parties[0].clone(),
    }
}

pub fn held(n: u8, agreement: Agreement) -> HeldAgreement {
    HeldAgreement {
        id: AgreementId([n; 32]),
        agreement: Arc::new(agreement),
        complete: true,
        ends: vec![],
        unconfirmed: false,
    }
}

/// Strasbourg and Kehl, both directions: grant 0 to Kehl, grant 1 to Strasbourg.
pub fn twinning() -> HeldAgreement {
    let (a, b) = (strasbourg(), kehl());
    held(1, agreement_of(&[a.clone(), b.clone()], vec![grant(a.clone(), b.clone()), grant(b, a)]))
}

pub fn text(language: &str, text: &str) -> Text {
    Text { language: Language::parse(language).unwrap(), text: text.into() }
}

pub fn alert() -> Alert {
    Alert::sample()
}

pub fn site_alert() -> Alert {
    Alert::sample_site()
}

pub fn practice() -> Practice {
    Practice::sample()
}

pub fn own_offer(protected: bool) -> OwnOffer {
    OwnOffer::sample(protected)
}

/// One of each kind of content at least, and of each form that a kind has.
pub fn contents() -> Vec<Content> {
    Content::samples()
}

pub fn envelope(kind: RecordKind, body: bytes::Bytes) -> Envelope {
    Envelope {
        federation: FederationId([9; 32]),
        origin: strasbourg(),
        recipient: kehl(),
        publication_id: PublicationId([1; 16]),
        record_id: RecordId([2; 16]),
        kind,
        purpose: Purpose::Prevention,
        lawful_basis: LawfulBasis::PublicTask,
        special_basis: SpecialBasis::None,
        grant: Some(GrantRef { agreement: AgreementId([1; 32]), number: 0 }),
        shared_under: None,
        handling: Handling { tlp: Tlp::Green, pap: Pap::Green },
        status: RecordStatus::Exercise,
        created: NOW,
        expires: NOW + Millis::days(90),
        review_by: NOW + Millis::days(30),
        references: vec![],
        body,
    }
}
