//! What can go wrong between two nodes, and the one place that turns a failed call into a reason of the catalogue.
//!
//! A failed call comes from tonic as a status with a chain of sources ("transport error" is never all that a person
//! sees): the chain is walked to the first thing that knows what happened.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use rustls::AlertDescription;
use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt;

use super::certificate::Malformed;
use super::verify::PinUnknown;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;

/// Whom we dialled, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `None`: dialled by pin alone.
    pub authority: Option<AuthorityId>,
    /// "host:port".
    pub endpoint: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.authority {
            Some(authority) => write!(f, "{authority} ({})", self.endpoint),
            None => f.write_str(&self.endpoint),
        }
    }
}

/// Why a certificate was not taken into use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    #[error("the certificate does not load")]
    Certificate(#[source] Malformed),
    #[error("the key does not load; it must be an unencrypted PKCS#8 key (openssl pkcs8 -topk8 -nocrypt makes one)")]
    Key,
    #[error("partners take keys of four forms: ECDSA P-256 or P-384, Ed25519, RSA with up to 4096 bits")]
    KeyForm,
    #[error("it is a CA's certificate; the node's own is needed, first in the file")]
    OfACa,
    #[error("the key does not fit the certificate")]
    KeyDoesNotFit,
    #[error("the certificate is not valid now")]
    NotValidNow,
    #[error("the pin is not published in this authority's register entry")]
    PinNotPublished,
    #[error("no new certificate was prepared")]
    NothingPrepared,
    #[error("a certificate could not be issued")]
    NotIssued,
}

/// A failure of this room.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{target} does not answer")]
    Unreachable { target: Target, source: io::Error },
    #[error("{target} presented a certificate that is not accepted for it")]
    PinUnknown { target: Target, source: PinUnknown },
    #[error("{target} refused this node's certificate")]
    RefusedUs { target: Target, source: rustls::Error },
    #[error("the TLS handshake with {target} failed")]
    Tls { target: Target, source: rustls::Error },
    #[error("{target} has a certificate that begins {behind} s from now: this clock is behind, or theirs was ahead")]
    ClockDiffers { target: Target, behind: u64 },
    #[error("{target} has no further connection for us")]
    TooManyConnections { target: Target },
    #[error("{target} accepts no applicants: no invitation is open there")]
    NotInvited { target: Target },
    #[error("{0} is not in the register")]
    UnknownMember(AuthorityId),
    #[error("the register lists no endpoint of {0}")]
    NoEndpoint(AuthorityId),
    #[error("not an endpoint: {endpoint}")]
    Endpoint { endpoint: String },
    #[error("cannot listen on {address}")]
    Bind { address: String, source: io::Error },
    #[error("{} cannot be given to the group with the id {group}", socket.display())]
    Group { socket: PathBuf, group: u32, source: io::Error },
    #[error("the TLS configuration cannot be built")]
    Configuration(#[source] rustls::Error),
    #[error("the certificate was not taken into use")]
    Certificate(#[from] CertificateFault),
    #[error("{}", path.display())]
    File { path: PathBuf, source: io::Error },
}

/// What went wrong with a peer, as people and programs are told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    pub reason: Reason,
    /// Named facts, for `ErrorInfo.metadata`: `peer`, `endpoint`, `presented`, `expected`, `valid_to`,
    /// `register_number`, `cause`. Never content.
    pub detail: Vec<(&'static str, String)>,
}

impl Diagnosis {
    /// One of the named facts.
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.detail.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }
}

impl Error {
    /// The reason of the catalogue.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unreachable { .. } | Self::NoEndpoint(_) | Self::Endpoint { .. } => Reason::PeerUnreachable,
            Self::PinUnknown { .. } => Reason::PeerPinUnknown,
            Self::RefusedUs { .. } => Reason::PeerRefusedUs,
            Self::Tls { .. } => Reason::PeerTlsFailed,
            Self::ClockDiffers { .. } => Reason::ClockDiffers,
            Self::TooManyConnections { .. } => Reason::TooManyConnections,
            Self::NotInvited { .. } => Reason::InvitationUnknown,
            Self::UnknownMember(_) => Reason::MemberUnknown,
            Self::Bind { .. } => Reason::AddressInUse,
            Self::Group { .. } => Reason::SocketGroupRefused,
            Self::Configuration(_) => Reason::Internal,
            Self::Certificate(_) => Reason::CertificateInvalid,
            Self::File { .. } => Reason::StorageFailed,
        }
    }

    /// Whether the same may succeed later without a change.
    pub fn retryable(&self) -> bool {
        self.reason().retryable()
    }

    /// The reason of the catalogue, and the facts that a person needs to see with it.
    pub fn diagnosis(&self) -> Diagnosis {
        let mut detail = Vec::new();
        match self {
            Self::Unreachable { target, source } => name(target, source, &mut detail),
            Self::RefusedUs { target, source } | Self::Tls { target, source } => name(target, source, &mut detail),
            Self::TooManyConnections { target } | Self::NotInvited { target } | Self::ClockDiffers { target, .. } => {
                name(target, self, &mut detail);
            }
            Self::PinUnknown { target, source } => {
                name(target, source, &mut detail);
                let expected: Vec<_> = source.expected.iter().map(|p| HEXLOWER.encode(&p.0)).collect();
                detail.push(("presented", HEXLOWER.encode(&source.presented.0)));
                detail.push(("valid_to", source.not_after.to_string()));
                detail.push(("expected", expected.join(" ")));
                detail.push(("register_number", source.number.to_string()));
            }
            other => detail.push(("cause", chain(other))),
        }
        Diagnosis { reason: self.reason(), detail }
    }
}

fn name(target: &Target, cause: &dyn StdError, detail: &mut Vec<(&'static str, String)>) {
    if let Some(authority) = &target.authority {
        detail.push(("peer", authority.to_string()));
    }
    detail.push(("endpoint", target.endpoint.clone()));
    detail.push(("cause", chain(cause)));
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

/// What an error of the TLS stream means: before the first byte of HTTP, and after.
pub(super) fn from_io(target: &Target, joining: bool, error: io::Error) -> Error {
    let target = target.clone();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        None => Error::Unreachable { target, source: error },
        Some(tls) => match (pin_unknown(tls), tls) {
            (Some(source), _) => Error::PinUnknown { target, source },
            (None, rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)) if joining => {
                Error::NotInvited { target }
            }
            (
                None,
                rustls::Error::InvalidCertificate(rustls::CertificateError::NotValidYetContext { time, not_before }),
            ) => Error::ClockDiffers { target, behind: not_before.as_secs().saturating_sub(time.as_secs()) },
            (None, tls) if is_refusal(tls) => Error::RefusedUs { target, source: tls.clone() },
            (None, tls) => Error::Tls { target, source: tls.clone() },
        },
    }
}

/// The pin that was shown to us in a handshake that failed for it.
pub(super) fn refused_pin(error: &io::Error) -> Option<PinUnknown> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).and_then(pin_unknown)
}

fn pin_unknown(error: &rustls::Error) -> Option<PinUnknown> {
    match error {
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(rustls::OtherError(inner))) => {
            inner.downcast_ref::<PinUnknown>().cloned()
        }
        _ => None,
    }
}

/// In TLS 1.3 the client learns after its own handshake that the server did not take its certificate.
fn is_refusal(error: &rustls::Error) -> bool {
    use AlertDescription as A;
    matches!(
        error,
        rustls::Error::AlertReceived(
            A::BadCertificate
                | A::UnsupportedCertificate
                | A::CertificateRevoked
                | A::CertificateExpired
                | A::CertificateUnknown
                | A::CertificateRequired
                | A::UnknownCA
                | A::AccessDenied
                | A::DecryptError
        )
    )
}

/// The reason of a failed call.
pub fn classify(status: &Status) -> Reason {
    diagnose(status).reason
}

/// The reason of a failed call, with the facts that are known about it. What the peer said itself comes first; then
/// whatever in the chain of sources knows what happened; then the code.
pub fn diagnose(status: &Status) -> Diagnosis {
    if let Some(told) = status.get_details_error_info().and_then(|info| Reason::from_code(&info.reason)) {
        return Diagnosis { reason: told, detail: Vec::new() };
    }
    let mut source = status.source();
    while let Some(error) = source {
        if let Some(known) = error.downcast_ref::<Error>() {
            return known.diagnosis();
        }
        if error.is::<TimeoutExpired>() {
            return Diagnosis { reason: Reason::DeadlineExceeded, detail: Vec::new() };
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if inner.and_then(|e| e.downcast_ref::<rustls::Error>()).is_some_and(is_refusal) {
            return Diagnosis { reason: Reason::PeerRefusedUs, detail: vec![("cause", chain(error))] };
        }
        source = error.source();
    }
    let detail = status.source().map(|error| vec![("cause", chain(error))]).unwrap_or_default();
    Diagnosis { reason: by_code(status), detail }
}

fn by_code(status: &Status) -> Reason {
    let local = status.source().is_some();
    match status.code() {
        Code::DeadlineExceeded => Reason::DeadlineExceeded,
        Code::ResourceExhausted if local => Reason::TooManyConnections,
        Code::ResourceExhausted => Reason::BudgetExhausted,
        // Too large, in elements (9.14) or in bytes.
        Code::OutOfRange => Reason::MessageTooLarge,
        // The connection ended under the call.
        Code::Unavailable | Code::Cancelled => Reason::PeerUnreachable,
        Code::Unknown | Code::Internal if local => Reason::PeerUnreachable,
        Code::NotFound => Reason::NotFound,
        Code::PermissionDenied | Code::Unimplemented => Reason::MethodNotOpen,
        Code::Unauthenticated => Reason::PeerRefusedUs,
        _ => Reason::Internal,
    }
}
