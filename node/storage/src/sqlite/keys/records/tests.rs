use super::*;
use crate::domain::ids::{AuthorityId, RecordId};

const NOW: UnixMs = UnixMs(1_700_000_000_000);
const TEXT: &[u8] = b"shelter for two, step-free, tonight";

async fn open(dir: &Path) -> Arc<KeyStore> {
    KeyStore::open(dir, 0, Arc::new(|why| panic!("{why}"))).await.unwrap()
}

fn record(n: u8) -> RecordKey {
    RecordKey { origin: AuthorityId::parse("fr-strasbourg").unwrap(), record_id: RecordId([n; 16]) }
}

async fn sealed_text(keys: &Arc<KeyStore>, n: u8) -> Vec<u8> {
    keys.seal_record(record(n), Zeroizing::new(TEXT.to_vec())).await.unwrap().unwrap()
}

async fn opens(keys: &Arc<KeyStore>, n: u8, sealed: &[u8]) -> bool {
    let plain = keys.open_record(&record(n), sealed.to_vec()).await.unwrap();
    plain.is_some_and(|plain| plain.as_slice() == TEXT)
}

/// Whether any file below the folder holds the bytes.
fn holds(dir: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return holds(&path, needle);
        }
        std::fs::read(path).unwrap().windows(needle.len()).any(|w| w == needle)
    })
}

async fn key_row(keys: &Arc<KeyStore>, n: u8) -> Vec<u8> {
    let mut conn = keys.conn.lock().await;
    let query = sqlx::query_scalar("SELECT sealed FROM record_key WHERE record_id = $1").bind([n; 16].to_vec());
    query.fetch_one(conn.as_mut().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_record_opens_under_its_own_key_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path()).await;
    let (first, second) = (sealed_text(&keys, 1).await, sealed_text(&keys, 2).await);
    assert!(!first.windows(8).any(|w| w == &TEXT[..8]));
    // The same text is sealed differently each time, under one key of the record.
    assert_ne!(sealed_text(&keys, 1).await, first);
    keys.close().await;
    let keys = open(dir.path()).await;
    assert!(opens(&keys, 1, &first).await && opens(&keys, 2, &second).await);
    assert!(matches!(keys.open_record(&record(2), first.clone()).await, Err(Error::Damaged(_))));
    let mut changed = second.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(matches!(keys.open_record(&record(2), changed).await, Err(Error::Damaged(_))));
    assert!(keys.open_record(&record(3), first).await.unwrap().is_none());
}

#[tokio::test]
async fn an_erased_record_opens_nowhere_and_comes_back_by_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path()).await;
    let (erased, kept) = (sealed_text(&keys, 1).await, sealed_text(&keys, 2).await);
    let row = key_row(&keys, 1).await;
    // The looks that find nothing afterwards find it now.
    assert!(opens(&keys, 1, &erased).await && holds(dir.path(), &row));
    keys.erase_records(vec![record(1), record(9)], NOW).await.unwrap();
    assert!(!holds(dir.path(), &row), "the key is in a file");
    assert!(!opens(&keys, 1, &erased).await && opens(&keys, 2, &kept).await);
    keys.close().await;
    let keys = open(dir.path()).await;
    // A replay, a backup's row, a record that had not come yet: none is sealed again.
    for n in [1, 9] {
        assert!(keys.seal_record(record(n), Zeroizing::new(TEXT.to_vec())).await.unwrap().is_none());
    }
    // Again, it is as it was.
    keys.erase_records(vec![record(1)], NOW + Millis(1)).await.unwrap();
    assert!(!opens(&keys, 1, &erased).await && opens(&keys, 2, &kept).await);
}

#[tokio::test]
async fn a_reader_of_the_file_keeps_erasing_from_being_done() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path()).await;
    let sealed = sealed_text(&keys, 1).await;
    let row = key_row(&keys, 1).await;
    let mut reader = schema::connect_writing(&dir.path().join(KEYS_FILE), &[]).await.unwrap();
    sqlx::query("BEGIN").execute(&mut reader).await.unwrap();
    sqlx::query("SELECT count(*) FROM record_key").fetch_one(&mut reader).await.unwrap();
    assert!(keys.erase_records(vec![record(1)], NOW).await.is_err(), "the log still holds the key");
    assert!(holds(dir.path(), &row) && !opens(&keys, 1, &sealed).await);
    sqlx::query("COMMIT").execute(&mut reader).await.unwrap();
    sqlx::Connection::close(reader).await.unwrap();
    // Asked again, it is done.
    keys.erase_records(vec![record(1)], NOW).await.unwrap();
    assert!(!holds(dir.path(), &row));
}
