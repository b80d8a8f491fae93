//! The numbering plans of the world, as far as a screen asks for them: which code, how long, beginning how, grouped how.
//!
//! `plans.txt` is worked out from the metadata of libphonenumber by `tests/screening/plans.py`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Ranges of first three digits.
type Begins = Box<[(u16, u16)]>;

/// What numbers for the phone look like.
pub(super) struct Plans {
    /// Lengths of the numbers behind a country calling code, as bits.
    codes: BTreeMap<u16, u32>,
    zero: BTreeMap<usize, Begins>,
    plain: BTreeMap<usize, Begins>,
    groups: BTreeMap<Box<[u8]>, Begins>,
}

static PLANS: LazyLock<Plans> = LazyLock::new(|| Plans::read(include_str!("plans.txt")));

impl Plans {
    pub fn get() -> &'static Self {
        &PLANS
    }

    fn read(text: &str) -> Self {
        let mut plans =
            Self { codes: BTreeMap::new(), zero: BTreeMap::new(), plain: BTreeMap::new(), groups: BTreeMap::new() };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let (Some(what), Some(key), Some(set)) = (words.next(), words.next(), words.next()) else { continue };
            let length = || key.parse().unwrap_or_default();
            match what {
                "code" => {
                    let lengths = set.split(',').filter_map(|n| n.parse::<u32>().ok()).fold(0, |bits, n| bits | 1 << n);
                    plans.codes.insert(key.parse().unwrap_or_default(), lengths);
                }
                "zero" => drop(plans.zero.insert(length(), begins(set))),
                "plain" => drop(plans.plain.insert(length(), begins(set))),
                _ => {
                    let shape = key.split('+').filter_map(|n| n.parse().ok()).collect();
                    plans.groups.insert(shape, begins(set));
                }
            }
        }
        plans
    }

    /// A country calling code, and behind it a number as long as they are there.
    pub fn is_international(&self, digits: &str) -> bool {
        (1..=3.min(digits.len())).any(|n| {
            let behind = digits[n..].trim_start_matches('0');
            let lengths = digits[..n].parse().ok().and_then(|code| self.codes.get(&code));
            lengths.is_some_and(|lengths| lengths & (1 << behind.len().min(31)) != 0)
        })
    }

    /// A number as it is dialled within a country: 0 and what follows.
    pub fn is_dialled(&self, digits: &str) -> bool {
        digits.strip_prefix('0').is_some_and(|behind| holds(self.zero.get(&behind.len()), behind))
    }

    /// A number of a country where no 0 is dialled.
    pub fn is_plain(&self, digits: &str) -> bool {
        holds(self.plain.get(&digits.len()), digits)
    }

    /// A number that is grouped as numbers that begin like it are.
    pub fn is_grouped(&self, shape: &[u8], digits: &str) -> bool {
        holds(self.groups.get(shape), digits)
    }
}

fn begins(set: &str) -> Begins {
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    set.split(',').filter_map(range).collect()
}

fn holds(begins: Option<&Begins>, digits: &str) -> bool {
    let (Some(begins), Some(Ok(first))) = (begins, digits.get(..3).map(str::parse::<u16>)) else { return false };
    let at = begins.partition_point(|(_, last)| *last < first);
    begins.get(at).is_some_and(|(lowest, _)| *lowest <= first)
}
