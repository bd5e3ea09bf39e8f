//! What a client asks of memory that it shares with other nodes of its machine: no memory is touched here.

use std::fmt::Debug;
use std::rc::Rc;

use crate::wire::lane::{Extent, Offer};

/// Takes a body as it is written.
pub trait Sink {
    /// Appends a copy of `bytes`.
    fn write(&mut self, bytes: &[u8]);

    /// Appends zeros up to the next multiple of `alignment`, at most 16.
    fn pad(&mut self, alignment: usize);
}

/// What came of copying somebody's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// It is whole.
    Whole,
    /// Its sender has freed it: for the sender it is settled already.
    Withdrawn,
    /// It is not to be found, or no honest sender would have said so.
    Unreadable,
}

/// A node's memory for large bodies, and its way into that of others. Whatever fails, chunks do instead.
pub trait Lane: Debug {
    /// How others find what is written here; `None`: it cannot be had now.
    fn offer(&mut self) -> Option<Offer>;

    /// A body of at most `most` bytes, which `write` appends, to be [freed](Self::free) in the end. `None`: there is no
    /// room for it, or it is none; `write` may have been called nevertheless.
    fn write(&mut self, most: usize, write: &mut dyn FnMut(&mut dyn Sink)) -> Option<Extent>;

    /// Appends to `out` a body that was written here.
    fn read(&mut self, extent: Extent, out: &mut dyn Sink);

    /// Nobody need read it any more; those who try find that it is gone.
    fn free(&mut self, extent: Extent);

    /// Opens the memory of the node `id`, in this session of it, instead of any that was open before; whether it can
    /// be read from now on.
    fn open(&mut self, id: &str, session: u64, offer: &Offer) -> bool;

    /// Appends to `out` a body of a node whose memory is open.
    fn copy(&mut self, id: &Rc<str>, session: u64, extent: Extent, out: &mut Vec<u8>) -> Copied;

    /// Closes the memory of those who are no more: of `id`, or of anybody.
    fn forget_dead(&mut self, id: Option<&str>);
}
