//! What a node costs while something goes on: memory, log, disk, processor time, as the system tells it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use havenlink::demo::city::City;
use havenlink_tests::rest::processor_time;

/// A node that is watched, and how it stood at the beginning.
pub struct Watched {
    pid: u32,
    log: PathBuf,
    data: PathBuf,
    began: Instant,
    resident: u64,
    logged: u64,
    stored: u64,
    worked: Duration,
}

/// What it cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub took: Duration,
    /// Most resident memory meanwhile beyond that at the beginning, in bytes.
    pub memory: u64,
    pub log: u64,
    pub disk: u64,
    /// Processor cores in use, in the mean.
    pub cores: f64,
}

impl Watched {
    /// Begins; the peak of its memory is counted from now on.
    ///
    /// # Errors
    /// When the node does not run.
    pub fn begin(city: &City) -> anyhow::Result<Self> {
        let pid = city.pid().context("the node runs")?;
        // "5" has the system forget the peak of resident memory; of a process that leaves no image root alone may ask that.
        let began_anew = match std::fs::write(format!("/proc/{pid}/clear_refs"), "5") {
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => false,
            written => written.map(|()| true).context("the peak of memory is begun anew")?,
        };
        let (log, data) = (city.dir.join("node.log"), city.dir.join("data"));
        Ok(Self {
            pid,
            began: Instant::now(),
            // What it needs beyond the peak that it had: less than what it took on.
            resident: memory(pid, if began_anew { "VmRSS:" } else { "VmHWM:" }).context("the node runs")?,
            logged: size(&log),
            stored: size(&data),
            worked: processor_time(pid).context("the node runs")?,
            log,
            data,
        })
    }

    /// Ends.
    ///
    /// # Errors
    /// When the node does not run any more.
    pub fn end(self) -> anyhow::Result<Cost> {
        let took = self.began.elapsed();
        let worked = processor_time(self.pid).context("the node runs still")?.saturating_sub(self.worked);
        Ok(Cost {
            took,
            memory: memory(self.pid, "VmHWM:").context("the node runs still")?.saturating_sub(self.resident),
            log: size(&self.log).saturating_sub(self.logged),
            disk: size(&self.data).saturating_sub(self.stored),
            cores: worked.as_secs_f64() / took.as_secs_f64(),
        })
    }
}

/// Memory that a node holds now, in bytes.
///
/// # Errors
/// When it does not run.
pub fn resident(city: &City) -> anyhow::Result<u64> {
    city.pid().and_then(|pid| memory(pid, "VmRSS:")).context("the node runs")
}

/// A line of `/proc/PID/status`, in bytes.
fn memory(pid: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}

/// Bytes of a file, or of the files in a folder.
fn size(path: &Path) -> u64 {
    let Ok(meta) = std::fs::metadata(path) else { return 0 };
    if !meta.is_dir() {
        return meta.len();
    }
    let files = std::fs::read_dir(path).into_iter().flatten().flatten();
    files.map(|file| size(&file.path())).sum()
}
