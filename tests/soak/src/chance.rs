//! What a seed decides: the same for the same seed.

/// Splitmix.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Of a seed, for a purpose: two purposes of one seed have nothing to do with each other.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let mixed =
            purpose.bytes().fold(seed, |so_far, byte| so_far.wrapping_mul(31).wrapping_add(byte.into()));
        Self(mixed)
    }

    /// Below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) % n.max(1)
    }

    /// From `least` on, below `most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least))
    }

    /// So many milliseconds.
    pub(crate) fn ms(&mut self, least: u64, most: u64) -> std::time::Duration {
        std::time::Duration::from_millis(self.between(least, most))
    }

    /// One of them.
    pub(crate) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(all.len() as u64)).unwrap_or_default();
        &all[at]
    }
}
