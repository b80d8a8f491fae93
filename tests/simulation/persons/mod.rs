//! Records about persons in random worlds: the product and a model that is none of it are asked the same, and say the same.
//!
//! What lives here: worlds in which nearly everything is right (`world`), what goes wrong in them, near the edge and at once
//! (`spoils`), the product's own functions asked about them (`product`), and a life from the giving of an agreement to share
//! over two attempts and an arrival to whoever reads (`life`). What does not: the rule (`havenlink_model::persons`).
//! Invariants, of each world:
//! - `SAME`: where the product says yes the model does, and where it says no the model does.
//! - `SUBSET`: what left a node left under an agreement and a grant that the model allows.
//! - `NOTICED`: over all worlds each clause of the model shows when it is taken out.

mod life;
mod product;
mod spoils;
#[cfg(test)]
mod tests;
mod world;

use havenlink_model::persons::{CLAUSES, Clause};

use crate::chance::Chance;

/// What many worlds came to.
#[derive(Debug, Default)]
pub struct Compared {
    pub worlds: u64,
    /// Decisions that were compared, and those that were a yes.
    pub decisions: u64,
    pub yes: u64,
    /// Records that left a node, and those that were taken.
    pub left: u64,
    pub taken: u64,
    /// Clauses whose absence nobody has noticed yet.
    pub unseen: Vec<Clause>,
    /// The first difference.
    pub fault: Option<String>,
}

/// Plays as many worlds from a seed on, until the product and the model differ.
pub fn compare(first: u64, worlds: u64) -> Compared {
    let mut compared = Compared { unseen: CLAUSES.to_vec(), ..Compared::default() };
    for seed in first..first.saturating_add(worlds) {
        let world = world::World::of(&mut Chance::new(seed));
        life::live(&world, &mut compared);
        compared.worlds += 1;
        if let Some(fault) = &mut compared.fault {
            *fault = format!("seed {seed}: {fault}\n{world:#?}");
            break;
        }
    }
    compared
}
