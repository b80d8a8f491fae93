//! The authority's own key, replaced: stored first, accepted by the register, then in use.
//!
//! That it is accepted shows in the register's view and nowhere else: an order whose answer was lost may still be
//! carried out, before this process ends or after.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tonic::Status;

use crate::clock::SharedClock;
use crate::directory::Directory;
use crate::domain::audit::Actor;
use crate::domain::authority::PublicKey;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::domain::issued::NodeName;
use crate::domain::reason::Reason;
use crate::domain::register::Decided;
use crate::domain::time::UnixMs;
use crate::exchange::Keys;
use crate::exchange::governance::Governance;
use crate::services::admin::member::KeyRotation;
use crate::services::errors;
use crate::storage::backup;
use crate::transport::{Issuing, crosses};
use crate::wire::keys::SigningKey;

const CURRENT: &str = "authority.key";
const NEXT: &str = "authority.next.key";
/// Between two orders of a key that replaces a withdrawn one.
const AGAIN: Duration = Duration::from_secs(5);

/// Rotates the key of the node's own authority. Clones share it.
#[derive(Clone)]
pub struct Rotation {
    pub authority: AuthorityId,
    pub data_dir: PathBuf,
    pub keys: Keys,
    pub directory: Directory,
    pub governance: Governance,
    /// One at a time moves the key's file.
    pub moving: Arc<Mutex<()>>,
    /// One at a time has a key ordered.
    pub ordering: Arc<tokio::sync::Mutex<()>>,
    pub clock: SharedClock,
    /// Told after each: the new key vouches for the node's certificate.
    pub rotated: Arc<Notify>,
}

#[tonic::async_trait]
impl KeyRotation for Rotation {
    async fn rotate(&self, compromised: bool, actor: Actor) -> Result<Decided, Status> {
        let failed = |_: std::io::Error| errors::refuse(Reason::StorageFailed);
        let _alone = self.ordering.lock().await;
        let next = Arc::new(make(&self.data_dir).map_err(failed)?);
        self.directory.set_next_key(Arc::clone(&next));
        let rotated = self.governance.rotate_key(&next, compromised, actor).await;
        let rotated = rotated.map_err(|e| errors::governing(&e))?;
        self.take_into_use(next).map_err(failed)?;
        Ok(rotated)
    }
}

impl Rotation {
    /// Takes a key into use as soon as the view lists it, however the order for it was answered; orders it again where the old one is
    /// withdrawn and nothing could be decided. Runs as long as the node.
    pub async fn follow(self) {
        let mut changes = self.directory.changes();
        if let Some(next) = read(&self.data_dir) {
            self.directory.set_next_key(Arc::new(next));
        }
        loop {
            if let Err(error) = self.settle() {
                havenlink_runtime::repeated!(error; cause = %error, "the new authority key could not be taken into use");
            }
            if self.keys.is_withdrawn(&self.authority, &self.directory.view()) {
                tokio::time::sleep(AGAIN).await;
                self.order_again().await;
            } else if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The withdrawal acts everywhere already, so that there is nothing to weigh: the key that was made then replaces the old one.
    async fn order_again(&self) {
        let _alone = self.ordering.lock().await;
        let withdrawn = self.keys.is_withdrawn(&self.authority, &self.directory.view());
        let Some(next) = read(&self.data_dir).filter(|_| withdrawn) else { return };
        if let Err(error) = self.governance.decisions.rotate_key(&next, true, Actor::NODE).await {
            havenlink_runtime::repeated!(info; %error, "the key that replaces the withdrawn one is not decided on yet");
        }
    }

    fn settle(&self) -> std::io::Result<()> {
        let listed = current(&self.directory.view(), &self.authority);
        if listed.is_none() || listed == self.keys.of(&self.authority).map(|key| key.public()) {
            return Ok(());
        }
        let Some(next) = read(&self.data_dir).filter(|key| Some(key.public()) == listed) else { return Ok(()) };
        self.take_into_use(Arc::new(next))
    }

    /// The old key's last word first, then the file: what signs is what a restart finds.
    fn take_into_use(&self, next: Arc<SigningKey>) -> std::io::Result<()> {
        let _alone = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(old) = self.keys.of(&self.authority).filter(|key| key.public() != next.public()) else {
            return Ok(());
        };
        let name = NodeName { federation: self.directory.view().federation, authority: self.authority.clone() };
        hand_over(&self.data_dir, &name, &old, &next.public(), self.clock.now())?;
        promote(&self.data_dir)?;
        self.keys.set(&self.authority, &next);
        self.directory.set_key(next);
        self.rotated.notify_one();
        Ok(())
    }
}

pub(super) fn make(dir: &Path) -> std::io::Result<SigningKey> {
    let path = dir.join(NEXT);
    // A key of an attempt that failed is taken again: the register may know it already.
    if let Some(key) = read(dir) {
        return Ok(key);
    }
    let pkcs8 = SigningKey::generate().map_err(std::io::Error::other)?;
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    file.write_all(&pkcs8)?;
    file.sync_all()?;
    File::open(dir)?.sync_all()?;
    SigningKey::from_pkcs8(&pkcs8).ok_or_else(|| std::io::Error::other("a fresh key does not load"))
}

fn read(dir: &Path) -> Option<SigningKey> {
    let bytes = zeroize::Zeroizing::new(std::fs::read(dir.join(NEXT)).ok()?);
    SigningKey::from_pkcs8(&bytes)
}

/// The authority's key as the register lists it.
fn current(view: &DirectoryView, authority: &AuthorityId) -> Option<PublicKey> {
    view.member(authority).and_then(|m| m.keys.last()).map(|k| k.key)
}

/// The old key issues a cross certificate for the new one: whoever still holds the old one for current is led on by it. The old
/// key itself is gone after this. Also when it is withdrawn: who knows that believes none of its certificates, and who does not
/// learns it by following.
fn hand_over(dir: &Path, name: &NodeName, old: &SigningKey, new: &PublicKey, now: UnixMs) -> std::io::Result<()> {
    let cross = Issuing { name, key: old, crosses: &[] }.cross(new, now).map_err(std::io::Error::other)?;
    crosses::add(dir, &cross).map_err(std::io::Error::other)
}

/// Backups that were made so far have the old key; that they are asked for anew comes first, so that a crash forgets it never.
fn promote(dir: &Path) -> std::io::Result<()> {
    backup::forget_sealed(dir);
    std::fs::rename(dir.join(NEXT), dir.join(CURRENT))?;
    File::open(dir)?.sync_all()
}

/// Finishes a rotation that the register accepted and a crash cut short. Tells whether there was one.
///
/// # Errors
/// When the file cannot be renamed.
pub fn finish(
    dir: &Path,
    authority: &AuthorityId,
    old: &SigningKey,
    view: &DirectoryView,
    now: UnixMs,
) -> std::io::Result<bool> {
    let Some(next) = read(dir).filter(|key| Some(key.public()) == current(view, authority)) else { return Ok(false) };
    let name = NodeName { federation: view.federation, authority: authority.clone() };
    hand_over(dir, &name, old, &next.public(), now)?;
    promote(dir)?;
    Ok(true)
}
