//! Referring somebody who agreed to it to one partner: the agreement to share is found, asked and counted in the transaction
//! that publishes the record (11.6-11.12).

use crate::domain::handling::{Handling, Pap, Purpose, RecordStatus, Tlp};
use crate::domain::ids::AuthorityId;
use crate::domain::person::CaseReference;
use crate::domain::person::share::coarse;
use crate::domain::record::{RecordKey, RecordKind};
use crate::domain::records::Kind;
use crate::domain::records::referral::{Asked, Referral, Sought, scope_of};
use crate::domain::sharing::{Audience, Sharing};
use crate::domain::time::UnixMs;
use crate::exchange::context::{Call, Error, new_random_record_id};
use crate::exchange::persons::Disclosing;
use crate::storage::ops::{Write, Written};
use crate::wire::{self, stored};

use super::Road;
use super::publish::{Draft, Published, new_publication, published_draft};

/// A referral to make.
pub struct ToRefer {
    /// `None`: the node's own.
    pub authority: Option<AuthorityId>,
    /// Exactly one: each of several is asked by a record of its own, which has nothing in common with the others (9.3).
    pub recipient: AuthorityId,
    pub case: CaseReference,
    pub purpose: Purpose,
    pub status: RecordStatus,
    /// `None`: 30 days, or what she agreed to if that ends sooner.
    pub expires: Option<UnixMs>,
    pub sought: Sought,
    /// `None`: only asked whether it takes such a case; then nothing names the case.
    pub callback_phone: Option<String>,
}

const METHOD: &str = "SendReferral";

impl Road {
    /// Asks one partner whether it takes on somebody who agreed to be referred to it.
    ///
    /// # Errors
    /// `NO_AGREEMENT_TO_SHARE` unless what she agreed to opens this service, purpose and recipient; `ERASURE_OVERDUE`; otherwise the
    /// first rule that forbids it.
    pub async fn refer(&self, call: &Call, wished: ToRefer) -> Result<Published, Error> {
        let tried = self.try_refer(call, wished).await;
        self.once(call, METHOD, tried).await
    }

    async fn try_refer(&self, call: &Call, wished: ToRefer) -> Result<(Published, Written), Error> {
        let ToRefer { authority, recipient, case, purpose, status, expires, sought, callback_phone } = wished;
        call.check()?;
        let _one_word_at_a_time = self.persons.one_word().await;
        let authority = self.context.own_authority(authority)?;
        let scope = scope_of(sought.service);
        let opening = self.persons.opening(&authority, case.clone(), (scope, purpose), &recipient).await?;
        opening.share_use.check_silence().map_err(|reason| Error::about(&recipient, reason))?;
        let counts = callback_phone.is_some();
        let referral = match callback_phone {
            None => Referral::Query(sought),
            Some(callback_phone) => Referral::Asked(Asked {
                subject: self.persons.subject(case, &recipient).await?,
                sought,
                callback_phone,
            }),
        };
        referral.check().map_err(|fault| wire::Error::from(fault).within("referral"))?;
        let (lawful_basis, special_basis) = opening.share_use.bases();
        let (now, ends) = (self.now(), opening.share_use.expires());
        let sharing = Sharing {
            audience: Audience::one(recipient.clone()),
            purpose,
            lawful_basis,
            special_basis,
            handling: Handling { tlp: Tlp::AmberStrict, pap: Pap::Amber },
            status,
            expires: Some(coarse(expires.unwrap_or(now + referral.life()).min(ends), now)),
            review_by: None,
        };
        let content = referral.into();
        let shared = Some(opening.share_use.clone());
        let draft = Draft {
            authority: Some(authority),
            sharing,
            content,
            to: None,
            references: Vec::new(),
            under: None,
            shared,
        };
        let checked = self.check(call, draft)?;
        let publication = checked.publication;
        let recipients = publication.recipients.clone();
        let published = Published { record_id: new_random_record_id(), recipients, standing: Vec::new() };
        let answer = stored::encode_published(published.record_id, &published.recipients);
        let mut write = Write {
            request: Some(call.mark(METHOD, answer, self.now())?),
            publications: vec![new_publication(&publication, published.record_id, checked.dates.expires)],
            audit: vec![published_draft(call.actor, &publication, published.record_id)],
            ..Write::default()
        };
        let key = RecordKey { origin: publication.authority.clone(), record_id: published.record_id };
        let disclosing =
            Disclosing { key, kind: RecordKind::Referral, recipient: &recipient, now: publication.created, counts };
        self.persons.disclose(&mut write, opening, &disclosing).await?;
        let written = self.store().write(write.into()).await?;
        self.context.wakeups().wake_dispatch();
        Ok((published, written))
    }
}
