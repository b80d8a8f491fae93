//! Which partners have said what of their records about persons was withdrawn (9.10), since when nothing can have been missed.
//!
//! Invariant: what a partner sent about a person is closed from a restore on, from a start more than ten minutes after the last
//! contact on, and from the end of a suspension of either on, until that partner has answered; nothing but its answer opens.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::domain::time::{Millis, UnixMs};
use crate::storage::rows::AnsweredRow;

/// A start so long after the last contact may have missed a notice.
const AWAY: Millis = Millis::minutes(10);

/// Of this node, and the partner.
pub(in crate::exchange) type Pair = (AuthorityId, AuthorityId);

/// How the two stood: another one means that one of them was suspended or removed meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
struct BothStand([(u64, Option<UnixMs>, Option<UnixMs>); 2]);

impl BothStand {
    /// By this view; `None`: it does not name both, or one of them may not speak now.
    fn of(view: &DirectoryView, (ours, partner): &Pair, now: UnixMs) -> Option<Self> {
        let one = |authority: &AuthorityId| {
            let member = view.member(authority)?;
            let active = view.status(authority, now) == MemberStatus::Active;
            active.then(|| (member.status_version, member.suspended_until, view.overlay.get(authority).copied()))
        };
        Some(Self([one(ours)?, one(partner)?]))
    }
}

enum Open {
    /// Until it answers.
    No,
    /// Since a time in which nothing was missed; how the two stood is seen with the first look.
    FromStart,
    /// Since both stood like this.
    Since(BothStand),
    /// One of them is suspended, or not known yet: it is asked again when that is over.
    UntilBack,
}

struct Known {
    open: Open,
    contact: UnixMs,
    unknown: bool,
}

/// By pair.
#[derive(Default)]
pub(in crate::exchange) struct Answered(Mutex<BTreeMap<Pair, Known>>);

impl Answered {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Pair, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is stored, at a start.
    pub(in crate::exchange) fn load(&self, rows: Vec<AnsweredRow>, now: UnixMs) {
        let known = |row: AnsweredRow| {
            let away = now.since(row.contact).0.abs() > AWAY.0;
            let open = if away { Open::No } else { Open::FromStart };
            ((row.ours, row.partner), Known { open, contact: row.contact, unknown: row.unknown })
        };
        *self.lock() = rows.into_iter().map(known).collect();
    }

    /// Whether what the partner sent about persons may be shown now.
    pub(in crate::exchange) fn is_open(&self, view: &DirectoryView, pair: &Pair, now: UnixMs) -> bool {
        let mut all = self.lock();
        let Some(known) = all.get_mut(pair) else { return false };
        let (open, is_open) = match (&known.open, BothStand::of(view, pair, now)) {
            (Open::No, _) | (Open::UntilBack, Some(_)) => (Open::No, false),
            (Open::FromStart, Some(standing)) => (Open::Since(standing), true),
            (Open::Since(then), Some(standing)) if *then == standing => return true,
            (Open::Since(_), Some(_)) => (Open::No, false),
            (Open::FromStart | Open::Since(_) | Open::UntilBack, None) => (Open::UntilBack, true),
        };
        known.open = open;
        is_open
    }

    /// Whether the partner answered since the node was made or last restored, and knows of no withdrawal that is unknown here.
    pub(in crate::exchange) fn knows_all(&self, pair: &Pair) -> bool {
        self.lock().get(pair).is_some_and(|known| !known.unknown)
    }

    /// Whether it answered since the node was made or last restored.
    pub(in crate::exchange) fn has_answered(&self, pair: &Pair) -> bool {
        self.lock().contains_key(pair)
    }

    /// Until when the line is known to have stood, as it is stored, and whether the partner knows of more than is known here.
    pub(in crate::exchange) fn stored(&self, pair: &Pair) -> Option<(UnixMs, bool)> {
        self.lock().get(pair).map(|known| (known.contact, known.unknown))
    }

    /// It has answered a question that was put under this view, and the answer is stored.
    pub(in crate::exchange) fn heard(&self, view: &DirectoryView, row: AnsweredRow, now: UnixMs) {
        let pair = (row.ours, row.partner);
        let open = BothStand::of(view, &pair, now).map_or(Open::UntilBack, Open::Since);
        self.lock().insert(pair, Known { open, contact: row.contact, unknown: row.unknown });
    }

    /// The line stood until then, and that is stored.
    pub(in crate::exchange) fn stood(&self, pair: &Pair, contact: UnixMs) {
        if let Some(known) = self.lock().get_mut(pair) {
            known.contact = contact;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::directory::Member;
    use crate::domain::samples::{NOW, kehl, strasbourg, view};

    fn row(contact: UnixMs) -> AnsweredRow {
        AnsweredRow { ours: kehl(), partner: strasbourg(), contact, unknown: false }
    }

    fn pair() -> Pair {
        (kehl(), strasbourg())
    }

    /// The view with another standing of one of them.
    fn changed(view: &DirectoryView, who: &AuthorityId, change: impl FnOnce(&mut Member)) -> DirectoryView {
        let (mut view, mut member) = (view.clone(), Member::clone(&view.members[who]));
        change(&mut member);
        view.members.insert(who.clone(), Arc::new(member));
        view
    }

    #[test]
    fn a_start_within_ten_minutes_of_the_last_contact_goes_on_and_a_later_one_asks() {
        for (contact, open) in [
            (NOW, true),
            (NOW - Millis::minutes(10), true),
            (NOW - Millis::minutes(10) - Millis(1), false),
            (NOW + Millis::minutes(11), false),
        ] {
            let answered = Answered::default();
            answered.load(vec![row(contact)], NOW);
            assert_eq!(answered.is_open(&view(), &pair(), NOW), open, "{contact:?}");
            assert!(answered.has_answered(&pair()) && answered.knows_all(&pair()));
        }
        let answered = Answered::default();
        assert!(!answered.is_open(&view(), &pair(), NOW) && !answered.has_answered(&pair()), "it never answered");
    }

    #[test]
    fn the_end_of_a_suspension_of_either_closes_and_an_answer_opens() {
        for who in [kehl(), strasbourg()] {
            let answered = Answered::default();
            answered.heard(&view(), row(NOW), NOW);
            let open = |view: &DirectoryView| answered.is_open(view, &pair(), NOW);
            assert!(open(&view()));
            let suspended = changed(&view(), &who, |member| member.suspended_until = Some(UnixMs::NEVER));
            assert!(open(&suspended), "its caseworkers go on with whom they took on");
            answered.heard(&suspended, row(NOW), NOW);
            assert!(open(&suspended));
            assert!(!open(&view()), "an answer from before its end opens nothing after it");
            answered.heard(&view(), row(NOW), NOW);
            assert!(open(&view()));
            // Suspended and restored between two looks.
            let back = changed(&view(), &who, |member| member.status_version += 2);
            assert!(!open(&back));
            assert!(!open(&back) && !open(&suspended));
        }
    }
}
