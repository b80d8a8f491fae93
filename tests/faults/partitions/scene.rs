//! The run itself: callers on, one fault after the other, callers off, everybody together.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use havenlink::domain::ids::Digest;
use havenlink_tests::chance::Chance;
use havenlink_tests::federation::Federation;
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinSet;

use crate::Arguments;
use crate::faults::{Blow, Cast, KINDS};
use crate::load::{self, Load, Writer, locked};
use crate::network::Network;
use crate::report::Episode;

/// Time for all replicas to come to one number after the last fault.
const TOGETHER: Duration = Duration::from_secs(120);

/// The federation and everything around it. Fields are dropped in this order: nodes before their network.
pub struct Scene {
    pub federation: Federation,
    pub network: Network,
    pub load: Arc<Load>,
    pub stewards: usize,
}

impl Scene {
    /// Plays faults against load, waits until all replicas are at one number, and judges.
    ///
    /// # Errors
    /// Violations, or a step that could not be made.
    pub async fn play(
        &mut self,
        arguments: &Arguments,
        writers: Vec<Writer>,
        chance: &mut Chance,
    ) -> anyhow::Result<()> {
        let ids: Vec<String> = writers.iter().map(|writer| writer.author.id.clone()).collect();
        let (mut callers, mut followers) = (JoinSet::new(), JoinSet::new());
        for place in 0..self.federation.cities.len() {
            followers.spawn(load::follow(self.load.clone(), place, ids[0].clone()));
            callers.spawn(load::look(self.load.clone(), place, ids[0].clone()));
        }
        for writer in writers {
            callers.spawn(writer.run(self.load.clone(), Duration::from_millis(arguments.rest)));
        }
        for place in 0..self.federation.cities.len() {
            for patient in [false, true] {
                let chance = Chance::new(chance.below(u64::MAX));
                callers.spawn(load::read(self.load.clone(), place, ids.clone(), chance, patient));
            }
        }
        let (began, term) = (self.load.now(), self.load.term.load(Ordering::Relaxed));
        let episodes = self.faults(arguments, chance).await?;
        self.goes_on().await;
        let ended = self.load.now();
        self.load.end();
        while callers.join_next().await.is_some() {}
        let together = self.together(&ids[0]).await;
        followers.abort_all();
        self.summary(&episodes, began, ended, term);
        let (last, _) = together?;
        println!("all {} replicas stand at change {last} with one head", self.federation.cities.len());
        self.judge(&episodes, ended)
    }

    /// Waits for an acknowledgement after the last fault; when there is none for long, the judgement says so.
    async fn goes_on(&self) {
        let (from, patience) = (self.load.now(), Instant::now() + Duration::from_secs(20));
        while self.acknowledged().last().is_none_or(|last| *last < from) && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// One fault after the other, a little calm between them.
    async fn faults(&mut self, arguments: &Arguments, chance: &mut Chance) -> anyhow::Result<Vec<Episode>> {
        let kinds: Vec<usize> = (0..KINDS.len()).filter(|kind| KINDS[*kind].contains(&arguments.only)).collect();
        ensure!(!kinds.is_empty(), "no kind of fault is called so");
        let end = Instant::now() + Duration::from_secs(arguments.seconds);
        let mut deck = Vec::new();
        let mut episodes: Vec<Episode> = Vec::new();
        tokio::time::sleep(Duration::from_secs(2)).await;
        while Instant::now() < end {
            if deck.is_empty() {
                deck.clone_from(&kinds);
            }
            let kind = deck.swap_remove(usize::try_from(chance.below(deck.len() as u64))?);
            let cast =
                Cast { stewards: self.stewards, members: self.federation.cities.len(), leader: self.leader().await };
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
            let blow = cast.blow(kind, Duration::from_secs(arguments.longest).min(left), chance);
            let began = self.load.now();
            if let Some(last) = episodes.last_mut() {
                last.until = began;
            }
            let leader = self.federation.cities[cast.leader].id();
            self.strike(&blow).await?;
            let healed = self.load.now();
            let excused = began + u64::try_from(blow.excused().as_micros())?;
            tokio::time::sleep(Duration::from_millis(2_000 + chance.below(3_000))).await;
            let episode = Episode { kind, began, healed, excused, until: self.load.now() };
            self.say(&blow, &episode, leader);
            episodes.push(episode);
        }
        Ok(episodes)
    }

    fn say(&self, blow: &Blow, episode: &Episode, leader: &str) {
        let names: Vec<&str> = self.federation.cities.iter().map(|city| city.id()).collect();
        let cost = episode.cost(&self.acknowledged());
        println!(
            "{:>6.1} s  {} (leader {leader}; {}) for {:.1} s: {} writes, longest gap {:.2} s, {:.2} s after healing",
            episode.began as f64 / 1e6,
            KINDS[blow.kind],
            blow.whom(&names),
            blow.lasts.as_secs_f64(),
            cost.acknowledged,
            cost.longest as f64 / 1e6,
            cost.after as f64 / 1e6,
        );
    }

    /// When statements were acknowledged, in order.
    pub fn acknowledged(&self) -> Vec<u64> {
        let mut times: Vec<u64> = locked(&self.load.history).writes.iter().map(|write| write.span.ended).collect();
        times.sort_unstable();
        times
    }

    /// The steward that says that it leads; of several the one that has come furthest, of none the first.
    async fn leader(&self) -> usize {
        let mut leader = (0, 0);
        for (place, city) in self.federation.cities[..self.stewards].iter().enumerate() {
            if let Ok(Ok(status)) = tokio::time::timeout(Duration::from_secs(1), city.status()).await
                && status.leader
                && status.register_number >= leader.1
            {
                leader = (place, status.register_number);
            }
        }
        leader.0
    }

    async fn strike(&mut self, blow: &Blow) -> anyhow::Result<()> {
        let healed = tokio::time::Instant::now() + blow.lasts;
        let again = tokio::time::Instant::now() + blow.again;
        self.network.cut(blow.cut.clone())?;
        for place in &blow.stop {
            self.signal(*place, Signal::STOP)?;
        }
        for place in &blow.kill {
            self.federation.cities[*place].kill().await?;
        }
        tokio::time::sleep_until(again).await;
        for place in &blow.kill {
            self.federation.cities[*place].start()?;
        }
        tokio::time::sleep_until(healed).await;
        for place in &blow.stop {
            self.signal(*place, Signal::CONT)?;
        }
        self.network.cut(Default::default())
    }

    fn signal(&self, place: usize, signal: Signal) -> anyhow::Result<()> {
        let id = self.federation.cities[place].pid().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(kill_process(id.context("a node that runs")?, signal)?)
    }

    /// Waits until every replica shows one number with one head, and has told of it.
    async fn together(&mut self, authority: &str) -> anyhow::Result<(u64, Digest)> {
        let deadline = Instant::now() + TOGETHER;
        loop {
            let mut views = Vec::new();
            for place in 0..self.federation.cities.len() {
                let seen = self.load.view(place, authority).await;
                views.push((seen, locked(&self.load.ledger).reached(place)));
            }
            let first = views[0].0.unwrap_or((0, Digest([0; 32])));
            if first.0 > 0 && views.iter().all(|(seen, told)| *seen == Some(first) && *told == first) {
                return Ok(first);
            }
            if Instant::now() > deadline {
                let stand: Vec<String> = self
                    .federation
                    .cities
                    .iter()
                    .zip(&views)
                    .map(|(city, (seen, told))| {
                        let shown = seen.map_or("nothing".to_owned(), |(number, head)| format!("{number} {head}"));
                        format!("{}: shows {shown}, told {} {}", city.id(), told.0, told.1)
                    })
                    .collect();
                bail!("the replicas did not come together in {TOGETHER:?}:\n{}", stand.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
