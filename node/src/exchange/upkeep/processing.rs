//! What was processed, for the data-protection officer's record (Article 30 GDPR): told by the ledger, and by the agreements
//! that its leaves name. The same log gives the same record, wherever and whenever it is read.

use std::collections::BTreeMap;

use crate::domain::agreement::set::AgreementSet;
use crate::domain::audit::{AuditAct, AuditLeaf};
use crate::domain::handling::Purpose;
use crate::domain::ids::{AgreementId, AuthorityId, Digest};
use crate::domain::reason::Reason;
use crate::domain::record::RecordKind;
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::context::Error;
use crate::storage::audit::{Frontier, Replay};
use crate::wire;

use super::Upkeep;

/// Leaves read at a time.
const TOGETHER: u64 = 4_096;

/// What went out, came in, was erased, and was read for a person.
const TOLD: [AuditAct; 5] =
    [AuditAct::Disclosed, AuditAct::Received, AuditAct::Erased, AuditAct::ErasureAnswered, AuditAct::ReadForPerson];

/// What one line tells of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Processed {
    pub act: AuditAct,
    /// To whom, or from whom.
    pub counterparty: Option<AuthorityId>,
    pub kind: Option<RecordKind>,
    pub agreement: Option<AgreementId>,
    pub purpose: Option<Purpose>,
}

/// How often, when, and how long what was shared may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub times: u64,
    pub first: UnixMs,
    pub last: UnixMs,
    /// The longest that a grant of the agreement allows; `None`: no agreement here says.
    pub retention: Option<Millis>,
}

/// The record over a span of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processing {
    /// The leaves of the span: from this one on, and not that one.
    pub from: u64,
    pub to: u64,
    /// Root of the ledger before `to`: which log it was made from.
    pub root: Digest,
    pub lines: Vec<(Processed, Extent)>,
    /// Leaves of the span that this version does not know.
    pub unknown: u64,
}

impl Upkeep {
    /// What was processed from `since` on and before `until`.
    ///
    /// # Errors
    /// `AUDIT_DAMAGED` when the ledger does not give its own root: nothing is told from such a one. When the store cannot be
    /// read.
    pub async fn processing(&self, since: UnixMs, until: UnixMs) -> Result<Processing, Error> {
        let head = self.store().audit_head().await?;
        let (mut replay, mut span) = (Replay::default(), Span::new(since, until));
        while replay.frontier().size() < head.size {
            let from = replay.frontier().size();
            let left = usize::try_from(TOGETHER.min(head.size - from)).unwrap_or_default();
            let leaves = self.store().audit_leaves(from, left).await?;
            if leaves.is_empty() {
                break;
            }
            for leaf in &leaves {
                span.read(leaf, replay.frontier());
                replay.push(leaf);
            }
        }
        let frontier = replay.frontier();
        if replay.first_bad().is_some() || (frontier.size(), frontier.root()) != (head.size, head.root) {
            return Err(Reason::AuditDamaged.into());
        }
        Ok(span.told(frontier, &self.context.agreements().load()))
    }
}

/// What is known of a span while it is read.
struct Span {
    since: UnixMs,
    until: UnixMs,
    from: u64,
    /// Size and root of the ledger where the span ends, once a later leaf was read.
    end: Option<(u64, Digest)>,
    lines: BTreeMap<Processed, Extent>,
    unknown: u64,
}

impl Span {
    fn new(since: UnixMs, until: UnixMs) -> Self {
        Self { since, until, from: 0, end: None, lines: BTreeMap::new(), unknown: 0 }
    }

    /// The next leaf, and the log before it. Leaves stand in the order of their times.
    fn read(&mut self, leaf: &[u8], before: &Frontier) {
        let Some(outline) = wire::audit::outline(leaf).filter(|_| self.end.is_none()) else { return };
        if outline.time >= self.until {
            self.end = Some((before.size(), before.root()));
        } else if outline.time < self.since {
            self.from = before.size() + 1;
        } else {
            match wire::audit::decode(leaf) {
                Ok(leaf) => self.add(leaf),
                Err(_) => self.unknown += 1,
            }
        }
    }

    fn add(&mut self, leaf: AuditLeaf) {
        if !TOLD.contains(&leaf.act) {
            return;
        }
        let AuditLeaf { time, act, counterparty, record_kind: kind, agreement, purpose, .. } = leaf;
        let new = Extent { times: 0, first: time, last: time, retention: None };
        let extent = self.lines.entry(Processed { act, counterparty, kind, agreement, purpose }).or_insert(new);
        (extent.times, extent.last) = (extent.times + 1, time);
    }

    fn told(self, whole: &Frontier, agreements: &AgreementSet) -> Processing {
        let (to, root) = self.end.unwrap_or_else(|| (whole.size(), whole.root()));
        let lines = self.lines.into_iter().map(|(what, extent)| {
            let retention = retention(&what, agreements);
            (what, Extent { retention, ..extent })
        });
        Processing { from: self.from.min(to), to, root, lines: lines.collect(), unknown: self.unknown }
    }
}

/// How long the agreement lets the receiver keep it.
fn retention(what: &Processed, agreements: &AgreementSet) -> Option<Millis> {
    let (kind, purpose, counterparty) = (what.kind?, what.purpose?, what.counterparty.as_ref()?);
    let grants = agreements.get(what.agreement.as_ref()?)?.agreement.grants.iter();
    let fits = grants.filter(|grant| {
        let there = if what.act == AuditAct::Received { &grant.from } else { &grant.to };
        there == counterparty && grant.record_kinds.contains(&kind) && grant.purposes.contains(&purpose)
    });
    fits.map(|grant| grant.retention).max()
}
