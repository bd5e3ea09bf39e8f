//! What a bridge finds malformed, or a receiver, each time it is said: on a cable of a picky run, every message in one encoding.

use crate::wire::frame::{Encoding, LENGTH_LEN, PREAMBLE_LEN, flag, kind};

/// The encoding that nobody takes in a picky run. Nothing else depends on it there.
pub const POISON: Encoding = Encoding::CloneJsc;

/// Who finds fault in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Picky {
    #[default]
    Nobody,
    /// Bridges, with what nodes say.
    Bridges,
    /// Nodes, with what others say to them.
    Nodes,
}

/// Spoils the slots of such messages as they pass.
#[derive(Debug)]
pub struct Censor {
    /// Bytes of the preamble or the frame that are still to come, of which the length is known.
    left: usize,
    /// Bytes of this frame that have passed.
    passed: usize,
    length: [u8; LENGTH_LEN],
    kind: u8,
    spoils: bool,
}

impl Censor {
    /// For a connection on which nothing has been said.
    pub fn new() -> Self {
        Self { left: PREAMBLE_LEN, passed: usize::MAX, length: [0; LENGTH_LEN], kind: 0, spoils: false }
    }

    /// Looks at the next bytes.
    pub fn look_at(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| self.look_at_one(byte));
    }

    fn look_at_one(&mut self, byte: &mut u8) {
        match self.passed {
            at @ 0..LENGTH_LEN => self.length[at] = *byte,
            4 => self.kind = *byte,
            5 => {
                let routed = (kind::MESSAGE..=kind::REPLY).contains(&self.kind);
                self.spoils = routed && Encoding::from_bits(*byte >> flag::ENCODING_SHIFT) == POISON;
            }
            6..10 if self.spoils => *byte = 0xFF,
            _ => {}
        }
        self.passed = self.passed.saturating_add(1);
        self.left = if self.passed == LENGTH_LEN {
            u32::from_le_bytes(self.length) as usize
        } else {
            self.left.saturating_sub(1)
        };
        if self.left == 0 && self.passed >= LENGTH_LEN {
            (self.passed, self.spoils) = (0, false);
        }
    }
}
