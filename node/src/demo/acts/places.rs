//! The places of a refuge: a light in Kehl, a band in Esch, and the figure nowhere but at home.

use havenlink_proto::local::v1::{Light, ListOffersRequest, PartnerOffer, SetOfferRequest};
use havenlink_proto::record::v1::CapacityBand;
use havenlink_proto::record::v1::capacity_view::Level;

use super::{request_id, until};
use crate::demo::city::City;
use crate::demo::stage::Stage;
use crate::demo::{Cities, sample};

pub async fn play(stage: &mut Stage, cities: &mut Cities) -> anyhow::Result<()> {
    let Cities { strasbourg, kehl, esch } = cities;
    let step = stage.step("Strasbourg reports four free places in a protected refuge");
    let offer = strasbourg
        .offers()
        .await?
        .set_offer(SetOfferRequest { request_id: request_id(), offer: Some(sample::refuge(4)) })
        .await?
        .into_inner()
        .offer
        .unwrap_or_default();
    let in_kehl = seen(kehl, &offer.offer_id).await?;
    let in_esch = seen(esch, &offer.offer_id).await?;
    for (city, offer) in [(&*kehl, &in_kehl), (&*esch, &in_esch)] {
        stage.saw(format!("{} sees {}", city.sample.name.1, described(offer)));
    }
    let light_only = matches!(level(&in_kehl), Some(Level::Availability(_))) && in_kehl.light() == Light::Available;
    let band = matches!(level(&in_esch), Some(Level::Band(b)) if *b == CapacityBand::ThreeToFive as i32);
    stage.check(
        &step,
        light_only && band,
        "a light in Kehl, a band in Esch, as their agreements say; no address, no count",
    );
    Ok(())
}

fn level(offer: &PartnerOffer) -> Option<&Level> {
    offer.view.as_ref()?.capacity.as_ref()?.level.as_ref()
}

fn described(offer: &PartnerOffer) -> String {
    let what = match level(offer) {
        Some(Level::Band(band)) => format!("band {}", CapacityBand::try_from(*band).map_or("?", |b| b.as_str_name())),
        Some(Level::Availability(_)) => "no figure".to_owned(),
        Some(Level::Count(count)) => format!("count {count}"),
        None => "nothing".to_owned(),
    };
    format!("light {}, {what}", offer.light().as_str_name().trim_start_matches("LIGHT_"))
}

async fn seen(city: &City, offer_id: &bytes::Bytes) -> anyhow::Result<PartnerOffer> {
    let side = city.offers().await?;
    until("the offer is seen", || {
        let (mut side, id) = (side.clone(), offer_id.clone());
        async move {
            let partners = side.list_offers(ListOffersRequest::default()).await?.into_inner().partners;
            Ok(partners.into_iter().find(|o| o.view.as_ref().is_some_and(|v| v.offer_id == id)))
        }
    })
    .await
}
