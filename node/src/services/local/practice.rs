//! Practices: the search, which no other kind has.

use std::sync::Arc;

use havenlink_proto::local::v1 as local;
use havenlink_proto::local::v1::practice_service_server::PracticeService;
use tonic::{Request, Response, Status};

use crate::domain::reason::Reason;
use crate::exchange::{FoundPractice, PracticeCursor, PracticeQuery, PracticeSearch};
use crate::services::{errors, layers, page};
use crate::wire::records::practice;
use crate::wire::{fields, handling};

/// The Practice service.
pub struct Practices {
    pub practices: Arc<PracticeSearch>,
}

type Answer<T> = Result<Response<T>, Status>;

const LIST: &str = "practices";

fn found(found: &FoundPractice) -> local::FoundPractice {
    local::FoundPractice {
        origin: found.key.origin.to_string(),
        record_id: fields::bytes_of(found.key.record_id.as_bytes()),
        practice: Some(practice::to_proto(&found.practice)),
        handling: Some(handling::to_proto(found.handling)),
        created_ms: found.created.0,
    }
}

fn cursor(token: &str) -> Result<Option<PracticeCursor>, Status> {
    let Some(cursor) = page::cursor(LIST, token)? else { return Ok(None) };
    let invalid = || errors::refuse(Reason::PageTokenInvalid);
    let (sort, number) = cursor.split_first().ok_or_else(invalid)?;
    let number = u64::from_be_bytes(number.try_into().map_err(|_| invalid())?);
    Ok(Some(if *sort == 0 { PracticeCursor::Received(number) } else { PracticeCursor::Own(number) }))
}

fn token(cursor: PracticeCursor) -> String {
    let (sort, number) = match cursor {
        PracticeCursor::Received(number) => (0_u8, number),
        PracticeCursor::Own(number) => (1, number),
    };
    page::token(LIST, &[&[sort][..], &number.to_be_bytes()].concat())
}

#[tonic::async_trait]
impl PracticeService for Practices {
    async fn search_practices(
        &self,
        request: Request<local::SearchPracticesRequest>,
    ) -> Answer<local::SearchPracticesResponse> {
        let (role, _) = layers::local(&request)?;
        let asked = request.into_inner();
        let (size, from) = (page::size(asked.page_size)?, cursor(&asked.page_token)?);
        let query = PracticeQuery {
            topics: fields::closed_enums("topics", &asked.topics).map_err(|e| errors::field(&e))?,
            audiences: fields::closed_enums("audiences", &asked.audiences).map_err(|e| errors::field(&e))?,
            outcomes: fields::closed_enums("outcomes", &asked.outcomes).map_err(|e| errors::field(&e))?,
            resolution_paragraphs: asked.resolution_paragraphs,
            words: asked.words,
        };
        let matches = self.practices.search_practices(role, &query, from, size + 1).await;
        let matches = matches.map_err(|e| errors::exchange(&e))?;
        let (practices, more) = page::fill(&matches, size, found);
        let last = practices.len().checked_sub(1).filter(|_| more).map(|last| matches[last].place);
        Ok(Response::new(local::SearchPracticesResponse {
            practices,
            next_page_token: last.map(token).unwrap_or_default(),
        }))
    }
}
