//! A member's node in other hands: it serves under the certificate of a data directory, and answers as it was told to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use http_body::Frame;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tonic::server::{NamedService, StreamingService, UnaryService};

use crate::raw::Raw;

/// What a connection may have under way.
const BUFFER: usize = 1 << 16;

/// What it answers, whatever it is asked.
#[derive(Clone)]
pub enum Answers {
    /// This message.
    Message(Bytes),
    /// An error, at once, before it has read anything.
    Error,
    /// As a stream that begins well and ends at once, before it has read anything.
    Ends,
    /// As one that begins well and breaks off with an error.
    Breaks,
    /// As one that brings this, whatever is asked, and stays open.
    Unasked(Bytes),
    /// Nothing, ever.
    Never,
    /// An answer as no library would make it.
    Crafted(Crafted),
    /// Each of these, one after the other.
    InTurn(Arc<[Answers]>),
}

/// What an answer is made of, below any library that speaks gRPC.
#[derive(Clone, Debug, Default)]
pub struct Crafted {
    pub headers: HeaderMap,
    pub data: Bytes,
    pub trailers: HeaderMap,
}

impl Crafted {
    /// With these headers, these bytes and these trailers; names and values are those of HTTP.
    ///
    /// # Panics
    /// When one is none.
    pub fn of(headers: &[(&'static str, &str)], data: Bytes, trailers: &[(&'static str, &str)]) -> Answers {
        let map = |all: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            all.iter().for_each(|(name, value)| {
                map.append(*name, value.parse().expect("a value of HTTP"));
            });
            map
        };
        Answers::Crafted(Self { headers: map(headers), data, trailers: map(trailers) })
    }

    fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::new(Pieces {
            data: Some(self.data).filter(|data| !data.is_empty()),
            trailers: Some(self.trailers),
        }));
        *response.headers_mut() = self.headers;
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        response
    }
}

/// A body of one piece, and what comes after it.
struct Pieces {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(Frame::data);
        Poll::Ready(data.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }
}

impl Answers {
    /// What is answered to this call, by its number.
    async fn to(&self, number: u64, request: Request<Body>) -> Response<Body> {
        let (mut answers, mut rest) = (self, number);
        while let Self::InTurn(all) = answers {
            let many = all.len() as u64;
            answers = &all[(rest % many) as usize];
            rest /= many;
        }
        match answers {
            Self::Message(message) => tonic::server::Grpc::new(Raw).unary(Answer(message.clone()), request).await,
            Self::Error => Status::internal("an error").into_http(),
            Self::Ends => streamed(futures_util::stream::empty(), request).await,
            Self::Breaks => {
                let broken = std::future::ready(Err(Status::internal("an error")));
                streamed(futures_util::stream::once(broken), request).await
            }
            Self::Unasked(message) => {
                let said = futures_util::stream::once(std::future::ready(Ok(message.clone())));
                streamed(said.chain(futures_util::stream::pending()), request).await
            }
            Self::Crafted(crafted) => crafted.clone().response(),
            Self::Never | Self::InTurn(_) => std::future::pending().await,
        }
    }
}

/// Serves until it is dropped, with its connections.
pub struct Impostor {
    serving: Option<JoinHandle<()>>,
    asked: Arc<AtomicU64>,
}

impl Impostor {
    /// Serves at this address with the key and the certificate of a node that does not run.
    ///
    /// # Errors
    /// When they cannot be read, or the address is taken.
    pub async fn at(address: SocketAddr, data: &Path, answers: Answers) -> anyhow::Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(config(data)?));
        let listener = TcpListener::bind(address).await?;
        let asked = Arc::<AtomicU64>::default();
        let says = Says { answers, asked: asked.clone() };
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(acceptor.clone(), socket, says.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { serving: Some(serving), asked })
    }

    /// How many calls have come.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Impostor {
    /// Ends it; its address is free then.
    pub async fn end(mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // That it was ended is what it says.
            _ = serving.await;
        }
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

async fn serve(acceptor: TlsAcceptor, socket: TcpStream, says: Says) {
    let Ok(mut outside) = acceptor.accept(socket).await else { return };
    let (inside, mut carried) = tokio::io::duplex(BUFFER);
    // A server whose connections have ended is over: this one is, when the socket is.
    let incoming = futures_util::stream::iter([Ok::<_, std::io::Error>(inside)]).chain(futures_util::stream::pending());
    let served = tonic::transport::Server::builder()
        .add_service(Service::<0>(says.clone()))
        .add_service(Service::<1>(says.clone()))
        .add_service(Service::<2>(says))
        .serve_with_incoming(incoming);
    // Whichever ends first takes the other with it.
    tokio::select! {
        _ = served => {}
        _ = tokio::io::copy_bidirectional(&mut outside, &mut carried) => {}
    }
}

/// The certificate of the data directory; who calls is no matter.
fn config(data: &Path) -> anyhow::Result<rustls::ServerConfig> {
    let key = PrivateKeyDer::from_pem_file(data.join("tls.key"))?;
    let certificates = CertificateDer::pem_file_iter(data.join("tls.crt"))?.collect::<Result<Vec<_>, _>>()?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider);
    let config = config.with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = config.with_no_client_auth().with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

#[derive(Clone)]
struct Says {
    answers: Answers,
    asked: Arc<AtomicU64>,
}

/// Every method of one of the services at the peer port.
#[derive(Clone)]
struct Service<const WHICH: usize>(Says);

impl NamedService for Service<0> {
    const NAME: &'static str = "havenlink.directory.v1.DirectoryService";
}

impl NamedService for Service<1> {
    const NAME: &'static str = "havenlink.peer.v1.ExchangeService";
}

impl NamedService for Service<2> {
    const NAME: &'static str = "havenlink.raft.v1.RaftService";
}

impl<const WHICH: usize> tower::Service<Request<Body>> for Service<WHICH> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let number = self.0.asked.fetch_add(1, Ordering::Relaxed);
        let answers = self.0.answers.clone();
        Box::pin(async move { Ok(answers.to(number, request).await) })
    }
}

type Said = BoxStream<'static, Result<Bytes, Status>>;

/// Says this without having read what is asked.
async fn streamed(
    said: impl Stream<Item = Result<Bytes, Status>> + Send + 'static,
    request: Request<Body>,
) -> Response<Body> {
    let said = Saying(Some(said.boxed()));
    tonic::server::Grpc::new(Raw).streaming(said, request).await
}

struct Saying(Option<Said>);

impl StreamingService<Bytes> for Saying {
    type Response = Bytes;
    type ResponseStream = Said;
    type Future = std::future::Ready<Result<tonic::Response<Said>, Status>>;

    fn call(&mut self, _: tonic::Request<tonic::Streaming<Bytes>>) -> Self::Future {
        let said = self.0.take().ok_or_else(|| Status::internal("one call"));
        std::future::ready(said.map(tonic::Response::new))
    }
}

struct Answer(Bytes);

impl UnaryService<Bytes> for Answer {
    type Response = Bytes;
    type Future = std::future::Ready<Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, _: tonic::Request<Bytes>) -> Self::Future {
        std::future::ready(Ok(tonic::Response::new(self.0.clone())))
    }
}
