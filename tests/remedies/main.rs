//! Every remedy of the catalogue helps: each reason whose remedy names a command is brought about, the remedy is read where it was
//! told, and its commands are run as they stand there. Build the binaries first: `cargo build --bins`.

#![allow(clippy::unwrap_used, reason = "a test's own functions are the test: what is not there fails it")]

mod agreements;
mod foreign;
mod holds;
mod hostile;
mod joining;
mod lapsed;
mod machine;
mod mistyped;
mod partners;
mod quorum;
mod restored;
mod stale;
mod statements;
#[path = "../stories/steps.rs"]
#[allow(dead_code, reason = "the stories take more of these steps")]
mod steps;
mod stewards;
mod table;
mod told;
