//! The ledger, recomputed: its leaves give the stored root, and every signed checkpoint what it says (9.12).
//!
//! Whoever holds the file can make leaves and root agree; the checkpoints in it only the authority's key could have
//! signed, and each of them has its leaf. What this does not show is a rollback to an older state of the whole file: nobody
//! cosigns yet.

use bytes::Bytes;

use crate::domain::audit::AuditCheckpoint;
use crate::domain::authority::KeyRecord;
use crate::domain::ids::{Digest, KeyId};
use crate::domain::reason::Reason;
use crate::exchange::context::{Error, Table};
use crate::storage::audit::{Replay, Tally};
use crate::storage::rows::AuditHead;
use crate::wire::checkpoint;

use super::Upkeep;

/// Leaves, and checkpoints, read at a time.
const TOGETHER: usize = 4_096;

/// What recomputing the ledger showed.
#[derive(Clone, Debug)]
pub struct AuditFinding {
    pub head: AuditHead,
    /// Index of the first leaf that does not fit; `None`: none.
    pub first_bad: Option<u64>,
    /// Signed checkpoints that say what the leaves give.
    pub checkpoints: u64,
    /// Size of the first checkpoint that contradicts the leaves, or that this authority did not sign; `None`: none.
    pub contradicting: Option<u64>,
    /// Size of the first checkpoint that is gone, or that has no leaf; `None`: none.
    pub missing: Option<u64>,
    /// Leaves and checkpoints outside of the log.
    pub strays: u64,
    /// Size, root and time as recomputed are those stored, and no checkpoint says otherwise, is missing or too many.
    pub consistent: bool,
}

/// What one stored checkpoint is worth.
enum Worth {
    Signed(AuditCheckpoint),
    /// Under a key that was stolen since: it proves nothing, in neither direction.
    Nothing,
    Forged,
}

impl Upkeep {
    /// Encoded audit leaves from an index on, and the head of the log.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn audit_leaves(&self, from: u64, limit: usize) -> Result<(Vec<Bytes>, AuditHead), Error> {
        Ok((self.store().audit_leaves(from, limit).await?, self.store().audit_head().await?))
    }

    /// The head of the log, with a checkpoint whose leaf stands below it.
    pub(super) async fn ledger_head(&self) -> Result<AuditHead, Error> {
        // What is read of checkpoints first has its leaf in what is read of leaves then.
        let checkpoint = self.store().audit_head().await?.checkpoint;
        Ok(AuditHead { checkpoint, ..self.store().audit_head().await? })
    }

    /// Recomputes the whole tree and compares it with what is stored, and with every checkpoint on the way.
    ///
    /// # Errors
    /// `NODE_STARTING` before the register says which keys are this authority's; when the store cannot be read.
    pub async fn verify_audit(&self) -> Result<AuditFinding, Error> {
        let head = self.ledger_head().await?;
        let view = self.view();
        let keys =
            view.member(self.context.authority()).map(|member| member.keys.clone()).ok_or(Reason::NodeStarting)?;
        let mut finding = AuditFinding::of(head);
        let replay = self.recompute(&mut finding, &keys).await?;
        // Over leaves that are not there, also none that came meanwhile: the log was cut.
        if let Some((size, _)) = self.store().audit_checkpoints(finding.head.size, 1).await?.first()
            && *size > self.store().audit_head().await?.size
        {
            finding.contradicting = finding.contradicting.or(Some(*size));
        }
        finding.strays = self.store().audit_strays().await?;
        finding.first_bad = replay.first_bad();
        if let Some(place) = finding.first_bad {
            let error = crate::wire::Error::new(Reason::AuditDamaged, "leaf", "");
            self.context.unreadable(Table::AuditLeaf, None, place, error);
        }
        let (frontier, head) = (replay.frontier(), &finding.head);
        let same = (frontier.size(), frontier.root(), replay.time()) == (head.size, head.root, head.time);
        let whole = finding.first_bad.is_none() && finding.missing.is_none() && finding.strays == 0;
        finding.consistent = same && whole && finding.contradicting.is_none();
        Ok(finding)
    }

    /// All leaves up to the head, with each checkpoint judged where it stands and counted against its leaf.
    async fn recompute(&self, finding: &mut AuditFinding, keys: &[KeyRecord]) -> Result<Replay, Error> {
        let (mut replay, mut tally) = (Replay::default(), Tally::default());
        let counted = finding.head.checkpoint.as_ref().map_or(0, |(size, _)| *size);
        while replay.frontier().size() < finding.head.size {
            let from = replay.frontier().size();
            let left = usize::try_from(finding.head.size - from).unwrap_or(TOGETHER);
            let leaves = self.store().audit_leaves(from, TOGETHER.min(left)).await?;
            if leaves.is_empty() {
                break;
            }
            // No two have one size: as many as leaves, at most.
            let mut signed = self.store().audit_checkpoints(from, TOGETHER).await?.into_iter().peekable();
            for leaf in &leaves {
                if let Some(of_one) = replay.push(leaf).and_then(|outline| outline.checkpoint) {
                    tally.leaf(of_one);
                }
                let size = replay.frontier().size();
                if let Some((_, signed)) = signed.next_if(|(covers, _)| *covers == size) {
                    finding.judge(size, self.worth(size, signed, keys), &replay.frontier().root());
                    // One that came meanwhile has its leaf behind this head.
                    if size <= counted {
                        tally.checkpoint(size);
                    }
                }
            }
        }
        finding.missing = tally.finish();
        Ok(replay)
    }

    fn worth(&self, size: u64, signed: Bytes, keys: &[KeyRecord]) -> Worth {
        let view = self.view();
        let signer = |id: &KeyId| keys.iter().find(|record| record.key.id() == *id);
        let stolen = std::cell::Cell::new(false);
        let key_of = |id: &KeyId| {
            stolen.set(signer(id).is_some_and(|record| record.compromised));
            signer(id).map(|record| record.key)
        };
        match checkpoint::open(signed, &view.federation, key_of) {
            _ if stolen.get() => Worth::Nothing,
            Ok(checkpoint) if checkpoint.authority == *self.context.authority() => Worth::Signed(checkpoint),
            Err(error) if error.reason == Reason::DecodeFailed => {
                self.context.unreadable(Table::AuditCheckpoint, None, size, error);
                Worth::Forged
            }
            _ => Worth::Forged,
        }
    }
}

impl AuditFinding {
    /// Nothing was looked at yet.
    fn of(head: AuditHead) -> Self {
        Self { head, first_bad: None, checkpoints: 0, contradicting: None, missing: None, strays: 0, consistent: false }
    }

    fn judge(&mut self, size: u64, worth: Worth, root: &Digest) {
        match worth {
            Worth::Nothing => {}
            Worth::Signed(checkpoint) if (checkpoint.size, checkpoint.root) == (size, *root) => self.checkpoints += 1,
            Worth::Signed(_) | Worth::Forged => self.contradicting = self.contradicting.or(Some(size)),
        }
    }
}
