//! What its publisher says of a record later: an update, a replacement, a cancellation.
//!
//! A later word is a record of its own that refers to the earlier ones, newest first, and goes to exactly those that hold one
//! of them: whoever was sent a version, as far as it may still be sent to them; a new version of what is lasting and for all also goes to
//! whom an agreement has come to cover. An update keeps the expiry of what it updates, and
//! one that changes nothing travels nowhere. Whoever lists or searches sees the newest word; what was cancelled is
//! shown to nobody who asks after that, and a reader of the inbox that had it sees the cancellation.

use std::collections::{HashMap, HashSet};

use crate::domain::audit::ActorRole;
use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::policy::ReadPurpose;
use crate::domain::publication::Publication;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, Reference, ReferenceKind};
use crate::domain::records::{Content, Verb};
use crate::exchange::context::{Call, Error};
use crate::storage::ops::{Write, Written};
use crate::storage::rows::PublicationRow;
use crate::wire::{self, sealed, stored};

use super::Road;
use super::lists::{DeliveryFilter, DeliveryState};
use super::publish::{Draft, Published};

/// The newest word about a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superseded {
    /// Updated, cancelled or replaced.
    pub how: ReferenceKind,
    /// By which record of the same publisher.
    pub by: RecordKey,
}

/// Its publisher's words about one record that are looked at. They stand one behind the other, each about the one before: of
/// one record there are few.
const LOOK: usize = 200;
const UPDATE: &str = "Update";
const CANCEL: &str = "Cancel";

impl Road {
    /// Says an own record anew. Content that says the same changes nothing: the answer names the record as it stands, and
    /// nobody.
    ///
    /// # Errors
    /// `NOT_FOUND` for no own record; `KIND_NOT_SUPPORTED` where its kind has no updates, or the content is of another
    /// kind; `ETAG_MISMATCH` when something later was said of it; `EXPIRED`; otherwise the first rule that forbids it.
    pub async fn update(&self, call: &Call, target: RecordKey, content: Content) -> Result<Published, Error> {
        let _one_word_at_a_time = self.saying_later.lock().await;
        let tried = self.try_update(call, target, content).await;
        self.once(call, UPDATE, tried).await
    }

    /// Takes an own record back: those that hold it are told, and it is listed no more.
    ///
    /// # Errors
    /// As `update`.
    pub async fn cancel(&self, call: &Call, target: RecordKey) -> Result<Published, Error> {
        let _one_word_at_a_time = self.saying_later.lock().await;
        let tried = self.try_cancel(call, target).await;
        self.once(call, CANCEL, tried).await
    }

    async fn try_update(
        &self,
        call: &Call,
        target: RecordKey,
        content: Content,
    ) -> Result<(Published, Written), Error> {
        let (row, earlier) = self.own_current(call, &target).await?;
        let how = [ReferenceKind::Updates, ReferenceKind::Replaces];
        let how = how.into_iter().find(|how| earlier.content.facts().later.contains(how));
        let alike =
            content.kind() == row.record.kind() && !content.facet().is_answer() && !earlier.content.facet().is_answer();
        let Some(how) = how.filter(|_| alike) else {
            return Err(wire::Error::new(Reason::KindNotSupported, "content", row.record.kind().name()).into());
        };
        content.check().map_err(|fault| wire::Error::from(fault).within("content"))?;
        if content == earlier.content {
            return self.nothing_new(call, target).await;
        }
        self.say_later(call, UPDATE, (target, earlier), how, content).await
    }

    /// What a call is answered that changes nothing; a repeated one is answered the same.
    async fn nothing_new(&self, call: &Call, target: RecordKey) -> Result<(Published, Written), Error> {
        let published = Published { record_id: target.record_id, recipients: Vec::new(), standing: Vec::new() };
        let mark = call.mark(UPDATE, stored::encode_published(target.record_id, &[]), self.now())?;
        let written = self.store().write(Write { request: Some(mark), ..Write::default() }.into()).await?;
        Ok((published, written))
    }

    async fn try_cancel(&self, call: &Call, target: RecordKey) -> Result<(Published, Written), Error> {
        let (row, earlier) = self.own_current(call, &target).await?;
        if !earlier.content.facts().later.contains(&ReferenceKind::Cancels) || earlier.content.facet().is_answer() {
            return Err(wire::Error::new(Reason::KindNotSupported, "kind", row.record.kind().name()).into());
        }
        let content = earlier.content.cancelled();
        self.say_later(call, CANCEL, (target, earlier), ReferenceKind::Cancels, content).await
    }

    /// An own record of which nothing later was said.
    async fn own_current(&self, call: &Call, target: &RecordKey) -> Result<(PublicationRow, Publication), Error> {
        if !self.context.keys().serves(&target.origin) {
            return Err(Reason::NotFound.into());
        }
        let row = self.store().publication(target.clone()).await?.ok_or(Reason::NotFound)?;
        let (kind, role) = (row.record.kind(), call.actor.role);
        let reading = self.context.may_read(&row.record, role, ReadPurpose::SayLater);
        let reading = reading.map_err(|reason| match reason {
            // What the role may not read is answered like what is not here.
            _ if kind.open_to(Verb::Read, role).is_err() => Error::from(Reason::NotFound),
            Reason::KindNotSupported => Error::from(wire::Error::new(reason, "record_id", kind.name())),
            reason => Error::from(reason),
        })?;
        if self.own_superseded(target).await?.is_some() {
            return Err(Reason::EtagMismatch.into());
        }
        let publication = self.context.opened_own(&row, reading)?;
        let taken_back = publication.references.iter().any(|reference| reference.kind == ReferenceKind::Cancels);
        if taken_back { Err(Reason::NotFound.into()) } else { Ok((row, publication)) }
    }

    async fn say_later(
        &self,
        call: &Call,
        method: &str,
        (target, earlier): (RecordKey, Publication),
        how: ReferenceKind,
        content: Content,
    ) -> Result<(Published, Written), Error> {
        let mut sharing = earlier.sharing.clone();
        sharing.review_by = None;
        if how == ReferenceKind::Replaces {
            // A new version lives as long as its publisher gave the one before.
            sharing.expires = sharing.expires.map(|end| self.now() + end.since(earlier.created));
        }
        let to = Some(self.holders(&target, &earlier).await?);
        // Each earlier version is named: who lacks the newest finds the one that it has.
        let named = std::iter::once(&target).chain(chain(&earlier.references)).take(limits::REFERENCES);
        let references = named.map(|target| Reference { kind: how, target: target.clone() }).collect();
        let draft = Draft {
            authority: Some(target.origin.clone()),
            sharing,
            content,
            to,
            references,
            under: None,
            shared: None,
        };
        self.record(call, method, self.check(call, draft)?).await
    }

    /// Who holds an own record, or will, in this version or an earlier one: whom each was made for, but those who refused it
    /// or were never sent it in the end. Whoever has an old version only must not go on with it.
    async fn holders(&self, target: &RecordKey, newest: &Publication) -> Result<Vec<AuthorityId>, Error> {
        let mut hold = self.holders_of(target, &newest.recipients).await?;
        for earlier in chain(&newest.references) {
            let Some(row) = self.store().publication(earlier.clone()).await? else { continue };
            // One that is past its time is held by nobody, and one that cannot be read was made for those that it went to.
            let reading = self.context.may_read(&row.record, ActorRole::Node, ReadPurpose::Prepare);
            let Ok(reading) = reading else { continue };
            let made_for = stored::reload(reading).map(|publication| publication.recipients).unwrap_or_default();
            hold.extend(self.holders_of(earlier, &made_for).await?);
        }
        let mut hold: Vec<_> = hold.into_iter().collect();
        hold.sort_unstable();
        Ok(hold)
    }

    async fn holders_of(&self, version: &RecordKey, made_for: &[AuthorityId]) -> Result<HashSet<AuthorityId>, Error> {
        let filter = DeliveryFilter { record: Some(version.record_id), ..DeliveryFilter::default() };
        let deliveries = self.store().deliveries(filter, None, limits::RECIPIENTS).await?;
        let goes = |state| matches!(state, DeliveryState::Queued | DeliveryState::Delivered | DeliveryState::Held);
        let (mut hold, mut lack) = (HashSet::new(), HashSet::new());
        for row in deliveries.into_iter().filter(|row| row.origin == version.origin) {
            if goes(row.state) {
                hold.insert(row.recipient)
            } else {
                lack.insert(row.recipient)
            };
        }
        hold.extend(made_for.iter().filter(|to| !lack.contains(*to)).cloned());
        Ok(hold)
    }

    /// The newest word about an own record.
    pub(in crate::exchange) async fn own_superseded(&self, target: &RecordKey) -> Result<Option<Superseded>, Error> {
        let mut newest = None;
        for row in self.store().publications_about(target.clone(), target.origin.clone(), LOOK).await? {
            // One that cannot be read says nothing; what it is about stays as it was.
            let Ok(reading) = self.context.may_read(&row.record, ActorRole::Node, ReadPurpose::Order) else { continue };
            let Ok(publication) = stored::reload(reading) else { continue };
            newest = newer(newest, &publication.references, target, row.key());
        }
        Ok(newest)
    }

    /// Whether an own record was taken back, itself or in a later version: it is given to nobody who does not have it.
    pub(super) async fn own_taken_back(&self, record: &RecordKey) -> Result<bool, Error> {
        let (mut key, mut seen) = (record.clone(), HashSet::new());
        while seen.insert(key.clone()) {
            match self.own_superseded(&key).await? {
                None => return Ok(false),
                Some(later) if later.how == ReferenceKind::Cancels => return Ok(true),
                Some(later) => key = later.by,
            }
        }
        Ok(false)
    }

    /// Those of received records that were taken back, themselves or in a later version.
    pub(super) async fn received_taken_back(&self, keys: Vec<RecordKey>) -> Result<HashSet<RecordKey>, Error> {
        let mut taken_back = HashSet::new();
        // By the newest word that was found so far: the records that it is a word about.
        let mut about: HashMap<RecordKey, Vec<RecordKey>> =
            keys.into_iter().map(|key| (key.clone(), vec![key])).collect();
        for _ in 0..LOOK {
            let later = self.received_superseded(about.keys().cloned().collect()).await?;
            let mut next: HashMap<RecordKey, Vec<RecordKey>> = HashMap::new();
            for (key, later) in later {
                let first = about.remove(&key).unwrap_or_default();
                match later.how {
                    ReferenceKind::Cancels => taken_back.extend(first),
                    _ => next.entry(later.by).or_default().extend(first),
                }
            }
            if next.is_empty() {
                break;
            }
            about = next;
        }
        Ok(taken_back)
    }

    /// The newest words about received records; those of which nothing later was said are left out.
    pub(in crate::exchange) async fn received_superseded(
        &self,
        keys: Vec<RecordKey>,
    ) -> Result<HashMap<RecordKey, Superseded>, Error> {
        let mut all = HashMap::new();
        if keys.is_empty() {
            return Ok(all);
        }
        let mut rows = self.store().inbox_about_any(keys).await?;
        rows.sort_unstable_by_key(|row| row.position);
        for row in rows {
            let Ok(reading) = self.context.may_read(&row.record, ActorRole::Node, ReadPurpose::Order) else { continue };
            let (Some(target), Ok(envelope)) = (row.target, sealed::reload(reading)) else { continue };
            if let Some(newest) = newer(all.remove(&target), &envelope.references, &target, row.key) {
                all.insert(target, newest);
            }
        }
        Ok(all)
    }
}

/// The earlier versions that a record names, newest first.
pub(super) fn chain(references: &[Reference]) -> impl Iterator<Item = &RecordKey> {
    references.iter().filter(|reference| reference.kind != ReferenceKind::Answers).map(|reference| &reference.target)
}

/// The later of two words about a record: a cancellation stands, whatever comes after it.
fn newer(known: Option<Superseded>, references: &[Reference], target: &RecordKey, by: RecordKey) -> Option<Superseded> {
    let said = references.iter().find(|r| r.target == *target && r.kind != ReferenceKind::Answers);
    match (known, said) {
        (Some(known), _) if known.how == ReferenceKind::Cancels => Some(known),
        (known, None) => known,
        (_, Some(said)) => Some(Superseded { how: said.kind, by }),
    }
}
