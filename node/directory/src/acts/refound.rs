//! REFOUND: the ordering begins anew (9.15). Never a change that somebody orders: who knows its base judges it (`refounding`).
//! A snapshot carries it among the decisions on the stewards, and replays it at its place.

use super::{Context, Effects, Judge};
use crate::domain::register::Outcome;
use crate::domain::statement::Refound;
use crate::refounding;

impl Judge for Refound {
    fn judge(self, context: &Context<'_>) -> Result<Effects, Outcome> {
        if context.is_live() {
            return Err(Outcome::UnknownKind);
        }
        refounding::replayed(context.state, &context.unverified.bytes, context.verify)
            .map(|judged| judged.effects())
            .map_err(|_| Outcome::BadSignature)
    }
}
