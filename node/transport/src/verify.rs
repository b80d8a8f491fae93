//! Who may answer and who may call: exact pin, validity, and proof of the key. One rule for both directions (9.6).
//!
//! The walk of one handshake: the certificate in use is parsed and valid now; its pin is listed, or else, where that is
//! enough, the list proves that the authority's current key vouches for it (`issued`); then the provider verifies that the
//! other side holds the key. What was proved is found again by the same two questions when the connection is entered, and
//! asked anew for each request.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};

use super::ViewSource;
use super::certificate::Certificate;
use super::listener::JoinGate;
use super::successors::Successors;
use super::{issued, tls};
use crate::clock::SharedClock;
use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::time::UnixMs;

/// A certificate whose pin is not among those accepted; what a person needs to see stands in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("presented pin {presented}, which is none of the {} accepted", expected.len())]
pub struct PinUnknown {
    /// What the other side showed.
    pub presented: Pin,
    /// Until when that certificate is valid.
    pub not_after: UnixMs,
    /// What was accepted at that moment; empty where any member's would have been.
    pub expected: Vec<Pin>,
    /// The register's change number that was judged by; 0: none.
    pub number: u64,
}

#[derive(Clone)]
pub(super) enum Accepted {
    /// Any authority of the view that is not removed. A suspended one keeps its Raft and directory calls (9.4).
    /// `Some`: by an issued certificate too.
    Members(ViewSource, Option<Successors>),
    /// Exactly this authority: being pinned somewhere is not being Kehl. `Some`: by an issued certificate too.
    Authority(AuthorityId, ViewSource, Option<Successors>),
    /// Exactly these pins, for a node that has no view yet.
    Pins(Vec<Pin>),
    /// Whoever holds its certificate's key and whom the gate lets in: an applicant.
    Applicants(JoinGate),
}

/// Verifies what the other side presents, in either direction.
pub(super) struct PinVerifier {
    accepted: Accepted,
    clock: SharedClock,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinVerifier {
    pub(super) fn new(accepted: Accepted, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { accepted, clock, algorithms: tls::provider().signature_verification_algorithms })
    }

    fn judge(&self, end_entity: &CertificateDer<'_>, beside: &[CertificateDer<'_>]) -> Result<(), rustls::Error> {
        let certificate = Certificate::parse(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let now = self.clock.now();
        // An applicant's clock may be wrong: the door lets it in, and tells it by how much (9.5).
        if !certificate.is_valid(now) && !matches!(self.accepted, Accepted::Applicants(_)) {
            return Err(not_valid(&certificate, now).into());
        }
        let (expected, number) = match &self.accepted {
            Accepted::Applicants(gate) if gate.admits(&certificate.pin) => return Ok(()),
            Accepted::Applicants(_) => (Vec::new(), 0),
            Accepted::Pins(pins) if pins.contains(&certificate.pin) => return Ok(()),
            Accepted::Pins(pins) => (pins.clone(), 0),
            Accepted::Members(view, issued) => {
                let view = view.load();
                if member_of_pin(&view, &certificate.pin, now).is_some()
                    || issued.as_ref().is_some_and(|seen| self.vouched(&view, seen, end_entity, beside, None))
                {
                    return Ok(());
                }
                (Vec::new(), view.number)
            }
            Accepted::Authority(authority, view, issued) => {
                let view = view.load();
                let pins = pins_of(&view, authority, now);
                let vouched = |seen| self.vouched(&view, seen, end_entity, beside, Some(authority));
                if pins.contains(&certificate.pin) || issued.as_ref().is_some_and(vouched) {
                    return Ok(());
                }
                (pins, view.number)
            }
        };
        let unknown = PinUnknown { presented: certificate.pin, not_after: certificate.not_after, expected, number };
        Err(CertificateError::Other(OtherError(Arc::new(unknown))).into())
    }

    fn vouched(
        &self,
        view: &DirectoryView,
        seen: &Successors,
        end_entity: &CertificateDer<'_>,
        beside: &[CertificateDer<'_>],
        only: Option<&AuthorityId>,
    ) -> bool {
        let list: Vec<_> = std::iter::once(end_entity).chain(beside).cloned().collect();
        issued::vouched(view, seen, &list, only, self.clock.now()).is_some()
    }

    fn signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }
}

/// The authority that a pin belongs to and that may still open connections.
pub(super) fn member_of_pin(view: &DirectoryView, pin: &Pin, now: UnixMs) -> Option<AuthorityId> {
    let authority = view.authority_of_pin(pin, now)?;
    let status = view.status(authority, now);
    matches!(status, MemberStatus::Active | MemberStatus::Suspended).then(|| authority.clone())
}

/// The pins that an authority's own entry lists and that count now.
pub(super) fn pins_of(view: &DirectoryView, authority: &AuthorityId, now: UnixMs) -> Vec<Pin> {
    let pins = view.member(authority).map(|m| m.entry.pins.as_slice()).unwrap_or_default();
    pins.iter().filter(|p| view.holds(authority, p, now)).map(|p| p.pin).collect()
}

/// What its dates say against this clock.
fn not_valid(certificate: &Certificate, now: UnixMs) -> CertificateError {
    let time = |at: UnixMs| {
        UnixTime::since_unix_epoch(std::time::Duration::from_millis(u64::try_from(at.0).unwrap_or_default()))
    };
    if now < certificate.not_before {
        return CertificateError::NotValidYetContext { time: time(now), not_before: time(certificate.not_before) };
    }
    CertificateError::ExpiredContext { time: time(now), not_after: time(certificate.not_after) }
}

fn no_tls12() -> rustls::Error {
    rustls::Error::General("TLS 1.2 is not spoken here".into())
}

// Required by the verifier traits; a verifier has nothing to show.
impl fmt::Debug for PinVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinVerifier")
    }
}

impl ClientCertVerifier for PinVerifier {
    // Empty is legal in TLS 1.3, and does not publish who the members are.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.judge(end_entity, intermediates).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.judge(end_entity, intermediates).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
