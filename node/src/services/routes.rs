//! Which services stand behind which door. The access table decides per method; this only keeps what can never be asked
//! at a door out of it.

use std::sync::Arc;

use havenlink_proto::admin::v1::agreement_service_server::AgreementServiceServer;
use havenlink_proto::admin::v1::audit_service_server::AuditServiceServer;
use havenlink_proto::admin::v1::event_service_server::EventServiceServer;
use havenlink_proto::admin::v1::mandate_service_server::MandateServiceServer;
use havenlink_proto::admin::v1::member_service_server::MemberServiceServer;
use havenlink_proto::admin::v1::node_service_server::NodeServiceServer;
use havenlink_proto::directory::v1::directory_service_server::DirectoryServiceServer;
use havenlink_proto::local::v1::agreement_to_share_service_server::AgreementToShareServiceServer;
use havenlink_proto::local::v1::delivery_service_server::DeliveryServiceServer;
use havenlink_proto::local::v1::hold_service_server::HoldServiceServer;
use havenlink_proto::local::v1::inbox_service_server::InboxServiceServer;
use havenlink_proto::local::v1::offer_service_server::OfferServiceServer;
use havenlink_proto::local::v1::practice_service_server::PracticeServiceServer;
use havenlink_proto::local::v1::record_service_server::RecordServiceServer;
use havenlink_proto::local::v1::referral_service_server::ReferralServiceServer;
use havenlink_proto::peer::v1::exchange_service_server::ExchangeServiceServer;
use havenlink_proto::peer::v1::join_service_server::JoinServiceServer;
use havenlink_proto::raft::v1::raft_service_server::RaftServiceServer;
use tonic::body::Body;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use super::access::{Method, largest_request};
use super::actor::Codes;
use super::admin::configured::Configured;
use super::admin::{agreement, audit, event, mandate, member, node};
use super::layers::Now;
use super::reflection::{self, Reflection};
use super::{directory, errors, join, local, peer, raft};
use crate::directory::Directory;
use crate::directory::state::KNOWN_RULES;
use crate::domain::reason::Reason;
use crate::exchange::Exchange;
use crate::exchange::governance::Governance;
use crate::exchange::join::Inviter;

/// What the local services are made from.
pub struct Local {
    pub exchange: Exchange,
    pub directory: Directory,
    pub governance: Governance,
    pub inviter: Inviter,
    pub rotation: Arc<dyn member::KeyRotation>,
    pub status: Arc<dyn node::StatusSource>,
    pub upkeep: Arc<dyn node::Upkeep>,
    pub codes: Codes,
    pub now: Now,
    pub configured: Configured,
    pub health: HealthReporter,
}

fn health(reporter: HealthReporter) -> HealthServer<HealthService> {
    HealthServer::new(HealthService::from_health_reporter(reporter))
}

/// Members' nodes: exchange, register, consensus.
pub fn peer(peer: peer::Peer, of: &Directory, now: Now, reporter: HealthReporter) -> Routes {
    let register = directory::Register { directory: of.clone(), now, reading: directory::ReadingNow::default() };
    let raft = raft::Raft { directory: of.clone() };
    // Of any method; the guard holds each method to its own.
    let largest = largest_request();
    Routes::new(health(reporter))
        .add_service(ExchangeServiceServer::new(peer).max_decoding_message_size(largest))
        .add_service(DirectoryServiceServer::new(register).max_decoding_message_size(largest))
        .add_service(RaftServiceServer::new(raft).max_decoding_message_size(largest))
}

/// Applicants: joining, and nothing else.
pub fn join(inviter: Inviter) -> Routes {
    Routes::new(JoinServiceServer::new(join::Join::new(inviter)).max_decoding_message_size(largest_request()))
}

/// This city's own systems and people.
pub fn local(parts: Local) -> Routes {
    let Local {
        exchange,
        directory: of,
        governance,
        inviter,
        rotation,
        status,
        upkeep,
        codes,
        now,
        configured,
        health: reporter,
    } = parts;
    let mandates = mandate::Mandates { governance: governance.clone(), codes: codes.clone(), now: now.clone() };
    let road = exchange.road.clone();
    let (known_rules, asking) = (KNOWN_RULES, codes.clone());
    let members = member::Members {
        governance,
        inviter,
        rotation,
        road,
        codes: asking,
        now: now.clone(),
        known_rules,
        configured,
    };
    let records = local::record::Records { road: exchange.road.clone(), codes: codes.clone() };
    let practices = local::practice::Practices { practices: exchange.practices };
    let holds = local::hold::HeldPlaces { capacity: exchange.capacity.clone(), codes: codes.clone() };
    let offers = local::offer::Offers { capacity: exchange.capacity, codes: codes.clone(), now: now.clone() };
    let referrals = local::referral::Referrals {
        road: exchange.road.clone(),
        persons: exchange.persons.clone(),
        codes: codes.clone(),
        now: now.clone(),
    };
    let shares = local::agreement_to_share::AgreementsToShare { persons: exchange.persons, codes: codes.clone() };
    let agreements =
        agreement::AgreementCalls { agreements: exchange.agreements, codes: codes.clone(), now: now.clone() };
    always(node::Node { status, upkeep, codes }, reporter, |_| true)
        .add_service(MemberServiceServer::new(members))
        .add_service(MandateServiceServer::new(mandates))
        .add_service(AgreementServiceServer::new(agreements))
        .add_service(AuditServiceServer::new(audit::Audit { upkeep: exchange.upkeep }))
        .add_service(EventServiceServer::new(event::Events))
        .add_service(RecordServiceServer::new(records))
        .add_service(AgreementToShareServiceServer::new(shares))
        .add_service(ReferralServiceServer::new(referrals))
        .add_service(PracticeServiceServer::new(practices))
        .add_service(OfferServiceServer::new(offers))
        .add_service(HoldServiceServer::new(holds))
        .add_service(InboxServiceServer::new(local::inbox::Inbox { road: exchange.road.clone() }))
        .add_service(DeliveryServiceServer::new(local::delivery::Deliveries { road: exchange.road }))
        .add_service(DirectoryServiceServer::new(directory::Register {
            directory: of,
            now,
            reading: Default::default(),
        }))
}

/// A node that waits for approval: its status, and what a reason means. Everything else of the contract is refused with
/// what it waits for, not with a blank UNIMPLEMENTED.
pub fn waiting(node: node::Node, reporter: HealthReporter) -> Routes {
    let refused = || std::future::ready(errors::refuse(Reason::JoinPending).into_http::<Body>());
    let served = |row: &Method| !row.path.starts_with("/havenlink.") || row.service == "admin.NodeService";
    always(node, reporter, served).into_axum_router().fallback(refused).into()
}

/// What a node answers from its first moment on.
fn always(node: node::Node, reporter: HealthReporter, served: fn(&Method) -> bool) -> Routes {
    let answers = Routes::new(health(reporter)).add_service(NodeServiceServer::new(node));
    let reflection = Reflection::of(served);
    let [v1, v1alpha] = reflection::PATHS;
    answers.into_axum_router().route_service(v1, reflection.clone()).route_service(v1alpha, reflection).into()
}
