//! What has come and is not taken yet, because the program has paused or it waits behind a large message. None of it is
//! acknowledged before it is taken: whoever said it keeps it until then, and learns if it never is.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Included};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::senders::Sender;
use crate::wire::control::FrameRun;
use crate::wire::frame::kind;

/// A message that waited and is among the events: who said it, and the frames that brought it.
#[derive(Debug)]
pub struct Released {
    pub(super) sender: Option<Rc<Sender>>,
    pub(super) seq: u64,
    pub(super) frames: Vec<u64>,
}

/// Frames that an ACK passes over, and the messages that a paused program has put aside. Of one sender these weigh no more
/// than two windows, and one more behind a large message that was lost.
#[derive(Debug, Default)]
pub struct Untaken {
    /// Whether the program puts aside what comes.
    paused: bool,
    /// What it has put aside, in the order in which it will take it.
    aside: VecDeque<PutAside>,
    /// How many it took before.
    before: u64,
    /// Where in that order the messages of one sender are, by number.
    places: FxHashMap<*const Sender, VecDeque<(u64, u64)>>,
    /// Further frames that brought the same message, by its place: it was said again meanwhile.
    again: FxHashMap<u64, Vec<u64>>,
    /// The frames that brought them, and those that brought what waits in the inbox: numbers among all of this link.
    frames: BTreeSet<u64>,
    /// Frames that the bridge knows to be put aside, and that are taken.
    taken: Vec<FrameRun>,
}

#[derive(Debug)]
struct PutAside {
    /// Of a sender that says again what is not acknowledged.
    sender: Option<Rc<Sender>>,
    /// The frame that brought it; 0: none of this link.
    frame: u64,
}

impl Untaken {
    /// Whether the program puts aside what comes.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// From now on it does, or does not any more.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Frame number `frame` brought something that is not taken yet.
    pub fn defer(&mut self, frame: u64) {
        self.frames.insert(frame);
    }

    /// What that frame brought is taken. All frames up to `acknowledged` were told of.
    pub fn undefer(&mut self, frame: u64, acknowledged: u64) {
        // Of others the bridge does not know that they were put aside: the next ACK is about them.
        if !self.frames.remove(&frame) || frame > acknowledged {
            return;
        }
        match self.taken.last_mut() {
            Some(run) if run.last + 1 == frame => run.last = frame,
            _ => self.taken.push(FrameRun { first: frame, last: frame }),
        }
    }

    /// The program puts a message aside, which these frames brought: message `seq` of `sender`, if that is one who says
    /// it again while it is not acknowledged.
    pub fn put(&mut self, sender: Option<Rc<Sender>>, seq: u64, frames: &[u64]) {
        let place = self.before + self.aside.len() as u64;
        let sender = sender.filter(|sender| sender.session != 0);
        if let Some(sender) = &sender {
            self.places.entry(Rc::as_ptr(sender)).or_default().push_back((seq, place));
        }
        self.aside.push_back(PutAside { sender, frame: 0 });
        frames.iter().for_each(|&frame| self.brought(place, frame));
    }

    fn brought(&mut self, place: u64, frame: u64) {
        let Some(aside) = self.aside.get_mut((place - self.before) as usize) else { return };
        self.frames.insert(frame);
        if aside.frame == 0 {
            aside.frame = frame;
        } else {
            self.again.entry(place).or_default().push(frame);
        }
    }

    /// Frame number `frame` brings message `seq` of `sender` again, which came before.
    pub fn came_again(&mut self, sender: &Rc<Sender>, seq: u64, frame: u64) {
        let Some(places) = self.places.get(&Rc::as_ptr(sender)) else { return };
        if let Ok(at) = places.binary_search_by_key(&seq, |&(seq, _)| seq) {
            self.brought(places[at].1, frame);
        }
    }

    /// The program takes the first message that it put aside.
    pub fn take(&mut self, acknowledged: u64) {
        let Some(PutAside { sender, frame }) = self.aside.pop_front() else { return };
        let place = self.before;
        self.before += 1;
        if let Some(sender) = sender.map(|sender| Rc::as_ptr(&sender))
            && let Some(places) = self.places.get_mut(&sender)
        {
            places.pop_front();
            if places.is_empty() {
                self.places.remove(&sender);
            }
        }
        let again = if self.again.is_empty() { None } else { self.again.remove(&place) };
        for frame in again.into_iter().flatten().chain([frame]) {
            self.undefer(frame, acknowledged);
        }
        if self.aside.is_empty() {
            (self.aside, self.places) = Default::default();
        }
    }

    /// The link is gone: on the next, frames are counted anew.
    pub fn link_lost(&mut self) {
        self.frames.clear();
        self.taken.clear();
        self.again.clear();
        self.aside.iter_mut().for_each(|aside| aside.frame = 0);
    }

    /// Whether the bridge is to be told that something was taken.
    pub fn has_taken(&self) -> bool {
        !self.taken.is_empty()
    }

    /// Appends what goes before an ACK of all `received` frames, when `acknowledged` of them were told of.
    pub fn encode(&mut self, acknowledged: u64, received: u64, out: &mut Vec<u8>) {
        let mut run: Option<FrameRun> = None;
        for &frame in self.frames.range((Excluded(acknowledged), Included(received))) {
            match &mut run {
                Some(run) if run.last + 1 == frame => run.last = frame,
                _ => {
                    let before = run.replace(FrameRun { first: frame, last: frame });
                    before.iter().for_each(|run| run.encode(kind::DEFER, out));
                }
            }
        }
        run.iter().for_each(|run| run.encode(kind::DEFER, out));
        for run in std::mem::take(&mut self.taken) {
            run.encode(kind::TAKEN, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::RawFrame;

    fn told(untaken: &mut Untaken, acknowledged: u64, received: u64) -> Vec<(u8, u64, u64)> {
        let (mut bytes, mut told) = (Vec::new(), Vec::new());
        untaken.encode(acknowledged, received, &mut bytes);
        let mut rest = &bytes[..];
        while let Some((raw, length)) = RawFrame::decode(rest).expect("frames") {
            let FrameRun { first, last } = FrameRun::decode(raw.payload).expect("a run");
            told.push((raw.kind, first, last));
            rest = &rest[length..];
        }
        told
    }

    #[test]
    fn what_is_put_aside_is_told_in_runs_and_again_when_it_is_taken() {
        let (mut untaken, ann) = (Untaken::default(), Sender::new("ann".into(), 1));
        for (seq, frame) in [(1, 3), (2, 4), (5, 7)] {
            untaken.put(Some(ann.clone()), seq, &[frame]);
        }
        assert_eq!(told(&mut untaken, 2, 8), [(kind::DEFER, 3, 4), (kind::DEFER, 7, 7)]);
        assert_eq!(told(&mut untaken, 8, 8), [], "once");
        (0..3).for_each(|_| untaken.take(8));
        assert_eq!(told(&mut untaken, 8, 8), [(kind::TAKEN, 3, 4), (kind::TAKEN, 7, 7)]);
        assert!(untaken.places.is_empty() && untaken.frames.is_empty() && !untaken.has_taken());
    }

    #[test]
    fn what_is_taken_before_it_was_told_of_is_acknowledged_with_the_others() {
        let mut untaken = Untaken::default();
        untaken.put(None, 0, &[1]);
        untaken.put(None, 0, &[2]);
        untaken.take(0);
        assert_eq!(told(&mut untaken, 0, 2), [(kind::DEFER, 2, 2)]);
        untaken.take(2);
        assert_eq!(told(&mut untaken, 2, 2), [(kind::TAKEN, 2, 2)]);
        untaken.take(2);
        assert_eq!(told(&mut untaken, 2, 2), [], "nothing was left");
    }

    #[test]
    fn what_is_said_again_is_taken_with_what_was_put_aside() {
        let (mut untaken, ann) = (Untaken::default(), Sender::new("ann".into(), 1));
        let ben = Sender::new("ben".into(), 0);
        untaken.put(Some(ann.clone()), 4, &[1]);
        untaken.put(Some(ben.clone()), 4, &[2]);
        untaken.put(Some(ann.clone()), 9, &[3]);
        untaken.came_again(&ann, 4, 5);
        untaken.came_again(&ann, 8, 6);
        untaken.came_again(&ben, 4, 7);
        assert_eq!(told(&mut untaken, 0, 7), [(kind::DEFER, 1, 3), (kind::DEFER, 5, 5)]);
        untaken.link_lost();
        assert_eq!(told(&mut untaken, 0, 7), []);
        untaken.came_again(&ann, 9, 1);
        untaken.came_again(&ann, 4, 2);
        assert_eq!(told(&mut untaken, 0, 2), [(kind::DEFER, 1, 2)]);
        untaken.take(2);
        untaken.take(2);
        assert_eq!(told(&mut untaken, 2, 2), [(kind::TAKEN, 2, 2)]);
        untaken.take(2);
        assert_eq!(told(&mut untaken, 2, 2), [(kind::TAKEN, 1, 1)]);
        untaken.came_again(&ann, 9, 3);
        assert_eq!(told(&mut untaken, 2, 3), [], "it was taken before");
    }
}
