//! H8: key, value, headers, timestamp, topic and partition of every record that is read are those that were written.

use crate::claims::Verdict;
use crate::history::History;

/// Whether it holds.
pub fn check(history: &History) -> Verdict {
    match history.garbled.first() {
        None => Ok(()),
        Some(first) => Err(format!("{first} ({} such records)", history.garbled.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_nobody_wrote_is_seen() {
        assert!(check(&History::default()).is_ok());
        assert!(check(&History { garbled: vec!["t-0 offset 3".into()], ..History::default() }).is_err());
    }
}
