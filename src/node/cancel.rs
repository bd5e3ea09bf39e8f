//! Questions that nobody waits for any longer: whoever answers them is told, so that work can stop.

use std::rc::Rc;

use super::client::Client;
use super::event::{Event, Name};
use super::requests::Request;
use crate::error::{Code, Result};
use crate::wire::control::Watch;
use crate::wire::frame::{decode_refusal, kind, refusal};

impl Client {
    /// The request is not waited for any longer; its late reply is dropped.
    pub fn cancel(&mut self, correlation: u32) {
        if let Some(Request { to, .. }) = self.requests.take(correlation) {
            self.give_up(&to, correlation, Code::Aborted);
        }
    }

    /// Tells `to`, which is asked under `correlation`, that the reply is not waited for, and why. The frame is numbered like
    /// a message: it comes behind its question, once, over whatever link.
    pub(super) fn give_up(&mut self, to: &Rc<str>, correlation: u32, code: Code) {
        let route = self.route(to, "");
        self.say_aside(kind::CANCEL, &route, correlation, &refusal(code, ""));
    }

    /// `from` gave up what it asked under `correlation`.
    pub(super) fn given_up(from: Name, correlation: u32, body: &[u8]) -> Result<Option<Event<'static>>> {
        let (code, _) = decode_refusal(body)?;
        let session = from.sender.map_or(0, |sender| sender.session);
        Ok(Some(Event::Cancelled { from: from.text, session, correlation, code }))
    }

    /// Asks the bridge to tell of the end of a node whose question this node is still at work on: its [`Event::Departed`]
    /// may have been missed, or be due on another bridge. `session` is that of the asker.
    pub fn watch_asker(&mut self, id: &str, session: u64) {
        let watch = Watch { seq: self.outbox.next_seq() - 1, oldest: 0, session, node: id.to_owned() };
        watch.encode(kind::WATCH, self.segments.tail().1);
    }
}
