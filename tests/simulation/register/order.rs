//! A statement is ordered: what must hold of the register then.

use bytes::{Buf, Bytes};
use havenlink_directory::RegisterState;
use havenlink_directory::snapshot;
use havenlink_directory::state::ProposalState;
use havenlink_domain::register::Applied;
use havenlink_domain::statement::Act;
use havenlink_domain::time::{Millis, UnixMs};

use super::{Link, Register};

impl Register {
    /// The time at which it is ordered now: that of the clock, or of the newest entry.
    pub(super) fn order_time(&self) -> UnixMs {
        (self.now + Millis(self.off)).max(self.book.state.entry_time())
    }

    /// Orders a statement.
    pub(super) fn order(&mut self, signed: &Bytes) -> Applied {
        let time = self.order_time();
        let before = self.book.state.clone();
        let applied = self.book.state.apply(time, signed, &self.verify);
        let state = &self.book.state;
        self.trace.note(format_args!(
            "order {} at {} {:?} head {:?}",
            state.number(),
            time.0,
            applied.outcome,
            state.head()
        ));
        match applied.taken() {
            Some(number) => {
                let (signed, outcome, head) = (signed.clone(), applied.outcome, state.head());
                self.log.push(Link { number, time, signed, outcome, head });
                if number != before.number() + 1 || applied.head != Some(head) {
                    self.trace.fault("EQUAL", format_args!("change {} after {}", number, before.number()));
                }
            }
            None if (state.number(), state.head()) != (before.number(), before.head()) => {
                self.trace
                    .fault("INERT", format_args!("a repeated statement changed the register at {}", before.number()));
            }
            None => {}
        }
        self.check_time(&before);
        if !applied.outcome.is_accepted() && self.chance.one_in(4) && content(&before) != content(&self.book.state) {
            self.trace.fault(
                "INERT",
                format_args!("{:?} changed what stands in the register at {}", applied.outcome, before.number()),
            );
        }
        applied
    }

    /// Time falls by a RETIME alone, and then nothing lies beyond it.
    fn check_time(&mut self, before: &RegisterState) {
        let state = &self.book.state;
        let to = state.entry_time();
        if to >= before.entry_time() {
            return;
        }
        let carried = state.proposals().any(|proposal| {
            proposal.state == ProposalState::Carried
                && matches!(&*proposal.act, Act::Retime(retime) if retime.time == to)
        });
        if !carried {
            self.trace
                .fault("FORWARD", format_args!("time fell to {} at {}, and nobody decided it", to.0, state.number()));
        }
        if let Some(beyond) = beyond(state, to) {
            self.trace.fault("CUT", format_args!("{beyond} lies beyond the RETIME to {} at {}", to.0, state.number()));
        }
    }
}

/// What lies further behind a RETIME than it may.
fn beyond(state: &RegisterState, to: UnixMs) -> Option<String> {
    let policy = state.policy();
    for (id, member) in state.members() {
        let suspended = member.suspended_until.filter(|until| *until != UnixMs::NEVER);
        let history = state.history(id);
        let late = suspended.is_some_and(|until| until > to + policy.emergency)
            || member.removed_at.is_some_and(|at| at > to)
            || member.keys.iter().any(|key| key.replaced_at.is_some_and(|at| at > to))
            || history
                .is_some_and(|history| history.admitted_at > to || history.emergencies.values().any(|at| *at > to));
        if late {
            return Some(format!("the entry of {id}"));
        }
    }
    let late = |proposal: &&std::sync::Arc<havenlink_directory::state::Proposal>| {
        let life = proposal.expires_at.since(proposal.opened_at);
        proposal.opened_at > to || proposal.expires_at > to + life || proposal.votes.iter().any(|vote| vote.at > to)
    };
    state.proposals().find(late).map(|proposal| format!("a proposal about {:?}", proposal.subject))
}

/// All that stands in the register but its position, which is the first item of its snapshot.
pub(super) fn content(state: &RegisterState) -> Bytes {
    let mut items = snapshot::encode(state).items;
    let (mut length, mut shift) = (0_usize, 0);
    while items.has_remaining() {
        let byte = items.get_u8();
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            break;
        }
    }
    items.advance(length.min(items.remaining()));
    items
}
