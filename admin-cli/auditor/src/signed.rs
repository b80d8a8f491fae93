//! A checkpoint, opened: who signed what (9.1).

use havenlink_proto::record::v1::{AuditCheckpoint, Signed};
use prost::Message;

use crate::keys::{Keys, Worth};
use crate::tree::{Hash, sha256};

/// The full name of the payload's message, which is signed with it.
const TYPE: &str = "havenlink.record.v1.AuditCheckpoint";

/// What an authority signed about its ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub federation: Hash,
    pub authority: String,
    pub size: u64,
    pub root: Hash,
    pub time_ms: i64,
}

/// Bytes of a checkpoint, and what stands behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    Signed(Checkpoint),
    /// Under a key that was stolen: it proves nothing, in neither direction.
    Nothing,
    /// Not a checkpoint, or not signed with a known key.
    Bad,
}

/// Opens an encoded `Signed`. Each signature must be one of a known key.
pub fn open(bytes: &[u8], keys: &Keys) -> Opened {
    let Some((signed, checkpoint)) = read(bytes) else { return Opened::Bad };
    let mut message = b"havenlink/v1\0".to_vec();
    message.extend_from_slice(TYPE.as_bytes());
    message.push(0);
    message.extend_from_slice(&checkpoint.federation);
    message.extend_from_slice(&sha256(&signed.payload));
    let worth = |s: &havenlink_proto::record::v1::Signature| keys.judge(&s.key_id, &message, &s.sig);
    let worths: Vec<Worth> = signed.signatures.iter().map(worth).collect();
    if worths.is_empty() || worths.contains(&Worth::Bad) {
        Opened::Bad
    } else if worths.contains(&Worth::Nothing) {
        Opened::Nothing
    } else {
        Opened::Signed(checkpoint)
    }
}

fn read(bytes: &[u8]) -> Option<(Signed, Checkpoint)> {
    let signed = Signed::decode(bytes).ok().filter(|signed| signed.r#type == TYPE)?;
    let said = AuditCheckpoint::decode(&signed.payload[..]).ok()?;
    let root = Hash::try_from(&said.root[..]).ok()?;
    let federation = Hash::try_from(&said.federation_id[..]).ok()?;
    let checkpoint = Checkpoint { federation, authority: said.authority, size: said.size, root, time_ms: said.time_ms };
    Some((signed, checkpoint))
}
