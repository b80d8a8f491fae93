//! What the ledger tells the data-protection officer: what, to whom, under which agreement, for which purpose, kept how long.

use super::world::*;
use crate::clock::Clock;
use crate::domain::audit::AuditAct;
use crate::domain::record::RecordKind;
use crate::domain::records::offer::DisclosureLevel;
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::{Extent, Processed};
use crate::wire::audit;

#[tokio::test]
async fn the_report_is_told_by_the_ledger_and_stays_what_it_was() {
    let world = World::new().await;
    world.clock.stop();
    let agreement = world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let (strasbourg, kehl) = (&world.exchange(STRASBOURG).upkeep, &world.exchange(KEHL).upkeep);
    let began = world.clock.now();
    for _ in 0..3 {
        world.publish(STRASBOURG, &[KEHL]).await;
    }
    world.settle().await;
    world.clock.advance(Millis::seconds(60));
    let then = world.clock.now();
    let first = strasbourg.processing(began, then).await.unwrap();

    for _ in 0..2 {
        world.publish(STRASBOURG, &[KEHL]).await;
    }
    world.settle().await;
    assert_eq!(strasbourg.processing(began, then).await.unwrap(), first, "the same span of a longer ledger");

    let alerts = |act, counterparty: &str| {
        let (kind, purpose) = (Some(RecordKind::Alert), Some(sharing(&[KEHL]).purpose));
        Processed { act, counterparty: Some(id(counterparty)), kind, agreement: Some(agreement), purpose }
    };
    let retention = Some(world.agreement(STRASBOURG, KEHL, DisclosureLevel::Light).grants[0].retention);
    let extent = |times, first, last| Extent { times, first, last, retention };
    let sent = alerts(AuditAct::Disclosed, KEHL);
    assert_eq!(first.lines.iter().find(|(what, _)| *what == sent).unwrap().1, extent(3, began, began));
    let all = strasbourg.processing(UnixMs(0), UnixMs::NEVER).await.unwrap();
    assert_eq!(all.lines.iter().find(|(what, _)| *what == sent).unwrap().1, extent(5, began, then));
    let later = strasbourg.processing(then, UnixMs::NEVER).await.unwrap();
    assert_eq!(later.lines, [(sent, extent(2, then, then))]);
    let head = strasbourg.audit_leaves(0, 0).await.unwrap().1;
    assert_eq!((later.from, later.to, later.root, later.unknown), (first.to, head.size, head.root, 0));

    // The receiver keeps it as long as the grant of the sender says.
    let there = kehl.processing(UnixMs(0), UnixMs::NEVER).await.unwrap();
    let came = alerts(AuditAct::Received, STRASBOURG);
    assert_eq!(there.lines.iter().find(|(what, _)| *what == came).unwrap().1, extent(5, began, then));
    // Counted by hand, over all that was read.
    let leaves = kehl.audit_leaves(there.from, 1_000).await.unwrap().0;
    let received = leaves.iter().filter(|leaf| audit::decode(leaf).unwrap().act == AuditAct::Received).count();
    let told: u64 = there.lines.iter().filter(|(what, _)| what.act == AuditAct::Received).map(|(_, e)| e.times).sum();
    assert_eq!(told, received as u64);
    let empty = kehl.processing(UnixMs::NEVER, UnixMs::NEVER).await.unwrap();
    assert_eq!((empty.from, empty.lines), (empty.to, Vec::new()));
}
