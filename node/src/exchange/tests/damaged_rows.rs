//! A damaged row in every table of the store, column by column: it is named, and everything else works.
//!
//! Tables and columns are asked of the schema. A new one fails here until it is known what its damage shows: that the row is
//! named, that the node does not start, or that the column has no form that could be lost.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

use super::furnished::{self, Seen};
use super::world::*;
use crate::clock::Clock;
use crate::exchange::{DeliveryState, Table};
use crate::storage::keys::KEYS_FILE;
use crate::storage::sqlite::{Options, STORE_FILE, SqliteStore};

/// Without counters, ledger, version or incarnation a node must not write: it says so, and does not start.
const STOPS: &[(&str, &[&str])] = &[
    ("data_version", &["id", "version"]),
    ("head", &["id", "publication", "delivery", "position", "slot", "audit_size", "audit_root", "audit_frontier"]),
    ("meta", &["value"]),
];

/// Columns without a form of their own, and those whose damage cannot be told from another value.
const FREE: &[(&str, &[&str])] = &[
    // A flag; the other three are not read any more.
    ("agreement", &["complete", "end_by", "end_at", "end_reason", "unconfirmed"]),
    ("agreement_end", &["arrival", "at", "notice"]),
    // Of another case it is not asked for; past its time it goes.
    ("agreement_to_share", &["arrival", "case_index", "keep_until", "unconfirmed"]),
    // Dates, and a flag.
    ("asked_hold", &["asked", "extended", "keep_until"]),
    // An agreement can be absent.
    ("delivery", &["agreement", "skip", "as_of", "traceparent", "queued", "expires", "waiting_since", "given"]),
    ("delivery", &["reason", "finished", "grant_number", "created"]),
    // Dates; one whose state is lost is looked for in no state.
    ("disclosure", &["shared_at", "erase_by", "state", "noticed_at", "due_by", "answered_at", "receipt"]),
    ("head", &["audit_time"]),
    // Read when it is shown, and named then.
    ("hidden_inbox", &["arrival", "recipient", "origin", "record_id", "kind", "digest", "received", "expires"]),
    ("hidden_inbox", &["keep_until", "traceparent", "envelope", "usage"]),
    ("in_stream", &["receipt"]),
    ("inbox", &["digest", "received", "expires", "keep_until", "traceparent"]),
    // What somebody asks by: nobody asks for this row any more.
    ("invitation_request", &["request", "expires"]),
    ("meta", &["name"]),
    ("partner_incarnation", &["ours", "theirs", "hello"]),
    ("reader", &["consumer"]),
    ("request", &["scope", "request_id", "expires"]),
    ("salt", &["record_id", "erased"]),
    ("taken", &["origin", "record_id", "position", "forget_at"]),
    // What somebody asks by; dates.
    ("withdrawal", &["origin", "record_id", "received", "due_by", "done_at", "notice"]),
    // Of another pair nothing is open; a date, and a flag.
    ("withdrawals_answered", &["contact", "unknown"]),
    ("out_stream", &["id", "held", "reason", "next_attempt"]),
    ("outbox", &["expires"]),
    ("owed", &["since", "due", "reason"]),
    ("own_offer", &["unconfirmed"]),
    ("partner_offer", &["age_at_sending", "received", "keep_until"]),
    ("publication", &["target_record", "created", "expires"]),
    // Kept for whoever asks for them, and not read by a node.
    ("receipt", &["id", "stream", "first", "items", "at", "signed"]),
];

/// What may look otherwise when a row of the table is damaged, by the first word of its line.
fn touches(table: &str) -> &'static [&'static str] {
    match table {
        "agreement" | "agreement_end" => &["agreement"],
        "agreement_to_share" => &["sharing"],
        "audit_checkpoint" | "audit_leaf" | "head" => &["ledger"],
        "asked_hold" => &["asked"],
        "offer_slots" => &["given"],
        "disclosure" => &["erasure"],
        "withdrawal" => &["withdrawn"],
        "withdrawals_answered" => &["answered"],
        "delivery" | "outbox" | "out_stream" => &["delivery", "record", "queue"],
        "in_stream" | "meta" => &["in"],
        "inbox" | "taken" => &["record", "get", "found", "position"],
        "invitation" | "invitation_request" => &["invitation"],
        "owed" => &["owed", "count"],
        "own_offer" => &["own"],
        "partner_incarnation" => &["incarnation", "in"],
        "partner_offer" => &["partner"],
        "publication" | "undispatched" => &["record", "get", "found", "pending"],
        "reader" => &["cursor"],
        "request" => &["repeated"],
        _ => &[],
    }
}

fn listed(list: &[(&str, &[&str])], column: &Column) -> bool {
    list.iter().any(|(table, names)| *table == column.table && names.contains(&column.name.as_str()))
}

/// A column of the schema.
struct Column {
    table: String,
    name: String,
    sort: String,
    key: bool,
}

async fn connect(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).foreign_keys(false).connect().await.unwrap()
}

async fn columns(conn: &mut SqliteConnection) -> Vec<Column> {
    let query = "SELECT m.name, c.name, c.type, c.pk FROM sqlite_schema m JOIN pragma_table_info(m.name) c \
                 WHERE m.type = 'table' AND m.name NOT LIKE '%sqlx%' ORDER BY m.name, c.cid";
    let rows = sqlx::query(query).fetch_all(conn).await.unwrap();
    let column = |row: &sqlx::sqlite::SqliteRow| Column {
        table: row.get(0),
        name: row.get(1),
        sort: row.get(2),
        key: row.get::<i64, _>(3) > 0,
    };
    rows.iter().map(column).collect()
}

/// Which row of a table is damaged.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hit {
    First,
    Last,
}

/// Damages one column of one row; of an agreement, of the one that has ended: the other one covers all that goes on.
async fn damage(file: &Path, columns: &[Column], hit: &Column, which: Hit) {
    let keys: Vec<&str> = columns.iter().filter(|c| c.table == hit.table && c.key).map(|c| c.name.as_str()).collect();
    let value = match hit.sort.as_str() {
        "BLOB" => "x'ffff'",
        "TEXT" => "'No form of ours'",
        _ => "-7",
    };
    let (table, name, keys) = (&hit.table, &hit.name, keys.join(", "));
    let order = if which == Hit::First { keys.clone() } else { keys.replace(',', " DESC,") + " DESC" };
    let row = match table.as_str() {
        "agreement" => "id IN (SELECT agreement FROM agreement_end)".to_owned(),
        // Of the inbox an alert, and an answer; control is listed to nobody.
        "inbox" if which == Hit::First => "position = (SELECT min(position) FROM inbox WHERE kind = 1)".to_owned(),
        "inbox" => "position = (SELECT min(position) FROM inbox WHERE target_origin <> '')".to_owned(),
        // Of the record that a new partner gets.
        "salt" if name == "slot" => "slot > 0".to_owned(),
        _ => format!("({keys}) = (SELECT {keys} FROM {table} ORDER BY {order} LIMIT 1)"),
    };
    let mut conn = connect(file).await;
    sqlx::query("PRAGMA ignore_check_constraints = ON").execute(&mut conn).await.unwrap();
    let text = format!("UPDATE {table} SET {name} = {value} WHERE {row}");
    let changed = sqlx::query(AssertSqlSafe(text)).execute(&mut conn).await.unwrap().rows_affected();
    assert!(changed > 0, "{table} has rows");
    conn.close().await.unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if entry.is_dir() { copy(&entry, &to.join(name)) } else { _ = std::fs::copy(entry, to.join(name)).unwrap() }
    }
}

/// What became of three cities, one of which has a damaged row.
struct Outcome {
    seen: Seen,
    named: Vec<String>,
    /// Deliveries that did not arrive.
    open: usize,
}

/// Starts all three on their folders, looks, and, if asked to, goes on. An error: the first does not start.
async fn outcome(dir: &Path, goes_on: bool) -> Result<Outcome, String> {
    let mut world = furnished::world(furnished::LATER);
    let clock = world.clock.clone();
    let options = Options { ballast_bytes: 0, ..Options::new(std::sync::Arc::new(move || clock.now())) };
    if let Err(error) = SqliteStore::open(&dir.join(STRASBOURG), options).await {
        return Err(error.to_string());
    }
    furnished::start(&mut world, dir).await;
    world.line.down.lock().unwrap().insert(id(KEHL));
    let seen = furnished::look(&world).await;
    let states = if goes_on { furnished::go_on(&world).await } else { Vec::new() };
    let named = world.exchange(STRASBOURG).unreadable_rows();
    furnished::close(&world).await;
    let open = states.iter().filter(|(_, state)| *state != DeliveryState::Delivered).count();
    Ok(Outcome { seen, named: named.iter().map(|row| row.table.name().to_owned()).collect(), open })
}

/// Lines that differ.
fn differing(before: &Seen, after: &Seen) -> Vec<String> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    differs.map(|key| format!("{key}: {:?} -> {:?}", before.get(key), after.get(key))).collect()
}

/// Three whole cities on disk, and what the first one shows.
async fn whole() -> (tempfile::TempDir, PathBuf, Seen) {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let whole = dir.path().join("whole");
    let mut world = furnished::world(furnished::MADE_AT);
    furnished::start(&mut world, &whole).await;
    furnished::furnish(&world).await;
    furnished::close(&world).await;
    let again = dir.path().join("again");
    copy(&whole, &again);
    let outcome = outcome(&again, true).await.unwrap();
    assert_eq!((outcome.named, outcome.open), (vec![], 0), "undamaged, all is well");
    (dir, whole, outcome.seen)
}

/// What is wrong with how damage shows; `None`: nothing.
fn fault(hit: &Column, before: &Seen, outcome: &Result<Outcome, String>, named: &mut bool) -> Option<String> {
    let outcome = match outcome {
        Err(error) if listed(STOPS, hit) && error.contains("damaged") => {
            *named = true;
            return None;
        }
        Err(error) => return Some(format!("does not start: {error}")),
        Ok(outcome) => outcome,
    };
    *named |= !outcome.named.is_empty();
    let differing = differing(before, &outcome.seen);
    let touched = |line: &String| touches(&hit.table).iter().any(|word| line.split([' ', ':']).next() == Some(*word));
    let wrong: Vec<&String> = differing.iter().filter(|line| !touched(line)).collect();
    // A name in `meta`: without its incarnation a store begins a new one.
    let of_stream = ["out_stream", "partner_incarnation", "meta"].contains(&hit.table.as_str());
    let many = differing.len() > 6 && !of_stream;
    // Of a stream whose name is lost the partner's own count cannot be told from a lie: what waits for it waits on.
    let allowed = if of_stream { 4 } else { 3 * usize::from(["delivery", "outbox"].contains(&hit.table.as_str())) };
    let open = outcome.open > allowed;
    (many || open || !wrong.is_empty()).then(|| format!("{} open, {differing:#?}", outcome.open))
}

#[tokio::test]
async fn a_damaged_row_in_each_table_is_named_and_everything_else_works() {
    let (dir, whole, before) = whole().await;
    let mut conn = connect(&whole.join(STRASBOURG).join(STORE_FILE)).await;
    let columns = columns(&mut conn).await;
    conn.close().await.unwrap();
    let known: BTreeSet<&str> = Table::ALL.iter().map(|table| table.name()).collect();
    let mut faults = Vec::new();
    for hit in &columns {
        let single = ["head", "data_version"].contains(&hit.table.as_str());
        if !single && !known.contains(hit.table.as_str()) {
            faults.push(format!("{} is no `Table`", hit.table));
        }
        let mut named = false;
        for which in [Hit::First, Hit::Last] {
            let place = dir.path().join("damaged");
            copy(&whole, &place);
            damage(&place.join(STRASBOURG).join(STORE_FILE), &columns, hit, which).await;
            let found = match std::panic::AssertUnwindSafe(outcome(&place, which == Hit::Last)).catch_unwind().await {
                Ok(outcome) => fault(hit, &before, &outcome, &mut named),
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().cloned();
                    Some(text.or(panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
                }
            };
            faults.extend(found.map(|fault| format!("{}.{} {which:?}: {fault}", hit.table, hit.name)));
            std::fs::remove_dir_all(&place).unwrap();
        }
        if named == listed(FREE, hit) {
            let how = if named { "is named, and listed as free" } else { "is not named" };
            faults.push(format!("{}.{} {how}", hit.table, hit.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn a_damaged_salt_is_named_and_what_is_said_of_its_record_goes_on() {
    let (dir, whole, before) = whole().await;
    let place = dir.path().join("damaged");
    copy(&whole, &place);
    let mut conn = connect(&place.join(STRASBOURG).join(KEYS_FILE)).await;
    sqlx::query("UPDATE salt SET sealed = x'ffff'").execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let outcome = outcome(&place, true).await.unwrap();
    assert_eq!(differing(&before, &outcome.seen), Vec::<String>::new());
    assert_eq!(outcome.open, 0);
    assert!(outcome.named.iter().any(|table| table == "keys.db salt"), "{:?}", outcome.named);
}
