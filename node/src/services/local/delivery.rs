//! Deliveries: where each record stands at each partner, as a list and as it happens.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use havenlink_proto::local::v1 as local;
use havenlink_proto::local::v1::delivery_service_server::DeliveryService;
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Request, Response, Status};

use super::delivery;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::exchange::{DeliveryFilter, DeliveryState, Road};
use crate::services::call::named;
use crate::services::{errors, page};
use crate::wire;

/// The Delivery service.
pub struct Deliveries {
    pub road: Arc<Road>,
}

const LIST: &str = "deliveries";

#[tonic::async_trait]
impl DeliveryService for Deliveries {
    async fn list_deliveries(
        &self,
        request: Request<local::ListDeliveriesRequest>,
    ) -> Result<Response<local::ListDeliveriesResponse>, Status> {
        let asked = request.into_inner();
        let (size, before) = (page::size(asked.page_size)?, page::number(LIST, &asked.page_token)?);
        let state = match asked.state {
            0 => None,
            number => Some(
                DeliveryState::from_code(number)
                    .ok_or_else(|| errors::field(&wire::Error::unknown("state", number)))?,
            ),
        };
        let since = (asked.since_ms != 0).then_some(UnixMs(asked.since_ms));
        let filter = DeliveryFilter { recipient: named("recipient", &asked.recipient)?, state, record: None, since };
        let mut rows = self.road.deliveries(filter, before, size + 1).await.map_err(|e| errors::exchange(&e))?;
        let more = rows.len() > size;
        rows.truncate(size);
        let last = rows.last().filter(|_| more);
        let next_page_token = last.map(|row| page::token(LIST, &row.sequence.to_be_bytes())).unwrap_or_default();
        Ok(Response::new(local::ListDeliveriesResponse {
            deliveries: rows.iter().map(delivery).collect(),
            next_page_token,
        }))
    }

    type WatchDeliveriesStream = Pin<Box<dyn Stream<Item = Result<local::WatchDeliveriesResponse, Status>> + Send>>;

    async fn watch_deliveries(
        &self,
        _request: Request<local::WatchDeliveriesRequest>,
    ) -> Result<Response<Self::WatchDeliveriesStream>, Status> {
        let answered = BroadcastStream::new(self.road.answered()).map(|batch| match batch {
            Ok(rows) => Ok(local::WatchDeliveriesResponse { deliveries: rows.iter().map(delivery).collect() }),
            // The reader is too slow for what happens; it reads the list instead.
            Err(_) => Err(errors::refuse(Reason::BudgetExhausted)),
        });
        Ok(Response::new(Box::pin(answered)))
    }
}
