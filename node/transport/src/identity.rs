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

use super::certificate::{self, Certificate, Generated, LIFETIME, VALIDITY_SLACK};
use super::error::{CertificateFault, Error};
pub use super::identity_files::Pair;
use super::issued::{self, Issuing};
use super::{identity_files, tls, verify};
use crate::domain::authority::PinnedKey;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, FederationId, Pin};
use crate::domain::pin_proof::{PinProof, signed_bytes};
use crate::domain::time::{Millis, UnixMs};

/// How a TLS key signs for its pin: one scheme for each form of key that the register takes.
const PROOF_SCHEMES: [SignatureScheme; 4] = [
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
];

/// Of a SubjectPublicKeyInfo: RSA with 4,096 bits. A larger one does not go into an entry.
const LARGEST_KEY: usize = 600;

/// Key and certificate in use. Cheap to clone; all clones change together. Holds a private key: no Debug.
#[derive(Clone)]
pub struct NodeIdentity(Arc<Inner>);

struct Inner {
    held: ArcSwap<InUse>,
    generation: AtomicU64,
}

struct InUse {
    /// The list that handshakes show: the certificate, then what its authority issued beside it.
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

    /// From a PKCS#8 key and the list that handshakes show, its certificate first.
    ///
    /// # Errors
    /// As `from_der`.
    pub(super) fn from_list(key: &[u8], list: &[Vec<u8>]) -> Result<Self, Error> {
        let made = Self::from_der(key, list.first().map_or(&[], Vec::as_slice))?;
        let list = list.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let held = made.0.held.load_full();
        let key = Arc::new(CertifiedKey::new(list, held.key.key.clone()));
        made.take(InUse { key, certificate: held.certificate.clone() });
        Ok(made)
    }

    /// Shows what the other one shows, from the next handshake on. For a door whose certificate no register lists.
    pub fn show_as(&self, other: &Self) {
        self.0.held.store(other.0.held.load_full());
        self.0.generation.fetch_add(1, Ordering::Release);
    }

    /// The list that handshakes show.
    #[cfg(test)]
    pub(super) fn shown(&self) -> Vec<Vec<u8>> {
        self.0.held.load().key.cert.iter().map(|der| der.to_vec()).collect()
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

    /// Has the authority's key vouch for the certificate in use, and shows that from the next handshake on. One that this
    /// node made for itself, or under another key, is replaced by one for the same TLS key, in memory and in the data
    /// directory; with the dates that it had, or fresh ones if they are not those of now. A national PKI's stays in front, with one of ours
    /// for the same key beside it. Called at the start, after each rotation, and now and then; usually nothing changes.
    ///
    /// # Errors
    /// When the key is of no kind that can be issued for, or a file cannot be written; what was shown goes on being shown.
    pub fn issue(&self, dir: &Path, issuing: &Issuing<'_>, now: UnixMs) -> Result<(), Error> {
        let held = self.0.held.load();
        let not_issued = |_| CertificateFault::NotIssued;
        let used = &held.certificate;
        let good = |der: &[u8]| {
            issued::Claimed::read(der).filter(|claimed| {
                claimed.name == *issuing.name && claimed.spki == used.spki && claimed.is_by(&issuing.key.public_key())
            })
        };
        let mut list = vec![CertificateDer::from(used.der.clone())];
        if !certificate::is_by_another(&used.der) {
            // One that begins later was made by a clock that was ahead.
            let valid = |from: UnixMs, to: UnixMs| from <= now + VALIDITY_SLACK && now < to;
            if good(&used.der).is_none_or(|claimed| !valid(claimed.not_before, claimed.not_after)) {
                // Of one that was brought with a longer life, no more is issued than a leaf may have.
                let (from, to) = match valid(used.not_before, used.not_after.min(used.not_before + LIFETIME)) {
                    true => (used.not_before, used.not_after),
                    false => (now, now + LIFETIME),
                };
                let leaf = issuing.leaf(&used.spki, from, to).map_err(not_issued)?;
                identity_files::write_certificate(dir, &leaf)?;
                list = vec![CertificateDer::from(leaf)];
            }
        } else {
            let third = |claimed: &issued::Claimed| Millis(claimed.not_after.since(claimed.not_before).0 / 3);
            let fresh = |claimed: &issued::Claimed| {
                claimed.not_before <= now + VALIDITY_SLACK && now < claimed.not_after - third(claimed)
            };
            let beside = held.key.cert.iter().skip(1).find(|der| good(der).is_some_and(|claimed| fresh(&claimed)));
            let leaf = match beside {
                Some(leaf) => leaf.clone(),
                None => issuing.leaf(&used.spki, now, now + LIFETIME).map_err(not_issued)?.into(),
            };
            list.push(leaf);
        }
        let crosses = &issuing.crosses[issuing.crosses.len().saturating_sub(issued::CROSSES)..];
        list.extend(crosses.iter().map(|cross| CertificateDer::from(cross.clone())));
        if list != held.key.cert {
            let certificate = Certificate::parse(&list[0]).map_err(CertificateFault::Certificate)?;
            let key = CertifiedKey::new(list, held.key.key.clone());
            self.take(InUse { key: Arc::new(key), certificate: Arc::new(certificate) });
        }
        Ok(())
    }

    /// The next pair of a renewal: the stored one if it is still good for most of its life, else a fresh one, stored.
    /// Its pin is to be published (`pinned`) before `promote`.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn prepare(dir: &Path, issuing: &Issuing<'_>, now: UnixMs, lifetime: Millis) -> Result<Self, Error> {
        if let Some((key, certificate)) = identity_files::read_next(dir)?
            && let Ok(held) = load(&key, &certificate)
            && held.certificate.is_valid(now)
            && now < held.certificate.renew_at()
        {
            return Self::from_der(&key, &certificate);
        }
        let made = Self::generate(&issuing.name.authority, now, lifetime)?;
        let leaf = issuing.leaf(&made.certificate.spki, made.certificate.not_before, made.certificate.not_after);
        let certificate = Certificate::parse(&leaf.map_err(|_| CertificateFault::NotIssued)?);
        let certificate = certificate.map_err(CertificateFault::Certificate)?;
        let generated = Generated { key: made.key, certificate };
        identity_files::write_next(dir, &generated)?;
        Self::from_der(&generated.key, &generated.certificate.der)
    }

    /// The pin of this pair as the register takes it: until the certificate ends, with the key's own word that it is this
    /// authority's in this federation (9.6).
    ///
    /// # Errors
    /// `CERTIFICATE_INVALID` for a form of key that proves nothing here.
    pub fn pinned(&self, federation: &FederationId, authority: &AuthorityId) -> Result<PinnedKey, Error> {
        let held = self.0.held.load();
        let Certificate { spki, pin, not_after, .. } = held.certificate.as_ref();
        let signer = held.key.key.choose_scheme(&PROOF_SCHEMES).ok_or(CertificateFault::KeyForm)?;
        let signature = signer.sign(&signed_bytes(federation, authority, pin)).map_err(|_| CertificateFault::Key)?;
        let proof = PinProof { spki: spki.clone().into(), signature: signature.into() };
        Ok(PinnedKey { pin: *pin, valid_until: *not_after, proof })
    }

    /// The pin of a renewal under way; `None`: there is none.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn prepared(dir: &Path) -> Result<Option<Pin>, Error> {
        let next = identity_files::read_next(dir)?;
        Ok(next.and_then(|(key, certificate)| load(&key, &certificate).ok()).map(|held| held.certificate.pin))
    }

    /// Takes the prepared pair into use once it is proved, in memory and in the data directory.
    ///
    /// # Errors
    /// `CERTIFICATE_INVALID` when nothing is prepared or the proof fails; the old pair stays in use.
    pub fn promote(&self, dir: &Path, issuing: &Issuing<'_>, view: &DirectoryView, now: UnixMs) -> Result<Pin, Error> {
        let (key, certificate) = identity_files::read_next(dir)?.ok_or(CertificateFault::NothingPrepared)?;
        let held = prove(&key, &certificate, &issuing.name.authority, view, now)?;
        identity_files::promote(dir)?;
        let pin = self.take(held);
        self.issue(dir, issuing, now)?;
        Ok(pin)
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

    /// A pair that its owner brings, as PEM or DER, stored as the next one of a renewal: to be published (`pinned`) and then
    /// promoted. Whoever issued it: a national PKI, say.
    ///
    /// # Errors
    /// `CERTIFICATE_INVALID` with what does not fit; nothing is stored then.
    pub fn bring(dir: &Path, key: &[u8], certificate: &[u8], now: UnixMs) -> Result<Self, Error> {
        let certificate = identity_files::certificate_of(certificate)?;
        let key = identity_files::key_of(key)?;
        let held = load(&key, &certificate)?;
        if certificate::is_of_a_ca(&certificate) {
            return Err(CertificateFault::OfACa.into());
        }
        if now < held.certificate.not_before || held.certificate.not_after <= now {
            return Err(CertificateFault::NotValidNow.into());
        }
        // What authorities issue certificates for is what proves a pin; both are asked here, before anything is published.
        let proves = |spki: &[u8]| issued::is_of_a_form(spki) && spki.len() <= LARGEST_KEY;
        if !proves(&held.certificate.spki) || held.key.key.choose_scheme(&PROOF_SCHEMES).is_none() {
            return Err(CertificateFault::KeyForm.into());
        }
        let made = Generated { key, certificate: held.certificate.as_ref().clone() };
        identity_files::write_next(dir, &made)?;
        Self::from_der(&made.key, &made.certificate.der)
    }

    /// The pair of the data directory, if it is another one than that in use: its owner put it there. Key and certificate.
    ///
    /// # Errors
    /// When a file cannot be read, or the two are no pair.
    pub fn put_there(&self, dir: &Path) -> Result<Option<Pair>, Error> {
        let (key, certificate) = identity_files::read_current(dir)?;
        Ok((self.certificate().der != certificate).then_some((key, certificate)))
    }

    /// Whether somebody else than this node or its authority issued the certificate in use. It is left alone as long as there
    /// is time: its owner brings the next one.
    pub fn is_anothers(&self) -> bool {
        certificate::is_by_another(&self.certificate().der)
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
