//! The lane of one node: its arena, made when it is needed, and its views of the arenas of others.

use std::collections::HashMap;
use std::rc::Rc;

use super::arena::{Arena, LaneWriter};
use super::view::View;
use crate::node::lane::{Copied, Lane, Sink};
use crate::wire::lane::{Extent, Offer};

/// Arenas of others that one node maps. Each keeps the memory of its maker, whose further bodies come by socket when
/// there are more.
const MAX_VIEWS: usize = 64;

/// Memory shared with other processes.
#[derive(Debug, Default)]
pub struct SharedMemory {
    arena: Option<Arena>,
    views: HashMap<Rc<str>, Known>,
}

/// Another node's arena.
#[derive(Debug)]
struct Known {
    session: u64,
    offer: Offer,
    view: View,
}

impl Lane for SharedMemory {
    fn offer(&mut self) -> Option<Offer> {
        if self.arena.is_none() {
            self.arena = Arena::create().ok();
        }
        self.arena.as_ref().map(Arena::offer)
    }

    fn write(&mut self, most: usize, write: &mut dyn FnMut(&mut dyn Sink)) -> Option<Extent> {
        let mut writer = self.arena.as_mut()?.writer(most)?;
        write(&mut writer);
        writer.finish()
    }

    fn read(&mut self, extent: Extent, out: &mut dyn Sink) {
        if let Some(arena) = &mut self.arena {
            out.write(arena.bytes(extent));
        }
    }

    fn free(&mut self, extent: Extent) {
        if let Some(arena) = &mut self.arena {
            arena.free(extent);
        }
    }

    fn open(&mut self, id: &str, session: u64, offer: &Offer) -> bool {
        if self.views.get(id).is_some_and(|known| known.session == session && known.offer == *offer) {
            return true;
        }
        self.views.remove(id);
        if self.views.len() >= MAX_VIEWS {
            self.forget_dead(None);
        }
        if self.views.len() >= MAX_VIEWS {
            return false;
        }
        let Ok(view) = View::open(offer) else { return false };
        self.views.insert(id.into(), Known { session, offer: *offer, view });
        true
    }

    fn copy(&mut self, id: &Rc<str>, session: u64, extent: Extent, out: &mut Vec<u8>) -> Copied {
        let known = self.views.get_mut(id).filter(|known| known.session == session);
        match known.map(|known| known.view.copy_to(extent, out)) {
            Some(Ok(true)) => Copied::Whole,
            Some(Ok(false)) => Copied::Withdrawn,
            Some(Err(_)) | None => Copied::Unreadable,
        }
    }

    fn forget_dead(&mut self, id: Option<&str>) {
        // What can be found once more is its maker's still.
        self.views.retain(|other, known| id.is_some_and(|id| *id != **other) || View::open(&known.offer).is_ok());
    }
}

impl Sink for LaneWriter<'_> {
    fn write(&mut self, bytes: &[u8]) {
        LaneWriter::write(self, bytes);
    }

    fn pad(&mut self, alignment: usize) {
        LaneWriter::pad(self, alignment);
    }
}
