//! Writes the shape of every message as Rust: which of its fields hold messages or packed numbers, and how many elements it
//! may have. What stands in neither is one element, whatever it says.

use std::collections::HashMap;
use std::fmt::Write as _;

use protox::prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

use super::{OPTIONS, rust_path};

const MAX_TAGS: &str = "havenlink.options.v1.max_tags";
const MAX_ITEMS: &str = "havenlink.options.v1.max_items";
/// Of a message without the option.
const DEFAULT_TAGS: u32 = 4_096;
/// Of what a city's own node answers to its own people: pages of 1,000 rows.
const OWN_ANSWERS: u32 = 1 << 18;

/// `SHAPES`, and which message has which.
///
/// # Errors
/// When the options are not in the contract.
pub fn shapes(pool: &DescriptorPool) -> Result<String, String> {
    let messages: Vec<MessageDescriptor> =
        pool.all_messages().filter(|m| m.parent_file().package_name() != OPTIONS).collect();
    let places: HashMap<String, usize> =
        messages.iter().enumerate().map(|(at, message)| (message.full_name().to_owned(), at)).collect();
    let (mut rows, mut shaped) = (String::new(), String::new());
    for (at, message) in messages.iter().enumerate() {
        let tags = number(pool, MAX_TAGS, &message.options())?.unwrap_or_else(|| default_tags(message));
        let mut fields = String::new();
        for field in message.fields() {
            fields += &row(pool, &field, &places)?;
        }
        let name = message.full_name();
        let _ = writeln!(rows, "    Shape {{ name: \"{name}\", max_tags: {tags}, fields: &[{fields}] }},");
        if name.starts_with("havenlink.") && message.parent_message().is_none() {
            let path = rust_path(name);
            let _ = writeln!(shaped, "impl Shaped for {path} {{\n    const SHAPE: &'static Shape = &SHAPES[{at}];\n}}");
        }
    }
    Ok(format!("static SHAPES: &[Shape] = &[\n{rows}];\n\n{shaped}"))
}

fn default_tags(message: &MessageDescriptor) -> u32 {
    let package = message.parent_file();
    let own = ["havenlink.local.v1", "havenlink.admin.v1"].contains(&package.package_name());
    if own && message.name().ends_with("Response") { OWN_ANSWERS } else { DEFAULT_TAGS }
}

/// Nothing for a field that is one element and no more.
fn row(pool: &DescriptorPool, field: &FieldDescriptor, places: &HashMap<String, usize>) -> Result<String, String> {
    let kind = match field.kind() {
        Kind::Message(message) => match places.get(message.full_name()) {
            Some(at) => format!("Holds::Message({at})"),
            None => "Holds::One".to_owned(),
        },
        Kind::String | Kind::Bytes => "Holds::One".to_owned(),
        _ if !field.is_list() => "Holds::One".to_owned(),
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 | Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => {
            return Err(format!("{}: the scan does not count packed numbers of a fixed size", field.full_name()));
        }
        _ => "Holds::Varints".to_owned(),
    };
    let items = number(pool, MAX_ITEMS, &field.options())?;
    if items.is_none() && kind == "Holds::One" {
        return Ok(String::new());
    }
    Ok(format!("Field {{ number: {}, holds: {kind}, max_items: {items:?} }}, ", field.number()))
}

fn number(
    pool: &DescriptorPool,
    option: &str,
    options: &protox::prost_reflect::DynamicMessage,
) -> Result<Option<u32>, String> {
    let extension = pool.get_extension_by_name(option).ok_or(format!("{option} is not in the contract"))?;
    Ok(options.get_extension(&extension).as_u32().filter(|n| *n > 0))
}
