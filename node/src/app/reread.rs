//! SIGHUP: what is read again while the node runs, and what it says needs more than that.
//!
//! Nothing here stops anything. A configuration with faults changes nothing, and says so where the node's log goes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::budgets::PartnerBudgets;
use super::commands::level_of;
use super::contacts;
use super::failure::CommandFailure;
use super::renewal::Renewal;
use crate::config::Config;
use crate::directory::Directory;
use crate::telemetry::Levels;
use crate::transport::Pool;

/// Keys of the authority's entry: the register has them since `init` or `join`, and a signed change is what changes them.
const IN_THE_REGISTER: &[&str] = &["names", "kind", "identifiers", "endpoints", "contact.email", "contact.phone"];

/// Reads the configuration as the process was told where to find it.
pub type Load = Box<dyn Fn() -> Result<Config, CommandFailure> + Send + Sync>;

/// What became of each key that has another value than before.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// In force now.
    pub taken: Vec<&'static str>,
    /// Only a restart takes them.
    pub restart: Vec<&'static str>,
    /// What partners see of them stands in the register.
    pub in_register: Vec<&'static str>,
}

impl Changed {
    fn of(before: &Config, after: &Config) -> Self {
        let mut changed = Self::default();
        for key in after.differing(before) {
            let list = match key {
                "log.level" => &mut changed.taken,
                _ if key.starts_with("budget.") => &mut changed.taken,
                _ if IN_THE_REGISTER.contains(&key) => &mut changed.in_register,
                _ => &mut changed.restart,
            };
            list.push(key);
        }
        changed
    }
}

/// The configuration as it was read last, and how to read it again.
pub struct Rereading {
    load: Load,
    levels: Levels,
    last: Mutex<Config>,
}

impl Rereading {
    pub fn new(config: Config, load: Load, levels: Levels) -> Self {
        Self { load, levels, last: Mutex::new(config) }
    }

    /// Reads it again, and puts in force what needs nothing but that. `None`: it has faults, and nothing changed.
    pub fn read(&self) -> Option<(Config, Changed)> {
        let config = match (self.load)() {
            Ok(config) => config,
            Err(failure) => {
                // All its faults with their lines, as at a start; a log line has no place for them.
                eprint!("{failure}");
                let reason = failure.reason().code();
                tracing::error!(reason, "the configuration was not read again: the node goes on with what it has");
                return None;
            }
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = Changed::of(&last, &config);
        *last = config.clone();
        drop(last);
        self.levels.set(level_of(config.log_level));
        changed.tell();
        Some((config, changed))
    }
}

impl Changed {
    fn tell(&self) {
        let Self { taken, restart, in_register } = self;
        tracing::info!(count = taken.len(), keys = taken.join(", "), "the configuration was read again");
        if !restart.is_empty() {
            tracing::warn!(keys = restart.join(", "), "these keys need a restart: systemctl restart havenlink");
        }
        if !in_register.is_empty() {
            let keys = in_register.join(", ");
            tracing::warn!(keys, "these keys stand in the register, and change there: havenctl node update");
        }
    }
}

/// The parts of a running member that take something new.
#[derive(Clone)]
pub struct Changeable {
    pub budgets: PartnerBudgets,
    pub renewal: Renewal,
    pub directory: Directory,
    pub pool: Pool,
}

/// Partners learn of a certificate that was put there within this time, mostly.
const SPREAD: Duration = Duration::from_secs(2);

impl Changeable {
    /// Takes the budgets of this configuration, and the certificate and the contacts of the data directory.
    pub async fn take(&self, config: &Config) {
        self.budgets.change(config);
        match self.renewal.reread(SPREAD).await {
            // One that is taken into use is in the journal.
            Ok(_) => {}
            Err(refused) => {
                tracing::error!(
                    reason = refused.reason.code(),
                    cause = refused.about,
                    "the certificate of the data directory was not taken into use"
                );
            }
        }
        // A node that hears from nobody asks those that its file names now.
        let status = self.directory.status();
        if status.follows.is_none() && !status.raft.is_some_and(|raft| raft.leads) {
            let named = contacts::read(&self.renewal.data_dir);
            let asked = contacts::ask(&self.directory, &self.pool, &named);
            let _ = tokio::time::timeout(contacts::PATIENCE, asked).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{KEYS, Sources, load};

    fn config(more: &[&str]) -> Config {
        let set = [&["authority=fr-strasbourg"], more].concat();
        load(&Sources { set: set.iter().map(|pair| (*pair).to_owned()).collect(), ..Sources::default() }).unwrap()
    }

    #[test]
    fn each_key_that_changed_is_taken_or_its_way_is_said() {
        let before = config(&["listen=127.0.0.1:1"]);
        let after =
            config(&["log.level=debug", "budget.rows_per_day=7", "listen=127.0.0.1:2", "contact.phone=+33199001234"]);
        let changed = Changed::of(&before, &after);
        assert_eq!(changed.taken, ["log.level", "budget.rows_per_day"]);
        assert_eq!((changed.restart, changed.in_register), (vec!["listen"], vec!["contact.phone"]));
        assert_eq!(Changed::of(&after, &after), Changed::default());
    }

    #[test]
    fn every_key_named_here_is_a_key() {
        for name in IN_THE_REGISTER.iter().chain(&["log.level"]) {
            assert!(KEYS.iter().any(|key| key.name == *name), "{name}");
        }
    }
}
