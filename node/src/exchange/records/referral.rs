//! Referrals: an answer is taken for a referral of ours only; what was asked shows it (`held`).

use crate::domain::reason::Reason;
use crate::domain::record::ReferenceKind;
use crate::domain::records::RecordKind;
use crate::domain::records::referral::Referral;

use super::{Arrival, Arrived};

pub(super) async fn arrived(referral: &Referral, arrival: Arrival<'_>) -> Arrived {
    let (Referral::Accepted | Referral::Declined { .. }) = referral else { return Ok(Ok(())) };
    let Some(target) = arrival.envelope.target(ReferenceKind::Answers) else { return Ok(Err(Reason::TargetUnknown)) };
    let asked = arrival.context.store().publication(target.clone()).await?;
    let ours = asked.is_some_and(|row| row.record.kind() == RecordKind::Referral);
    Ok(if ours { Ok(()) } else { Err(Reason::TargetUnknown) })
}
