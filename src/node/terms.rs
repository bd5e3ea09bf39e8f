//! What a node and one destination have told each other of shared memory.

/// What one destination was told, and has said, of our memory on this link.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    pub(super) offered: bool,
    /// The session that reads it; 0: none.
    pub(super) session: u64,
    /// Bytes of the largest message it takes.
    pub(super) most: u64,
}
