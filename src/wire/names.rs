//! Names that repeat (node ids, events) cross a link once and are two bytes from then on.
//!
//! Each direction of a link has its own table of slots. The sender fills it; when it is full it starts over, and
//! since definitions travel in order with the frames that use them, both sides always agree.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use super::frame::malformed;
use crate::error::Result;

/// Slots of one table, 0 excluded: it means "the bridge" or "none". Bounds what a peer can make us remember. Twelve bits
/// hold them and two more, for which a receiver has a use of its own.
pub const MAX_SLOT: u16 = 4093;

/// What [`OutgoingNames::slot`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Slot {
    /// The other side knows it.
    Known(u16),
    /// It must be told first, with a NAME frame.
    New(u16),
}

/// The sending half: which slot a name has.
#[derive(Debug)]
pub struct OutgoingNames<K, S> {
    slots: HashMap<K, u16, S>,
    last: u16,
}

impl<K, S: Default> Default for OutgoingNames<K, S> {
    fn default() -> Self {
        Self { slots: HashMap::default(), last: 0 }
    }
}

impl<K: Hash + Eq, S: BuildHasher> OutgoingNames<K, S> {
    /// The slot of `key`, a new one if it has none. Call [`make_room`](Self::make_room) before.
    pub fn slot(&mut self, key: K) -> Slot {
        if let Some(&slot) = self.slots.get(&key) {
            return Slot::Known(slot);
        }
        debug_assert!(self.last < MAX_SLOT, "make_room comes first");
        self.last += 1;
        self.slots.insert(key, self.last);
        Slot::New(self.last)
    }

    /// Starts over when fewer than `wanted` slots are free, and returns the keys that lost theirs.
    pub fn make_room(&mut self, wanted: u16) -> Vec<K> {
        if self.last + wanted <= MAX_SLOT {
            return Vec::new();
        }
        self.clear()
    }

    /// Forgets all, and returns the keys that had a slot.
    pub fn clear(&mut self) -> Vec<K> {
        self.last = 0;
        self.slots.drain().map(|(key, _)| key).collect()
    }
}

/// The receiving half: what a slot stands for.
#[derive(Debug)]
pub struct IncomingNames<T> {
    slots: Vec<T>,
}

impl<T> Default for IncomingNames<T> {
    fn default() -> Self {
        Self { slots: Vec::new() }
    }
}

impl<T> IncomingNames<T> {
    /// Defines `slot`; returns what it stood for before.
    ///
    /// # Errors
    /// `ERR_PROTOCOL` for slot 0, one above [`MAX_SLOT`], or one that skips others: a peer fills its table in order.
    pub fn define(&mut self, slot: u16, value: T) -> Result<Option<T>> {
        let index = usize::from(slot).wrapping_sub(1);
        if slot > MAX_SLOT || index > self.slots.len() {
            return Err(malformed(format!("slot {slot} is out of order")));
        }
        if index == self.slots.len() {
            self.slots.push(value);
            return Ok(None);
        }
        Ok(Some(std::mem::replace(&mut self.slots[index], value)))
    }

    /// What `slot` stands for.
    ///
    /// # Errors
    /// `ERR_PROTOCOL` when it was never defined.
    pub fn get(&self, slot: u16) -> Result<&T> {
        let index = usize::from(slot).wrapping_sub(1);
        self.slots.get(index).ok_or_else(|| malformed(format!("slot {slot} was never defined")))
    }

    /// All names of the table.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::RandomState;

    #[test]
    fn a_full_table_starts_over_and_both_sides_agree() {
        let mut sender = OutgoingNames::<u32, RandomState>::default();
        let mut receiver = IncomingNames::default();
        for name in 0..10_000 {
            sender.make_room(1);
            let slot = match sender.slot(name) {
                Slot::New(slot) => {
                    receiver.define(slot, name).unwrap();
                    slot
                }
                Slot::Known(slot) => slot,
            };
            assert_eq!(receiver.get(slot).unwrap(), &name);
        }
        assert_eq!(receiver.iter().count(), usize::from(MAX_SLOT));
    }

    #[test]
    fn a_table_cannot_be_filled_out_of_order() {
        let mut names = IncomingNames::default();
        assert!(names.define(0, 'a').is_err());
        assert!(names.define(2, 'a').is_err());
        assert_eq!(names.define(1, 'a'), Ok(None));
        assert_eq!(names.define(1, 'b'), Ok(Some('a')));
        assert!(names.get(0).is_err() && names.get(2).is_err());
    }
}
