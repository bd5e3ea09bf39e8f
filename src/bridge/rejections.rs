//! What a node rejects each time it is said to it. All that is not acknowledged is said again on the next link; were one frame
//! of that malformed to its receiver, no link of it would ever last. A node acknowledges what it took before it rejects a
//! link, so the first frame behind that is to blame: the third time its message is given up, and the rest goes on.

use std::collections::VecDeque;

use super::link::{LinkKey, Wire};
use super::member::{Departure, MemberKey};
use super::own::Own;
use super::router::Router;
use super::settling::InFlight;
use super::symbols::Symbol;
use crate::blame::Blame;
use crate::error::Code;
use crate::wire::frame::{Head, flag, kind, refusal};

/// Messages of which it is remembered that a node takes them not; the oldest are forgotten, and may be tried again.
const MOST_ENDED: usize = 1024;

/// What programs are told.
const NO_MESSAGE: &str = "the receiver rejected this message each time";
const NO_ANSWER: &str = "the asker rejected the answer each time";

/// What is to blame for the end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspect {
    /// A message of another node.
    Message { sender: MemberKey, seq: u64 },
    /// An answer of the host's process, by its number among all that the bridge says.
    Answer(u64),
    /// Something else that the bridge says.
    Unknown,
}

/// What one node has rejected.
#[derive(Debug, Default)]
pub struct Rejections {
    blame: Blame<Suspect>,
    /// What is not said to it any more.
    ended: VecDeque<Suspect>,
}

impl Rejections {
    /// Whether something is not said to this node any more.
    fn ended(&self, suspect: Suspect) -> bool {
        !self.ended.is_empty() && self.ended.contains(&suspect)
    }

    /// Whether anything is.
    pub fn ended_any(&self) -> bool {
        !self.ended.is_empty()
    }

    /// `suspect` is to blame once more. Returns whether that was too often, and whether it can end by itself.
    fn blame(&mut self, suspect: Suspect) -> Option<bool> {
        if !self.blame.add(suspect, 0) {
            return None;
        }
        // What takes its place was rejected, too.
        let again = self.ended(suspect);
        if suspect == Suspect::Unknown || again {
            return Some(false);
        }
        if self.ended.len() >= MOST_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(suspect);
        Some(true)
    }
}

impl Router {
    /// The link's node says that something on it is malformed, and will not be heard of again on it.
    pub(super) fn handle_reject(&mut self, link: LinkKey, member: MemberKey, code: Code) {
        let Wire::Native(native) = &self.links[link.0 as usize].wire else { return };
        let suspect = native.suspect();
        let said_again = match suspect {
            Suspect::Message { sender, .. } => self.keeps(sender),
            Suspect::Answer(_) | Suspect::Unknown => true,
        };
        let counts = code == Code::Protocol && said_again && self.keeps(member);
        let rejections = &mut self.members[member.place as usize].rejections;
        let verdict = if counts { rejections.blame(suspect) } else { None };
        if verdict == Some(false) {
            // Nothing less than its place ends what the bridge has to say to it.
            self.remove_member(member, Departure::Died);
        } else {
            self.let_go(member, Departure::Died);
        }
        if let (Some(true), Suspect::Answer(seq)) = (verdict, suspect) {
            self.refuse_answer(member, seq);
        }
        self.forget_last_words(link);
        self.close_when_written(link);
    }

    /// The caller's node, which is away, takes this answer of the host not: it gets a refusal instead.
    fn refuse_answer(&mut self, caller: MemberKey, answer: u64) {
        if !self.is_away(caller) {
            return;
        }
        let Some(away) = &mut self.members[caller.place as usize].away else { return };
        let weight = |own: &VecDeque<Own>| own.iter().map(Own::weight).sum::<u64>();
        let before = weight(&away.own);
        for own in &mut away.own {
            if let Own::Routed { head, event, body } = own
                && head.seq == answer
            {
                (head.kind, head.flags) = (kind::REFUSE, flag::BRIDGE | flag::OWN);
                (*event, *body) = (None, refusal(Code::Protocol, NO_ANSWER).into());
            }
        }
        away.own_bytes = away.own_bytes + weight(&away.own) - before;
        self.counters.undeliverable.increment();
    }

    /// Whether `receiver` rejects message `seq` of `sender` each time.
    pub(super) fn rejects(&self, sender: MemberKey, receiver: MemberKey, seq: u64) -> bool {
        self.members[receiver.place as usize].rejections.ended(Suspect::Message { sender, seq })
    }

    /// The end of a message that its receiver takes not: whoever waits is told.
    pub(super) fn end_rejected(
        &mut self,
        (sender, receiver): (MemberKey, MemberKey),
        (head, event): (&Head, Option<Symbol>),
        in_flight: InFlight,
    ) {
        match head.kind {
            kind::CANCEL => self.settlements.frame(in_flight),
            kind::REPLY | kind::REFUSE => {
                self.counters.undeliverable.increment();
                self.refuse_reply(sender, receiver, head, (Code::Protocol, NO_ANSWER), in_flight);
            }
            _ => {
                self.counters.undeliverable.increment();
                let id = self.members[receiver.place as usize].id;
                self.refuse(sender, (Some(id), event), head, Code::Protocol, NO_MESSAGE);
                self.settlements.frame(in_flight);
                self.tell_not_continued(sender, receiver, head.seq);
            }
        }
    }
}
