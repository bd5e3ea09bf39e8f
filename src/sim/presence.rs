//! What a program is told of who comes and goes: lib/presence.js, in Rust.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A process, by its id and pid; peers of the original's wire tell none.
pub type Who = (String, Option<u32>);

/// Who is there, as far as a node was told.
#[derive(Debug, Default)]
pub struct Presence {
    /// By id: who, and its identity.
    known: Option<BTreeMap<String, (Who, String)>>,
}

impl Presence {
    /// The ids of who is there; `None`: it was not told.
    pub fn known(&self) -> Option<BTreeSet<String>> {
        Some(self.known.as_ref()?.keys().cloned().collect())
    }

    /// The bridge's own word. `tell` is what the program hears: whether somebody joins or leaves, and who.
    pub fn heed(&mut self, event: &str, body: &str, mut tell: impl FnMut(bool, &Who)) {
        let args: Vec<Value> = serde_json::from_str(body).expect("a list");
        match event {
            "node:roster" => self.compare(&args, tell),
            "node:join" => {
                let (new, identity) = (who(&args[0]), text(&args[2]));
                let Some(known) = &mut self.known else { return };
                match known.insert(new.0.clone(), (new.clone(), identity.clone())) {
                    Some((_, before)) if before == identity => return,
                    Some((before, _)) => tell(false, &before),
                    None => {}
                }
                tell(true, &new);
            }
            "node:leave" => {
                let (gone, identity) = (who(&args[0]), text(&args[2]));
                let Some(known) = &mut self.known else { return };
                if known.get(&gone.0).is_some_and(|(_, known)| *known == identity) {
                    known.remove(&gone.0);
                    tell(false, &gone);
                }
            }
            other => panic!("the bridge says {other}"),
        }
    }

    fn compare(&mut self, args: &[Value], mut tell: impl FnMut(bool, &Who)) {
        let (infos, identities) = (args[0].as_array().expect("a list"), args[1].as_array().expect("a list"));
        let listed = infos.iter().zip(identities).map(|(info, identity)| (who(info), text(identity)));
        let mut now: BTreeMap<_, _> = listed.map(|(who, identity)| (who.0.clone(), (who, identity))).collect();
        let is_first = self.known.is_none();
        let before = self.known.take().unwrap_or_default();
        for (id, (was, identity)) in &before {
            match now.get(id) {
                Some((_, other)) if other != identity => tell(false, was),
                Some(_) => {}
                None if args[2] == Value::Bool(true) => tell(false, was),
                None => drop(now.insert(id.clone(), (was.clone(), identity.clone()))),
            }
        }
        for (id, (new, identity)) in &now {
            match before.get(id) {
                Some((_, other)) if other == identity => {}
                None if is_first => {}
                _ => tell(true, new),
            }
        }
        self.known = Some(now);
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("an identity").to_owned()
}

fn who(info: &Value) -> Who {
    let id = info["id"].as_str().expect("every node has an id");
    (id.to_owned(), info["pid"].as_u64().map(|pid| pid as u32))
}
