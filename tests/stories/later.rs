//! What its publisher says of a record later: whom it reaches, what is listed then, what a reader of the inbox sees.

use bytes::Bytes;
use havenlink_proto::local::v1::ConsumeResponse;
use havenlink_proto::record::v1::{Alert, ReferenceKind, Severity};
use havenlink_tests::federation::{Federation, ctl, ctl_refused};
use havenlink_tests::wait::eventually;
use prost::Message;

use crate::steps::*;

/// As the tool shows it.
fn uuid(record: &[u8]) -> String {
    uuid::Uuid::from_slice(record).unwrap().to_string()
}

/// The record that a command named first in its answer.
fn named(printed: &str) -> String {
    let words = printed.split(|c: char| c.is_whitespace() || c == ',');
    words.into_iter().find(|word| uuid::Uuid::try_parse(word).is_ok()).unwrap_or_else(|| panic!("{printed}")).to_owned()
}

fn alert(read: &ConsumeResponse) -> Alert {
    Alert::decode(read.envelope.as_ref().unwrap().body.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_is_updated_and_then_cancelled_is_listed_once_and_its_reader_sees_the_later_words() {
    let federation = Federation::found(2, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let [strasbourg, kehl] = &federation.cities[..] else { panic!("two cities") };
    let stays = publish(strasbourg, &[kehl.id()]).await.unwrap();
    let first = publish(strasbourg, &[kehl.id()]).await.unwrap();
    let seen = read_all(kehl, "desk", &[stays.clone(), first.clone()]).await;
    let position = seen.last().unwrap().position;
    let listed = async |record: &str| {
        let printed = ctl(kehl, &["alert", "list"]).await.unwrap();
        assert!(printed.contains(&uuid(&stays)), "{printed}");
        printed.contains(record)
    };

    // Updated: the newer word stands in its place at both, and its reader is given it.
    let first = uuid(&first);
    let printed = ctl(strasbourg, &["alert", "update", &first, "--severity", "EXTREME"]).await.unwrap();
    assert!(printed.contains(kehl.id()), "{printed}");
    let second = named(&printed);
    eventually("Kehl lists the newer word", PATIENCE, || async { listed(&second).await.then_some(()) }).await;
    assert!(!listed(&first).await, "and the older one no more");
    let published = ctl(strasbourg, &["alert", "list", "--published"]).await.unwrap();
    assert!(published.contains(&second) && !published.contains(&first), "{published}");
    let shown = ctl(kehl, &["alert", "show", &first]).await.unwrap();
    assert!(shown.contains("updated by") && shown.contains(&second), "who asks for the older one is told: {shown}");
    let again = read(kehl, "desk", position).await.unwrap();
    assert_eq!(again.iter().map(|r| uuid(&record_of(r))).collect::<Vec<_>>(), std::slice::from_ref(&second));
    assert_eq!(alert(&again[0]).severity(), Severity::Extreme);

    // Said again as it stands: nothing is sent.
    let printed = ctl(strasbourg, &["alert", "update", &second, "--severity", "EXTREME"]).await.unwrap();
    assert!(printed.contains("nothing was sent"), "{printed}");
    assert_eq!(
        ctl_refused(strasbourg, &["alert", "update", &first, "--severity", "MINOR"]).await.unwrap(),
        "ETAG_MISMATCH"
    );

    // Cancelled: nobody lists it, its reader is told, and nothing of it is said again.
    let position = again[0].position;
    let printed = ctl(strasbourg, &["alert", "cancel", &second]).await.unwrap();
    assert!(printed.contains(kehl.id()), "{printed}");
    eventually("Kehl lists it no more", PATIENCE, || async { (!listed(&second).await).then_some(()) }).await;
    assert!(!listed(&first).await, "nor what it had taken the place of");
    let shown = ctl(kehl, &["alert", "show", &second]).await.unwrap();
    assert!(shown.contains("cancelled by"), "{shown}");
    let word = read(kehl, "desk", position).await.unwrap();
    let [word] = &word[..] else { panic!("one word: {word:?}") };
    let references = &word.envelope.as_ref().unwrap().references;
    assert_eq!(references[0].kind(), ReferenceKind::Cancels);
    let named: Vec<Bytes> = references.iter().map(|reference| reference.record_id.clone()).collect();
    assert_eq!(
        named.iter().map(|id| uuid(id)).collect::<Vec<_>>(),
        [second.clone(), first.clone()],
        "each version of it"
    );
    assert!(alert(word).summary.is_empty() && alert(word).indicators.is_empty());
    // Who comes later is given what stays, and that something was taken back, and nothing of that.
    let later = read(kehl, "later", 0).await.unwrap();
    assert_eq!(later.iter().map(record_of).collect::<Vec<_>>(), [stays.clone(), record_of(word)]);
}
