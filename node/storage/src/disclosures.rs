//! What was shared about persons, with whom, and what became of its withdrawal; partners' withdrawals of what they shared.

use futures_util::future::BoxFuture;

use crate::Result;
use crate::domain::ids::AuthorityId;
use crate::domain::person::CaseIndex;
use crate::domain::record::RecordKey;
use crate::rows::{AnsweredRow, DisclosureRow, DisclosureState, ShareRow, WithdrawalRow};

/// Reads of both; they are written with a `Write`, or with the batch that brings a partner's word.
pub trait Disclosures {
    /// What was shared about a person by one record.
    fn disclosure(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<DisclosureRow>>>;
    /// What was shared about a case, oldest first.
    fn disclosures_of(&self, case: CaseIndex) -> BoxFuture<'_, Result<Vec<DisclosureRow>>>;
    /// What was shared and stands so, by when its answer is due.
    fn disclosures_in(&self, state: DisclosureState, limit: usize) -> BoxFuture<'_, Result<Vec<DisclosureRow>>>;
    /// The counter of the last notice of withdrawal to a recipient; 0: none yet.
    fn last_notice(&self, origin: AuthorityId, recipient: AuthorityId) -> BoxFuture<'_, Result<u64>>;
    /// What an origin called back from a recipient, by the counters of its notices: those behind `after` that lie above `known`, and
    /// those that are not answered.
    fn called_back(
        &self,
        between: (AuthorityId, AuthorityId),
        known: u64,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<DisclosureRow>>>;
    /// A partner's notice of withdrawal about its record.
    fn withdrawal(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<WithdrawalRow>>>;
    /// A partner's notices to one of this node that are kept as they were signed, by their counters, behind `after`.
    fn notices_held(
        &self,
        between: (AuthorityId, AuthorityId),
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<WithdrawalRow>>>;
    /// The counter of the last of them; 0: none yet.
    fn last_notice_from(&self, origin: AuthorityId, recipient: AuthorityId) -> BoxFuture<'_, Result<u64>>;
    /// Who of this node holds records about persons from whom: recipient and origin.
    fn senders_about_persons(&self) -> BoxFuture<'_, Result<Vec<(AuthorityId, AuthorityId)>>>;
    /// Partners that have said what was withdrawn, since the node was made or last restored.
    fn answered(&self) -> BoxFuture<'_, Result<Vec<AnsweredRow>>>;
    /// Agreements to share that nobody has confirmed since a restore, oldest first.
    fn shares_unconfirmed(&self, limit: usize) -> BoxFuture<'_, Result<Vec<ShareRow>>>;
}
