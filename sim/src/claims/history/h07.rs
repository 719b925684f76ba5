//! H7: the records of a producer that is idempotent, or has one batch under way, are in a partition in the order it sent them.

use std::collections::BTreeMap;

use crate::claims::Verdict;
use crate::history::History;

/// Whether it holds.
pub fn check(history: &History) -> Verdict {
    for (of, log) in &history.logs {
        let mut last: BTreeMap<(usize, u64), (u64, i64)> = BTreeMap::new();
        for (offset, number, _) in &log.records {
            let sent = &history.sends[*number as usize];
            if !(sent.idempotent || sent.in_flight == 1 && !sent.repeats) {
                continue;
            }
            if let Some((before, at)) = last.insert(sent.by, (*number, *offset)).filter(|(b, _)| b > number) {
                return Err(format!(
                    "{of}: record {number} of user {:?} is at offset {offset}, behind {before} at {at}, which it sent later",
                    sent.by
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::history::tests::{log, sent};
    use crate::history::{Fate, Sent};

    fn history(idempotent: bool, in_flight: usize, records: &[(i64, u64)]) -> History {
        let one = Sent { idempotent, in_flight, ..sent(Fate::Done(None)) };
        let mut history = History { sends: vec![one.clone(), one.clone()], ..History::default() };
        history.logs.insert(one.partition, log(0, records));
        history
    }

    #[test]
    fn records_in_another_order_are_seen() {
        assert!(check(&history(true, 5, &[(0, 1), (1, 0)])).is_err());
        assert!(check(&history(false, 1, &[(0, 1), (1, 0)])).is_err());
    }

    #[test]
    fn the_order_sent_is_fine_and_without_idempotence_several_under_way_may_overtake() {
        assert!(check(&history(true, 5, &[(0, 0), (1, 1)])).is_ok());
        assert!(check(&history(false, 5, &[(0, 1), (1, 0)])).is_ok());
    }
}
