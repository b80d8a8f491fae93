//! `node`: this node's certificate, keys and entry.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;
use havenlink_proto::admin::v1::node_service_client::NodeServiceClient;
use havenlink_proto::admin::v1::{
    KeepContactRequest, MeetAddressRequest, RenewCertificateRequest, RotateKeyRequest, ShowMemberRequest,
    UpdateEntryRequest,
};
use havenlink_proto::directory::v1::AuthorityEntry;
use havenlink_proto::record::v1::{CorridorRole, ServiceKind};

use super::{decision, read_bytes, read_file, status};
use crate::confirm;
use crate::contract_enum::{Code, numbers};
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, View};
use crate::session::{Session, call};
use crate::value::{from_json, to_json};
use crate::when;

/// Time to find a partner's node, and to follow the register from it.
const CONTACT: Duration = Duration::from_secs(60);
/// Another change of the entry was decided since it was read.
const STALE_VERSION: &str = "STALE_VERSION";
/// How often it is read again then, and after how long.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// This node itself: certificate, keys, its entry in the register
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// A new certificate, published before it is used; no exchange is dropped
    Renew {
        /// One that you bring, a national PKI's, say: PEM or DER, the node's own first in the file
        #[arg(long, value_name = "FILE", requires = "key")]
        certificate: Option<PathBuf>,
        /// Its key: PKCS#8, not encrypted
        #[arg(long, value_name = "FILE", requires = "certificate")]
        key: Option<PathBuf>,
    },
    /// A new authority key, signed by the old one
    RotateKey {
        /// The old key fell into wrong hands: nothing signed with it verifies any more
        #[arg(long)]
        compromised: bool,
        #[arg(long)]
        yes: bool,
    },
    /// Finds a partner at an address that the register does not list: both sides moved, or it was away
    Contact {
        /// host:port, as the partner's operator said it
        #[arg(value_name = "ADDRESS")]
        address: String,
        /// Keeps it without asking who is meant
        #[arg(long)]
        yes: bool,
    },
    /// Changes this authority's own entry: endpoints, networks, services, place on the corridor; or everything, by a file
    Update {
        /// host:port under which partners reach this node; replaces all
        #[arg(long, value_name = "HOST:PORT")]
        endpoint: Vec<String>,
        /// Named network that this authority belongs to; replaces all
        #[arg(long)]
        network: Vec<String>,
        /// Service that it offers, in outline; replaces all
        #[arg(long, hide_possible_values = true)]
        service: Vec<Code<ServiceKind>>,
        /// Its place on the corridors that pass it: ORIGIN, TRANSIT, DESTINATION; replaces all
        #[arg(long, hide_possible_values = true)]
        corridor: Vec<Code<CorridorRole>>,
        /// Country whose border it lies at, e.g. de; replaces all
        #[arg(long, value_name = "COUNTRY")]
        border: Vec<String>,
        /// The whole entry as JSON or TOML; havenctl member show OWN-ID -o json shows the present one
        #[arg(long, value_name = "FILE", conflicts_with_all = ["endpoint", "network", "service", "corridor", "border"])]
        file: Option<PathBuf>,
    },
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let request_id = session.request_id();
    match verb {
        Verb::Renew { certificate, key } => {
            let read = |file: Option<PathBuf>| file.map_or_else(|| Ok(Vec::new()), |file| read_bytes(&file));
            let (key, certificate) = (read(key)?.into(), read(certificate)?.into());
            let request = RenewCertificateRequest { request_id, key, certificate };
            let answer = call!(session, NodeServiceClient, renew_certificate, request)?;
            session.show(&View::text(
                to_json(&answer),
                format!(
                    "renewed: pin {}, good until {}\n",
                    id::show(&answer.spki_sha256),
                    when::show(answer.not_after_ms)
                ),
                vec![
                    ("spki_sha256", Cell::text(id::show(&answer.spki_sha256))),
                    ("not_after", Cell::time(answer.not_after_ms)),
                ],
            ))
        }
        Verb::RotateKey { compromised, yes } => {
            if compromised {
                let consequences = [
                    "nothing signed with the old key verifies any more, here or at any partner",
                    "what is queued is signed again",
                ];
                let own = status::fetch(session).await?.authority;
                confirm::severe(session, "withdraw the old authority key", &consequences, &own, yes)?;
            }
            let request = RotateKeyRequest { request_id, compromised };
            decision::show(
                session,
                "new authority key",
                call!(session, MemberServiceClient, rotate_key, request)?.decision,
            )
        }
        Verb::Contact { address, yes } => contact(session, request_id, address, yes).await,
        Verb::Update { endpoint, network, service, corridor, border, file } => {
            if let Some(file) = file {
                // When it was read is not known.
                let entry = from_json::<AuthorityEntry>(&read_file(&file)?)?;
                return update(session, UpdateEntryRequest { request_id, entry: Some(entry), version: 0 }).await;
            }
            let of = |codes: Vec<i32>| codes.into_iter().filter_map(|code| u32::try_from(code).ok()).collect();
            let (services, corridor_roles) = (of(numbers(&service)), of(numbers(&corridor)));
            let (endpoints, networks, borders) = (endpoint, network, border);
            let wished =
                AuthorityEntry { endpoints, networks, services, corridor_roles, borders, ..Default::default() };
            change(session, &wished).await
        }
    }
}

/// What is wished, over the entry as it is when it is decided: what else changes meanwhile is read again.
async fn change(session: &Session, wished: &AuthorityEntry) -> Result<(), Failure> {
    let mut tries = 1;
    loop {
        let (entry, version) = changed(session, wished.clone()).await?;
        let request = UpdateEntryRequest { request_id: session.request_id(), entry: Some(entry), version };
        match update(session, request).await {
            Err(stale) if stale.code == STALE_VERSION && tries < TRIES => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
        tries += 1;
    }
}

async fn update(session: &Session, request: UpdateEntryRequest) -> Result<(), Failure> {
    decision::show(session, "own entry", call!(session, MemberServiceClient, update_entry, request)?.decision)
}

/// Who answers there is shown first: an address that somebody said may be a wrong one.
async fn contact(session: &Session, request_id: String, endpoint: String, yes: bool) -> Result<(), Failure> {
    let patient = session.patient(CONTACT);
    let asked = MeetAddressRequest { endpoint: endpoint.clone() };
    let met = call!(patient, NodeServiceClient, meet_address, asked)?;
    let by = match met.pinned {
        true => "by the key that the register lists",
        false => "by a certificate of its authority's key, which the register knows",
    };
    let consequences = [
        format!("{} answers there, {by}: pin {}", met.authority, id::show(&met.spki_sha256)),
        "this node dials it there until the register lists another address".to_owned(),
    ];
    let consequences: Vec<&str> = consequences.iter().map(String::as_str).collect();
    confirm::severe(session, &format!("contact at {endpoint}"), &consequences, &met.authority, yes)?;
    let request = KeepContactRequest { request_id, endpoint: endpoint.clone(), authority: met.authority.clone() };
    let answer = call!(patient, NodeServiceClient, keep_contact, request)?;
    session.show(&View::text(
        to_json(&answer),
        format!("{} is reached at {endpoint}; the register here is at {}\n", met.authority, answer.register_number),
        vec![
            ("authority", Cell::text(met.authority)),
            ("endpoint", Cell::text(endpoint)),
            ("register_number", Cell::text(answer.register_number.to_string())),
        ],
    ))?;
    session.next(&["havenctl node update --endpoint HOST:PORT    if this node moved as well".to_owned()]);
    Ok(())
}

/// What is given replaces all; what is not stays.
fn given<T>(present: &mut Vec<T>, wished: Vec<T>) {
    if !wished.is_empty() {
        *present = wished;
    }
}

/// This node's entry as it is to be, and the version that it had when it was read.
async fn changed(session: &Session, wished: AuthorityEntry) -> Result<(AuthorityEntry, u64), Failure> {
    if wished == AuthorityEntry::default() {
        return Err(Failure::usage("nothing to change was given", "havenctl node update --help"));
    }
    let authority = status::fetch(session).await?.authority;
    let shown = call!(session, MemberServiceClient, show_member, ShowMemberRequest { authority })?;
    let none = || Failure::not_found("this node has no entry in the register yet", "havenctl status");
    let member = shown.member.ok_or_else(none)?;
    let (mut entry, version) = (member.entry.ok_or_else(none)?, member.version);
    given(&mut entry.endpoints, wished.endpoints);
    given(&mut entry.networks, wished.networks);
    given(&mut entry.services, wished.services);
    given(&mut entry.corridor_roles, wished.corridor_roles);
    given(&mut entry.borders, wished.borders);
    Ok((entry, version))
}
