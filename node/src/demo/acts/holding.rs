//! The last bed of an ordinary refuge: found, held by one city, refused to the next, extended, given back.

use havenlink_proto::local::v1::{
    AskedHold, BoardSource, ExtendHoldRequest, FindOffersRequest, FoundOffer, Light, ListHoldsRequest,
    ListOffersRequest, OwnOffer, ReceivedGroup, ReleaseHoldRequest, SetOfferRequest, TakeHoldRequest,
};
use havenlink_proto::record::v1::{HoldState, Place, PlaceScheme};

use super::{reason_of, request_id, until};
use crate::demo::city::City;
use crate::demo::stage::Stage;
use crate::demo::{Cities, sample};

const MINUTE: i64 = 60_000;

pub async fn play(stage: &mut Stage, cities: &mut Cities) -> anyhow::Result<()> {
    let Cities { strasbourg, kehl, esch } = cities;
    let offer_id = last_bed(strasbourg).await?;
    for city in [&*kehl, &*esch] {
        shown(city, &offer_id).await?;
    }

    let step =
        stage.step("Kehl looks for a place for a woman with a child: its partner is asked, and hears nothing of her");
    let found = find(kehl, &offer_id).await?;
    let Some(found) = found else { anyhow::bail!("Kehl does not find the bed") };
    let age = found.age_ms;
    stage.saw(format!("light {}, told {age} ms ago", found.light().as_str_name().trim_start_matches("LIGHT_")));
    let live = found.source() == BoardSource::Live && found.light() == Light::Few;
    stage.check(&step, live, "Strasbourg's own answer, with what is held taken off");

    let step = stage.step("Kehl holds the last bed of that ordinary refuge in Strasbourg");
    let take = || TakeHoldRequest { request_id: request_id(), offer_id: offer_id.clone(), lease_ms: 0 };
    let hold = kehl.holds().await?.take_hold(take()).await?.into_inner().hold.unwrap_or_default();
    stage.saw(format!("Kehl counts on it for {} minutes", (hold.left_ms + MINUTE - 1) / MINUTE));
    stage.check(&step, hold.state() == HoldState::Held, "decided in Strasbourg, in one transaction");

    let step = stage.step("Esch asks for the same bed");
    let refused = esch.holds().await?.take_hold(take()).await.err().map(|status| reason_of(&status));
    let refused = refused.unwrap_or_default();
    let given = strasbourg.holds().await?.list_holds(ListHoldsRequest {}).await?.into_inner().given;
    let one = given.iter().filter(|hold| hold.state() == HoldState::Held).count() == 1;
    stage.check(&step, refused == "HOLD_NONE_FREE" && one, format!("refused with {refused}: it is never given twice"));

    let step = stage.step("Kehl needs longer, then gives it back");
    let hold_id = hold.hold_id.clone();
    let extend = ExtendHoldRequest { request_id: request_id(), hold_id: hold_id.clone() };
    let extended = kehl.holds().await?.extend_hold(extend).await?.into_inner().hold.unwrap_or_default();
    let release = ReleaseHoldRequest { request_id: request_id(), hold_id };
    let released = kehl.holds().await?.release_hold(release).await?.into_inner().hold.unwrap_or_default();
    let longer = extended.extended && extended.left_ms > 100 * MINUTE;
    let again: AskedHold = esch.holds().await?.take_hold(take()).await?.into_inner().hold.unwrap_or_default();
    let free = released.state() == HoldState::Released && again.state() == HoldState::Held;
    stage.check(&step, longer && free, "extended once, free for Esch as soon as it was given back");
    let release = ReleaseHoldRequest { request_id: request_id(), hold_id: again.hold_id };
    esch.holds().await?.release_hold(release).await?;
    Ok(())
}

/// What the board shows of the offer, once each partner has answered.
async fn find(city: &City, offer_id: &bytes::Bytes) -> anyhow::Result<Option<FoundOffer>> {
    let receives = vec![ReceivedGroup::Women.into(), ReceivedGroup::Children.into()];
    let wanted = FindOffersRequest { receives, children_age: Some(3), ..Default::default() };
    let mut parts = city.offers().await?.find_offers(wanted).await?.into_inner();
    let mut found = None;
    while let Some(part) = parts.message().await? {
        let of_it = |row: &FoundOffer| row.view.as_ref().is_some_and(|view| view.offer_id == *offer_id);
        found = part.offers.into_iter().find(of_it).or(found);
    }
    Ok(found)
}

fn nuts_3() -> Place {
    Place { scheme: PlaceScheme::Nuts.into(), code: "FRF11".into() }
}

async fn last_bed(city: &City) -> anyhow::Result<bytes::Bytes> {
    let ordinary = OwnOffer { protected: false, area: Some(nuts_3()), own_label: "Foyer".into(), ..sample::refuge(1) };
    let set = SetOfferRequest { request_id: request_id(), offer: Some(ordinary) };
    Ok(city.offers().await?.set_offer(set).await?.into_inner().offer.unwrap_or_default().offer_id)
}

async fn shown(city: &City, offer_id: &bytes::Bytes) -> anyhow::Result<()> {
    let side = city.offers().await?;
    until("the offer is seen", || {
        let (mut side, id) = (side.clone(), offer_id.clone());
        async move {
            let partners = side.list_offers(ListOffersRequest::default()).await?.into_inner().partners;
            Ok(partners.iter().any(|offer| offer.offer_id == id).then_some(()))
        }
    })
    .await
}
