use super::*;

const NOW: UnixMs = UnixMs(1_700_000_000_000);

async fn open(dir: &Path) -> Arc<KeyStore> {
    KeyStore::open(dir, 0, Arc::new(|why| panic!("{why}"))).await.unwrap()
}

fn case(text: &str) -> CaseReference {
    CaseReference::parse("case", text).unwrap()
}

fn partner(id: &str) -> AuthorityId {
    AuthorityId::parse(id).unwrap()
}

async fn subject(keys: &Arc<KeyStore>, reference: &str, scope: CaseScope, to: &str, now: UnixMs) -> SubjectRef {
    keys.subjects(case(reference), scope, vec![partner(to)], now).await.unwrap()[0]
}

/// Every file of the folder, whole.
fn files(dir: &Path) -> Vec<Vec<u8>> {
    std::fs::read_dir(dir).unwrap().map(|f| std::fs::read(f.unwrap().path()).unwrap_or_default()).collect()
}

fn holds(dir: &Path, needle: &[u8]) -> bool {
    files(dir).iter().any(|file| file.windows(needle.len()).any(|w| w == needle))
}

#[tokio::test]
async fn a_partner_knows_a_case_by_one_name_and_no_other_partner_does() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path()).await;
    let first = subject(&keys, "CASE-17", CaseScope::Support, "de-kehl", NOW).await;
    let all = [
        first,
        subject(&keys, "CASE-17", CaseScope::Support, "lu-esch", NOW).await,
        subject(&keys, "CASE-17", CaseScope::Liaison, "de-kehl", NOW).await,
        subject(&keys, "CASE-18", CaseScope::Support, "de-kehl", NOW).await,
    ];
    for (i, one) in all.iter().enumerate() {
        assert!(!all[..i].contains(one), "{i}");
    }
    keys.close().await;
    let keys = open(dir.path()).await;
    let day_364 = NOW + Millis::days(364);
    assert_eq!(subject(&keys, "CASE-17", CaseScope::Support, "de-kehl", day_364).await, first);
    let next_year = NOW + Millis::days(365);
    let second = subject(&keys, "CASE-17", CaseScope::Support, "de-kehl", next_year).await;
    assert_ne!(second, first);
    // The new epoch is as durable as the first, and is the one partner's alone.
    assert_eq!(subject(&keys, "CASE-17", CaseScope::Support, "de-kehl", next_year + Millis(1)).await, second);
    assert_eq!(subject(&keys, "CASE-17", CaseScope::Support, "lu-esch", day_364).await, all[1]);
}

#[tokio::test]
async fn many_at_once_get_one_key() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path()).await;
    let asked = (0..64).map(|_| subject(&keys, "CASE-17", CaseScope::Support, "de-kehl", NOW));
    let got = futures_util::future::join_all(asked).await;
    assert!(got.iter().all(|one| *one == got[0]));
}

#[tokio::test]
async fn whoever_has_the_file_reads_no_case_no_partner_and_no_pseudonym() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path()).await;
    let given = subject(&keys, "CASE-17", CaseScope::Support, "de-kehl", NOW).await;
    for needle in [b"CASE-17".as_slice(), b"de-kehl", given.as_bytes(), &NOW.0.to_be_bytes()] {
        assert!(!holds(dir.path(), needle));
    }
    // The same look finds what is there.
    let index = keys.case_index(case("CASE-17")).await.unwrap();
    assert!(holds(dir.path(), index.as_bytes()));
}

#[tokio::test]
async fn a_forgotten_case_is_in_no_file_and_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path()).await;
    let first = subject(&keys, "CASE-17", CaseScope::Support, "de-kehl", NOW).await;
    let other = subject(&keys, "CASE-18", CaseScope::Support, "de-kehl", NOW).await;
    let index = keys.case_index(case("CASE-17")).await.unwrap();
    let sealed: Vec<Vec<u8>> = {
        let mut conn = keys.conn.lock().await;
        let query = "SELECT sealed FROM case_key WHERE case_index = $1 UNION ALL SELECT sealed FROM case_epoch WHERE case_index = $1";
        sqlx::query_scalar(query).bind(index.as_bytes().as_slice()).fetch_all(conn.as_mut().unwrap()).await.unwrap()
    };
    assert_eq!(sealed.len(), 2);
    assert!(sealed.iter().all(|value| holds(dir.path(), value)), "the look would not find them");
    keys.forget_case(index).await.unwrap();
    assert!(!sealed.iter().any(|value| holds(dir.path(), value)) && !holds(dir.path(), index.as_bytes()));
    assert_ne!(subject(&keys, "CASE-17", CaseScope::Support, "de-kehl", NOW).await, first);
    assert_eq!(subject(&keys, "CASE-18", CaseScope::Support, "de-kehl", NOW).await, other);
}

#[tokio::test]
async fn a_row_that_was_moved_to_another_case_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path()).await;
    subject(&keys, "CASE-17", CaseScope::Support, "de-kehl", NOW).await;
    subject(&keys, "CASE-18", CaseScope::Support, "de-kehl", NOW).await;
    {
        let mut conn = keys.conn.lock().await;
        let index = keys.index_key(conn.as_mut().unwrap()).await.ok().unwrap();
        let (from, to) = (index.index(&case("CASE-17")), index.index(&case("CASE-18")));
        let moved =
            "UPDATE case_key SET sealed = (SELECT sealed FROM case_key WHERE case_index = $1) WHERE case_index = $2";
        let query = sqlx::query(moved).bind(from.as_bytes().as_slice()).bind(to.as_bytes().as_slice());
        assert_eq!(query.execute(conn.as_mut().unwrap()).await.unwrap().rows_affected(), 1);
    }
    let refused = keys.subjects(case("CASE-18"), CaseScope::Support, vec![partner("de-kehl")], NOW).await;
    assert!(matches!(refused, Err(Error::Damaged(_))));
    // Nothing is left open: the next one is answered.
    subject(&keys, "CASE-17", CaseScope::Support, "de-kehl", NOW).await;
}

#[tokio::test]
async fn whoever_stops_waiting_leaves_no_transaction_open() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path()).await;
    for _ in 0..20 {
        let mut asked = Box::pin(subject(&keys, "CASE-17", CaseScope::Support, "de-kehl", NOW));
        let polled = futures_util::poll!(asked.as_mut());
        assert!(polled.is_pending());
        drop(asked);
        tokio::task::yield_now().await;
    }
    subject(&keys, "CASE-18", CaseScope::Support, "de-kehl", NOW).await;
}
