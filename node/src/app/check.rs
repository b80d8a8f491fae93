//! `havenlink check`: opens all that a start opens, beside a running node too, and changes nothing.

use std::net::SocketAddr;
use std::sync::Arc;

use super::data_dir::{self, DataDir};
use super::failure::CommandFailure;
use super::groups::{Groups, Standing};
use super::listeners;
use super::owner::Owner;
use super::runtimes::Runtimes;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::directory::{self, Directory, Opening};
use crate::domain::reason::Reason;
use crate::exchange::join::Applicant;
use crate::storage::sqlite::look_at;
use crate::transport::{self, NodeIdentity};
use crate::wire::keys::SigningKey;

/// Checks configuration, files and their owners, keys, certificate, register, store, and, unless the node runs, addresses.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(config: &Config) -> Result<(), CommandFailure> {
    transport::install_provider();
    println!("configuration  fine: {} on {}", config.authority, config.listen);
    let dir = &config.data_dir;
    if !dir.join("authority.key").exists() {
        return Err(data_dir::no_key(dir));
    }
    data_dir::openable(dir)?;
    println!("files          fine: their owner can open them, and others none of the keys");
    if config.run_dir.symlink_metadata().is_ok() {
        listeners::make_run_dir(&config.run_dir)?;
    }
    sockets(config)?;
    if super::webhook::Webhook::of(config, &SystemClock::shared())?.is_some() {
        println!("webhook        fine: their secret can be read, and by nobody else");
    }
    // Beside a running node its directory is not taken: what it holds open is read all the same.
    let data = match DataDir::take(dir) {
        Ok(data) => Some(data),
        Err(failure) if failure.reason() == Reason::DataDirInUse => None,
        Err(failure) => return Err(failure),
    };
    let key = data_dir::authority_key(dir)?;
    println!("authority key  fine: {}", key.public().id());
    let identity = NodeIdentity::load(dir)?;
    println!("certificate    fine: valid until {}", identity.certificate().not_after);
    if let Some(applicant) = Applicant::resume(dir)? {
        println!("register       none yet: an application to {} waits", applicant.token().invitation.inviter);
        return Ok(());
    }
    match &data {
        Some(_) => register(config, key, &identity)?,
        None => {
            let file = dir.join(directory::FILE);
            std::fs::File::open(&file).map_err(|e| CommandFailure::file(&file, &e))?;
            println!("register       the running node has it open; havenctl doctor looks into it");
        }
    }
    store(config)?;
    match data {
        Some(_) => addresses(config),
        None => {
            println!("addresses      the running node holds them");
            Ok(())
        }
    }
}

/// Whom each would be open to. Nothing of it keeps a node from starting.
fn sockets(config: &Config) -> Result<(), CommandFailure> {
    let owner = Owner::of(&config.data_dir).map_err(|e| CommandFailure::file(&config.data_dir, &e))?;
    let Standing { fine, finding, remedy } = Groups::of_owner(&config.roles, owner).standing();
    println!("sockets        {}{finding}", if fine { "fine: " } else { "" });
    if !remedy.is_empty() {
        println!("               {remedy}");
    }
    Ok(())
}

fn register(config: &Config, key: SigningKey, identity: &NodeIdentity) -> Result<(), CommandFailure> {
    let directory = Directory::open(Opening {
        data_dir: config.data_dir.clone(),
        authority: config.authority.clone(),
        key: Arc::new(key),
        clock: SystemClock::shared(),
        genesis: None,
    })?;
    let view = directory.view();
    println!(
        "register       fine: {} authorities at change {}, federation {}",
        view.members.len(),
        view.number,
        view.federation
    );
    let pinned = view.authority_of_pin(&identity.pin(), SystemClock::shared().now()) == Some(&config.authority);
    if !pinned && view.number > 0 {
        let unlisted = "its pin does not stand in this authority's entry";
        return Err(CommandFailure::new(Reason::CertificateInvalid).about(unlisted));
    }
    Ok(())
}

fn store(config: &Config) -> Result<(), CommandFailure> {
    let runtimes = Runtimes::start(1)?;
    let found = runtimes.block_on(look_at(&config.data_dir));
    runtimes.shutdown();
    match found? {
        Some(size) => println!("store          fine: ledger of {size}"),
        None => println!("store          none yet: the first start makes it"),
    }
    Ok(())
}

/// Whether a start would get its addresses.
fn addresses(config: &Config) -> Result<(), CommandFailure> {
    let all = [
        ("listen", Some(&config.listen)),
        ("http", config.http.as_option()),
        ("local.listen", config.local_listen.as_option()),
    ];
    for (key, address) in all.into_iter().filter_map(|(key, address)| Some((key, *address?))) {
        free(key, address)?;
    }
    println!("addresses      fine: nothing else listens there");
    Ok(())
}

fn free(key: &str, address: SocketAddr) -> Result<(), CommandFailure> {
    let taken = |e: std::io::Error| CommandFailure::taken(address, &e).of_key(key);
    std::net::TcpListener::bind(address).map(drop).map_err(taken)
}
