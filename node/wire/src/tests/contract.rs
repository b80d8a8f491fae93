//! The contract as it was compiled: closed lists equal the proto's enums, and what never crosses has no field.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};

use crate::domain::board;
use crate::domain::closed::Closed;
use crate::domain::person::share;
use crate::domain::records::Content;
use crate::domain::records::withdrawal;
use crate::domain::{
    agreement, audit, authority, handling, holds, join, light, mandate, place, policy, record, register,
};

fn descriptors() -> FileDescriptorSet {
    FileDescriptorSet::decode(havenlink_proto::DESCRIPTOR_SET).unwrap()
}

/// All messages by their full names, nested ones too.
fn messages() -> Vec<(String, DescriptorProto)> {
    fn add(prefix: &str, message: DescriptorProto, all: &mut Vec<(String, DescriptorProto)>) {
        let name = format!("{prefix}.{}", message.name());
        for nested in &message.nested_type {
            add(&name, nested.clone(), all);
        }
        all.push((name, message));
    }
    let mut all = Vec::new();
    for file in descriptors().file {
        let package = file.package().to_owned();
        for message in file.message_type {
            add(&package, message, &mut all);
        }
    }
    all
}

fn enums() -> BTreeMap<String, EnumDescriptorProto> {
    let files = descriptors().file.into_iter();
    files
        .flat_map(|file| {
            let package = file.package().to_owned();
            file.enum_type.into_iter().map(move |e| (format!("{package}.{}", e.name()), e))
        })
        .collect()
}

/// `AlertKind` → `ALERT_KIND_`.
fn prefix(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out + "_"
}

fn listed<T: Closed>() -> BTreeMap<i32, &'static str> {
    T::VALUES.iter().map(|v| (v.number(), v.label())).collect()
}

/// Lists that the domain calls by another name.
mod named {
    pub use crate::domain::receipt::OutcomeKind as ItemResult;
}

macro_rules! closed_lists {
    ($($area:ident { $($module:ident::$name:ident),+ $(,)? })+) => {
        /// Every closed list of the domain that the contract knows, under the contract's name: those of the kinds of content,
        /// which each kind names, and the rest, which stand here.
        fn closed_lists() -> BTreeMap<String, BTreeMap<i32, &'static str>> {
            let name = |area, name| format!("havenlink.{area}.v1.{name}");
            let kinds = Content::closed_lists().into_iter().map(|list| (name("record", list.name), list.values));
            let rest = [$($((name(stringify!($area), stringify!($name)), listed::<$module::$name>()),)+)+];
            kinds.chain(rest).collect()
        }
    };
}

closed_lists! {
    record {
        handling::Tlp, handling::Pap, handling::Purpose, handling::LawfulBasis, handling::SpecialBasis, handling::RecordStatus, place::PlaceScheme, record::RecordKind, record::StreamClass, record::ReferenceKind, agreement::CorridorRole, agreement::TransferBasis, agreement::Usage, agreement::AgreementEndReason, audit::AuditAct, audit::ActorRole, share::ShareScope, withdrawal::WithdrawalReason, withdrawal::ErasureOutcome, holds::HoldState,
    }
    peer {
        named::ItemResult, join::ApplicationState, holds::HoldAct,
    }
    local {
        light::Light, light::LightReason, board::ReceivedGroup, board::Unsaid, board::Nearness, board::BoardSource, policy::Clause, share::NoticeMode, share::Interpreter, share::ShareSetting, share::AgeAssessment, share::ChildViews, share::DeciderKind, share::Incapacity, share::ShareEventKind,
    }
    admin {
        agreement::AgreementState, agreement::AgreementDue, join::InvitationState,
    }
    store {
        join::InvitationState, join::ApplicationState,
    }
    directory {
        mandate::MandatedActivity, authority::ParticipantKind, authority::IdentifierScheme, register::Outcome, register::SuspendReason, register::RemoveReason, register::RejectionReason,
    }
}

/// What stands in no record and in no partner's message: answered to a node's own callers, or asked by them.
const WITHIN: [&str; 12] = [
    "havenlink.local.v1.HolderState",
    "havenlink.admin.v1.EventKind",
    "havenlink.local.v1.DisclosureState",
    "havenlink.admin.v1.CheckResult",
    "havenlink.admin.v1.NodeState",
    "havenlink.directory.v1.MemberState",
    "havenlink.directory.v1.ProposalState",
    "havenlink.directory.v1.Consistency",
    "havenlink.local.v1.Folder",
    "havenlink.local.v1.ShareStanding",
    "havenlink.admin.v1.PartyKnows",
    "havenlink.local.v1.DeliveryState",
];

#[test]
fn closed_lists_have_the_numbers_and_names_of_the_contract() {
    let enums = enums();
    for (name, ours) in closed_lists() {
        let theirs = enums.get(&name).unwrap_or_else(|| panic!("{name} is not in the contract"));
        let prefix = prefix(theirs.name());
        let zero = theirs.value.iter().find(|v| v.number() == 0).unwrap();
        assert_eq!(zero.name(), format!("{prefix}UNSPECIFIED"));
        let values = theirs.value.iter().filter(|v| v.number() != 0);
        let theirs: BTreeMap<i32, &str> =
            values.map(|v| (v.number(), v.name().strip_prefix(prefix.as_str()).unwrap())).collect();
        assert_eq!(ours, theirs, "{name}");
    }
}

#[test]
fn the_local_content_has_a_field_for_each_kind_that_is_built_under_its_number_and_name() {
    let content = messages().into_iter().find(|(name, _)| name == "havenlink.local.v1.Content").unwrap().1;
    let fields: BTreeMap<i32, String> = content.field.iter().map(|f| (f.number(), f.name().to_uppercase())).collect();
    let kinds = record::RecordKind::CONTENT.iter().map(|kind| (kind.code(), kind.name().to_owned()));
    assert_eq!(fields, kinds.collect());
}

#[test]
fn every_enum_of_the_contract_is_a_closed_list_here() {
    let lists = closed_lists();
    let read = |name: &str| name.starts_with("havenlink.") && !name.starts_with("havenlink.options.");
    for name in enums().keys().filter(|name| read(name)) {
        assert_ne!(
            lists.contains_key(name),
            WITHIN.contains(&name.as_str()),
            "{name}: a closed list, or within a node"
        );
    }
}

/// Words of which no field's name may consist in part, in any package (9.2, "What never crosses").
const NEVER: [&str; 50] = [
    "nationality",
    "national",
    "citizenship",
    "ethnicity",
    "ethnic",
    "race",
    "religion",
    "religious",
    "belief",
    "faith",
    "residence",
    "residency",
    "immigration",
    "visa",
    "asylum",
    "passport",
    "birth",
    "birthday",
    "birthdate",
    "dob",
    "born",
    "surname",
    "firstname",
    "lastname",
    "forename",
    "nickname",
    "suspect",
    "suspects",
    "perpetrator",
    "offender",
    "trafficker",
    "victim",
    "victims",
    "latitude",
    "longitude",
    "lat",
    "lon",
    "lng",
    "coordinate",
    "coordinates",
    "gps",
    "street",
    "postcode",
    "zip",
    "occupancy",
    "occupied",
    "plate",
    "iban",
    "photo",
    "picture",
];

/// Words that a field may carry only where it is a desk, a machine or an authority, never a person or a refuge.
const ONLY_HERE: [(&str, &[&str]); 8] = [
    (
        "phone",
        &[
            "havenlink.record.v1.OfferView.",
            "havenlink.record.v1.Referral.",
            "havenlink.local.v1.OwnOffer.",
            "havenlink.store.v1.StoredOffer.",
            "havenlink.directory.v1.ContactPoint.",
        ],
    ),
    ("email", &["havenlink.directory.v1.ContactPoint."]),
    ("address", &["havenlink.admin.v1.GetStatusResponse.peer_address"]),
    ("addresses", &[]),
    ("url", &[]),
    ("handle", &[]),
    ("person", &[]),
    ("child", &[]),
];

#[test]
fn what_never_crosses_has_no_field() {
    for (name, message) in messages() {
        for field in &message.field {
            let full = format!("{name}.{}", field.name());
            for word in field.name().split('_') {
                assert!(!NEVER.contains(&word), "{full} says {word}");
                for (only, places) in ONLY_HERE {
                    assert!(word != only || places.iter().any(|place| full.starts_with(place)), "{full} says {word}");
                }
            }
        }
    }
}

/// Fields in which text can stand, beside those that the kinds of content name themselves (`Codec::TEXTS`). A new one is added
/// deliberately, with the check that guards it.
const TEXTS: [&str; 16] = [
    // Screened by `domain::text::check_free_text`; its language tag.
    "Text.text",
    "Text.language",
    // Codes of registries, checked for their form.
    "Place.code",
    "AuditLeaf.reason",
    "Signed.type",
    // Authority ids.
    "Envelope.origin",
    "Envelope.recipient",
    "Reference.origin",
    "Party.authority",
    "Transfer.country",
    "Grant.from",
    "Grant.to",
    "Agreement.proposer",
    "AgreementEnd.by",
    "AuditLeaf.counterparty",
    "AuditCheckpoint.authority",
];

#[test]
fn text_stands_in_known_fields_of_a_record_only() {
    let kinds = crate::records::TEXTS.iter().flat_map(|texts| texts.iter().copied());
    let known: BTreeSet<&str> = kinds.chain(TEXTS).collect();
    let mut found = BTreeSet::new();
    for (name, message) in messages() {
        let Some(short) = name.strip_prefix("havenlink.record.v1.") else { continue };
        let texts = message.field.iter().filter(|f| f.r#type() == Type::String);
        found.extend(texts.map(|f| format!("{short}.{}", f.name())));
    }
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

#[test]
fn the_owners_figures_stay_with_the_owner() {
    for (name, message) in messages() {
        if !["havenlink.record.", "havenlink.peer.", "havenlink.directory."].iter().any(|p| name.starts_with(p)) {
            continue;
        }
        for field in &message.field {
            let name = field.name();
            assert!(!["free", "baseline", "own_label"].contains(&name) && !name.starts_with("additional"), "{name}");
        }
    }
}

#[test]
fn each_method_has_its_own_request_and_response_and_each_service_says_so() {
    let mut seen = BTreeSet::new();
    for file in descriptors().file {
        let package = file.package().to_owned();
        for service in file.service.iter().filter(|_| package.starts_with("havenlink.")) {
            assert!(service.name().ends_with("Service"), "{}", service.name());
            for method in &service.method {
                let named = |suffix| format!(".{package}.{}{suffix}", method.name());
                let message = (method.input_type(), method.output_type());
                assert_eq!(message, (named("Request").as_str(), named("Response").as_str()));
                assert!(seen.insert(method.input_type().to_owned()), "{}", method.input_type());
            }
        }
    }
    assert!(!seen.is_empty());
}
