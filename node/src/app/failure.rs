//! What the binary says when it cannot go on: the reason, the facts, and the command that helps.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use crate::domain::reason::Reason;
use crate::{config, transport};

/// A failure of a command.
#[derive(Debug)]
pub struct CommandFailure {
    reason: Reason,
    about: String,
    facts: Vec<(&'static str, String)>,
    /// Several faults of one thing, each on a line of its own.
    lines: Vec<String>,
    /// The command for exactly this place, instead of the catalogue's words.
    remedy: Option<String>,
}

/// A path as a shell takes it: in quotes if it has blanks or anything else that a shell reads as its own.
pub fn typed(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

impl CommandFailure {
    /// The catalogue's text of this reason, without facts yet.
    pub fn new(reason: Reason) -> Self {
        Self { reason, about: String::new(), facts: Vec::new(), lines: Vec::new(), remedy: None }
    }

    /// What it is about, in a few words.
    pub fn about(mut self, about: impl Into<String>) -> Self {
        self.about = about.into();
        self
    }

    /// Adds a line `name value` below the message.
    pub fn fact(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.facts.push((name, value.into()));
        self
    }

    /// The command that helps here, as it can be typed.
    pub fn remedy(mut self, command: impl Into<String>) -> Self {
        self.remedy = Some(command.into());
        self
    }

    /// The whole chain of causes as a fact.
    pub fn cause(self, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let more = cause.to_string();
            if !chain.ends_with(&more) {
                chain.push_str(": ");
                chain.push_str(&more);
            }
            source = cause.source();
        }
        self.fact("cause", chain)
    }

    /// The configuration file cannot be read or written.
    pub fn config_unreadable(path: Option<&Path>, error: &std::io::Error) -> Self {
        let path = path.unwrap_or(Path::new(config::DEFAULT_PATH));
        Self::new(Reason::ConfigInvalid).about(path.display().to_string()).cause(error)
    }

    /// An argument does not have its form.
    pub fn argument(name: &str, form: &str) -> Self {
        Self::new(Reason::FieldInvalid).about(format!("{name} must be {form}"))
    }

    /// A file or directory failed.
    pub fn file(path: &Path, error: &std::io::Error) -> Self {
        let full = error.kind() == std::io::ErrorKind::StorageFull;
        let reason = if full { Reason::StorageFull } else { Reason::StorageFailed };
        Self::new(reason).fact("file", path.display().to_string()).cause(error)
    }

    /// Somebody else listens at an address.
    pub fn taken(address: SocketAddr, error: &std::io::Error) -> Self {
        Self::new(Reason::AddressInUse).about(address.to_string()).cause(error)
    }

    /// An address that is taken, or that this machine does not have, is another one under this key of the configuration.
    pub fn of_key(self, key: &str) -> Self {
        match self.reason {
            Reason::AddressInUse => {
                self.remedy(format!("choose another address for {key} in node.toml, then start again"))
            }
            _ => self,
        }
    }

    /// The reason of the catalogue.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The exit code of the reason.
    pub fn exit_code(&self) -> u8 {
        u8::try_from(self.reason.row().status.exit_code()).unwrap_or(1)
    }
}

impl fmt::Display for CommandFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.reason.row();
        let colon = if self.about.is_empty() { "" } else { ": " };
        writeln!(f, "error[{}]: {}{colon}{}.", row.code, row.what, self.about)?;
        for line in &self.lines {
            writeln!(f, "  {line}")?;
        }
        for (name, value) in &self.facts {
            writeln!(f, "  {name:<9}  {value}")?;
        }
        writeln!(f, "  fix        {}", self.remedy.as_deref().unwrap_or(row.remedy))
    }
}

impl std::error::Error for CommandFailure {}

impl From<config::Faults> for CommandFailure {
    fn from(faults: config::Faults) -> Self {
        let lines = faults.to_string().lines().map(str::to_owned).collect();
        Self { lines, ..Self::new(faults.reason()) }
    }
}

impl From<transport::Error> for CommandFailure {
    fn from(error: transport::Error) -> Self {
        let diagnosis = error.diagnosis();
        Self { facts: diagnosis.detail, ..Self::new(diagnosis.reason).about(error.to_string()) }
    }
}

impl From<crate::storage::Error> for CommandFailure {
    fn from(error: crate::storage::Error) -> Self {
        Self::new(error.reason()).cause(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_what_to_do() {
        let text = CommandFailure::new(Reason::DataDirInUse).fact("file", "/var/lib/havenlink/lock").to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "error[DATA_DIR_IN_USE]: another process uses this data directory.");
        assert_eq!(lines[1], "  file       /var/lib/havenlink/lock");
        assert!(lines[2].starts_with("  fix        systemctl"));
        assert_eq!(CommandFailure::new(Reason::ConfigInvalid).exit_code(), 2);
    }

    #[test]
    fn all_faults_of_a_configuration_are_lines() {
        let sources = config::Sources { set: vec!["listn=x".into(), "http=y".into()], ..Default::default() };
        let text = CommandFailure::from(config::load(&sources).unwrap_err()).to_string();
        assert_eq!(text.lines().filter(|l| l.starts_with("  ") && !l.contains("fix ")).count(), 3, "{text}");
    }
}
