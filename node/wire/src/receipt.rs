//! Receipts of batches (9.3).

use havenlink_proto::peer::v1 as peer;

use super::{Error, fields};
use crate::domain::directory::Position;
use crate::domain::ids::{Digest, FederationId, Incarnation};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::receipt::{ItemOutcome, OutcomeKind, Receipt, Verdict};

/// A receipt as a message, to be signed.
pub fn to_proto(receipt: &Receipt) -> peer::Receipt {
    let outcome = |o: &ItemOutcome| peer::ItemOutcome {
        envelope_digest: o.envelope.map(|d| fields::bytes_of(d.as_bytes())).unwrap_or_default(),
        result: o.verdict.kind().code(),
        reason: o.verdict.reason().map(|r| r.code().to_owned()).unwrap_or_default(),
    };
    peer::Receipt {
        federation_id: fields::bytes_of(receipt.federation.as_bytes()),
        origin: receipt.origin.as_str().to_owned(),
        recipient: receipt.recipient.as_str().to_owned(),
        origin_incarnation: receipt.origin_incarnation.0,
        recipient_incarnation: receipt.recipient_incarnation.0,
        stream_class: receipt.class.code(),
        first: receipt.first,
        outcomes: receipt.outcomes.iter().map(outcome).collect(),
        register_number: receipt.register.number,
        register_founding: receipt.register.founding,
        time_ms: receipt.time.0,
    }
}

/// A receipt. A reason of a newer version reads as REASON_UNKNOWN: the verdict counts.
///
/// # Errors
/// The first field that is missing or unknown; more outcomes than a batch has items.
pub fn from_proto(receipt: peer::Receipt) -> Result<Receipt, Error> {
    if receipt.outcomes.len() > limits::BATCH_ITEMS {
        return Err(Error::new(Reason::FieldTooLong, "outcomes", format!("at most {}", limits::BATCH_ITEMS)));
    }
    if receipt.first == 0 {
        return Err(Error::missing("first"));
    }
    let outcomes = receipt.outcomes.into_iter().enumerate();
    let outcomes = outcomes.map(|(i, o)| outcome(o).map_err(|e| e.within(&format!("outcomes[{i}]"))));
    Ok(Receipt {
        federation: fields::id("federation_id", &receipt.federation_id, FederationId::from_slice)?,
        origin: fields::authority("origin", &receipt.origin)?,
        recipient: fields::authority("recipient", &receipt.recipient)?,
        origin_incarnation: Incarnation(receipt.origin_incarnation),
        recipient_incarnation: Incarnation(receipt.recipient_incarnation),
        class: fields::closed_enum("stream_class", receipt.stream_class)?,
        first: receipt.first,
        outcomes: outcomes.collect::<Result<_, _>>()?,
        register: Position { founding: receipt.register_founding, number: receipt.register_number },
        time: fields::instant("time_ms", receipt.time_ms)?,
    })
}

fn outcome(outcome: peer::ItemOutcome) -> Result<ItemOutcome, Error> {
    let reason = || Reason::from_code(&outcome.reason).unwrap_or(Reason::ReasonUnknown);
    let verdict = match fields::closed_enum("result", outcome.result)? {
        OutcomeKind::Stored => Verdict::Stored,
        OutcomeKind::Duplicate => Verdict::Duplicate,
        OutcomeKind::Refused => Verdict::Refused(reason()),
        OutcomeKind::Quarantined => Verdict::Quarantined(reason()),
        OutcomeKind::RetryLater => Verdict::RetryLater(reason()),
        OutcomeKind::Skipped => Verdict::Skipped(reason()),
    };
    let envelope = if outcome.envelope_digest.is_empty() {
        None
    } else {
        Some(fields::id("envelope_digest", &outcome.envelope_digest, Digest::from_slice)?)
    };
    if envelope.is_none() != matches!(verdict, Verdict::Skipped(_)) {
        return Err(Error::invalid("envelope_digest", "given exactly for what is not a skip"));
    }
    Ok(ItemOutcome { envelope, verdict })
}
