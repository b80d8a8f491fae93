//! The tools as a person at a city runs them: the built binaries, what they printed, their exit code.

use std::io::Write;
use std::process::{Output, Stdio};

use anyhow::Context;
use havenlink::demo::city::City;
use havenlink::domain::reason::Reason;
use tokio::process::Command;

use crate::federation::built;

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// What it printed, if it ended well.
    ///
    /// # Panics
    /// When it did not.
    pub fn fine(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// Whether it was refused, and for this.
    pub fn is_refused_for(&self, reason: Reason) -> bool {
        self.code != 0 && self.err.contains(&format!("[{}]", reason.code()))
    }
}

/// `havenctl` on the city's machine.
///
/// # Errors
/// When it is not built, or does not start.
pub async fn havenctl(city: &City, arguments: &[&str]) -> anyhow::Result<Ran> {
    let mut command = Command::new(built("havenctl")?);
    command.args(arguments);
    run(city, command).await
}

/// `havenlink` on the city's machine, with its configuration; for what ends by itself.
///
/// # Errors
/// When it is not built, or does not start.
pub async fn havenlink(city: &City, arguments: &[&str]) -> anyhow::Result<Ran> {
    let mut command = Command::new(built("havenlink")?);
    command.args(city.with_key(arguments));
    let ran = run(city, command).await?;
    city.into_safe(&ran.out)?;
    Ok(ran)
}

/// A line as it stands in a document or a remedy, typed into a shell on the city's machine.
///
/// # Errors
/// When there is no shell.
pub async fn shell(city: &City, line: &str) -> anyhow::Result<Ran> {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    run(city, command).await
}

async fn run(city: &City, mut command: Command) -> anyhow::Result<Ran> {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HAVENLINK_") || name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    let binaries = built("havenctl")?;
    let binaries = binaries.parent().context("a folder")?.display().to_string();
    command
        .env("PATH", format!("{binaries}:{}", std::env::var("PATH").unwrap_or_default()))
        .env("HAVENLINK_SOCKETS", city.sockets())
        .env("HAVENLINK_CONFIG", city.dir.join("node.toml"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let Output { status, stdout, stderr } = command.output().await?;
    let text = |bytes| String::from_utf8(bytes).context("text");
    Ok(Ran { code: status.code().unwrap_or(-1), out: text(stdout)?, err: text(stderr)? })
}

/// Names what this machine cannot run, past the capture of the test runner, as "NAME: WHY": `tests/run` repeats it at its end, and
/// fails where `HAVENLINK_REQUIRED` has the name. On a line of its own, whatever the test runner has begun to print.
pub fn skipped(what: &str) {
    let _ = write!(std::io::stderr(), "\nskipped: {what}\n");
}
