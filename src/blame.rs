//! Who is to blame when one side of a link rejects what the other says: what was rejected three times is not said again.
//! (The counter of a circuit breaker, for a message instead of a peer.)

use std::collections::VecDeque;

/// Rejections after which the frame to blame is not said again.
pub const MOST_REJECTIONS: u32 = 3;
/// Suspects of which it is remembered how often they were to blame; the oldest are forgotten.
const MOST_SUSPECTS: usize = 64;

/// How often each suspect was to blame. Empty unless the other side has rejected a link.
#[derive(Debug)]
pub struct Blame<T>(VecDeque<(T, u32)>);

impl<T> Default for Blame<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: PartialEq> Blame<T> {
    /// `suspect` is to blame for a rejection; the first time for `before` earlier ones, too. True: it is to be given up, and
    /// is forgotten here.
    pub fn add(&mut self, suspect: T, before: u32) -> bool {
        let times = self.remove(&suspect).unwrap_or(before) + 1;
        if times >= MOST_REJECTIONS {
            return true;
        }
        if self.0.len() >= MOST_SUSPECTS {
            self.0.pop_front();
        }
        self.0.push_back((suspect, times));
        false
    }

    /// The other side has taken it.
    pub fn acquit(&mut self, suspect: &T) {
        self.remove(suspect);
    }

    fn remove(&mut self, suspect: &T) -> Option<u32> {
        let at = self.0.iter().position(|(other, _)| other == suspect)?;
        self.0.remove(at).map(|(_, times)| times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_blame_three_times_is_given_up_whatever_else_is_between() {
        let mut blame = Blame::default();
        let given_up: Vec<bool> = ["a", "b", "a", "b", "a", "a"].map(|suspect| blame.add(suspect, 0)).into();
        assert_eq!(given_up, [false, false, false, false, true, false]);
        blame.acquit(&"b");
        assert!(!blame.add("b", 0), "it was taken meanwhile");
        assert!(!blame.add("c", 1) && blame.add("c", 1));
    }

    #[test]
    fn only_so_many_suspects_are_remembered() {
        let mut blame = Blame::default();
        for round in 0..2 {
            assert!((0..=MOST_SUSPECTS).all(|suspect| !blame.add(suspect, 0)), "round {round}");
        }
        assert_eq!(blame.0.len(), MOST_SUSPECTS);
    }
}
