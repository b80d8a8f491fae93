//! What joining needs of the register: the view, and decisions on admissions. The directory is one, a test another.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::Error;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, Digest, InvitationId, StatementId};
use crate::domain::register::{Decided, RejectionReason};

/// The register, as the approver and the watching applicant need it.
pub trait Admissions: Send + Sync + 'static {
    /// The newest verified view.
    fn view(&self) -> Arc<DirectoryView>;
    /// Rises with every change of the register.
    fn changes(&self) -> watch::Receiver<u64>;
    /// The genesis statement, encoded `Signed`.
    fn genesis(&self) -> Bytes;
    /// The proposals to admit this authority, newest first. Any member may propose one, with a key of its own choice: which
    /// is meant only the application in it tells.
    fn admissions(&self, authority: &AuthorityId) -> Vec<Admission>;
    /// Signs with this node's authority key and proposes; answers when it is applied here.
    fn decide(&self, step: JoinStep) -> BoxFuture<'_, Result<Decided, Error>>;
}

/// A proposal to admit somebody, open or closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    pub proposal: StatementId,
    /// SHA-256 of the encoded `Signed` application that it carries.
    pub application: Digest,
    pub words_digest: Digest,
    pub approved_by: Vec<AuthorityId>,
    pub needed: u32,
    pub open: bool,
    /// Enough stewards approved it: the view shows the member now, or in a moment.
    pub carried: bool,
    /// When it was closed by a rejection.
    pub rejection: Option<RejectionReason>,
}

/// A step of joining that the register has to take: what to sign and propose.
#[derive(Clone, Debug)]
pub enum JoinStep {
    /// PROPOSAL{admit}; a steward's own counts as its approval.
    Admit {
        authority: AuthorityId,
        /// The encoded `Signed` application.
        application: Bytes,
        invited_by: AuthorityId,
        invitation: InvitationId,
        words_digest: Digest,
    },
    /// APPROVAL of the proposal with this hash.
    Approve { authority: AuthorityId, proposal: StatementId },
    /// REJECTION of it.
    Reject { authority: AuthorityId, proposal: StatementId, reason: RejectionReason },
    /// A statement that somebody else signed: the applicant's withdrawal.
    Forward(Bytes),
}
