//! Messages ⇄ JSON. Field names are the contract's; coded fields stand by their short names; bytes are UUIDs (16 bytes) or
//! hexadecimal; times and spans are numbers of milliseconds, as their field names say.
//!
//! Everything that is written can be read back. Fields at their default are written too, so that a reader finds them.

use prost::{Message, Name};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value as Proto};
use serde_json::{Map, Value};

use crate::contract_enum;
use crate::failure::Failure;
use crate::id;
use crate::reasons;
use crate::when;

pub fn to_json<M: Message + Name + Default>(message: &M) -> Value {
    let descriptor =
        contract_enum::pool().get_message_by_name(&M::full_name()).expect("named and described by the same build");
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .expect("what this contract encoded, this contract decodes");
    message_to_json(&dynamic)
}

/// A message from JSON.
///
/// # Errors
/// `FIELD_INVALID` with the path of the field, and what is allowed there.
pub fn from_json<M: Message + Name + Default>(value: &Value) -> Result<M, Failure> {
    let descriptor =
        contract_enum::pool().get_message_by_name(&M::full_name()).expect("named and described by the same build");
    let dynamic = message_from_json(&descriptor, value, "").map_err(|(path, what)| {
        Failure::new(
            &reasons::FIELD_INVALID,
            "the file does not fit the contract",
            "",
            "correct the field that is named",
        )
        .with(
            "field",
            format!("{}: {what}", if path.is_empty() { "(the whole)" } else { path.trim_start_matches('.') }),
        )
    })?;
    dynamic.transcode_to::<M>().map_err(|e| Failure::fault(&e.to_string()))
}

fn message_to_json(message: &DynamicMessage) -> Value {
    let mut map = Map::new();
    for field in message.descriptor().fields() {
        let unset = !message.has_field(&field);
        if unset && (field.containing_oneof().is_some() || matches!(field.kind(), Kind::Message(_)) && !field.is_list())
        {
            continue;
        }
        map.insert(field.name().to_owned(), field_to_json(&field, &message.get_field(&field)));
    }
    Value::Object(map)
}

fn field_to_json(field: &FieldDescriptor, value: &Proto) -> Value {
    match value {
        Proto::List(list) => Value::Array(list.iter().map(|item| single_to_json(field, item)).collect()),
        Proto::Map(map) => {
            let entries = map.iter().map(|(key, item)| {
                let key = match key {
                    MapKey::String(text) => text.clone(),
                    other => format!("{other:?}"),
                };
                (key, single_to_json(field, item))
            });
            Value::Object(entries.collect())
        }
        single => single_to_json(field, single),
    }
}

fn single_to_json(field: &FieldDescriptor, value: &Proto) -> Value {
    match value {
        Proto::Bool(b) => (*b).into(),
        Proto::I32(n) => (*n).into(),
        Proto::I64(n) => (*n).into(),
        Proto::U32(n) => (*n).into(),
        Proto::U64(n) => (*n).into(),
        Proto::F32(n) => f64::from(*n).into(),
        Proto::F64(n) => (*n).into(),
        Proto::String(text) => text.as_str().into(),
        Proto::Bytes(bytes) => id::show(bytes).into(),
        Proto::EnumNumber(number) => match field.kind() {
            Kind::Enum(descriptor) => contract_enum::short_name(&descriptor, *number).into(),
            _ => (*number).into(),
        },
        Proto::Message(message) => message_to_json(message),
        Proto::List(_) | Proto::Map(_) => Value::Null,
    }
}

/// Path of the field, and what is wrong with it.
type Wrong = (String, String);

fn message_from_json(descriptor: &MessageDescriptor, value: &Value, path: &str) -> Result<DynamicMessage, Wrong> {
    let Value::Object(map) = value else { return Err((path.to_owned(), "an object { … } is expected".into())) };
    let mut message = DynamicMessage::new(descriptor.clone());
    for (name, value) in map {
        let path = format!("{path}.{name}");
        let Some(field) = descriptor.get_field_by_name(name) else {
            let known: Vec<String> = descriptor.fields().map(|f| f.name().to_owned()).collect();
            let nearest = contract_enum::nearest(name, known.iter().map(String::as_str));
            let hint = nearest.map(|n| format!("nearest: {n}; ")).unwrap_or_default();
            return Err((path, format!("there is no such field; {hint}known: {}", known.join(", "))));
        };
        if value.is_null() || value.as_str() == Some("") && matches!(field.kind(), Kind::Enum(_)) {
            continue;
        }
        message.set_field(&field, field_from_json(&field, value, &path)?);
    }
    Ok(message)
}

fn field_from_json(field: &FieldDescriptor, value: &Value, path: &str) -> Result<Proto, Wrong> {
    if field.is_map() {
        return Err((path.to_owned(), "maps cannot be given".into()));
    }
    if !field.is_list() {
        return single_from_json(field, value, path);
    }
    let Value::Array(items) = value else { return Err((path.to_owned(), "a list [ … ] is expected".into())) };
    let items = items.iter().enumerate().map(|(i, item)| single_from_json(field, item, &format!("{path}[{i}]")));
    Ok(Proto::List(items.collect::<Result<_, _>>()?))
}

fn single_from_json(field: &FieldDescriptor, value: &Value, path: &str) -> Result<Proto, Wrong> {
    let wrong = |what: &str| (path.to_owned(), what.to_owned());
    let text = || value.as_str().ok_or_else(|| wrong("a text is expected"));
    match field.kind() {
        Kind::Bool => value.as_bool().map(Proto::Bool).ok_or_else(|| wrong("true or false is expected")),
        Kind::String => Ok(Proto::String(text()?.to_owned())),
        Kind::Bytes => match text()? {
            "" => Ok(Proto::Bytes(Vec::new().into())),
            text => id::parse(text)
                .map(|bytes| Proto::Bytes(bytes.into()))
                .ok_or_else(|| wrong("a UUID or hexadecimal is expected")),
        },
        Kind::Enum(descriptor) => {
            contract_enum::number_of(&descriptor, text()?).map(Proto::EnumNumber).map_err(|e| wrong(&e))
        }
        Kind::Message(descriptor) => Ok(Proto::Message(message_from_json(&descriptor, value, path)?)),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            let n = value.as_i64().and_then(|n| i32::try_from(n).ok());
            n.map(Proto::I32).ok_or_else(|| wrong("a whole number is expected"))
        }
        Kind::Uint32 | Kind::Fixed32 => {
            let n = value.as_u64().and_then(|n| u32::try_from(n).ok());
            n.map(Proto::U32).ok_or_else(|| wrong("a whole number from 0 to 4294967295 is expected"))
        }
        Kind::Uint64 | Kind::Fixed64 => {
            value.as_u64().map(Proto::U64).ok_or_else(|| wrong("a whole number is expected"))
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => match value {
            Value::String(typed) if field.name().ends_with("_ms") => {
                typed_time(field.name(), typed).map(Proto::I64).map_err(|e| wrong(&e))
            }
            _ => value.as_i64().map(Proto::I64).ok_or_else(|| wrong("a whole number is expected")),
        },
        Kind::Double => value.as_f64().map(Proto::F64).ok_or_else(|| wrong("a number is expected")),
        Kind::Float => Err(wrong("numbers of this sort cannot be given")),
    }
}

/// Fields of what has happened.
const PAST: [&str; 3] = ["first_seen_ms", "last_seen_ms", "since_ms"];
/// Fields of what begins.
const BEGINNINGS: [&str; 2] = ["valid_from_ms", "not_before_ms"];
/// Fields that are spans, and no instants.
const SPANS: [&str; 7] = [
    "time_to_live_ms",
    "retention_ms",
    "expires_in_ms",
    "emergency_ms",
    "freshness_limit_ms",
    "beat_interval_ms",
    "proposal_life_ms",
];

/// A time in a file that a person wrote, typed as the options are; what is neither past nor a beginning nor a span is an end.
fn typed_time(field: &str, typed: &str) -> Result<i64, String> {
    match field {
        past if PAST.contains(&past) => when::parse_past(typed),
        beginning if BEGINNINGS.contains(&beginning) => when::parse_start(typed),
        span if SPANS.contains(&span) => when::parse_span(typed),
        _ => when::parse_end(typed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use havenlink_proto::record::v1 as record;

    fn alert() -> record::Alert {
        record::Alert {
            kind: record::AlertKind::SuspiciousAdvertising.into(),
            indicators: vec!["ilo11:4".into()],
            place: Some(record::Place { scheme: record::PlaceScheme::Lau.into(), code: "67482".into() }),
            summary: vec![record::Text { language: "fr".into(), text: "Annonce".into() }],
            details: Some(record::alert::Details::SuspiciousAdvertising(record::SuspiciousAdvertising {
                channel: record::AdvertChannel::Newspaper.into(),
                first_seen_ms: 1_700_000_000_000,
                ..Default::default()
            })),
            ..Default::default()
        }
    }

    #[test]
    fn names_are_the_contracts_and_everything_reads_back() {
        let json = to_json(&alert());
        assert_eq!(json["kind"], "SUSPICIOUS_ADVERTISING");
        assert_eq!(json["place"]["scheme"], "LAU");
        assert_eq!(json["suspicious_advertising"]["first_seen_ms"], 1_700_000_000_000_i64);
        assert!(json.get("at_risk_site").is_none(), "a oneof shows the one");
        assert_eq!(from_json::<record::Alert>(&json).unwrap(), alert());
    }

    #[test]
    fn times_in_a_file_are_typed_as_on_the_command_line() {
        let day = 86_400_000;
        let advert = |field: &str, typed: &str| {
            let json = serde_json::json!({ "suspicious_advertising": { field: typed } });
            let Some(record::alert::Details::SuspiciousAdvertising(d)) = from_json::<record::Alert>(&json)?.details
            else {
                panic!("an advert")
            };
            Ok::<_, Failure>(d.first_seen_ms.max(d.last_seen_ms))
        };
        let ago = when::now_ms() - advert("first_seen_ms", "2d").unwrap();
        assert!((2 * day..2 * day + 60_000).contains(&ago), "{ago}");
        let today = when::exact(when::now_ms())[..10].to_owned();
        assert!(advert("last_seen_ms", &today).unwrap() <= when::now_ms(), "today has begun, and not ended");
        assert!(advert("last_seen_ms", "2999-01-01").unwrap_err().facts[0].1.contains("is still to come"));
        let capacity = serde_json::json!({ "time_to_live_ms": "8h", "paused_until_ms": "2d" });
        let capacity = from_json::<havenlink_proto::local::v1::Capacity>(&capacity).unwrap();
        assert_eq!(capacity.time_to_live_ms, day / 3);
        assert!(capacity.paused_until_ms > when::now_ms() + day);
        for name in PAST.iter().chain(&BEGINNINGS).chain(&SPANS) {
            let known = contract_enum::pool().all_messages().any(|m| m.get_field_by_name(name).is_some());
            assert!(known, "{name}");
        }
    }

    #[test]
    fn bytes_are_ids() {
        let agreement =
            record::Agreement { federation_id: vec![7; 32].into(), nonce: vec![1; 16].into(), ..Default::default() };
        let json = to_json(&agreement);
        assert_eq!(json["federation_id"], "07".repeat(32));
        assert_eq!(json["nonce"], "01010101-0101-0101-0101-010101010101");
        assert_eq!(from_json::<record::Agreement>(&json).unwrap(), agreement);
    }

    #[test]
    fn a_wrong_field_is_named_with_what_is_allowed() {
        let told = |json: Value| from_json::<record::Alert>(&json).unwrap_err().facts[0].1.clone();
        assert!(
            told(serde_json::json!({ "sevrity": "MINOR" }))
                .starts_with("sevrity: there is no such field; nearest: severity;")
        );
        assert!(
            told(serde_json::json!({ "place": { "scheme": "NUTZ" } }))
                .starts_with("place.scheme: \"NUTZ\" is not known; nearest: NUTS")
        );
        assert_eq!(told(serde_json::json!({ "summary": [{ "text": 4 }] })), "summary[0].text: a text is expected");
    }
}
