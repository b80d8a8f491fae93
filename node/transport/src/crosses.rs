//! The cross certificates of an authority's rotations, as a file: each key issued the next one's when it was replaced (9.6).
//!
//! Oldest first. Nothing in it is secret, and nothing has to trust it: a chain that does not hold leads nowhere. Lost, a
//! partner that was away over a rotation is met through another member, or by hand.

use std::io::ErrorKind;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::error::Error;
use super::identity_files::{pem, sync_dir, write};
use super::issued::{CROSSES, Claimed};
use crate::domain::authority::PublicKey;

/// The file in the data directory, and beside a backup.
pub const FILE: &str = "authority.crosses";

fn all(dir: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(dir.join(FILE)).unwrap_or_default();
    CertificateDer::pem_slice_iter(&bytes).map_while(Result::ok).map(|der| der.to_vec()).collect()
}

/// Those that lead to the key that is used now, at most eight, newest last.
pub fn read(dir: &Path, current: &PublicKey) -> Vec<Vec<u8>> {
    let (mut chain, mut wanted) = (Vec::new(), Some(*current));
    let all = all(dir);
    for (at, der) in all.iter().enumerate().rev() {
        let Some(cross) = Claimed::read(der).filter(|cross| cross.successor() == wanted && wanted.is_some()) else {
            continue;
        };
        chain.insert(0, der.clone());
        // Who issued it: a key that one before it leads to, or one that none leads to.
        let before = all[..at].iter().rev().filter_map(|der| Claimed::read(der)?.successor());
        wanted = before.into_iter().find(|key| cross.is_by(key));
        if chain.len() == CROSSES {
            break;
        }
    }
    chain
}

/// Adds one, durably, and drops the oldest beyond eight. One that leads to the same key is there already.
///
/// # Errors
/// When the file cannot be written.
pub fn add(dir: &Path, cross: &[u8]) -> Result<(), Error> {
    let mut all = all(dir);
    let leads = |der: &[u8]| Claimed::read(der).and_then(|cross| cross.successor());
    if all.iter().any(|der| leads(der) == leads(cross)) {
        return Ok(());
    }
    all.push(cross.to_vec());
    let kept = &all[all.len().saturating_sub(CROSSES)..];
    let text: String = kept.iter().map(|der| pem("CERTIFICATE", der).as_str().to_owned()).collect();
    write(&dir.join(FILE), &text, 0o644)?;
    sync_dir(dir)
}

/// Forgets them: a key that the stewards replaced is followed by none.
///
/// # Errors
/// When the file cannot be removed.
pub fn forget(dir: &Path) -> Result<(), Error> {
    let path = dir.join(FILE);
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::File { path, source }),
        _ => Ok(()),
    }
}
