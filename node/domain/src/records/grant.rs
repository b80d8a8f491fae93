//! A grant: what one authority may give another one, by the kinds of record. What a grant of each kind covers, and how it
//! reads, stands with the kind; how long it is in force, with the agreement that it is part of.

use super::RecordKind;
use super::alert::AlertKind;
use super::offer::{DisclosureLevel, ServiceKind};
use crate::closed::closed_enum;
use crate::fault::Fault;
use crate::handling::{Purpose, Tlp};
use crate::ids::AuthorityId;
use crate::reason::Reason;
use crate::time::{Millis, UnixMs};

closed_enum! {
    /// How far what comes under a grant may go at its recipient; each includes those before it.
    pub enum Usage {
        /// Nothing is sent: what is asked is answered at once, and not kept.
        Query = 1 => "QUERY",
        /// It is sent, kept for the retention and shown at the recipient's node; no other system gets it.
        View = 2 => "VIEW",
        /// The recipient's own systems may take it from the stream of its inbox.
        Store = 3 => "STORE",
    }
}

/// One direction between two parties. An empty list grants nothing of its sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub from: AuthorityId,
    pub to: AuthorityId,
    /// Answers may be named and need not be: they follow the grant of what they answer (9.2).
    pub record_kinds: Vec<RecordKind>,
    pub alert_kinds: Vec<AlertKind>,
    pub service_kinds: Vec<ServiceKind>,
    pub purposes: Vec<Purpose>,
    pub usage: Usage,
    pub highest_tlp: Tlp,
    /// Required with OFFER_VIEW; otherwise nothing is disclosed by it.
    pub disclosure_level: Option<DisclosureLevel>,
    /// The receiver keeps a record no longer.
    pub retention: Millis,
    pub valid_from: UnixMs,
    pub valid_until: UnixMs,
}

/// A part of an agreement that does not hold together.
pub(crate) fn invalid(field: &str, detail: &str) -> Fault {
    Fault::new(Reason::AgreementInvalid, field, detail)
}
