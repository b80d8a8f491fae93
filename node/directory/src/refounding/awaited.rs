//! A founding whose base lies ahead of a clock: followed once those whom it makes stewards say now that they stand on it (9.4).

use bytes::Bytes;

use super::{Known, readable};
use crate::beats::Beats;
use crate::domain::directory::Position;
use crate::domain::ids::StatementId;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::state::RegisterState;
use crate::wire::keys::Verify;

/// A founding that counts, on a base that nobody has confirmed here. The beats of the order that has ended would confirm it, and
/// nobody signs any more of them.
pub struct Awaited {
    /// The encoded `Signed`.
    pub signed: Bytes,
    pub id: StatementId,
    /// The register that it begins.
    pub begun: RegisterState,
    beats: Beats,
}

impl Awaited {
    /// Judges it on the register at its base.
    ///
    /// # Errors
    /// As `judge`, and who has not signed it yet.
    pub fn judged(
        there: &RegisterState,
        signed: &Bytes,
        known: &Known<'_>,
        verify: &dyn Verify,
    ) -> Result<Self, Reason> {
        let (begun, change) = there.begin_anew(signed, known, verify)?;
        let id = readable(&change.signed).ok_or(Reason::StatementMalformed)?.id;
        let mut beats = Beats::default();
        beats.note_own(begun.number(), begun.head());
        Ok(Self { signed: change.signed, id, begun, beats })
    }

    /// The place that it begins.
    pub fn position(&self) -> Position {
        self.begun.position()
    }

    /// The number of its base.
    pub fn base(&self) -> u64 {
        self.begun.number().saturating_sub(1)
    }

    /// Takes in a beat of its line; whether it said something new. `judge`: what it begins, without keys that prove nothing.
    ///
    /// # Errors
    /// As `Beats::accept`.
    pub fn hear(
        &mut self,
        signed: &Bytes,
        judge: &RegisterState,
        now: UnixMs,
        verify: &dyn Verify,
    ) -> Result<bool, Reason> {
        self.beats.accept(signed, judge, now, verify)
    }

    /// Whether a majority of those whom it makes stewards beats on its line, by clocks that show the time of this one. Who signs
    /// one founding of a number, and beats under it, has the base of that one on its line.
    pub fn is_confirmed(&self, now: UnixMs) -> bool {
        self.beats.confirm_line(&self.begun, now)
    }
}
