//! A whole node in one process: founded, started, asked over its sockets and over mutual TLS, governed, stopped.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;
use havenlink_proto::admin::v1::node_service_client::NodeServiceClient;
use havenlink_proto::admin::v1::{self as admin, NodeState};
use havenlink_proto::directory::v1::Outcome;
use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use havenlink_proto::local::v1::{ConsumeRequest, ListRecordsRequest, inbox_service_client::InboxServiceClient};
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt;

use super::commands::{GenesisPolicy, found};
use super::{DataDir, RunningMember};
use crate::clock::SystemClock;
use crate::config::{Config, Sources, load};
use crate::domain::time::Millis;
use crate::services::layers::Runtimes;
use crate::transport::{self, NodeIdentity};

mod away;
mod budgets;
mod endpoints;
mod long_poll;
mod own_software;
mod register_acts;
mod renewing;
mod rules;
mod years;

/// Longest wait for anything; shorter than the drain of a node that stops.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn free_port() -> u16 {
    crate::demo::ports::free().unwrap()
}

pub(super) fn config(root: &Path, more: &[String]) -> Config {
    let port = free_port();
    let mut set = vec![
        "authority=fr-strasbourg".to_owned(),
        "names=fr=Strasbourg".to_owned(),
        format!("listen=127.0.0.1:{port}"),
        format!("endpoints=127.0.0.1:{port}"),
        format!("data_dir={}", root.join("data").display()),
        format!("run_dir={}", root.join("run").display()),
        "http=off".to_owned(),
        // Longer than anybody here waits for a stop: one that only the end of the drain brings about is seen.
        "shutdown.drain=60s".to_owned(),
    ];
    set.extend_from_slice(more);
    load(&Sources { set, ..Sources::default() }).unwrap()
}

pub(super) async fn started(config: &Config) -> RunningMember {
    transport::install_provider();
    let data = DataDir::take(&config.data_dir).unwrap();
    if !data.has_keys() {
        found(config, &data, &GenesisPolicy::default()).unwrap();
    }
    let member =
        RunningMember::start(config.clone(), data, SystemClock::shared(), &Runtimes::current(), None).await.unwrap();
    let mut readiness = member.readiness();
    let ready = readiness.wait_for(Option::is_none);
    tokio::time::timeout(PATIENCE, ready).await.expect("ready in time").unwrap();
    member
}

pub(super) async fn door(config: &Config, role: &str) -> Channel {
    let path = config.run_dir.join(format!("{role}.sock"));
    let connect = tower::service_fn(move |_| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector(connect).await.unwrap()
}

pub(super) fn reason(status: &tonic::Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founded_node_answers_is_governed_stops_and_starts_again() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), &[]);
    let member = started(&config).await;
    let operator = door(&config, "operator").await;
    // Its doors are open before its first beat; it is fresh with that.
    let mut node = NodeServiceClient::new(operator.clone());
    let ready = async {
        let mut look = tokio::time::interval(Duration::from_millis(10));
        loop {
            look.tick().await;
            let status = node.get_status(admin::GetStatusRequest {}).await.unwrap().into_inner();
            if status.state() == NodeState::Ready {
                return status;
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, ready).await.expect("ready in time");
    assert!(status.steward, "{status:?}");

    let mut members = MemberServiceClient::new(operator.clone());
    let policy = admin::ProposePolicyRequest {
        request_id: "p1".into(),
        policy: Some(havenlink_proto::directory::v1::Policy {
            rules_version: 1,
            admission_approvals: 1,
            emergency_ms: 3_600_000,
            freshness_limit_ms: 600_000,
            beat_interval_ms: 15_000,
            snapshot_interval: 4_096,
            proposal_life_ms: 86_400_000,
        }),
        leave_behind: false,
    };
    let decided = members.propose_policy(policy).await.unwrap().into_inner().decision.unwrap();
    assert_eq!((decided.outcome(), decided.number), (Outcome::Accepted, 1));
    assert_eq!(member.directory().view().policy.emergency, Millis::hours(1));
    let unknown = admin::SuspendMemberRequest {
        request_id: "s1".into(),
        authority: "de-kehl".into(),
        reason: havenlink_proto::directory::v1::SuspendReason::OwnRequest.into(),
        lasting: false,
    };
    assert_eq!(reason(&members.suspend_member(unknown).await.unwrap_err()), "MEMBER_UNKNOWN");

    let refused = RecordServiceClient::new(operator).list_records(ListRecordsRequest::default()).await.unwrap_err();
    assert_eq!(reason(&refused), "METHOD_NOT_OPEN");
    let mut reader = InboxServiceClient::new(door(&config, "consumer").await);
    let consume = ConsumeRequest { consumer: "case-system".into(), all_kinds: true, ..Default::default() };
    let mut stream = reader.consume(consume).await.unwrap().into_inner();

    let stopping = tokio::time::timeout(PATIENCE, member.stop());
    let (stopped, ended) = tokio::join!(stopping, stream.message());
    stopped.expect("an open stream does not hold the node");
    assert_eq!(reason(&ended.unwrap_err()), "NODE_STOPPING");
    assert!(!config.run_dir.join("operator.sock").exists());

    let again = started(&config).await;
    assert_eq!(again.directory().view().number, 1);
    again.stop().await;
}
