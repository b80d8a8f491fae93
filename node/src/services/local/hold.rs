//! Holds: units that are set aside, of partners' offers and of own ones.

use std::sync::Arc;

use havenlink_proto::local::v1 as local;
use havenlink_proto::local::v1::hold_service_server::HoldService;
use tonic::{Request, Response, Status};

use crate::domain::holds::HoldState;
use crate::domain::ids::{HoldId, OfferId};
use crate::exchange::{AskedHold, Capacity, GivenHold, HoldChange};
use crate::services::actor::Codes;
use crate::services::call::call;
use crate::services::errors;
use crate::wire::{fields, holds};

/// The Hold service.
pub struct HeldPlaces {
    pub capacity: Arc<Capacity>,
    pub codes: Codes,
}

type Answer<T> = Result<Response<T>, Status>;

fn asked(shown: AskedHold) -> local::AskedHold {
    let AskedHold { row, left } = shown;
    local::AskedHold {
        hold_id: fields::bytes_of(row.id.as_bytes()),
        authority: row.owner.to_string(),
        offer_id: fields::bytes_of(row.offer.as_bytes()),
        state: row.state.map_or(0, HoldState::code),
        left_ms: left.map_or(-1, |left| left.0),
        extended: row.extended,
        asked_ms: row.asked.0,
    }
}

fn given(shown: GivenHold) -> local::GivenHold {
    let GivenHold { offer, hold, left } = shown;
    local::GivenHold {
        holder: hold.holder.to_string(),
        offer_id: fields::bytes_of(offer.as_bytes()),
        state: hold.state.code(),
        left_ms: left.0,
        extended: hold.extended,
        taken_ms: hold.taken.0,
        ended_ms: if hold.state == HoldState::Held { 0 } else { hold.ended.0 },
    }
}

impl HeldPlaces {
    async fn change<T: Sync>(
        &self,
        request: &Request<T>,
        (request_id, hold_id): (&str, &[u8]),
        change: HoldChange,
    ) -> Result<Option<local::AskedHold>, Status> {
        let call = call(&self.codes, request, request_id)?;
        let id = fields::id("hold_id", hold_id, HoldId::from_slice).map_err(|e| errors::field(&e))?;
        let row = self.capacity.change_hold(&call, id, change).await.map_err(|e| errors::exchange(&e))?;
        Ok(Some(asked(self.capacity.asked_just_now(row))))
    }
}

#[tonic::async_trait]
impl HoldService for HeldPlaces {
    async fn take_hold(&self, request: Request<local::TakeHoldRequest>) -> Answer<local::TakeHoldResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let said = request.get_ref();
        let offer = fields::id("offer_id", &said.offer_id, OfferId::from_slice).map_err(|e| errors::field(&e))?;
        let lease = holds::lease("lease_ms", said.lease_ms).map_err(|e| errors::field(&e))?;
        let row = self.capacity.take_hold(&call, offer, lease).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::TakeHoldResponse { hold: Some(asked(self.capacity.asked_just_now(row))) }))
    }

    async fn extend_hold(&self, request: Request<local::ExtendHoldRequest>) -> Answer<local::ExtendHoldResponse> {
        let local::ExtendHoldRequest { request_id, hold_id } = request.get_ref().clone();
        let hold = self.change(&request, (&request_id, &hold_id), HoldChange::Extend).await?;
        Ok(Response::new(local::ExtendHoldResponse { hold }))
    }

    async fn release_hold(&self, request: Request<local::ReleaseHoldRequest>) -> Answer<local::ReleaseHoldResponse> {
        let local::ReleaseHoldRequest { request_id, hold_id } = request.get_ref().clone();
        let hold = self.change(&request, (&request_id, &hold_id), HoldChange::Release).await?;
        Ok(Response::new(local::ReleaseHoldResponse { hold }))
    }

    async fn arrive_hold(&self, request: Request<local::ArriveHoldRequest>) -> Answer<local::ArriveHoldResponse> {
        let local::ArriveHoldRequest { request_id, hold_id } = request.get_ref().clone();
        let hold = self.change(&request, (&request_id, &hold_id), HoldChange::Arrive).await?;
        Ok(Response::new(local::ArriveHoldResponse { hold }))
    }

    async fn list_holds(&self, _: Request<local::ListHoldsRequest>) -> Answer<local::ListHoldsResponse> {
        let all = self.capacity.asked_holds().await.map_err(|e| errors::exchange(&e))?;
        let of_own = self.capacity.given_holds().await.map_err(|e| errors::exchange(&e))?;
        let asked = all.into_iter().map(asked).collect();
        Ok(Response::new(local::ListHoldsResponse { asked, given: of_own.into_iter().map(given).collect() }))
    }
}
