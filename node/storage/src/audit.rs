//! The ledger's tree: RFC 6962 over encoded `AuditLeaf` messages (9.12). Pure; the stores keep what it gives.
//!
//! The tree is kept as its frontier: the roots of the perfect subtrees that make up the log, largest first, one for
//! each bit of the size. Appending costs one hash per carry, the root one per bit; nothing is read back.

use aws_lc_rs::hmac;
use bytes::Bytes;

use crate::domain::audit::{AuditAct, AuditDraft, AuditLeaf};
use crate::domain::ids::{Digest, Hasher, RecordId};
use crate::domain::time::UnixMs;
use crate::wire::audit::{self as wire, Outline};

mod proof;
mod tally;

pub use proof::{consistency, inclusion};
pub use tally::Tally;

/// Random bytes that make a commitment say nothing without them.
pub type Salt = [u8; 32];

/// SHA-256(0x00 ‖ leaf).
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[0]);
    hasher.update(leaf);
    hasher.finish()
}

/// SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(&[1]);
    hasher.update(&left.0);
    hasher.update(&right.0);
    hasher.finish()
}

/// HMAC-SHA-256(salt, record id).
pub fn commitment(salt: &Salt, record: &RecordId) -> Digest {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), record.as_bytes());
    let mut out = [0_u8; 32];
    out.copy_from_slice(tag.as_ref());
    Digest(out)
}

/// The record whose first salt a draft may be. A refusal begins none: what was refused was never stored here, or is gone
/// by now, and no sweep would ever take that salt away. Its leaf has a commitment if the record has a salt.
pub fn begins(draft: &AuditDraft) -> Option<RecordId> {
    draft.record.filter(|_| draft.act != AuditAct::Refused).map(|(_, id)| id)
}

/// Size and subtree roots of a log: all that an append needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Digest>,
}

impl Frontier {
    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds one encoded leaf.
    pub fn push(&mut self, leaf: &[u8]) {
        let mut hash = leaf_hash(leaf);
        let mut size = self.size;
        while size & 1 == 1 {
            let left = self.roots.pop().expect("a root for each bit of the size");
            hash = node_hash(&left, &hash);
            size >>= 1;
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// RFC 6962 Merkle tree hash; of an empty log SHA-256 of nothing.
    pub fn root(&self) -> Digest {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return Digest::of(&[]) };
        roots.fold(*last, |right, left| node_hash(left, &right))
    }

    /// The subtree roots one after the other, for the disk.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.roots.iter().flat_map(|r| r.0).collect()
    }

    /// What `to_bytes` gave; `None` if it does not fit the size.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let expected = usize::try_from(size.count_ones()).ok()?.checked_mul(32)?;
        let roots: Vec<Digest> = bytes.chunks(32).map(Digest::from_slice).collect::<Option<_>>()?;
        (bytes.len() == expected).then_some(Self { size, roots })
    }
}

/// The head of the log as it is stored with each commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub frontier: Frontier,
    /// Time of the last leaf; the next one is not earlier.
    pub time: UnixMs,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { frontier: Frontier::default(), time: UnixMs(0) }
    }
}

impl Ledger {
    /// Appends a draft and gives its encoded leaf. `salt` is asked for when the draft names a record.
    pub fn append(&mut self, now: UnixMs, draft: &AuditDraft, salt: Option<&Salt>) -> Bytes {
        let commitment = draft.record.and_then(|(_, id)| salt.map(|s| commitment(s, &id)));
        self.time = self.time.max(now);
        let leaf = AuditLeaf::of(draft.clone(), self.frontier.size(), self.time, commitment);
        let bytes = wire::encode(&leaf);
        self.frontier.push(&bytes);
        bytes
    }
}

/// Recomputes a log from its leaves, in order.
#[derive(Clone, Debug)]
pub struct Replay {
    frontier: Frontier,
    first_bad: Option<u64>,
    time: UnixMs,
}

impl Default for Replay {
    fn default() -> Self {
        Self { frontier: Frontier::default(), first_bad: None, time: UnixMs(0) }
    }
}

impl Replay {
    /// Adds the next stored leaf, and gives its outline; one whose own index does not fit its place is remembered.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Outline> {
        let index = self.frontier.size();
        let outline = wire::outline(bytes);
        if self.first_bad.is_none() && outline.is_none_or(|outline| outline.index != index) {
            self.first_bad = Some(index);
        }
        self.time = outline.map_or(self.time, |outline| outline.time);
        self.frontier.push(bytes);
        outline
    }

    /// Time of the newest leaf.
    pub fn time(&self) -> UnixMs {
        self.time
    }

    /// Index of the first leaf that is not one, or stands in another's place.
    pub fn first_bad(&self) -> Option<u64> {
        self.first_bad
    }

    /// Size and root of what was added.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::record::RecordKind;

    /// The definition of RFC 6962, 2.1, as it is written there.
    fn by_definition(leaves: &[Vec<u8>]) -> Digest {
        match leaves {
            [] => Digest::of(&[]),
            [one] => leaf_hash(one),
            many => {
                let k = many.len().next_power_of_two() / 2;
                node_hash(&by_definition(&many[..k]), &by_definition(&many[k..]))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_rfc_6962_at_every_size() {
        let leaves: Vec<Vec<u8>> = (0..70_u8).map(|i| vec![i; usize::from(i % 5)]).collect();
        let mut frontier = Frontier::default();
        for n in 0..=leaves.len() {
            assert_eq!(frontier.root(), by_definition(&leaves[..n]), "size {n}");
            let stored = Frontier::from_bytes(frontier.size(), &frontier.to_bytes());
            assert_eq!(stored.as_ref(), Some(&frontier));
            if let Some(leaf) = leaves.get(n) {
                frontier.push(leaf);
            }
        }
        assert!(Frontier::from_bytes(3, &[0; 32]).is_none());
        // Known value: the empty tree of RFC 6962.
        assert!(Frontier::default().root().to_hex().starts_with("e3b0c44298fc1c149afbf4c8996fb924"));
    }

    #[test]
    fn replay_finds_a_leaf_in_anothers_place_and_time_never_runs_back() {
        let draft = AuditDraft::by_node(AuditAct::Published);
        let mut ledger = Ledger::default();
        let leaves: Vec<Bytes> = [5, 9, 7].iter().map(|t| ledger.append(UnixMs(*t), &draft, None)).collect();
        assert_eq!(ledger.time, UnixMs(9));
        let mut good = Replay::default();
        leaves.iter().for_each(|l| _ = good.push(l));
        assert_eq!((good.first_bad(), good.frontier(), good.time()), (None, &ledger.frontier, UnixMs(9)));
        let mut bad = Replay::default();
        [&leaves[0], &leaves[2], &leaves[1]].iter().for_each(|l| _ = bad.push(l));
        assert_eq!(bad.first_bad(), Some(1));
        assert_ne!(bad.frontier().root(), ledger.frontier.root());
    }

    #[test]
    fn a_commitment_needs_its_salt() {
        let id = RecordId([7; 16]);
        let draft = AuditDraft { record: Some((RecordKind::Alert, id)), ..AuditDraft::by_node(AuditAct::Published) };
        let one = Ledger::default().append(UnixMs(1), &draft, Some(&[1; 32]));
        let two = Ledger::default().append(UnixMs(1), &draft, Some(&[2; 32]));
        assert_ne!(one, two);
        assert_eq!(commitment(&[1; 32], &id), commitment(&[1; 32], &id));
        assert!(!one.windows(16).any(|w| w == id.as_bytes()));
    }
}
