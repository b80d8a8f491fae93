//! Two whole nodes in one process, and a clock that runs ahead of the world: more than a year of renewals.

use std::path::Path;
use std::time::Duration;

use havenlink_proto::admin::v1 as admin;
use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;

use super::{config, door};
use crate::app::commands::{self, GenesisPolicy, found};
use crate::app::token::Token;
use crate::app::{DataDir, RunningMember, applicant};
use crate::clock::{Clock, MovedClock, SharedClock};
use crate::config::Config;
use crate::demo::acts::request_id;
use crate::demo::sample;
use crate::domain::audit::ActorRole;
use crate::domain::ids::AuthorityId;
use crate::domain::time::Millis;
use crate::exchange::join::Applicant;
use crate::services::layers::Runtimes;
use crate::transport;

const DAYS: usize = 400;

pub(super) async fn ready(member: RunningMember) -> RunningMember {
    let mut readiness = member.readiness();
    let ready = readiness.wait_for(Option::is_none);
    tokio::time::timeout(Duration::from_secs(20), ready).await.expect("ready in time").unwrap();
    member
}

pub(super) fn config_of(root: &Path, authority: &str) -> Config {
    config(&root.join(authority), &[format!("authority={authority}"), format!("names=en={authority}")])
}

/// The second node joins the first as its operator would have it.
pub(super) async fn joined(first: &Config, second: &Config, clock: &SharedClock) -> RunningMember {
    let mut members = MemberServiceClient::new(door(first, "operator").await);
    let invitation = admin::CreateInvitationRequest {
        request_id: request_id(),
        intended_for: second.authority.to_string(),
        expires_in_ms: 0,
    };
    let token = members.create_invitation(invitation).await.unwrap().into_inner().token;
    let applying = second.clone();
    let join = std::thread::spawn(move || commands::join(&applying, &Token::read(&token)?, false, None, || Ok(())));
    tokio::task::spawn_blocking(move || join.join().unwrap()).await.unwrap().unwrap();
    let data = DataDir::take(&second.data_dir).unwrap();
    let application = Applicant::resume(data.path()).unwrap().unwrap();
    let words = application.applying().words().unwrap().to_string();
    let approve =
        admin::ApproveMemberRequest { request_id: request_id(), authority: second.authority.to_string(), words };
    members.approve_member(approve).await.unwrap();
    let on = Runtimes::current();
    let approved = applicant::wait(second, &data, clock, &on, application).await.unwrap();
    ready(RunningMember::start(second.clone(), data, clock.clone(), &on, Some(approved)).await.unwrap()).await
}

pub(super) async fn agreed(first: &Config, second: &Config, clock: &MovedClock) {
    use admin::agreement_service_client::AgreementServiceClient;
    let level = havenlink_proto::record::v1::DisclosureLevel::Light;
    let mut agreement = sample::agreement(first.authority.as_str(), second.authority.as_str(), level, clock.now().0);
    for grant in &mut agreement.grants {
        grant.valid_until_ms = (clock.now() + Millis::days(700)).0;
    }
    agreement.review_by_ms = (clock.now() + Millis::days(600)).0;
    let mut proposer = AgreementServiceClient::new(door(first, "operator").await);
    let propose = admin::ProposeAgreementRequest { request_id: request_id(), agreement: Some(agreement) };
    let agreement_id = proposer.propose_agreement(propose).await.unwrap().into_inner().agreement_id;
    let mut signer = AgreementServiceClient::new(door(second, "operator").await);
    for _ in 0..1_000 {
        let sign = admin::SignAgreementRequest { request_id: request_id(), agreement_id: agreement_id.clone() };
        if signer.sign_agreement(sign).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let show = admin::ShowAgreementRequest { agreement_id };
    for _ in 0..1_000 {
        let shown = proposer.show_agreement(show.clone()).await.unwrap().into_inner().agreement.unwrap();
        if shown.state() == admin::AgreementState::InForce {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the agreement did not come into force");
}

/// An alert goes from one to the other, and arrives.
pub(super) async fn exchange(from: &Config, to: &Config, member: &RunningMember, day: usize) {
    use havenlink_proto::local::v1::PublishRecordRequest;
    use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
    use havenlink_proto::record::v1::{Purpose, Tlp};
    let request = PublishRecordRequest {
        request_id: request_id(),
        sharing: Some(sample::sharing(&[to.authority.as_str()], Purpose::Prevention, Tlp::Green)),
        content: Some(sample::advert_alert().into()),
        ..Default::default()
    };
    let published =
        RecordServiceClient::new(door(from, "publisher").await).publish_record(request).await.unwrap().into_inner();
    let key = crate::domain::record::RecordKey {
        origin: from.authority.clone(),
        record_id: crate::domain::ids::RecordId::from_slice(&published.record_id).unwrap(),
    };
    let arrived = async {
        while member.exchange().road.get(ActorRole::Publisher, key.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), arrived)
        .await
        .unwrap_or_else(|_| panic!("day {day}: an alert from {} did not arrive", from.authority));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_renew_for_four_hundred_days_and_drop_no_exchange() {
    transport::install_provider();
    let root = tempfile::tempdir().unwrap();
    let moved = MovedClock::new();
    let clock: SharedClock = moved.clone();
    let (first, second) = (config_of(root.path(), "fr-strasbourg"), config_of(root.path(), "de-kehl"));
    let data = DataDir::take(&first.data_dir).unwrap();
    let policy = GenesisPolicy { beat_interval: Some(Millis(200)), ..GenesisPolicy::default() };
    drop(found(&first, &data, &policy).unwrap());
    let strasbourg =
        RunningMember::start(first.clone(), data, clock.clone(), &Runtimes::current(), None).await.unwrap();
    let strasbourg = ready(strasbourg).await;
    let kehl = joined(&first, &second, &clock).await;
    agreed(&first, &second, &moved).await;

    let pin =
        |member: &RunningMember, of: &AuthorityId| member.directory().view().member(of).unwrap().entry.pins.clone();
    let (mut renewals, mut overlaps) = (0, 0);
    for day in 0..DAYS {
        for (member, config, other) in [(&strasbourg, &first, &kehl), (&kehl, &second, &strasbourg)] {
            if member.renewal().look(Duration::from_millis(200)).await {
                renewals += 1;
                overlaps += usize::from(pin(other, &config.authority).len() == 2);
                // At once, in both directions: old connections finish, new ones show the new certificate.
                exchange(&first, &second, &kehl, day).await;
                exchange(&second, &first, &strasbourg, day).await;
            }
        }
        if day % 20 == 0 {
            exchange(&first, &second, &kehl, day).await;
            exchange(&second, &first, &strasbourg, day).await;
        }
        moved.advance(Millis::days(1));
    }
    assert_eq!((renewals, overlaps), (12, 12), "every 60 days on both sides, the old pin beside the new one");
    let ends = |member: &RunningMember| member.renewal().identity.certificate().not_after;
    assert!(ends(&strasbourg) > clock.now() && ends(&kehl) > clock.now());
    kehl.stop().await;
    strasbourg.stop().await;
}
