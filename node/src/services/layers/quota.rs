//! What a member's calls are taken from: before they are let in, as their bytes come, and where only a handler can count.

use std::sync::Arc;
use std::time::Duration;

use tonic::Status;

use super::super::access::Work;
use super::super::errors::{self, RefusalDetails};
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;

/// What one call costs the member that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// A call of the exchange.
    ExchangeCall,
    /// A message of one, of so many bytes: known as it comes in, since nothing says beforehand how long a body is.
    ExchangeBytes(usize),
    /// A call to the register that is not consensus.
    RegisterCall,
    /// A message of one, of so many bytes.
    RegisterBytes(usize),
    /// A statement that goes through the register's log.
    Statement,
}

impl Charge {
    /// A call of this work; consensus and governing cost nothing.
    pub(super) fn call(work: Work) -> Option<Self> {
        match work {
            Work::Exchange => Some(Self::ExchangeCall),
            Work::Members => Some(Self::RegisterCall),
            Work::Register => None,
        }
    }

    /// What the bytes of its messages cost.
    pub(super) fn bytes(work: Work) -> Option<fn(usize) -> Self> {
        match work {
            Work::Exchange => Some(Self::ExchangeBytes),
            Work::Members => Some(Self::RegisterBytes),
            Work::Register => None,
        }
    }
}

/// Takes a charge from the budget of a member, or says how long it has to wait.
pub type Budget = Arc<dyn Fn(&AuthorityId, Charge) -> Result<(), Duration> + Send + Sync>;

/// The budget of the member that calls. In the extensions of each of its requests.
#[derive(Clone)]
pub struct PeerQuota {
    budget: Budget,
    authority: AuthorityId,
}

impl PeerQuota {
    /// What this authority may take of a budget.
    pub fn new(budget: Budget, authority: AuthorityId) -> Self {
        Self { budget, authority }
    }

    /// Takes one charge from it.
    ///
    /// # Errors
    /// `BUDGET_EXHAUSTED` with the time to wait.
    pub fn take(&self, charge: Charge) -> Result<(), Status> {
        (self.budget)(&self.authority, charge).map_err(exhausted)
    }
}

/// The quota of the member that calls; local callers have none.
pub fn quota<T>(request: &tonic::Request<T>) -> Option<PeerQuota> {
    request.extensions().get::<PeerQuota>().cloned()
}

pub(super) fn exhausted(wait: Duration) -> Status {
    errors::status(Reason::BudgetExhausted, RefusalDetails { retry_after: Some(wait), ..RefusalDetails::default() })
}
