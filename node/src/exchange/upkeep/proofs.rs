//! The ledger for whoever checks it elsewhere: its bytes as they are stored, and proofs about one leaf and about how it grew.
//!
//! Nothing is judged here: who asks has the authority's public keys, and trusts nobody's word but theirs.

use bytes::Bytes;

use crate::domain::ids::{AuthorityId, Digest, FederationId};
use crate::exchange::context::Error;
use crate::storage::audit::{Frontier, consistency, inclusion};
use crate::storage::rows::AuditHead;
use crate::wire;

use super::Upkeep;

/// Leaves read at a time.
const TOGETHER: u64 = 4_096;

/// A part of the ledger, as it is stored.
#[derive(Clone, Debug)]
pub struct LedgerPage {
    pub federation: FederationId,
    pub authority: AuthorityId,
    /// Its checkpoint is the newest one whose leaf stands below this head.
    pub head: AuditHead,
    /// Leaves and checkpoints outside of the log.
    pub strays: u64,
    /// Encoded `AuditLeaf` messages.
    pub leaves: Vec<Bytes>,
    /// Those over more leaves than stand before these, and no more than these: size, encoded `Signed`.
    pub checkpoints: Vec<(u64, Bytes)>,
}

/// What is to be proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToProve {
    /// That this leaf stands in the log.
    Leaf(u64),
    /// That the log begins with what the checkpoint over so many leaves covers.
    Growth(u64),
}

/// A proof against the newest checkpoint (RFC 6962, 2.1.1 and 2.1.2).
#[derive(Clone, Debug)]
pub struct Proof {
    /// Of a leaf: its bytes. Of growth: the signed checkpoint before.
    pub about: Bytes,
    /// Encoded `Signed`.
    pub checkpoint: Bytes,
    /// Nearest first.
    pub path: Vec<Digest>,
}

impl Upkeep {
    /// The ledger from a leaf on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn ledger_page(&self, from: u64, limit: usize) -> Result<LedgerPage, Error> {
        let head = self.ledger_head().await?;
        let leaves = self.store().audit_leaves(from, limit).await?;
        let to = from.saturating_add(leaves.len() as u64);
        let mut checkpoints = self.store().audit_checkpoints(from, limit).await?;
        checkpoints.retain(|(size, _)| *size <= to);
        Ok(LedgerPage {
            federation: self.view().federation,
            authority: self.context.authority().clone(),
            head,
            strays: self.store().audit_strays().await?,
            leaves,
            checkpoints,
        })
    }

    /// Proves something about the ledger to whoever knows the authority's keys.
    ///
    /// # Errors
    /// `FIELD_INVALID` when no checkpoint covers the leaf yet, or none was signed over so many leaves; when the store cannot be
    /// read.
    pub async fn prove(&self, what: ToProve) -> Result<Proof, Error> {
        let newest = self.ledger_head().await?.checkpoint;
        let covered = newest.as_ref().map_or(0, |(size, _)| *size);
        let (path, about) = match what {
            ToProve::Leaf(index) => (inclusion(index, covered), self.store().audit_leaves(index, 1).await?.pop()),
            ToProve::Growth(size) => (consistency(size, covered), self.checkpoint_over(size).await?),
        };
        let (Some(ranges), Some(about), Some((_, checkpoint))) = (path, about, newest) else {
            return Err(match what {
                ToProve::Leaf(_) => wire::Error::invalid("index", "that of an entry which a signed checkpoint covers"),
                ToProve::Growth(_) => wire::Error::invalid("since", "the size that a signed checkpoint covers"),
            }
            .into());
        };
        let mut path = Vec::with_capacity(ranges.len());
        for range in ranges {
            path.push(self.root_of(range).await?);
        }
        Ok(Proof { about, checkpoint, path })
    }

    async fn checkpoint_over(&self, size: u64) -> Result<Option<Bytes>, Error> {
        let next = self.store().audit_checkpoints(size.saturating_sub(1), 1).await?.pop();
        Ok(next.filter(|(covers, _)| *covers == size).map(|(_, signed)| signed))
    }

    /// The root of a log of these leaves alone.
    async fn root_of(&self, range: std::ops::Range<u64>) -> Result<Digest, Error> {
        let mut frontier = Frontier::default();
        let length = range.end - range.start;
        while frontier.size() < length {
            let left = usize::try_from(TOGETHER.min(length - frontier.size())).unwrap_or_default();
            let leaves = self.store().audit_leaves(range.start + frontier.size(), left).await?;
            if leaves.is_empty() {
                return Err(crate::domain::reason::Reason::AuditDamaged.into());
            }
            leaves.iter().for_each(|leaf| frontier.push(leaf));
        }
        Ok(frontier.root())
    }
}
