//! From the configuration to what the authority says about itself in the register.

use super::failure::CommandFailure;
use crate::config::Config;
use crate::domain::authority::{AuthorityEntry, ContactPoint, Identifier, Name, PinnedKey, PublicKey};
use crate::domain::reason::Reason;
use crate::services::admin::configured::{CONTACT_ROLE, Configured};

/// The entry of a node that is being made.
///
/// # Errors
/// `ENTRY_INVALID` when no address can be named under which partners reach it.
pub fn entry(config: &Config, key: PublicKey, pin: PinnedKey, raft_id: u64) -> Result<AuthorityEntry, CommandFailure> {
    let languages: Vec<String> = config.names.keys().cloned().collect();
    let names = match config.names.is_empty() {
        true => vec![Name { language: "und".into(), name: config.authority.to_string() }],
        false => config.names.iter().map(|(l, n)| Name { language: l.clone(), name: n.clone() }).collect(),
    };
    let has_contact = !(config.contact_email.is_empty() && config.contact_phone.is_empty());
    let contact = ContactPoint {
        role: CONTACT_ROLE.into(),
        languages,
        email: config.contact_email.clone(),
        phone: config.contact_phone.clone(),
    };
    let identifiers = config.identifiers.iter().map(|(s, v)| Identifier { scheme: *s, value: v.clone() });
    Ok(AuthorityEntry {
        authority: config.authority.clone(),
        kind: config.kind,
        names,
        identifiers: identifiers.collect(),
        authority_key: key,
        endpoints: endpoints(config)?,
        pins: vec![pin],
        contacts: if has_contact { vec![contact] } else { Vec::new() },
        hosted_by: None,
        networks: Vec::new(),
        services: Vec::new(),
        corridor: Default::default(),
        raft_id,
    })
}

/// What the configuration says of what the register lists.
pub fn configured(config: &Config) -> Configured {
    Configured {
        names: config.names.clone(),
        identifiers: config.identifiers.clone(),
        endpoints: config.endpoints.clone(),
        email: config.contact_email.clone(),
        phone: config.contact_phone.clone(),
    }
}

/// What makes two statements of the same content two.
///
/// # Errors
/// When the system gives no randomness.
pub fn nonce() -> Result<[u8; 16], CommandFailure> {
    let mut nonce = [0; 16];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| CommandFailure::new(Reason::Internal).about("no randomness"))?;
    Ok(nonce)
}

/// Addresses under which partners reach this node.
///
/// # Errors
/// `ENTRY_INVALID` when none can be named.
pub fn endpoints(config: &Config) -> Result<Vec<String>, CommandFailure> {
    if !config.endpoints.is_empty() {
        return Ok(config.endpoints.clone());
    }
    let port = config.listen.port();
    if port == 0 {
        return Err(CommandFailure::new(Reason::EntryInvalid).about("with listen on port 0, endpoints must be given"));
    }
    if !config.listen.ip().is_unspecified() {
        return Ok(vec![config.listen.to_string()]);
    }
    let host = host_name();
    if host.is_empty() || host == "localhost" {
        return Err(CommandFailure::new(Reason::EntryInvalid).about("the host has no name, endpoints must be given"));
    }
    Ok(vec![format!("{host}:{port}")])
}

/// What this machine calls itself; the unit's sandbox hides `/proc/sys`.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};
    use crate::domain::ids::Pin;
    use crate::domain::time::UnixMs;

    #[test]
    fn an_entry_says_what_the_configuration_says() {
        let set = [
            "authority=fr-strasbourg",
            "names=fr=Strasbourg",
            "identifiers=LAU=67482",
            "listen=127.0.0.1:7443",
            "contact.email=veille@strasbourg.example",
        ];
        let config = load(&Sources { set: set.map(str::to_owned).to_vec(), ..Default::default() }).unwrap();
        let pin = PinnedKey { pin: Pin([1; 32]), valid_until: UnixMs::NEVER, proof: Default::default() };
        let entry = entry(&config, PublicKey([0; 44]), pin.clone(), 7).unwrap();
        assert_eq!(entry.endpoints, ["127.0.0.1:7443"]);
        assert_eq!((entry.names[0].language.as_str(), entry.identifiers[0].value.as_str()), ("fr", "67482"));
        assert_eq!((entry.contacts.len(), entry.raft_id), (1, 7));
        let free =
            load(&Sources { set: vec!["authority=fr-x".into(), "listen=127.0.0.1:0".into()], ..Default::default() });
        assert_eq!(
            super::entry(&free.unwrap(), PublicKey([0; 44]), pin, 7).unwrap_err().reason(),
            Reason::EntryInvalid
        );
    }
}
