//! Listeners at work: each with its guard, all with one end.

use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::server::Connected;

use crate::services::layers::Guard;
use crate::transport;

/// Tasks that serve until they are told to stop.
pub struct Serving {
    tasks: JoinSet<()>,
    stopping: CancellationToken,
}

impl Serving {
    pub fn new() -> Self {
        Self { tasks: JoinSet::new(), stopping: CancellationToken::new() }
    }

    /// A token that is cancelled when serving stops.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Serves gRPC on the connections of one listener.
    pub fn grpc<IO, I>(&mut self, on: &Handle, incoming: I, guard: Guard, routes: Routes)
    where
        I: Stream<Item = std::io::Result<IO>> + Send + 'static,
        IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
        IO::ConnectInfo: Clone + Send + Sync + 'static,
    {
        let stopped = self.stopping.clone().cancelled_owned();
        let server = transport::server_builder().layer(guard).add_routes(routes);
        let task = async move {
            if let Err(error) = server.serve_with_incoming_shutdown(incoming, stopped).await {
                tracing::error!(cause = %error, "a listener ended");
            }
        };
        self.tasks.spawn_on(task, on);
    }

    /// Runs a task that ends by itself when serving stops.
    pub fn task(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Runs a task for as long as serving goes on.
    pub fn until_stop(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping();
        self.task(async move { stopping.run_until_cancelled(task).await.unwrap_or_default() });
    }

    /// Stops accepting, lets running calls finish, and ends what is left after `drain`. Tells whether all finished.
    pub async fn stop(mut self, drain: Duration) -> bool {
        self.stopping.cancel();
        let finished = async { while self.tasks.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(drain, finished).await.is_ok();
        self.tasks.shutdown().await;
        in_time
    }
}
