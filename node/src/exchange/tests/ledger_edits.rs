//! Whoever holds a node's file edits its ledger: a thousand times, each in another way, and each is found, by the node itself and by
//! whoever verifies an export with public keys alone. What cannot be found so is a rollback; what somebody saw before shows it.

use std::path::Path;

use bytes::Bytes;
use havenlink_auditor::keys::Keys;
use havenlink_auditor::lines::{Base64, Head, Hex, Line};
use havenlink_auditor::log::{Fault, Log, Verdict};
use havenlink_auditor::proof;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};

use super::road::Dice;
use super::world::*;
use crate::clock::Clock;
use crate::domain::audit::AuditCheckpoint;
use crate::domain::ids::Digest;
use crate::domain::reason::Reason;
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::ToProve;
use crate::storage::audit::Frontier;
use crate::wire::audit;
use crate::wire::checkpoint::sign;

const EDITS: u64 = 1_000;

/// Strasbourg's ledger on disk, with a checkpoint every few leaves and a tail that none covers yet.
struct Ledger {
    world: World,
    conn: SqliteConnection,
    keys: Keys,
    /// Leaves, and the sizes of the checkpoints.
    leaves: Vec<Bytes>,
    sizes: Vec<u64>,
    _dir: tempfile::TempDir,
}

impl Ledger {
    async fn new() -> Self {
        let (world, dir) = World::on_disk().await;
        let upkeep = &world.exchange(STRASBOURG).upkeep;
        for n in 0..12 {
            world.clock.advance(Millis::seconds(61));
            for _ in 0..=n % 3 {
                world.publish(STRASBOURG, &[KEHL]).await;
            }
            world.settle().await;
            assert!(upkeep.checkpoint_pass().await.unwrap());
        }
        world.publish(STRASBOURG, &[KEHL]).await;
        world.settle().await;
        let store = &world.node(STRASBOURG).store;
        let leaves = store.audit_leaves(0, 10_000).await.unwrap();
        let sizes = store.audit_checkpoints(0, 10_000).await.unwrap().into_iter().map(|(size, _)| size).collect();
        let mut keys = Keys::default();
        let spki = data_encoding::HEXLOWER.encode(&world.node(STRASBOURG).key.public().0);
        keys.add(&spki, false).unwrap();
        let conn = kept(&dir.path().join(STRASBOURG).join(crate::storage::sqlite::STORE_FILE)).await;
        Self { world, conn, keys, leaves, sizes, _dir: dir }
    }

    async fn run(&mut self, text: String) -> u64 {
        sqlx::query(AssertSqlSafe(text)).execute(&mut self.conn).await.unwrap().rows_affected()
    }

    /// As it was before the edits.
    async fn undo(&mut self) {
        for table in ["audit_leaf", "audit_checkpoint", "head"] {
            self.run(format!("DELETE FROM {table}")).await;
            self.run(format!("INSERT INTO {table} SELECT * FROM temp.kept_{table}")).await;
        }
    }

    /// What an export says now.
    async fn exported(&self) -> Vec<Line> {
        let upkeep = &self.world.exchange(STRASBOURG).upkeep;
        let (mut lines, mut from, mut whole) = (Vec::new(), 0, None);
        loop {
            let page = upkeep.ledger_page(from, 50).await.unwrap();
            let head = &page.head;
            let covered = head.checkpoint.as_ref().map_or(0, |(size, _)| *size);
            let (size, covered) = *whole.get_or_insert((head.size, covered));
            if from == 0 {
                lines.push(Line::Ledger(Head {
                    federation: Hex(page.federation.0),
                    authority: page.authority.as_str().to_owned(),
                    size: head.size,
                    root: Hex(head.root.0),
                    time_ms: head.time.0,
                    strays: page.strays,
                }));
            }
            let mut signed = page.checkpoints.iter().filter(|(of, _)| *of <= covered.min(size)).peekable();
            for (place, leaf) in (from..size).zip(&page.leaves) {
                lines.push(Line::Leaf(Base64(leaf.to_vec())));
                while let Some((size, signed)) = signed.next_if(|(of, _)| *of <= place + 1) {
                    lines.push(Line::Checkpoint { size: *size, signed: Base64(signed.to_vec()) });
                }
            }
            from += page.leaves.len() as u64;
            if page.leaves.is_empty() || from >= size {
                return lines;
            }
        }
    }

    /// What somebody finds who has the keys, and checkpoints that were seen before.
    async fn audited(&self, seen: &[Line]) -> Verdict {
        let mut log = Log::new(&self.keys);
        for line in seen {
            if let Line::Checkpoint { signed, .. } = line {
                log.seen_before(&proof::signed(&signed.0, &self.keys).unwrap());
            }
        }
        self.exported().await.into_iter().for_each(|line| log.push(Some(line)));
        log.finish()
    }

    /// Whether the node itself finds its ledger whole.
    async fn whole(&self) -> bool {
        self.world.exchange(STRASBOURG).upkeep.verify_audit().await.is_ok_and(|finding| finding.consistent)
    }

    /// Makes the head fit the leaves that are there, as whoever knows the code can.
    async fn make_it_fit(&mut self) {
        let rows = sqlx::query("SELECT leaf FROM audit_leaf ORDER BY place").fetch_all(&mut self.conn).await.unwrap();
        let (mut frontier, mut time) = (Frontier::default(), 0);
        for row in &rows {
            let leaf: Vec<u8> = row.get(0);
            frontier.push(&leaf);
            time = audit::outline(&leaf).unwrap().time.0;
        }
        sqlx::query("UPDATE head SET audit_size = ?, audit_root = ?, audit_frontier = ?, audit_time = ?")
            .bind(i64::try_from(frontier.size()).unwrap())
            .bind(frontier.root().0.to_vec())
            .bind(frontier.to_bytes())
            .bind(time)
            .execute(&mut self.conn)
            .await
            .unwrap();
    }

    async fn put_leaf(&mut self, place: usize, leaf: &[u8]) {
        let put = sqlx::query("UPDATE audit_leaf SET leaf = ? WHERE place = ?").bind(leaf.to_vec());
        put.bind(i64::try_from(place).unwrap()).execute(&mut self.conn).await.unwrap();
    }

    /// A place below the last checkpoint, and the leaf there with another time: one that is history.
    async fn rewrite(&mut self, dice: &mut Dice) -> usize {
        let covered = usize::try_from(*self.sizes.last().unwrap()).unwrap();
        let place = dice.below(covered as u64) as usize;
        let mut leaf = audit::decode(&self.leaves[place]).unwrap();
        leaf.counterparty = Some(id(ESCH));
        leaf.purpose = None;
        let other = audit::encode(&leaf);
        assert_ne!(other, self.leaves[place]);
        self.put_leaf(place, &other).await;
        place
    }
}

/// A connection beside the store's, which remembers how it was.
async fn kept(file: &Path) -> SqliteConnection {
    let mut conn = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    for text in ["PRAGMA synchronous = OFF", "PRAGMA foreign_keys = OFF"] {
        sqlx::query(text).execute(&mut conn).await.unwrap();
    }
    for table in ["audit_leaf", "audit_checkpoint", "head"] {
        let text = format!("CREATE TEMP TABLE kept_{table} AS SELECT * FROM {table}");
        sqlx::query(AssertSqlSafe(text)).execute(&mut conn).await.unwrap();
    }
    conn
}

/// Edits one thing, and says which.
async fn edit(ledger: &mut Ledger, dice: &mut Dice, sort: u64) -> String {
    let size = ledger.leaves.len() as u64;
    let leaf = dice.below(size);
    let signed = ledger.sizes[dice.below(ledger.sizes.len() as u64) as usize];
    let beyond = size + dice.below(9);
    let text = match sort {
        0 => return flip(ledger, dice, "audit_leaf", "leaf", "place", leaf).await,
        1 => return flip(ledger, dice, "audit_checkpoint", "signed", "size", signed).await,
        2 => format!("DELETE FROM audit_leaf WHERE place = {leaf}"),
        3 => format!("DELETE FROM audit_checkpoint WHERE size = {signed}"),
        4 => {
            let to = if dice.below(2) == 0 { beyond.to_string() } else { format!("-{}", 1 + dice.below(9)) };
            format!("UPDATE audit_leaf SET place = {to} WHERE place = {leaf}")
        }
        5 => {
            let to = [free(ledger, dice).to_string(), "0".to_owned(), (beyond + 1).to_string(), "-3".to_owned()];
            format!("UPDATE audit_checkpoint SET size = {} WHERE size = {signed}", to[dice.below(4) as usize])
        }
        6 => return reorder(ledger, dice, leaf).await,
        7 => {
            let to = if dice.below(2) == 0 { free(ledger, dice) } else { beyond + 1 };
            format!("INSERT INTO audit_checkpoint SELECT {to}, signed FROM audit_checkpoint WHERE size = {signed}")
        }
        8 => format!("INSERT INTO audit_leaf SELECT {beyond}, leaf FROM audit_leaf WHERE place = {leaf}"),
        9 => return truncate(ledger, dice, leaf).await,
        10 => return fork(ledger, dice).await,
        _ => return head(ledger, dice).await,
    };
    assert_eq!(ledger.run(text.clone()).await, 1, "{text}");
    text
}

/// A size within the log over which no checkpoint was signed.
fn free(ledger: &Ledger, dice: &mut Dice) -> u64 {
    let free: Vec<u64> = (1..=ledger.leaves.len() as u64).filter(|size| !ledger.sizes.contains(size)).collect();
    free[dice.below(free.len() as u64) as usize]
}

async fn flip(ledger: &mut Ledger, dice: &mut Dice, table: &str, column: &str, key: &str, of: u64) -> String {
    let text = format!("SELECT {column} FROM {table} WHERE {key} = {of}");
    let mut bytes: Vec<u8> = sqlx::query(AssertSqlSafe(text)).fetch_one(&mut ledger.conn).await.unwrap().get(0);
    let bit = dice.below(bytes.len() as u64 * 8);
    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    let text = format!("UPDATE {table} SET {column} = ? WHERE {key} = {of}");
    sqlx::query(AssertSqlSafe(text)).bind(bytes).execute(&mut ledger.conn).await.unwrap();
    format!("bit {bit} of {table} {of}")
}

/// Two leaves, or two checkpoints, in each other's place.
async fn reorder(ledger: &mut Ledger, dice: &mut Dice, one: u64) -> String {
    let (table, column, key, one, other) = if dice.below(2) == 0 {
        let other = (one + 1 + dice.below(ledger.leaves.len() as u64 - 1)) % ledger.leaves.len() as u64;
        ("audit_leaf", "leaf", "place", one, other)
    } else {
        let count = ledger.sizes.len() as u64;
        let first = dice.below(count);
        let second = (first + 1 + dice.below(count - 1)) % count;
        ("audit_checkpoint", "signed", "size", ledger.sizes[first as usize], ledger.sizes[second as usize])
    };
    let of = |place: u64| format!("(SELECT {column} FROM {table} WHERE {key} = {place})");
    let text = format!(
        "UPDATE {table} SET {column} = CASE {key} WHEN {one} THEN {} ELSE {} END WHERE {key} IN ({one}, {other})",
        of(other),
        of(one)
    );
    assert_eq!(ledger.run(text.clone()).await, 2, "{text}");
    text
}

/// Cuts the log, with its head as it was or made to fit, but with the checkpoints that were signed over what is gone.
async fn truncate(ledger: &mut Ledger, dice: &mut Dice, from: u64) -> String {
    let fits = dice.below(2) == 0;
    let from = if fits { from.min(*ledger.sizes.last().unwrap() - 1) } else { from };
    ledger.run(format!("DELETE FROM audit_leaf WHERE place >= {from}")).await;
    if fits {
        ledger.make_it_fit().await;
    }
    format!("cut to {from}, made to fit: {fits}")
}

/// Another history, made to fit: with the checkpoints that contradict it, without them, or with forged ones.
async fn fork(ledger: &mut Ledger, dice: &mut Dice) -> String {
    let place = ledger.rewrite(dice).await;
    ledger.make_it_fit().await;
    let how = dice.below(3);
    match how {
        1 => _ = ledger.run(format!("DELETE FROM audit_checkpoint WHERE size > {place}")).await,
        2 => {
            let mut frontier = Frontier::default();
            let rows = sqlx::query("SELECT leaf FROM audit_leaf ORDER BY place").fetch_all(&mut ledger.conn).await;
            for (n, row) in rows.unwrap().iter().enumerate() {
                frontier.push(&row.get::<Vec<u8>, _>(0));
                if n >= place && ledger.sizes.contains(&frontier.size()) {
                    forge(ledger, frontier.size(), frontier.root()).await;
                }
            }
        }
        _ => {}
    }
    format!("forked at {place}, in the way {how}")
}

/// A checkpoint over another history, signed with a key that is not the authority's.
async fn forge(ledger: &mut Ledger, size: u64, root: Digest) {
    let federation = ledger.world.view.load().federation;
    let time = ledger.world.clock.now();
    let checkpoint = AuditCheckpoint { federation, authority: id(STRASBOURG), size, root, time };
    let signed = sign(&checkpoint, &ledger.world.node(KEHL).key);
    let put = sqlx::query("UPDATE audit_checkpoint SET signed = ? WHERE size = ?").bind(signed.to_vec());
    put.bind(i64::try_from(size).unwrap()).execute(&mut ledger.conn).await.unwrap();
}

/// What stands beside the log of its size, root and time.
async fn head(ledger: &mut Ledger, dice: &mut Dice) -> String {
    let text = match dice.below(4) {
        0 => return flip(ledger, dice, "head", "audit_root", "id", 1).await,
        1 => "UPDATE head SET audit_size = audit_size + 1",
        2 => "UPDATE head SET audit_size = audit_size - 1",
        _ => "UPDATE head SET audit_time = audit_time + 1",
    };
    ledger.run(text.to_owned()).await;
    text.to_owned()
}

#[tokio::test]
async fn each_of_a_thousand_edits_is_found_and_none_is_found_that_was_not_made() {
    let mut ledger = Ledger::new().await;
    let untouched = ledger.audited(&[]).await;
    assert_eq!((untouched.faults, untouched.checkpoints), (Vec::new(), 12));
    assert!(untouched.covered < untouched.size && untouched.seen == 0, "a tail, and nobody has seen it");
    let mut dice = Dice(10);
    for n in 0..EDITS {
        let done = edit(&mut ledger, &mut dice, n % 12).await;
        assert!(!ledger.whole().await, "edit {n}, not found by the node: {done}");
        assert_ne!(ledger.audited(&[]).await.faults, [], "edit {n}, not found in the export: {done}");
        if n % 12 == 0 {
            let told = ledger.world.exchange(STRASBOURG).upkeep.processing(UnixMs(0), UnixMs::NEVER).await;
            assert_eq!(told.unwrap_err().reason(), Reason::AuditDamaged, "edit {n}, reported from: {done}");
        }
        ledger.undo().await;
        if n % 20 == 0 {
            assert!(ledger.whole().await, "edit {n}, undone: {done}");
            assert_eq!(ledger.audited(&[]).await.faults, [], "edit {n}, undone: {done}");
        }
    }
}

/// An older state of the whole file is consistent with itself: it is found by whoever has a checkpoint from after it.
#[tokio::test]
async fn a_rollback_is_consistent_with_itself_and_is_found_by_what_was_seen_before() {
    let mut ledger = Ledger::new().await;
    let before = ledger.exported().await;
    let again = ledger.audited(&before).await;
    assert_eq!((again.faults, again.seen), (Vec::new(), 12), "it begins with itself");
    for back in 0..ledger.sizes.len() - 1 {
        // The leaf of the checkpoint is of its commit.
        let size = ledger.sizes[back];
        ledger.run(format!("DELETE FROM audit_leaf WHERE place > {size}")).await;
        ledger.run(format!("DELETE FROM audit_checkpoint WHERE size > {size}")).await;
        ledger.make_it_fit().await;
        assert!(ledger.whole().await);
        let alone = ledger.audited(&[]).await;
        assert_eq!((alone.faults, alone.covered, alone.seen), (Vec::new(), size, 0));
        let next = Fault::RolledBack(ledger.sizes[back + 1]);
        assert_eq!(ledger.audited(&before).await.faults, [next]);
        ledger.undo().await;
    }
}

/// What is proved of one leaf, and of growth, holds for every one of them, and for no other.
#[tokio::test]
async fn proofs_of_leaves_and_of_growth_hold_outside() {
    let ledger = Ledger::new().await;
    let upkeep = &ledger.world.exchange(STRASBOURG).upkeep;
    let base64 = |bytes: &Bytes| Base64(bytes.to_vec());
    let covered = *ledger.sizes.last().unwrap();
    for index in 0..covered {
        let made = upkeep.prove(ToProve::Leaf(index)).await.unwrap();
        let path: Vec<Hex> = made.path.iter().map(|hash| Hex(hash.0)).collect();
        let (leaf, checkpoint) = (base64(&made.about), base64(&made.checkpoint));
        assert_eq!(leaf.0, ledger.leaves[index as usize]);
        let line = Line::Inclusion { index, leaf, checkpoint, path };
        proof::verify(&line, &ledger.keys).unwrap();
        let Line::Inclusion { leaf, checkpoint, path, .. } = line else { unreachable!() };
        let elsewhere = Line::Inclusion { index: (index + 1) % covered, leaf, checkpoint, path };
        assert!(proof::verify(&elsewhere, &ledger.keys).is_err());
    }
    for size in &ledger.sizes {
        let made = upkeep.prove(ToProve::Growth(*size)).await.unwrap();
        let path: Vec<Hex> = made.path.iter().map(|hash| Hex(hash.0)).collect();
        let (older, checkpoint) = (base64(&made.about), base64(&made.checkpoint));
        proof::verify(
            &Line::Consistency { older: older.clone(), checkpoint: checkpoint.clone(), path: path.clone() },
            &ledger.keys,
        )
        .unwrap();
        let backwards = Line::Consistency { older: checkpoint, checkpoint: older, path };
        assert_eq!(proof::verify(&backwards, &ledger.keys).is_ok(), *size == covered);
    }
    for beyond in [ToProve::Leaf(covered), ToProve::Growth(0), ToProve::Growth(covered - 1)] {
        assert_eq!(upkeep.prove(beyond).await.unwrap_err().reason(), Reason::FieldInvalid, "{beyond:?}");
    }
}
