//! Requests that wait for a reply: each ends exactly once, by a reply, a refusal, a departure or its deadline.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::wire::time_left::TimeLeft;

/// Correlations stay below this, so that JavaScript keeps them as small integers.
const CORRELATIONS: u32 = 1 << 30;
/// Deadlines of settled requests, and lanes that hold nothing else, that may be carried along before all are swept: 4 KiB
/// of deadlines, and 6 KiB of lanes.
const SWEEP_AT: usize = 256;
const SWEEP_LANES_AT: usize = 32;
/// Requests for which room is kept while none waits, 128 KiB.
const KEPT_WAITING: usize = 4096;

/// A request without its outcome.
#[derive(Debug)]
pub struct Request {
    /// Whom it went to; empty: the bridge.
    pub to: Rc<str>,
    /// Its number among all messages of this node.
    pub seq: u64,
    /// When its time is up; `None`: never.
    deadline: Option<u64>,
}

/// A request whose time is up.
#[derive(Debug)]
pub struct Expired {
    pub correlation: u32,
    /// Whom it went to; empty: the bridge.
    pub to: Rc<str>,
    /// Milliseconds it was given.
    pub timeout: u32,
    /// Its number among all messages of this node.
    pub seq: u64,
}

/// All of a node's requests. Bounded by what may be unsettled, and by what callers wait for.
#[derive(Debug, Default)]
pub struct Requests {
    waiting: FxHashMap<u32, Request>,
    last: u32,
    /// By duration in milliseconds: within one lane, deadlines come in order.
    lanes: BTreeMap<u32, VecDeque<(u64, u32)>>,
    /// Deadlines in all lanes.
    deadlines: usize,
}

impl Requests {
    /// None yet. Correlations begin anywhere, so that a new process does not take the replies that were meant for the
    /// one before it, whose id it has.
    pub fn new(session: u64) -> Self {
        Self { last: (session % u64::from(CORRELATIONS)) as u32, ..Self::default() }
    }

    /// Adds a request and returns its correlation. `timeout` 0: for ever.
    pub fn add(&mut self, to: Rc<str>, seq: u64, timeout: u32, now: u64) -> u32 {
        loop {
            self.last = if self.last + 1 < CORRELATIONS { self.last + 1 } else { 1 };
            if !self.waiting.contains_key(&self.last) {
                break;
            }
        }
        let deadline = (timeout > 0).then(|| now + u64::from(timeout));
        self.waiting.insert(self.last, Request { to, seq, deadline });
        if let Some(deadline) = deadline {
            let lane = self.lanes.entry(timeout).or_default();
            lane.push_back((deadline, self.last));
            self.deadlines += 1;
            let waiting = 2 * self.waiting.len();
            if self.deadlines > SWEEP_AT + waiting || self.lanes.len() > SWEEP_LANES_AT + waiting {
                self.sweep();
            }
        }
        self.last
    }

    /// Forgets the deadlines of settled requests.
    fn sweep(&mut self) {
        self.lanes.retain(|_, lane| {
            lane.retain(|(_, correlation)| self.waiting.contains_key(correlation));
            lane.shrink_to(SWEEP_AT.max(2 * lane.len()));
            !lane.is_empty()
        });
        self.deadlines = self.lanes.values().map(VecDeque::len).sum();
    }

    /// Ends a request, if `from` is whom it went to.
    pub fn answer(&mut self, correlation: u32, from: &str) -> bool {
        let expected = self.waiting.get(&correlation).is_some_and(|request| &*request.to == from);
        expected && self.cancel(correlation)
    }

    /// Ends a request, whoever it went to.
    pub fn cancel(&mut self, correlation: u32) -> bool {
        self.take(correlation).is_some()
    }

    /// The same, for who has to know whom it went to.
    pub fn take(&mut self, correlation: u32) -> Option<Request> {
        let request = self.waiting.remove(&correlation);
        if self.waiting.is_empty() && self.waiting.capacity() > KEPT_WAITING {
            self.waiting = FxHashMap::default();
        }
        request
    }

    /// How long a request still waits.
    pub fn time_left(&self, correlation: u32, now: u64) -> TimeLeft {
        let deadline = self.waiting.get(&correlation).and_then(|request| request.deadline);
        deadline.map_or(TimeLeft::NONE, |deadline| {
            let left = deadline.saturating_sub(now);
            TimeLeft::from_millis(u32::try_from(left).unwrap_or(u32::MAX))
        })
    }

    /// Ends them all, in the order they were made.
    pub fn end_all(&mut self) -> Vec<u32> {
        self.end_where(|_| true)
    }

    /// Ends those whose time is up.
    pub fn expire(&mut self, now: u64) -> Vec<Expired> {
        let mut expired = Vec::new();
        for (&timeout, lane) in &mut self.lanes {
            while let Some(&(deadline, correlation)) = lane.front() {
                if deadline > now && self.waiting.contains_key(&correlation) {
                    break;
                }
                lane.pop_front();
                self.deadlines -= 1;
                if let Some(Request { to, seq, .. }) = self.waiting.remove(&correlation) {
                    expired.push((deadline, Expired { correlation, to, timeout, seq }));
                }
            }
        }
        self.lanes.retain(|_, lane| !lane.is_empty());
        expired.sort_by_key(|(deadline, request)| (*deadline, request.correlation));
        expired.into_iter().map(|(_, request)| request).collect()
    }

    /// When [`expire`](Self::expire) has something to do, at the earliest.
    pub fn next_deadline(&self) -> Option<u64> {
        self.lanes.values().filter_map(|lane| lane.front()).map(|&(deadline, _)| deadline).min()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Request> {
        self.waiting.values()
    }

    /// Ends some, in the order they were made.
    pub fn end_where(&mut self, mut ends: impl FnMut(&Request) -> bool) -> Vec<u32> {
        let mut ended: Vec<(u64, u32)> = self
            .waiting
            .iter()
            .filter(|(_, request)| ends(request))
            .map(|(&correlation, request)| (request.seq, correlation))
            .collect();
        ended.sort_unstable();
        for (_, correlation) in &ended {
            self.waiting.remove(correlation);
        }
        ended.into_iter().map(|(_, correlation)| correlation).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations_doc_tests::says;

    #[test]
    fn a_request_ends_once() {
        let mut requests = Requests::default();
        let first = requests.add("b".into(), 1, 100, 0);
        assert!(!requests.answer(first, "mallory"), "only the asked may answer");
        assert!(requests.answer(first, "b"));
        assert!(!requests.answer(first, "b") && !requests.cancel(first));
        assert!(requests.expire(1_000).is_empty());
    }

    #[test]
    fn deadlines_of_different_lengths_come_in_order() {
        let mut requests = Requests::default();
        let long = requests.add("b".into(), 1, 100, 0);
        let short = requests.add("b".into(), 2, 10, 5);
        let never = requests.add("b".into(), 3, 0, 5);
        assert_eq!(requests.next_deadline(), Some(15));
        assert!(requests.expire(14).is_empty());
        let expired: Vec<_> =
            requests.expire(100).iter().map(|request| (request.correlation, request.timeout)).collect();
        assert_eq!(expired, [(short, 10), (long, 100)]);
        assert_eq!(requests.next_deadline(), None);
        assert!(requests.end_where(|request| request.seq <= 2 && &*request.to == "b").is_empty());
        assert_eq!(requests.end_where(|request| request.seq <= 3), [never]);
    }

    #[test]
    fn settled_requests_leave_no_trace_behind_one_that_waits() {
        let mut requests = Requests::default();
        requests.add("stuck".into(), 0, 1_000, 0);
        for seq in 1..100_000 {
            let correlation = requests.add("b".into(), seq, 1_000, 0);
            assert!(requests.answer(correlation, "b"));
        }
        assert!(requests.held() <= (SWEEP_AT + 4, 1));
    }

    #[test]
    fn a_timeout_that_was_never_used_before_or_after_is_released_with_its_request() {
        let mut requests = Requests::default();
        let stuck = requests.add("stuck".into(), 0, 0, 0);
        for timeout in 1..100_000 {
            let correlation = requests.add("b".into(), 1, timeout, 0);
            assert!(requests.answer(correlation, "b"));
            let (deadlines, lanes) = requests.held();
            assert!(deadlines <= SWEEP_AT + 4 && lanes <= SWEEP_LANES_AT + 4, "{deadlines} {lanes}");
        }
        says("its deadline", &[size_of::<(u64, u32)>(), SWEEP_AT]);
        says("a timeout that no call before had", &[SWEEP_LANES_AT]);
        assert!(requests.cancel(stuck));
        assert!(requests.expire(1_000_000).is_empty());
        assert_eq!(requests.held(), (0, 0));
    }

    #[test]
    fn the_room_of_many_is_given_back_when_all_are_answered() {
        let mut requests = Requests::default();
        let waiting: Vec<u32> = (0..100_000).map(|seq| requests.add("b".into(), seq, 0, 0)).collect();
        assert!(waiting.into_iter().all(|correlation| requests.answer(correlation, "b")));
        assert!(requests.waiting.capacity() <= KEPT_WAITING);
    }

    #[test]
    fn a_sweep_keeps_the_deadlines_of_those_that_wait() {
        let mut requests = Requests::default();
        let waiting: Vec<u32> = (1..=1_000).map(|timeout| requests.add("b".into(), 1, timeout, 0)).collect();
        for timeout in 1..=10_000 {
            let correlation = requests.add("b".into(), 1, 10_000 + timeout, 0);
            assert!(requests.cancel(correlation));
        }
        assert!(requests.held() <= (SWEEP_AT + 3_000, SWEEP_LANES_AT + 3_000));
        assert_eq!(requests.next_deadline(), Some(1));
        let expired: Vec<u32> = requests.expire(1_000).iter().map(|request| request.correlation).collect();
        assert_eq!(expired, waiting);
    }

    impl Requests {
        /// Deadlines and lanes in memory.
        fn held(&self) -> (usize, usize) {
            let deadlines = self.lanes.values().map(VecDeque::len).sum();
            assert_eq!(deadlines, self.deadlines);
            (deadlines, self.lanes.len())
        }
    }
}
