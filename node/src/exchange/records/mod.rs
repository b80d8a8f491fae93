//! What the arrival of a record does here besides its place in the inbox: one file per kind.
//!
//! What lives here: the dispatch over the one list of kinds, and per kind `arrived` with what it changes or remembers. What
//! does not: what all kinds share (publish, list, get, answer: `road`), how a kind is searched and stated (`practices`,
//! `capacity`), and decisions (`domain/records`).
//! Invariants: what arrives changes projections only in the transaction that stores the record; an arrival calls no part.

mod alert;
mod answer;
mod inspection;
mod offer;
mod practice;
mod referral;

use crate::domain::envelope::Envelope;
use crate::domain::reason::Reason;
use crate::domain::record_kinds;
use crate::domain::records::Content;
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::context::{Context, Error};
use crate::storage::ops::Put;

pub(super) use offer::{HeardOffers, statements_in};

/// What a batch has brought so far, as far as a kind has to know.
#[derive(Default)]
pub(super) struct Batch {
    offers: offer::Known,
}

/// A record that is allowed, new, and about to be stored.
pub(super) struct Arrival<'a> {
    pub context: &'a Context,
    pub envelope: &'a Envelope,
    pub batch: &'a mut Batch,
    /// Age of what it says when it was sent.
    pub as_of_age: Option<Millis>,
    pub received: UnixMs,
    /// When it leaves this store.
    pub keep_until: UnixMs,
    pub puts: &'a mut Vec<Put>,
}

/// What came of it; a refusal is for the sender, and final.
pub(super) type Arrived = Result<Result<(), Reason>, Error>;

macro_rules! dispatch {
    (content { $($c:ident = $cn:literal $ct:literal $(=> $cm:ident :: $cty:ident)?,)+ }
     control { $($k:ident = $kn:literal $kt:literal $(=> $km:ident :: $kty:ident)?,)+ }) => {
        /// Does what the arrival of a record of its kind does.
        pub(super) async fn arrived(content: &Content, arrival: Arrival<'_>) -> Arrived {
            match content { $($( Content::$c(record) => $cm::arrived(record, arrival).await, )?)+ }
        }
    };
}

record_kinds!(dispatch);
