//! Log lines of a condition that is met again and again: the first at once, then one a minute with how often it was met.
//!
//! Whoever loops, or answers whoever calls, logs through `repeated!`: a disk or a screen full of one line hides every
//! other, and writing it takes the time that mending needs. One line may tell of several causes, each under its key.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Between two lines of one condition.
pub const BETWEEN: Duration = Duration::from_secs(60);
/// Keys told apart at one place; further ones count together.
const KEYS: usize = 64;

/// What was met since the last line.
struct Met {
    told: Instant,
    since: u64,
}

/// One place that logs a condition. A static of `repeated!`.
#[derive(Default)]
pub struct Repeated(Mutex<BTreeMap<Box<str>, Met>>);

impl Repeated {
    pub const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// The condition was met. `Some`: a line is due, and tells how often it was met since the last one.
    pub fn due(&self, key: &str) -> Option<u64> {
        self.due_at(key, Instant::now())
    }

    fn due_at(&self, key: &str, now: Instant) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEYS && !all.contains_key(key) {
            all.retain(|_, met| now.saturating_duration_since(met.told) < BETWEEN);
        }
        let key = if all.len() < KEYS || all.contains_key(key) { key } else { "" };
        let Some(met) = all.get_mut(key) else {
            all.insert(key.into(), Met { told: now, since: 0 });
            return Some(1);
        };
        met.since += 1;
        if now.saturating_duration_since(met.told) < BETWEEN {
            return None;
        }
        met.told = now;
        Some(std::mem::take(&mut met.since))
    }
}

/// A log line of a condition that may be met again: level, what tells causes apart (optional), then as `tracing` has it.
///
/// `repeated!(warn; %error, "accept failed")`, `repeated!(warn by reason.code(); %error, "a call was refused")`.
#[macro_export]
macro_rules! repeated {
    ($level:ident by $key:expr; $($line:tt)+) => {{
        static MET: $crate::telemetry::Repeated = $crate::telemetry::Repeated::new();
        if let Some(count) = MET.due($key) {
            tracing::$level!(count, $($line)+);
        }
    }};
    ($level:ident; $($line:tt)+) => {
        $crate::repeated!($level by ""; $($line)+)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_once_a_minute_with_their_count() {
        let (met, start) = (Repeated::new(), Instant::now());
        assert_eq!(met.due_at("", start), Some(1));
        let lines: Vec<u64> =
            (1..=180_000).filter_map(|ms| met.due_at("", start + Duration::from_millis(ms))).collect();
        assert_eq!(lines, [60_000, 60_000, 60_000], "three minutes, a thousand a second");
        let later = start + Duration::from_secs(600);
        assert_eq!(met.due_at("", later), Some(1), "a condition that comes back is told at once");
    }

    #[test]
    fn causes_are_told_apart_and_their_number_is_bounded() {
        let (met, start) = (Repeated::new(), Instant::now());
        assert_eq!((met.due_at("A", start), met.due_at("B", start), met.due_at("A", start)), (Some(1), Some(1), None));
        let told = (0..10_000).filter(|n| met.due_at(&n.to_string(), start).is_some()).count();
        assert!(told < KEYS && met.0.lock().unwrap().len() <= KEYS + 1, "{told}");
        let minute = start + BETWEEN;
        assert_eq!(met.due_at("another", minute), Some(1), "those of long ago make room");
    }
}
