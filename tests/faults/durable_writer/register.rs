//! Votes and log entries of the register.

use std::io;

use bytes::Bytes;
use tokio::sync::watch;

use crate::stage::{Stage, say};

/// Bytes of one entry, about those of a signed statement.
const ENTRY: usize = 600;

/// An appender rests after this many entries, until so many votes were given: votes then go to disk alone, and nothing
/// but their own fsync carries them.
const BURST: u64 = 16;
const ALONE: u64 = 6;

/// Votes in one term after the other. Its line: `vote TERM`.
pub async fn vote(stage: &Stage, given: watch::Sender<u64>) -> io::Result<()> {
    let mut term = stage.register.term().await;
    loop {
        term += 1;
        stage.register.vote(term).await?;
        say(&format!("vote {term}"));
        given.send_modify(|given| *given += 1);
    }
}

/// Appends in bursts.
pub async fn append_all(stage: &Stage, mut votes: watch::Receiver<u64>) -> io::Result<()> {
    loop {
        for _ in 0..BURST {
            append(stage).await?;
        }
        let enough = *votes.borrow_and_update() + ALONE;
        votes.wait_for(|given| *given >= enough).await.map_err(io::Error::other)?;
    }
}

/// One entry more. Its line: `log INDEX`.
pub async fn append(stage: &Stage) -> io::Result<()> {
    let index = stage.register.append(entry).await?;
    say(&format!("log {index}"));
    Ok(())
}

/// What stands under an index.
pub fn entry(index: u64) -> Bytes {
    index.to_be_bytes().iter().copied().cycle().take(ENTRY).collect::<Vec<_>>().into()
}
