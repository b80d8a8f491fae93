//! Agreements and what ends them.

use havenlink_proto::record::v1 as proto;

use super::{Error, fields};
use crate::domain::agreement::{Agreement, AgreementEnd, Grant, Party, Transfer};
use crate::domain::country::Country;
use crate::domain::ids::{AgreementId, Digest, FederationId};
use crate::domain::limits;
use crate::domain::reason::Reason;

/// An agreement as a message.
pub fn to_proto(agreement: &Agreement) -> proto::Agreement {
    let party = |p: &Party| proto::Party {
        authority: p.authority.as_str().to_owned(),
        corridor_roles: fields::numbers(&p.corridor_roles),
        transfers: p.transfers.iter().map(transfer_to_proto).collect(),
    };
    proto::Agreement {
        federation_id: fields::bytes_of(agreement.federation.as_bytes()),
        parties: agreement.parties.iter().map(party).collect(),
        grants: agreement.grants.iter().map(grant_to_proto).collect(),
        created_ms: agreement.created.0,
        review_by_ms: agreement.review_by.0,
        nonce: fields::bytes_of(&agreement.nonce),
        proposer: agreement.proposer.as_str().to_owned(),
    }
}

/// An agreement that holds together: its parties, directions, lists and dates.
///
/// # Errors
/// The first field that does not; `AGREEMENT_INVALID` where several fields do not fit each other.
pub fn from_proto(agreement: proto::Agreement) -> Result<Agreement, Error> {
    let too_many = |field: &str, limit: usize| Error::new(Reason::FieldTooLong, field, format!("at most {limit}"));
    if agreement.parties.len() > limits::PARTIES {
        return Err(too_many("parties", limits::PARTIES));
    }
    if agreement.grants.len() > limits::GRANTS {
        return Err(too_many("grants", limits::GRANTS));
    }
    let agreement = reload(agreement)?;
    agreement.check()?;
    Ok(agreement)
}

/// An agreement from this node's own disk: its form, and not what today's rules say of it.
///
/// # Errors
/// The first field that is missing, unknown or of another form.
pub fn reload(agreement: proto::Agreement) -> Result<Agreement, Error> {
    let parties = agreement.parties.into_iter().enumerate();
    let parties = parties.map(|(i, p)| party(p).map_err(|e| e.within(&format!("parties[{i}]"))));
    let grants = agreement.grants.into_iter().enumerate();
    let grants = grants.map(|(i, g)| grant(g).map_err(|e| e.within(&format!("grants[{i}]"))));
    Ok(Agreement {
        federation: fields::id("federation_id", &agreement.federation_id, FederationId::from_slice)?,
        parties: parties.collect::<Result<_, _>>()?,
        grants: grants.collect::<Result<_, _>>()?,
        created: fields::instant("created_ms", agreement.created_ms)?,
        review_by: fields::instant("review_by_ms", agreement.review_by_ms)?,
        nonce: fields::id("nonce", &agreement.nonce, |bytes| bytes.try_into().ok())?,
        proposer: fields::authority("proposer", &agreement.proposer)?,
    })
}

fn party(party: proto::Party) -> Result<Party, Error> {
    let transfers = party.transfers.into_iter().enumerate();
    let transfers = transfers.map(|(i, t)| transfer(t).map_err(|e| e.within(&format!("transfers[{i}]"))));
    Ok(Party {
        authority: fields::authority("authority", &party.authority)?,
        corridor_roles: fields::closed_enums("corridor_roles", &party.corridor_roles)?,
        transfers: transfers.collect::<Result<_, _>>()?,
    })
}

fn transfer_to_proto(transfer: &Transfer) -> proto::Transfer {
    proto::Transfer {
        country: transfer.country.as_str().to_owned(),
        basis: transfer.basis.code(),
        until_ms: transfer.until.0,
        document_sha256: fields::bytes_of(transfer.document.as_bytes()),
    }
}

fn transfer(transfer: proto::Transfer) -> Result<Transfer, Error> {
    let country = Country::parse(&transfer.country);
    Ok(Transfer {
        country: country.ok_or_else(|| Error::invalid("country", "two lower-case letters of ISO 3166-1"))?,
        basis: fields::closed_enum("basis", transfer.basis)?,
        until: fields::instant("until_ms", transfer.until_ms)?,
        document: fields::id("document_sha256", &transfer.document_sha256, Digest::from_slice)?,
    })
}

fn grant_to_proto(grant: &Grant) -> proto::Grant {
    proto::Grant {
        from: grant.from.as_str().to_owned(),
        to: grant.to.as_str().to_owned(),
        record_kinds: fields::numbers(&grant.record_kinds),
        alert_kinds: fields::numbers(&grant.alert_kinds),
        service_kinds: fields::numbers(&grant.service_kinds),
        purposes: fields::numbers(&grant.purposes),
        highest_tlp: grant.highest_tlp.code(),
        disclosure_level: fields::number_or_zero(grant.disclosure_level),
        retention_ms: grant.retention.0,
        valid_from_ms: grant.valid_from.0,
        valid_until_ms: grant.valid_until.0,
        usage: grant.usage.code(),
    }
}

fn grant(grant: proto::Grant) -> Result<Grant, Error> {
    Ok(Grant {
        from: fields::authority("from", &grant.from)?,
        to: fields::authority("to", &grant.to)?,
        record_kinds: fields::closed_enums("record_kinds", &grant.record_kinds)?,
        alert_kinds: fields::closed_enums("alert_kinds", &grant.alert_kinds)?,
        service_kinds: fields::closed_enums("service_kinds", &grant.service_kinds)?,
        purposes: fields::closed_enums("purposes", &grant.purposes)?,
        usage: fields::closed_enum("usage", grant.usage)?,
        highest_tlp: fields::closed_enum("highest_tlp", grant.highest_tlp)?,
        disclosure_level: fields::optional("disclosure_level", grant.disclosure_level)?,
        retention: fields::span("retention_ms", grant.retention_ms)?,
        valid_from: fields::instant("valid_from_ms", grant.valid_from_ms)?,
        valid_until: fields::instant("valid_until_ms", grant.valid_until_ms)?,
    })
}

/// A notice of end as a message.
pub fn end_to_proto(end: &AgreementEnd) -> proto::AgreementEnd {
    proto::AgreementEnd {
        agreement_id: fields::bytes_of(end.agreement.as_bytes()),
        by: end.by.as_str().to_owned(),
        at_ms: end.at.0,
        reason: end.reason.code(),
    }
}

/// A notice of end.
///
/// # Errors
/// The first field that is missing or unknown.
pub fn end_from_proto(end: proto::AgreementEnd) -> Result<AgreementEnd, Error> {
    Ok(AgreementEnd {
        agreement: fields::id("agreement_id", &end.agreement_id, AgreementId::from_slice)?,
        by: fields::authority("by", &end.by)?,
        at: fields::instant("at_ms", end.at_ms)?,
        reason: fields::closed_enum("reason", end.reason)?,
    })
}
