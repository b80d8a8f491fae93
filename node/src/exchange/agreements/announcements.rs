//! Control records about agreements: the complete agreement, which its proposer owes to each party from the commit that
//! completes it, and which goes along to a partner that lacks it.

use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AgreementId, AuthorityId, Hasher, RecordId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::records::agreement::Complete;
use crate::domain::records::{CONTROL_LIFE, Control};
use crate::domain::stream::StreamId;
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::context::{Error, stream_of};
use crate::storage::ops::{NewDelivery, Write};

use super::{Agreements, others, rows};

impl Agreements {
    /// The complete agreement, from its proposer to one party; nothing once it has ended.
    pub(in crate::exchange) async fn announcement(&self, id: &AgreementId, to: &AuthorityId) -> Result<Write, Error> {
        let row = self.store().agreement(*id).await?.filter(|row| row.complete).ok_or(Reason::AgreementNotFound)?;
        let held = rows::held(&row)?;
        let proposer = &held.agreement.proposer;
        let ours = self.context.keys().serves(proposer) && others(&held.agreement, proposer).any(|party| party == to);
        if !ours || held.ended_at().is_some() || self.view().status(to, self.now()) == MemberStatus::Removed {
            return Ok(Write::default());
        }
        let body = Complete(row.signed).into();
        let delivery = self.control(&self.view(), self.now(), proposer, to, id, &body)?;
        Ok(Write { deliveries: vec![delivery], ..Write::default() })
    }

    /// A partner answered that it does not have the agreement: it goes along, on the control stream.
    pub(in crate::exchange) async fn send_agreement_along(
        &self,
        id: &StreamId,
        agreement: &AgreementId,
    ) -> Result<(), Error> {
        let Some(row) = self.store().agreement(*agreement).await?.filter(|row| row.complete) else { return Ok(()) };
        let body = Complete(row.signed).into();
        let (view, now) = (self.view(), self.now());
        let delivery = self.control(&view, now, &id.origin, &id.recipient, agreement, &body)?;
        let stream = stream_of(&delivery);
        let write = Write { deliveries: vec![delivery], ..Write::default() };
        self.store().write(write.into()).await?;
        self.context.wakeups().wake_stream(&stream);
        Ok(())
    }

    /// One control record about an agreement, sealed for one recipient. Its record id follows from what it says, so
    /// that saying it again is hidden by dedup.
    pub(super) fn control(
        &self,
        view: &DirectoryView,
        now: UnixMs,
        from: &AuthorityId,
        to: &AuthorityId,
        agreement: &AgreementId,
        body: &Control,
    ) -> Result<NewDelivery, Error> {
        let as_what = (record_id(agreement, body), self.life(agreement, body, now));
        self.context.control((view, now), (from, to), as_what, body)
    }
}

impl Agreements {
    /// How long a control record about an agreement is tried: the notice of an end as long as anybody may believe that the
    /// agreement is in force.
    fn life(&self, agreement: &AgreementId, body: &Control, now: UnixMs) -> Millis {
        let Control::AgreementEnd(_) = body else { return CONTROL_LIFE };
        let held = self.context.agreements().load().get(agreement).cloned();
        let until = held.and_then(|held| held.agreement.grants.iter().map(|grant| grant.valid_until).max());
        until.map_or(CONTROL_LIFE, |until| until.since(now).clamp(CONTROL_LIFE, limits::RECORD_LIFE))
    }
}

fn record_id(agreement: &AgreementId, body: &Control) -> RecordId {
    let mut hash = Hasher::new();
    hash.update(b"havenlink/agreement-control/v1");
    hash.update(&body.kind().code().to_be_bytes());
    hash.update(agreement.as_bytes());
    let mut id = [0_u8; 16];
    id.copy_from_slice(&hash.finish().as_bytes()[..16]);
    RecordId(id)
}
