//! Chance with a seed that can be given again: `HAVENLINK_SEED`.

/// A small generator (xorshift64*); good enough to choose whom to kill and when.
pub struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    /// From `HAVENLINK_SEED`, or from the clock.
    pub fn from_environment() -> Self {
        let given = std::env::var("HAVENLINK_SEED").ok().and_then(|s| s.parse().ok());
        let clock = || {
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |d| d.subsec_nanos().into())
        };
        Self::new(given.unwrap_or_else(clock))
    }

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
