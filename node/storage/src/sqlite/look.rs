//! Opening what a start opens, for reading, beside a running node too.

use std::path::Path;

use sqlx::{ConnectOptions, Connection};

use super::db::failed;
use super::keys::{self, KEYS_FILE};
use super::state::State;
use super::{RESTORING_FILE, STORE_FILE, data_version, schema};
use crate::{Error, Result};

/// Opens the store and its keys as a start would, and changes nothing. Gives the size of its ledger; `None`: there is no
/// store yet.
///
/// # Errors
/// `Damaged` for a restore that was not finished, or a key that is not the one of `keys.db`; `DATA_NEWER`; what cannot be opened.
pub async fn look_at(dir: &Path) -> Result<Option<u64>> {
    if dir.join(RESTORING_FILE).exists() {
        return Err(Error::Damaged("a restore was not finished: run it again"));
    }
    if !dir.join(STORE_FILE).exists() {
        return Ok(None);
    }
    let mut store = schema::reading(&dir.join(STORE_FILE)).connect().await.map_err(failed)?;
    data_version::not_newer(&mut store).await?;
    let state = State::load_counters(&mut store).await?;
    store.close().await.map_err(failed)?;
    if dir.join(KEYS_FILE).exists() {
        keys::look_at(dir).await?;
    }
    Ok(Some(state.ledger.frontier.size()))
}
