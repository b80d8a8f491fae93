//! Three cities: Strasbourg refers persons to Kehl and Esch, and they withdraw while nodes are killed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use havenlink::clock::SystemClock;
use havenlink::demo::acts::{referring, request_id};
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink::demo::stage::Stage;
use havenlink::domain::ids::{AuthorityId, RecordId};
use havenlink::domain::record::RecordKey;
use havenlink::storage::Store;
use havenlink::storage::sqlite::{Options, STORE_FILE, SqliteStore};
use havenlink_proto::local::v1::{DisclosureState, ListErasuresRequest, SendReferralRequest};
use havenlink_proto::record::v1::{Purpose, RecordStatus, Referral};
use havenlink_tests::chance::Chance;
use havenlink_tests::federation::Federation;
use tempfile::TempDir;

use crate::scan::CALLBACK;

/// Between two looks at what the partners have answered.
const LOOK: Duration = Duration::from_millis(20);
/// Two kills are at most this far apart.
const LONGEST: u64 = 400;
/// Until all have answered.
const PATIENCE: Duration = Duration::from_secs(180);

/// One person's referral.
pub struct Sent {
    case: String,
    record: RecordId,
    /// Place of its recipient among the cities.
    recipient: usize,
}

pub struct Scene {
    federation: Federation,
}

impl Scene {
    /// Founds it, and has Strasbourg agree on referrals with both.
    ///
    /// # Errors
    /// When a step does not go as it should.
    pub async fn found(binary: &Path) -> anyhow::Result<Self> {
        let federation = Federation::found_with(binary, 3, 1, "", &[]).await?;
        let [origin, others @ ..] = &federation.cities[..] else { anyhow::bail!("three cities") };
        for other in others {
            referring::agree(&mut Stage::silent(), origin, other).await?;
        }
        Ok(Self { federation })
    }

    pub fn keep(&mut self) -> &Path {
        self.federation.keep()
    }

    pub async fn close(&mut self) -> anyhow::Result<()> {
        for city in &mut self.federation.cities {
            city.stop().await?;
        }
        Ok(())
    }

    /// What a node may leave anything in: data, log, sockets.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.federation.cities.iter().map(|city| city.dir.clone()).collect()
    }

    /// The data directories, with the keys of today.
    pub fn keys(&self) -> Vec<PathBuf> {
        self.federation.cities.iter().map(|city| city.dir.join("data")).collect()
    }

    /// Refers so many persons, in turn to one and to the other; all have arrived.
    pub async fn refer(&self, referrals: usize) -> anyhow::Result<Vec<Sent>> {
        let origin = &self.federation.cities[0];
        let mut all = Vec::with_capacity(referrals);
        for number in 0..referrals {
            let (case, recipient) = (format!("SB-2026/{number:04}"), 1 + number % 2);
            let to = self.federation.cities[recipient].id();
            referring::give(origin, &case, &[to]).await?;
            let referral = Referral { callback_phone: format!("{CALLBACK}{number:04}"), ..sample::referral() };
            let request = SendReferralRequest {
                request_id: request_id(),
                case_reference: case.clone(),
                recipient: to.to_owned(),
                purpose: Purpose::Assistance.into(),
                status: RecordStatus::Exercise.into(),
                referral: Some(referral),
                ..Default::default()
            };
            let record = origin.referrals().await?.send_referral(request).await?.into_inner().record_id;
            referring::received(&self.federation.cities[recipient], origin.id(), &record).await?;
            let record = RecordId::from_slice(&record).context("an id")?;
            all.push(Sent { case, record, recipient });
        }
        Ok(all)
    }

    /// A copy of each data directory, taken while no node runs; they run again.
    pub async fn copied(&mut self) -> anyhow::Result<Vec<TempDir>> {
        let mut copies = Vec::new();
        for city in &mut self.federation.cities {
            city.stop().await?;
        }
        for city in &self.federation.cities {
            let copy = tempfile::tempdir()?;
            copy_files(&city.dir.join("data"), copy.path(), |_| true)?;
            copies.push(copy);
        }
        for city in &mut self.federation.cities {
            city.start()?;
        }
        for city in &mut self.federation.cities {
            city.ready().await?;
        }
        Ok(copies)
    }

    /// How many of the referrals open from copies of the data directories, at the origin and at their recipients; with other keys
    /// than those that were copied, if any are given.
    pub async fn opened(&self, copies: &[TempDir], keys: Option<&[PathBuf]>, sent: &[Sent]) -> anyhow::Result<usize> {
        let origin = AuthorityId::parse(self.federation.cities[0].id()).context("an id")?;
        let mut opened = 0;
        for (place, copy) in copies.iter().enumerate() {
            let scratch = tempfile::tempdir()?;
            copy_files(copy.path(), scratch.path(), |name| keys.is_none() || name.starts_with(STORE_FILE))?;
            if let Some(keys) = keys {
                copy_files(&keys[place], scratch.path(), |name| !name.starts_with(STORE_FILE))?;
            }
            let now = Arc::new(|| SystemClock::shared().now());
            let store = SqliteStore::open(scratch.path(), Options { ballast_bytes: 0, ..Options::new(now) }).await?;
            for Sent { record, recipient, .. } in sent {
                let key = RecordKey { origin: origin.clone(), record_id: *record };
                let here = match place {
                    0 => store.publication(key).await?.is_some(),
                    place => place == *recipient && store.inbox_record(key).await?.is_some(),
                };
                opened += usize::from(here);
            }
            store.close().await;
        }
        Ok(opened)
    }

    /// All withdraw, one after the other, while nodes are killed; how long each waited for a signed DONE.
    pub async fn withdraw(
        &mut self,
        sent: &[Sent],
        kills: usize,
        chance: &mut Chance,
    ) -> anyhow::Result<Vec<Duration>> {
        let mut asked: HashMap<RecordId, Instant> = HashMap::new();
        let mut took: HashMap<RecordId, Duration> = HashMap::new();
        let (mut left, mut next) = (kills, Instant::now());
        let end = Instant::now() + PATIENCE;
        let mut waiting = sent.iter();
        let mut current = waiting.next();
        while took.len() < sent.len() || left > 0 {
            ensure!(Instant::now() < end, "{} of {} have answered", took.len(), sent.len());
            if left > 0 && Instant::now() >= next {
                self.kill_one(chance).await?;
                (left, next) = (left - 1, Instant::now() + Duration::from_millis(chance.below(LONGEST)));
            }
            let origin = &self.federation.cities[0];
            if let Some(Sent { case, record, .. }) = current {
                asked.entry(*record).or_insert_with(Instant::now);
                // Asked again where the node was killed: it counts from the first time.
                if referring::withdraw(origin, case).await.is_ok() {
                    current = waiting.next();
                }
            } else {
                tokio::time::sleep(LOOK).await;
            }
            for record in answered(origin).await.unwrap_or_default() {
                if let Some(began) = asked.get(&record) {
                    took.entry(record).or_insert_with(|| began.elapsed());
                }
            }
        }
        for city in &mut self.federation.cities {
            city.ready().await?;
        }
        Ok(took.into_values().collect())
    }

    async fn kill_one(&mut self, chance: &mut Chance) -> anyhow::Result<()> {
        let place = usize::try_from(chance.below(self.federation.cities.len() as u64))?;
        let city = &mut self.federation.cities[place];
        city.kill().await?;
        city.start()
    }
}

/// What its recipient has signed DONE for.
async fn answered(origin: &City) -> anyhow::Result<Vec<RecordId>> {
    let rows = origin.referrals().await?.list_erasures(ListErasuresRequest {}).await?.into_inner().erasures;
    let done = rows.iter().filter(|row| row.state() == DisclosureState::Done && !row.receipt.is_empty());
    Ok(done.filter_map(|row| RecordId::from_slice(&row.record_id)).collect())
}

/// The files of a folder, without what is in folders of it.
fn copy_files(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_file() && name.to_str().is_some_and(&wanted) {
            std::fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}
