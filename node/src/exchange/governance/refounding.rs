//! Beginning the order anew, and deciding between two lines: asked for by an operator, noted in the ledger (9.15).

use super::{Error, Governance};
use crate::directory::{RefoundingPlan, WithoutProof};
use crate::domain::audit::{Actor, AuditAct};
use crate::domain::ids::{AuthorityId, Digest};
use crate::domain::reason::Reason;

impl Governance {
    /// What a founding would be now, or is that waits for this authority's signature.
    ///
    /// # Errors
    /// Why there can be none.
    pub async fn refounding(&self, without: WithoutProof) -> Result<RefoundingPlan, Error> {
        Ok(self.directory.refounding_plan(without).await?)
    }

    /// Signs the founding that was shown; who has still to sign.
    ///
    /// # Errors
    /// `STALE_VERSION` when another one would be signed than was shown; otherwise as `refounding`.
    pub async fn refound(
        &self,
        founding: u64,
        base_head: Digest,
        without: WithoutProof,
        actor: Actor,
    ) -> Result<Vec<AuthorityId>, Error> {
        let plan = self.refounding(without).await?;
        if (plan.founding, plan.base_head) != (founding, base_head) {
            return Err(Reason::StaleVersion.into());
        }
        let this = self.clone();
        to_its_end(async move {
            let missing = this.directory.refound(plan).await?;
            this.decisions.note(AuditAct::StewardsChanged, actor, None).await?;
            Ok(missing)
        })
        .await
    }

    /// Follows the line that a person has decided for; the founding that this node stands on then.
    ///
    /// # Errors
    /// `PROPOSAL_UNKNOWN` when none of those that stand against each other has this fingerprint.
    pub async fn choose_register(&self, fingerprint: &str, actor: Actor) -> Result<u64, Error> {
        let contested = self.directory.refounding().contested;
        let begins = |id: &&crate::domain::ids::StatementId| {
            fingerprint.len() >= SHORTEST && id.to_string().starts_with(&fingerprint.to_ascii_lowercase())
        };
        let mut fitting = contested.iter().filter(begins);
        let (Some(id), None) = (fitting.next(), fitting.next()) else { return Err(Reason::ProposalUnknown.into()) };
        let (this, id) = (self.clone(), *id);
        to_its_end(async move {
            this.directory.choose_founding(id).await?;
            this.decisions.note(AuditAct::StewardsChanged, actor, None).await?;
            Ok(this.directory.view().founding)
        })
        .await
    }
}

/// An operator that hangs up takes no line from the ledger.
async fn to_its_end<T: Send + 'static>(
    act: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(act).await.map_err(|_| Error::from(Reason::NodeStopping))?
}

/// Digits of a fingerprint that tell two foundings apart.
const SHORTEST: usize = 8;
