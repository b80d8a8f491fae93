//! The line between the nodes of a `World`: it loses answers, is down, and lets a test look at and change what goes over it.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::domain::board::{CapacityAnswer, CapacityQuestion};
use crate::domain::holds::{HoldCall, Lease};
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::stream::{Batch, BatchAnswer, EndsAnswer, EndsQuestion, GreetAnswer, Greeting};
use crate::domain::stream::{WithdrawalsAnswer, WithdrawalsQuestion};
use crate::exchange::*;
use crate::wire::{board, holds, peer};

type Tap<T> = Box<dyn Fn(&mut T) + Send + Sync>;

/// What the line does to calls.
#[derive(Default)]
pub struct Line {
    pub nodes: Mutex<HashMap<AuthorityId, Exchange>>,
    pub down: Mutex<HashSet<AuthorityId>>,
    /// Each node answers every batch with this: a fault of the receiver as a whole.
    pub fault: Mutex<Option<Reason>>,
    /// So many answers are lost after the partner stored the batch, or the hold.
    pub lose_answers: AtomicU32,
    pub tap: Mutex<Option<Tap<Batch>>>,
    /// The same of what partners say was withdrawn.
    pub withdrawals: Mutex<Option<Tap<WithdrawalsAnswer>>>,
    /// How often somebody asked.
    pub withdrawals_asked: AtomicU32,
    /// Stands in place of every receipt.
    pub receipt: Mutex<Option<Bytes>>,
    pub delivered: Mutex<Vec<Batch>>,
    /// Questions for capacity, as they travelled.
    pub capacity_asked: Mutex<Vec<CapacityQuestion>>,
    /// What owners answer to them.
    pub capacity: Mutex<Option<Tap<CapacityAnswer>>>,
    /// Who takes them and does not answer.
    pub silent: Mutex<HashSet<AuthorityId>>,
}

/// The nodes know the line, and the line knows the nodes: with this, their stores and folders go with the world.
impl Drop for super::world::World {
    fn drop(&mut self) {
        if let Ok(mut nodes) = self.line.nodes.lock() {
            nodes.clear();
        }
    }
}

pub struct Link {
    pub caller: AuthorityId,
    pub line: Arc<Line>,
}

impl Link {
    fn node(&self, host: &AuthorityId) -> Result<Exchange, LinkError> {
        let down = self.line.down.lock().unwrap();
        if down.contains(host) || down.contains(&self.caller) {
            return Err(Reason::PeerUnreachable.into());
        }
        self.line.nodes.lock().unwrap().get(host).cloned().ok_or(Reason::PeerUnreachable.into())
    }
}

impl PeerLink for Link {
    fn greet(&self, host: AuthorityId, greeting: Greeting) -> BoxFuture<'_, Result<GreetAnswer, LinkError>> {
        async move {
            let node = self.node(&host)?;
            let greeting = peer::greet_from_proto(peer::greet_to_proto(greeting)).unwrap();
            let answer = node.road.greet(&self.caller, greeting).await.map_err(|e| LinkError::from(e.reason()))?;
            Ok(peer::greet_answer_from_proto(peer::greet_answer_to_proto(answer)).unwrap())
        }
        .boxed()
    }

    fn deliver(&self, host: AuthorityId, mut batch: Batch) -> BoxFuture<'_, Result<BatchAnswer, LinkError>> {
        async move {
            let node = self.node(&host)?;
            if let Some(reason) = *self.line.fault.lock().unwrap() {
                return Err(reason.into());
            }
            if let Some(tap) = self.line.tap.lock().unwrap().as_ref() {
                tap(&mut batch);
            }
            let batch = peer::batch_from_proto(peer::batch_to_proto(batch)).unwrap();
            self.line.delivered.lock().unwrap().push(batch.clone());
            let mut answer = node.road.receive(&self.caller, batch).await.map_err(|e| LinkError::from(e.reason()))?;
            let lost = self.line.lose_answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            if lost.is_ok() {
                return Err(Reason::DeadlineExceeded.into());
            }
            answer.receipt = self.line.receipt.lock().unwrap().clone().or(answer.receipt);
            Ok(peer::answer_from_proto(peer::answer_to_proto(answer)))
        }
        .boxed()
    }

    fn ends(&self, host: AuthorityId, question: EndsQuestion) -> BoxFuture<'_, Result<EndsAnswer, LinkError>> {
        async move {
            let node = self.node(&host)?;
            let question = peer::ends_from_proto(peer::ends_to_proto(question)).unwrap();
            let answer = node.agreements.ends_for(&self.caller, question).await;
            let answer = answer.map_err(|e| LinkError::from(e.reason()))?;
            Ok(peer::ends_answer_from_proto(peer::ends_answer_to_proto(answer)))
        }
        .boxed()
    }

    fn hold(&self, host: AuthorityId, call: HoldCall) -> BoxFuture<'_, Result<Lease, LinkError>> {
        async move {
            let node = self.node(&host)?;
            let call = holds::call_from_proto(&holds::call_to_proto(&call)).unwrap();
            let lease = node.capacity.hold_for(&self.caller, call).await.map_err(|e| LinkError::from(e.reason()))?;
            let lost = self.line.lose_answers.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            if lost.is_ok() {
                return Err(Reason::DeadlineExceeded.into());
            }
            Ok(holds::lease_from_proto(&holds::lease_to_proto(lease)).unwrap())
        }
        .boxed()
    }

    fn capacity(
        &self,
        host: AuthorityId,
        question: CapacityQuestion,
    ) -> BoxFuture<'_, Result<CapacityAnswer, LinkError>> {
        async move {
            let node = self.node(&host)?;
            if self.line.silent.lock().unwrap().contains(&host) {
                std::future::pending::<()>().await;
            }
            self.line.capacity_asked.lock().unwrap().push(question.clone());
            let question = board::question_from_proto(&board::question_to_proto(&question)).unwrap();
            let answer = node.capacity.capacity_for(&self.caller, question).await;
            let mut answer = answer.map_err(|e| LinkError::from(e.reason()))?;
            if let Some(tap) = self.line.capacity.lock().unwrap().as_ref() {
                tap(&mut answer);
            }
            board::answer_from_proto(board::answer_to_proto(&answer)).map_err(|e| LinkError::from(e.reason))
        }
        .boxed()
    }

    fn withdrawals(
        &self,
        host: AuthorityId,
        question: WithdrawalsQuestion,
    ) -> BoxFuture<'_, Result<WithdrawalsAnswer, LinkError>> {
        async move {
            let node = self.node(&host)?;
            let question = peer::withdrawals_from_proto(peer::withdrawals_to_proto(question)).unwrap();
            self.line.withdrawals_asked.fetch_add(1, Ordering::SeqCst);
            let answer = node.persons.withdrawals_for(&self.caller, question).await;
            let mut answer = answer.map_err(|e| LinkError::from(e.reason()))?;
            if let Some(tap) = self.line.withdrawals.lock().unwrap().as_ref() {
                tap(&mut answer);
            }
            Ok(peer::withdrawals_answer_from_proto(peer::withdrawals_answer_to_proto(answer)))
        }
        .boxed()
    }
}
