//! Staying awake for a moment. To put a thread to sleep and to wake it takes longer than to carry a message: of a request
//! and its reply by way of a sleeping bridge, half the time was that. So the bridge looks for what comes next for a moment
//! before it sleeps, as long as something mostly comes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How long something is expected: what a node takes to answer at once.
const MOMENT: Duration = Duration::from_micros(40);
/// Messages carried at a time by which a stream is told from a dialogue, whose next word is soon to come.
const FEW: u64 = 4;
/// After something was expected in vain it is not, for one message and then twice as many each time, up to this.
const MOST_PASSED: u32 = 64;

/// Whether something mostly comes right after the messages of one link, which answers or is answered at once.
#[derive(Debug, Default)]
pub struct Expectation {
    /// Messages to let pass before something is expected again.
    to_pass: Cell<u32>,
    /// How many that were, the last time.
    passed: Cell<u32>,
}

impl Expectation {
    /// A message has come; whether to stay awake for the next.
    fn arises(&self) -> bool {
        let to_pass = self.to_pass.get();
        self.to_pass.set(to_pass.saturating_sub(1));
        to_pass == 0
    }

    fn was_met(&self) {
        self.passed.set(0);
    }

    fn was_in_vain(&self) {
        let passed = (2 * self.passed.get()).clamp(1, MOST_PASSED);
        self.passed.set(passed);
        self.to_pass.set(passed);
    }
}

/// The bridge's thread, awake or about to sleep.
#[derive(Debug, Default)]
pub struct Alertness {
    /// What is expected, and until when.
    expected: RefCell<Option<(Rc<Expectation>, Instant)>>,
    begin: Notify,
}

impl Alertness {
    /// Something has come from a link, and so many messages were carried on.
    pub fn carried(&self, messages: u64, from: &Rc<Expectation>) {
        if messages == 0 {
            return;
        }
        let mut expected = self.expected.borrow_mut();
        if let Some((before, _)) = expected.take() {
            before.was_met();
        }
        if messages <= FEW && from.arises() {
            *expected = Some((from.clone(), Instant::now() + MOMENT));
            self.begin.notify_one();
        }
    }

    /// Keeps the thread awake while something is expected; for ever.
    pub async fn stay(&self) {
        loop {
            self.begin.notified().await;
            while self.is_expecting() {
                // Whoever needs the core goes first.
                std::thread::yield_now();
                tokio::task::yield_now().await;
            }
        }
    }

    fn is_expecting(&self) -> bool {
        let mut expected = self.expected.borrow_mut();
        let over = expected.take_if(|(_, until)| *until <= Instant::now());
        over.iter().for_each(|(in_vain, _)| in_vain.was_in_vain());
        expected.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_comes_is_expected_ever_more_seldom() {
        let link = Expectation::default();
        let expected = (0..1_000).filter(|_| {
            let arises = link.arises();
            if arises {
                link.was_in_vain();
            }
            arises
        });
        assert!(expected.count() < 25);
    }

    #[test]
    fn what_comes_is_expected_again_at_once() {
        let link = Expectation::default();
        (0..10).for_each(|_| link.was_in_vain());
        assert_eq!((0..200).position(|_| link.arises()), Some(MOST_PASSED as usize));
        link.was_met();
        assert!((0..100).all(|_| link.arises()));
        link.was_in_vain();
        assert!(!link.arises() && link.arises(), "one that was in vain costs little trust");
    }

    #[test]
    fn the_thread_sleeps_when_nothing_comes_and_streams_do_not_keep_it_awake() {
        let (alertness, link) = (Alertness::default(), Rc::new(Expectation::default()));
        alertness.carried(0, &link);
        alertness.carried(FEW + 1, &link);
        assert!(alertness.expected.borrow().is_none());
        alertness.carried(1, &link);
        assert!(alertness.expected.borrow().is_some());
        std::thread::sleep(2 * MOMENT);
        assert!(!alertness.is_expecting());
        alertness.carried(1, &link);
        assert!(alertness.expected.borrow().is_none(), "the next is let pass");
    }
}
