//! Identifiers: who, which record, which bytes. Each is checked once, when it is made.

use std::fmt;
use std::sync::Arc;

use data_encoding::HEXLOWER;

/// An authority of the federation: `<country>-<slug>`, 4 to 50 characters of `[a-z0-9-]`, e.g. `fr-strasbourg`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorityId(Arc<str>);

impl AuthorityId {
    pub const MAX_LEN: usize = 50;

    /// `None` unless the text has exactly the form above.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let slug = bytes.get(3..)?;
        let fits = bytes.len() <= Self::MAX_LEN
            && bytes[..2].iter().all(u8::is_ascii_lowercase)
            && bytes[2] == b'-'
            && !slug.is_empty()
            && slug.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
            && slug[0] != b'-'
            && slug[slug.len() - 1] != b'-';
        fits.then(|| Self(Arc::from(text)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// ISO 3166-1 alpha-2 code, lower case.
    pub fn country(&self) -> &str {
        &self.0[..2]
    }
}

impl fmt::Display for AuthorityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AuthorityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! bytes_id {
    ($(#[$meta:meta])* $name:ident, $len:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// `None` unless the slice has exactly the right length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Lower-case hexadecimal.
            pub fn to_hex(self) -> String {
                HEXLOWER.encode(&self.0)
            }

            /// `None` unless the text is lower-case hexadecimal of the right length.
            pub fn from_hex(text: &str) -> Option<Self> {
                Self::from_slice(&HEXLOWER.decode(text.as_bytes()).ok()?)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), &HEXLOWER.encode(&self.0)[..12])
            }
        }
    };
}

bytes_id!(/** A SHA-256 value. */ Digest, 32);
bytes_id!(/** SHA-256 of the genesis payload (9.4). */ FederationId, 32);
bytes_id!(/** First 16 bytes of SHA-256(SPKI) of a signing key (9.1). */ KeyId, 16);
bytes_id!(/** SHA-256 of the SPKI of a node's TLS key. */ Pin, 32);
bytes_id!(/** SHA-256 of the agreement's payload (9.7). */ AgreementId, 32);
bytes_id!(/** SHA-256 of a statement's payload (9.4). */ StatementId, 32);
bytes_id!(/** SHA-256 of an invitation's payload (9.5). */ InvitationId, 32);
bytes_id!(/** A record, scoped by its origin: a UUID. */ RecordId, 16);
bytes_id!(/** One publication to several partners: a UUID. */ PublicationId, 16);
bytes_id!(/** An offer at its owner: a UUID. */ OfferId, 16);
bytes_id!(/** A hold, as who asks for it names it: a random UUID. */ HoldId, 16);
bytes_id!(/** An agreement to share, at its origin and nowhere else: a UUID. */ ShareId, 16);

impl ShareId {
    /// Under which key it is sealed at its origin. A withdrawn one has another: the key of before dies with the withdrawal, so that no
    /// backup of the database opens again what was withdrawn.
    pub fn sealed_as(self, withdrawn: bool) -> RecordId {
        let mut hash = Hasher::new();
        let state: &[u8] = if withdrawn { b"withdrawn" } else { b"standing" };
        hash.update(b"havenlink/share/v1\0");
        hash.update(state);
        hash.update(&self.0);
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finish().0[..16]);
        RecordId(id)
    }
}

impl Digest {
    /// SHA-256 of the bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut context = Hasher::new();
        context.update(bytes);
        context.finish()
    }
}

/// SHA-256 over parts.
pub struct Hasher(aws_lc_rs::digest::Context);

impl Hasher {
    pub fn new() -> Self {
        Self(aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Digest {
        let mut out = [0_u8; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        Digest(out)
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

/// A node's life between start from nothing or restore: at first Unix ms, strictly rising (9.10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authority_ids_have_one_form() {
        for good in ["fr-strasbourg", "lu-esch-sur-alzette", "de-x", "gb-e09000007"] {
            assert!(AuthorityId::parse(good).is_some(), "{good}");
        }
        for bad in
            ["", "fr", "fr-", "FR-strasbourg", "fr-Strasbourg", "fr--x", "fr-x-", "fra-x", "fr_x", "fr-é", "f1-x"]
        {
            assert!(AuthorityId::parse(bad).is_none(), "{bad}");
        }
        assert!(AuthorityId::parse(&format!("fr-{}", "a".repeat(47))).is_some());
        assert!(AuthorityId::parse(&format!("fr-{}", "a".repeat(48))).is_none());
    }
}
