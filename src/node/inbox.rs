//! Large messages on their way in. What one sender says behind a large message waits for it, so that its order
//! holds, even if the rest of it comes over another link; everybody else's messages pass.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::event::{Name, Payload};
use crate::error::Result;
use crate::pool::{Lease, Pool};
use crate::senders::Sender;
use crate::wire::control::charge;
use crate::wire::frame::{Head, flag, malformed};

/// A message with the names its slots stood for when it came.
#[derive(Debug)]
pub struct Held {
    pub head: Head,
    pub from: Name,
    pub event: Name,
    pub body: Lease,
    /// The frames that brought it, by number: the last one of each time it was said on this link.
    pub frames: Vec<u64>,
    stream: u32,
    left: u64,
    total: u64,
    /// What came of it is lost; it will be said again.
    lost: bool,
}

/// A body gets room for no more than this before more of it has come: announcing costs nothing, memory does.
const FIRST_ROOM: usize = 1024 * 1024;

/// Messages that are incomplete, or wait behind one that is.
///
/// What waits behind a sender's unfinished message is bounded: beyond, the unfinished one is given up, for its sender
/// keeps announcing and not sending.
#[derive(Debug)]
pub struct Inbox {
    pool: Pool,
    queues: HashMap<Key, Queue>,
    streams: HashMap<u32, Key>,
    /// Bytes that wait behind unfinished messages.
    waiting: usize,
    most_waiting: usize,
    /// Streams of which nothing is wanted.
    ignored: HashMap<u32, Ignored>,
    /// A message that came before, and has just come again.
    passed_over: Option<Said>,
    /// Whether the last frame is among those of a message in here.
    noted: bool,
    begun: Begun,
}

/// Who said something, and its number.
type Said = (Rc<Sender>, u64);

/// A stream of which nothing is wanted.
#[derive(Debug)]
struct Ignored {
    /// Bytes that may still come of it.
    left: u64,
    /// What comes by it again.
    said: Option<Said>,
}

/// Messages that had begun to come and are not waited for any longer: the latest 1024. Should one be said again, it is
/// told from what was never for this node.
#[derive(Debug, Default)]
struct Begun(VecDeque<(Rc<Sender>, u64)>);

impl Begun {
    const MOST: usize = 1024;

    fn note(&mut self, sender: &Rc<Sender>, seq: u64) {
        if self.0.len() == Self::MOST {
            self.0.pop_front();
        }
        self.0.push_back((sender.clone(), seq));
    }

    fn take(&mut self, sender: &Rc<Sender>, seq: u64) -> bool {
        let at = self.0.iter().position(|(other, begun)| Rc::ptr_eq(other, sender) && *begun == seq);
        at.and_then(|at| self.0.remove(at)).is_some()
    }
}

/// A sender's place in memory, which stays while its queue refers to it.
type Key = *const Sender;

/// What one sender said, in order, from the first message that is not whole.
#[derive(Debug)]
struct Queue {
    sender: Rc<Sender>,
    messages: VecDeque<Held>,
}

impl Inbox {
    /// An empty one, whose bodies come from `pool`, and in which at most so many bytes wait.
    pub fn new(pool: Pool, most_waiting: usize) -> Self {
        let (queues, streams, ignored, begun) = Default::default();
        Self { pool, queues, streams, waiting: 0, most_waiting, ignored, passed_over: None, noted: false, begun }
    }

    /// The link is gone: what was not whole will be said again, or its sender be called gone. Whoever keeps nothing says
    /// nothing again; returns what waited behind that.
    pub fn link_lost(&mut self) -> Vec<Held> {
        self.streams.clear();
        self.ignored.clear();
        for held in self.queues.values_mut().flat_map(|queue| &mut queue.messages) {
            held.frames.clear();
            held.lose();
        }
        self.gone(|sender| sender.session == 0)
    }

    /// Whether no sender has anything here: the common case, in which nothing need be looked up.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// A buffer for a body of so many bytes.
    pub fn lease(&self, len: usize) -> Lease {
        self.pool.lease(len)
    }

    /// Whether messages of `sender` have to wait.
    pub fn holds(&self, sender: &Rc<Sender>) -> bool {
        self.queues.contains_key(&Rc::as_ptr(sender))
    }

    /// The senders of what will be said again, and the number of the first of it.
    pub fn awaited(&self) -> impl Iterator<Item = (&Rc<Sender>, u64)> {
        self.queues.values().filter_map(|queue| {
            let first = queue.messages.iter().find(|held| held.lost)?;
            Some((&queue.sender, first.head.seq))
        })
    }

    /// The same of one sender.
    pub fn awaited_of(&self, id: &str, session: u64) -> Option<(&Rc<Sender>, u64)> {
        self.awaited().find(|(sender, _)| *sender.id == *id && sender.session == session)
    }

    /// This node was given up: whoever asked what waits here was told that there will be no answer.
    pub fn forget_questions(&mut self) {
        let held = self.queues.values_mut().flat_map(|queue| &mut queue.messages);
        held.for_each(|held| held.head.flags &= !flag::ASK);
    }

    /// Whether message `seq` of a sender had begun to come and was not waited for. Asked once, it is forgotten.
    pub fn had_begun(&mut self, sender: &Rc<Sender>, seq: u64) -> bool {
        self.begun.take(sender, seq)
    }

    /// The number of the first message of that sender that waits here; it has come, even if it is not delivered yet.
    pub fn first_of(&self, id: &str, session: u64) -> Option<u64> {
        let of_it = |queue: &&Queue| *queue.sender.id == *id && queue.sender.session == session;
        self.queues.values().find(of_it)?.messages.front().map(|held| held.head.seq)
    }

    /// A large message begins.
    pub fn open(&mut self, head: Head, (from, event): (Name, Name), stream: u32, total: u64) -> Result<()> {
        if total == 0 || self.streams.contains_key(&stream) || self.ignored.contains_key(&stream) {
            return Err(malformed("a large message that is empty or open already"));
        }
        let sender = from.sender.clone().unwrap_or_else(|| Sender::new(from.text.clone(), 0));
        let body = self.pool.lease(0);
        let held = Held { head, from, event, body, frames: Vec::new(), stream, left: total, total, lost: false };
        let key = Rc::as_ptr(&sender);
        let queue = self.queues.entry(key).or_insert_with(|| Queue { sender, messages: VecDeque::new() });
        match queue.place(held.head.seq) {
            Ok(at) if !queue.messages[at].lost => {
                queue.messages[at].ask_again(&held.head);
                let said = (queue.sender.clone(), queue.messages[at].head.seq);
                self.ignore(stream, total, Some(said));
            }
            Ok(at) => {
                queue.messages[at] = held;
                self.streams.insert(stream, key);
            }
            Err(at) => {
                queue.messages.insert(at, held);
                self.streams.insert(stream, key);
            }
        }
        Ok(())
    }

    /// Nothing is wanted of a large message: it has come already, as what was `said`.
    pub fn ignore(&mut self, stream: u32, total: u64, said: Option<Said>) {
        self.ignored.insert(stream, Ignored { left: total, said });
    }

    /// What has just come by a stream of which nothing was wanted.
    pub fn passed_over(&mut self) -> Option<Said> {
        self.passed_over.take()
    }

    /// Whether the last frame is among those of a message that is in here, or has just been released.
    pub fn has_noted(&mut self) -> bool {
        std::mem::take(&mut self.noted)
    }

    /// Frame number `frame` brings message `seq` of `sender` again, which may wait here.
    pub fn came_again(&mut self, sender: &Rc<Sender>, seq: u64, frame: u64) {
        let Some(queue) = self.queues.get_mut(&Rc::as_ptr(sender)).filter(|queue| queue.sender.session != 0) else {
            return;
        };
        if let Ok(at) = queue.place(seq)
            && queue.messages[at].left == 0
        {
            queue.messages[at].frames.push(frame);
            self.noted = true;
        }
    }

    /// A message that waits behind a large one, brought by frame number `frame`; returns what has become deliverable,
    /// because too much waits.
    pub fn wait(&mut self, head: Head, (from, event): (Name, Name), body: Payload<'_>, frame: u64) -> Vec<Held> {
        let Some(key) = from.sender.as_ref().map(Rc::as_ptr) else { return Vec::new() };
        let Some(queue) = self.queues.get_mut(&key) else { return Vec::new() };
        let place = queue.place(head.seq);
        if let Some(at) = place.ok().filter(|&at| !queue.messages[at].lost) {
            queue.messages[at].ask_again(&head);
            // If it is still coming, this frame is nobody's: it is acknowledged at once.
            if queue.messages[at].left == 0 {
                queue.messages[at].frames.push(frame);
                self.noted = true;
            }
            return Vec::new();
        }
        self.noted = true;
        let body = match body {
            Payload::Owned(body) => body,
            Payload::Borrowed(bytes) => {
                let mut copy = self.pool.lease(bytes.len());
                copy.bytes_mut().extend_from_slice(bytes);
                copy
            }
        };
        let held = Held { head, from, event, body, frames: vec![frame], stream: 0, left: 0, total: 0, lost: false };
        self.waiting += held.weight();
        match place {
            // It had begun to come in chunks, and now comes at once.
            Ok(at) => {
                queue.messages[at] = held;
                return self.release(key);
            }
            Err(at) => queue.messages.insert(at, held),
        }
        // Said again, it may come before what was begun on the link before: then it waits for nothing.
        if place == Err(0) {
            return self.release(key);
        }
        if self.waiting > self.most_waiting { self.give_up(key) } else { Vec::new() }
    }

    /// The body of an open large message and how many bytes it still lacks, to be read into directly.
    pub fn body(&mut self, stream: u32) -> Option<(&mut Vec<u8>, usize)> {
        let queue = self.queues.get_mut(self.streams.get(&stream)?)?;
        let held = queue.coming_by(stream)?;
        held.make_room(1, &self.pool);
        let left = usize::try_from(held.left).ok()?;
        Some((held.body.bytes_mut(), left))
    }

    /// `count` bytes of frame number `frame` were read into it; returns what has become deliverable.
    pub fn filled(&mut self, stream: u32, count: usize, frame: u64) -> Vec<Held> {
        let Some(&key) = self.streams.get(&stream) else { return Vec::new() };
        let Some(held) = self.queues.get_mut(&key).and_then(|queue| queue.coming_by(stream)) else {
            return Vec::new();
        };
        held.left -= count as u64;
        if held.left > 0 {
            return Vec::new();
        }
        held.frames.push(frame);
        self.noted = true;
        self.waiting += held.weight();
        self.streams.remove(&stream);
        self.release(key)
    }

    /// More of a large message, by frame number `frame`; returns what has become deliverable.
    pub fn chunk(&mut self, stream: u32, bytes: &[u8], end: Option<End>, frame: u64) -> Result<Vec<Held>> {
        if let Some(Ignored { left, .. }) = self.ignored.get_mut(&stream) {
            *left = left.saturating_sub(bytes.len() as u64);
            if *left == 0 || end.is_some() {
                let whole = self.ignored.remove(&stream).filter(|_| end.is_none());
                self.passed_over = whole.and_then(|ignored| ignored.said);
            }
            return Ok(Vec::new());
        }
        let unknown = || malformed("a chunk of a large message that is not open");
        let key = *self.streams.get(&stream).ok_or_else(unknown)?;
        let queue = self.queues.get_mut(&key).ok_or_else(unknown)?;
        let held = queue.coming_by(stream).ok_or_else(unknown)?;
        match end {
            Some(End::Lost) => held.lose(),
            Some(End::Aborted) => queue.messages.retain(|held| held.left == 0 || held.stream != stream),
            None => {
                let left = held.left.checked_sub(bytes.len() as u64);
                held.left = left.ok_or_else(|| malformed("more bytes than announced"))?;
                held.make_room(bytes.len(), &self.pool);
                held.body.bytes_mut().extend_from_slice(bytes);
                if held.left > 0 {
                    return Ok(Vec::new());
                }
                held.frames.push(frame);
                self.noted = true;
                self.waiting += held.weight();
            }
        }
        self.streams.remove(&stream);
        Ok(self.release(key))
    }

    /// Message `seq` of a sender comes. It says everything in order, so what is lost before it does not concern this node
    /// any more: it will not be said again. Returns what waited for that.
    pub fn pass(&mut self, sender: &Rc<Sender>, seq: u64) -> Vec<Held> {
        let key = Rc::as_ptr(sender);
        let Some(queue) = self.queues.get_mut(&key).filter(|queue| queue.sender.session != 0) else {
            return Vec::new();
        };
        let before = queue.messages.len();
        queue.forget_lost(|lost| lost < seq, &mut self.begun);
        if queue.messages.len() < before { self.release(key) } else { Vec::new() }
    }

    /// A sender is gone: what it had begun and lost will not be said again. Returns what waited for that.
    pub fn gone(&mut self, is_gone: impl Fn(&Sender) -> bool) -> Vec<Held> {
        self.not_continued(is_gone, u64::MAX)
    }

    /// What a sender had begun and lost up to message `last` will not be said again. Returns what waited for that.
    pub fn not_continued(&mut self, is_sender: impl Fn(&Sender) -> bool, last: u64) -> Vec<Held> {
        let of_it = self.queues.iter().filter(|(_, queue)| is_sender(&queue.sender));
        let of_it: Vec<Key> = of_it.map(|(&key, _)| key).collect();
        of_it.into_iter().flat_map(|key| self.forget_lost(key, last)).collect()
    }

    fn forget_lost(&mut self, key: Key, last: u64) -> Vec<Held> {
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.forget_lost(|lost| lost <= last, &mut self.begun);
        }
        self.release(key)
    }

    fn release(&mut self, key: Key) -> Vec<Held> {
        let Some(queue) = self.queues.get_mut(&key) else { return Vec::new() };
        let whole = queue.messages.iter().take_while(|held| held.left == 0).count();
        let released: Vec<Held> = queue.messages.drain(..whole).collect();
        if queue.messages.is_empty() {
            self.queues.remove(&key);
        }
        self.waiting -= released.iter().map(Held::weight).sum::<usize>();
        released
    }

    /// Waits no longer for the sender's unfinished messages: returns all there is of it, in order. What is said again is
    /// refused when it comes.
    fn give_up(&mut self, key: Key) -> Vec<Held> {
        let Some(queue) = self.queues.remove(&key) else { return Vec::new() };
        let (lost, given_up): (Vec<Held>, Vec<Held>) = queue.messages.into_iter().partition(|held| held.lost);
        lost.iter().for_each(|held| self.begun.note(&queue.sender, held.head.seq));
        for held in given_up.iter().filter(|held| !held.is_whole()) {
            self.streams.remove(&held.stream);
            self.ignored.insert(held.stream, Ignored { left: held.left, said: None });
        }
        self.waiting -= given_up.iter().map(Held::weight).sum::<usize>();
        given_up
    }
}

/// Why no more comes of a large message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its sender gave up, or is gone.
    Aborted,
    /// Its sender will say it again.
    Lost,
}

impl Queue {
    /// Where message `seq` is, or belongs. What is not numbered belongs at the end.
    fn place(&self, seq: u64) -> std::result::Result<usize, usize> {
        if self.sender.session == 0 {
            return Err(self.messages.len());
        }
        // Mostly at the end.
        let behind = self.messages.iter().rev().take_while(|held| held.head.seq > seq).count();
        let at = self.messages.len() - behind;
        match at.checked_sub(1) {
            Some(before) if self.messages[before].head.seq == seq => Ok(before),
            _ => Err(at),
        }
    }

    /// What will not be said again is forgotten, by number; should it be said nevertheless, it was begun.
    fn forget_lost(&mut self, is_over: impl Fn(u64) -> bool, begun: &mut Begun) {
        self.messages.retain(|held| {
            let over = held.lost && is_over(held.head.seq);
            if over {
                begun.note(&self.sender, held.head.seq);
            }
            !over
        });
    }

    fn coming_by(&mut self, stream: u32) -> Option<&mut Held> {
        self.messages.iter_mut().find(|held| held.left > 0 && held.stream == stream && !held.lost)
    }
}

impl Held {
    /// Whether all of it has come; what is not whole and nevertheless released was given up.
    pub fn is_whole(&self) -> bool {
        self.left == 0
    }

    /// The message comes again, with this head. If it is a question, its sender still waits for an answer: the sender was not
    /// told that [this node was given up](Inbox::forget_questions).
    fn ask_again(&mut self, head: &Head) {
        self.head.flags |= head.flags & flag::ASK;
    }

    /// What it counts while it waits, once it is whole.
    fn weight(&self) -> usize {
        if self.left == 0 { charge(self.body.bytes().len() as u64) as usize } else { 0 }
    }

    /// What came of it is of no use any more; its place in the order stays.
    fn lose(&mut self) {
        if self.left > 0 {
            (self.lost, self.left) = (true, self.total);
            self.body.bytes_mut().clear();
            *self.body.bytes_mut() = Vec::new();
        }
    }

    /// Room for `more` bytes, growing with what really came towards what was announced.
    fn make_room(&mut self, more: usize, pool: &Pool) {
        let body = self.body.bytes_mut();
        let (used, room) = (body.len(), body.capacity());
        if room - used >= more {
            return;
        }
        let announced = usize::try_from(self.total).unwrap_or(usize::MAX);
        let wanted = (2 * room).max(FIRST_ROOM).min(announced).max(used + more);
        let mut larger = pool.lease(wanted);
        larger.bytes_mut().extend_from_slice(self.body.bytes());
        self.body = larger;
    }
}

#[cfg(test)]
mod tests;
