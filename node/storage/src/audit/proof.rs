//! Which parts of a log prove something about it (RFC 6962, 2.1.1 and 2.1.2): ranges of leaves, whose roots are the proof,
//! nearest first. Whoever has the leaves computes a root with `Frontier`; nothing else of the tree is kept.

use std::ops::Range;

/// The first half of `from..to`, two leaves at least: the largest power of two that is smaller than their number.
fn middle(from: u64, to: u64) -> u64 {
    from + (1 << (to - from - 1).ilog2())
}

/// What proves that the leaf `index` stands in the log of the first `size` leaves; `None` if it has no such leaf.
pub fn inclusion(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    if index >= size {
        return None;
    }
    while to - from > 1 {
        let middle = middle(from, to);
        if index < middle {
            path.push(middle..to);
            to = middle;
        } else {
            path.push(from..middle);
            from = middle;
        }
    }
    path.reverse();
    Some(path)
}

/// What proves that the log of the first `size` leaves begins with that of the first `old`; `None` if it cannot.
pub fn consistency(old: u64, size: u64) -> Option<Vec<Range<u64>>> {
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    if old == 0 || old > size {
        return None;
    }
    while old != to {
        let middle = middle(from, to);
        if old <= middle {
            path.push(middle..to);
            to = middle;
        } else {
            path.push(from..middle);
            from = middle;
        }
    }
    // The root of the whole old log is known to whoever asks.
    if from > 0 {
        path.push(from..to);
    }
    path.reverse();
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::super::{Frontier, leaf_hash, node_hash};
    use super::*;
    use crate::domain::ids::Digest;

    /// The log of the RFC's example (2.1.3): seven leaves, roots at 3, 4, 6 and 7.
    #[test]
    fn the_proofs_are_those_of_the_rfcs_example() {
        let leaves: Vec<[u8; 1]> = (0..7).map(|i| [i]).collect();
        let root = |range: Range<usize>| {
            let mut frontier = Frontier::default();
            leaves[range].iter().for_each(|leaf| frontier.push(leaf));
            frontier.root()
        };
        let d: Vec<Digest> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        let pair = |i: usize| node_hash(&d[i], &d[i + 1]);
        let (g, h, i, j, k) = (pair(0), pair(2), pair(4), d[6], node_hash(&pair(0), &pair(2)));
        let l = node_hash(&i, &j);
        let roots = |path: Option<Vec<Range<u64>>>| -> Vec<Digest> {
            path.unwrap().into_iter().map(|range| root(range.start as usize..range.end as usize)).collect()
        };
        assert_eq!(roots(inclusion(0, 7)), [d[1], h, l]);
        assert_eq!(roots(inclusion(3, 7)), [d[2], g, l]);
        assert_eq!(roots(inclusion(4, 7)), [d[5], j, k]);
        assert_eq!(roots(inclusion(6, 7)), [i, k]);
        assert_eq!(roots(consistency(3, 7)), [d[2], d[3], g, l]);
        assert_eq!(roots(consistency(4, 7)), [l]);
        assert_eq!(roots(consistency(6, 7)), [i, j, k]);
        assert_eq!((inclusion(7, 7), consistency(0, 7), consistency(8, 7)), (None, None, None));
        assert_eq!((inclusion(0, 1), consistency(7, 7)), (Some(vec![]), Some(vec![])));
    }
}
