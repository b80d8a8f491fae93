//! An authority as the register knows it: entry, keys, status.

use super::closed::closed_enum;
use super::country::Country;
use super::ids::{AuthorityId, KeyId, Pin};
use super::pin_proof::PinProof;
use super::time::UnixMs;

closed_enum! {
    /// What sort of participant an authority is.
    pub enum ParticipantKind {
        LocalAuthority = 1 => "LOCAL_AUTHORITY", RegionalAuthority = 2 => "REGIONAL_AUTHORITY",
        RegionalContactPoint = 3 => "REGIONAL_CONTACT_POINT", CrossBorderBody = 4 => "CROSS_BORDER_BODY",
        MandatedNgo = 5 => "MANDATED_NGO", ServiceProvider = 6 => "SERVICE_PROVIDER", PoliceLiaison = 7 => "POLICE_LIAISON",
        LabourInspectorate = 8 => "LABOUR_INSPECTORATE", NationalContactPoint = 9 => "NATIONAL_CONTACT_POINT",
        NationalAssociation = 10 => "NATIONAL_ASSOCIATION", InternationalAssociation = 11 => "INTERNATIONAL_ASSOCIATION",
        TradeUnion = 12 => "TRADE_UNION", NationalRapporteur = 13 => "NATIONAL_RAPPORTEUR",
        SupervisoryAuthority = 14 => "SUPERVISORY_AUTHORITY",
    }
}

closed_enum! {
    /// The scheme of an official identifier.
    pub enum IdentifierScheme { Nuts = 1 => "NUTS", Lau = 2 => "LAU", Iso3166Part2 = 3 => "ISO_3166_2", Gss = 4 => "GSS", OrgId = 5 => "ORG_ID" }
}

/// An official identifier, validated against its scheme's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    pub scheme: IdentifierScheme,
    pub value: String,
}

/// A name in one language (BCP 47).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub language: String,
    pub name: String,
}

/// A role mailbox or desk, never a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactPoint {
    pub role: String,
    pub languages: Vec<String>,
    pub email: String,
    pub phone: String,
}

/// An Ed25519 public key: DER SubjectPublicKeyInfo, 44 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 44]);

impl PublicKey {
    /// The fixed first 12 bytes of an Ed25519 SubjectPublicKeyInfo (RFC 8410).
    pub const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

    /// `None` unless it is exactly an Ed25519 SubjectPublicKeyInfo.
    pub fn from_spki(der: &[u8]) -> Option<Self> {
        let key: [u8; 44] = der.try_into().ok()?;
        (key[..12] == Self::PREFIX).then_some(Self(key))
    }

    /// The key of these raw 32 bytes; `None` unless there are 32.
    pub fn from_raw(raw: &[u8]) -> Option<Self> {
        Self::from_spki(&[&Self::PREFIX[..], raw].concat())
    }

    /// The raw 32 bytes.
    pub fn raw(&self) -> &[u8] {
        &self.0[12..]
    }

    /// First 16 bytes of SHA-256(SPKI) (9.1).
    pub fn id(&self) -> KeyId {
        let digest = super::ids::Digest::of(&self.0);
        let mut id = [0_u8; 16];
        id.copy_from_slice(&digest.0[..16]);
        KeyId(id)
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

/// A pin of a node certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedKey {
    pub pin: Pin,
    /// `UnixMs::NEVER`: no end.
    pub valid_until: UnixMs,
    pub proof: PinProof,
}

/// What an authority says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityEntry {
    pub authority: AuthorityId,
    pub kind: ParticipantKind,
    pub names: Vec<Name>,
    pub identifiers: Vec<Identifier>,
    pub authority_key: PublicKey,
    /// "host:port"; nothing else is ever dialled.
    pub endpoints: Vec<String>,
    pub pins: Vec<PinnedKey>,
    pub contacts: Vec<ContactPoint>,
    pub hosted_by: Option<AuthorityId>,
    pub networks: Vec<String>,
    /// Numbers of the service kinds it offers, in outline.
    pub services: Vec<u32>,
    pub corridor: CorridorPlace,
    /// The Raft id its node would serve under; 0: none.
    pub raft_id: u64,
}

/// Where an authority lies on the corridors, for whoever looks for a partner there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorridorPlace {
    /// Numbers of `CorridorRole`.
    pub roles: Vec<u32>,
    /// Countries whose border it lies at.
    pub borders: Vec<Country>,
}

/// A signing key with its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    pub key: PublicKey,
    /// `None`: current.
    pub replaced_at: Option<UnixMs>,
    /// Nothing signed with it verifies any more.
    pub compromised: bool,
}

/// How an authority stands, by the register and the overlay together: deny wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberStatus {
    Active,
    Suspended,
    Removed,
    Unknown,
}
