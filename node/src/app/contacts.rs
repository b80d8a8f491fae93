//! Where others were reached last: how a node finds the register when its own is gone, or not there yet.
//!
//! A new member knows its inviter, a restored one what stood beside its backup; the genesis statement alone names only
//! the founder, as it was on the first day. Nothing here is trusted: what is followed proves itself from the genesis
//! statement on.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use data_encoding::HEXLOWER;

use super::failure::CommandFailure;
use super::following::at_changes;
use crate::directory::Directory;
use crate::domain::authority::PublicKey;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, Pin};
use crate::exchange::join::Joined;
use crate::transport::Pool;
use crate::transport::pool::Known;

/// The file in the data directory, and beside a backup.
pub const FILE: &str = "contacts";
/// Members that are kept: stewards first.
const MOST: usize = 16;
/// Between two rounds while nobody answers.
const PAUSE: Duration = Duration::from_secs(1);
/// How long one round may take when an operator asked for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Where one member's node was reached last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub authority: AuthorityId,
    pub endpoints: Vec<String>,
    pub pins: Vec<Pin>,
    /// What issues its node's certificates: its pins may be others by now (9.6).
    pub authority_key: PublicKey,
}

impl From<Joined> for Contact {
    fn from(joined: Joined) -> Self {
        Self {
            authority: joined.inviter,
            endpoints: joined.inviter_endpoints,
            pins: joined.inviter_pins,
            authority_key: joined.inviter_key,
        }
    }
}

/// The other members of a view that can be dialled.
pub fn of(view: &DirectoryView, own: &AuthorityId) -> Vec<Contact> {
    let mut members: Vec<_> = view
        .members
        .values()
        .filter(|m| m.entry.authority != *own && m.removed_at.is_none() && !m.entry.endpoints.is_empty())
        .collect();
    members.sort_by_key(|m| !view.is_steward(&m.entry.authority));
    let contact = |m: &&std::sync::Arc<crate::domain::directory::Member>| Contact {
        authority: m.entry.authority.clone(),
        endpoints: m.entry.endpoints.clone(),
        pins: m.entry.pins.iter().map(|p| p.pin).collect(),
        authority_key: m.entry.authority_key,
    };
    members.iter().take(MOST).map(contact).collect()
}

fn text(contacts: &[Contact]) -> String {
    let mut text = String::new();
    for Contact { authority, endpoints, pins, authority_key } in contacts {
        let pins: Vec<String> = pins.iter().map(|pin| pin.to_hex()).collect();
        let (endpoints, pins, key) = (endpoints.join(","), pins.join(","), HEXLOWER.encode(&authority_key.0));
        let _ = writeln!(text, "{authority} {endpoints} {pins} {key}");
    }
    text
}

fn parse(line: &str) -> Option<Contact> {
    let mut parts = line.split_whitespace();
    let authority = AuthorityId::parse(parts.next()?)?;
    let endpoints = parts.next()?.split(',').map(str::to_owned).collect();
    let bytes = |hex: &str| HEXLOWER.decode(hex.as_bytes()).ok();
    let pins = parts.next()?.split(',').filter_map(|hex| Pin::from_slice(&bytes(hex)?)).collect();
    let authority_key = PublicKey::from_spki(&bytes(parts.next()?)?)?;
    Some(Contact { authority, endpoints, pins, authority_key })
}

/// What was kept; nothing if there is no file.
pub fn read(dir: &Path) -> Vec<Contact> {
    let text = std::fs::read_to_string(dir.join(FILE)).unwrap_or_default();
    text.lines().filter_map(parse).collect()
}

/// Writes the file anew with these, at most 16.
///
/// # Errors
/// When the file cannot be written.
pub fn write(dir: &Path, contacts: &[Contact]) -> Result<(), CommandFailure> {
    let (path, part) = (dir.join(FILE), dir.join("contacts.part"));
    let written = std::fs::write(&part, text(contacts)).and_then(|()| std::fs::rename(&part, &path));
    written.map_err(|e| CommandFailure::file(&path, &e))
}

/// Keeps the file like the register, for as long as the node runs: a backup takes what stands there.
pub async fn keep(directory: Directory, dir: std::path::PathBuf) {
    let (mut kept, own) = (read(&dir), directory.authority().clone());
    let look = |view: &DirectoryView| {
        let now = of(view, &own);
        if now != kept && !now.is_empty() && view.number > 0 {
            match write(&dir, &now) {
                Ok(()) => kept = now,
                Err(failure) => {
                    havenlink_runtime::repeated!(warn; reason = failure.reason().code(), "the contacts were not kept")
                }
            }
        }
    };
    at_changes(directory, look).await;
}

/// Follows from the first contact that answers, for a node that has nothing but the genesis statement. The file is read
/// again for each round: an operator may have named another address.
pub async fn find(directory: Directory, pool: Pool, dir: std::path::PathBuf, first: Vec<Contact>) {
    let mut contacts = first;
    while directory.view().number == 0 && !contacts.is_empty() {
        if ask(&directory, &pool, &contacts).await {
            return;
        }
        tokio::time::sleep(PAUSE).await;
        let kept = read(&dir);
        if !kept.is_empty() {
            contacts = kept;
        }
    }
}

/// One round over these contacts; whether the register was found, or gone on with, at one of them.
pub async fn ask(directory: &Directory, pool: &Pool, contacts: &[Contact]) -> bool {
    let federation = directory.view().federation;
    for Contact { authority, endpoints, pins, authority_key } in contacts {
        for endpoint in endpoints {
            let known = Known { federation, authority, pins, key: authority_key };
            let Ok(channel) = pool.dial_known(endpoint, known) else { continue };
            match directory.catch_up(channel).await {
                Ok(()) if directory.view().number > 0 => return true,
                Ok(()) => {}
                Err(error) => {
                    havenlink_runtime::repeated!(info by authority.as_str(); source = %authority, reason = error.reason().code(), "the register was not found there");
                }
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_come_back_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()), []);
        let key = |n| PublicKey::from_spki(&[&PublicKey::PREFIX[..], &[n; 32]].concat()).unwrap();
        let contacts = [
            Contact {
                authority: AuthorityId::parse("de-kehl").unwrap(),
                endpoints: vec!["kehl.example:7443".into(), "[2001:db8::1]:7443".into()],
                pins: vec![Pin([1; 32]), Pin([2; 32])],
                authority_key: key(1),
            },
            Contact {
                authority: AuthorityId::parse("be-liege").unwrap(),
                endpoints: vec!["liege.example:7443".into()],
                pins: vec![Pin([3; 32])],
                authority_key: key(2),
            },
        ];
        write(dir.path(), &contacts).unwrap();
        assert_eq!(read(dir.path()), contacts);
    }
}
