//! Golden files: bytes as lines of hexadecimal, so that a change is seen where changes are read.

use std::path::{Path, PathBuf};

use bytes::Bytes;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("compat/0.1.0").join(name)
}

fn writes() -> bool {
    std::env::var_os("HAVENLINK_GOLDEN").is_some_and(|wanted| wanted == "write")
}

/// A golden text; made where it is missing and writing was asked for.
///
/// # Panics
/// When there is none.
pub fn text(name: &str, make: impl FnOnce() -> String) -> String {
    let path = path(name);
    if writes() && !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, make()).unwrap();
    }
    std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; a new format is written with HAVENLINK_GOLDEN=write", path.display())
    })
}

/// Golden bytes.
///
/// # Panics
/// When there are none, or they are not hexadecimal.
pub fn bytes(name: &str, make: impl FnOnce() -> Bytes) -> Bytes {
    let text = text(&format!("{name}.hex"), || lines(&make()));
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect::<Vec<_>>().into()
}

/// Golden bytes that another call makes, before.
///
/// # Panics
/// When there are none.
pub fn made(name: &str) -> Bytes {
    bytes(name, || panic!("{name} is made by another test"))
}

fn lines(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n";
    bytes.chunks(48).map(line).collect()
}
