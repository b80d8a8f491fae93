//! Time as data: it comes in as an argument or from a log entry, never from a clock in here.

use std::fmt;
use std::ops::{Add, Sub};

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMs(pub i64);

/// A span in milliseconds; may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

impl Millis {
    pub const fn seconds(n: i64) -> Self {
        Self(n * 1_000)
    }

    pub const fn minutes(n: i64) -> Self {
        Self(n * 60_000)
    }

    pub const fn hours(n: i64) -> Self {
        Self(n * 3_600_000)
    }

    /// A span of days of 24 hours.
    pub const fn days(n: i64) -> Self {
        Self(n * 86_400_000)
    }

    /// For timers; a negative span is zero.
    pub fn to_duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }
}

impl UnixMs {
    /// Later than every other instant: "has no end".
    pub const NEVER: Self = Self(i64::MAX);

    /// The span from `earlier` to this instant.
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }

    /// The last instant that is a multiple of the span, counted from the beginning of 1970.
    pub const fn rounded_down(self, span: Millis) -> Self {
        Self(self.0 - self.0.rem_euclid(span.0))
    }
}

impl Add<Millis> for UnixMs {
    type Output = Self;
    fn add(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Millis> for UnixMs {
    type Output = Self;
    fn sub(self, span: Millis) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Sub for Millis {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for UnixMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.0}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}
