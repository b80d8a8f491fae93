//! One city as its operator and its software see it: sockets that are there while its node runs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use havenlink::demo::city::{City, door};
use havenlink_proto::admin::v1::agreement_service_client::AgreementServiceClient;
use havenlink_proto::admin::v1::audit_service_client::AuditServiceClient;
use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;
use havenlink_proto::admin::v1::node_service_client::NodeServiceClient;
use havenlink_proto::admin::v1::{GetStatusRequest, GetStatusResponse};
use havenlink_proto::local::v1::inbox_service_client::InboxServiceClient;
use havenlink_proto::local::v1::offer_service_client::OfferServiceClient;
use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use tonic::transport::Channel;

/// How long anything may take until it is done between kills.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone)]
pub struct Side {
    pub id: &'static str,
    sockets: PathBuf,
}

impl Side {
    pub fn of(city: &City) -> Self {
        Self { id: city.id(), sockets: city.sockets() }
    }

    pub async fn members(&self) -> anyhow::Result<MemberServiceClient<Channel>> {
        Ok(MemberServiceClient::new(door(&self.sockets, "operator").await?))
    }

    pub async fn agreements(&self) -> anyhow::Result<AgreementServiceClient<Channel>> {
        Ok(AgreementServiceClient::new(door(&self.sockets, "operator").await?))
    }

    pub async fn audit(&self) -> anyhow::Result<AuditServiceClient<Channel>> {
        Ok(AuditServiceClient::new(door(&self.sockets, "operator").await?))
    }

    pub async fn publisher(&self) -> anyhow::Result<RecordServiceClient<Channel>> {
        Ok(RecordServiceClient::new(door(&self.sockets, "publisher").await?))
    }

    pub async fn offers(&self) -> anyhow::Result<OfferServiceClient<Channel>> {
        Ok(OfferServiceClient::new(door(&self.sockets, "coordinator").await?))
    }

    pub async fn inbox(&self) -> anyhow::Result<InboxServiceClient<Channel>> {
        Ok(InboxServiceClient::new(door(&self.sockets, "consumer").await?))
    }

    pub async fn status(&self) -> anyhow::Result<GetStatusResponse> {
        let mut node = NodeServiceClient::new(door(&self.sockets, "operator").await?);
        Ok(node.get_status(GetStatusRequest {}).await?.into_inner())
    }
}

/// Asks again until it is done: its node may be down, a quorum missing, the other side behind.
pub async fn persist<T>(what: &str, attempt: impl AsyncFn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if Instant::now() >= deadline {
            return Err(error.context(format!("waited {PATIENCE:?} until {what}")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
