//! Closed and open loops, latencies, and what a process costs.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;

/// What one loop gave.
#[derive(Clone, Debug, Serialize)]
pub struct Loop {
    pub in_flight: usize,
    pub per_second: f64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub operations: usize,
    pub errors: usize,
}

/// `callers` tasks, each with one operation in flight, for `span`. `make` gives each caller its operation.
pub async fn closed<Make, Op, Fut>(callers: usize, span: Duration, make: Make) -> anyhow::Result<Loop>
where
    Make: Fn(usize) -> Op,
    Op: FnMut() -> Fut + Send + 'static,
    Fut: Future<Output = anyhow::Result<()>> + Send,
{
    let (stop, told) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for caller in 0..callers {
        let (mut operation, stop, told) = (make(caller), stop.clone(), told.clone());
        tasks.spawn(async move {
            let (mut latencies, mut errors) = (Vec::new(), 0_usize);
            while !stop.load(Ordering::Relaxed) {
                let begun = Instant::now();
                match operation().await {
                    Ok(()) => latencies.push(micros(begun.elapsed())),
                    Err(e) => {
                        if !told.swap(true, Ordering::Relaxed) {
                            eprintln!("    an operation failed: {e:#}");
                        }
                        errors += 1;
                        if errors > 1_000 {
                            break;
                        }
                    }
                }
            }
            (latencies, errors)
        });
    }
    tokio::time::sleep_until(tokio::time::Instant::from_std(started + span)).await;
    stop.store(true, Ordering::Relaxed);
    collect(tasks, callers, started).await
}

/// `rate` operations a second start on a schedule, whether the earlier ones have ended or not (no coordinated omission:
/// latency counts from the scheduled start).
pub async fn open<Make, Op, Fut>(rate: f64, span: Duration, lanes: usize, make: Make) -> anyhow::Result<Loop>
where
    Make: Fn(usize) -> Op,
    Op: FnMut() -> Fut + Send + 'static,
    Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    let every = Duration::from_secs_f64(lanes as f64 / rate);
    for lane in 0..lanes {
        let mut operation = make(lane);
        let offset = every.mul_f64(lane as f64 / lanes as f64);
        tasks.spawn(async move {
            let mut running = JoinSet::new();
            let mut due = started + offset;
            while due < started + span {
                tokio::time::sleep_until(tokio::time::Instant::from_std(due)).await;
                let (begun, call) = (due, operation());
                running.spawn(async move { call.await.map(|()| micros(begun.elapsed())) });
                due += every;
            }
            let (mut latencies, mut errors) = (Vec::new(), 0);
            while let Some(ended) = running.join_next().await {
                match ended {
                    Ok(Ok(us)) => latencies.push(us),
                    _ => errors += 1,
                }
            }
            (latencies, errors)
        });
    }
    collect(tasks, 0, started).await
}

async fn collect(mut tasks: JoinSet<(Vec<u64>, usize)>, in_flight: usize, started: Instant) -> anyhow::Result<Loop> {
    let (mut latencies, mut errors) = (Vec::new(), 0);
    while let Some(ended) = tasks.join_next().await {
        let (more, failed) = ended?;
        latencies.extend(more);
        errors += failed;
    }
    let took = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    Ok(Loop {
        in_flight,
        per_second: latencies.len() as f64 / took,
        p50_us: at(&latencies, 0.50),
        p99_us: at(&latencies, 0.99),
        operations: latencies.len(),
        errors,
    })
}

/// A loop, and what it cost each process.
#[derive(Clone, Debug)]
pub struct Sample {
    pub ran: Loop,
    /// Processor time per operation in microseconds.
    pub cpu_us: BTreeMap<&'static str, f64>,
}

impl From<Loop> for Sample {
    fn from(ran: Loop) -> Self {
        Self { ran, cpu_us: BTreeMap::new() }
    }
}

/// The run in the middle, by rate.
pub fn median(mut runs: Vec<Sample>) -> anyhow::Result<Sample> {
    runs.sort_by(|a, b| a.ran.per_second.total_cmp(&b.ran.per_second));
    let middle = runs.len() / 2;
    runs.into_iter().nth(middle).ok_or_else(|| anyhow::anyhow!("nothing was measured"))
}

/// Reads the processor time of several processes before and after a loop.
pub struct Meter(Vec<(&'static str, u32)>);

impl Meter {
    /// For these processes and this one, the driver.
    pub fn new(processes: impl IntoIterator<Item = (&'static str, u32)>) -> Self {
        Self(processes.into_iter().chain([("driver", std::process::id())]).collect())
    }

    /// Runs the loop and divides what it cost by its operations.
    pub async fn measure(&self, run: impl Future<Output = anyhow::Result<Loop>>) -> anyhow::Result<Sample> {
        let before: Vec<f64> = self.0.iter().map(|(_, pid)| cpu_seconds(*pid)).collect();
        let ran = run.await?;
        let operations = ran.operations.max(1) as f64;
        let each = |((name, pid), before): (&(&'static str, u32), f64)| {
            (*name, (cpu_seconds(*pid) - before) * 1e6 / operations)
        };
        let cpu_us = self.0.iter().zip(before).map(each).collect();
        Ok(Sample { ran, cpu_us })
    }
}

fn at(sorted: &[u64], share: f64) -> u64 {
    let index = ((sorted.len() as f64) * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Processor seconds (user and system) that a process has used.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or("");
    let ticks: f64 = after_name.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// Resident memory of a process in megabytes.
pub fn resident_mb(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loops_count_what_ended_well() {
        let ran = closed(2, Duration::from_millis(300), |caller| {
            move || async move {
                tokio::task::yield_now().await;
                if caller == 0 { Ok(()) } else { Err(anyhow::anyhow!("no")) }
            }
        })
        .await
        .unwrap();
        assert!(ran.operations > 0 && ran.errors > 0);
        let scheduled = open(200.0, Duration::from_millis(100), 2, |_| || async { Ok(()) }).await.unwrap();
        assert_eq!((scheduled.operations, scheduled.errors), (20, 0));
    }

    #[test]
    fn percentiles_of_few() {
        assert_eq!(at(&[], 0.5), 0);
        assert_eq!(at(&[1, 2, 3, 4], 0.5), 3);
        assert_eq!(at(&[1, 2, 3, 4], 0.99), 4);
        assert!(cpu_seconds(std::process::id()) >= 0.0 && resident_mb(std::process::id()) > 0.0);
    }
}
