//! Two versions apart: what a partner's node does not take waits, is named, and goes when it does.
//!
//! The two nodes are one build, of which one takes no practices: it says so in its hello, as a version without that kind does,
//! and refuses them in the same words. What a build that has never heard of a number makes of it stands in `exchange::tests`.

use havenlink::demo::acts::request_id;
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink_proto::local::v1::{DeliveryState, PublishRecordRequest};
use havenlink_proto::record::v1::{Purpose, Tlp};
use havenlink_tests::federation::{Federation, ctl};
use havenlink_tests::wait::eventually;

use crate::steps::*;

/// The line of a node that takes no practices.
const WITHOUT: &str = "not_taken = [\"PRACTICE\"]\n";

/// Ends a city's node and starts it with these lines less or more.
async fn starts_again(city: &mut City, change: impl FnOnce(String) -> String) {
    city.stop().await.unwrap();
    let file = city.dir.join("node.toml");
    std::fs::write(&file, change(std::fs::read_to_string(&file).unwrap())).unwrap();
    city.start().unwrap();
    city.ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_partners_version_does_not_know_waits_and_is_named() {
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    starts_again(&mut federation.cities[1], |text| WITHOUT.to_owned() + &text).await;

    let [strasbourg, kehl] = &federation.cities[..] else { panic!("two cities") };
    let request = PublishRecordRequest {
        request_id: request_id(),
        sharing: Some(sample::sharing(&[kehl.id()], Purpose::Prevention, Tlp::Green)),
        content: Some(sample::practice().into()),
        ..Default::default()
    };
    let published = strasbourg.publisher().await.unwrap().publish_record(request).await.unwrap().into_inner();
    let alert = publish(strasbourg, &[kehl.id()]).await.unwrap();
    until_delivered(strasbourg, kehl.id(), &[alert], DeliveryState::Delivered).await;
    until_delivered(strasbourg, kehl.id(), std::slice::from_ref(&published.record_id), DeliveryState::Held).await;
    eventually("the status names what waits", PATIENCE, || async {
        let status = ctl(strasbourg, &["status"]).await.unwrap();
        status.contains("held        1 PRACTICE until the node of de-kehl takes that kind").then_some(())
    })
    .await;
    let listed = ctl(strasbourg, &["delivery", "list", "--state", "HELD"]).await.unwrap();
    assert!(listed.contains("KIND_NOT_NAMED"), "{listed}");
    let explained = ctl(strasbourg, &["explain", "KIND_NOT_NAMED"]).await.unwrap();
    assert!(explained.contains("it waits, and goes when that node names the kind"), "{explained}");

    starts_again(&mut federation.cities[1], |text| text.replace(WITHOUT, "")).await;
    let [strasbourg, kehl] = &federation.cities[..] else { panic!("two cities") };
    until_delivered(strasbourg, kehl.id(), &[published.record_id], DeliveryState::Delivered).await;
    let status = ctl(strasbourg, &["status"]).await.unwrap();
    assert!(!status.contains("PRACTICE"), "{status}");
}
