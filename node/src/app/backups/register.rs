//! The register in a backup: all that the node itself has of it, taken as another member would take it, piece by piece.
//!
//! So a steward's backup holds register, membership and the stewards' beats, although the running node has its file open; and what
//! does not follow from the genesis statement does not get in. What Raft keeps is never in it: a restored node votes under
//! another id.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tonic::service::interceptor::InterceptedService;

use crate::app::data_dir::{self, DataDir};
use crate::app::failure::CommandFailure;
use crate::app::genesis;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::directory::{self, Directory, Opening};
use crate::domain::reason::Reason;
use crate::transport::{self, Deadline};

/// For one call to the running node.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes a copy below this folder; `None`: there is no register here yet.
///
/// # Errors
/// When the running node does not tell it, or it cannot be read or written.
pub async fn copied(config: &Config, folder: &Path) -> Result<Option<PathBuf>, CommandFailure> {
    let register = config.data_dir.join(directory::FILE);
    let Ok(statement) = std::fs::read(config.data_dir.join(genesis::FILE)) else { return Ok(None) };
    if !register.exists() {
        return Ok(None);
    }
    let folder = folder.join("register");
    DirBuilder::new().mode(0o700).create(&folder).map_err(|e| CommandFailure::file(&folder, &e))?;
    let copy = folder.join(directory::FILE);
    match DataDir::take(&config.data_dir) {
        Ok(_not_running) => {
            // Opened once, so that what was left in the middle is settled, and nobody has it open any more.
            directory::raft_id(&config.data_dir)?;
            std::fs::copy(&register, &copy).map_err(|e| CommandFailure::file(&register, &e))?;
        }
        Err(failure) if failure.reason() == Reason::DataDirInUse => followed(config, &folder, statement).await?,
        Err(failure) => return Err(failure),
    }
    // Each restore draws an id of its own.
    directory::forget_raft(&folder)?;
    Ok(Some(copy))
}

async fn followed(config: &Config, folder: &Path, statement: Vec<u8>) -> Result<(), CommandFailure> {
    let silent =
        |_| CommandFailure::new(Reason::NodeNotReachable).fact("sockets", config.run_dir.display().to_string());
    let channel = transport::unix::door(&config.run_dir, "operator", PATIENCE).await.map_err(silent)?;
    let copy = Directory::open(Opening {
        data_dir: folder.to_owned(),
        authority: config.authority.clone(),
        key: Arc::new(data_dir::authority_key(&config.data_dir)?),
        clock: SystemClock::shared(),
        genesis: Some(statement.into()),
    })?;
    let told = copy.copy_from(InterceptedService::new(channel, Deadline::default())).await;
    copy.shutdown().await;
    Ok(told?)
}
