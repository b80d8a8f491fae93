//! Stories of a federation of real nodes, over the public API alone. Build the binaries first: `cargo build --bins`.

#![allow(clippy::unwrap_used, reason = "a story's own functions are the story: what is not there fails it")]

mod doctor;
mod finding;
mod followed;
mod freshness;
mod governing;
mod hostile_steward;
mod inspection;
mod journal;
mod keys;
mod later;
mod mirror;
mod other_user;
mod package;
mod package_files;
mod protected;
mod provoked;
mod readme;
mod referral;
mod refounding;
mod refusals;
mod removal;
mod rest;
mod restoring;
mod scraped;
mod security;
mod sharing;
mod signals;
mod silence;
mod standing;
mod steps;
mod stewards;
mod suspension;
mod typed;
mod undumped;
mod unit_file;
mod versions;
mod waiting;
