//! What an operator types: `havenctl` at a city's sockets.

use std::process::Stdio;

use havenlink::demo::city::City;
use tokio::process::Command;

use crate::federation::built;

/// How a command ended, and what it printed.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// The reason with which it was refused.
    pub fn reason(&self) -> Option<&str> {
        reason_in(&self.err)
    }
}

/// The reason in what the tool tells of a refusal.
pub(crate) fn reason_in(told: &str) -> Option<&str> {
    told.split_once("error[")?.1.split_once(']').map(|(code, _)| code)
}

/// Runs `havenctl` with these arguments at the city.
///
/// # Errors
/// When the tool is not built or cannot be started; a refusal is an answer.
pub async fn havenctl(city: &City, arguments: &[&str]) -> anyhow::Result<Said> {
    let mut command = Command::new(built("havenctl")?);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HAVENLINK_")) {
        command.env_remove(name);
    }
    let output = command.arg("--sockets").arg(city.sockets()).args(arguments).stdin(Stdio::null()).output().await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) })
}
