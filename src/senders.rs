//! What somebody has got of whom: after a lost link senders say again what may not have arrived, and what did is dropped.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// Senders remembered for sure. As many more are remembered that were heard of before these; of a sender that is
/// forgotten, something that it says again would be taken for new.
const REMEMBERED: usize = 32_768;

/// Somebody who says things: a node in one of its sessions, or a bridge.
#[derive(Debug)]
pub struct Sender {
    pub id: Rc<str>,
    /// 0: what it says is not numbered, and never said twice.
    pub session: u64,
    /// Number of the last message that came from it.
    last: Cell<u64>,
    /// Number since which all have come up to the last.
    since: Cell<u64>,
    /// Number of the last message that had come when a bridge gave it up.
    given_up: Cell<u64>,
    /// Runs of numbers that came before that: numbers between them went to others.
    runs: Rc<Runs>,
    /// Where those stand whose runs are many.
    shelf: Rc<Shelf>,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    last: u64,
}

/// Runs remembered of one sender that was heard lately, 16 KiB of them: far more than it has unsettled at a time.
const MAX_RUNS: usize = 1024;

/// Runs remembered of any sender, 256 bytes of them.
const FEW_RUNS: usize = 16;

/// Senders of whom more runs are remembered than those few: 1 MiB of them in all.
const SHELVED: usize = 64;

/// What came of one sender, in runs of numbers, as far as it is remembered.
#[derive(Debug, Default)]
struct Runs {
    list: RefCell<VecDeque<Run>>,
    /// Whether earlier ones were forgotten.
    forgot: Cell<bool>,
    shelved: Cell<bool>,
}

/// Runs of those senders of whom many are remembered. Who comes last displaces the first, of whom few are kept; if it
/// goes on, it comes again.
type Shelf = RefCell<VecDeque<Rc<Runs>>>;

impl Runs {
    fn push(self: &Rc<Self>, run: Run, shelf: &Shelf) {
        let mut list = self.list.borrow_mut();
        if list.len() == MAX_RUNS {
            list.pop_front();
            self.forgot.set(true);
        }
        list.push_back(run);
        if list.len() > FEW_RUNS && !self.shelved.replace(true) {
            self.put_on(shelf);
        }
    }

    fn put_on(self: &Rc<Self>, shelf: &Shelf) {
        let mut shelf = shelf.borrow_mut();
        shelf.push_back(self.clone());
        if shelf.len() > SHELVED
            && let Some(first) = shelf.pop_front()
        {
            first.shorten();
        }
    }

    /// Keeps the last few.
    fn shorten(&self) {
        self.shelved.set(false);
        let mut list = self.list.borrow_mut();
        let many = list.len().saturating_sub(FEW_RUNS);
        list.drain(..many);
        list.shrink_to_fit();
        self.forgot.set(true);
    }
}

/// What a message with some number is, for somebody who hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It has not come before, nor has a later one.
    New,
    /// It has come.
    Old,
    /// A later one has come, and this one has not: it was said when it could not come, and comes too late.
    Late,
}

impl Sender {
    /// Nothing has come from it yet.
    pub fn new(id: Rc<str>, session: u64) -> Rc<Self> {
        Self::beside(id, session, &Rc::default())
    }

    fn beside(id: Rc<str>, session: u64, shelf: &Rc<Shelf>) -> Rc<Self> {
        let (last, since, given_up) = <(Cell<u64>, Cell<u64>, Cell<u64>)>::default();
        let (runs, shelf) = (Rc::default(), shelf.clone());
        Rc::new(Self { id, session, last, since, given_up, runs, shelf })
    }

    /// What message `seq` would be if it came now.
    pub fn news(&self, seq: u64) -> News {
        if seq > self.last.get() || self.session == 0 {
            return News::New;
        }
        if seq >= self.since.get() {
            return News::Old;
        }
        let runs = self.runs.list.borrow();
        let holds = |run: &Run| (run.first..=run.last).contains(&seq);
        // Of what is forgotten nothing is said again.
        let forgotten = self.runs.forgot.get() && runs.front().is_none_or(|oldest| seq < oldest.first);
        if forgotten || runs.iter().rev().any(holds) { News::Old } else { News::Late }
    }

    /// Message `seq`, the latest, has come.
    pub fn said(&self, seq: u64) {
        let before = self.last.replace(seq);
        if before + 1 != seq {
            self.begin_run(seq, before);
        }
    }

    fn begin_run(&self, first: u64, before: u64) {
        let run = Run { first: self.since.replace(first), last: before };
        if before != 0 {
            self.runs.push(run, &self.shelf);
        }
    }

    /// Number of the first message that came; 0: that is not known any more.
    pub fn first(&self) -> u64 {
        if self.runs.forgot.get() {
            return 0;
        }
        self.runs.list.borrow().front().map_or(self.since.get(), |oldest| oldest.first)
    }

    /// Number of the last message that had come when a bridge gave it up; 0: none ever did.
    pub fn given_up(&self) -> u64 {
        self.given_up.get()
    }

    /// Number of the last message that came.
    pub fn last(&self) -> u64 {
        self.last.get()
    }
}

/// By id, then session.
type BySession = BTreeMap<(Rc<str>, u64), Rc<Sender>>;

/// All senders that somebody heard of, in two generations of which the older is forgotten when the younger is full.
#[derive(Debug, Default)]
pub struct Senders {
    young: BySession,
    old: BySession,
    shelf: Rc<Shelf>,
    /// Whether some were forgotten.
    forgetful: bool,
}

impl Senders {
    /// The sender of this id and session.
    pub fn get(&mut self, id: &Rc<str>, session: u64) -> Rc<Sender> {
        let key = (id.clone(), session);
        if let Some(sender) = self.young.get(&key) {
            return sender.clone();
        }
        let sender = self.old.remove(&key).unwrap_or_else(|| Sender::beside(id.clone(), session, &self.shelf));
        if self.young.len() >= REMEMBERED {
            self.forgetful |= !self.old.is_empty();
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, sender.clone());
        sender
    }

    /// Number of the first message that came from that sender; `None`: none ever did. 0: that is not known any more.
    pub fn first_of(&self, id: &Rc<str>, session: u64) -> Option<u64> {
        let sender = self.find(id, session).filter(|sender| sender.last() > 0);
        if self.forgetful { Some(0) } else { sender.map(|sender| sender.first()) }
    }

    /// A bridge gave that sender up: what answers it had not got by now it will not get. Session 0: all of that id.
    pub fn give_up(&self, id: &Rc<str>, session: u64) {
        let sessions = if session == 0 { 0..=u64::MAX } else { session..=session };
        let range = (id.clone(), *sessions.start())..=(id.clone(), *sessions.end());
        for sender in self.young.range(range.clone()).chain(self.old.range(range)).map(|(_, sender)| sender) {
            sender.given_up.set(sender.last());
        }
    }

    /// [`Sender::given_up`] of that sender.
    pub fn given_up(&self, id: &Rc<str>, session: u64) -> u64 {
        self.find(id, session).map_or(0, |sender| sender.given_up())
    }

    fn find(&self, id: &Rc<str>, session: u64) -> Option<&Rc<Sender>> {
        let key = (id.clone(), session);
        self.young.get(&key).or_else(|| self.old.get(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations_doc_tests::says;

    #[test]
    fn what_was_said_is_remembered_by_session() {
        let mut senders = Senders::default();
        let id: Rc<str> = "ann".into();
        senders.get(&id, 1).said(7);
        assert_eq!((senders.get(&id, 1).news(7), senders.get(&id, 1).news(8)), (News::Old, News::New));
        assert_eq!(senders.get(&id, 2).news(1), News::New, "another process with its id begins anew");
        assert_eq!(senders.get(&"ben".into(), 1).news(1), News::New, "nobody speaks for another");
    }

    #[test]
    fn what_comes_too_late_is_told_from_what_has_come() {
        let sender = Sender::new("ann".into(), 1);
        [3, 4, 5, 9].into_iter().for_each(|seq| sender.said(seq));
        let news: Vec<News> = (1..=10).map(|seq| sender.news(seq)).collect();
        use News::{Late, New, Old};
        assert_eq!(news, [Late, Late, Old, Old, Old, Late, Late, Late, Old, New]);
        (10..10_000).step_by(2).for_each(|seq| sender.said(seq));
        assert!(sender.runs.list.borrow().len() <= MAX_RUNS);
        assert_eq!((sender.news(9_998), sender.news(9_997), sender.news(1)), (Old, Late, Old));
        assert_eq!(sender.first(), 0, "forgotten");
    }

    #[test]
    fn the_first_message_of_a_sender_is_known_until_it_is_forgotten() {
        let mut senders = Senders::default();
        let id: Rc<str> = "ann".into();
        assert_eq!(senders.first_of(&id, 1), None);
        let ann = senders.get(&id, 1);
        assert_eq!(senders.first_of(&id, 1), None, "a name says nothing");
        [4, 5, 9].into_iter().for_each(|seq| ann.said(seq));
        assert_eq!((senders.first_of(&id, 1), senders.first_of(&id, 2)), (Some(4), None));
        for session in 2..3 * REMEMBERED as u64 {
            senders.get(&id, session);
        }
        assert_eq!(senders.first_of(&id, 7), Some(0));
    }

    #[test]
    fn what_had_come_of_a_sender_that_is_given_up_is_told_from_what_comes_later() {
        let mut senders = Senders::default();
        let id: Rc<str> = "ann".into();
        let said = |senders: &mut Senders, session, seq| senders.get(&id, session).said(seq);
        (1..=2).for_each(|session| said(&mut senders, session, 7));
        senders.get(&"ben".into(), 1).said(7);
        senders.give_up(&id, 1);
        (1..=2).for_each(|session| said(&mut senders, session, 8));
        assert_eq!((senders.given_up(&id, 1), senders.given_up(&id, 2), senders.given_up(&id, 3)), (7, 0, 0));
        senders.give_up(&id, 0);
        assert_eq!((senders.given_up(&id, 1), senders.given_up(&id, 2)), (8, 8), "all sessions of that id");
        assert_eq!(senders.given_up(&"ben".into(), 1), 0, "and of no other");
    }

    #[test]
    fn of_most_senders_few_runs_are_remembered() {
        let mut senders = Senders::default();
        let id: Rc<str> = "ann".into();
        let alternate = |senders: &mut Senders, session, runs: usize| {
            let sender = senders.get(&id, session);
            (1..2 * runs as u64).step_by(2).for_each(|seq| sender.said(seq));
        };
        for session in 1..=2 * REMEMBERED as u64 {
            let last = session > (2 * REMEMBERED - SHELVED) as u64;
            alternate(&mut senders, session, if last { 2 * MAX_RUNS } else { 2 * FEW_RUNS });
        }
        let all = || senders.young.values().chain(senders.old.values());
        let runs: Vec<usize> = all().map(|sender| sender.runs.list.borrow().capacity()).collect();
        assert_eq!(runs.len(), 2 * REMEMBERED);
        assert_eq!(runs.iter().filter(|&&runs| runs > FEW_RUNS).count(), SHELVED);
        assert!(runs.iter().all(|&runs| runs <= MAX_RUNS), "{:?}", runs.iter().max());
        says("numbers of a sender", &[2 * REMEMBERED, REMEMBERED]);
        says("runs of those numbers", &[size_of::<Run>(), FEW_RUNS, MAX_RUNS, SHELVED]);
        let bytes = runs.iter().sum::<usize>() * size_of::<Run>();
        assert!(bytes <= (SHELVED * MAX_RUNS + 2 * REMEMBERED * FEW_RUNS) * size_of::<Run>());
    }

    #[test]
    fn who_made_room_for_others_is_heard_on_as_before() {
        let mut senders = Senders::default();
        let id: Rc<str> = "ann".into();
        let said = |senders: &mut Senders, session| {
            let sender = senders.get(&id, session);
            let from = sender.last() + 2;
            (from..from + 200).step_by(2).for_each(|seq| sender.said(seq));
            sender
        };
        let first = said(&mut senders, 1);
        (2..100).for_each(|session| drop(said(&mut senders, session)));
        let last = first.last();
        assert_eq!((first.news(last), first.news(last - 1), first.news(last + 1)), (News::Old, News::Late, News::New));
        assert_eq!(
            (first.news(2), first.news(3), first.first()),
            (News::Old, News::Old, 0),
            "forgotten: not said again"
        );
        said(&mut senders, 1);
        let last = first.last();
        let news: Vec<News> = (last - 199..=last).map(|seq| first.news(seq)).collect();
        assert!(news.chunks(2).all(|pair| pair == [News::Late, News::Old]), "{news:?}");
        assert!(senders.shelf.borrow().len() <= SHELVED);
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_longest_unheard() {
        let mut senders = Senders::default();
        let id: Rc<str> = "ann".into();
        senders.get(&id, 1).said(7);
        for session in 2..REMEMBERED as u64 {
            senders.get(&id, session);
        }
        assert_eq!(senders.get(&id, 1).news(7), News::Old);
        for session in 2..4 * REMEMBERED as u64 {
            senders.get(&id, session);
        }
        assert!(senders.young.len() + senders.old.len() <= 2 * REMEMBERED);
    }
}
