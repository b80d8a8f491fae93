//! POLICY: all values, each within its bounds.

use havenlink_proto::directory::v1 as proto;

use super::{Codec, Policy};
use crate::Error;
use crate::domain::time::Millis;

impl Codec for Policy {
    type Message = proto::Policy;

    /// 0 is never a default, every value is named.
    fn read(message: Self::Message) -> Result<Self, Error> {
        let within = |value: i64, low: Millis, high: Millis, field: &str| {
            let fits = (low.0..=high.0).contains(&value);
            fits.then_some(Millis(value)).ok_or_else(|| Error::invalid(field, format!("{} to {} ms", low.0, high.0)))
        };
        if !(1..=7).contains(&message.admission_approvals) {
            return Err(Error::invalid("policy.admission_approvals", "1 to 7"));
        }
        if !(1..=1 << 20).contains(&message.snapshot_interval) || message.rules_version == 0 {
            return Err(Error::invalid("policy.snapshot_interval", "1 to 1,048,576; rules version from 1"));
        }
        Ok(Policy {
            rules_version: message.rules_version,
            admission_approvals: message.admission_approvals,
            // Shorter than the span after which one steward may suspend again: alone it keeps nobody out.
            emergency: within(message.emergency_ms, Millis::seconds(1), Millis::hours(72), "policy.emergency_ms")?,
            freshness_limit: within(
                message.freshness_limit_ms,
                Millis::seconds(1),
                Millis::hours(24),
                "policy.freshness_limit_ms",
            )?,
            beat_interval: within(
                message.beat_interval_ms,
                Millis(100),
                Millis::minutes(10),
                "policy.beat_interval_ms",
            )?,
            snapshot_interval: message.snapshot_interval,
            proposal_life: within(
                message.proposal_life_ms,
                Millis::seconds(1),
                Millis::days(30),
                "policy.proposal_life_ms",
            )?,
        })
    }

    fn write(&self) -> Self::Message {
        proto::Policy {
            rules_version: self.rules_version,
            admission_approvals: self.admission_approvals,
            emergency_ms: self.emergency.0,
            freshness_limit_ms: self.freshness_limit.0,
            beat_interval_ms: self.beat_interval.0,
            snapshot_interval: self.snapshot_interval,
            proposal_life_ms: self.proposal_life.0,
        }
    }
}

/// Writes a policy.
pub fn to_proto(policy: &Policy) -> proto::Policy {
    policy.write()
}

/// A change of a policy as an operator asks for it: what is 0 stays as it is.
///
/// # Errors
/// When a value is out of its bounds.
pub fn over(change: proto::Policy, present: &Policy) -> Result<Policy, Error> {
    fn pick<N: Default + PartialEq>(asked: N, now: N) -> N {
        if asked == N::default() { now } else { asked }
    }
    let now = present.write();
    Policy::read(proto::Policy {
        rules_version: pick(change.rules_version, now.rules_version),
        admission_approvals: pick(change.admission_approvals, now.admission_approvals),
        emergency_ms: pick(change.emergency_ms, now.emergency_ms),
        freshness_limit_ms: pick(change.freshness_limit_ms, now.freshness_limit_ms),
        beat_interval_ms: pick(change.beat_interval_ms, now.beat_interval_ms),
        snapshot_interval: pick(change.snapshot_interval, now.snapshot_interval),
        proposal_life_ms: pick(change.proposal_life_ms, now.proposal_life_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_policy_leaves_the_rest_as_it_is() {
        let asked = proto::Policy { admission_approvals: 3, ..Default::default() };
        let changed = over(asked, &Policy::default()).unwrap();
        assert_eq!(changed, Policy { admission_approvals: 3, ..Policy::default() });
        let wrong = proto::Policy { emergency_ms: Millis::hours(73).0, ..Default::default() };
        assert!(over(wrong, &Policy::default()).is_err());
    }
}
