//! Writes the full name of each enum of the contract beside its Rust type: prost names messages only.

use std::fmt::Write as _;

use protox::prost_reflect::DescriptorPool;

use super::{OPTIONS, rust_path};

/// `impl ContractEnum` for all of them.
pub fn names(pool: &DescriptorPool) -> String {
    let ours = |package: &str| package.starts_with("havenlink.") && package != OPTIONS;
    let mut out = String::new();
    for found in pool.all_enums().filter(|e| ours(e.parent_file().package_name()) && e.parent_message().is_none()) {
        let (path, name) = (rust_path(found.full_name()), found.full_name());
        let _ = writeln!(out, "impl ContractEnum for {path} {{\n    const FULL_NAME: &'static str = \"{name}\";\n}}");
    }
    out
}
