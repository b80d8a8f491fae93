//! What is said to the owner of offers (9.11): about a unit of one, answered once it is decided and stored; and which capacity
//! there is.

use crate::domain::board::{CapacityAnswer, CapacityQuestion};
use crate::domain::holds::{HoldCall, Lease};
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::exchange::context::{Error, LinkError, active};

use super::Road;

impl Road {
    /// Says it, and gives what the owner answers.
    ///
    /// # Errors
    /// What the owner refuses with; that it does not answer: it may have done it all the same.
    pub(in crate::exchange) async fn say_of_hold(&self, call: HoldCall) -> Result<Lease, Error> {
        let asked = call.asked.clone();
        let host = self.host_of_active(&asked)?;
        let answer = self.link.hold(host, call).await;
        self.heard_from(&asked, answer)
    }

    /// Asks, and gives one page of what the owner answers.
    ///
    /// # Errors
    /// What the owner refuses with; that it does not answer.
    pub(in crate::exchange) async fn ask_capacity(&self, question: CapacityQuestion) -> Result<CapacityAnswer, Error> {
        let asked = question.asked.clone();
        let host = self.host_of_active(&asked)?;
        let answer = self.link.capacity(host, question).await;
        self.heard_from(&asked, answer)
    }

    /// Whose node an authority is at, if it is in good standing.
    fn host_of_active(&self, asked: &AuthorityId) -> Result<AuthorityId, Error> {
        let view = self.view();
        active(&view, asked, self.now()).map_err(|reason| Error::about(asked, reason))?;
        Ok(view.host_of(asked).ok_or(Reason::MemberUnknown)?.clone())
    }

    fn heard_from<T>(&self, asked: &AuthorityId, answer: Result<T, LinkError>) -> Result<T, Error> {
        let now = self.context.clocks();
        match &answer {
            Ok(_) => self.links.answered(asked, now),
            Err(error) => self.links.failed(asked, error, now),
        }
        answer.map_err(|error| if error.answered() { Error::about(asked, error.reason) } else { error.into() })
    }
}
