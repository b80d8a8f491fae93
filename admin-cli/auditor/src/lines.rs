//! The lines of an export: JSON, one value a line. Nothing that they say is verified here.

use data_encoding::{BASE64, HEXLOWER};
use serde::Deserialize;

use crate::tree::Hash;

/// What a line says.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Line {
    Ledger(Head),
    Leaf(Base64),
    Checkpoint {
        /// As it stands beside the bytes.
        size: u64,
        /// Encoded `Signed`.
        signed: Base64,
    },
    Inclusion {
        index: u64,
        leaf: Base64,
        checkpoint: Base64,
        path: Vec<Hex>,
    },
    Consistency {
        /// The checkpoint before.
        older: Base64,
        checkpoint: Base64,
        path: Vec<Hex>,
    },
}

/// What the node says of its ledger as a whole.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Head {
    pub federation: Hex,
    pub authority: String,
    pub size: u64,
    pub root: Hex,
    pub time_ms: i64,
    /// Rows outside of the log.
    pub strays: u64,
}

/// Bytes in Base64.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Base64(pub Vec<u8>);

impl TryFrom<String> for Base64 {
    type Error = data_encoding::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        BASE64.decode(text.as_bytes()).map(Self)
    }
}

/// A hash in hexadecimal.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Hex(pub Hash);

impl TryFrom<String> for Hex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| "not hexadecimal")?;
        Hash::try_from(bytes).map(Self).map_err(|_| "not 32 bytes")
    }
}

/// Reads a line; `None` if it is none of an export.
pub fn read(line: &str) -> Option<Line> {
    serde_json::from_str(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_thing_and_nothing_else() {
        assert_eq!(read(r#"{"leaf":"AQ=="}"#), Some(Line::Leaf(Base64(vec![1]))));
        let signed = Line::Checkpoint { size: 5, signed: Base64(vec![9]) };
        assert_eq!(read(r#"{"checkpoint":{"signed":"CQ==","size":5}}"#), Some(signed));
        for other in [
            "",
            "{}",
            r#"{"leaf":"A"}"#,
            r#"{"leaf":"AQ==","size":5}"#,
            r#"{"checkpoint":{"signed":"CQ=="}}"#,
            r#"{"checkpoint":{"signed":"CQ==","size":-5}}"#,
            r#"{"ledger":{"federation":"00"}}"#,
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
