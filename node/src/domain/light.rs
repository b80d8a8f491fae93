//! The light that a coordinator sees: the worst of availability, freshness and reachability, computed by the reader.

use super::closed::closed_enum;
use super::limits;
use super::offer::{AvailabilityClass, CapacityBand, CapacityLevel, CapacityView, OfferStatus};
use super::time::{Millis, UnixMs};

closed_enum! {
    /// From good to bad; the order is what "worst of" means.
    pub enum Light {
        Available = 1 => "AVAILABLE", Few = 2 => "FEW",
        /// Reported 1 to 8 hours ago.
        CallFirst = 3 => "CALL_FIRST",
        Full = 4 => "FULL", ClosedUntil = 5 => "CLOSED_UNTIL",
        /// More than 8 hours ago, past its life, or never.
        NotReported = 6 => "NOT_REPORTED",
        /// The partner does not answer; what was last known stands beside it.
        Unreachable = 7 => "UNREACHABLE",
    }
}

/// The light of a view whose statement has this age (`None`: not known), of a partner that answers or not.
pub fn light(view: &CapacityView, age: Option<Millis>, reachable: bool, now: UnixMs) -> Light {
    let reachability = if reachable { Light::Available } else { Light::Unreachable };
    availability(view, now).max(freshness(view.time_to_live, age)).max(reachability)
}

/// Age of a statement now: its age at sending, told by the owner, and our monotonic time since receipt (9.11).
/// Negative or missing parts give no age.
pub fn age(at_sending: Option<Millis>, since_receipt: Millis) -> Option<Millis> {
    let at_sending = at_sending.filter(|age| age.0 >= 0)?;
    (since_receipt.0 >= 0).then(|| Millis(at_sending.0.saturating_add(since_receipt.0)))
}

fn availability(view: &CapacityView, now: UnixMs) -> Light {
    let by_figure = match view.level {
        CapacityLevel::Availability(AvailabilityClass::Some) | CapacityLevel::Count(3..) => Light::Available,
        CapacityLevel::Availability(AvailabilityClass::Few) | CapacityLevel::Count(1..=2) => Light::Few,
        CapacityLevel::Availability(AvailabilityClass::None) | CapacityLevel::Count(0) => Light::Full,
        CapacityLevel::Availability(AvailabilityClass::Closed) => Light::CallFirst,
        CapacityLevel::Band(CapacityBand::ThreeToFive | CapacityBand::SixOrMore) => Light::Available,
        CapacityLevel::Band(CapacityBand::OneToTwo) => Light::Few,
        CapacityLevel::Band(CapacityBand::Zero) => Light::Full,
    };
    match view.status {
        OfferStatus::Open => by_figure,
        OfferStatus::AssessmentNeeded => by_figure.max(Light::CallFirst),
        OfferStatus::Full | OfferStatus::WaitingList => by_figure.max(Light::Full),
        // The pause is over and nothing newer was said: somebody has to ask.
        OfferStatus::Paused if view.paused_until.is_some_and(|until| until <= now) => Light::CallFirst,
        OfferStatus::Paused => Light::ClosedUntil,
    }
}

fn freshness(time_to_live: Millis, age: Option<Millis>) -> Light {
    match age {
        None => Light::NotReported,
        Some(age) if age.0 < 0 || age > time_to_live || age > limits::LIGHT_STALE => Light::NotReported,
        Some(age) if age > limits::LIGHT_FRESH => Light::CallFirst,
        Some(_) => Light::Available,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::domain::samples::NOW;

    fn a_view() -> impl Strategy<Value = CapacityView> {
        let level = prop_oneof![
            select(AvailabilityClass::ALL).prop_map(CapacityLevel::Availability),
            select(CapacityBand::ALL).prop_map(CapacityLevel::Band),
            (0_u32..9).prop_map(CapacityLevel::Count),
        ];
        let paused = proptest::option::of((-2_i64..2).prop_map(|h| NOW + Millis::hours(h)));
        (level, select(OfferStatus::ALL), paused, 0_i64..25).prop_map(|(level, status, paused_until, ttl)| {
            CapacityView { level, status, paused_until, time_to_live: Millis::hours(ttl) }
        })
    }

    fn an_age() -> impl Strategy<Value = Option<Millis>> {
        proptest::option::of((-100_i64..1_000).prop_map(Millis::minutes))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Invariant 10.
        #[test]
        fn nothing_reported_more_than_an_hour_ago_is_available(view in a_view(), age in an_age(), reachable: bool) {
            let light = light(&view, age, reachable, NOW);
            match age {
                _ if !reachable => prop_assert_eq!(light, Light::Unreachable),
                None => prop_assert_eq!(light, Light::NotReported),
                Some(age) if age.0 < 0 || age > Millis::hours(8) || age > view.time_to_live => {
                    prop_assert_eq!(light, Light::NotReported);
                }
                Some(age) if age > Millis::hours(1) => prop_assert!(light >= Light::CallFirst),
                Some(_) => prop_assert!(light < Light::NotReported),
            }
        }

        #[test]
        fn time_never_makes_it_better(view in a_view(), age in 0_i64..1_000, more in 0_i64..1_000) {
            let at = |minutes| light(&view, Some(Millis::minutes(minutes)), true, NOW);
            prop_assert!(at(age) <= at(age + more));
        }

        #[test]
        fn available_needs_three_units_and_an_open_door(view in a_view(), age in an_age()) {
            if light(&view, age, true, NOW) == Light::Available {
                prop_assert_eq!(view.status, OfferStatus::Open);
                let enough = match view.level {
                    CapacityLevel::Availability(class) => class == AvailabilityClass::Some,
                    CapacityLevel::Band(band) => band >= CapacityBand::ThreeToFive,
                    CapacityLevel::Count(n) => n >= 3,
                };
                prop_assert!(enough);
            }
        }
    }

    #[test]
    fn an_age_needs_both_parts() {
        assert_eq!(age(Some(Millis(5)), Millis(7)), Some(Millis(12)));
        assert_eq!(age(None, Millis(7)), None);
        assert_eq!(age(Some(Millis(-1)), Millis(7)), None);
        assert_eq!(age(Some(Millis(5)), Millis(-7)), None);
        assert_eq!(age(Some(Millis(i64::MAX)), Millis(7)), Some(Millis(i64::MAX)));
    }

    #[test]
    fn the_borders_are_where_they_are_said_to_be() {
        let view = CapacityView {
            level: CapacityLevel::Count(3),
            status: OfferStatus::Open,
            paused_until: None,
            time_to_live: Millis::hours(24),
        };
        let at = |ms| light(&view, Some(Millis(ms)), true, NOW);
        let hour = Millis::hours(1).0;
        assert_eq!((at(hour), at(hour + 1)), (Light::Available, Light::CallFirst));
        assert_eq!((at(8 * hour), at(8 * hour + 1)), (Light::CallFirst, Light::NotReported));
        let few = CapacityView { level: CapacityLevel::Count(2), ..view };
        assert_eq!(light(&few, Some(Millis(0)), true, NOW), Light::Few);
        let paused = CapacityView { status: OfferStatus::Paused, paused_until: Some(NOW + Millis(1)), ..view };
        assert_eq!(light(&paused, Some(Millis(0)), true, NOW), Light::ClosedUntil);
        assert_eq!(light(&paused, Some(Millis(0)), true, NOW + Millis(1)), Light::CallFirst);
    }
}
