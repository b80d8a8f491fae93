//! Tells the others that a party left. Who may get no control at that moment is noted, and told when it may.

use bytes::Bytes;

use crate::domain::agreement::{Agreement, AgreementEnd};
use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AgreementId, AuthorityId};
use crate::domain::time::UnixMs;
use crate::storage::ops::{NewDelivery, PutMeta, Queue, WriteOp};
use crate::storage::rows::AgreementRow;
use crate::wire::body::Body;

use super::super::error::Error;
use super::super::{Exchange, dispatch};
use super::{others, rows};

const PREFIX: &str = "untold-end/";

fn name(agreement: &AgreementId, by: &AuthorityId, to: &AuthorityId) -> String {
    format!("{PREFIX}{agreement}/{by}/{to}")
}

fn parse(name: &str) -> Option<(AgreementId, AuthorityId, AuthorityId)> {
    let mut parts = name.strip_prefix(PREFIX)?.split('/');
    let agreement = AgreementId::from_hex(parts.next()?)?;
    Some((agreement, AuthorityId::parse(parts.next()?)?, AuthorityId::parse(parts.next()?)?))
}

impl Exchange {
    /// The notices to all that may get them now, and one of them as proof. The rest is noted, durably, before the end
    /// is stored; a note about an end that was not stored after all is dropped by the pass.
    pub(super) async fn farewell(
        &self,
        view: &DirectoryView,
        now: UnixMs,
        row: &AgreementRow,
        agreement: &Agreement,
        end: &AgreementEnd,
    ) -> Result<(Vec<NewDelivery>, Bytes), Error> {
        let (mut deliveries, mut notice) = (Vec::new(), Bytes::new());
        for to in others(agreement, &end.by) {
            match self.farewell_to(view, now, row, agreement, end, to) {
                Ok(told) => {
                    notice = told.last().map(|last| last.envelope.clone()).unwrap_or(notice);
                    deliveries.extend(told);
                }
                Err(error) => {
                    let reason = error.reason().code();
                    tracing::warn!(agreement = %row.id, %to, reason, "the end of an agreement waits to be told");
                    self.put_meta(name(&row.id, &end.by, to), Bytes::from_static(&[1])).await?;
                }
            }
        }
        Ok((deliveries, notice))
    }

    /// Of several parties, one may hear that another left before it has the agreement from the proposer, after a loss:
    /// the complete agreement goes ahead of the notice, on the same stream.
    fn farewell_to(
        &self,
        view: &DirectoryView,
        now: UnixMs,
        row: &AgreementRow,
        agreement: &Agreement,
        end: &AgreementEnd,
        to: &AuthorityId,
    ) -> Result<Vec<NewDelivery>, Error> {
        let ahead = row.complete && agreement.parties.len() > 2;
        let ahead = ahead.then(|| Body::AgreementComplete(row.signed.clone()));
        let bodies = ahead.into_iter().chain([Body::AgreementEnd(end.clone())]);
        bodies.map(|body| self.control(view, now, &end.by, to, &row.id, &body)).collect()
    }

    /// Tells those that could not be told. Returns how many.
    ///
    /// # Errors
    /// When the store fails; the rest is told by the next pass.
    pub async fn farewell_pass(&self) -> Result<usize, Error> {
        let mut told = 0;
        for (name, _) in self.store().metas(PREFIX.to_owned()).await? {
            // The note stands before its end does: whoever is ending an agreement just now is waited for.
            let _change = self.one_change().await;
            let (view, now) = (self.view(), self.now());
            if let Some((id, by, to)) = parse(&name)
                && !matches!(view.status(&to, now), MemberStatus::Removed | MemberStatus::Unknown)
                && let Some(row) = self.store().agreement(id).await?
            {
                let held = rows::held(&row)?;
                if let Some(end) = held.ends.iter().find(|end| end.by == by) {
                    // One of the two may not pass control yet: at a later pass.
                    let Ok(items) = self.farewell_to(&view, now, &row, &held.agreement, end, &to) else { continue };
                    let streams: Vec<_> = items.iter().map(dispatch::stream_of).collect();
                    let queue = Queue { publication: None, items, audit: Vec::new() };
                    self.store().write(WriteOp::Queue(queue)).await?;
                    streams.iter().for_each(|stream| self.0.wakeups.wake_stream(stream));
                    told += 1;
                }
            }
            let done = PutMeta { name, value: None, only_if: None, audit: Vec::new() };
            self.store().write(WriteOp::PutMeta(done)).await?;
        }
        Ok(told)
    }
}
