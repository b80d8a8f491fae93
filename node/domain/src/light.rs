//! The light that a coordinator sees: the worst of availability, freshness and reachability, computed by the reader.
//!
//! How old a statement is, no wall clock tells alone: it may be set back while the node runs, or between two runs. What
//! was heard in this run is as old as the monotonic clock says, or as the wall clock says if that is more. What is left
//! from before is as old as the wall clock says, as long as that is not known to be behind.

use std::collections::HashMap;
use std::time::Duration;

use super::closed::closed_enum;
use super::ids::{AuthorityId, OfferId};
use super::limits;
use super::records::offer::{AvailabilityClass, CapacityBand, CapacityLevel, CapacityView, OfferStatus};
use super::time::{Millis, UnixMs};

closed_enum! {
    /// From good to bad; the order is what "worst of" means.
    pub enum Light {
        Available = 1 => "AVAILABLE", Few = 2 => "FEW",
        /// Reported 1 to 8 hours ago.
        CallFirst = 3 => "CALL_FIRST",
        Full = 4 => "FULL", ClosedUntil = 5 => "CLOSED_UNTIL",
        /// More than 8 hours ago, past its life, or never.
        NotReported = 6 => "NOT_REPORTED",
        /// The partner does not answer; what was last known stands beside it.
        Unreachable = 7 => "UNREACHABLE",
    }
}

closed_enum! {
    /// What made a light as it is.
    pub enum LightReason {
        /// How much there is.
        Capacity = 1 => "CAPACITY",
        /// How its owner says that it stands.
        Status = 2 => "STATUS",
        /// How long ago that was said.
        Age = 3 => "AGE",
        /// The partner does not answer.
        Silence = 4 => "SILENCE",
    }
}

/// The light of a view whose statement has this age (`None`: not known), of a partner that answers or not.
pub fn light(view: &CapacityView, age: Option<Millis>, reachable: bool, now: UnixMs) -> Light {
    explained(view, age, reachable, now).0
}

/// The same, and what made it so: of two that make it equally bad the one that stands nearer to the place itself.
pub fn explained(view: &CapacityView, age: Option<Millis>, reachable: bool, now: UnixMs) -> (Light, LightReason) {
    let (available, fresh) = (availability(view, now), freshness(view.time_to_live, age));
    match () {
        () if !reachable => (Light::Unreachable, LightReason::Silence),
        () if fresh > available => (fresh, LightReason::Age),
        () if view.status != OfferStatus::Open => (available, LightReason::Status),
        () => (available, LightReason::Capacity),
    }
}

/// Age of a statement now: its age at sending, told by the owner, and our monotonic time since receipt (9.11).
/// Negative or missing parts give no age.
pub fn age(at_sending: Option<Millis>, since_receipt: Millis) -> Option<Millis> {
    let at_sending = at_sending.filter(|age| age.0 >= 0)?;
    (since_receipt.0 >= 0).then(|| Millis(at_sending.0.saturating_add(since_receipt.0)))
}

/// Both clocks, read together, the monotonic one read first: a pause between the two makes what is heard older, never newer.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    pub monotonic: Duration,
    pub wall: UnixMs,
}

impl Clocks {
    /// Wall time less monotonic time; only a step of the wall clock changes it.
    fn lead(self) -> Millis {
        self.wall.since(UnixMs(0)) - span(self.monotonic)
    }
}

/// One statement about an offer, and the wall time of its receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementKey {
    pub origin: AuthorityId,
    pub offer: OfferId,
    pub version: u64,
    pub received: UnixMs,
}

/// When this run of a node heard what.
#[derive(Debug)]
pub struct ReceiptClock {
    started: Duration,
    /// A wall clock that leads by less is known to be behind: this node wrote down a later instant before it started.
    least: Millis,
    /// The furthest lead of a wall clock that is not known to be behind; `None`: none was seen yet.
    furthest: Option<Millis>,
    /// Of each offer what readers may find stored: first what a commit answered for last, then what is being stored.
    statements: HashMap<(AuthorityId, OfferId), Vec<Noted>>,
}

type Noted = (StatementKey, Duration);

/// Statements of one offer that may be on their way into the store at once; each try of a batch is one.
const COMING: usize = 4;

impl ReceiptClock {
    /// Nothing yet. `written`: the newest instant that this node wrote down before it started.
    pub fn new(written: UnixMs, now: Clocks) -> Self {
        let least = Clocks { wall: written, ..now }.lead();
        let mut heard = Self { started: now.monotonic, least, furthest: None, statements: HashMap::new() };
        heard.observe(now);
        heard
    }

    /// Notes statements before they are stored, so that nobody reads one that is not noted. Until `stored` says that one is,
    /// the one before it goes on having its age.
    pub fn note(&mut self, at: Duration, statements: impl IntoIterator<Item = StatementKey>) {
        // What is older than this is NOT_REPORTED, noted or not.
        let fresh = |(_, heard): &Noted| span(at.saturating_sub(*heard)) <= limits::LIGHT_STALE;
        self.statements.retain(|_, noted| noted.iter().any(fresh));
        for told in statements {
            self.observe(Clocks { monotonic: at, wall: told.received });
            let key = (told.origin.clone(), told.offer);
            let noted = self.statements.entry(key).or_default();
            // A lower version is not stored.
            if noted.iter().all(|(held, _)| held.version <= told.version)
                && !noted.iter().any(|(held, _)| *held == told)
            {
                if noted.len() > COMING {
                    // Tries that failed; the first is what is stored.
                    noted.remove(1);
                }
                noted.push((told, at));
            }
        }
    }

    /// The commit that stores this statement has answered: nobody reads an earlier one any more.
    pub fn stored(&mut self, told: &StatementKey) {
        if let Some(noted) = self.statements.get_mut(&(told.origin.clone(), told.offer))
            && noted.iter().any(|(held, _)| held == told)
        {
            noted.retain(|(held, _)| held == told);
        }
    }

    /// Time since the receipt of a stored statement: never less than passed in this run. `None`: nobody can know.
    pub fn since(&mut self, told: &StatementKey, now: Clocks) -> Option<Millis> {
        self.observe(now);
        let noted = self.statements.get(&(told.origin.clone(), told.offer));
        if let Some((_, at)) = noted.and_then(|noted| noted.iter().find(|(held, _)| held == told)) {
            return Some(now.wall.since(told.received).max(span(now.monotonic.saturating_sub(*at))));
        }
        // From before this run, or forgotten in it: on a wall clock that was never set back.
        let never_back = UnixMs(0) + self.furthest? + span(now.monotonic);
        let since = never_back.since(told.received);
        (since.0 >= 0).then(|| since.max(span(now.monotonic.saturating_sub(self.started))))
    }

    fn observe(&mut self, now: Clocks) {
        let lead = now.lead();
        if lead >= self.least {
            self.furthest = Some(self.furthest.map_or(lead, |furthest| furthest.max(lead)));
        }
    }
}

fn span(time: Duration) -> Millis {
    Millis(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

fn availability(view: &CapacityView, now: UnixMs) -> Light {
    let by_figure = match view.level {
        CapacityLevel::Availability(AvailabilityClass::Some) | CapacityLevel::Count(3..) => Light::Available,
        CapacityLevel::Availability(AvailabilityClass::Few) | CapacityLevel::Count(1..=2) => Light::Few,
        CapacityLevel::Availability(AvailabilityClass::None) | CapacityLevel::Count(0) => Light::Full,
        CapacityLevel::Availability(AvailabilityClass::Closed) => Light::CallFirst,
        CapacityLevel::Band(CapacityBand::ThreeToFive | CapacityBand::SixOrMore) => Light::Available,
        CapacityLevel::Band(CapacityBand::OneToTwo) => Light::Few,
        CapacityLevel::Band(CapacityBand::Zero) => Light::Full,
    };
    match view.status {
        OfferStatus::Open => by_figure,
        OfferStatus::AssessmentNeeded => by_figure.max(Light::CallFirst),
        OfferStatus::Full | OfferStatus::WaitingList => by_figure.max(Light::Full),
        // The pause is over and nothing newer was said: somebody has to ask.
        OfferStatus::Paused if view.paused_until.is_some_and(|until| until <= now) => Light::CallFirst,
        OfferStatus::Paused => Light::ClosedUntil,
    }
}

fn freshness(time_to_live: Millis, age: Option<Millis>) -> Light {
    match age {
        None => Light::NotReported,
        Some(age) if age.0 < 0 || age > time_to_live || age > limits::LIGHT_STALE => Light::NotReported,
        Some(age) if age > limits::LIGHT_FRESH => Light::CallFirst,
        Some(_) => Light::Available,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::samples::{NOW, kehl};

    fn a_view() -> impl Strategy<Value = CapacityView> {
        let level = prop_oneof![
            select(AvailabilityClass::ALL).prop_map(CapacityLevel::Availability),
            select(CapacityBand::ALL).prop_map(CapacityLevel::Band),
            (0_u32..9).prop_map(CapacityLevel::Count),
        ];
        let paused = proptest::option::of((-2_i64..2).prop_map(|h| NOW + Millis::hours(h)));
        (level, select(OfferStatus::ALL), paused, 0_i64..25).prop_map(|(level, status, paused_until, ttl)| {
            CapacityView { level, status, paused_until, time_to_live: Millis::hours(ttl) }
        })
    }

    fn an_age() -> impl Strategy<Value = Option<Millis>> {
        proptest::option::of((-100_i64..1_000).prop_map(Millis::minutes))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Invariant 10.
        #[test]
        fn nothing_reported_more_than_an_hour_ago_is_available(view in a_view(), age in an_age(), reachable: bool) {
            let light = light(&view, age, reachable, NOW);
            match age {
                _ if !reachable => prop_assert_eq!(light, Light::Unreachable),
                None => prop_assert_eq!(light, Light::NotReported),
                Some(age) if age.0 < 0 || age > Millis::hours(8) || age > view.time_to_live => {
                    prop_assert_eq!(light, Light::NotReported);
                }
                Some(age) if age > Millis::hours(1) => prop_assert!(light >= Light::CallFirst),
                Some(_) => prop_assert!(light < Light::NotReported),
            }
        }

        #[test]
        fn what_made_it_so_is_what_has_to_change_for_a_better_one(view in a_view(), age in an_age(), reachable: bool) {
            let (light, reason) = explained(&view, age, reachable, NOW);
            let fresh = Some(Millis(0)).filter(|_| view.time_to_live.0 > 0);
            let other = match reason {
                LightReason::Silence => self::light(&view, age, true, NOW),
                LightReason::Age => self::light(&view, fresh, true, NOW),
                LightReason::Status => {
                    self::light(&CapacityView { status: OfferStatus::Open, paused_until: None, ..view }, age, true, NOW)
                }
                LightReason::Capacity => {
                    self::light(&CapacityView { level: CapacityLevel::Count(9), ..view }, age, true, NOW)
                }
            };
            // A pause that is over says less than an offer that is full.
            prop_assert!(other <= light || view.status == OfferStatus::Paused, "{reason}");
            if matches!(reason, LightReason::Silence) || reason == LightReason::Age && fresh.is_some() {
                prop_assert!(other < light);
            }
        }

        #[test]
        fn time_never_makes_it_better(view in a_view(), age in 0_i64..1_000, more in 0_i64..1_000) {
            let at = |minutes| light(&view, Some(Millis::minutes(minutes)), true, NOW);
            prop_assert!(at(age) <= at(age + more));
        }

        #[test]
        fn available_needs_three_units_and_an_open_door(view in a_view(), age in an_age()) {
            if light(&view, age, true, NOW) == Light::Available {
                prop_assert_eq!(view.status, OfferStatus::Open);
                let enough = match view.level {
                    CapacityLevel::Availability(class) => class == AvailabilityClass::Some,
                    CapacityLevel::Band(band) => band >= CapacityBand::ThreeToFive,
                    CapacityLevel::Count(n) => n >= 3,
                };
                prop_assert!(enough);
            }
        }
    }

    fn told(version: u64, received: UnixMs) -> StatementKey {
        StatementKey { origin: kehl(), offer: OfferId([1; 16]), version, received }
    }

    fn open_view() -> CapacityView {
        CapacityView {
            level: CapacityLevel::Count(3),
            status: OfferStatus::Open,
            paused_until: None,
            time_to_live: Millis::hours(24),
        }
    }

    /// What happens next: time passes, the wall clock is set, then a statement comes, or one that is not stored after all.
    fn a_course() -> impl Strategy<Value = Vec<(u64, i64, u8)>> {
        proptest::collection::vec((0_u64..200, prop_oneof![4 => Just(0), 3 => -800_i64..800], 0_u8..4), 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Invariant 10, whatever the wall clock does.
        #[test]
        fn no_step_of_the_wall_clock_makes_a_statement_younger(
            course in a_course(), written in -500_i64..500, before in -500_i64..500, age in 0_i64..30,
        ) {
            let minutes = |n: u64| Duration::from_secs(n * 60);
            let mut now = Clocks { monotonic: minutes(7), wall: NOW };
            let mut heard = ReceiptClock::new(NOW + Millis::minutes(written), now);
            // What is stored: from before the start, with no better instant of its receipt than the start.
            let (mut row, mut receipt, mut version) = (told(1, NOW + Millis::minutes(before)), now.monotonic, 1);
            for (passes, step, act) in course {
                now.monotonic += minutes(passes);
                now.wall = now.wall + Millis::minutes(passes as i64 + step);
                if act < 2 {
                    version += 1;
                    let new = told(version, now.wall);
                    heard.note(now.monotonic, [new.clone()]);
                    if act == 0 {
                        (row, receipt) = (new, now.monotonic);
                    }
                }
                let passed = span(now.monotonic - receipt);
                let since = heard.since(&row, now);
                prop_assert!(since.is_none_or(|since| since >= passed), "{since:?} of {passed:?}");
                let age = since.and_then(|since| super::age(Some(Millis::minutes(age)), since));
                let light = light(&open_view(), age, true, now.wall);
                prop_assert!(light > Light::Available || passed <= limits::LIGHT_FRESH);
            }
        }
    }

    #[test]
    fn a_statement_of_this_run_outlives_a_wrong_clock_and_one_from_before_does_not() {
        let at = |minutes: u64, ahead: i64| Clocks {
            monotonic: Duration::from_secs(minutes * 60),
            wall: NOW + Millis::minutes(minutes as i64 + ahead),
        };
        let mut heard = ReceiptClock::new(NOW - Millis::minutes(1), at(0, 0));
        let from_before = told(1, NOW - Millis::minutes(10));
        assert_eq!(heard.since(&from_before, at(5, 0)), Some(Millis::minutes(15)));
        // An hour ahead by mistake, and back.
        let meanwhile = StatementKey { offer: OfferId([2; 16]), ..told(1, at(10, 60).wall) };
        heard.note(at(10, 60).monotonic, [meanwhile.clone()]);
        assert_eq!(heard.since(&meanwhile, at(15, 60)), Some(Millis::minutes(5)));
        assert_eq!(heard.since(&meanwhile, at(20, 0)), Some(Millis::minutes(10)));
        assert_eq!(heard.since(&from_before, at(20, 0)), Some(Millis::minutes(90)));
        // The receipt is part of the name: the same version heard again is another statement.
        assert_eq!(heard.since(&told(1, NOW + Millis::days(1)), at(20, 0)), None);
    }

    #[test]
    fn a_clock_behind_what_was_written_down_tells_no_age_until_it_is_set_right() {
        let at = |minutes: u64, wall: i64| Clocks {
            monotonic: Duration::from_secs(minutes * 60),
            wall: NOW + Millis::minutes(wall),
        };
        let row = told(1, NOW - Millis::minutes(5));
        // Down for hours, up again ten minutes before the last line of the ledger.
        let mut heard = ReceiptClock::new(NOW, at(0, -10));
        assert_eq!(heard.since(&row, at(0, -10)), None);
        assert_eq!(heard.since(&row, at(30, 20)), None, "the same clock, still behind");
        assert_eq!(heard.since(&row, at(31, 300)), Some(Millis::minutes(305)));
        assert_eq!(heard.since(&row, at(32, 22)), Some(Millis::minutes(306)));
        // What comes in this run has an age all the same.
        let new = told(2, at(40, 30).wall);
        let mut heard = ReceiptClock::new(NOW, at(0, -10));
        heard.note(at(40, 30).monotonic, [new.clone()]);
        assert_eq!(heard.since(&new, at(45, 35)), Some(Millis::minutes(5)));
    }

    /// A reader that comes while an update commits finds the earlier statement, and its age.
    #[test]
    fn a_statement_keeps_its_age_until_the_next_one_is_stored() {
        let at = |minutes: u64| Clocks {
            monotonic: Duration::from_secs(minutes * 60),
            wall: NOW + Millis::minutes(minutes as i64),
        };
        let mut heard = ReceiptClock::new(NOW, at(0));
        let (first, second) = (told(1, at(600).wall), told(2, at(605).wall));
        heard.note(at(600).monotonic, [first.clone()]);
        heard.stored(&first);
        // Tries that failed, each with a receipt of its own.
        for minute in 601..605 {
            heard.note(at(minute).monotonic, [told(2, at(minute).wall)]);
        }
        heard.note(at(605).monotonic, [second.clone()]);
        assert_eq!(
            heard.since(&first, at(606)),
            Some(Millis::minutes(6)),
            "not the ten hours that this run has lasted"
        );
        assert_eq!(heard.since(&second, at(606)), Some(Millis::minutes(1)), "and whoever reads it first has it too");
        heard.stored(&second);
        assert_eq!(heard.since(&second, at(607)), Some(Millis::minutes(2)));
        assert_eq!(heard.statements.values().map(Vec::len).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_is_stale_is_forgotten() {
        let hours = |n: u64| Duration::from_secs(n * 3_600);
        let mut heard = ReceiptClock::new(NOW, Clocks { monotonic: hours(0), wall: NOW });
        for n in 0..100_u64 {
            let received = NOW + Millis::hours(n as i64);
            heard.note(hours(n), [StatementKey { offer: OfferId([n as u8; 16]), ..told(1, received) }]);
        }
        assert_eq!(heard.statements.len(), 9);
        let now = Clocks { monotonic: hours(100), wall: NOW + Millis::hours(100) };
        assert!(
            heard.since(&StatementKey { offer: OfferId([5; 16]), ..told(1, NOW + Millis::hours(5)) }, now)
                >= Some(Millis::hours(95))
        );
    }

    #[test]
    fn an_age_needs_both_parts() {
        assert_eq!(age(Some(Millis(5)), Millis(7)), Some(Millis(12)));
        assert_eq!(age(None, Millis(7)), None);
        assert_eq!(age(Some(Millis(-1)), Millis(7)), None);
        assert_eq!(age(Some(Millis(5)), Millis(-7)), None);
        assert_eq!(age(Some(Millis(i64::MAX)), Millis(7)), Some(Millis(i64::MAX)));
    }

    #[test]
    fn the_borders_are_where_they_are_said_to_be() {
        let view = CapacityView {
            level: CapacityLevel::Count(3),
            status: OfferStatus::Open,
            paused_until: None,
            time_to_live: Millis::hours(24),
        };
        let at = |ms| light(&view, Some(Millis(ms)), true, NOW);
        let hour = Millis::hours(1).0;
        assert_eq!((at(hour), at(hour + 1)), (Light::Available, Light::CallFirst));
        assert_eq!((at(8 * hour), at(8 * hour + 1)), (Light::CallFirst, Light::NotReported));
        let few = CapacityView { level: CapacityLevel::Count(2), ..view };
        assert_eq!(light(&few, Some(Millis(0)), true, NOW), Light::Few);
        let paused = CapacityView { status: OfferStatus::Paused, paused_until: Some(NOW + Millis(1)), ..view };
        assert_eq!(light(&paused, Some(Millis(0)), true, NOW), Light::ClosedUntil);
        assert_eq!(light(&paused, Some(Millis(0)), true, NOW + Millis(1)), Light::CallFirst);
    }
}
