//! What happened on a bridge, countable from any thread.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one bridge since it started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages forwarded, one per receiver.
    pub delivered: Counter,
    /// Messages that could not be delivered; their senders were told.
    pub undeliverable: Counter,
    /// Replies that nobody waits for any more.
    pub stale_replies: Counter,
    /// Links closed because what they sent is not the protocol.
    pub rejected: Counter,
    /// Links refused because the peer does not belong here.
    pub unauthorized: Counter,
    /// Nodes cut because they did not read.
    pub cut: Counter,
    /// Nodes that lost their link and took their place again.
    pub resumed: Counter,
    /// Links that the bridge ended because of an error of the system.
    pub broken: Counter,
}

impl Counters {
    /// All of them by name.
    pub fn all(&self) -> [(&'static str, u64); 8] {
        [
            ("delivered", self.delivered.get()),
            ("undeliverable", self.undeliverable.get()),
            ("staleReplies", self.stale_replies.get()),
            ("rejected", self.rejected.get()),
            ("unauthorized", self.unauthorized.get()),
            ("cut", self.cut.get()),
            ("resumed", self.resumed.get()),
            ("broken", self.broken.get()),
        ]
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        // Only the bridge's thread counts, so load and store need no lock between them; others only read.
        self.0.store(self.0.load(Ordering::Relaxed) + count, Ordering::Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
