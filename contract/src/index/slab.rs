//! Where an index keeps what it lists: each value at a place of its own.

/// Values at places that stay the same while others come and go.
#[derive(Debug)]
pub(super) struct Slab<T>(Vec<Option<T>>, Vec<usize>);

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self(Vec::new(), Vec::new())
    }
}

impl<T> Slab<T> {
    pub(super) fn put(&mut self, value: T) -> usize {
        match self.1.pop().and_then(|at| Some((at, self.0.get_mut(at)?))) {
            Some((at, free)) => {
                *free = Some(value);
                at
            }
            None => {
                self.0.push(Some(value));
                self.0.len().saturating_sub(1)
            }
        }
    }

    pub(super) fn take(&mut self, at: usize) -> Option<T> {
        let value = self.0.get_mut(at)?.take();
        if value.is_some() {
            self.1.push(at);
        }
        value
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
        self.1.shrink_to_fit();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len().saturating_sub(self.1.len())
    }

    /// One past the last place, taken or free.
    pub(super) fn places(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }

    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.0.get(at)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.0.get_mut(at)?.as_mut()
    }
}
