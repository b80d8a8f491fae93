//! Cities of a test federation: data directory, key, running directory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::pipes::Pipes;
use crate::clock::{MovedClock, SharedClock};
use crate::domain::directory::{Policy, Steward};
use crate::domain::ids::{AuthorityId, Digest};
use crate::domain::register::{Applied, Outcome};
use crate::state::RegisterState;
use crate::statements::{Author, Invited};
use crate::tests::{entry, id, new_key, proved};
use crate::wire::keys::SigningKey;
use crate::wire::signed::NO_FEDERATION;
use crate::{Directory, Opening, Settings, raft_id};

/// Longest wait for anything.
pub const LIMIT: Duration = Duration::from_secs(20);

pub struct City {
    pub dir: TempDir,
    pub key: Arc<SigningKey>,
    pub clock: Arc<MovedClock>,
    pub directory: Option<Directory>,
}

impl City {
    pub fn directory(&self) -> &Directory {
        self.directory.as_ref().unwrap()
    }
}

pub struct Federation {
    pub pipes: Pipes,
    pub cities: BTreeMap<AuthorityId, City>,
    pub genesis: Bytes,
}

pub fn nonce() -> [u8; 16] {
    let mut nonce = [0; 16];
    aws_lc_rs::rand::fill(&mut nonce).unwrap();
    nonce
}

/// Waits until the condition holds; panics at the deadline with what it was waiting for.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Federation {
    /// One city, steward of its own federation.
    pub async fn founded(name: &str, policy: &Policy) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = new_key();
        let clock = MovedClock::new();
        let raft_id = raft_id(dir.path()).unwrap();
        let authority = id(name);
        let now = crate::clock::Clock::now(&*clock);
        let author = Author { authority: &authority, key: &key, now, nonce: nonce() };
        let genesis = author.genesis(&proved(&NO_FEDERATION, entry(name, &key, raft_id)), policy);
        let cities = BTreeMap::from([(authority.clone(), City { dir, key, clock, directory: None })]);
        let mut federation = Self { pipes: Pipes::default(), cities, genesis };
        federation.start(name).await;
        federation.leader().await;
        federation
    }

    /// Stewards and, after them, members that only follow.
    pub async fn of(stewards: &[&str], members: &[&str], policy: &Policy) -> Self {
        let mut federation = Self::founded(stewards[0], policy).await;
        for name in &stewards[1..] {
            federation.admit(name).await;
            federation.promote(name).await;
        }
        for name in members {
            federation.admit(name).await;
        }
        federation
    }

    pub async fn start(&mut self, name: &str) {
        let genesis = self.genesis.clone();
        let city = self.cities.get_mut(&id(name)).unwrap();
        let clock: SharedClock = city.clock.clone();
        let opening = Opening {
            data_dir: city.dir.path().to_owned(),
            authority: id(name),
            key: Arc::clone(&city.key),
            clock,
            genesis: Some(genesis),
        };
        let settings = Settings { passed_by_after: Duration::from_secs(3) };
        let directory = Directory::open_with(opening, settings).unwrap();
        city.directory = Some(directory.clone());
        self.pipes.plug_in(&directory);
        directory.start(self.pipes.dial_as(&id(name)));
    }

    /// Ends a city's directory in order.
    pub async fn stop(&mut self, name: &str) {
        self.pipes.unplug(&id(name));
        let directory = self.cities.get_mut(&id(name)).unwrap().directory.take().unwrap();
        directory.shutdown().await;
    }

    pub fn city(&self, name: &str) -> &City {
        &self.cities[&id(name)]
    }

    pub fn at(&self, name: &str) -> &Directory {
        self.city(name).directory()
    }

    pub fn running(&self) -> impl Iterator<Item = &Directory> {
        self.cities.values().filter_map(|city| city.directory.as_ref())
    }

    /// The name of the steward that leads and that a majority follows.
    pub async fn leader(&self) -> String {
        let mut found = None;
        until("a leader", || {
            let leaders: Vec<_> = self
                .running()
                .filter(|directory| directory.status().raft.is_some_and(|raft| raft.leads))
                .map(|directory| (directory.status().raft.map(|raft| raft.term), directory.authority().to_string()))
                .collect();
            found = leaders.into_iter().max().map(|(_, name)| name);
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    pub fn sign(&self, name: &str, at: &str, build: impl FnOnce(&Author<'_>, &RegisterState) -> Bytes) -> Bytes {
        let city = self.city(name);
        let authority = id(name);
        let now = crate::clock::Clock::now(&*city.clock);
        let author = Author { authority: &authority, key: &city.key, now, nonce: nonce() };
        build(&author, &self.at(at).state())
    }

    /// Signs by what the city knows, and proposes there: the same bytes again while the stewards elect for longer than one
    /// call waits.
    pub async fn act(&self, name: &str, build: impl FnOnce(&Author<'_>, &RegisterState) -> Bytes) -> Applied {
        let signed = self.sign(name, name, build);
        let deadline = tokio::time::Instant::now() + LIMIT * 3;
        let proposed = loop {
            match self.at(name).propose(signed.clone()).await {
                Err(error) if error.retryable() && tokio::time::Instant::now() < deadline => {}
                answer => break answer.unwrap(),
            }
        };
        self.at(name).wait_for(proposed.number, LIMIT).await.unwrap();
        proposed
    }

    /// Proposes by the first steward, approves by as many others as it takes.
    pub async fn decide(&self, build: impl FnOnce(&Author<'_>, &RegisterState) -> Bytes) -> Outcome {
        let stewards: Vec<String> = self
            .running()
            .next()
            .map(|directory| directory.view().stewards.iter().map(|s| s.authority.to_string()).collect())
            .unwrap();
        let stewards: Vec<_> = stewards.into_iter().filter(|name| self.city(name).directory.is_some()).collect();
        let opened = self.act(&stewards[0], build).await;
        let mut outcome = opened.outcome;
        for name in &stewards[1..] {
            if outcome != Outcome::Pending {
                break;
            }
            self.at(name).wait_for(opened.number, LIMIT).await.unwrap();
            outcome = self.act(name, |a, s| a.approve(s, &opened.statement).unwrap()).await.outcome;
        }
        outcome
    }

    /// A new city: keys, application, admission; then it runs and follows.
    pub async fn admit(&mut self, name: &str) {
        let dir = tempfile::tempdir().unwrap();
        let key = new_key();
        let raft_id = raft_id(dir.path()).unwrap();
        let (authority, clock) = (id(name), MovedClock::new());
        let now = crate::clock::Clock::now(&*clock);
        let first = self.running().next().unwrap().clone();
        let (state, by) = (first.state(), first.authority().clone());
        let author = Author { authority: &authority, key: &key, now, nonce: nonce() };
        let entry = proved(&state.federation(), entry(name, &key, raft_id));
        let application = author.application(&state.federation(), state.policy().rules_version, 0, &entry);
        let invited = Invited { by, invitation: None, words: Some(Digest([7; 32])) };
        let outcome = self.decide(|a, s| a.admit(s, &authority, application, &invited)).await;
        assert_eq!(outcome, Outcome::Accepted);
        self.cities.insert(authority, City { dir, key, clock, directory: None });
        self.start(name).await;
        let dial = self.pipes.dial_as(&id(name));
        let channel = crate::dial::Dial::channel(&*dial, first.authority()).unwrap();
        self.at(name).catch_up(channel).await.unwrap();
        self.together().await;
    }

    /// Makes a member a steward and waits until it votes.
    pub async fn promote(&mut self, name: &str) {
        let steward = Steward { authority: id(name), raft_id: self.at(name).raft_id() };
        let outcome = self
            .decide(|a, s| {
                let mut set = s.stewards().to_vec();
                set.push(steward.clone());
                a.steward_set(s, &set)
            })
            .await;
        assert_eq!(outcome, Outcome::Accepted);
        self.votes(name).await;
    }

    /// Waits until the leader counts the city's vote, and nothing else is under way.
    pub async fn votes(&self, name: &str) {
        let raft_id = self.at(name).raft_id();
        until(&format!("{name} votes"), || {
            let counted = |directory: &Directory| {
                directory.status().raft.is_some_and(|raft| raft.voters.contains(&raft_id) && !raft.changing)
            };
            self.running().any(|d| d.status().raft.is_some_and(|r| r.leads) && counted(d)) && counted(self.at(name))
        })
        .await;
    }

    /// Waits until all running nodes have the same number and the same head.
    pub async fn together(&self) {
        until("all at one head", || {
            let heads: std::collections::BTreeSet<_> =
                self.running().map(|directory| (directory.view().number, directory.view().head)).collect();
            heads.len() == 1
        })
        .await;
    }
}

/// Beats twice a second, snapshots every 16 changes.
pub fn quick() -> Policy {
    Policy { beat_interval: crate::domain::time::Millis(500), snapshot_interval: 16, ..Policy::default() }
}
