//! Whether this node and another one reach each other: one call there, and one that the other side makes back.
//!
//! A node that can call but cannot be called looks well from inside; only the other side can tell. The answer brings the
//! other side's clock along, so that both are compared within one round trip.

use std::time::Duration;

use havenlink_proto::directory::v1 as proto;
use tokio::time::timeout;
use tonic::Request;

use super::dial::refused;
use super::error::Error;
use super::handle::Directory;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::time::{Millis, UnixMs};

/// For one call without a call back.
const CALL: Duration = Duration::from_secs(2);
/// For a call during which the other side calls back.
const BOTH: Duration = Duration::from_secs(5);

/// What a node that was reached said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Why its call back failed; `None`: it did not, or was not asked for.
    pub back: Option<Reason>,
    /// How far its clock is ahead of this node's; negative: behind. `None`: it did not tell.
    pub ahead: Option<Millis>,
}

impl Directory {
    /// Calls another member's node; with `call_back`, that node calls this one before it answers.
    ///
    /// # Errors
    /// Why it does not answer.
    pub async fn reach(&self, other: &AuthorityId, call_back: bool) -> Result<Reached, Error> {
        let limit = if call_back { BOTH } else { CALL };
        let mut client = self.client(other)?;
        let mut request = Request::new(proto::GossipRequest { call_back, ..Default::default() });
        request.set_timeout(limit);
        let sent = self.0.clock.now();
        let answer = timeout(limit, client.gossip(request)).await.map_err(|_| Error::from(Reason::DeadlineExceeded))?;
        let answer = answer.map_err(|status| refused(&status))?.into_inner();
        let round = self.0.clock.now().since(sent);
        let ahead = (answer.time_ms != 0).then(|| UnixMs(answer.time_ms).since(sent + Millis(round.0 / 2)));
        // A code that this version does not know is a failure all the same.
        let back = (!answer.call_back_reason.is_empty())
            .then(|| Reason::from_code(&answer.call_back_reason).unwrap_or(Reason::PeerUnreachable));
        Ok(Reached { back, ahead })
    }
}
