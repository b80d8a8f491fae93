//! The one question, put about an envelope: the same way when it is queued, sent and received.

use crate::domain::agreement::Usage;
use crate::domain::agreement::set::AgreementSet;
use crate::domain::directory::DirectoryView;
use crate::domain::envelope::{Envelope, GrantRef};
use crate::domain::person::share::ShareUse;
use crate::domain::policy::{self, ControlQuestion, Permit, ShareQuestion, Shared, Side};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKind, StreamClass};
use crate::domain::records::{Facet, RecordBody};
use crate::domain::stream::StreamId;
use crate::domain::time::UnixMs;
use crate::storage::rows::Question;

/// What the answer depends on besides the envelope.
pub(super) struct Asked<'a> {
    pub side: Side,
    pub agreements: &'a AgreementSet,
    pub view: &'a DirectoryView,
    pub now: UnixMs,
    /// At its origin: what opens it, if it concerns a person, looked at just now.
    pub shared: Option<&'a ShareUse>,
}

/// May this envelope, with this body, pass? `target`: for an answer, the grant under which what it answers was sent, by
/// this node's own deliveries and not by what the envelope claims (9.2).
pub(super) fn ask(
    envelope: &Envelope,
    body: &RecordBody,
    target: Option<GrantRef>,
    asked: &Asked<'_>,
) -> Result<Permit, Reason> {
    match body {
        RecordBody::Content(content) => share(envelope, content.facet(), target, asked),
        RecordBody::Control(_) => control(envelope, asked),
    }
}

/// The same about an envelope of our own, which is bytes by now: what the answer depends on stands beside it. One of ours
/// that answers was made under the grant under which its target came.
pub(super) fn ask_again(id: &StreamId, kind: RecordKind, q: &Question, asked: &Asked<'_>) -> Result<Permit, Reason> {
    let (from, to) = (&id.origin, &id.recipient);
    let Asked { side, agreements, view, now, shared } = *asked;
    match kind.class() {
        StreamClass::Control => policy::may_control(&ControlQuestion { from, to, kind, view, now }),
        StreamClass::Content => policy::may_share(&ShareQuestion {
            from,
            to,
            facet: q.facet.ok_or(Reason::StorageDamaged)?,
            target: q.grant,
            purpose: q.purpose,
            usage: Usage::View,
            handling: q.handling,
            shared: shared.map_or(Shared::Nothing, Shared::Opened),
            created: q.created,
            side,
            grant: Some(q.grant.ok_or(Reason::AgreementNotInForce)?),
            agreements,
            view,
            now,
        }),
    }
}

fn control(envelope: &Envelope, asked: &Asked<'_>) -> Result<Permit, Reason> {
    let (from, to, kind) = (&envelope.origin, &envelope.recipient, envelope.kind);
    policy::may_control(&ControlQuestion { from, to, kind, view: asked.view, now: asked.now })
}

fn share(envelope: &Envelope, facet: Facet, target: Option<GrantRef>, asked: &Asked<'_>) -> Result<Permit, Reason> {
    let Asked { side, agreements, view, now, .. } = *asked;
    policy::may_share(&ShareQuestion {
        from: &envelope.origin,
        to: &envelope.recipient,
        facet,
        target,
        purpose: envelope.purpose,
        usage: Usage::View,
        handling: envelope.handling,
        shared: envelope.shared_under.as_ref().map_or(Shared::Nothing, Shared::Travels),
        created: envelope.created,
        side,
        grant: Some(envelope.grant.ok_or(Reason::AgreementNotInForce)?),
        agreements,
        view,
        now,
    })
}
