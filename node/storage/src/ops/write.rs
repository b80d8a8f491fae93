//! A rare write as data: what must hold, what changes, what follows from it.

use bytes::Bytes;

use super::{NewDelivery, NewPublication, OWED_BYTES, RequestMark, delivery_bytes, mark_bytes};
use crate::domain::audit::AuditDraft;
use crate::domain::ids::{AgreementId, AuthorityId, Digest, HoldId, Incarnation, InvitationId, OfferId, ShareId};
use crate::domain::person::CaseIndex;
use crate::domain::record::RecordKey;
use crate::domain::time::UnixMs;
use crate::named::Named;
use crate::owed::{Owed, OwedKey, Postponed};
use crate::rows::{
    AgreementRow, AnsweredRow, AskedHoldRow, DisclosureRow, InvitationRequestRow, PartnerIncarnation, SlotsRow,
    WithdrawalRow,
};

/// One transaction. A repeated request is answered first; then what is expected is compared, and only when all of it
/// holds anything is stored, in the order of the fields.
#[derive(Debug, Default)]
pub struct Write {
    pub request: Option<RequestMark>,
    pub expects: Vec<Expect>,
    pub puts: Vec<Put>,
    pub deletes: Vec<Delete>,
    /// Own records to dispatch.
    pub publications: Vec<NewPublication>,
    /// Envelopes to queue.
    pub deliveries: Vec<NewDelivery>,
    pub owes: Vec<Owed>,
    /// What is fulfilled by this write. What is not owed any more is no failure.
    pub settles: Vec<OwedKey>,
    pub postpones: Vec<Postponed>,
    pub audit: Vec<AuditDraft>,
}

/// What must hold for a write to be stored.
#[derive(Debug)]
pub enum Expect {
    /// The named value is this one (`None`: absent); otherwise `Taken`.
    Named(Named, Option<Bytes>),
    /// The invitation is this one (`None`: absent); otherwise `Taken`.
    Invitation(InvitationId, Option<Bytes>),
    /// The offer has this version (0: there is none); otherwise `Refused(ETAG_MISMATCH)`.
    OfferVersion(OfferId, u64),
    /// It is still owed; otherwise `Taken`.
    Owed(OwedKey),
    /// The slots of the offer have this version (0: there are none); otherwise `Taken`.
    SlotsVersion(OfferId, u64),
    /// The agreement to share has this version (0: there is none); otherwise `Refused(ETAG_MISMATCH)`.
    ShareVersion(ShareId, u64),
}

/// A row that is stored, in the place of one with the same key.
#[derive(Debug)]
pub enum Put {
    Named(Named, Bytes),
    /// Never becomes less: a complete agreement stays complete, and an end stays. Whether it is confirmed is as it is put.
    Agreement(AgreementRow),
    OwnOffer(NewOwnOffer),
    /// A lower version than stored is ignored.
    PartnerOffer(NewPartnerOffer),
    /// Encoded `Held`.
    Invitation(InvitationId, Bytes),
    InvitationRequest(Digest, InvitationRequestRow),
    PartnerIncarnation {
        ours: AuthorityId,
        theirs: AuthorityId,
        told: PartnerIncarnation,
    },
    Share(NewShare),
    /// Of a known one only what became of it changes.
    Disclosure(DisclosureRow),
    Withdrawal(WithdrawalRow),
    Slots(SlotsRow),
    /// Of a known one only what became of it changes.
    AskedHold(AskedHoldRow),
    /// A partner said what was withdrawn.
    Answered(AnsweredRow),
    /// This node's own incarnation; one that is not above the stored one changes nothing.
    OwnIncarnation(Incarnation),
    /// A signed audit checkpoint: encoded `Signed`, and the size that it covers.
    Checkpoint {
        size: u64,
        signed: Bytes,
    },
}

/// An own offer, or what it became.
#[derive(Clone, Debug)]
pub struct NewOwnOffer {
    pub id: OfferId,
    /// Encoded `OwnOffer` with the raw figures.
    pub body: Bytes,
    pub version: u64,
    /// Paused by a restore until confirmed.
    pub unconfirmed: bool,
}

/// An agreement to share, or what it became.
#[derive(Clone, Debug)]
pub struct NewShare {
    pub id: ShareId,
    /// Its origin. As it was put first; so are the case and until when it is kept. With a put it counts as confirmed.
    pub authority: AuthorityId,
    pub case: CaseIndex,
    pub version: u64,
    pub keep_until: UnixMs,
    /// Encoded `StoredShare`, sealed (`Store::seal`).
    pub sealed: Bytes,
}

/// What a partner shows of an offer from now on.
#[derive(Clone, Debug)]
pub struct NewPartnerOffer {
    pub origin: AuthorityId,
    pub id: OfferId,
    /// Encoded `OfferView`.
    pub view: Bytes,
    pub version: u64,
    /// Age of the statement at the origin when it was sent; `None`: not reported.
    pub age_at_sending_ms: Option<i64>,
    pub received: UnixMs,
    /// When it leaves this store: with the record that brought it.
    pub keep_until: UnixMs,
}

/// A row that goes.
#[derive(Debug)]
pub enum Delete {
    /// A proposal that not everybody signed in time; one that was signed by all meanwhile stays.
    Proposal(AgreementId),
    /// What was asked for at a partner, and refused.
    AskedHold(HoldId),
    /// All that is stored of what a record says, and of what was answered to it: publications, places in the inbox, envelopes; a
    /// number of a stream that was given to it travels as a SKIP. Its dedup key stays. What opens it is destroyed first (`PersonKeys::erase`).
    Erased { key: RecordKey, at: UnixMs },
}

impl Write {
    /// Lines of the ledger alone.
    pub fn audit(drafts: Vec<AuditDraft>) -> Self {
        Self { audit: drafts, ..Self::default() }
    }

    /// One row alone.
    pub fn put(put: Put) -> Self {
        Self { puts: vec![put], ..Self::default() }
    }

    /// Adds another write, which has no request of its own, to this one's transaction.
    pub fn append(&mut self, mut other: Self) {
        debug_assert!(other.request.is_none(), "a request is a transaction of its own");
        self.expects.append(&mut other.expects);
        self.puts.append(&mut other.puts);
        self.deletes.append(&mut other.deletes);
        self.publications.append(&mut other.publications);
        self.deliveries.append(&mut other.deliveries);
        self.owes.append(&mut other.owes);
        self.settles.append(&mut other.settles);
        self.postpones.append(&mut other.postpones);
        self.audit.append(&mut other.audit);
    }

    /// Bytes that it brings, near enough.
    pub(super) fn bytes(&self) -> usize {
        let puts = self.puts.iter().map(Put::bytes).sum::<usize>();
        let publications = self.publications.iter().map(|p| p.body.len() + 256).sum::<usize>();
        let owed = (self.owes.len() + self.settles.len() + self.postpones.len()) * OWED_BYTES;
        let rest = self.audit.len() * 192 + self.deletes.len() * 64 + owed;
        mark_bytes(&self.request) + puts + publications + delivery_bytes(&self.deliveries) + rest
    }
}

impl Put {
    fn bytes(&self) -> usize {
        128 + match self {
            Self::Named(_, value) | Self::Invitation(_, value) | Self::Checkpoint { signed: value, .. } => value.len(),
            Self::Agreement(row) => row.signed.len() + row.ends.iter().map(|end| end.notice.len()).sum::<usize>(),
            Self::OwnOffer(row) => row.body.len(),
            Self::PartnerOffer(row) => row.view.len(),
            Self::Share(row) => row.sealed.len(),
            Self::Disclosure(row) => row.receipt.len() + 128,
            Self::Slots(row) => row.body.len(),
            Self::Withdrawal(row) => row.notice.len() + 64,
            Self::PartnerIncarnation { told, .. } => told.hello.len(),
            Self::InvitationRequest(..) | Self::OwnIncarnation(_) | Self::Answered(_) | Self::AskedHold(_) => 0,
        }
    }
}
