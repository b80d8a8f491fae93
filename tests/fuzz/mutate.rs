//! Mutations: of bytes as they are, and of a message as the tree of fields that it is, so that lengths stay right and what is
//! changed is deep inside.

use havenlink_tests::chance::Chance;

/// Messages within messages that are taken apart.
const DEEP: u32 = 10;
/// No input is longer: the largest message of the contract and a little more.
const LONGEST: usize = 1_200_000;

/// One field of a message, as its bytes say; whether bytes are a message is guessed.
#[derive(Clone, Debug)]
enum Field {
    Number(u64, u64),
    Fixed(u64, u8, Vec<u8>),
    Bytes(u64, Vec<u8>),
    Message(u64, Vec<Field>),
}

/// Numbers at the edges of types and of what the node allows.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    127,
    128,
    255,
    256,
    65_535,
    (1 << 31) - 1,
    1 << 31,
    u32::MAX as u64,
    (1 << 53) - 1,
    (1 << 63) - 1,
    u64::MAX,
];

/// An input made from one of the corpus, and sometimes a piece of another.
pub fn mutated(chance: &mut Chance, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut input = match chance.below(4) {
        0 => raw(chance, seed.to_vec(), other),
        1..=3 => match parse(seed, 0) {
            Some(mut fields) => {
                for _ in 0..=chance.below(4) {
                    change(chance, &mut fields, other);
                }
                let mut out = Vec::new();
                encode(&fields, &mut out);
                if chance.below(8) == 0 { raw(chance, out, other) } else { out }
            }
            None => raw(chance, seed.to_vec(), other),
        },
        _ => unreachable!("below four"),
    };
    input.truncate(LONGEST);
    input
}

fn index(chance: &mut Chance, length: usize) -> usize {
    usize::try_from(chance.below(length.max(1) as u64)).unwrap_or(0)
}

fn raw(chance: &mut Chance, mut bytes: Vec<u8>, other: &[u8]) -> Vec<u8> {
    for _ in 0..=chance.below(8) {
        let at = index(chance, bytes.len());
        match chance.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << chance.below(8),
            1 if !bytes.is_empty() => bytes[at] = u8::try_from(chance.below(256)).unwrap_or(0),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, u8::try_from(chance.below(256)).unwrap_or(0)),
            4 if !other.is_empty() => {
                let from = index(chance, other.len());
                let length = index(chance, (other.len() - from).min(64));
                bytes.splice(at..at, other[from..from + length].iter().copied());
            }
            5 if bytes.len() < 4_096 => {
                let piece = bytes[at..(at + 1 + index(chance, 16)).min(bytes.len())].to_vec();
                bytes.extend(piece.repeat(1 + index(chance, 600)));
            }
            _ => {}
        }
    }
    bytes
}

fn change(chance: &mut Chance, fields: &mut Vec<Field>, other: &[u8]) {
    if fields.is_empty() {
        return fields.push(Field::Number(1 + chance.below(20), EDGES[index(chance, EDGES.len())]));
    }
    let at = index(chance, fields.len());
    if let Field::Message(_, inner) = &mut fields[at]
        && chance.below(4) > 0
    {
        return change(chance, inner, other);
    }
    match chance.below(7) {
        0 => drop(fields.remove(at)),
        1 => {
            let again = fields[at].clone();
            // Lists within lists would grow beyond any message, here and not in the node.
            let many = (LONGEST / 4 / fields[at].size().max(1)).clamp(1, 300);
            let times = [1, 1, 2, many][index(chance, 4)];
            fields.splice(at..at, std::iter::repeat_n(again, times));
        }
        2 => {
            let to = index(chance, fields.len());
            fields.swap(at, to);
        }
        3 => fields[at].renumber(1 + chance.below(24)),
        4 => fields.push(Field::Bytes(1 + chance.below(24), other[..other.len().min(48)].to_vec())),
        _ => fields[at].turn(chance, other),
    }
}

impl Field {
    fn renumber(&mut self, number: u64) {
        match self {
            Self::Number(n, _) | Self::Fixed(n, _, _) | Self::Bytes(n, _) | Self::Message(n, _) => *n = number,
        }
    }

    /// About how many bytes it takes.
    fn size(&self) -> usize {
        match self {
            Self::Number(..) => 4,
            Self::Fixed(_, _, bytes) | Self::Bytes(_, bytes) => bytes.len() + 4,
            Self::Message(_, inner) => inner.iter().map(Self::size).sum::<usize>() + 4,
        }
    }

    /// Another value in the same place.
    fn turn(&mut self, chance: &mut Chance, other: &[u8]) {
        match self {
            Self::Number(_, value) => {
                *value = match chance.below(3) {
                    0 => EDGES[index(chance, EDGES.len())],
                    1 => value.wrapping_add(chance.below(5)).wrapping_sub(2),
                    _ => chance.below(64),
                }
            }
            Self::Fixed(_, _, bytes) | Self::Bytes(_, bytes) => {
                let taken = std::mem::take(bytes);
                *bytes = raw(chance, taken, other);
            }
            Self::Message(_, inner) => inner.clear(),
        }
    }
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0_u64;
    for shift in 0..10 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << (7 * shift);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn parse(bytes: &[u8], depth: u32) -> Option<Vec<Field>> {
    let (mut at, mut fields) = (0, Vec::new());
    while at < bytes.len() {
        let key = varint(bytes, &mut at)?;
        let number = key >> 3;
        fields.push(match key & 7 {
            _ if number == 0 => return None,
            0 => Field::Number(number, varint(bytes, &mut at)?),
            wire @ (1 | 5) => {
                let length = if wire == 1 { 8 } else { 4 };
                let value = bytes.get(at..at + length)?.to_vec();
                at += length;
                Field::Fixed(number, if wire == 1 { 1 } else { 5 }, value)
            }
            2 => {
                let length = usize::try_from(varint(bytes, &mut at)?).ok()?;
                let body = bytes.get(at..at.checked_add(length)?)?;
                at += length;
                match parse(body, depth + 1).filter(|inner| depth < DEEP && !inner.is_empty()) {
                    Some(inner) => Field::Message(number, inner),
                    None => Field::Bytes(number, body.to_vec()),
                }
            }
            _ => return None,
        });
    }
    Some(fields)
}

fn push(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn encode(fields: &[Field], out: &mut Vec<u8>) {
    for field in fields {
        match field {
            Field::Number(number, value) => {
                push(number << 3, out);
                push(*value, out);
            }
            Field::Fixed(number, wire, bytes) => {
                push(number << 3 | u64::from(*wire), out);
                out.extend_from_slice(bytes);
            }
            Field::Bytes(number, bytes) => {
                push(number << 3 | 2, out);
                push(bytes.len() as u64, out);
                out.extend_from_slice(bytes);
            }
            Field::Message(number, inner) => {
                let mut body = Vec::new();
                encode(inner, &mut body);
                push(number << 3 | 2, out);
                push(body.len() as u64, out);
                out.extend(body);
            }
        }
    }
}
