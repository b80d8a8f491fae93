//! What any released version wrote, this one reads: golden files of every format that is frozen or stored.
//!
//! `0.1.0/` was written by that version and is never written again; a format that changes after a release gets a folder of
//! the version that changed it, beside the older ones. `HAVENLINK_GOLDEN=write` writes what is missing, with fixed keys and
//! times, so that the same tree writes the same bytes.
//! What lives here: the files, and that they reload to what they were. What does not: rules for what is new (`wire`).

#![allow(clippy::unwrap_used, reason = "a test target: a panic is a failed test")]

mod beyond;
mod contract;
mod files;
mod golden;
mod pseudonyms;
mod records;
mod register;
mod register_file;
mod samples;
mod stored;
