//! A node certificate: what of it counts here (key, pin, validity), and how a node issues its own.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use zeroize::Zeroizing;

use crate::domain::ids::{AuthorityId, Digest, Pin};
use crate::domain::time::{Millis, UnixMs};

/// How far a peer's clock and ours may differ when a certificate's validity is judged (9.6).
pub const VALIDITY_SLACK: Millis = Millis::minutes(10);
/// Life of a self-issued certificate; renewed at two thirds of it.
pub const LIFETIME: Millis = Millis::days(90);

/// Why bytes are not a certificate that this node can judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not DER of one X.509 v3 certificate.
    #[error("not an X.509 v3 certificate")]
    Encoding,
    /// Validity that no clock can have.
    #[error("validity outside of any clock")]
    Validity,
}

/// The parts of a certificate that are looked at. Names and issuers are not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// DER of the whole certificate.
    pub der: Vec<u8>,
    /// DER SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// SHA-256 of `spki`.
    pub pin: Pin,
    pub not_before: UnixMs,
    pub not_after: UnixMs,
}

impl Certificate {
    /// Reads a certificate. The key comes from the parser that verifies the handshake signature too: what is pinned is
    /// what is used.
    ///
    /// # Errors
    /// When the bytes are not exactly one X.509 v3 certificate.
    pub fn parse(der: &[u8]) -> Result<Self, Malformed> {
        let holder = CertificateDer::from(der);
        let parsed = ParsedCertificate::try_from(&holder).map_err(|_| Malformed::Encoding)?;
        let spki = parsed.subject_public_key_info().as_ref().to_vec();
        let (rest, x509) = x509_parser::parse_x509_certificate(der).map_err(|_| Malformed::Encoding)?;
        if !rest.is_empty() || x509.public_key().raw != spki.as_slice() {
            return Err(Malformed::Encoding);
        }
        let instant = |seconds: i64| seconds.checked_mul(1_000).map(UnixMs).ok_or(Malformed::Validity);
        let validity = x509.validity();
        Ok(Self {
            der: der.to_vec(),
            pin: Pin(Digest::of(&spki).0),
            spki,
            not_before: instant(validity.not_before.timestamp())?,
            not_after: instant(validity.not_after.timestamp())?,
        })
    }

    /// Whether it is valid at this instant, give or take the clocks' difference.
    pub fn is_valid(&self, now: UnixMs) -> bool {
        self.not_before - VALIDITY_SLACK <= now && now <= self.not_after + VALIDITY_SLACK
    }

    /// When two thirds of its life are over.
    pub fn renew_at(&self) -> UnixMs {
        let life = self.not_after.since(self.not_before);
        self.not_before + Millis(life.0 / 3 * 2)
    }
}

/// Whether somebody else than this node or its authority issued the certificate: a national PKI. Its names are its own matter.
pub(super) fn is_by_another(der: &[u8]) -> bool {
    let own = super::issued::Claimed::read(der).is_some();
    let parsed = x509_parser::parse_x509_certificate(der);
    !own && parsed.is_ok_and(|(_, x509)| x509.issuer() != x509.subject())
}

/// Whether it issues others, and so is no node's.
pub(super) fn is_of_a_ca(der: &[u8]) -> bool {
    x509_parser::parse_x509_certificate(der).is_ok_and(|(_, x509)| x509.is_ca())
}

/// A new key with its self-issued certificate. Holds a private key: no Debug.
pub struct Generated {
    /// PKCS#8.
    pub key: Zeroizing<Vec<u8>>,
    pub certificate: Certificate,
}

/// A fresh ECDSA P-256 key and a certificate for it that any X.509 tool can show; what authorises it is its pin. Its authority
/// issues another one for the same key as soon as the federation's id is known (`issued`).
///
/// # Errors
/// When the system gives no randomness.
pub fn generate(authority: &AuthorityId, now: UnixMs, lifetime: Millis) -> Result<Generated, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![authority.as_str().to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, authority.as_str());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    super::issued::within(&mut params, now, now + lifetime);
    let issued = params.self_signed(&key)?;
    let certificate = Certificate::parse(issued.der()).map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
    Ok(Generated { key: Zeroizing::new(key.serialize_der()), certificate })
}
