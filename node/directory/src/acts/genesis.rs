//! GENESIS: the first steward founds a federation. It is where a register begins (`RegisterState::genesis`), never a
//! change of one.

use bytes::Bytes;

use super::{Context, Effects, Judge};
use crate::domain::authority::AuthorityEntry;
use crate::domain::directory::Policy;
use crate::domain::register::Outcome;
use crate::domain::statement::{Genesis, Subject};
use crate::statements::Author;
use crate::wire::signed;

impl Judge for Genesis {
    fn judge(self, _context: &Context<'_>) -> Result<Effects, Outcome> {
        Err(Outcome::Malformed)
    }
}

impl Author<'_> {
    /// The statement that founds a federation; its author is the first steward.
    pub fn genesis(&self, entry: &AuthorityEntry, policy: &Policy) -> Bytes {
        let body = Genesis { steward: Box::new(entry.clone()), policy: policy.clone() };
        let subject = Subject::Authority(self.authority.clone());
        let statement = self.statement(signed::NO_FEDERATION, policy.rules_version, subject, 0, body);
        self.signed(&statement).signed
    }
}
