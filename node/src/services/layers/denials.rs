//! When a denial leaves the peer door (9.13): on the next tick of the node's monotonic clock, so that how long it took to look tells
//! nothing of what was found. Every other answer leaves at once.
//!
//! One thread wakes who waits: a timer of the runtime counts whole milliseconds from when it was set, and would tell by its own
//! lateness when the looking had ended.

use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use http::Response;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;
use tonic::Code;
use tonic::body::Body;

/// A second is a whole number of them.
const TICK: Duration = Duration::from_millis(10);

/// In the extensions of an answer that says of something the same as of what does not exist.
#[derive(Clone, Copy, Debug)]
struct Denial;

/// Marks the answer of a member's call, if it is a denial in whole or in part.
pub fn denying<T>(denies: bool, message: T) -> tonic::Response<T> {
    let mut response = tonic::Response::new(message);
    denies.then(|| response.extensions_mut().insert(Denial));
    response
}

/// Whether an answer at this listener is a denial: a refused read, or one that its handler marked.
pub(super) fn is_denial(listener: &str, answer: Option<&Response<Body>>, code: Code) -> bool {
    let marked = answer.is_some_and(|answer| answer.extensions().get::<Denial>().is_some());
    listener == "peer" && (marked || code == Code::NotFound)
}

/// Waits for the next tick: 10 ms at most, and how late a thread of this machine is woken.
pub(super) async fn next_tick() {
    static WAITING: LazyLock<Sender<Waits>> = LazyLock::new(|| {
        let (sender, waiting) = channel();
        // Where no thread can be made the receiver is gone, and who waits falls back on its own timer.
        _ = std::thread::Builder::new().name("denials".into()).spawn(move || release(&waiting));
        sender
    });
    let (wake, woken) = oneshot::channel();
    if WAITING.send(Waits { since: tick(), wake }).is_err() || woken.await.is_err() {
        tokio::time::sleep(until_tick()).await;
    }
}

/// Who waits for the tick after this one.
struct Waits {
    since: u128,
    wake: oneshot::Sender<()>,
}

/// Wakes who waits. Whoever came when a tick was there already has missed it, and waits for the next one.
fn release(waiting: &Receiver<Waits>) {
    let mut held: Vec<Waits> = Vec::new();
    loop {
        if held.is_empty() {
            let Ok(first) = waiting.recv() else { return };
            held.push(first);
        }
        std::thread::sleep(until_tick());
        held.extend(waiting.try_iter());
        let now = tick();
        let (missed, in_time) = held.into_iter().partition(|waits| waits.since >= now);
        held = missed;
        // Who hung up meanwhile is not woken.
        Vec::into_iter(in_time).for_each(|waits: Waits| _ = waits.wake.send(()));
    }
}

fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// How many ticks there were.
fn tick() -> u128 {
    monotonic().as_nanos() / TICK.as_nanos()
}

fn until_tick() -> Duration {
    let over = monotonic().as_nanos() % TICK.as_nanos();
    TICK - Duration::from_nanos(over as u64)
}
