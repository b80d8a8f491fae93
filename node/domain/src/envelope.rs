//! The envelope: one record prepared for exactly one recipient (9.3).

use bytes::Bytes;

use super::handling::{Handling, LawfulBasis, Purpose, RecordStatus, SpecialBasis};
use super::ids::{AgreementId, AuthorityId, FederationId, PublicationId, RecordId};
use super::limits;
use super::person::share::SharedUnder;
use super::reason::Reason;
use super::record::{RecordKey, RecordKind, Reference, ReferenceKind};
use super::time::UnixMs;

/// What an envelope says, after every coded field was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub federation: FederationId,
    pub origin: AuthorityId,
    /// Exactly one; no envelope names another.
    pub recipient: AuthorityId,
    pub publication_id: PublicationId,
    pub record_id: RecordId,
    pub kind: RecordKind,
    pub purpose: Purpose,
    pub lawful_basis: LawfulBasis,
    pub special_basis: SpecialBasis,
    /// The grant it is sent under; `None` for control.
    pub grant: Option<GrantRef>,
    /// Of what concerns a person and answers nothing.
    pub shared_under: Option<SharedUnder>,
    pub handling: Handling,
    pub status: RecordStatus,
    pub created: UnixMs,
    pub expires: UnixMs,
    pub review_by: UnixMs,
    pub references: Vec<Reference>,
    /// The encoded message of `kind`.
    pub body: Bytes,
}

/// One grant of one agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantRef {
    pub agreement: AgreementId,
    /// Index in the agreement's list of grants.
    pub number: u32,
}

impl Envelope {
    /// The dedup key (9.3).
    pub fn key(&self) -> RecordKey {
        RecordKey { origin: self.origin.clone(), record_id: self.record_id }
    }

    /// The record that it refers to in this way.
    pub fn target(&self, kind: ReferenceKind) -> Option<&RecordKey> {
        self.references.iter().find(|r| r.kind == kind).map(|r| &r.target)
    }

    /// Whether its times let a receiver store it now (9.3).
    ///
    /// # Errors
    /// `CREATED_IN_FUTURE` or `EXPIRED`.
    pub fn timely(&self, now: UnixMs) -> Result<(), Reason> {
        if self.created > now + limits::CREATED_AHEAD {
            return Err(Reason::EnvelopeFromFuture);
        }
        if self.expires <= now { Err(Reason::EnvelopeExpired) } else { Ok(()) }
    }
}
