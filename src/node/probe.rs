//! For tests: what a client keeps.

use super::client::Client;

impl Client {
    /// What is not settled, for people to read.
    pub fn unsettled(&self) -> Vec<String> {
        let kept = self.outbox.unsettled();
        kept.map(|(seq, entry)| {
            let (kind, to, state) = (entry.kind, &entry.route.to, entry.state);
            format!(
                "{seq}: {kind:#x} to '{}' ({}), {state:?}, kept from {:?}",
                to.node,
                entry.route.event,
                to.kept_from.get()
            )
        })
        .collect()
    }
}
