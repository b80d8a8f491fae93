use super::*;
use crate::domain::ids::AuthorityId;
use crate::domain::record::RecordKind;

const RUN: UnixMs = UnixMs(1_000_000);

fn at(ms: i64) -> UnixMs {
    UnixMs(RUN.0 + ms)
}

fn lost(kept: &Kept, ms: i64) {
    let kehl = AuthorityId::parse("de-kehl").unwrap();
    kept.put_at(Entry::about(Event::PartnerLost, &kehl), at(ms));
}

fn received(kept: &Kept, kind: RecordKind) {
    kept.put_at(Entry { kind: Some(kind), ..Entry::of(Event::Received) }, at(0));
}

fn page(kept: &Kept, role: ActorRole, from: Option<Cursor>) -> Page {
    kept.after(role, from, &Wanted::default(), usize::MAX).unwrap()
}

fn events(kept: &Kept, role: ActorRole) -> Vec<Event> {
    page(kept, role, None).told.iter().map(|told| told.entry.event).collect()
}

#[test]
fn each_role_has_what_concerns_it_and_numbers_of_its_own() {
    let kept = Kept::new(RUN);
    for event in [Event::NodeRuns, Event::Flood, Event::PartnerLost, Event::Erased, Event::ReadForPerson] {
        kept.put_at(Entry::of(event), at(0));
    }
    received(&kept, RecordKind::Referral);
    received(&kept, RecordKind::Inspection);
    let runs = Event::NodeRuns;
    assert_eq!(events(&kept, ActorRole::Operator), [runs, Event::Flood, Event::PartnerLost]);
    assert_eq!(events(&kept, ActorRole::Coordinator), [runs, Event::PartnerLost, Event::Erased, Event::Received]);
    let protection = [runs, Event::Erased, Event::ReadForPerson, Event::Received, Event::Received];
    assert_eq!(events(&kept, ActorRole::DataProtection), protection);
    assert_eq!(events(&kept, ActorRole::Inspection), [runs, Event::PartnerLost, Event::Received]);
    assert_eq!(events(&kept, ActorRole::Publisher), [runs, Event::PartnerLost]);
    assert_eq!(events(&kept, ActorRole::Liaison), [runs]);
    assert_eq!(
        page(&kept, ActorRole::Liaison, None).next.number,
        1,
        "what others are told does not show in its numbers"
    );
    assert_eq!(kept.after(ActorRole::Peer, None, &Wanted::default(), 9), None, "a partner has no shelf");
}

#[test]
fn a_reader_goes_on_where_it_was_and_reads_each_event_once() {
    let kept = Kept::new(RUN);
    (0..5).for_each(|ms| lost(&kept, ms));
    let (mut from, mut read) = (None, Vec::new());
    loop {
        let page = kept.after(ActorRole::Operator, from, &Wanted::default(), 2).unwrap();
        assert_eq!((page.missed, page.since), (0, RUN));
        read.extend(page.told.iter().map(|told| told.at.0 - RUN.0));
        from = Some(page.next);
        if !page.more {
            break;
        }
    }
    assert_eq!(read, [0, 1, 2, 3, 4]);
    assert!(page(&kept, ActorRole::Operator, from).told.is_empty());
    lost(&kept, 9);
    assert_eq!(page(&kept, ActorRole::Operator, from).told.len(), 1);
    let ahead = Some(Cursor { run: RUN, number: 7 });
    assert_eq!(kept.after(ActorRole::Operator, ahead, &Wanted::default(), 2), None, "a cursor that nobody was given");
}

#[test]
fn what_is_not_wanted_is_passed_over() {
    let kept = Kept::new(RUN);
    (0..5).for_each(|ms| lost(&kept, ms));
    kept.put_at(Entry::of(Event::Flood), at(5));
    let wanted = |events: &[Event], since| Wanted { events: events.to_vec(), since };
    let found = |wanted: &Wanted| kept.after(ActorRole::Operator, None, wanted, 3).unwrap();
    let floods = found(&wanted(&[Event::Flood], None));
    assert_eq!((floods.told.len(), floods.more, floods.next.number), (1, false, 6));
    let late = found(&wanted(&[], Some(at(4))));
    assert_eq!(late.told.iter().map(|told| told.at).collect::<Vec<_>>(), [at(4), at(5)]);
}

#[test]
fn who_is_too_slow_is_told_how_many_it_missed_and_nothing_grows() {
    let kept = Kept::new(RUN);
    kept.put_at(Entry::of(Event::Erased), at(0));
    lost(&kept, 0);
    let slow = page(&kept, ActorRole::Operator, None).next;
    let many = 3 * i64::try_from(KEPT).unwrap();
    (1..=many).for_each(|ms| lost(&kept, ms));
    let late = page(&kept, ActorRole::Operator, Some(slow));
    assert_eq!((late.told.len(), late.missed), (KEPT, 2 * KEPT as u64));
    assert_eq!(late.told[0].at, late.since, "from then on it has them all");
    assert_eq!(page(&kept, ActorRole::Operator, Some(late.next)).missed, 0, "told once");
    assert_eq!(page(&kept, ActorRole::Operator, None).missed, 0, "who begins now has missed none");
    let other = page(&kept, ActorRole::DataProtection, None);
    assert_eq!((other.told.len(), other.since), (1, RUN), "a flood of one role's events takes none from another");
}

#[test]
fn a_cursor_of_an_earlier_run_begins_with_this_one() {
    let kept = Kept::new(RUN);
    kept.put_at(Entry::of(Event::NodeRuns), at(1));
    let before = Some(Cursor { run: at(-50), number: 900 });
    let page = page(&kept, ActorRole::Publisher, before);
    assert_eq!((page.told[0].entry.event, page.missed, page.since), (Event::NodeRuns, 0, RUN));
}

#[tokio::test]
async fn whoever_waits_is_woken() {
    let kept = Kept::new(RUN);
    let mut news = kept.news();
    lost(&kept, 0);
    news.changed().await.unwrap();
    assert!(!news.has_changed().unwrap());
}
