//! A client of the local services over mutual TLS, as the guide makes it: it trusts the node's local CA, and shows a key.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

/// A channel that connects when it is first used. Key as PKCS#8, certificate as DER, CA as PEM.
///
/// # Errors
/// When one of them does not load.
pub fn channel(address: SocketAddr, ca: &[u8], key: &[u8], certificate: &[u8]) -> anyhow::Result<Channel> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca).context("the local CA")?)?;
    let key = PrivatePkcs8KeyDer::from(key.to_vec());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![CertificateDer::from(certificate.to_vec())], key.into())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    let dial = tower::service_fn(move |_: Uri| {
        let connector = connector.clone();
        async move {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            let tls = connector.connect(ServerName::from(address.ip()), socket).await?;
            Ok::<_, std::io::Error>(TokioIo::new(tls))
        }
    });
    Ok(Endpoint::from_static("http://localhost").connect_with_connector_lazy(dial))
}
