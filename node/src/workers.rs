//! Loops, and nothing else: each calls one pass of the exchange, when it is woken and on a timer; beside them `lines`, which asks
//! after a connection that ended, and the pulse, by which the node knows afterwards that it did not run.
//!
//! What lives here: when to call. What does not: what a pass does, and its input: a pass finds its work in the store, so
//! the normal case and recovery are one path.
//! Invariants: one loop for each pass, so that none waits for another; one run of a pass at a time; a pass that fails is
//! tried again, later each time; no timer lies on the path of a record that is in flight.

mod deliver;
mod lines;
mod pass;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::ids::AuthorityId;
use crate::exchange::{Exchange, Road};
use crate::pass::PassKind;
use pass::Worker;

/// The tasks of all workers.
pub struct Workers {
    tasks: TaskTracker,
    stopping: CancellationToken,
}

/// How often this process notes that it runs.
const PULSE: Duration = Duration::from_millis(250);
const GAUGES: Duration = Duration::from_secs(15);

/// How long a pass waits that nobody wakes.
const fn timer(pass: PassKind) -> Duration {
    Duration::from_secs(match pass {
        PassKind::Deferred => 15,
        PassKind::Checkpoint => 60,
        // Whoever was not asked for longer counts as connected no more.
        PassKind::Greet => 45,
        PassKind::Sweep => 600,
        _ => 30,
    })
}

impl Workers {
    /// Starts all of them on the exchange's runtime.
    /// `departures`: whose connections end.
    pub fn start(exchange: &Exchange, departures: broadcast::Receiver<AuthorityId>, on: &Handle) -> Self {
        let workers = Self { tasks: TaskTracker::new(), stopping: CancellationToken::new() };
        let worker = |name| Worker { name, stopping: workers.stopping.clone() };
        let spawn = |task: futures_util::future::BoxFuture<'static, ()>| drop(workers.tasks.spawn_on(task, on));

        for pass in PassKind::ALL {
            let (upkeep, wakeups) = (exchange.upkeep.clone(), exchange.wakeups().clone());
            let woken = move || {
                let wakeups = wakeups.clone();
                async move { wakeups.woken(pass).await }
            };
            let run = move || {
                let upkeep = upkeep.clone();
                async move { upkeep.run_pass(pass).await.map(|passed| passed.more) }
            };
            spawn(Box::pin(worker(pass.name()).run(timer(pass), woken, run)));
        }

        let upkeep = exchange.upkeep.clone();
        let pass = move || {
            let upkeep = upkeep.clone();
            async move { upkeep.gauges_pass().await.map(|()| false) }
        };
        spawn(Box::pin(worker("gauges").run(GAUGES, std::future::pending, pass)));

        let (upkeep, wakeups) = (exchange.upkeep.clone(), exchange.wakeups().clone());
        spawn(Box::pin(lines::follow(departures, upkeep, wakeups, workers.stopping.clone(), workers.tasks.clone())));

        spawn(Box::pin(pulse(exchange.road.clone(), workers.stopping.clone())));

        let (road, wakeups) = (exchange.road.clone(), exchange.wakeups().clone());
        spawn(Box::pin(deliver::run(road, wakeups, workers.stopping.clone(), workers.tasks.clone())));
        workers
    }

    /// Starts no pass any more, and waits for those that run.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Notes a few times a second that this process runs.
async fn pulse(road: Arc<Road>, stopping: CancellationToken) {
    let mut ticks = tokio::time::interval(PULSE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while tokio::select! { () = stopping.cancelled() => false, _ = ticks.tick() => true } {
        road.note_running();
    }
}
