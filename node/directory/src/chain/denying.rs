//! What denies without having been ordered: emergency suspensions, and keys that were withdrawn (9.4).

use bytes::Bytes;

use super::{Chain, Core};
use crate::disk::{Kept, Write};
use crate::domain::authority::PublicKey;
use crate::domain::ids::{AuthorityId, KeyId, StatementId};
use crate::domain::reason::Reason;
use crate::error::Error;
use crate::state::RegisterState;
use crate::wire::keys::Verify;
use crate::wire::statement;
use crate::withdrawals::Withdrawals;
use crate::{beats, overlay, rotations};

impl Chain {
    /// The overlay's statements that others may still take, and the withdrawals that the register does not know yet; encoded.
    pub fn denials(&self) -> Vec<(StatementId, Bytes)> {
        let withdrawn: Vec<_> = {
            let core = self.lock();
            to_tell(&core.kept.withdrawn, &core.best).collect()
        };
        self.overlay().into_iter().chain(withdrawn).collect()
    }

    /// Takes in a withdrawal of a key: on disk, then acting. Whether it was new; `None`: it is none.
    ///
    /// # Errors
    /// Why it does not count, or that it could not be stored.
    pub async fn accept_withdrawal(&self, signed: &Bytes) -> Result<Option<bool>, Error> {
        let Some(Withdrawal { authority, key }) = read(signed, &self.state(), &self.verified)? else {
            return Ok(None);
        };
        let signed = Bytes::copy_from_slice(signed);
        let row = {
            let core = self.lock();
            if !core.kept.withdrawn.is_new(&key, &signed) {
                return Ok(Some(false));
            }
            core.kept.withdrawn.next_row(&key)
        };
        self.disk.write(vec![Write::Keep(Kept::Withdrawn, row, signed.to_vec())]).await?;
        let mut core = self.lock();
        if !core.kept.withdrawn.insert(key, signed) {
            return Ok(Some(false));
        }
        self.forget_signs(&mut core, &authority)?;
        self.publish(&mut core);
        self.heard.send_modify(|count| *count += 1);
        Ok(Some(true))
    }

    /// Whoever passes on what was signed under a key of which it has not heard that it was withdrawn does not lie.
    pub(super) fn told_by_withdrawn(&self, signed: &Bytes, refused: Reason) -> Reason {
        let (best, now) = (self.state(), self.clock.now());
        let held = refused == Reason::SignatureInvalid && overlay::read(signed, &best, now, &self.verified).is_ok();
        if held { Reason::NotASteward } else { refused }
    }

    /// The newest verified state as beats, words and foundings are judged by it.
    pub fn judged_by(&self) -> RegisterState {
        self.lock().judged_by()
    }

    /// The key that comes after one that was withdrawn, whether anybody has ordered it or not.
    pub fn successor(&self, key: &KeyId) -> Option<PublicKey> {
        self.lock().kept.withdrawn.successor(key)
    }

    /// Forgets what a steward said under a key that proves nothing any more, and a snapshot that nobody else proved.
    fn forget_signs(&self, core: &mut Core, steward: &AuthorityId) -> Result<(), Error> {
        let judge = core.judged_by();
        let stands = |signed: &Bytes| beats::open(signed).is_ok_and(|beat| beat.check(&judge, &self.verified).is_ok());
        if core.beats.newest().any(|(beat, signed)| beat.steward == *steward && !stands(signed)) {
            core.beats.forget(steward);
        }
        let rows = core.kept.proofs.forget(steward, stands);
        if !rows.is_empty() {
            self.disk.submit(rows, false, None)?;
        }
        core.proven = None;
        self.note_proven(core);
        Ok(())
    }
}

impl Core {
    /// The newest verified state, without what withdrawn keys would prove, and with what those prove that come after them.
    pub(super) fn judged_by(&self) -> RegisterState {
        match self.kept.withdrawn.is_empty() {
            true => self.best.clone(),
            false => self.best.without_keys(&self.kept.withdrawn),
        }
    }
}

/// A withdrawal that its owner signed.
struct Withdrawal {
    authority: AuthorityId,
    key: KeyId,
}

/// What others may not know yet: the register of whoever follows does not say so itself.
fn to_tell<'a>(
    withdrawals: &'a Withdrawals,
    state: &'a RegisterState,
) -> impl Iterator<Item = (StatementId, Bytes)> + 'a {
    let ordered = |key: &KeyId| {
        state.stands(key).is_none_or(|of| of.keys.iter().any(|held| held.key.id() == *key && held.compromised))
    };
    let told = withdrawals.stated().filter(move |(key, _)| !ordered(key));
    told.filter_map(|(_, signed)| {
        let (_, unverified) = statement::open(signed.clone()).ok()?;
        Some((statement::id(&unverified.payload_digest()), signed.clone()))
    })
}

/// Reads a withdrawal of this federation. `None`: the statement is none.
///
/// # Errors
/// `STATEMENT_MALFORMED`, `WRONG_FEDERATION`, `MEMBER_UNKNOWN`, or `SIGNATURE_INVALID` when the key that it withdraws, and the one
/// that comes after it, did not sign it.
fn read(signed: &Bytes, state: &RegisterState, verify: &dyn Verify) -> Result<Option<Withdrawal>, Reason> {
    let Some(opened) = rotations::open(signed)?.filter(|opened| opened.compromised) else { return Ok(None) };
    if opened.federation != state.federation() {
        return Err(Reason::WrongFederation);
    }
    let member = state.member(&opened.authority).ok_or(Reason::MemberUnknown)?;
    let key_of = |id: &KeyId| member.keys.iter().map(|held| held.key).find(|key| key.id() == *id);
    let rotated = opened.check(key_of, verify)?;
    Ok(Some(Withdrawal { authority: rotated.authority, key: rotated.old }))
}
