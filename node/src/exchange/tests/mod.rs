//! Stories of the road: several exchanges in one process over memory stores, with a line between them that can break.

mod agreements;
mod answers;
mod consumers;
mod disk;
mod loops;
mod newcomers;
mod records;
mod refusals;
mod requests;
mod road;
mod rules;
mod standing;
mod world;
