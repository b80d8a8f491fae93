//! Passing statements on to the leader, together: what waits while calls are under way goes out with the next one.
//!
//! A statement alone goes out at once. Under load one call carries many, so a forwarded statement costs little more than
//! its own bytes. The leader answers each; it never passes one on again.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use havenlink_proto::raft::v1 as proto;
use proto::forwarded::Result as Answer;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::Request;

use super::clients;
use super::dial::refused;
use super::error::Error;
use super::handle::Directory;
use super::propose::{CALL, while_leading};
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::register::Applied;
use crate::wire::statement;

/// Calls under way at once; while they are, statements collect.
const CALLS: usize = 2;
/// Statements in one call.
const STATEMENTS: usize = 64;
/// Bytes of statements in one call, below the limit of a call.
const BYTES: usize = 48 << 10;

/// A statement on its way to the leader.
pub(super) struct Passing {
    pub leader: AuthorityId,
    pub target: u64,
    pub signed: Bytes,
    pub answer: oneshot::Sender<Result<Applied, Error>>,
}

/// Runs for as long as the node does.
pub(super) async fn run(directory: Directory, mut waiting: mpsc::Receiver<Passing>) {
    let calls = Arc::new(Semaphore::new(CALLS));
    let mut held = Vec::with_capacity(STATEMENTS);
    while let Ok(permit) = Arc::clone(&calls).acquire_owned().await {
        if held.is_empty() && waiting.recv_many(&mut held, STATEMENTS).await == 0 {
            return;
        }
        while held.len() < STATEMENTS
            && let Ok(more) = waiting.try_recv()
        {
            held.push(more);
        }
        let rest = held.split_off(fitting(&held));
        let batch = std::mem::replace(&mut held, rest);
        let directory = directory.clone();
        tokio::spawn(async move {
            send(&directory, batch).await;
            drop(permit);
        });
    }
}

/// How many of these go into one call: to the same leader, within the bytes; at least one.
fn fitting(held: &[Passing]) -> usize {
    let mut bytes = 0;
    let same = |passing: &Passing| passing.leader == held[0].leader && passing.target == held[0].target;
    let fits = held.iter().take_while(|passing| {
        bytes += passing.signed.len();
        same(passing) && bytes <= BYTES
    });
    fits.count().max(1)
}

async fn send(directory: &Directory, batch: Vec<Passing>) {
    let Some(first) = batch.first() else { return };
    let answers = call(directory, &first.leader, first.target, &batch).await;
    match answers {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            for passing in batch {
                let answer = answers.next().and_then(|answer| answer.result);
                drop(passing.answer.send(read(answer)));
            }
        }
        Err(error) => {
            for passing in batch {
                drop(passing.answer.send(Err(Error::new(error.reason(), error.detail()))));
            }
        }
    }
}

async fn call(
    directory: &Directory,
    leader: &AuthorityId,
    target: u64,
    batch: &[Passing],
) -> Result<Vec<proto::Forwarded>, Error> {
    let mut request = Request::new(proto::ForwardRequest {
        federation_id: Bytes::copy_from_slice(directory.view().federation.as_bytes()),
        signed: batch.iter().map(|passing| passing.signed.clone()).collect(),
        target,
    });
    request.set_timeout(CALL);
    let mut client = clients::consensus(directory.channel(leader)?);
    let node = directory.node().ok_or_else(|| Error::from(Reason::NodeStopping))?;
    let call = async { client.forward(request).await.map_err(|status| refused(&status)) };
    Ok(while_leading(node.status(), target, call).await?.into_inner().results)
}

fn read(answer: Option<Answer>) -> Result<Applied, Error> {
    match answer {
        Some(Answer::Proposed(response)) => Ok(statement::applied_from_proto(&response)?),
        Some(Answer::Refused(code)) => Err(Reason::from_code(&code).unwrap_or(Reason::Internal).into()),
        None => Err(Error::new(Reason::DecodeFailed, "answer to a forwarded statement")),
    }
}

/// The leader's side.
impl Directory {
    /// Statements that another steward passes on: each applied here or refused, never passed on again.
    ///
    /// # Errors
    /// What a door refuses; what becomes of each statement stands in the answer.
    pub async fn forwarded(
        &self,
        sender: &AuthorityId,
        request: proto::ForwardRequest,
    ) -> Result<proto::ForwardResponse, Error> {
        if request.signed.len() > STATEMENTS {
            return Err(Error::new(Reason::MessageTooLarge, "more than 64 statements"));
        }
        let node = self.served(sender)?;
        node.hears(sender, &request.federation_id, request.target)?;
        let proposed = request.signed.into_iter().map(|signed| self.propose_here(&node, signed));
        let results = join_all(proposed).await.into_iter().map(|result| {
            let result = match result {
                Ok(applied) => Answer::Proposed(statement::applied_to_proto(&applied)),
                Err(error) => Answer::Refused(error.reason().code().to_owned()),
            };
            proto::Forwarded { result: Some(result) }
        });
        Ok(proto::ForwardResponse { results: results.collect() })
    }
}
