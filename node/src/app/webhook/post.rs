//! One POST: a connection of its own, a time limit over all of it, and of the answer nothing but its status.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::WebhookUrl;

/// From the first look-up to the status of the answer.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// Bytes of an answer's head.
const HEAD: usize = 16 << 10;

/// Why a notice was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    #[error("notify.webhook_ca has no certificate that can be read")]
    NoRoots,
    #[error("nobody answers there")]
    NotReached,
    #[error(
        "TLS failed: its certificate is not under notify.webhook_ca, of another name or out of date, or it has no TLS 1.3"
    )]
    Tls,
    #[error("no answer within 10 s")]
    TooSlow,
    #[error("the connection ended without an answer")]
    Broken,
    #[error("the answer was {0}, and only 2xx takes a notice; redirects are not followed")]
    Answered(StatusCode),
}

/// What Standard Webhooks puts beside the body.
pub(super) struct Headers {
    pub(super) id: String,
    pub(super) seconds: i64,
    pub(super) signature: String,
}

/// Sends it, once; `roots`: a file of certificates as PEM.
pub(super) async fn post(
    to: &WebhookUrl,
    roots: &Path,
    limit: Duration,
    headers: &Headers,
    body: String,
) -> Result<(), NotTaken> {
    let request = request(to, headers, body).map_err(|_| NotTaken::Broken)?;
    let sent = tokio::time::timeout(limit, async {
        let stream = TcpStream::connect((to.host(), to.port())).await.map_err(|_| NotTaken::NotReached)?;
        if !to.is_tls() {
            return ask(stream, request).await;
        }
        let name = ServerName::try_from(to.host().to_owned()).map_err(|_| NotTaken::Tls)?;
        let stream = connector(roots)?.connect(name, stream).await.map_err(|_| NotTaken::Tls)?;
        ask(stream, request).await
    });
    match sent.await.unwrap_or(Err(NotTaken::TooSlow))? {
        status if status.is_success() => Ok(()),
        status => Err(NotTaken::Answered(status)),
    }
}

fn request(to: &WebhookUrl, headers: &Headers, body: String) -> http::Result<Request<Body>> {
    Request::post(to.path())
        .header(header::HOST, to.authority())
        .header(header::USER_AGENT, concat!("havenlink/", env!("CARGO_PKG_VERSION")))
        .header(header::CONTENT_TYPE, "application/json")
        .header("webhook-id", &headers.id)
        .header("webhook-timestamp", headers.seconds)
        .header("webhook-signature", &headers.signature)
        .body(Body::from(body))
}

/// Read at each notice: the system renews its list while the node runs.
fn connector(roots: &Path) -> Result<TlsConnector, NotTaken> {
    let certificates = CertificateDer::pem_file_iter(roots).map_err(|_| NotTaken::NoRoots)?;
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates.filter_map(Result::ok));
    if store.is_empty() {
        return Err(NotTaken::NoRoots);
    }
    let config = ClientConfig::builder().with_root_certificates(store).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn ask<S>(stream: S, request: Request<Body>) -> Result<StatusCode, NotTaken>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let mut client = hyper::client::conn::http1::Builder::new();
    let connected = client.max_buf_size(HEAD).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.map_err(|_| NotTaken::Broken)?;
    let answer = std::pin::pin!(sender.send_request(request));
    let connection = std::pin::pin!(connection);
    // The answer comes through the connection, which may end with it.
    let answered = match futures_util::future::select(answer, connection).await {
        futures_util::future::Either::Left((answered, _)) => answered,
        futures_util::future::Either::Right((_, answer)) => answer.await,
    };
    answered.map(|answer| answer.status()).map_err(|_| NotTaken::Broken)
}
