//! The pure step of a delivery: what the deliverer does after it heard, or did not hear, from a partner (9.3).
//!
//! The randomness of the backoff comes in as a number; time comes in as an instant. What the step returns is stored by
//! the exchange, then acted on.

use super::limits;
use super::reason::{Reason, RoadEffect};
use super::receipt::Verdict;
use super::time::{Millis, UnixMs};

/// First span of the backoff; it doubles with every failure in a row.
pub const BACKOFF_BASE: Millis = Millis(250);
/// Longest span of the backoff.
pub const BACKOFF_CAP: Millis = Millis::seconds(60);
/// Shortest wait after a failure, so that jitter never makes a busy loop.
pub const BACKOFF_FLOOR: Millis = Millis(25);

/// The batch that was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Number of its first item.
    pub first: u64,
    pub count: u64,
    /// Failures of this stream in a row before this attempt.
    pub failures: u32,
}

/// What an attempt brought back.
#[derive(Clone, Copy, Debug)]
pub enum Heard<'a> {
    /// A verified receipt: its first number and one verdict per item.
    Receipt { first: u64, verdicts: &'a [Verdict] },
    /// The partner expects this number, and its last receipt (if any) does not start where the batch did.
    StandsAt { next: u64 },
    /// The call failed as a whole: nothing is consumed, nothing is skipped.
    Failed(Reason),
}

/// The first item without an answer: when its waiting began, and when it ends by itself.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    pub waiting_since: Option<UnixMs>,
    pub expires: UnixMs,
}

/// What to do next with the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send the next batch at once.
    Continue,
    /// Try again at the instant.
    At(UnixMs),
    /// Greet the partner first: the streams' numbers do not fit any more.
    Greet,
    /// Stop until the partner is active again; items are held.
    Hold(Reason),
}

/// The item that blocks the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    pub number: u64,
    pub reason: Reason,
    /// Send SKIP(reason) under the same number; `DEFERRED`: and the item again under a later one.
    pub skip: Option<Reason>,
}

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// So many verdicts from the front are final; settle them.
    pub settle: usize,
    /// `AGREEMENT_UNKNOWN` here means: send the agreement along.
    pub blocked: Option<Blocked>,
    pub next: Next,
    /// Failures in a row from now on.
    pub failures: u32,
}

/// Full jitter: uniform between the floor and the doubled span. `jitter` is uniform in [0, 1).
pub fn backoff(failures: u32, jitter: f64) -> Millis {
    let span = BACKOFF_BASE.0.saturating_mul(1_i64 << failures.min(20)).min(BACKOFF_CAP.0);
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
    Millis(((span as f64 * jitter) as i64).max(BACKOFF_FLOOR.0))
}

/// Whether an item still goes out, or its number is skipped instead.
pub fn skip_before_sending(expires: UnixMs, now: UnixMs) -> Option<Reason> {
    (expires <= now).then_some(Reason::EnvelopeExpired)
}

/// What to do after an attempt. `head_of(i)` tells about the i-th item of the batch.
pub fn step(sent: Sent, heard: Heard<'_>, head_of: impl Fn(usize) -> Head, now: UnixMs, jitter: f64) -> Step {
    match heard {
        Heard::Receipt { first, verdicts } => answered(sent, first, verdicts, head_of, now, jitter),
        Heard::StandsAt { .. } => Step { settle: 0, blocked: None, next: Next::Greet, failures: sent.failures + 1 },
        Heard::Failed(reason) => failed(sent, reason, now, jitter),
    }
}

fn answered(
    sent: Sent,
    first: u64,
    verdicts: &[Verdict],
    head_of: impl Fn(usize) -> Head,
    now: UnixMs,
    jitter: f64,
) -> Step {
    let settle = verdicts.iter().take_while(|v| v.consumes()).count();
    // A receipt for other numbers, or for more than was sent, or with something after RETRY_LATER, is not an answer.
    // One for fewer is: the partner's last receipt, repeated because it was lost, may be of a shorter batch.
    let ends_there = settle + 1 >= verdicts.len();
    if first != sent.first || verdicts.len() as u64 > sent.count || verdicts.is_empty() || !ends_there {
        return failed(sent, Reason::EnvelopeMalformed, now, jitter);
    }
    let Some(Verdict::RetryLater(reason)) = verdicts.get(settle) else {
        return Step { settle, blocked: None, next: Next::Continue, failures: 0 };
    };
    let head = head_of(settle);
    let skip = if head.expires <= now {
        Some(Reason::EnvelopeExpired)
    } else if reason.road() == RoadEffect::Deferred {
        Some(Reason::Deferred)
    } else if head.waiting_since.is_some_and(|since| has_waited(since, now)) {
        Some(if only_sender_mends(*reason) { Reason::SkippedAfterWait } else { Reason::Deferred })
    } else {
        None
    };
    let blocked = Blocked { number: sent.first + settle as u64, reason: *reason, skip };
    // Progress before the block starts the backoff anew.
    let failures = if settle > 0 || skip.is_some() { 0 } else { sent.failures };
    let next = if skip.is_some() { Next::Continue } else { Next::At(now + backoff(failures, jitter)) };
    Step { settle, blocked: Some(blocked), next, failures: if skip.is_some() { 0 } else { failures + 1 } }
}

/// Whether the longest wait is over. One that began as far ahead as it is long began by a clock that was ahead, and does not
/// last for as long as that clock was wrong.
fn has_waited(since: UnixMs, now: UnixMs) -> bool {
    now.since(since).0.saturating_abs() >= limits::RETRY_LATER.0
}

/// Whether nothing but the sender can help: it sends the agreement along, and if that did not help in time, no later attempt
/// will. Everything else comes with time, so the item makes room and is sent again (9.3).
fn only_sender_mends(reason: Reason) -> bool {
    reason == Reason::AgreementUnknown
}

fn failed(sent: Sent, reason: Reason, now: UnixMs, jitter: f64) -> Step {
    let failures = sent.failures.saturating_add(1);
    let next = match reason.road() {
        RoadEffect::Greet => Next::Greet,
        RoadEffect::Held | RoadEffect::Closed => Next::Hold(reason),
        // Also a failure that no retry will heal: nothing is skipped before its expiry, and operators do heal things.
        RoadEffect::Final
        | RoadEffect::NotAllowed
        | RoadEffect::AskAgain
        | RoadEffect::Waits
        | RoadEffect::Deferred
        | RoadEffect::NoAnswer => Next::At(now + backoff(sent.failures, jitter)),
    };
    Step { settle: 0, blocked: None, next, failures }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::samples::NOW;

    fn verdict() -> impl Strategy<Value = Verdict> {
        let reason = || select(vec![Reason::AgreementUnknown, Reason::AgreementEnded, Reason::TargetUnknown]);
        prop_oneof![
            6 => Just(Verdict::Stored),
            2 => Just(Verdict::Duplicate),
            1 => reason().prop_map(Verdict::Refused),
            1 => reason().prop_map(Verdict::Quarantined),
            1 => reason().prop_map(Verdict::Skipped),
            2 => reason().prop_map(Verdict::RetryLater),
        ]
    }

    fn head(waiting: Option<i64>, left: i64) -> Head {
        Head { waiting_since: waiting.map(|m| NOW - Millis::minutes(m)), expires: NOW + Millis::minutes(left) }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn backoff_stays_in_its_span_and_never_spins(failures: u32, jitter in 0.0_f64..1.0) {
            let span = backoff(failures, jitter);
            prop_assert!(span >= BACKOFF_FLOOR && span <= BACKOFF_CAP);
            prop_assert!(backoff(failures, jitter) <= backoff(failures.saturating_add(1), jitter));
        }

        #[test]
        fn only_consumed_items_are_settled_and_only_in_order(
            verdicts in proptest::collection::vec(verdict(), 0..8), extra in 0_u64..3, failures in 0_u32..9,
            waiting in proptest::option::of(0_i64..30), left in -5_i64..60,
        ) {
            let sent = Sent { first: 10, count: verdicts.len() as u64 + extra, failures };
            let heard = Heard::Receipt { first: 10, verdicts: &verdicts };
            let step = step(sent, heard, |_| head(waiting, left), NOW, 0.5);
            prop_assert!(verdicts[..step.settle].iter().all(|v| v.consumes()));
            if let Some(blocked) = step.blocked {
                prop_assert_eq!(blocked.number, 10 + step.settle as u64);
                prop_assert_eq!(verdicts[step.settle], Verdict::RetryLater(blocked.reason));
                // Skipped exactly when it waited 15 minutes or expired (9.3).
                prop_assert_eq!(blocked.skip.is_some(), waiting.is_some_and(|m| m >= 15) || left <= 0);
            }
            // Either something moved, or somebody waits: no busy loop.
            if step.next == Next::Continue {
                prop_assert!(step.settle > 0 || step.blocked.is_some_and(|b| b.skip.is_some()));
            }
        }

        #[test]
        fn a_failed_call_consumes_and_skips_nothing(reason in select(Reason::ALL), failures in 0_u32..9) {
            let step = step(Sent { first: 1, count: 3, failures }, Heard::Failed(reason), |_| head(Some(99), -9), NOW, 0.9);
            prop_assert_eq!((step.settle, step.blocked), (0, None));
            prop_assert!(step.next != Next::Continue && step.failures == failures + 1);
        }
    }

    #[test]
    fn what_time_mends_makes_room_and_what_only_the_sender_mends_is_given_up() {
        let after = |reason, waited, left| {
            let sent = Sent { first: 1, count: 1, failures: 0 };
            let heard = Heard::Receipt { first: 1, verdicts: &[Verdict::RetryLater(reason)] };
            step(sent, heard, |_| head(Some(waited), left), NOW, 0.5).blocked.unwrap().skip
        };
        assert_eq!(after(Reason::AgreementUnknown, 15, 9), Some(Reason::SkippedAfterWait));
        assert_eq!(after(Reason::AgreementUnknown, -14, 9), None, "a clock that was put back a little");
        assert_eq!(
            after(Reason::AgreementUnknown, -5_000_000, 9),
            Some(Reason::SkippedAfterWait),
            "one that was years ahead"
        );
        assert_eq!(after(Reason::AgreementUnconfirmed, 0, 9), Some(Reason::Deferred), "only people mend it: at once");
        for reason in [Reason::EnvelopeFromFuture, Reason::KeyNotCurrent, Reason::RegisterNotFresh] {
            assert_eq!(after(reason, 14, 9), None);
            assert_eq!(after(reason, 15, 9), Some(Reason::Deferred));
            assert_eq!(after(reason, 15, 0), Some(Reason::EnvelopeExpired), "not beyond its expiry");
        }
    }

    #[test]
    fn a_receipt_that_does_not_fit_settles_nothing() {
        let stored = [Verdict::Stored; 4];
        let after_retry = [Verdict::RetryLater(Reason::AgreementUnknown), Verdict::Stored];
        for (first, verdicts) in [(2, &stored[..3]), (1, &stored[..]), (1, &after_retry[..]), (1, &[])] {
            let sent = Sent { first: 1, count: 3, failures: 0 };
            let step = step(sent, Heard::Receipt { first, verdicts }, |_| head(None, 9), NOW, 0.5);
            assert_eq!((step.settle, step.blocked), (0, None));
        }
    }

    #[test]
    fn the_repeated_receipt_of_a_shorter_batch_settles_what_it_names() {
        let sent = Sent { first: 1, count: 3, failures: 4 };
        let heard = Heard::Receipt { first: 1, verdicts: &[Verdict::Stored; 2] };
        let step = step(sent, heard, |_| head(None, 9), NOW, 0.5);
        assert_eq!(step, Step { settle: 2, blocked: None, next: Next::Continue, failures: 0 });
    }

    #[test]
    fn the_partner_that_lost_our_numbers_is_greeted() {
        let sent = Sent { first: 9, count: 3, failures: 0 };
        for heard in [Heard::StandsAt { next: 1 }, Heard::Failed(Reason::IncarnationChanged)] {
            assert_eq!(step(sent, heard, |_| head(None, 9), NOW, 0.5).next, Next::Greet);
        }
    }
}
