//! The machine's end of a lane: names every disk operation and knows what a completed mark made durable.

use std::collections::VecDeque;

use crate::broker::answers::AnswerId;
use crate::broker::door::Effect;
use crate::broker::turn::Turn;
use crate::ids::{LaneId, LogId, Mark, Offset};
use crate::quorum::WriteId;
use crate::storage::ops::{StoreOp, Stored};

/// The only log directory so far.
const LANE: LaneId = LaneId(0);

/// Operations under way, in order.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    next: Mark,
    appends: VecDeque<Append>,
    waits: VecDeque<(Mark, Waiting)>,
    /// The starts that no checkpoint has kept yet.
    trims: VecDeque<(Mark, LogId, Offset)>,
    checkpoints: VecDeque<Mark>,
}

/// An append, or the beginning anew of a log, under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Append {
    mark: Mark,
    /// The log.
    pub(crate) log: LogId,
    /// Its end after the append.
    pub(crate) end: Offset,
    /// How often it had been cut: an append from before a cut says nothing about the log after it.
    pub(crate) cuts: u64,
}

/// What waits for an operation that is not an append.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiting {
    /// An answer, for the checkpoint that keeps the starts of logs here.
    Answer(AnswerId),
    /// The clean checkpoint of an orderly stop.
    Stop,
    /// A checkpoint.
    Checkpoint,
    /// One that keeps where logs start that are followed here, for their leaders to know.
    Starts,
    /// What the quorum must not forget.
    Election(WriteId),
    /// A snapshot of the metadata of several brokers.
    Snapshot,
}

impl Lane {
    /// Sends an operation.
    pub(crate) fn store(&mut self, turn: &mut Turn, op: StoreOp) -> Mark {
        self.next.0 += 1;
        if matches!(op, StoreOp::Checkpoint { .. }) {
            self.checkpoints.push_back(self.next);
        }
        turn.out.push(Effect::Store { lane: LANE, mark: self.next, op });
        self.next
    }

    /// Sends an append, or what begins a log anew; `end` and `cuts` are the log's, after it.
    pub(crate) fn append(&mut self, turn: &mut Turn, op: StoreOp, end: Offset, cuts: u64) {
        let (StoreOp::Append { log, .. } | StoreOp::Restart { log, .. } | StoreOp::Truncate { log, .. }) = op
        else {
            panic!("not an append: {op:?}")
        };
        let mark = self.store(turn, op);
        self.appends.push_back(Append { mark, log, end, cuts });
    }

    /// Moves the start of a log.
    pub(crate) fn trim(&mut self, turn: &mut Turn, log: LogId, start: Offset) {
        let mark = self.store(turn, StoreOp::Trim { log, start });
        self.trims.push_back((mark, log, start));
    }

    /// Takes the starts that are durable now: those that were moved before the last checkpoint of what is done.
    pub(crate) fn kept_starts(&mut self, stored: &Stored) -> Vec<(LogId, Offset)> {
        // Nothing of such a log counts in this round: its start is to be moved again.
        let failed = |of: &LogId| stored.failed.iter().any(|failure| failure.log == *of);
        self.trims.retain(|(mark, log, _)| *mark > stored.done || !failed(log));
        let done = self.checkpoints.partition_point(|mark| *mark <= stored.done);
        let Some(last) = self.checkpoints.drain(..done).next_back().filter(|_| stored.kept) else {
            return Vec::new();
        };
        let kept = self.trims.partition_point(|(mark, ..)| *mark < last);
        self.trims.drain(..kept).map(|(_, log, start)| (log, start)).collect()
    }

    /// Whether there are starts that no checkpoint has kept yet.
    pub(crate) fn has_trims(&self) -> bool {
        !self.trims.is_empty()
    }

    /// A log is removed: what is on its way says nothing about one that is made under its name after.
    pub(crate) fn forget(&mut self, log: LogId) {
        self.appends.retain(|append| append.log != log);
        self.trims.retain(|(_, of, _)| *of != log);
    }

    /// Sends an operation that something waits for.
    pub(crate) fn store_and_wait(&mut self, turn: &mut Turn, op: StoreOp, who: Waiting) {
        let mark = self.store(turn, op);
        self.waits.push_back((mark, who));
    }

    /// Takes the next append that is done.
    pub(crate) fn next_append(&mut self, done: Mark) -> Option<Append> {
        self.appends.pop_front_if(|append| append.mark <= done)
    }

    /// Takes whatever waits next for an operation that is done.
    pub(crate) fn next_wait(&mut self, done: Mark) -> Option<Waiting> {
        self.waits.pop_front_if(|(mark, _)| *mark <= done).map(|(_, who)| who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TopicId;
    use crate::time::{Instant, Now, Timestamp};

    #[test]
    fn what_was_on_its_way_to_a_log_that_is_removed_says_nothing_of_one_that_is_made_in_its_place() {
        let (mut lane, mut out) = (Lane::default(), Vec::new());
        let turn = &mut Turn { now: Now { mono: Instant(0), wall: Timestamp(0) }, out: &mut out };
        let [gone, stays] = [0, 1].map(|partition| LogId { topic: TopicId([1; 16]), partition });
        for log in [gone, stays] {
            lane.append(turn, StoreOp::Truncate { log, to: Offset(9) }, Offset(9), 0);
        }
        lane.forget(gone);
        assert_eq!(lane.next_append(Mark(2)).map(|append| append.log), Some(stays));
        assert!(lane.next_append(Mark(2)).is_none());
    }
}
