//! Two whole nodes, one of them away while the other's certificates and keys change: they find each other by themselves.

use std::time::Duration;

use havenlink_proto::admin::v1::{self as admin, member_service_client::MemberServiceClient};

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
            while !known(&self.strasbourg, &self.kehl) || !known(&self.kehl, &self.strasbourg) {
                tokio::time::sleep(Duration::from_millis(20)).await;
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
