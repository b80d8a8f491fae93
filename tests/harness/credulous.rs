//! A TLS client of our own making, below any library that speaks a protocol: it believes every server, and shows whatever
//! certificate it is given.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A client that shows this certificate (DER), with this key (PKCS#8), whether they belong together or not; or none.
///
/// # Errors
/// When the key is none.
pub fn client(shown: Option<(Vec<u8>, Vec<u8>)>) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Credulous));
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
            let signer = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key)?;
            let pair = CertifiedKey::new(vec![certificate.into()], signer);
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// What the node of this data directory shows: its certificate and its key.
///
/// # Errors
/// When they cannot be read.
pub fn pair_of(data: &Path) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let certificate = CertificateDer::from_pem_file(data.join("tls.crt"))?;
    let key = PrivateKeyDer::from_pem_file(data.join("tls.key"))?;
    Ok((certificate.to_vec(), key.secret_der().to_vec()))
}

/// Connects. In TLS 1.3 a client learns only with the first bytes of HTTP whether it was let in.
///
/// # Errors
/// When nobody listens there, or the handshake fails.
pub async fn connect(to: SocketAddr, config: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(to).await?;
    TlsConnector::from(config).connect(name_of(to), socket).await
}

/// Under which name it is asked for: no node minds.
pub fn name_of(address: SocketAddr) -> ServerName<'static> {
    ServerName::from(address.ip())
}
