//! A person withdraws under an attack: how soon the city's partner has erased what it was told, and signed that it has.

use std::time::{Duration, Instant};

use havenlink::demo::acts::referring;

use crate::attacks::{Attack, Running};
use crate::scene::Scene;

/// From the withdrawal to the partner's signed receipt at the city where she withdrew.
const WITHIN: Duration = Duration::from_secs(10);
/// A flood gets under way.
const UNDER_WAY: Duration = Duration::from_millis(500);

/// Has a person referred to the partner, and her withdrawal go out under an attack; what is wrong with that.
///
/// # Errors
/// When she cannot be referred, or the partner does not answer at all.
pub async fn under(scene: &Scene, attack: Attack) -> anyhow::Result<Vec<String>> {
    let [city, partner] = scene.running();
    let case = scene.next_case();
    referring::give(city, &case, &[partner.id()]).await?;
    let record = referring::refer(city, &case, partner.id()).await?;
    referring::received(partner, city.id(), &record).await?;
    let running = Running::start(attack, &scene.target)?;
    tokio::time::sleep(UNDER_WAY).await;
    let began = Instant::now();
    let erased = async {
        referring::withdraw(city, &case).await?;
        referring::erased(city, &record).await
    };
    let erased = erased.await;
    let took = began.elapsed();
    running.stop().await;
    erased?;
    println!("    withdrawn under {}: {} has signed that it is erased after {took:.2?}", attack.name(), partner.id());
    Ok((took > WITHIN).then(|| format!("a withdrawal took {took:.1?} to be answered")).into_iter().collect())
}
