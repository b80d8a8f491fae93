//! May this pass? Answered once more, from the protocol's chapters 9.2, 9.4 and 9.7 alone, over plain numbers and names.
//!
//! It imports nothing: no type, rule or helper of `policy` can be wrong here in the same way. It looks at every grant there is,
//! without an index, and is as slow as it likes. `wrong` turns one of its rules into a near miss, so that the comparison itself
//! can be tested: a near miss that nobody notices is a rule that the worlds never reach.

/// Milliseconds.
pub type At = i64;

const MINUTE: At = 60_000;

/// An authority, by its place in the world.
pub type Who = usize;

#[derive(Clone, Debug)]
pub struct World {
    pub members: Vec<MemberThen>,
    /// When a majority of stewards last signed; `None`: never.
    pub majority_beat: Option<At>,
    pub freshness_limit: At,
    /// In the order of their ids.
    pub agreements: Vec<Agreement>,
}

#[derive(Clone, Debug)]
pub struct MemberThen {
    pub known: bool,
    pub removed: bool,
    pub suspended_until: Option<At>,
    pub denied_by_overlay_until: Option<At>,
}

#[derive(Clone, Debug)]
pub struct Agreement {
    pub parties: Vec<Who>,
    pub all_signed: bool,
    pub waits_for_confirmation: bool,
    pub ends: Vec<(Who, At)>,
    pub grants: Vec<Grant>,
}

#[derive(Clone, Debug)]
pub struct Grant {
    pub from: Who,
    pub to: Who,
    /// 'a': alerts, 'p': practices, 'o': offers.
    pub kinds: Vec<char>,
    pub alert_kinds: Vec<i32>,
    pub services: Vec<i32>,
    pub purposes: Vec<i32>,
    /// 1 QUERY, 2 VIEW, 3 STORE.
    pub usage: i32,
    /// Strictness: the higher, the stricter.
    pub highest_tlp: i32,
    pub level: Option<i32>,
    pub from_at: At,
    pub until: At,
}

/// A grant by its place: agreement, number.
pub type GrantPlace = (usize, usize);

#[derive(Clone, Debug)]
pub enum Matter {
    Alert {
        kind: i32,
        reported_by_person: bool,
    },
    Practice,
    Offer {
        service: i32,
        level: Option<i32>,
    },
    /// To what came under this grant; `None`: to nothing that is known.
    Answer(Option<GrantPlace>),
}

#[derive(Clone, Debug)]
pub struct Question {
    pub from: Who,
    pub to: Who,
    pub matter: Matter,
    pub purpose: i32,
    pub usage: i32,
    pub tlp: i32,
    pub created: At,
    pub now: At,
    pub receiving: bool,
    /// The grant that the envelope names; an agreement beyond the list is one that nobody here holds.
    pub named: Option<GrantPlace>,
}

/// What stands in the way.
pub type No = &'static str;

/// How many near misses there are.
pub const NEAR_MISSES: usize = 28;

const NOT_IN_FORCE: No = "AGREEMENT_NOT_IN_FORCE";
const UNKNOWN: No = "AGREEMENT_UNKNOWN";

/// The model; `wrong` 0: as the protocol says.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    pub wrong: usize,
}

impl Model {
    /// A rule, or its near miss.
    fn rule<T>(self, number: usize, right: T, near_miss: T) -> T {
        if self.wrong == number { near_miss } else { right }
    }

    /// The grant under which it may pass, or what stands in the way.
    pub fn decide(self, w: &World, q: &Question) -> Result<GrantPlace, No> {
        if self.rule(1, q.from == q.to, false) {
            return Err(NOT_IN_FORCE);
        }
        for who in [q.from, q.to] {
            let member = &w.members[who];
            if !member.known {
                return Err("MEMBER_UNKNOWN");
            }
            if self.rule(2, member.removed, false) {
                return Err("MEMBER_REMOVED");
            }
        }
        if let Matter::Alert { reported_by_person: true, .. } = q.matter {
            return Err(if self.fresh(w, q.now) { "PERSON_RECORDS_CLOSED" } else { "REGISTER_NOT_FRESH" });
        }
        let place = self.grant_for(w, q)?;
        let out = |who: Who| {
            let until = |until: Option<At>| until.is_some_and(|until| self.rule(3, q.now < until, q.now <= until));
            let member = &w.members[who];
            until(member.suspended_until) || self.rule(4, until(member.denied_by_overlay_until), false)
        };
        if out(q.from) || self.rule(5, out(q.to), false) {
            return Err("MEMBER_SUSPENDED");
        }
        Ok(place)
    }

    fn fresh(self, w: &World, now: At) -> bool {
        let Some(at) = w.majority_beat else { return false };
        let old = now - at;
        self.rule(6, old <= w.freshness_limit, old < w.freshness_limit) && -old <= 2 * MINUTE
    }

    fn grant_for(self, w: &World, q: &Question) -> Result<GrantPlace, No> {
        if let Matter::Answer(target) = q.matter {
            let target = target.ok_or(NOT_IN_FORCE)?;
            return self.back_along(w, q, target);
        }
        match q.named {
            Some(named) => self.named(w, q, named),
            None if q.receiving => Err(NOT_IN_FORCE),
            None => self.best(w, q),
        }
    }

    fn back_along(self, w: &World, q: &Question, target: GrantPlace) -> Result<GrantPlace, No> {
        if self.rule(7, q.named.is_some_and(|named| named != target), false) {
            return Err(NOT_IN_FORCE);
        }
        let agreement = w.agreements.get(target.0).ok_or(UNKNOWN)?;
        let grant = agreement.grants.get(target.1).ok_or(UNKNOWN)?;
        let opposite = grant.from == q.to && grant.to == q.from;
        if !self.rule(8, opposite, opposite || (grant.from == q.from && grant.to == q.to)) {
            return Err(NOT_IN_FORCE);
        }
        self.stands(agreement, grant, q)?;
        self.fits(grant, q)?;
        Ok(target)
    }

    /// An agreement of others is answered like one that is not here.
    fn named(self, w: &World, q: &Question, named: GrantPlace) -> Result<GrantPlace, No> {
        let agreement = w.agreements.get(named.0).ok_or(UNKNOWN)?;
        let parties = agreement.parties.contains(&q.from) && agreement.parties.contains(&q.to);
        if !self.rule(9, parties, true) {
            return Err(UNKNOWN);
        }
        let grant = agreement.grants.get(named.1).ok_or(NOT_IN_FORCE)?;
        if self.rule(10, (grant.from, grant.to) != (q.from, q.to), grant.to != q.to) {
            return Err(NOT_IN_FORCE);
        }
        self.covers(agreement, grant, q)?;
        Ok(named)
    }

    /// Of those that cover it: most shown, most may be done, longest, first.
    fn best(self, w: &World, q: &Question) -> Result<GrantPlace, No> {
        let (mut yes, mut no): (Vec<(&Grant, GrantPlace)>, Vec<No>) = (Vec::new(), Vec::new());
        for (a, agreement) in w.agreements.iter().enumerate() {
            for (g, grant) in agreement.grants.iter().enumerate() {
                if (grant.from, grant.to) == (q.from, q.to) {
                    match self.covers(agreement, grant, q) {
                        Ok(()) => yes.push((grant, (a, g))),
                        Err(reason) => no.push(reason),
                    }
                }
            }
        }
        let most = |value: fn(&Grant) -> (Option<i32>, i32, At)| yes.iter().map(|(grant, _)| value(grant)).max();
        let by = self.rule::<fn(&Grant) -> (Option<i32>, i32, At)>(
            11,
            |grant| (grant.level, grant.usage, grant.until),
            |grant| (grant.level, grant.usage, 0),
        );
        if let Some(most) = most(by) {
            let mut first = yes.iter().filter(|(grant, _)| by(grant) == most).map(|(_, place)| *place);
            return first.next().ok_or(NOT_IN_FORCE);
        }
        // What waits for a person's word is held for it; otherwise the first thing that stands in the way under one that has not ended.
        no.retain(|reason| *reason != NOT_IN_FORCE && *reason != UNKNOWN);
        let waits = no.iter().find(|reason| **reason == "AGREEMENT_UNCONFIRMED");
        let lacks = no.iter().find(|reason| **reason != "AGREEMENT_ENDED").or(no.first());
        Err(self.rule(12, waits.or(lacks), no.first()).copied().unwrap_or(NOT_IN_FORCE))
    }

    fn covers(self, agreement: &Agreement, grant: &Grant, q: &Question) -> Result<(), No> {
        let letter = match q.matter {
            Matter::Alert { .. } => 'a',
            Matter::Practice => 'p',
            Matter::Offer { .. } => 'o',
            Matter::Answer(_) => return Err(NOT_IN_FORCE),
        };
        let listed = match q.matter {
            Matter::Alert { kind, .. } => self.rule(13, grant.alert_kinds.contains(&kind), true),
            Matter::Offer { service, level } => {
                let service = self.rule(14, grant.services.contains(&service), true);
                let shown = grant.level.is_some_and(|granted| match level {
                    None => true,
                    Some(shown) => self.rule(15, shown <= granted, true),
                });
                service && shown
            }
            Matter::Practice | Matter::Answer(_) => true,
        };
        if !self.rule(16, grant.kinds.contains(&letter), true) || !listed {
            return Err(NOT_IN_FORCE);
        }
        self.stands(agreement, grant, q)?;
        self.fits(grant, q)
    }

    /// Signatures, ends, dates (9.7).
    fn stands(self, agreement: &Agreement, grant: &Grant, q: &Question) -> Result<(), No> {
        let left = |who: Who| agreement.ends.iter().filter(|(by, _)| *by == who).map(|(_, at)| *at).min();
        let gone = |at: Option<At>| at.is_some_and(|at| self.rule(17, at <= q.now, at < q.now));
        let mut leaves: Vec<At> = agreement.parties.iter().filter_map(|who| left(*who)).collect();
        leaves.sort_unstable();
        // When the last but one has left.
        let all_but_one = agreement.parties.len().checked_sub(self.rule(18, 2, 1)).and_then(|n| leaves.get(n).copied());
        if gone(left(grant.from)) || self.rule(19, gone(left(grant.to)), false) || gone(all_but_one) {
            return Err("AGREEMENT_ENDED");
        }
        if self.rule(20, !agreement.all_signed, false) {
            return Err(UNKNOWN);
        }
        if self.rule(21, q.created >= grant.until, q.created > grant.until) {
            return Err(NOT_IN_FORCE);
        }
        let grace = if self.rule(22, q.receiving, true) { 5 * MINUTE } else { 0 };
        let over = q.now >= grant.until;
        let within = q.now < grant.until + grace;
        if over && !self.rule(23, within, q.now <= grant.until + grace) {
            return Err(NOT_IN_FORCE);
        }
        if self.rule(24, agreement.waits_for_confirmation, false) {
            return Err("AGREEMENT_UNCONFIRMED");
        }
        if !over && self.rule(25, q.now + grace < grant.from_at, q.now + grace <= grant.from_at) {
            return Err(NOT_IN_FORCE);
        }
        Ok(())
    }

    /// Purpose, use, marking.
    fn fits(self, grant: &Grant, q: &Question) -> Result<(), No> {
        if !self.rule(26, grant.purposes.contains(&q.purpose), true) {
            return Err(NOT_IN_FORCE);
        }
        if self.rule(27, q.usage > grant.usage, q.usage > grant.usage + 1) {
            return Err("USE_NOT_GRANTED");
        }
        if self.rule(28, q.tlp > grant.highest_tlp, q.tlp >= grant.highest_tlp) {
            return Err("HANDLING_TOO_RESTRICTED");
        }
        Ok(())
    }
}
