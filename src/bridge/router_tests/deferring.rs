//! What a receiver has put aside: settled when it is taken, lost with whoever put it aside, and in nobody else's way.

use super::bus::{Bus, Driven, Heard, head, hello_from, joining, name, number, opening, routed};
use crate::bridge::link::LinkKey;
use crate::bridge::router::Limits;
use crate::error::Code;
use crate::node::sending::Letter;
use crate::wire::control::{FrameRun, Hello, Settled, decode_about, put_about, put_bare};
use crate::wire::frame::{Encoding, kind};

const WINDOW: usize = 2 * 1024 * 1024;

fn run(kind: u8, first: u64, last: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    FrameRun { first, last }.encode(kind, &mut bytes);
    bytes
}

/// Says `count` messages of `len` bytes.
fn say(from: &mut Driven, to: &str, count: usize, len: usize) {
    let target = from.client.target(to, "e");
    for _ in 0..count {
        let (kind, encoding) = (kind::MESSAGE, Encoding::Json);
        let letter = Letter { kind, target, encoding, ask: None, correlation: 0, now: 0 };
        from.client.send_with(letter, |out| out.resize(out.len() + len, b' ')).unwrap();
    }
}

/// What the program of `to` is given, and puts aside if it has paused.
fn given(bus: &mut Bus, to: &mut Driven) -> usize {
    bus.carry(to).iter().filter(|told| told.contains("Delivery")).count()
}

/// a, whose session is 7, has told b, by hand, as many things as there are numbers.
fn told(seqs: std::ops::RangeInclusive<u64>) -> (Bus, LinkKey, LinkKey) {
    let mut bus = Bus::with(Limits::default());
    let b = bus.join("b");
    let a = bus.connect();
    bus.say(a, &joining(&hello_from(7, "a")));
    bus.hear(a);
    bus.tell(a, &[name(1, "b"), name(2, "e")]);
    seqs.for_each(|seq| bus.tell(a, &[routed(head(kind::MESSAGE, 0, seq), b"[]")]));
    bus.hear(b);
    (bus, a, b)
}

fn settled(bus: &mut Bus, key: LinkKey) -> Vec<(u64, u64)> {
    let heard = bus.hear_only(key, kind::SETTLED);
    heard.iter().map(|heard| Settled::decode(&heard.payload).unwrap()).map(|run| (run.first, run.last)).collect()
}

#[test]
fn an_ack_passes_over_what_is_put_aside_until_it_is_taken() {
    let (mut bus, a, b) = told(1..=5);
    bus.tell(b, &[run(kind::DEFER, 2, 3), run(kind::DEFER, 5, 5), number(kind::ACK, 5)]);
    assert_eq!(settled(&mut bus, a), [(1, 1), (4, 4)]);
    bus.tell(b, &[run(kind::TAKEN, 3, 3)]);
    assert_eq!(settled(&mut bus, a), [(3, 3)]);
    bus.tell(b, &[run(kind::TAKEN, 2, 2), run(kind::TAKEN, 5, 5)]);
    assert_eq!(settled(&mut bus, a), [(2, 2), (5, 5)]);
    bus.empty(&[a, b]);
}

#[test]
fn whoever_ends_with_something_put_aside_is_gone_for_its_sender() {
    for end in ["leaves", "dies", "is cut off"] {
        let (mut bus, a, b) = told(1..=3);
        bus.tell(b, &[run(kind::DEFER, 2, 2), number(kind::ACK, 3)]);
        assert_eq!(settled(&mut bus, a), [(1, 1), (3, 3)]);
        match end {
            "leaves" => {
                let mut leave = Vec::new();
                put_bare(kind::LEAVE, &mut leave);
                bus.say(b, &leave);
            }
            "dies" => bus.lose(b),
            _ => bus.say(b, &[0xff; 64]),
        }
        bus.wait(60_000);
        let heard = bus.hear(a);
        let kinds: Vec<u8> = heard.iter().map(|heard| heard.kind).collect();
        assert_eq!(kinds, [kind::GONE], "{end}");
        let left = if end == "dies" { &[a][..] } else { &[a, b] };
        bus.empty(left);
    }
}

#[test]
fn only_what_came_is_put_aside_and_only_what_was_is_taken() {
    let wrong = [
        vec![run(kind::DEFER, 1, 4)],
        vec![run(kind::DEFER, 0, 1)],
        vec![run(kind::DEFER, 3, 2)],
        vec![run(kind::DEFER, 1, u64::MAX)],
        vec![number(kind::ACK, 2), run(kind::DEFER, 2, 3)],
        vec![run(kind::DEFER, 2, 3), run(kind::DEFER, 1, 2)],
        vec![run(kind::TAKEN, 1, 1)],
        vec![run(kind::DEFER, 2, 2), run(kind::TAKEN, 2, 3)],
        vec![run(kind::DEFER, 2, 2), run(kind::TAKEN, 1, u64::MAX)],
        vec![run(kind::DEFER, 2, 2), run(kind::TAKEN, 2, 2), run(kind::TAKEN, 2, 2)],
    ];
    for frames in wrong {
        let (mut bus, a, b) = told(1..=3);
        bus.tell(b, &frames);
        assert_eq!(bus.reason(b), Code::Protocol, "{frames:?}");
        bus.empty(&[a, b]);
    }
}

#[test]
fn a_sender_goes_on_when_half_a_window_of_it_is_taken_and_others_do_not_wait_for_that() {
    let mut bus = Bus::with(Limits::default());
    let (mut a, mut x, mut b) = (bus.drive("a", 1), bus.drive("x", 2), bus.drive("b", 3));
    b.client.pause(true);
    say(&mut a, "b", 600, 10_000);
    bus.carry(&mut a);
    let full = given(&mut bus, &mut b);
    assert_eq!(full, 2 * WINDOW / 10_064, "two windows");
    say(&mut x, "b", 2, 10_000);
    bus.carry(&mut x);
    assert_eq!(given(&mut bus, &mut b), 2, "another has a window of its own");
    bus.wait(60_000);
    assert_eq!(bus.counters.cut.get(), 0, "who has paused is not stuck");
    let mut came = full + 2;
    for taken in 1..=602 {
        b.client.take();
        bus.carry(&mut b);
        bus.carry(&mut a);
        let more = given(&mut bus, &mut b);
        assert!(more == 0 || (full - taken.min(full)) * 10_064 <= WINDOW / 2, "{more} more after {taken} were taken");
        came += more;
    }
    assert_eq!(came, 602);
    bus.carry(&mut b);
    [&mut a, &mut x].into_iter().for_each(|driven| drop(bus.carry(driven)));
    assert_eq!((a.client.pending(), x.client.pending()), (0, 0));
}

#[test]
fn a_reply_is_acknowledged_while_messages_are_put_aside() {
    let mut bus = Bus::with(Limits::default());
    let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 3));
    b.client.pause(true);
    say(&mut a, "b", 1, 10);
    bus.carry(&mut a);
    assert_eq!(given(&mut bus, &mut b), 1);
    let target = b.client.target("a", "e");
    for round in 0..1_000 {
        let letter =
            Letter { kind: kind::MESSAGE, target, encoding: Encoding::Json, ask: Some(0), correlation: 0, now: 0 };
        let correlation = b.client.send_with(letter, |out| out.extend_from_slice(b"[]")).unwrap();
        bus.carry(&mut b);
        bus.carry(&mut a);
        let to = a.client.target("b", "");
        let letter = Letter { kind: kind::REPLY, target: to, encoding: Encoding::Json, ask: None, correlation, now: 0 };
        a.client.send_with(letter, |out| out.resize(out.len() + 10_000, b' ')).unwrap();
        bus.carry(&mut a);
        assert!(bus.carry(&mut b).iter().any(|told| told.contains("Reply")), "reply {round}");
        bus.carry(&mut a);
    }
    assert_eq!(a.client.pending(), 10 + 64);
    b.client.take();
    bus.carry(&mut b);
    bus.carry(&mut a);
    assert_eq!(a.client.pending(), 0);
}

#[test]
fn what_is_said_again_on_another_link_is_still_put_aside() {
    let [mut first, mut second] = [1, 2].map(|epoch| Bus::with_epoch(Limits::default(), epoch));
    let (mut a, mut b) = (first.drive("a", 1), first.drive("b", 3));
    b.client.pause(true);
    say(&mut a, "b", 3, 10);
    first.carry(&mut a);
    assert_eq!(given(&mut first, &mut b), 3);
    // On the same bridge, on another link of the sender; then of both on another bridge.
    first.break_link(&mut a);
    first.reconnect(&mut a);
    for _ in 0..3 {
        first.carry(&mut a);
        assert_eq!(given(&mut first, &mut b), 0, "it has them");
    }
    assert_eq!(a.client.pending(), 3 * 74);
    [&mut a, &mut b].into_iter().for_each(|driven| first.break_link(driven));
    [&mut a, &mut b].into_iter().for_each(|driven| drop(second.reconnect(driven)));
    for _ in 0..3 {
        second.carry(&mut a);
        assert_eq!(given(&mut second, &mut b), 0);
    }
    assert_eq!(a.client.pending(), 3 * 74);
    for left in (0..3).rev() {
        b.client.take();
        second.carry(&mut b);
        second.carry(&mut a);
        assert_eq!(a.client.pending(), left * 74);
    }
}

#[test]
fn what_waits_behind_a_lost_message_does_not_keep_that_from_being_said_again() {
    let limits = Limits { max_pending: 100 << 10, ..Limits::default() };
    let mut bus = Bus::with(limits);
    let (b, x) = (bus.join("b"), bus.connect());
    let greet = |bus: &mut Bus, link: LinkKey, hello: &Hello| {
        bus.say(link, &joining(hello));
        bus.tell(link, &[name(1, "b"), name(2, "e")]);
        bus.hear(link);
    };
    greet(&mut bus, x, &hello_from(8, "x"));
    let (mut a, hello) = (bus.connect(), hello_from(7, "a"));
    greet(&mut bus, a, &hello);
    // Behind a large message, more than half a window of `a` waits at `b`.
    let large = opening(head(kind::MESSAGE, 0, 1), 1, 90_000);
    let message = |seq| routed(head(kind::MESSAGE, 0, seq), &[b' '; 60_000]);
    bus.tell(a, &[large.clone(), message(2)]);
    bus.hear(b);
    bus.tell(b, &[run(kind::DEFER, 2, 2), number(kind::ACK, 2)]);
    // The rest of it is lost with the link of `a`, and when that says it again, `b` has no room.
    bus.lose(a);
    (1..=3).for_each(|seq| bus.tell(x, &[message(seq)]));
    a = bus.connect();
    greet(&mut bus, a, &hello);
    bus.tell(a, &[large]);
    assert_eq!(bus.hear_only(a, kind::RESEND).len(), 0);
    let counted = |heard: &&Heard| matches!(heard.kind, kind::MESSAGE | kind::CHUNK);
    let came = bus.hear(b).iter().filter(counted).count() as u64;
    bus.tell(b, &[number(kind::ACK, 2 + came)]);
    let asked = bus.hear_only(a, kind::RESEND);
    assert_eq!(decode_about(&asked[0].payload), Ok((1, "b")));
    // What `a` keeps back behind that waits until what is put aside was taken; what it keeps back of that does not.
    for (kept_back, asked) in [(3, None), (1, Some(Ok((u64::MAX, "b"))))] {
        let mut frames = Vec::new();
        put_about(kind::REPLAY, 1, "b", &mut frames);
        put_about(kind::SKIP, kept_back, "b", &mut frames);
        bus.say(a, &frames);
        let heard = bus.hear_only(a, kind::RESEND);
        assert_eq!(heard.first().map(|heard| decode_about(&heard.payload)), asked);
    }
    bus.empty(&[a, b, x]);
}
