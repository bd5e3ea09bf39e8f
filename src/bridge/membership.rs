//! Who is on the bus: joining, leaving, and who is told.

use rustc_hash::FxHashSet;

use super::host::Event;
use super::link::{LinkKey, Peer, Wire};
use super::member::{Departure, Member, MemberKey, NodeInfo};
use super::registry::{Change, Registration};
use super::router::Router;
use super::symbols::Symbol;
use crate::error::{Code, Error, Result};
use crate::wire::control::Gone;

/// What a node says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    pub id: &'a str,
    /// 0: it keeps nothing of what it says.
    pub session: u64,
    pub secret: u64,
    /// Its process: number and pid namespace.
    pub process: Option<(u32, u32)>,
    /// Bytes of one message that it takes.
    pub max_message: u64,
    /// Whether it wants to hear of memory that others share.
    pub lane: bool,
    /// Whether it was on no other bridge before.
    pub fresh: bool,
    /// Whether it takes the id over from another process of its user.
    pub replaces: bool,
}

impl Router {
    /// Puts a node on the bus.
    ///
    /// # Errors
    /// `ERR_DUPLICATE_NODE`.
    pub(super) fn add_member(&mut self, link: LinkKey, newcomer: &Newcomer<'_>, now: u64) -> Result<MemberKey> {
        let &Newcomer { id, session, secret, process, max_message, lane, fresh, replaces } = newcomer;
        // A number of another pid namespace means somebody else here, or nobody; and so do ours there.
        let near = process.filter(|&(_, namespace)| namespace != 0 && namespace == self.welcome.namespace);
        if let Some(member) = self.symbols.find(id).and_then(|id| self.find_member(id)) {
            let Member { link: owner, ref info, .. } = self.members[member.place as usize];
            if let Some(owner) = owner.filter(|&owner| replaces && self.have_one_user(owner, link)) {
                self.replace(owner, member);
            } else if owner.is_some() {
                let whose =
                    info.pid.filter(|_| near.is_some()).map(|pid| format!(" by process {pid}")).unwrap_or_default();
                let text = format!("duplicate-node: the id '{id}' is taken{whose}");
                return Err(Error::new(Code::DuplicateNode, text));
            }
            if owner.is_none() {
                self.remove_member(member, Departure::Replaced);
            }
        }
        self.incarnations = self.incarnations.wrapping_add(1);
        let place = self.members.vacant_key() as u32;
        let key = MemberKey { place, incarnation: self.incarnations };
        let symbol = self.symbols.acquire(id);
        let state = &mut self.links[link.0 as usize];
        state.member = Some(key);
        state.progress = now;
        let Peer { uid, address, since, .. } = state.peer.clone();
        let pid = state.peer.pid.or(near.map(|(pid, _)| pid));
        let info = NodeInfo { id: id.to_owned(), pid, uid, address, since };
        let identity = self.identity_of(session);
        let (interests, askers, owed, owing, unfinished, rejections) = Default::default();
        self.members.insert(Member {
            key,
            id: symbol,
            session,
            secret,
            identity,
            link: Some(link),
            info,
            expected: 0,
            unanswered: 0,
            fresh,
            leaving: false,
            interests,
            askers,
            max_message,
            lane,
            last_seq: 0,
            owed,
            owing,
            unfinished,
            away: None,
            rejections,
            collector: None,
        });
        self.by_id.insert(symbol, key);
        self.by_name.insert(self.symbols.name(symbol).clone(), key);
        Ok(key)
    }

    /// Whether both links are of the same user, by the kernel's word.
    fn have_one_user(&self, one: LinkKey, other: LinkKey) -> bool {
        let user = |link: LinkKey| self.links[link.0 as usize].peer.uid;
        user(one).is_some() && user(one) == user(other)
    }

    /// Another process takes the id of a node that is there, which is told.
    fn replace(&mut self, link: LinkKey, member: MemberKey) {
        self.remove_member(member, Departure::Replaced);
        self.reject(link, Code::Replaced, "another process of the same user took this id over");
    }

    /// Tells everyone that the link's node is there: those who listen for it only if that is news. `fresh`: nobody
    /// who was not told that it had left can know it.
    pub(super) fn announce_join(&mut self, link: LinkKey, is_news: bool, fresh: bool) {
        let Some(key) = self.link(link).member else { return };
        let member = &self.members[key.place as usize];
        let registration = member.registration();
        if is_news {
            let Registration { info, identity, .. } = &registration;
            let body = format!("[{},{fresh},\"{identity:x}\"]", info.to_json());
            self.announce("node:join", body, Some(key));
        }
        self.events.push_back(Event::Joined(registration.info.clone()));
        self.changes.push(Change::Joined(link, registration));
    }

    /// The end of a node, whatever led to it: it is untied from all tables, and whoever sent it something that it may not
    /// have got, or waits for something of it, is told.
    pub(super) fn remove_member(&mut self, key: MemberKey, departure: Departure) {
        // What was acknowledged before it went did reach it.
        self.tell_settled();
        self.forgive_all(key);
        self.forget_keeper(key);
        self.forget_collector(key);
        self.forget_awaited_by(key);
        self.forget_interests(key);
        let mut member = self.members.remove(key.place as usize);
        self.away -= usize::from(member.away.is_some());
        self.not_ready.retain(|&other| other != key);
        if self.find_member(member.id) == Some(key) {
            self.by_id.remove(&member.id);
            self.by_name.remove(&**self.symbols.name(member.id));
        }
        self.interests.forget(key);
        // Whoever has its id next may hear nothing before what these say first.
        for keeper in member.owed.keepers().filter(|&keeper| self.keeps(keeper)).collect::<Vec<_>>() {
            self.note_kept_back(member.id, keeper);
        }
        let lost = self.take_undelivered(&mut member);
        if let Some(link) = member.link {
            self.links[link.0 as usize].member = None;
            self.abandon_relays(link);
        }
        let told = self.tell_undelivered(&member, departure, lost);
        self.tell_of_departure(&member, departure, &told);
        self.symbols.release(member.id);
    }

    pub(super) fn forget_interests(&mut self, key: MemberKey) {
        for event in std::mem::take(&mut self.members[key.place as usize].interests) {
            self.interests.unlisten(key, event, &mut self.symbols);
        }
    }

    fn tell_of_departure(&mut self, member: &Member, departure: Departure, told: &FxHashSet<MemberKey>) {
        let gone = || {
            let (session, node) = (member.session, member.info.id.clone());
            Gone { delivered_only: false, ..Gone::of_begun(session, node) }
        };
        for &reader in member.unfinished.keys() {
            self.tell_gone(reader, gone());
        }
        // Who may be at work on a question of its.
        for asked in self.asked_by(member.key) {
            if !told.contains(&asked) && !member.unfinished.contains_key(&asked) {
                self.tell_gone(asked, gone());
            }
        }
        self.announce_leave(&member.registration(), departure);
        self.events.push_back(Event::Left(member.info.clone(), departure));
    }

    /// Whom a node that is gone had asked something, who forget it with this.
    fn asked_by(&mut self, asker: MemberKey) -> Vec<MemberKey> {
        let asked = self.members.iter_mut().filter_map(|(_, member)| member.askers.remove(&asker).map(|_| member.key));
        let asked: Vec<MemberKey> = asked.collect();
        asked.into_iter().filter(|&asked| !self.is_legacy(asked)).collect()
    }

    /// Tells everyone who listens for it that a node is not on the bus any more.
    pub(super) fn announce_leave(&mut self, gone: &Registration, departure: Departure) {
        let Registration { info, identity, .. } = gone;
        let body = format!("[{},\"{}\",\"{identity:x}\"]", info.to_json(), departure.as_str());
        self.announce("node:leave", body, None);
        self.changes.push(gone.gone());
    }

    /// What the link's node had begun to say is taken back.
    fn abandon_relays(&mut self, link: LinkKey) {
        let Wire::Native(native) = &mut self.links[link.0 as usize].wire else { return };
        for relay in std::mem::take(&mut native.relays).into_values() {
            self.abort_relay(relay);
        }
    }

    pub(super) fn is_member(&self, key: MemberKey) -> bool {
        self.members.get(key.place as usize).is_some_and(|member| member.key == key)
    }

    /// Whether a node keeps what it said until that is settled, so that it can be asked to say it again.
    pub(super) fn keeps(&self, key: MemberKey) -> bool {
        self.members.get(key.place as usize).is_some_and(|member| member.key == key && member.session != 0)
    }

    /// Bytes of one message that a node takes, and its bridge.
    pub(super) fn most_taken_by(&self, key: MemberKey) -> u64 {
        self.members[key.place as usize].max_message.min(self.limits.max_message)
    }

    /// Who has this id.
    pub(super) fn find_member(&self, id: Symbol) -> Option<MemberKey> {
        self.by_id.get(&id).copied()
    }
}
