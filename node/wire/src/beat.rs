//! Beats: a steward's signed sign of life (9.4).

use havenlink_proto::directory::v1 as proto;

use super::{Error, entry};
use crate::domain::ids::{AuthorityId, Digest, FederationId};
use crate::domain::time::UnixMs;

/// The latest snapshot that a steward took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotMark {
    pub number: u64,
    pub head: Digest,
    pub digest: Digest,
}

/// What a steward says about its register, every 15 seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    pub federation: FederationId,
    pub steward: AuthorityId,
    /// The founding that the number belongs to.
    pub founding: u64,
    pub number: u64,
    pub head: Digest,
    pub overlay: Digest,
    /// `None`: it has not taken one yet.
    pub snapshot: Option<SnapshotMark>,
    pub term: u64,
    pub time: UnixMs,
}

/// Reads a beat.
///
/// # Errors
/// When a field does not have the required form.
pub fn from_proto(beat: &proto::Beat) -> Result<Beat, Error> {
    let digest = |bytes: &[u8], field: &str| Digest::from_slice(bytes).ok_or_else(|| Error::invalid(field, "32 bytes"));
    let snapshot = if beat.snapshot_digest.is_empty() {
        None
    } else {
        Some(SnapshotMark {
            number: beat.snapshot_number,
            head: digest(&beat.snapshot_head, "beat.snapshot_head")?,
            digest: digest(&beat.snapshot_digest, "beat.snapshot_digest")?,
        })
    };
    Ok(Beat {
        federation: FederationId::from_slice(&beat.federation_id)
            .ok_or_else(|| Error::invalid("beat.federation_id", "32 bytes"))?,
        steward: entry::authority_id(&beat.steward, "beat.steward")?,
        founding: beat.founding,
        number: beat.number,
        head: digest(&beat.head, "beat.head")?,
        overlay: digest(&beat.overlay_digest, "beat.overlay_digest")?,
        snapshot,
        term: beat.term,
        time: UnixMs(beat.time_ms),
    })
}

/// Writes a beat.
pub fn to_proto(beat: &Beat) -> proto::Beat {
    let bytes = |digest: &Digest| bytes::Bytes::copy_from_slice(digest.as_bytes());
    proto::Beat {
        federation_id: bytes::Bytes::copy_from_slice(beat.federation.as_bytes()),
        steward: beat.steward.to_string(),
        number: beat.number,
        head: bytes(&beat.head),
        overlay_digest: bytes(&beat.overlay),
        snapshot_number: beat.snapshot.map_or(0, |s| s.number),
        snapshot_head: beat.snapshot.map_or_else(Default::default, |s| bytes(&s.head)),
        snapshot_digest: beat.snapshot.map_or_else(Default::default, |s| bytes(&s.digest)),
        term: beat.term,
        time_ms: beat.time.0,
        founding: beat.founding,
    }
}
