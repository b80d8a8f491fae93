//! Certificates under an authority's own key: how they are issued, and how a list of them is judged (9.6).
//!
//! Two forms and no third. A *leaf* is of a node's TLS key: CA:false, at most 90 days. A *cross certificate* is of the
//! authority's next key: CA:true, issued by the one before when it was rotated. Both name the federation and the authority in
//! their only subject alternative name. The list of a handshake holds the certificate in use, the leaf for the same key if
//! that is another one (a national PKI's), and the cross certificates; their order says nothing.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, PublicKeyData,
    SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use super::certificate::{LIFETIME, VALIDITY_SLACK};
use super::successors::Successors;
use crate::domain::authority::PublicKey;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::domain::issued::{AuthoritySigner, NodeName, Vouched};
use crate::domain::time::{Millis, UnixMs};

/// Cross certificates in one list.
pub const CROSSES: usize = 8;
/// Of a cross certificate. A rotation does not lapse: its dates are not looked at, only its place between two keys.
const CROSS_LIFE: Millis = Millis::days(100 * 365);
/// RFC 8410.
const ED25519_OID: &str = "1.3.101.112";

/// What issues a node's certificates.
#[derive(Clone, Copy)]
pub struct Issuing<'a> {
    pub name: &'a NodeName,
    pub key: &'a dyn AuthoritySigner,
    /// Cross certificates of the rotations before, DER, newest last.
    pub crosses: &'a [Vec<u8>],
}

struct Signer<'a>(&'a dyn AuthoritySigner, PublicKey);

impl PublicKeyData for Signer<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.1.raw()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

/// A key that a certificate is issued for.
struct Subject {
    algorithm: &'static rcgen::SignatureAlgorithm,
    bits: Vec<u8>,
}

/// Object identifiers of keys (RFC 5480, 8410, 3279), that of the curve where there is one, and how rcgen writes them down.
const SUBJECTS: [(&str, Option<&str>, &rcgen::SignatureAlgorithm); 4] = [
    ("1.2.840.10045.2.1", Some("1.2.840.10045.3.1.7"), &rcgen::PKCS_ECDSA_P256_SHA256),
    ("1.2.840.10045.2.1", Some("1.3.132.0.34"), &rcgen::PKCS_ECDSA_P384_SHA384),
    (ED25519_OID, None, &rcgen::PKCS_ED25519),
    ("1.2.840.113549.1.1.1", None, &rcgen::PKCS_RSA_SHA256),
];

impl Subject {
    fn read(spki: &[u8]) -> Result<Self, rcgen::Error> {
        let (_, key) = SubjectPublicKeyInfo::from_der(spki).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        let oid = key.algorithm.algorithm.to_id_string();
        let curve = key.algorithm.parameters.as_ref().and_then(|of| of.as_oid().ok()).map(|oid| oid.to_id_string());
        let fits = |(known, on, _): &&(&str, Option<&str>, _)| *known == oid && *on == curve.as_deref();
        let (_, _, algorithm) = SUBJECTS.iter().find(fits).ok_or(rcgen::Error::UnsupportedSignatureAlgorithm)?;
        Ok(Self { algorithm, bits: key.subject_public_key.data.to_vec() })
    }
}

impl PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm
    }
}

impl rcgen::SigningKey for Signer<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign_bytes(message).to_vec())
    }
}

/// Whether a certificate can be issued for such a key.
pub(super) fn is_of_a_form(spki: &[u8]) -> bool {
    Subject::read(spki).is_ok()
}

/// The dates of a certificate.
pub(super) fn within(params: &mut CertificateParams, not_before: UnixMs, not_after: UnixMs) {
    let date = |at: UnixMs| rcgen::date_time_ymd(1970, 1, 1) + at.since(UnixMs(0)).to_duration();
    (params.not_before, params.not_after) = (date(not_before), date(not_after));
}

impl Issuing<'_> {
    /// A leaf for a TLS key, as DER. No longer than 90 days, whatever is asked for.
    ///
    /// # Errors
    /// When the key is of no kind that a certificate can have here, or the system gives no randomness.
    pub fn leaf(&self, spki: &[u8], not_before: UnixMs, not_after: UnixMs) -> Result<Vec<u8>, rcgen::Error> {
        let mut params = self.params(not_before, not_after.min(not_before + LIFETIME))?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params, &Subject::read(spki)?)
    }

    /// The cross certificate of the authority's next key, as DER.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn cross(&self, next: &PublicKey, now: UnixMs) -> Result<Vec<u8>, rcgen::Error> {
        let mut params = self.params(now, now + CROSS_LIFE)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        self.issue(&params, &Subject::read(&next.0)?)
    }

    fn params(&self, not_before: UnixMs, not_after: UnixMs) -> Result<CertificateParams, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.name.authority.as_str());
        params.subject_alt_names = vec![SanType::URI(self.name.to_string().try_into()?)];
        within(&mut params, not_before, not_after);
        let mut serial = [0; 16];
        aws_lc_rs::rand::fill(&mut serial).map_err(|_| rcgen::Error::RingUnspecified)?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    fn issue(&self, params: &CertificateParams, subject: &Subject) -> Result<Vec<u8>, rcgen::Error> {
        let mut own = CertificateParams::default();
        own.distinguished_name = rcgen::DistinguishedName::new();
        own.distinguished_name.push(DnType::CommonName, format!("{} authority key", self.name.authority));
        let issuer = Issuer::new(own, Signer(self.key, self.key.public_key()));
        Ok(params.signed_by(subject, &issuer)?.der().to_vec())
    }
}

/// A certificate that says that an authority's key issued it; whether that is so is asked with `is_by`.
pub(super) struct Claimed {
    pub(super) name: NodeName,
    /// A cross certificate's.
    ca: bool,
    pub(super) spki: Vec<u8>,
    pub(super) not_before: UnixMs,
    pub(super) not_after: UnixMs,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

impl Claimed {
    /// `None` for whatever has neither form: another algorithm, name, or constraint.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (rest, x509) = x509_parser::parse_x509_certificate(der).ok()?;
        let ed25519 = |oid: &x509_parser::der_parser::Oid<'_>| oid.to_id_string() == ED25519_OID;
        let fits = rest.is_empty()
            && ed25519(&x509.signature_algorithm.algorithm)
            && ed25519(&x509.tbs_certificate.signature.algorithm);
        if !fits {
            return None;
        }
        let constraints = x509.basic_constraints().ok()??;
        let instant = |seconds: i64| seconds.checked_mul(1_000).map(UnixMs);
        Some(Self {
            name: name(&x509)?,
            ca: constraints.value.ca,
            spki: x509.public_key().raw.to_vec(),
            not_before: instant(x509.validity().not_before.timestamp())?,
            not_after: instant(x509.validity().not_after.timestamp())?,
            signed: x509.tbs_certificate.as_ref().to_vec(),
            signature: x509.signature_value.data.to_vec(),
        })
    }

    /// Whether this key issued it.
    pub(super) fn is_by(&self, key: &PublicKey) -> bool {
        UnparsedPublicKey::new(&ED25519, key.raw()).verify(&self.signed, &self.signature).is_ok()
    }

    /// The key that a cross certificate leads to.
    pub(super) fn successor(&self) -> Option<PublicKey> {
        PublicKey::from_spki(&self.spki).filter(|_| self.ca)
    }

    fn is_leaf_at(&self, now: UnixMs) -> bool {
        let life = self.not_after.since(self.not_before);
        !self.ca
            && life <= LIFETIME
            && self.not_before - VALIDITY_SLACK <= now
            && now <= self.not_after + VALIDITY_SLACK
    }
}

/// The one alternative name, if it is a node's.
fn name(x509: &X509Certificate<'_>) -> Option<NodeName> {
    let names = x509.subject_alternative_name().ok()??;
    match names.value.general_names[..] {
        [GeneralName::URI(uri)] => NodeName::parse(uri),
        _ => None,
    }
}

/// By which keys the authority named in the list vouches for the key of its first certificate, judged by the view: the
/// leaf is issued by the authority's current key, or by one to which cross certificates lead from there. `only`: no other
/// authority will do. One that was withdrawn, a key with two successors, and any other link between them end the way.
pub(super) fn vouched(
    view: &DirectoryView,
    successors: &Successors,
    list: &[CertificateDer<'_>],
    only: Option<&AuthorityId>,
    now: UnixMs,
) -> Option<Vouched> {
    // The certificate in use, the leaf beside it, and the rotations: of more than these nothing is even read.
    let (first, claimed) = (list.first()?, list.iter().take(CROSSES + 3).map(|der| Claimed::read(der)));
    let spki = super::certificate::Certificate::parse(first).ok()?.spki;
    let (crosses, leaves): (Vec<_>, Vec<_>) = claimed.flatten().partition(|c| c.ca);
    if crosses.len() > CROSSES {
        return None;
    }
    let leaf = leaves.into_iter().find(|leaf| leaf.spki == spki && leaf.is_leaf_at(now))?;
    let authority = &leaf.name.authority;
    if leaf.name.federation != view.federation || only.is_some_and(|only| only != authority) {
        return None;
    }
    let mut key = view.member(authority).filter(|member| member.removed_at.is_none())?.entry.authority_key;
    let mut keys = vec![key];
    while !leaf.is_by(&key) {
        let mut next = None;
        for cross in crosses.iter().filter(|cross| cross.name == leaf.name && cross.is_by(&key)) {
            let after = cross.successor()?;
            if !successors.follows(authority, &keys[0], &key, &after) {
                return None;
            }
            next = Some(after);
        }
        key = next.filter(|next| !keys.contains(next))?;
        keys.push(key);
    }
    let vouched = Vouched { authority: authority.clone(), keys };
    view.vouches(&vouched).then_some(vouched)
}

/// A leaf that is valid for longer than any may be.
#[cfg(test)]
pub(super) fn tests_only_leaf(issuing: &Issuing<'_>, spki: &[u8], not_before: UnixMs, not_after: UnixMs) -> Vec<u8> {
    let mut params = issuing.params(not_before, not_after).expect("parameters");
    params.is_ca = IsCa::ExplicitNoCa;
    issuing.issue(&params, &Subject::read(spki).expect("a key")).expect("issued")
}

/// A certificate as a national PKI issues it: other names, no rule of ours.
#[cfg(test)]
pub(super) fn tests_only_national(issuing: &Issuing<'_>, spki: &[u8], from: UnixMs, to: UnixMs) -> Vec<u8> {
    let mut params = issuing.params(from, to).expect("parameters");
    params.subject_alt_names = vec![SanType::DnsName("node.city.example".try_into().expect("a name"))];
    issuing.issue(&params, &Subject::read(spki).expect("a key")).expect("issued")
}
