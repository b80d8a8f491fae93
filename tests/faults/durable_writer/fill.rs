//! Until the disk is full, while it is full, and after room was made.
//!
//! Lines besides the acknowledgements: `unknown UUID` (the outcome is unknown: stored or not, both are right), `full`,
//! `refused REASON`, `ballast set aside|released|kept`, `no ballast`, `register stopped`, `waiting`, and after a line on stdin `again`,
//! `ballast restored|gone`, `done`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use havenlink::domain::ids::RecordId;
use havenlink::domain::reason::Reason;
use havenlink::storage::sqlite::BALLAST_FILE;
use tokio::task::JoinSet;

use crate::stage::{Stage, say, uuid_of};
use crate::{load, register};

/// Callers that publish.
const PUBLISHERS: usize = 8;
/// A caller believes that the disk is full after this many refusals in a row.
const REFUSALS: usize = 3;
/// Withdrawals that must go out while it is full.
const WITHDRAWALS: usize = 100;
/// Bytes of a record.
const RECORD: usize = 8 << 10;

pub async fn run(dir: &Path, ballast: u64, at_most: usize) -> anyhow::Result<()> {
    let stage = Stage::open(dir, ballast).await?;
    let set_aside = || dir.join(BALLAST_FILE).exists();
    say("ready");
    say(if set_aside() { "ballast set aside" } else { "no ballast" });
    let stored = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..PUBLISHERS {
        callers.spawn(publish_until_full(stage.clone(), stored.clone(), at_most));
    }
    let appending = stage.clone();
    let appender = tokio::spawn(async move { while register::append(&appending).await.is_ok() {} });
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    say("full");
    say(if set_aside() { "ballast kept" } else { "ballast released" });
    for _ in 0..WITHDRAWALS {
        if let Err(error) = load::withdraw(&stage, new_id()).await {
            say(&format!("withdrawal refused {}", error.reason().code()));
            break;
        }
    }
    match load::publish(&stage, new_id(), RECORD).await {
        Ok(()) => bail!("a new record was stored on a full disk"),
        Err(error) => say(&format!("refused {}", error.reason().code())),
    }
    if appender.is_finished() {
        say("register stopped");
    }
    say("waiting");
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    after_room_was_made(&stage).await?;
    say(if set_aside() { "ballast restored" } else { "ballast gone" });
    say("done");
    // As a kill: nothing is closed.
    std::process::exit(0)
}

fn new_id() -> RecordId {
    RecordId(uuid::Uuid::new_v4().into_bytes())
}

async fn publish_until_full(stage: Arc<Stage>, stored: Arc<AtomicUsize>, at_most: usize) -> anyhow::Result<()> {
    let mut refused = 0;
    while refused < REFUSALS {
        let id = new_id();
        match load::publish(&stage, id, RECORD).await {
            Ok(()) => refused = 0,
            Err(error) if error.reason() == Reason::StorageFull => refused += 1,
            Err(error) if error.reason() == Reason::OutcomeUnknown => say(&format!("unknown {}", uuid_of(&id))),
            Err(error) => return Err(error.into()),
        }
        ensure!(stored.fetch_add(1, Ordering::Relaxed) < at_most, "{at_most} records, and the disk was never full");
    }
    Ok(())
}

/// The next writes find the room by themselves.
async fn after_room_was_made(stage: &Stage) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(error) = load::publish(stage, new_id(), RECORD).await {
        ensure!(Instant::now() < deadline, "still refused after room was made: {error}");
        tokio::task::yield_now().await;
    }
    say("again");
    for _ in 0..50 {
        load::publish(stage, new_id(), RECORD).await?;
    }
    Ok(())
}
