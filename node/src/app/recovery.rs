//! A member that lost its authority key, or its whole node, comes back: from a backup, under its own key, or under a new one that
//! it asks the stewards for.

mod plan;

use std::path::Path;
use std::sync::Arc;

use data_encoding::HEXLOWER;

use age::x25519::Identity;
use plan::Backup;

use super::contacts::{self, Contact};
use super::data_dir::{self, DataDir};
use super::failure::CommandFailure;
use super::owner::Owner;
use super::renewal::LIFE;
use super::runtimes::Runtimes;
use super::scratch::Scratch;
use super::{backups, entry, genesis, identity_copy, recipient, sealing, token};
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

/// What an operator asks of `recover`.
#[derive(Default)]
pub struct Recovery<'a> {
    /// A backup, or a folder of them; without it the folder of the last backup that was made here.
    pub from: Option<&'a Path>,
    /// What may open it.
    pub identities: &'a [Identity],
    /// Whether to do it; otherwise it is only shown.
    pub yes: bool,
}

/// Shows what was found and what would be done, and does it if that was said.
///
/// # Errors
/// `WRONG_USER`; as the act: `backups::restore`, or what stands in the way of files; with `yes` also why nothing can be done.
pub fn planned(config: &Config, recovery: &Recovery<'_>) -> Result<(), CommandFailure> {
    // To another user all that is here would look lost.
    let owner = Owner::of(&config.data_dir).map_err(|e| CommandFailure::file(&config.data_dir, &e))?;
    data_dir::of_ours(&config.data_dir, owner)?;
    transport::install_provider();
    let remembered = backups::last_folder(&config.data_dir);
    let from = recovery.from.or(remembered.as_deref());
    let recovery = &Recovery { from, identities: recovery.identities, yes: recovery.yes };
    let runtimes = Runtimes::start(1)?;
    let backup = runtimes.block_on(plan::newest(config, recovery));
    runtimes.shutdown();
    let (backup, here) = (backup?, plan::Here::look(&config.data_dir));
    let act = plan::decided(here, &backup);
    for line in plan::lines(config, recovery, here, &backup) {
        println!("{line}");
    }
    match (&backup, act) {
        (Backup::Whole { file, .. }, plan::Way::Keys) if recovery.yes => keys_back(config, file, recovery.identities),
        (Backup::Whole { file, .. }, plan::Way::Restore) if recovery.yes => {
            backups::restore(config, file, recovery.identities)
        }
        (_, plan::Way::Nothing) => Ok(()),
        (Backup::Sealed(file), _) if recovery.yes => Err(sealing::wrong_key(file).about("none was given")),
        _ if recovery.yes => {
            let failure =
                CommandFailure::new(Reason::BackupInvalid).about("none was found that is, and nothing was done");
            Err(failure.remedy("one of the ways that are named above"))
        }
        _ => Ok(()),
    }
}

/// The keys of a backup, where nothing but them is lost: not a day of what is stored is.
fn keys_back(config: &Config, file: &Path, identities: &[Identity]) -> Result<(), CommandFailure> {
    let data = DataDir::take(&config.data_dir)?;
    let scratch = Scratch::take(&config.data_dir)?;
    let runtimes = Runtimes::start(1)?;
    let found = runtimes.block_on(backups::chosen(config, file, identities, &scratch, true, backups::RECOVER));
    runtimes.shutdown();
    let found = found?;
    backups::belongs_here(config, None, &found)?;
    let key = Arc::new(data_dir::authority_key(&found.beside)?);
    let register = Directory::open(Opening {
        data_dir: data.path().to_owned(),
        authority: config.authority.clone(),
        key: key.clone(),
        clock: SystemClock::shared(),
        genesis: None,
    })?;
    // One that was rotated since is nobody's any more.
    let current = register.view().member(&config.authority).map(|member| member.entry.authority_key);
    drop(register);
    if current.is_some_and(|current| current != key.public()) {
        let remedy =
            "your decision: a newer backup, or a new key by a majority of the stewards: havenlink recover TICKET";
        return Err(backups::replaced_since(key.public().id()).remedy(remedy));
    }
    identity_copy::read_missing(&found.beside, data.path()).map_err(|e| CommandFailure::file(data.path(), &e))?;
    backups::found_in(data.path(), &found.file);
    println!("the keys are back: {}", key.public().id());
    Ok(())
}

/// Makes new keys and the entry that asks for them; where the authority's own key is here and its register is not, a new node comes
/// back under that key. `replace_key`: the key that is still here is of no use any more.
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
    let lost = data.has_keys() && !path.exists() && !data.path().join(directory::FILE).exists();
    if lost && !replace_key && data.authority_key()?.public() == before.authority_key {
        return under_own_key(config, &data, ticket);
    }
    if data.has_keys() && !path.exists() {
        if !replace_key {
            return Err(
                CommandFailure::new(Reason::AlreadyJoined).fact("directory", config.data_dir.display().to_string())
            );
        }
        data.retire_authority_key()?;
        transport::crosses::forget(data.path())?;
    }
    // Before there is a key or a register: a secret half that nobody saw leaves nothing behind that is in the next try's way.
    recipient::settle(data.path(), None)?;
    let clock = SystemClock::shared();
    if !data.has_keys() {
        NodeIdentity::store(data.path(), &NodeIdentity::generate(&config.authority, clock.now(), LIFE)?)?;
    }
    let identity = NodeIdentity::load(data.path())?;
    let key = if data.has_keys() { data.authority_key()? } else { data.make_authority_key()? };
    // From the file that the register opens.
    let raft_id = directory::raft_id(data.path())?;
    genesis::keep(data.path(), &ticket.genesis)?;
    let key = Arc::new(key);
    let register = Directory::open(Opening {
        data_dir: data.path().to_owned(),
        authority: config.authority.clone(),
        key: key.clone(),
        clock: clock.clone(),
        genesis: Some(ticket.genesis.clone()),
    })?;
    contacts::write(data.path(), &contacts_of(ticket.contacts))?;
    let author = Author { authority: &config.authority, key: &key, now: clock.now(), nonce: entry::nonce()? };
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

/// All but the key is lost: a new node, which follows from the ticket's contacts and lists its new pin at its operator's
/// word, for which the authority's key is enough (9.6).
fn under_own_key(
    config: &Config,
    data: &DataDir,
    ticket: wire::recovery::RecoveryTicket,
) -> Result<(), CommandFailure> {
    let now = SystemClock::shared().now();
    NodeIdentity::store(data.path(), &NodeIdentity::generate(&config.authority, now, LIFE)?)?;
    genesis::keep(data.path(), &ticket.genesis)?;
    contacts::write(data.path(), &contacts_of(ticket.contacts))?;
    recipient::settle(data.path(), None)?;
    Directory::open(Opening {
        data_dir: data.path().to_owned(),
        authority: config.authority.clone(),
        key: Arc::new(data.authority_key()?),
        clock: SystemClock::shared(),
        genesis: Some(ticket.genesis),
    })?;
    println!("{} comes back as a new node, under its own authority key", config.authority);
    println!("next: havenlink run        (or systemctl start havenlink): it follows the register");
    println!("next: havenctl node renew        (its new certificate is listed, which its key alone signs)");
    println!("next: havenctl doctor    (if this was a steward: tells how it votes again)");
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
