//! H10: ListOffsets agrees with what was acknowledged, told and deleted before it was asked, and with the log in the end.

use std::collections::BTreeMap;

use quipu_core::client::TopicPartition;

use crate::claims::Verdict;
use crate::history::{Fate, FinalLog, History, OffsetLookup};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// Whether it holds.
pub fn check(history: &History) -> Verdict {
    let mut by_partition: BTreeMap<&TopicPartition, Vec<&OffsetLookup>> = BTreeMap::new();
    for lookup in &history.lookups {
        by_partition.entry(&lookup.partition).or_default().push(lookup);
    }
    for (of, lookups) in by_partition {
        // What a damaged disk has lost, nobody can answer for; the marks beside the logs may be damaged as well.
        if history.damaged {
            continue;
        }
        let known = Known::of(history, of);
        for lookup in lookups {
            // A leader that was replaced and does not know it yet tells what is over, as Kafka's does.
            if history.deposed_listed.iter().any(|at| (lookup.asked_at..=lookup.at).contains(at)) {
                continue;
            }
            let verdict = match lookup.what {
                LATEST => known.latest(lookup),
                EARLIEST => known.earliest(lookup),
                _ => known.by_time(history, lookup),
            };
            verdict.map_err(|why| {
                let (what, found) = (lookup.what, lookup.found);
                format!(
                    "{of}: {what} asked at {} us is {found:?} at {} us: {why}",
                    lookup.asked_at, lookup.at
                )
            })?;
        }
    }
    history.logs.iter().filter(|_| !history.damaged).try_for_each(|(of, log)| {
        let deleted = Known::of(history, of).starts.last().map_or(0, |(_, start)| *start);
        let whole = log.unreadable.is_some() || log.start >= deleted;
        if whole {
            Ok(())
        } else {
            Err(format!("{of} starts at {} in the end, and {deleted} was told", log.start))
        }
    })
}

/// What clients knew of a partition, each with the moment it was known at, in order of time; the value only grows.
struct Known<'a> {
    /// Ends that must be reached: the offset after what was acknowledged, read, or told as an end.
    ends: Vec<(u64, i64)>,
    /// Starts that deletions were answered with.
    starts: Vec<(u64, i64)>,
    /// Starts that were asked for, at the moment of asking.
    wanted: Vec<(u64, i64)>,
    /// When each record of the log in the end was handed to its client at the latest, with those before it.
    sent: Vec<(i64, u64)>,
    log: Option<&'a FinalLog>,
}

impl<'a> Known<'a> {
    fn of(history: &'a History, of: &TopicPartition) -> Known<'a> {
        let acked = history.sends.iter().filter(|s| s.partition == *of && history.promises(s));
        let acked = acked.filter_map(|s| match s.fate {
            Fate::Done(Some(offset)) => Some((s.done_at, offset + 1)),
            _ => None,
        });
        let read = history.polls.iter().filter(|p| p.partition == *of).map(|p| (p.at, p.end.max(p.next)));
        let told = history.lookups.iter().filter(|l| l.partition == *of && l.what == LATEST);
        let told = told.map(|l| (l.at, l.found.0));
        // A start that was told while its deletion was under way may be another one after a crash: nobody was promised it.
        let trims = || history.trims.iter().filter(|t| t.partition == *of);
        let trimmed = trims().filter_map(|t| match t.fate {
            Fate::Done(Some(start)) => Some((t.done_at, start)),
            _ => None,
        });
        let log = history.logs.get(of).filter(|log| log.unreadable.is_none());
        let mut latest = 0;
        let sent = log.iter().flat_map(|log| &log.records).map(|(offset, number, _)| {
            latest = history.sends[*number as usize].at.max(latest);
            (*offset, latest)
        });
        Known {
            ends: growing(acked.chain(read).chain(told).collect()),
            starts: growing(trimmed.collect()),
            wanted: growing(trims().map(|t| (t.at, t.offset)).collect()),
            sent: sent.collect(),
            log,
        }
    }

    fn latest(&self, lookup: &OffsetLookup) -> Verdict {
        let least = before(&self.ends, lookup.asked_at).unwrap_or(0);
        if lookup.found.0 < least {
            return Err(format!("{least} was the end already"));
        }
        let Some(log) = self.log else { return Ok(()) };
        let end = log.records.last().map_or(log.start, |r| r.0 + 1);
        if lookup.found.0 > end {
            return Err(format!("in the end the log ends at {end}"));
        }
        let last = self.sent.partition_point(|(offset, _)| *offset < lookup.found.0);
        match self.sent[..last].last() {
            Some((offset, at)) if *at > lookup.at => {
                Err(format!("what lies at or below {offset} was handed to its client at {at} us only"))
            }
            _ => Ok(()),
        }
    }

    fn earliest(&self, lookup: &OffsetLookup) -> Verdict {
        let least = before(&self.starts, lookup.asked_at).unwrap_or(0);
        let most = before(&self.wanted, lookup.at + 1).unwrap_or(0).max(0);
        match lookup.found.0 {
            found if found < least => Err(format!("{least} was the start already")),
            found if found > most => Err(format!("nobody wanted more deleted than what lies below {most}")),
            _ => Ok(()),
        }
    }

    fn by_time(&self, history: &History, lookup: &OffsetLookup) -> Verdict {
        let (offset, timestamp) = lookup.found;
        let found = (offset >= 0).then_some(offset);
        if found.is_some() && timestamp < lookup.what {
            return Err("the record's time is before".into());
        }
        let Some(log) = self.log else { return Ok(()) };
        // What was to be deleted by then need not be found, though a crash may have brought it back since.
        let deleted = before(&self.wanted, lookup.at + 1).unwrap_or(0);
        for (at, number, time) in log.records.iter().skip_while(|r| r.0 < deleted) {
            if Some(*at) == found && *time != timestamp {
                return Err(format!("the record there has time {time}"));
            }
            let sent = &history.sends[*number as usize];
            let acked = history.promises(sent)
                && matches!(sent.fate, Fate::Done(_))
                && sent.done_at < lookup.asked_at;
            let passed_over = found.map_or(acked, |found| *at < found);
            if *time >= lookup.what && passed_over {
                return Err(format!("offset {at} has time {time}"));
            }
        }
        let end = log.records.last().map_or(log.start, |r| r.0 + 1);
        if found.is_some_and(|found| found >= end) { Err(format!("the log ends at {end}")) } else { Ok(()) }
    }
}

/// In order of time, each with the greatest value so far.
fn growing(mut list: Vec<(u64, i64)>) -> Vec<(u64, i64)> {
    list.sort_unstable();
    let mut most = i64::MIN;
    for (_, value) in &mut list {
        most = most.max(*value);
        *value = most;
    }
    list
}

/// The greatest value known before a moment.
fn before(list: &[(u64, i64)], at: u64) -> Option<i64> {
    list[..list.partition_point(|(when, _)| *when < at)].last().map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::history::tests::{log, sent};
    use crate::history::{Sent, Trim};

    /// Two records, the first with time 10 and acknowledged at 5 us, the second with time 20 and at 9 us.
    fn history(what: i64, found: (i64, i64), (asked_at, at): (u64, u64)) -> History {
        let partition = sent(Fate::Open).partition;
        let record = |offset, timestamp, at, done_at| Sent {
            timestamp,
            at,
            done_at,
            ..sent(Fate::Done(Some(offset)))
        };
        let mut history = History {
            sends: vec![record(0, 10, 1, 5), record(1, 20, 7, 9)],
            lookups: vec![OffsetLookup { partition: partition.clone(), what, found, asked_at, at }],
            ..History::default()
        };
        let mut whole = log(0, &[(0, 0), (1, 1)]);
        (whole.records[0].2, whole.records[1].2) = (10, 20);
        history.logs.insert(partition, whole);
        history
    }

    fn trim(offset: i64, (at, done_at): (u64, u64), fate: Fate) -> Trim {
        Trim { partition: sent(Fate::Open).partition, offset, at, done_at, fate }
    }

    #[test]
    fn an_end_below_what_was_acknowledged_or_beyond_what_was_there_is_seen() {
        assert!(check(&history(LATEST, (0, -1), (6, 6))).is_err(), "below");
        assert!(check(&history(LATEST, (3, -1), (20, 20))).is_err(), "beyond the end");
        assert!(check(&history(LATEST, (2, -1), (6, 6))).is_err(), "before it was sent");
        assert!(check(&history(LATEST, (0, -1), (5, 6))).is_ok(), "acknowledged as it was asked");
        assert!(check(&history(LATEST, (2, -1), (2, 8))).is_ok(), "written meanwhile");
    }

    #[test]
    fn a_start_that_goes_back_or_that_nobody_wanted_is_seen() {
        let asked =
            |found, trims: Vec<Trim>| check(&History { trims, ..history(EARLIEST, (found, -1), (20, 21)) });
        assert!(asked(1, vec![]).is_err(), "nobody wanted it");
        assert!(asked(0, vec![trim(1, (3, 4), Fate::Done(Some(1)))]).is_err(), "it was done");
        assert!(asked(0, vec![trim(1, (3, 4), Fate::Unknown)]).is_ok());
        assert!(asked(1, vec![trim(1, (21, 30), Fate::Unknown)]).is_ok(), "under way");
    }

    #[test]
    fn what_is_deleted_and_there_in_the_end_is_seen() {
        let ended = |fate| {
            check(&History { trims: vec![trim(1, (30, 31), fate)], ..history(LATEST, (2, -1), (20, 21)) })
        };
        assert!(ended(Fate::Done(Some(1))).is_err(), "it came back");
        assert!(ended(Fate::Done(Some(0))).is_ok() && ended(Fate::Unknown).is_ok());
    }

    #[test]
    fn one_who_was_deposed_and_does_not_know_it_may_tell_what_was() {
        let told = |deposed_listed| check(&History { deposed_listed, ..history(LATEST, (0, -1), (6, 8)) });
        assert!(told(vec![7]).is_ok());
        assert!(told(vec![5, 9]).is_err(), "it told something before or after");
    }

    #[test]
    fn a_time_answered_with_another_record_than_the_first_is_seen() {
        assert!(check(&history(10, (1, 20), (20, 21))).is_err(), "not the first");
        assert!(check(&history(15, (0, 10), (20, 21))).is_err(), "too old");
        assert!(check(&history(15, (-1, -1), (20, 21))).is_err(), "none, but there is one");
        assert!(check(&history(15, (1, 19), (20, 21))).is_err(), "a wrong time");
        assert!(check(&history(15, (1, 20), (20, 21))).is_ok());
        assert!(check(&history(15, (-1, -1), (8, 8))).is_ok(), "it was not acknowledged yet");
        assert!(check(&history(21, (-1, -1), (20, 21))).is_ok());
        let asked = |at| {
            let trims = vec![trim(1, (at, u64::MAX), Fate::Open)];
            check(&History { trims, ..history(10, (1, 20), (20, 21)) })
        };
        assert!(asked(21).is_ok(), "the first was to be deleted, and came back with a crash");
        assert!(asked(22).is_err(), "to be deleted later");
    }
}
