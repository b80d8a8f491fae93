//! Loops, and nothing else: each calls one pass of the exchange, when it is woken and on a timer.
//!
//! What lives here: when to call. What does not: what a pass does, and any input: a pass finds its work in the store, so
//! the normal case and recovery are one path.
//! Invariants: one loop for each pass, so that none waits for another; one run of a pass at a time; a pass that fails is
//! tried again, later each time; no timer lies on the path of a record that is in flight.

mod deliver;
mod pass;

use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exchange::Exchange;
use crate::pass::PassKind;
use pass::Worker;

/// The tasks of all workers.
pub struct Workers {
    tasks: TaskTracker,
    stopping: CancellationToken,
}

const GAUGES: Duration = Duration::from_secs(15);

/// How long a pass waits that nobody wakes.
const fn timer(pass: PassKind) -> Duration {
    Duration::from_secs(match pass {
        PassKind::Deferred => 15,
        PassKind::Checkpoint => 60,
        PassKind::Greet => 300,
        PassKind::Sweep => 600,
        _ => 30,
    })
}

impl Workers {
    /// Starts all of them on the exchange's runtime.
    pub fn start(exchange: &Exchange, on: &Handle) -> Self {
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
