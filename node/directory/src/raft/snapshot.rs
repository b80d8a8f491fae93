//! Snapshots on their way between stewards: begin, header, pieces of items.

use std::sync::Arc;

use havenlink_proto::raft::v1 as proto;
use proto::install_snapshot_request::Part;

use super::convert::{self, To};
use super::types::{SnapshotMeta, Vote};
use crate::chain::Chain;
use crate::snapshot_handle::SnapshotHandle;

/// What openraft hands around as a snapshot: the state, and where its proof comes from when it is sent.
#[derive(Clone)]
pub struct Carried {
    pub handle: Arc<SnapshotHandle>,
    pub chain: Arc<Chain>,
}

/// The messages in which a snapshot is sent. Encodes the state: not for a thread that others wait for.
pub fn messages(to: &To, vote: &Vote, meta: &SnapshotMeta, carried: &Carried) -> Vec<proto::InstallSnapshotRequest> {
    let begin = proto::InstallSnapshotBegin {
        federation_id: to.federation.clone(),
        target: to.target,
        vote: Some(convert::vote_to(vote)),
        meta: Some(convert::meta_to(meta)),
    };
    let proof = carried.chain.proof(&carried.handle.mark).unwrap_or_default();
    std::iter::once(Part::Begin(begin))
        .chain(carried.handle.messages(proof).into_iter().map(Part::Chunk))
        .map(|part| proto::InstallSnapshotRequest { part: Some(part) })
        .collect()
}
