//! Three runtimes: the exchange's, one for what members ask of the register, and one for consensus and suspension, which
//! no flood of either delays.

use tokio::runtime::{Builder, Runtime};

use super::failure::CommandFailure;
use crate::domain::reason::Reason;
use crate::services::layers;

/// Tasks that a busy thread runs between two looks at which sockets have something to say. Somebody who has always more to say is one
/// task after the other: the library's 61 would be tens of milliseconds of new keys (decisions/040).
const TURNS: u32 = 8;

/// The runtimes of a process.
pub struct Runtimes {
    register: Runtime,
    members: Runtime,
    exchange: Runtime,
}

impl Runtimes {
    /// `workers` threads for the exchange, one for what members ask, one for consensus.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(workers: usize) -> Result<Self, CommandFailure> {
        let failed = |e: std::io::Error| CommandFailure::new(Reason::Internal).about("no threads").cause(&e);
        let build = |name: &str, threads: usize, blocking: usize| {
            Builder::new_multi_thread()
                .thread_name(name)
                .worker_threads(threads)
                .max_blocking_threads(blocking)
                .event_interval(TURNS)
                .thread_stack_size(1 << 20)
                .enable_all()
                .build()
                .map_err(failed)
        };
        Ok(Self {
            register: build("register", 1, 4)?,
            members: build("members", 1, 2)?,
            exchange: build("exchange", workers, 16)?,
        })
    }

    /// For the guard of each listener.
    pub fn handles(&self) -> layers::Runtimes {
        layers::Runtimes {
            exchange: self.exchange.handle().clone(),
            members: self.members.handle().clone(),
            register: self.register.handle().clone(),
        }
    }

    /// Runs to the end, on the register's runtime.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.register.block_on(future)
    }

    /// Ends all without waiting for what hangs.
    pub fn shutdown(self) {
        self.members.shutdown_timeout(std::time::Duration::from_secs(1));
        self.exchange.shutdown_timeout(std::time::Duration::from_secs(1));
        self.register.shutdown_timeout(std::time::Duration::from_secs(1));
    }
}
