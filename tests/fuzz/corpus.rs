//! What fuzzing begins with: the golden files of `compat`, and what coverage found beyond them (`found/TARGET.hex`, an input a
//! line).

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use havenlink_tests::chance::Chance;

use super::targets::Target;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compat/0.1.0");
pub(super) const FOUND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/found");
pub const AUTHORITY_KEY: &str = include_str!("../compat/0.1.0/authority-key.hex");
pub const SNAPSHOT_HEADER: &str = include_str!("../compat/0.1.0/snapshot-header.hex");
/// What a target begins with.
pub struct Corpus {
    pub golden: Vec<Vec<u8>>,
    pub found: Vec<Vec<u8>>,
}

impl Corpus {
    /// One of them: what is golden leads deep, and is not crowded out by what was found.
    pub fn pick(&self, chance: &mut Chance) -> &[u8] {
        let from = if self.found.is_empty() || chance.below(2) == 0 { &self.golden } else { &self.found };
        &from[usize::try_from(chance.below(from.len() as u64)).unwrap_or(0)]
    }
}

/// All that a target begins with.
///
/// # Errors
/// When a file cannot be read, or there is no golden one.
pub fn of(target: &Target) -> anyhow::Result<Corpus> {
    let golden = golden(target.corpus)?.into_iter().map(target.within).collect();
    let found = match std::fs::read_to_string(Path::new(FOUND).join(target.name).with_extension("hex")) {
        Ok(lines) => lines.lines().map(|line| unhex(line.as_bytes())).collect::<anyhow::Result<Vec<_>>>()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(Corpus { golden, found })
}

/// The golden files of these names: hex as bytes, others as they are.
pub(super) fn golden(names: &[&str]) -> anyhow::Result<Vec<Vec<u8>>> {
    let wanted = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.is_file() && names.iter().any(|start| name.starts_with(start))
    };
    let mut all = Vec::new();
    for file in files(Path::new(GOLDEN))?.iter().filter(|path| wanted(path)) {
        let bytes = std::fs::read(file)?;
        let is_hex = file.extension().is_some_and(|extension| extension == "hex");
        all.push(if is_hex { unhex(&bytes).with_context(|| file.display().to_string())? } else { bytes });
    }
    ensure!(!all.is_empty(), "no golden file begins with {names:?}");
    Ok(all)
}

pub(super) fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    Ok(files)
}

pub fn unhex(text: &[u8]) -> anyhow::Result<Vec<u8>> {
    let digits: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}
