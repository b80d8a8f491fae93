//! The one question, put about an envelope: the same way when it is queued, sent and received.

use crate::domain::agreement::set::AgreementSet;
use crate::domain::directory::DirectoryView;
use crate::domain::envelope::{Envelope, GrantRef};
use crate::domain::offer::DisclosureLevel;
use crate::domain::policy::{self, ContentDetails, ControlQuestion, Permit, ShareQuestion, Side};
use crate::domain::publication::Record;
use crate::domain::reason::Reason;
use crate::domain::record::StreamClass;
use crate::domain::time::UnixMs;
use crate::wire::body::Body;
use crate::wire::sealed;

/// What the answer depends on besides the envelope.
pub(super) struct Asked<'a> {
    pub side: Side,
    pub agreements: &'a AgreementSet,
    pub view: &'a DirectoryView,
    pub now: UnixMs,
}

/// May this envelope, with this body, pass? `target`: for an answer, the grant under which what it answers was sent, by
/// this node's own deliveries and not by what the envelope claims (9.2).
pub(super) fn ask(
    envelope: &Envelope,
    body: &Body,
    target: Option<GrantRef>,
    asked: &Asked<'_>,
) -> Result<Permit, Reason> {
    put(envelope, body.details(target).unwrap_or(ContentDetails::Other), asked)
}

/// The same about an envelope of our own that was understood before: only what the answer depends on is read. One of
/// ours that answers was made under the grant under which its target came.
pub(super) fn ask_again(envelope: &Envelope, asked: &Asked<'_>) -> Result<Permit, Reason> {
    put(envelope, sealed::details(envelope).map_err(|error| error.reason)?, asked)
}

fn put(envelope: &Envelope, details: ContentDetails, asked: &Asked<'_>) -> Result<Permit, Reason> {
    let Asked { side, agreements, view, now } = *asked;
    let (from, to, kind) = (&envelope.origin, &envelope.recipient, envelope.kind);
    if kind.class() == StreamClass::Control {
        return policy::may_control(&ControlQuestion { from, to, kind, view, now });
    }
    policy::may_share(&ShareQuestion {
        from,
        to,
        kind,
        details,
        purpose: envelope.purpose,
        handling: envelope.handling,
        created: envelope.created,
        side,
        grant: Some(envelope.grant.ok_or(Reason::AgreementNotInForce)?),
        agreements,
        view,
        now,
    })
}

/// The record as a partner with this level sees it; only offers differ.
pub(super) fn prepared(record: &Record, level: DisclosureLevel) -> Body {
    match record {
        Record::Alert(alert) => Body::Alert(alert.clone()),
        Record::Practice(practice) => Body::Practice(practice.clone()),
        Record::Offer { offer, version } => Body::OfferView(offer.view(level, *version, 0)),
        Record::Answer { answer, .. } => Body::Answer(answer.clone()),
    }
}
