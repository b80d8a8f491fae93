//! A partner that stands still, with its connections open: it is noticed within 15 seconds and asked at once, and what lay in its
//! socket is as old as it is.

use std::time::{Duration, Instant};

use bytes::Bytes;
use havenlink::demo::acts::request_id;
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink_proto::local::v1::{Light, ListOffersRequest, OwnOffer, PartnerOffer, SetOfferRequest};
use havenlink_tests::federation::Federation;
use havenlink_tests::wait::eventually;

use crate::steps::*;

/// The longest that silence goes unnoticed, with the question over a new line that nobody answers either.
const NOTICED: Duration = Duration::from_secs(15);
/// How long the partner stands in the second story: not so long that its line is given up, and what lay there sent anew.
const STANDS: Duration = Duration::from_secs(6);

async fn offer_of(city: &City, partner: &City) -> Option<PartnerOffer> {
    let listed = city.offers().await.ok()?.list_offers(ListOffersRequest::default()).await.ok()?.into_inner();
    listed.partners.into_iter().find(|offer| offer.authority == partner.id())
}

/// The statement, of this offer or of a new one; returns the offer as it stands then.
async fn states(city: &City, free: u32, offer_id: Bytes) -> OwnOffer {
    let offer = OwnOffer { offer_id, ..sample::refuge(free) };
    let set = SetOfferRequest { request_id: request_id(), offer: Some(offer) };
    city.offers().await.unwrap().set_offer(set).await.unwrap().into_inner().offer.unwrap()
}

async fn link(city: &City, partner: &City) -> (String, i64) {
    let status = city.status().await.unwrap();
    let found = status.partners.into_iter().find(|found| found.authority == partner.id()).unwrap();
    (found.link, found.answered_ms)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_partner_is_noticed_and_its_offers_say_so() {
    let federation = Federation::found(2, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let [strasbourg, kehl] = &federation.cities[..] else { panic!("two cities") };
    states(kehl, 4, Bytes::new()).await;
    eventually("Strasbourg sees the offer", PATIENCE, || async {
        (offer_of(strasbourg, kehl).await?.light() == Light::Available).then_some(())
    })
    .await;
    let (before, answered) = link(strasbourg, kehl).await;
    assert!(before == "connected" && answered > 0, "{before} {answered}");

    // Nothing is asked of anybody: only the line itself can tell.
    federation.freeze(1, true).unwrap();
    let since = Instant::now();
    eventually("Strasbourg says that Kehl does not answer", NOTICED, || async {
        (link(strasbourg, kehl).await.0 == "unreachable").then_some(())
    })
    .await;
    println!("noticed after {:?}", since.elapsed());
    assert_eq!(offer_of(strasbourg, kehl).await.unwrap().light(), Light::Unreachable);
    assert_eq!(link(strasbourg, kehl).await.1, answered, "and when it answered last");

    federation.freeze(1, false).unwrap();
    eventually("and that it answers again", PATIENCE, || async {
        let (link, last) = link(strasbourg, kehl).await;
        (link == "connected" && last > answered).then_some(())
    })
    .await;
    assert_eq!(offer_of(strasbourg, kehl).await.unwrap().light(), Light::Available);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lay_in_the_socket_of_a_node_that_stood_is_as_old_as_it_is() {
    let federation = Federation::found(2, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let [strasbourg, kehl] = &federation.cities[..] else { panic!("two cities") };
    let stood = states(kehl, 4, Bytes::new()).await;
    eventually("the line is warm", PATIENCE, || async { offer_of(strasbourg, kehl).await.map(drop) }).await;
    let version = |offer: &PartnerOffer| offer.view.clone().unwrap_or_default().version;
    let before = version(&offer_of(strasbourg, kehl).await.unwrap());

    federation.freeze(0, true).unwrap();
    let stated = Instant::now();
    states(kehl, 3, stood.offer_id).await;
    tokio::time::sleep(STANDS).await;
    federation.freeze(0, false).unwrap();
    let (shown, true_age) = eventually("the newer statement is here", PATIENCE, || async {
        let offer = offer_of(strasbourg, kehl).await.filter(|offer| version(offer) > before)?;
        Some((offer.age_ms, stated.elapsed()))
    })
    .await;
    let (shown, true_age) = (Duration::from_millis(u64::try_from(shown).unwrap()), true_age);
    println!("{shown:?} shown, {true_age:?} true");
    assert!(shown + Duration::from_millis(300) >= true_age, "{shown:?} shown of {true_age:?}");
    assert!(shown < true_age + Duration::from_secs(3), "{shown:?} shown of {true_age:?}");
}
