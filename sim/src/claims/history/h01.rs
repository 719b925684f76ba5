//! H1: a record that was acknowledged is in the log in the end, at the offset that was told, unless it was deleted.

use std::collections::BTreeMap;

use crate::claims::Verdict;
use crate::history::{Fate, History, Sent};

/// Whether it holds.
pub fn check(history: &History) -> Verdict {
    for (of, log) in &history.logs {
        if log.unreadable.is_some() {
            continue;
        }
        let found: BTreeMap<u64, i64> =
            log.records.iter().map(|(offset, number, _)| (*number, *offset)).collect();
        let sends =
            history.sends.iter().enumerate().filter(|(_, s)| s.partition == *of && history.promises(s));
        for (number, sent) in sends {
            let Fate::Done(offset) = sent.fate else { continue };
            let deleted = match offset {
                Some(offset) => offset < log.start,
                // Acknowledged late, as a duplicate that the broker no longer knew the place of.
                None => log.start > 0,
            };
            let from = history.excused.get(of).copied().unwrap_or(i64::MAX);
            let shared = sent.idempotent && history.reissued_at.is_some_and(|at| sent.done_at >= at);
            if !deleted && !shared && offset.is_some_and(|offset| offset < from) {
                is_there(number as u64, sent, offset, found.get(&(number as u64)).copied()).map_err(
                    |why| {
                        let there = log.records.iter().find(|r| Some(r.0) == offset);
                        let (from, to) = (log.start, log.records.last().map_or(log.start, |r| r.0 + 1));
                        format!(
                            "{why}; the log has {from} to {to}, there {there:?}, known at {} us",
                            sent.done_at
                        )
                    },
                )?;
            }
        }
    }
    Ok(())
}

fn is_there(number: u64, sent: &Sent, told: Option<i64>, found: Option<i64>) -> Verdict {
    let what = format!("{}: record {number} of user {:?}", sent.partition, sent.by);
    match (told, found) {
        (_, None) => Err(format!("{what} was acknowledged at {told:?}, and is gone")),
        // Sent again without idempotence, a record may be there more than once; the last place counts here.
        (Some(told), Some(found)) if told != found && !sent.repeats => {
            Err(format!("{what} was acknowledged at offset {told}, and is at {found}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::history::tests::{log, sent};

    fn history(fate: Fate, records: &[(i64, u64)], start: i64) -> History {
        let mut history = History { sends: vec![sent(fate)], ..History::default() };
        history.logs.insert(sent(fate).partition, log(start, records));
        history
    }

    #[test]
    fn an_acknowledged_record_that_is_gone_or_elsewhere_is_seen() {
        assert!(check(&history(Fate::Done(Some(0)), &[], 0)).is_err());
        assert!(check(&history(Fate::Done(Some(0)), &[(0, 7), (1, 0)], 0)).is_err());
    }

    #[test]
    fn what_was_not_acknowledged_or_was_deleted_may_be_gone() {
        assert!(check(&history(Fate::Unknown, &[], 0)).is_ok());
        assert!(check(&history(Fate::Failed, &[], 0)).is_ok());
        assert!(check(&history(Fate::Done(Some(0)), &[], 1)).is_ok());
        assert!(check(&history(Fate::Done(Some(0)), &[(0, 0)], 0)).is_ok());
        let mut damaged = history(Fate::Done(Some(0)), &[], 0);
        damaged.excused.insert(sent(Fate::Open).partition, 0);
        assert!(check(&damaged).is_ok());
        let reissued = |at| check(&History { reissued_at: Some(at), ..history(Fate::Done(Some(0)), &[], 0) });
        assert!(reissued(1).is_ok(), "acknowledged when its producer id may have been another's too");
        assert!(reissued(2).is_err(), "acknowledged before");
    }
}
