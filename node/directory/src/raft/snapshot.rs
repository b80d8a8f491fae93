//! Snapshots on their way between stewards: begin, header, pieces of items.

use std::sync::Arc;

use bytes::Bytes;
use havenlink_proto::raft::v1 as proto;
use proto::install_snapshot_request::Part;

use super::convert::{self, To};
use super::types::{SnapshotMeta, Vote};
use crate::snapshot_handle::SnapshotHandle;

/// What openraft hands around as a snapshot: the state, with the beats of a majority that prove it. One that nobody has
/// proven yet is taken, kept and started from; it is not sent.
#[derive(Clone)]
pub struct Carried {
    pub handle: Arc<SnapshotHandle>,
    pub proof: Option<Vec<Bytes>>,
}

/// The messages in which a snapshot is sent; `None`: it is not proven. Encodes the state: not for a thread that others
/// wait for.
pub fn messages(
    to: &To,
    vote: &Vote,
    meta: &SnapshotMeta,
    carried: &Carried,
) -> Option<Vec<proto::InstallSnapshotRequest>> {
    let proof = carried.proof.clone()?;
    let begin = proto::InstallSnapshotBegin {
        federation_id: to.federation.clone(),
        target: to.target,
        vote: Some(convert::vote_to(vote)),
        meta: Some(convert::meta_to(meta)),
    };
    let parts = std::iter::once(Part::Begin(begin))
        .chain(carried.handle.messages(proof).into_iter().map(Part::Chunk))
        .map(|part| proto::InstallSnapshotRequest { part: Some(part) });
    Some(parts.collect())
}
