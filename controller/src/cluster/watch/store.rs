//! What is known of a kind of object: kept over reconnections, compared with the next list when there is one. Pure.
use crate::cluster::ObjectName;
use std::collections::BTreeMap;

/// Objects by name, each with the number of the list that saw it last.
#[derive(Clone, Debug)]
pub struct Store<T> {
    objects: BTreeMap<ObjectName, (u32, T)>,
    /// Whether two versions of an object are the same to who looks at the shape only.
    alike: fn(&T, &T) -> bool,
    shape: u64,
    epoch: u32,
    listing: bool,
    complete: bool,
    unreadable: BTreeMap<ObjectName, String>,
}

/// At most so many unreadable objects are named.
const MAX_UNREADABLE: usize = 20;

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            alike: |_, _| false,
            shape: 0,
            epoch: 0,
            listing: false,
            complete: false,
            unreadable: BTreeMap::new(),
        }
    }
}

impl<T: PartialEq> Store<T> {
    /// One whose shape stays the same when an object becomes one that is `alike`.
    #[must_use]
    pub fn shaped(alike: fn(&T, &T) -> bool) -> Self {
        Self { alike, ..Self::default() }
    }

    /// Rises when an object comes, goes, or becomes one that is not alike.
    #[must_use]
    pub const fn shape(&self) -> u64 {
        self.shape
    }

    fn other_shape(&mut self) {
        self.shape = self.shape.wrapping_add(1);
    }

    /// A list begins: what it does not name is gone at its end, not before.
    pub fn begin(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.listing = true;
    }

    /// An object is there; `None` says that it is to be left alone. Returns whether anything changed.
    pub fn put(&mut self, name: ObjectName, object: Option<T>) -> bool {
        self.unreadable.remove(&name);
        let Some(object) = object else { return self.remove(&name) };
        let epoch = self.epoch;
        match self.objects.get_mut(&name) {
            Some((seen, old)) => {
                *seen = epoch;
                if *old == object {
                    return false;
                }
                let alike = (self.alike)(old, &object);
                *old = object;
                if !alike {
                    self.other_shape();
                }
                true
            }
            None => {
                self.objects.insert(name, (epoch, object));
                self.other_shape();
                true
            }
        }
    }

    /// An object is gone. Returns whether it was there.
    pub fn remove(&mut self, name: &ObjectName) -> bool {
        self.unreadable.remove(name);
        let gone = self.objects.remove(name).is_some();
        if gone {
            self.other_shape();
        }
        gone
    }

    /// An object is there and cannot be read: what was known of it stays.
    pub fn unreadable(&mut self, name: ObjectName, why: String) {
        if let Some((seen, _)) = self.objects.get_mut(&name) {
            *seen = self.epoch;
        }
        if self.unreadable.len() < MAX_UNREADABLE {
            self.unreadable.insert(name, why);
        }
    }

    /// The list is over. Returns whether anything changed: objects that are gone, or that all are known for the first time.
    pub fn end(&mut self) -> bool {
        if !self.listing {
            return false;
        }
        self.listing = false;
        let before = self.objects.len();
        let epoch = self.epoch;
        self.objects.retain(|_, (seen, _)| *seen == epoch);
        let first = !self.complete;
        self.complete = true;
        let changed = first || before != self.objects.len();
        if changed {
            self.other_shape();
        }
        changed
    }

    /// Nothing of the kind can be there: its definition is not.
    pub fn absent(&mut self) -> bool {
        let changed = !self.complete || !self.objects.is_empty();
        self.objects.clear();
        self.listing = false;
        self.complete = true;
        if changed {
            self.other_shape();
        }
        changed
    }

    /// Whether a whole list was seen since the start.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// All objects, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectName, &T)> {
        self.objects.iter().map(|(name, (_, object))| (name, object))
    }

    /// One object.
    #[must_use]
    pub fn get(&self, name: &ObjectName) -> Option<&T> {
        self.objects.get(name).map(|(_, object)| object)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Objects that could not be read, and why.
    pub fn faults(&self) -> impl Iterator<Item = (&ObjectName, &str)> {
        self.unreadable.iter().map(|(name, why)| (name, why.as_str()))
    }
}
