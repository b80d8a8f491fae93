//! The order began anew on a base that lies ahead of a member's clock: nobody beats any more for the order that ended.

use super::ahead::{two_ahead, word};
use super::lied_to::{changes, member};
use super::*;
use crate::domain::directory::Position;
use crate::domain::reason::Reason;
use crate::domain::statement::Subject;
use crate::refounding::{self, Base, Known, Plan, Withdrawals, add_signature};

/// Strasbourg and Kehl begin anew on the world's newest change, and the world stands on that.
fn founded(world: &mut World) -> Bytes {
    let there = world.state.clone();
    let names = [KEHL, STRASBOURG];
    let proof = names.map(|name| word(world, name, world.now));
    let founders = names.iter().zip(101..).map(|(name, raft_id)| {
        let steward = Steward { authority: id(name), raft_id };
        refounding::founder(there.federation(), steward, 0, true, world.now, &world.keys[&id(name)])
    });
    let plan = Plan {
        founding: 1,
        set_version: there.version(&Subject::Stewards),
        founders: founders.collect(),
        base: Base { there: there.clone(), proof: proof.to_vec() },
        rotations: Vec::new(),
    };
    let first = world.sign(KEHL, |author, _| plan.statement(author));
    let signed = add_signature(&there.federation(), &first, &world.keys[&id(STRASBOURG)]).unwrap();
    let withdrawn = Withdrawals::default();
    let known = Known { newest: &there, sets: &[], head_at: &|_| None, withdrawn: &withdrawn };
    world.state = there.begin_anew(&signed, &known, &Plain).unwrap().0;
    signed
}

#[tokio::test]
async fn a_founding_on_a_base_ahead_is_followed_on_the_word_of_its_stewards() {
    let (mut world, dir) = (World::three(), tempfile::tempdir().unwrap());
    let directory = member(&dir, &world);
    let chain = &directory.0.chain;
    chain.follow(changes(&world)).unwrap();
    let before = chain.position();
    let (missing, then) = two_ahead(&mut world);
    let old = word(&world, STRASBOURG, then);
    let signed = founded(&mut world);
    assert_eq!(
        directory.met_founding(&signed).await.unwrap_err().reason(),
        Reason::ChangesGone,
        "its base is not here"
    );
    chain.follow(missing.clone()).unwrap();
    directory.met_founding(&signed).await.unwrap();
    assert_eq!(chain.position(), before, "signatures do not say that a clock was wrong");
    // What comes after it comes again, and is no fault of who sends it.
    let later = havenlink_proto::directory::v1::Change { number: world.state.number() + 1, ..missing[1].clone() };
    chain.follow(vec![later]).unwrap();
    chain.follow(missing).unwrap();

    let refused = |heard: Result<bool, crate::Error>| heard.unwrap_err().reason();
    assert_eq!(refused(directory.hear_beat(&word(&world, KEHL, world.now)).await), Reason::BeatInvalid, "dated ahead");
    assert_eq!(refused(directory.hear_beat(&word(&world, ESCH, then)).await), Reason::BeatInvalid, "left out by it");
    assert!(directory.hear_beat(&old).await.unwrap(), "of the order that ended, whose majority it is not");
    assert!(directory.hear_beat(&word(&world, KEHL, then)).await.unwrap());
    assert!(directory.hear_beat(&word(&world, STRASBOURG, then - Millis::minutes(20))).await.is_ok());
    assert_eq!(chain.position(), before, "one of two, and another one of long ago");
    assert!(directory.hear_beat(&word(&world, STRASBOURG, then)).await.unwrap());
    let place = Position { founding: 1, number: before.number + 3 };
    assert_eq!((chain.position(), chain.state().head()), (place, world.state.head()));
    assert_eq!(chain.view().stewards.len(), 2);

    chain.disk().close().await.unwrap();
    drop(directory);
    let again = member(&dir, &world);
    assert_eq!((again.0.chain.position(), again.state().head()), (place, world.state.head()), "also after a start");
}

#[tokio::test]
async fn beats_of_the_ended_order_that_confirm_the_base_leave_its_founding_to_be_met() {
    let (mut world, dir) = (World::three(), tempfile::tempdir().unwrap());
    let directory = member(&dir, &world);
    let chain = &directory.0.chain;
    chain.follow(changes(&world)).unwrap();
    let (missing, then) = two_ahead(&mut world);
    let old = [STRASBOURG, ESCH].map(|steward| word(&world, steward, then));
    let signed = founded(&mut world);
    chain.follow(missing).unwrap();
    directory.met_founding(&signed).await.unwrap();
    for beat in old {
        assert!(directory.hear_beat(&beat).await.unwrap());
    }
    let place = world.state.position();
    assert_eq!(chain.position(), Position { founding: 0, number: place.number - 1 });
    directory.met_founding(&signed).await.unwrap();
    assert_eq!((chain.position(), chain.state().head()), (place, world.state.head()));
}
