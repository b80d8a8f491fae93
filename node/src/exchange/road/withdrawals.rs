//! Asking partners what of their records about persons was withdrawn (9.10): over the line, until each has answered. What comes of an
//! answer is the persons' business.
//!
//! A partner is asked when what it sent is closed, and so is who an agreement to share of before a restore names. Who is suspended
//! asks again and again: no notice reaches it on a stream, and no receipt of its leaves on one (9.2).

use std::collections::BTreeSet;

use crate::domain::authority::MemberStatus;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::record::StreamClass;
use crate::domain::stream::StreamId;
use crate::domain::time::Millis;
use crate::exchange::context::{Error, Pair, Passed};
use crate::storage::ops::{Put, Write};
use crate::storage::rows::AnsweredRow;

use super::Road;

/// How often one that is suspended asks, and how often it is written down that a line stands.
const AGAIN: Millis = Millis::seconds(25);
/// Answers of one partner in one pass; the next pass goes on from the start.
const PAGES: usize = 1_000;

impl Road {
    /// Asks whoever is to be asked now, all at once, and writes down which lines stand.
    ///
    /// # Errors
    /// When the store fails.
    pub(in crate::exchange) async fn ask_withdrawals_pass(&self) -> Result<Passed, Error> {
        let (holding, named) = self.persons.to_be_asked().await?;
        self.note_contacts(&holding).await?;
        let due: BTreeSet<Pair> = holding.into_iter().filter(|pair| self.is_due(pair)).chain(named).collect();
        let asked = due.into_iter().map(|pair| self.ask_withdrawals_of(pair));
        let mut passed = Passed::default();
        for answered in futures_util::future::join_all(asked).await {
            match answered {
                Ok(()) => passed.done += 1,
                // What it sent stays closed, which is named; why it does not answer is shown with the partner.
                Err(error) if error.concerns_one_row() => passed.postpone(Reason::WithdrawalsNotAnswered),
                Err(error) => return Err(error),
            }
        }
        Ok(passed)
    }

    fn is_due(&self, pair: &Pair) -> bool {
        let (ours, partner) = pair;
        let now = self.now();
        let asked_long_ago =
            || self.context.answered().stored(pair).is_none_or(|(at, _)| now.since(at).0.abs() >= AGAIN.0);
        let suspended = self.view().status(ours, now) == MemberStatus::Suspended;
        !self.context.has_said_what_was_withdrawn(ours, partner) || suspended && asked_long_ago()
    }

    async fn ask_withdrawals_of(&self, pair: Pair) -> Result<(), Error> {
        let (ours, partner) = pair.clone();
        let mut asked = self.persons.ask(pair).await?;
        for _ in 0..PAGES {
            // How the two stand when it is asked: what changes meanwhile is asked about again.
            let view = self.view();
            let host = self.host_to_ask(&partner)?;
            let answer = self.link.withdrawals(host, asked.question()).await.inspect_err(|error| {
                self.links.failed(&partner, error, self.context.clocks());
            })?;
            self.links.answered(&partner, self.context.clocks());
            match self.persons.heard_withdrawals(asked, &view, answer).await? {
                Some(next) => asked = next,
                None => {
                    for class in [StreamClass::Control, StreamClass::Content] {
                        let id = StreamId { origin: ours.clone(), recipient: partner.clone(), class };
                        self.context.wakeups().retry_stream(&id);
                    }
                    return Ok(());
                }
            }
        }
        Err(Reason::WithdrawalsNotAnswered.into())
    }

    /// One that is suspended withdraws nothing meanwhile, and cannot say so (9.2).
    fn host_to_ask(&self, partner: &AuthorityId) -> Result<AuthorityId, Error> {
        let view = self.view();
        crate::exchange::context::active(&view, partner, self.now()).map_err(|reason| Error::about(partner, reason))?;
        Ok(view.host_of(partner).ok_or_else(|| Error::about(partner, Reason::MemberUnknown))?.clone())
    }

    /// A start soon after it goes on with what was heard before. To one that is suspended a line that stands brings nothing.
    async fn note_contacts(&self, holding: &[Pair]) -> Result<(), Error> {
        let (now, view, mut write) = (self.now(), self.view(), Write::default());
        let mut stands = Vec::new();
        for pair in holding {
            let (ours, partner) = pair;
            let hears = view.status(ours, now) == MemberStatus::Active && self.is_connected(partner);
            let open = hears && self.context.has_said_what_was_withdrawn(ours, partner);
            let Some((at, unknown)) = self.context.answered().stored(pair).filter(|_| open) else { continue };
            if now.since(at).0.abs() >= AGAIN.0 {
                let row = AnsweredRow { ours: ours.clone(), partner: partner.clone(), contact: now, unknown };
                write.puts.push(Put::Answered(row));
                stands.push(pair);
            }
        }
        if !stands.is_empty() {
            self.store().write(write.into()).await?;
            stands.into_iter().for_each(|pair| self.context.answered().stood(pair, now));
        }
        Ok(())
    }
}
