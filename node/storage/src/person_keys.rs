//! What a store does with the keys of `keys.db` that concern a person (9.9, 9.16): by them a case is found, a partner knows it, and
//! what is stored about it opens. Nothing of it is in the database, nor in a backup of it.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

use crate::Result;
use crate::domain::ids::AuthorityId;
use crate::domain::person::{CaseIndex, CaseReference, CaseScope, SubjectRef};
use crate::domain::record::RecordKey;
use crate::domain::time::UnixMs;
use crate::remains::LookedAt;

/// Keys of cases, and of what is sealed. Each call is durable when it is answered, whoever stops waiting.
pub trait PersonKeys {
    /// What a case is found by here: a keyed hash of its reference, which itself is not stored.
    fn case_index(&self, reference: CaseReference) -> BoxFuture<'_, Result<CaseIndex>>;

    /// Each authority's pseudonym of a case, in their order: the same for 365 days, then another one.
    fn subjects(
        &self,
        reference: CaseReference,
        scope: CaseScope,
        partners: Vec<AuthorityId>,
        now: UnixMs,
    ) -> BoxFuture<'_, Result<Vec<SubjectRef>>>;

    /// Seals what is about a person under a key of its own, which is made if there is none. `None`: it was erased.
    fn seal(&self, key: RecordKey, plain: Zeroizing<Vec<u8>>) -> BoxFuture<'_, Result<Option<Bytes>>>;

    /// Destroys keys, and lets nobody seal under them again. Answered once no file holds them.
    fn erase(&self, keys: Vec<RecordKey>, now: UnixMs) -> BoxFuture<'_, Result<()>>;

    /// Whether its keys were destroyed, here, by a withdrawal or at its end: then it is not taken again.
    fn is_erased(&self, key: RecordKey) -> BoxFuture<'_, Result<bool>>;

    /// Looks through every file that lies beside `keys.db`, that one included, for what is left of a record.
    fn look_for(&self, key: RecordKey) -> BoxFuture<'_, Result<Vec<LookedAt>>>;

    /// Opens what was sealed. `None`: its key is no more, and nobody can.
    fn open_sealed(&self, key: RecordKey, sealed: Bytes) -> BoxFuture<'_, Result<Option<Zeroizing<Vec<u8>>>>>;
}
