//! Two runtimes: the exchange's, and one for the register, so that no flood delays consensus and suspension.

use tokio::runtime::{Builder, Runtime};

use super::failure::Failure;
use crate::domain::reason::Reason;
use crate::services::layers;

/// The runtimes of a process.
pub struct Runtimes {
    register: Runtime,
    exchange: Runtime,
}

impl Runtimes {
    /// `workers` threads for the exchange, one for the register.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn start(workers: usize) -> Result<Self, Failure> {
        let failed = |e: std::io::Error| Failure::new(Reason::Internal).about("no threads").cause(&e);
        let build = |name: &str, threads: usize, blocking: usize| {
            Builder::new_multi_thread()
                .thread_name(name)
                .worker_threads(threads)
                .max_blocking_threads(blocking)
                .thread_stack_size(1 << 20)
                .enable_all()
                .build()
                .map_err(failed)
        };
        Ok(Self { register: build("register", 1, 4)?, exchange: build("exchange", workers, 16)? })
    }

    /// For the guard of each listener.
    pub fn handles(&self) -> layers::Runtimes {
        layers::Runtimes { exchange: self.exchange.handle().clone(), register: self.register.handle().clone() }
    }

    /// Runs to the end, on the register's runtime.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.register.block_on(future)
    }

    /// Ends both without waiting for what hangs.
    pub fn shutdown(self) {
        self.exchange.shutdown_timeout(std::time::Duration::from_secs(1));
        self.register.shutdown_timeout(std::time::Duration::from_secs(1));
    }
}
