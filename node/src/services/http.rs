//! Loopback HTTP: is the process alive, is the node ready, and its numbers. Nothing else, and to nobody else.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::domain::reason::Reason;
use crate::telemetry::metrics;

/// What keeps the node from being ready; `None`: nothing.
pub type Readiness = watch::Receiver<Option<Reason>>;

/// Serves until `stopped` ends.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(numbers))
        .with_state(readiness);
    axum::serve(listener, router).with_graceful_shutdown(stopped).await
}

async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    let reason = *readiness.borrow();
    match reason {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {}\n", reason.code(), reason.row().what)),
    }
}

async fn numbers() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::render())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_has_its_reason() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ready, readiness) = watch::channel(Some(Reason::NodeStarting));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, readiness, async move { drop(stopped.await) }));
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let starting = get(address, "/readyz").await;
        assert!(starting.starts_with("HTTP/1.1 503") && starting.contains("NODE_STARTING"), "{starting}");
        ready.send(None).unwrap();
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/metrics").await.contains("# TYPE havenlink_calls_total counter"));
        drop(stop);
        server.await.unwrap().unwrap();
    }
}
