//! Shared memory without memory: what a node of the simulation writes lies in a table that the others look into. What is
//! freed is gone, and its place is soon another's, as it is in truth.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::node::lane::{Copied, Lane, Sink};
use crate::wire::lane::{Cookie, Extent, Offer};

/// Bytes in one arena: few, so that it is often full.
const ROOM: u64 = 600_000;

/// What all processes of a run have written, and whether much of what they say is large.
#[derive(Clone, Debug)]
pub struct Memory(Rc<RefCell<HashMap<Cookie, Arena>>>, bool);

#[derive(Debug, Default)]
struct Arena {
    /// Ticket and body, by offset.
    bodies: BTreeMap<u64, (u64, Vec<u8>)>,
    tickets: u64,
    /// Its process has ended: who has it open can still read it.
    dead: bool,
}

/// The lane of one process.
#[derive(Debug)]
pub struct Fake {
    memory: Memory,
    cookie: Cookie,
    /// Whether other processes can be looked into.
    sees: bool,
    views: HashMap<Rc<str>, (u64, Cookie)>,
}

struct Writer(Vec<u8>);

impl Memory {
    /// Nothing yet.
    pub fn new(bulky: bool) -> Self {
        Self(Rc::default(), bulky)
    }

    /// Whether much of what is said in this run is large.
    pub fn bulky(&self) -> bool {
        self.1
    }

    /// The lane of a process whose number nobody else has.
    pub fn lane(&self, number: u64, sees: bool) -> Fake {
        let mut cookie = Cookie::default();
        cookie[..8].copy_from_slice(&number.to_le_bytes());
        Fake { memory: self.clone(), cookie, sees, views: HashMap::new() }
    }

    /// The process of this number has ended.
    pub fn end(&self, number: u64) {
        let cookie = self.lane(number, false).cookie;
        self.0.borrow_mut().get_mut(&cookie).into_iter().for_each(|arena| arena.dead = true);
    }

    /// How many bodies of this process lie there.
    pub fn held(&self, number: u64) -> usize {
        self.0.borrow().get(&self.lane(number, false).cookie).map_or(0, |arena| arena.bodies.len())
    }
}

impl Lane for Fake {
    fn offer(&mut self) -> Option<Offer> {
        self.memory.0.borrow_mut().entry(self.cookie).or_default();
        Some(Offer { pid: 1, fd: 2, size: ROOM, cookie: self.cookie })
    }

    fn write(&mut self, most: usize, write: &mut dyn FnMut(&mut dyn Sink)) -> Option<Extent> {
        let mut memory = self.memory.0.borrow_mut();
        let arena = memory.get_mut(&self.cookie)?;
        let used: u64 = arena.bodies.values().map(|(_, body)| body.len() as u64).sum();
        if used + most as u64 > ROOM {
            return None;
        }
        let mut writer = Writer(Vec::new());
        write(&mut writer);
        assert!(writer.0.len() <= most);
        let offset = (0..).find(|offset| !arena.bodies.contains_key(offset))?;
        arena.tickets += 1;
        let extent = Extent { offset, len: writer.0.len() as u64, ticket: arena.tickets };
        arena.bodies.insert(offset, (arena.tickets, writer.0));
        Some(extent)
    }

    fn read(&mut self, extent: Extent, out: &mut dyn Sink) {
        let memory = self.memory.0.borrow();
        let (ticket, body) = &memory[&self.cookie].bodies[&extent.offset];
        assert_eq!((*ticket, body.len() as u64), (extent.ticket, extent.len));
        out.write(body);
    }

    fn free(&mut self, extent: Extent) {
        let mut memory = self.memory.0.borrow_mut();
        let freed = memory.get_mut(&self.cookie).and_then(|arena| arena.bodies.remove(&extent.offset));
        assert!(freed.is_some_and(|(ticket, _)| ticket == extent.ticket), "freed once, and what was written");
    }

    fn open(&mut self, id: &str, session: u64, offer: &Offer) -> bool {
        self.views.remove(id);
        let found = self.sees && self.memory.0.borrow().get(&offer.cookie).is_some_and(|arena| !arena.dead);
        if found {
            self.views.insert(id.into(), (session, offer.cookie));
        }
        found
    }

    fn copy(&mut self, id: &Rc<str>, session: u64, extent: Extent, out: &mut Vec<u8>) -> Copied {
        let cookie = self.views.get(id).filter(|(known, _)| *known == session).map(|(_, cookie)| cookie);
        let memory = self.memory.0.borrow();
        let cookie = cookie.unwrap_or_else(|| panic!("'{id}' says that its memory can be read, which nobody accepted"));
        match memory[cookie].bodies.get(&extent.offset).filter(|(ticket, _)| *ticket == extent.ticket) {
            Some((_, body)) => {
                assert_eq!(body.len() as u64, extent.len);
                out.extend_from_slice(body);
                Copied::Whole
            }
            None => Copied::Withdrawn,
        }
    }

    fn forget_dead(&mut self, id: Option<&str>) {
        let memory = self.memory.0.borrow();
        self.views.retain(|other, (_, cookie)| id.is_some_and(|id| *id != **other) || !memory[cookie].dead);
    }
}

impl Sink for Writer {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn pad(&mut self, alignment: usize) {
        self.0.resize(self.0.len().next_multiple_of(alignment), 0);
    }
}
