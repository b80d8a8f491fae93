//! Stories of the road: several exchanges in one process over stores of their own, with a line between them that can break.

mod agreements;
mod answers;
mod backfill;
mod behind_its_back;
mod clock_jumps;
mod clocks_apart;
mod consumers;
mod damaged_rows;
mod disk;
mod faulty_store;
mod furnished;
mod gate;
mod golden_store;
mod impossible;
mod incarnations;
mod later;
mod line;
mod loops;
mod owed;
mod records;
mod refusals;
mod requests;
mod road;
mod rules;
mod standing;
mod unreadable;
pub(super) mod world;
