//! Publish: check what is asked, find the recipients, and record it (9.2), together with its envelopes when they are few.
//! Nothing leaves here; the deliverer does that. The same for every kind; what a kind decides stands in its place.

use std::collections::BTreeSet;

use crate::domain::agreement::{AgreementSet, AgreementState, Usage};
use crate::domain::audit::{Actor, AuditAct, AuditDraft};
use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, AuthorityId, Digest, RecordId};
use crate::domain::limits;
use crate::domain::person::share::{self, ShareUse};
use crate::domain::policy::{self, ShareQuestion, Shared, Side};
use crate::domain::publication::Publication;
use crate::domain::reason::{Reason, RoadEffect};
use crate::domain::record::Reference;
use crate::domain::records::{Content, Facet};
use crate::domain::sharing::{Audience, Dates, Sharing, check_marking};
use crate::domain::stream::StreamId;
use crate::domain::time::UnixMs;
use crate::exchange::context::{Call, Error, Refusal, Table, new_random_record_id, new_record_id, stream_of};
use crate::storage::ops::{NewPublication, Publish, WriteOp, Written};
use crate::storage::rows::{DeliveryFilter, DeliveryRow};
use crate::wire::{self, records, stored};

use super::Road;

/// A record to publish.
#[derive(Clone, Debug)]
pub struct Wished {
    /// `None`: the node's own.
    pub authority: Option<AuthorityId>,
    pub sharing: Sharing,
    pub content: Content,
}

/// The answer to a publish call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub record_id: RecordId,
    /// For whom the record is prepared; for one that is suspended now, once it is restored.
    pub recipients: Vec<AuthorityId>,
    /// Of a repeated call: where each delivery stands now; a partner may have refused meanwhile. Empty for a first call.
    pub standing: Vec<DeliveryRow>,
}

/// What is to become a publication.
pub(in crate::exchange) struct Draft {
    pub authority: Option<AuthorityId>,
    pub sharing: Sharing,
    pub content: Content,
    /// Those that it is for, if they are known already; of them those who may not get it are left out.
    pub to: Option<Vec<AuthorityId>>,
    pub references: Vec<Reference>,
    /// Of an answer: the grant under which what it answers was sent.
    pub under: Option<GrantRef>,
    /// What opens it, if it concerns a person.
    pub shared: Option<ShareUse>,
}

/// A record that passed all checks.
pub(in crate::exchange) struct Checked {
    pub publication: Publication,
    pub dates: Dates,
}

/// What the one question is asked with besides who and how.
#[derive(Clone, Copy)]
pub(super) struct Gates<'a> {
    pub facet: Facet,
    pub target: Option<GrantRef>,
    pub shared: Option<&'a ShareUse>,
}

const METHOD: &str = "Publish";

impl Road {
    /// Publishes a record. Every named recipient must be allowed to get it, or nothing is published. One of a lasting
    /// kind that no partner may get is kept for this authority itself, and for partners to come.
    ///
    /// # Errors
    /// `KIND_NOT_SUPPORTED` for what is made by a call of its own, and for an answer; otherwise the first rule that forbids it. A
    /// refusal about a recipient names the recipient.
    pub async fn publish(&self, call: &Call, wished: Wished) -> Result<Published, Error> {
        let tried = self.try_publish(call, wished).await;
        self.once(call, METHOD, tried).await
    }

    async fn try_publish(&self, call: &Call, wished: Wished) -> Result<(Published, Written), Error> {
        let Wished { authority, sharing, content } = wished;
        let facts = content.facts();
        if facts.access.publish.is_empty() || content.facet().is_answer() {
            return Err(wire::Error::new(Reason::KindNotSupported, "content", content.kind().name()).into());
        }
        let draft = Draft { authority, sharing, content, to: None, references: Vec::new(), under: None, shared: None };
        let checked = self.check(call, draft)?;
        if checked.publication.recipients.is_empty() && !facts.lasting {
            return Err(Reason::AgreementNotInForce.into());
        }
        self.record(call, METHOD, checked).await
    }

    /// Checks the publisher, the dates and each recipient; encodes the content, once for all that follows.
    pub(in crate::exchange) fn check(&self, call: &Call, draft: Draft) -> Result<Checked, Error> {
        let Draft { authority, mut sharing, content, to, references, under, shared } = draft;
        let now = self.now();
        let created = if content.facet().concerns_person() { now.rounded_down(share::CREATED_STEP) } else { now };
        let authority = self.context.own_authority(authority)?;
        let kind = content.kind().name().to_lowercase();
        content.check_past(now).map_err(|fault| wire::Error::from(fault).within(&kind).within("content"))?;
        let encoded = records::encode(&content);
        fits_an_envelope(&content, encoded.len())?;
        let dates = sharing
            .dates(content.life(), content.facts().review, created)
            .map_err(|f| wire::Error::from(f).within("sharing"))?;
        let facet = content.facet();
        let tlp = sharing.handling.tlp;
        let marked = check_marking(tlp, facet).and_then(|()| sharing.audience.check(tlp, facet));
        marked.map_err(|f| wire::Error::from(f).within("sharing"))?;
        (sharing.expires, sharing.review_by) = (Some(dates.expires), Some(dates.review_by));
        let gates = Gates { facet, target: under, shared: shared.as_ref() };
        let recipients = self.recipients(&authority, &sharing, to, gates, now)?;
        let traceparent = call.traceparent.clone();
        let publication =
            Publication { authority, sharing, recipients, content, encoded, references, under, created, traceparent };
        Ok(Checked { publication, dates })
    }

    /// Named recipients must all be allowed; of all partners, everyone whose agreement covers the record. Who is
    /// suspended just now is among these: theirs is made when they are restored.
    pub(super) fn recipients(
        &self,
        from: &AuthorityId,
        sharing: &Sharing,
        to: Option<Vec<AuthorityId>>,
        Gates { facet, target, shared }: Gates<'_>,
        now: UnixMs,
    ) -> Result<Vec<AuthorityId>, Error> {
        let (view, agreements) = (self.view(), self.context.agreements().load());
        let ask = |to: &AuthorityId| {
            policy::may_share(&ShareQuestion {
                from,
                to,
                facet,
                target,
                purpose: sharing.purpose,
                usage: Usage::View,
                handling: sharing.handling,
                shared: shared.map_or(Shared::Nothing, Shared::Opened),
                created: now,
                side: Side::Sender,
                grant: None,
                agreements: &agreements,
                view: &view,
                now,
            })
        };
        let covered = |to: &AuthorityId| ask(to).map_or_else(Reason::is_held, |_| true);
        if let Some(mut to) = to {
            to.retain(covered);
            return Ok(to);
        }
        let named = match &sharing.audience {
            Audience::Named(named) => named.names(),
            Audience::AllPartners => {
                let mut covered: Vec<_> = agreements.recipients_of(from).filter(|to| covered(to)).cloned().collect();
                covered.sort_unstable();
                return Ok(covered);
            }
        };
        for (i, to) in named.iter().enumerate() {
            if to == from {
                let field = format!("sharing.recipients[{i}]");
                return Err(wire::Error::invalid(field, "another authority than the one that publishes").into());
            }
            match ask(to) {
                Ok(_) => {}
                // What waits for a confirmation is held, and not refused.
                Err(reason) if reason.road() == RoadEffect::Deferred => {}
                Err(reason) => {
                    let waits = proposal(&agreements, from, to, now).filter(|_| reason == Reason::AgreementNotInForce);
                    return Err(waits.map_or_else(|| Error::about(to, reason), |waits| unsigned(to, i, waits)));
                }
            }
        }
        Ok(named.to_vec())
    }

    /// What a call that publishes is answered: what it wrote; or, if its first try wrote it, what that one was answered.
    /// What is refused now may repeat a call that was taken when it still was allowed: that one gets its first answer too,
    /// and beside it how its deliveries stand by now.
    ///
    /// # Errors
    /// Why it is refused now; `REQUEST_ID_REUSED`.
    pub(in crate::exchange) async fn once(
        &self,
        call: &Call,
        method: &str,
        tried: Result<(Published, Written), Error>,
    ) -> Result<Published, Error> {
        let first = match tried {
            Ok((_, Written::Again(first))) => first,
            Ok((published, _)) => return Ok(published),
            Err(Error::Refused(refusal)) => {
                match self.store().request(call.scope_of(method), call.request_id.clone()).await? {
                    None => return Err(Error::Refused(refusal)),
                    Some((body, _)) if body != call.body => return Err(Reason::RequestIdReused.into()),
                    Some((_, first)) => first,
                }
            }
            Err(failed) => return Err(failed),
        };
        let (record_id, recipients) = stored::reload_published(first).inspect_err(|error| {
            let id = Digest::of(call.request_id.as_bytes()).to_hex();
            self.unreadable(Table::Request, None, id, error.clone());
        })?;
        let filter = DeliveryFilter { record: Some(record_id), ..DeliveryFilter::default() };
        let standing = self.store().deliveries(filter, None, limits::RECIPIENTS).await?;
        Ok(Published { record_id, recipients, standing })
    }

    /// Records the publication, durably, and what it leads to with it or, failing that, by the dispatcher.
    pub(super) async fn record(
        &self,
        call: &Call,
        method: &str,
        checked: Checked,
    ) -> Result<(Published, Written), Error> {
        let Checked { publication, dates } = checked;
        let about_person = publication.content.facet().concerns_person();
        let record_id = if about_person { new_random_record_id() } else { new_record_id() };
        let published = Published { record_id, recipients: publication.recipients.clone(), standing: Vec::new() };
        let request = call.mark(
            method,
            stored::encode_published(published.record_id, &published.recipients),
            publication.created,
        )?;
        let mut audit = vec![published_draft(call.actor, &publication, published.record_id)];
        let _publishing = self.publishing.read().await;
        let made = self.prepare_at_once(&publication, published.record_id, dates.expires).map(|queue| {
            audit.extend(queue.audit);
            queue.items
        });
        let streams: BTreeSet<StreamId> = made.iter().flatten().map(stream_of).collect();
        let pending = made.is_none();
        let op = Publish {
            request: Some(request),
            publication: new_publication(&publication, published.record_id, dates.expires),
            made,
            audit,
        };
        let written = self.store().write(WriteOp::Publish(op)).await?;
        if !matches!(written, Written::Again(_)) {
            streams.iter().for_each(|stream| self.context.wakeups().wake_stream(stream));
            if pending {
                self.context.wakeups().wake_dispatch();
            }
        }
        Ok((published, written))
    }
}

/// A proposal between the two that somebody has still to sign.
fn proposal(agreements: &AgreementSet, from: &AuthorityId, to: &AuthorityId, now: UnixMs) -> Option<AgreementId> {
    let mut between = agreements.grants(from, to);
    between.find(|grant| grant.held.state(now) == AgreementState::Proposed).map(|grant| grant.held.id)
}

/// There is no agreement in force, for this one waits.
fn unsigned(to: &AuthorityId, at: usize, waits: AgreementId) -> Error {
    let short: String = waits.to_string().chars().take(12).collect();
    Error::Refused(Refusal {
        reason: Reason::AgreementNotInForce,
        field: format!("sharing.recipients[{at}]"),
        detail: format!("the agreement {short} waits for a signature: havenctl agreement show {short} says whose"),
        authority: Some(to.clone()),
    })
}

/// What an envelope carries around its body, at most: ids, codes, dates, references, signature.
const AROUND_THE_BODY: usize = 2 << 10;

/// Refused here, while somebody can still shorten it. No level shows more than the owner's form has.
fn fits_an_envelope(content: &Content, bytes: usize) -> Result<(), Error> {
    let most = limits::ENVELOPE_BYTES - AROUND_THE_BODY;
    if bytes <= most {
        return Ok(());
    }
    let detail = format!("at most {most} bytes, this one has {bytes}");
    Err(wire::Error::new(Reason::MessageTooLarge, content.kind().name().to_lowercase(), detail).into())
}

pub(in crate::exchange) fn new_publication(
    publication: &Publication,
    record_id: RecordId,
    expires: UnixMs,
) -> NewPublication {
    NewPublication {
        authority: publication.authority.clone(),
        record_id,
        kind: publication.content.kind(),
        target: publication.target().cloned(),
        body: stored::encode(publication),
        created: publication.created,
        expires,
    }
}

pub(in crate::exchange) fn published_draft(actor: Actor, publication: &Publication, record_id: RecordId) -> AuditDraft {
    AuditDraft {
        actor,
        record: Some((publication.content.kind(), record_id)),
        purpose: Some(publication.sharing.purpose),
        ..AuditDraft::by_node(AuditAct::Published)
    }
}
