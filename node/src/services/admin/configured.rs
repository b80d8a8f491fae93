//! What the configuration says about this authority, beside what the register lists of it.
//!
//! `init` and `join` copy it into the register once, and from then on the register counts: whoever changes the file alone
//! changes nothing for anybody. So what differs is named, with the option of `havenctl node update` that would put the file's word
//! into the register. What the configuration does not say differs from nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::authority::{AuthorityEntry, IdentifierScheme};

/// Role of the contact that the configuration names.
pub const CONTACT_ROLE: &str = "desk";

/// What the configuration says; empty where it says nothing.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    pub names: BTreeMap<String, String>,
    pub identifiers: BTreeMap<IdentifierScheme, String>,
    pub endpoints: Vec<String>,
    pub email: String,
    pub phone: String,
}

/// One key of the configuration that says something else than the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub key: &'static str,
    pub configured: String,
    /// Empty: the register lists none.
    pub listed: String,
    /// Options of `havenctl node update`, with their values as a shell takes them.
    pub options: String,
}

impl Configured {
    /// In the order of the configuration's keys.
    pub fn differences(&self, listed: &AuthorityEntry) -> Vec<Difference> {
        let names = listed.names.iter().map(|name| (name.language.clone(), name.name.clone()));
        let identifiers = listed.identifiers.iter().map(|id| (id.scheme.name().to_owned(), id.value.clone()));
        let of_schemes = self.identifiers.iter().map(|(scheme, value)| (scheme.name().to_owned(), value.clone()));
        let contact = listed.contacts.iter().find(|contact| contact.role == CONTACT_ROLE);
        let mailbox = contact.map(|contact| contact.email.clone()).unwrap_or_default();
        let telephone = contact.map(|contact| contact.phone.clone()).unwrap_or_default();
        let all = [
            differing("names", "--name", &pairs(self.names.clone()), &pairs(names)),
            differing("identifiers", "--identifier", &pairs(of_schemes), &pairs(identifiers)),
            differing("endpoints", "--endpoint", &set(&self.endpoints), &set(&listed.endpoints)),
            differing("contact.email", "--contact-email", &one(&self.email), &one(&mailbox)),
            differing("contact.phone", "--contact-phone", &one(&self.phone), &one(&telephone)),
        ];
        all.into_iter().flatten().collect()
    }
}

fn pairs(of: impl IntoIterator<Item = (String, String)>) -> BTreeSet<String> {
    of.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
}

fn set(of: &[String]) -> BTreeSet<String> {
    of.iter().cloned().collect()
}

fn one(of: &str) -> BTreeSet<String> {
    (!of.is_empty()).then(|| of.to_owned()).into_iter().collect()
}

fn differing(
    key: &'static str,
    option: &str,
    configured: &BTreeSet<String>,
    listed: &BTreeSet<String>,
) -> Option<Difference> {
    if configured.is_empty() || configured == listed {
        return None;
    }
    let said = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join(", ");
    let options = configured.iter().map(|value| format!(" {option} {}", quoted(value))).collect();
    Some(Difference { key, configured: said(configured), listed: said(listed), options })
}

/// As a shell takes it for one word.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+.,:@/[]".contains(c);
    if value.chars().all(plain) { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::authority::{ContactPoint, Identifier, Name};
    use crate::domain::samples::{kehl, member};

    fn listed() -> AuthorityEntry {
        AuthorityEntry {
            names: vec![Name { language: "fr".into(), name: "Strasbourg".into() }],
            identifiers: vec![Identifier { scheme: IdentifierScheme::Lau, value: "67482".into() }],
            endpoints: vec!["strasbourg.example:7443".into(), "[2001:db8::1]:7443".into()],
            contacts: vec![ContactPoint {
                role: CONTACT_ROLE.into(),
                languages: vec!["fr".into()],
                email: "veille@strasbourg.example".into(),
                phone: String::new(),
            }],
            ..member(kehl(), 1).entry
        }
    }

    #[test]
    fn what_the_file_does_not_say_differs_from_nothing() {
        assert_eq!(Configured::default().differences(&listed()), []);
    }

    #[test]
    fn the_same_in_another_order_is_the_same() {
        let configured = Configured {
            names: [("fr".to_owned(), "Strasbourg".to_owned())].into(),
            identifiers: [(IdentifierScheme::Lau, "67482".to_owned())].into(),
            endpoints: vec!["[2001:db8::1]:7443".into(), "strasbourg.example:7443".into()],
            email: "veille@strasbourg.example".into(),
            phone: String::new(),
        };
        assert_eq!(configured.differences(&listed()), []);
    }

    #[test]
    fn each_key_names_the_option_that_puts_it_into_the_register() {
        let configured = Configured {
            names: [("fr".to_owned(), "Ville d'Étaples".to_owned())].into(),
            identifiers: [(IdentifierScheme::Lau, "67001".to_owned())].into(),
            endpoints: vec!["moved.example:7443".into()],
            email: "accueil@strasbourg.example".into(),
            phone: "+33199001234".into(),
        };
        let found = configured.differences(&listed());
        let keys: Vec<_> = found.iter().map(|difference| difference.key).collect();
        assert_eq!(keys, ["names", "identifiers", "endpoints", "contact.email", "contact.phone"]);
        assert_eq!(found[0].options, r" --name 'fr=Ville d'\''Étaples'");
        assert_eq!(found[1].options, " --identifier LAU=67001");
        assert_eq!((found[4].options.as_str(), found[4].listed.as_str()), (" --contact-phone +33199001234", ""));
    }
}
