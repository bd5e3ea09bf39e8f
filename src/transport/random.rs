//! Numbers that nobody can guess, from the system's random source.

use crate::error::{Error, Result};

/// A number for one session, one bridge, or a proof: never 0, which everywhere means "none".
///
/// # Errors
/// The system's own, where its random source cannot be read (a sandbox without the call and without `/dev/urandom`).
pub fn random() -> Result<u64> {
    match getrandom::u64() {
        Ok(number) => Ok(number.max(1)),
        Err(error) => Err(Error::io(&error.into(), "reading", "the system's random source")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_are_alike_and_every_bit_varies() {
        let numbers: Vec<u64> = (0..1000).map(|_| random().expect("random")).collect();
        assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), numbers.len());
        // That one bit is alike in a thousand: 2^-999.
        assert_eq!(numbers.iter().fold(0, |any, number| any | number), u64::MAX);
        assert_eq!(numbers.iter().fold(u64::MAX, |all, number| all & number), 0);
    }
}
