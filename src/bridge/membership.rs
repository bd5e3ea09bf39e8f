//! Who is on the bus: joining, leaving, and who is told.

use bytes::Bytes;

use super::host::Event;
use super::link::{Link, LinkKey, Peer, Wire};
use super::member::{Departure, Member, MemberKey, NodeInfo};
use super::router::Router;
use super::symbols::Symbol;
use crate::error::{Code, Error, Result};
use crate::wire::control::Gone;
use crate::wire::frame::{Encoding, kind};

/// What a node says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    pub id: &'a str,
    pub pid: Option<u32>,
    /// Bytes of one message that it takes.
    pub max_message: u64,
}

impl Router {
    /// Puts a node on the bus.
    ///
    /// # Errors
    /// `ERR_DUPLICATE_NODE`.
    pub(super) fn add_member(&mut self, link: LinkKey, newcomer: &Newcomer<'_>, now: u64) -> Result<MemberKey> {
        let &Newcomer { id, pid, max_message } = newcomer;
        if self.symbols.find(id).is_some_and(|id| self.by_id.contains_key(&id)) {
            let text = format!("duplicate-node: the id '{id}' is taken");
            return Err(Error::new(Code::DuplicateNode, text));
        }
        self.incarnations = self.incarnations.wrapping_add(1);
        let place = self.members.vacant_key() as u32;
        let key = MemberKey { place, incarnation: self.incarnations };
        let symbol = self.symbols.acquire(id);
        let state = &mut self.links[link.0 as usize];
        state.member = Some(key);
        state.progress = now;
        let Peer { uid, address, since, .. } = state.peer.clone();
        let info = NodeInfo { id: id.to_owned(), pid: state.peer.pid.or(pid), uid, address, since };
        let (interests, askers) = Default::default();
        self.members.insert(Member { key, id: symbol, link, info, interests, askers, max_message, last_seq: 0 });
        self.by_id.insert(symbol, key);
        Ok(key)
    }

    /// Tells everyone that the link's node is there.
    pub(super) fn announce_join(&mut self, link: LinkKey) {
        let Some(key) = self.link(link).member else { return };
        let info = self.members[key.place as usize].info.clone();
        self.announce("node:join", format!("[{}]", info.to_json()), key);
        self.events.push_back(Event::Joined(info));
    }

    pub(super) fn remove_member(&mut self, key: MemberKey, departure: Departure) {
        let member = self.members.remove(key.place as usize);
        self.by_id.remove(&member.id);
        for event in member.interests {
            self.interests.unlisten(key, event, &mut self.symbols);
        }
        self.interests.forget(key);
        self.links[member.link.0 as usize].member = None;
        self.abandon_link(member.link);
        for asker in member.askers {
            self.tell_gone(asker, &member.info.id);
        }
        self.symbols.release(member.id);
        let reason = departure.as_str();
        self.announce("node:leave", format!("[{},\"{reason}\"]", member.info.to_json()), key);
        self.events.push_back(Event::Left(member.info, departure));
    }

    /// What the link's node will never acknowledge is settled; what it had begun to say is taken back.
    fn abandon_link(&mut self, link: LinkKey) {
        let native = match &mut self.links[link.0 as usize].wire {
            Wire::Native(native) => native,
            Wire::Legacy(legacy) => return legacy.abandon().for_each(|frame| self.settlements.frame(frame)),
            Wire::Undecided(_) => return,
        };
        for frame in native.abandon() {
            self.settlements.frame(frame);
        }
        for (_, relay) in std::mem::take(&mut native.relays) {
            self.abort_relay(relay);
        }
    }

    fn tell_gone(&mut self, asker: MemberKey, id: &str) {
        if !self.is_member(asker) {
            return;
        }
        let Member { link, last_seq, .. } = self.members[asker.place as usize];
        let Link { wire, out, .. } = &mut self.links[link.0 as usize];
        let tail = out.tail(&mut self.spares);
        match wire {
            Wire::Legacy(legacy) => legacy.push_gone(id, tail),
            _ => Gone { seq: last_seq, node: id.to_owned() }.encode(tail),
        }
        self.mark_dirty(link);
    }

    /// An event of the bridge's own for those who listen, the one it is about excepted.
    fn announce(&mut self, event: &str, body: String, about: MemberKey) {
        let Some(symbol) = self.symbols.find(event) else { return };
        let listeners: Vec<MemberKey> = self.interests.listeners(Some(symbol)).collect();
        let body = Bytes::from(body);
        for listener in listeners {
            let native = self
                .members
                .get(listener.place as usize)
                .is_some_and(|member| matches!(self.links[member.link.0 as usize].wire, Wire::Native(_)));
            if listener != about && native {
                let body = body.clone();
                self.push_from_bridge(listener, kind::BROADCAST, 0, Some(symbol), Encoding::Json, body);
                self.hold_itself_if_full(self.members[listener.place as usize].link);
            }
        }
    }

    pub(super) fn is_member(&self, key: MemberKey) -> bool {
        self.members.get(key.place as usize).is_some_and(|member| member.key == key)
    }

    /// Who has this id.
    pub(super) fn find_member(&self, id: Symbol) -> Option<MemberKey> {
        self.by_id.get(&id).copied()
    }
}
