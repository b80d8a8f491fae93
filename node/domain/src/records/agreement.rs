//! Control records about agreements (9.7): proposal, signature, complete agreement, end. Coded and signed bytes only.

use bytes::Bytes;

use super::{ControlKind, RecordKind};
use crate::closed::closed_enum;
use crate::ids::{AgreementId, AuthorityId, KeyId};
use crate::time::UnixMs;

/// An agreement for its parties to sign: encoded `Signed` with the proposer's signature; to be opened and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal(pub Bytes);

/// An agreement that all signed: encoded `Signed` with every signature; to be opened and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complete(pub Bytes);

/// One party's signature over an agreement; not verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartySignature {
    pub agreement: AgreementId,
    pub key_id: KeyId,
    /// 64 bytes.
    pub signature: Bytes,
}

closed_enum! {
    /// Why a party left.
    pub enum AgreementEndReason {
        NoLongerNeeded = 1 => "NO_LONGER_NEEDED", Replaced = 2 => "REPLACED", LegalChange = 3 => "LEGAL_CHANGE", Breach = 4 => "BREACH",
    }
}

/// A party leaves at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreementEnd {
    pub agreement: AgreementId,
    pub by: AuthorityId,
    pub at: UnixMs,
    pub reason: AgreementEndReason,
}

impl ControlKind for Proposal {
    const KIND: RecordKind = RecordKind::AgreementProposal;
}

impl ControlKind for PartySignature {
    const KIND: RecordKind = RecordKind::AgreementSignature;
}

impl ControlKind for Complete {
    const KIND: RecordKind = RecordKind::AgreementComplete;
}

impl ControlKind for AgreementEnd {
    const KIND: RecordKind = RecordKind::AgreementEnd;
}
