//! The one source of time. Decisions get an instant as an argument; only the edges ask a clock.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::time::{Millis, UnixMs};

/// Wall clock and monotonic clock of a node.
pub trait Clock: Send + Sync + 'static {
    /// Wall clock.
    fn now(&self) -> UnixMs;
    /// Time since some fixed instant of this process; never goes back.
    fn monotonic(&self) -> Duration;
}

pub type SharedClock = Arc<dyn Clock>;

pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    pub fn shared() -> SharedClock {
        Arc::new(Self { started: Instant::now() })
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The system clock moved by an offset that a test may change: one clock for wall and monotonic time.
pub struct MovedClock {
    base: SystemClock,
    offset_ms: AtomicI64,
    /// Sum of all moves forward; it moves the monotonic clock too.
    forward_ms: AtomicU64,
    /// What the base showed when it was stopped.
    stopped: OnceLock<(UnixMs, Duration)>,
}

impl MovedClock {
    /// A clock that starts with no offset.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            base: SystemClock { started: Instant::now() },
            offset_ms: AtomicI64::new(0),
            forward_ms: AtomicU64::new(0),
            stopped: OnceLock::new(),
        })
    }

    /// Stands from now on, but for what it is moved by: a test that looks one second before an end has all the time it takes.
    pub fn stop(&self) {
        self.stopped.get_or_init(|| (self.base.now(), self.base.monotonic()));
    }

    fn base(&self) -> (UnixMs, Duration) {
        self.stopped.get().copied().unwrap_or_else(|| (self.base.now(), self.base.monotonic()))
    }

    /// Sets the wall clock alone, as somebody does whose clock was wrong.
    pub fn set(&self, by: Millis) {
        self.offset_ms.fetch_add(by.0, Ordering::SeqCst);
    }

    /// Moves the clock; monotonic time follows forward moves only.
    pub fn advance(&self, span: Millis) {
        self.forward_ms.fetch_add(u64::try_from(span.0).unwrap_or(0), Ordering::SeqCst);
        self.offset_ms.fetch_add(span.0, Ordering::SeqCst);
    }
}

impl Clock for MovedClock {
    fn now(&self) -> UnixMs {
        self.base().0 + Millis(self.offset_ms.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.base().1 + Duration::from_millis(self.forward_ms.load(Ordering::SeqCst))
    }
}
