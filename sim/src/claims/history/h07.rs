//! H7: the records of a producer that is idempotent, or has one batch under way, are in a partition in the order it sent them.

use std::collections::BTreeMap;

use crate::claims::Verdict;
use crate::history::{Fate, History, Sent};

/// Whether it holds.
pub fn check(history: &History) -> Verdict {
    for (of, log) in &history.logs {
        let mut last: BTreeMap<(usize, u64), (u64, i64)> = BTreeMap::new();
        for (offset, number, _) in &log.records {
            let sent = &history.sends[*number as usize];
            if !is_in_order(sent) {
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

/// Without idempotence a record that was given up unanswered may still be under way on the connection that was closed, while those
/// after it go over the next one: nobody promises where it is.
fn is_in_order(sent: &Sent) -> bool {
    sent.idempotent || sent.in_flight == 1 && !sent.repeats && matches!(sent.fate, Fate::Done(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::history::tests::{log, sent};

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

    #[test]
    fn a_record_that_was_given_up_may_come_late_but_not_one_of_an_idempotent_producer() {
        for idempotent in [false, true] {
            let mut given_up = history(idempotent, 1, &[(0, 1), (1, 0)]);
            given_up.sends[0].fate = Fate::Unknown;
            assert_eq!(check(&given_up).is_err(), idempotent);
        }
    }
}
