//! What other nodes call: Raft's messages among stewards, and the exchange of beats.

use std::sync::Arc;

use futures_util::Stream;
use havenlink_proto::directory::v1 as proto;
use havenlink_proto::raft::v1 as raft_proto;
use tokio::time::Instant;

use super::error::Error;
use super::gossip;
use super::handle::Directory;
use super::raft::Node;
use crate::domain::directory::Steward;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;

/// What other stewards' Raft calls; `sender` is the certificate's authority.
impl Directory {
    /// The instance that hears this sender. Nothing that it sends was read yet.
    pub(super) fn served(&self, sender: &AuthorityId) -> Result<Arc<Node>, Error> {
        // A sender that is not known as a steward may be one since a moment ago: look before the next message.
        if self.0.chain.gate().ids(sender, self.0.chain.monotonic()).next().is_none() {
            self.0.pull.notify_one();
        }
        let node = self.node().ok_or_else(|| {
            // It may be a leader that brings this node up to date before it votes.
            if self.0.chain.view().is_steward(sender) {
                self.0.called.send_replace(Some(Instant::now()));
            }
            Error::new(Reason::NodeStarting, "no Raft instance runs here")
        })?;
        node.admits(sender)?;
        Ok(node)
    }

    /// A steward asks this node, which leads, to bring a newcomer up to date; whether it is.
    ///
    /// # Errors
    /// What a door refuses, and what `enlist` does.
    pub fn enlisted(
        &self,
        sender: &AuthorityId,
        request: &raft_proto::EnlistRequest,
    ) -> Result<raft_proto::EnlistResponse, Error> {
        let node = self.served(sender)?;
        node.hears(sender, &request.federation_id, request.target)?;
        let authority = AuthorityId::parse(&request.authority).ok_or_else(|| Error::from(Reason::FieldInvalid))?;
        let caught_up = self.enlist(&node, &Steward { authority, raft_id: request.raft_id })?;
        Ok(raft_proto::EnlistResponse { caught_up })
    }

    /// Appends and heartbeats.
    ///
    /// # Errors
    /// `NODE_STARTING` when no instance runs here, `NOT_A_STEWARD`; what else is refused comes in the stream.
    pub fn append_stream<S, E>(
        &self,
        sender: AuthorityId,
        requests: S,
    ) -> Result<impl Stream<Item = Result<raft_proto::AppendStreamResponse, Error>> + Send + 'static + use<S, E>, Error>
    where
        S: Stream<Item = Result<raft_proto::AppendStreamRequest, E>> + Send + 'static,
        E: Send + 'static,
    {
        Ok(self.served(&sender)?.append_stream(sender, requests))
    }

    /// A vote asked for.
    ///
    /// # Errors
    /// What a door refuses.
    pub async fn vote(
        &self,
        sender: &AuthorityId,
        request: raft_proto::VoteRequest,
    ) -> Result<raft_proto::VoteResponse, Error> {
        self.served(sender)?.vote(sender, request).await
    }

    /// Whether a vote would be given.
    ///
    /// # Errors
    /// What a door refuses.
    pub async fn pre_vote(
        &self,
        sender: &AuthorityId,
        request: raft_proto::PreVoteRequest,
    ) -> Result<raft_proto::PreVoteResponse, Error> {
        self.served(sender)?.pre_vote(sender, request).await
    }

    /// A whole snapshot for Raft.
    ///
    /// # Errors
    /// What a door refuses, or `SNAPSHOT_INVALID`.
    pub async fn install_snapshot<S, E>(
        &self,
        sender: &AuthorityId,
        requests: S,
    ) -> Result<raft_proto::InstallSnapshotResponse, Error>
    where
        S: Stream<Item = Result<raft_proto::InstallSnapshotRequest, E>> + Send + 'static,
        E: Send,
    {
        self.served(sender)?.install_snapshot(sender, requests).await
    }

    /// A leader hands over.
    ///
    /// # Errors
    /// What a door refuses.
    pub async fn transfer_leader(
        &self,
        sender: &AuthorityId,
        request: raft_proto::TransferLeaderRequest,
    ) -> Result<raft_proto::TransferLeaderResponse, Error> {
        self.served(sender)?.transfer_leader(sender, request).await
    }

    /// Exchange of beats and overlay statements with another member, and of orders that wait with another steward.
    pub async fn gossip(&self, sender: &AuthorityId, request: proto::GossipRequest) -> proto::GossipResponse {
        gossip::answer(self, sender, request).await
    }
}
