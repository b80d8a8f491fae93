//! A snapshot as it stands in memory: the state, and what a beat says of it. Its items are encoded when they are needed.

use bytes::Bytes;
use havenlink_proto::directory::v1::{SnapshotChunk, SnapshotHeader, snapshot_chunk};
use havenlink_proto::record::v1::Signed;
use prost::Message;

use super::error::Error;
use super::snapshot::{self, Encoded};
use super::state::RegisterState;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::wire::beat::SnapshotMark;

/// A snapshot. Shares its members with the living state.
#[derive(Clone, Debug)]
pub struct SnapshotHandle {
    pub state: RegisterState,
    pub mark: SnapshotMark,
}

impl SnapshotHandle {
    /// Encodes the state. Takes long for a large register: never under a lock, never on a thread that others wait for.
    pub fn encode(&self) -> Encoded {
        snapshot::encode(&self.state)
    }

    /// The messages in which it is sent, with the beats that prove it.
    pub fn messages(&self, proof: Vec<Bytes>) -> Vec<SnapshotChunk> {
        messages(&self.encode(), proof)
    }
}

/// The messages in which an encoded snapshot is sent; they share its bytes.
pub fn messages(encoded: &Encoded, proof: Vec<Bytes>) -> Vec<SnapshotChunk> {
    let beats = proof.into_iter().filter_map(|beat| Signed::decode(beat).ok()).collect();
    let header = SnapshotHeader { beats, ..encoded.header.clone() };
    let header = SnapshotChunk { part: Some(snapshot_chunk::Part::Header(header)) };
    let items = snapshot::chunks(&encoded.items);
    std::iter::once(header)
        .chain(items.map(|piece| SnapshotChunk { part: Some(snapshot_chunk::Part::Items(piece)) }))
        .collect()
}

/// Puts a snapshot together again as its messages come in.
#[derive(Debug, Default)]
pub struct Assembly {
    header: Option<SnapshotHeader>,
    items: Vec<u8>,
}

/// Bytes of a snapshot that is taken in at most: 130,000 members of 4 KiB.
const MOST: usize = 512 << 20;
/// From here on the node says that it is nearly there.
const NEAR: usize = MOST / 4 * 3;

/// Asked by who takes a snapshot and by who sends one: others take none that is larger, and a node that needs one could
/// not join any more. Said long before.
///
/// # Errors
/// `MESSAGE_TOO_LARGE`.
pub fn fits(bytes: usize) -> Result<(), Error> {
    if bytes > MOST {
        havenlink_runtime::repeated!(error; bytes, limit = MOST, "a snapshot of the register is larger than what other nodes take");
        return Err(Error::new(Reason::MessageTooLarge, format!("a snapshot of {bytes} bytes, at most {MOST}")));
    }
    if bytes > NEAR {
        havenlink_runtime::repeated!(warn; bytes, limit = MOST, "a snapshot of the register is nearly as large as what other nodes take");
    }
    Ok(())
}

impl Assembly {
    /// Takes the next message.
    ///
    /// # Errors
    /// `SNAPSHOT_INVALID` when it does not come first with one header, then with pieces of the agreed size.
    pub fn add(&mut self, chunk: SnapshotChunk) -> Result<(), Error> {
        let invalid = |why| Error::new(Reason::SnapshotInvalid, why);
        match (chunk.part, &self.header) {
            (Some(snapshot_chunk::Part::Header(header)), None) => self.header = Some(header),
            (Some(snapshot_chunk::Part::Items(piece)), Some(_)) => {
                if piece.len() > limits::CHUNK_BYTES || self.items.len() + piece.len() > MOST {
                    return Err(invalid("too large"));
                }
                self.items.extend_from_slice(&piece);
            }
            _ => return Err(invalid("a header, then items")),
        }
        Ok(())
    }

    /// Header and items.
    ///
    /// # Errors
    /// `SNAPSHOT_INVALID` when nothing came.
    pub fn finish(self) -> Result<(SnapshotHeader, Bytes), Error> {
        let header = self.header.ok_or_else(|| Error::new(Reason::SnapshotInvalid, "no header"))?;
        Ok((header, self.items.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_a_snapshot_that_nobody_takes_says_so() {
        assert!(fits(NEAR).is_ok() && fits(MOST).is_ok());
        assert_eq!(fits(MOST + 1).unwrap_err().reason(), Reason::MessageTooLarge);
        let header = || SnapshotChunk { part: Some(snapshot_chunk::Part::Header(SnapshotHeader::default())) };
        let mut assembly = Assembly { header: None, items: vec![0; MOST] };
        assembly.add(header()).unwrap();
        let more = SnapshotChunk { part: Some(snapshot_chunk::Part::Items(Bytes::from_static(&[1]))) };
        assert_eq!(
            assembly.add(more).unwrap_err().reason(),
            Reason::SnapshotInvalid,
            "the other side's limit is the same"
        );
    }
}
