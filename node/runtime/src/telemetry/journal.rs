//! The journal: what happened to this node, one line for each event, at `info`, in the log and in OTLP logs.
//!
//! What lives here: the closed list of events, the fields that one may have, and counting of those that others can provoke.
//! What does not: where they happen. Each sort has one place that tells it (decisions/039).
//! Invariant: a field is a number, an instant, an id of the register or a code of a closed list, so that no content can get
//! into the journal. Whatever happens again and again is told by its count: ten lines a minute for each event, authority
//! and reason, and one for what others can bring about by calling.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::audit::{ActorRole, AuditAct, AuditDraft};
use crate::domain::ids::{AgreementId, AuthorityId};
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;

/// What the lines of the journal have as their target.
pub const TARGET: &str = "havenlink::journal";

macro_rules! events {
    ($($name:ident $code:literal $says:literal;)+) => {
        /// What can happen. The name is stable; what it says is for people.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Event { $(#[doc = $says] $name,)+ }

        impl Event {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The field `event` of its lines.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// Its lines' message.
            pub const fn says(self) -> &'static str {
                match self { $(Self::$name => $says,)+ }
            }
        }
    };
}

events! {
    NodeRuns "NODE_RUNS" "the node runs";
    NodeReady "NODE_READY" "the node is ready";
    NodeNotReady "NODE_NOT_READY" "the node is not ready";
    NodeStops "NODE_STOPS" "the node stops";
    ContactGiven "CONTACT_GIVEN" "an operator gave an address of another authority";
    CertificateRenewed "CERTIFICATE_RENEWED" "a new certificate is in use";
    BackupMade "BACKUP_MADE" "a backup was made";
    BackupSealed "BACKUP_SEALED" "a backup with the keys, sealed to the recovery key, was made";
    DrillDone "DRILL_DONE" "a backup was opened for a drill";
    Learns "LEARNS" "this node learns the stewards' log before it votes";
    Votes "VOTES" "this node votes on the register";
    Mirrors "MIRRORS" "this node follows the register and does not vote";
    MemberJoined "MEMBER_JOINED" "the register has a new member";
    NowSuspended "NOW_SUSPENDED" "a member is suspended from now on";
    NowActive "NOW_ACTIVE" "a suspension has ended";
    NowRemoved "NOW_REMOVED" "the register has removed a member";
    KeyReplaced "KEY_REPLACED" "a member's authority key is another one now";
    StewardJoined "STEWARD_JOINED" "a member became a steward";
    StewardLeft "STEWARD_LEFT" "a member is no steward any more";
    RulesRaised "RULES_RAISED" "the register goes by newer rules";
    OrderFounded "ORDER_FOUNDED" "the register's order was founded anew";
    RegisterFresh "REGISTER_FRESH" "a majority of stewards is heard: content about persons passes";
    RegisterStale "REGISTER_STALE" "no majority of stewards is heard: content about persons waits";
    PartnerLost "PARTNER_LOST" "a partner does not answer";
    PartnerBack "PARTNER_BACK" "a partner answers again";
    ApplicationReceived "APPLICATION_RECEIVED" "an applicant has shown its keys: its six words can be compared";
    WordsWrong "WORDS_WRONG" "the six words of an applicant were wrong";
    ConnectionsEnded "CONNECTIONS_ENDED" "connections were ended by the register";
    Refused "REFUSED" "others were refused";
    RecordsRefused "RECORDS_REFUSED" "records were not taken";
    Flood "FLOOD" "a partner took more than its budget";
    FloodEnded "FLOOD_ENDED" "a partner went on although its budget was exhausted: its connections were ended";
    AgreementProposed "AGREEMENT_PROPOSED" "an agreement was proposed";
    AgreementSigned "AGREEMENT_SIGNED" "an agreement was signed";
    AgreementInForce "AGREEMENT_IN_FORCE" "an agreement is in force";
    AgreementEnded "AGREEMENT_ENDED" "an agreement has ended";
    MemberInvited "MEMBER_INVITED" "an invitation was made";
    MemberApproved "MEMBER_APPROVED" "an applicant was approved here";
    MemberRejected "MEMBER_REJECTED" "an applicant was rejected here";
    MemberSuspended "MEMBER_SUSPENDED" "a suspension was ordered or approved here";
    MemberRestored "MEMBER_RESTORED" "the end of a suspension was proposed or approved here";
    MemberRemoved "MEMBER_REMOVED" "a removal was proposed or approved here";
    PolicyChanged "POLICY_CHANGED" "a change of an entry or of the rules was signed here";
    KeyChanged "KEY_CHANGED" "a change of a key was signed here";
    StewardsChanged "STEWARDS_CHANGED" "a change of the stewards was signed here";
    MandateIssued "MANDATE_ISSUED" "a mandate was issued here";
    MandateRevoked "MANDATE_REVOKED" "a mandate was revoked here";
}

impl Event {
    /// What the ledger's act is here, if it is told singly: acts about one record are not, and refusals are counted.
    fn of_act(act: AuditAct) -> Option<Self> {
        Some(match act {
            AuditAct::AgreementProposed => Self::AgreementProposed,
            AuditAct::AgreementSigned => Self::AgreementSigned,
            AuditAct::AgreementEnded => Self::AgreementEnded,
            AuditAct::AgreementInForce => Self::AgreementInForce,
            AuditAct::MemberInvited => Self::MemberInvited,
            AuditAct::MemberApproved => Self::MemberApproved,
            AuditAct::MemberRejected => Self::MemberRejected,
            AuditAct::MemberSuspended => Self::MemberSuspended,
            AuditAct::MemberRestored => Self::MemberRestored,
            AuditAct::MemberRemoved => Self::MemberRemoved,
            AuditAct::PolicyChanged => Self::PolicyChanged,
            AuditAct::KeyChanged => Self::KeyChanged,
            AuditAct::StewardsChanged => Self::StewardsChanged,
            AuditAct::MandateIssued => Self::MandateIssued,
            AuditAct::MandateRevoked => Self::MandateRevoked,
            // By a command, while no node runs: it says so itself.
            AuditAct::RestoredFromBackup => return None,
            // What a person let be shared is nobody's to read here, with whatever count.
            AuditAct::SharingAnswered | AuditAct::SharingWithdrawn => return None,
            AuditAct::Disclosed
            | AuditAct::Received
            | AuditAct::Refused
            | AuditAct::Erased
            | AuditAct::ErasureAnswered
            | AuditAct::ReadForPerson
            | AuditAct::Published => return None,
        })
    }
}

/// One event with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub event: Event,
    /// Whom it is about.
    pub authority: Option<AuthorityId>,
    /// Under which role somebody brought it about.
    pub role: Option<ActorRole>,
    pub agreement: Option<AgreementId>,
    pub reason: Option<Reason>,
    /// A change number, a version, a founding: what the event says.
    pub number: Option<u64>,
    /// How often, since the last line of the same.
    pub count: Option<u64>,
    pub until: Option<UnixMs>,
    /// Of the program.
    pub version: Option<&'static str>,
}

impl Entry {
    /// An event of which nothing more is known; fill in the rest with struct update syntax.
    pub const fn of(event: Event) -> Self {
        Self {
            event,
            authority: None,
            role: None,
            agreement: None,
            reason: None,
            number: None,
            count: None,
            until: None,
            version: None,
        }
    }

    /// An event about an authority.
    pub fn about(event: Event, authority: &AuthorityId) -> Self {
        Self { authority: Some(authority.clone()), ..Self::of(event) }
    }

    /// An act that was just committed to the ledger; `None`: it is about one record.
    pub fn of_act(draft: &AuditDraft) -> Option<Self> {
        let event = Event::of_act(draft.act)?;
        Some(Self {
            authority: draft.counterparty.clone(),
            role: Some(draft.actor.role),
            agreement: draft.agreement,
            reason: draft.reason,
            ..Self::of(event)
        })
    }

    /// Tells of it. Of the same event about the same authority ten are told one by one; how many more there were follows when
    /// the minute is over.
    pub fn tell(self) {
        self.among(1, SINGLY);
    }

    /// Tells of something that others can bring about by calling again and again: the first at once, then once a minute with
    /// how often.
    pub fn count(self, times: u64) {
        Self { count: Some(times), ..self }.among(times, 1);
    }

    fn among(self, times: u64, most: u32) {
        if let Some(entry) = COUNTED.add(self, times, most, Instant::now()) {
            entry.write();
        }
    }

    fn write(&self) {
        let Self { event, authority, role, agreement, reason, number, count, until, version } = self;
        tracing::info!(
            target: TARGET,
            event = event.name(),
            authority = authority.as_ref().map(AuthorityId::as_str),
            role = role.map(ActorRole::name),
            agreement = agreement.map(|id| id.to_string()),
            reason = reason.map(Reason::code),
            number,
            count,
            until = until.map(|at| at.to_string()),
            version,
            message = event.says(),
        );
    }
}

/// Tells what came of the acts of a commit: those about no single record one by one, refused records by reason.
pub fn committed<'a>(drafts: impl IntoIterator<Item = &'a AuditDraft>) {
    let mut refused: BTreeMap<(Option<&AuthorityId>, Option<Reason>), u64> = BTreeMap::new();
    for draft in drafts {
        match (draft.act, Entry::of_act(draft)) {
            (AuditAct::Refused, _) => *refused.entry((draft.counterparty.as_ref(), draft.reason)).or_default() += 1,
            (_, Some(entry)) => entry.tell(),
            (_, None) => {}
        }
    }
    for ((authority, reason), times) in refused {
        Entry { authority: authority.cloned(), reason, ..Entry::of(Event::RecordsRefused) }.count(times);
    }
}

/// Tells the counts whose minute is over. Whoever keeps time for the node calls it every few seconds.
pub fn tell_counts() {
    COUNTED.due(Instant::now()).iter().for_each(Entry::write);
}

static COUNTED: Counted = Counted(Mutex::new(BTreeMap::new()));

/// Between two lines about the same.
const BETWEEN: Duration = Duration::from_secs(60);
/// Lines about the same within a minute, of what nobody can bring about by calling alone.
const SINGLY: u32 = 10;
/// Whom and what is told apart; further ones count without the authority.
const APART: usize = 256;

type Key = (Event, Option<AuthorityId>, Option<Reason>);

struct Met {
    told: Instant,
    /// When it was met last: what is told together is told in this order.
    last: Instant,
    since: u64,
    /// How many had a line of their own.
    lines: u32,
}

/// What was met since it was told last.
struct Counted(Mutex<BTreeMap<Key, Met>>);

impl Counted {
    /// Gives the line that is due at once, if one is: of the same, so many have lines of their own.
    fn add(&self, entry: Entry, times: u64, most: u32, now: Instant) -> Option<Entry> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (entry.event, entry.authority.clone(), entry.reason);
        if all.len() >= APART && !all.contains_key(&key) {
            key.1 = None;
        }
        let met = all.entry(key).or_insert(Met { told: now, last: now, since: 0, lines: 0 });
        met.last = now;
        if met.lines >= most {
            met.since = met.since.saturating_add(times);
            return None;
        }
        met.lines += 1;
        Some(entry)
    }

    fn due(&self, now: Instant) -> Vec<Entry> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |met: &Met| now.saturating_duration_since(met.told) >= BETWEEN;
        // What was not met for a minute after it was told is new when it comes back.
        all.retain(|_, met| met.since > 0 || !over(met));
        let mut due: Vec<(Instant, Entry)> = Vec::new();
        for (key, met) in all.iter_mut().filter(|(_, met)| met.since > 0 && over(met)) {
            met.told = now;
            let count = Some(std::mem::take(&mut met.since));
            let (event, authority, reason) = key.clone();
            due.push((met.last, Entry { authority, reason, count, ..Entry::of(event) }));
        }
        due.sort_by_key(|(last, _)| *last);
        due.into_iter().map(|(_, entry)| entry).collect()
    }
}

#[cfg(test)]
mod tests;
