use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::place::PlaceScheme;
use crate::samples::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_view_never_shows_more_than_its_level_and_its_protection(
        level in select(DisclosureLevel::ALL), protected: bool, free in 0_u32..12, held in 0_u32..12,
        status in select(OfferStatus::ALL),
    ) {
        let capacity = Capacity { free, status, ..own_offer(protected).capacity };
        let view = capacity_view(level, protected, &capacity, held);
        prop_assert!(view.disclosure_level() <= level);
        prop_assert!(!protected || view.disclosure_level() <= DisclosureLevel::Band);
        // A unit that is held, or that the status keeps back, is never shown as free.
        if let CapacityLevel::Count(count) = view.level {
            prop_assert!(count <= free.saturating_sub(held) && (count == 0 || capacity.givable() > 0));
        }
    }
}

#[test]
fn a_protected_offer_is_coarse_and_never_counted() {
    let view = own_offer(true).view(DisclosureLevel::Count, 1, 0);
    assert_eq!(view.area.code(), "FRF1");
    assert_eq!(view.capacity.level, CapacityLevel::Band(CapacityBand::ThreeToFive));
    assert_eq!(view.check(), Ok(()));
    let ordinary = own_offer(false).view(DisclosureLevel::Count, 1, 1);
    assert_eq!((ordinary.area.code(), ordinary.capacity.level), ("FRF11", CapacityLevel::Count(3)));

    let fine = OfferView { area: own_offer(true).area, ..view.clone() };
    assert_eq!(fine.check().unwrap_err().field, "area");
    let counted = CapacityView { level: CapacityLevel::Count(1), ..view.capacity };
    assert_eq!(OfferView { capacity: counted, ..view }.check().unwrap_err().field, "capacity.count");
}

#[test]
fn the_area_of_a_refuge_cannot_be_a_municipality() {
    for (scheme, code) in [(PlaceScheme::Lau, "FR_67482"), (PlaceScheme::Iso3166Part2, "LU-ES")] {
        let area = Place::new(scheme, code).unwrap();
        assert_eq!(OwnOffer { area, ..own_offer(true) }.check().unwrap_err().field, "area");
    }
    assert_eq!(own_offer(true).check(), Ok(()));
}

#[test]
fn a_light_says_few_for_one_or_two() {
    let at = |free, status| {
        let capacity = Capacity { free, status, ..own_offer(true).capacity };
        capacity_view(DisclosureLevel::Light, true, &capacity, 0).level
    };
    use {AvailabilityClass as A, CapacityLevel::Availability, OfferStatus as S};
    assert_eq!(at(0, S::Open), Availability(A::None));
    assert_eq!(at(2, S::Open), Availability(A::Few));
    assert_eq!(at(3, S::Open), Availability(A::Some));
    assert_eq!(at(3, S::Full), Availability(A::None));
    assert_eq!(at(3, S::Paused), Availability(A::Closed));
}

#[test]
fn an_offer_that_nobody_could_use_is_refused_with_what_it_lacks() {
    let nuts = |code: &str| Place::new(PlaceScheme::Nuts, code).unwrap();
    let refused = |offer: OwnOffer| offer.check().unwrap_err().field;
    assert_eq!(refused(OwnOffer { intake_phone: String::new(), ..own_offer(false) }), "intake_phone");
    assert_eq!(refused(OwnOffer { area: nuts("FRF1"), ..own_offer(false) }), "area");
    assert_eq!(refused(OwnOffer { area: nuts("FRF"), ..own_offer(true) }), "area");
    assert_eq!(OwnOffer { area: nuts("FRF1"), ..own_offer(true) }.check(), Ok(()));
    // An interpreter speaks on the phone.
    let service_kind = ServiceKind::TranslationInterpretation;
    assert_eq!(OwnOffer { area: nuts("FR"), service_kind, ..own_offer(false) }.check(), Ok(()));

    let capacity = own_offer(false).capacity;
    let more = Capacity { free: capacity.baseline + 1, ..capacity.clone() };
    assert_eq!(refused(OwnOffer { capacity: more, ..own_offer(false) }), "capacity.free");
    let all = Capacity { free: capacity.baseline, ..capacity };
    assert_eq!(OwnOffer { capacity: all, ..own_offer(false) }.check(), Ok(()));
}

#[test]
fn a_statement_is_stale_after_eight_hours_or_at_the_end_of_its_life() {
    let capacity = own_offer(false).capacity;
    let from =
        |hours| Capacity { time_to_live: Millis::hours(hours), ..capacity.clone() }.stale_from().since(capacity.as_of);
    assert_eq!([from(1), from(8), from(24)], [Millis::hours(1), Millis::hours(8), Millis::hours(8)]);
}
