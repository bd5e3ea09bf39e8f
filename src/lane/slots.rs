//! Which parts of an arena are free: numbers only, no memory.

use std::collections::BTreeMap;

use super::layout::ALIGN;

/// The free and the used parts of a range of offsets.
///
/// The lowest part that fits is taken. So memory that was used before is used again before new memory is touched:
/// a window of bodies in flight stays within about twice its size, in the caches and in the page tables, while the
/// rest of the arena costs nothing. Lowest first also keeps the free parts few and large.
///
/// Both maps together have at most one entry per [`ALIGN`] bytes.
#[derive(Debug)]
pub struct Slots {
    /// Offset to length; no two touch each other.
    free: BTreeMap<u64, u64>,
    /// Offset to length, rounded up to [`ALIGN`].
    used: BTreeMap<u64, u64>,
}

impl Slots {
    /// Everything from `start` to `end` is free; both are multiples of [`ALIGN`].
    pub fn new(start: u64, end: u64) -> Self {
        debug_assert!(start < end && start.is_multiple_of(ALIGN) && end.is_multiple_of(ALIGN));
        Self { free: BTreeMap::from([(start, end - start)]), used: BTreeMap::new() }
    }

    /// The offset of `len` bytes that are used from now on; `None`: there is no such room, or `len` is 0.
    pub fn take(&mut self, len: u64) -> Option<u64> {
        let len = rounded(len)?;
        let (&offset, &room) = self.free.iter().find(|&(_, &room)| room >= len)?;
        self.free.remove(&offset);
        if room > len {
            self.free.insert(offset + len, room - len);
        }
        self.used.insert(offset, len);
        Some(offset)
    }

    /// Frees what the slot at `offset` has behind its first `len` bytes; `len` is not 0.
    pub fn trim(&mut self, offset: u64, len: u64) {
        let (Some(used), Some(kept)) = (self.used.get_mut(&offset), rounded(len)) else { return };
        if kept < *used {
            let rest = *used - kept;
            *used = kept;
            self.release(offset + kept, rest);
        }
    }

    /// Frees the slot at `offset`; `false`: there is none, and nothing changed.
    pub fn free(&mut self, offset: u64) -> bool {
        let Some(len) = self.used.remove(&offset) else { return false };
        self.release(offset, len);
        true
    }

    /// Whether nothing is used.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.used.is_empty()
    }

    /// Joins it with the free parts on either side.
    fn release(&mut self, mut offset: u64, mut len: u64) {
        if let Some(after) = self.free.remove(&(offset + len)) {
            len += after;
        }
        if let Some((&before, &room)) = self.free.range(..offset).next_back()
            && before + room == offset
        {
            offset = before;
            len += room;
        }
        self.free.insert(offset, len);
    }
}

fn rounded(len: u64) -> Option<u64> {
    if len == 0 { None } else { len.checked_next_multiple_of(ALIGN) }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 4096;
    const END: u64 = 1 << 20;

    impl Slots {
        /// Used and free parts follow one another without a gap, and no two free ones do.
        fn check(&self) {
            let mut parts: Vec<(u64, u64, bool)> = self.free.iter().map(|(&at, &len)| (at, len, true)).collect();
            parts.extend(self.used.iter().map(|(&at, &len)| (at, len, false)));
            parts.sort_unstable();
            let mut at = START;
            for part in &parts {
                assert_eq!(part.0, at);
                assert!(part.1 > 0 && part.1.is_multiple_of(ALIGN));
                at += part.1;
            }
            assert_eq!(at, END);
            assert!(parts.windows(2).all(|pair| !(pair[0].2 && pair[1].2)), "two free parts touch");
            assert!(parts.len() as u64 <= (END - START) / ALIGN);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take(u64),
        Trim(usize, u64),
        Free(usize),
        Nonsense(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1..200_000u64).prop_map(Step::Take),
            1 => (0..2_000u64).prop_map(Step::Take),
            1 => (any::<usize>(), 1..200_000u64).prop_map(|(which, len)| Step::Trim(which, len)),
            4 => any::<usize>().prop_map(Step::Free),
            1 => any::<u64>().prop_map(Step::Nonsense),
        ]
    }

    proptest! {
        #[test]
        fn slots_never_overlap_and_are_all_free_in_the_end(steps in vec(step(), 0..200)) {
            let mut slots = Slots::new(START, END);
            let mut held: Vec<u64> = Vec::new();
            for step in steps {
                match step {
                    Step::Take(len) => held.extend(slots.take(len)),
                    Step::Trim(which, len) if !held.is_empty() => slots.trim(held[which % held.len()], len),
                    Step::Free(which) if !held.is_empty() => {
                        let offset = held.swap_remove(which % held.len());
                        prop_assert!(slots.free(offset));
                        prop_assert!(!slots.free(offset), "freed twice");
                    }
                    Step::Nonsense(offset) => prop_assert_eq!(slots.free(offset), held.contains(&offset)),
                    Step::Trim(..) | Step::Free(_) => {}
                }
                held.retain(|offset| slots.used.contains_key(offset));
                prop_assert_eq!(held.len(), slots.used.len());
                slots.check();
            }
            held.iter().for_each(|&offset| assert!(slots.free(offset)));
            prop_assert!(slots.is_idle());
            prop_assert_eq!(slots.take(END - START), Some(START));
        }

        #[test]
        fn a_window_in_flight_touches_about_twice_its_size(lens in vec(1_000..20_000u64, 1..2000)) {
            const WINDOW: u64 = 100_000;
            let mut slots = Slots::new(START, END);
            let mut flying: VecDeque<(u64, u64)> = VecDeque::new();
            for len in lens {
                while flying.iter().map(|slot| slot.1).sum::<u64>() + len > WINDOW {
                    slots.free(flying.pop_front().unwrap().0);
                }
                let offset = slots.take(len).unwrap();
                prop_assert!(offset + len < START + 2 * WINDOW);
                flying.push_back((offset, len));
            }
        }
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut slots = Slots::new(START, END);
        for len in [0, END - START + 1, u64::MAX] {
            assert_eq!(slots.take(len), None);
        }
        assert!(slots.is_idle());
        slots.check();
    }
}
