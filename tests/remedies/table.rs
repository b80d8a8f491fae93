//! Which situation brings about each reason whose remedy names a command, and which are brought about by none, with why.

use havenlink::domain::reason::Reason;
use havenlink_tests::federation::built;

/// The nouns of `havenctl` and the commands of `havenlink`, as their help lists them.
const NOUNS: &[&str] = &[
    "status",
    "doctor",
    "digest",
    "events",
    "explain",
    "invite",
    "member",
    "mandate",
    "steward",
    "register",
    "agreement",
    "sharing",
    "alert",
    "practice",
    "offer",
    "place",
    "inspection",
    "referral",
    "erasure",
    "delivery",
    "audit",
    "directory",
    "node",
    "policy",
    "report",
    "completions",
];
const VERBS: &[&str] = &[
    "init",
    "join",
    "withdraw",
    "recover",
    "run",
    "demo",
    "check",
    "backup",
    "recovery-key",
    "restore",
    "completions",
];

/// Remedies that name a command. They do not become fewer: what helps is a command that can be typed.
const NAMED_AT_LEAST: usize = 76;
/// So many of them have no situation; they become fewer, down to five of a hundred.
const WITHOUT_AT_MOST: usize = 5;

/// Each situation by its name, with the reasons that it brings about.
const SITUATIONS: &[(&str, &[Reason])] = &[
    (
        "machine",
        &[
            Reason::NotJoined,
            Reason::AlreadyJoined,
            Reason::ConfigInvalid,
            Reason::StorageFailed,
            Reason::NodeNotReachable,
            Reason::BackupFailed,
            Reason::RecoveryRecipientMissing,
            Reason::AuthorityKeyLost,
            Reason::AuditDamaged,
            Reason::StorageDamaged,
            Reason::OpenToOthers,
            Reason::CertificateInvalid,
        ],
    ),
    (
        "stale",
        &[
            Reason::RecordWithdrawn,
            Reason::NoLeader,
            Reason::RegisterNotFresh,
            Reason::LastRegisterUnreachable,
            Reason::PersonContentWaits,
        ],
    ),
    (
        "holds",
        &[
            Reason::HoldNoneFree,
            Reason::HoldExtended,
            Reason::HoldFenced,
            Reason::HoldNotOffered,
            Reason::HoldQuota,
            Reason::HoldAfterRestore,
        ],
    ),
    (
        "mistyped",
        &[
            Reason::MemberUnknown,
            Reason::NotFound,
            Reason::ReasonUnknown,
            Reason::FieldMissing,
            Reason::StatementRejected,
        ],
    ),
    (
        "joining",
        &[
            Reason::InvitationUnknown,
            Reason::InvitationBurnt,
            Reason::InvitationExpired,
            Reason::InvitationUsed,
            Reason::ApplicationUnknown,
            Reason::JoinPending,
            Reason::WordsNeeded,
            Reason::AlreadyMember,
            Reason::TicketInvalid,
            Reason::NodeStarting,
        ],
    ),
    ("restored", &[Reason::RefoundingNotNeeded, Reason::RaftTargetOther]),
    ("foreign", &[Reason::CertificateNotPinned, Reason::AgreementNotParty, Reason::EnvelopeMalformed]),
    ("alone", &[Reason::RegisterNotAhead, Reason::LastSteward]),
    ("founded", &[Reason::RefoundingAlone]),
    ("contested", &[Reason::RegisterContested]),
    ("unproved", &[Reason::RefoundingUnproved]),
    (
        "partners",
        &[
            Reason::WrongRecipient,
            Reason::PeerRefusedUs,
            Reason::PeerPinUnknown,
            Reason::PeerTlsFailed,
            Reason::PeerUnreachable,
            Reason::KindNotNamed,
        ],
    ),
    (
        "agreements",
        &[
            Reason::AgreementNotInForce,
            Reason::UseNotGranted,
            Reason::HandlingTooRestricted,
            Reason::AudienceNotNamed,
            Reason::NotForThisAuthority,
            Reason::AgreementInvalid,
            Reason::AgreementNotFound,
            Reason::AgreementEnded,
            Reason::TargetUnknown,
            Reason::TooManyProposals,
            Reason::AgreementUnconfirmed,
        ],
    ),
    ("transfers", &[Reason::TransferLapsed]),
    ("retention", &[Reason::RetentionEnded]),
    ("overdue", &[Reason::ErasureOverdue]),
    (
        "stewards",
        &[
            Reason::NotASteward,
            Reason::NewcomerCatchingUp,
            Reason::NotSuspended,
            Reason::MemberSuspended,
            Reason::EmergencyUsed,
            Reason::ControlNotAllowed,
            Reason::NeedsTwoSignatures,
            Reason::StillASteward,
            Reason::RaftIdReused,
            Reason::SeveralApplications,
            Reason::ProposalUnknown,
            Reason::AlreadyApproved,
            Reason::ProposalClosed,
            Reason::OneStewardAtATime,
            Reason::DuplicatePin,
            Reason::PinUnproved,
            Reason::WellKnownKey,
            Reason::SignatureInvalid,
            Reason::AuthorUnknown,
            Reason::WrongFederation,
            Reason::RulesVersionOther,
            Reason::StatementKindUnknown,
            Reason::NeedsApproval,
            Reason::DuplicateKey,
            Reason::MemberRemoved,
            Reason::EmergencyTimeInvalid,
            Reason::BeatInvalid,
            Reason::RefoundingInvalid,
            Reason::RaftTermTooFar,
            Reason::RaftSenderMismatch,
            Reason::RaftLogContradicted,
            Reason::RaftMembershipUnsigned,
            Reason::RaftLeaderStands,
            Reason::EntryTimeInvalid,
            Reason::SnapshotInvalid,
            Reason::HeadMismatch,
        ],
    ),
];

/// Reasons that no situation brings about, and why not.
const WITHOUT: &[(Reason, &str)] = &[
    (Reason::SkippedAfterWait, "a partner that cannot take a record for fifteen minutes"),
    (Reason::Deferred, "takes a record of a time to come, or an agreement that overtakes itself on the road"),
    (Reason::MembersLackRules, "all nodes here are of one version, and know the same rules"),
    (
        Reason::RefoundingIncomplete,
        "is answered among stewards alone, while one of them has signed and the other has not",
    ),
    (Reason::RefoundingSigned, "takes two orders of one steward that cross within its node, which happens by chance"),
];

/// The reasons of a situation.
pub fn reasons_of(situation: &str) -> Vec<Reason> {
    let (_, reasons) = SITUATIONS.iter().find(|(name, _)| *name == situation).expect("a situation of the table");
    reasons.to_vec()
}

/// The commands of the two tools that a text names: `havenctl` with a noun or an option, `havenlink` with a command.
pub fn commands(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (tool, words) in [("havenctl ", NOUNS), ("havenlink ", VERBS)] {
        for (at, _) in text.match_indices(tool).filter(|(at, _)| !text[..*at].ends_with("-u ")) {
            let rest = &text[at + tool.len()..];
            let word = rest.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next().unwrap_or_default();
            if words.contains(&word) || word.starts_with("--") || rest.starts_with("NOUN") {
                found.push(&text[at..at + tool.len() + word.len()]);
            }
        }
    }
    found
}

#[test]
fn each_remedy_that_names_a_command_has_a_situation() {
    let named: Vec<Reason> = Reason::ALL.iter().copied().filter(|r| !commands(r.row().remedy).is_empty()).collect();
    assert!(named.len() >= NAMED_AT_LEAST, "only {} remedies name a command", named.len());
    let mut situated: Vec<Reason> = SITUATIONS.iter().flat_map(|(_, reasons)| reasons.iter().copied()).collect();
    situated.extend(WITHOUT.iter().map(|(reason, _)| *reason));
    for reason in &situated {
        assert!(named.contains(reason), "{reason}: its remedy names no command");
        assert_eq!(situated.iter().filter(|other| *other == reason).count(), 1, "{reason} stands in one place");
    }
    let missing: Vec<&Reason> = named.iter().filter(|reason| !situated.contains(reason)).collect();
    assert!(missing.is_empty(), "nothing brings these about: {missing:?}");
    assert!(WITHOUT.len() <= WITHOUT_AT_MOST, "{} of {} without a situation", WITHOUT.len(), named.len());
    assert!(WITHOUT.iter().all(|(_, why)| why.len() > 20), "each says why");
}

#[test]
fn the_tools_have_these_commands() {
    for (tool, words) in [("havenctl", NOUNS), ("havenlink", VERBS)] {
        let help = std::process::Command::new(built(tool).unwrap()).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
        let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
        assert_eq!(names.filter(|name| *name != "help").collect::<Vec<_>>(), words, "{tool}");
    }
}

/// A verb that no noun has cannot be typed.
#[test]
fn each_command_that_a_remedy_names_exists() {
    let mut unknown = Vec::new();
    for reason in Reason::ALL {
        let remedy = reason.row().remedy;
        for noun in commands(remedy).into_iter().filter(|c| c.starts_with("havenctl ") && !c.contains("--")) {
            for (at, _) in remedy.match_indices(noun) {
                let verb = remedy[at + noun.len()..].split_whitespace().next().unwrap_or_default();
                let verb = if remedy[at + noun.len()..].starts_with(' ') {
                    verb.trim_end_matches([',', ';', ':'])
                } else {
                    ""
                };
                if !exists(noun, verb) {
                    unknown.push(format!("{reason}: {noun} {verb}"));
                }
            }
        }
    }
    assert_eq!(unknown, [""; 0], "no such command");
}

/// Whether the noun has the verb, or needs none.
fn exists(noun: &str, verb: &str) -> bool {
    let words = noun.strip_prefix("havenctl ").unwrap();
    if !NOUNS.contains(&words) {
        return true;
    }
    let help = std::process::Command::new(built("havenctl").unwrap()).args([words, "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let Some(list) = help.split("Commands:\n").nth(1) else { return true };
    list.lines().any(|line| line.split_whitespace().next() == Some(verb))
}

#[test]
fn a_command_is_told_from_a_word() {
    assert_eq!(commands("havenctl status; havenctl chooses it"), ["havenctl status"]);
    assert_eq!(commands("journalctl -u havenlink, then havenlink check"), ["havenlink check"]);
    assert_eq!(commands("again with havenctl; update havenlink, or havenctl --sockets DIR"), ["havenctl --sockets"]);
}
