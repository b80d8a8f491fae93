//! Admissions for joining: the register's proposals to admit, and decisions on them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use havenlink_proto::record::v1::Signed;
use prost::Message;
use tokio::sync::watch;

use super::{Error, Governance};
use crate::directory::state::{Proposal, ProposalState, RegisterState};
use crate::directory::statements::Invited;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, Digest};
use crate::domain::join::Rejection;
use crate::domain::reason::Reason;
use crate::domain::register::{Outcome, RejectionReason};
use crate::domain::time::UnixMs;
use crate::exchange::join::{self, Admission, Admissions, Decision};
use crate::wire::statement::Act;

impl Admissions for Governance {
    fn view(&self) -> Arc<DirectoryView> {
        self.0.council.view()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.council.changes()
    }

    fn genesis(&self) -> Bytes {
        self.state().genesis_signed().clone()
    }

    fn admissions(&self, authority: &AuthorityId) -> Vec<Admission> {
        let (state, now) = (self.state(), self.0.clock.now());
        let about = state.proposals().filter(|p| p.subject.authority() == Some(authority));
        let mut found: Vec<_> = about.filter_map(|p| Some((p.opened_at, admission(p, &state, now)?))).collect();
        found.sort_by_key(|(opened, _)| std::cmp::Reverse(*opened));
        found.into_iter().map(|(_, admission)| admission).collect()
    }

    fn decide(&self, act: join::Act) -> BoxFuture<'_, Result<Decision, join::Error>> {
        Box::pin(async move { self.decide_admission(act).await.map_err(refused) })
    }
}

/// A proposal as an admission; `None`: it is another act.
fn admission(proposal: &Proposal, state: &RegisterState, now: UnixMs) -> Option<Admission> {
    let Act::Admit(admit) = &*proposal.act else { return None };
    let rejection = match proposal.state {
        ProposalState::Rejected(reason) => Rejection::from_code(reason.code()),
        _ => None,
    };
    Some(Admission {
        proposal: proposal.id,
        application: Digest::of(&admit.application.unverified().bytes),
        words_digest: admit.words.unwrap_or(Digest([0; 32])),
        approved_by: proposal.approvals(state).cloned().collect(),
        needed: u32::try_from(proposal.needed(state)).unwrap_or(u32::MAX),
        open: proposal.is_open(now),
        carried: matches!(proposal.state, ProposalState::Carried),
        rejection,
    })
}

impl Governance {
    async fn decide_admission(&self, act: join::Act) -> Result<Decision, Error> {
        let governed = match act {
            join::Act::Admit { authority, application, invited_by, invitation, words_digest } => {
                let invited = Invited { by: invited_by, invitation: Some(invitation), words: Some(words_digest) };
                let application = Signed::decode(application)
                    .map_err(|_| crate::wire::Error::new(Reason::DecodeFailed, "application", ""))?;
                let build = |author: &super::Author<'_>, state: &super::RegisterState| {
                    Some(author.admit(state, &authority, application.clone(), &invited))
                };
                let applied = self.order(build).await?;
                self.governed(&applied, applied.statement)
            }
            join::Act::Approve { proposal, .. } => {
                let applied = self.order(|author, state| author.approve(state, &proposal)).await?;
                self.governed(&applied, proposal)
            }
            join::Act::Reject { proposal, reason, .. } => {
                let reason = RejectionReason::from_code(reason.code()).ok_or(Reason::ValueUnknown)?;
                let applied = self.order(|author, state| author.reject(state, &proposal, reason)).await?;
                self.governed(&applied, proposal)
            }
            join::Act::Forward(signed) => {
                let applied = self.0.council.propose(signed).await?;
                if let Some(reason) = applied.outcome.reason() {
                    return Err(reason.into());
                }
                self.governed(&applied, applied.statement)
            }
        };
        Ok(Decision {
            statement: governed.statement,
            number: governed.number,
            pending: governed.outcome == Outcome::Pending,
            approved_by: governed.approved_by,
            needed: u32::try_from(governed.needed).unwrap_or(u32::MAX),
        })
    }
}

fn refused(error: Error) -> join::Error {
    match error {
        Error::Wire(fault) => join::Error::Wire(fault),
        Error::Store(error) => join::Error::Store(error),
        other => join::Error::Register(other.reason(), Some(Box::new(other))),
    }
}
