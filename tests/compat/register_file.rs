//! The rows of the register's own file, `directory.redb`: genesis, changes, a snapshot, the overlay, how far Raft has applied.
//! They are written into a new file, and the register that it held is there.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use havenlink::clock::SystemClock;
use havenlink::directory::{Directory, Opening};
use havenlink::domain::ids::{AuthorityId, Digest};
use havenlink_proto::directory::v1 as directory;
use havenlink_proto::raft::v1 as raft;
use havenlink_proto::store::v1 as store;
use prost::Message;
use redb::{Database, TableDefinition};

use crate::golden;
use crate::register::{genesis, replayed, steps};
use crate::samples::*;

const FILE: &str = "directory.redb";
const CHANGES: TableDefinition<u64, &[u8]> = TableDefinition::new("changes");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const SNAPSHOTS: TableDefinition<u64, &[u8]> = TableDefinition::new("snapshots");
const OVERLAY: TableDefinition<&[u8], &[u8]> = TableDefinition::new("overlay");
/// Of the register while following: its header, and one piece of items.
const MIRROR: u64 = 1 << 32;

fn position() -> Bytes {
    let at = || Some(raft::LogId { term: 5, index: 40 });
    let configs = vec![raft::MembershipConfig { voters: vec![1] }];
    let membership = raft::Membership { configs, nodes: [(1, STRASBOURG.to_owned())].into() };
    let membership = raft::StoredMembership { log_id: at(), membership: Some(membership) };
    let meta = Some(raft::SnapshotMeta { last_log_id: at(), last_membership: Some(membership) });
    let (state, _) = replayed();
    let head = Bytes::copy_from_slice(&state.head().0);
    store::StoredPosition { meta, number: state.number(), head }.encode_to_vec().into()
}

fn snapshot() -> Bytes {
    let header = directory::SnapshotHeader::decode(golden::made("snapshot-header")).unwrap();
    let meta = raft::SnapshotMeta { last_log_id: Some(raft::LogId { term: 5, index: 40 }), last_membership: None };
    store::StoredSnapshot { header: Some(header), meta: Some(meta) }.encode_to_vec().into()
}

fn overlay() -> (Bytes, Bytes) {
    let signed = golden::made("statement-suspend-emergency");
    let payload = havenlink_proto::record::v1::Signed::decode(signed.clone()).unwrap().payload;
    let id = Bytes::copy_from_slice(&Digest::of(&payload).0);
    let row = store::StoredOverlay {
        id: id.clone(),
        subject: GENT.into(),
        stewards: vec![KEHL.into()],
        time_ms: NOW,
        first_seen_ms: NOW + 1_000,
        signed,
    };
    (id, row.encode_to_vec().into())
}

fn change(number: u64, at: i64, signed: Bytes, outcome: i32, head: &Digest) -> Bytes {
    let change = directory::Change { number, entry_time_ms: at, signed, outcome };
    store::StoredChange { change: Some(change), head: Bytes::copy_from_slice(&head.0) }.encode_to_vec().into()
}

/// Each message of `store/v1` that the file holds, as it stands in a row.
pub fn messages() -> Vec<(&'static str, Bytes)> {
    let mut rows = vec![
        ("StoredPosition", golden::bytes("stored/StoredPosition-applied", position)),
        ("StoredSnapshot", golden::bytes("stored/StoredSnapshot-mirror", snapshot)),
        ("StoredOverlay", golden::bytes("stored/StoredOverlay-suspended", || overlay().1)),
    ];
    rows.extend(changes().into_iter().map(|(_, row)| ("StoredChange", row)));
    rows
}

fn changes() -> Vec<(u64, Bytes)> {
    let rows = steps().into_iter().map(|(number, at, signed, outcome, head)| {
        let row = || change(number, at, signed, outcome, &head);
        // One of each would do; all of them make the chain.
        (number, if number == 1 { golden::bytes("stored/StoredChange-first", row) } else { row() })
    });
    rows.collect()
}

/// What a row begins with, since 0.1.0: eight bytes of its own digest.
fn sealed(row: &[u8]) -> Vec<u8> {
    [&Digest::of(row).0[..8], row].concat()
}

fn write(dir: &Path, with: &[&str]) {
    let db = Database::create(dir.join(FILE)).unwrap();
    let tx = db.begin_write().unwrap();
    tx.open_table(META).unwrap().insert("genesis", sealed(&genesis()).as_slice()).unwrap();
    let rows: std::collections::HashMap<_, _> = messages().into_iter().collect();
    if with.contains(&"changes") {
        let mut table = tx.open_table(CHANGES).unwrap();
        for (number, row) in changes() {
            table.insert(number, sealed(&row).as_slice()).unwrap();
        }
        tx.open_table(META).unwrap().insert("applied", sealed(&rows["StoredPosition"]).as_slice()).unwrap();
    }
    if with.contains(&"suspended") {
        let emergency = golden::made("statement-suspend-emergency");
        let last = steps().into_iter().find(|(_, _, signed, ..)| *signed == emergency).unwrap().0;
        let mut table = tx.open_table(CHANGES).unwrap();
        for (number, row) in changes().into_iter().filter(|(number, _)| *number <= last) {
            table.insert(number, sealed(&row).as_slice()).unwrap();
        }
    }
    if with.contains(&"snapshot") {
        let mut table = tx.open_table(SNAPSHOTS).unwrap();
        table.insert(MIRROR, sealed(&rows["StoredSnapshot"]).as_slice()).unwrap();
        table.insert(MIRROR + 1, sealed(&golden::made("snapshot-items")).as_slice()).unwrap();
    }
    let (id, row) = (overlay().0, &rows["StoredOverlay"]);
    tx.open_table(OVERLAY).unwrap().insert(&id[..], sealed(row).as_slice()).unwrap();
    tx.commit().unwrap();
}

#[tokio::test]
async fn the_registers_file_gives_the_register_that_it_held() {
    let (state, _) = replayed();
    for with in [&["suspended"][..], &["changes"], &["snapshot"], &["changes", "snapshot"]] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), with);
        let opening = Opening {
            data_dir: dir.path().to_owned(),
            authority: AuthorityId::parse(STRASBOURG).unwrap(),
            key: Arc::new(key(1)),
            clock: SystemClock::shared(),
            genesis: None,
        };
        let view = Directory::open(opening).unwrap().view();
        if with == ["suspended"] {
            assert!(0 < view.number && view.number < state.number());
            assert_eq!(view.overlay.len(), 1, "who was suspended in an emergency still is");
            continue;
        }
        assert_eq!((view.number, view.head), (state.number(), state.head()), "{with:?}");
        assert_eq!(view.federation, state.federation());
        assert!(view.member(&AuthorityId::parse(KEHL).unwrap()).is_some());
        assert!(view.overlay.is_empty(), "the register has lifted it since");
    }
}
