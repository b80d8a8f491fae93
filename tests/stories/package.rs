//! The Debian package: built by its one command from the binaries at hand, and looked into. That it installs, runs and goes on
//! a real system, `tests/machines` shows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use havenlink_tests::federation::built;
use havenlink_tests::tools::skipped;
use tempfile::TempDir;

/// A package that was built, unpacked: `root` has its files, `control` what the package manager reads.
struct Package {
    folder: TempDir,
    /// `-rwxr-xr-x root/root` by path, folders left out.
    files: BTreeMap<String, String>,
}

impl Package {
    fn deb(&self) -> PathBuf {
        let version = env!("CARGO_PKG_VERSION");
        let (kind, arch) = ("havenlink", run("dpkg", &["--print-architecture"]));
        self.folder.path().join(format!("{kind}_{version}_{}.deb", arch.trim()))
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn control(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("control").join(name)).unwrap()
    }

    fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let binaries = built("havenlink").unwrap().canonicalize().unwrap();
        let mut command = Command::new(top.join("deploy/debian/build"));
        command.arg(binaries.parent().unwrap()).arg(folder.path()).env("HAVENLINK_DEB_COMPRESSION", "-Znone");
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let mut package = Self { folder, files: BTreeMap::new() };
        let deb = package.deb().display().to_string();
        assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), deb, "its name, and nothing else");
        let listed = run("dpkg-deb", &["--contents", &deb]);
        for line in listed.lines().filter(|line| !line.starts_with('d')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            package.files.insert(words[5].trim_start_matches('.').to_owned(), format!("{} {}", words[0], words[1]));
        }
        let to = |name: &str| package.folder.path().join(name).display().to_string();
        run("dpkg-deb", &["--extract", &deb, &to("root")]);
        run("dpkg-deb", &["--control", &deb, &to("control")]);
        package
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).output().unwrap();
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// One for all tests here; `None`: this machine builds none.
fn package() -> Option<&'static Package> {
    static PACKAGE: OnceLock<Option<Package>> = OnceLock::new();
    let package = PACKAGE.get_or_init(|| {
        let there = Command::new("sh").args(["-c", "command -v dh"]).output().is_ok_and(|done| done.status.success());
        there.then(Package::build)
    });
    if package.is_none() {
        skipped("package: debhelper is not on this machine");
    }
    package.as_ref()
}

/// Names of the commands in a help text.
fn commands(tool: &str, path: &[&str]) -> Vec<String> {
    let help = run(built(tool).unwrap().to_str().unwrap(), &[path, &["--help"]].concat());
    let list = help.split("Commands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap_or_default();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().map(str::to_owned));
    names.filter(|name| name != "help").collect()
}

#[test]
fn it_brings_what_a_machine_needs_and_each_command_has_its_manual_page() {
    let Some(package) = package() else { return };
    let has = |path: &str, mode: &str| {
        assert_eq!(package.files.get(path).map(String::as_str), Some(format!("{mode} root/root").as_str()), "{path}");
    };
    for path in
        ["/usr/bin/havenlink", "/usr/bin/havenctl", "/usr/bin/havenlink-audit", "/usr/lib/havenlink/daily-backup"]
    {
        has(path, "-rwxr-xr-x");
    }
    for path in [
        "/etc/havenlink/node.toml",
        "/usr/lib/sysusers.d/havenlink.conf",
        "/usr/lib/tmpfiles.d/havenlink.conf",
        "/usr/share/doc/havenlink/INSTALL.md",
        "/usr/share/doc/havenlink/CHANGELOG.md",
        "/usr/share/doc/havenlink/examples/node.toml",
        "/usr/share/doc/havenlink/examples/proto/README.md",
        "/usr/share/doc/havenlink/examples/samples/first_client.py",
        "/usr/share/doc/havenlink/examples/prometheus/havenlink.rules.yml",
    ] {
        has(path, "-rw-r--r--");
    }
    let units = package.files.keys().filter_map(|path| path.split("/systemd/system/").nth(1));
    assert_eq!(
        units.collect::<BTreeSet<_>>(),
        BTreeSet::from(["havenlink.service", "havenlink-backup.service", "havenlink-backup.timer"])
    );
    let runs = package.files.iter().filter(|(_, mode)| mode.contains('x')).count();
    assert_eq!(runs, 4, "nothing else is run");
    let mut pages = BTreeSet::from(["/usr/share/man/man1/havenlink-audit.1.gz".to_owned()]);
    for tool in ["havenlink", "havenctl"] {
        pages.insert(format!("/usr/share/man/man1/{tool}.1.gz"));
        for noun in commands(tool, &[]) {
            pages.insert(format!("/usr/share/man/man1/{tool}-{noun}.1.gz"));
            let verbs = commands(tool, &[&noun]);
            pages.extend(verbs.iter().map(|verb| format!("/usr/share/man/man1/{tool}-{noun}-{verb}.1.gz")));
        }
    }
    let shipped = package.files.keys().filter(|path| path.starts_with("/usr/share/man/")).cloned();
    assert_eq!(shipped.collect::<BTreeSet<_>>(), pages);
    assert!(pages.len() > 80, "{} pages", pages.len());
}

#[test]
fn shells_complete_both_tools() {
    let Some(package) = package() else { return };
    for (tool, word) in [("havenlink", "restore"), ("havenctl", "HAVENCTL_COMPLETE")] {
        for (path, shell) in [
            (format!("usr/share/bash-completion/completions/{tool}"), Some("bash")),
            (format!("usr/share/zsh/vendor-completions/_{tool}"), None),
            (format!("usr/share/fish/vendor_completions.d/{tool}.fish"), None),
        ] {
            let file = package.root().join(&path);
            assert!(std::fs::read_to_string(&file).unwrap().contains(word), "{path}");
            if let Some(shell) = shell {
                run(shell, &["-n", file.to_str().unwrap()]);
            }
        }
    }
}

#[test]
fn its_version_is_the_program_s_and_the_configuration_is_the_city_s() {
    let Some(package) = package() else { return };
    let control = package.control("control");
    let version = format!("Version: {}", env!("CARGO_PKG_VERSION"));
    assert!(
        control.lines().any(|line| line == version),
        "{version} in deploy/debian/changelog, as the workspace says:\n{control}"
    );
    let depends = control.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap();
    assert!(depends.contains("libc6") && depends.contains("systemd"), "{depends}");
    assert_eq!(package.control("conffiles").trim(), "/etc/havenlink/node.toml");
    for script in ["preinst", "postinst", "prerm", "postrm"] {
        run("sh", &["-n", package.folder.path().join("control").join(script).to_str().unwrap()]);
        // Keys and records go by hand only.
        let text = package.control(script);
        let takes = text.lines().filter(|line| line.contains("rm ") && !line.trim_start().starts_with("echo "));
        assert_eq!(takes.collect::<Vec<_>>(), [""; 0], "{script}");
    }
}

/// The units as they lie in the package, with the programs that they start and the user that they run as.
#[test]
fn systemd_understands_its_units_where_they_lie() {
    let Some(package) = package() else { return };
    let root = package.root();
    std::fs::write(
        root.join("etc/passwd"),
        "root:x:0:0::/root:/bin/sh\nhavenlink:x:990:990::/var/lib/havenlink:/bin/false\n",
    )
    .unwrap();
    std::fs::write(root.join("etc/group"), "root:x:0:\nhavenlink:x:990:\n").unwrap();
    // What the machine itself has: the targets that they name, and the program that a reload runs.
    let theirs = root.join("lib/systemd/system").display().to_string();
    run("sh", &["-c", "cp -P /lib/systemd/system/*.target \"$0\"", &theirs]);
    std::fs::create_dir_all(root.join("bin")).unwrap();
    std::fs::copy("/bin/true", root.join("bin/kill")).unwrap();
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no", "--root"]).arg(&root);
    command.args(["havenlink.service", "havenlink-backup.service", "havenlink-backup.timer"]);
    let Ok(done) = command.output() else { return skipped("units: systemd-analyze is not on this machine") };
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(said.lines().all(|line| !line.contains("havenlink")), "{said}");
}

#[test]
fn lintian_finds_nothing_wrong() {
    let Some(package) = package() else { return };
    let mut command = Command::new("lintian");
    // For the test alone nothing is compressed.
    let packed = "uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball";
    command.args(["--fail-on", "error", "--allow-root", "--suppress-tags", packed]).arg(package.deb());
    let Ok(done) = command.output() else { return skipped("lintian: it is not on this machine") };
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "{said}");
}
