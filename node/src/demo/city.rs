//! One city: a child process of the node's binary with its own folder, keys, store and sockets.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use havenlink_proto::admin::v1::agreement_service_client::AgreementServiceClient;
use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;
use havenlink_proto::admin::v1::node_service_client::NodeServiceClient;
use havenlink_proto::admin::v1::{GetStatusRequest, GetStatusResponse, NodeState};
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::local::v1::agreement_to_share_service_client::AgreementToShareServiceClient;
use havenlink_proto::local::v1::hold_service_client::HoldServiceClient;
use havenlink_proto::local::v1::inbox_service_client::InboxServiceClient;
use havenlink_proto::local::v1::offer_service_client::OfferServiceClient;
use havenlink_proto::local::v1::practice_service_client::PracticeServiceClient;
use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use havenlink_proto::local::v1::referral_service_client::ReferralServiceClient;
use tokio::process::{Child, Command};
use tonic::transport::Channel;

use super::ports;
use super::sample::CitySample;
use crate::transport;

/// How long anything in the demo may take before it counts as failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where a city's node runs.
#[derive(Clone, Debug)]
pub struct NodeAddress {
    /// Where it listens, and partners reach it.
    pub address: SocketAddr,
    /// Words before its command, such as `ip netns exec NAME`; none on this machine's own network.
    pub within: Vec<String>,
}

impl NodeAddress {
    /// On this machine, at a port that nothing listens on now.
    ///
    /// # Errors
    /// When no port is free.
    pub fn here() -> anyhow::Result<Self> {
        Ok(Self { address: (Ipv4Addr::LOCALHOST, ports::free()?).into(), within: Vec::new() })
    }
}

/// A city and its running node.
pub struct City {
    pub sample: &'static CitySample,
    /// Its folder: `node.toml`, `data`, `run`, `node.log`.
    pub dir: PathBuf,
    binary: PathBuf,
    within: Vec<String>,
    child: Option<Child>,
}

impl City {
    /// Lays out the folder of a city on this machine: a configuration of a few lines, nothing else.
    pub fn prepare(root: &Path, sample: &'static CitySample, binary: &Path) -> anyhow::Result<Self> {
        Self::prepare_at(root, sample, binary, NodeAddress::here()?)
    }

    /// Lays out the folder of a city somewhere else.
    pub fn prepare_at(
        root: &Path,
        sample: &'static CitySample,
        binary: &Path,
        place: NodeAddress,
    ) -> anyhow::Result<Self> {
        let NodeAddress { address, within } = place;
        let dir = root.join(sample.authority);
        std::fs::create_dir_all(dir.join("run")).with_context(|| format!("cannot make {}", dir.display()))?;
        let (language, name) = sample.name;
        let (scheme, identifier) = sample.identifier;
        let config = format!(
            "authority = \"{}\"\nnames = {{ {language} = \"{name}\" }}\nidentifiers = {{ {scheme} = \"{identifier}\" }}\n\
             contact.email = \"{}\"\nlisten = \"{address}\"\nendpoints = [\"{address}\"]\n\
             data_dir = \"{}\"\nrun_dir = \"{}\"\nhttp = \"off\"\nlog.level = \"info\"\n",
            sample.authority,
            sample.contact,
            dir.join("data").display(),
            dir.join("run").display(),
        );
        std::fs::write(dir.join("node.toml"), config)?;
        Ok(Self { sample, dir, binary: binary.to_owned(), within, child: None })
    }

    /// Adds lines to its configuration; its next start reads them.
    pub fn configure(&self, lines: &str) -> io::Result<()> {
        let mut file = std::fs::OpenOptions::new().append(true).open(self.dir.join("node.toml"))?;
        file.write_all(lines.as_bytes())
    }

    pub fn id(&self) -> &'static str {
        self.sample.authority
    }

    /// Directory of its sockets.
    pub fn sockets(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// Runs this binary once with the city's configuration and gives what it printed on stdout.
    ///
    /// # Errors
    /// When it ends with another code than 0; its stderr is in the error.
    pub async fn once(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let with_key = self.with_key(arguments);
        let with_key: Vec<&str> = with_key.iter().map(String::as_str).collect();
        let Output { status, stdout, stderr } = self.command(&with_key).kill_on_drop(true).output().await?;
        if !status.success() {
            bail!("havenlink {} ended with {status}:\n{}", arguments.join(" "), String::from_utf8_lossy(&stderr));
        }
        let printed = String::from_utf8_lossy(&stdout).into_owned();
        self.into_safe(&printed)?;
        Ok(printed)
    }

    /// The town hall's safe: the recovery key that was printed once.
    pub fn safe(&self) -> PathBuf {
        self.dir.join("safe")
    }

    /// Puts the recovery key that a command printed into the safe.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn into_safe(&self, printed: &str) -> io::Result<()> {
        match printed.lines().find(|line| line.trim().starts_with("AGE-SECRET-KEY-1")) {
            Some(secret) => std::fs::write(self.safe(), secret),
            None => Ok(()),
        }
    }

    /// The words of a command; a restore opens what is sealed with the key of the safe, unless another one is named.
    pub fn with_key(&self, arguments: &[&str]) -> Vec<String> {
        let mut words: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        if arguments.first() == Some(&"restore") && !arguments.contains(&"--identity") && self.safe().exists() {
            words.extend(["--identity".to_owned(), self.safe().display().to_string()]);
        }
        words
    }

    /// Starts the node. It ends with this process, even if this process is killed: the pipe between them closes then.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.dir.join("node.log"))?;
        let mut command = self.command(&["run", "--with-starter"]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).kill_on_drop(true).spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Kills the node with SIGKILL: no chance to tidy up.
    pub async fn kill(&mut self) -> io::Result<()> {
        match self.child.take() {
            Some(mut child) => child.kill().await,
            None => Ok(()),
        }
    }

    /// Process id of the node, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Asks the node to stop and waits until it has.
    pub async fn stop(&mut self) -> io::Result<Option<ExitStatus>> {
        let Some(mut child) = self.child.take() else { return Ok(None) };
        if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        match tokio::time::timeout(PATIENCE, child.wait()).await {
            Ok(status) => status.map(Some),
            Err(_) => child.kill().await.map(|()| None),
        }
    }

    /// Resident memory of the node in bytes, and how much of it is no file, as the program is; 0 if it does not run.
    pub fn resident_bytes(&self) -> (u64, u64) {
        let Some(pid) = self.pid() else { return (0, 0) };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name));
            line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
        };
        (bytes("VmRSS:"), bytes("RssAnon:"))
    }

    /// What the node says about itself; an error while its socket is not there.
    pub async fn status(&self) -> anyhow::Result<GetStatusResponse> {
        let mut node = NodeServiceClient::new(self.door("operator").await?);
        Ok(node.get_status(GetStatusRequest {}).await?.into_inner())
    }

    /// Waits until the node is ready and its status is as asked.
    pub async fn until(
        &mut self,
        what: &str,
        holds: impl Fn(&GetStatusResponse) -> bool,
    ) -> anyhow::Result<GetStatusResponse> {
        let started = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        loop {
            tick.tick().await;
            if let Some(child) = &mut self.child
                && let Some(status) = child.try_wait()?
            {
                let log = self.dir.join("node.log");
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                let end = said.char_indices().rev().nth(1_500).map_or(0, |(at, _)| at);
                bail!("the node of {} ended with {status}; {}:\n{}", self.id(), log.display(), &said[end..]);
            }
            let last = match self.status().await {
                Ok(status) if holds(&status) => return Ok(status),
                Ok(status) => format!("state {:?} {}", status.state(), status.reason),
                Err(e) => format!("{e:#}"),
            };
            if started.elapsed() > PATIENCE {
                bail!("{}: waited {PATIENCE:?} until {what}; last seen: {last}", self.sample.authority);
            }
        }
    }

    /// Waits until the node is ready.
    pub async fn ready(&mut self) -> anyhow::Result<GetStatusResponse> {
        self.until("it is ready", |s| s.state() == NodeState::Ready).await
    }

    async fn door(&self, role: &str) -> anyhow::Result<Channel> {
        door(&self.sockets(), role).await
    }

    pub async fn members(&self) -> anyhow::Result<MemberServiceClient<Channel>> {
        Ok(MemberServiceClient::new(self.door("operator").await?))
    }

    pub async fn directory(&self) -> anyhow::Result<DirectoryServiceClient<Channel>> {
        Ok(DirectoryServiceClient::new(self.door("operator").await?))
    }

    pub async fn agreements(&self) -> anyhow::Result<AgreementServiceClient<Channel>> {
        Ok(AgreementServiceClient::new(self.door("operator").await?))
    }

    /// The publisher's socket.
    pub async fn publisher(&self) -> anyhow::Result<RecordServiceClient<Channel>> {
        Ok(RecordServiceClient::new(self.door("publisher").await?))
    }

    /// The coordinator's socket.
    pub async fn records(&self) -> anyhow::Result<RecordServiceClient<Channel>> {
        Ok(RecordServiceClient::new(self.door("coordinator").await?))
    }

    pub async fn practices(&self) -> anyhow::Result<PracticeServiceClient<Channel>> {
        Ok(PracticeServiceClient::new(self.door("coordinator").await?))
    }

    pub async fn referrals(&self) -> anyhow::Result<ReferralServiceClient<Channel>> {
        Ok(ReferralServiceClient::new(self.door("coordinator").await?))
    }

    pub async fn shares(&self) -> anyhow::Result<AgreementToShareServiceClient<Channel>> {
        Ok(AgreementToShareServiceClient::new(self.door("coordinator").await?))
    }

    pub async fn offers(&self) -> anyhow::Result<OfferServiceClient<Channel>> {
        Ok(OfferServiceClient::new(self.door("coordinator").await?))
    }

    pub async fn holds(&self) -> anyhow::Result<HoldServiceClient<Channel>> {
        Ok(HoldServiceClient::new(self.door("coordinator").await?))
    }

    pub async fn inbox(&self) -> anyhow::Result<InboxServiceClient<Channel>> {
        Ok(InboxServiceClient::new(self.door("consumer").await?))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.within.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        // The configuration file is the whole configuration: variables of this process are not the city's.
        for (name, _) in
            std::env::vars().filter(|(name, _)| name.starts_with("HAVENLINK_") || name.starts_with("OTEL_"))
        {
            command.env_remove(name);
        }
        command.args(arguments).arg("--config").arg(self.dir.join("node.toml")).stdin(Stdio::null());
        command
    }
}

/// A channel to one role's socket.
///
/// # Errors
/// When nobody listens there.
pub async fn door(sockets: &Path, role: &str) -> anyhow::Result<Channel> {
    Ok(transport::unix::door(sockets, role, PATIENCE).await?)
}
