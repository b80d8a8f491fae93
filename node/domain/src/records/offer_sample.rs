//! An offer as tests and golden files have it.

use super::SAMPLED;
use super::offer::{Capacity, CapacityUnit, Eligibility, OfferStatus, OwnOffer, ServiceKind};
use crate::ids::{AuthorityId, OfferId};
use crate::place::{Place, PlaceScheme};
use crate::time::Millis;

impl OwnOffer {
    /// A refuge, open, with four places.
    pub fn sample(protected: bool) -> Self {
        OwnOffer {
            id: OfferId([4; 16]),
            authority: AuthorityId::parse("fr-strasbourg").expect("a sample is valid"),
            service_kind: ServiceKind::LongTermRefuge,
            unit: CapacityUnit::Bed,
            eligibility: Eligibility { women: true, children: true, children_max_age: 12, ..Default::default() },
            area: Place::new(PlaceScheme::Nuts, "FRF11").expect("a sample is valid"),
            protected,
            intake_phone: "+33199000000".into(),
            out_of_hours_phone: String::new(),
            capacity: Capacity {
                free: 4,
                baseline: 10,
                additional_24h: 0,
                additional_72h: 1,
                status: OfferStatus::Open,
                paused_until: None,
                as_of: SAMPLED,
                time_to_live: Millis::hours(8),
            },
            own_label: "house 3".into(),
        }
    }
}
