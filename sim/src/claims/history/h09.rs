//! H9: what a reader gets of a partition is in order of offset and without a gap, and the same for every reader.

use std::collections::BTreeMap;

use quipu_core::client::TopicPartition;

use crate::claims::Verdict;
use crate::history::{History, Poll};

/// Whether it holds.
pub fn check(history: &History) -> Verdict {
    let mut seen: BTreeMap<(&TopicPartition, i64), u64> = BTreeMap::new();
    for (of, log) in &history.logs {
        for (offset, number, _) in &log.records {
            seen.insert((of, *offset), *number);
        }
        gapless(&of.to_string(), log.records.iter().map(|r| r.0))?;
    }
    let mut last: BTreeMap<(usize, u64, u64, &TopicPartition), i64> = BTreeMap::new();
    for poll in &history.polls {
        let of = (poll.by.0, poll.by.1, poll.run, &poll.partition);
        follows(poll, last.insert(of, poll.next))?;
        // What a damaged disk has lost makes room for others.
        let lost = history.excused.get(&poll.partition).copied().unwrap_or(i64::MAX);
        for (offset, number) in poll.records.iter().filter(|(offset, _)| *offset < lost) {
            let first = *seen.entry((&poll.partition, *offset)).or_insert(*number);
            if first != *number {
                return Err(format!(
                    "{} offset {offset} is record {first} and record {number}",
                    poll.partition
                ));
            }
        }
    }
    Ok(())
}

/// Whether a poll goes on where the one before it, of the same reader and run, ended.
fn follows(poll: &Poll, before: Option<i64>) -> Verdict {
    let of = format!("{} as user {:?} reads it", poll.partition, poll.by);
    gapless(&of, poll.records.iter().map(|r| r.0))?;
    let first = poll.records.first().map_or(poll.next, |r| r.0);
    match before {
        Some(before) if before != first => {
            Err(format!("{of}: offset {first} follows, but {before} was next"))
        }
        _ => Ok(()),
    }
}

fn gapless(of: &str, offsets: impl Iterator<Item = i64>) -> Verdict {
    let mut last: Option<i64> = None;
    for offset in offsets {
        if let Some(last) = last.filter(|last| last + 1 != offset) {
            return Err(format!("{of}: offset {offset} follows {last}"));
        }
        last = Some(offset);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(run: u64, records: &[(i64, u64)], next: i64) -> Poll {
        Poll {
            by: (1, 0),
            group: None,
            run,
            partition: TopicPartition::new("t", 0),
            at: 0,
            records: records.to_vec(),
            next,
            end: 9,
        }
    }

    fn read(polls: &[Poll]) -> Verdict {
        check(&History { polls: polls.to_vec(), ..History::default() })
    }

    #[test]
    fn a_gap_a_step_back_and_two_records_at_one_offset_are_seen() {
        assert!(read(&[poll(0, &[(0, 5), (2, 6)], 3)]).is_err());
        assert!(read(&[poll(0, &[(0, 5)], 1), poll(0, &[(2, 6)], 3)]).is_err());
        assert!(read(&[poll(0, &[(1, 5)], 2), poll(0, &[(1, 5)], 2)]).is_err());
        assert!(read(&[poll(0, &[(1, 5)], 2), poll(1, &[(1, 6)], 2)]).is_err());
    }

    #[test]
    fn going_on_and_going_back_by_its_own_will_are_fine() {
        assert!(read(&[poll(0, &[(0, 5)], 1), poll(0, &[], 1), poll(0, &[(1, 6)], 2)]).is_ok());
        assert!(read(&[poll(0, &[(0, 5)], 1), poll(1, &[(0, 5)], 1)]).is_ok());
    }
}
