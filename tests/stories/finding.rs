//! A place is found and held from a terminal, while one partner stands still: it is named, and nobody waits for it (9.11).

use std::time::{Duration, Instant};

use havenlink::demo::acts::request_id;
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink_proto::local::v1::{ListOffersRequest, OwnOffer, SetOfferRequest};
use havenlink_proto::record::v1::{Place, PlaceScheme};
use havenlink_tests::federation::Federation;
use havenlink_tests::tools::{Ran, havenctl, shell};
use havenlink_tests::wait::eventually;

use crate::steps::*;

const FIND: [&str; 8] =
    ["place", "find", "--service", "LONG_TERM_REFUGE", "--receives", "women,children", "--wait", "1s"];

async fn states(city: &City, nuts: &str, free: u32) {
    let area = Place { scheme: PlaceScheme::Nuts.into(), code: nuts.into() };
    let offer = OwnOffer { protected: false, area: Some(area), ..sample::refuge(free) };
    let set = SetOfferRequest { request_id: request_id(), offer: Some(offer) };
    city.offers().await.unwrap().set_offer(set).await.unwrap();
}

/// The light of a city's only offer, as the board prints it.
fn light(ran: &Ran, city: &City) -> String {
    let line = ran.out.lines().find(|line| line.contains(city.id())).unwrap_or_else(|| panic!("{ran:?}"));
    line.split_whitespace().nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_is_found_and_held_while_a_partner_stands_still() {
    let federation = Federation::found(3, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    federation.agree(0, 2).await.unwrap();
    let [strasbourg, kehl, esch] = &federation.cities[..] else { panic!("three cities") };
    states(kehl, "DE134", 3).await;
    states(esch, "LU000", 4).await;
    eventually("Strasbourg was told of both", PATIENCE, || async {
        let listed = strasbourg.offers().await.ok()?.list_offers(ListOffersRequest::default()).await.ok()?;
        (listed.into_inner().partners.len() == 2).then_some(())
    })
    .await;
    let both = havenctl(strasbourg, &FIND).await.unwrap();
    assert_eq!((both.code, light(&both, kehl).as_str(), light(&both, esch).as_str()), (0, "AVAILABLE", "AVAILABLE"));
    assert!(!both.out.contains("last known"), "each has answered: {both:?}");

    federation.freeze(2, true).unwrap();
    let began = Instant::now();
    let partial = havenctl(strasbourg, &FIND).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!((partial.code, light(&partial, kehl).as_str()), (7, "AVAILABLE"), "{partial:?}");
    assert_eq!(light(&partial, esch), "UNREACHABLE");
    assert!(
        partial.out.contains("last known") && partial.err.contains("nothing from lu-esch-sur-alzette"),
        "{partial:?}"
    );

    // The command that it names, and what it makes of the board.
    let hold = partial.err.find("havenctl place hold ").map(|at| partial.err[at..].lines().next().unwrap().trim());
    shell(strasbourg, hold.unwrap_or_else(|| panic!("{partial:?}"))).await.unwrap().fine();
    federation.freeze(2, false).unwrap();
    let after = havenctl(strasbourg, &FIND).await.unwrap();
    assert_eq!(light(&after, kehl), "FEW", "two are left of three, and Kehl's own answer says so");

    let mistyped = havenctl(strasbourg, &["place", "find", "--receives", "woman"]).await.unwrap();
    assert!(mistyped.code == 2 && mistyped.err.contains("nearest: women"), "{mistyped:?}");
    let too_long = havenctl(strasbourg, &["place", "find", "--wait", "1m"]).await.unwrap();
    assert!(too_long.code == 2 && too_long.err.contains("at most 10 seconds"), "{too_long:?}");
}
