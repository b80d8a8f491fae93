//! A federation of real nodes: child processes of the node's binary, joined and promoted as their operators would.

use std::path::{Path, PathBuf};

use anyhow::Context;
use havenlink::demo::acts::{agreeing, founding, reason_of, until};
use havenlink::demo::city::{City, NodeAddress};
use havenlink::demo::sample::CitySample;
use havenlink::demo::stage::Stage;
use havenlink_proto::admin::v1::ShowMemberRequest;
use havenlink_proto::record::v1::DisclosureLevel;
use tempfile::TempDir;

use crate::operator::reason_in;
use crate::rest;

/// Lines of configuration of nodes whose register is driven as fast as it goes: no member's budget is what is measured.
pub const UNBOUNDED: &str = "\
budget.register_calls_per_second = 1000000
budget.register_bytes_per_second = 100000000
budget.statements_per_second = 1000000
budget.statements_per_day = 100000000
";

/// Cities of the upper and the lower Rhine, the Moselle and the Meuse, with their LAU codes.
static CITIES: [CitySample; 10] = [
    city("fr-strasbourg", ("fr", "Strasbourg"), "FRF11", "67482", "contact@strasbourg.example"),
    city("de-kehl", ("de", "Kehl"), "DE134", "08317057", "kontakt@kehl.example"),
    city("lu-esch-sur-alzette", ("fr", "Esch-sur-Alzette"), "LU000", "0204", "contact@esch.example"),
    city("be-liege", ("fr", "Liège"), "BE332", "62063", "contact@liege.example"),
    city("nl-maastricht", ("nl", "Maastricht"), "NL423", "GM0935", "contact@maastricht.example"),
    city("de-aachen", ("de", "Aachen"), "DEA2D", "05334002", "kontakt@aachen.example"),
    city("de-trier", ("de", "Trier"), "DEB21", "07211000", "kontakt@trier.example"),
    city("fr-metz", ("fr", "Metz"), "FRF33", "57463", "contact@metz.example"),
    city("fr-mulhouse", ("fr", "Mulhouse"), "FRF12", "68224", "contact@mulhouse.example"),
    city("de-saarbruecken", ("de", "Saarbrücken"), "DEC01", "10041100", "kontakt@saarbruecken.example"),
];

const fn city(
    authority: &'static str,
    name: (&'static str, &'static str),
    nuts: &'static str,
    lau: &'static str,
    contact: &'static str,
) -> CitySample {
    CitySample { authority, name, nuts, identifier: ("LAU", lau), contact }
}

/// Nodes that run; the first `stewards` of them keep the register.
pub struct Federation {
    pub cities: Vec<City>,
    /// The folder goes with it, unless it is kept.
    root: TempDir,
    /// The story has found its fault: what its nodes do at the end of it says nothing more.
    judged: bool,
}

/// A story ends with a look at its nodes: none of them is busy, or fills its log, while nothing is asked of it. What the nodes
/// of a story that failed wrote stays for whoever looks into it.
impl Drop for Federation {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        let faults = if failed || self.judged { Vec::new() } else { rest::faults(&self.cities) };
        if failed || !faults.is_empty() {
            eprintln!("the folders of this story's nodes: {}", self.keep().display());
        }
        assert!(faults.is_empty(), "at rest, at the end of the story:\n{}", faults.join("\n"));
    }
}

impl Federation {
    /// Founds one with so many members (at most ten), the first ones stewards. `settings` are lines of configuration for
    /// every node.
    ///
    /// # Errors
    /// When a step of founding, joining or promoting does not go as it should.
    pub async fn found(members: usize, stewards: usize, settings: &str) -> anyhow::Result<Self> {
        Self::found_as(members, stewards, settings, &[]).await
    }

    /// The same, with arguments of `init`: what the policy of its beginning says.
    ///
    /// # Errors
    /// As `found`.
    pub async fn found_as(members: usize, stewards: usize, settings: &str, init: &[&str]) -> anyhow::Result<Self> {
        Self::found_with(&binary()?, members, stewards, settings, init).await
    }

    /// The same, of a given binary.
    ///
    /// # Errors
    /// As `found`.
    pub async fn found_with(
        binary: &Path,
        members: usize,
        stewards: usize,
        settings: &str,
        init: &[&str],
    ) -> anyhow::Result<Self> {
        let places = (0..members).map(|_| NodeAddress::here()).collect::<anyhow::Result<Vec<_>>>()?;
        Self::found_at(&std::fs::canonicalize(binary)?, places, stewards, settings, init).await
    }

    /// Founds one of nodes of this binary, with a member at each of these places; `genesis` are further words of
    /// `havenlink init`.
    ///
    /// # Errors
    /// As `found`.
    pub async fn found_at(
        binary: &Path,
        places: Vec<NodeAddress>,
        stewards: usize,
        settings: &str,
        genesis: &[&str],
    ) -> anyhow::Result<Self> {
        let root = tempfile::Builder::new().prefix("havenlink-federation-").tempdir()?;
        let mut cities = Vec::new();
        for (sample, place) in CITIES.get(..places.len()).context("at most ten members")?.iter().zip(places) {
            let city = City::prepare_at(root.path(), sample, binary, place)?;
            city.configure(settings)?;
            cities.push(city);
        }
        let mut federation = Self { cities, root, judged: false };
        match federation.come_to_stand(stewards, genesis).await {
            Ok(()) => Ok(federation),
            Err(error) => Err(error.context(format!("what the nodes left is in {}", federation.keep().display()))),
        }
    }

    async fn come_to_stand(&mut self, stewards: usize, genesis: &[&str]) -> anyhow::Result<()> {
        let mut stage = Stage::silent();
        let (first, others) = self.cities.split_first_mut().context("at least one member")?;
        first.once(&[&["init"], genesis].concat()).await?;
        first.start()?;
        first.ready().await?;
        for other in others.iter_mut() {
            founding::join(&mut stage, first, other).await?;
        }
        for number in 1..stewards {
            let (before, after) = others.split_at_mut(number - 1);
            let candidate = after.first_mut().context("a steward is a member")?;
            let mut approving: Vec<&mut City> = before.iter_mut().collect();
            founding::promote(&mut stage, first, &mut approving, candidate, number + 1).await?;
        }
        anyhow::ensure!(stage.failures().is_empty(), "the federation did not come to stand: {:?}", stage.failures());
        Ok(())
    }

    /// The story has failed, as it was expected to or not: its nodes are not looked at any more, so that its own fault is told.
    pub const fn judge(&mut self) {
        self.judged = true;
    }

    /// Keeps the folder of a story that failed, with what every node stored and logged.
    pub fn keep(&mut self) -> &Path {
        self.judge();
        self.root.disable_cleanup(true);
        self.root.path()
    }

    /// Stops a node's process where it is (SIGSTOP), or lets it go on: its connections stay open, and nobody answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self, city: usize, frozen: bool) -> anyhow::Result<()> {
        let pid = self.cities[city].pid().and_then(|pid| i32::try_from(pid).ok()).context("the node runs")?;
        let pid = rustix::process::Pid::from_raw(pid).context("a process id")?;
        let signal = if frozen { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// Signs an agreement between two of them, by their places, capacity shown as a light.
    ///
    /// # Errors
    /// When it does not come into force at both.
    pub async fn agree(&self, first: usize, second: usize) -> anyhow::Result<()> {
        let (first, second) = (&self.cities[first], &self.cities[second]);
        knows(first, second).await?;
        knows(second, first).await?;
        agreeing::agree(&mut Stage::silent(), first, second, DisclosureLevel::Light).await
    }
}

/// Waits until a city's register has another one: who joined last is known there once the change has come.
async fn knows(city: &City, other: &City) -> anyhow::Result<()> {
    let request = ShowMemberRequest { authority: other.id().to_owned() };
    until(&format!("{} knows {}", city.id(), other.id()), || async {
        match city.members().await?.show_member(request.clone()).await {
            Ok(shown) => Ok(shown.into_inner().member.map(drop)),
            Err(status) if reason_of(&status) == "MEMBER_UNKNOWN" => Ok(None),
            Err(status) => Err(status.into()),
        }
    })
    .await
}

/// A city that is no member yet, by its place in the list of cities, in the folder of a federation.
///
/// # Errors
/// When its folder cannot be made, or there is no such city.
pub fn applicant(federation: &Federation, place: usize) -> anyhow::Result<rest::Watched> {
    rest::Watched::prepare(federation.root.path(), CITIES.get(place).context("at most ten cities")?, &binary()?)
}

/// A binary of this build: in `HAVENLINK_BIN_DIR`, or beside the test's own folder.
///
/// # Errors
/// When it is not there.
pub fn built(name: &str) -> anyhow::Result<PathBuf> {
    let folder = match std::env::var_os("HAVENLINK_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let own = std::env::current_exe()?;
            let mut folder = own.parent().unwrap_or(Path::new("."));
            if folder.ends_with("deps") {
                folder = folder.parent().unwrap_or(folder);
            }
            folder.to_owned()
        }
    };
    let path = folder.join(name);
    std::fs::canonicalize(&path).with_context(|| format!("no binary at {}: build it first", path.display()))
}

fn binary() -> anyhow::Result<PathBuf> {
    built("havenlink")
}

/// Runs the administration tool on a city's sockets and gives what it printed on stdout.
///
/// # Errors
/// When it ends with another code than 0; its stderr is in the error.
pub async fn ctl(city: &City, arguments: &[&str]) -> anyhow::Result<String> {
    let output = run_ctl(city, arguments).await?;
    anyhow::ensure!(
        output.status.success(),
        "havenctl {} at {} ended with {}:\n{}",
        arguments.join(" "),
        city.id(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The reason with which the tool is refused.
///
/// # Errors
/// When it is not refused.
pub async fn ctl_refused(city: &City, arguments: &[&str]) -> anyhow::Result<String> {
    let output = run_ctl(city, arguments).await?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let reason = reason_in(&text).map(str::to_owned);
    reason.with_context(|| format!("havenctl {} was not refused: {}\n{text}", arguments.join(" "), output.status))
}

async fn run_ctl(city: &City, arguments: &[&str]) -> anyhow::Result<std::process::Output> {
    let mut command = tokio::process::Command::new(built("havenctl")?);
    command.arg("--sockets").arg(city.sockets()).args(arguments).stdin(std::process::Stdio::null());
    Ok(command.output().await?)
}
