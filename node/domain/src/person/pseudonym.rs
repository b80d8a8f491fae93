//! Pairwise pseudonyms (9.16): one case, a random key, and another name of it for each partner.

use std::fmt;

use aws_lc_rs::hmac;

use crate::closed::closed_enum;
use crate::fault::Fault;
use crate::ids::AuthorityId;
use crate::sensitive::Sensitive;
use crate::text::check_free_text;
use crate::time::{Millis, UnixMs};

/// Longest life of a pseudonym: after that the partner is given a new one (9.16).
const EPOCH_LIFE: Millis = Millis::days(365);

const REFERENCE_CHARS: std::ops::RangeInclusive<usize> = 6..=32;
const REFERENCE_FORM: &str = "6 to 32 of A-Z, 0-9, / and -, with a digit: your own case number, never a name";

closed_enum! {
    /// What a case is shared for. Each scope has keys of its own: pseudonyms of two scopes have nothing in common.
    pub enum CaseScope {
        /// Help: alerts that the person reported, referrals and placements, so that a partner can join them.
        Support = 1 => "SUPPORT",
        /// Search for the same person at partners.
        Matching = 2 => "MATCHING",
        /// Hand-offs to police.
        Liaison = 3 => "LIAISON",
    }
}

/// The caller's own name of a case. It is never stored, and nothing can print it.
pub struct CaseReference(Sensitive<String>);

impl CaseReference {
    /// A reference in its one form.
    ///
    /// # Errors
    /// `FIELD_INVALID` for another form, `PERSONAL_DATA_IN_TEXT` for what the screen finds in it (a phone, an account number).
    pub fn parse(field: &str, text: &str) -> Result<Self, Fault> {
        let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'/' || b == b'-';
        let fits = REFERENCE_CHARS.contains(&text.len()) && text.bytes().all(allowed);
        if !fits || !text.bytes().any(|b| b.is_ascii_digit()) {
            return Err(Fault::invalid(field, REFERENCE_FORM));
        }
        check_free_text(field, text, *REFERENCE_CHARS.end())?;
        Ok(Self(Sensitive::new(text.to_owned())))
    }
}

impl Clone for CaseReference {
    fn clone(&self) -> Self {
        Self(Sensitive::new(self.0.expose().clone()))
    }
}

/// Fixed bytes that no line of a log shows.
macro_rules! unprinted_bytes {
    ($(#[$meta:meta])* $name:ident, $len:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// `None` unless the slice has exactly the right length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The bytes, for the one place that carries or stores them.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            fn first(tag: &[u8]) -> Self {
                let mut bytes = [0; $len];
                bytes.copy_from_slice(&tag[..$len]);
                Self(bytes)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(withheld)"))
            }
        }
    };
}

unprinted_bytes!(
    /** How one partner knows one case, in one scope and epoch: 16 bytes. Without the case's key it says nothing. */
    SubjectRef,
    16
);
unprinted_bytes!(
    /** Where a case's key is found, and what its disclosures are found by: a keyed hash of its reference. */
    CaseIndex,
    32
);

/// The key of this node under which references of cases are found again. It stands in `keys.db` alone.
pub struct IndexKey(Sensitive<[u8; 32]>);

impl IndexKey {
    /// 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Sensitive::new(bytes))
    }

    /// For the place that seals it.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// HMAC-SHA-256(index key, reference).
    pub fn index(&self, reference: &CaseReference) -> CaseIndex {
        CaseIndex::first(mac(self.expose(), &[reference.0.expose().as_bytes()]).as_ref())
    }

    /// Under which code the epoch of a partner is kept beside a case, so that a row does not name the partner:
    /// HMAC-SHA-256(index key, index ‖ u32be scope ‖ partner), first 16 bytes.
    pub fn partner_code(&self, index: &CaseIndex, scope: CaseScope, partner: &AuthorityId) -> [u8; 16] {
        let scope = u32::try_from(scope.code()).unwrap_or(0).to_be_bytes();
        let tag = mac(self.expose(), &[index.as_bytes(), &scope, partner.as_str().as_bytes()]);
        SubjectRef::first(tag.as_ref()).0
    }
}

/// The random key of one case and scope. It stands in `keys.db` alone, and dies with the case.
pub struct CaseKey(Sensitive<[u8; 32]>);

impl CaseKey {
    /// 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Sensitive::new(bytes))
    }

    /// For the place that seals it.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The pseudonym for a partner: the first 16 bytes of HMAC-SHA-256(case key, partner's id in ASCII ‖ u64be epoch).
    pub fn subject(&self, partner: &AuthorityId, epoch: Epoch) -> SubjectRef {
        let tag = mac(self.expose(), &[partner.as_str().as_bytes(), &epoch.number.to_be_bytes()]);
        SubjectRef::first(tag.as_ref())
    }
}

/// For how long a partner knows a case by one pseudonym.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Counted from 1 for each case, scope and partner.
    pub number: u64,
    /// When the pseudonym was first given.
    pub began: UnixMs,
}

impl Epoch {
    /// The epoch for something that is shared now: the known one for 365 days from its first use, then the next.
    pub fn at(known: Option<Self>, now: UnixMs) -> Self {
        match known {
            None => Self { number: 1, began: now },
            Some(known) if now < known.began + EPOCH_LIFE => known,
            Some(known) => Self { number: known.number + 1, began: now },
        }
    }
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    context.sign()
}
