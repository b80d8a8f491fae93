//! `havenctl node contact`: a partner at an address that the register does not list, because both sides moved, or because whoever
//! could have told it is out of reach (9.6).
//!
//! The file `contacts.given` holds a line for each: authority, address, and the addresses that the register listed then.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::timeout;

use super::contacts::PATIENCE;
use super::failure::CommandFailure;
use super::following::at_changes;
use crate::directory::Directory;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::services::admin::node::{Answering, NotDone};
use crate::telemetry::journal::{Entry, Event};
use crate::transport::given::{Given, GivenContacts};
use crate::transport::{Lane, Pool};

/// The file in the data directory.
pub const FILE: &str = "contacts.given";

/// What finds and keeps a contact. Clones are one.
#[derive(Clone)]
pub struct Contacting {
    pub directory: Directory,
    pub pool: Pool,
    pub data_dir: PathBuf,
    /// Held from the look at what is kept to the change of it, in memory and in the file.
    pub changing: Arc<Mutex<()>>,
}

impl Contacting {
    /// Who of the register answers at an address.
    ///
    /// # Errors
    /// Why nobody does: `PEER_UNREACHABLE`, also for what is no address; `PEER_PIN_UNKNOWN` for whoever the register does not
    /// know, `PEER_REFUSED_US` where they do not know us, `FIELD_INVALID` for this node's own.
    pub async fn meet(&self, endpoint: &str) -> Result<Answering, NotDone> {
        let asked = timeout(PATIENCE, self.pool.who_answers(endpoint)).await;
        let met = asked.map_err(|_| NotDone::from(Reason::PeerUnreachable))?.map_err(|error| {
            let told = error.diagnosis();
            let facts = told.detail.iter().map(|(name, value)| format!("{name} {value}"));
            NotDone { reason: told.reason, about: facts.collect::<Vec<_>>().join(", ") }
        })?;
        if met.authority == *self.directory.authority() {
            return Err(NotDone { reason: Reason::FieldInvalid, about: "that is this node itself".to_owned() });
        }
        Ok(Answering { authority: met.authority, pin: met.pin, is_pinned: met.is_pinned })
    }

    /// Keeps the address for this authority, if it answers there, and follows the register from it at once. Gives the number
    /// that the register has then.
    ///
    /// # Errors
    /// As `meet`; `PEER_PIN_UNKNOWN` when another authority answers; `STORAGE_FAILED` when the file cannot be written.
    pub async fn keep(&self, endpoint: &str, authority: &AuthorityId) -> Result<u64, NotDone> {
        let met = self.meet(endpoint).await?;
        if met.authority != *authority {
            return Err(NotDone { reason: Reason::PeerPinUnknown, about: format!("{} answers there", met.authority) });
        }
        let view = self.directory.view();
        let member = view.member(authority).ok_or(Reason::MemberUnknown)?;
        let given = Given { endpoint: endpoint.to_owned(), instead_of: member.entry.endpoints.clone() };
        {
            let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            let mut all = self.pool.given().current(&view);
            all.insert(authority.clone(), given);
            write(&self.data_dir, &all).map_err(|failure| failure.reason())?;
            self.pool.given().set(all);
        }
        Entry::about(Event::ContactGiven, authority).tell();
        let channel = self.pool.lane(authority, Lane::Reunion).map_err(|error| error.reason())?;
        match timeout(PATIENCE, self.directory.catch_up(channel)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(NotDone { reason: error.reason(), about: error.detail().to_owned() }),
            Err(_) => return Err(Reason::PeerUnreachable.into()),
        }
        Ok(self.directory.view().number)
    }
}

/// Drops each as soon as the register lists another address; for as long as the node runs. A register that is not here yet
/// lists nothing.
pub async fn keep(contacting: Contacting) {
    let Contacting { directory, pool, data_dir, changing } = contacting;
    let given: GivenContacts = pool.given().clone();
    let look = |view: &DirectoryView| {
        let _changing = changing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = given.current(view);
        if view.number > 0 && current != *given.all() {
            match write(&data_dir, &current) {
                Ok(()) => given.set(current),
                Err(failure) => {
                    havenlink_runtime::repeated!(warn; reason = failure.reason().code(), "the given contacts were not kept")
                }
            }
        }
    };
    at_changes(directory, look).await;
}

/// What was kept; nothing if there is no file.
pub fn read(dir: &Path) -> BTreeMap<AuthorityId, Given> {
    let parse = |line: &str| {
        let mut parts = line.split_whitespace();
        let (authority, endpoint) = (AuthorityId::parse(parts.next()?)?, parts.next()?.to_owned());
        let instead_of = parts.next().unwrap_or_default().split(',').map(str::to_owned).collect();
        Some((authority, Given { endpoint, instead_of }))
    };
    std::fs::read_to_string(dir.join(FILE)).unwrap_or_default().lines().filter_map(parse).collect()
}

fn write(dir: &Path, all: &BTreeMap<AuthorityId, Given>) -> Result<(), CommandFailure> {
    let mut text = String::new();
    for (authority, Given { endpoint, instead_of }) in all {
        let _ = writeln!(text, "{authority} {endpoint} {}", instead_of.join(","));
    }
    let (path, part) = (dir.join(FILE), dir.join("contacts.given.part"));
    let written = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &path));
    written.map_err(|e| CommandFailure::file(&path, &e))
}
