//! What opens a stored record, for each kind, role, purpose and instant.

use super::*;
use crate::audit::ActorRole;
use crate::records::Facts;

const END: UnixMs = UnixMs(1_000_000);
const KEEP: UnixMs = UnixMs(900_000);

fn own(kind: RecordKind) -> KeptRecord {
    KeptRecord::own(kind, END, "said".into())
}

fn received(kind: RecordKind) -> KeptRecord {
    KeptRecord::received(kind, END, KEEP, Usage::Store, "said".into())
}

fn before(end: UnixMs) -> UnixMs {
    end - Millis(1)
}

/// The kind's own words on who may do what.
fn roles(facts: Facts, purpose: ReadPurpose) -> &'static [ActorRole] {
    match purpose {
        ReadPurpose::Show => facts.access.read,
        ReadPurpose::Consume => facts.access.consume,
        ReadPurpose::Answer => facts.access.answer,
        ReadPurpose::SayLater => facts.access.publish,
        ReadPurpose::Prepare | ReadPurpose::Order => &[ActorRole::Node],
    }
}

#[test]
fn each_purpose_opens_to_its_roles_for_its_records_until_their_end() {
    let mut opened = 0;
    for kind in RecordKind::CONTENT {
        for (role, purpose) in ActorRole::ALL.iter().flat_map(|role| ReadPurpose::ALL.map(|purpose| (*role, purpose))) {
            let opens = roles(kind.facts().unwrap(), purpose).contains(&role);
            let own_too = !matches!(purpose, ReadPurpose::Consume | ReadPurpose::Answer);
            let received_too = !matches!(purpose, ReadPurpose::SayLater | ReadPurpose::Prepare);
            for (record, end, fits) in [(own(*kind), END, own_too), (received(*kind), KEEP, received_too)] {
                let ask = |now| may_read(&record, role, purpose, now).is_ok();
                assert_eq!(ask(before(end)), opens && fits, "{kind} {role} {purpose:?} {record:?}");
                let endless = purpose == ReadPurpose::Order;
                assert_eq!(ask(end), opens && fits && endless, "{kind} {role} {purpose:?}: to the millisecond");
                opened += usize::from(opens && fits);
            }
        }
    }
    assert!(opened > 20, "{opened}");
}

#[test]
fn a_reading_gives_the_bytes_and_the_clause_and_a_refusal_the_reason() {
    let (alert, theirs) = (own(RecordKind::Alert), received(RecordKind::Alert));
    for (record, role, purpose, clause) in [
        (&alert, ActorRole::Publisher, ReadPurpose::Show, Clause::RoleReads),
        (&theirs, ActorRole::Consumer, ReadPurpose::Consume, Clause::RoleConsumes),
        (&theirs, ActorRole::Coordinator, ReadPurpose::Answer, Clause::RoleAnswers),
        (&alert, ActorRole::Publisher, ReadPurpose::SayLater, Clause::RolePublishes),
        (&alert, ActorRole::Node, ReadPurpose::Prepare, Clause::NodePrepares),
        (&theirs, ActorRole::Node, ReadPurpose::Order, Clause::NodeOrders),
    ] {
        let reading = may_read(record, role, purpose, before(KEEP)).unwrap();
        assert_eq!((reading.clause(), reading.kind()), (clause, RecordKind::Alert));
        assert_eq!(&reading.bytes()[..], b"said");
    }
    let refused = |record, role, purpose, now| may_read(record, role, purpose, now).unwrap_err();
    let (consumer, show) = (ActorRole::Consumer, ReadPurpose::Show);
    assert_eq!(refused(&theirs, consumer, show, KEEP), Reason::RetentionEnded);
    assert_eq!(refused(&theirs, consumer, show, END), Reason::EnvelopeExpired);
    assert_eq!(refused(&alert, consumer, show, END), Reason::EnvelopeExpired);
    assert_eq!(refused(&alert, consumer, ReadPurpose::Consume, before(END)), Reason::NotFound);
    // Who may not is told nothing of its time.
    assert_eq!(refused(&theirs, ActorRole::Operator, show, END), Reason::MethodNotOpen);
    assert_eq!(refused(&theirs, ActorRole::Consumer, ReadPurpose::Prepare, END), Reason::MethodNotOpen);
    let control = received(RecordKind::AgreementEnd);
    assert_eq!(refused(&control, ActorRole::Coordinator, show, before(KEEP)), Reason::KindNotSupported);
}

#[test]
fn a_system_takes_what_came_to_be_stored_and_people_see_what_came_to_be_viewed() {
    for (usage, taken) in [(Usage::Query, false), (Usage::View, false), (Usage::Store, true)] {
        let record = KeptRecord::received(RecordKind::Alert, END, KEEP, usage, "said".into());
        let ask = |role, purpose| may_read(&record, role, purpose, before(KEEP)).map(drop);
        let consumed = ask(ActorRole::Consumer, ReadPurpose::Consume);
        assert_eq!(consumed, if taken { Ok(()) } else { Err(Reason::UseNotGranted) });
        assert_eq!(ask(ActorRole::Coordinator, ReadPurpose::Show), Ok(()));
        assert_eq!(ask(ActorRole::Coordinator, ReadPurpose::Answer), Ok(()));
    }
}

#[test]
fn a_stored_record_about_a_person_is_for_who_looks_after_cases_and_for_no_system() {
    let ask = |record: &KeptRecord, role, purpose| may_read(record, role, purpose, UnixMs(0)).map(|r| r.clause());
    let (own, received) = (own(RecordKind::Referral), received(RecordKind::Referral));
    for role in ActorRole::ALL {
        let reads = *role == ActorRole::Coordinator;
        assert_eq!(ask(&received, *role, ReadPurpose::Show).is_ok(), reads, "{role}");
        assert_eq!(ask(&own, *role, ReadPurpose::Show).is_ok(), reads, "{role}");
        assert_eq!(ask(&received, *role, ReadPurpose::Answer).is_ok(), reads, "{role}");
        assert_eq!(ask(&received, *role, ReadPurpose::Consume), Err(Reason::KindNotSupported), "{role}");
        assert_eq!(ask(&own, *role, ReadPurpose::SayLater), Err(Reason::KindNotSupported), "{role}");
    }
    let placement = KeptRecord::own(RecordKind::Placement, END, "said".into());
    let refused = ask(&placement, ActorRole::Coordinator, ReadPurpose::Show);
    assert_eq!(refused, Err(Reason::KindNotSupported), "not built");
}

#[test]
fn what_is_stored_is_not_shown_by_accident() {
    let shown = format!("{:?} {:?}", received(RecordKind::Alert), Reading::unasked(&own(RecordKind::Alert)));
    assert!(!shown.contains("said") && shown.contains("4 bytes"), "{shown}");
}
