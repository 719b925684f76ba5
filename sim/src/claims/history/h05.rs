//! H5: a record of an idempotent producer is in the log at one offset; one that failed is nowhere.

use std::collections::BTreeMap;

use crate::claims::Verdict;
use crate::history::{Fate, History};

/// Whether it holds.
pub fn check(history: &History) -> Verdict {
    for (of, log) in &history.logs {
        let mut found: BTreeMap<u64, i64> = BTreeMap::new();
        for (offset, number, _) in &log.records {
            let sent = &history.sends[*number as usize];
            let again = found.insert(*number, *offset);
            if let Some(before) = again.filter(|_| !sent.repeats) {
                return Err(format!("{of}: record {number} is at offset {before} and at {offset}"));
            }
            if sent.fate == Fate::Failed {
                return Err(format!("{of}: record {number}, which failed, is at offset {offset}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::history::tests::{log, sent};

    fn history(fate: Fate, repeats: bool, records: &[(i64, u64)]) -> History {
        let one = crate::history::Sent { repeats, ..sent(fate) };
        let mut history = History { sends: vec![one.clone()], ..History::default() };
        history.logs.insert(one.partition, log(0, records));
        history
    }

    #[test]
    fn a_record_at_two_offsets_and_one_that_failed_and_is_there_are_seen() {
        assert!(check(&history(Fate::Done(Some(0)), false, &[(0, 0), (1, 0)])).is_err());
        assert!(check(&history(Fate::Failed, false, &[(0, 0)])).is_err());
    }

    #[test]
    fn one_of_unknown_fate_may_be_there_and_one_that_is_repeated_twice() {
        assert!(check(&history(Fate::Unknown, false, &[(0, 0)])).is_ok());
        assert!(check(&history(Fate::Done(Some(0)), true, &[(0, 0), (1, 0)])).is_ok());
    }
}
