//! What was published for a recipient that is suspended now: remembered, and made when it is restored.
//!
//! Nothing can be queued for it, since nobody may share with it; and nothing that was acknowledged may be lost. So the
//! pair (recipient, record) is written down before the publication counts as dispatched. A pair that is written twice,
//! or made twice, is hidden by dedup.

use bytes::Bytes;

use crate::domain::authority::MemberStatus;
use crate::domain::ids::{AuthorityId, RecordId};
use crate::domain::record::RecordKey;
use crate::storage::ops::{PutMeta, WriteOp};

use super::super::Exchange;
use super::super::error::Error;
use super::press::Pressed;

const PREFIX: &str = "awaits/";

fn name(recipient: &AuthorityId, record: &RecordKey) -> String {
    format!("{PREFIX}{recipient}/{}/{}", record.origin, record.record_id)
}

fn parse(name: &str) -> Option<(AuthorityId, RecordKey)> {
    let mut parts = name.strip_prefix(PREFIX)?.split('/');
    let recipient = AuthorityId::parse(parts.next()?)?;
    let origin = AuthorityId::parse(parts.next()?)?;
    Some((recipient, RecordKey { origin, record_id: RecordId::from_hex(parts.next()?)? }))
}

impl Exchange {
    /// Before the publications count as dispatched.
    pub(super) async fn note_waiting(&self, pressed: &[Pressed]) -> Result<(), Error> {
        let names = pressed.iter().filter_map(|p| p.queue.publication.as_ref().map(|record| (record, &p.waiting)));
        let names = names.flat_map(|(record, waiting)| waiting.iter().map(|to| name(to, record)));
        let notes = names.map(|name| self.put_meta(name, Bytes::from_static(&[1])));
        futures_util::future::try_join_all(notes).await?;
        Ok(())
    }

    /// Makes what waited for recipients that are no longer suspended. Returns how many records.
    ///
    /// # Errors
    /// When the store fails; the rest is made by the next pass.
    pub async fn waiting_pass(&self) -> Result<usize, Error> {
        let _one_at_a_time = self.0.dispatching.lock().await;
        let press = self.press();
        let mut made = 0;
        for (name, _) in self.store().metas(PREFIX.to_owned()).await? {
            let ready = parse(&name).filter(|(to, record)| {
                let standing = |authority| press.view.status(authority, press.now);
                standing(to) != MemberStatus::Suspended && standing(&record.origin) != MemberStatus::Suspended
            });
            let Some((to, record)) = ready else { continue };
            if let Some(row) = self.store().publication(record.clone()).await? {
                self.queue(vec![self.pressed_for(&press, &row, &to)?.queue]).await?;
            }
            let done = PutMeta { name, value: None, only_if: None, audit: Vec::new() };
            self.store().write(WriteOp::PutMeta(done)).await?;
            made += 1;
        }
        Ok(made)
    }
}
