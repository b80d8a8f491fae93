//! The CA of the local listener: what clients of this node trust, whatever becomes of its other keys (9.6).
//!
//! Partners know a node by its pin; a stock TLS library knows a server by a CA and a name, and may not do Ed25519. So the door
//! for the authority's own software has a P-256 CA of its own, made once: renewals, rotations and a national PKI's certificate
//! change nothing for its clients. They in turn are known by their exact key, never by this CA, which issues them nothing.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::NodeIdentity;
use super::certificate::{Certificate, Generated, LIFETIME};
use super::error::{CertificateFault, Error};
use super::identity_files;
use super::issued::within;
use crate::domain::ids::AuthorityId;
use crate::domain::time::{Millis, UnixMs};
use zeroize::Zeroizing;

/// The certificate that clients are configured with, in the data directory and beside a backup.
pub const CERTIFICATE: &str = "local-ca.crt";
pub const KEY: &str = "local-ca.key";
/// Of the CA: a client is configured once.
const CA_LIFE: Millis = Millis::days(20 * 365);
/// A client's clock may be behind by this much.
const BEFORE: Millis = Millis::days(1);

/// The CA. Holds a private key: no Debug.
pub struct LocalCa {
    authority: AuthorityId,
    key: KeyPair,
    certificate: Certificate,
}

impl LocalCa {
    /// The one of the data directory; made there if there is none, or if it has ended.
    ///
    /// # Errors
    /// When a file cannot be read or written, or is of something else.
    pub fn open(dir: &Path, authority: &AuthorityId, now: UnixMs) -> Result<Self, Error> {
        if let Some((key, certificate)) = identity_files::read_pair(dir, KEY, CERTIFICATE)? {
            let key = KeyPair::try_from(key.as_slice()).map_err(|_| CertificateFault::Key)?;
            let certificate = Certificate::parse(&certificate).map_err(CertificateFault::Certificate)?;
            if now < certificate.not_after {
                return Ok(Self { authority: authority.clone(), key, certificate });
            }
        }
        let key = KeyPair::generate().map_err(|_| CertificateFault::NotIssued)?;
        let mut params = ca_params(authority);
        within(&mut params, now - BEFORE, now + CA_LIFE);
        let made = params.self_signed(&key).map_err(|_| CertificateFault::NotIssued)?;
        let certificate = Certificate::parse(made.der()).map_err(CertificateFault::Certificate)?;
        let generated = Generated { key: Zeroizing::new(key.serialize_der()), certificate };
        identity_files::write_pair(dir, &generated, KEY, CERTIFICATE)?;
        Ok(Self { authority: authority.clone(), key, certificate: generated.certificate })
    }

    /// What a client trusts, as PEM.
    pub fn pem(&self) -> String {
        identity_files::pem("CERTIFICATE", &self.certificate.der).as_str().to_owned()
    }

    /// A fresh key with a certificate for these names and addresses, at most 90 days long.
    ///
    /// # Errors
    /// When the system gives no randomness, or a name is none.
    pub fn identity(&self, names: &[String], now: UnixMs) -> Result<NodeIdentity, Error> {
        let not_issued = |_| CertificateFault::NotIssued;
        let key = KeyPair::generate().map_err(not_issued)?;
        let mut params = CertificateParams::new(names).map_err(not_issued)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.authority.as_str());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        within(&mut params, now - BEFORE, (now + LIFETIME - BEFORE).min(self.certificate.not_after));
        let issuer = Issuer::new(ca_params(&self.authority), &self.key);
        let leaf = params.signed_by(&key, &issuer).map_err(not_issued)?;
        NodeIdentity::from_list(&key.serialize_der(), &[leaf.der().to_vec(), self.certificate.der.clone()])
    }
}

fn ca_params(authority: &AuthorityId) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, DnValue::from(format!("{authority} local CA")));
    // It issues the server's certificate, and no other CA.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}
