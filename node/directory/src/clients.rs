//! The clients of the register's calls: each made here, with the largest answer that it takes.
//!
//! An answer is refused by the length that it announces, and by its elements before it is decoded (9.14): the other side may
//! be hostile, whoever called.

use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::raft::v1::raft_service_client::RaftServiceClient;

use super::dial::PeerChannel;
use crate::domain::limits;

/// Follow, Snapshot, Gossip, Propose, Get: a piece of a snapshot is the largest of their messages.
pub type Register = DirectoryServiceClient<PeerChannel>;

/// Consensus: small answers only.
pub type Consensus = RaftServiceClient<PeerChannel>;

/// For the register of whoever this channel leads to.
pub fn register(channel: PeerChannel) -> Register {
    DirectoryServiceClient::new(channel).max_decoding_message_size(limits::CHUNK_BYTES + limits::CALL_BYTES)
}

/// For its Raft.
pub fn consensus(channel: PeerChannel) -> Consensus {
    RaftServiceClient::new(channel).max_decoding_message_size(limits::CALL_BYTES)
}
