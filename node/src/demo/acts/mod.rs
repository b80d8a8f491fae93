//! The acts of the story, one file each. Each leaves the stage as it found it, but for what it says.

pub mod agreeing;
pub mod alerting;
pub mod crash;
pub mod footprint;
pub mod founding;
pub mod holding;
pub mod learning;
pub mod places;
pub mod referring;
mod stream;
pub mod suspension;

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::city::PATIENCE;

pub fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Asks again until there is a value; an error names what was waited for.
pub async fn until<T, F, Fut>(what: &str, mut ask: F) -> anyhow::Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<Option<T>>>,
{
    let started = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    loop {
        tick.tick().await;
        if let Some(value) = ask().await? {
            return Ok(value);
        }
        if started.elapsed() > PATIENCE {
            bail!("waited {PATIENCE:?} until {what}");
        }
    }
}

/// The reason of the catalogue that a refusal carries, and its text.
pub fn reason_of(status: &tonic::Status) -> String {
    use tonic_types::StatusExt;
    status.get_details_error_info().map_or_else(|| format!("{:?}", status.code()), |info| info.reason)
}

/// First hex digits of an id, as people compare them.
pub fn short(id: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&id[..id.len().min(6)])
}
