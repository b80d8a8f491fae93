//! Offers: own ones with their figures, partners' with their light, and the board.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use havenlink_proto::local::v1 as local;
use havenlink_proto::local::v1::offer_service_server::OfferService;
use tonic::{Request, Response, Status};

use crate::domain::ids::OfferId;
use crate::domain::light::Light;
use crate::domain::reason::Reason;
use crate::domain::records::offer::ServiceKind;
use crate::exchange::{BoardPart, Capacity, HeldOffer, PartnerOffer, Which};
use crate::services::actor::Codes;
use crate::services::call::call;
use crate::services::layers::{self, Now};
use crate::services::{errors, page};
use crate::wire::records::offer;
use crate::wire::{self, board, fields};

/// The Offer service.
pub struct Offers {
    pub capacity: Arc<Capacity>,
    pub codes: Codes,
    pub now: Now,
}

type Answer<T> = Result<Response<T>, Status>;

const LIST: &str = "offers";

/// After a restore an offer shows as paused, until somebody says that it is still true.
fn own(held: &HeldOffer) -> local::OwnOffer {
    let etag = held.version.to_string();
    let shown = match &held.offer {
        Ok(shown) => offer::own_to_proto(shown, etag),
        Err(unreadable) => local::OwnOffer {
            offer_id: fields::bytes_of(held.id.as_bytes()),
            etag,
            unreadable: unreadable.reason.code().to_owned(),
            ..Default::default()
        },
    };
    let stale_since_ms = held.stale_since.map_or(0, |since| since.0);
    local::OwnOffer { light: held.light.code(), stale_since_ms, held: held.occupied, ..shown }
}

fn partner(shown: &PartnerOffer) -> local::PartnerOffer {
    local::PartnerOffer {
        authority: shown.authority.to_string(),
        view: shown.view.as_ref().ok().map(offer::to_proto),
        light: shown.light.code(),
        age_ms: shown.age.map_or(-1, |age| age.0),
        unreadable: shown.view.as_ref().err().map(|e| e.reason.code().to_owned()).unwrap_or_default(),
        offer_id: fields::bytes_of(shown.id.as_bytes()),
    }
}

fn part(part: BoardPart) -> local::FindOffersResponse {
    local::FindOffersResponse {
        authority: part.authority.map(|partner| partner.to_string()).unwrap_or_default(),
        offers: part.found.iter().map(board::found_to_proto).collect(),
        reason: part.failed.map(|reason| reason.code().to_owned()).unwrap_or_default(),
        asked: part.asked.iter().map(ToString::to_string).collect(),
    }
}

#[tonic::async_trait]
impl OfferService for Offers {
    type FindOffersStream = Pin<Box<dyn Stream<Item = Result<local::FindOffersResponse, Status>> + Send>>;

    async fn find_offers(&self, request: Request<local::FindOffersRequest>) -> Answer<Self::FindOffersStream> {
        let (role, _) = layers::local(&request)?;
        let (wanted, deadline) = board::wanted_from_proto(request.into_inner()).map_err(|e| errors::field(&e))?;
        let parts = self.capacity.clone().find(role, wanted, deadline).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(Box::pin(parts.map(|one| Ok(part(one))))))
    }

    async fn set_offer(&self, request: Request<local::SetOfferRequest>) -> Answer<local::SetOfferResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let asked = request.into_inner().offer.ok_or_else(|| errors::field(&wire::Error::missing("offer")))?;
        let version = match asked.etag.as_str() {
            "" => None,
            etag => Some(etag.parse().map_err(|_| errors::refuse(Reason::EtagMismatch))?),
        };
        let own_id = self.capacity.authority();
        let wished = offer::own_from_proto(asked, Capacity::new_offer_id(), own_id, (self.now)());
        let wished = wished.map_err(|e| errors::field(&e.within("offer")))?;
        let (held, recipients) =
            self.capacity.set_offer(&call, wished, version).await.map_err(|e| errors::exchange(&e))?;
        let recipients = recipients.iter().map(ToString::to_string).collect();
        Ok(Response::new(local::SetOfferResponse { offer: Some(own(&held)), recipients }))
    }

    async fn confirm_offer(&self, request: Request<local::ConfirmOfferRequest>) -> Answer<local::ConfirmOfferResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let ids = request.get_ref().offer_ids.iter().map(|id| fields::id("offer_ids", id, OfferId::from_slice));
        let ids: Vec<OfferId> = ids.collect::<Result<_, _>>().map_err(|e| errors::field(&e))?;
        if request.get_ref().all != ids.is_empty() {
            return Err(errors::field(&wire::Error::missing("offer_ids")));
        }
        let which = if ids.is_empty() { Which::All } else { Which::These(&ids) };
        let confirmed = self.capacity.confirm_offers(&call, which).await.map_err(|e| errors::exchange(&e))?;
        Ok(Response::new(local::ConfirmOfferResponse { confirmed }))
    }

    async fn list_offers(&self, request: Request<local::ListOffersRequest>) -> Answer<local::ListOffersResponse> {
        let (role, _) = layers::local(&request)?;
        let asked = request.into_inner();
        let size = page::size(asked.page_size)?;
        let from = usize::try_from(page::number(LIST, &asked.page_token)?.unwrap_or(0)).unwrap_or(usize::MAX);
        let kind: Option<ServiceKind> =
            fields::optional("service_kind", asked.service_kind).map_err(|e| errors::field(&e))?;
        let mut response = local::ListOffersResponse::default();
        if from == 0 {
            let all = self.capacity.own_offers(role).await.map_err(|e| errors::exchange(&e))?;
            let of_kind = |o: &&HeldOffer| kind.is_none_or(|k| o.offer.as_ref().is_ok_and(|o| o.service_kind == k));
            response.own = all.iter().filter(of_kind).map(own).collect();
        }
        if asked.own_only {
            return Ok(Response::new(response));
        }
        let mut all = self.capacity.partner_offers(role).await.map_err(|e| errors::exchange(&e))?;
        all.retain(|o| kind.is_none_or(|k| o.view.as_ref().is_ok_and(|view| view.service_kind == k)));
        all.sort_by(|a, b| (a.light, &a.authority, a.id).cmp(&(b.light, &b.authority, b.id)));
        let silent = all.iter().filter(|o| o.light == Light::Unreachable).map(|o| o.authority.to_string());
        let mut silent: Vec<String> = silent.collect();
        silent.sort();
        silent.dedup();
        response.unreachable = silent;
        response.partners = all.iter().skip(from).take(size).map(partner).collect();
        if all.len() > from.saturating_add(size) {
            response.next_page_token = page::token(LIST, &((from + size) as u64).to_be_bytes());
        }
        Ok(Response::new(response))
    }
}
