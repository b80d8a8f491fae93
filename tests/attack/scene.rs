//! Four cities: Strasbourg, which is attacked, and its honest partner Esch, both of them stewards; Kehl, a member, and Liège, the third
//! steward, whose keys others have.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use havenlink::demo::acts::{founding, referring, request_id, until};
use havenlink::demo::city::City;
use havenlink::demo::ports;
use havenlink::demo::stage::Stage;
use havenlink::domain::time::Millis;
use havenlink::transport::NodeIdentity;
use havenlink_proto::admin::v1::{ApproveProposalRequest, SuspendMemberRequest};
use havenlink_proto::directory::v1::{Outcome, SuspendReason};
use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use havenlink_tests::credulous;
use havenlink_tests::federation::Federation;
use havenlink_tests::intruder::Intruder;
use havenlink_tests::peer;
use havenlink_tests::restored::restored;
use havenlink_tests::road;
use havenlink_tests::tools::havenctl;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::attacks::Attack;
use crate::canaries::alert_to;
use crate::target::{Software, Steward, Target, reached};

/// Alerts that wait for Kehl: what has to be queued again whenever it begins anew. As many as the fault was seen with.
const WAITING: usize = 16_000;
/// Calls under way while they are published, over so many connections.
const AT_ONCE: usize = 128;
const CONNECTIONS: usize = 8;
/// Until somebody leads.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a node's journal tells when it turned somebody away for want of places.
const FULL: &str = "event=REFUSED reason=TOO_MANY_CONNECTIONS";

/// The nodes, and what attackers have of them.
pub struct Scene {
    federation: Federation,
    pub target: Target,
    /// Strasbourg's honest software at `local.listen`.
    honest: Channel,
    /// Loopback HTTP of the nodes that run.
    http: Vec<SocketAddr>,
    /// How many of the stewards' emergencies were used.
    emergencies: AtomicUsize,
    cases: AtomicU32,
}

/// How the attacker is suspended.
pub enum Order {
    /// By one of the stewards that run, at once.
    Emergency { by: usize },
    /// Strasbourg's proposal; Esch's signature is the order.
    Lasting(Bytes),
}

/// An order that was taken.
pub struct Ordered {
    /// When the call began that took it.
    pub at: Instant,
    /// How long the operator had to try, to its answer.
    pub waited: Duration,
}

/// The answer; `None` while the stewards elect.
fn taken<T>(answer: Result<tonic::Response<T>, tonic::Status>) -> anyhow::Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if status.code() == tonic::Code::Unavailable => Ok(None),
        Err(status) => Err(status.into()),
    }
}

/// What was added to a node's configuration.
struct Equipped {
    local: SocketAddr,
    http: SocketAddr,
}

/// Has a node hear its city's own software over mutual TLS, and whoever watches it over HTTP, and starts it anew.
async fn equip(city: &mut City, software: &[&Software]) -> anyhow::Result<Equipped> {
    let address = || anyhow::Ok(SocketAddr::from(([127, 0, 0, 1], ports::free()?)));
    let equipped = Equipped { local: address()?, http: address()? };
    let config = city.dir.join("node.toml");
    let lines = std::fs::read_to_string(&config)?;
    std::fs::write(&config, lines.replace("http = \"off\"", &format!("http = \"{}\"", equipped.http)))?;
    let clients: Vec<String> = software.iter().map(|software| software.client()).collect();
    let clients = clients.join(", ");
    city.configure(&format!("local.listen = \"{}\"\nlocal.clients = {{ {clients} }}\n", equipped.local))?;
    city.stop().await?;
    city.start()?;
    city.ready().await?;
    Ok(equipped)
}

/// Esch and Liège keep the register as well.
async fn more_stewards(federation: &mut Federation) -> anyhow::Result<()> {
    let mut stage = Stage::silent();
    let [strasbourg, _, esch, liege] = &mut federation.cities[..] else { anyhow::bail!("four cities") };
    founding::promote(&mut stage, strasbourg, &mut [], esch, 2).await?;
    founding::promote(&mut stage, strasbourg, &mut [esch], liege, 3).await?;
    ensure!(stage.failures().is_empty(), "three stewards: {:?}", stage.failures());
    Ok(())
}

impl Scene {
    /// Founds it; the nodes of Kehl and Liège are gone, and alerts wait for Kehl.
    pub async fn found(binary: &Path) -> anyhow::Result<Self> {
        let mut federation = Federation::found_with(binary, 4, 1, "", &[]).await?;
        // Other users of this machine come to a role's socket, if they are in its group.
        let root = federation.cities[0].dir.parent().context("a folder")?.to_owned();
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o711))?;
        let (honest, hostile) = (Software::made()?, Software::made()?);
        let equipped = equip(&mut federation.cities[0], &[&honest, &hostile]).await?;
        let partner = equip(&mut federation.cities[2], &[&honest]).await?;
        for (one, other) in [(0, 1), (0, 2), (2, 1)] {
            federation.agree(one, other).await?;
        }
        referring::agree(&mut Stage::silent(), &federation.cities[0], &federation.cities[2]).await?;
        more_stewards(&mut federation).await?;
        let [strasbourg, kehl, _, liege] = &mut federation.cities[..] else { anyhow::bail!("four cities") };
        let steward = Steward::taken_over(liege, strasbourg.id()).await?;
        let keys = Intruder::with_keys_of(kehl).await?;
        let listens = kehl.status().await?.peer_address.parse()?;
        kehl.kill().await?;
        let stolen = kehl.dir.join("data");
        havenctl(strasbourg, &["invite", "create", "--for", "nl-maastricht"]).await?.fine();
        let applicant = peer::self_issued("nl-maastricht", Millis::days(1))?;
        let nobody = (applicant.certificate.der.clone(), applicant.key.to_vec());
        let applicant = NodeIdentity::from_der(&applicant.key, &applicant.certificate.der)?;
        let (address, peer_port) = reached(strasbourg).await?;
        let target = Target {
            keys: Arc::new(keys),
            address,
            door: peer::knock(applicant, strasbourg).await?,
            sockets: strasbourg.sockets(),
            local_port: equipped.local,
            http: equipped.http,
            peer_port,
            as_kehl: Arc::new(credulous::client(Some(credulous::pair_of(&stolen)?))?),
            as_nobody: Arc::new(credulous::client(Some(nobody))?),
            as_software: hostile.config()?,
            software: hostile.channel(strasbourg, equipped.local)?,
            listens,
            stolen,
            steward: Arc::new(steward),
            calls: Arc::default(),
            taken: Arc::default(),
            shown: Arc::default(),
        };
        let honest = honest.channel(strasbourg, equipped.local)?;
        let scene = Self {
            federation,
            target,
            honest,
            http: vec![equipped.http, partner.http],
            emergencies: AtomicUsize::default(),
            cases: AtomicU32::default(),
        };
        scene.fill().await?;
        Ok(scene)
    }

    async fn fill(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut publishing = JoinSet::new();
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(self.victim().publisher().await?);
        }
        for connection in connections.iter().cycle().take(AT_ONCE) {
            let (mut publisher, to) = (connection.clone(), self.attacker().id());
            publishing.spawn(async move {
                for _ in 0..WAITING / AT_ONCE {
                    publisher.publish_record(alert_to(to)).await?;
                }
                Ok::<_, tonic::Status>(())
            });
        }
        while let Some(published) = publishing.join_next().await {
            published??;
        }
        println!("{WAITING} alerts wait for {}, after {:.1?}", self.attacker().id(), began.elapsed());
        Ok(())
    }

    /// Whom everything is aimed at.
    pub fn victim(&self) -> &City {
        &self.federation.cities[0]
    }

    /// Whose keys others have; its node is gone.
    pub fn attacker(&self) -> &City {
        &self.federation.cities[1]
    }

    pub fn partner(&self) -> &City {
        &self.federation.cities[2]
    }

    /// The nodes that run.
    pub fn running(&self) -> [&City; 2] {
        [self.victim(), self.partner()]
    }

    pub fn all(&self) -> &[City] {
        &self.federation.cities
    }

    pub fn http(&self) -> &[SocketAddr] {
        &self.http
    }

    /// A client of Strasbourg's own software: at its socket, or at `local.listen`.
    ///
    /// # Errors
    /// When the node does not answer at its socket.
    pub async fn publisher(&self, over_tls: bool) -> anyhow::Result<RecordServiceClient<Channel>> {
        match over_tls {
            true => Ok(RecordServiceClient::new(self.honest.clone())),
            false => self.victim().publisher().await,
        }
    }

    /// The city's own number of a case that it has not had yet.
    pub fn next_case(&self) -> String {
        format!("SB-2026/{:04}", self.cases.fetch_add(1, Ordering::Relaxed))
    }

    pub fn folder(&self) -> PathBuf {
        self.victim().dir.parent().map(Path::to_owned).unwrap_or_default()
    }

    /// Keeps the folder.
    pub fn keep(&mut self) -> &Path {
        self.federation.keep()
    }

    /// Starts Strasbourg's node anew, and Esch's when Strasbourg's log tells that it has no place for further handshakes,
    /// `if_full`; how long it takes from there until something that Esch says is at Strasbourg. Liège's own node runs meanwhile:
    /// two of three stewards start.
    ///
    /// # Errors
    /// When it does not come at all, or there are places still.
    pub async fn come_back(&mut self, if_full: bool) -> anyhow::Result<Duration> {
        let [strasbourg, _, esch, liege] = &mut self.federation.cities[..] else { anyhow::bail!("four cities") };
        let log = strasbourg.dir.join("node.log");
        if liege.pid().is_none() {
            liege.start()?;
            liege.ready().await?;
        }
        esch.kill().await?;
        strasbourg.kill().await?;
        let told = std::fs::read(&log)?.len();
        strasbourg.start()?;
        strasbourg.ready().await?;
        if if_full {
            until("no place for handshakes is left", || async {
                let lines = std::fs::read(&log)?.split_off(told);
                Ok(String::from_utf8_lossy(&lines).contains(FULL).then_some(()))
            })
            .await?;
        }
        let began = Instant::now();
        esch.start()?;
        esch.ready().await?;
        let record = road::publish(esch, strasbourg).await?;
        let record = record.map_err(|reason| anyhow::anyhow!("Esch does not publish: {reason}"))?;
        road::arrives(strasbourg, &record).await?;
        Ok(began.elapsed())
    }

    /// Makes ready to suspend the attacker. Where the order itself is under attack it acts without one, as an emergency, which each
    /// steward may order once in seven days; otherwise, and after that, as a majority does it.
    ///
    /// # Errors
    /// When Strasbourg's proposal is refused, or acts with one signature.
    pub async fn made_ready(&self, attack: Attack) -> anyhow::Result<Order> {
        if attack.hinders_order() {
            let by = self.emergencies.fetch_add(1, Ordering::Relaxed);
            if by < self.running().len() {
                return Ok(Order::Emergency { by });
            }
        }
        let request = SuspendMemberRequest {
            request_id: request_id(),
            authority: self.attacker().id().to_owned(),
            reason: SuspendReason::NodeCompromised.into(),
            lasting: true,
        };
        let proposed = until("Strasbourg proposes it", || async {
            taken(self.victim().members().await?.suspend_member(request.clone()).await)
        });
        let proposed = proposed.await?.decision.context("a decision")?;
        // Whoever has an emergency left has ordered it with that.
        if proposed.overlay {
            self.emergencies.fetch_max(1, Ordering::Relaxed);
            self.restore().await?;
            return Box::pin(self.made_ready(attack)).await;
        }
        until("the proposal is at Esch", || async {
            let pending = self.partner().status().await?.pending;
            Ok(pending.iter().any(|waits| waits.proposal_id == proposed.statement_id).then_some(()))
        })
        .await?;
        Ok(Order::Lasting(proposed.statement_id))
    }

    /// Orders the suspension of the attacker.
    ///
    /// # Errors
    /// When it is refused for another reason than that nobody leads at the moment.
    pub async fn suspend(&self, order: Order) -> anyhow::Result<Ordered> {
        let began = Instant::now();
        let mut at = began;
        match order {
            Order::Emergency { by } => {
                let order = ["member", "suspend", "de-kehl", "--reason", "NODE_COMPROMISED", "--yes"];
                let ran = havenctl(self.running()[by], &order).await?;
                ensure!(ran.code == 0, "the suspension is not ordered: {ran:?}");
            }
            Order::Lasting(proposal_id) => {
                let request = ApproveProposalRequest { request_id: request_id(), proposal_id };
                let mut members = self.partner().members().await?;
                let approved = loop {
                    at = Instant::now();
                    if let Some(approved) = taken(members.approve_proposal(request.clone()).await)? {
                        break approved;
                    }
                    ensure!(began.elapsed() < PATIENCE, "nobody leads for {PATIENCE:?}");
                };
                let outcome = approved.decision.unwrap_or_default().outcome();
                ensure!(outcome == Outcome::Accepted, "the suspension is not decided: {outcome:?}");
            }
        }
        Ok(Ordered { at, waited: began.elapsed() })
    }

    /// Strasbourg proposes that it is restored, and Esch approves.
    pub async fn restore(&self) -> anyhow::Result<()> {
        restored(self.victim(), self.partner(), self.attacker().id()).await
    }

    /// Stops the nodes that run. What is looked at at the end of a story is measured here in every round.
    pub async fn close(&mut self) -> anyhow::Result<()> {
        for city in &mut self.federation.cities {
            city.stop().await.with_context(|| city.id())?;
        }
        Ok(())
    }
}
