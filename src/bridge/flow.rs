//! How links end, and who waits for whom: rejections, cuts, held senders, settlements.

use super::link::{Link, LinkKey, Wire};
use super::member::{Departure, MemberKey};
use super::router::Router;
use crate::error::Code;
use crate::wire::control::{Settled, put_reject};
use crate::wire::frame::encode_preamble;

impl Router {
    /// Tells the other side why, and closes. A node that keeps what it said may come back, and say the rest.
    pub(super) fn reject(&mut self, link: LinkKey, code: Code, text: &str) {
        let kept = self.links[link.0 as usize].member.is_some_and(|member| self.let_go(member, Departure::Died));
        let state = &mut self.links[link.0 as usize];
        if kept && !state.out.is_unused() {
            // All of it is said again on the next link.
            state.out.keep_started(&mut self.spares);
        }
        let tail = state.out.tail(&mut self.spares);
        match state.wire {
            Wire::Undecided(_) => {
                encode_preamble(tail);
                put_reject(code, text, tail);
            }
            Wire::Native(_) => put_reject(code, text, tail),
            Wire::Legacy(_) => {}
        }
        self.close_when_written(link);
    }

    pub(super) fn cut(&mut self, link: LinkKey) {
        self.counters.cut.increment();
        if let Some(member) = self.link(link).member {
            self.remove_member(member, Departure::Cut);
        }
        let state = &mut self.links[link.0 as usize];
        state.cut = true;
        state.out.keep_started(&mut self.spares);
        if matches!(state.wire, Wire::Native(_)) {
            let unread = state.out.is_unused();
            let tail = state.out.tail(&mut self.spares);
            if unread {
                encode_preamble(tail);
            }
            put_reject(Code::SlowNode, "cut off: it did not read while its queue was full", tail);
        }
        self.close_when_written(link);
    }

    /// Whether others wait until the link has room, which is for its node to make.
    pub(super) fn is_waited_for(&self, link: LinkKey) -> bool {
        let Link { holding, member, out, .. } = &self.links[link.0 as usize];
        let owed = member.is_some_and(|member| self.members[member.place as usize].owed.is_waited_for());
        let idle = out.is_empty() && self.links[link.0 as usize].unacknowledged() == 0;
        !holding.is_empty() || (owed && !idle)
    }

    /// Nothing more is heard or said, and nobody waits for it any longer. Its last words get a stall's time.
    pub(super) fn close_when_written(&mut self, link: LinkKey) {
        self.release_held(link);
        let now = self.now;
        let state = self.link(link);
        (state.closing, state.progress) = (true, now);
        self.mark_dirty(link);
    }

    /// Gives up what a closing link does not read, so that its driver closes it.
    pub(super) fn forget_last_words(&mut self, link: LinkKey) {
        self.links[link.0 as usize].out.clear(&mut self.spares);
        self.mark_dirty(link);
    }

    pub(super) fn mark_dirty(&mut self, link: LinkKey) {
        let state = &mut self.links[link.0 as usize];
        if !state.dirty {
            state.dirty = true;
            self.dirty.push(link);
        }
    }

    /// Stops reading the sender while the receiver's queue is full.
    pub(super) fn hold_if_full(&mut self, sender: MemberKey, receiver: LinkKey) {
        let (state, most) = (&self.links[receiver.0 as usize], self.limits.max_pending);
        let has_to_wait = state.is_clogged(most) || (state.has_put_aside(most) && !self.keeps(sender));
        if has_to_wait && let Some(sender) = self.members.get(sender.place as usize).and_then(|member| member.link) {
            self.hold(sender, receiver);
        }
    }

    /// Stops reading a link that does not read the bridge's own answers and announcements.
    pub(super) fn hold_itself_if_full(&mut self, link: LinkKey) {
        let state = &self.links[link.0 as usize];
        if state.out.len() > self.limits.max_pending && !state.closing {
            self.hold(link, link);
        }
    }

    fn hold(&mut self, sender: LinkKey, receiver: LinkKey) {
        if self.link(sender).held_by.is_some() {
            return;
        }
        self.link(sender).held_by = Some(receiver);
        let receiver = &mut self.links[receiver.0 as usize];
        if receiver.holding.is_empty() {
            // Only now does its stall begin.
            receiver.progress = self.now;
            self.full += 1;
        }
        receiver.holding.push(sender);
    }

    /// The link took something: those who wait for it may go on when there is room.
    pub(super) fn let_go_if_room(&mut self, link: LinkKey) {
        let state = &mut self.links[link.0 as usize];
        state.progress = self.now;
        let most = self.limits.max_pending;
        if state.holding.is_empty() || !state.has_room(most) {
            return;
        }
        let put_aside = state.has_put_aside(most / 2);
        self.release_held_if(link, |router, sender| {
            // Whoever keeps nothing waits until enough of what was put aside is taken.
            let keeps = router.links[sender.0 as usize].member.is_some_and(|member| router.keeps(member));
            keeps || !put_aside
        });
    }

    pub(super) fn release_held(&mut self, link: LinkKey) {
        self.release_held_if(link, |_, _| true);
    }

    fn release_held_if(&mut self, link: LinkKey, mut is_free: impl FnMut(&Self, LinkKey) -> bool) {
        let held = std::mem::take(&mut self.links[link.0 as usize].holding);
        let was_full = !held.is_empty();
        let (free, held): (Vec<_>, Vec<_>) = held.into_iter().partition(|&sender| is_free(self, sender));
        self.full -= usize::from(was_full && held.is_empty());
        self.links[link.0 as usize].holding = held;
        for sender in free {
            self.link(sender).held_by = None;
            self.resumed.push(sender);
        }
    }

    pub(super) fn tell_settled(&mut self) {
        if self.settlements.is_empty() {
            return;
        }
        for (sender, settled) in self.settlements.take() {
            let Some(member) = self.members.get(sender.place as usize).filter(|member| member.key == sender) else {
                continue;
            };
            // Whoever is away says again all that it does not know to be settled.
            let Some(link) = member.link else { continue };
            let state = &mut self.links[link.0 as usize];
            if matches!(state.wire, Wire::Native(_)) {
                let settled = Settled { window: self.welcome.window, ..settled };
                settled.encode(state.out.tail(&mut self.spares));
                self.mark_dirty(link);
            }
        }
    }
}
