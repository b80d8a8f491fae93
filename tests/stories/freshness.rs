//! Cut off from every steward: content about nobody flows on, content about a person stops within the limit.

use std::time::Duration;

use havenlink::domain::agreement::{AgreementSet, Usage};
use havenlink::domain::handling::{Handling, Pap, Purpose, Tlp};
use havenlink::domain::ids::AuthorityId;
use havenlink::domain::policy::{ShareQuestion, Shared, Side, may_share};
use havenlink::domain::reason::Reason;
use havenlink::domain::records::Facet;
use havenlink::domain::records::alert::{AlertFacet, AlertKind, AssertionBasis};
use havenlink::domain::time::{Millis, UnixMs};
use havenlink_proto::admin::v1::NodeState;
use havenlink_proto::directory::v1::FollowRequest;
use havenlink_proto::directory::v1::follow_response::Event;
use havenlink_tests::federation::Federation;
use havenlink_tests::intruder;
use havenlink_tests::operator::havenctl;
use havenlink_tests::road;
use havenlink_tests::wait::eventually;
use prost::Message;

const LIMIT: Millis = Millis::seconds(5);
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_stewards_content_about_a_person_stops_and_the_rest_goes_on() {
    let init = ["--freshness-limit", "5s", "--beat-interval", "1s"];
    let federation = Federation::found_as(5, 3, "", &init).await.unwrap();
    federation.agree(3, 4).await.unwrap();
    let (liege, maastricht) = (&federation.cities[3], &federation.cities[4]);
    for city in [liege, maastricht] {
        eventually("each steward was heard", PATIENCE, || async {
            let stewards = city.status().await.unwrap().stewards;
            (stewards.len() == 3 && stewards.iter().all(|steward| steward.age_ms >= 0)).then_some(())
        })
        .await;
    }
    for steward in 0..3 {
        federation.freeze(steward, true).unwrap();
    }
    for city in [liege, maastricht] {
        eventually("the node says that it is not fresh", PATIENCE, || async {
            let status = city.status().await.unwrap();
            // On the node's own clock, in every answer: fresh to the millisecond as long as two of three were heard. A
            // steward that was frozen before its first beat arrived has no age, and counts as the oldest.
            let mut ages: Vec<i64> = status.stewards.iter().map(|steward| steward.age_ms).collect();
            ages.sort_unstable_by_key(|age| if *age < 0 { i64::MAX } else { *age });
            assert_eq!(ages.len(), 3, "{status:?}");
            assert_eq!(status.fresh, (0..=LIMIT.0).contains(&ages[1]), "{status:?}");
            let stale = status.state() == NodeState::NotFresh;
            assert_eq!((stale, stale), (!status.fresh, status.reason == "REGISTER_NOT_FRESH"), "{status:?}");
            stale.then_some(())
        })
        .await;
    }
    let said = havenctl(liege, &["status"]).await.unwrap();
    assert!(said.out.contains("NOT FRESH: content about a person stops"), "{said:?}");
    road::passes(liege, maastricht).await.unwrap();
    road::passes(maastricht, liege).await.unwrap();

    // The policy, asked with the very view of that moment: the node's register and the beats that it holds.
    let mut stream = liege.directory().await.unwrap().follow(follow_all(liege).await).await.unwrap().into_inner();
    let mut beats = Vec::new();
    while beats.len() < 3 {
        let event = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap().event;
        if let Some(Event::Beat(beat)) = event {
            beats.push(beat.encode_to_vec());
        }
    }
    drop(stream);
    let mut federation = federation;
    federation.cities[3].stop().await.unwrap();
    let directory = intruder::open(&federation.cities[3]).unwrap();
    for beat in beats {
        directory.accept_beat(&beat.into()).unwrap();
    }
    let view = directory.view();
    let last = view.majority_beat.unwrap();
    for at in [last + LIMIT, last + LIMIT + Millis(1)] {
        let fresh = at == last + LIMIT;
        for (basis, expected) in [
            // Fresh: stopped only because this version holds no records about persons yet.
            (
                AssertionBasis::ReportedByPerson,
                if fresh { Reason::PersonRecordsClosed } else { Reason::RegisterNotFresh },
            ),
            (AssertionBasis::Observed, Reason::AgreementNotInForce),
        ] {
            assert_eq!(asked(&view, basis, at), Err(expected), "{basis:?} at {at}");
        }
    }
    directory.shutdown().await;

    // With the stewards back it is fresh again.
    for steward in 0..3 {
        federation.freeze(steward, false).unwrap();
    }
    federation.cities[4].ready().await.unwrap();
}

async fn follow_all(city: &havenlink::demo::city::City) -> FollowRequest {
    let status = city.status().await.unwrap();
    FollowRequest { number: status.register_number, head: status.register_head, founding: 0 }
}

fn asked(view: &havenlink::domain::directory::DirectoryView, basis: AssertionBasis, now: UnixMs) -> Result<(), Reason> {
    let id = |text| AuthorityId::parse(text).unwrap();
    let question = ShareQuestion {
        from: &id("be-liege"),
        to: &id("nl-maastricht"),
        facet: Facet::Alert(AlertFacet { kind: AlertKind::SuspiciousAdvertising, basis }),
        target: None,
        purpose: Purpose::Prevention,
        usage: Usage::View,
        handling: Handling { tlp: Tlp::Green, pap: Pap::Green },
        shared: Shared::Nothing,
        created: now,
        side: Side::Sender,
        grant: None,
        agreements: &AgreementSet::default(),
        view,
        now,
    };
    may_share(&question).map(drop)
}
