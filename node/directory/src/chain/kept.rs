//! What a node keeps for the day on which the order has to begin anew (9.15), in memory as on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::proofs::Proofs;
use crate::disk::{Disk, Kept, Meta, Write};
use crate::domain::directory::{DirectoryView, Member};
use crate::domain::ids::{AuthorityId, KeyId, StatementId};
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::error::Error;
use crate::refounding::{Foundings, SetInForce};
use crate::snapshot_handle::SnapshotHandle;
use crate::state::RegisterState;
use crate::withdrawals::Withdrawals;

/// Read back at each start; what follows from it is worked out again.
#[derive(Default)]
pub struct KeptState {
    pub foundings: Foundings,
    /// Statements from above a base, in their order.
    pub above: BTreeMap<u64, Bytes>,
    /// Whom they deny, until the new line has decided them.
    pub denied: BTreeMap<AuthorityId, UnixMs>,
    /// Keys that were withdrawn by whoever holds them, or above a base. They stay withdrawn.
    pub withdrawn: Withdrawals,
    /// What stewards said of how far the order has come.
    pub proofs: Proofs,
    /// Sets of stewards that were in force on any line.
    pub sets: Vec<SetInForce>,
    /// The register after the newest founding that was followed.
    pub founded: Option<Arc<SnapshotHandle>>,
    /// The highest founding that was signed here.
    pub pledged: Option<(u64, StatementId)>,
    /// Foundings that stand against each other.
    pub contested: Vec<StatementId>,
}

impl KeptState {
    /// Reads it back.
    pub fn open(disk: &Disk, founded: Option<Arc<SnapshotHandle>>) -> Result<Self, Error> {
        let damaged = || Error::new(Reason::StorageDamaged, "what is kept of foundings");
        let mut kept = Self { founded, ..Self::default() };
        for (_, signed) in disk.kept(Kept::Founding)? {
            kept.foundings.add(&signed.into());
        }
        for (id, _) in disk.kept(Kept::Chosen)? {
            kept.foundings.choose(StatementId::from_slice(&id).ok_or_else(damaged)?);
        }
        for (place, signed) in disk.kept(Kept::Above)? {
            kept.above.insert(number(&place).ok_or_else(damaged)?, signed.into());
        }
        for (authority, until) in disk.kept(Kept::Denied)? {
            let until = number(&until).and_then(|until| i64::try_from(until).ok()).ok_or_else(damaged)?;
            kept.denied.insert(authority_of(&authority).ok_or_else(damaged)?, UnixMs(until));
        }
        for (id, signed) in disk.kept(Kept::Withdrawn)? {
            let key = id.first_chunk::<16>().ok_or_else(damaged)?;
            kept.withdrawn.insert(KeyId(*key), signed.into());
        }
        kept.proofs = Proofs::open(disk)?;
        for (set, _) in disk.kept(Kept::Stewards)? {
            kept.sets.push(set_of(&set).ok_or_else(damaged)?);
        }
        if let Some(row) = disk.meta(Meta::Pledge)? {
            let (founding, id) = row.split_at_checked(8).ok_or_else(damaged)?;
            let id = StatementId::from_slice(id).ok_or_else(damaged)?;
            kept.pledged = Some((number(founding).ok_or_else(damaged)?, id));
        }
        Ok(kept)
    }

    /// What stands above a base goes on denying in the view: members, and keys that were withdrawn there.
    pub fn deny(&self, view: &mut DirectoryView) {
        for (authority, until) in &self.denied {
            if view.overlay.get(authority).is_none_or(|known| known < until) {
                view.overlay.insert(authority.clone(), *until);
            }
        }
        if self.withdrawn.is_empty() {
            return;
        }
        let stands =
            |member: &Member| member.keys.iter().any(|key| !key.compromised && self.is_withdrawn(&key.key.id()));
        for (authority, member) in view.members.clone().iter().filter(|(_, member)| stands(member)) {
            let mut cut = Member::clone(member);
            cut.keys.iter_mut().for_each(|key| key.compromised |= self.is_withdrawn(&key.key.id()));
            view.members.insert(authority.clone(), Arc::new(cut));
        }
    }

    fn is_withdrawn(&self, key: &KeyId) -> bool {
        self.withdrawn.contains(key)
    }

    /// The highest founding that this node has anything to do with.
    pub fn highest(&self, state: &RegisterState) -> u64 {
        let pledged = self.pledged.map_or(0, |(founding, _)| founding);
        self.foundings.highest().max(pledged).max(state.position().founding)
    }

    /// Remembers a set of stewards; the row to write, if it is new.
    pub fn saw(&mut self, set: SetInForce) -> Option<Write> {
        if self.sets.contains(&set) {
            return None;
        }
        let row = Write::Keep(Kept::Stewards, key_of(&set), Vec::new());
        self.sets.push(set);
        Some(row)
    }

    /// Notes a statement from above a base behind those that are there already.
    pub fn put_above(&mut self, signed: &Bytes) -> Option<Write> {
        if self.above.values().any(|known| known == signed) {
            return None;
        }
        let place = self.above.last_key_value().map_or(0, |(last, _)| last + 1);
        self.above.insert(place, signed.clone());
        Some(Write::Keep(Kept::Above, place.to_be_bytes().to_vec(), signed.to_vec()))
    }

    /// What the line that is left denies, and the one that is gone on with does not yet.
    pub fn note_denied(&mut self, left: &RegisterState, now: &RegisterState) -> Vec<Write> {
        let mut writes = Vec::new();
        for (authority, member) in left.members() {
            let until = if member.removed_at.is_some() { Some(UnixMs::NEVER) } else { member.suspended_until };
            let here = now.member(authority);
            let already = here.is_some_and(|here| here.removed_at.is_some() || here.suspended_until >= until);
            if let Some(until) = until.filter(|_| !already && here.is_some()) {
                self.denied.insert(authority.clone(), until);
                let value = until.0.unsigned_abs().to_be_bytes().to_vec();
                writes.push(Write::Keep(Kept::Denied, authority.as_str().as_bytes().to_vec(), value));
            }
            for key in member.keys.iter().filter(|key| key.compromised) {
                if self.withdrawn.insert(key.key.id(), Bytes::new()) {
                    writes.push(Write::Keep(Kept::Withdrawn, key.key.id().as_bytes().to_vec(), Vec::new()));
                }
            }
        }
        writes
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn authority_of(bytes: &[u8]) -> Option<AuthorityId> {
    AuthorityId::parse(std::str::from_utf8(bytes).ok()?)
}

fn key_of(set: &SetInForce) -> Vec<u8> {
    let names: Vec<&str> = set.stewards.iter().map(AuthorityId::as_str).collect();
    [&set.founding.to_be_bytes()[..], &set.version.to_be_bytes(), names.join(" ").as_bytes()].concat()
}

fn set_of(key: &[u8]) -> Option<SetInForce> {
    let (founding, rest) = key.split_at_checked(8)?;
    let (version, names) = rest.split_at_checked(8)?;
    let names = std::str::from_utf8(names).ok()?.split(' ').map(AuthorityId::parse);
    Some(SetInForce {
        founding: number(founding)?,
        version: number(version)?,
        stewards: names.collect::<Option<Vec<_>>>()?,
    })
}

/// The rows of a pledge: on disk before the signature goes out.
pub fn pledge(founding: u64, id: &StatementId) -> Write {
    Write::Set(Meta::Pledge, [&founding.to_be_bytes()[..], id.as_bytes()].concat())
}

/// The row of a founding.
pub fn founding(id: &StatementId, signed: &Bytes) -> Write {
    Write::Keep(Kept::Founding, id.as_bytes().to_vec(), signed.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(&dir.path().join("directory.redb")).unwrap();
        let names = ["de-kehl", "fr-strasbourg"].map(|id| AuthorityId::parse(id).unwrap());
        let set = SetInForce { founding: 1, version: 7, stewards: names.to_vec() };
        let mut kept = KeptState::default();
        let mut rows = vec![kept.saw(set.clone()).unwrap(), pledge(3, &StatementId([9; 32]))];
        assert!(kept.saw(set.clone()).is_none());
        for signed in [&b"first"[..], b"second"] {
            rows.push(kept.put_above(&Bytes::copy_from_slice(signed)).unwrap());
        }
        assert!(kept.put_above(&Bytes::from_static(b"first")).is_none(), "once");
        rows.push(Write::Keep(Kept::Withdrawn, vec![5; 16], Vec::new()));
        rows.push(Write::Keep(Kept::Denied, b"be-gent".to_vec(), 77_u64.to_be_bytes().to_vec()));
        disk.write(rows).await.unwrap();
        let read = KeptState::open(&disk, None).unwrap();
        assert_eq!(read.sets, [set]);
        assert!(read.above.values().eq(["first", "second"]));
        assert_eq!(read.pledged, Some((3, StatementId([9; 32]))));
        assert_eq!(read.denied.values().copied().collect::<Vec<_>>(), [UnixMs(77)]);
        assert!(read.withdrawn.contains(&KeyId([5; 16])));
        disk.write(vec![Write::DropAllKept(Kept::Above)]).await.unwrap();
        assert!(KeptState::open(&disk, None).unwrap().above.is_empty());
        assert_eq!(disk.kept(Kept::Stewards).unwrap().len(), 1, "of its kind alone");
    }
}
