//! A store that an older version wrote, with rows in it, opened by this one.

use std::path::Path;

use super::*;
use crate::Store;
use crate::contract::{NOW, authority, key, options, record};
use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, Digest, Incarnation, InvitationId, OfferId};
use crate::domain::policy::Reading;
use crate::domain::record::{RecordKind, StreamClass};
use crate::domain::records::Content;
use crate::domain::samples::{agreement_of, alert, envelope, esch, grant, kehl, strasbourg};
use crate::domain::time::UnixMs;
use crate::owed::{OwedKey, Subject, What};
use crate::rows::Question;
use crate::wire::agreed;
use crate::wire::keys::SigningKey;

/// Before named values had tables of their own.
const BEFORE: usize = 6;

fn signed() -> (AgreementId, bytes::Bytes) {
    let grants = vec![grant(strasbourg(), kehl()), grant(strasbourg(), esch()), grant(kehl(), strasbourg())];
    let agreement = agreement_of(&[strasbourg(), kehl(), esch()], grants);
    let bytes = agreed::sign(&agreement, &SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap());
    (agreed::own(&bytes).unwrap().0, bytes)
}

async fn named(conn: &mut SqliteConnection, name: &str, value: &[u8]) {
    let query = sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2)");
    query.bind(name).bind(value).execute(conn).await.unwrap();
}

/// An alert that waits to be sent, as it was stored when the envelope itself was asked about again; and one whose envelope
/// does not read. Gives what is to stand in the columns of the first.
async fn deliveries_of_before(conn: &mut SqliteConnection) -> Question {
    let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    let content: Content = alert().into();
    let envelope = envelope(RecordKind::Alert, crate::wire::records::encode(&content));
    let sealed = crate::wire::sealed::seal(&envelope, &key);
    let stream = "INSERT INTO out_stream VALUES (1, 'fr-strasbourg', 'de-kehl', 1, 5, 0, 1, 3, 0, 0, '', 0)";
    sqlx::query(stream).execute(&mut *conn).await.unwrap();
    for (number, bytes) in [(1, &sealed.bytes[..]), (2, b"\xff\xff")] {
        let delivery = "INSERT INTO delivery (sequence, stream, number, record_id, kind, digest, agreement, grant_number, \
                        as_of, traceparent, queued, expires) VALUES ($1, 1, $1, $2, 1, $3, $4, $5, 0, '', 1, $6)";
        let grant = envelope.grant.unwrap();
        let query = sqlx::query(delivery).bind(number).bind(record(9).0.as_slice()).bind(sealed.digest.0.as_slice());
        let query = query.bind(grant.agreement.0.as_slice()).bind(i64::from(grant.number)).bind(NOW.0);
        query.execute(&mut *conn).await.unwrap();
        let outbox = sqlx::query("INSERT INTO outbox VALUES ($1, $2, $3)").bind(number).bind(NOW.0).bind(bytes);
        outbox.execute(&mut *conn).await.unwrap();
    }
    Question::of(&envelope, Some(content.facet()), key.public().id())
}

/// An own alert for Kehl that no dispatcher has been through, as it was stored with a field for each kind.
async fn publication_of_before(conn: &mut SqliteConnection) {
    use havenlink_proto::store::v1 as proto;
    let sharing = proto::StoredSharing {
        named: vec!["de-kehl".into()],
        purpose: 1,
        lawful_basis: 1,
        special_basis: 1,
        handling: Some(havenlink_proto::record::v1::Handling { tlp: 2, pap: 2 }),
        status: 1,
        ..Default::default()
    };
    let content: Content = alert().into();
    let before = proto::PublicationBefore4 {
        authority: "fr-strasbourg".into(),
        sharing: Some(sharing),
        record: Some(proto::publication_before4::Record::Alert(crate::wire::records::encode(&content))),
        created_ms: 1,
        ..Default::default()
    };
    let insert = "INSERT INTO publication VALUES (1, 'fr-strasbourg', $1, 1, '', x'', 1, $2, $3)";
    let query = sqlx::query(insert).bind(record(3).0.as_slice()).bind(i64::MAX);
    query.bind(prost::Message::encode_to_vec(&before)).execute(&mut *conn).await.unwrap();
    sqlx::query("INSERT INTO undispatched VALUES (1)").execute(conn).await.unwrap();
}

/// Writes a store of data version 1: a bit of everything, and each of the nine prefixes. Gives the agreement's id, and
/// what is asked again about a delivery that waits.
pub(super) async fn a_store_of_before(dir: &Path) -> (AgreementId, Question) {
    let mut conn = schema::connect_writing(&dir.join(STORE_FILE), &[]).await.unwrap();
    schema::migrate(&mut conn, &schema::STORE[..BEFORE]).await.unwrap();
    let (id, agreement) = signed();
    let insert =
        "INSERT INTO agreement (id, signed, complete, end_by, end_at, end_reason) VALUES ($1, $2, 1, '', 0, 0)";
    sqlx::query(insert).bind(id.0.as_slice()).bind(&agreement[..]).execute(&mut conn).await.unwrap();
    for rows in [
        "INSERT INTO own_offer VALUES (x'01010101010101010101010101010101', x'aa', 1, 1), \
         (x'02020202020202020202020202020202', x'bb', 1, 1), (x'03030303030303030303030303030303', x'cc', 1, 0)",
        "INSERT INTO waiting (recipient, origin, record_id, kind, target_origin, target_record, digest, received, expires, \
         keep_until, traceparent, envelope) SELECT 'fr-strasbourg', 'de-kehl', x'00000000000000000000000000000007', 6, \
         'de-kehl', x'00000000000000000000000000000008', zeroblob(32), 1, 2, 3, '', x'dd'",
        "INSERT INTO taken VALUES ('de-kehl', x'00000000000000000000000000000007', 0, 9)",
    ] {
        sqlx::query(rows).execute(&mut conn).await.unwrap();
    }
    sqlx::query("UPDATE head SET audit_time = 77").execute(&mut conn).await.unwrap();
    publication_of_before(&mut conn).await;
    let question = deliveries_of_before(&mut conn).await;
    let hex = record(1);
    named(&mut conn, "incarnation", &5_u64.to_be_bytes()).await;
    named(&mut conn, "authority", b"fr-strasbourg").await;
    named(&mut conn, &format!("awaits/de-kehl/fr-strasbourg/{hex}"), &[1]).await;
    named(&mut conn, "awaits/no name of ours", &[1]).await;
    named(&mut conn, &format!("untold-end/{id}/fr-strasbourg/de-kehl"), &[1]).await;
    named(&mut conn, &format!("agreement-announced/{id}/de-kehl"), &[1]).await;
    named(&mut conn, &format!("caught-up/{id}/0"), &[1]).await;
    named(&mut conn, &format!("offer-paused/{}", OfferId([1; 16])), &5_u64.to_be_bytes()).await;
    named(&mut conn, &format!("offer-paused/{}", OfferId([2; 16])), &4_u64.to_be_bytes()).await;
    named(&mut conn, &format!("emergency/{}", Digest([6; 32])), b"1").await;
    named(&mut conn, &format!("invitation/{}", InvitationId([7; 32])), b"held").await;
    let request = [[8_u8; 32].as_slice(), &[7; 32], &NOW.0.to_be_bytes()].concat();
    named(&mut conn, &format!("invitation-request/{}", Digest([9; 32])), &request).await;
    named(&mut conn, "incarnation-of/fr-strasbourg/de-kehl", &77_u64.to_be_bytes()).await;
    sqlx::Connection::close(conn).await.unwrap();
    (id, question)
}

async fn owed(store: &SqliteStore, what: What) -> Vec<(OwedKey, UnixMs)> {
    let far = UnixMs(i64::MAX);
    let mut found = Vec::new();
    for recipient in store.owed_recipients(what, far).await.unwrap() {
        let rows = store.owed(what, recipient, far, 99).await.unwrap();
        assert!(rows.iter().all(|row| row.since == UnixMs(77)), "as old as the ledger's last line, not as 1970");
        found.extend(rows.into_iter().map(|row| (row.key, row.due)));
    }
    found
}

/// A row of made-up values in every table, as it stands at some step of the schema.
async fn fill(conn: &mut SqliteConnection) {
    sqlx::query("PRAGMA foreign_keys = OFF").execute(&mut *conn).await.unwrap();
    for table in tables(conn).await {
        let columns: Vec<(String, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(format!("SELECT name, type FROM pragma_table_info('{table}')")))
                .fetch_all(&mut *conn)
                .await
                .unwrap();
        let value = |(name, sort): &(String, String)| match (name.as_str(), sort.as_str()) {
            ("name", _) => "'authority'",
            (_, "TEXT") => "'fr-strasbourg'",
            (_, "BLOB") => "x'000102030405060708090a0b0c0d0e0f'",
            _ => "1",
        };
        let values: Vec<&str> = columns.iter().map(value).collect();
        let text = format!("INSERT OR IGNORE INTO {table} VALUES ({})", values.join(", "));
        sqlx::query(sqlx::AssertSqlSafe(text)).execute(&mut *conn).await.unwrap();
    }
}

async fn tables(conn: &mut SqliteConnection) -> Vec<String> {
    let query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '%sqlx%' ORDER BY name";
    sqlx::query_scalar(query).fetch_all(conn).await.unwrap()
}

async fn rows_in(conn: &mut SqliteConnection, table: &str) -> i64 {
    let text = format!("SELECT count(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(text)).fetch_one(conn).await.unwrap()
}

/// A table under the name that it has by now.
fn name_now<'a>(table: &'a str, now: &[String]) -> &'a str {
    if now.iter().any(|name| name == table) || table != "waiting" { table } else { "hidden_inbox" }
}

#[tokio::test]
async fn each_step_of_the_schema_keeps_the_rows_of_every_table() {
    for step in 1..schema::STORE.len() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = schema::connect_writing(&dir.path().join(STORE_FILE), &[]).await.unwrap();
        schema::migrate(&mut conn, &schema::STORE[..step]).await.unwrap();
        fill(&mut conn).await;
        let before = tables(&mut conn).await;
        schema::migrate(&mut conn, &schema::STORE[..=step]).await.unwrap();
        let there = tables(&mut conn).await;
        for table in &before {
            assert_eq!(rows_in(&mut conn, name_now(table, &there)).await, 1, "{table}, step {}", step + 1);
        }
        // And what a step writes, all later steps keep.
        let mut counts = Vec::new();
        for table in &there {
            counts.push(rows_in(&mut conn, table).await);
        }
        schema::migrate(&mut conn, schema::STORE).await.unwrap();
        let last = tables(&mut conn).await;
        for (table, count) in there.iter().zip(counts) {
            let now = rows_in(&mut conn, name_now(table, &last)).await;
            assert!(now == count || (table == "agreement_end" && now >= count), "{table}, from step {}", step + 1);
        }
    }
}

#[tokio::test]
async fn named_values_of_an_older_store_become_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (id, question) = a_store_of_before(dir.path()).await;
    let store = SqliteStore::open(dir.path(), options()).await.unwrap();
    assert_eq!(store.incarnation(), Incarnation(5));
    assert_eq!(store.meta(Named::Authority).await.unwrap(), Some("fr-strasbourg".into()));
    let items = store.out_batch(strasbourg(), kehl(), StreamClass::Content, 9, 1 << 20).await.unwrap();
    assert_eq!(items.iter().map(|item| item.question).collect::<Vec<_>>(), [Some(question), None]);
    let waiting = store.pending_publications(9).await.unwrap();
    let publication = crate::wire::stored::reload(Reading::unasked(&waiting[0].record)).unwrap();
    assert_eq!((waiting.len(), publication.content, publication.recipients), (1, alert().into(), vec![kehl()]));
    let now = UnixMs(0);
    let record = OwedKey::to(&kehl(), Subject::SuspendedRecord(key("fr-strasbourg", 1)));
    assert_eq!(owed(&store, What::SuspendedRecord).await, [(record, now)]);
    let notice = OwedKey::to(&kehl(), Subject::EndNotice(id, strasbourg()));
    assert_eq!(owed(&store, What::EndNotice).await, [(notice, now)]);
    // Kehl was told, Esch was not; the first grant was backfilled, the others were not.
    let told = OwedKey::to(&esch(), Subject::Announcement(id));
    assert_eq!(owed(&store, What::Announcement).await, [(told, now)]);
    let backfill = |to, number| OwedKey::to(&to, Subject::Backfill(GrantRef { agreement: id, number }));
    let due = grant(strasbourg(), esch()).valid_from;
    assert_eq!(owed(&store, What::Backfill).await, [(backfill(strasbourg(), 2), due), (backfill(esch(), 1), due)]);
    // Told in an incarnation of before: told again.
    let paused = OwedKey::of(Subject::PauseNotice(OfferId([2; 16])));
    assert_eq!(owed(&store, What::PauseNotice).await, [(paused, now)]);
    assert_eq!(owed(&store, What::EmergencyEntry).await, []);
    assert_eq!(store.invitations().await.unwrap(), [(InvitationId([7; 32]), "held".into())]);
    let request = store.invitation_request(Digest([9; 32])).await.unwrap().unwrap();
    let expected =
        crate::rows::InvitationRequestRow { body: Digest([8; 32]), invitation: InvitationId([7; 32]), expires: NOW };
    assert_eq!(request, expected);
    let told = store.partner_incarnation(strasbourg(), kehl()).await.unwrap();
    // Nobody signed for what a version before had noted: it binds nobody.
    let expected = crate::rows::PartnerIncarnation { incarnation: Incarnation(77), hello: bytes::Bytes::new() };
    assert_eq!((told, authority("de-kehl")), (Some(expected), kehl()));
    // What is hidden is still hidden, and its salt and key still count.
    assert_eq!(store.taken(vec![key("de-kehl", 7)]).await.unwrap(), [true]);
    assert_eq!(store.sweep(UnixMs(3)).await.unwrap(), 1, "past its retention");
    store.close().await;
    drop(store);
    // Brought forward once: what was settled since does not come back.
    let store = SqliteStore::open(dir.path(), options()).await.unwrap();
    assert_eq!(owed(&store, What::Backfill).await.len(), 2);
    let names: Vec<String> = {
        let mut conn = schema::connect_writing(&dir.path().join(STORE_FILE), &[]).await.unwrap();
        sqlx::query_scalar("SELECT name FROM meta ORDER BY name").fetch_all(&mut conn).await.unwrap()
    };
    assert_eq!(names, ["authority", "incarnation"], "named values are single values, and no more than those");
    assert!(names.iter().all(|name| Named::ALL.iter().any(|named| named.name() == name)));
}

#[tokio::test]
async fn data_of_a_newer_version_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    SqliteStore::open(dir.path(), options()).await.unwrap().close().await;
    let file = dir.path().join(STORE_FILE);
    let mut conn = schema::connect_writing(&file, &[]).await.unwrap();
    let newer = i64::try_from(DATA_VERSION).unwrap() + 1;
    sqlx::query("UPDATE data_version SET version = $1").bind(newer).execute(&mut conn).await.unwrap();
    let dump = "SELECT group_concat(type || name || coalesce(sql, '')) FROM sqlite_schema";
    let before: String = sqlx::query_scalar(dump).fetch_one(&mut conn).await.unwrap();
    let refused = SqliteStore::open(dir.path(), options()).await.err().unwrap();
    assert!(matches!(refused, Error::Refused(Reason::DataNewer)), "{refused:?}");
    assert_ne!(Reason::DataNewer.row().status.exit_code(), 0);
    let after: String = sqlx::query_scalar(dump).fetch_one(&mut conn).await.unwrap();
    let version: i64 = sqlx::query_scalar("SELECT version FROM data_version").fetch_one(&mut conn).await.unwrap();
    assert_eq!((after, version), (before, newer));
    // So is a file whose tables a newer version has changed.
    sqlx::query("UPDATE data_version SET version = 1").execute(&mut conn).await.unwrap();
    let applied = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                   VALUES (999, 'of a later version', 1, x'00', 0)";
    sqlx::query(applied).execute(&mut conn).await.unwrap();
    let refused = SqliteStore::open(dir.path(), options()).await.err().unwrap();
    assert!(matches!(refused, Error::Refused(Reason::DataNewer)), "{refused:?}");
}

#[tokio::test]
async fn a_step_that_fails_leaves_the_data_at_the_version_before_it() {
    let dir = tempfile::tempdir().unwrap();
    a_store_of_before(dir.path()).await;
    let file = dir.path().join(STORE_FILE);
    let mut conn = schema::connect_writing(&file, &[]).await.unwrap();
    schema::migrate(&mut conn, schema::STORE).await.unwrap();
    sqlx::query("DROP TABLE partner_incarnation").execute(&mut conn).await.unwrap();
    assert!(data_version::bring_forward(&mut conn).await.is_err());
    let count = "SELECT count(*) FROM meta WHERE name LIKE 'awaits/%' UNION ALL SELECT count(*) FROM owed";
    let counts: Vec<i64> = sqlx::query_scalar(count).fetch_all(&mut conn).await.unwrap();
    assert_eq!(counts, [2, 0]);
    let table = "CREATE TABLE partner_incarnation (ours TEXT NOT NULL, theirs TEXT NOT NULL, \
                 incarnation INTEGER NOT NULL, hello BLOB NOT NULL, PRIMARY KEY (ours, theirs)) STRICT, WITHOUT ROWID";
    sqlx::query(table).execute(&mut conn).await.unwrap();
    data_version::bring_forward(&mut conn).await.unwrap();
    let counts: Vec<i64> = sqlx::query_scalar(count).fetch_all(&mut conn).await.unwrap();
    assert_eq!(counts, [0, 6]);
}
