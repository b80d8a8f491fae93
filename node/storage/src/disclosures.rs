//! What was shared about persons, with whom, and what became of its withdrawal; partners' withdrawals of what they shared.

use futures_util::future::BoxFuture;

use crate::Result;
use crate::domain::ids::AuthorityId;
use crate::domain::person::CaseIndex;
use crate::domain::record::RecordKey;
use crate::rows::{DisclosureRow, DisclosureState, WithdrawalRow};

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
    /// A partner's notice of withdrawal about its record.
    fn withdrawal(&self, key: RecordKey) -> BoxFuture<'_, Result<Option<WithdrawalRow>>>;
}
