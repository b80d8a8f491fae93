//! Own records and requests.

use super::*;
use crate::Error;
use crate::domain::audit::AuditAct;
use crate::domain::policy::KeptRecord;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKind;
use crate::ops::*;

pub(super) async fn a_publication_is_pending_until_it_is_dispatched(store: &dyn Store) {
    for n in 1..=3 {
        assert_eq!(store.write(publish(n)).await.unwrap(), Written::Done);
    }
    let pending = store.pending_publications(2).await.unwrap();
    assert_eq!(pending.iter().map(|p| p.record_id).collect::<Vec<_>>(), [record(1), record(2)]);
    assert!(!pending[0].dispatched);

    let queue = || {
        WriteOp::Queue(Queue {
            publication: Some(key(HERE, 1)),
            items: vec![delivery(1), delivery_to(ELSEWHERE, RecordKind::Alert, 1)],
            ..Queue::default()
        })
    };
    assert_eq!(store.write(queue()).await.unwrap(), Written::Done);
    assert_eq!(store.write(queue()).await.unwrap(), Written::Taken, "dispatched once");
    assert_eq!(store.pending_publications(9).await.unwrap().len(), 2);
    assert_eq!(batch(store).await.len(), 1);
    let row = store.publication(key(HERE, 1)).await.unwrap().unwrap();
    assert!(row.dispatched);
    let kept = KeptRecord::own(RecordKind::Alert, NOW + HOUR, publication(1).body);
    assert_eq!((row.record, row.sequence), (kept, 1));
    assert_eq!(store.publication(key(THERE, 1)).await.unwrap(), None);

    let unknown = Queue { publication: Some(key(HERE, 77)), items: vec![delivery(77)], ..Queue::default() };
    let refused = store.write(WriteOp::Queue(unknown)).await;
    assert!(matches!(refused, Err(Error::Refused(Reason::NotFound))), "{refused:?}");
    assert_eq!(batch(store).await.len(), 1);
}

pub(super) async fn deliveries_made_with_a_publication_are_queued_with_it(store: &dyn Store) {
    let with = |n, made| Publish {
        request: Some(mark(&format!("request-{n}"), b"x", "first")),
        publication: publication(n),
        made: Some(made),
        audit: vec![act(AuditAct::Published, n), act(AuditAct::Disclosed, n)],
    };
    let both = || vec![delivery(1), delivery_to(ELSEWHERE, RecordKind::Alert, 1)];
    let writes = [with(1, both()), with(2, Vec::new()), with(1, both())].map(|op| store.write(WriteOp::Publish(op)));
    let answers: Vec<Written> = futures_util::future::join_all(writes).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [Written::Done, Written::Done, Written::Again("first".into())]);
    assert!(store.pending_publications(9).await.unwrap().is_empty(), "nothing waits for the dispatcher");
    assert_eq!(batch(store).await.len(), 1, "once at each recipient, whoever asked twice");
    assert_eq!(store.audit_head().await.unwrap().size, 4);
    let late = Queue { publication: Some(key(HERE, 1)), items: vec![delivery(1)], ..Queue::default() };
    assert_eq!(store.write(WriteOp::Queue(late)).await.unwrap(), Written::Taken);
    assert!(store.publication(key(HERE, 2)).await.unwrap().unwrap().dispatched);
}

pub(super) async fn a_repeated_request_gets_the_first_answer(store: &dyn Store) {
    let with = |n, mark| {
        WriteOp::Publish(Publish { request: Some(mark), publication: publication(n), made: None, audit: Vec::new() })
    };
    assert_eq!(store.write(with(1, mark("a", b"x", "first"))).await.unwrap(), Written::Done);
    let again = store.write(with(2, mark("a", b"x", "second"))).await.unwrap();
    assert_eq!(again, Written::Again("first".into()));
    let other = store.write(with(3, mark("a", b"y", "third"))).await;
    assert!(matches!(other, Err(Error::Refused(Reason::RequestIdReused))), "{other:?}");
    // The same id in another scope is another request.
    let scoped = RequestMark { scope: "coordinator/PublishRecord".to_owned(), ..mark("a", b"y", "fourth") };
    assert_eq!(store.write(with(4, scoped)).await.unwrap(), Written::Done);
    assert_eq!(store.pending_publications(9).await.unwrap().len(), 2);
    let seen = async |scope: &str, id: &str| store.request(scope.to_owned(), id.to_owned()).await.unwrap();
    let scope = "publisher/PublishRecord";
    assert_eq!(seen(scope, "a").await, Some((mark("a", b"x", "first").body, "first".into())));
    assert_eq!((seen(scope, "b").await, seen("publisher/Other", "a").await), (None, None));

    // 64 at once with one id: exactly one is stored.
    let answers =
        futures_util::future::join_all((0..64).map(|n| store.write(with(100 + n, mark("b", b"x", &n.to_string())))));
    let answers: Vec<Written> = answers.await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|a| **a == Written::Done).count(), 1);
    let first = answers.iter().find_map(|a| if let Written::Again(answer) = a { Some(answer) } else { None });
    assert_eq!(answers.iter().filter(|a| **a == Written::Again(first.unwrap().clone())).count(), 63);
    assert_eq!(store.pending_publications(99).await.unwrap().len(), 3);
}

pub(super) async fn a_taken_key_refuses_one_and_not_its_neighbours(store: &dyn Store) {
    assert_eq!(store.write(publish(7)).await.unwrap(), Written::Done);
    let size = store.audit_head().await.unwrap().size;
    let writes = (5..10).map(|n| store.write(publish(n)));
    let answers: Vec<Written> = futures_util::future::join_all(writes).await.into_iter().map(Result::unwrap).collect();
    let expected = [Written::Done, Written::Done, Written::Taken, Written::Done, Written::Done];
    assert_eq!(answers, expected);
    assert_eq!(store.pending_publications(9).await.unwrap().len(), 5);
    assert_eq!(store.audit_head().await.unwrap().size, size + 4, "what was refused is not in the ledger");
}

pub(super) async fn lists_go_from_new_to_old(store: &dyn Store) {
    for n in 1..=5 {
        let kind = if n == 3 { RecordKind::Practice } else { RecordKind::Alert };
        let publication = NewPublication { kind, target: (n >= 4).then(|| key(THERE, 1)), ..publication(n) };
        let op = Publish { request: None, publication, made: None, audit: Vec::new() };
        store.write(WriteOp::Publish(op)).await.unwrap();
    }
    let page = store.publications(RecordKind::Alert, None, 2).await.unwrap();
    assert_eq!(page.iter().map(|p| p.sequence).collect::<Vec<_>>(), [5, 4]);
    assert_eq!(page[0].target, Some(key(THERE, 1)));
    // Of more than are asked for the newest, and those in the order in which they were made.
    for (most, records) in [(1, vec![record(5)]), (9, vec![record(4), record(5)])] {
        let about = store.publications_about(key(THERE, 1), authority(HERE), most).await.unwrap();
        assert_eq!(about.iter().map(|row| row.record_id).collect::<Vec<_>>(), records);
    }
    assert_eq!(store.publications_about(key(THERE, 2), authority(HERE), 9).await.unwrap(), []);
    assert_eq!(store.publications_about(key(THERE, 1), authority(ELSEWHERE), 9).await.unwrap(), []);
    let page = store.publications(RecordKind::Alert, Some(4), 9).await.unwrap();
    assert_eq!(page.iter().map(|p| p.sequence).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(store.publications(RecordKind::Practice, None, 9).await.unwrap().len(), 1);
}
