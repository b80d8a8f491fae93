//! The systemd unit as systemd itself reads it. Nothing of it runs.

use std::path::Path;
use std::process::Command;

use havenlink_tests::federation::built;
use havenlink_tests::tools::skipped;

fn unit() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd/havenlink.service");
    std::fs::read_to_string(file).unwrap()
}

/// What `systemd-analyze verify` says about the text; nothing: it is fine. `None`: the tool is not here.
fn verify(text: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("havenlink.service");
    // The unit names where a package puts the binary; here it stands where it was built.
    let binary = built("havenlink").unwrap();
    std::fs::write(&file, text.replace("/usr/bin/havenlink", &binary.display().to_string())).unwrap();
    let done = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output().ok()?;
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    // Other units of the machine are no concern of ours.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("havenlink")).collect();
    Some(if ours.is_empty() && !done.status.success() { said } else { ours.join("\n") })
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    let Some(said) = verify(&unit()) else {
        return skipped("unit_file: systemd-analyze is not on this machine");
    };
    assert_eq!(said, "");
    // The tool does look: what is no key, and what is no value, is named.
    let wrong = unit().replace("ProtectHome=yes", "ProtectHomes=yes").replace("UMask=0007", "UMask=nobody");
    let said = verify(&wrong).unwrap();
    assert!(said.contains("ProtectHomes") && said.contains("nobody"), "{said}");
}

/// What the unit's filters leave of systemd's own sets, in their order: a list that begins with ~ takes away.
#[test]
fn the_node_may_give_its_sockets_to_the_groups_of_the_roles() {
    let mut allowed = std::collections::BTreeSet::new();
    for filter in unit().lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let (takes, names) = filter.strip_prefix('~').map_or((false, filter), |names| (true, names));
        for name in names.split_whitespace() {
            let Some(calls) = calls_of(name) else {
                return skipped("unit_file: systemd-analyze is not on this machine");
            };
            for call in calls {
                if takes {
                    allowed.remove(&call)
                } else {
                    allowed.insert(call)
                };
            }
        }
    }
    assert!(allowed.contains("read") && !allowed.contains("setuid") && !allowed.contains("reboot"), "{allowed:?}");
    for call in ["chown", "fchown", "fchownat", "lchown"] {
        assert!(allowed.contains(call), "{call}");
    }
}

/// The calls of a set, and of the sets in it. `None`: the tool is not here.
fn calls_of(name: &str) -> Option<Vec<String>> {
    if !name.starts_with('@') {
        return Some(vec![name.to_owned()]);
    }
    let done = Command::new("systemd-analyze").args(["syscall-filter", name]).output().ok()?;
    let mut calls = Vec::new();
    for inner in String::from_utf8_lossy(&done.stdout).lines().filter(|line| line.starts_with(' ')) {
        let inner = inner.trim();
        if !inner.starts_with('#') {
            calls.extend(calls_of(inner)?);
        }
    }
    Some(calls)
}

#[test]
fn the_unit_is_hardened() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd/havenlink.service");
    let mut command = Command::new("systemd-analyze");
    // Exposure in tenths of the tool's own scale, 0 to 10: "OK" is below 3.
    command.args(["security", "--offline=true", "--threshold=20", "--no-pager"]).arg(file);
    match command.output() {
        Err(_) => skipped("unit_file: systemd-analyze is not on this machine"),
        Ok(done) if String::from_utf8_lossy(&done.stderr).contains("unrecognized option") => {
            skipped("unit_file: this systemd-analyze looks at no unit offline");
        }
        Ok(done) => assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout)),
    }
}
