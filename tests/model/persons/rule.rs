//! What may leave a node, what may enter one, and what may be read there.

use super::clause::Clause;
use super::facts::*;
use super::share::Share;

/// The rule, whole or without one clause.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rule {
    pub without: Option<Clause>,
}

/// Which side of a grant is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Sends,
    Takes,
}

impl Rule {
    /// Whether a clause is kept: it holds, or nobody asks for it.
    pub(super) fn asks(&self, clause: Clause, holds: bool) -> bool {
        holds || self.without == Some(clause)
    }

    /// The agreements and grants under which an own record may leave now, before its first attempt or a later one; none:
    /// it stays.
    pub fn may_leave(&self, node: &Node, record: &Record, share: Option<&Share>, counted: bool) -> Vec<(usize, usize)> {
        let now = latest(node);
        let asked = (scope_of(record.service), record.purpose, record.recipient);
        let open = share.is_some_and(|share| self.opens(node, share, asked, counted, now).is_some());
        let may = record.origin == node.own
            && open
            && self.both_stand(node, record.recipient, now)
            && self.is_fit(record, now)
            && self.asks(Clause::Silent, !node.silent.contains(&record.recipient));
        let mut under = Vec::new();
        for (number, agreement) in node.agreements.iter().enumerate().filter(|_| may) {
            for (grant, _) in agreement.grants.iter().enumerate() {
                if self.grants(node, record, agreement, grant, Side::Sends, now) {
                    under.push((number, grant));
                }
            }
        }
        under
    }

    /// Whether what was sent is taken here now.
    pub fn may_enter(&self, node: &Node, sent: &Sent) -> bool {
        // It neither shows nor sends: its own clock judges.
        let now = node.wall;
        let record = &sent.record;
        let travels = match sent.under {
            None => self.without == Some(Clause::SharedUnder),
            Some((scope, erase_by)) => {
                self.asks(Clause::ScopeOfService, scope == scope_of(record.service))
                    && self.asks(Clause::EraseBy, erase_by >= record.expires)
            }
        };
        let known = node.agreements.get(sent.agreement);
        self.asks(Clause::Recipient, record.recipient == node.own)
            && travels
            && self.both_stand(node, record.origin, now)
            && self.is_fit(record, now)
            && self.asks(Clause::FromLater, record.created <= now + 5 * MINUTE)
            && known.is_some_and(|agreement| self.grants(node, record, agreement, sent.grant, Side::Takes, now))
    }

    /// Whether a reader opens a kept referral now.
    pub fn may_read(&self, kept: &Kept, reader: Reader, aim: Aim, now: At) -> bool {
        if aim == Aim::Order {
            return reader == Reader::Node;
        }
        let keep = kept.own || self.asks(Clause::Retention, now < kept.since + kept.retention);
        let open = self.asks(Clause::KeptExpires, now < kept.expires) && keep;
        let coordinator = |holds: bool| self.asks(Clause::ReaderOfKind, reader == Reader::Coordinator) && holds;
        let may = match aim {
            Aim::Prepare => reader == Reader::Node && self.asks(Clause::PreparesOwn, kept.own),
            Aim::Show => reader != Reader::Node && coordinator(true),
            Aim::Answer => reader != Reader::Node && coordinator(self.asks(Clause::AnswersReceived, !kept.own)),
            Aim::Consume => reader == Reader::Consumer && self.without == Some(Clause::NeverConsumed) && !kept.own,
            Aim::SayLater => reader == Reader::Coordinator && self.without == Some(Clause::NeverSaidLater) && kept.own,
            Aim::Order => false,
        };
        may && open
    }

    fn both_stand(&self, node: &Node, other: Who, now: At) -> bool {
        let stands = |who: Who| node.register[who].standing == Membership::Active;
        let denied = |who: Who| node.register[who].emergency.is_some_and(|seen| now < seen + 24 * HOUR);
        let fresh = node.beat.is_some_and(|beat| beat >= now - 10 * MINUTE && beat <= now + 2 * MINUTE);
        self.asks(Clause::OwnActive, stands(node.own))
            && self.asks(Clause::OtherActive, stands(other))
            && self.asks(Clause::Emergency, !denied(node.own) && !denied(other))
            && self.asks(Clause::Fresh, fresh)
    }

    /// What the record says of itself.
    fn is_fit(&self, record: &Record, now: At) -> bool {
        self.asks(Clause::PlainAmber, record.tlp >= Tlp::AmberStrict)
            && self.asks(Clause::SpecialBasis, record.special)
            && self.asks(Clause::Expired, now < record.expires)
    }

    fn grants(&self, node: &Node, record: &Record, agreement: &Agreement, grant: usize, side: Side, now: At) -> bool {
        let Some(grant) = agreement.grants.get(grant) else { return false };
        let signed = agreement.parties.iter().all(|party| agreement.signed.contains(&party.who));
        let pair = [record.origin, record.recipient];
        let left = agreement.ends.iter().any(|(by, at)| pair.contains(by) && now >= *at);
        let dates = match side {
            Side::Sends => {
                self.asks(Clause::Begun, now >= grant.valid_from) && self.asks(Clause::Over, now < grant.until)
            }
            Side::Takes => {
                // The sender's clock may be ahead, as an envelope's time may (9.3).
                self.asks(Clause::Begun, now + 5 * MINUTE >= grant.valid_from)
                    && self.asks(Clause::OverTaken, record.created < grant.until)
                    && self.asks(Clause::OverLate, now < grant.until + 5 * MINUTE)
            }
        };
        self.asks(Clause::Signed, signed)
            && self.asks(Clause::Left, !left)
            && self.asks(Clause::Confirmed, !agreement.unconfirmed)
            && self.asks(Clause::Direction, [grant.from, grant.to] == pair)
            && self.asks(Clause::Kind, grant.referrals)
            && self.asks(Clause::ServiceKind, grant.services.contains(&record.service))
            && self.asks(Clause::PurposeGranted, grant.purposes.contains(&record.purpose))
            && self.asks(Clause::UsageGranted, grant.usage >= Usage::View)
            && self.asks(Clause::HighestTlp, record.tlp <= grant.highest)
            && dates
            && self.transfers(node, agreement, record.recipient, now)
    }

    /// Whether data about a person may go where the recipient and its host lie.
    fn transfers(&self, node: &Node, agreement: &Agreement, to: Who, now: At) -> bool {
        let based = |country: Country| {
            let party = agreement.parties.iter().find(|party| party.who == to);
            let mut transfers = party.iter().flat_map(|party| &party.transfers);
            country.inside() || transfers.any(|transfer| transfer.country == country && now < transfer.until)
        };
        let authority = node.register[to];
        let host = authority.host.map(|host| node.register[host].country);
        self.asks(Clause::Transfer, based(authority.country))
            && self.asks(Clause::TransferOfHost, host.is_none_or(based))
    }
}

/// Closing acts on the latest time that a node knows of; while a majority confirms the time, that is the better word than the
/// last stored one, which a clock that was ahead may have left (9.3).
pub fn latest(node: &Node) -> At {
    let confirmed = node.beat.filter(|_| node.heard_ago <= 10 * MINUTE).map(|beat| beat + node.heard_ago);
    node.wall.max(confirmed.unwrap_or(node.stored))
}

/// The scope that opens a service.
pub fn scope_of(service: Service) -> Scope {
    match service {
        Service::Refuge => Scope::Shelter,
        Service::Medical => Scope::Medical,
        Service::Psychological => Scope::Psychological,
        Service::LegalAid => Scope::Legal,
        Service::Casework => Scope::Casework,
    }
}
