//! Nodes that lost their link: their place is kept for a while, and they take it again on another.

use super::link::{Link, LinkKey, Wire};
use super::member::{Away, Departure, Member, MemberKey};
use super::router::Router;
use super::settling::InFlight;
use crate::error::Code;
use crate::wire::control::{Gone, Hello};

impl Router {
    /// The link is over and its node may come back: its place is kept. What it did not acknowledge is owed to it.
    pub(super) fn keep_place(&mut self, key: MemberKey) {
        let Some(link) = self.members[key.place as usize].link.take() else { return };
        self.links[link.0 as usize].member = None;
        self.away += 1;
        // If it had not said all that it listens for, that stays unknown until the next link: it may be meant by any broadcast.
        self.members[key.place as usize].away = Some(Box::new(Away { since: self.now, ..Away::default() }));
        self.forget_collector(key);
        let Link { wire: Wire::Native(native), .. } = &mut self.links[link.0 as usize] else { return };
        let relays = std::mem::take(&mut native.relays);
        for frame in native.abandon() {
            self.not_acknowledged(key, frame);
        }
        for relay in relays.into_values() {
            self.suspend_relay(key, relay);
        }
    }

    /// The node's link is over; returns whether its place is kept.
    pub(super) fn let_go(&mut self, key: MemberKey, departure: Departure) -> bool {
        let may_resume = self.keeps(key) && self.limits.resume_timeout > 0 && !self.ends;
        let kept = may_resume && departure == Departure::Died;
        if kept {
            self.keep_place(key);
        } else {
            self.remove_member(key, departure);
        }
        kept
    }

    fn not_acknowledged(&mut self, receiver: MemberKey, frame: InFlight) {
        match frame {
            InFlight::Unwatched | InFlight::Part { .. } => {}
            InFlight::Own(own) => self.tell(receiver, *own),
            frame => match frame.sender() {
                Some(sender) if self.keeps(sender) => self.owe(sender, receiver, 0, frame),
                // It keeps nothing: whatever it asked is lost, and it is told so when it waits for an answer.
                Some(sender) => {
                    self.settlements.frame(frame);
                    self.tell_lost(sender, receiver);
                }
                None => {}
            },
        }
    }

    /// `sender` keeps nothing, and something it said to `receiver` is lost.
    pub(super) fn tell_lost(&mut self, sender: MemberKey, receiver: MemberKey) {
        if self.is_member(sender) && self.members[receiver.place as usize].askers.remove(&sender).is_some() {
            let seq = self.members[sender.place as usize].last_seq;
            let Member { session, ref info, .. } = self.members[receiver.place as usize];
            let (code, node) = (Code::NodeLeft, info.id.clone());
            self.tell_gone(sender, Gone { seq, code, delivered_only: false, session, node, missed: Vec::new() });
        }
    }

    /// A node speaks on another link: whatever is on the one it had is lost.
    pub(super) fn leave_old_link(&mut self, key: MemberKey) {
        if let Some(old) = self.members[key.place as usize].link {
            self.keep_place(key);
            self.drop_link(old);
        }
    }

    /// The node of `key`, which is away, is back on another link.
    pub(super) fn resume(&mut self, key: MemberKey, link: LinkKey, hello: &Hello) {
        self.counters.resumed.increment();
        let now = self.now;
        let state = &mut self.links[link.0 as usize];
        (state.member, state.progress) = (Some(key), now);
        let address = state.peer.address.clone();
        let member = &mut self.members[key.place as usize];
        member.link = Some(link);
        member.max_message = hello.max_message;
        member.expected = hello.listens;
        member.info.address = address;
        self.not_ready.retain(|&other| other != key);
        if hello.listens > 0 {
            self.not_ready.push(key);
        }
        let member = &mut self.members[key.place as usize];
        let away = member.away.take();
        self.away -= usize::from(away.is_some());
        // It says anew what it listens for, which may have changed while it was away.
        self.forget_interests(key);
        self.forgive_all(key);
        self.forget_keeper(key);
        self.ask_again(key);
        self.welcome(link, true);
        // On another bridge it heard other messages.
        let heard = if hello.epoch == self.welcome.epoch { hello.heard } else { 0 };
        self.tell_again(key, away.into_iter().flat_map(|away| away.own), heard);
    }

    /// Closes a link of which nothing is heard and to which nothing is said any more.
    fn drop_link(&mut self, link: LinkKey) {
        self.forget_last_words(link);
        self.close_when_written(link);
    }

    /// The node's process is gone: nobody will come back for its place.
    pub fn forsake(&mut self, key: MemberKey, now: u64) {
        self.now = now;
        if self.is_away(key) {
            self.remove_member(key, Departure::Died);
            self.tell_settled();
        }
    }

    /// Whether the node's place is kept.
    pub fn is_away(&self, key: MemberKey) -> bool {
        self.is_member(key) && self.members[key.place as usize].away.is_some()
    }

    /// Whether a node that is away cannot be told all it missed.
    pub(super) fn has_lost_its_place(&self, key: MemberKey) -> bool {
        self.members[key.place as usize].away.as_ref().is_some_and(|away| away.overflown)
    }

    /// Gives up the places of those who did not come back in time, or for whom too much waits.
    pub(super) fn expire_places(&mut self) {
        if self.away == 0 {
            return;
        }
        let timeout = u64::from(self.limits.resume_timeout);
        let expired = |member: &Member| {
            let away = member.away.as_ref()?;
            let over = self.now.saturating_sub(away.since) >= timeout || away.overflown;
            over.then_some(member.key)
        };
        let expired: Vec<MemberKey> = self.members.iter().filter_map(|(_, member)| expired(member)).collect();
        for key in expired {
            self.remove_member(key, Departure::TimedOut);
        }
    }
}
