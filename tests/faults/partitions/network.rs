//! A network of its own for each node: namespaces joined by a bridge that stands in a namespace as well.
//!
//! A link is cut in one direction by giving the sender a hardware address for the other that nobody has: frames leave and
//! are lost, silently, as on a broken line. No firewall is needed, and each direction of each pair stands alone.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use havenlink::demo::city::NodeAddress;

/// What every node listens on; each has the address to itself.
const PORT: u16 = 9_443;

/// A direction: from one place to another.
pub type Link = (usize, usize);

/// The network; goes when it is dropped.
pub struct Network {
    prefix: String,
    size: usize,
    cut: BTreeSet<Link>,
}

fn ip(arguments: &[&str], input: &str) -> anyhow::Result<()> {
    let mut child = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("no command `ip`")?;
    child.stdin.take().context("stdin of ip")?.write_all(input.as_bytes())?;
    let done = child.wait_with_output()?;
    ensure!(done.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    Ok(())
}

fn address(place: usize) -> Ipv4Addr {
    // From the range for measurements between networks: nobody's.
    Ipv4Addr::new(198, 18, 0, 1 + u8::try_from(place).unwrap_or(u8::MAX))
}

fn hardware(place: usize) -> String {
    format!("02:00:00:00:00:{:02x}", place + 1)
}

/// Whether this machine lets us make namespaces; if not, why.
pub fn refused() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    let name = format!("hlp{}-try", std::process::id());
    let tried = ip(&["netns", "add", &name], "").and_then(|()| ip(&["netns", "del", &name], ""));
    tried.err().map(|error| format!("needs network namespaces ({error:#})"))
}

impl Network {
    /// Lays it for so many nodes, each reaching each.
    ///
    /// # Errors
    /// When `ip` refuses a step.
    pub fn lay(size: usize) -> anyhow::Result<Self> {
        forget_the_dead();
        let network = Self { prefix: format!("hlp{}", std::process::id()), size, cut: BTreeSet::new() };
        let switch = network.name("switch");
        ip(&["netns", "add", &switch], "")?;
        ip(&["-n", &switch, "-batch", "-"], "link add br0 type bridge\nlink set br0 up\n")?;
        for place in 0..size {
            let node = network.name(place);
            ip(&["netns", "add", &node], "")?;
            let plug = format!(
                "link add v{place} type veth peer name eth0 netns {node}\nlink set v{place} master br0\nlink set v{place} up\n"
            );
            ip(&["-n", &switch, "-batch", "-"], &plug)?;
            let socket = format!(
                "link set lo up\nlink set eth0 address {}\naddr add {}/24 dev eth0\nlink set eth0 up\n",
                hardware(place),
                address(place)
            );
            ip(&["-n", &node, "-batch", "-"], &socket)?;
        }
        let all: BTreeSet<Link> = (0..size).flat_map(|from| (0..size).map(move |to| (from, to))).collect();
        network.teach(&all, &BTreeSet::new())?;
        Ok(network)
    }

    fn name(&self, what: impl std::fmt::Display) -> String {
        format!("{}-{what}", self.prefix)
    }

    /// Where a node of this network runs.
    pub fn place(&self, place: usize) -> NodeAddress {
        let within = ["ip", "netns", "exec", &self.name(place)].map(str::to_owned).to_vec();
        NodeAddress { address: (IpAddr::V4(address(place)), PORT).into(), within }
    }

    /// Cuts exactly these directions; all others carry.
    ///
    /// # Errors
    /// When `ip` refuses.
    pub fn cut(&mut self, links: BTreeSet<Link>) -> anyhow::Result<()> {
        let changed = self.cut.symmetric_difference(&links).copied().collect();
        self.teach(&changed, &links)?;
        self.cut = links;
        Ok(())
    }

    /// Tells the senders where the other ends are, or, where the direction is cut, where nobody is.
    fn teach(&self, links: &BTreeSet<Link>, cut: &BTreeSet<Link>) -> anyhow::Result<()> {
        for from in 0..self.size {
            let lines: String = links
                .iter()
                .filter(|link| link.0 == from && link.1 != from)
                .map(|link| {
                    let at = if cut.contains(link) { "02:00:00:00:ff:ff".to_owned() } else { hardware(link.1) };
                    format!("neigh replace {} lladdr {at} dev eth0 nud permanent\n", address(link.1))
                })
                .collect();
            if !lines.is_empty() {
                ip(&["-n", &self.name(from), "-batch", "-"], &lines)?;
            }
        }
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for place in 0..self.size {
            drop(ip(&["netns", "del", &self.name(place)], ""));
        }
        drop(ip(&["netns", "del", &self.name("switch")], ""));
    }
}

/// Namespaces of runs that were killed before they could tidy up.
fn forget_the_dead() {
    let Ok(names) = std::fs::read_dir("/run/netns") else { return };
    for name in names.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        let process = name.strip_prefix("hlp").and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if process.is_some_and(|id| !std::path::Path::new(&format!("/proc/{id}")).exists()) {
            drop(ip(&["netns", "del", &name], ""));
        }
    }
}
