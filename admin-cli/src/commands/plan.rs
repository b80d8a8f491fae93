//! What a decision changes, from what to what: shown in lists, and before this authority agrees to it.

use havenlink_proto::admin::v1::{PendingDecision, RefoundResponse};
use havenlink_proto::directory::v1::proposal::Act;
use havenlink_proto::directory::v1::{
    AuthorityEntry, ContactPoint, IdentifierScheme, ParticipantKind, Pin, Policy, Proposal, RemoveReason, StewardSet,
    SuspendReason,
};
use havenlink_proto::record::v1::{CorridorRole, ServiceKind};

use crate::confirm;
use crate::contract_enum;
use crate::failure::Failure;
use crate::id;
use crate::output::clean;
use crate::session::Session;
use crate::when;

/// What a suspension does, whoever asks for it and however long it lasts.
pub const SUSPENSION: [&str; 2] = [
    "its connections end at once, at every node that hears of it",
    "nothing is sent to it or taken from it; what waits for it is held, not lost",
];
/// What a removal does.
pub const REMOVAL: [&str; 3] = [
    "it leaves the federation for good; to come back it applies again",
    "its agreements end here, and what waits for it is closed",
    "withdrawal notices are still tried for 30 days",
];
/// What a new authority key by decision does.
pub const RECOVERY: &str = "nothing signed with the lost key verifies any more, once a majority agrees";
/// What rules that a program does not know do to it.
pub const RULES: &str =
    "every node whose version does not know these rules stops following, and no vote takes them back";

/// Digits of a key that people compare by phone: as many as the node that made it shows.
const KEY: usize = 16;
/// So many digits of a pin are shown: enough to tell it from its neighbours.
const PIN: usize = 12;

/// What an authority says about itself: each field by its name, in full.
pub fn fields(entry: &AuthorityEntry) -> Vec<(&'static str, Vec<String>)> {
    let one = |text: &str| if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
    let key = entry.authority_key.get(12..).unwrap_or_default();
    vec![
        ("kind", one(&contract_enum::name::<ParticipantKind>(entry.kind))),
        ("names", entry.names.iter().map(|n| format!("{} ({})", n.name, n.language)).collect()),
        (
            "identifiers",
            entry
                .identifiers
                .iter()
                .map(|i| format!("{} {}", contract_enum::name::<IdentifierScheme>(i.scheme), i.value))
                .collect(),
        ),
        ("endpoints", entry.endpoints.clone()),
        ("hosted by", one(&entry.hosted_by)),
        ("networks", entry.networks.clone()),
        ("contacts", entry.contacts.iter().map(contact).collect()),
        ("authority key", one(&data_encoding::HEXLOWER.encode(key))),
        ("pins", entry.pins.iter().map(pin).collect()),
        ("services", entry.services.iter().map(|s| service(*s)).collect()),
        ("corridor roles", entry.corridor_roles.iter().map(|role| corridor_role(*role)).collect()),
        ("borders", entry.borders.clone()),
        ("raft id", if entry.raft_id == 0 { Vec::new() } else { vec![entry.raft_id.to_string()] }),
    ]
}

fn contact(contact: &ContactPoint) -> String {
    let languages = contact.languages.join(", ");
    let languages = if languages.is_empty() { languages } else { format!("({languages})") };
    let parts = [contact.role.as_str(), &contact.email, &contact.phone, &languages];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ")
}

fn pin(pin: &Pin) -> String {
    let digits = id::show(&pin.spki_sha256);
    if pin.valid_until_ms == 0 { digits } else { format!("{digits} until {}", when::exact(pin.valid_until_ms)) }
}

fn corridor_role(number: u32) -> String {
    i32::try_from(number).map_or_else(|_| number.to_string(), contract_enum::name::<CorridorRole>)
}

fn service(number: u32) -> String {
    i32::try_from(number).map_or_else(|_| number.to_string(), contract_enum::name::<ServiceKind>)
}

/// The decision in one line each: what would be otherwise. An act of the contract that is not told here does not compile.
pub fn changes(decision: &PendingDecision) -> Vec<String> {
    let lines = match act(&decision.proposed) {
        Some(wanted) => told(decision, wanted, act(&decision.replaced)),
        None => None,
    };
    let untold = || vec!["this node does not tell what is proposed".to_owned()];
    lines.unwrap_or_else(untold).iter().map(|line| clean(line)).collect()
}

/// The act of a proposal, as far as this version knows it.
fn act(proposal: &Option<Proposal>) -> Option<Act> {
    proposal.as_ref().and_then(|proposal| proposal.act.clone())
}

/// `None`: what it would replace is missing.
fn told(decision: &PendingDecision, wanted: Act, now: Option<Act>) -> Option<Vec<String>> {
    let signed = decision.signed_entry.as_ref();
    Some(match (wanted, now) {
        (Act::Admit(admit), now) => admission(signed?, &admit.invited_by, now.is_some()),
        (Act::EntryChange(wanted), Some(Act::EntryChange(now))) => entry_changes(&now, &wanted),
        (Act::KeyRecovery(_), Some(Act::EntryChange(now))) => {
            let mut lines = entry_changes(&now, signed?);
            // The key is what it is about.
            lines.sort_by_key(|line| !line.starts_with("authority key"));
            lines
        }
        (Act::Policy(wanted), Some(Act::Policy(now))) => policy_changes(&now, &wanted),
        (Act::StewardSet(wanted), Some(Act::StewardSet(now))) => steward_changes(&now, &wanted),
        (Act::Retime(wanted), Some(Act::Retime(now))) => retiming(now.time_ms, wanted.time_ms),
        (Act::Suspend(suspend), _) => {
            let lasts = if decision.act == "SUSPEND" { "until restored" } else { "for as long as the policy says" };
            vec![format!("reason: {}; {lasts}", contract_enum::name::<SuspendReason>(suspend.reason))]
        }
        (Act::Remove(remove), _) => vec![format!("reason: {}", contract_enum::name::<RemoveReason>(remove.reason))],
        (Act::Restore(restore), _) => match restore.lifts.len() {
            0 => vec!["it is let in again".to_owned()],
            lifted => vec![format!("it is let in again; emergency suspensions lifted: {lifted}")],
        },
        (Act::EntryChange(_) | Act::KeyRecovery(_) | Act::Policy(_) | Act::StewardSet(_) | Act::Retime(_), _) => {
            return None;
        }
    })
}

/// The register's time, from what to what, and what that does to what stands in it.
pub fn retiming(now_ms: i64, wanted_ms: i64) -> Vec<String> {
    vec![
        format!("the register's time: {} → {}", when::exact(now_ms), when::exact(wanted_ms)),
        "whatever lies later in it is cut: suspensions and open decisions end that much earlier, replaced keys too"
            .to_owned(),
        "compare the new time with a clock that you trust".to_owned(),
    ]
}

/// Where the order of the register begins anew, who signs that, and what becomes of the rest.
pub fn refounding(plan: &RefoundResponse, from_beginning: bool) -> Vec<String> {
    let base = match plan.base_founding {
        0 => plan.base_number.to_string(),
        founding => format!("{founding}.{}", plan.base_number),
    };
    let mut lines = vec![
        format!("founding {} begins after change {base} of {}", plan.founding, when::exact(plan.base_time_ms)),
        format!("head there: {}", id::show(&plan.base_head)),
        format!("stewards from then on, each of which signs: {}", plan.stewards.join(", ")),
    ];
    if !plan.left_out.is_empty() {
        lines.push(format!("left out: {}; they come back by havenctl steward promote", plan.left_out.join(", ")));
    }
    if plan.missing.len() < plan.stewards.len() {
        lines.push(format!("not signed yet: {}", plan.missing.join(", ")));
    }
    lines.push(match plan.above {
        0 => "nothing is known here that stands above it".to_owned(),
        1 => "one change here stands above it: if it was accepted, it is proposed again".to_owned(),
        above => format!("{above} changes here stand above it: what was accepted of them is proposed again"),
    });
    if from_beginning && plan.above > 0 {
        lines.push(
            "whatever was decided above it counts once it is decided again, and is shown here by no sign of life; what it denies it goes on denying"
                .to_owned(),
        );
    }
    lines.push(
        "this node leaves the old order before it signs: no machine that was lost may come back and vote".to_owned(),
    );
    lines
}

fn entry_changes(now: &AuthorityEntry, wanted: &AuthorityEntry) -> Vec<String> {
    let both = fields(now).into_iter().zip(fields(wanted));
    let mut lines: Vec<String> =
        both.filter(|(now, wanted)| now.1 != wanted.1).map(|(now, wanted)| step(now.0, &now.1, &wanted.1)).collect();
    if lines.is_empty() {
        lines.push("nothing differs from what stands now".to_owned());
    }
    lines
}

/// The whole entry of an applicant, also of one that was a member before.
pub fn admission(wanted: &AuthorityEntry, invited_by: &str, was_member: bool) -> Vec<String> {
    let known = fields(wanted).into_iter().filter(|(_, values)| !values.is_empty());
    let mut lines: Vec<String> = known.map(|(name, values)| format!("{name}: {}", list(name, &values))).collect();
    if !invited_by.is_empty() {
        lines.push(format!("invited by: {invited_by}"));
    }
    if was_member {
        lines.push("it was a member before, and was removed".to_owned());
    }
    lines
}

fn step(name: &str, now: &[String], wanted: &[String]) -> String {
    format!("{name}: {} → {}", list(name, now), list(name, wanted))
}

fn list(name: &str, values: &[String]) -> String {
    let most = match name {
        "authority key" => KEY,
        "pins" => PIN,
        _ => usize::MAX,
    };
    let shown = |value: &String| match value.split_once(' ') {
        Some((digits, rest)) if name == "pins" => format!("{} {rest}", digits.get(..most).unwrap_or(digits)),
        _ => value.get(..most.min(value.len())).unwrap_or(value).to_owned(),
    };
    if values.is_empty() { "(none)".to_owned() } else { values.iter().map(shown).collect::<Vec<_>>().join(", ") }
}

fn policy_changes(now: &Policy, wanted: &Policy) -> Vec<String> {
    let values = |p: &Policy| {
        [
            ("rules version", p.rules_version.to_string()),
            ("stewards that approve an admission", p.admission_approvals.to_string()),
            ("emergency suspension", when::typed_span(p.emergency_ms)),
            ("freshness limit", when::typed_span(p.freshness_limit_ms)),
            ("beat interval", when::typed_span(p.beat_interval_ms)),
            ("changes between snapshots", p.snapshot_interval.to_string()),
            ("life of a proposal", when::typed_span(p.proposal_life_ms)),
        ]
    };
    let both = values(now).into_iter().zip(values(wanted)).filter(|(now, wanted)| now != wanted);
    let mut lines: Vec<String> = both.map(|(now, wanted)| format!("{}: {} → {}", now.0, now.1, wanted.1)).collect();
    if lines.is_empty() {
        lines.push("nothing differs from what stands now".to_owned());
    }
    lines
}

fn steward_changes(now: &StewardSet, wanted: &StewardSet) -> Vec<String> {
    let mut lines = Vec::new();
    for steward in &wanted.stewards {
        match now.stewards.iter().find(|s| s.authority == steward.authority) {
            None => lines.push(format!("comes in: {}", steward.authority)),
            Some(before) if before.raft_id != steward.raft_id => lines.push(format!(
                "{}: its new node votes, its lost one never again (Raft id {} → {})",
                steward.authority, before.raft_id, steward.raft_id
            )),
            Some(_) => {}
        }
    }
    let gone = now.stewards.iter().filter(|s| wanted.stewards.iter().all(|w| w.authority != s.authority));
    lines.extend(gone.map(|s| format!("goes: {}", s.authority)));
    let majority = |set: &StewardSet| format!("{} of {}", set.stewards.len() / 2 + 1, set.stewards.len());
    lines.push(format!("majority: {} → {}", majority(now), majority(wanted)));
    lines
}

/// Whether agreeing wants to be confirmed: what cannot be taken back easily, or is not known here.
pub fn is_severe(decision: &PendingDecision) -> bool {
    match (act(&decision.proposed), act(&decision.replaced)) {
        (Some(Act::Admit(_) | Act::Restore(_) | Act::EntryChange(_)), _) => false,
        (Some(Act::Policy(wanted)), Some(Act::Policy(now))) => wanted.rules_version > now.rules_version,
        (
            Some(
                Act::Suspend(_)
                | Act::Remove(_)
                | Act::StewardSet(_)
                | Act::KeyRecovery(_)
                | Act::Policy(_)
                | Act::Retime(_),
            )
            | None,
            _,
        ) => true,
    }
}

/// Shows what agreeing means, and asks first if that is severe.
///
/// # Errors
/// `CONFIRMATION_NEEDED`.
pub fn shown(session: &Session, act: &str, decision: &PendingDecision, yes: bool) -> Result<(), Failure> {
    let mut lines = changes(decision);
    let consequences: &[&str] = match decision.act.as_str() {
        "SUSPEND" | "EMERGENCY_SUSPEND" => &SUSPENSION,
        "REMOVE" => &REMOVAL,
        "KEY_RECOVERY" => &[RECOVERY, "call them: their node shows the same beginning of the new key"],
        "POLICY" if is_severe(decision) => &[RULES],
        _ => &[],
    };
    lines.extend(consequences.iter().map(|&line| line.to_owned()));
    let (given, needed) = (decision.approved_by.len(), decision.needed as usize);
    if decision.waits_for_us && given < needed {
        let left = needed - given - 1;
        let then = if left == 0 { "it is carried out with this approval" } else { "it waits for more after this one" };
        lines.push(format!("approved by {given} of {needed} ({}); {then}", decision.approved_by.join(", ")));
    }
    if is_severe(decision) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        return confirm::severe(session, act, &lines, decision.subject.trim_start_matches('#'), yes);
    }
    session.say(&format!("{act}:"));
    for line in lines {
        session.say(&format!("  - {line}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use havenlink_proto::directory::v1::{Admit, KeyRecovery, Name, Remove, Steward};

    fn decision(act: &str, proposed: Act, replaced: Option<Act>) -> PendingDecision {
        let proposal = |act| Proposal { act: Some(act) };
        PendingDecision {
            act: act.into(),
            proposed: Some(proposal(proposed)),
            replaced: replaced.map(proposal),
            ..Default::default()
        }
    }

    fn kehl(key: u8) -> AuthorityEntry {
        AuthorityEntry {
            authority: "de-kehl".into(),
            kind: ParticipantKind::LocalAuthority.into(),
            names: vec![Name { language: "de".into(), name: "Stadt\nKehl".into() }],
            authority_key: [vec![0; 12], vec![key; 32]].concat().into(),
            pins: vec![Pin {
                spki_sha256: vec![7; 32].into(),
                valid_until_ms: 1_700_000_000_000,
                ..Default::default()
            }],
            raft_id: 3,
            ..Default::default()
        }
    }

    #[test]
    fn entries_show_what_differs_and_applicants_everything() {
        let recovery = PendingDecision {
            signed_entry: Some(kehl(0xcd)),
            ..decision("KEY_RECOVERY", Act::KeyRecovery(KeyRecovery::default()), Some(Act::EntryChange(kehl(0xab))))
        };
        assert_eq!(changes(&recovery), ["authority key: abababababababab → cdcdcdcdcdcdcdcd"]);
        let ngo =
            AuthorityEntry { kind: ParticipantKind::MandatedNgo.into(), networks: vec!["rhine".into()], ..kehl(1) };
        let change = decision("ENTRY_CHANGE", Act::EntryChange(ngo), Some(Act::EntryChange(kehl(1))));
        assert_eq!(changes(&change), ["kind: LOCAL_AUTHORITY → MANDATED_NGO", "networks: (none) → rhine"]);
        let invited = Admit { invited_by: "fr-strasbourg".into(), ..Default::default() };
        let admit = PendingDecision { signed_entry: Some(kehl(1)), ..decision("ADMIT", Act::Admit(invited), None) };
        assert_eq!(
            changes(&admit),
            [
                "kind: LOCAL_AUTHORITY",
                "names: Stadt Kehl (de)",
                "authority key: 0101010101010101",
                "pins: 070707070707 until 2023-11-14T22:13:20Z",
                "raft id: 3",
                "invited by: fr-strasbourg",
            ]
        );
        assert!(is_severe(&recovery) && !is_severe(&change) && !is_severe(&admit));
    }

    #[test]
    fn policies_show_what_differs_and_stewards_who_comes_and_goes() {
        let now = Policy { rules_version: 1, emergency_ms: 86_400_000, beat_interval_ms: 15_000, ..Default::default() };
        let policy = |wanted| decision("POLICY", Act::Policy(wanted), Some(Act::Policy(now)));
        let shorter = policy(Policy { emergency_ms: 43_200_000, ..now });
        assert_eq!(changes(&shorter), ["emergency suspension: 1d → 12h"]);
        let raised = policy(Policy { rules_version: 2, ..now });
        assert_eq!(changes(&raised), ["rules version: 1 → 2"]);
        assert!(is_severe(&raised) && !is_severe(&shorter));

        let set = |ids: &[(&str, u64)]| {
            let stewards = ids.iter().map(|(a, raft_id)| Steward { authority: (*a).into(), raft_id: *raft_id });
            Act::StewardSet(StewardSet { stewards: stewards.collect() })
        };
        let now = set(&[("de-kehl", 2), ("fr-strasbourg", 1)]);
        let swap = decision("STEWARD_SET", set(&[("be-gent", 4), ("fr-strasbourg", 1)]), Some(now.clone()));
        assert_eq!(changes(&swap), ["comes in: be-gent", "goes: de-kehl", "majority: 2 of 2 → 2 of 2"]);
        let replaced = decision("STEWARD_SET", set(&[("de-kehl", 7), ("fr-strasbourg", 1)]), Some(now));
        assert!(changes(&replaced)[0].ends_with("(Raft id 2 → 7)") && is_severe(&replaced));
    }

    #[test]
    fn what_a_node_does_not_tell_is_severe() {
        let untold = |act: &str| PendingDecision { act: act.into(), ..Default::default() };
        assert_eq!(changes(&untold("POLICY")), ["this node does not tell what is proposed"]);
        assert!(is_severe(&untold("POLICY")) && is_severe(&untold("SOMETHING_NEW")));
        let reason = RemoveReason::BreachOfRules.into();
        let removal = decision("REMOVE", Act::Remove(Remove { reason }), None);
        assert_eq!(changes(&removal), ["reason: BREACH_OF_RULES"]);
    }
}
