//! Who exchanges what: a register and agreements made by hand, and permits that the one question gives for them.

use std::sync::Arc;

use anyhow::Context;
use havenlink::domain::agreement::{Agreement, AgreementSet, Grant, HeldAgreement, Party, Usage};
use havenlink::domain::authority::{AuthorityEntry, KeyRecord, ParticipantKind, PublicKey};
use havenlink::domain::directory::{DirectoryView, Member, Policy};
use havenlink::domain::handling::{Handling, Pap, Purpose, Tlp};
use havenlink::domain::ids::{AgreementId, AuthorityId, Digest, FederationId, KeyId};
use havenlink::domain::policy::{ControlQuestion, Permit, ShareQuestion, Shared, Side, may_control, may_share};
use havenlink::domain::record::RecordKind;
use havenlink::domain::records::Facet;
use havenlink::domain::records::alert::{AlertFacet, AlertKind, AssertionBasis};
use havenlink::domain::time::{Millis, UnixMs};
use havenlink::storage::rows::Question;

/// The store's own authority.
pub const HERE: &str = "fr-strasbourg";
/// Each is sent to, and is received from.
pub const PARTNERS: [&str; 4] = ["de-kehl", "lu-esch-sur-alzette", "fr-nancy", "be-liege"];

/// An authority's id.
pub fn authority(name: &str) -> AuthorityId {
    AuthorityId::parse(name).expect("the names above are ids")
}

/// The register and the agreements in force.
pub struct Parties {
    view: DirectoryView,
    agreements: AgreementSet,
    now: UnixMs,
}

impl Parties {
    /// All partners agreed with.
    pub fn new(now: UnixMs) -> Self {
        let names = std::iter::once(HERE).chain(PARTNERS);
        let members = names.enumerate().map(|(n, name)| (authority(name), Arc::new(member(name, n))));
        let view = DirectoryView {
            federation: FederationId([9; 32]),
            number: 1,
            head: Digest([1; 32]),
            policy: Policy::default(),
            members: members.collect(),
            pins: imbl::HashMap::new(),
            overlay: imbl::OrdMap::new(),
            majority_beat: Some(now),
            ..DirectoryView::default()
        };
        let held = PARTNERS.iter().zip(1..).map(|(partner, n)| HeldAgreement {
            id: AgreementId([n; 32]),
            agreement: Arc::new(agreement(partner, now)),
            complete: true,
            ends: Vec::new(),
            unconfirmed: false,
        });
        Self { view, agreements: AgreementSet::new(held), now }
    }

    /// May this alert go there?
    pub fn alert(&self, from: &AuthorityId, to: &AuthorityId) -> anyhow::Result<Permit> {
        let question = ShareQuestion {
            from,
            to,
            facet: Facet::Alert(AlertFacet { kind: AlertKind::SuspiciousAdvertising, basis: AssertionBasis::Observed }),
            target: None,
            purpose: Purpose::Prevention,
            usage: Usage::View,
            handling: Handling { tlp: Tlp::Green, pap: Pap::Green },
            shared: Shared::Nothing,
            created: self.now,
            side: Side::Sender,
            grant: None,
            agreements: &self.agreements,
            view: &self.view,
            now: self.now,
        };
        may_share(&question).ok().context("an alert between partners is allowed")
    }

    /// What would be asked again about a delivery that this permit is for.
    pub fn question(&self, permit: &Permit) -> Question {
        let alert = AlertFacet { kind: AlertKind::SuspiciousAdvertising, basis: AssertionBasis::Observed };
        Question {
            purpose: permit.purpose(),
            handling: Handling { tlp: Tlp::Green, pap: Pap::Green },
            created: self.now,
            facet: (permit.kind() == RecordKind::Alert).then_some(Facet::Alert(alert)),
            grant: permit.grant(),
            key: KeyId([1; 16]),
        }
    }

    /// May this withdrawal go there?
    pub fn withdrawal(&self, from: &AuthorityId, to: &AuthorityId) -> anyhow::Result<Permit> {
        let kind = RecordKind::WithdrawalNotice;
        let question = ControlQuestion { from, to, kind, view: &self.view, now: self.now };
        may_control(&question).ok().context("a withdrawal between members is allowed")
    }
}

fn member(name: &str, n: usize) -> Member {
    let mut key = [0_u8; 44];
    key[..12].copy_from_slice(&PublicKey::PREFIX);
    key[12] = u8::try_from(n).unwrap_or(u8::MAX);
    let key = PublicKey(key);
    let entry = AuthorityEntry {
        authority: authority(name),
        kind: ParticipantKind::LocalAuthority,
        names: Vec::new(),
        identifiers: Vec::new(),
        authority_key: key,
        endpoints: Vec::new(),
        pins: Vec::new(),
        contacts: Vec::new(),
        hosted_by: None,
        networks: Vec::new(),
        services: Vec::new(),
        corridor: Default::default(),
        raft_id: 0,
    };
    let keys = vec![KeyRecord { key, replaced_at: None, compromised: false }];
    Member { entry, version: 1, status_version: 0, keys, suspended_until: None, removed_at: None }
}

fn agreement(partner: &str, now: UnixMs) -> Agreement {
    let (here, there) = (authority(HERE), authority(partner));
    let grant = |from: &AuthorityId, to: &AuthorityId| Grant {
        from: from.clone(),
        to: to.clone(),
        record_kinds: vec![RecordKind::Alert],
        alert_kinds: vec![AlertKind::SuspiciousAdvertising],
        service_kinds: Vec::new(),
        purposes: vec![Purpose::Prevention],
        usage: Usage::Store,
        highest_tlp: Tlp::Green,
        disclosure_level: None,
        retention: Millis::days(90),
        valid_from: now - Millis::days(1),
        valid_until: now + Millis::days(300),
    };
    Agreement {
        federation: FederationId([9; 32]),
        grants: vec![grant(&here, &there), grant(&there, &here)],
        parties: [&here, &there]
            .map(|p| Party { authority: p.clone(), corridor_roles: Vec::new(), transfers: Vec::new() })
            .into(),
        created: now - Millis::days(1),
        review_by: now + Millis::days(300),
        nonce: [5; 16],
        proposer: here,
    }
}
