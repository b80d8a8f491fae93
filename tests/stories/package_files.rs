//! What a package brings beside the binaries: groups, units, the daily backup and what it keeps, alert rules. No node runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use havenlink::domain::audit::ActorRole;
use havenlink::telemetry::metrics;
use havenlink_tests::tools::skipped;

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(deploy(path)).unwrap()
}

#[test]
fn each_role_has_a_group_and_the_node_is_in_all_of_them() {
    let text = read("debian/havenlink.sysusers");
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let roles = ActorRole::ALL.iter().filter(|role| !matches!(role, ActorRole::Node | ActorRole::Peer));
    let expected: BTreeSet<String> =
        roles.map(|role| format!("havenlink-{}", role.name().to_ascii_lowercase().replace('_', "-"))).collect();
    let made: BTreeSet<String> = lines.iter().filter(|l| l.first() == Some(&"g")).map(|l| l[1].to_owned()).collect();
    assert_eq!(made, expected, "groups by the names that the node looks for");
    let of_node = lines.iter().filter(|l| l.first() == Some(&"m") && l[1] == "havenlink").map(|l| l[2].to_owned());
    assert_eq!(of_node.collect::<BTreeSet<_>>(), expected, "it may give a socket to a group that it is in");
}

#[test]
fn the_daily_backup_is_a_unit_that_systemd_understands_and_hardens() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["havenlink-backup.service", "havenlink-backup.timer"] {
        // Where a package puts the script nothing stands here.
        let text = read(&format!("systemd/{name}")).replace("/usr/lib/havenlink/daily-backup", "/bin/true");
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]).arg(dir.path().join("havenlink-backup.timer"));
    let Ok(done) = command.arg(dir.path().join("havenlink-backup.service")).output() else {
        return skipped("package_files: systemd-analyze is not on this machine");
    };
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(said.lines().all(|line| !line.contains("havenlink")), "{said}");
    for (unit, tenths) in [("systemd/havenlink-backup.service", "15"), ("systemd/havenlink.service", "15")] {
        let mut command = Command::new("systemd-analyze");
        command.args(["security", "--offline=true", "--no-pager", "--threshold", tenths]).arg(deploy(unit));
        let done = command.output().unwrap();
        if String::from_utf8_lossy(&done.stderr).contains("unrecognized option") {
            return skipped("package_files: this systemd-analyze looks at no unit offline");
        }
        assert!(done.status.success(), "{unit}: {}", String::from_utf8_lossy(&done.stdout));
    }
}

/// Runs the script with a program in the node's place that makes a file, or fails.
fn daily_backup(folder: &Path, kept: &str, node: &str) -> (bool, String) {
    let program = folder.with_extension("sh");
    std::fs::write(&program, format!("#!/bin/sh\n{node}\n")).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = Command::new(deploy("systemd/daily-backup"));
    command.env("HAVENLINK", &program).env("HAVENLINK_BACKUPS", folder).env("HAVENLINK_BACKUPS_KEPT", kept);
    let done = command.output().unwrap();
    (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
}

#[test]
fn older_backups_go_after_a_newer_one_is_whole_and_nothing_else_goes() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("backups");
    std::fs::create_dir(&folder).unwrap();
    let sealed = |at: u64| format!("havenlink-fr-strasbourg-{at}.backup");
    for at in 1_780_000_000_001..1_780_000_000_005_u64 {
        std::fs::write(folder.join(sealed(at)), "age-encryption.org/v1\n").unwrap();
    }
    // One that was left open by hand, and what is not ours.
    std::fs::write(folder.join("havenlink-fr-strasbourg-1000000000000.backup"), "SQLite format 3").unwrap();
    std::fs::write(folder.join("notes.txt"), "").unwrap();
    let names = || {
        let entries = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        entries.collect::<BTreeSet<_>>()
    };
    let before = names();
    assert!(!daily_backup(&folder, "2", "exit 1").0);
    assert_eq!(names(), before, "what fails takes nothing away");
    assert!(!daily_backup(&folder, "none", "true").0, "nor does what is no number");
    assert_eq!(names(), before);

    let newest = sealed(1_780_000_000_009);
    let (fine, said) = daily_backup(&folder, "2", &format!("echo age-encryption.org/v1 > \"$2\"/{newest}"));
    assert!(fine, "{said}");
    let expected =
        [newest, sealed(1_780_000_000_004), "havenlink-fr-strasbourg-1000000000000.backup".into(), "notes.txt".into()];
    assert_eq!(names(), expected.into(), "{said}");
}

#[test]
fn each_alert_rule_asks_for_a_metric_that_there_is_and_has_its_part_of_the_runbook() {
    let (rules, runbook) = (read("prometheus/havenlink.rules.yml"), read("prometheus/RUNBOOK.md"));
    let known: BTreeSet<&str> = metrics::ALL.iter().map(|metric| metric.name).collect();
    let mut asked = 0;
    for line in rules.lines().filter(|line| line.trim_start().starts_with("expr:")) {
        let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in words.filter(|word| word.starts_with("havenlink_")) {
            assert!(known.contains(name), "{name}: {line}");
            asked += 1;
        }
    }
    assert!(asked >= 10, "{asked}");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let parts: Vec<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(alerts, parts, "in the same order");
    for alert in alerts {
        assert!(rules.contains(&format!("runbook: RUNBOOK.md#{}\n", alert.to_lowercase())), "{alert}");
    }
    if let Ok(done) =
        Command::new("promtool").args(["check", "rules"]).arg(deploy("prometheus/havenlink.rules.yml")).output()
    {
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    }
}

#[test]
fn each_panel_of_the_dashboard_asks_for_a_metric_and_a_label_that_there_are() {
    let text = read("prometheus/havenlink.dashboard.json");
    let board: serde_json::Value = serde_json::from_str(&text).unwrap();
    let known: BTreeSet<&str> = metrics::ALL.iter().map(|metric| metric.name).collect();
    let labels = ["listener", "service", "status", "stream_class", "result", "sort", "worker", "reason", "le"];
    let mut ids = BTreeSet::new();
    let mut asked = 0;
    for panel in board["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        if panel["type"] == "row" {
            continue;
        }
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{panel}");
        for target in panel["targets"].as_array().unwrap() {
            let asks = target["expr"].as_str().unwrap();
            let names = asks.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for name in names.filter(|word| word.starts_with("havenlink_")) {
                assert!(known.contains(name.trim_end_matches("_bucket")), "{name}: {asks}");
                asked += 1;
            }
            for by in asks.split("by (").skip(1).filter_map(|rest| rest.split(')').next()) {
                assert!(by.split(", ").all(|label| labels.contains(&label)), "{asks}");
            }
        }
    }
    assert!(asked >= 15, "{asked}");
}
