//! Which record is meant: by its whole id and origin without a search, by its whole id, or by a beginning that only one has.

use std::collections::{BTreeSet, VecDeque};

use clap::Args;
use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use havenlink_proto::local::v1::{Folder, GetRecordRequest, HeldRecord, ListRecordsRequest, ListRecordsResponse};
use havenlink_proto::record::v1::RecordKind;

use crate::commands::pages::PAGE;
use crate::commands::{ALL, Limit, pages};
use crate::failure::Failure;
use crate::id;
use crate::session::{Session, call};

/// A record, as it is typed.
#[derive(Debug, Args)]
pub struct Which {
    /// Its id, or the beginning of it
    #[arg(value_name = "ID")]
    record: String,
    /// Who published it; with the whole id, nothing has to be searched
    #[arg(long, value_name = "AUTHORITY")]
    origin: Option<String>,
}

/// The records of a noun.
pub struct Sort {
    pub kind: RecordKind,
    pub noun: &'static str,
    /// The command that lists them.
    pub list: &'static str,
}

/// Where a whole id is looked for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// A page of each folder by turns: what is looked at is mostly of these days, in either.
    ByTurns,
    /// What is answered was received.
    ReceivedFirst,
    /// What is updated or cancelled was published here.
    PublishedFirst,
}

impl Which {
    /// The record, to look at.
    ///
    /// # Errors
    /// `NOT_FOUND`, or why the beginning is not enough.
    pub async fn held(&self, session: &Session, sort: &Sort) -> Result<HeldRecord, Failure> {
        let (origin, record_id) = self.key(session, sort, Order::ByTurns).await?;
        get(session, origin, record_id).await
    }

    /// Origin and record id, to answer.
    ///
    /// # Errors
    /// `NOT_FOUND`, or why the beginning is not enough.
    pub async fn to_answer(&self, session: &Session, sort: &Sort) -> Result<(String, Vec<u8>), Failure> {
        self.key(session, sort, Order::ReceivedFirst).await
    }

    /// Origin and record id of an own one, to update or cancel it.
    ///
    /// # Errors
    /// `NOT_FOUND`, or why the beginning is not enough.
    pub async fn own(&self, session: &Session, sort: &Sort) -> Result<(String, Vec<u8>), Failure> {
        self.key(session, sort, Order::PublishedFirst).await
    }

    /// An own record as it stands, to say it anew.
    ///
    /// # Errors
    /// `NOT_FOUND`, or why the beginning is not enough.
    pub async fn held_own(&self, session: &Session, sort: &Sort) -> Result<HeldRecord, Failure> {
        let (origin, record_id) = self.own(session, sort).await?;
        get(session, origin, record_id).await
    }

    async fn key(&self, session: &Session, sort: &Sort, order: Order) -> Result<(String, Vec<u8>), Failure> {
        let whole = id::parse(&self.record).filter(|bytes| bytes.len() == 16);
        match (&self.origin, whole) {
            (Some(origin), Some(whole)) => Ok((origin.clone(), whole)),
            (None, Some(whole)) => Ok((self.origin_of(session, sort, &whole, order).await?, whole)),
            (_, None) => {
                let found = self.by_beginning(session, sort).await?;
                Ok((found.origin, found.record_id.to_vec()))
            }
        }
    }

    /// Stops at the page that has it: a long list is not read to its end for a record of yesterday. What was updated or
    /// cancelled is in no list; it is asked for at each origin that the lists name.
    async fn origin_of(&self, session: &Session, sort: &Sort, whole: &[u8], order: Order) -> Result<String, Failure> {
        let size = i32::try_from(PAGE).unwrap_or_default();
        let first = |folder: Folder| ListRecordsRequest { page_size: size, ..records(sort, folder) };
        let mut left = VecDeque::from([first(Folder::Received), first(Folder::Published)]);
        if order == Order::PublishedFirst {
            left.make_contiguous().reverse();
        }
        let mut origins = BTreeSet::new();
        while let Some(next) = left.pop_front() {
            let page = call!(session, RecordServiceClient, list_records, next.clone())?;
            if let Some(found) = page.records.iter().find(|held| held.record_id == whole) {
                return Ok(found.origin.clone());
            }
            origins.extend(page.records.into_iter().map(|held| held.origin));
            let more = ListRecordsRequest { page_token: page.next_page_token, ..next };
            match order {
                _ if more.page_token.is_empty() => {}
                Order::ByTurns => left.push_back(more),
                Order::ReceivedFirst | Order::PublishedFirst => left.push_front(more),
            }
        }
        for origin in origins {
            match get(session, origin.clone(), whole.to_vec()).await {
                Ok(held) if held.kind == i32::from(sort.kind) => return Ok(origin),
                Err(failure) if failure.code != "NOT_FOUND" => return Err(failure),
                Ok(_) | Err(_) => {}
            }
        }
        let list = format!("{}; what was cancelled is found with --origin AUTHORITY", sort.list);
        Err(Failure::not_found(format!("there is no {} {} here", sort.noun, self.record), list))
    }

    /// Whether a beginning names one only all of them can tell.
    async fn by_beginning(&self, session: &Session, sort: &Sort) -> Result<HeldRecord, Failure> {
        let mut known = list(session, sort, false, &ALL).await?.records;
        known.extend(list(session, sort, true, &ALL).await?.records);
        known.retain(|held| self.origin.as_ref().is_none_or(|origin| *origin == held.origin));
        let ids = known.iter().map(|held| (&held.record_id[..], held.clone()));
        id::resolve(&self.record, ids, sort.noun, sort.list)
    }
}

async fn get(session: &Session, origin: String, record_id: Vec<u8>) -> Result<HeldRecord, Failure> {
    let request = GetRecordRequest { origin, record_id: record_id.into() };
    Ok(call!(session, RecordServiceClient, get_record, request)?.record.unwrap_or_default())
}

/// What was received, or published here, newest first.
///
/// # Errors
/// When the node does not tell.
pub async fn list(
    session: &Session,
    sort: &Sort,
    published: bool,
    limit: &Limit,
) -> Result<ListRecordsResponse, Failure> {
    let folder = if published { Folder::Published } else { Folder::Received };
    pages!(session, RecordServiceClient, list_records, records(sort, folder), [records], limit)
}

fn records(sort: &Sort, folder: Folder) -> ListRecordsRequest {
    ListRecordsRequest { kind: sort.kind.into(), folder: folder.into(), ..Default::default() }
}
