//! Rounds: an attack under way, honest traffic beside it, the nodes watched; again, if the machine was to blame.

use std::time::Duration;

use anyhow::ensure;

use crate::attacks::{Attack, BURNING, Running};
use crate::honest;
use crate::scene::Scene;
use crate::suspension;
use crate::table::{self, Round};
use crate::watched::{Watched, resident};
use crate::withdrawal;

/// How often what has to be good once is played at most; what has to be good several times in a row, so many times as often.
const ROUNDS: usize = 3;
/// An attack gets under way.
const UNDER_WAY: Duration = Duration::from_millis(300);
/// A partner gets through to a node that was started anew so much later than without a flood, at most.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// How long after it that is looked for.
const LOOKED_FOR: Duration = Duration::from_secs(3);

/// The measure of each round: the node without an attack, and the control that was played last.
struct Beside {
    quiet: Round,
    control: Round,
}

/// Plays each attack until it was withstood so many times in a row; where it has to be more than once, a suspension under it as well,
/// and a withdrawal; then both of them under everything. What was not withstood.
///
/// # Errors
/// When a node is gone, or is reached by nobody.
pub async fn play(scene: &Scene, span: Duration, runs: usize, only: &[String]) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    table::head();
    let quiet = one(scene, Attack::Quiet, span).await?;
    table::line(Attack::Quiet.name(), &quiet, &quiet);
    let control = controlled(scene, span).await?;
    let mut beside = Beside { quiet, control };
    let held = resident(scene.victim())?;
    let wanted = |attack: &&Attack| only.is_empty() || only.iter().any(|name| name == attack.name());
    for attack in Attack::ALL.iter().copied().filter(|attack| wanted(&attack)) {
        let missed = in_a_row(runs, async |again| {
            if again {
                beside.control = controlled(scene, span).await?;
            }
            let round = one(scene, attack, span).await?;
            table::line(attack.name(), &round, &beside.control);
            Ok(round.faults(attack, &beside.control, &beside.quiet))
        });
        let mut missed = missed.await?;
        if runs > 1 || attack == Attack::Everything {
            missed.extend(in_a_row(runs, async |_| suspension::under(scene, attack).await).await?);
            missed.extend(in_a_row(runs, async |_| withdrawal::under(scene, attack).await).await?);
        }
        faults.extend(missed.into_iter().map(|fault| format!("{}: {fault}", attack.name())));
    }
    let grown = resident(scene.victim())?.saturating_sub(held);
    println!("over all rounds: {:.1} MiB more memory", grown as f64 / f64::from(1 << 20));
    if grown > table::MEMORY {
        faults.push(format!("over all rounds: {} MiB more memory", grown >> 20));
    }
    Ok(faults)
}

/// Plays until it was good so many times in a row; each time that was not begins the count anew. What was wrong the last time, if there
/// was no such row.
async fn in_a_row(
    times: usize,
    mut play: impl AsyncFnMut(bool) -> anyhow::Result<Vec<String>>,
) -> anyhow::Result<Vec<String>> {
    let (mut good, mut missed) = (0, Vec::new());
    for _ in 0..ROUNDS * times {
        let wrong = play(!missed.is_empty()).await?;
        if wrong.is_empty() {
            good += 1;
            if good == times {
                return Ok(Vec::new());
            }
        } else {
            let anew =
                if times > 1 { format!(": {good} of {times} in a row, the count begins anew") } else { String::new() };
            println!("    not good{anew}: {}", wrong.join("; "));
            good = 0;
        }
        missed = wrong;
    }
    Ok(if missed.is_empty() { vec![format!("never good {times} times in a row")] } else { missed })
}

async fn controlled(scene: &Scene, span: Duration) -> anyhow::Result<Round> {
    let control = one(scene, Attack::Busy, span).await?;
    table::line(Attack::Busy.name(), &control, &control);
    Ok(control)
}

async fn one(scene: &Scene, attack: Attack, span: Duration) -> anyhow::Result<Round> {
    let [victim, partner] = scene.running();
    let watched = [Watched::begin(victim)?, Watched::begin(partner)?];
    let before = scene.target.calls();
    let running = Running::start(attack, &scene.target)?;
    tokio::time::sleep(UNDER_WAY).await;
    let honest = async {
        let publisher = scene.publisher(attack.honest_over_tls()).await?;
        let publishing = honest::publish(publisher, partner.id(), span);
        let (honest, silent) = tokio::join!(publishing, honest::watch(scene.target.http, span));
        anyhow::Ok((honest?, silent))
    };
    let honest = honest.await;
    running.stop().await;
    let ((honest, silent), calls) = (honest?, scene.target.calls() - before);
    ensure!(attack != Attack::Busy || calls == BURNING, "an attack goes on although it was stopped");
    let [victim, partner] = watched;
    Ok(Round { calls, honest, silent, costs: [victim.end()?, partner.end()?] })
}

/// A partner's words come into a node that was started anew, while strangers hold every place for handshakes: nobody came to
/// it from anywhere yet. What is wrong with that, each time that it was played.
///
/// # Errors
/// When they do not come at all.
pub async fn come_back(scene: &mut Scene) -> anyhow::Result<Vec<String>> {
    let mut missed = Vec::new();
    for _ in 0..ROUNDS {
        let Some(late) = came_back_late(scene).await? else { return Ok(Vec::new()) };
        println!("    not good: {late}");
        missed.push(late);
    }
    Ok(missed)
}

async fn came_back_late(scene: &mut Scene) -> anyhow::Result<Option<String>> {
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
    let later = flooded.saturating_sub(quiet);
    Ok((later > BACK_WITHIN).then(|| format!("under half-open handshakes a partner came back {later:.1?} later")))
}
