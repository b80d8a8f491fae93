//! What a batch has to know before it decides: asked in a few statements for all its operations together.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use sqlx::sqlite::SqliteConnection;

use super::db::{Columns, note};
use super::script::Script;
use super::statements;
use crate::domain::ids::{Digest, RecordId};
use crate::domain::record::RecordKey;
use crate::ops::*;
use crate::unreadable::UnreadableRows;

/// An own publication as far as a batch is concerned.
#[derive(Clone, Copy)]
pub(super) struct Published {
    pub sequence: u64,
    pub pending: bool,
}

/// The answers; operations of the batch add to them as they are accepted.
#[derive(Clone, Default)]
pub(super) struct Facts {
    pub requests: HashMap<(String, String), (Digest, Bytes)>,
    /// Requests whose row does not read.
    pub unreadable_requests: HashSet<(String, String)>,
    pub published: HashMap<RecordKey, Published>,
    /// Dedup keys in use, with the position; 0: waiting.
    pub taken: HashMap<RecordKey, u64>,
}

impl Facts {
    /// Asks. The first try asks for what decides answers and leaves taken keys to the tables, which refuse them; the
    /// careful one asks for those too. An operation alone leaves a repeated request to the tables as well: among many,
    /// one repeated request would make all of them go the careful way.
    pub async fn load(
        script: &mut Script,
        conn: &mut SqliteConnection,
        unreadable: &UnreadableRows,
        ops: &[WriteOp],
        careful: bool,
    ) -> Result<Self, sqlx::Error> {
        let asked = Asked::by(ops, careful);
        let mut facts = Self::default();
        for row in script
            .fetch_many(conn, &statements::REQUEST_FIND, &asked.requests, |(scope, id), args| {
                args.push(*scope).push(*id);
            })
            .await?
        {
            let key = (row.text(0)?, row.text(1)?);
            match row.value(2, Digest::from_slice(&row.blob(2)?)) {
                Ok(body) => _ = facts.requests.insert(key, (body, row.bytes(3)?)),
                Err(error) => {
                    note(unreadable, &statements::REQUEST_FIND, &row, &error);
                    facts.unreadable_requests.insert(key);
                }
            }
        }
        for row in script
            .fetch_many(conn, &statements::PUBLICATION_FIND, &asked.published, |key, args| {
                args.key(Some(key));
            })
            .await?
        {
            // 0: dispatched.
            let read = || Ok(Published { sequence: row.number(2)?, pending: row.number(3)? != 0 });
            let published = match read() {
                Err(error) if note(unreadable, &statements::PUBLICATION_FIND, &row, &error) => continue,
                published => published?,
            };
            facts.published.insert(row.key(0)?, published);
        }
        for row in script
            .fetch_many(conn, &statements::TAKEN_FIND, &asked.taken, |key, args| {
                args.key(Some(key));
            })
            .await?
        {
            // Taken it is, wherever it stands.
            let position = match row.number(2) {
                Err(error) if note(unreadable, &statements::TAKEN_FIND, &row, &error) => 0,
                position => position?,
            };
            facts.taken.insert(row.key(0)?, position);
        }
        Ok(facts)
    }
}

#[derive(Default)]
struct Asked<'a> {
    requests: Vec<(&'a str, &'a str)>,
    published: Vec<RecordKey>,
    taken: Vec<RecordKey>,
}

impl<'a> Asked<'a> {
    fn by(ops: &'a [WriteOp], careful: bool) -> Self {
        let mut asked = Self::default();
        let mut new = Vec::new();
        for op in ops {
            match op {
                WriteOp::Publish(op) => {
                    if careful || ops.len() > 1 {
                        asked.request(op.request.as_ref());
                    }
                    new.push(key_of(&op.publication));
                }
                WriteOp::Write(op) => {
                    asked.request(op.request.as_ref());
                    new.extend(op.publications.iter().map(key_of));
                }
                WriteOp::Queue(op) => asked.published.extend(op.publication.clone()),
                WriteOp::Receive(op) => {
                    let hidden = op.items.iter().filter(|item| item.hidden);
                    asked.taken.extend(hidden.filter_map(|item| item.target.clone()));
                    if careful {
                        asked.taken.extend(op.items.iter().map(|item| item.key.clone()));
                    }
                }
                _ => {}
            }
        }
        if careful {
            asked.published.extend(new);
        }
        unique(&mut asked.published);
        unique(&mut asked.taken);
        asked
    }

    fn request(&mut self, mark: Option<&'a RequestMark>) {
        self.requests.extend(mark.map(|m| (m.scope.as_str(), m.request_id.as_str())));
    }
}

fn unique(keys: &mut Vec<RecordKey>) {
    let mut seen = HashSet::with_capacity(keys.len());
    keys.retain(|key| seen.insert(key.clone()));
}

/// The key of an own record.
pub(super) fn key_of(new: &NewPublication) -> RecordKey {
    RecordKey { origin: new.authority.clone(), record_id: new.record_id }
}

/// Records that nobody can have named before this operation, unless the tables say otherwise.
pub(super) fn first_named(op: &WriteOp) -> Vec<RecordId> {
    match op {
        WriteOp::Publish(op) => vec![op.publication.record_id],
        WriteOp::Receive(op) => op.items.iter().map(|item| item.key.record_id).collect(),
        _ => Vec::new(),
    }
}

/// Record ids that the drafts of a batch name, each once.
pub(super) fn records_of<'a>(drafts: impl IntoIterator<Item = &'a crate::domain::audit::AuditDraft>) -> Vec<RecordId> {
    let mut seen = HashSet::new();
    drafts.into_iter().filter_map(|d| d.record.map(|(_, id)| id)).filter(|id| seen.insert(*id)).collect()
}
