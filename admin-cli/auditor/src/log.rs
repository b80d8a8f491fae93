//! A whole export, line by line: whether it is consistent with itself, and with what was seen of it before.
//!
//! It needs memory for one line and a hash for each doubling of the log, however long it is.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use havenlink_proto::record::v1::{AuditAct, AuditLeaf};
use prost::Message;

use crate::keys::Keys;
use crate::lines::{Head, Line};
use crate::signed::{Checkpoint, Opened, open};
use crate::tree::{Hash, Tree};

/// What does not fit. Of each sort the first one is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not a line of an export, or one that does not stand where it may.
    Line(u64),
    /// No leaf, or one in another's place.
    Leaf(u64),
    /// A leaf of an earlier time than the one before it.
    Time(u64),
    /// The leaves give another size, root or last time than the node says.
    Head,
    /// Rows stand outside of the log.
    Strays(u64),
    /// The checkpoint of this size is none, or is not signed with a known key.
    Unsigned(u64),
    /// It was signed about another size, ledger or authority than where it stands.
    Misplaced(u64),
    /// It was signed, and says another root.
    Contradicts(u64),
    /// It is gone, or no leaf says that it was signed.
    Missing(u64),
    /// There is no signature at all that says anything.
    NothingSigned,
    /// A checkpoint over so many leaves was seen before, and this ledger does not begin with it.
    RolledBack(u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(n) => write!(f, "line {n} is none of an export, or stands where it may not"),
            Self::Leaf(n) => write!(f, "entry {n} is none, or stands in another's place"),
            Self::Time(n) => write!(f, "entry {n} is of an earlier time than the one before it"),
            Self::Head => write!(f, "the entries give another size, root or time than the node says"),
            Self::Strays(n) => write!(f, "{n} entries and checkpoints stand outside of the ledger"),
            Self::Unsigned(n) => write!(f, "the checkpoint over {n} entries is not signed with a key of the authority"),
            Self::Misplaced(n) => write!(f, "the checkpoint over {n} entries was signed about something else"),
            Self::Contradicts(n) => write!(f, "the checkpoint that was signed over {n} entries says something else"),
            Self::Missing(n) => write!(f, "the checkpoint over {n} entries is missing, or was never counted"),
            Self::NothingSigned => write!(f, "no signature says anything about these entries"),
            Self::RolledBack(n) => {
                write!(f, "this ledger does not begin with the one whose checkpoint over {n} entries was seen before")
            }
        }
    }
}

/// A restore from a backup, as the ledger says it itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    pub entry: u64,
    /// Size before, and of the backup.
    pub from: u64,
    pub to: u64,
}

/// What a whole export amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub authority: String,
    pub size: u64,
    pub root: Hash,
    /// Signed checkpoints that say what the leaves give, and what the last of them covers.
    pub checkpoints: u64,
    pub covered: u64,
    /// Checkpoints under keys that were stolen.
    pub worthless: u64,
    /// Checkpoints seen before that this ledger begins with, and those that a restore lost.
    pub seen: u64,
    pub lost: u64,
    pub restored: Vec<Restored>,
    /// Empty: it is consistent with itself, and with what was seen.
    pub faults: Vec<Fault>,
}

/// Checkpoints against the leaves which say that they were signed.
#[derive(Default)]
struct Count {
    begun: bool,
    /// Sizes of checkpoints since the last such leaf; what the one before them covers.
    since: Vec<u64>,
    before: u64,
}

/// Reads an export.
pub struct Log<'a> {
    keys: &'a Keys,
    /// Sizes and roots that were seen before.
    seen: BTreeSet<(u64, Hash)>,
    head: Option<Head>,
    tree: Tree,
    line: u64,
    time_ms: i64,
    count: Count,
    verdict: Verdict,
}

impl<'a> Log<'a> {
    pub fn new(keys: &'a Keys) -> Self {
        let verdict = Verdict {
            authority: String::new(),
            size: 0,
            root: Tree::default().root(),
            checkpoints: 0,
            covered: 0,
            worthless: 0,
            seen: 0,
            lost: 0,
            restored: Vec::new(),
            faults: Vec::new(),
        };
        let (seen, count) = (BTreeSet::new(), Count::default());
        Self { keys, seen, head: None, tree: Tree::default(), line: 0, time_ms: i64::MIN, count, verdict }
    }

    /// A checkpoint that somebody has seen before: from an earlier export, or from whoever cosigned it.
    pub fn seen_before(&mut self, checkpoint: &Checkpoint) {
        self.seen.insert((checkpoint.size, checkpoint.root));
    }

    /// The next line; `None`: it could not be read.
    pub fn push(&mut self, line: Option<Line>) {
        self.line += 1;
        match (line, self.head.is_some()) {
            (Some(Line::Ledger(head)), false) if self.line == 1 => {
                if self.keys.authority().is_some_and(|authority| authority != head.authority) {
                    self.fault(Fault::Misplaced(head.size));
                }
                self.head = Some(head);
            }
            (Some(Line::Leaf(leaf)), true) => self.leaf(&leaf.0),
            (Some(Line::Checkpoint { size, signed }), true) => self.checkpoint(size, &signed.0),
            _ => self.fault(Fault::Line(self.line)),
        }
    }

    fn leaf(&mut self, bytes: &[u8]) {
        let place = self.tree.size();
        self.tree.push(bytes);
        match AuditLeaf::decode(bytes) {
            Ok(leaf) if leaf.index == place => {
                if leaf.time_ms < self.time_ms {
                    self.fault(Fault::Time(place));
                }
                self.time_ms = leaf.time_ms;
                match leaf.act() {
                    AuditAct::CheckpointSigned => self.counted(leaf.from_size, leaf.to_size),
                    AuditAct::RestoredFromBackup => {
                        self.verdict.restored.push(Restored { entry: place, from: leaf.from_size, to: leaf.to_size });
                    }
                    _ => {}
                }
            }
            _ => self.fault(Fault::Leaf(place)),
        }
        let size = self.tree.size();
        let looked_for = self.seen.range((size, [0; 32])..=(size, [0xff; 32])).next().is_some();
        if looked_for && self.seen.remove(&(size, self.tree.root())) {
            self.verdict.seen += 1;
        }
    }

    fn checkpoint(&mut self, size: u64, signed: &[u8]) {
        if self.tree.size() != size {
            self.fault(Fault::Misplaced(size));
        }
        self.count.since.push(size);
        match open(signed, self.keys) {
            Opened::Bad => self.fault(Fault::Unsigned(size)),
            Opened::Nothing => self.verdict.worthless += 1,
            Opened::Signed(said) if !self.is_about_this(&said, size) => self.fault(Fault::Misplaced(size)),
            Opened::Signed(said) if said.root != self.tree.root() => self.fault(Fault::Contradicts(size)),
            Opened::Signed(_) => {
                (self.verdict.checkpoints, self.verdict.covered) = (self.verdict.checkpoints + 1, size)
            }
        }
    }

    fn is_about_this(&self, said: &Checkpoint, size: u64) -> bool {
        let ours = |head: &Head| head.authority == said.authority && head.federation.0 == said.federation;
        said.size == size && self.head.as_ref().is_some_and(ours)
    }

    /// A leaf says that a checkpoint was signed over `covers` leaves, after one over `before`.
    fn counted(&mut self, before: u64, covers: u64) {
        let fits = match &self.count.since[..] {
            [one] => *one == covers && self.count.before == before,
            // Signed before any of them had a leaf.
            [.., last, one] if !self.count.begun => *one == covers && *last == before,
            _ => false,
        };
        if !fits {
            self.fault(Fault::Missing(covers));
        }
        self.count = Count { begun: true, since: Vec::new(), before: covers };
    }

    fn fault(&mut self, fault: Fault) {
        let same = |told: &Fault| std::mem::discriminant(told) == std::mem::discriminant(&fault);
        if !self.verdict.faults.iter().any(same) {
            self.verdict.faults.push(fault);
        }
    }

    /// The end of the export.
    pub fn finish(mut self) -> Verdict {
        let root = self.tree.root();
        let Some(head) = self.head.take() else {
            self.fault(Fault::Line(1));
            return self.verdict;
        };
        let time = if head.size == 0 { head.time_ms } else { self.time_ms };
        if (self.tree.size(), root, time) != (head.size, head.root.0, head.time_ms) {
            self.fault(Fault::Head);
        }
        if head.strays > 0 {
            self.fault(Fault::Strays(head.strays));
        }
        if let (true, Some(size)) = (self.count.begun, self.count.since.last().copied()) {
            self.fault(Fault::Missing(size));
        }
        if head.size > 0 && self.verdict.checkpoints == 0 {
            self.fault(Fault::NothingSigned);
        }
        for (size, _) in std::mem::take(&mut self.seen) {
            let lost = |restored: &Restored| restored.to < size && size <= restored.from;
            if self.verdict.restored.iter().any(lost) {
                self.verdict.lost += 1;
            } else {
                self.fault(Fault::RolledBack(size));
            }
        }
        (self.verdict.authority, self.verdict.size, self.verdict.root) = (head.authority, self.tree.size(), root);
        self.verdict
    }
}
