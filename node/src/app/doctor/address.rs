//! What the doctor sees of this authority's entry: what is configured against what the register lists, and, on the only steward,
//! whether members can call its node.
//!
//! A node that moved calls others as before; only they can tell that it cannot be called.

use futures_util::future::join_all;
use havenlink_proto::admin::v1::{Check, CheckResult};

use super::{Care, by, ok, warning};
use crate::directory::Reached;
use crate::domain::authority::MemberStatus;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::services::admin::configured::Difference;

/// Members that are asked to call back.
const ASKED: usize = 8;

impl Care {
    pub(super) async fn address(&self) -> Check {
        let (view, own) = (self.directory.view(), self.directory.authority());
        let Some(member) = view.member(own) else { return by("address", Reason::NodeStarting, CheckResult::Warning) };
        let differences = self.configured.differences(&member.entry);
        if let Some(Difference { configured, listed, options, .. }) = differences.iter().find(|d| d.key == "endpoints")
        {
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

    /// What else `init` or `join` took from the configuration.
    pub(super) fn entry(&self) -> Check {
        let view = self.directory.view();
        let Some(member) = view.member(self.directory.authority()) else {
            return by("entry", Reason::NodeStarting, CheckResult::Warning);
        };
        let differences = self.configured.differences(&member.entry);
        let found: Vec<&Difference> = differences.iter().filter(|found| found.key != "endpoints").collect();
        if found.is_empty() {
            return ok("entry", "the register says of this authority what the configuration says");
        }
        let said = found.iter().map(|Difference { key, configured, listed, .. }| match listed.is_empty() {
            true => format!("{key} is {configured} in the configuration and not in the register"),
            false => format!("{key} is {configured} in the configuration and {listed} in the register"),
        });
        let said = said.collect::<Vec<_>>().join("; ");
        let options: String = found.iter().map(|found| found.options.as_str()).collect();
        warning(
            "entry",
            format!("{said}; partners see what the register says, and which one is right is your decision"),
            format!("havenctl node update{options}, or put node.toml right"),
        )
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
