//! What is done from time to time: retention, checkpoints, expiry of producers, time-outs. A slice at a time.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::Broker;
use crate::broker::lane::Waiting;
use crate::broker::start::Phase;
use crate::broker::turn::Turn;
use crate::ids::{LogId, Offset};
use crate::quorum::Quorum;
use crate::storage::ops::StoreOp;
use crate::time::{Instant, Timestamp};
use crate::wire::Response;
use crate::wire::error::ErrorCode;

/// Logs looked at in one wake: what keeps a step short when there are ten thousand.
const SLICE: usize = 256;
/// Bytes appended to one node after which the recovery point moves, whatever the time: bounds what a recovery reads.
const CHECKPOINT_BYTES: u64 = 64 << 20;

/// When what is due, and what has changed since it was last done.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    timers: BTreeSet<(Instant, Chore)>,
    /// Logs whose producers have changed since the last checkpoint.
    dirty: BTreeSet<LogId>,
    dirty_bytes: u64,
    snapshot_bytes: u64,
    checkpointing: bool,
    /// Whether logs that are followed here were trimmed since the last checkpoint was sent.
    trimmed: bool,
    /// Whether a checkpoint that keeps their starts is under way.
    keeping_starts: bool,
    /// Where a walk over all logs goes on.
    cursors: BTreeMap<Chore, LogId>,
}

/// What is done from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Chore {
    /// When records may be older or more than their topic keeps.
    Retention,
    /// When the recovery point is to move.
    Checkpoint,
    /// When idempotent producers may have been silent for too long.
    ExpireProducers,
    /// When followers may lag.
    Followers,
    /// When leaders may be other than the preferred ones.
    Leaders,
}

impl Upkeep {
    /// Counts an append.
    pub(super) fn appended(&mut self, log: LogId, bytes: usize) {
        self.dirty.insert(log);
        self.dirty_bytes += bytes as u64;
        if log == LogId::METADATA {
            self.snapshot_bytes += bytes as u64;
        }
    }

    /// There is a snapshot of the metadata as it is now.
    pub(super) fn snapshot_made(&mut self) {
        self.snapshot_bytes = 0;
    }

    /// A log is gone.
    pub(super) fn forget(&mut self, log: LogId) {
        self.dirty.remove(&log);
    }

    /// When the next chore is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// The checkpoint is on disk.
    pub(super) fn checkpoint_done(&mut self) {
        self.checkpointing = false;
    }

    /// A log that is followed here was trimmed.
    pub(super) fn trimmed(&mut self) {
        self.trimmed = true;
    }

    /// The checkpoint that keeps the starts of logs that are followed here is on disk, unless that is full: then a later one keeps them.
    pub(super) fn starts_kept(&mut self) {
        self.keeping_starts = false;
    }

    fn due(&mut self, now: Instant) -> Option<Chore> {
        let (at, chore) = *self.timers.first()?;
        (at <= now && self.timers.remove(&(at, chore))).then_some(chore)
    }

    fn again(&mut self, at: Instant, chore: Chore) {
        self.timers.insert((at, chore));
    }
}

impl Broker {
    /// Sets the timers going.
    pub(super) fn begin_upkeep(&mut self, turn: &mut Turn) {
        let shared: &[Chore] = if self.is_alone() { &[] } else { &[Chore::Followers, Chore::Leaders] };
        for chore in [Chore::Retention, Chore::Checkpoint, Chore::ExpireProducers].iter().chain(shared) {
            self.upkeep.again(turn.now.mono.after_ms(self.period_ms(*chore)), *chore);
        }
    }

    fn period_ms(&self, chore: Chore) -> i64 {
        match chore {
            Chore::Retention => self.config.retention_check_interval_ms,
            Chore::Checkpoint => self.config.checkpoint_interval_ms,
            Chore::ExpireProducers => self.config.producer_expiration_check_ms,
            Chore::Followers => (self.config.cluster.lag_max.as_millis() as i64 / 2).min(500),
            Chore::Leaders => self.config.cluster.balance_ms,
        }
        .max(1)
    }

    /// A moment asked for has come.
    pub(super) fn wake(&mut self, turn: &mut Turn) {
        if matches!(self.phase, Phase::Found { .. }) {
            return self.begin(turn);
        }
        if self.quorum.as_ref().and_then(Quorum::next_deadline).is_some_and(|at| at <= turn.now.mono) {
            self.steer(turn, |quorum, now, log, out| quorum.tick(now, log, out));
        }
        if !self.is_alone() {
            self.wake_member(turn);
            self.wake_active(turn);
            self.wake_forwards(turn);
        }
        while let Some(pending) = self.answers.expired(turn.now.mono) {
            let response = self.timed_out(pending.response);
            turn.reply(pending.to, response);
        }
        while let Some(id) = self.fetches.expired(turn.now.mono) {
            self.answer_fetch_now(turn, id);
        }
        if !matches!(self.phase, Phase::Ready) {
            return self.upkeep.timers.clear();
        }
        while let Some(chore) = self.upkeep.due(turn.now.mono) {
            let more = self.chore(turn, chore);
            let wait = if more { 1 } else { self.period_ms(chore) };
            self.upkeep.again(turn.now.mono.after_ms(wait), chore);
        }
        self.wake_groups(turn);
    }

    /// Does a chore, or a slice of it. Answers whether there is more to do.
    fn chore(&mut self, turn: &mut Turn, chore: Chore) -> bool {
        match chore {
            Chore::Checkpoint => {
                self.checkpoint(turn);
                return false;
            }
            Chore::Followers => {
                self.look_at_followers();
                return false;
            }
            Chore::Leaders => return self.look_at_leaders(turn),
            Chore::Retention | Chore::ExpireProducers => {}
        }
        let from = self.upkeep.cursors.remove(&chore);
        let after = from.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let slice: Vec<LogId> = self
            .partitions
            .range((after, std::ops::Bound::Unbounded))
            .map(|(log, _)| *log)
            .take(SLICE)
            .collect();
        for log in &slice {
            match chore {
                Chore::Retention => self.retain(turn, *log),
                _ => self.expire_producers(turn.now.wall, *log),
            }
        }
        let more = slice.len() == SLICE;
        if let Some(last) = slice.last().filter(|_| more) {
            self.upkeep.cursors.insert(chore, *last);
        }
        more
    }

    fn expire_producers(&mut self, now: Timestamp, log: LogId) {
        let before = Timestamp(now.0.saturating_sub(self.config.producer_expiration_ms));
        if let Some(partition) = self.partitions.get_mut(&log)
            && partition.log.expire_producers(before) > 0
        {
            self.upkeep.dirty.insert(log);
        }
    }

    /// Moves the recovery point, if anything was appended since it last moved, or a start has moved that is not kept yet.
    fn checkpoint(&mut self, turn: &mut Turn) {
        // Of a broker alone nobody waits for a start to be kept.
        let unkept = !self.is_alone() && self.lane.has_trims();
        if self.upkeep.checkpointing || self.upkeep.dirty.is_empty() && !unkept {
            return;
        }
        if self.upkeep.snapshot_bytes >= self.config.snapshot_bytes {
            if self.is_alone() { self.keep_snapshot(turn) } else { self.keep_own_snapshot(turn) }
        }
        self.upkeep.checkpointing = true;
        self.store_checkpoint(turn, Waiting::Checkpoint);
    }

    /// Sends a checkpoint. The producers go before it: recovery reads only what follows.
    pub(super) fn store_checkpoint(&mut self, turn: &mut Turn, who: Waiting) {
        self.keep_producers(turn);
        self.upkeep.trimmed = false;
        self.lane.store_and_wait(turn, StoreOp::Checkpoint { clean: false }, who);
    }

    /// Keeps where the logs start that are followed here and were trimmed: their leaders' deletions wait for that. One checkpoint at
    /// a time; what is trimmed meanwhile the next one keeps.
    pub(super) fn keep_starts(&mut self, turn: &mut Turn) {
        let ready = matches!(self.phase, Phase::Ready);
        if self.upkeep.trimmed && !self.upkeep.keeping_starts && ready {
            self.upkeep.keeping_starts = true;
            self.store_checkpoint(turn, Waiting::Starts);
        }
    }

    /// A checkpoint before its time, when much was appended.
    pub(super) fn checkpoint_when_much(&mut self, turn: &mut Turn) {
        if self.upkeep.dirty_bytes >= CHECKPOINT_BYTES && matches!(self.phase, Phase::Ready) {
            self.checkpoint(turn);
        }
    }

    /// Keeps the producers of the logs that have changed as they are now, so that recovery need not read further back.
    pub(super) fn keep_producers(&mut self, turn: &mut Turn) {
        for log in std::mem::take(&mut self.upkeep.dirty) {
            self.keep_producers_of(turn, log);
        }
        self.upkeep.dirty_bytes = 0;
    }

    /// Keeps the producers of one log as they are now.
    pub(super) fn keep_producers_of(&mut self, turn: &mut Turn, log: LogId) {
        let Some(partition) = self.partitions.get(&log) else { return };
        let (at, table) = (partition.log.end(), partition.log.producers().clone());
        self.lane.store(turn, StoreOp::Producers { log, at, table });
    }

    /// Keeps the metadata image of a broker alone as a snapshot and lets go of the facts that are in it.
    pub(super) fn keep_snapshot(&mut self, turn: &mut Turn) {
        let (at, epoch) = self.controller.position();
        let metadata = self.partitions.get_mut(&LogId::METADATA).expect("the metadata log is open");
        if at <= metadata.log.start() || at == Offset(0) {
            return;
        }
        let bytes = self.controller.image().encode().into();
        self.lane.store(turn, StoreOp::Snapshot { log: LogId::METADATA, at, epoch, bytes });
        metadata.log.raise_start(at);
        self.lane.store(turn, StoreOp::Trim { log: LogId::METADATA, start: at });
        self.upkeep.snapshot_made();
    }

    /// An answer whose time has run out. A produce answer and a deletion's say for which partitions; nothing else has a deadline.
    fn timed_out(&self, mut response: Response) -> Response {
        if let Response::Produce(produce) = &mut response {
            for topic in &mut produce.responses {
                for slot in &mut topic.partition_responses {
                    let log =
                        self.log_of(&topic.name, slot.index).ok().and_then(|log| self.partitions.get(&log));
                    let missing = log.is_none_or(|p| p.log.high().0 <= slot.base_offset);
                    if slot.error_code == ErrorCode::NONE && missing {
                        slot.error_code = ErrorCode::REQUEST_TIMED_OUT;
                        slot.error_message =
                            Some("the record is appended, but was not made durable in time".into());
                        slot.base_offset = -1;
                    }
                }
            }
        } else if let Response::DeleteRecords(deletion) = &mut response {
            self.deletion_timed_out(deletion);
        }
        response
    }
}
