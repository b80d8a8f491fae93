//! Coded fields by their short names: `SUSPICIOUS_ADVERTISING` for `ALERT_KIND_SUSPICIOUS_ADVERTISING`.
//!
//! The lists come from the contract's descriptors, so that they cannot be behind it.

use std::marker::PhantomData;
use std::sync::LazyLock;

use clap::builder::{PossibleValue, TypedValueParser, ValueParserFactory};
use havenlink_proto::ContractEnum;
use prost_reflect::{DescriptorPool, EnumDescriptor};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(havenlink_proto::DESCRIPTOR_SET).expect("the contract was compiled into this binary")
});

/// Every message and enum of the contract.
pub fn pool() -> &'static DescriptorPool {
    &POOL
}

/// The descriptor of an enum of the contract.
pub fn descriptor<E: ContractEnum>() -> EnumDescriptor {
    pool().get_enum_by_name(E::FULL_NAME).expect("named and described by the same build")
}

/// The prefix that all names of an enum share: what stands before `UNSPECIFIED`.
pub fn prefix(descriptor: &EnumDescriptor) -> String {
    let zero = descriptor.values().find(|v| v.number() == 0).map(|v| v.name().to_owned()).unwrap_or_default();
    zero.strip_suffix("UNSPECIFIED").unwrap_or_default().to_owned()
}

/// The short name of a number; `UNKNOWN(7)` for one that this contract does not list, empty for 0.
pub fn short_name(descriptor: &EnumDescriptor, number: i32) -> String {
    match descriptor.get_value(number) {
        _ if number == 0 => String::new(),
        Some(value) => value.name().strip_prefix(&prefix(descriptor)).unwrap_or(value.name()).to_owned(),
        None => format!("UNKNOWN({number})"),
    }
}

/// The short name of a coded field.
pub fn name<E: ContractEnum>(number: i32) -> String {
    short_name(&descriptor::<E>(), number)
}

/// All short names, in the order of their numbers.
pub fn names_of(descriptor: &EnumDescriptor) -> Vec<String> {
    descriptor.values().map(|v| v.number()).filter(|n| *n != 0).map(|n| short_name(descriptor, n)).collect()
}

/// The number for a name, short or full, in any case, with `-`, `_`, `+` or a blank between its words.
///
/// # Errors
/// The nearest name, and all that are allowed.
pub fn number_of(descriptor: &EnumDescriptor, typed: &str) -> Result<i32, String> {
    let wanted = typed.trim().to_ascii_uppercase().replace(['-', '+', ' '], "_");
    let prefix = prefix(descriptor);
    let short = wanted.strip_prefix(&prefix).unwrap_or(&wanted);
    let found = descriptor.values().find(|v| v.number() != 0 && v.name().strip_prefix(&prefix) == Some(short));
    found.map(|v| v.number()).ok_or_else(|| {
        let names = names_of(descriptor);
        let nearest = nearest(short, names.iter().map(String::as_str));
        let hint = nearest.map(|n| format!("nearest: {n}; ")).unwrap_or_default();
        format!("{typed:?} is not known; {hint}allowed: {}", names.join(", "))
    })
}

/// The most alike of the names, if any is alike at all.
pub fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|n| {
            let part = typed.len() >= 4 && n.contains(typed);
            (if part { 0.9 } else { strsim::jaro_winkler(typed, n) }, n)
        })
        .filter(|(alike, _)| *alike > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, n)| n)
}

/// An argument that is a value of an enum of the contract.
#[derive(Debug)]
pub struct Code<E> {
    /// The number in the contract.
    pub number: i32,
    of: PhantomData<E>,
}

impl<E> Clone for Code<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Code<E> {}

impl<E: ContractEnum> Code<E> {
    /// From its short name.
    ///
    /// # Errors
    /// The nearest name, and all that are allowed.
    pub fn parse(typed: &str) -> Result<Self, String> {
        Ok(Self { number: number_of(&descriptor::<E>(), typed)?, of: PhantomData })
    }
}

/// The numbers of a list of coded arguments.
pub fn numbers<E>(codes: &[Code<E>]) -> Vec<i32> {
    codes.iter().map(|c| c.number).collect()
}

/// The number of an optional coded argument; 0 if it was not given.
pub fn number_or_zero<E>(code: &Option<Code<E>>) -> i32 {
    code.as_ref().map_or(0, |c| c.number)
}

/// Reads coded arguments, and names their values for help and completions.
#[derive(Clone)]
pub struct CodeParser<E>(PhantomData<E>);

impl<E: ContractEnum> ValueParserFactory for Code<E> {
    type Parser = CodeParser<E>;

    fn value_parser() -> Self::Parser {
        CodeParser(PhantomData)
    }
}

impl<E: ContractEnum> TypedValueParser for CodeParser<E> {
    type Value = Code<E>;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let typed = value.to_string_lossy();
        Code::parse(&typed).map_err(|message| {
            let argument = argument.map(ToString::to_string).unwrap_or_default();
            clap::Error::raw(clap::error::ErrorKind::InvalidValue, format!("{argument}: {message}\n")).with_cmd(command)
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        // clap wants names that live as long as the process; they are few, and asked for by help and completions only.
        Some(Box::new(names_of(&descriptor::<E>()).into_iter().map(|name| PossibleValue::new(&*name.leak()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use havenlink_proto::record::v1::{AlertKind, Tlp};

    #[test]
    fn every_enum_of_the_contract_has_a_prefix() {
        let ours = pool().all_enums().filter(|e| e.full_name().starts_with("havenlink."));
        let prefixes: Vec<_> = ours.map(|e| (prefix(&e), e.full_name().to_owned())).collect();
        assert!(prefixes.len() > 40);
        assert_eq!(prefixes.iter().find(|(prefix, _)| !prefix.ends_with('_')), None);
        assert_eq!(descriptor::<Tlp>().full_name(), "havenlink.record.v1.Tlp");
    }

    #[test]
    fn short_names_in_any_case() {
        assert_eq!(Code::<AlertKind>::parse("suspicious-advertising").unwrap().number, 1);
        assert_eq!(Code::<AlertKind>::parse("ALERT_KIND_AT_RISK_SITE").unwrap().number, 5);
        assert_eq!(Code::<Tlp>::parse("amber+strict").unwrap().number, 4);
        assert_eq!(
            (name::<Tlp>(4), name::<Tlp>(0), name::<Tlp>(77)),
            ("AMBER_STRICT".into(), String::new(), "UNKNOWN(77)".into())
        );
    }

    #[test]
    fn an_unknown_one_lists_the_allowed_and_the_nearest() {
        let told = Code::<Tlp>::parse("AMBR").unwrap_err();
        assert_eq!(told, "\"AMBR\" is not known; nearest: AMBER; allowed: CLEAR, GREEN, AMBER, AMBER_STRICT, RED");
        assert!(Code::<Tlp>::parse("UNSPECIFIED").is_err());
    }
}
