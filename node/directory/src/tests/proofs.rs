//! What proves how far the order has come, where machines of another line speak under the same names.

use super::ahead::word;
use super::lied_to::{changes, member};
use super::*;
use crate::chain::Chain;
use crate::refounding::WithoutProof;
use crate::wire::beat::Beat;

/// Later, and of a line that nobody here knows.
fn elsewhere(world: &World, steward: &str) -> Bytes {
    let here = world.beat_of(steward);
    let time = here.time + Millis::seconds(2);
    world.signed_beat(&Beat { number: here.number + 5, head: Digest([7; 32]), time, ..here })
}

async fn is_proved(chain: &Chain, world: &World) {
    let base = chain.base(&[id(KEHL), id(STRASBOURG)], WithoutProof::Refuse).await.unwrap();
    assert_eq!((base.there.head(), base.proof.len()), (world.state.head(), 2));
}

#[tokio::test]
async fn what_another_line_says_later_pushes_out_no_proof() {
    let (world, dir) = (World::three(), tempfile::tempdir().unwrap());
    let directory = member(&dir, &world);
    let chain = &directory.0.chain;
    chain.follow(changes(&world)).unwrap();
    for steward in [STRASBOURG, KEHL] {
        assert!(chain.accept_beat(&word(&world, steward, world.now)).unwrap());
    }
    is_proved(chain, &world).await;
    for steward in [STRASBOURG, KEHL] {
        assert!(chain.accept_beat(&elsewhere(&world, steward)).unwrap());
        assert_eq!(chain.last_said(&id(steward)).unwrap().head, world.state.head(), "of the line that is followed");
    }
    is_proved(chain, &world).await;
    assert_eq!(chain.kept_beats().len(), 2, "told to whoever asks, beside the newest ones");
    chain.disk().close().await.unwrap();
    drop(directory);
    let again = member(&dir, &world);
    is_proved(&again.0.chain, &world).await;
    assert_eq!(again.0.chain.kept_beats().len(), 4);
}

#[tokio::test]
async fn an_old_word_that_alone_proves_something_is_taken() {
    let (world, dir) = (World::three(), tempfile::tempdir().unwrap());
    let directory = member(&dir, &world);
    let chain = &directory.0.chain;
    chain.follow(changes(&world)).unwrap();
    let of_last_week = |steward: &str| word(&world, steward, world.now - Millis::days(7));
    for steward in [STRASBOURG, KEHL] {
        assert!(chain.accept_beat(&elsewhere(&world, steward)).unwrap());
        assert!(chain.accept_beat(&of_last_week(steward)).unwrap());
        assert!(!chain.accept_beat(&of_last_week(steward)).unwrap(), "once");
    }
    is_proved(chain, &world).await;
    // On a line that has it from its stewards now, it adds nothing.
    assert!(chain.accept_beat(&word(&world, ESCH, world.now)).unwrap());
    assert!(!chain.accept_beat(&of_last_week(ESCH)).unwrap());
}
