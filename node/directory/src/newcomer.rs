//! Bringing a node up to date before it votes (9.4).
//!
//! Whoever votes counts for every majority from the moment that the set has changed. So a newcomer first learns: the leader
//! sends it log and snapshot, and only when it has nearly all of it does anybody sign that it is to vote. What it is sent
//! is proved by the stewards that there are.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use havenlink_proto::raft::v1 as proto;
use tokio::time::{Instant, sleep};
use tonic::Request;

use super::clients;
use super::dial::refused;
use super::error::Error;
use super::handle::Directory;
use super::membership::CAUGHT_UP;
use super::propose::CALL;
use super::raft::Node;
use super::state::RegisterState;
use crate::acts::rules;
use crate::domain::directory::Steward;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;

/// Time for a newcomer to catch up while its operator waits; a large register takes longer, and goes on by itself.
const PATIENCE: Duration = Duration::from_secs(8);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// A learner that nobody has decided on is let go after this long.
const LAPSE: Duration = Duration::from_secs(24 * 3_600);

impl Directory {
    /// Waits until a member's node has caught up as a learner. Who signs that it is to vote asks this first.
    ///
    /// # Errors
    /// `NEWCOMER_CATCHING_UP` when it has not within 8 s: it goes on, and the same may be asked again; `NO_LEADER` and the
    /// like when no leader could be asked, or the one that there is has lost its majority; `MEMBER_UNKNOWN`, `ENTRY_INVALID` when it cannot vote under that Raft id.
    pub async fn prepare(&self, newcomer: &Steward) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut behind = None;
        loop {
            let failed = match self.ask_leader(newcomer).await {
                Ok(true) => return Ok(()),
                // A leader that has lost its majority brings nobody up to date: that is what is wrong then, and not the newcomer.
                Ok(false) => match self.read_once().await {
                    Ok(_) => {
                        behind = Some(Error::new(Reason::NewcomerCatchingUp, newcomer.authority.as_str()));
                        None
                    }
                    Err(error) => {
                        behind = None;
                        Some(error)
                    }
                },
                Err(error) if error.retryable() => Some(error),
                Err(error) => return Err(error),
            };
            if Instant::now() + LOOK >= deadline {
                let late = || Error::from(Reason::NewcomerCatchingUp);
                return Err(behind.or(failed).unwrap_or_else(late));
            }
            sleep(LOOK).await;
        }
    }

    async fn ask_leader(&self, newcomer: &Steward) -> Result<bool, Error> {
        let node = self.node().ok_or_else(|| Error::from(Reason::NoLeader))?;
        let now = node.status().borrow().clone();
        if now.leads {
            return self.enlist(&node, newcomer);
        }
        let target = now.leader.ok_or_else(|| Error::from(Reason::NoLeader))?;
        let leader = now.nodes.get(&target).and_then(|authority| AuthorityId::parse(authority));
        let leader = leader.ok_or_else(|| Error::from(Reason::NoLeader))?;
        let mut request = Request::new(proto::EnlistRequest {
            federation_id: Bytes::copy_from_slice(self.view().federation.as_bytes()),
            target,
            authority: newcomer.authority.to_string(),
            raft_id: newcomer.raft_id,
        });
        request.set_timeout(CALL);
        let mut client = clients::consensus(self.channel(&leader)?);
        let answer = client.enlist(request).await.map_err(|status| refused(&status))?;
        Ok(answer.into_inner().caught_up)
    }

    /// On the leader: has Raft bring the node up to date; whether it is.
    pub(super) fn enlist(&self, node: &Node, newcomer: &Steward) -> Result<bool, Error> {
        let status = node.status().borrow().clone();
        if !status.leads {
            return Err(Reason::NoLeader.into());
        }
        let view = self.view();
        let member = view.member(&newcomer.authority).filter(|member| member.removed_at.is_none());
        let member = member.ok_or_else(|| Error::from(Reason::MemberUnknown))?;
        if newcomer.raft_id == 0 || member.entry.raft_id != newcomer.raft_id {
            return Err(Reason::EntryInvalid.into());
        }
        {
            let mut enlisted = self.0.enlisted.lock().unwrap_or_else(PoisonError::into_inner);
            // One at a time for each authority: an id that it announced before is of a node that is gone.
            enlisted.retain(|id, (authority, _)| *authority != newcomer.authority || *id == newcomer.raft_id);
            enlisted.insert(newcomer.raft_id, (newcomer.authority.clone(), Instant::now()));
        }
        self.0.node_changed.send_modify(|count| *count += 1);
        let learns = status.nodes.contains_key(&newcomer.raft_id);
        Ok(learns && node.caught_up(&[newcomer.raft_id].into(), CAUGHT_UP))
    }

    /// Nodes that are brought up to date before they vote: those that were asked for, and those that an open decision names.
    pub(super) fn learners(&self, state: &RegisterState) -> BTreeMap<u64, AuthorityId> {
        let mut enlisted = self.0.enlisted.lock().unwrap_or_else(PoisonError::into_inner);
        enlisted.retain(|_, (_, since)| since.elapsed() < LAPSE);
        let asked = enlisted.iter().map(|(id, (authority, _))| (*id, authority.clone()));
        let open = state.proposals().filter(|proposal| proposal.is_open(state.entry_time()));
        let named = open.filter_map(|proposal| rules(&proposal.act).newcomer(state));
        let all = asked.chain(named.map(|steward| (steward.raft_id, steward.authority)));
        // Of one that has left meanwhile, or has come back under another id, nothing is kept.
        let announced = |id: u64, authority: &AuthorityId| {
            state.member(authority).is_some_and(|m| m.removed_at.is_none() && m.entry.raft_id == id)
        };
        all.filter(|(id, authority)| announced(*id, authority)).collect()
    }
}
