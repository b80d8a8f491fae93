//! What comes into the program with its dependencies, on the platform of this machine: licences, sources and bans as `.deny.toml`
//! says, which cargo-deny reads as well where it is installed.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use spdx::{Expression, LicenseReq, ParseMode};

#[derive(Deserialize)]
struct Rules {
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// What `cargo metadata` tells of a package.
#[derive(Clone, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// `None`: it is of this repository.
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Clone, Deserialize)]
struct Dependency {
    name: String,
    req: String,
    path: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rules() -> Rules {
    let text = std::fs::read_to_string(root().join(".deny.toml")).expect(".deny.toml is there");
    toml::from_str(&text).expect(".deny.toml reads")
}

/// All packages that are built for the platform of this machine.
fn packages() -> Vec<Package> {
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let asked = ["metadata", "--format-version", "1", "--locked", "--all-features", "--filter-platform", &host];
    let told = Command::new(env!("CARGO")).args(asked).current_dir(root()).output().expect("cargo is there");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    serde_json::from_slice::<Metadata>(&told.stdout).expect("metadata reads").packages
}

/// What is wrong with a package; empty: nothing.
fn faults(package: &Package, rules: &Rules) -> Vec<String> {
    let of = format!("{} {}", package.name, package.version);
    let mut faults = Vec::new();
    let licence = package.license.as_deref().unwrap_or_default();
    if !Expression::parse_mode(licence, ParseMode::LAX).is_ok_and(|all| all.evaluate(|one| is_allowed(one, rules))) {
        faults.push(format!("{of}: licence {licence:?}"));
    }
    if let Some(source) = &package.source {
        let registry = source.strip_prefix("registry+").unwrap_or_default();
        if !rules.sources.allow_registry.iter().any(|allowed| allowed == registry) {
            faults.push(format!("{of}: from {source}"));
        }
    }
    if rules.bans.deny.iter().any(|banned| banned.name == package.name) {
        faults.push(format!("{of}: banned"));
    }
    let ours = package.source.is_none();
    let any = package.dependencies.iter().filter(|needed| ours && needed.req == "*" && needed.path.is_none());
    faults.extend(any.map(|needed| format!("{of}: any version of {}", needed.name)));
    faults
}

fn is_allowed(asked: &LicenseReq, rules: &Rules) -> bool {
    // "Or later" is a choice: the version itself will do.
    let name = asked.to_string();
    rules.licenses.allow.iter().any(|allowed| *allowed == name || name.strip_suffix('+') == Some(allowed))
}

#[test]
fn what_the_program_is_built_from_is_free_to_use_and_from_the_public_registry() {
    let (packages, rules) = (packages(), rules());
    assert!(packages.len() > 100, "{} packages", packages.len());
    let faults: Vec<String> = packages.iter().flat_map(|package| faults(package, &rules)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_package_that_breaks_a_rule_is_named_with_it() {
    let rules = rules();
    let good = Package {
        name: "example".to_owned(),
        version: "1.0.0".to_owned(),
        license: Some("MIT OR GPL-3.0-only".to_owned()),
        source: Some("registry+https://github.com/rust-lang/crates.io-index".to_owned()),
        dependencies: Vec::new(),
    };
    assert_eq!(faults(&good, &rules), [""; 0]);
    let with = |change: &dyn Fn(&mut Package)| {
        let mut package = good.clone();
        change(&mut package);
        faults(&package, &rules)
    };
    assert_eq!(with(&|p| p.license = Some("MIT AND GPL-3.0-only".to_owned())).len(), 1);
    assert_eq!(with(&|p| p.license = None).len(), 1);
    assert_eq!(with(&|p| p.source = Some("git+https://git.example/x".to_owned())).len(), 1);
    assert_eq!(with(&|p| p.name = "openssl-sys".to_owned()).len(), 1);
    let any = Dependency { name: "other".to_owned(), req: "*".to_owned(), path: None };
    let loose = with(&|p| {
        p.source = None;
        p.dependencies = vec![any.clone()];
    });
    assert_eq!(loose.len(), 1);
}
