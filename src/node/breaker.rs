//! What a bridge rejects each time it is said. A node says again on every link all that is not settled, and what it listens
//! for; were one frame of that malformed to its bridge, no link would ever last. So after a rejection a node speaks with
//! care: one thing, then a PING, and nothing behind it before the PONG. What is out when the link is rejected is to blame,
//! and given up the third time; the rest goes on. (A circuit breaker, for a message instead of a peer.)

use std::collections::VecDeque;

use crate::blame::{Blame, MOST_REJECTIONS};

/// Something that is said as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// HELLO, and what came with it.
    Greeting,
    /// That this node listens for an event, or no longer.
    Interest { event: String, listens: bool },
    /// The message of this number.
    Message(u64),
}

/// What is suspected of being rejected, and what was. Idle, and empty, unless a bridge has rejected a link.
#[derive(Debug, Default)]
pub struct Breaker {
    /// Messages up to this number are said with care; `None`: no caution is needed.
    suspects: Option<u64>,
    /// What was said last, until the bridge has taken it.
    out: Option<Unit>,
    /// Whether the PING behind that is said.
    pinged: bool,
    /// The token of the last PING.
    token: u64,
    /// What this node listens for and has not told this bridge yet.
    interests: VecDeque<(String, bool)>,
    /// Whether these are told one by one, because a bridge rejected them with the greeting.
    one_by_one: bool,
    /// What was to blame, and how often.
    blame: Blame<Unit>,
    /// Links that were rejected before it was known what was to blame.
    unexplained: u32,
}

impl Breaker {
    /// Whether this node speaks with care.
    pub fn is_careful(&self) -> bool {
        self.suspects.is_some()
    }

    /// Whether message `seq` is to be said by itself.
    pub fn suspects(&self, seq: u64) -> bool {
        self.suspects.is_some_and(|last| seq <= last)
    }

    /// What was said last, while it is not known whether the bridge has taken it.
    pub fn out(&self) -> Option<&Unit> {
        self.out.as_ref()
    }

    /// Whether nothing may be said before the bridge has taken what was said last.
    pub fn is_waiting(&self) -> bool {
        self.out.is_some()
    }

    /// This is on its way, by itself.
    pub fn said(&mut self, unit: Unit) {
        (self.out, self.pinged) = (Some(unit), false);
    }

    /// The token of the PING that is due now that all of what was said last is on its way, if it is.
    pub fn take_ping(&mut self) -> Option<u64> {
        if self.out.is_none() || std::mem::replace(&mut self.pinged, true) {
            return None;
        }
        self.token += 1;
        Some(self.token)
    }

    /// The bridge has answered a PING: it has taken all that was said before.
    pub fn answered(&mut self, token: u64) {
        if self.pinged && token == self.token {
            self.taken();
        }
    }

    /// What was said last was fine.
    pub fn taken(&mut self) {
        let taken = self.out.take();
        taken.iter().for_each(|taken| self.blame.acquit(taken));
    }

    /// The bridge does not answer PINGs, or takes long: it may be taken that it has no objection.
    pub fn presume_taken(&mut self) {
        (self.out, self.one_by_one) = (None, false);
    }

    /// Whether a greeting may not say what this node listens for.
    pub fn greets_briefly(&self) -> bool {
        self.one_by_one
    }

    /// Whether the bridge has still to be told what this node listens for.
    pub fn has_interests(&self) -> bool {
        !self.interests.is_empty()
    }

    /// The bridge is to be told that this node listens for an event, or no longer, when its turn comes.
    pub fn listen(&mut self, event: &str, listens: bool) {
        self.interests.push_back((event.to_owned(), listens));
    }

    /// What of that comes next.
    pub fn next_interest(&mut self) -> Option<(String, bool)> {
        let (event, listens) = self.interests.pop_front()?;
        if self.one_by_one {
            self.said(Unit::Interest { event: event.clone(), listens });
        }
        Some((event, listens))
    }

    /// The link is over.
    pub fn link_lost(&mut self) {
        self.out = None;
        self.interests.clear();
    }

    /// A bridge has rejected a link on which messages up to `said` were said. Returns what is to be given up.
    pub fn rejected(&mut self, said: u64) -> Option<Unit> {
        self.suspects = self.suspects.max(Some(said));
        // On this link nothing more is to be said.
        let out = self.out.replace(Unit::Greeting);
        (self.pinged, self.token) = (true, self.token + 1);
        let greeting = out == Some(Unit::Greeting);
        let Some(unit) = out.filter(|_| !greeting) else {
            self.one_by_one |= greeting;
            self.unexplained += 1;
            return None;
        };
        // Those that began it had most likely the same cause; one by itself proves nothing.
        let before = std::mem::take(&mut self.unexplained).min(MOST_REJECTIONS - 2);
        self.blame.add(unit.clone(), before).then_some(unit)
    }

    /// All that was suspected has been taken by this bridge.
    pub fn trust(&mut self) {
        *self = Self { token: self.token, ..Self::default() };
    }
}
