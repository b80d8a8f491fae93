//! A node that came back below the incarnation that its partners know (9.10).

use bytes::Bytes;

use super::world::*;
use crate::clock::Clock;
use crate::domain::authority::KeyRecord;
use crate::domain::ids::Incarnation;
use crate::domain::reason::Reason;
use crate::domain::record::StreamClass;
use crate::domain::stream::{Greeting, Hello, StreamId, Understands};
use crate::domain::time::Millis;
use crate::exchange::DeliveryState;
use crate::wire::keys::SigningKey;
use crate::wire::peer;

/// Far ahead of the clock of these tests.
const AHEAD: u64 = 1 << 43;

impl World {
    fn hello(&self, of: &str, to: &str, incarnation: u64) -> Bytes {
        self.hello_under(&self.node(of).key, of, to, incarnation)
    }

    fn hello_under(&self, key: &SigningKey, of: &str, to: &str, incarnation: u64) -> Bytes {
        let hello = Hello {
            federation: self.view.load().federation,
            authority: id(of),
            incarnation: Incarnation(incarnation),
            time: self.clock.now(),
            recipient: id(to),
            register: self.view.load().position(),
            understands: Understands::here(1, &[]),
        };
        peer::sign_hello(&hello, key)
    }

    /// What Kehl says to Strasbourg's word.
    async fn kehl_hears(&self, hello: Bytes) -> Result<Bytes, Reason> {
        let greeting = Greeting { hello, recipient: id(KEHL), held: Bytes::new() };
        let answer = self.exchange(KEHL).road.greet(&id(STRASBOURG), greeting).await;
        answer.map(|answer| answer.held).map_err(|error| error.reason())
    }

    /// Strasbourg is greeted by Kehl, which shows it this.
    async fn strasbourg_is_shown(&self, held: Bytes) -> Incarnation {
        let hello = self.hello(KEHL, STRASBOURG, 1 << 42);
        let greeting = Greeting { hello, recipient: id(STRASBOURG), held };
        self.exchange(STRASBOURG).road.greet(&id(KEHL), greeting).await.unwrap();
        self.exchange(STRASBOURG).incarnation()
    }

    async fn arrives(&self, from: &str, to: &str) {
        let record = self.publish(from, &[to]).await.record_id;
        self.settle().await;
        // A node that lost everything is told the agreement anew, at the second attempt.
        self.clock.advance(Millis::minutes(1));
        self.settle().await;
        // And its operator confirms it.
        for name in [from, to] {
            self.confirm(name).await;
        }
        self.settle().await;
        let states = self.delivery(from, record).await;
        assert!(self.inbox(to).await.iter().any(|(_, found)| *found == record), "{from} to {to}: {states:?}");
    }
}

#[tokio::test]
async fn a_node_restored_below_what_its_partners_know_goes_on_above_it() {
    for silent in [STRASBOURG, KEHL] {
        let mut world = World::with_agreements().await;
        // Its clock was once far ahead when it was restored; then it was restored again, and had lost its old disk.
        world.start(KEHL, AHEAD, None).await;
        world.arrives(STRASBOURG, KEHL).await;
        let position = world.inbox(KEHL).await.last().unwrap().0;
        world.start(KEHL, 2, None).await;
        // Whoever speaks first.
        if silent == KEHL {
            world.arrives(STRASBOURG, KEHL).await;
            assert!(world.inbox(KEHL).await.last().unwrap().0 > position, "no reader's cursor passes over it");
        } else {
            let id = StreamId { origin: id(KEHL), recipient: id(STRASBOURG), class: StreamClass::Control };
            assert_eq!(world.exchange(KEHL).road.greet_partner(id).await, None, "it answers");
        }
        assert!(world.exchange(KEHL).incarnation().0 > AHEAD);
        world.arrives(STRASBOURG, KEHL).await;
        world.arrives(KEHL, STRASBOURG).await;
    }
}

#[tokio::test]
async fn only_a_nodes_own_word_to_that_partner_brings_it_forward() {
    let world = World::with_agreements().await;
    let known = world.exchange(STRASBOURG).incarnation();
    for lie in [
        Bytes::from_static(b"no word"),
        world.hello(KEHL, STRASBOURG, AHEAD),
        world.hello(STRASBOURG, ESCH, AHEAD),
        world.hello(STRASBOURG, KEHL, known.0 + (1 << 44) + 1),
        world.hello(STRASBOURG, KEHL, u64::MAX),
    ] {
        assert_eq!(world.strasbourg_is_shown(lie).await, known);
    }
    let own = world.hello(STRASBOURG, KEHL, AHEAD);
    let begun = world.strasbourg_is_shown(own.clone()).await;
    assert!((AHEAD + 1..=AHEAD + (1 << 32)).contains(&begun.0), "above it, by what is drawn: {begun:?}");
    assert_eq!(world.strasbourg_is_shown(own).await, begun, "it never rises for the same word twice");
}

#[tokio::test]
async fn a_greeting_by_a_clock_that_is_ahead_gives_up_nothing() {
    let world = World::with_agreements().await;
    *world.line.fault.lock().unwrap() = Some(Reason::NodeStopping);
    let waits = world.publish(KEHL, &[STRASBOURG]).await.record_id;
    world.settle().await;
    world.clock.set(Millis::days(3_653));
    assert_eq!(world.kehl_hears(world.hello(STRASBOURG, KEHL, AHEAD)).await.unwrap(), Bytes::new());
    world.clock.set(Millis::days(-3_653));
    *world.line.fault.lock().unwrap() = None;
    let states = world.delivery(KEHL, waits).await;
    assert!(matches!(states[..], [(DeliveryState::Queued, _)]), "{states:?}");
}

#[tokio::test]
async fn what_a_thief_said_is_forgotten_with_the_withdrawn_key() {
    let world = World::with_agreements().await;
    assert_eq!(world.kehl_hears(world.hello(STRASBOURG, KEHL, AHEAD)).await.unwrap(), Bytes::new());
    let shown = world.kehl_hears(world.hello(STRASBOURG, KEHL, 9)).await.unwrap();
    assert!(!shown.is_empty());
    world.change_member(STRASBOURG, |member| member.keys[0].compromised = true);
    assert!(world.strasbourg_is_shown(shown).await.0 < AHEAD, "it does not believe it either");
    // Under its new key it begins where it is.
    let new = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    let listed = KeyRecord { key: new.public(), replaced_at: None, compromised: false };
    world.change_member(STRASBOURG, |member| member.keys.push(listed));
    let honest = world.hello_under(&new, STRASBOURG, KEHL, 9);
    assert_eq!(world.kehl_hears(honest).await.unwrap(), Bytes::new());
}

#[tokio::test]
async fn nobody_is_pushed_to_the_end_of_the_numbers() {
    let world = World::with_agreements().await;
    assert_eq!(world.kehl_hears(world.hello(STRASBOURG, KEHL, 1 << 53)).await, Err(Reason::IncarnationChanged));
    assert_eq!(world.kehl_hears(world.hello(STRASBOURG, KEHL, 5)).await, Ok(Bytes::new()));
    assert_eq!(world.kehl_hears(world.hello(STRASBOURG, KEHL, 6 + (1 << 44))).await, Err(Reason::IncarnationChanged));
    assert_eq!(world.kehl_hears(world.hello(STRASBOURG, KEHL, 5 + (1 << 44))).await, Ok(Bytes::new()));
}

/// Twelve times a second is what was seen; each time all that waits was numbered again.
#[tokio::test]
async fn an_incarnation_that_rises_on_and_on_has_what_waits_queued_again_a_few_times_and_then_in_its_turn() {
    let world = World::with_agreements().await;
    world.arrives(KEHL, STRASBOURG).await;
    *world.line.fault.lock().unwrap() = Some(Reason::NodeStopping);
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(world.publish(KEHL, &[STRASBOURG]).await.record_id);
    }
    world.settle().await;
    let (store, road) = (&world.node(KEHL).store, &world.exchange(KEHL).road);
    let waits =
        || async { store.streams_again().await.unwrap().iter().any(|stream| stream.recipient == id(STRASBOURG)) };
    let known = world.exchange(STRASBOURG).incarnation().0;
    let mut begun = 0;
    for step in 1..=20 {
        assert_eq!(
            world.kehl_hears(world.hello(STRASBOURG, KEHL, known + step)).await,
            Ok(Bytes::new()),
            "taken at once"
        );
        road.number_again_pass().await.unwrap();
        begun += u32::from(!waits().await);
    }
    assert!((1..=3).contains(&begun), "{begun} beginnings in a moment");
    world.clock.advance(Millis::minutes(5));
    for _ in 0..3 {
        road.number_again_pass().await.unwrap();
    }
    assert!(!waits().await, "its turn has come");
    for record in waiting {
        let states = world.delivery(KEHL, record).await;
        assert!(matches!(states[..], [(DeliveryState::Queued, _)]), "{states:?}");
    }
}
