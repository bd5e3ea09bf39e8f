//! What is whole, lost, passed over or given up in an inbox.

use super::*;
use crate::wire::frame::kind;
use crate::wire::time_left::TimeLeft;

fn head(seq: u64) -> Head {
    Head { kind: kind::MESSAGE, flags: 0, peer: 1, event: 2, time_left: TimeLeft::NONE, correlation: 0, seq }
}

/// The names of messages of one sender.
fn names() -> impl Fn() -> (Name, Name) {
    let ann: Rc<str> = "ann".into();
    let from = Name { text: ann.clone(), sender: Some(Sender::new(ann, 1)) };
    move || (from.clone(), Name { text: "news".into(), sender: None })
}

fn seqs(released: &[Held]) -> Vec<u64> {
    released.iter().map(|held| held.head.seq).collect()
}

#[test]
fn announcing_costs_no_memory() {
    let names = names();
    let mut inbox = Inbox::new(Pool::new(0), usize::MAX);
    for stream in 1..=1000 {
        inbox.open(head(u64::from(stream)), names(), stream, 1 << 36).unwrap();
        assert!(inbox.chunk(stream, b"x", None, 1).unwrap().is_empty());
        assert!(inbox.body(stream).unwrap().0.capacity() <= FIRST_ROOM);
    }
}

#[test]
fn a_body_that_grows_is_whole() {
    let names = names();
    let mut inbox = Inbox::new(Pool::new(1 << 30), usize::MAX);
    let bytes: Vec<u8> = (0..5_000_000u32).map(|n| n as u8).collect();
    inbox.open(head(1), names(), 7, bytes.len() as u64).unwrap();
    let released: Vec<Held> = bytes.chunks(100_000).flat_map(|chunk| inbox.chunk(7, chunk, None, 1).unwrap()).collect();
    assert_eq!(seqs(&released), [1]);
    assert_eq!(released[0].body.bytes(), &bytes[..]);
    assert_eq!(inbox.waiting, 0);
}

#[test]
fn what_waits_for_an_endless_message_is_bounded_and_not_lost() {
    let names = names();
    let mut inbox = Inbox::new(Pool::new(0), 10_000);
    inbox.open(head(1), names(), 7, 1000).unwrap();
    let mut released = Vec::new();
    let mut sent = 1;
    while released.is_empty() {
        sent += 1;
        released = inbox.wait(head(sent), names(), Payload::Borrowed(&[0; 1000]), 1);
    }
    assert_eq!(seqs(&released), (1..=sent).collect::<Vec<_>>());
    let whole: Vec<bool> = released.iter().map(Held::is_whole).collect();
    assert!(!whole[0] && whole[1..].iter().all(|&whole| whole), "the first is to be told, the rest to be delivered");
    assert!(inbox.is_empty() && inbox.waiting == 0);
    assert!(inbox.chunk(7, &[0; 1000], None, 1).unwrap().is_empty(), "its late bytes harm nobody");
    assert!(inbox.chunk(7, b"more", None, 1).is_err(), "but it has ended with them");
}

#[test]
fn what_is_said_again_takes_its_place_before_what_waited() {
    let names = names();
    let mut inbox = Inbox::new(Pool::new(0), usize::MAX);
    inbox.open(head(1), names(), 7, 4).unwrap();
    inbox.chunk(7, b"ab", None, 1).unwrap();
    assert!(inbox.wait(head(2), names(), Payload::Borrowed(b"behind"), 1).is_empty());
    assert!(inbox.chunk(7, b"", Some(End::Lost), 1).unwrap().is_empty(), "the rest goes on waiting");
    assert!(inbox.wait(head(2), names(), Payload::Borrowed(b"behind"), 1).is_empty(), "once is enough");
    inbox.open(head(1), names(), 9, 4).unwrap();
    let released = inbox.chunk(9, b"abcd", None, 1).unwrap();
    assert_eq!(seqs(&released), [1, 2]);
    assert_eq!(released[0].body.bytes(), b"abcd");
    assert!(inbox.is_empty() && inbox.waiting == 0);
}

#[test]
fn what_had_begun_in_chunks_may_come_at_once() {
    let names = names();
    let mut inbox = Inbox::new(Pool::new(0), usize::MAX);
    inbox.open(head(1), names(), 7, 4).unwrap();
    assert!(inbox.wait(head(1), names(), Payload::Borrowed(b"abcd"), 1).is_empty(), "it is coming");
    inbox.wait(head(2), names(), Payload::Borrowed(b"behind"), 1);
    inbox.chunk(7, b"", Some(End::Lost), 1).unwrap();
    let released = inbox.wait(head(1), names(), Payload::Borrowed(b"abcd"), 1);
    assert_eq!(seqs(&released), [1, 2]);
    assert_eq!(released[0].body.bytes(), b"abcd");
    assert!(inbox.is_empty() && inbox.waiting == 0);
}

#[test]
fn a_large_message_that_is_coming_already_is_not_begun_twice() {
    let names = names();
    let mut inbox = Inbox::new(Pool::new(0), usize::MAX);
    inbox.open(head(1), names(), 7, 4).unwrap();
    inbox.open(head(1), names(), 8, 4).unwrap();
    assert!(inbox.chunk(8, b"abcd", None, 1).unwrap().is_empty());
    assert_eq!(seqs(&inbox.chunk(7, b"abcd", None, 1).unwrap()), [1]);
}

#[test]
fn nobody_waits_for_what_is_passed_over_when_all_is_said_again() {
    let names = names();
    let sender = names().0.sender.unwrap();
    let mut inbox = Inbox::new(Pool::new(0), usize::MAX);
    inbox.open(head(1), names(), 7, 4).unwrap();
    inbox.wait(head(2), names(), Payload::Borrowed(b"behind"), 1);
    assert!(inbox.link_lost().is_empty());
    assert!(inbox.pass(&sender, 1).is_empty(), "it may come");
    assert_eq!(seqs(&inbox.pass(&sender, 2)), [2]);
    assert!(inbox.is_empty());
}

#[test]
fn who_keeps_nothing_says_nothing_again() {
    let (from, event) = names()();
    let from = Name { sender: Some(Sender::new("old".into(), 0)), ..from };
    let mut inbox = Inbox::new(Pool::new(0), usize::MAX);
    inbox.open(head(1), (from.clone(), event.clone()), 7, 4).unwrap();
    inbox.wait(head(2), (from, event), Payload::Borrowed(b"behind"), 1);
    assert_eq!(seqs(&inbox.link_lost()), [2]);
    assert!(inbox.is_empty());
}

#[test]
fn nobody_waits_for_what_a_sender_that_is_gone_had_begun() {
    let names = names();
    let mut inbox = Inbox::new(Pool::new(0), usize::MAX);
    inbox.open(head(1), names(), 7, 4).unwrap();
    inbox.wait(head(2), names(), Payload::Borrowed(b"behind"), 1);
    assert!(inbox.link_lost().is_empty());
    assert_eq!(inbox.awaited().count(), 1);
    assert_eq!(seqs(&inbox.gone(|sender| &*sender.id == "ann")), [2]);
    assert!(inbox.is_empty());
}

#[test]
fn each_frame_that_brings_a_message_is_noted_with_it() {
    let (names, mut inbox) = (names(), Inbox::new(Pool::new(0), usize::MAX));
    let sender = names().0.sender.unwrap();
    inbox.open(head(1), names(), 7, 4).unwrap();
    inbox.chunk(7, b"ab", None, 2).unwrap();
    assert!(!inbox.has_noted(), "it is not whole");
    inbox.wait(head(2), names(), Payload::Borrowed(b"behind"), 3);
    assert!(inbox.has_noted());
    inbox.wait(head(2), names(), Payload::Borrowed(b"behind"), 4);
    inbox.came_again(&sender, 1, 5);
    inbox.came_again(&sender, 2, 6);
    assert!(inbox.has_noted());
    let released = inbox.chunk(7, b"cd", None, 8).unwrap();
    assert!(inbox.has_noted());
    let frames: Vec<_> = released.iter().map(|held| held.frames.clone()).collect();
    assert_eq!(frames, [vec![8], vec![3, 4, 6]]);
}

#[test]
fn a_large_message_that_comes_again_is_passed_over_when_it_is_whole() {
    let (names, mut inbox) = (names(), Inbox::new(Pool::new(0), usize::MAX));
    let sender = names().0.sender.unwrap();
    inbox.ignore(3, 4, Some((sender.clone(), 9)));
    inbox.chunk(3, b"ab", None, 1).unwrap();
    assert!(inbox.passed_over().is_none());
    inbox.chunk(3, b"cd", None, 2).unwrap();
    assert!(inbox.passed_over().is_some_and(|(of, seq)| Rc::ptr_eq(&of, &sender) && seq == 9));
    inbox.ignore(3, 4, Some((sender, 9)));
    inbox.chunk(3, b"", Some(End::Aborted), 3).unwrap();
    assert!(inbox.passed_over().is_none(), "nothing came of it");
}

#[test]
fn what_waits_over_a_lost_link_was_brought_by_no_frame_of_the_next() {
    let (names, mut inbox) = (names(), Inbox::new(Pool::new(0), usize::MAX));
    inbox.open(head(1), names(), 7, 4).unwrap();
    inbox.wait(head(2), names(), Payload::Borrowed(b"behind"), 2);
    inbox.link_lost();
    inbox.wait(head(2), names(), Payload::Borrowed(b"behind"), 1);
    inbox.open(head(1), names(), 8, 4).unwrap();
    let released = inbox.chunk(8, b"abcd", None, 4).unwrap();
    assert_eq!(released.iter().map(|held| held.frames.clone()).collect::<Vec<_>>(), [[4], [1]]);
}

#[test]
fn what_is_said_again_before_the_first_that_is_not_whole_waits_for_nothing() {
    let names = names();
    let mut inbox = Inbox::new(Pool::new(0), usize::MAX);
    inbox.open(head(5), names(), 7, 4).unwrap();
    assert!(inbox.link_lost().is_empty());
    assert_eq!(seqs(&inbox.wait(head(1), names(), Payload::Borrowed(b"before"), 1)), [1]);
    assert!(inbox.wait(head(6), names(), Payload::Borrowed(b"behind"), 2).is_empty());
    inbox.open(head(5), names(), 8, 4).unwrap();
    assert_eq!(seqs(&inbox.chunk(8, b"abcd", None, 3).unwrap()), [5, 6]);
    assert!(inbox.is_empty() && inbox.waiting == 0);
}

#[test]
fn a_question_that_waits_and_comes_again_is_answered_although_this_node_was_given_up_meanwhile() {
    let names = names();
    let asks = |seq| Head { flags: flag::ASK, correlation: 9, ..head(seq) };
    for comes_again in [true, false] {
        let mut inbox = Inbox::new(Pool::new(0), usize::MAX);
        inbox.open(head(1), names(), 7, 4).unwrap();
        inbox.wait(asks(2), names(), Payload::Borrowed(b"?"), 1);
        inbox.open(asks(3), names(), 8, 1).unwrap();
        inbox.chunk(8, b"?", None, 2).unwrap();
        inbox.forget_questions();
        if comes_again {
            inbox.wait(asks(2), names(), Payload::Borrowed(b"?"), 3);
            inbox.open(asks(3), names(), 9, 1).unwrap();
        }
        let released = inbox.chunk(7, b"abcd", None, 4).unwrap();
        let questions: Vec<bool> = released.iter().map(|held| held.head.asks()).collect();
        assert_eq!(questions, [false, comes_again, comes_again]);
    }
}

#[test]
fn what_is_not_continued_up_to_a_number_leaves_what_comes_later() {
    let names = names();
    let mut inbox = Inbox::new(Pool::new(0), usize::MAX);
    inbox.open(head(3), names(), 7, 4).unwrap();
    inbox.wait(head(4), names(), Payload::Borrowed(b"behind"), 2);
    inbox.open(head(5), names(), 8, 4).unwrap();
    inbox.wait(head(6), names(), Payload::Borrowed(b"behind"), 3);
    inbox.link_lost();
    assert!(inbox.not_continued(|_| true, 2).is_empty());
    assert!(inbox.not_continued(|_| false, 3).is_empty());
    assert_eq!(seqs(&inbox.not_continued(|_| true, 3)), [4]);
    assert_eq!(seqs(&inbox.not_continued(|_| true, u64::MAX)), [6]);
    assert!(inbox.is_empty() && inbox.waiting == 0);
}
