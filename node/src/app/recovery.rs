//! A member that lost its authority key, or its whole node, asks the stewards for a new one.

use std::path::Path;
use std::sync::Arc;

use data_encoding::HEXLOWER;

use super::contacts::{self, Contact};
use super::data_dir::DataDir;
use super::failure::CommandFailure;
use super::renewal::LIFE;
use super::{commands, entry, token};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::directory::statements::Author;
use crate::directory::{self, Directory, Opening};
use crate::domain::authority::AuthorityEntry;
use crate::domain::reason::Reason;
use crate::exchange::Keys;
use crate::transport::{self, NodeIdentity};
use crate::wire;
use crate::wire::recovery::RecoveryContact;

/// The signed entry that the stewards decide on; as long as it is there, a recovery is under way.
const ENTRY: &str = "recovery.entry";

/// Makes new keys and the entry that asks for them. `replace_key`: the key that is still here is of no use any more.
/// With another ticket, the same keys ask again.
///
/// # Errors
/// `TICKET_INVALID`, `ALREADY_JOINED` while there is a key, and whatever stands in the way of files and keys.
pub fn recover(config: &Config, ticket: &str, replace_key: bool) -> Result<(), CommandFailure> {
    transport::install_provider();
    let ticket = token::read_token(ticket)?;
    let ticket = wire::recovery::parse(&ticket).map_err(|e| CommandFailure::new(e.reason).about(e.detail))?;
    let before = ticket.entry.clone();
    if before.authority != config.authority {
        return Err(CommandFailure::new(Reason::TicketInvalid).fact("for", before.authority.to_string()));
    }
    let data = DataDir::take(&config.data_dir)?;
    let path = data.path().join(ENTRY);
    if data.has_keys() && !path.exists() {
        if !replace_key {
            return Err(
                CommandFailure::new(Reason::AlreadyJoined).fact("directory", config.data_dir.display().to_string())
            );
        }
        data.retire_authority_key()?;
        transport::crosses::forget(data.path())?;
    }
    let clock = SystemClock::shared();
    if !data.has_keys() {
        NodeIdentity::store(data.path(), &NodeIdentity::generate(&config.authority, clock.now(), LIFE)?)?;
    }
    let identity = NodeIdentity::load(data.path())?;
    let key = if data.has_keys() { data.authority_key()? } else { data.make_authority_key()? };
    // From the file that the register opens.
    let raft_id = directory::raft_id(data.path())?;
    commands::keep_genesis(data.path(), &ticket.genesis)?;
    let key = Arc::new(key);
    let register = Directory::open(Opening {
        data_dir: data.path().to_owned(),
        authority: config.authority.clone(),
        key: key.clone(),
        clock: clock.clone(),
        genesis: Some(ticket.genesis.clone()),
    })?;
    contacts::write(data.path(), &contacts_of(ticket.contacts))?;
    let author = Author { authority: &config.authority, key: &key, now: clock.now(), nonce: commands::nonce()? };
    let view = register.view();
    let new = AuthorityEntry {
        authority_key: key.public(),
        endpoints: entry::endpoints(config)?,
        pins: vec![identity.pinned(&view.federation, &config.authority)?],
        raft_id,
        ..before
    };
    let signed = author.application(&view.federation, ticket.rules_version, ticket.status_version, &new);
    write(&path, &HEXLOWER.encode(&signed.signed))?;
    let shown = HEXLOWER.encode(&key.public().raw()[..8]);
    println!("{} asks for a new authority key in federation {}", config.authority, view.federation);
    println!("  entry      {}", path.display());
    println!("  new key    {shown}…");
    println!("next: send the entry to the stewards, and read them the key's beginning by phone");
    println!("next: they run havenctl member recover-key {} --entry FILE", config.authority);
    println!("next: havenlink run        (or systemctl start havenlink): it waits for their decision");
    Ok(())
}

/// Ends a recovery once the register lists the key that this node asked for.
pub async fn follow(directory: Directory, keys: Keys, dir: std::path::PathBuf) {
    let mut changes = directory.changes();
    let own = keys.of(directory.authority()).map(|key| key.public());
    while directory.view().member(directory.authority()).map(|m| m.entry.authority_key) != own {
        if changes.changed().await.is_err() {
            return;
        }
    }
    let _ = std::fs::remove_file(dir.join(ENTRY));
}

fn write(path: &Path, text: &str) -> Result<(), CommandFailure> {
    std::fs::write(path, format!("{text}\n")).map_err(|e| CommandFailure::file(path, &e))
}

fn contacts_of(named: Vec<RecoveryContact>) -> Vec<Contact> {
    let contact = |c: RecoveryContact| Contact {
        authority: c.authority,
        endpoints: c.endpoints,
        pins: c.pins,
        authority_key: c.authority_key,
    };
    named.into_iter().map(contact).collect()
}
