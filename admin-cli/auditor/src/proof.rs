//! A proof about a ledger that is not here: of one entry, or of how it grew, against what the authority signed.

use data_encoding::HEXLOWER;

use crate::keys::Keys;
use crate::lines::{Hex, Line};
use crate::signed::{Checkpoint, Opened, open};
use crate::tree::{Hash, extends, includes, leaf_hash};

/// What a line proves, in words; `Err`: what is wrong with it.
///
/// # Errors
/// When it proves nothing.
pub fn verify(line: &Line, keys: &Keys) -> Result<String, String> {
    let hashes = |path: &[Hex]| path.iter().map(|hash| hash.0).collect::<Vec<Hash>>();
    match line {
        Line::Inclusion { index, leaf, checkpoint, path } => {
            let newest = signed(&checkpoint.0, keys)?;
            let leaf = leaf_hash(&leaf.0);
            if !includes(&leaf, *index, newest.size, &hashes(path), &newest.root) {
                return Err(format!("entry {index} does not stand in the ledger that was signed"));
            }
            Ok(format!("entry {index}, leaf hash {}, stands in {}", HEXLOWER.encode(&leaf), named(&newest)))
        }
        Line::Consistency { older, checkpoint, path } => {
            let (before, newest) = (signed(&older.0, keys)?, signed(&checkpoint.0, keys)?);
            let same = (&before.authority, before.federation) == (&newest.authority, newest.federation);
            if !same || !extends((before.size, &before.root), (newest.size, &newest.root), &hashes(path)) {
                return Err("the ledger that was signed later does not begin with the one before".to_owned());
            }
            Ok(format!("{} begins with what was signed over {} entries", named(&newest), before.size))
        }
        _ => Err("not a proof".to_owned()),
    }
}

fn named(checkpoint: &Checkpoint) -> String {
    let Checkpoint { authority, size, root, .. } = checkpoint;
    format!("the ledger of {authority} of {size} entries, root {}", HEXLOWER.encode(root))
}

/// A checkpoint that is signed with a key that counts, of the authority whose keys these are.
///
/// # Errors
/// When it is not.
pub fn signed(bytes: &[u8], keys: &Keys) -> Result<Checkpoint, String> {
    match open(bytes, keys) {
        Opened::Signed(checkpoint) if keys.authority().is_none_or(|authority| authority == checkpoint.authority) => {
            Ok(checkpoint)
        }
        Opened::Signed(checkpoint) => Err(format!("it was signed about the ledger of {}", checkpoint.authority)),
        Opened::Nothing => Err("it was signed with a key that was stolen: it proves nothing".to_owned()),
        Opened::Bad => Err("it is not signed with a key of the authority".to_owned()),
    }
}
