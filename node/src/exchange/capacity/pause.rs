//! After a restore nobody knows whether an offer is still true: partners are told that it is paused, until somebody confirms it.

use crate::domain::audit::{Actor, ActorRole};
use crate::domain::ids::{Digest, OfferId};
use crate::domain::policy::ReadPurpose;
use crate::exchange::context::{Call, Error, Table};
use crate::storage::ops::Write;
use crate::wire::records::offer as codec;

use super::Capacity;
use super::own::OfferStanding;

impl Capacity {
    /// After a restore partners are told that an offer is paused until somebody confirms it.
    pub(in crate::exchange) async fn pause_notice(&self, id: &OfferId) -> Result<Write, Error> {
        let Some(row) = self.store().own_offer(*id).await?.filter(|row| row.unconfirmed) else {
            return Ok(Write::default());
        };
        let reading = self.context.may_read(&row.record, ActorRole::Node, ReadPurpose::Prepare)?;
        let (offer, _) = codec::reload_own(reading).inspect_err(|error| {
            self.context.unreadable(Table::OwnOffer, None, row.id, error.clone());
        })?;
        let occupied = self.occupied(id, offer.capacity.as_of).await?;
        let mut statement =
            self.statement(&node_call(), offer, row.version, OfferStanding { unconfirmed: true, occupied })?;
        statement.row.unconfirmed = true;
        Ok(statement.into_write())
    }
}

/// The node acting by itself: nothing to repeat, nobody to name.
pub(super) fn node_call() -> Call {
    Call {
        actor: Actor::NODE,
        scope: "node".to_owned(),
        request_id: String::new(),
        body: Digest([0; 32]),
        traceparent: String::new(),
    }
}
