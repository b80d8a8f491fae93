//! `node update`: what this authority says about itself in the register.
//!
//! What is given goes over the entry as it is; what else changes meanwhile is read again, never overwritten.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;
use havenlink_proto::admin::v1::{ShowMemberRequest, ShowMemberResponse, UpdateEntryRequest};
use havenlink_proto::directory::v1::{AuthorityEntry, ContactPoint, Identifier, IdentifierScheme, Name};
use havenlink_proto::record::v1::{CorridorRole, ServiceKind};
use serde_json::Value;

use super::{decision, read_file, status};
use crate::contract_enum::{Code, descriptor, number_of, numbers};
use crate::failure::Failure;
use crate::session::{Session, call};
use crate::value::from_json;

/// Another change of the entry was decided since it was read.
const STALE_VERSION: &str = "STALE_VERSION";
/// How often it is read again then, and after how long.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// The contact that `init` and `join` take from the configuration.
const CONTACT_ROLE: &str = "desk";

#[derive(Debug, Args)]
pub struct Change {
    /// host:port under which partners reach this node; replaces all
    #[arg(long, value_name = "HOST:PORT")]
    endpoint: Vec<String>,
    /// Mailbox of a desk, never of a person
    #[arg(long, value_name = "ADDRESS")]
    contact_email: Option<String>,
    /// Telephone of that desk in international form
    #[arg(long, value_name = "NUMBER")]
    contact_phone: Option<String>,
    /// Name of the authority, with its language: fr=Strasbourg; replaces all, once stewards approve it
    #[arg(long, value_name = "LANGUAGE=NAME", value_parser = name)]
    name: Vec<Name>,
    /// Official identifier by its scheme: LAU=67482; replaces all, once stewards approve it
    #[arg(long, value_name = "SCHEME=VALUE", value_parser = identifier)]
    identifier: Vec<Identifier>,
    /// Named network that this authority belongs to; replaces all
    #[arg(long)]
    network: Vec<String>,
    /// Service that it offers, in outline; replaces all
    #[arg(long)]
    service: Vec<Code<ServiceKind>>,
    /// Its place on the corridors that pass it: ORIGIN, TRANSIT, DESTINATION; replaces all
    #[arg(long)]
    corridor: Vec<Code<CorridorRole>>,
    /// Country whose border it lies at, e.g. de; replaces all
    #[arg(long, value_name = "COUNTRY")]
    border: Vec<String>,
    /// The whole entry as JSON or TOML; havenctl member show OWN-ID -o json shows the present one
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "endpoint", "contact_email", "contact_phone", "name", "identifier", "network", "service", "corridor", "border",
        ]
    )]
    file: Option<PathBuf>,
}

fn pair(typed: &str, form: &str) -> Result<(String, String), String> {
    let pair = typed.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| format!("write it as {form}"))
}

fn name(typed: &str) -> Result<Name, String> {
    let (language, name) = pair(typed, "LANGUAGE=NAME, such as fr=Strasbourg")?;
    Ok(Name { language, name })
}

fn identifier(typed: &str) -> Result<Identifier, String> {
    let (scheme, value) = pair(typed, "SCHEME=VALUE, such as LAU=67482")?;
    Ok(Identifier { scheme: number_of(&descriptor::<IdentifierScheme>(), &scheme)?, value })
}

/// What is wished, over the entry as it is when it is decided.
pub async fn update(session: &Session, change: Change) -> Result<(), Failure> {
    if let Some(file) = &change.file {
        let (entry, version) = from_file(&read_file(file)?)?;
        let request = UpdateEntryRequest { request_id: session.request_id(), entry: Some(entry), version };
        return send(session, request).await;
    }
    if change.is_empty() {
        return Err(Failure::usage("nothing to change was given", "havenctl node update --help"));
    }
    let mut tries = 1;
    loop {
        let (present, version) = present(session).await?;
        let entry = Some(change.over(present));
        match send(session, UpdateEntryRequest { request_id: session.request_id(), entry, version }).await {
            Err(stale) if stale.code == STALE_VERSION && tries < TRIES => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
        tries += 1;
    }
}

/// An entry, or what `member show -o json` printed; and the version that it had then, 0 where the file does not say.
fn from_file(file: &Value) -> Result<(AuthorityEntry, u64), Failure> {
    if file.get("member").is_none() {
        return Ok((from_json::<AuthorityEntry>(file)?, 0));
    }
    let member = from_json::<ShowMemberResponse>(file)?.member.unwrap_or_default();
    let none =
        || Failure::usage("the file has no entry of a member", "havenctl member show OWN-ID -o json > entry.json");
    Ok((member.entry.ok_or_else(none)?, member.version))
}

async fn send(session: &Session, request: UpdateEntryRequest) -> Result<(), Failure> {
    let answer = call!(session, MemberServiceClient, update_entry, request)?;
    decision::show(session, "own entry", answer.decision)?;
    if !answer.differs.is_empty() {
        let keys = answer.differs.join(", ");
        session
            .next(&[format!("node.toml says otherwise: {keys}; put it right, or havenctl doctor goes on naming it")]);
    }
    Ok(())
}

/// This node's entry as it is, and its version.
async fn present(session: &Session) -> Result<(AuthorityEntry, u64), Failure> {
    let authority = status::fetch(session).await?.authority;
    let shown = call!(session, MemberServiceClient, show_member, ShowMemberRequest { authority })?;
    let none = || Failure::not_found("this node has no entry in the register yet", "havenctl status");
    let member = shown.member.ok_or_else(none)?;
    Ok((member.entry.ok_or_else(none)?, member.version))
}

/// What is given replaces all; what is not stays.
fn given<T: Clone>(present: &mut Vec<T>, wished: &[T]) {
    if !wished.is_empty() {
        *present = wished.to_vec();
    }
}

impl Change {
    fn services(&self) -> Vec<u32> {
        numbers(&self.service).into_iter().filter_map(|code| u32::try_from(code).ok()).collect()
    }

    fn corridor_roles(&self) -> Vec<u32> {
        numbers(&self.corridor).into_iter().filter_map(|code| u32::try_from(code).ok()).collect()
    }

    fn is_empty(&self) -> bool {
        self.over(AuthorityEntry::default()) == AuthorityEntry::default()
    }

    fn over(&self, mut entry: AuthorityEntry) -> AuthorityEntry {
        given(&mut entry.endpoints, &self.endpoint);
        given(&mut entry.names, &self.name);
        given(&mut entry.identifiers, &self.identifier);
        given(&mut entry.networks, &self.network);
        given(&mut entry.services, &self.services());
        given(&mut entry.corridor_roles, &self.corridor_roles());
        given(&mut entry.borders, &self.border);
        if self.contact_email.is_some() || self.contact_phone.is_some() {
            let languages = entry.names.iter().map(|name| name.language.clone()).collect();
            let place = entry.contacts.iter().position(|contact| contact.role == CONTACT_ROLE);
            let place = place.unwrap_or_else(|| {
                entry.contacts.push(ContactPoint { role: CONTACT_ROLE.into(), languages, ..Default::default() });
                entry.contacts.len() - 1
            });
            let contact = &mut entry.contacts[place];
            contact.email = self.contact_email.clone().unwrap_or_else(|| contact.email.clone());
            contact.phone = self.contact_phone.clone().unwrap_or_else(|| contact.phone.clone());
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use havenlink_proto::directory::v1::Member;

    use super::*;
    use crate::value::to_json;

    fn change() -> Change {
        Change {
            endpoint: Vec::new(),
            contact_email: None,
            contact_phone: None,
            name: Vec::new(),
            identifier: Vec::new(),
            network: Vec::new(),
            service: Vec::new(),
            corridor: Vec::new(),
            border: Vec::new(),
            file: None,
        }
    }

    #[test]
    fn what_is_not_given_stays() {
        let present = AuthorityEntry {
            endpoints: vec!["strasbourg.example:7443".into()],
            contacts: vec![ContactPoint {
                role: CONTACT_ROLE.into(),
                email: "veille@strasbourg.example".into(),
                ..Default::default()
            }],
            ..Default::default()
        };
        assert!(change().is_empty() && change().over(present.clone()) == present);
        let telephone = Change { contact_phone: Some("+33199001234".into()), ..change() };
        let changed = telephone.over(present.clone());
        let contact = &changed.contacts[0];
        assert_eq!((contact.email.as_str(), contact.phone.as_str()), ("veille@strasbourg.example", "+33199001234"));
        assert_eq!((changed.contacts.len(), &changed.endpoints), (1, &present.endpoints));
        let named = Change { name: vec![name("fr=Strasbourg").unwrap()], ..telephone };
        assert_eq!(named.over(AuthorityEntry::default()).contacts[0].languages, ["fr"]);
    }

    #[test]
    fn a_file_is_what_show_prints_or_the_entry_alone() {
        let entry = AuthorityEntry { authority: "fr-strasbourg".into(), ..Default::default() };
        let member = Member { entry: Some(entry.clone()), version: 7, ..Default::default() };
        let shown = to_json(&ShowMemberResponse { member: Some(member), ..Default::default() });
        assert_eq!(from_file(&shown).unwrap(), (entry.clone(), 7));
        assert_eq!(from_file(&to_json(&entry)).unwrap(), (entry, 0));
    }

    #[test]
    fn a_pair_needs_both_halves_and_a_scheme_that_is_known() {
        assert!(name("Strasbourg").unwrap_err().contains("fr=Strasbourg") && name("fr=").is_err());
        assert_eq!(identifier("lau=67482").unwrap().scheme, IdentifierScheme::Lau as i32);
        assert!(identifier("LAX=67482").unwrap_err().contains("LAU"));
    }
}
