//! The authority's public keys: as another member's node shows them, or typed.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use data_encoding::HEXLOWER;
use serde::Deserialize;

use crate::tree::sha256;

/// What stands before the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo.
const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// First 16 bytes of SHA-256(SubjectPublicKeyInfo).
pub type KeyId = [u8; 16];

struct Key {
    raw: [u8; 32],
    compromised: bool,
}

/// Keys by their ids.
#[derive(Default)]
pub struct Keys {
    by_id: BTreeMap<KeyId, Key>,
    authority: Option<String>,
}

/// What a signature under one of the keys is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    Good,
    /// The key was stolen: it proves nothing, in neither direction.
    Nothing,
    Bad,
}

/// What `havenctl member show AUTHORITY -o json` prints, as far as it matters.
#[derive(Deserialize)]
struct Shown {
    member: Option<Holder>,
    #[serde(default)]
    keys: Vec<ShownKey>,
}

#[derive(Deserialize)]
struct Holder {
    entry: Option<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    authority: String,
}

#[derive(Deserialize)]
struct ShownKey {
    spki: String,
    #[serde(default)]
    compromised: bool,
}

impl Keys {
    /// Adds those that a member's node shows of an authority.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn add_shown(&mut self, json: &str) -> Result<(), String> {
        let shown: Shown = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if shown.keys.is_empty() {
            return Err("it shows no keys".to_owned());
        }
        let authority = shown.member.and_then(|member| member.entry).map(|entry| entry.authority);
        if let (Some(before), Some(now)) = (&self.authority, &authority)
            && before != now
        {
            return Err(format!("it shows the keys of {now}, and those of {before} were given before"));
        }
        self.authority = self.authority.take().or(authority);
        shown.keys.iter().try_for_each(|key| self.add(&key.spki, key.compromised))
    }

    /// Adds a SubjectPublicKeyInfo in hexadecimal.
    ///
    /// # Errors
    /// When it is none of an Ed25519 key.
    pub fn add(&mut self, spki: &str, compromised: bool) -> Result<(), String> {
        let none = || "not a key: 88 hexadecimal digits, the SubjectPublicKeyInfo of an Ed25519 key".to_owned();
        let bytes = HEXLOWER.decode(spki.trim().to_ascii_lowercase().as_bytes()).map_err(|_| none())?;
        let raw = bytes.strip_prefix(&PREFIX).and_then(|raw| raw.try_into().ok()).ok_or_else(none)?;
        let mut id = [0; 16];
        id.copy_from_slice(&sha256(&bytes)[..16]);
        let key = self.by_id.entry(id).or_insert(Key { raw, compromised });
        key.compromised |= compromised;
        Ok(())
    }

    /// Whose they are, if that was shown.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// What the signature of this key over the message is worth.
    pub fn judge(&self, id: &[u8], message: &[u8], signature: &[u8]) -> Worth {
        let key = KeyId::try_from(id).ok().and_then(|id| self.by_id.get(&id));
        match key {
            Some(key) if key.compromised => Worth::Nothing,
            Some(key) if UnparsedPublicKey::new(&ED25519, key.raw).verify(message, signature).is_ok() => Worth::Good,
            _ => Worth::Bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_one_authority() {
        let spki = format!("{}{}", HEXLOWER.encode(&PREFIX), "ab".repeat(32));
        let shown = |who: &str| {
            format!(
                r#"{{"member":{{"entry":{{"authority":"{who}"}}}},"keys":[{{"spki":"{spki}","replaced_ms":0,"compromised":false}}]}}"#
            )
        };
        let mut keys = Keys::default();
        assert!(keys.is_empty());
        keys.add_shown(&shown("fr-strasbourg")).unwrap();
        assert_eq!((keys.authority(), keys.is_empty()), (Some("fr-strasbourg"), false));
        assert!(keys.add_shown(&shown("de-kehl")).unwrap_err().contains("de-kehl"));
        assert!(keys.add_shown("{}").is_err() && keys.add("ab", false).is_err());
        let id = &sha256(&HEXLOWER.decode(spki.as_bytes()).unwrap())[..16];
        assert_eq!(keys.judge(id, b"x", &[0; 64]), Worth::Bad);
        keys.add(&spki, true).unwrap();
        assert_eq!(keys.judge(id, b"x", &[0; 64]), Worth::Nothing, "once stolen, always stolen");
    }
}
