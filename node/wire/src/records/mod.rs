//! The bytes of what an envelope says: one codec per kind, and the dispatch over the one list of kinds.
//!
//! What lives here: `Codec` and a file per kind that implements it, nothing else. What does not: what a kind decides
//! (`domain/records`), and what its arrival does (`exchange/records`).
//! Invariant: `parse` is for what comes from outside, and asks for today's rules; `reload` is for this node's own disk, and
//! asks for the form alone: a rule that became stricter takes nothing away that was accepted before. Outside this crate what
//! is stored is reloaded with a `Reading` (`stored`, `sealed`, `records::offer`).

pub mod agreement;
pub mod alert;
pub mod answer;
pub mod inspection;
pub mod offer;
pub mod practice;
pub mod referral;
pub mod withdrawal;

use bytes::Bytes;
use havenlink_domain::{if_built, record_kinds};
use havenlink_proto::elements::{self, Shaped};
use havenlink_proto::local::v1::content::Said;
use prost::Message;

use super::Error;
use super::fields::Source;
use crate::domain::reason::Reason;
use crate::domain::records::{Content, Control, Facet, Kind, RecordBody, RecordKind};

/// A kind of content as bytes.
pub trait Codec: Kind {
    /// Its message, as the local sockets know it.
    type Message;
    /// Fields of its messages in which text can stand, as `Message.field`, each with what guards it. Nothing else of it may.
    const TEXTS: &'static [&'static str];

    /// As it is shown to this authority's own people: what its owner alone knows is left out.
    fn to_message(&self) -> Self::Message;

    /// From a local caller: form, and today's rules.
    ///
    /// # Errors
    /// The first field that is missing, unknown, or refused by a rule.
    fn from_message(message: Self::Message) -> Result<Self, Error>;

    /// The encoded message, of the form that it has: what a partner gets, or what its owner keeps.
    fn encode(&self) -> Bytes;

    /// As it travels. Form only; from outside, forms are today's.
    ///
    /// # Errors
    /// The first field that is missing, unknown or of another form.
    fn decode(bytes: &Bytes, source: Source) -> Result<Self, Error>;

    /// As its publisher stored it.
    ///
    /// # Errors
    /// As `decode`.
    fn reload_own(bytes: &Bytes) -> Result<Self, Error> {
        Self::decode(bytes, Source::OwnDisk)
    }

    /// What the one question needs to know of it, without reading its texts.
    ///
    /// # Errors
    /// When the bytes do not decode.
    fn facet_of(bytes: &Bytes) -> Result<Self::Facet, Error>;
}

/// A kind of control as bytes: coded and signed fields, which have a form and no rules of the day.
pub trait ControlCodec: Sized {
    /// The encoded message.
    fn encode(&self) -> Bytes;

    /// From its message.
    ///
    /// # Errors
    /// The first field that is missing, unknown or of another form.
    fn decode(bytes: &Bytes) -> Result<Self, Error>;
}

macro_rules! dispatch {
    (content { $($c:ident = $cn:literal $ct:literal $(=> $cm:ident :: $cty:ident)?,)+ }
     control { $($k:ident = $kn:literal $kt:literal $(=> $km:ident :: $kty:ident)?,)+ }) => {
        /// Fields in which text can stand, of every kind of content.
        pub const TEXTS: &[&[&str]] = &[$($( <crate::domain::records::$cm::$cty as Codec>::TEXTS, )?)+];

        /// The encoded message of a record.
        pub fn encode(content: &Content) -> Bytes {
            match content {
                $($( Content::$c(record) => <crate::domain::records::$cm::$cty as Codec>::encode(record), )?)+
            }
        }

        /// The encoded message of a control record.
        pub fn encode_control(control: &Control) -> Bytes {
            match control {
                $($( Control::$k(record) => <crate::domain::records::$km::$kty as ControlCodec>::encode(record), )?)+
            }
        }

        /// A record as its message at the local sockets.
        pub fn to_said(content: &Content) -> Said {
            match content {
                $($( Content::$c(record) => {
                    Said::$c(<crate::domain::records::$cm::$cty as Codec>::to_message(record))
                } )?)+
            }
        }

        /// The kind of a message at the local sockets.
        pub const fn kind_of(said: &Said) -> RecordKind {
            match said {
                $($( Said::$c(_) => <crate::domain::records::$cm::$cty as Kind>::KIND, )?)+
            }
        }

        /// A record from a local caller: form, and today's rules.
        ///
        /// # Errors
        /// The first field of the record that is missing, unknown, or refused by a rule, under the name of its kind.
        pub fn from_said(said: Said) -> Result<Content, Error> {
            match said {
                $($( Said::$c(message) => {
                    <crate::domain::records::$cm::$cty as Codec>::from_message(message).map(Content::from)
                        .map_err(|error| error.within(&RecordKind::$c.name().to_lowercase()))
                } )?)+
            }
        }

        fn decode(kind: RecordKind, body: &Bytes, source: Source) -> Result<RecordBody, Error> {
            match kind {
                $( RecordKind::$c => if_built!([$(
                    <crate::domain::records::$cm::$cty as Codec>::decode(body, source)
                        .map(|record| RecordBody::Content(record.into()))
                )?] Err(not_built(kind))), )+
                $( RecordKind::$k => if_built!([$(
                    <crate::domain::records::$km::$kty as ControlCodec>::decode(body)
                        .map(|record| RecordBody::Control(record.into()))
                )?] Err(not_built(kind))), )+
            }
        }

        /// A record as its publisher stored it: form only.
        ///
        /// # Errors
        /// `KIND_NOT_SUPPORTED` for what is no content that this version knows; otherwise the first field that is missing,
        /// unknown or of another form.
        pub(crate) fn reload_own(kind: RecordKind, bytes: &Bytes) -> Result<Content, Error> {
            match kind {
                $( RecordKind::$c => if_built!([$(
                    <crate::domain::records::$cm::$cty as Codec>::reload_own(bytes).map(Content::from)
                )?] Err(not_built(kind))), )+
                $( RecordKind::$k )|+ => Err(not_built(kind)),
            }
        }

        /// What the one question needs to know of a body of content that was understood before, without reading its texts.
        ///
        /// # Errors
        /// As `reload_own`.
        pub(crate) fn facet(kind: RecordKind, body: &Bytes) -> Result<Facet, Error> {
            match kind {
                $( RecordKind::$c => if_built!([$(
                    <crate::domain::records::$cm::$cty as Codec>::facet_of(body).map(Facet::$c)
                )?] Err(not_built(kind))), )+
                $( RecordKind::$k )|+ => Err(not_built(kind)),
            }
        }
    };
}

record_kinds!(dispatch);

/// The encoded message of what an envelope says.
pub fn encode_body(body: &RecordBody) -> Bytes {
    match body {
        RecordBody::Content(content) => encode(content),
        RecordBody::Control(control) => encode_control(control),
    }
}

/// The body of an envelope from outside: its form, and today's rules.
///
/// # Errors
/// `KIND_NOT_SUPPORTED`, `DECODE_FAILED`, or the first field of the record that is refused.
pub fn parse(kind: RecordKind, body: &Bytes) -> Result<RecordBody, Error> {
    let read = decode(kind, body, Source::Outside)?;
    if let RecordBody::Content(content) = &read {
        content.check()?;
    }
    Ok(read)
}

/// The body of a cancellation from outside: its form. Today's rules are asked only of what it repeats, which no cancellation of
/// ours does.
///
/// # Errors
/// As `parse`.
pub fn parse_cancellation(kind: RecordKind, body: &Bytes) -> Result<RecordBody, Error> {
    let read = decode(kind, body, Source::Outside)?;
    if let RecordBody::Content(content) = &read
        && *content != content.cancelled()
    {
        content.check()?;
    }
    Ok(read)
}

/// The body of an envelope from this node's own disk: its form alone.
///
/// # Errors
/// `KIND_NOT_SUPPORTED`, `DECODE_FAILED`, or the first field that is missing, unknown or of another form.
pub(crate) fn reload(kind: RecordKind, body: &Bytes) -> Result<RecordBody, Error> {
    decode(kind, body, Source::OwnDisk)
}

fn not_built(kind: RecordKind) -> Error {
    Error::new(Reason::KindNotSupported, "", kind.name())
}

fn message<M: Message + Default + Shaped>(body: &Bytes) -> Result<M, Error> {
    if body.is_empty() {
        return Err(Error::missing(""));
    }
    elements::decode(body.clone()).map_err(|excess| Error::decoding("", excess))
}
