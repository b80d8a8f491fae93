//! Which members' nodes can apply which rules of the register: asked before a majority raises them (9.3).

use futures_util::StreamExt;

use crate::domain::authority::MemberStatus;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::exchange::context::Error;
use crate::wire;

use super::Road;

/// Members that are asked at a time.
const AT_ONCE: usize = 32;

impl Road {
    /// Asks every member in good standing whether its node can apply rules of this version. The last word of one that does not
    /// answer counts.
    ///
    /// # Errors
    /// `MEMBERS_LACK_RULES` names those that cannot, or never said.
    pub async fn all_know_rules(&self, version: u32) -> Result<(), Error> {
        let (view, now) = (self.view(), self.now());
        let asked = view
            .members
            .keys()
            .filter(|member| view.status(member, now) == MemberStatus::Active && !self.context.keys().serves(member));
        let asked: Vec<AuthorityId> = asked.cloned().collect();
        let answers = futures_util::stream::iter(asked).map(|member| self.lacks(member, version));
        let mut lacking: Vec<String> = answers.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
        if lacking.is_empty() {
            return Ok(());
        }
        lacking.sort_unstable();
        Err(wire::Error::new(Reason::MembersLackRules, "policy.rules_version", lacking.join("; ")).into())
    }

    /// The member, and what its node said of itself, unless it knows the rules.
    async fn lacks(&self, member: AuthorityId, version: u32) -> Option<String> {
        let ours = self.context.authority();
        // Whoever does not answer has told before, or has not.
        _ = self.greet_out(ours, &member).await;
        let told = self.told_by(ours, &member).await.ok().flatten();
        match told.map(|told| told.rules) {
            Some(known) if known >= version => None,
            Some(known) if known > 0 => Some(format!("{member} knows version {known}")),
            _ => Some(format!("{member} has not said what it knows")),
        }
    }
}
