//! Offers: the view that travels, the owner's form on its own disk, and the owner's form at its local doors.

use bytes::Bytes;
use havenlink_proto::local::v1 as local;
use havenlink_proto::record::v1 as proto;
use havenlink_proto::store::v1 as store;
use prost::Message;
use proto::capacity_view::Level;

use super::{Codec, message};
use crate::domain::ids::{AuthorityId, OfferId};
use crate::domain::limits;
use crate::domain::policy::Reading;
use crate::domain::records::Kind;
use crate::domain::records::offer::{
    Capacity, CapacityLevel, CapacityView, DisclosureLevel, Eligibility, Offer, OfferFacet, OfferView, OwnOffer,
};
use crate::domain::time::{Millis, UnixMs};
use crate::fields::Source;
use crate::{Error, fields, handling};

impl Codec for Offer {
    type Message = proto::OfferView;
    /// Language tags; professional desks, E.164.
    const TEXTS: &'static [&'static str] =
        &["Eligibility.staff_languages", "OfferView.intake_phone", "OfferView.out_of_hours_phone"];

    fn encode(&self) -> Bytes {
        match self {
            Self::Own { offer, version } => encode_own(offer, *version),
            Self::View(view) => to_proto(view).encode_to_vec().into(),
        }
    }

    fn decode(bytes: &Bytes, source: Source) -> Result<Self, Error> {
        understood(message(bytes)?, source).map(Self::View)
    }

    fn reload_own(bytes: &Bytes) -> Result<Self, Error> {
        decode_own(bytes).map(|(offer, version)| Self::Own { offer, version })
    }

    fn facet_of(bytes: &Bytes) -> Result<OfferFacet, Error> {
        Ok(Self::decode(bytes, Source::OwnDisk)?.facet())
    }

    fn to_message(&self) -> proto::OfferView {
        match self {
            Self::View(view) => to_proto(view),
            Self::Own { offer, version } => to_proto(&offer.view(DisclosureLevel::Count, *version, 0)),
        }
    }

    fn from_message(message: proto::OfferView) -> Result<Self, Error> {
        from_proto(message).map(Self::View)
    }
}

/// An own offer's bytes on disk, with the raw figures.
pub fn encode_own(offer: &OwnOffer, version: u64) -> Bytes {
    let capacity = &offer.capacity;
    let stored = store::StoredOffer {
        offer_id: fields::bytes_of(offer.id.as_bytes()),
        authority: offer.authority.as_str().to_owned(),
        service_kind: offer.service_kind.code(),
        unit: offer.unit.code(),
        eligibility: Some(eligibility_to_proto(&offer.eligibility)),
        area: Some(handling::place_to_proto(&offer.area)),
        protected: offer.protected,
        intake_phone: offer.intake_phone.clone(),
        out_of_hours_phone: offer.out_of_hours_phone.clone(),
        capacity: Some(store::StoredCapacity {
            free: capacity.free,
            baseline: capacity.baseline,
            additional_24h: capacity.additional_24h,
            additional_72h: capacity.additional_72h,
            status: capacity.status.code(),
            paused_until_ms: capacity.paused_until.map_or(0, |t| t.0),
            as_of_ms: capacity.as_of.0,
            time_to_live_ms: capacity.time_to_live.0,
        }),
        own_label: offer.own_label.clone(),
        version,
    };
    stored.encode_to_vec().into()
}

/// An own offer from this node's disk, and its version.
///
/// # Errors
/// The first field that is missing, unknown or of another form.
pub fn reload_own(reading: Reading<'_>) -> Result<(OwnOffer, u64), Error> {
    decode_own(reading.bytes())
}

/// A partner's view of its offer from this node's disk.
///
/// # Errors
/// The first field that is missing, unknown or of another form.
pub fn reload_view(reading: Reading<'_>) -> Result<OfferView, Error> {
    understood(message(reading.bytes())?, Source::OwnDisk)
}

fn decode_own(bytes: &Bytes) -> Result<(OwnOffer, u64), Error> {
    let stored: store::StoredOffer = message(bytes)?;
    let capacity = stored.capacity.ok_or_else(|| Error::missing("capacity"))?;
    let offer = OwnOffer {
        id: fields::id("offer_id", &stored.offer_id, OfferId::from_slice)?,
        authority: fields::authority("authority", &stored.authority)?,
        service_kind: fields::closed_enum("service_kind", stored.service_kind)?,
        unit: fields::closed_enum("unit", stored.unit)?,
        eligibility: eligibility(stored.eligibility)?,
        area: fields::place("area", stored.area, Source::OwnDisk)?,
        protected: stored.protected,
        intake_phone: stored.intake_phone,
        out_of_hours_phone: stored.out_of_hours_phone,
        capacity: Capacity {
            free: capacity.free,
            baseline: capacity.baseline,
            additional_24h: capacity.additional_24h,
            additional_72h: capacity.additional_72h,
            status: fields::closed_enum("capacity.status", capacity.status)?,
            paused_until: fields::optional_instant("capacity.paused_until_ms", capacity.paused_until_ms)?,
            as_of: UnixMs(capacity.as_of_ms),
            time_to_live: Millis(capacity.time_to_live_ms),
        },
        own_label: stored.own_label,
    };
    Ok((offer, stored.version))
}

/// Life of a capacity statement whose owner names none.
const DEFAULT_TIME_TO_LIVE: Millis = limits::LIGHT_STALE;

/// A view as a message.
pub fn to_proto(view: &OfferView) -> proto::OfferView {
    proto::OfferView {
        offer_id: fields::bytes_of(view.id.as_bytes()),
        service_kind: view.service_kind.code(),
        unit: view.unit.code(),
        eligibility: Some(eligibility_to_proto(&view.eligibility)),
        area: Some(handling::place_to_proto(&view.area)),
        protected: view.protected,
        intake_phone: view.intake_phone.clone(),
        out_of_hours_phone: view.out_of_hours_phone.clone(),
        capacity: Some(capacity_to_proto(&view.capacity)),
        version: view.version,
    }
}

/// A view that shows no more than its protection allows.
///
/// # Errors
/// The first field that is missing, unknown, too long or too fine.
pub fn from_proto(view: proto::OfferView) -> Result<OfferView, Error> {
    let view = understood(view, Source::Outside)?;
    view.check()?;
    Ok(view)
}

fn understood(view: proto::OfferView, source: Source) -> Result<OfferView, Error> {
    Ok(OfferView {
        id: fields::id("offer_id", &view.offer_id, OfferId::from_slice)?,
        service_kind: fields::closed_enum("service_kind", view.service_kind)?,
        unit: fields::closed_enum("unit", view.unit)?,
        eligibility: eligibility(view.eligibility)?,
        area: fields::place("area", view.area, source)?,
        protected: view.protected,
        intake_phone: view.intake_phone,
        out_of_hours_phone: view.out_of_hours_phone,
        capacity: capacity_from_proto(view.capacity.ok_or_else(|| Error::missing("capacity"))?)
            .map_err(|e| e.within("capacity"))?,
        version: view.version,
    })
}

/// A capacity view as a message.
pub fn capacity_to_proto(view: &CapacityView) -> proto::CapacityView {
    proto::CapacityView {
        level: Some(match view.level {
            CapacityLevel::Availability(class) => Level::Availability(class.code()),
            CapacityLevel::Band(band) => Level::Band(band.code()),
            CapacityLevel::Count(count) => Level::Count(count),
        }),
        status: view.status.code(),
        paused_until_ms: view.paused_until.map_or(0, |t| t.0),
        time_to_live_ms: view.time_to_live.0,
    }
}

fn capacity_from_proto(view: proto::CapacityView) -> Result<CapacityView, Error> {
    Ok(CapacityView {
        level: match view.level.ok_or_else(|| Error::missing("level"))? {
            Level::Availability(class) => CapacityLevel::Availability(fields::closed_enum("availability", class)?),
            Level::Band(band) => CapacityLevel::Band(fields::closed_enum("band", band)?),
            Level::Count(count) => CapacityLevel::Count(count),
        },
        status: fields::closed_enum("status", view.status)?,
        paused_until: fields::optional_instant("paused_until_ms", view.paused_until_ms)?,
        time_to_live: fields::span("time_to_live_ms", view.time_to_live_ms)?,
    })
}

/// An own offer as a message; `etag` is the caller's.
pub fn own_to_proto(offer: &OwnOffer, etag: String) -> local::OwnOffer {
    local::OwnOffer {
        offer_id: fields::bytes_of(offer.id.as_bytes()),
        authority: offer.authority.as_str().to_owned(),
        service_kind: offer.service_kind.code(),
        unit: offer.unit.code(),
        eligibility: Some(eligibility_to_proto(&offer.eligibility)),
        area: Some(handling::place_to_proto(&offer.area)),
        protected: offer.protected,
        intake_phone: offer.intake_phone.clone(),
        out_of_hours_phone: offer.out_of_hours_phone.clone(),
        capacity: Some(local::Capacity {
            free: offer.capacity.free,
            baseline: offer.capacity.baseline,
            additional_24h: offer.capacity.additional_24h,
            additional_72h: offer.capacity.additional_72h,
            status: offer.capacity.status.code(),
            paused_until_ms: offer.capacity.paused_until.map_or(0, |t| t.0),
            as_of_ms: offer.capacity.as_of.0,
            time_to_live_ms: offer.capacity.time_to_live.0,
        }),
        own_label: offer.own_label.clone(),
        etag,
        unreadable: String::new(),
        light: 0,
        stale_since_ms: 0,
        held: None,
    }
}

/// An own offer. `new_id` and `own` are taken where the message leaves id or authority empty; `now` is its as-of then.
///
/// # Errors
/// The first field that is missing, unknown, too long or in the future.
pub fn own_from_proto(
    offer: local::OwnOffer,
    new_id: OfferId,
    own: &AuthorityId,
    now: UnixMs,
) -> Result<OwnOffer, Error> {
    let id =
        if offer.offer_id.is_empty() { new_id } else { fields::id("offer_id", &offer.offer_id, OfferId::from_slice)? };
    let authority =
        if offer.authority.is_empty() { own.clone() } else { fields::authority("authority", &offer.authority)? };
    let capacity = offer.capacity.ok_or_else(|| Error::missing("capacity"))?;
    let offer = OwnOffer {
        id,
        authority,
        service_kind: fields::closed_enum("service_kind", offer.service_kind)?,
        unit: fields::closed_enum("unit", offer.unit)?,
        eligibility: eligibility(offer.eligibility)?,
        area: fields::place("area", offer.area, Source::Outside)?,
        protected: offer.protected,
        intake_phone: offer.intake_phone,
        out_of_hours_phone: offer.out_of_hours_phone,
        capacity: own_capacity(capacity, now).map_err(|e| e.within("capacity"))?,
        own_label: offer.own_label,
    };
    offer.check()?;
    Ok(offer)
}

fn own_capacity(capacity: local::Capacity, now: UnixMs) -> Result<Capacity, Error> {
    let time_to_live = fields::span("time_to_live_ms", capacity.time_to_live_ms)?;
    let as_of = fields::optional_instant("as_of_ms", capacity.as_of_ms)?.unwrap_or(now);
    if as_of > now {
        return Err(Error::invalid("as_of_ms", "not in the future"));
    }
    Ok(Capacity {
        free: capacity.free,
        baseline: capacity.baseline,
        additional_24h: capacity.additional_24h,
        additional_72h: capacity.additional_72h,
        status: fields::closed_enum("status", capacity.status)?,
        paused_until: fields::optional_instant("paused_until_ms", capacity.paused_until_ms)?,
        as_of,
        time_to_live: if time_to_live.0 == 0 { DEFAULT_TIME_TO_LIVE } else { time_to_live },
    })
}

fn eligibility_to_proto(e: &Eligibility) -> proto::Eligibility {
    proto::Eligibility {
        women: e.women,
        men: e.men,
        couples_and_families: e.couples_and_families,
        trans_and_non_binary: e.trans_and_non_binary,
        children: e.children,
        children_max_age: e.children_max_age,
        teenage_sons: e.teenage_sons,
        unaccompanied_minors: e.unaccompanied_minors,
        staff_languages: fields::language_strings(&e.staff_languages),
        step_free: e.step_free,
        pets: e.pets,
        longest_stay_days: e.longest_stay_days,
    }
}

fn eligibility(e: Option<proto::Eligibility>) -> Result<Eligibility, Error> {
    let e = e.unwrap_or_default();
    Ok(Eligibility {
        women: e.women,
        men: e.men,
        couples_and_families: e.couples_and_families,
        trans_and_non_binary: e.trans_and_non_binary,
        children: e.children,
        children_max_age: e.children_max_age,
        teenage_sons: e.teenage_sons,
        unaccompanied_minors: e.unaccompanied_minors,
        staff_languages: fields::languages("eligibility.staff_languages", &e.staff_languages)?,
        step_free: e.step_free,
        pets: e.pets,
        longest_stay_days: e.longest_stay_days,
    })
}
