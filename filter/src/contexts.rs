//! Contexts by their number: a sorted list, since hosts count up and few are alive at a time.

/// Values by the number of their context.
#[derive(Debug)]
pub struct Contexts<T>(Vec<(u32, T)>);

impl<T> Default for Contexts<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Contexts<T> {
    fn place(&self, id: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |(id, _)| *id)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is one of this number.
    #[must_use]
    pub fn has(&self, id: u32) -> bool {
        self.place(id).is_ok()
    }

    /// The one of this number.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&T> {
        self.0.get(self.place(id).ok()?).map(|(_, value)| value)
    }

    /// The one of this number.
    pub fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        let place = self.place(id).ok()?;
        self.0.get_mut(place).map(|(_, value)| value)
    }

    /// Puts one in; whatever had its number is gone.
    pub fn put(&mut self, id: u32, value: T) {
        match self.place(id) {
            Ok(place) => {
                if let Some((_, old)) = self.0.get_mut(place) {
                    *old = value;
                }
            }
            Err(place) => self.0.insert(place, (id, value)),
        }
    }

    /// Takes one out; whether there was one.
    pub fn take(&mut self, id: u32) -> bool {
        match self.place(id) {
            Ok(place) => {
                self.0.remove(place);
                true
            }
            Err(_) => false,
        }
    }

    /// The highest number.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|(id, _)| *id)
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Contexts;

    #[test]
    fn contexts_come_and_go_in_any_order() {
        let mut contexts = Contexts::default();
        for id in [5, 1, 9, 5] {
            contexts.put(id, id * 10);
        }
        assert_eq!((contexts.len(), contexts.last(), contexts.get(5)), (3, Some(9), Some(&50)));
        assert!(contexts.take(9) && !contexts.take(9));
        assert_eq!((contexts.has(9), contexts.last()), (false, Some(5)));
        contexts.clear();
        assert!(contexts.is_empty());
    }
}
