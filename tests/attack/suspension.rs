//! The attacker suspended while it floods: how soon every node that is reached refuses it, and what is published for it.

use std::time::{Duration, Instant};

use havenlink::demo::acts::until;
use havenlink::demo::city::City;
use havenlink_tests::intruder::address_of;
use havenlink_tests::probe::Probe;
use havenlink_tests::road;

use crate::attacks::{Attack, Running};
use crate::scene::{Ordered, Scene};

/// From the operator's order on, whose answer may come later: it waits for the register.
const WITHIN: Duration = Duration::from_secs(1);
/// How long after it that is looked for.
const LOOKED_FOR: Duration = Duration::from_secs(2);
/// A flood gets under way.
const UNDER_WAY: Duration = Duration::from_millis(500);

/// Who tries at a node: Kehl's keys over a connection of their own, and the city's own software, which publishes for Kehl.
struct Tried<'a> {
    city: &'a City,
    greets: Probe,
    publishes: Probe,
}

impl<'a> Tried<'a> {
    async fn at(scene: &Scene, city: &'a City) -> anyhow::Result<Self> {
        let (target, id) = (scene.target.clone(), city.id());
        let channel = target.keys.channel(&address_of(city).await?)?;
        let greets = Probe::greeting(channel, move || target.keys.greeting_as(target.incarnation(), id));
        let publishes = Probe::publishing(city.publisher().await?, scene.attacker().id());
        publishes.succeeds(1).await?;
        greets.succeeds(1).await?;
        Ok(Self { city, greets, publishes })
    }

    /// After the order: the first refusal of what is published, and the last call and alert that were taken.
    fn times(&self, ordered: Instant) -> Times {
        let refused = |probe: &Probe| probe.first_refusal().map(|at| at.saturating_duration_since(ordered));
        let taken = |probe: &Probe| probe.last_success_since(ordered);
        Times {
            refused: refused(&self.publishes),
            greeting_refused: refused(&self.greets),
            taken: taken(&self.publishes).max(taken(&self.greets)),
        }
    }
}

struct Times {
    refused: Option<Duration>,
    greeting_refused: Option<Duration>,
    taken: Duration,
}

/// Suspends the attacker under an attack, and restores it afterwards; what is wrong with that.
///
/// # Errors
/// When nothing of it was taken before, when the order is not taken, or when it cannot be restored.
pub async fn under(scene: &Scene, attack: Attack) -> anyhow::Result<Vec<String>> {
    // Before anybody tries: it may suspend and restore once.
    let order = scene.made_ready(attack).await?;
    let mut tried = Vec::new();
    for city in scene.running() {
        tried.push(Tried::at(scene, city).await?);
    }
    let running = Running::start(attack, &scene.target)?;
    tokio::time::sleep(UNDER_WAY).await;
    let ordered = scene.suspend(order).await;
    tokio::time::sleep(LOOKED_FOR).await;
    running.stop().await;
    let Ordered { at: ordered, waited } = ordered?;
    let mut faults = Vec::new();
    for tried in tried {
        let (times, id) = (tried.times(ordered), tried.city.id());
        let flood = scene.target.last_taken().map(|at| at.saturating_duration_since(ordered)).unwrap_or_default();
        let taken = if id == scene.victim().id() { times.taken.max(flood) } else { times.taken };
        println!(
            "    suspended under {}: ordered in {waited:.2?}; {id} refuses after {:.2?}, by name at its peer port after {:.2?}; took the last call after {taken:.2?}",
            attack.name(),
            times.refused,
            times.greeting_refused
        );
        if times.refused.is_none_or(|refused| refused > WITHIN) {
            faults.push(format!("{id} refused what is published for a suspended member after {:.1?}", times.refused));
        }
        if taken > WITHIN {
            faults.push(format!("{id} took something of a suspended member {taken:.1?} after the order"));
        }
    }
    restore(scene).await?;
    Ok(faults)
}

/// Two stewards restore it; it is served again everywhere before anything else is played.
async fn restore(scene: &Scene) -> anyhow::Result<()> {
    scene.restore().await?;
    for city in scene.running() {
        until("what is published for a restored member is taken", || async {
            Ok(road::publish(city, scene.attacker()).await?.ok())
        })
        .await?;
        let (target, id) = (scene.target.clone(), city.id());
        let channel = target.keys.channel(&address_of(city).await?)?;
        let greets = Probe::greeting(channel, move || target.keys.greeting_as(target.incarnation(), id));
        greets.succeeds(1).await?;
    }
    Ok(())
}
