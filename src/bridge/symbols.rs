//! Names (node ids, events) as small numbers, counted by those who use them and forgotten when nobody does.

use std::collections::HashMap;
use std::rc::Rc;

use slab::Slab;

/// A name. Equal symbols are equal names for as long as somebody holds a reference to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(u32);

#[derive(Debug)]
struct Entry {
    name: Rc<str>,
    references: u32,
}

/// All names in use on one bus. Its bound is that of the slots and interests of all links.
#[derive(Debug, Default)]
pub struct Symbols {
    by_name: HashMap<Rc<str>, Symbol>,
    entries: Slab<Entry>,
}

impl Symbols {
    /// The symbol of `name`, with a reference that [`release`](Self::release) gives back.
    pub fn acquire(&mut self, name: &str) -> Symbol {
        if let Some(&symbol) = self.by_name.get(name) {
            return self.retain(symbol);
        }
        let name: Rc<str> = name.into();
        let symbol = Symbol(self.entries.insert(Entry { name: name.clone(), references: 1 }) as u32);
        self.by_name.insert(name, symbol);
        symbol
    }

    /// One more reference.
    pub fn retain(&mut self, symbol: Symbol) -> Symbol {
        self.entries[symbol.0 as usize].references += 1;
        symbol
    }

    /// One reference less.
    pub fn release(&mut self, symbol: Symbol) {
        let entry = &mut self.entries[symbol.0 as usize];
        entry.references -= 1;
        if entry.references == 0 {
            let entry = self.entries.remove(symbol.0 as usize);
            self.by_name.remove(&entry.name);
        }
    }

    /// The symbol of `name`, if anybody uses it; no reference is taken.
    pub fn find(&self, name: &str) -> Option<Symbol> {
        self.by_name.get(name).copied()
    }

    /// The name.
    pub fn name(&self, symbol: Symbol) -> &Rc<str> {
        &self.entries[symbol.0 as usize].name
    }

    /// How many names are in use.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}
