//! Admissions for joining: the register's proposals to admit, and decisions on them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::{Decisions, Error, Governance};
use crate::directory::state::{Proposal, ProposalState, RegisterState};
use crate::directory::statements::{Author, Invited};
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, Digest};
use crate::domain::reason::Reason;
use crate::domain::register::Decided;
use crate::domain::statement::Act;
use crate::domain::time::UnixMs;
use crate::exchange::join::{self, Admission, Admissions, JoinStep};
use crate::wire::acts::signed_entry;

impl Admissions for Governance {
    fn view(&self) -> Arc<DirectoryView> {
        self.directory.view()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.directory.changes()
    }

    fn genesis(&self) -> Bytes {
        self.directory.state().genesis_signed().clone()
    }

    fn admissions(&self, authority: &AuthorityId) -> Vec<Admission> {
        let (state, now) = (self.decisions.state(), self.decisions.0.clock.now());
        let about = state.proposals().filter(|p| p.subject.authority() == Some(authority));
        let mut found: Vec<_> = about.filter_map(|p| Some((p.opened_at, admission(p, &state, now)?))).collect();
        found.sort_by_key(|(opened, _)| std::cmp::Reverse(*opened));
        found.into_iter().map(|(_, admission)| admission).collect()
    }

    fn decide(&self, step: JoinStep) -> BoxFuture<'_, Result<Decided, join::Error>> {
        Box::pin(async move { self.decisions.take_step(step).await.map_err(refused) })
    }
}

/// A proposal as an admission; `None`: it is another act.
fn admission(proposal: &Proposal, state: &RegisterState, now: UnixMs) -> Option<Admission> {
    let Act::Admit(admit) = &*proposal.act else { return None };
    let rejection = match proposal.state {
        ProposalState::Rejected(reason) => Some(reason),
        _ => None,
    };
    Some(Admission {
        proposal: proposal.id,
        application: Digest::of(&admit.application.signed),
        words_digest: admit.words.unwrap_or(Digest([0; 32])),
        approved_by: proposal.approvals(state).cloned().collect(),
        needed: u32::try_from(proposal.needed(state)).unwrap_or(u32::MAX),
        open: proposal.is_open(now),
        carried: matches!(proposal.state, ProposalState::Carried),
        rejection,
    })
}

impl Decisions {
    async fn take_step(&self, step: JoinStep) -> Result<Decided, Error> {
        match step {
            JoinStep::Admit { authority, application, invited_by, invitation, words_digest } => {
                let invited = Invited { by: invited_by, invitation: Some(invitation), words: Some(words_digest) };
                let application = signed_entry(application, "application")?;
                let admit = |author: &Author<'_>, state: &RegisterState| {
                    Ok(author.admit(state, &authority, application.clone(), &invited))
                };
                let applied = self.order(admit).await?;
                Ok(self.decided(applied, applied.statement))
            }
            JoinStep::Approve { proposal, .. } => {
                let approve = |author: &Author<'_>, state: &RegisterState| author.approve(state, &proposal);
                let applied = self.order(|a, s| approve(a, s).ok_or(Reason::ProposalUnknown)).await?;
                Ok(self.decided(applied, proposal))
            }
            JoinStep::Reject { proposal, reason, .. } => {
                let reject = |author: &Author<'_>, state: &RegisterState| author.reject(state, &proposal, reason);
                let applied = self.order(|a, s| reject(a, s).ok_or(Reason::ProposalUnknown)).await?;
                Ok(self.decided(applied, proposal))
            }
            JoinStep::Forward(signed) => {
                let applied = self.propose(signed).await?;
                match applied.outcome.reason() {
                    Some(reason) => Err(reason.into()),
                    None => Ok(self.decided(applied, applied.statement)),
                }
            }
        }
    }
}

fn refused(error: Error) -> join::Error {
    match error {
        Error::Wire(fault) => join::Error::Wire(fault),
        Error::Store(error) => join::Error::Store(error),
        other => join::Error::Register(other.reason(), Some(Box::new(other))),
    }
}
