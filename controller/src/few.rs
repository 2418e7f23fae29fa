//! A map for one to a few values: sorted, in one piece of memory that is no larger than what is in it.
//!
//! The standard library's `BTreeMap` takes room for eleven values with the first. Of maps that are kept for every
//! host or every source and hold one value nearly always, that made two thirds of the controller's memory.
use std::borrow::Borrow;

/// Up to so many values the memory is exact; above that it doubles, so that a map of many grows in good time.
const EXACT: usize = 4;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few<K, V>(Vec<(K, V)>);

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Few<K, V> {
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(known, _)| known.borrow().cmp(key))
    }

    /// The value of a key.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().and_then(|at| self.0.get(at)).map(|(_, value)| value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    /// The value of a key, which is made when there is none.
    pub fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V
    where
        K: Clone,
    {
        let at = self.place(key).unwrap_or_else(|at| {
            if self.0.len() < EXACT {
                self.0.reserve_exact(1);
            }
            self.0.insert(at, (key.clone(), make()));
            at
        });
        &mut self.0[at].1
    }

    /// Keeps what `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| keep(key, value));
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// All values, by key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// All values, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_map_of_one_takes_room_for_one() {
        let mut few = Few::default();
        few.get_or_insert_with(&"a".to_owned(), || 1);
        assert_eq!(few.0.capacity(), 1);
    }

    proptest! {
        #[test]
        fn it_holds_what_a_tree_would(keys in prop::collection::vec(0u8..12, 0..40), gone in 0u8..12) {
            let (mut few, mut tree) = (Few::default(), BTreeMap::new());
            for (n, key) in keys.iter().enumerate() {
                prop_assert_eq!(few.get_or_insert_with(key, || n), tree.entry(*key).or_insert(n));
            }
            few.retain(|key, _| *key != gone);
            tree.remove(&gone);
            prop_assert_eq!(few.iter().collect::<Vec<_>>(), tree.iter().collect::<Vec<_>>());
            prop_assert!((0..12).all(|key| few.get(&key) == tree.get(&key)));
            prop_assert_eq!(few.is_empty(), tree.is_empty());
        }
    }
}
