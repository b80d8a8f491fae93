//! Reads of what was shared about persons.

use super::db::{self, Args, Columns};
use super::read::{Read, bounded, key_args};
use super::{SqliteStore, rows, statements};
use crate::Disclosures;
use crate::domain::ids::AuthorityId;
use crate::domain::person::CaseIndex;
use crate::domain::record::RecordKey;
use crate::rows::{DisclosureRow, DisclosureState, WithdrawalRow};

impl Disclosures for SqliteStore {
    fn disclosure(&self, key: RecordKey) -> Read<'_, Option<DisclosureRow>> {
        self.find(&statements::DISCLOSURE_GET, key_args(&key), rows::disclosure)
    }

    fn disclosures_of(&self, case: CaseIndex) -> Read<'_, Vec<DisclosureRow>> {
        let case = Args::new().with(case.as_bytes().as_slice());
        self.list(&statements::DISCLOSURE_OF_CASE, case, rows::disclosure)
    }

    fn disclosures_in(&self, state: DisclosureState, limit: usize) -> Read<'_, Vec<DisclosureRow>> {
        let args = move |limit| Args::new().with(state as i32).with(limit);
        bounded(self.page(&statements::DISCLOSURE_IN_STATE, limit, args, rows::disclosure))
    }

    fn last_notice(&self, origin: AuthorityId, recipient: AuthorityId) -> Read<'_, u64> {
        bounded(async move {
            let args = Args::new().with(&origin).with(&recipient);
            let row = db::one(&self.readers, &statements::DISCLOSURE_LAST_COUNTER, args).await?;
            row.ok_or(sqlx::Error::RowNotFound)?.number(0)
        })
    }

    fn withdrawal(&self, key: RecordKey) -> Read<'_, Option<WithdrawalRow>> {
        self.find(&statements::WITHDRAWAL_GET, key_args(&key), rows::withdrawal)
    }
}
