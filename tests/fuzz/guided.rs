//! `havenlink-fuzz-guided`: the same targets and mutations, guided by what of the program an input reaches (libFuzzer).
//!
//! The target is named by `HAVENLINK_FUZZ_TARGET`; everything else is libFuzzer's own. Built for the instrumented platform
//! alone (`tests/parts.sh`, part `guided`), under the feature of the same name.

#![no_main]

mod corpus;
mod mutate;
mod targets;

use std::sync::LazyLock;

use corpus::Corpus;
use havenlink_tests::chance::Chance;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use targets::{TARGETS, Target};

static TARGET: LazyLock<(&Target, Corpus)> = LazyLock::new(|| {
    let name = std::env::var("HAVENLINK_FUZZ_TARGET").unwrap_or_default();
    let target = TARGETS.iter().find(|target| target.name == name).expect("HAVENLINK_FUZZ_TARGET names a target");
    (target, corpus::of(target).expect("golden files"))
});

fuzz_target!(|input: &[u8]| {
    let _ = (TARGET.0.run)(input);
});

// A message is changed as the tree that it is every other time.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut chance = Chance::new(u64::from(seed));
    if chance.below(2) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let other = TARGET.1.pick(&mut chance).to_vec();
    let changed = mutate::mutated(&mut chance, &data[..size], &other);
    let length = changed.len().min(max_size);
    data[..length].copy_from_slice(&changed[..length]);
    length
});
