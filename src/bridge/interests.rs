//! Who listens for which event, so that a broadcast is no work for anybody else.

use rustc_hash::FxHashMap;

use super::member::MemberKey;
use super::symbols::{Symbol, Symbols};

/// Events one node may listen for; bounds what a peer can make the bridge remember.
pub const MAX_INTERESTS: usize = 10_000;

/// The listeners of every event.
#[derive(Debug, Default)]
pub struct Interests {
    by_event: FxHashMap<Symbol, Vec<MemberKey>>,
    /// Peers of the original's wire cannot say what they listen for: they get everything.
    everything: Vec<MemberKey>,
}

impl Interests {
    /// `member` listens for `event`, whose reference passes to this table. Call it once per pair.
    pub fn listen(&mut self, member: MemberKey, event: Symbol) {
        self.by_event.entry(event).or_default().push(member);
    }

    /// `member` no longer listens for `event`.
    pub fn unlisten(&mut self, member: MemberKey, event: Symbol, symbols: &mut Symbols) {
        let Some(members) = self.by_event.get_mut(&event) else { return };
        if let Some(at) = members.iter().position(|&other| other == member) {
            members.swap_remove(at);
            if members.is_empty() {
                self.by_event.remove(&event);
            }
            symbols.release(event);
        }
    }

    /// `member` gets all broadcasts.
    pub fn listen_to_everything(&mut self, member: MemberKey) {
        self.everything.push(member);
    }

    /// Undoes [`listen_to_everything`](Self::listen_to_everything).
    pub fn forget(&mut self, member: MemberKey) {
        self.everything.retain(|&other| other != member);
    }

    /// Whom a broadcast of `event` concerns, its sender perhaps among them.
    pub fn listeners(&self, event: Option<Symbol>) -> impl Iterator<Item = MemberKey> {
        let named = event.and_then(|event| self.by_event.get(&event)).map(Vec::as_slice);
        named.unwrap_or_default().iter().chain(&self.everything).copied()
    }
}
