//! The workers of a node as a story of many tasks needs them: dispatching and delivering, each in its loop.

use super::world::World;
use crate::exchange::{Exchange, Pass};

/// The loops of a node, by wake-ups alone: no timer but the pauses that partners earn.
pub struct Loops(tokio::task::JoinSet<()>);

impl World {
    /// Starts the loops of every node; dropping them is what a kill does.
    pub fn start_loops(&self) -> Loops {
        let mut loops = tokio::task::JoinSet::new();
        for node in self.nodes.values() {
            loops.spawn(dispatching(node.exchange.clone()));
            loops.spawn(delivering(node.exchange.clone()));
        }
        Loops(loops)
    }
}

impl Loops {
    /// Ends them all.
    pub async fn end(mut self) {
        self.0.shutdown().await;
    }
}

async fn dispatching(exchange: Exchange) {
    loop {
        while exchange.road.dispatch_pass().await.unwrap().more {}
        exchange.wakeups().dispatch().await;
    }
}

async fn delivering(exchange: Exchange) {
    let mut streams = tokio::task::JoinSet::new();
    exchange.road.open_streams().await.unwrap().iter().for_each(|id| exchange.wakeups().wake_stream(id));
    loop {
        for id in exchange.wakeups().opened().await {
            let exchange = exchange.clone();
            streams.spawn(async move {
                let wakeup = exchange.wakeups().stream(&id);
                loop {
                    match exchange.road.deliver_pass(&id).await {
                        Pass::Now => {}
                        Pass::Idle | Pass::Sent => wakeup.items().await,
                        Pass::After(pause) => tokio::select! {
                            () = wakeup.retry() => {}
                            () = tokio::time::sleep(pause) => {}
                        },
                    }
                }
            });
        }
    }
}
