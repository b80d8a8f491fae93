//! Two whole nodes, one of them away while the other's certificates and keys change: they find each other by themselves.

use std::time::Duration;

use havenlink_proto::admin::v1::{
    self as admin, member_service_client::MemberServiceClient, node_service_client::NodeServiceClient,
};

use super::door;
use super::years::{agreed, config_of, exchange, joined, ready};
use crate::app::commands::{GenesisPolicy, found};
use crate::app::{DataDir, RunningMember};
use crate::clock::{MovedClock, SharedClock};
use crate::config::Config;
use crate::demo::acts::request_id;
use crate::domain::audit::Actor;
use crate::domain::time::Millis;
use crate::services::layers::Runtimes;
use crate::transport;

/// Strasbourg keeps the register, Kehl is a member.
struct Two {
    clock: std::sync::Arc<MovedClock>,
    first: Config,
    second: Config,
    strasbourg: RunningMember,
    kehl: RunningMember,
    _root: tempfile::TempDir,
}

async fn start(config: &Config, clock: &SharedClock) -> RunningMember {
    let data = DataDir::take(&config.data_dir).unwrap();
    RunningMember::start(config.clone(), data, clock.clone(), &Runtimes::current(), None).await.unwrap()
}

impl Two {
    async fn new() -> Self {
        transport::install_provider();
        let (root, clock) = (tempfile::tempdir().unwrap(), MovedClock::new());
        let shared: SharedClock = clock.clone();
        let (first, second) = (config_of(root.path(), "fr-strasbourg"), config_of(root.path(), "de-kehl"));
        let data = DataDir::take(&first.data_dir).unwrap();
        let policy = GenesisPolicy { beat_interval: Some(Millis(200)), ..GenesisPolicy::default() };
        drop(found(&first, &data, &policy).unwrap());
        let strasbourg = RunningMember::start(first.clone(), data, shared.clone(), &Runtimes::current(), None).await;
        let strasbourg = ready(strasbourg.unwrap()).await;
        let kehl = joined(&first, &second, &shared).await;
        agreed(&first, &second, &clock).await;
        exchange(&first, &second, &kehl, 0).await;
        Self { clock, first, second, strasbourg, kehl, _root: root }
    }

    fn shared(&self) -> SharedClock {
        self.clock.clone()
    }

    /// Both exchange again, each with what it kept, and each knows the other's certificate.
    async fn healed(self, what: &str) {
        // What a node does by itself within a minute.
        for member in [&self.strasbourg, &self.kehl] {
            member.renewal().look(Duration::ZERO).await;
        }
        let known = |here: &RunningMember, there: &RunningMember| {
            let pin = there.renewal().identity.pin();
            here.directory().view().authority_of_pin(&pin, self.shared().now()).is_some()
        };
        let both = async {
            let [mut here, mut there] = [&self.strasbourg, &self.kehl].map(|member| member.directory().changes());
            loop {
                here.mark_unchanged();
                there.mark_unchanged();
                if known(&self.strasbourg, &self.kehl) && known(&self.kehl, &self.strasbourg) {
                    return;
                }
                tokio::select! { _ = here.changed() => {}, _ = there.changed() => {} }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), both).await.unwrap_or_else(|_| panic!("{what}: never met again"));
        exchange(&self.first, &self.second, &self.kehl, 0).await;
        exchange(&self.second, &self.first, &self.strasbourg, 0).await;
        self.kehl.stop().await;
        self.strasbourg.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_that_was_away_over_two_renewals_is_met_again() {
    let Two { clock, first, second, strasbourg, kehl, _root } = Two::new().await;
    let shared: SharedClock = clock.clone();
    kehl.stop().await;
    for _ in 0..2 {
        clock.advance(Millis::days(2));
        strasbourg.renewal().renew(Actor::NODE, Duration::ZERO).await.unwrap();
    }
    let kehl = start(&second, &shared).await;
    assert!(kehl.directory().view().authority_of_pin(&strasbourg.renewal().identity.pin(), shared.now()).is_none());
    Two { clock, first, second, strasbourg, kehl, _root }.healed("two renewals").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_that_was_away_over_two_rotations_is_met_again() {
    for compromised in [false, true] {
        let Two { clock, first, second, strasbourg, kehl, _root } = Two::new().await;
        let shared: SharedClock = clock.clone();
        kehl.stop().await;
        for withdrawn in [compromised, false] {
            let mut members = MemberServiceClient::new(door(&first, "operator").await);
            let rotate = admin::RotateKeyRequest { request_id: request_id(), compromised: withdrawn };
            members.rotate_key(rotate).await.unwrap();
        }
        clock.advance(Millis::days(3));
        strasbourg.renewal().renew(Actor::NODE, Duration::ZERO).await.unwrap();
        // What leads over the rotations outlives a restart.
        strasbourg.stop().await;
        let strasbourg = ready(start(&first, &shared).await).await;
        let kehl = start(&second, &shared).await;
        Two { clock, first, second, strasbourg, kehl, _root }.healed("two rotations").await;
    }
}

/// The withdrawal acts at once; that nothing can be decided only delays the key that comes after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_withdrawn_while_nothing_could_be_decided_is_replaced_afterwards() {
    let Two { clock, first, second, strasbourg, kehl, _root } = Two::new().await;
    let shared: SharedClock = clock.clone();
    let old = strasbourg.directory().view().member(&second.authority).unwrap().entry.authority_key;
    strasbourg.stop().await;
    let mut members = MemberServiceClient::new(door(&second, "operator").await);
    let rotate = admin::RotateKeyRequest { request_id: request_id(), compromised: true };
    members.rotate_key(rotate).await.unwrap_err();
    let strasbourg = start(&first, &shared).await;
    let replaced = async {
        let mut changes = strasbourg.directory().changes();
        loop {
            let view = strasbourg.directory().view();
            if view.member(&second.authority).is_some_and(|member| member.entry.authority_key != old) {
                return;
            }
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), replaced).await.expect("it is replaced by itself");
    Two { clock, first, second, strasbourg, kehl, _root }.healed("a withdrawn key").await;
}

/// Nothing can be ordered without Strasbourg, so Kehl's certificate ends with nobody to publish another one; so does
/// Strasbourg's own, on a disk that is not running.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_certificates_end_while_the_register_stands_still() {
    let Two { clock, first, second, strasbourg, kehl, _root } = Two::new().await;
    let shared: SharedClock = clock.clone();
    strasbourg.stop().await;
    clock.advance(Millis::days(100));
    assert!(!kehl.renewal().look(Duration::ZERO).await, "nobody orders");
    let strasbourg = start(&first, &shared).await;
    Two { clock, first, second, strasbourg, kehl, _root }.healed("a hundred days").await;
}

/// Another address and another port, as after a move.
fn moved(config: &mut Config) {
    let address: std::net::SocketAddr = format!("127.0.0.1:{}", super::free_port()).parse().unwrap();
    (config.listen, config.endpoints) = (address, vec![address.to_string()]);
}

/// What `havenctl node update --endpoint` asks for.
async fn published(member: &RunningMember, config: &Config) {
    let renewal = member.renewal();
    let mut entry = renewal.governance.view().member(&config.authority).unwrap().entry.clone();
    entry.endpoints = config.endpoints.clone();
    renewal.governance.decisions.update_entry(entry, None, Actor::NODE).await.unwrap();
}

/// Who answers at the other's address, and then the address kept; the register's number.
async fn contacted(at: &Config, other: &Config) -> u64 {
    let mut node = NodeServiceClient::new(door(at, "operator").await);
    let endpoint = other.endpoints[0].clone();
    let met = node.meet_address(admin::MeetAddressRequest { endpoint: endpoint.clone() }).await.unwrap().into_inner();
    assert_eq!((met.authority.as_str(), met.pinned), (other.authority.as_str(), true));
    let keep = admin::KeepContactRequest { request_id: request_id(), endpoint, authority: met.authority };
    node.keep_contact(keep).await.unwrap().into_inner().register_number
}

/// Both town halls moved while the line was down: each knows nothing but the other's old address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_cities_that_both_moved_come_together_by_one_command() {
    let Two { clock, mut first, mut second, strasbourg, kehl, _root } = Two::new().await;
    let shared: SharedClock = clock.clone();
    kehl.stop().await;
    strasbourg.stop().await;
    moved(&mut first);
    moved(&mut second);
    let strasbourg = ready(start(&first, &shared).await).await;
    published(&strasbourg, &first).await;
    let kehl = start(&second, &shared).await;
    let number = strasbourg.directory().view().number;
    assert!(kehl.directory().view().number < number, "Kehl knows the old address alone");
    // Strasbourg keeps the register, so whoever asks there learns of both.
    assert_eq!(contacted(&second, &first).await, number);
    published(&kehl, &second).await;
    Two { clock, first, second, strasbourg, kehl, _root }.healed("both moved").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_an_operator_gave_counts_until_the_register_lists_another() {
    let Two { clock, first, mut second, strasbourg, kehl, _root } = Two::new().await;
    let shared: SharedClock = clock.clone();
    kehl.stop().await;
    let old = second.endpoints.clone();
    moved(&mut second);
    let kehl = ready(start(&second, &shared).await).await;
    let mut node = NodeServiceClient::new(door(&first, "operator").await);
    let mut refused = async |endpoint: &str| {
        let asked = admin::MeetAddressRequest { endpoint: endpoint.to_owned() };
        super::reason(&node.meet_address(asked).await.unwrap_err())
    };
    assert_eq!(refused(&old[0]).await, "PEER_UNREACHABLE", "nobody is there any more");
    assert_eq!(refused("kehl").await, "FIELD_INVALID", "no address");
    assert_eq!(refused(&first.endpoints[0]).await, "FIELD_INVALID", "its own");
    let keep = admin::KeepContactRequest {
        request_id: request_id(),
        endpoint: second.endpoints[0].clone(),
        authority: first.authority.to_string(),
    };
    let mut node = NodeServiceClient::new(door(&first, "operator").await);
    assert_eq!(super::reason(&node.keep_contact(keep).await.unwrap_err()), "PEER_PIN_UNKNOWN", "another one answers");

    contacted(&first, &second).await;
    exchange(&first, &second, &kehl, 0).await;
    // Also after a restart.
    let kept = || std::fs::read_to_string(first.data_dir.join("contacts.given")).unwrap();
    assert_eq!(kept(), format!("de-kehl {} {}\n", second.endpoints[0], old[0]));
    strasbourg.stop().await;
    let strasbourg = ready(start(&first, &shared).await).await;
    exchange(&first, &second, &kehl, 0).await;

    published(&kehl, &second).await;
    let forgotten = async {
        while !kept().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), forgotten).await.expect("the register's word is newer");
    Two { clock, first, second, strasbourg, kehl, _root }.healed("Kehl moved").await;
}
