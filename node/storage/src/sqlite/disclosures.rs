//! Reads of what was shared about persons.

use sqlx::sqlite::SqliteRow;

use super::db::{self, Args, Columns, readable};
use super::read::{Read, bounded, key_args};
use super::{SqliteStore, rows, statements};
use crate::Disclosures;
use crate::domain::ids::AuthorityId;
use crate::domain::person::CaseIndex;
use crate::domain::record::{RecordKey, RecordKind};
use crate::rows::{AnsweredRow, DisclosureRow, DisclosureState, ShareRow, WithdrawalRow};

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

    fn called_back(
        &self,
        (origin, recipient): (AuthorityId, AuthorityId),
        known: u64,
        after: u64,
        limit: usize,
    ) -> Read<'_, Vec<DisclosureRow>> {
        let args = move |limit| Args::new().with(&origin).with(&recipient).with(after).with(known).with(limit);
        bounded(self.page(&statements::DISCLOSURE_WITHDRAWN, limit, args, rows::disclosure))
    }

    fn notices_held(
        &self,
        (origin, recipient): (AuthorityId, AuthorityId),
        after: u64,
        limit: usize,
    ) -> Read<'_, Vec<WithdrawalRow>> {
        let args = move |limit| Args::new().with(&origin).with(&recipient).with(after).with(limit);
        bounded(self.page(&statements::WITHDRAWAL_HELD, limit, args, rows::withdrawal))
    }

    fn last_notice_from(&self, origin: AuthorityId, recipient: AuthorityId) -> Read<'_, u64> {
        bounded(async move {
            let args = Args::new().with(&origin).with(&recipient);
            let row = db::one(&self.readers, &statements::WITHDRAWAL_LAST_COUNTER, args).await?;
            row.ok_or(sqlx::Error::RowNotFound)?.number(0)
        })
    }

    fn senders_about_persons(&self) -> Read<'_, Vec<(AuthorityId, AuthorityId)>> {
        bounded(async move {
            let mut senders = std::collections::BTreeSet::new();
            for kind in RecordKind::CONTENT.iter().filter(|kind| kind.is_about_persons()) {
                let args = Args::new().with(kind.code());
                let rows = db::all(&self.readers, &statements::INBOX_SENDERS, args).await?;
                let sender = |row: &SqliteRow| Ok((row.authority(1)?, row.authority(2)?));
                senders.extend(readable(&self.unreadable, &statements::INBOX_SENDERS, &rows, sender)?);
            }
            Ok(senders.into_iter().collect())
        })
    }

    fn answered(&self) -> Read<'_, Vec<AnsweredRow>> {
        self.list(&statements::WITHDRAWALS_ANSWERED_ALL, Args::new(), rows::answered)
    }

    fn shares_unconfirmed(&self, limit: usize) -> Read<'_, Vec<ShareRow>> {
        let args = |limit| Args::new().with(limit);
        bounded(self.page(&statements::AGREEMENT_TO_SHARE_UNCONFIRMED, limit, args, rows::share))
    }
}
