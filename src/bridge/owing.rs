//! What did not reach a receiver, because its link was lost, it was not there yet, or it had no room: the bridge drops
//! it, and remembers who said it. Senders keep what is not settled; each is asked to say it again when that has a
//! point, and until it does, nothing of it is forwarded to this receiver: so order holds, and the bridge keeps no body.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::link::LinkKey;
use super::member::{Member, MemberKey};
use super::router::Router;
use super::settling::{Broadcast, InFlight};
use crate::wire::control::put_about;
use crate::wire::frame::kind;

/// "From where you stopped", in a RESEND.
const WHERE_IT_STOPPED: u64 = u64::MAX;

/// No count of frames.
const NEVER: u64 = u64::MAX;

/// What one receiver lacks, by sender.
#[derive(Debug, Default)]
pub struct Owed {
    debts: FxHashMap<MemberKey, Debt>,
    /// Whether the receiver is among those whose debtors are to be asked when it has room.
    listed: bool,
}

/// What one receiver lacks of one sender.
#[derive(Debug)]
struct Debt {
    /// Nothing is forwarded until the sender says that it begins again.
    blocked: bool,
    /// It was asked to.
    asked: bool,
    /// A REPLAY of it is sure to come, because it was asked, or keeps something back.
    promised: bool,
    /// The first number that is lacking.
    from: u64,
    /// The first number that the sender keeps back by itself; it is not told what is lacking before.
    stopped: u64,
    /// How far the receiver had come when the sender began to wait: before the next frame it has no more room.
    since: u64,
    /// The receiver's shares of broadcasts that did not reach it, by number.
    shares: BTreeMap<u64, Rc<Broadcast>>,
}

impl Debt {
    fn new() -> Self {
        let (asked, promised, from, stopped, since) = (false, false, WHERE_IT_STOPPED, WHERE_IT_STOPPED, NEVER);
        Self { blocked: true, asked, promised, from, stopped, since, shares: BTreeMap::new() }
    }

    /// The first message that a REPLAY would bring, as far as the bridge knows.
    fn first(&self) -> u64 {
        self.from.min(self.stopped)
    }

    /// Keeps a share until its message is said again. Returns what is too much of it: if the message was on its way
    /// twice, one share is enough to wait for, and of two sayings the later one's: its sender waits for that.
    fn keep_share(&mut self, share: Rc<Broadcast>) -> InFlight {
        match self.shares.entry(share.watched.seq) {
            Entry::Occupied(kept) if Rc::ptr_eq(kept.get(), &share) => InFlight::Share(share),
            Entry::Occupied(kept) if kept.get().link > share.link => InFlight::Unwatched,
            Entry::Occupied(mut kept) => {
                kept.insert(share);
                InFlight::Unwatched
            }
            Entry::Vacant(free) => {
                free.insert(share);
                InFlight::Unwatched
            }
        }
    }
}

impl Owed {
    /// Whether it lacks nothing of anybody: the common case.
    pub fn is_empty(&self) -> bool {
        self.debts.is_empty()
    }

    /// Whether it lacks something of `sender`.
    pub fn lacks_of(&self, sender: MemberKey) -> bool {
        !self.is_empty() && self.debts.contains_key(&sender)
    }

    /// Whether what `sender` says is not for it now, because it has to be said again.
    pub fn is_blocked(&self, sender: MemberKey) -> bool {
        self.debts.get(&sender).is_some_and(|debt| debt.blocked)
    }

    /// Whether somebody waits until it has room.
    pub fn is_waited_for(&self) -> bool {
        self.debts.values().any(|debt| debt.blocked && !debt.asked)
    }

    /// All whose messages it lacks.
    pub fn senders(&self) -> impl Iterator<Item = MemberKey> {
        self.debts.keys().copied()
    }

    /// Notes that it lacks what `sender` said from `from` on.
    fn note(&mut self, sender: MemberKey, from: u64) -> &mut Debt {
        let debt = self.debts.entry(sender).or_insert_with(Debt::new);
        debt.asked &= debt.blocked;
        debt.blocked = true;
        debt.from = debt.from.min(from);
        debt
    }

    /// Those of whom a REPLAY will come, whatever happens to the receiver meanwhile.
    pub fn keepers(&self) -> impl Iterator<Item = MemberKey> {
        self.debts.iter().filter(|(_, debt)| debt.promised).map(|(&sender, _)| sender)
    }

    /// The link is another one: whoever was asked to say it again may have said it on the old one.
    fn ask_again(&mut self) {
        for debt in self.debts.values_mut() {
            (debt.blocked, debt.asked, debt.from, debt.since) = (true, false, 0, NEVER);
        }
    }

    /// All shares of broadcasts, when nothing more will be said to it.
    pub fn into_shares(self) -> impl Iterator<Item = Rc<Broadcast>> {
        self.debts.into_values().flat_map(|debt| debt.shares.into_values())
    }
}

/// Where a message can go.
#[derive(Debug)]
pub enum Way {
    /// To this link.
    Open(LinkKey, InFlight),
    /// Nowhere for now: the sender will be asked to say it again.
    Owed,
    /// Nowhere: the receiver is away, and the sender keeps nothing.
    Lost(InFlight),
}

impl Router {
    /// The way of `sender`'s message `seq` to `receiver`, who is a member.
    pub(super) fn way(&mut self, sender: MemberKey, receiver: MemberKey, seq: u64, in_flight: InFlight) -> Way {
        let Member { link, owed, expected, .. } = &self.members[receiver.place as usize];
        let keeps = self.keeps(sender);
        match *link {
            Some(_) if keeps && *expected > 0 => {
                self.owe(sender, receiver, seq, in_flight);
                Way::Owed
            }
            Some(link) if !owed.lacks_of(sender) => {
                if keeps && self.links[link.0 as usize].is_full(self.limits.max_pending) {
                    self.owe(sender, receiver, seq, in_flight);
                    return Way::Owed;
                }
                Way::Open(link, in_flight)
            }
            Some(link) => self.way_of_debtor(sender, receiver, link, seq, in_flight),
            None if keeps => {
                self.owe(sender, receiver, seq, in_flight);
                Way::Owed
            }
            None => Way::Lost(in_flight),
        }
    }

    fn way_of_debtor(
        &mut self,
        sender: MemberKey,
        receiver: MemberKey,
        link: LinkKey,
        seq: u64,
        in_flight: InFlight,
    ) -> Way {
        let Some(debt) = self.members[receiver.place as usize].owed.debts.get_mut(&sender) else {
            return Way::Open(link, in_flight);
        };
        if debt.blocked || self.links[link.0 as usize].is_full(self.limits.max_pending) {
            self.owe(sender, receiver, seq, in_flight);
            return Way::Owed;
        }
        // What the sender did not say again it does not keep any more.
        let later = debt.shares.split_off(&seq);
        let passed_over = std::mem::replace(&mut debt.shares, later);
        let paid = debt.shares.is_empty();
        passed_over.into_values().for_each(|share| self.settlements.frame(InFlight::Share(share)));
        if paid {
            self.forgive(sender, receiver);
        }
        Way::Open(link, in_flight)
    }

    /// A message of `sender` does not reach `receiver` for now.
    pub(super) fn owe(&mut self, sender: MemberKey, receiver: MemberKey, seq: u64, in_flight: InFlight) {
        if !self.is_member(sender) {
            return;
        }
        let debt = self.members[receiver.place as usize].owed.note(sender, seq);
        if let InFlight::Share(share) = in_flight {
            let twice = debt.keep_share(share);
            self.settlements.frame(twice);
        }
        self.members[sender.place as usize].owing.insert(receiver);
        self.list_debtors_of(receiver);
    }

    /// `sender` had begun to keep back what is for `receiver`'s id before that came.
    pub(super) fn expect_replay(&mut self, sender: MemberKey, receiver: MemberKey) {
        if let Some(debt) = self.members[receiver.place as usize].owed.debts.get_mut(&sender) {
            debt.promised = true;
        }
    }

    /// Debtors are asked when there is room, which for a receiver that is away is never.
    fn list_debtors_of(&mut self, receiver: MemberKey) {
        let Member { link: Some(link), owed, .. } = &mut self.members[receiver.place as usize] else { return };
        if !std::mem::replace(&mut owed.listed, true) {
            // Only now does a stall begin.
            self.links[link.0 as usize].progress = self.now;
            self.owed_to.push(receiver);
        }
    }

    /// `sender` is about to say something again to `receiver`, and takes back its share in it until then.
    pub(super) fn await_again(&mut self, sender: MemberKey, receiver: MemberKey, in_flight: InFlight) {
        let InFlight::Share(share) = in_flight else { return };
        if !self.is_member(receiver) {
            return self.settlements.frame(InFlight::Share(share));
        }
        let debts = &mut self.members[receiver.place as usize].owed.debts;
        let debt = debts.entry(sender).or_insert_with(|| Debt { asked: true, promised: true, ..Debt::new() });
        let twice = debt.keep_share(share);
        self.settlements.frame(twice);
        self.members[sender.place as usize].owing.insert(receiver);
    }

    /// The receiver's share of a broadcast that its sender says again.
    pub(super) fn owed_share(&mut self, sender: MemberKey, receiver: MemberKey, seq: u64) -> Option<Rc<Broadcast>> {
        let owed = &mut self.members[receiver.place as usize].owed;
        let debt = owed.debts.get_mut(&sender).filter(|debt| !debt.blocked)?;
        debt.shares.remove(&seq)
    }

    /// `sender` begins to say again what `receiver` lacks from `from` on. If it lacks more, that was asked for later.
    pub(super) fn replay(&mut self, sender: MemberKey, receiver: MemberKey, from: u64) {
        let Some(debt) = self.members[receiver.place as usize].owed.debts.get_mut(&sender) else { return };
        debt.promised = false;
        if from > debt.from {
            debt.asked = false;
            return self.list_debtors_of(receiver);
        }
        (debt.blocked, debt.asked, debt.from, debt.stopped) = (false, false, WHERE_IT_STOPPED, WHERE_IT_STOPPED);
        if debt.shares.is_empty() {
            self.forgive(sender, receiver);
        }
    }

    /// `sender` keeps back what is for `receiver` until it has room, from message `seq` on.
    pub(super) fn skip(&mut self, sender: MemberKey, receiver: MemberKey, seq: u64) {
        if !self.keeps(sender) {
            return;
        }
        self.owe(sender, receiver, WHERE_IT_STOPPED, InFlight::Unwatched);
        let Member { link, owed, .. } = &mut self.members[receiver.place as usize];
        let since = link.map_or(NEVER, |link| self.links[link.0 as usize].progressed());
        if let Some(debt) = owed.debts.get_mut(&sender) {
            (debt.asked, debt.promised, debt.stopped, debt.since) = (false, true, seq, since);
        }
    }

    fn forgive(&mut self, sender: MemberKey, receiver: MemberKey) {
        self.members[receiver.place as usize].owed.debts.remove(&sender);
        self.members[sender.place as usize].owing.remove(&receiver);
    }

    /// `sender` is on another link, on which it says everything again; or it is gone.
    pub(super) fn forgive_all(&mut self, sender: MemberKey) {
        let owing = std::mem::take(&mut self.members[sender.place as usize].owing);
        for receiver in owing {
            if self.is_member(receiver) {
                self.members[receiver.place as usize].owed.debts.remove(&sender);
            }
        }
    }

    /// The receiver is on another link.
    pub(super) fn ask_again(&mut self, receiver: MemberKey) {
        let owed = &mut self.members[receiver.place as usize].owed;
        if !owed.is_empty() {
            owed.ask_again();
            self.list_debtors_of(receiver);
        }
    }

    /// Asks those who owe something to receivers that have room now to say it again.
    pub(super) fn ask_debtors(&mut self) {
        for receiver in std::mem::take(&mut self.owed_to) {
            if !self.is_member(receiver) {
                continue;
            }
            let link = self.members[receiver.place as usize].link;
            if link.is_some_and(|link| !self.has_room(link)) {
                self.owed_to.push(receiver);
                continue;
            }
            let wait = link.is_some_and(|link| self.ask_debtors_of(receiver, link));
            self.members[receiver.place as usize].owed.listed = wait;
            if wait {
                self.owed_to.push(receiver);
            }
        }
    }

    fn has_room(&self, link: LinkKey) -> bool {
        let link = &self.links[link.0 as usize];
        let ready = link.member.is_some_and(|member| self.members[member.place as usize].expected == 0);
        ready && link.has_room(self.limits.max_pending) && link.unacknowledged_bytes() <= self.welcome.window / 2
    }

    /// Asks those of them for whom there is room; returns whether others have to wait.
    fn ask_debtors_of(&mut self, receiver: MemberKey, link: LinkKey) -> bool {
        let link = &self.links[link.0 as usize];
        let (progressed, idle, most) = (link.progressed(), link.unacknowledged() == 0, self.welcome.window / 2);
        let Member { owed, id, .. } = &mut self.members[receiver.place as usize];
        let unasked = owed.debts.iter_mut().filter(|(_, debt)| debt.blocked && !debt.asked);
        let may_be_asked = unasked.filter(|(sender, debt)| {
            link.has_room_of(**sender, debt.first(), most) && (idle || debt.since != progressed)
        });
        let asked: Vec<(MemberKey, u64)> = may_be_asked
            .map(|(&sender, debt)| {
                (debt.asked, debt.promised) = (true, true);
                (sender, debt.from)
            })
            .collect();
        let id = self.symbols.name(*id).clone();
        for (sender, from) in asked {
            // Whoever is away says everything again when it is back.
            let Some(link) = self.members[sender.place as usize].link else { continue };
            put_about(kind::RESEND, from, &id, self.links[link.0 as usize].out.tail(&mut self.spares));
            self.mark_dirty(link);
        }
        self.members[receiver.place as usize].owed.is_waited_for()
    }
}
