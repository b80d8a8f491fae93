//! The pure cores of the product in seeded worlds of crashes, reordering, loss, duplicates, partitions and wrong clocks.
//!
//! What lives here: a network and disks that are played, and around them the cores as the product has them: numbers, receipts
//! and the step of a delivery, incarnations, what is owed (`road`); `apply` with RETIME and foundings, snapshots and the
//! overlay (`register`); the slots of an offer, and who holds them (`holds`); what may be shared about a person, beside a model that is no part of the product (`persons`).
//! What does not: a copy of a rule. Where a rule stood among calls and statements of SQL it was moved to where both can
//! call it; what is played here is only what surrounds it.
//!
//! Invariants, each named when it does not hold:
//! - `ONCE`: each record has one position in each inbox.
//! - `NAMED`: nothing that was acknowledged is dropped before it expires without a reason that the list of deliveries shows.
//! - `KEPT`: nothing acknowledged is lost by a crash; what the origin calls delivered the recipient has; what was accepted above
//!   the base of a founding is decided again.
//! - `ARRIVES`: once the network heals everything is settled in bounded time, whatever the clocks say.
//! - `NUMBERED`: under one pair of incarnations a number names one item.
//! - `RISES`: incarnations only rise, nobody's word but its own moves a node, and nobody is pushed to 2^53.
//! - `TRUE`: what a recipient holds its origin does not call refused.
//! - `EQUAL`: equal position, equal head: whoever applied the same entries, replayed them, or opened a snapshot of them.
//! - `INERT`: a rejected statement changes number, head and time, and nothing else.
//! - `FORWARD`: entry times never fall but by a RETIME, and no lying clock brings one beyond what fits.
//! - `CUT`: after a RETIME no end in the state lies further behind it than the span that it ends.
//! - `DENIED`: who is denied stays denied until the time has passed or a majority lifts it; crashes, duplicates and older
//!   gossip change nothing, and in the end all deny the same.
//!
//! The same seed gives the same trace. Each invariant has bugs that break it (`Broken`), and they are found.

mod chance;
mod holds;
#[cfg(test)]
mod persons;
mod register;
mod road;
#[cfg(test)]
mod tests;
mod trace;

pub use trace::Ran;

macro_rules! broken {
    ($($(#[$meta:meta])* $name:ident,)+) => {
        /// A bug that is put in, to see whether it is found.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Broken { $($(#[$meta])* $name),+ }

        impl Broken {
            pub const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

broken! {
    /// Which records were taken is known in memory only.
    DedupForgottenByCrash,
    /// The receipt goes out, then the batch is stored.
    ReceiptBeforeCommit,
    /// The next number is written down a while after it was given.
    NumberReusedAfterCrash,
    /// An item that the partner asked to repeat for too long is dropped.
    DroppedUnnamed,
    /// Who may share is asked before the duplicate is recognised.
    PermitBeforeDuplicate,
    /// A delivery counts as settled when the answer is there, and is written down later as not answered.
    SettledBeforeAnswer,
    /// A recipient compares an incarnation with its clock.
    IncarnationByTheClock,
    /// A restored node begins at its clock, whatever it knows.
    BeginsAtTheClock,
    /// Two lives that begin at one backup have one incarnation.
    LivesNotDrawn,
    /// A node believes a word about itself that it did not sign.
    BelievesOthers,
    /// Steps of incarnations have no bound.
    StepsUnbounded,
    /// What is owed is settled in one commit and queued in another.
    OwedSettledFirst,
    /// The overlay is what the newest gossip says.
    OverlayReplaced,
    /// The overlay is in memory only.
    OverlayForgottenByCrash,
    /// An entry's time is taken whatever it is.
    EntryTimeUnchecked,
    /// A mirror that comes back applies from its own newest number on what it is sent, whatever number that has.
    NumbersUnchecked,
    /// The time of an entry is that of the clock of whoever applies it.
    AppliedAtOwnTime,
    /// What stood above the base of a founding is dropped.
    AboveForgotten,
    /// Who stands above the base of a founding goes on from there.
    FoundingIgnoredAbove,
    /// A founding on a base ahead of a clock is not confirmed by its own stewards.
    AwaitedForEver,
    /// A hold is answered, then stored.
    HoldAnsweredFirst,
    /// A holder counts its lease from when it was answered.
    LeaseFromItsAnswer,
    /// A restored owner gives at once.
    RestoreOpensAtOnce,
    /// A restored owner goes on with the tokens of its backup.
    TokensFromBackup,
}

/// Runs the world of a seed. One in four is a register, one in eight an offer whose units are asked for 800 times.
pub fn run(seed: u64, broken: Option<Broken>) -> Ran {
    match seed % 8 {
        0 | 4 => register::run(seed, broken),
        1 => holds::run(seed, broken),
        _ => road::run(seed, broken),
    }
}
