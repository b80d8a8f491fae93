//! What a peer's calls are taken from: before they are let in, as their bytes come, and where only a handler can count.

use std::sync::Arc;
use std::time::Duration;

use tonic::Status;

use super::super::access::Work;
use super::super::errors::{self, Refusal};
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;

/// What one call takes from its peer's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// A call of the exchange.
    Call,
    /// A message of one, of so many bytes: known as it comes in, since nothing says beforehand how long a body is.
    Bytes(usize),
    /// A call to the register that is not consensus.
    Asked,
    /// A message of one, of so many bytes.
    AskedBytes(usize),
    /// A statement that goes through the register's log.
    Statement,
}

impl Spent {
    /// A call of this work; consensus and governing take nothing.
    pub(super) fn call(work: Work) -> Option<Self> {
        match work {
            Work::Exchange => Some(Self::Call),
            Work::Members => Some(Self::Asked),
            Work::Register => None,
        }
    }

    /// What the bytes of its messages are.
    pub(super) fn bytes(work: Work) -> Option<fn(usize) -> Self> {
        match work {
            Work::Exchange => Some(Self::Bytes),
            Work::Members => Some(Self::AskedBytes),
            Work::Register => None,
        }
    }
}

/// Whether a peer may spend this on one more call; otherwise how long to wait.
pub type Budget = Arc<dyn Fn(&AuthorityId, Spent) -> Result<(), Duration> + Send + Sync>;

/// The budget of the member that calls. In the extensions of each of its requests.
#[derive(Clone)]
pub struct Purse {
    budget: Budget,
    authority: AuthorityId,
}

impl Purse {
    /// What this authority may take of a budget.
    pub fn new(budget: Budget, authority: AuthorityId) -> Self {
        Self { budget, authority }
    }

    /// Takes this from it.
    ///
    /// # Errors
    /// `BUDGET_EXHAUSTED` with the time to wait.
    pub fn spend(&self, spent: Spent) -> Result<(), Status> {
        (self.budget)(&self.authority, spent).map_err(exhausted)
    }
}

/// The caller's purse; local callers have none.
pub fn purse<T>(request: &tonic::Request<T>) -> Option<Purse> {
    request.extensions().get::<Purse>().cloned()
}

pub(super) fn exhausted(wait: Duration) -> Status {
    errors::status(Reason::BudgetExhausted, Refusal { retry_after: Some(wait), ..Refusal::default() })
}
