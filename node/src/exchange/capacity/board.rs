//! The board: what partners show of their capacity, with the light that a coordinator sees now.

use bytes::Bytes;

use crate::domain::ids::{AuthorityId, OfferId};
use crate::domain::light::{self, Clocks, Light};
use crate::domain::reason::Reason;
use crate::domain::records::offer::{Offer, OfferView};
use crate::domain::records::{Content, RecordBody, RecordKind};
use crate::domain::time::Millis;
use crate::exchange::context::{Error, Table, Unreadable, active};
use crate::storage::rows::PartnerOfferRow;
use crate::wire::{self, records};

use super::Capacity;

/// A partner's offer as a coordinator sees it.
#[derive(Clone, Debug)]
pub struct PartnerOffer {
    pub authority: AuthorityId,
    pub id: OfferId,
    /// If the stored row can be read.
    pub view: Result<OfferView, Unreadable>,
    /// Of one that cannot be read: not reported.
    pub light: Light,
    /// Age of the statement now; `None`: not known.
    pub age: Option<Millis>,
}

impl Capacity {
    /// Partners' offers with the light that a coordinator sees now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn partner_offers(&self) -> Result<Vec<PartnerOffer>, Error> {
        let rows = self.store().partner_offers().await?;
        let now = self.context.clocks();
        // A sweep takes away what is past; until it comes, nobody is shown it.
        let kept = rows.into_iter().filter(|row| row.keep_until > now.wall);
        Ok(kept.map(|row| self.partner_offer(row, now)).collect())
    }

    fn partner_offer(&self, row: PartnerOfferRow, now: Clocks) -> PartnerOffer {
        let since = self.heard.since(&row, now);
        let age = since.and_then(|since| light::age(row.age_at_sending_ms.map(Millis), since));
        let view = view(&row.view).map_err(|error| self.context.unreadable(Table::PartnerOffer, None, row.id, error));
        let answers = self.road.link_state(&row.origin).is_none_or(|state| state.failed.is_none());
        let reachable = answers && active(&self.view(), &row.origin, now.wall).is_ok();
        let light = view.as_ref().map_or(Light::NotReported, |v| light::light(&v.capacity, age, reachable, now.wall));
        PartnerOffer { authority: row.origin, id: row.id, view, light, age }
    }
}

fn view(bytes: &Bytes) -> Result<OfferView, wire::Error> {
    match records::reload(RecordKind::OfferView, bytes)? {
        RecordBody::Content(Content::OfferView(Offer::View(view))) => Ok(view),
        _ => Err(wire::Error::new(Reason::StorageDamaged, "view", "")),
    }
}
