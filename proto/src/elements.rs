//! How many elements a message may have: counted over its bytes, before anything of it is decoded.
//!
//! What lives here: the one scan, driven by the shapes of the contract's messages, and `decode`, which asks it first. What does
//! not: how many bytes a message may have (the listener's guard, and each client's constructor).
//!
//! Two bytes on the wire become eighty in memory: a limit of bytes does not bound what decoding costs. Each tag counts, at
//! each depth that the contract knows, unknown fields, packed numbers and entries of maps included.

use prost::Message;
use prost::bytes::Bytes;

/// Messages within messages; the contract's own are no deeper.
pub const DEPTH: u32 = 8;

/// What a message holds, as far as it counts.
#[derive(Debug)]
pub struct Shape {
    pub name: &'static str,
    /// Elements of one such message, everything in it included.
    pub max_tags: u32,
    /// By number; a field that is missing is one element.
    fields: &'static [Field],
}

#[derive(Debug)]
struct Field {
    number: u32,
    holds: Holds,
    /// Elements of this list.
    max_items: Option<u32>,
}

/// What one occurrence of a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    One,
    /// A message, by its place among the shapes.
    Message(usize),
    /// Numbers behind each other, each of one byte at least.
    Varints,
}

/// A message of the contract.
pub trait Shaped {
    const SHAPE: &'static Shape;
}

/// Why a message is not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// More elements than such a message may have.
    Elements { message: &'static str, most: u32 },
    /// A list of it is longer than it may be.
    Items { message: &'static str, field: u32, most: u32 },
    /// Messages within messages, deeper than any of the contract.
    Depth,
    /// These bytes are no message, or use groups, which the contract has not.
    Malformed,
}

impl std::fmt::Display for Excess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Elements { message, most } => write!(f, "{message}: more than {most} elements"),
            Self::Items { message, field, most } => write!(f, "{message}: more than {most} in its field {field}"),
            Self::Depth => write!(f, "messages within messages, more than {DEPTH} deep"),
            Self::Malformed => write!(f, "no message of the contract"),
        }
    }
}

impl std::error::Error for Excess {}

/// Counts the elements of a message, and says how many it has.
///
/// # Errors
/// As soon as there is one too many: nothing behind it is looked at.
pub fn count<M: Shaped>(bytes: &[u8]) -> Result<u32, Excess> {
    let mut scan = Scan { whole: M::SHAPE, tags: 0, lists: Vec::new() };
    scan.message(M::SHAPE, bytes, 1)?;
    Ok(scan.tags)
}

/// Decodes what somebody else encoded, once its elements were counted.
///
/// # Errors
/// As `count`; `Malformed` for what prost does not take.
pub fn decode<M: Shaped + Message + Default>(bytes: Bytes) -> Result<M, Excess> {
    count::<M>(&bytes)?;
    M::decode(bytes).map_err(|_| Excess::Malformed)
}

struct Scan {
    whole: &'static Shape,
    tags: u32,
    /// Lists with a length of their own, over the whole message: shape, field, elements so far.
    lists: Vec<(*const Shape, u32, u32)>,
}

impl Scan {
    fn message(&mut self, shape: &'static Shape, mut rest: &[u8], depth: u32) -> Result<(), Excess> {
        if depth > DEPTH {
            return Err(Excess::Depth);
        }
        while !rest.is_empty() {
            let key = varint(&mut rest)?;
            // Zero is no field's number: what begins so is no message at all.
            let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0).ok_or(Excess::Malformed)?;
            self.take(1)?;
            let field = shape.fields.iter().find(|field| field.number == number);
            if let Some(most) = field.and_then(|field| field.max_items) {
                self.item(shape, number, most)?;
            }
            match key & 7 {
                0 => drop(varint(&mut rest)?),
                1 => drop(bytes(&mut rest, 8)?),
                5 => drop(bytes(&mut rest, 4)?),
                2 => {
                    let length = usize::try_from(varint(&mut rest)?).map_err(|_| Excess::Malformed)?;
                    let body = bytes(&mut rest, length)?;
                    self.within(field.map_or(Holds::One, |field| field.holds), body, depth)?;
                }
                _ => return Err(Excess::Malformed),
            }
        }
        Ok(())
    }

    fn within(&mut self, holds: Holds, body: &[u8], depth: u32) -> Result<(), Excess> {
        match holds {
            Holds::One => Ok(()),
            Holds::Message(at) => self.message(&SHAPES[at], body, depth + 1),
            Holds::Varints => self.take(body.iter().filter(|byte| **byte < 0x80).count()),
        }
    }

    fn take(&mut self, elements: usize) -> Result<(), Excess> {
        let elements = u32::try_from(elements).unwrap_or(u32::MAX);
        self.tags = self.tags.saturating_add(elements);
        let Shape { name: message, max_tags: most, .. } = *self.whole;
        if self.tags > most { Err(Excess::Elements { message, most }) } else { Ok(()) }
    }

    fn item(&mut self, shape: &'static Shape, field: u32, most: u32) -> Result<(), Excess> {
        let place = std::ptr::from_ref(shape);
        let at = self.lists.iter().position(|(of, number, _)| (*of, *number) == (place, field));
        let at = at.unwrap_or_else(|| {
            self.lists.push((place, field, 0));
            self.lists.len() - 1
        });
        self.lists[at].2 += 1;
        if self.lists[at].2 > most { Err(Excess::Items { message: shape.name, field, most }) } else { Ok(()) }
    }
}

/// A number of at most ten bytes (base 128).
fn varint(rest: &mut &[u8]) -> Result<u64, Excess> {
    let mut value = 0_u64;
    for (at, byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            *rest = &rest[at + 1..];
            return Ok(value);
        }
    }
    Err(Excess::Malformed)
}

fn bytes<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Excess> {
    let (body, behind) = rest.split_at_checked(length).ok_or(Excess::Malformed)?;
    *rest = behind;
    Ok(body)
}

include!(concat!(env!("OUT_DIR"), "/elements.rs"));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::v1 as peer;
    use crate::raft::v1 as raft;

    fn deliver(items: usize) -> peer::DeliverRequest {
        peer::DeliverRequest { items: vec![peer::DeliverItem::default(); items], ..Default::default() }
    }

    #[test]
    fn the_largest_batch_passes_and_one_more_item_does_not() {
        assert_eq!(count::<peer::DeliverRequest>(&deliver(256).encode_to_vec()), Ok(256));
        let refused = count::<peer::DeliverRequest>(&deliver(257).encode_to_vec());
        assert_eq!(refused, Err(Excess::Items { message: "havenlink.peer.v1.DeliverRequest", field: 8, most: 256 }));
        let megabyte = [0x42, 0x00].repeat(1 << 19);
        assert!(matches!(decode::<peer::DeliverRequest>(megabyte.into()), Err(Excess::Items { .. })));
    }

    #[test]
    fn a_list_in_pieces_is_one_list() {
        let half = deliver(200).encode_to_vec();
        assert!(count::<peer::DeliverRequest>(&half).is_ok());
        assert!(matches!(count::<peer::DeliverRequest>(&[half.clone(), half].concat()), Err(Excess::Items { .. })));
    }

    #[test]
    fn unknown_fields_packed_numbers_and_nested_ones_count() {
        let unknown = |n: usize| [0xf8, 0x3f, 0x01].repeat(n);
        assert_eq!(count::<peer::GreetRequest>(&unknown(4_096)), Ok(4_096));
        let most = Excess::Elements { message: "havenlink.peer.v1.GreetRequest", most: 4_096 };
        assert_eq!(count::<peer::GreetRequest>(&unknown(4_097)), Err(most));
        let voters = |n: usize| {
            let config = raft::MembershipConfig { voters: vec![1; n] };
            raft::Membership { configs: vec![config], ..Default::default() }.encode_to_vec()
        };
        assert_eq!(count::<raft::Membership>(&voters(4_094)), Ok(4_096), "the list, the configuration, its numbers");
        assert!(matches!(count::<raft::Membership>(&voters(4_095)), Err(Excess::Elements { .. })));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [&[0; 9_000][..], &[0x0b, 0x0c], &[0x42, 0x05, 0x00], &[0xff; 11], &[0x42], &[0x06], &[0x09, 0, 0]]
        {
            assert_eq!(count::<peer::DeliverRequest>(bytes), Err(Excess::Malformed), "{bytes:?}");
        }
    }

    /// How many messages stand within each other at most.
    fn depth(at: usize, above: &mut Vec<usize>) -> u32 {
        if above.contains(&at) {
            return 0;
        }
        above.push(at);
        let inner = SHAPES[at].fields.iter().filter_map(|field| match field.holds {
            Holds::Message(inner) => Some(inner),
            _ => None,
        });
        let deepest = inner.map(|inner| depth(inner, above)).max().unwrap_or(0);
        above.pop();
        deepest + 1
    }

    #[test]
    fn the_contract_is_no_deeper_than_the_scan() {
        for (at, shape) in SHAPES.iter().enumerate().filter(|(_, shape)| shape.name.starts_with("havenlink.")) {
            assert!(depth(at, &mut Vec::new()) <= DEPTH, "{}", shape.name);
        }
    }
}
