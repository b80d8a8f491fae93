//! What comes from another node is decoded where its limit stands (9.14), in both directions.

use super::{code, is_tests, named_sources};

/// A client of the contract is made by a constructor that gives it the largest answer that it takes.
const CLIENTS: [&str; 3] = ["directory/clients.rs", "exchange/peer_client.rs", "exchange/peer_client/join.rs"];

#[test]
fn a_client_is_made_with_its_limit() {
    let mut makers = Vec::new();
    for (relative, file) in named_sources() {
        // The demo calls doors of its own.
        if is_tests(&relative) || relative.starts_with("demo/") {
            continue;
        }
        let text = code(&std::fs::read_to_string(file).expect("readable"));
        let made = text.matches("ServiceClient::new(").count();
        if made > 0 {
            assert_eq!(text.matches(".max_decoding_message_size(").count(), made, "{relative}");
            makers.push(relative);
        }
    }
    makers.sort();
    assert_eq!(makers, CLIENTS);
}

/// The elements of foreign bytes are counted first: prost's own `decode` is for what this node's disk holds, and for what was
/// opened before.
const OWN_BYTES: [&str; 23] = [
    "directory/chain/load.rs",
    "directory/gossip.rs",
    "directory/raft/log_store.rs",
    "directory/raft/state_machine.rs",
    "directory/raft/stored.rs",
    "directory/refounding/",
    "directory/serve.rs",
    "directory/snapshot_handle.rs",
    "directory/statements.rs",
    "exchange/peer_client/join.rs",
    "services/admin/audit.rs",
    "services/reflection/shown.rs",
    "storage/contract/fixture.rs",
    "wire/acts/",
    "wire/agreed.rs",
    "wire/audit.rs",
    "wire/before.rs",
    "wire/holds.rs",
    "wire/invitation.rs",
    "wire/joining.rs",
    "wire/share.rs",
    "wire/signed.rs",
    "wire/stored.rs",
];

#[test]
fn what_others_encoded_is_counted_before_it_is_decoded() {
    let mut decode = Vec::new();
    for (relative, file) in named_sources().into_iter().filter(|(name, _)| !is_tests(name)) {
        let text = code(&std::fs::read_to_string(file).expect("readable"));
        let bare = text.lines().filter(|line| line.contains("::decode(") && !line.contains("elements::decode"));
        let encodings = ["BASE64", "BASE32", "HEX", "wire::", "stored::", "records::", "Self::decode(bytes, Source"];
        if bare.filter(|line| !encodings.iter().any(|name| line.contains(name))).count() > 0 {
            decode.push(relative);
        }
    }
    let unknown: Vec<_> = decode.iter().filter(|name| !OWN_BYTES.iter().any(|own| name.starts_with(own))).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
