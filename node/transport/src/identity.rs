//! The node's own TLS key and certificate, shared by listener and pool, replaced only by what was proved.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::{self, Certificate, Generated};
use super::error::{CertificateFault, Error};
use super::{identity_files, tls, verify};
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::time::{Millis, UnixMs};

/// Key and certificate in use. Cheap to clone; all clones change together. Holds a private key: no Debug.
#[derive(Clone)]
pub struct NodeIdentity(Arc<Inner>);

struct Inner {
    held: ArcSwap<InUse>,
    generation: AtomicU64,
}

struct InUse {
    key: Arc<CertifiedKey>,
    certificate: Arc<Certificate>,
}

impl NodeIdentity {
    /// A fresh key and self-issued certificate, not stored anywhere yet.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate(authority: &AuthorityId, now: UnixMs, lifetime: Millis) -> Result<Generated, Error> {
        certificate::generate(authority, now, lifetime).map_err(|_| CertificateFault::NotIssued.into())
    }

    /// From a PKCS#8 key and a DER certificate.
    ///
    /// # Errors
    /// `CERTIFICATE_INVALID` when one does not load or they do not belong together.
    pub fn from_der(key: &[u8], certificate: &[u8]) -> Result<Self, Error> {
        let held = load(key, certificate)?;
        Ok(Self(Arc::new(Inner { held: ArcSwap::from_pointee(held), generation: AtomicU64::new(0) })))
    }

    /// From `tls.key` and `tls.crt` of a data directory (PEM or DER), finishing a renewal that a crash cut short.
    ///
    /// # Errors
    /// When a file cannot be read or the pair is not one.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let (key, certificate) = identity_files::read_current(dir)?;
        Self::from_der(&key, &certificate)
    }

    /// Stores a pair as the one in use: for `init` and `join`, before there is a running identity.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn store(dir: &Path, generated: &Generated) -> Result<(), Error> {
        identity_files::write_current(dir, generated)
    }

    /// The next pair of a renewal: the stored one if it is still good for most of its life, else a fresh one, stored.
    /// Its pin is to be published before `promote`.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn prepare(dir: &Path, authority: &AuthorityId, now: UnixMs, lifetime: Millis) -> Result<Certificate, Error> {
        if let Some((key, certificate)) = identity_files::read_next(dir)?
            && let Ok(held) = load(&key, &certificate)
            && held.certificate.is_valid(now)
            && now < held.certificate.renew_at()
        {
            return Ok(held.certificate.as_ref().clone());
        }
        let generated = Self::generate(authority, now, lifetime)?;
        identity_files::write_next(dir, &generated)?;
        Ok(generated.certificate)
    }

    /// Takes the prepared pair into use once it is proved, in memory and in the data directory.
    ///
    /// # Errors
    /// `CERTIFICATE_INVALID` when nothing is prepared or the proof fails; the old pair stays in use.
    pub fn promote(
        &self,
        dir: &Path,
        authority: &AuthorityId,
        view: &DirectoryView,
        now: UnixMs,
    ) -> Result<Pin, Error> {
        let (key, certificate) = identity_files::read_next(dir)?.ok_or(CertificateFault::NothingPrepared)?;
        let held = prove(&key, &certificate, authority, view, now)?;
        identity_files::promote(dir)?;
        Ok(self.take(held))
    }

    /// Takes a pair into use after proving it: it loads, the key fits, it is valid now, and its pin is published in
    /// the node's own entry. Nothing that runs is interrupted; new handshakes use the new pair.
    ///
    /// # Errors
    /// `CERTIFICATE_INVALID` with what failed; the old pair stays in use.
    pub fn replace(
        &self,
        key: &[u8],
        certificate: &[u8],
        authority: &AuthorityId,
        view: &DirectoryView,
        now: UnixMs,
    ) -> Result<Pin, Error> {
        Ok(self.take(prove(key, certificate, authority, view, now)?))
    }

    fn take(&self, held: InUse) -> Pin {
        let pin = held.certificate.pin;
        self.0.held.store(Arc::new(held));
        self.0.generation.fetch_add(1, Ordering::Release);
        pin
    }

    /// The certificate that new handshakes show.
    pub fn certificate(&self) -> Arc<Certificate> {
        self.0.held.load().certificate.clone()
    }

    /// SHA-256 of the public key of that certificate.
    pub fn pin(&self) -> Pin {
        self.0.held.load().certificate.pin
    }

    /// Rises with every replacement.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    pub(super) fn resolver(&self) -> Arc<Resolver> {
        Arc::new(Resolver(self.clone()))
    }
}

fn load(key: &[u8], certificate: &[u8]) -> Result<InUse, CertificateFault> {
    let parsed = Certificate::parse(certificate).map_err(CertificateFault::Certificate)?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let signer = tls::provider().key_provider.load_private_key(der.clone_key()).map_err(|_| CertificateFault::Key)?;
    let fits = signer.public_key().is_some_and(|public| public.as_ref() == parsed.spki.as_slice());
    if !fits {
        return Err(CertificateFault::KeyDoesNotFit);
    }
    let chain = vec![CertificateDer::from(certificate.to_vec())];
    Ok(InUse { key: Arc::new(CertifiedKey::new(chain, signer)), certificate: Arc::new(parsed) })
}

fn prove(
    key: &[u8],
    certificate: &[u8],
    authority: &AuthorityId,
    view: &DirectoryView,
    now: UnixMs,
) -> Result<InUse, CertificateFault> {
    let held = load(key, certificate)?;
    // No slack here: what we take into use must be valid by our own clock.
    if now < held.certificate.not_before || held.certificate.not_after <= now {
        return Err(CertificateFault::NotValidNow);
    }
    if !verify::pins_of(view, authority, now).contains(&held.certificate.pin) {
        return Err(CertificateFault::PinNotPublished);
    }
    Ok(held)
}

/// Gives rustls the pair in use, in either direction.
pub(super) struct Resolver(NodeIdentity);

// Required by the resolver traits; shows nothing, for a key stands behind it.
impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.0.held.load().key.clone())
    }
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.0.held.load().key.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
