//! Everything that is stored, in the words of the acknowledgements; and whether it holds together.
//!
//! A commit that was torn shows here even where nothing acknowledged is missing: streams, positions, deliveries and the
//! audit log must tell the same story.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use havenlink::domain::agreement::Usage;
use havenlink::domain::ids::{AgreementId, RecordId};
use havenlink::domain::policy::KeptRecord;
use havenlink::domain::record::{RecordKind, StreamClass};
use havenlink::domain::time::UnixMs;
use havenlink::storage::Store;
use havenlink::storage::audit::Replay;
use havenlink::storage::keys::KEYS_FILE;
use havenlink::storage::owed::What;
use havenlink::storage::rows::{DeliveryFilter, DeliveryState};
use havenlink::storage::sqlite::STORE_FILE;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::parties::{HERE, PARTNERS, authority};
use crate::stage::{Stage, uuid_of};
use crate::{load, owed, register};

const PAGE: usize = 4_096;
/// More rows than a run makes.
const EVERYTHING: usize = 1 << 24;

/// What the parts say that must fit together.
#[derive(Default)]
struct Counts {
    publications: Vec<RecordId>,
    agreements: Vec<AgreementId>,
    /// Records and whom they were queued for.
    queued: BTreeSet<(RecordId, String)>,
    /// By recipient: content, control.
    deliveries: BTreeMap<String, (u64, u64)>,
    inbox: BTreeMap<String, u64>,
}

pub async fn run(dir: &Path) -> anyhow::Result<()> {
    let stage = Stage::open(dir, 0).await?;
    let mut out = String::new();
    let mut counts = Counts::default();
    publications(&stage, &mut out, &mut counts).await?;
    deliveries(&stage, &mut out, &mut counts).await?;
    agreements(&stage, &mut counts).await?;
    inbox(&stage, &mut out, &mut counts).await?;
    owed_rows(&stage, &mut out, &counts).await?;
    streams(&stage, &counts).await?;
    audit(&stage, &counts).await?;
    log(&stage, &mut out).await?;
    stage.store.close().await;
    for file in [STORE_FILE, KEYS_FILE] {
        integrity(&dir.join(file)).await.context(file)?;
    }
    print!("{out}");
    Ok(())
}

async fn publications(stage: &Stage, out: &mut String, counts: &mut Counts) -> anyhow::Result<()> {
    let mut before = None;
    loop {
        let rows = stage.store.publications(RecordKind::Alert, before, PAGE).await?;
        for row in &rows {
            let body = load::filled(&row.record_id, row.record.size());
            let kept = KeptRecord::own(row.record.kind(), row.record.expires(), body);
            ensure!(row.record == kept, "publication {} has another body", row.record_id);
            ensure!(
                before.is_none_or(|last| row.sequence + 1 == last),
                "no publication {} below {before:?}",
                row.sequence
            );
            before = Some(row.sequence);
            counts.publications.push(row.record_id);
            writeln!(out, "publish {}", uuid_of(&row.record_id))?;
        }
        if rows.len() < PAGE {
            ensure!(before.is_none_or(|last| last == 1), "the first publications are missing");
            return Ok(());
        }
    }
}

async fn deliveries(stage: &Stage, out: &mut String, counts: &mut Counts) -> anyhow::Result<()> {
    let mut before = None;
    loop {
        let rows = stage.store.deliveries(DeliveryFilter::default(), before, PAGE).await?;
        for row in &rows {
            before = Some(row.sequence);
            let (content, control) = counts.deliveries.entry(row.recipient.to_string()).or_default();
            let count = if row.kind.class() == StreamClass::Content { content } else { control };
            *count += 1;
            let new = counts.queued.insert((row.record_id, row.recipient.to_string()));
            ensure!(new, "{} is queued for {} twice", row.record_id, row.recipient);
            writeln!(out, "queue {}/{}", uuid_of(&row.record_id), row.recipient)?;
            if row.state == DeliveryState::Delivered {
                writeln!(out, "settle {}/{}", uuid_of(&row.record_id), row.recipient)?;
            }
        }
        if rows.len() < PAGE {
            return Ok(());
        }
    }
}

async fn agreements(stage: &Stage, counts: &mut Counts) -> anyhow::Result<()> {
    for row in stage.store.agreements().await? {
        ensure!(row.signed == owed::signed(&row.id), "agreement {} is another one", row.id);
        counts.agreements.push(row.id);
    }
    Ok(())
}

/// An act that is stored owes what it owes, until what fulfils it is stored: never both, and never neither.
async fn owed_rows(stage: &Stage, out: &mut String, counts: &Counts) -> anyhow::Result<()> {
    let mut rows = BTreeMap::new();
    for what in What::ALL {
        for recipient in stage.store.owed_recipients(what, UnixMs::NEVER).await? {
            for row in stage.store.owed(what, recipient, UnixMs::NEVER, EVERYTHING).await? {
                rows.insert(owed::name(&row.key), row.attempts);
            }
        }
    }
    // The partner that is never suspended has what was dispatched.
    let always = |id: &&RecordId| counts.queued.contains(&(**id, PARTNERS[0].to_owned()));
    let of_records = counts.publications.iter().filter(always).map(owed::of_record);
    let of_agreements = counts.agreements.iter().flat_map(|id| owed::of_agreement(*id));
    for key in of_records.chain(of_agreements) {
        let (name, (record, to)) = (owed::name(&key), owed::fulfilment(&key));
        let fulfilled = counts.queued.contains(&(record, to.to_string()));
        match (rows.remove(&name), fulfilled) {
            (Some(_), true) => bail!("{name} is fulfilled, and still owed"),
            (None, false) => bail!("{name} is neither owed nor fulfilled"),
            (Some(attempts), false) if attempts > 0 => writeln!(out, "postpone {name}")?,
            (Some(_), false) => {}
            (None, true) => writeln!(out, "fulfil {name}")?,
        }
        writeln!(out, "owe {name}")?;
    }
    for id in &counts.agreements {
        writeln!(out, "agree {id}")?;
    }
    ensure!(rows.is_empty(), "owed by no act: {:?}", rows.keys().next());
    Ok(())
}

async fn inbox(stage: &Stage, out: &mut String, counts: &mut Counts) -> anyhow::Result<()> {
    let mut after = 0;
    loop {
        let rows = stage.store.inbox_after(after, Vec::new(), PAGE).await?;
        for row in &rows {
            ensure!(row.position == after + 1, "position {} after {after}", row.position);
            after = row.position;
            let envelope = load::filled(&row.key.record_id, row.record.size());
            let (kind, expires) = (row.record.kind(), row.record.expires());
            let keep_until = row.record.keep_until().context("a received record is kept until some time")?;
            let kept = KeptRecord::received(kind, expires, keep_until, Usage::Store, envelope);
            ensure!(row.record == kept, "position {after} has another envelope");
            *counts.inbox.entry(row.key.origin.to_string()).or_default() += 1;
            writeln!(out, "inbox {}/{}", row.key.origin, uuid_of(&row.key.record_id))?;
        }
        if rows.len() < PAGE {
            ensure!(stage.store.inbox_position().await? == after, "the inbox ends at {after}");
            return Ok(());
        }
    }
}

/// A stream's next number is one more than what stands under its numbers.
async fn streams(stage: &Stage, counts: &Counts) -> anyhow::Result<()> {
    for partner in PARTNERS {
        let held = stage.store.in_stream(load::stream_from(stage, partner)).await?;
        let (next, stored) = (held.map_or(1, |s| s.next), counts.inbox.get(partner).copied().unwrap_or(0));
        ensure!(next == stored + 1, "{partner}: the stream stands at {next}, {stored} records are in the inbox");
        let (content, control) = counts.deliveries.get(partner).copied().unwrap_or_default();
        for (class, queued) in [(StreamClass::Content, content), (StreamClass::Control, control)] {
            let stream = stage.store.out_stream(authority(HERE), authority(partner), class).await?;
            let next = stream.map_or(1, |s| s.next);
            ensure!(next == queued + 1, "{partner}: the {class:?} stream stands at {next}, {queued} were queued");
        }
    }
    Ok(())
}

/// Replays the log: the root is the stored one, and there is a leaf for each act.
async fn audit(stage: &Stage, counts: &Counts) -> anyhow::Result<()> {
    let head = stage.store.audit_head().await?;
    let mut replay = Replay::default();
    loop {
        let leaves = stage.store.audit_leaves(replay.frontier().size(), PAGE).await?;
        for leaf in &leaves {
            replay.push(leaf);
        }
        if leaves.len() < PAGE {
            break;
        }
    }
    let found = replay.frontier();
    ensure!(replay.first_bad().is_none(), "audit leaf {:?} is not one", replay.first_bad());
    ensure!((found.size(), found.root()) == (head.size, head.root), "the audit log does not give its root");
    let deliveries: u64 = counts.deliveries.values().map(|(content, control)| content + control).sum();
    let acts = (counts.publications.len() + counts.agreements.len()) as u64;
    let acts = acts + deliveries + counts.inbox.values().sum::<u64>();
    ensure!(head.size == acts, "{} audit leaves for {acts} acts", head.size);
    Ok(())
}

async fn log(stage: &Stage, out: &mut String) -> anyhow::Result<()> {
    for term in 1..=stage.register.term().await {
        writeln!(out, "vote {term}")?;
    }
    for (index, stored) in stage.register.entries().await? {
        ensure!(stored == register::entry(index), "log entry {index} is another one");
        writeln!(out, "log {index}")?;
    }
    Ok(())
}

async fn integrity(file: &Path) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::from_str("sqlite:")?.filename(file).read_only(true);
    let mut conn = SqliteConnection::connect_with(&options).await?;
    let found: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut conn).await?;
    ensure!(found == ["ok"], "integrity: {found:?}");
    let broken = sqlx::query("PRAGMA foreign_key_check").fetch_all(&mut conn).await?;
    ensure!(broken.is_empty(), "{} rows refer to nothing", broken.len());
    Ok(())
}
