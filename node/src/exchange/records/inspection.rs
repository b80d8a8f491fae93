//! Joint inspections: an acceptance is taken for a proposal of ours only; what was proposed shows it (`held`).

use crate::domain::reason::Reason;
use crate::domain::record::ReferenceKind;
use crate::domain::records::RecordKind;
use crate::domain::records::inspection::Inspection;

use super::{Arrival, Arrived};

pub(super) async fn arrived(inspection: &Inspection, arrival: Arrival<'_>) -> Arrived {
    let Inspection::Accepted(_) = inspection else { return Ok(Ok(())) };
    let Some(target) = arrival.envelope.target(ReferenceKind::Answers) else { return Ok(Err(Reason::TargetUnknown)) };
    let proposed = arrival.context.store().publication(target.clone()).await?;
    let ours = proposed.is_some_and(|row| row.record.kind() == RecordKind::Inspection);
    Ok(if ours { Ok(()) } else { Err(Reason::TargetUnknown) })
}

#[cfg(test)]
mod tests {
    use crate::domain::audit::{Actor, ActorRole};
    use crate::domain::handling::Tlp;
    use crate::domain::ids::RecordId;
    use crate::domain::reason::Reason;
    use crate::domain::record::{RecordKey, RecordKind, ReferenceKind};
    use crate::domain::records::inspection::{Inspection, InspectionPart};
    use crate::domain::records::offer::DisclosureLevel;
    use crate::domain::records::{Content, Kind};
    use crate::domain::sharing::Sharing;
    use crate::exchange::tests::world::*;
    use crate::exchange::{Call, Folder, Published};

    fn key(record_id: RecordId) -> RecordKey {
        RecordKey { origin: id(STRASBOURG), record_id }
    }

    const INSPECTOR: ActorRole = ActorRole::Inspection;

    fn inspector() -> Call {
        Call { actor: Actor { role: INSPECTOR, code: None }, ..call() }
    }

    fn proposal() -> Inspection {
        Inspection::samples().remove(0)
    }

    fn acceptance() -> Content {
        Inspection::Accepted(vec![InspectionPart::SupportService]).into()
    }

    fn red(to: &[&str]) -> Sharing {
        let mut sharing = sharing(to);
        sharing.handling.tlp = Tlp::Red;
        sharing
    }

    /// Strasbourg may ask Kehl and Esch.
    async fn world() -> World {
        let world = World::new().await;
        for partner in [KEHL, ESCH] {
            let mut agreement = world.agreement(STRASBOURG, partner, DisclosureLevel::Light);
            let grant = &mut agreement.grants[0];
            grant.record_kinds.push(RecordKind::Inspection);
            grant.highest_tlp = Tlp::Red;
            let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), agreement).await.unwrap();
            world.settle().await;
            world.exchange(partner).agreements.sign_agreement(&call(), made).await.unwrap();
            world.settle().await;
        }
        world
    }

    async fn propose(world: &World, to: &[&str]) -> Published {
        world.exchange(STRASBOURG).road.publish(&inspector(), wished(red(to), proposal())).await.unwrap()
    }

    #[tokio::test]
    async fn who_was_asked_accepts_and_only_who_asked_sees_it() {
        let world = world().await;
        let proposed = propose(&world, &[KEHL, ESCH]).await;
        world.settle().await;
        let accepted =
            world.exchange(KEHL).road.answer(&inspector(), key(proposed.record_id), acceptance()).await.unwrap();
        world.settle().await;
        let held = world.exchange(STRASBOURG).road.get(INSPECTOR, key(proposed.record_id)).await.unwrap();
        let answers: Vec<_> = held.answers.iter().map(|a| (a.authority().clone(), a.answer.clone())).collect();
        assert_eq!(answers, [(id(KEHL), Ok(acceptance()))]);
        // It stands with what it answers: neither side lists it as an inspection of its own.
        for (name, folder) in [(STRASBOURG, Folder::Received), (KEHL, Folder::Published)] {
            let listed =
                world.exchange(name).road.list(INSPECTOR, RecordKind::Inspection, folder, None, 10).await.unwrap();
            assert!(listed.is_empty(), "{name}");
        }
        let at_kehl = world
            .exchange(KEHL)
            .road
            .list(INSPECTOR, RecordKind::Inspection, Folder::Received, None, 10)
            .await
            .unwrap();
        assert_eq!(at_kehl[0].answers[0].key.record_id, accepted);
        let at_esch = world.exchange(ESCH).road.get(INSPECTOR, key(proposed.record_id)).await.unwrap();
        assert!(at_esch.answers.is_empty(), "who else was asked, and what it said, is told to nobody");
    }

    #[tokio::test]
    async fn it_is_never_less_than_red_and_never_for_all() {
        let world = world().await;
        let publish = async |sharing, content: Inspection| {
            world
                .exchange(STRASBOURG)
                .road
                .publish(&inspector(), wished(sharing, content))
                .await
                .map(drop)
                .map_err(|e| e.reason())
        };
        assert_eq!(publish(sharing(&[KEHL]), proposal()).await, Err(Reason::FieldInvalid), "GREEN");
        assert_eq!(publish(red(&[]), proposal()).await, Err(Reason::AudienceNotNamed));
        let Content::Inspection(accepted) = acceptance() else { unreachable!() };
        assert_eq!(publish(red(&[KEHL]), accepted).await, Err(Reason::KindNotSupported), "it answers, or is nothing");
        assert_eq!(publish(red(&[KEHL]), proposal()).await, Ok(()));
    }

    #[tokio::test]
    async fn only_a_proposal_is_accepted_and_only_by_who_was_asked() {
        let world = world().await;
        let alert = world.publish(STRASBOURG, &[KEHL]).await.record_id;
        let proposed = propose(&world, &[KEHL]).await.record_id;
        world.settle().await;
        let answer = async |name: &str, target, content| {
            world.exchange(name).road.answer(&inspector(), key(target), content).await.unwrap_err().reason()
        };
        assert_eq!(answer(KEHL, alert, acceptance()).await, Reason::TargetUnknown);
        assert_eq!(answer(ESCH, proposed, acceptance()).await, Reason::TargetUnknown);
        assert_eq!(answer(KEHL, proposed, proposal().into()).await, Reason::KindNotSupported);
    }

    #[tokio::test]
    async fn a_proposal_is_changed_and_taken_back_and_an_acceptance_is_neither() {
        let world = world().await;
        let strasbourg = world.exchange(STRASBOURG);
        let proposed = propose(&world, &[KEHL, ESCH]).await.record_id;
        world.settle().await;
        let accepted = world.exchange(KEHL).road.answer(&inspector(), key(proposed), acceptance()).await.unwrap();
        world.settle().await;
        let own = RecordKey { origin: id(KEHL), record_id: accepted };
        let refused = world.exchange(KEHL).road.cancel(&inspector(), own.clone()).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::KindNotSupported);
        let refused = world.exchange(KEHL).road.update(&inspector(), own, proposal().into()).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::KindNotSupported);
        let refused = strasbourg.road.update(&inspector(), key(proposed), acceptance()).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::KindNotSupported);
        let Inspection::Proposed(mut changed) = proposal() else { unreachable!() };
        changed.parts = vec![InspectionPart::Interpretation];
        let newer =
            strasbourg.road.update(&inspector(), key(proposed), Inspection::Proposed(changed).into()).await.unwrap();
        assert_eq!(newer.recipients, [id(KEHL), id(ESCH)]);
        world.settle().await;
        let end = strasbourg.road.cancel(&inspector(), key(newer.record_id)).await.unwrap();
        world.settle().await;
        for name in [KEHL, ESCH] {
            let listed = world
                .exchange(name)
                .road
                .list(INSPECTOR, RecordKind::Inspection, Folder::Received, None, 10)
                .await
                .unwrap();
            assert!(listed.is_empty(), "{name}");
            let word = world.exchange(name).road.get(INSPECTOR, key(end.record_id)).await.unwrap().said.unwrap();
            assert_eq!(word.target(ReferenceKind::Cancels), Some(&key(newer.record_id)));
            assert_eq!(word.sharing.handling.tlp, Tlp::Red);
        }
    }
}
