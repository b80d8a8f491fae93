//! Stored rows and held agreements.

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::agreement::{AgreementEnd, AgreementEndReason, HeldAgreement};
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::storage::rows::{AgreementEndRow, AgreementRow};
use crate::wire::{Error, agreed};

/// A stored agreement; its signatures were verified before it was stored.
pub(super) fn held(row: &AgreementRow) -> Result<HeldAgreement, Error> {
    let (id, agreement) = agreed::own(&row.signed)?;
    let ends = row.ends.iter().map(|end| {
        let reason = AgreementEndReason::from_code(end.reason)
            .ok_or_else(|| Error::new(Reason::StorageDamaged, "agreement_end.reason", ""))?;
        Ok(AgreementEnd { agreement: id, by: end.by.clone(), at: end.at, reason })
    });
    let ends = ends.collect::<Result<_, Error>>()?;
    Ok(HeldAgreement { id, agreement: Arc::new(agreement), complete: row.complete, ends, unconfirmed: row.unconfirmed })
}

/// The row after one more party left.
pub(super) fn with_end(mut row: AgreementRow, end: &AgreementEnd) -> AgreementRow {
    let (by, at, reason) = (end.by.clone(), end.at, end.reason.code());
    row.add_ends([AgreementEndRow { by, at, reason, notice: Bytes::new() }]);
    row
}

/// The row with the encoded `Signed` that says that the party left.
pub(super) fn with_notice(mut row: AgreementRow, by: &AuthorityId, notice: Bytes) -> AgreementRow {
    row.ends.iter_mut().filter(|end| end.by == *by).for_each(|end| end.notice = notice.clone());
    row
}
