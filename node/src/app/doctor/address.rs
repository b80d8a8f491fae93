//! What the doctor sees of this node's address: what is configured against what the register lists, and, on the only steward,
//! whether members can call it.
//!
//! A node that moved calls others as before; only they can tell that it cannot be called.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use havenlink_proto::admin::v1::{Check, CheckResult};

use super::{Care, by, ok, warning};
use crate::directory::Reached;
use crate::domain::authority::MemberStatus;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;

/// Members that are asked to call back.
const ASKED: usize = 8;

impl Care {
    pub(super) async fn address(&self) -> Check {
        let (view, own) = (self.directory.view(), self.directory.authority());
        let Some(member) = view.member(own) else { return by("address", Reason::NodeStarting, CheckResult::Warning) };
        let listed = member.entry.endpoints.join(", ");
        let set = |endpoints: &[String]| endpoints.iter().cloned().collect::<BTreeSet<_>>();
        if !self.endpoints.is_empty() && set(&self.endpoints) != set(&member.entry.endpoints) {
            let configured = self.endpoints.join(", ");
            let options: String = self.endpoints.iter().map(|endpoint| format!(" --endpoint {endpoint}")).collect();
            return warning(
                "address",
                format!(
                    "the configuration names {configured} as this node's address, and the register lists {listed}; which one \
                     is right is your decision: the former goes into the register by a command, the latter into node.toml \
                     (endpoints), which counts from the next start on"
                ),
                format!("havenctl node update{options}, or put node.toml right"),
            );
        }
        let well = ok("address", "the register lists this node's address");
        // Elsewhere members hear of a new address from the stewards that stayed where they were.
        if !(view.is_steward(own) && view.stewards.len() == 1) {
            return well;
        }
        match (self.deaf().await, member.entry.endpoints.first()) {
            (Some(first), Some(endpoint)) => warning(
                "address",
                format!("{first} answers, but cannot call this node, which is the only steward: it hears of no change"),
                format!("at {first}: havenctl node contact {endpoint}, or open the firewall here"),
            ),
            _ => well,
        }
    }

    /// A member that answers and cannot call back.
    async fn deaf(&self) -> Option<AuthorityId> {
        let (view, now) = (self.directory.view(), self.now());
        let others = view.members.iter().filter(|(id, member)| {
            *id != self.directory.authority()
                && view.status(id, now) == MemberStatus::Active
                && !member.entry.endpoints.is_empty()
        });
        let asked = others.take(ASKED).map(|(id, _)| id.clone()).map(|id| async move {
            let reached = self.directory.reach(&id, true).await;
            matches!(reached, Ok(Reached { back: Some(_), .. })).then_some(id)
        });
        join_all(asked).await.into_iter().flatten().next()
    }
}
