//! Chance that can be repeated: all of a run follows from its seed.

/// A small generator (splitmix64): good enough to be unfair in every way we can think of.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed, the same run.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.any() % end as u64) as usize
    }

    /// True in so many of 100 cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// A length of a read or write: mostly odd little pieces, sometimes all there is.
    pub fn portion(&mut self) -> usize {
        match self.below(4) {
            0 => 1 + self.below(30),
            1 => 1 + self.below(2_000),
            2 => 1 + self.below(100_000),
            _ => 256 * 1024,
        }
    }
}
