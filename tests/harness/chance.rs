//! Chance with a seed that can be given again: the same seed, the same choices.

/// A small generator (xorshift64*); good enough to choose whom to kill and when.
pub struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 }
    }

    /// What to give again for the same run.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A number from 0 up to, not including, the bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % bound
    }
}
