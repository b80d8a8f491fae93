//! Who gets in, who answers, and what ends it.

use std::sync::Arc;
use std::time::Duration;

use havenlink_proto::peer::v1::exchange_service_client::ExchangeServiceClient;
use havenlink_proto::peer::v1::{DeliverItem, DeliverRequest, deliver_item};
use rustls::client::Resumption;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{HandshakeKind, NamedGroup};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::world::*;
use crate::certificate::LIFETIME;
use crate::clock::Clock;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::time::{Millis, UnixMs};
use crate::*;

#[tokio::test]
async fn members_meet_with_post_quantum_keys_and_know_each_other() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    let mut arrivals = kehl.connections.arrivals();
    assert_eq!(strasbourg.greet(&kehl).await.unwrap(), "fr-strasbourg");
    assert_eq!(kehl.connections.counts(&strasbourg.authority), Counts { incoming: 1, outgoing: 0 });
    assert_eq!(strasbourg.connections.counts(&kehl.authority), Counts { incoming: 0, outgoing: 1 });
    assert_eq!(arrivals.recv().await.unwrap(), strasbourg.authority);
    assert_eq!(kehl.connections.counts(&strasbourg.authority).incoming, 1);

    let tls = raw_connect(kehl.address, world.raw_as(&strasbourg.identity)).await.unwrap();
    let group = tls.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn a_peer_without_post_quantum_keys_is_accepted() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    let mut provider = tls::provider().as_ref().clone();
    provider.kx_groups.retain(|group| group.name() == NamedGroup::X25519);
    let template = world.raw_as(&strasbourg.identity);
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verify::PinVerifier::new(
            verify::Accepted::Applicants(open_gate()),
            world.clock.clone(),
        ))
        .with_client_cert_resolver(template.client_auth_cert_resolver.clone());
    config.alpn_protocols = template.alpn_protocols.clone();
    let tls = raw_connect(kehl.address, config).await.unwrap();
    assert_eq!(tls.get_ref().1.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519);
}

#[tokio::test]
async fn no_certificate_is_refused() {
    let world = World::new();
    let kehl = world.member("de-kehl").await;
    let error = raw_connect(kehl.address, world.raw()).await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    eventually("the refusal is counted", || kehl.refused.handshakes.load(std::sync::atomic::Ordering::Relaxed) == 1)
        .await;
}

#[tokio::test]
async fn a_certificate_of_no_member_is_refused_and_the_caller_is_told() {
    let world = World::new();
    let (stranger, kehl) = (world.stranger("fr-nobody").await, world.member("de-kehl").await);
    for _ in 0..2 {
        let refused = stranger.greet(&kehl).await.unwrap_err();
        assert_eq!(classify(&refused), Reason::PeerRefusedUs, "{refused:?}");
    }
    let strangers: Vec<_> = kehl.refused.strangers().into_iter().map(|s| s.pin).collect();
    assert_eq!(strangers, [stranger.identity.pin()]);
}

#[tokio::test]
async fn a_listed_certificate_with_another_key_is_refused() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    let thief = NodeIdentity::generate(&strasbourg.authority, world.clock.now(), LIFETIME).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(thief.key.as_slice()).unwrap();
    let signer = tls::provider().key_provider.load_private_key(key.clone_key()).unwrap();
    let chain = vec![strasbourg.identity.certificate().der.clone().into()];
    let mut config = world.raw();
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, signer)));
    let error = raw_connect(kehl.address, config).await.unwrap_err();
    assert!(error.to_string().contains("DecryptError"), "{error}");
    assert_eq!(kehl.connections.total(), 0);
}

#[tokio::test]
async fn another_member_answering_on_kehls_address_is_not_kehl() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    let esch = world.member("lu-esch").await;
    // The register is right about Kehl's pins, and Esch is a member; only the address leads to Esch.
    world.edit(&kehl.authority, |member| member.entry.endpoints = vec![esch.address.to_string()]);
    let refused = strasbourg.greet(&kehl).await.unwrap_err();
    let diagnosis = diagnose(&refused);
    assert_eq!(diagnosis.reason, Reason::PeerPinUnknown, "{refused:?}");
    assert_eq!(diagnosis.fact("peer"), Some("de-kehl"));
    assert_eq!(diagnosis.fact("endpoint"), Some(esch.address.to_string().as_str()));
    assert_eq!(diagnosis.fact("presented"), Some(esch.identity.pin().to_hex().as_str()));
    assert_eq!(diagnosis.fact("expected"), Some(kehl.identity.pin().to_hex().as_str()));
    assert_eq!(diagnosis.fact("register_number"), Some("4"));
    assert_eq!(strasbourg.greet(&esch).await.unwrap(), "fr-strasbourg");
}

#[tokio::test]
async fn a_pin_counts_until_its_end_and_a_certificate_within_its_validity() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    let end = world.clock.now() + Millis::hours(1);
    world.edit(&kehl.authority, |member| member.entry.pins[0].valid_until = end);
    strasbourg.greet(&kehl).await.unwrap();
    world.clock.advance(Millis::hours(1));
    let heard = world.clock.now();
    world.change(|view| view.majority_beat = Some(heard));
    strasbourg.connections.sweep();
    eventually("the connection ends", || strasbourg.connections.held() == 0).await;
    let refused = strasbourg.greet(&kehl).await.unwrap_err();
    assert_eq!(classify(&refused), Reason::PeerPinUnknown, "{refused:?}");

    world.edit(&kehl.authority, |member| member.entry.pins[0].valid_until = UnixMs::NEVER);
    strasbourg.greet(&kehl).await.unwrap();
    world.clock.advance(LIFETIME);
    let esch = world.member("lu-esch").await;
    let expired = esch.greet(&kehl).await.unwrap_err();
    assert_eq!(classify(&expired), Reason::PeerTlsFailed, "{expired:?}");
}

/// The register stands still, so nobody can publish another one; the certificate was issued anew for the same key.
#[tokio::test]
async fn while_nothing_can_be_ordered_a_pin_that_has_ended_counts_for_ninety_days() {
    let world = World::new();
    let long_lived = async |name: &str| {
        let made = NodeIdentity::generate(&id(name), world.clock.now(), Millis::days(400)).unwrap();
        let identity = NodeIdentity::from_der(&made.key, &made.certificate.der).unwrap();
        let node = world.node(name, identity, Key::new(&id(name))).await;
        world.admit(&node.authority, &[node.address], &[node.identity.pin()]);
        node
    };
    let (strasbourg, kehl) = (long_lived("fr-strasbourg").await, long_lived("de-kehl").await);
    let end = world.clock.now() + Millis::hours(1);
    world.edit(&kehl.authority, |member| member.entry.pins[0].valid_until = end);
    world.clock.advance(Millis::hours(1));
    let heard = world.clock.now();
    world.change(|view| view.majority_beat = Some(heard));
    assert_eq!(classify(&strasbourg.greet(&kehl).await.unwrap_err()), Reason::PeerPinUnknown);
    assert_eq!(classify(&kehl.greet(&strasbourg).await.unwrap_err()), Reason::PeerRefusedUs);
    let last = end + Millis::days(90) - Millis::minutes(5);
    for at in [heard + Millis::minutes(11), last] {
        world.clock.advance(at.since(world.clock.now()));
        strasbourg.greet(&kehl).await.unwrap();
        kehl.greet(&strasbourg).await.unwrap();
    }
    world.clock.advance(Millis::minutes(6));
    let held = || strasbourg.connections.held() + kehl.connections.held();
    strasbourg.connections.sweep();
    kehl.connections.sweep();
    eventually("what it opened ends", || held() == 0).await;
    assert_eq!(classify(&strasbourg.greet(&kehl).await.unwrap_err()), Reason::PeerPinUnknown);
    assert_eq!(classify(&kehl.greet(&strasbourg).await.unwrap_err()), Reason::PeerRefusedUs);
}

#[tokio::test]
async fn no_ticket_is_given_and_every_handshake_is_full() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    let mut config = world.raw_as(&strasbourg.identity);
    config.resumption = Resumption::in_memory_sessions(16);
    let config = Arc::new(config);
    for _ in 0..2 {
        let tls = raw_connect_with(kehl.address, config.clone()).await.unwrap();
        assert_eq!(tls.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(tls.get_ref().1.tls13_tickets_received(), 0);
    }
    // The old ticket that a suspended city would come back with does not exist; a removed one meets the verifier.
    world.edit(&strasbourg.authority, |member| member.removed_at = Some(UnixMs(1)));
    assert!(raw_connect_with(kehl.address, config).await.is_err());
}

#[tokio::test]
async fn suspension_ends_an_open_stream_at_once_and_both_ways() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    let channel = kehl.pool.channel(&strasbourg.authority).unwrap();
    let mut watching = HealthClient::new(channel).watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    watching.message().await.unwrap();
    kehl.greet(&strasbourg).await.unwrap();
    strasbourg.greet(&kehl).await.unwrap();

    let until = world.clock.now() + Millis::hours(24);
    world.change(|view| {
        view.overlay.insert(kehl.authority.clone(), until);
    });
    // Sooner than the sweep of every five seconds, which would end it as well.
    let ended = tokio::time::timeout(Duration::from_secs(4), watching.message()).await.expect("the stream ends");
    assert!(ended.is_err(), "{ended:?}");
    eventually("both ends are gone", || strasbourg.connections.held() + kehl.connections.held() == 0).await;

    // It may connect again, for Raft and the register; that connection is judged per request and not ended again.
    assert_eq!(kehl.greet(&strasbourg).await.unwrap(), "de-kehl");
    assert_eq!(strasbourg.connections.sweep(), 0);
    // Removal ends that too, and nothing comes after it.
    world.edit(&kehl.authority, |member| member.removed_at = Some(UnixMs(1)));
    eventually("gone for good", || strasbourg.connections.held() + kehl.connections.held() == 0).await;
    assert_eq!(classify(&kehl.greet(&strasbourg).await.unwrap_err()), Reason::PeerRefusedUs);
}

#[tokio::test]
async fn a_withdrawn_pin_ends_the_connections_under_it() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    strasbourg.greet(&kehl).await.unwrap();
    world.edit(&strasbourg.authority, |member| member.entry.pins.clear());
    eventually("ended at Kehl", || kehl.connections.counts(&strasbourg.authority).incoming == 0).await;
}

#[tokio::test]
async fn a_channel_follows_its_target_to_a_new_address() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    let channel = strasbourg.pool.channel(&kehl.authority).unwrap();
    greet(channel.clone(), "").await.unwrap();
    let nowhere = closed_port().await;
    world.edit(&kehl.authority, |member| member.entry.endpoints = vec![nowhere]);
    eventually("the old connection ends", || strasbourg.connections.held() == 0).await;
    assert_eq!(classify(&greet(channel.clone(), "").await.unwrap_err()), Reason::PeerUnreachable);
    world.edit(&kehl.authority, |member| member.entry.endpoints.push(kehl.address.to_string()));
    assert_eq!(greet(channel, "").await.unwrap(), "fr-strasbourg");
}

#[tokio::test]
async fn a_whole_batch_passes() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.member("de-kehl").await);
    let envelope = bytes::Bytes::from(vec![7; limits::BATCH_BYTES / 32]);
    let item = DeliverItem { item: Some(deliver_item::Item::Envelope(envelope)), ..Default::default() };
    let request = DeliverRequest { items: vec![item; 32], ..Default::default() };
    let channel = strasbourg.pool.channel(&kehl.authority).unwrap();
    let answer = ExchangeServiceClient::new(channel).deliver(request).await.unwrap().into_inner();
    assert_eq!(answer.next, 32);
}

/// An address that nobody listens on.
pub(super) async fn closed_port() -> String {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    socket.local_addr().unwrap().to_string()
}
