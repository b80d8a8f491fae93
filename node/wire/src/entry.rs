//! An authority's own entry: every field in its form, or no entry at all.
//!
//! What is judged here needs nothing but the entry. What needs the rest of the register (a pin in two entries, a key that
//! somebody has, a host that exists) is judged by the rules of `directory`.

use std::collections::HashSet;
use std::hash::Hash;

use bytes::Bytes;
use havenlink_proto::directory::v1 as proto;

use super::Error;
use crate::domain::authority::{
    AuthorityEntry, ContactPoint, CorridorPlace, Identifier, IdentifierScheme, Name, ParticipantKind, PinnedKey,
    PublicKey,
};
use crate::domain::country::Country;
use crate::domain::forms;
use crate::domain::ids::{AuthorityId, Digest, Pin};
use crate::domain::limits;
use crate::domain::pin_proof::PinProof;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;

const NAME_CHARS: usize = 120;
const IDENTIFIERS: usize = 16;
const ENDPOINTS: usize = 4;
const PINS: usize = 4;
/// Of a pin's key and of its signature, each: RSA with 4096 bits and what stands around it.
const PIN_PROOF_BYTES: usize = 600;
const CONTACTS: usize = 8;
const ROLE_CHARS: usize = 60;
const NETWORKS: usize = 16;
const NETWORK_CHARS: usize = 80;
const SERVICES: usize = 32;
const BORDERS: usize = 8;

fn refused(field: &str, detail: &str) -> Error {
    Error::new(Reason::EntryInvalid, format!("entry.{field}"), detail)
}

/// Reads and checks an entry.
///
/// # Errors
/// `ENTRY_INVALID` with the field.
pub fn from_proto(entry: proto::AuthorityEntry) -> Result<AuthorityEntry, Error> {
    let authority = AuthorityId::parse(&entry.authority)
        .ok_or_else(|| refused("authority", "<country>-<slug>, e.g. fr-strasbourg"))?;
    let kind = ParticipantKind::from_code(entry.kind).ok_or_else(|| refused("kind", "a known kind"))?;
    let authority_key = PublicKey::from_spki(&entry.authority_key)
        .ok_or_else(|| refused("authority_key", "an Ed25519 SubjectPublicKeyInfo"))?;
    let hosted_by = match entry.hosted_by.as_str() {
        "" => None,
        host => Some(AuthorityId::parse(host).ok_or_else(|| refused("hosted_by", "an authority id"))?),
    };
    let read = AuthorityEntry {
        kind,
        names: names(entry.names)?,
        identifiers: identifiers(entry.identifiers)?,
        endpoints: endpoints(entry.endpoints)?,
        pins: pins(&entry.pins, &authority_key)?,
        contacts: contacts(entry.contacts)?,
        networks: networks(entry.networks)?,
        services: services(entry.services)?,
        corridor: corridor(entry.corridor_roles, &entry.borders)?,
        raft_id: entry.raft_id,
        authority,
        authority_key,
        hosted_by,
    };
    check_hosting(&read)?;
    Ok(read)
}

/// A hosted authority lives on its host's node: it has no node of its own to pin, dial or vote with (9.6).
fn check_hosting(entry: &AuthorityEntry) -> Result<(), Error> {
    match &entry.hosted_by {
        Some(host) if *host == entry.authority => Err(refused("hosted_by", "another authority")),
        Some(_) if !entry.pins.is_empty() || !entry.endpoints.is_empty() || entry.raft_id != 0 => {
            Err(refused("hosted_by", "no pins, endpoints or raft id when hosted"))
        }
        None if entry.pins.is_empty() || entry.endpoints.is_empty() => {
            Err(refused("pins", "at least one pin and one endpoint unless hosted"))
        }
        _ => Ok(()),
    }
}

fn distinct<T: Eq + Hash>(values: impl Iterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    values.into_iter().all(|value| seen.insert(value))
}

fn names(names: Vec<proto::Name>) -> Result<Vec<Name>, Error> {
    let fits = (1..=limits::LANGUAGES).contains(&names.len())
        && names.iter().all(|n| forms::is_language(&n.language) && forms::is_line(&n.name, NAME_CHARS))
        && distinct(names.iter().map(|n| n.language.to_ascii_lowercase()));
    if !fits {
        return Err(refused("names", "1 to 24, one per BCP 47 language, at most 120 characters on one line"));
    }
    Ok(names.into_iter().map(|n| Name { language: n.language, name: n.name }).collect())
}

fn identifiers(identifiers: Vec<proto::Identifier>) -> Result<Vec<Identifier>, Error> {
    if identifiers.len() > IDENTIFIERS || !distinct(identifiers.iter().map(|i| (i.scheme, i.value.as_str()))) {
        return Err(refused("identifiers", "at most 16, each once"));
    }
    let read = |i: proto::Identifier| {
        let scheme =
            IdentifierScheme::from_code(i.scheme).ok_or_else(|| refused("identifiers.scheme", "a known one"))?;
        if !forms::is_identifier(scheme, &i.value) {
            return Err(refused("identifiers.value", scheme.name()));
        }
        Ok(Identifier { scheme, value: i.value })
    };
    identifiers.into_iter().map(read).collect()
}

fn endpoints(endpoints: Vec<String>) -> Result<Vec<String>, Error> {
    let fits =
        endpoints.len() <= ENDPOINTS && endpoints.iter().all(|e| forms::is_endpoint(e)) && distinct(endpoints.iter());
    if fits { Ok(endpoints) } else { Err(refused("endpoints", "at most 4 of the form host:port, each once")) }
}

fn pins(pins: &[proto::Pin], own: &PublicKey) -> Result<Vec<PinnedKey>, Error> {
    if pins.len() > PINS || !distinct(pins.iter().map(|p| &p.spki_sha256)) {
        return Err(refused("pins", "at most 4, each once"));
    }
    // The authority key signs what lasts; a TLS key is used by every connection. One key is never both.
    let own = Digest::of(&own.0);
    let read = |p: &proto::Pin| {
        let pin = Pin::from_slice(&p.spki_sha256).ok_or_else(|| refused("pins.spki_sha256", "32 bytes"))?;
        if p.valid_until_ms < 0 || pin.0 == own.0 {
            return Err(refused("pins", "a node key of its own, with an end from 1970 on, or 0"));
        }
        if p.spki.len().max(p.proof.len()) > PIN_PROOF_BYTES {
            return Err(refused("pins.proof", "a key and a signature of at most 600 bytes each"));
        }
        let valid_until = if p.valid_until_ms == 0 { UnixMs::NEVER } else { UnixMs(p.valid_until_ms) };
        // Copies: an entry is kept for years, and must not keep a network buffer alive.
        let proof = PinProof { spki: Bytes::copy_from_slice(&p.spki), signature: Bytes::copy_from_slice(&p.proof) };
        Ok(PinnedKey { pin, valid_until, proof })
    };
    pins.iter().map(read).collect()
}

fn contacts(contacts: Vec<proto::ContactPoint>) -> Result<Vec<ContactPoint>, Error> {
    if contacts.len() > CONTACTS {
        return Err(refused("contacts", "at most 8"));
    }
    let read = |c: proto::ContactPoint| {
        let languages_fit = c.languages.len() <= limits::LANGUAGES && c.languages.iter().all(|l| forms::is_language(l));
        let reachable = !c.email.is_empty() || !c.phone.is_empty();
        if !forms::is_line(&c.role, ROLE_CHARS) || !languages_fit || !reachable {
            return Err(refused("contacts", "a role of at most 60 characters, BCP 47 languages, an e-mail or a phone"));
        }
        if !c.email.is_empty() && !forms::is_role_mailbox(&c.email) {
            return Err(refused("contacts.email", "the mailbox of a role or desk, not of a person"));
        }
        if !c.phone.is_empty() && !forms::is_phone(&c.phone) {
            return Err(refused("contacts.phone", "E.164, e.g. +33155501234"));
        }
        Ok(ContactPoint { role: c.role, languages: c.languages, email: c.email, phone: c.phone })
    };
    contacts.into_iter().map(read).collect()
}

fn networks(networks: Vec<String>) -> Result<Vec<String>, Error> {
    let fits = networks.len() <= NETWORKS
        && networks.iter().all(|n| forms::is_line(n, NETWORK_CHARS))
        && distinct(networks.iter());
    if fits { Ok(networks) } else { Err(refused("networks", "at most 16 of at most 80 characters, each once")) }
}

/// The list of service kinds grows: which numbers mean something is the reader's matter, or old and new replicas would
/// answer differently.
fn services(services: Vec<u32>) -> Result<Vec<u32>, Error> {
    let fits =
        services.len() <= SERVICES && services.iter().all(|s| (1..=65_535).contains(s)) && distinct(services.iter());
    if fits { Ok(services) } else { Err(refused("services", "at most 32 numbers of service kinds, each once")) }
}

fn corridor(roles: Vec<u32>, borders: &[String]) -> Result<CorridorPlace, Error> {
    let fits = roles.len() <= SERVICES && roles.iter().all(|r| (1..=65_535).contains(r)) && distinct(roles.iter());
    if !fits {
        return Err(refused("corridor_roles", "at most 32 numbers of corridor roles, each once"));
    }
    let read: Option<Vec<Country>> = borders.iter().map(|code| Country::parse(code)).collect();
    let read = read.filter(|read| read.len() <= BORDERS && distinct(borders.iter()));
    let borders =
        read.ok_or_else(|| refused("borders", "at most 8 countries, each once: two lower-case letters of ISO 3166-1"))?;
    Ok(CorridorPlace { roles, borders })
}

/// Reads an authority id.
///
/// # Errors
/// `FIELD_INVALID` with the field.
pub fn authority_id(text: &str, field: &str) -> Result<AuthorityId, Error> {
    AuthorityId::parse(text).ok_or_else(|| Error::invalid(field, "<country>-<slug>, e.g. fr-strasbourg"))
}

/// Reads an address at which a node answers.
///
/// # Errors
/// `FIELD_INVALID` with the field.
pub fn endpoint<'a>(text: &'a str, field: &str) -> Result<&'a str, Error> {
    if forms::is_endpoint(text) { Ok(text) } else { Err(Error::invalid(field, "host:port, e.g. kehl.example:7443")) }
}

/// Reads a public key.
///
/// # Errors
/// `FIELD_INVALID` with the field.
pub fn public_key(der: &[u8], field: &str) -> Result<PublicKey, Error> {
    PublicKey::from_spki(der).ok_or_else(|| Error::invalid(field, "an Ed25519 SubjectPublicKeyInfo"))
}

/// Writes an entry.
pub fn to_proto(entry: &AuthorityEntry) -> proto::AuthorityEntry {
    proto::AuthorityEntry {
        authority: entry.authority.to_string(),
        kind: entry.kind.code(),
        names: entry.names.iter().map(|n| proto::Name { language: n.language.clone(), name: n.name.clone() }).collect(),
        identifiers: entry
            .identifiers
            .iter()
            .map(|i| proto::Identifier { scheme: i.scheme.code(), value: i.value.clone() })
            .collect(),
        authority_key: Bytes::copy_from_slice(&entry.authority_key.0),
        endpoints: entry.endpoints.clone(),
        pins: entry.pins.iter().map(pin_to_proto).collect(),
        contacts: entry.contacts.iter().map(contact_to_proto).collect(),
        hosted_by: entry.hosted_by.as_ref().map(ToString::to_string).unwrap_or_default(),
        networks: entry.networks.clone(),
        services: entry.services.clone(),
        raft_id: entry.raft_id,
        corridor_roles: entry.corridor.roles.clone(),
        borders: entry.corridor.borders.iter().map(|country| country.as_str().to_owned()).collect(),
    }
}

fn pin_to_proto(pin: &PinnedKey) -> proto::Pin {
    let valid_until_ms = if pin.valid_until == UnixMs::NEVER { 0 } else { pin.valid_until.0 };
    let spki_sha256 = Bytes::copy_from_slice(pin.pin.as_bytes());
    proto::Pin { spki_sha256, valid_until_ms, spki: pin.proof.spki.clone(), proof: pin.proof.signature.clone() }
}

fn contact_to_proto(contact: &ContactPoint) -> proto::ContactPoint {
    proto::ContactPoint {
        role: contact.role.clone(),
        languages: contact.languages.clone(),
        email: contact.email.clone(),
        phone: contact.phone.clone(),
    }
}
