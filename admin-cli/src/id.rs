//! Identifiers as text: UUIDs for records and offers, hexadecimal for digests; a unique beginning is enough.

use data_encoding::HEXLOWER;

use crate::failure::Failure;

/// Bytes as people see them: 16 bytes as a UUID, everything else as lower-case hexadecimal.
pub fn show(bytes: &[u8]) -> String {
    match <[u8; 16]>::try_from(bytes) {
        Ok(uuid) => uuid::Uuid::from_bytes(uuid).to_string(),
        Err(_) => HEXLOWER.encode(bytes),
    }
}

/// The first 12 characters of a digest: enough to name it in a list, and to type.
pub fn short(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes).chars().take(12).collect()
}

/// A UUID, or hexadecimal of any whole number of bytes.
pub fn parse(text: &str) -> Option<Vec<u8>> {
    if let Ok(uuid) = uuid::Uuid::try_parse(text) {
        return Some(uuid.into_bytes().to_vec());
    }
    HEXLOWER.decode(text.to_ascii_lowercase().as_bytes()).ok().filter(|b| !b.is_empty())
}

/// The one of the known ids that is, or begins with, what was typed (at least four characters).
///
/// # Errors
/// None, or several; `what` names the sort of thing, `list` the command that lists them.
pub fn resolve<'a, T>(
    typed: &str,
    known: impl IntoIterator<Item = (&'a [u8], T)>,
    what: &str,
    list: &str,
) -> Result<T, Failure> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "");
    let typed_plain = plain(typed);
    if typed_plain.len() < 4 {
        return Err(Failure::usage(format!("{typed:?} is too short to name one {what}"), list));
    }
    let mut found: Vec<(String, T)> = known
        .into_iter()
        .map(|(bytes, value)| (HEXLOWER.encode(bytes), value))
        .filter(|(hex, _)| hex.starts_with(&typed_plain))
        .collect();
    if let Some(at) = found.iter().position(|(hex, _)| *hex == typed_plain) {
        return Ok(found.swap_remove(at).1);
    }
    match found.len() {
        1 => Ok(found.remove(0).1),
        0 => Err(Failure::not_found(format!("there is no {what} {typed} here"), list)),
        n => Err(Failure::usage(format!("{typed} begins {n} ids; type more of it"), list)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_and_digests_read_back() {
        let uuid = [0x01, 0x9a, 0xa0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(show(&uuid), "019aa000-0000-7000-8000-000000000001");
        assert_eq!(parse(&show(&uuid)).unwrap(), uuid);
        assert_eq!(parse(&show(&[7; 32])).unwrap(), [7; 32]);
        assert_eq!(parse("xyz"), None);
    }

    #[test]
    fn a_unique_beginning_names_one() {
        let known = [(&[0xab, 0xcd, 0xef][..], 1), (&[0xab, 0xcd, 0x00][..], 2)];
        assert_eq!(resolve("abcde", known, "agreement", "").unwrap(), 1);
        assert_eq!(resolve("abcd", known, "agreement", "").unwrap_err().exit, 2);
        assert_eq!(resolve("ffff", known, "agreement", "").unwrap_err().exit, 4);
        assert_eq!(resolve("ab", known, "agreement", "").unwrap_err().exit, 2);
    }
}
