//! Rounds: an attack under way, honest traffic beside it, the node watched; again, if the machine was to blame.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::attacks::{Attack, BURNING, Running};
use crate::honest;
use crate::scene::Scene;
use crate::table::{self, Round};
use crate::watched::Watched;

/// Rounds of which one has to be good.
const ROUNDS: usize = 3;
/// An attack gets under way.
const UNDER_WAY: Duration = Duration::from_millis(300);
/// A suspended member's last call that was taken, after its suspension was ordered.
const SUSPENDED_WITHIN: Duration = Duration::from_secs(1);
/// A partner gets through to a node that was started anew so much later than without a flood, at most.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// How long after it that is looked for.
const LOOKED_FOR: Duration = Duration::from_secs(3);

/// Plays each attack so many times; what was not withstood.
///
/// # Errors
/// When a node is gone, or is reached by nobody.
pub async fn play(scene: &Scene, span: Duration, runs: usize, only: &[String]) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    table::head();
    let mut control = one(scene, Attack::Busy, span).await?;
    table::line(Attack::Busy.name(), &control, &control);
    let wanted = |attack: &&Attack| only.is_empty() || only.iter().any(|name| name == attack.name());
    for _ in 0..runs {
        for attack in Attack::ALL.iter().filter(wanted) {
            let mut missed = Vec::new();
            for tried in 0..ROUNDS {
                if tried > 0 {
                    control = one(scene, Attack::Busy, span).await?;
                    table::line(Attack::Busy.name(), &control, &control);
                }
                let round = one(scene, *attack, span).await?;
                table::line(attack.name(), &round, &control);
                missed = round.faults(&control);
                if missed.is_empty() {
                    break;
                }
                println!("    not good: {}", missed.join("; "));
            }
            faults.extend(missed.into_iter().map(|fault| format!("{}: {fault}", attack.name())));
        }
    }
    Ok(faults)
}

async fn one(scene: &Scene, attack: Attack, span: Duration) -> anyhow::Result<Round> {
    let watched = Watched::begin(scene.victim())?;
    let before = scene.target.calls();
    let running = Running::start(attack, &scene.target)?;
    tokio::time::sleep(UNDER_WAY).await;
    let honest = honest::publish(scene.victim(), scene.partner(), span).await;
    running.stop().await;
    let (honest, cost, calls) = (honest?, watched.end()?, scene.target.calls() - before);
    ensure!(attack != Attack::Busy || calls == BURNING, "an attack goes on although it was stopped");
    Ok(Round { calls, honest, cost })
}

/// Suspends the attacker while it floods; what is wrong with that.
///
/// # Errors
/// When nothing of it was taken before, or the order is not taken.
pub async fn suspend(scene: &Scene) -> anyhow::Result<Option<String>> {
    let running = Running::start(Attack::Suspended, &scene.target)?;
    let began = Instant::now();
    while scene.target.last_taken().is_none_or(|at| at < began) {
        ensure!(began.elapsed() < LOOKED_FOR * 3, "no greeting passes before the suspension");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ordered = Instant::now();
    let waited = scene.suspend().await?;
    tokio::time::sleep(LOOKED_FOR).await;
    running.stop().await;
    let last = scene.target.last_taken().unwrap_or(ordered).saturating_duration_since(ordered);
    println!(
        "suspended under a flood: the order took {waited:.1?}, the last call was taken {last:.1?} after it was given"
    );
    let late = last.saturating_sub(waited) > SUSPENDED_WITHIN;
    Ok(late.then(|| format!("a suspended member's call was taken {:.1?} after the order", last - waited)))
}

/// A partner's words come into a node that was started anew, while strangers hold every place for handshakes: nobody came to
/// it from anywhere yet. What is wrong with that.
///
/// # Errors
/// When they do not come at all.
pub async fn come_back(scene: &mut Scene) -> anyhow::Result<Option<String>> {
    let quiet = scene.come_back(false).await?;
    let before = scene.target.calls();
    let running = Running::start(Attack::HalfOpen, &scene.target)?;
    tokio::time::sleep(LOOKED_FOR).await;
    let flooded = scene.come_back(true).await;
    running.stop().await;
    let flooded = flooded?;
    println!(
        "started anew: a partner's words were there after {quiet:.1?}, and after {flooded:.1?} under {} half-open handshakes",
        scene.target.calls() - before
    );
    let late = flooded.saturating_sub(quiet) > BACK_WITHIN;
    Ok(late.then(|| format!("under half-open handshakes a partner came back {:.1?} later", flooded - quiet)))
}
