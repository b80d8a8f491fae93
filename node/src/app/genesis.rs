//! The genesis statement as a file of its own: what a backup needs to follow the register again.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::failure::CommandFailure;
use crate::domain::ids::FederationId;
use crate::wire::statement;

/// Its name in a data directory, and beside a backup.
pub const FILE: &str = "genesis";

/// Writes it; durable when it returns, but for the name of a file that was not there before.
///
/// # Errors
/// When the file cannot be written.
pub fn keep(dir: &Path, genesis: &[u8]) -> Result<(), CommandFailure> {
    let path = dir.join(FILE);
    let kept = File::create(&path).and_then(|mut file| file.write_all(genesis).and_then(|()| file.sync_all()));
    kept.map_err(|e| CommandFailure::file(&path, &e))
}

/// The federation whose genesis statement stands in a folder.
pub fn federation_of(folder: &Path) -> Option<FederationId> {
    let genesis = std::fs::read(folder.join(FILE)).ok()?;
    let (_, signed) = statement::open(genesis.into()).ok()?;
    Some(FederationId(signed.payload_digest().0))
}
