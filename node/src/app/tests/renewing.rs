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
    renewal.governance.decisions.update_entry(entry, None, Actor::NODE).await.unwrap();
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

/// A certificate is put into the data directory by hand, and the node is told to look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_was_put_there_is_published_and_taken() {
    let (root, clock) = (tempfile::tempdir().unwrap(), SystemClock::shared());
    let config = config(root.path(), &[]);
    let member = member_at(&clock, &config).await;
    let (renewal, changeable) = (member.renewal(), member.changeable());
    assert_eq!(renewal.reread(Duration::ZERO).await, Ok(None), "it is the one in use");
    let given = NodeIdentity::generate(&config.authority, clock.now(), LIFE).unwrap();
    NodeIdentity::store(&config.data_dir, &given).unwrap();
    changeable.take(&config).await;
    assert_eq!(renewal.identity.pin(), given.certificate.pin);
    let view = member.directory().view();
    assert_eq!(view.authority_of_pin(&given.certificate.pin, clock.now()), Some(&config.authority), "published first");
    member.stop().await;
}

/// As `havenctl node renew --certificate FILE --key FILE` asks for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_brought_is_published_and_taken_or_refused_with_what_does_not_fit() {
    let (root, clock) = (tempfile::tempdir().unwrap(), SystemClock::shared());
    let config = config(root.path(), &[]);
    let member = member_at(&clock, &config).await;
    let renewal = member.renewal();
    let before = renewal.identity.pin();
    let make = |from| NodeIdentity::generate(&config.authority, from, Millis::days(30)).unwrap();
    let (good, other, ended) = (make(clock.now()), make(clock.now()), make(clock.now() - Millis::days(31)));
    let mut node = NodeServiceClient::new(door(&config, "operator").await);
    let mut bring = async |key: &[u8], certificate: &[u8]| {
        let (key, certificate) = (key.to_vec().into(), certificate.to_vec().into());
        let asked = admin::RenewCertificateRequest { request_id: "b".into(), key, certificate };
        node.renew_certificate(asked).await.map(|answer| answer.into_inner().spki_sha256)
    };
    for (key, certificate, what) in [
        (&other.key[..], &good.certificate.der[..], "the key does not fit the certificate"),
        (&ended.key[..], &ended.certificate.der[..], "the certificate is not valid now"),
        (&b"no key"[..], &good.certificate.der[..], "the key does not load"),
        (&good.key[..], &b"no certificate"[..], "the certificate does not load"),
    ] {
        let refused = bring(key, certificate).await.unwrap_err();
        assert_eq!(reason(&refused), "CERTIFICATE_INVALID");
        assert!(refused.message().contains(what), "{refused:?}");
        assert_eq!(renewal.identity.pin(), before, "{what}");
    }
    let brought = bring(&good.key, &good.certificate.der).await.unwrap();
    assert_eq!(brought, good.certificate.pin.as_bytes()[..]);
    assert_eq!(renewal.identity.pin(), good.certificate.pin);
    let view = member.directory().view();
    assert_eq!(view.authority_of_pin(&good.certificate.pin, clock.now()), Some(&config.authority));
    member.stop().await;
}
