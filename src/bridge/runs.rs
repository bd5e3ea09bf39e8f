//! Runs: messages in one read that differ in their bodies and numbers only. What routing found out about the second of
//! them serves the rest, so that a stream costs the bridge little more than the copies.

use std::rc::Rc;

use super::link::{Body, LinkKey, Wire};
use super::member::{Member, MemberKey};
use super::router::Router;
use super::routing::watched;
use super::settling::{Broadcast, InFlight};
use super::symbols::Symbol;
use crate::wire::frame::{Head, MAX_INLINE, RawFrame, kind};
use crate::wire::reader::Arrived;

/// The messages being forwarded alike. It lasts while nothing else is looked at: then nothing that routing depends on
/// can change, but for the room that receivers have.
#[derive(Debug, Default)]
pub(super) struct Run {
    like: Option<Likeness>,
    way: Way,
    /// Bytes of a body that all receivers take.
    most: u64,
    receivers: Vec<Receiver>,
}

/// What the messages of a run have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Likeness {
    kind: u8,
    flags: u8,
    /// The slots of both names.
    names: [u8; 4],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Way {
    #[default]
    Unknown,
    /// To all `receivers`.
    Open,
    /// Each message has to be routed by itself.
    None,
}

#[derive(Clone, Copy, Debug)]
struct Receiver {
    link: LinkKey,
    slots: (u16, u16),
}

impl Likeness {
    fn of(raw: &RawFrame<'_>) -> Option<Self> {
        let RawFrame { kind, flags, payload } = *raw;
        let may_run = matches!(kind, kind::MESSAGE | kind::BROADCAST | kind::REPLY) && raw.is_plain();
        Some(Self { kind, flags, names: *payload.first_chunk()? }).filter(|_| may_run)
    }
}

impl Run {
    /// Before a read: whatever was known may have changed.
    pub(super) fn forget(&mut self) {
        (self.like, self.way) = (None, Way::Unknown);
    }
}

impl Router {
    /// Forwards a message that is like the one before it. False: nothing was done, it has to be routed.
    pub(super) fn run_on(&mut self, run: &mut Run, link: LinkKey, sender: MemberKey, frame: &Arrived<'_>) -> bool {
        let like = Likeness::of(&frame.raw);
        if like.is_none() || run.like != like {
            (run.like, run.way) = (like, Way::Unknown);
            return false;
        }
        let Ok((head, body)) = Head::decode(&frame.raw) else { return false };
        if run.way == Way::Unknown {
            run.way = self.find_way(run, link, sender, &head).map_or(Way::None, |()| Way::Open);
        }
        if run.way == Way::None {
            return false;
        }
        if head.seq == 0 || !self.takes(run, body.len()) {
            // Whatever routing does with it may close the way.
            run.way = Way::Unknown;
            return false;
        }
        let last_seq = &mut self.members[sender.place as usize].last_seq;
        *last_seq = head.seq.max(*last_seq);
        let watched = watched(sender, &head, body.len() as u64);
        let body = Body::new(body, |body| frame.share(body));
        if head.kind == kind::BROADCAST {
            let (link, receivers_left) = (self.links[link.0 as usize].serial, run.receivers.len().into());
            let broadcast = Rc::new(Broadcast { watched, link, receivers_left });
            for &receiver in &run.receivers {
                self.push_alike(receiver, head, &body, InFlight::Share(broadcast.clone()));
            }
        } else {
            self.push_alike(run.receivers[0], head, &body, InFlight::Message(watched));
        }
        true
    }

    /// Whether all receivers take a body of this length now.
    fn takes(&self, run: &Run, len: usize) -> bool {
        let has_room = |receiver: &Receiver| !self.links[receiver.link.0 as usize].is_full(self.limits.max_pending);
        len <= MAX_INLINE && len as u64 <= run.most && run.receivers.iter().all(has_room)
    }

    fn push_alike(&mut self, receiver: Receiver, head: Head, body: &Body<'_>, in_flight: InFlight) {
        self.counters.delivered.increment();
        let (peer, event) = receiver.slots;
        let link = &mut self.links[receiver.link.0 as usize];
        link.push_framed(Head { peer, event, ..head }, body, in_flight, &mut self.spares);
    }

    /// Where messages with such a head go; `None`: not all of them go the same way.
    fn find_way(&mut self, run: &mut Run, link: LinkKey, sender: MemberKey, head: &Head) -> Option<()> {
        run.most = self.limits.max_message;
        run.receivers.clear();
        let names = &self.links[link.0 as usize].native().ok()?.names;
        let name = |slot| if slot == 0 { None } else { names.get(slot).ok().copied() };
        let (peer, event) = (name(head.peer), name(head.event));
        if !self.keeps(sender) || (event.is_none() && head.kind != kind::REPLY) {
            return None;
        }
        match (head.kind, peer) {
            (kind::BROADCAST, None) if head.peer == 0 && self.grace.is_none() && self.not_ready.is_empty() => {
                let listeners: Vec<MemberKey> =
                    self.interests.listeners(event).filter(|&other| other != sender).collect();
                listeners.into_iter().try_for_each(|other| self.add_receiver(run, sender, other, head, event))?;
                (!run.receivers.is_empty()).then_some(())
            }
            (kind::MESSAGE | kind::REPLY, Some(peer)) => {
                self.add_receiver(run, sender, self.find_member(peer)?, head, event)
            }
            _ => None,
        }
    }

    fn add_receiver(
        &mut self,
        run: &mut Run,
        sender: MemberKey,
        receiver: MemberKey,
        head: &Head,
        event: Option<Symbol>,
    ) -> Option<()> {
        let Member { link, ref owed, ref rejections, expected, max_message, .. } =
            self.members[receiver.place as usize];
        let all_pass = expected == 0 && !owed.lacks_of(sender) && !rejections.ended_any();
        let link = link.filter(|_| all_pass)?;
        let from = self.note_asker(sender, receiver, head);
        let state = &mut self.links[link.0 as usize];
        let Wire::Native(native) = &mut state.wire else { return None };
        let slots = native.slots(from, event, &mut self.symbols, state.out.tail(&mut self.spares));
        self.mark_dirty(link);
        run.most = run.most.min(max_message);
        run.receivers.push(Receiver { link, slots });
        Some(())
    }
}
