//! Places that are held through the node, and those that are not: what is free, and whom to call instead, is shown by what is named.

use havenlink::demo::acts::request_id;
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink::domain::reason::Reason;
use havenlink_proto::local::v1::{OwnOffer, SetOfferRequest};
use havenlink_proto::record::v1::{Place, PlaceScheme};
use havenlink_tests::federation::{Federation, ctl};
use havenlink_tests::wait::eventually;

use crate::steps::*;
use crate::told::{Scene, Told};

/// The intake phone of the offers here, and so many places one partner holds of an offer at a time.
const INTAKE: &str = "+33199001234";
const SHARE: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_given_no_place_learns_what_is_free_and_whom_to_call() {
    let scene = Scene::new("holds");
    let mut federation = Federation::found(3, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    federation.agree(0, 2).await.unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three") };
    last_bed(&scene, strasbourg, kehl, esch).await;
    protected(&scene, strasbourg, kehl).await;
    its_share(&scene, strasbourg, kehl).await;
    restored(&scene, strasbourg, kehl).await;
    scene.ends();
}

/// Sets a refuge with so many places; gives its id once the others see it.
async fn refuge(city: &City, free: u32, protected: bool, seen: &[&City]) -> String {
    let area = Place { scheme: PlaceScheme::Nuts.into(), code: if protected { "FRF1" } else { "FRF11" }.into() };
    let offer = OwnOffer { protected, area: Some(area), ..sample::refuge(free) };
    let request = SetOfferRequest { request_id: request_id(), offer: Some(offer) };
    let set = city.offers().await.unwrap().set_offer(request).await.unwrap().into_inner().offer.unwrap();
    let id = uuid::Uuid::from_slice(&set.offer_id).unwrap().to_string();
    for partner in seen {
        eventually(&format!("{} sees the refuge", partner.id()), PATIENCE, || async {
            ctl(partner, &["offer", "show", &id]).await.ok()
        })
        .await;
    }
    id
}

/// The id of what was just held.
fn hold_id(printed: &str) -> String {
    let id =
        printed.split_whitespace().find(|word| word.len() >= 8 && word.bytes().filter(|b| *b == b'-').count() == 4);
    id.unwrap_or_else(|| panic!("no hold: {printed}")).trim_end_matches([':', ',']).to_owned()
}

async fn held(city: &City, offer: &str) -> String {
    hold_id(&ctl(city, &["place", "hold", offer]).await.unwrap())
}

/// The list shows the offer with its intake phone.
async fn names_the_intake(told: &Told<'_, '_>, offer: &str) -> String {
    let listed = told.run("havenctl offer list").await.fine();
    let line = listed.lines().find(|line| line.contains(&offer[..8])).unwrap_or_else(|| panic!("{offer}: {listed}"));
    assert!(line.contains(INTAKE), "the intake phone: {listed}");
    line.to_owned()
}

/// One place, two who want it, and one who comes back to it too late.
async fn last_bed(scene: &Scene, strasbourg: &City, kehl: &City, esch: &City) {
    let offer = refuge(strasbourg, 1, false, &[kehl, esch]).await;
    let hold = held(kehl, &offer).await;
    let told = scene.refused(esch, &["place", "hold", &offer], Reason::HoldNoneFree).await;
    names_the_intake(&told, &offer).await;

    ctl(kehl, &["place", "extend", &hold]).await.unwrap();
    let told = scene.refused(kehl, &["place", "extend", &hold], Reason::HoldExtended).await;
    names_the_intake(&told, &offer).await;

    ctl(kehl, &["place", "release", &hold]).await.unwrap();
    let told = scene.refused(kehl, &["place", "arrive", &hold], Reason::HoldFenced).await;
    let stands = told.run("havenctl place holds").await.fine();
    assert!(stands.contains(&hold[..8]), "what stands, and what ended: {stands}");
    let again = told.known(kehl, "havenctl place hold OFFER", &[("OFFER", &offer)], "").await.fine();
    ctl(kehl, &["place", "arrive", &hold_id(&again)]).await.unwrap();
}

/// An address that is protected is given by people only.
async fn protected(scene: &Scene, strasbourg: &City, kehl: &City) {
    let offer = refuge(strasbourg, 4, true, &[kehl]).await;
    let told = scene.refused(kehl, &["place", "hold", &offer], Reason::HoldNotOffered).await;
    names_the_intake(&told, &offer).await;
}

/// A partner that holds as much as it may.
async fn its_share(scene: &Scene, strasbourg: &City, kehl: &City) {
    let offer = refuge(strasbourg, 12, false, &[kehl]).await;
    for _ in 0..SHARE {
        held(kehl, &offer).await;
    }
    let told = scene.refused(kehl, &["place", "hold", &offer], Reason::HoldQuota).await;
    let yours = told.run("havenctl place holds").await.fine();
    let one = yours.lines().skip(1).find(|line| line.contains("HELD")).and_then(|line| line.split_whitespace().next());
    let one = one.unwrap_or_else(|| panic!("{yours}"));
    told.known(kehl, "havenctl place release HOLD", &[("HOLD", one)], "").await.fine();
    held(kehl, &offer).await;
}

/// What the owner gave after its backup is unknown to it: it gives nothing until that has ended.
async fn restored(scene: &Scene, strasbourg: &mut City, kehl: &City) {
    let offer = refuge(strasbourg, 3, false, &[kehl]).await;
    let folder = strasbourg.dir.join("backups");
    strasbourg.once(&["backup", text(&folder)]).await.unwrap();
    lose_disk(strasbourg).await.unwrap();
    strasbourg.once(&["restore", text(&folder)]).await.unwrap();
    strasbourg.start().unwrap();
    strasbourg.until("it answers", |_| true).await.unwrap();
    ctl(strasbourg, &["agreement", "confirm", "--yes"]).await.unwrap();
    let refused = eventually("the owner answers", PATIENCE, || async {
        let ran = havenlink_tests::tools::havenctl(kehl, &["place", "hold", &offer]).await.unwrap();
        ran.err.contains(Reason::HoldAfterRestore.code()).then_some(ran)
    })
    .await;
    let told = scene.printed(kehl, "place hold", &refused, Reason::HoldAfterRestore);
    names_the_intake(&told, &offer).await;
    let same = told.repeated().await;
    assert!(same.err.contains(Reason::HoldAfterRestore.code()), "for three hours: {same:?}");
    ctl(strasbourg, &["steward", "refound", "--yes"]).await.unwrap();
    strasbourg.until("it votes", |s| s.votes).await.unwrap();
}
