//! The genesis statement as a file of its own: what a backup needs to follow the register again.

use std::path::Path;

use super::failure::CommandFailure;
use crate::domain::ids::FederationId;
use crate::wire::statement;

/// Its name in a data directory, and beside a backup.
pub const FILE: &str = "genesis";

/// Writes it.
///
/// # Errors
/// When the file cannot be written.
pub fn keep(dir: &Path, genesis: &[u8]) -> Result<(), CommandFailure> {
    let path = dir.join(FILE);
    std::fs::write(&path, genesis).map_err(|e| CommandFailure::file(&path, &e))
}

/// The federation whose genesis statement stands in a folder.
pub fn federation_of(folder: &Path) -> Option<FederationId> {
    let genesis = std::fs::read(folder.join(FILE)).ok()?;
    let (_, signed) = statement::open(genesis.into()).ok()?;
    Some(FederationId(signed.payload_digest().0))
}
