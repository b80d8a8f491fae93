//! What partners told of their capacity last, with the light that a coordinator sees now.

use crate::domain::audit::ActorRole;
use crate::domain::ids::{AuthorityId, OfferId};
use crate::domain::light::{self, Clocks, Light, LightReason};
use crate::domain::policy::ReadPurpose;
use crate::domain::records::offer::OfferView;
use crate::domain::time::Millis;
use crate::exchange::context::{Error, Table, Unreadable, active};
use crate::storage::rows::PartnerOfferRow;
use crate::wire::records::offer as codec;

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
    /// What made it so.
    pub because: LightReason,
    /// Age of the statement now; `None`: not known.
    pub age: Option<Millis>,
}

impl Capacity {
    /// Partners' offers with the light that a coordinator sees now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn partner_offers(&self, role: ActorRole) -> Result<Vec<PartnerOffer>, Error> {
        let rows = self.store().partner_offers().await?;
        let now = self.context.clocks();
        Ok(rows.into_iter().filter_map(|row| self.partner_offer(role, row, now)).collect())
    }

    /// `None`: this role may not read it, or nobody any more.
    fn partner_offer(&self, role: ActorRole, row: PartnerOfferRow, now: Clocks) -> Option<PartnerOffer> {
        let reading = self.context.may_read(&row.record, role, ReadPurpose::Show).ok()?;
        let since = self.heard.since(&row, now);
        let age = since.and_then(|since| light::age(row.age_at_sending_ms.map(Millis), since));
        let view = codec::reload_view(reading)
            .map_err(|error| self.context.unreadable(Table::PartnerOffer, None, row.id, error));
        let answers = self.road.link_state(&row.origin).is_none_or(|state| state.failed.is_none());
        let reachable = answers && active(&self.view(), &row.origin, now.wall).is_ok();
        let unreadable = (Light::NotReported, LightReason::Age);
        let (light, because) =
            view.as_ref().map_or(unreadable, |v| light::explained(&v.capacity, age, reachable, now.wall));
        Some(PartnerOffer { authority: row.origin, id: row.id, view, light, because, age })
    }
}
