//! The types that a key may have, each with the form that a person reads.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::raw::Raw;
use super::webhook_url::WebhookUrl;
use crate::domain::audit::ActorRole;
use crate::domain::authority::{IdentifierScheme, ParticipantKind};
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::record::RecordKind;
use crate::domain::time::Millis;

/// A type of a key.
pub trait Value: Sized {
    /// The form in words, as a fault names it: "a number from 1 to 64".
    const FORM: &'static str;

    /// The value, or what is wrong.
    ///
    /// # Errors
    /// A sentence about the form.
    fn read(raw: &Raw) -> Result<Self, String>;
}

/// A value that is one text; the rest follows from it.
trait Word: Sized {
    const FORM: &'static str;
    fn word(text: &str) -> Option<Self>;
}

fn wrong<T>(form: &str) -> Result<T, String> {
    Err(format!("must be {form}"))
}

macro_rules! word {
    ($($type:ty, $form:literal, $parse:expr;)+) => {
        $(
            impl Word for $type {
                const FORM: &'static str = $form;
                fn word(text: &str) -> Option<Self> {
                    let parse: fn(&str) -> Option<Self> = $parse;
                    parse(text)
                }
            }

            impl Value for $type {
                const FORM: &'static str = $form;
                fn read(raw: &Raw) -> Result<Self, String> {
                    match raw {
                        Raw::Text(text) | Raw::Written(text) | Raw::Number(text) => Self::word(text).map_or_else(|| wrong($form), Ok),
                        _ => wrong($form),
                    }
                }
            }
        )+
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// A share from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f64);

/// 1 to 64 threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads(pub usize);

/// 1 to 2³² − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount(pub u32);

/// A value, or `off`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switch<T> {
    Off,
    On(T),
}

impl<T> Switch<T> {
    /// The value, if it is not off.
    pub fn as_option(&self) -> Option<&T> {
        match self {
            Self::Off => None,
            Self::On(value) => Some(value),
        }
    }
}

/// A role by the name of its socket: `data-protection`.
pub fn role_of(name: &str) -> Option<ActorRole> {
    let role = ActorRole::from_name(&name.to_ascii_uppercase().replace('-', "_"))?;
    (!matches!(role, ActorRole::Node | ActorRole::Peer)).then_some(role)
}

/// A span of time: a whole number and ms, s, m, h or d.
pub fn span_of(text: &str) -> Option<Millis> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.parse().ok()?;
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit).map(Millis)
}

fn absolute(text: &str) -> Option<PathBuf> {
    let path = PathBuf::from(text);
    path.is_absolute().then_some(path)
}

word! {
    AuthorityId, "an authority's id such as \"fr-strasbourg\"", AuthorityId::parse;
    String, "a text of at most 200 characters", |t| (t.chars().count() <= 200 && !t.contains(char::is_control)).then(|| t.to_owned());
    ParticipantKind, "a kind of participant such as \"LOCAL_AUTHORITY\"", ParticipantKind::from_name;
    IdentifierScheme, "one of NUTS, LAU, ISO_3166_2, GSS, ORG_ID", IdentifierScheme::from_name;
    SocketAddr, "an address and port such as \"0.0.0.0:7443\"", |t| t.parse().ok();
    PathBuf, "an absolute path", absolute;
    WebhookUrl, "an address such as \"https://desk.city.example/new\", or http:// and a loopback address", WebhookUrl::parse;
    ActorRole, "operator, coordinator, publisher, consumer, data-protection, inspection or liaison", role_of;
    RecordKind, "a kind of content such as \"PRACTICE\"", |t| RecordKind::from_name(t).filter(|kind| RecordKind::CONTENT.contains(kind));
    Pin, "64 hexadecimal digits", Pin::from_hex;
    Millis, "a span such as \"10s\", \"5m\" or \"24h\"", span_of;
    LogLevel, "error, warn, info, debug or trace", |t| Some(match t {
        "error" => LogLevel::Error, "warn" => LogLevel::Warn, "info" => LogLevel::Info,
        "debug" => LogLevel::Debug, "trace" => LogLevel::Trace, _ => return None,
    });
    LogFormat, "text or json", |t| Some(match t { "text" => LogFormat::Text, "json" => LogFormat::Json, _ => return None });
    Share, "a number from 0 to 1", |t| t.parse().ok().filter(|n| (0.0..=1.0).contains(n)).map(Share);
    Threads, "a number from 1 to 64", |t| t.parse().ok().filter(|n| (1..=64).contains(n)).map(Threads);
    Amount, "a whole number from 1 to 4,294,967,295", |t| t.parse().ok().filter(|n| *n > 0).map(Amount);
}

impl<T: Word> Value for Switch<T> {
    const FORM: &'static str = T::FORM;

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Switch(false) => Ok(Self::Off),
            Raw::Text(text) | Raw::Written(text) if text == "off" => Ok(Self::Off),
            Raw::Text(text) | Raw::Written(text) => {
                T::word(text).map_or_else(|| wrong(&format!("{}, or \"off\"", T::FORM)), |v| Ok(Self::On(v)))
            }
            _ => wrong(&format!("{}, or \"off\"", T::FORM)),
        }
    }
}

impl<T: Word> Value for Vec<T> {
    const FORM: &'static str = T::FORM;

    fn read(raw: &Raw) -> Result<Self, String> {
        let form = || format!("a list, each {}", T::FORM);
        let words: Vec<String> = match raw {
            Raw::Written(text) => text.split(',').filter(|t| !t.is_empty()).map(|t| t.trim().to_owned()).collect(),
            Raw::List(items) => {
                let texts = items.iter().map(|i| if let Raw::Text(t) = i { Some(t.clone()) } else { None });
                texts.collect::<Option<_>>().ok_or_else(|| format!("must be {}", form()))?
            }
            _ => return wrong(&form()),
        };
        let read: Option<Vec<T>> = words.iter().map(|w| T::word(w)).collect();
        read.map_or_else(|| wrong(&form()), Ok)
    }
}

impl<K: Word + Ord, V: Word> Value for BTreeMap<K, V> {
    const FORM: &'static str = K::FORM;

    fn read(raw: &Raw) -> Result<Self, String> {
        let form = || format!("a table from {} to {}", K::FORM, V::FORM);
        let pairs: Vec<(String, String)> = match raw {
            Raw::Written(text) => {
                let parts = text.split(',').filter(|t| !t.is_empty()).map(|t| t.split_once('='));
                let pairs = parts.map(|p| p.map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())));
                pairs.collect::<Option<_>>().ok_or_else(|| format!("must be {}", form()))?
            }
            Raw::Map(table) => {
                let pairs = table.iter().map(|(k, v)| match v {
                    Raw::Text(t) => Some((k.clone(), t.clone())),
                    _ => None,
                });
                pairs.collect::<Option<_>>().ok_or_else(|| format!("must be {}", form()))?
            }
            _ => return wrong(&form()),
        };
        let read: Option<Self> = pairs.iter().map(|(k, v)| Some((K::word(k)?, V::word(v)?))).collect();
        read.map_or_else(|| wrong(&form()), Ok)
    }
}
