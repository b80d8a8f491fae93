use proptest::prelude::*;
use proptest::sample::select;

use super::*;
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
