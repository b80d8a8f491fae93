//! Agreements to share: as a caller says them, as they are shown, and as they are kept, sealed, at their origin. Whom the person
//! excluded is read and kept, and shown nowhere.

use bytes::Bytes;
use havenlink_proto::local::v1 as local;
use havenlink_proto::store::v1 as proto;
use prost::Message;

use super::{Error, fields};
use crate::domain::actor::Actor;
use crate::domain::closed::Closed;
use crate::domain::ids::{AuthorityId, Digest};
use crate::domain::person::share::{
    AgreementToShare, ChildTerms, Circumstances, Country, Decider, DeciderKind, Exclusions, Freedom, Giving, Notice,
    ScopeTerms, ShareEvent, Subject, Terms,
};
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;

const COUNTRY: &str = "ISO 3166-1 alpha-2, lower case, e.g. fr";

/// What is agreed to. Whether it holds together is `Terms::check`.
///
/// # Errors
/// The first field that is missing or unknown.
pub fn terms(message: Option<local::ShareTerms>) -> Result<Terms, Error> {
    let message = message.ok_or_else(|| Error::missing("terms"))?;
    let notice = notice(message.notice).map_err(|e| e.within("notice"))?;
    let scopes = message.scopes.iter().enumerate();
    let scopes = scopes.map(|(i, scope)| scope_terms(scope).map_err(|e| e.within(&format!("scopes[{i}]"))));
    Ok(Terms {
        notice,
        scopes: scopes.collect::<Result<_, _>>()?,
        exclusions: Exclusions {
            recipients: authorities("excluded_recipients", &message.excluded_recipients)?,
            countries: countries("excluded_countries", &message.excluded_countries)?,
        },
        lawful_basis: fields::closed_enum("lawful_basis", message.lawful_basis)?,
        special_basis: fields::closed_enum("special_basis", message.special_basis)?,
        provision: message.provision,
        reconfirm_by: fields::instant("reconfirm_by_ms", message.reconfirm_by_ms)?,
    })
}

fn notice(message: Option<local::ShareNotice>) -> Result<Notice, Error> {
    let message = message.unwrap_or_default();
    Ok(Notice {
        version: message.version,
        hash: fields::id("hash", &message.hash, Digest::from_slice)?,
        language: fields::language("language", &message.language)?,
        provenance: fields::closed_enum("provenance", message.provenance)?,
    })
}

fn scope_terms(message: &local::ShareScopeTerms) -> Result<ScopeTerms, Error> {
    Ok(ScopeTerms {
        scope: fields::closed_enum("scope", message.scope)?,
        purposes: fields::closed_enums("purposes", &message.purposes)?,
        recipients: authorities("recipients", &message.recipients)?,
        countries: countries("countries", &message.countries)?,
        expires: fields::instant("expires_ms", message.expires_ms)?,
        erase_by: fields::instant("erase_by_ms", message.erase_by_ms)?,
        uses: message.uses,
    })
}

fn authorities(field: &str, texts: &[String]) -> Result<Vec<AuthorityId>, Error> {
    texts.iter().enumerate().map(|(i, text)| fields::authority(&format!("{field}[{i}]"), text)).collect()
}

fn countries(field: &str, texts: &[String]) -> Result<Vec<Country>, Error> {
    let country = |(i, text): (usize, &String)| {
        Country::parse(text).ok_or_else(|| Error::invalid(format!("{field}[{i}]"), COUNTRY))
    };
    texts.iter().enumerate().map(country).collect()
}

/// Whom it is about.
///
/// # Errors
/// The first field that is missing or unknown.
pub fn subject(message: Option<local::ShareSubject>) -> Result<Subject, Error> {
    let message = message.ok_or_else(|| Error::missing("subject"))?;
    let child = |minor: local::MinorTerms| {
        Ok::<_, Error>(ChildTerms {
            views: fields::closed_enum("minor.views", minor.views)?,
            best_interests: minor.best_interests,
            unaccompanied: minor.unaccompanied,
            both_officers_agreed: minor.both_officers_agreed,
        })
    };
    let age = fields::closed_enum("age", message.age).map_err(|e| e.within("subject"))?;
    let child = message.minor.map(child).transpose().map_err(|e| e.within("subject"))?;
    Ok(Subject { age, child })
}

/// How it was given.
///
/// # Errors
/// The first field that is missing or unknown.
pub fn circumstances(message: local::ShareCircumstances) -> Result<Circumstances, Error> {
    let read = || {
        Ok(Circumstances {
            mode: fields::closed_enum("mode", message.mode)?,
            interpreter: fields::closed_enum("interpreter", message.interpreter)?,
            setting: fields::closed_enum("setting", message.setting)?,
            exploiter_excluded: message.exploiter_excluded,
            called_back_alone_with_code_word: message.called_back_alone,
            duress: message.duress,
        })
    };
    read().map_err(|e: Error| e.within("circumstances"))
}

/// Who decides; for vital interests `by`.
///
/// # Errors
/// The first field that is missing or unknown.
pub fn decider(message: Option<local::ShareDecider>, by: Actor) -> Result<Decider, Error> {
    let message = message.ok_or_else(|| Error::missing("decider"))?;
    let read = || {
        Ok(match fields::closed_enum("kind", message.kind)? {
            DeciderKind::Person => Decider::Person,
            DeciderKind::Guardian => Decider::Guardian {
                independent_of_migration_authorities: message.independent,
                in_conflict: message.in_conflict,
            },
            DeciderKind::ChildProtection => Decider::ChildProtection,
            DeciderKind::VitalInterest => {
                Decider::VitalInterest { incapacity: fields::closed_enum("incapacity", message.incapacity)?, by }
            }
        })
    };
    read().map_err(|e: Error| e.within("decider"))
}

/// What was agreed to, without whom the person excluded.
pub fn shown_terms(terms: &Terms) -> local::ShareTerms {
    let mut message = terms_to_proto(terms);
    (message.excluded_recipients, message.excluded_countries) = (Vec::new(), Vec::new());
    message
}

/// One event, as it is shown: by which role, and not by whom.
pub fn shown_event(event: &ShareEvent) -> local::ShareEvent {
    local::ShareEvent { kind: event.kind.code(), at_ms: event.at.0, by: event.by.role.code() }
}

fn terms_to_proto(terms: &Terms) -> local::ShareTerms {
    let texts = |ids: &[AuthorityId]| ids.iter().map(|id| id.as_str().to_owned()).collect();
    let codes = |codes: &[Country]| codes.iter().map(|code| code.as_str().to_owned()).collect();
    local::ShareTerms {
        notice: Some(local::ShareNotice {
            version: terms.notice.version.clone(),
            hash: fields::bytes_of(terms.notice.hash.as_bytes()),
            language: terms.notice.language.as_str().to_owned(),
            provenance: terms.notice.provenance.code(),
        }),
        scopes: terms
            .scopes
            .iter()
            .map(|scope| local::ShareScopeTerms {
                scope: scope.scope.code(),
                purposes: fields::numbers(&scope.purposes),
                recipients: texts(&scope.recipients),
                countries: codes(&scope.countries),
                expires_ms: scope.expires.0,
                erase_by_ms: scope.erase_by.0,
                uses: scope.uses,
            })
            .collect(),
        excluded_recipients: texts(&terms.exclusions.recipients),
        excluded_countries: codes(&terms.exclusions.countries),
        lawful_basis: terms.lawful_basis.code(),
        special_basis: terms.special_basis.code(),
        provision: terms.provision.clone(),
        reconfirm_by_ms: terms.reconfirm_by.0,
    }
}

fn subject_to_proto(subject: &Subject) -> local::ShareSubject {
    let minor = subject.child.as_ref().map(|child| local::MinorTerms {
        best_interests: child.best_interests.clone(),
        views: child.views.code(),
        unaccompanied: child.unaccompanied,
        both_officers_agreed: child.both_officers_agreed,
    });
    local::ShareSubject { age: subject.age.code(), minor }
}

fn decider_to_proto(decider: &Decider) -> local::ShareDecider {
    let kind = decider.kind().code();
    match *decider {
        Decider::Person | Decider::ChildProtection => local::ShareDecider { kind, ..Default::default() },
        Decider::Guardian { independent_of_migration_authorities: independent, in_conflict } => {
            local::ShareDecider { kind, independent, in_conflict, ..Default::default() }
        }
        Decider::VitalInterest { incapacity, .. } => {
            local::ShareDecider { kind, incapacity: incapacity.code(), ..Default::default() }
        }
    }
}

/// As it is kept, before it is sealed.
pub fn encode(share: &AgreementToShare) -> Vec<u8> {
    let message = proto::StoredShare {
        terms: Some(terms_to_proto(&share.terms)),
        subject: Some(subject_to_proto(&share.subject)),
        events: share
            .events
            .iter()
            .map(|event| proto::StoredShareEvent {
                kind: event.kind.code(),
                at_ms: event.at.0,
                by: Some(actor_to_proto(&event.by)),
            })
            .collect(),
        given: share.given.as_ref().map(giving_to_proto),
        confirmed: share.confirmed.as_ref().map(giving_to_proto),
        approved_by: share.approved_by.as_ref().map(actor_to_proto),
        used: share.used.clone(),
    };
    message.encode_to_vec()
}

/// A kept one, opened.
///
/// # Errors
/// When the bytes do not have the form of one.
pub fn reload(bytes: &[u8]) -> Result<AgreementToShare, Error> {
    let damaged = |field: &str| Error::new(Reason::StorageDamaged, field, "");
    let stored = proto::StoredShare::decode(bytes).map_err(|_| damaged("stored_share"))?;
    let events = stored.events.into_iter().map(|event| {
        Ok(ShareEvent {
            kind: fields::closed_enum("events.kind", event.kind)?,
            at: UnixMs(event.at_ms),
            by: actor(event.by)?,
        })
    });
    let share = AgreementToShare {
        terms: terms(stored.terms)?,
        subject: subject(stored.subject)?,
        events: events.collect::<Result<_, Error>>()?,
        given: stored.given.map(giving).transpose()?,
        confirmed: stored.confirmed.map(giving).transpose()?,
        approved_by: stored.approved_by.map(|by| actor(Some(by))).transpose()?,
        used: stored.used,
    };
    if share.used.len() == share.terms.scopes.len() { Ok(share) } else { Err(damaged("used")) }
}

fn giving_to_proto(giving: &Giving) -> proto::StoredGiving {
    let decided_by = if let Decider::VitalInterest { by, .. } = &giving.decider { Some(by) } else { None };
    proto::StoredGiving {
        at_ms: giving.at.0,
        decider: Some(decider_to_proto(&giving.decider)),
        decided_by: decided_by.map(actor_to_proto),
        provisional: giving.freedom == Freedom::Provisional,
        duress: giving.duress,
    }
}

fn giving(stored: proto::StoredGiving) -> Result<Giving, Error> {
    // Of whom nothing else is known than that somebody decided, the node cannot be told apart: nobody.
    let by = stored.decided_by.map_or(Ok(Actor::NODE), |by| actor(Some(by)))?;
    Ok(Giving {
        at: UnixMs(stored.at_ms),
        decider: decider(stored.decider, by)?,
        freedom: if stored.provisional { Freedom::Provisional } else { Freedom::Free },
        duress: stored.duress,
    })
}

fn actor_to_proto(actor: &Actor) -> proto::StoredActor {
    let code = actor.code.map(|code| Bytes::copy_from_slice(&code)).unwrap_or_default();
    proto::StoredActor { role: actor.role.number(), code }
}

fn actor(stored: Option<proto::StoredActor>) -> Result<Actor, Error> {
    let stored = stored.ok_or_else(|| Error::missing("by"))?;
    let code = (!stored.code.is_empty()).then(|| fields::id("code", &stored.code, |bytes| bytes.try_into().ok()));
    Ok(Actor { role: fields::closed_enum("role", stored.role)?, code: code.transpose()? })
}
