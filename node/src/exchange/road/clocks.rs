//! A partner's clock beside this node's: how far apart they are, and which of the two the stewards' beats say is wrong.
//!
//! Each message of a partner says what its clock shows. Time that no clock setting moves, counted from the last beat of a
//! majority, says which clock to look at (9.3).

use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::time::Millis;

use super::Road;
use crate::exchange::context::LATELY;

/// Two clocks that differ by more than a message's way explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockDifference {
    pub partner: AuthorityId,
    /// The partner's clock less this one.
    pub ahead: Millis,
    pub whose: Whose,
}

/// Which clock is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Ours,
    Theirs,
    Both,
    /// No majority of stewards was heard since the start.
    Unknown,
}

impl ClockDifference {
    /// By the difference, and by how far this clock is ahead of the confirmed time.
    fn new(partner: AuthorityId, ahead: Millis, ours: Option<Millis>) -> Self {
        let off = |ahead: Millis| ahead.0.saturating_abs() > limits::CLOCK_WARN.0;
        let whose = match ours.map(|ours| (off(ours), off(Millis(ours.0.saturating_add(ahead.0))))) {
            Some((true, false)) => Whose::Ours,
            Some((false, true)) => Whose::Theirs,
            Some((true, true)) => Whose::Both,
            // Each within its bounds, on either side of the right time.
            Some((false, false)) | None => Whose::Unknown,
        };
        Self { partner, ahead, whose }
    }

    fn side(&self) -> &'static str {
        if self.ahead.0 > 0 { "ahead of" } else { "behind" }
    }

    fn seconds(&self) -> i64 {
        self.ahead.0.saturating_abs() / 1_000
    }

    /// For this node's operator: how far, and whose.
    pub fn finding(&self) -> String {
        let whose = match self.whose {
            Whose::Ours => "by the stewards' beats it is this one that is wrong".to_owned(),
            Whose::Theirs => format!("by the stewards' beats this one is right, and that of {} is wrong", self.partner),
            Whose::Both => "by the stewards' beats both are wrong".to_owned(),
            Whose::Unknown => "no majority of stewards says which is wrong".to_owned(),
        };
        format!("the clock of {} is {} s {} this one: {whose}", self.partner, self.seconds(), self.side())
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        let here = "timedatectl shows the clock; timedatectl set-ntp true mends it";
        match self.whose {
            Whose::Ours => here.to_owned(),
            Whose::Theirs => {
                format!("havenctl member show {} names its desk: timedatectl set-ntp true mends it there", self.partner)
            }
            Whose::Both | Whose::Unknown => format!("{here}, here or at {}", self.partner),
        }
    }

    /// For the partner, from its side.
    pub fn told_to_partner(&self) -> String {
        let whose = match self.whose {
            Whose::Ours => "by the stewards' beats the receiver's is wrong",
            Whose::Theirs => "by the stewards' beats the receiver's is right",
            Whose::Both => "by the stewards' beats both are wrong",
            Whose::Unknown => "the receiver has heard no majority of stewards",
        };
        format!("the sender's clock is {} s {} the receiver's: {whose}", self.seconds(), self.side())
    }
}

impl Road {
    /// How a partner's clock differs from this one, if it was heard lately and the two differ by more than two minutes. A clock
    /// may have been put right since: where there is nothing to say to each other any more, nobody would tell.
    pub fn clock_difference(&self, partner: &AuthorityId) -> Option<ClockDifference> {
        let (heard, now) = (self.links.clock(partner)?, self.now());
        let lately = u128::from(now.since(heard.at).0.unsigned_abs()) <= LATELY.as_millis();
        let differs = heard.ahead.0.saturating_abs() > limits::CLOCK_WARN.0;
        let ours = self.context.confirmed_time().map(|confirmed| now.since(confirmed));
        (lately && differs).then(|| ClockDifference::new(partner.clone(), heard.ahead, ours))
    }

    /// Whether content about a person waits on the way to this partner: the register is not confirmed, or the clocks are too far
    /// apart (9.3, 9.4). By a clock that differs nobody can say what has ended.
    pub(super) fn persons_wait(&self, partner: &AuthorityId, view: &DirectoryView) -> bool {
        let differs = |found: ClockDifference| found.ahead.0.saturating_abs() > limits::CLOCK_STOP.0;
        !view.is_fresh(self.context.closing_time()) || self.clock_difference(partner).is_some_and(differs)
    }

    /// The largest of all partners' differences.
    pub fn worst_clock_difference(&self) -> Option<ClockDifference> {
        let differences =
            self.links.clocks_heard_of().into_iter().filter_map(|partner| self.clock_difference(&partner));
        differences.max_by_key(|difference| difference.ahead.0.saturating_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples::kehl;

    #[test]
    fn the_beats_say_whose_clock_is_wrong() {
        let hour = Millis::hours(1);
        for (ahead, ours, whose) in [
            (hour, Some(Millis(-hour.0)), Whose::Ours),
            (Millis(-hour.0), Some(Millis(0)), Whose::Theirs),
            (hour, Some(hour), Whose::Both),
            (hour, None, Whose::Unknown),
        ] {
            let difference = ClockDifference::new(kehl(), ahead, ours);
            assert_eq!(difference.whose, whose, "{ahead:?} {ours:?}");
            assert!(difference.finding().contains("de-kehl") && difference.finding().contains("3600 s"));
            assert!(difference.remedy().contains("timedatectl"));
        }
        let ours = ClockDifference::new(kehl(), hour, Some(Millis(-hour.0)));
        assert_eq!(
            ours.told_to_partner(),
            "the sender's clock is 3600 s ahead of the receiver's: by the stewards' beats the receiver's is wrong"
        );
    }
}
