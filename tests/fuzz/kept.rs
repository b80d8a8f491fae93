//! Between the corpus and the folders of the guided one (`tests/run guided`): what it begins with, and what of its findings is
//! kept.

use std::collections::BTreeSet;
use std::path::Path;

use super::corpus::{Corpus, FOUND, files, golden, of};
use super::targets::Target;

/// What is kept of a target, in bytes, and the longest input of it: the smallest ones that merging left.
const KEPT: usize = 8 * 1_024;
const LONGEST: usize = 512;

/// A file for each input, in a folder of the target's name.
///
/// # Errors
/// When one cannot be written.
pub fn lay_out(target: &Target, folder: &Path) -> anyhow::Result<()> {
    let folder = folder.join(target.name);
    std::fs::create_dir_all(&folder)?;
    let Corpus { golden, found } = of(target)?;
    for (n, input) in golden.iter().chain(&found).enumerate() {
        std::fs::write(folder.join(format!("begin-{n}")), input)?;
    }
    Ok(())
}

/// Keeps the smallest inputs of a folder that are not golden.
///
/// # Errors
/// When one cannot be read or written.
pub fn keep(target: &Target, folder: &Path) -> anyhow::Result<()> {
    let golden: BTreeSet<Vec<u8>> = golden(target.corpus)?.into_iter().map(target.within).collect();
    let inputs =
        files(&folder.join(target.name))?.iter().map(std::fs::read).collect::<std::io::Result<BTreeSet<_>>>()?;
    let mut inputs: Vec<_> = inputs.difference(&golden).filter(|input| input.len() <= LONGEST).collect();
    inputs.sort_by_key(|input| input.len());
    let mut left = KEPT;
    let mut lines = String::new();
    for input in inputs {
        let Some(rest) = left.checked_sub(input.len()) else { break };
        left = rest;
        lines.extend(input.iter().map(|byte| format!("{byte:02x}")).chain(["\n".to_owned()]));
    }
    std::fs::create_dir_all(FOUND)?;
    println!("{:<10} {} bytes kept in {} lines", target.name, KEPT - left, lines.lines().count());
    Ok(std::fs::write(Path::new(FOUND).join(target.name).with_extension("hex"), lines)?)
}
