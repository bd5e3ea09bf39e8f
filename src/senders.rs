//! What somebody has got of whom: after a lost link senders say again what may not have arrived, and what did is dropped.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

/// Senders remembered for sure. As many more are remembered that were heard of before these; of a sender that is
/// forgotten, something that it says again would be taken for new.
const REMEMBERED: usize = 32_768;

/// Somebody who says things: a node in one of its sessions, or a bridge.
#[derive(Debug)]
pub struct Sender {
    pub id: Rc<str>,
    /// 0: what it says is not numbered, and never said twice.
    pub session: u64,
    /// Number of the last message that came from it.
    last: Cell<u64>,
}

impl Sender {
    /// Nothing has come from it yet.
    pub fn new(id: Rc<str>, session: u64) -> Rc<Self> {
        Rc::new(Self { id, session, last: Cell::new(0) })
    }

    /// Whether message `seq` has come already.
    pub fn has_said(&self, seq: u64) -> bool {
        seq <= self.last.get() && self.session != 0
    }

    /// Message `seq` has come.
    pub fn said(&self, seq: u64) {
        self.last.set(seq);
    }

    /// Number of the last message that came.
    pub fn last(&self) -> u64 {
        self.last.get()
    }
}

type BySession = HashMap<(u64, Rc<str>), Rc<Sender>>;

/// All senders that somebody heard of, in two generations of which the older is forgotten when the younger is full.
#[derive(Debug, Default)]
pub struct Senders {
    young: BySession,
    old: BySession,
}

impl Senders {
    /// The sender of this id and session.
    pub fn get(&mut self, id: &Rc<str>, session: u64) -> Rc<Sender> {
        let key = (session, id.clone());
        if let Some(sender) = self.young.get(&key) {
            return sender.clone();
        }
        let sender = self.old.remove(&key).unwrap_or_else(|| Sender::new(id.clone(), session));
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, sender.clone());
        sender
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_remembered_by_session() {
        let mut senders = Senders::default();
        let id: Rc<str> = "ann".into();
        senders.get(&id, 1).said(7);
        assert!(senders.get(&id, 1).has_said(7) && !senders.get(&id, 1).has_said(8));
        assert!(!senders.get(&id, 2).has_said(1), "another process with its id begins anew");
        assert!(!senders.get(&"ben".into(), 1).has_said(1), "nobody speaks for another");
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_longest_unheard() {
        let mut senders = Senders::default();
        let id: Rc<str> = "ann".into();
        senders.get(&id, 1).said(7);
        for session in 2..REMEMBERED as u64 {
            senders.get(&id, session);
        }
        assert!(senders.get(&id, 1).has_said(7));
        for session in 2..4 * REMEMBERED as u64 {
            senders.get(&id, session);
        }
        assert!(senders.young.len() + senders.old.len() <= 2 * REMEMBERED);
    }
}
