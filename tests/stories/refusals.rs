//! Refusals at real doors: each with its status or exit code, its reason and what helps, as the catalogue promises.

mod joining;
mod machine;
mod register;
