//! Ledgers made by hand, of messages alone: what a node's own tests do not come to.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use data_encoding::HEXLOWER;
use havenlink_proto::record::v1::{AuditAct, AuditCheckpoint, AuditLeaf, Signature, Signed};
use prost::Message;

use super::{Fault, Log, Restored, Verdict};
use crate::keys::Keys;
use crate::lines::{Base64, Head, Hex, Line};
use crate::proof;
use crate::tree::{Tree, sha256};

const US: &str = "fr-strasbourg";
const FEDERATION: [u8; 32] = [9; 32];

struct Author {
    pair: Ed25519KeyPair,
    spki: Vec<u8>,
}

impl Author {
    fn new() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let prefix = HEXLOWER.decode(b"302a300506032b6570032100").unwrap();
        let spki = [&prefix[..], pair.public_key().as_ref()].concat();
        Self { pair, spki }
    }

    fn keys(&self, compromised: bool) -> Keys {
        let mut keys = Keys::default();
        keys.add(&HEXLOWER.encode(&self.spki), compromised).unwrap();
        keys
    }

    /// What it signs about a tree.
    fn sign(&self, authority: &str, tree: &Tree) -> Line {
        let (federation_id, root) = (FEDERATION.to_vec().into(), tree.root().to_vec().into());
        let said = AuditCheckpoint { federation_id, authority: authority.into(), size: tree.size(), root, time_ms: 1 };
        let payload = said.encode_to_vec();
        let kind = "havenlink.record.v1.AuditCheckpoint";
        let message = [b"havenlink/v1\0", kind.as_bytes(), &[0], &FEDERATION, &sha256(&payload)[..]].concat();
        let sig = self.pair.sign(&message).as_ref().to_vec().into();
        let signatures = vec![Signature { key_id: sha256(&self.spki)[..16].to_vec().into(), sig }];
        let signed = Signed { r#type: kind.into(), payload: payload.into(), signatures };
        Line::Checkpoint { size: tree.size(), signed: Base64(signed.encode_to_vec()) }
    }
}

/// A ledger that grows line by line.
struct Made<'a> {
    author: &'a Author,
    tree: Tree,
    before: u64,
    lines: Vec<Line>,
}

impl<'a> Made<'a> {
    fn new(author: &'a Author) -> Self {
        Self { author, tree: Tree::default(), before: 0, lines: Vec::new() }
    }

    fn leaf(&mut self, act: AuditAct, sizes: (u64, u64)) {
        let (from_size, to_size) = sizes;
        let (index, time_ms) = (self.tree.size(), 7);
        let leaf = AuditLeaf { index, time_ms, act: act.into(), from_size, to_size, ..Default::default() };
        let bytes = leaf.encode_to_vec();
        self.tree.push(&bytes);
        self.lines.push(Line::Leaf(Base64(bytes)));
    }

    fn leaves(&mut self, count: usize) {
        (0..count).for_each(|_| self.leaf(AuditAct::Published, (0, 0)));
    }

    fn checkpoint(&mut self, authority: &str, told: bool) {
        self.lines.push(self.author.sign(authority, &self.tree));
        let covers = self.tree.size();
        if told {
            self.leaf(AuditAct::CheckpointSigned, (self.before, covers));
        }
        self.before = covers;
    }

    /// What is found by somebody who has seen these lines before.
    fn judged(&self, keys: &Keys, seen: &[Line]) -> Verdict {
        let mut log = Log::new(keys);
        for line in seen {
            if let Line::Checkpoint { signed, .. } = line {
                log.seen_before(&proof::signed(&signed.0, &self.author.keys(false)).unwrap());
            }
        }
        let (federation, root) = (Hex(FEDERATION), Hex(self.tree.root()));
        let head = Head { federation, authority: US.into(), size: self.tree.size(), root, time_ms: 7, strays: 0 };
        log.push(Some(Line::Ledger(head)));
        self.lines.iter().for_each(|line| log.push(Some(line.clone())));
        log.finish()
    }
}

#[test]
fn what_a_restore_lost_is_told_apart_from_a_rollback() {
    let author = Author::new();
    let keys = author.keys(false);
    let begun = |made: &mut Made<'_>| {
        made.leaves(3);
        made.checkpoint(US, true);
    };
    let mut before = Made::new(&author);
    begun(&mut before);
    before.leaves(4);
    before.checkpoint(US, true);
    assert_eq!(before.judged(&keys, &before.lines).seen, 2);

    // From a backup of four entries: it says so itself.
    let mut restored = Made::new(&author);
    begun(&mut restored);
    restored.leaf(AuditAct::RestoredFromBackup, (before.tree.size(), 4));
    restored.leaves(5);
    restored.checkpoint(US, true);
    let found = restored.judged(&keys, &before.lines);
    assert_eq!((found.faults, found.seen, found.lost), (vec![], 1, 1));
    assert_eq!(found.restored, [Restored { entry: 4, from: 9, to: 4 }]);

    // And one that went on from the same place and says nothing.
    let mut elsewhere = Made::new(&author);
    begun(&mut elsewhere);
    elsewhere.leaf(AuditAct::PolicyChanged, (0, 0));
    elsewhere.leaves(6);
    elsewhere.checkpoint(US, true);
    assert_eq!(elsewhere.judged(&keys, &before.lines).faults, [Fault::RolledBack(8)]);
}

#[test]
fn what_no_good_key_signed_about_this_ledger_proves_nothing() {
    let (author, other) = (Author::new(), Author::new());
    let mut made = Made::new(&author);
    made.leaves(2);
    assert_eq!(made.judged(&author.keys(false), &[]).faults, [Fault::NothingSigned]);
    made.checkpoint(US, true);
    let good = made.judged(&author.keys(false), &[]);
    assert_eq!((good.faults, good.checkpoints, good.covered, good.size), (vec![], 1, 2, 3));
    let stolen = made.judged(&author.keys(true), &[]);
    assert_eq!((stolen.faults, stolen.worthless), (vec![Fault::NothingSigned], 1));
    let stranger = made.judged(&other.keys(false), &[]);
    assert_eq!(stranger.faults, [Fault::Unsigned(2), Fault::NothingSigned]);
    let mut foreign = Made::new(&author);
    foreign.leaves(2);
    foreign.checkpoint("de-kehl", true);
    assert_eq!(foreign.judged(&author.keys(false), &[]).faults, [Fault::Misplaced(2), Fault::NothingSigned]);
}

#[test]
fn checkpoints_from_before_they_were_counted_are_not_missed() {
    let author = Author::new();
    let mut made = Made::new(&author);
    made.leaves(2);
    made.checkpoint(US, false);
    made.leaves(1);
    made.checkpoint(US, false);
    made.leaves(1);
    made.checkpoint(US, true);
    let keys = author.keys(false);
    assert_eq!((made.judged(&keys, &[]).faults, made.judged(&keys, &[]).checkpoints), (vec![], 3));
    made.leaves(1);
    made.checkpoint(US, false);
    assert_eq!(made.judged(&keys, &[]).faults, [Fault::Missing(6)], "from then on each has its leaf");
}

#[test]
fn a_line_that_is_none_or_stands_elsewhere_is_named() {
    let author = Author::new();
    let keys = author.keys(false);
    let mut log = Log::new(&keys);
    log.push(Some(Line::Leaf(Base64(vec![]))));
    assert_eq!(log.finish().faults, [Fault::Line(1)], "the ledger comes first");
    let mut made = Made::new(&author);
    made.leaves(1);
    made.checkpoint(US, true);
    made.lines.push(Line::Inclusion { index: 0, leaf: Base64(vec![]), checkpoint: Base64(vec![]), path: vec![] });
    assert_eq!(made.judged(&keys, &[]).faults, [Fault::Line(5)]);
}
