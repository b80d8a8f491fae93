//! Notices that a party left. Who may get no control at that moment is owed its notice from the commit of the end on.

use bytes::Bytes;

use crate::domain::agreement::{Agreement, AgreementEnd};
use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AgreementId, AuthorityId};
use crate::domain::records::Control;
use crate::domain::records::agreement::Complete;
use crate::domain::time::UnixMs;
use crate::exchange::context::Error;
use crate::storage::ops::{NewDelivery, Write};
use crate::storage::owed::{Owed, OwedKey, Subject};
use crate::storage::rows::AgreementRow;

use super::{Agreements, others, rows};

/// The notices of one end.
#[derive(Default)]
pub(super) struct Notices {
    /// To all that may get them now.
    pub deliveries: Vec<NewDelivery>,
    /// To the rest, as soon as they may.
    pub owes: Vec<Owed>,
    /// One of them, as proof; empty: nobody could be told.
    pub proof: Bytes,
}

impl Agreements {
    pub(super) fn end_notices(
        &self,
        view: &DirectoryView,
        now: UnixMs,
        row: &AgreementRow,
        agreement: &Agreement,
        end: &AgreementEnd,
    ) -> Notices {
        let mut notices = Notices::default();
        for to in others(agreement, &end.by) {
            match self.end_notice_to(view, now, row, agreement, end, to) {
                Ok(items) => {
                    notices.proof = items.last().map(|last| last.envelope.clone()).unwrap_or(notices.proof);
                    notices.deliveries.extend(items);
                }
                Err(error) => {
                    let reason = error.reason().code();
                    havenlink_runtime::repeated!(warn by reason; agreement = %row.id, %to, reason, "the end of an agreement waits to be told");
                    let key = OwedKey::to(to, Subject::EndNotice(row.id, end.by.clone()));
                    notices.owes.push(Owed::now(key, now));
                }
            }
        }
        notices
    }

    /// Of several parties, one may hear that another left before it has the agreement from the proposer, after a loss:
    /// the complete agreement goes ahead of the notice, on the same stream.
    fn end_notice_to(
        &self,
        view: &DirectoryView,
        now: UnixMs,
        row: &AgreementRow,
        agreement: &Agreement,
        end: &AgreementEnd,
        to: &AuthorityId,
    ) -> Result<Vec<NewDelivery>, Error> {
        let ahead = row.complete && agreement.parties.len() > 2;
        let ahead = ahead.then(|| Control::from(Complete(row.signed.clone())));
        let bodies = ahead.into_iter().chain([end.clone().into()]);
        bodies.map(|body| self.control(view, now, &end.by, to, &row.id, &body)).collect()
    }

    /// The notice that a party could not be sent when another one left; nothing to one that was removed meanwhile.
    pub(in crate::exchange) async fn end_notice(
        &self,
        id: &AgreementId,
        by: &AuthorityId,
        to: &AuthorityId,
    ) -> Result<Write, Error> {
        let (view, now) = (self.view(), self.now());
        let Some(row) = self.store().agreement(*id).await? else { return Ok(Write::default()) };
        let held = rows::held(&row)?;
        let Some(end) = held.ends.iter().find(|end| end.by == *by) else { return Ok(Write::default()) };
        if view.status(to, now) == MemberStatus::Removed {
            return Ok(Write::default());
        }
        let deliveries = self.end_notice_to(&view, now, &row, &held.agreement, end, to)?;
        Ok(Write { deliveries, ..Write::default() })
    }
}
