//! The register as the exchange sees it: the view in memory, and a sign when it changed.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::domain::authority::{MemberStatus, PublicKey};
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, KeyId};
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;

/// Gives the view. The directory is one, a fixed view in a test another.
pub trait Register: Send + Sync + 'static {
    /// The newest verified view; takes no lock.
    fn view(&self) -> Arc<DirectoryView>;
    /// Rises with every change of the view.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// A register over the view that the directory swaps and transport reads.
pub struct SharedView {
    /// Where the view stands.
    pub source: Arc<ArcSwap<DirectoryView>>,
    /// Its changes.
    pub changes: watch::Receiver<u64>,
}

impl Register for SharedView {
    fn view(&self) -> Arc<DirectoryView> {
        self.source.load_full()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}

/// A function that finds an authority's key which may verify now.
pub(in crate::exchange) fn key_of(
    view: &DirectoryView,
    now: UnixMs,
) -> impl Fn(&AuthorityId, &KeyId) -> Option<PublicKey> + use<'_> {
    move |authority, id| view.verifying_key(authority, id, now).copied()
}

/// The refusal that a standing other than ACTIVE is.
pub(in crate::exchange) fn active(view: &DirectoryView, authority: &AuthorityId, now: UnixMs) -> Result<(), Reason> {
    match view.status(authority, now) {
        MemberStatus::Active => Ok(()),
        MemberStatus::Suspended => Err(Reason::MemberSuspended),
        MemberStatus::Removed => Err(Reason::MemberRemoved),
        MemberStatus::Unknown => Err(Reason::MemberUnknown),
    }
}

/// The caller of a connection speaks for itself and for those whose entry names it as their host.
pub(in crate::exchange) fn speaks_for(
    view: &DirectoryView,
    caller: &AuthorityId,
    origin: &AuthorityId,
) -> Result<(), Reason> {
    if view.host_of(origin).is_some_and(|host| host == caller) { Ok(()) } else { Err(Reason::WrongOrigin) }
}
