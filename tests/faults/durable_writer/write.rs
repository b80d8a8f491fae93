//! Load until the power goes: many callers, so that commits are shared.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use havenlink::domain::ids::RecordId;
use havenlink::storage::Store;
use havenlink::storage::ops::Written;
use havenlink::storage::owed::What;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::parties::PARTNERS;
use crate::stage::{Stage, say};
use crate::{load, owed, register};

/// Callers that publish and dispatch.
const PUBLISHERS: usize = 6;
/// Callers that append to the register's log.
const APPENDERS: usize = 4;

pub async fn run(dir: &Path) -> anyhow::Result<()> {
    let stage = Stage::open(dir, 0).await?;
    say("ready");
    let queued = Arc::new(Notify::new());
    let mut callers = JoinSet::new();
    for _ in 0..PUBLISHERS {
        callers.spawn(publish(stage.clone(), queued.clone()));
    }
    for partner in PARTNERS {
        callers.spawn(receive(stage.clone(), partner));
    }
    callers.spawn(settle(stage.clone(), queued.clone()));
    callers.spawn(agree(stage.clone(), queued.clone()));
    callers.spawn(fulfil(stage.clone(), queued));
    let (given, votes) = watch::channel(0);
    for _ in 0..APPENDERS {
        let (stage, votes) = (stage.clone(), votes.clone());
        callers.spawn(async move { Ok(register::append_all(&stage, votes).await?) });
    }
    callers.spawn(async move { Ok(register::vote(&stage, given).await?) });
    // None of them ends but with the power.
    match callers.join_next().await {
        Some(ended) => ended?,
        None => Ok(()),
    }
}

async fn publish(stage: Arc<Stage>, queued: Arc<Notify>) -> anyhow::Result<()> {
    loop {
        let id = RecordId(uuid::Uuid::new_v4().into_bytes());
        load::publish(&stage, id, 700).await?;
        load::dispatch(&stage, id, 900).await?;
        queued.notify_waiters();
    }
}

async fn agree(stage: Arc<Stage>, queued: Arc<Notify>) -> anyhow::Result<()> {
    loop {
        owed::agree(&stage).await?;
        queued.notify_waiters();
    }
}

/// Fulfils what is owed, sort after sort, as it comes.
async fn fulfil(stage: Arc<Stage>, queued: Arc<Notify>) -> anyhow::Result<()> {
    loop {
        let more = queued.notified();
        let mut fulfilled = 0;
        for what in What::ALL {
            fulfilled += owed::fulfil(&stage, what).await?;
        }
        if fulfilled == 0 {
            more.await;
        }
    }
}

async fn settle(stage: Arc<Stage>, queued: Arc<Notify>) -> anyhow::Result<()> {
    loop {
        let more = queued.notified();
        let mut settled = 0;
        for partner in PARTNERS {
            settled += load::settle(&stage, partner).await?;
        }
        if settled == 0 {
            more.await;
        }
    }
}

/// Sends from where the stream stands; every eighth batch once more, as a partner does that missed the answer.
async fn receive(stage: Arc<Stage>, partner: &'static str) -> anyhow::Result<()> {
    let held = stage.store.in_stream(load::stream_from(&stage, partner)).await?;
    let mut next = held.map_or(1, |stream| stream.next);
    loop {
        let count = 1 + next % 7;
        match load::receive(&stage, partner, next, count).await? {
            Written::Done | Written::Received { .. } => {}
            other => bail!("{partner}: batch {next} was answered with {other:?}"),
        }
        if next.is_multiple_of(8) {
            match load::receive(&stage, partner, next, count).await? {
                Written::StreamMoved { next: at, .. } if at == next + count => {}
                other => bail!("{partner}: batch {next}, sent again, was answered with {other:?}"),
            }
        }
        next += count;
    }
}
