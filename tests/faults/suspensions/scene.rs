//! A federation to suspend members in: three stewards, then those who are suspended, then their partner, a mirror.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use havenlink::clock::SystemClock;
use havenlink::demo::acts::{request_id, until};
use havenlink::demo::city::City;
use havenlink_proto::admin::v1::{NodeState, SuspendMemberRequest};
use havenlink_proto::directory::v1::SuspendReason;
use havenlink_tests::federation::Federation;
use havenlink_tests::intruder::{Intruder, address_of};
use havenlink_tests::probe::Probe;
use havenlink_tests::restored::restored;
use havenlink_tests::road;

use crate::Situation;
use crate::measure::Row;

/// The first cities keep the register.
pub const STEWARDS: usize = 3;
/// How long nothing moves before an order that comes to a pooled connection.
const QUIET: Duration = Duration::from_millis(500);

pub struct Scene {
    federation: Federation,
    partner: usize,
}

impl Scene {
    /// Founds one, and lets each target agree with the partner.
    pub async fn found(binary: &Path, targets: usize) -> anyhow::Result<Self> {
        let partner = STEWARDS + targets;
        let federation = Federation::found_with(binary, partner + 1, STEWARDS, "", &[]).await?;
        for target in STEWARDS..partner {
            federation.agree(target, partner).await?;
            road::passes(&federation.cities[target], &federation.cities[partner]).await?;
            road::passes(&federation.cities[partner], &federation.cities[target]).await?;
        }
        Ok(Self { federation, partner })
    }

    fn city(&self, number: usize) -> &City {
        &self.federation.cities[number]
    }

    /// Suspends so many targets, one after the other, by one steward; then restores them all.
    pub async fn batch(
        &mut self,
        situation: Situation,
        steward: usize,
        targets: usize,
        after: Duration,
    ) -> anyhow::Result<Vec<Row>> {
        let others: Vec<usize> = (0..STEWARDS).filter(|other| *other != steward).collect();
        if situation == Situation::QuorumDown {
            for other in &others {
                self.federation.cities[*other].kill().await?;
            }
        }
        let mut rows = Vec::new();
        for target in STEWARDS..STEWARDS + targets {
            let row = self.suspend(situation, steward, target, after).await;
            rows.push(row.with_context(|| format!("{situation:?}, {}", self.city(target).id()))?);
        }
        if situation == Situation::QuorumDown {
            for other in &others {
                self.federation.cities[*other].start()?;
            }
            for other in &others {
                self.federation.cities[*other].ready().await?;
            }
        }
        for target in STEWARDS..STEWARDS + targets {
            let restored = self.restore(steward, others[0], target).await;
            restored.with_context(|| format!("{situation:?}, {} restored", self.city(target).id()))?;
        }
        Ok(rows)
    }

    async fn suspend(
        &self,
        situation: Situation,
        steward: usize,
        target: usize,
        after: Duration,
    ) -> anyhow::Result<Row> {
        let (steward, target, partner) = (self.city(steward), self.city(target), self.city(self.partner));
        let keys = Arc::new(Intruder::with_keys_of(target).await?);
        let (door, channel) = (address_of(partner).await?, keys.channel(&address_of(partner).await?)?);
        let (mut streams, mut probes) = (Vec::new(), Vec::new());
        match situation {
            Situation::Streaming => {
                streams.push(Probe::reading(partner, target.id()).await?);
                streams.push(Probe::reading(target, partner.id()).await?);
                // The target's own node: it refuses its own software as soon as it knows.
                probes.push(Probe::publishing(target.publisher().await?, partner.id()));
                probes.push(Probe::publishing(partner.publisher().await?, target.id()));
                probes.push(Probe::over(keys.clone(), channel.clone(), partner.id()));
                for probe in streams.iter().chain(&probes) {
                    probe.succeeds(20).await?;
                }
            }
            Situation::Pooled | Situation::QuorumDown => {
                Probe::over(keys.clone(), channel.clone(), partner.id()).succeeds(1).await?;
                tokio::time::sleep(QUIET).await;
            }
            Situation::Idle => Probe::dialling(keys.clone(), door.clone(), partner.id()).succeeds(1).await?,
        }
        let (mut operator, publisher) = (steward.members().await?, partner.publisher().await?);
        let started = Instant::now();
        if situation != Situation::Streaming {
            probes.push(match situation {
                Situation::Idle => Probe::dialling(keys, door, partner.id()),
                _ => Probe::over(keys, channel, partner.id()),
            });
            probes.push(Probe::publishing(publisher, target.id()));
        }
        let order = SuspendMemberRequest {
            request_id: request_id(),
            authority: target.id().to_owned(),
            reason: SuspendReason::NodeCompromised.into(),
            lasting: false,
        };
        let answer = operator.suspend_member(order).await?.into_inner().decision.unwrap_or_default();
        let order = started.elapsed();
        ensure!(answer.overlay, "not in force at once: {answer:?}");
        for probe in &probes {
            probe.refused().await?;
        }
        // Both nodes have refused by now. What was on its way then is judged by when they took it up, on this very clock.
        let refused = SystemClock::shared().now();
        tokio::time::sleep(after).await;
        let at_partner = |towards: bool| {
            let inward = |place: usize| (place % 2 == 1) == towards;
            let all = streams.iter().enumerate().chain(probes.iter().enumerate());
            all.filter(|(place, _)| inward(*place)).map(|(_, probe)| probe.last_success_since(started)).max()
        };
        Ok(Row {
            target: target.id(),
            order,
            calls: at_partner(false).unwrap_or_default(),
            towards: at_partner(true).unwrap_or_default(),
            after_refusal: probes.iter().map(Probe::after_refusal).sum::<usize>()
                + streams.iter().map(|stream| stream.received_since(refused)).sum::<usize>(),
        })
    }

    /// As operators do: one proposes, another one approves; then both ways are open again.
    async fn restore(&self, first: usize, second: usize, target: usize) -> anyhow::Result<()> {
        let (member, partner) = (self.city(target), self.city(self.partner));
        restored(self.city(first), self.city(second), member.id()).await?;
        let back = until("the member knows that it is in again", || async {
            Ok(Some(member.status().await?).filter(|status| status.state() == NodeState::Ready))
        });
        if let Err(error) = back.await {
            let (at_member, at_steward) = (member.status().await?, self.city(first).status().await?);
            anyhow::bail!("{error:#}\nat the member {at_member:?}\nat a steward {at_steward:?}");
        }
        road::passes(member, partner).await.context("after the restore, from the member")?;
        road::passes(partner, member).await.context("after the restore, towards the member")
    }

    /// Keeps the folder, with what every node stored and logged.
    pub fn keep(&mut self) -> &Path {
        self.federation.keep()
    }

    /// Ends all nodes.
    pub async fn close(mut self) -> anyhow::Result<()> {
        for city in &mut self.federation.cities {
            city.stop().await?;
        }
        Ok(())
    }
}
