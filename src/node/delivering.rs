//! What others say to a node: told news from what has come, and put in order.

use std::hash::BuildHasher;
use std::rc::Rc;

use rustc_hash::FxBuildHasher;

use super::client::Client;
use super::event::{Delivery, Event, Name, Payload};
use super::inbox::Held;
use super::untaken::Released;
use crate::error::{Code, Result};
use crate::senders::{News, Sender};
use crate::wire::frame::{Encoding, Head, decode_large_head, decode_refusal, flag, kind, malformed};
use crate::wire::names::MAX_SLOT;
use crate::wire::reader::Arrived;

/// Slots that no bridge uses, for messages that waited: the slots they came with may stand for others by now.
const WAITED_FROM: u16 = MAX_SLOT + 1;
const WAITED_EVENT: u16 = MAX_SLOT + 2;

impl Client {
    /// The commonest frame: a small message of another node, which is news, while nothing waits. `None`: it is another,
    /// and nothing was done.
    // A call would return this through memory, which takes longer than the rest.
    #[inline(always)]
    pub fn plain_delivery<'a>(&mut self, frame: &Arrived<'a>) -> Option<Delivery<'a>> {
        let raw = &frame.raw;
        if !matches!(raw.kind, kind::MESSAGE | kind::BROADCAST) || !raw.is_plain() || !self.inbox.is_empty() {
            return None;
        }
        let (head, body) = Head::decode(raw).ok()?;
        let sender = self.names.get(head.peer).ok()?.sender.as_ref()?;
        if sender.news(head.seq) != News::New || self.names.get(head.event).is_err() {
            return None;
        }
        sender.said(head.seq);
        self.received += 1;
        Some(Delivery::new(head, Payload::Borrowed(body)))
    }

    /// Any other message, reply or refusal.
    pub(super) fn routed<'a>(&mut self, head: Head, body: &'a [u8]) -> Result<Option<Event<'a>>> {
        self.check_routed(&head, body)?;
        if !self.inbox.is_empty() {
            self.pass_over(&head)?;
        }
        let news = self.sender_of(&head)?.map_or(News::New, |sender| sender.news(head.seq));
        if head.is_large() {
            self.open_large(head, body, news)?;
        }
        match news {
            News::New => {}
            News::Old => self.refuse_given_up(&head)?,
            News::Late => self.refuse_late(&head)?,
        }
        if head.is_large() || news != News::New {
            if let Some(sender) = self.sender_of(&head)?.filter(|_| news == News::Old && !head.is_large()).cloned() {
                self.came_again(&sender, head.seq);
            }
            return Ok(None);
        }
        let mut body = Payload::Borrowed(body);
        if head.is_shared() {
            let Some(fetched) = self.fetch(&head, body.bytes())? else { return Ok(None) };
            body = Payload::Owned(fetched);
        }
        if let Some(sender) = self.sender_of(&head)? {
            if !self.inbox.is_empty() && self.inbox.holds(sender) {
                let names = self.names_of(&head)?;
                let released = self.inbox.wait(head, names, body, self.received);
                self.defer_what_waits();
                return released.into_iter().try_for_each(|held| self.release(held)).map(|()| None);
            }
            sender.said(head.seq);
        }
        self.event(head, body)
    }

    /// What is malformed has not come: it is found before anything is noted of it.
    fn check_routed(&self, head: &Head, body: &[u8]) -> Result<()> {
        for slot in [head.peer, head.event].into_iter().filter(|&slot| slot != 0) {
            self.names.get(slot)?;
        }
        let names_event = matches!(head.kind, kind::MESSAGE | kind::BROADCAST);
        if names_event && head.event == 0 {
            return Err(malformed("a message without an event"));
        }
        if matches!(head.kind, kind::REFUSE | kind::CANCEL) && !head.is_large() {
            decode_refusal(body)?;
        }
        Ok(())
    }

    /// A message was said when this node was not there, and comes behind later ones: its order is lost, so it is refused.
    /// A broadcast that comes for the first time concerned others when it was said.
    fn refuse_late(&mut self, head: &Head) -> Result<()> {
        let (from, event) = self.names_of(head)?;
        let began = from.sender.as_ref().is_some_and(|sender| self.inbox.had_begun(sender, head.seq));
        if began || head.kind != kind::BROADCAST {
            let text = format!("unknown-node: '{}' was not there when this was said", self.config.id);
            self.not_delivered(head, &from.text, &event.text, Code::UnknownNode, &text);
        }
        Ok(())
    }

    /// A question is said again that had come when a bridge gave its asker up: what it was answered since is lost.
    fn refuse_given_up(&mut self, head: &Head) -> Result<()> {
        let given_up = self.sender_of(head)?.is_some_and(|asker| (1..=asker.given_up()).contains(&head.seq));
        if given_up && head.kind == kind::MESSAGE && head.asks() {
            let (from, event) = self.names_of(head)?;
            let text = format!("'{}' was told that you had left the bus before it replied", self.config.id);
            self.refuse_to(&from.text, &event.text, head.correlation, Code::NodeLeft, &text);
        }
        Ok(())
    }

    /// Too much waited behind a large message that was not whole.
    fn refuse_unfinished(&mut self, held: &Held) {
        let Held { head, from, event, .. } = held;
        // Should its sender say it again, it has come.
        from.sender.iter().for_each(|sender| sender.said(head.seq));
        let text = format!(
            "more than '{}' may keep (maxPending) waited behind this message, which was not whole",
            self.config.id
        );
        self.not_delivered(head, &from.text, &event.text, Code::QueueFull, &text);
    }

    /// The end of a message that came and is not delivered: its sender is told, or whoever waits for it here.
    pub(super) fn not_delivered(&mut self, head: &Head, from: &str, event: &str, code: Code, text: &str) {
        let correlation = head.correlation;
        match head.kind {
            kind::MESSAGE | kind::BROADCAST => self.refuse_to(from, event, correlation, code, text),
            _ if self.requests.answer(correlation, from) => {
                self.events.push_back(Event::Failed { correlation, code, text: text.to_owned() });
            }
            _ => {}
        }
    }

    /// Who says a message that is numbered; `None`: it is not.
    pub(super) fn sender_of(&self, head: &Head) -> Result<Option<&Rc<Sender>>> {
        Ok(if head.flags & flag::OWN != 0 {
            Some(&self.own)
        } else if head.flags & flag::BRIDGE != 0 || head.peer == 0 {
            None
        } else {
            self.names.get(head.peer)?.sender.as_ref()
        })
    }

    fn pass_over(&mut self, head: &Head) -> Result<()> {
        let Some(sender) = self.sender_of(head)?.cloned() else { return Ok(()) };
        let released = self.inbox.pass(&sender, head.seq);
        released.into_iter().try_for_each(|held| self.release(held))
    }

    fn open_large(&mut self, head: Head, opening: &[u8], news: News) -> Result<()> {
        let (stream, total) = decode_large_head(opening)?;
        if total > self.config.max_message {
            return Err(malformed("a message larger than this node said it takes"));
        }
        let names = self.names_of(&head)?;
        if news != News::New {
            self.inbox.ignore(stream, total, names.0.sender.map(|sender| (sender, head.seq)));
            return Ok(());
        }
        self.inbox.open(head, names, stream, total)
    }

    fn event<'a>(&mut self, head: Head, body: Payload<'a>) -> Result<Option<Event<'a>>> {
        let Head { kind, peer, correlation, .. } = head;
        let encoding = head.encoding();
        match kind {
            kind::REPLY => {
                let from = self.names_of(&head)?.0.text;
                Ok(self.replied(&from, correlation, encoding, body))
            }
            kind::REFUSE => {
                let names = self.names_of(&head)?;
                self.refused(head, names, body)
            }
            kind::CANCEL => Self::given_up(self.names_of(&head)?.0, correlation, body.bytes()),
            _ => {
                // Names must be known before JavaScript is told to use them; 0, the bridge, has none.
                if peer != 0 {
                    self.names.get(peer)?;
                }
                self.names.get(head.event)?;
                Ok(Some(Event::Delivery(Delivery::new(head, body))))
            }
        }
    }

    fn replied<'a>(
        &mut self,
        from: &str,
        correlation: u32,
        encoding: Encoding,
        body: Payload<'a>,
    ) -> Option<Event<'a>> {
        let waited_for = self.requests.answer(correlation, from);
        waited_for.then_some(Event::Reply { correlation, encoding, body })
    }

    fn refused<'a>(&mut self, head: Head, (node, event): (Name, Name), body: Payload<'_>) -> Result<Option<Event<'a>>> {
        let (code, text) = decode_refusal(body.bytes())?;
        let (node, event, text) = (node.text, event.text, text.to_owned());
        let by_bridge = head.flags & flag::BRIDGE != 0;
        if by_bridge && head.flags & flag::OWN == 0 && !self.refused_by_bridge(head.seq, &node) {
            return Ok(None);
        }
        if head.correlation == 0 {
            return Ok(Some(Event::Undeliverable { node, event, code }));
        }
        // The bridge may refuse on anybody's behalf, a node only on its own.
        let ended = match by_bridge {
            true => self.requests.cancel(head.correlation),
            false => self.requests.answer(head.correlation, &node),
        };
        Ok(ended.then_some(Event::Failed { correlation: head.correlation, code, text }))
    }

    /// The bridge refused a message to `node`; returns whether that is news. A broadcast goes on to others: said again, it is
    /// refused again.
    fn refused_by_bridge(&mut self, seq: u64, node: &str) -> bool {
        let Some(entry) = self.outbox.get(seq) else { return false };
        if entry.kind == kind::BROADCAST {
            return self.is_newly_missed(seq, FxBuildHasher.hash_one(node));
        }
        self.settle(seq);
        true
    }

    /// Delivers what waited. Its slots may stand for others by now.
    pub(super) fn release(&mut self, held: Held) -> Result<()> {
        if !held.is_whole() {
            self.refuse_unfinished(&held);
            return Ok(());
        }
        let Held { head, from, event, body, frames, .. } = held;
        from.sender.iter().for_each(|sender| sender.said(head.seq));
        if matches!(head.kind, kind::MESSAGE | kind::BROADCAST) {
            self.released.push_back(Released { sender: from.sender.clone(), seq: head.seq, frames });
        } else {
            self.undefer(&frames);
        }
        let (encoding, body) = (head.encoding(), Payload::Owned(body));
        let event = match head.kind {
            kind::REPLY => self.replied(&from.text, head.correlation, encoding, body),
            kind::REFUSE => self.refused(head, (from, event), body)?,
            kind::CANCEL => Self::given_up(from, head.correlation, body.bytes())?,
            kind => {
                self.events.push_back(Event::Name { slot: WAITED_EVENT, name: event.text, session: None });
                let from = if head.peer == 0 {
                    0
                } else {
                    let session = from.session();
                    self.events.push_back(Event::Name { slot: WAITED_FROM, name: from.text, session });
                    WAITED_FROM
                };
                let head = Head { kind, peer: from, event: WAITED_EVENT, ..head };
                Some(Event::Delivery(Delivery::new(head, body)))
            }
        };
        self.events.extend(event);
        Ok(())
    }

    /// A delivery that came by no [`poll_event`](Self::poll_event) is about to be given to the program, with this slot of
    /// its sender. If the program puts it aside, it is not acknowledged until it is taken.
    pub fn note_delivery(&mut self, from: u16) {
        if !self.untaken.is_paused() {
            return;
        }
        let sender = self.names.get(from).ok().and_then(|name| name.sender.clone());
        let seq = sender.as_ref().map_or(0, |sender| sender.last());
        let frames = if sender.is_some() { &[self.received][..] } else { &[] };
        self.untaken.put(sender, seq, frames);
    }

    /// The same with one that waited.
    pub(super) fn hand_out_released(&mut self) {
        let Some(Released { sender, seq, frames }) = self.released.pop_front() else { return };
        if self.untaken.is_paused() {
            self.untaken.put(sender, seq, &frames);
        } else {
            self.undefer(&frames);
        }
    }

    fn undefer(&mut self, frames: &[u64]) {
        frames.iter().for_each(|&frame| self.untaken.undefer(frame, self.acknowledged));
    }

    /// The frame that has just come made something whole, or wait, in the inbox.
    pub(super) fn defer_what_waits(&mut self) {
        if self.inbox.has_noted() {
            self.untaken.defer(self.received);
        }
    }

    /// The frame that has just come ends message `seq` of `sender`, which had come before and may not be taken yet.
    pub(super) fn came_again(&mut self, sender: &Rc<Sender>, seq: u64) {
        self.inbox.came_again(sender, seq, self.received);
        self.defer_what_waits();
        self.untaken.came_again(sender, seq, self.received);
    }

    /// From now on the program puts aside what it is given, until it has taken all of that; or it does not any more.
    pub fn pause(&mut self, paused: bool) {
        self.untaken.pause(paused);
    }

    /// Whether it puts aside what it is given.
    pub fn is_paused(&self) -> bool {
        self.untaken.is_paused()
    }

    /// The program takes the first of what it has put aside.
    pub fn take(&mut self) {
        self.untaken.take(self.acknowledged);
    }

    pub(super) fn names_of(&self, head: &Head) -> Result<(Name, Name)> {
        let nobody = || Name { text: "".into(), sender: (head.flags & flag::OWN != 0).then(|| self.own.clone()) };
        let name = |slot| if slot == 0 { Ok(nobody()) } else { self.names.get(slot).cloned() };
        Ok((name(head.peer)?, name(head.event)?))
    }
}
