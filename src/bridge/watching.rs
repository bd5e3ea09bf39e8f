//! Nodes that wait for something of others over a change of bridges: nobody waits for the answer of a process that is no
//! more, even if another has its id.

use super::member::{Member, MemberKey};
use super::own::Own;
use super::router::Router;
use super::routing::NO_QUESTION;
use super::unfinished::ANY;
use crate::error::Code;
use crate::wire::control::{Gone, Watch};

impl Router {
    /// A node waits for something of another, who may not be there, or not yet.
    pub(super) fn handle_watch(&mut self, watcher: MemberKey, watch: Watch) {
        let symbol = self.symbols.acquire(&watch.node);
        match self.find_member(symbol) {
            Some(other) => self.watch(watcher, other, watch),
            None if self.may_come(symbol) => self.await_for(symbol, watcher, watch),
            None => self.tell_watcher_gone(watcher, watch),
        }
        self.symbols.release(symbol);
    }

    /// Whoever was watched is not there.
    pub(super) fn tell_watcher_gone(&mut self, watcher: MemberKey, watch: Watch) {
        let Watch { seq, session, node, .. } = watch;
        self.tell_gone(
            watcher,
            Gone { seq, code: Code::NodeLeft, delivered_only: false, session, node, missed: Vec::new() },
        );
    }

    /// `watcher` is told when `key`, of whom it waits for something, is gone, or is somebody else by now.
    pub(super) fn watch(&mut self, watcher: MemberKey, key: MemberKey, watch: Watch) {
        if !self.is_member(watcher) {
            return;
        }
        let Member { session, fresh, id, .. } = self.members[watcher.place as usize];
        let asks = Watch { session, node: self.symbols.name(id).to_string(), ..watch };
        self.tell_when_gone(key, watcher);
        let asked = &self.members[key.place as usize];
        let (code, node) = (Code::NodeLeft, watch.node);
        if watch.session != 0 && watch.session != asked.session {
            self.tell_gone(watcher, Gone::of_begun(watch.session, node));
        } else if watch.session != 0 && watch.oldest != 0 {
            // Only it knows whether it will say that again.
            self.note_unfinished(key, watcher, ANY);
            self.tell(key, Own::Watch(Watch { seq: 0, ..asks }));
        } else if asked.fresh && !fresh {
            // What was asked on an older bridge went to somebody else; what was asked here did not.
            let first_here = asked.askers.get(&watcher).copied().unwrap_or(NO_QUESTION);
            let seq = watch.seq.min(first_here - 1);
            self.tell_gone(watcher, Gone { seq, code, delivered_only: true, session: 0, node, missed: Vec::new() });
        } else if watch.oldest != 0 && self.keeps(key) {
            // Both have been elsewhere, perhaps not at the same time: only it knows whether it was asked.
            self.tell(key, Own::Watch(asks));
        }
    }

    /// `asked` was never asked what somebody waits for: that was somebody else, who had its id. Or, with 0, it will not end
    /// what it had begun to say.
    pub(super) fn handle_unheard(&mut self, asked: MemberKey, unheard: &Watch) {
        let asker = self.symbols.find(&unheard.node).and_then(|id| self.find_member(id));
        let Member { askers, info, session, .. } = &self.members[asked.place as usize];
        let session = *session;
        let waits =
            |key: &MemberKey| askers.contains_key(key) && self.members[key.place as usize].session == unheard.session;
        if let Some(asker) = asker.filter(waits) {
            let (seq, code, node) = (unheard.seq, Code::NodeLeft, info.id.clone());
            if seq == 0 {
                return self.tell(asker, Own::Unheard(Watch { seq, oldest: unheard.oldest, session, node }));
            }
            self.tell_gone(asker, Gone { seq, code, delivered_only: true, session: 0, node, missed: Vec::new() });
        }
    }
}
