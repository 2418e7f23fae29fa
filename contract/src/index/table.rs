//! The hash table an index finds its places by; small code before all.

/// Finds places by hash: open addressing, half of it free. The caller compares. One piece of code for all keys,
/// where the standard library's map would be compiled for each.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// A place + 2, or one of the two below; their number is a power of two.
    cells: Vec<u32>,
    /// Cells that are not free.
    used: usize,
}

const FREE: u32 = 0;
const GONE: u32 = 1;

impl Table {
    pub(super) fn find(&self, hash: u32, is: &mut dyn FnMut(usize) -> bool) -> Option<usize> {
        for cell in self.probe(hash) {
            match self.cells.get(cell).copied() {
                None | Some(FREE) => return None,
                Some(GONE) => {}
                Some(place) => {
                    let place = (place as usize).saturating_sub(2);
                    if is(place) {
                        return Some(place);
                    }
                }
            }
        }
        None
    }

    /// Puts in a place that is not in yet. `rehash` gives the hash of what is at a place.
    pub(super) fn put(&mut self, hash: u32, place: usize, rehash: &dyn Fn(usize) -> u32) {
        if self.used.saturating_mul(2) >= self.cells.len() {
            let places: Vec<u32> = self.cells.iter().copied().filter(|cell| *cell > GONE).collect();
            let size = places.len().saturating_add(4).saturating_mul(4).next_power_of_two();
            self.cells = vec![FREE; size];
            self.used = 0;
            for place in places {
                self.set(rehash((place as usize).saturating_sub(2)), place);
            }
        }
        self.set(hash, u32::try_from(place).unwrap_or(u32::MAX).saturating_add(2));
    }

    fn set(&mut self, hash: u32, value: u32) {
        for cell in self.probe(hash) {
            if let Some(cell) = self.cells.get_mut(cell)
                && *cell == FREE
            {
                *cell = value;
                self.used = self.used.saturating_add(1);
                return;
            }
        }
    }

    pub(super) fn take(&mut self, hash: u32, place: usize) {
        let value = u32::try_from(place).unwrap_or(u32::MAX).saturating_add(2);
        for cell in self.probe(hash) {
            match self.cells.get_mut(cell) {
                None => return,
                Some(cell) if *cell == FREE => return,
                Some(cell) if *cell == value => {
                    *cell = GONE;
                    return;
                }
                Some(_) => {}
            }
        }
    }

    /// The cells a hash may be in, in their order.
    fn probe(&self, hash: u32) -> impl Iterator<Item = usize> + use<> {
        let mask = self.cells.len().wrapping_sub(1);
        (0..self.cells.len()).map(move |step| (hash as usize).wrapping_add(step) & mask)
    }
}

/// By four bytes at a time, each word multiplied in (by Knuth's 2^32 over the golden ratio) and its high bits folded
/// down. The keys come from the ledger and strangers' names are only looked up, so nobody can make a table slow; and it
/// is short.
pub(super) fn hash(bytes: &[u8]) -> u32 {
    let mix = |hash: u32, word: u32| {
        let mixed = (hash ^ word).wrapping_mul(0x9e37_79b1);
        mixed ^ (mixed >> 15)
    };
    let (words, rest) = bytes.as_chunks();
    let hash = words.iter().fold(0x811c_9dc5, |hash, word| mix(hash, u32::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, byte| mix(hash, u32::from(*byte)))
}
