//! What the listener of the authority's own software shows: a certificate of the node's local CA, made anew in good time.

use std::fs::Permissions;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::entry::host_name;
use super::failure::CommandFailure;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::transport::NodeIdentity;
use crate::transport::local_ca::{self, LocalCa};

/// Between two looks at its certificate.
const LOOK: Duration = Duration::from_secs(3_600);

/// The CA, and what it made for this door.
pub struct LocalDoor {
    ca: LocalCa,
    names: Vec<String>,
    pub identity: NodeIdentity,
}

impl LocalDoor {
    /// Opens the CA of the data directory, lays its certificate beside the sockets, where clients take it from, and has it
    /// issue a certificate.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn open(config: &Config, listen: SocketAddr, clock: &SharedClock) -> Result<Self, CommandFailure> {
        let now = clock.now();
        let ca = LocalCa::open(&config.data_dir, &config.authority, now)?;
        lay(&config.run_dir.join(local_ca::CERTIFICATE), &ca.pem())?;
        let names = names(config, listen);
        let identity = ca.identity(&names, now)?;
        Ok(Self { ca, names, identity })
    }

    /// Renews the certificate at two thirds of its life, for as long as the node runs. Clients notice nothing.
    pub async fn keep(self, clock: SharedClock) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look(&clock);
        }
    }

    fn look(&self, clock: &SharedClock) {
        let now = clock.now();
        let shown = self.identity.certificate();
        if shown.is_valid(now) && now < shown.renew_at() {
            return;
        }
        match self.ca.identity(&self.names, now) {
            Ok(fresh) => self.identity.show_as(&fresh),
            Err(error) => {
                havenlink_runtime::repeated!(warn; reason = error.reason().code(), "the certificate of local.listen was not renewed")
            }
        }
    }
}

/// For clients of any user to read, whatever the process masks.
fn lay(path: &Path, pem: &str) -> Result<(), CommandFailure> {
    let laid = std::fs::write(path, pem).and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(0o644)));
    laid.map_err(|e| CommandFailure::file(path, &e))
}

/// Under what clients may dial it: the address that it hears on, this machine, and whatever the configuration says.
fn names(config: &Config, listen: SocketAddr) -> Vec<String> {
    let own = match listen.ip() {
        ip if ip.is_unspecified() => vec![Ipv4Addr::LOCALHOST.to_string(), Ipv6Addr::LOCALHOST.to_string()],
        ip => vec![ip.to_string()],
    };
    let of_endpoint = |endpoint: &String| {
        let host = endpoint.rsplit_once(':').map_or(endpoint.as_str(), |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']').to_owned()
    };
    let more = [String::from("localhost"), host_name()].into_iter();
    let mut names: Vec<String> = own
        .into_iter()
        .chain(more)
        .chain(config.endpoints.iter().map(of_endpoint))
        .chain(config.local_names.clone())
        .collect();
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MovedClock;
    use crate::config::{Sources, load};
    use crate::domain::time::Millis;

    fn config(root: &Path) -> Config {
        let set = [
            "authority=fr-strasbourg".to_owned(),
            format!("data_dir={}", root.display()),
            format!("run_dir={}", root.display()),
            "endpoints=node.strasbourg.example:7443,[2001:db8::7]:7443".to_owned(),
            "local.names=desk.strasbourg.example".to_owned(),
        ];
        load(&Sources { set: set.to_vec(), ..Default::default() }).unwrap()
    }

    #[test]
    fn its_certificate_is_made_anew_under_the_same_ca() {
        crate::transport::install_provider();
        let (root, moved) = (tempfile::tempdir().unwrap(), MovedClock::new());
        let clock: SharedClock = moved.clone();
        let listen: SocketAddr = "0.0.0.0:7445".parse().unwrap();
        let door = LocalDoor::open(&config(root.path()), listen, &clock).unwrap();
        let (ca, first) = (door.ca.pem(), door.identity.pin());
        door.look(&clock);
        assert_eq!(door.identity.pin(), first, "it is not due");
        moved.advance(Millis::days(61));
        door.look(&clock);
        let second = door.identity.pin();
        assert_ne!(second, first);
        moved.advance(Millis::days(400));
        door.look(&clock);
        assert!(door.identity.pin() != second && door.identity.certificate().is_valid(clock.now()));
        let again = LocalDoor::open(&config(root.path()), listen, &clock).unwrap();
        assert_eq!(again.ca.pem(), ca, "the one that clients were given");
        assert_eq!(std::fs::read_to_string(root.path().join("local-ca.crt")).unwrap(), ca);
    }

    #[test]
    fn it_is_known_under_every_name_by_which_clients_may_dial_it() {
        let root = tempfile::tempdir().unwrap();
        let names = |listen: &str| names(&config(root.path()), listen.parse().unwrap());
        let all = names("0.0.0.0:7445");
        for name in
            ["127.0.0.1", "::1", "localhost", "node.strasbourg.example", "2001:db8::7", "desk.strasbourg.example"]
        {
            assert!(all.iter().any(|known| known == name), "{name}: {all:?}");
        }
        let one = names("192.0.2.7:7445");
        assert!(one.contains(&"192.0.2.7".to_owned()) && !one.contains(&"127.0.0.1".to_owned()));
    }
}
