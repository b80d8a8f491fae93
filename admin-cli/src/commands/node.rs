//! `node`: this node's certificate, keys and entry.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;
use havenlink_proto::admin::v1::node_service_client::NodeServiceClient;
use havenlink_proto::admin::v1::{KeepContactRequest, MeetAddressRequest, RenewCertificateRequest, RotateKeyRequest};

use super::own_entry::{self, Change};
use super::{decision, read_bytes, status};
use crate::confirm;
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, View};
use crate::session::{Session, call};
use crate::value::to_json;
use crate::when;

/// Time to find a partner's node, and to follow the register from it.
const CONTACT: Duration = Duration::from_secs(60);

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
    /// Changes this authority's own entry: address, contact, name, networks, services, place on the corridor; or everything, by a file
    Update(Change),
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
                    ("spki_sha256", Cell::id(id::show(&answer.spki_sha256))),
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
        Verb::Update(change) => own_entry::update(session, change).await,
    }
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
