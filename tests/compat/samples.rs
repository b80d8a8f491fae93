//! Fixed keys, times and values of which the golden files were made.

use bytes::Bytes;
use havenlink::domain::actor::ActorRole;
use havenlink::domain::authority::PublicKey;
use havenlink::domain::ids::{AuthorityId, Digest, FederationId, KeyId, Pin};
use havenlink::domain::pin_proof::signed_bytes;
use havenlink::domain::policy::{self, KeptRecord, ReadPurpose, Reading};
use havenlink::domain::record::RecordKind;
use havenlink::domain::time::UnixMs;
use havenlink::wire::keys::SigningKey;
use havenlink_proto::directory::v1 as directory;

pub const STRASBOURG: &str = "fr-strasbourg";
pub const KEHL: &str = "de-kehl";
pub const ESCH: &str = "lu-esch-sur-alzette";
pub const GENT: &str = "be-gent";
pub const NGO: &str = "de-refuge-ortenau";

/// 2026-12-01, midnight UTC.
pub const NOW: i64 = 1_796_083_200_000;
pub const DAY: i64 = 86_400_000;

/// The federation of everything that is not the register itself.
pub const FEDERATION: FederationId = FederationId([7; 32]);

/// The key of this number (RFC 8410), from a seed that anybody can make again and nobody uses.
pub fn key(number: u8) -> SigningKey {
    let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let seed = Digest::of(format!("havenlink golden key {number}").as_bytes());
    SigningKey::from_pkcs8(&[&prefix[..], &seed.0].concat()).expect("a key")
}

/// Finds the keys of these numbers by their id.
pub fn known(numbers: &'static [u8]) -> impl Fn(&KeyId) -> Option<PublicKey> {
    move |id| numbers.iter().map(|n| key(*n).public()).find(|public| public.id() == *id)
}

/// So many equal bytes.
pub fn filled<const N: usize>(byte: u8) -> Bytes {
    Bytes::copy_from_slice(&[byte; N])
}

/// The number of a city's first key.
pub fn number(city: &str) -> u8 {
    match city {
        STRASBOURG => 1,
        KEHL => 2,
        ESCH => 3,
        NGO => 7,
        _ => 4,
    }
}

/// A city's entry in the register of this federation.
pub fn entry(federation: &FederationId, city: &str) -> directory::AuthorityEntry {
    // Of its node: Ed25519, so that the proof is the same bytes in every run.
    let tls = key(100 + number(city));
    let pin = Pin(Digest::of(&tls.public().0).0);
    let authority = AuthorityId::parse(city).expect("an authority's id");
    let proof = tls.sign(&signed_bytes(federation, &authority, &pin));
    directory::AuthorityEntry {
        authority: city.to_owned(),
        kind: directory::ParticipantKind::LocalAuthority.into(),
        names: vec![directory::Name { language: "en".into(), name: format!("City of {city}") }],
        identifiers: vec![directory::Identifier {
            scheme: directory::IdentifierScheme::Nuts.into(),
            value: "FRF11".into(),
        }],
        authority_key: Bytes::copy_from_slice(&key(number(city)).public().0),
        endpoints: vec![format!("node.{city}.example:7443")],
        pins: vec![directory::Pin {
            spki_sha256: Bytes::copy_from_slice(pin.as_bytes()),
            valid_until_ms: NOW + 400 * DAY,
            spki: Bytes::copy_from_slice(&tls.public().0),
            proof: Bytes::copy_from_slice(&proof),
        }],
        contacts: vec![directory::ContactPoint {
            role: "Coordination".into(),
            languages: vec!["fr".into(), "de".into()],
            email: "desk@city.example".into(),
            phone: "+33155501234".into(),
        }],
        networks: vec!["Upper Rhine".into()],
        services: vec![2, 9],
        corridor_roles: vec![],
        borders: vec![],
        raft_id: number(city).into(),
        ..Default::default()
    }
}

/// The stored bytes of a record.
pub fn kept(bytes: &Bytes) -> KeptRecord {
    KeptRecord::own(RecordKind::Alert, UnixMs::NEVER, bytes.clone())
}

/// Opens them, as the node does to see which word is the newest.
pub fn reading(record: &KeptRecord) -> Reading<'_> {
    policy::may_read(record, ActorRole::Node, ReadPurpose::Order, UnixMs(NOW)).unwrap()
}
