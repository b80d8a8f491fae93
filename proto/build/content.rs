//! Writes how a record becomes the `Content` of a local call and back: for each kind that the oneof has.

use std::fmt::Write as _;

use protox::prost_reflect::{DescriptorPool, Kind};

use super::{camel_case, rust_path};

const CONTENT: &str = "havenlink.local.v1.Content";

/// `impl From<record::v1::Alert> for local::v1::Content`, `impl Said for record::v1::Alert`, and so on.
///
/// # Errors
/// When the message is not in the contract, or has a field that is no record.
pub fn conversions(pool: &DescriptorPool) -> Result<String, String> {
    let content = pool.get_message_by_name(CONTENT).ok_or("Content is not in the contract")?;
    let mut out = String::new();
    for field in content.fields() {
        let Kind::Message(record) = field.kind() else { return Err(format!("{} is no record", field.full_name())) };
        let (path, variant) = (rust_path(record.full_name()), camel_case(&field.name().to_ascii_uppercase()));
        let _ = writeln!(
            out,
            "impl From<{path}> for crate::local::v1::Content {{\n    fn from(record: {path}) -> Self {{\n        \
             Self {{ said: Some(crate::local::v1::content::Said::{variant}(record)) }}\n    }}\n}}\n\
             impl Said for {path} {{\n    const KIND: crate::record::v1::RecordKind = crate::record::v1::RecordKind::{variant};\n    \
             const FIELD: &'static str = \"{}\";\n    fn said(content: &crate::local::v1::Content) -> Option<&Self> {{\n        \
             match content.said.as_ref()? {{\n            crate::local::v1::content::Said::{variant}(record) => Some(record),\n            \
             #[allow(unreachable_patterns)]\n            _ => None,\n        }}\n    }}\n}}",
            field.name()
        );
    }
    Ok(out)
}
