//! How fast the register writes, with everything but TLS: `cargo test --release -p havenlink --lib speed -- --ignored
//! --nocapture`. The figures that count are the bench's; this one is for a profiler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::cities::{Federation, nonce};
use crate::Directory;
use crate::domain::authority::AuthorityEntry;
use crate::domain::directory::Policy;
use crate::domain::ids::{AuthorityId, Digest};
use crate::domain::register::Outcome;
use crate::domain::time::UnixMs;
use crate::statements::{Author, Invited};
use crate::tests::{ESCH, KEHL, STRASBOURG, entry, id, new_key, proved};
use crate::wire::keys::SigningKey;

const SPAN: Duration = Duration::from_secs(5);

/// CPU time of this process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

struct Writer {
    authority: AuthorityId,
    key: Arc<SigningKey>,
    entry: AuthorityEntry,
    version: u64,
    at: Directory,
}

impl Writer {
    /// The next change of its own entry. The version is known: nobody else changes it.
    async fn write(&mut self) {
        let state = self.at.state();
        let author = Author { authority: &self.authority, key: &self.key, now: UnixMs(0), nonce: nonce() };
        self.entry.networks = vec![format!("n{}", self.version % 97)];
        let (federation, rules) = (state.federation(), state.policy().rules_version);
        let own = author.application(&federation, rules, self.version, &self.entry);
        let proposed = self.at.propose(own.signed).await.unwrap();
        assert_eq!(proposed.outcome, Outcome::Accepted, "version {}", self.version);
        self.version += 1;
    }
}

async fn writers(federation: &Federation, what: &str, count: usize, stewards: &[&str]) -> Vec<Writer> {
    let mut writers = Vec::new();
    for n in 0..count {
        let authority = id(&format!("fr-{}-{n}", what.replace(' ', "-")));
        let key = new_key();
        let state = federation.at(STRASBOURG).state();
        let entry = proved(&state.federation(), entry(authority.as_str(), &key, 0));
        let author = Author { authority: &authority, key: &key, now: UnixMs(0), nonce: nonce() };
        let application = author.application(&state.federation(), state.policy().rules_version, 0, &entry);
        let invited = Invited { by: id(STRASBOURG), invitation: None, words: Some(Digest([7; 32])) };
        let outcome = federation.decide(|a, s| a.admit(s, &authority, application, &invited)).await;
        assert_eq!(outcome, Outcome::Accepted);
        let version = federation.at(STRASBOURG).state().entry_version(&authority);
        let at = federation.at(stewards[n % stewards.len()]).clone();
        writers.push(Writer { authority, key, entry, version, at });
    }
    writers
}

async fn run(writers: Vec<Writer>, span: Duration) -> (f64, Duration, Duration) {
    let written = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut tasks = Vec::new();
    for mut writer in writers {
        let written = Arc::clone(&written);
        tasks.push(tokio::spawn(async move {
            let mut times = Vec::new();
            while started.elapsed() < span {
                let begun = Instant::now();
                writer.write().await;
                times.push(begun.elapsed());
                written.fetch_add(1, Ordering::Relaxed);
            }
            times
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    times.sort_unstable();
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    (rate, times[times.len() / 2], times[times.len() * 99 / 100])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints rates and asserts nothing: run it by hand with --ignored --nocapture; havenlink-bench has the gate"]
async fn speed_of_register_writes() {
    const THREE: &[&str] = &[STRASBOURG, KEHL, ESCH];
    let policy = Policy { admission_approvals: 1, ..Policy::default() };
    let federation = Federation::of(THREE, &[], &policy).await;
    let leader = federation.leader().await;
    for (what, count, at) in
        [("1 at the leader", 1, vec![leader.as_str()]), ("1 anywhere", 1, vec![KEHL]), ("64", 64, THREE.to_vec())]
    {
        let writers = writers(&federation, what, count, &at).await;
        let before = cpu();
        let (rate, half, most) = run(writers, SPAN).await;
        let each = (cpu() - before).as_secs_f64() / (rate * SPAN.as_secs_f64());
        println!("{what:>16}: {rate:>8.0}/s  p50 {half:>10.1?}  p99 {most:>10.1?}  CPU {:.0} µs each", each * 1e6);
    }
}
