//! Which alert is meant: by its whole id and origin without a search, by its whole id, or by a beginning that only one has.

use std::collections::VecDeque;

use clap::Args;
use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use havenlink_proto::local::v1::{Folder, GetRecordRequest, HeldRecord, ListRecordsRequest, ListRecordsResponse};
use havenlink_proto::record::v1::RecordKind;

use crate::commands::pages::PAGE;
use crate::commands::{ALL, pages};
use crate::failure::Failure;
use crate::id;
use crate::session::{Session, call};

const LIST: &str = "havenctl alert list, or --published";

/// An alert, as it is typed.
#[derive(Debug, Args)]
pub struct Which {
    /// Its id, or the beginning of it
    alert: String,
    /// Who published it; with the whole id, nothing has to be searched
    #[arg(long, value_name = "AUTHORITY")]
    origin: Option<String>,
}

/// Where a whole id is looked for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// A page of each folder by turns: what is looked at is mostly of these days, in either.
    ByTurns,
    /// What is answered was received.
    ReceivedFirst,
}

impl Which {
    /// The alert, to look at.
    ///
    /// # Errors
    /// `NOT_FOUND`, or why the beginning is not enough.
    pub async fn held(&self, session: &Session) -> Result<HeldRecord, Failure> {
        let (origin, record_id) = self.key(session, Order::ByTurns).await?;
        let request = GetRecordRequest { origin, record_id: record_id.into() };
        Ok(call!(session, RecordServiceClient, get_record, request)?.record.unwrap_or_default())
    }

    /// Origin and record id, to answer.
    ///
    /// # Errors
    /// `NOT_FOUND`, or why the beginning is not enough.
    pub async fn to_answer(&self, session: &Session) -> Result<(String, Vec<u8>), Failure> {
        self.key(session, Order::ReceivedFirst).await
    }

    async fn key(&self, session: &Session, order: Order) -> Result<(String, Vec<u8>), Failure> {
        let whole = id::parse(&self.alert).filter(|bytes| bytes.len() == 16);
        let found = match (&self.origin, whole) {
            (Some(origin), Some(whole)) => return Ok((origin.clone(), whole)),
            (None, Some(whole)) => self.by_whole_id(session, &whole, order).await?,
            (_, None) => self.by_beginning(session).await?,
        };
        Ok((found.origin, found.record_id.to_vec()))
    }

    /// Stops at the page that has it: a long list is not read to its end for an alert of yesterday.
    async fn by_whole_id(&self, session: &Session, whole: &[u8], order: Order) -> Result<HeldRecord, Failure> {
        let size = i32::try_from(PAGE).unwrap_or_default();
        let first = |folder: Folder| ListRecordsRequest { page_size: size, ..alerts(folder) };
        let mut left = VecDeque::from([first(Folder::Received), first(Folder::Published)]);
        while let Some(next) = left.pop_front() {
            let page = call!(session, RecordServiceClient, list_records, next.clone())?;
            if let Some(found) = page.records.into_iter().find(|held| held.record_id == whole) {
                return Ok(found);
            }
            let more = ListRecordsRequest { page_token: page.next_page_token, ..next };
            match order {
                _ if more.page_token.is_empty() => {}
                Order::ByTurns => left.push_back(more),
                Order::ReceivedFirst => left.push_front(more),
            }
        }
        Err(Failure::not_found(format!("there is no alert {} here", self.alert), LIST))
    }

    /// Whether a beginning names one only all of them can tell.
    async fn by_beginning(&self, session: &Session) -> Result<HeldRecord, Failure> {
        let mut known = list(session, false, ALL).await?.records;
        known.extend(list(session, true, ALL).await?.records);
        known.retain(|held| self.origin.as_ref().is_none_or(|origin| *origin == held.origin));
        let ids = known.iter().map(|held| (&held.record_id[..], held.clone()));
        id::resolve(&self.alert, ids, "alert", LIST)
    }
}

/// What was received, or published here, newest first.
///
/// # Errors
/// When the node does not tell.
pub async fn list(session: &Session, published: bool, limit: usize) -> Result<ListRecordsResponse, Failure> {
    let folder = if published { Folder::Published } else { Folder::Received };
    pages!(session, RecordServiceClient, list_records, alerts(folder), [records], limit)
}

fn alerts(folder: Folder) -> ListRecordsRequest {
    ListRecordsRequest { kind: RecordKind::Alert.into(), folder: folder.into(), ..Default::default() }
}
