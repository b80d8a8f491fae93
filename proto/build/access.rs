//! Reads the option `havenlink.options.v1.access` of every RPC and writes the rows of the access table as Rust.

use std::fmt::Write as _;

use protox::prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, Kind, MethodDescriptor, ReflectMessage, Value,
};

use super::{camel_case, rust_path};

const OPTION: &str = "havenlink.options.v1.access";
const KIND_OPTION: &str = "havenlink.options.v1.kind";
/// The kinds are its fields.
const CONTENT: &str = "havenlink.local.v1.Content";
/// What may be done with a kind, as the fields of its option and the values of `Verb` call it.
const VERBS: [(&str, &str); 4] =
    [("publish", "Publish"), ("read", "Read"), ("consume", "Consume"), ("answer", "Answer")];
const REQUEST_BYTES: u32 = 65_536;
const DEADLINE_MS: u32 = 10_000;

/// `METHODS`, `SERVICES`, and which request belongs to which method.
///
/// # Errors
/// Names the first RPC without the option, or with one that contradicts the RPC.
pub fn table(pool: &DescriptorPool) -> Result<String, String> {
    let option = pool.get_extension_by_name(OPTION).ok_or("the option is not in the contract")?;
    let kinds = kinds(pool)?;
    let (mut rows, mut calls, mut services) = (String::new(), String::new(), String::new());
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    for (index, method) in methods.enumerate() {
        rows += &row(&method, &option, &kinds).map_err(|what| format!("{}: {what}", method.full_name()))?;
        calls += &call(&method, index);
    }
    for service in pool.services() {
        let _ = writeln!(services, "    \"{}\",", label(service.full_name()));
    }
    let of_kinds: String = kinds.iter().map(Kinds::row).collect();
    Ok(format!(
        "/// The kinds of content of the contract, and who may do what with them.\npub static KINDS: &[KindAccess] = &[\n{of_kinds}];\n\n\
         /// Every method of the contract.\npub static METHODS: &[Method] = &[\n{rows}];\n\n\
         /// Every service of the contract, as the label of metrics names it.\npub const SERVICES: &[&str] = &[\n{services}];\n\n{calls}"
    ))
}

/// `havenlink.local.v1.RecordService` → `local.RecordService`.
fn label(service: &str) -> String {
    service.trim_start_matches("havenlink.").replace(".v1.", ".")
}

/// A kind of content, and the roles of each verb.
struct Kinds {
    number: u32,
    roles: [Vec<String>; 4],
}

impl Kinds {
    fn row(&self) -> String {
        let roles = |(verb, _): (&str, &str), roles: &Vec<String>| format!("{verb}: &[{}]", list(roles, ROLE));
        let roles: Vec<String> = VERBS.into_iter().zip(&self.roles).map(|(verb, of)| roles(verb, of)).collect();
        format!("    KindAccess {{ number: {}, {} }},\n", self.number, roles.join(", "))
    }
}

const ROLE: &str = "crate::record::v1::ActorRole";

/// The option of each kind's message.
fn kinds(pool: &DescriptorPool) -> Result<Vec<Kinds>, String> {
    let option = pool.get_extension_by_name(KIND_OPTION).ok_or("the option of kinds is not in the contract")?;
    let content = pool.get_message_by_name(CONTENT).ok_or("Content is not in the contract")?;
    let kind = |field: protox::prost_reflect::FieldDescriptor| {
        let Kind::Message(record) = field.kind() else { return Err(format!("{} is no record", field.full_name())) };
        let options = record.options();
        if !options.has_extension(&option) {
            return Err(format!("{}: no option ({KIND_OPTION}): who may do what with it?", record.full_name()));
        }
        let value = options.get_extension(&option);
        let access = value.as_message().ok_or("the option is no message")?;
        Ok(Kinds { number: field.number(), roles: VERBS.map(|(verb, _)| names(access, verb)) })
    };
    content.fields().map(kind).collect()
}

/// Every role that may do this with some kind, in the order of the kinds.
fn roles_of(verb: &str, kinds: &[Kinds]) -> Vec<String> {
    let at = VERBS.iter().position(|(_, name)| *name == verb).expect("a verb of the option");
    let mut roles = Vec::new();
    for role in kinds.iter().flat_map(|kind| &kind.roles[at]) {
        if !roles.contains(role) {
            roles.push(role.clone());
        }
    }
    roles
}

fn row(method: &MethodDescriptor, option: &ExtensionDescriptor, kinds: &[Kinds]) -> Result<String, String> {
    let options = method.options();
    if !options.has_extension(option) {
        return Err(format!("no option ({OPTION}): who may call it?"));
    }
    let value = options.get_extension(option);
    let access = value.as_message().ok_or("the option is no message")?;
    let streams = method.is_client_streaming() || method.is_server_streaming();
    let (deadline, idle) = (number(access, "deadline_ms"), number(access, "idle_ms"));
    let (listeners, said, verb) = (names(access, "listeners"), names(access, "roles"), name(access, "verb"));
    let by_kind = verb != "Unspecified";
    let roles = if by_kind { roles_of(&verb, kinds) } else { said.clone() };
    let (work, effect) = (name(access, "work"), name(access, "effect"));
    let peer = listeners.iter().any(|listener| listener == "Peer");
    let keyed = method.input().get_field_by_name("request_id").is_some();
    let (minimum, certificate) = (name(access, "minimum_status"), name(access, "certificate"));
    let says = [
        (listeners.is_empty() && roles.is_empty(), "neither a listener nor a role"),
        (by_kind && !said.is_empty(), "the kinds say the roles of a verb"),
        (work == "Unspecified", "no work"),
        (effect == "Unspecified", "no effect"),
        (effect == "Keyed" && !keyed, "EFFECT_KEYED, and its request has no request_id"),
        (effect == "Read" && keyed, "EFFECT_READ, and its request has a request_id"),
        (streams && deadline > 0, "a stream has no deadline"),
        (!streams && idle > 0, "only a stream may be silent"),
        (!peer && minimum != "Unspecified", "minimum_status without LISTENER_PEER"),
        (!peer && certificate != "Unspecified", "certificate without LISTENER_PEER"),
    ];
    if let Some((_, what)) = says.into_iter().find(|(wrong, _)| *wrong) {
        return Err(what.to_owned());
    }
    let service = method.parent_service();
    let (path, service) = (format!("/{}/{}", service.full_name(), method.name()), label(service.full_name()));
    let listeners = list(&listeners, "Listener");
    let roles = list(&roles, ROLE);
    let verb = if by_kind { format!("Some(Verb::{verb})") } else { "None".to_owned() };
    let minimum = if minimum == "Unspecified" { "Active" } else { &minimum };
    let certificate = if certificate == "Unspecified" { "Pinned" } else { &certificate };
    let bytes = Some(number(access, "request_bytes")).filter(|n| *n > 0).unwrap_or(REQUEST_BYTES);
    let deadline = (!streams).then_some(if deadline > 0 { deadline } else { DEADLINE_MS });
    let idle = Some(idle).filter(|n| *n > 0);
    let (orders, waits) = (flag(access, "orders"), flag(access, "waits"));
    Ok(format!(
        "    Method {{\n        path: \"{path}\",\n        service: \"{service}\",\n        listeners: &[{listeners}],\n        roles: &[{roles}],\n        verb: {verb},\n        \
         minimum_status: MinimumStatus::{minimum},\n        certificate: Certificate::{certificate},\n        request_bytes: {bytes},\n        deadline_ms: {deadline:?},\n        idle_ms: {idle:?},\n        \
         work: Work::{work},\n        effect: Effect::{effect},\n        orders: {orders},\n        waits: {waits},\n    }},\n"
    ))
}

/// The request of a method leads to its row; a write that carries an id shows it.
fn call(method: &MethodDescriptor, index: usize) -> String {
    let keyed = method.input().get_field_by_name("request_id").is_some();
    let id = if keyed { "Some(&self.request_id)" } else { "None" };
    format!(
        "impl Call for {} {{\n    const METHOD: &'static Method = &METHODS[{index}];\n    fn request_id(&self) -> Option<&str> {{\n        {id}\n    }}\n}}\n",
        rust_path(method.input().full_name())
    )
}

fn list(names: &[String], of: &str) -> String {
    names.iter().map(|name| format!("{of}::{name}")).collect::<Vec<_>>().join(", ")
}

fn number(access: &DynamicMessage, field: &str) -> u32 {
    access.get_field_by_name(field).and_then(|value| value.as_u32()).unwrap_or_default()
}

fn flag(access: &DynamicMessage, field: &str) -> bool {
    access.get_field_by_name(field).and_then(|value| value.as_bool()).unwrap_or_default()
}

fn name(access: &DynamicMessage, field: &str) -> String {
    names(access, field).pop().unwrap_or_default()
}

/// The enum values of a field, without their prefix, as Rust names them.
fn names(access: &DynamicMessage, field: &str) -> Vec<String> {
    let descriptor = access.descriptor().get_field_by_name(field).expect("a field of the option");
    let Kind::Enum(of) = descriptor.kind() else { panic!("{field} is no enum") };
    let zero = of.get_value(0).expect("proto3").name().to_owned();
    let prefix = zero.trim_end_matches("UNSPECIFIED");
    let rust = |value: &Value| {
        let number = value.as_enum_number().expect("an enum");
        of.get_value(number).map(|v| camel_case(v.name().trim_start_matches(prefix))).expect("the compiler knew it")
    };
    match &*access.get_field(&descriptor) {
        Value::List(values) => values.iter().map(rust).collect(),
        value => vec![rust(value)],
    }
}
