//! Keys that the whole world knows, or that sign for anybody: never in a register.

use std::collections::HashSet;
use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use data_encoding::HEXLOWER;

use crate::domain::authority::PublicKey;
use crate::domain::ids::{Digest, Pin};

/// Public keys of specifications: RFC 8032 sections 7.1 and 7.2, RFC 8410 section 10.1.
const OF_SPECIFICATIONS: &[&str] = &[
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
    "ec172b93ad5e563f4932c70e0245034c35467fef9efd4d64ebf819683467e2bf",
    "dfc9425e4f968f7f0c29f0259cf5f9aed6851c2bb4ad8bfb860cfee0ab248292",
    "0f1d1274943b91415889152e893d80e93275a1fc0b65fd71b4b0dda10ad7d772",
    "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
];

/// Points of small order, without the sign bit: under such a key, anybody can make a signature that verifies.
const OF_SMALL_ORDER: &[&str] = &[
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

fn raw(hex: &str) -> Option<[u8; 32]> {
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

static KEYS: LazyLock<HashSet<[u8; 32]>> = LazyLock::new(|| {
    // Seeds of one repeated byte, and of bytes that count up: what tests and tutorials use.
    let counting = std::array::from_fn(|i| u8::try_from(i).unwrap_or_default());
    let counting_from_one = std::array::from_fn(|i| u8::try_from(i + 1).unwrap_or_default());
    let seeds = (0..=u8::MAX).map(|byte| [byte; 32]).chain([counting, counting_from_one]);
    let of_seeds = seeds.filter_map(|seed: [u8; 32]| {
        Ed25519KeyPair::from_seed_unchecked(&seed).ok()?.public_key().as_ref().try_into().ok()
    });
    OF_SPECIFICATIONS.iter().filter_map(|hex| raw(hex)).chain(of_seeds).collect()
});

static SMALL_ORDER: LazyLock<HashSet<[u8; 32]>> =
    LazyLock::new(|| OF_SMALL_ORDER.iter().filter_map(|hex| raw(hex)).collect());

static PINS: LazyLock<HashSet<Pin>> = LazyLock::new(|| {
    let spki = |raw: &[u8; 32]| Pin(Digest::of(&[&PublicKey::PREFIX[..], raw].concat()).0);
    let degenerate = [Pin([0; 32]), Pin(Digest::of(&[]).0)];
    KEYS.iter().chain(SMALL_ORDER.iter()).map(spki).chain(degenerate).collect()
});

/// Whether the authority key is publicly known or weak.
pub(crate) fn is_well_known(key: &PublicKey) -> bool {
    let Ok(mut raw) = <[u8; 32]>::try_from(key.raw()) else {
        return true;
    };
    let known = KEYS.contains(&raw);
    raw[31] &= 0x7f;
    known || SMALL_ORDER.contains(&raw)
}

/// Whether the pin is of such a key, or of nothing.
pub(crate) fn is_well_known_pin(pin: &Pin) -> bool {
    PINS.contains(pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_whole() {
        assert!(OF_SPECIFICATIONS.iter().chain(OF_SMALL_ORDER).all(|hex| raw(hex).is_some()));
        assert_eq!(KEYS.len(), OF_SPECIFICATIONS.len() + 258);
        assert_eq!(SMALL_ORDER.len(), OF_SMALL_ORDER.len());
    }
}
