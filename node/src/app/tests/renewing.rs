//! The certificate: what a renewal that was cut short leaves behind, and what it waits for.

use super::*;
use crate::app::renewal::LIFE;
use crate::clock::{MovedClock, SharedClock};
use crate::domain::audit::Actor;

async fn member_at(clock: &SharedClock, config: &Config) -> RunningMember {
    transport::install_provider();
    let data = DataDir::take(&config.data_dir).unwrap();
    drop(found(config, &data, &GenesisPolicy::default()).unwrap());
    let member = RunningMember::start(config.clone(), data, clock.clone(), &Runtimes::current(), None).await.unwrap();
    let mut readiness = member.readiness();
    let ready = readiness.wait_for(Option::is_none);
    tokio::time::timeout(Duration::from_secs(30), ready).await.expect("ready in time").unwrap();
    member
}

/// The caller hung up, or the process died, after the new pin was published: the old one has a day to live.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_was_cut_short_after_publishing_is_finished() {
    let (root, clock) = (tempfile::tempdir().unwrap(), SystemClock::shared());
    let config = config(root.path(), &[]);
    let member = member_at(&clock, &config).await;
    let renewal = member.renewal();
    let (before, now) = (renewal.identity.pin(), clock.now());
    assert!(!renewal.look(Duration::ZERO).await, "nothing is due");
    let next = renewal.with_key(|issuing| NodeIdentity::prepare(&config.data_dir, issuing, now, LIFE)).unwrap();
    let mut entry = renewal.governance.view().member(&config.authority).unwrap().entry.clone();
    entry.pins.push(next.pinned(&renewal.governance.view().federation, &config.authority).unwrap());
    renewal.governance.decisions.update_entry(entry, Actor::NODE).await.unwrap();
    assert_eq!(renewal.identity.pin(), before);
    assert!(renewal.look(Duration::ZERO).await);
    assert_eq!(renewal.identity.pin(), next.pin(), "the one that was published, no third");
    assert!(!renewal.look(Duration::ZERO).await, "and it is done");
    member.stop().await;
}

/// An applicant dials the pins of its token: it would be left standing by a new certificate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_waits_while_an_applicant_may_ask_as_long_as_there_is_time() {
    let (root, moved) = (tempfile::tempdir().unwrap(), MovedClock::new());
    let clock: SharedClock = moved.clone();
    let config = config(root.path(), &[]);
    let member = member_at(&clock, &config).await;
    let renewal = member.renewal();
    let due = renewal.identity.certificate().renew_at();
    moved.advance((due + Millis::hours(1)).since(clock.now()));
    let mut members = MemberServiceClient::new(door(&config, "operator").await);
    let invite = admin::CreateInvitationRequest {
        request_id: "i1".into(),
        intended_for: "de-kehl".into(),
        expires_in_ms: Millis::days(14).0,
    };
    members.create_invitation(invite).await.unwrap();
    drop(members);
    assert!(!renewal.look(Duration::ZERO).await, "an invitation is open");
    let ends = renewal.identity.certificate().not_after;
    moved.advance((ends - Millis::days(7)).since(clock.now()));
    assert!(renewal.look(Duration::ZERO).await, "open or not, before it ends");
    member.stop().await;
}

/// A national PKI's certificate is put into the data directory by hand: it must prove itself like a renewed one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_was_put_there_is_taken_once_the_register_lists_it() {
    let (root, clock) = (tempfile::tempdir().unwrap(), SystemClock::shared());
    let config = config(root.path(), &[]);
    let member = member_at(&clock, &config).await;
    let (renewal, changeable) = (member.renewal(), member.changeable());
    let before = renewal.identity.pin();
    assert_eq!(renewal.reread().await, Ok(None), "it is the one in use");
    let given = NodeIdentity::generate(&config.authority, clock.now(), LIFE).unwrap();
    NodeIdentity::store(&config.data_dir, &given).unwrap();
    assert_eq!(renewal.reread().await, Err(crate::domain::reason::Reason::CertificateInvalid));
    changeable.take(&config).await;
    assert_eq!(renewal.identity.pin(), before, "partners would refuse it");
    let mut entry = renewal.governance.view().member(&config.authority).unwrap().entry.clone();
    let given_as = NodeIdentity::from_der(&given.key, &given.certificate.der).unwrap();
    entry.pins.push(given_as.pinned(&renewal.governance.view().federation, &config.authority).unwrap());
    renewal.governance.decisions.update_entry(entry, Actor::NODE).await.unwrap();
    changeable.take(&config).await;
    assert_eq!(renewal.identity.pin(), given.certificate.pin);
    member.stop().await;
}
