//! Numbers, types and names of every message and enum that travels between nodes or lies on a disk.

use std::collections::BTreeSet;

use prost_reflect::{Cardinality, DescriptorPool, FieldDescriptor, Kind};

use crate::golden;

/// What nodes say to each other and keep; `local` and `admin` are asked on one machine, by tools of the same version.
const PACKAGES: [&str; 4] = ["havenlink.record.v1", "havenlink.directory.v1", "havenlink.peer.v1", "havenlink.raft.v1"];

/// Not one field may be added either: its bytes are signed, hashed or both, and an older node drops what it does not know
/// (node/decisions/001-frozen-formats.md).
/// A statement is not among them: a new body comes with new rules, which an older node says it does not know.
const FROZEN: [&str; 9] = [
    "havenlink.record.v1.Signed",
    "havenlink.record.v1.Signature",
    "havenlink.record.v1.Envelope",
    "havenlink.record.v1.Reference",
    "havenlink.record.v1.AuditLeaf",
    "havenlink.record.v1.AuditCheckpoint",
    "havenlink.directory.v1.Change",
    "havenlink.directory.v1.Beat",
    "havenlink.peer.v1.Receipt",
];

fn field(message: &str, field: &FieldDescriptor) -> String {
    let kind = match field.kind() {
        Kind::Message(m) => m.full_name().to_owned(),
        Kind::Enum(e) => e.full_name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    };
    let many = if field.cardinality() == Cardinality::Repeated { "repeated " } else { "" };
    let choice = field.containing_oneof().filter(|_| !field.field_descriptor_proto().proto3_optional());
    let choice = choice.map(|o| format!(" in {}", o.name())).unwrap_or_default();
    format!("{message} {} = {many}{kind} {}{choice}", field.number(), field.name())
}

/// One line for each field and each number of an enum.
fn lines() -> BTreeSet<String> {
    let pool = DescriptorPool::decode(havenlink_proto::DESCRIPTOR_SET).unwrap();
    let ours = |name: &str| PACKAGES.iter().any(|package| name.starts_with(&format!("{package}.")));
    let mut lines = BTreeSet::new();
    for message in pool.all_messages().filter(|m| ours(m.full_name())) {
        lines.extend(message.fields().map(|f| field(message.full_name(), &f)));
    }
    for list in pool.all_enums().filter(|e| ours(e.full_name())) {
        lines.extend(list.values().map(|v| format!("{} {} = {}", list.full_name(), v.number(), v.name())));
    }
    lines
}

#[test]
fn no_number_of_the_contract_ever_means_something_else() {
    let today = lines();
    assert!(today.len() > 400, "the contract was read");
    let golden = golden::text("contract.txt", || today.iter().map(|line| format!("{line}\n")).collect());
    let golden: BTreeSet<String> = golden.lines().map(str::to_owned).collect();
    let gone: Vec<&String> = golden.difference(&today).collect();
    assert!(gone.is_empty(), "in 0.1.0, and no longer so: {gone:#?}");
    let of = |line: &str| line.split(' ').next().unwrap_or("").to_owned();
    let grown: Vec<&String> = today.difference(&golden).filter(|line| FROZEN.contains(&&*of(line))).collect();
    assert!(grown.is_empty(), "frozen, and more than in 0.1.0: {grown:#?}");
    for frozen in FROZEN {
        assert!(golden.iter().any(|line| of(line) == frozen), "{frozen} has fields");
    }
}
