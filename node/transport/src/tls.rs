//! The two rustls configurations of a node, and the one provider behind them.

use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};

use super::connection::Alpn;
use super::identity::NodeIdentity;
use super::verify::PinVerifier;

/// aws-lc-rs with TLS 1.3 suites only; X25519MLKEM768 first (what is recorded today must not be read in ten years),
/// X25519 for a peer that cannot.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let make = || {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519];
        // Another crate's features may compile TLS 1.2 in; it stays out of what we offer.
        provider.cipher_suites.retain(|suite| matches!(suite, rustls::SupportedCipherSuite::Tls13(_)));
        Arc::new(provider)
    };
    PROVIDER.get_or_init(make).clone()
}

/// Makes the provider the default of the process, for the libraries that ask for one. A second call changes nothing.
pub fn install_provider() {
    let _ = provider().as_ref().clone().install_default();
}

/// For accepting. Full handshakes only: a resumed session would skip the verifier, and so a suspension.
pub(super) fn server_config(
    identity: &NodeIdentity,
    verifier: Arc<PinVerifier>,
    alpn: Alpn,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(identity.resolver());
    config.alpn_protocols = vec![alpn.protocol().to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// For dialling one target; the verifier knows whom.
pub(super) fn client_config(
    identity: &NodeIdentity,
    verifier: Arc<PinVerifier>,
    alpn: Alpn,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous() // rustls' word for "own verifier"; ours is stricter than a chain
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(identity.resolver());
    config.alpn_protocols = vec![alpn.protocol().to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    // Whom we dial stands in no clear text.
    config.enable_sni = false;
    Ok(Arc::new(config))
}
