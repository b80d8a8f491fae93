use std::sync::Mutex;

use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::domain::audit::AuditAct;
use crate::telemetry::Form;
use crate::telemetry::lines::Lines;

fn authority(name: &str) -> AuthorityId {
    AuthorityId::parse(name).unwrap()
}

fn flood(from: &str) -> Entry {
    Entry { reason: Some(Reason::BudgetExhausted), ..Entry::about(Event::Flood, &authority(from)) }
}

#[test]
fn each_event_has_a_name_of_its_own_and_a_line_on_the_page() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/JOURNAL.md")).unwrap();
    let names: std::collections::BTreeSet<&str> = Event::ALL.iter().map(|event| event.name()).collect();
    assert_eq!(names.len(), Event::ALL.len());
    let rows: Vec<Vec<&str>> =
        page.lines().filter(|line| line.starts_with("| `")).map(|l| l.split('|').collect()).collect();
    let listed: std::collections::BTreeSet<&str> = rows.iter().map(|row| row[1].trim().trim_matches('`')).collect();
    assert_eq!(listed, names, "deploy/JOURNAL.md has a line for each event, and no other");
    for event in Event::ALL {
        let row = rows.iter().find(|row| row[1].trim().trim_matches('`') == event.name()).unwrap();
        assert_eq!(row[2].trim(), event.says(), "{}", event.name());
        assert_eq!(row[4].trim(), followers(*event), "{}: who follows it", event.name());
    }
}

/// As the page has it.
fn followers(event: Event) -> String {
    let Audience { roles, by_kind, .. } = event.audience();
    let mut names: Vec<String> = roles.iter().map(|role| role.name().to_lowercase().replace('_', "-")).collect();
    if **roles == *audience::DOORS {
        names = vec!["every role".to_owned()];
    }
    if *by_kind {
        names.push("who reads the kind".to_owned());
    }
    names.join(", ")
}

#[test]
fn a_flood_is_told_at_once_and_then_by_the_minute_until_it_is_over() {
    let (counted, start) = (Counted(Mutex::default()), Instant::now());
    assert_eq!(counted.add(flood("de-kehl"), 1, 1, start), Some(flood("de-kehl")));
    let later = |ms| start + Duration::from_millis(ms);
    let at_once = (1..90_000).filter_map(|ms| counted.add(flood("de-kehl"), 10, 1, later(ms))).count();
    assert_eq!(at_once, 0);
    assert_eq!(counted.due(start + BETWEEN / 2).len(), 0);
    let due = counted.due(later(90_000));
    assert_eq!(due.iter().map(|entry| entry.count).collect::<Vec<_>>(), [Some(899_990)]);
    assert_eq!(counted.due(later(150_000)).len(), 0, "it is over");
    assert_eq!(counted.0.lock().unwrap().len(), 0);
    assert!(counted.add(flood("de-kehl"), 1, 1, later(150_001)).is_some(), "and told at once when it comes back");
}

#[test]
fn whom_it_comes_from_is_told_apart_up_to_a_bound() {
    let (counted, start) = (Counted(Mutex::default()), Instant::now());
    let told: Vec<Entry> = (0..5_000).filter_map(|n| counted.add(flood(&format!("de-m{n}")), 1, 1, start)).collect();
    assert_eq!(told.len(), APART + 1);
    assert_eq!(counted.0.lock().unwrap().len(), APART + 1);
    let rest: u64 = counted.due(start + BETWEEN).iter().filter_map(|entry| entry.count).sum();
    assert_eq!(told.len() as u64 + rest, 5_000, "none is lost");
}

#[test]
fn what_is_told_together_is_told_in_the_order_in_which_it_came() {
    let (counted, start) = (Counted(Mutex::default()), Instant::now());
    let kehl = authority("de-kehl");
    for (n, event) in
        [Event::PartnerLost, Event::PartnerBack, Event::PartnerBack, Event::PartnerLost].iter().enumerate()
    {
        counted.add(Entry::about(*event, &kehl), 1, 1, start + Duration::from_secs(n as u64));
    }
    let due: Vec<Event> = counted.due(start + BETWEEN * 2).iter().map(|entry| entry.event).collect();
    assert_eq!(due, [Event::PartnerBack, Event::PartnerLost], "it is lost now");
}

#[test]
fn ten_are_told_one_by_one_and_the_others_by_their_number() {
    let (counted, start) = (Counted(Mutex::default()), Instant::now());
    let act = |n: u8| Entry { agreement: Some(AgreementId([n; 32])), ..Entry::of(Event::AgreementProposed) };
    let told: Vec<Entry> = (0..200).filter_map(|n| counted.add(act(n), 1, SINGLY, start)).collect();
    assert_eq!(told, (0..10).map(act).collect::<Vec<_>>());
    let rest = counted.due(start + BETWEEN);
    assert_eq!(rest, [Entry { count: Some(190), ..Entry::of(Event::AgreementProposed) }]);
}

static WRITTEN: Mutex<String> = Mutex::new(String::new());

#[test]
fn a_commit_is_told_by_its_acts_and_never_by_its_records() {
    let act = |act| AuditDraft { counterparty: Some(authority("de-kehl")), ..AuditDraft::by_node(act) };
    let record = Some((RecordKind::Alert, crate::domain::ids::RecordId([7; 16])));
    let drafts = [
        AuditDraft { record, ..act(AuditAct::Published) },
        AuditDraft { record, ..act(AuditAct::Received) },
        AuditDraft { record, reason: Some(Reason::EnvelopeExpired), ..act(AuditAct::Refused) },
        AuditDraft { record, reason: Some(Reason::EnvelopeExpired), ..act(AuditAct::Refused) },
        AuditDraft { agreement: Some(AgreementId([3; 32])), ..act(AuditAct::AgreementInForce) },
    ];
    let lines = |form| Lines::to(form, |line| WRITTEN.lock().unwrap().push_str(line));
    let subscriber = tracing_subscriber::registry().with(lines(Form::Text)).with(lines(Form::Json));
    tracing::subscriber::with_default(subscriber, || committed(&drafts));
    let written = WRITTEN.lock().unwrap();
    let told: Vec<&str> = written.lines().collect();
    assert_eq!(told.len(), 4, "two events, in two forms: {written}");
    assert!(
        told[0].contains("INFO  journal an agreement is in force event=AGREEMENT_IN_FORCE authority=de-kehl role=NODE")
    );
    assert!(told[2].contains("event=RECORDS_REFUSED authority=de-kehl reason=EXPIRED count=2"), "{written}");
    let json: serde_json::Value = serde_json::from_str(told[1]).unwrap();
    assert_eq!(json["event"], "AGREEMENT_IN_FORCE");
    assert_eq!(json["message"], "an agreement is in force");
    assert!(!written.contains("0707"), "the id of a record is in no line: {written}");
    assert!(!written.contains("ALERT"), "nor is its kind: {written}");
}
