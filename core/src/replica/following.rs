//! Following one partition: where this log parts from the leader's, what of an answer is taken, and what is dropped.

use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::log::Log;
use crate::record::Batch;
use crate::replica::messages::{News, OnDisk, PartitionAnswer, Position, Refusal, Tip};

/// What has to be done to the log of a follower, in this order.
#[derive(Clone, Debug)]
pub enum Step {
    /// Append these batches, as the leader stamped them.
    Take(Vec<Batch>),
    /// Cut the log: this becomes its end.
    Cut(Offset),
    /// Give up everything and begin anew, empty, at this offset: the leader has nothing older (Kafka: `truncateFullyAndStartAt`).
    /// Nothing of it counts before that is durable ([`Log::begun_at`]): the disk may yet come back with the old log.
    Restart(Offset),
    /// The high watermark is there now.
    Commit(Offset),
    /// The log starts there now.
    Start(Offset),
    /// The leader lacks what is committed here. After an unclean election that is as it must be, and the replica begins anew at
    /// `anew`; otherwise somebody has lost data, and a person must look. Nothing is given up until that is decided.
    Lost {
        /// Where the logs part, or where the leader's begins.
        to: Offset,
        /// The high watermark here.
        high: Offset,
        /// Where the leader's log begins; if it has not said so, where this one does. Not where they part: what both have is
        /// fetched again, or this replica would lack it (a committed record cannot be taken back alone: producers are known by it).
        anew: Offset,
    },
    /// It is not served, for now. The leader says more once that changes.
    Wait(Refusal),
}

/// What a follower of a partition knows.
#[derive(Clone, Debug)]
pub struct Following {
    leader: BrokerId,
    epoch: LeaderEpoch,
    /// Whether the leader has found this log to be a part of its own, in this epoch.
    reconciled: bool,
    /// How far the log went when it was asked about last.
    asked: Option<Tip>,
    /// How far the leader was told that the disk is, and which log start is durable there.
    told: (Offset, Offset),
}

impl Following {
    /// Follows a leader in its epoch. Whatever an earlier epoch has found out about the log does not count, even if the leader is the
    /// same (KAFKA-7164).
    pub fn new(leader: BrokerId, epoch: LeaderEpoch) -> Following {
        Following { leader, epoch, reconciled: false, asked: None, told: Default::default() }
    }

    /// What to ask with: where this log is.
    pub fn ask(&mut self, log: &Log) -> Position {
        let tip = Tip::of(log);
        (self.asked, self.told) = (Some(tip), (log.flushed(), log.kept_start()));
        Position { epoch: self.epoch, tip, flushed: log.flushed(), start: log.kept_start() }
    }

    /// How far the disk is, if the leader does not know yet and may be told without being asked anything: before the logs are
    /// known to agree it may not.
    pub fn flushed(&mut self, log: &Log) -> Option<OnDisk> {
        let (flushed, start) = (log.flushed(), log.kept_start());
        let news = self.reconciled && (flushed > self.told.0 || start > self.told.1);
        if news {
            self.told = (flushed, start);
        }
        news.then_some(OnDisk { log: log.id(), epoch: self.epoch, flushed, start })
    }

    /// What the leader says, in the answer that is awaited ([`crate::replica::asking::Asking::take`]). What it says of another epoch,
    /// or of a log that has changed since, is dropped: a stale "diverging" must not cut anything.
    pub fn answered(&mut self, answer: PartitionAnswer<Vec<Batch>>, log: &Log) -> Vec<Step> {
        if answer.epoch != self.epoch || self.asked.take() != Some(Tip::of(log)) {
            return Vec::new();
        }
        match answer.news {
            News::Records { records, high, start } => self.take(records, high, start, log),
            News::Diverging(agreed) => vec![self.cut(agreed, log)],
            // What is here beyond that is of no committed history: it parted from the leader's before.
            News::Restart(start) if start >= log.high() => vec![Step::Restart(start)],
            News::Restart(start) => vec![Step::Lost { to: start, high: log.high(), anew: start }],
            News::Refused(why) => vec![Step::Wait(why)],
        }
    }

    fn take(&mut self, records: Vec<Batch>, high: Offset, start: Offset, log: &Log) -> Vec<Step> {
        self.reconciled = true;
        let mut steps = Vec::new();
        let within = begins_within(&records, log);
        let mut tip = within.map_or(Tip::of(log), |end| Tip { end, ..Tip::of(log) });
        let good = records.into_iter().take_while(|batch| {
            let header = batch.header();
            let follows = header.base_offset == tip.end
                && (tip.epoch..=self.epoch).contains(&header.leader_epoch)
                && header.count > 0;
            tip = if follows { Tip { epoch: header.leader_epoch, end: header.next_offset() } } else { tip };
            follows
        });
        let good: Vec<Batch> = good.collect();
        let within = within.filter(|_| !good.is_empty());
        steps.extend(within.map(Step::Restart));
        if !good.is_empty() {
            steps.push(Step::Take(good));
        }
        // What the leader has committed is so here up to where this log agrees with its own.
        let high = high.min(tip.end).max(log.high());
        if high > within.unwrap_or(log.high()) {
            steps.push(Step::Commit(high));
        }
        if start.min(high) > within.unwrap_or(log.start()) {
            steps.push(Step::Start(start.min(high)));
        }
        steps
    }

    /// The logs part ways: this one's end goes, as far back as they may agree. If its epochs are not the leader's, that may be too
    /// little, and the next fetch finds out (KIP-279).
    fn cut(&mut self, agreed: Tip, log: &Log) -> Step {
        self.reconciled = false;
        let ours = log.epochs().end_of(agreed.epoch, self.epoch, log.end());
        let to = ours.map_or(agreed.end, |(_, end)| end.min(agreed.end));
        if to < log.high() || to >= log.end() {
            // Cutting nothing would ask the same for ever.
            return Step::Lost { to: to.min(log.end()), high: log.high(), anew: log.start() };
        }
        Step::Cut(to)
    }

    /// Whom it follows.
    pub fn leader(&self) -> BrokerId {
        self.leader
    }

    /// The epoch in which it follows.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// Whether the leader has found this log to be a part of its own, in this epoch.
    pub fn is_reconciled(&self) -> bool {
        self.reconciled
    }
}

/// The first offset of these records, if the log, which is empty, begins in the middle of their first batch: the leader's does, where
/// records were deleted, and nobody has half a batch (Kafka: `Partition.appendRecordsToFollowerOrFutureReplica`).
fn begins_within(records: &[Batch], log: &Log) -> Option<Offset> {
    let first = records.first()?.header();
    let is_within = first.base_offset < log.end() && log.end() < first.next_offset();
    (log.start() == log.end() && is_within).then_some(first.base_offset)
}
