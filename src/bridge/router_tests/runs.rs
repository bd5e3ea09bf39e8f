//! Messages that are forwarded alike: what comes of a read is what would have come of its frames one by one.

use std::collections::HashMap;

use proptest::prelude::*;

use super::bus::{Bus, Heard, PENDING, frames, head, hello_from, joining, listen, name, number, routed};
use crate::bridge::link::LinkKey;
use crate::bridge::router::Limits;
use crate::wire::control::{Gone, Hello, Settled, decode_about, decode_name, decode_peer, put_bare};
use crate::wire::frame::{Head, flag, kind};
use crate::wire::time_left::TimeLeft;

/// Slots of the sender's names: both receivers, the two events, and somebody who is not there.
const NAMES: [(u16, &str); 5] = [(1, "b"), (2, "e"), (3, "c"), (4, "f"), (5, "nobody")];

struct World {
    bus: Bus,
    sender: LinkKey,
    receivers: [LinkKey; 3],
}

/// a keeps what it says; b and c listen, b for one event more and for short messages only; d speaks the original's wire.
fn world(session: u64) -> World {
    let mut bus = Bus::with(Limits { max_pending: 3_000, ..Limits::default() });
    let [sender, b, c] = [(session, "a", 1 << 20), (8, "b", 200), (9, "c", 1 << 20)].map(|(session, id, most)| {
        let key = bus.connect();
        bus.say(key, &joining(&Hello { max_message: most, ..hello_from(session, id) }));
        bus.hear(key);
        key
    });
    bus.tell(sender, &NAMES.map(|(slot, text)| name(slot, text)));
    bus.tell(b, &[listen("e"), listen("f")]);
    bus.say(c, &listen("e"));
    World { bus, sender, receivers: [b, c, sender] }
}

impl World {
    /// What everybody hears, without what tells the sender how far things are: that depends on when it is told.
    fn outcome(&mut self) -> [Vec<Spoken>; 3] {
        self.receivers.map(|key| spoken(self.bus.hear(key)))
    }
}

/// A frame, with the names that its slots stand for.
#[derive(Debug, PartialEq)]
struct Spoken {
    frame: Heard,
    names: Option<[String; 2]>,
}

/// Which slots names get depends on whether a message that is refused was seen to be like another before; so does who
/// counts as asked, and hears that the asker is gone.
fn spoken(heard: Vec<Heard>) -> Vec<Spoken> {
    let mut names: HashMap<u16, String> = HashMap::from([(0, String::new())]);
    let mut said = Vec::new();
    for frame in heard {
        let routed = (kind::MESSAGE..=kind::REFUSE).contains(&frame.kind);
        let known = if frame.kind == kind::NAME {
            decode_name(&frame.payload).ok()
        } else if frame.kind == kind::PEER {
            decode_peer(&frame.payload).ok().map(|(slot, _, name)| (slot, name))
        } else {
            None
        };
        if let Some((slot, name)) = known {
            names.insert(slot, name.to_owned());
        } else if routed {
            let (head, body) = frame.routed();
            let of = |slot| names[&slot].clone();
            let frame = frames(&self::routed(Head { peer: 0, event: 0, ..head }, &body)).remove(0);
            said.push(Spoken { frame, names: Some([of(head.peer), of(head.event)]) });
        } else if !matches!(frame.kind, kind::SETTLED | kind::RESEND | kind::GONE) {
            said.push(Spoken { frame, names: None });
        }
    }
    said
}

/// A frame of a; runs come of few kinds of them.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let kinds = prop_oneof![Just(kind::MESSAGE), Just(kind::BROADCAST), Just(kind::REPLY)];
    let slots = (
        prop_oneof![8 => Just(1u16), 4 => Just(3), 1 => Just(5), 1 => Just(0)],
        prop_oneof![9 => Just(2u16), 3 => Just(4)],
    );
    let said = (kinds, slots, any::<bool>(), prop_oneof![9 => 0..120usize, 1 => 150..400usize]);
    let routed_frame = said.prop_map(|(kind, (peer, event), asks, len)| {
        let asks = asks && kind == kind::MESSAGE;
        let peer = if kind == kind::BROADCAST { 0 } else { peer };
        let (flags, correlation) = if asks { (flag::ASK, 7) } else { (0, 0) };
        routed(Head { kind, flags, peer, event, time_left: TimeLeft::NONE, correlation, seq: 0 }, &vec![b'x'; len])
    });
    prop_oneof![
        30 => routed_frame,
        1 => Just(name(6, "another")),
        1 => Just(number(kind::PING, 5)),
        1 => Just(listen("e")),
    ]
}

/// Frames of which each comes several times in a row, with numbers.
fn many_frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec((frame(), 1..6usize), 1..12).prop_map(|runs| {
        let said = runs.into_iter().flat_map(|(frame, times)| std::iter::repeat_n(frame, times));
        (1u64..).zip(said).map(|(seq, frame)| numbered(frame, seq)).collect()
    })
}

fn numbered(mut frame: Vec<u8>, seq: u64) -> Vec<u8> {
    if frame[4] >= kind::MESSAGE && frame[4] <= kind::REPLY {
        frame[16..24].copy_from_slice(&seq.to_le_bytes());
    }
    frame
}

proptest! {
    #[test]
    fn a_read_is_worth_its_frames_one_by_one(frames in many_frames(), session in 0..2u64) {
        let [mut at_once, mut one_by_one] = [world(session), world(session)];
        at_once.bus.tell(at_once.sender, &frames);
        frames.iter().for_each(|frame| one_by_one.bus.say(one_by_one.sender, frame));
        prop_assert_eq!(at_once.outcome(), one_by_one.outcome());
        prop_assert_eq!(at_once.bus.counters.all(), one_by_one.bus.counters.all());
        prop_assert_eq!(at_once.bus.router.is_held(at_once.sender), one_by_one.bus.router.is_held(one_by_one.sender));
        // The same is acknowledged, settled and asked for again.
        for world in [&mut at_once, &mut one_by_one] {
            let [b, c, _] = world.receivers;
            for key in [b, c] {
                let sent = world.bus.router.link(key).unacknowledged() as u64;
                world.bus.say(key, &number(kind::ACK, sent));
            }
        }
        prop_assert_eq!(news(&mut at_once), news(&mut one_by_one));
        prop_assert_eq!(at_once.bus.router.leftovers(), one_by_one.bus.router.leftovers());
    }
}

/// Numbers that are settled, in order, and what the sender is asked to say again.
fn news(world: &mut World) -> (Vec<u64>, Vec<(u64, String)>) {
    let (mut settled, mut asked) = (Vec::new(), Vec::new());
    for heard in world.bus.hear(world.sender) {
        match heard.kind {
            kind::SETTLED => {
                let run = Settled::decode(&heard.payload).unwrap();
                settled.extend(run.first..=run.last);
            }
            kind::RESEND => {
                let (from, node) = decode_about(&heard.payload).unwrap();
                asked.push((from, node.to_owned()));
            }
            _ => {}
        }
    }
    settled.sort_unstable();
    (settled, asked)
}

#[test]
fn a_run_ends_where_its_receiver_is_full() {
    let World { mut bus, sender, receivers: [_, c, _] } = world(1);
    let said: Vec<Vec<u8>> =
        (1..=60).map(|seq| routed(Head { peer: 3, ..head(kind::MESSAGE, 0, seq) }, &[b'x'; 100])).collect();
    bus.tell(sender, &said);
    let got = bus.hear_only(c, kind::MESSAGE).len();
    assert!((15..30).contains(&got), "{got} of 164 bytes each, where 3000 may wait");
    bus.say(c, &number(kind::ACK, got as u64));
    let asked = bus.hear_only(sender, kind::RESEND);
    assert_eq!(decode_about(&asked[0].payload), Ok((got as u64 + 1, "c")));
}

/// Three messages in one read.
fn three(kind: u8, flags: u8) -> Vec<Vec<u8>> {
    (1..=3).map(|seq| routed(head(kind, flags, seq), b"[1]")).collect()
}

fn join(bus: &mut Bus, hello: &Hello) -> LinkKey {
    let key = bus.connect();
    bus.say(key, &joining(hello));
    bus.hear(key);
    key
}

/// a broadcasts something that b has and others may have to get: none of it is settled.
fn broadcast_to_more_than_b(bus: &mut Bus, a: LinkKey, b: LinkKey) {
    bus.tell(a, &[name(1, "b"), name(2, "e")]);
    bus.tell(a, &three(kind::BROADCAST, 0));
    assert_eq!(bus.hear_only(b, kind::BROADCAST).len(), 3);
    bus.say(b, &number(kind::ACK, 3));
    assert_eq!(bus.hear_only(a, kind::SETTLED), []);
}

#[test]
fn a_run_of_broadcasts_waits_for_those_who_may_yet_come() {
    let mut bus = Bus::new();
    bus.router.take_over(None, 0);
    let [a, b] = [(1, "a"), (2, "b")].map(|(session, id)| join(&mut bus, &hello_from(session, id)));
    bus.say(b, &listen("e"));
    broadcast_to_more_than_b(&mut bus, a, b);
}

#[test]
fn a_run_of_broadcasts_waits_for_those_who_have_not_said_what_they_listen_for() {
    let mut bus = Bus::new();
    let [a, b, c] = [(1, "a"), (2, "b"), (3, "c")].map(|(session, id)| join(&mut bus, &hello_from(session, id)));
    bus.tell(b, &[listen("e")]);
    bus.lose(c);
    let c = join(&mut bus, &Hello { epoch: 9, listens: 1, ..hello_from(3, "c") });
    broadcast_to_more_than_b(&mut bus, a, b);
    bus.say(c, &listen("e"));
    assert_eq!(decode_about(&bus.hear_only(a, kind::RESEND)[0].payload), Ok((1, "c")));
}

#[test]
fn who_asks_in_a_run_is_told_of_all_that_is_lost() {
    let mut bus = Bus::new();
    let [a, b] = [(1, "a"), (2, "b")].map(|(session, id)| join(&mut bus, &hello_from(session, id)));
    bus.tell(a, &[name(1, "b"), name(2, "e")]);
    bus.tell(a, &three(kind::MESSAGE, flag::ASK));
    let mut leave = Vec::new();
    put_bare(kind::LEAVE, &mut leave);
    bus.say(b, &leave);
    let gone = bus.hear_only(a, kind::GONE);
    assert_eq!(Gone::decode(&gone[0].payload).unwrap().seq, 3);
}

#[test]
fn who_keeps_nothing_is_held_by_whatever_fills_its_receiver() {
    let mut bus = Bus::new();
    let (a, b) = (bus.join("a"), bus.join("b"));
    bus.tell(a, &[name(1, "b"), name(2, "e")]);
    let size = PENDING / 3 + 1;
    let three: Vec<Vec<u8>> = (1..=3).map(|seq| routed(head(kind::MESSAGE, 0, seq), &vec![b'x'; size])).collect();
    bus.tell(a, &three);
    assert!(bus.router.link(b).out.len() > PENDING && bus.router.is_held(a));
}
