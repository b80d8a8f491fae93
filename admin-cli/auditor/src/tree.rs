//! The Merkle tree of RFC 6962, as RFC 9162 (2.1.3.2, 2.1.4.2) says how its proofs are verified.

#[cfg(test)]
mod tests;

use aws_lc_rs::digest::{Context, SHA256, digest};

pub type Hash = [u8; 32];

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> Hash {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

fn tagged(tag: u8, parts: [&[u8]; 2]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[tag]);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// SHA-256(0x00 ‖ leaf).
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    tagged(0, [leaf, &[]])
}

fn join(left: &Hash, right: &Hash) -> Hash {
    tagged(1, [left, right])
}

/// A tree that only grows: its perfect subtrees, largest first, each with the number of its leaves.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    perfect: Vec<(u64, Hash)>,
}

impl Tree {
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf: two subtrees of one size become one.
    pub fn push(&mut self, leaf: &[u8]) {
        self.size += 1;
        self.perfect.push((1, leaf_hash(leaf)));
        while let [.., (left_size, left), (right_size, right)] = &self.perfect[..]
            && left_size == right_size
        {
            let both = (left_size + right_size, join(left, right));
            self.perfect.truncate(self.perfect.len() - 2);
            self.perfect.push(both);
        }
    }

    /// The root; of an empty tree SHA-256 of nothing.
    pub fn root(&self) -> Hash {
        let hashes = self.perfect.iter().rev().map(|(_, hash)| *hash);
        hashes.reduce(|right, left| join(&left, &right)).unwrap_or_else(|| sha256(&[]))
    }
}

/// Whether the leaf stands at `index` in the tree of that size and root.
pub fn includes(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    let Some(mut last) = size.checked_sub(1).filter(|last| index <= *last) else { return false };
    let (mut at, mut hash) = (index, *leaf);
    for step in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = join(step, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = join(&hash, step);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether the tree of the second size and root begins with that of the first.
pub fn extends(first: (u64, &Hash), second: (u64, &Hash), path: &[Hash]) -> bool {
    let ((old, old_root), (size, root)) = (first, second);
    if old == 0 || old >= size {
        return old != 0 && old == size && path.is_empty() && old_root == root;
    }
    // Of a perfect tree the root itself begins the path.
    let whole = old.is_power_of_two().then_some(old_root);
    let mut path = whole.into_iter().chain(path);
    let Some(begin) = path.next() else { return false };
    let shift = (old - 1).trailing_ones();
    let (mut at, mut last) = ((old - 1) >> shift, (size - 1) >> shift);
    let (mut old_hash, mut hash) = (*begin, *begin);
    for step in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            (old_hash, hash) = (join(step, &old_hash), join(step, &hash));
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = join(&hash, step);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old_hash == *old_root && hash == *root
}
