//! What is said to the owner of an offer about a unit of it (9.11): one call, answered once it is decided and stored.

use crate::domain::holds::{HoldCall, Lease};
use crate::domain::reason::Reason;
use crate::exchange::context::{Error, active};

use super::Road;

impl Road {
    /// Says it, and gives what the owner answers.
    ///
    /// # Errors
    /// What the owner refuses with; that it does not answer: it may have done it all the same.
    pub(in crate::exchange) async fn say_of_hold(&self, call: HoldCall) -> Result<Lease, Error> {
        let (view, asked) = (self.view(), call.asked.clone());
        active(&view, &asked, self.now()).map_err(|reason| Error::about(&asked, reason))?;
        let host = view.host_of(&asked).ok_or(Reason::MemberUnknown)?.clone();
        let answer = self.link.hold(host, call).await;
        let now = self.context.clocks();
        match &answer {
            Ok(_) => self.links.answered(&asked, now),
            Err(error) => self.links.failed(&asked, error, now),
        }
        answer.map_err(|error| if error.answered() { Error::about(&asked, error.reason) } else { error.into() })
    }
}
