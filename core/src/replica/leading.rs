//! Leading one partition: how far its followers are, who of them is in sync, and what is committed by that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::log::Log;
use crate::replica::isr::{Isr, NotChanged, Proposal};
use crate::replica::messages::{Incarnation, News, OnDisk, Position, Refusal, Tip};
use crate::replica::progress::Progress;
use crate::time::Instant;

/// What a broker is told when it is to lead a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// This broker.
    pub me: BrokerId,
    /// The epoch, given out for this run of the broker and for no other: who led in an epoch and was restarted must be given a
    /// new one, or the same offsets could hold other records in the same epoch.
    pub epoch: LeaderEpoch,
    /// All replicas.
    pub replicas: Vec<BrokerId>,
    /// Those in sync.
    pub isr: Vec<BrokerId>,
    /// How often the partition has changed.
    pub partition_epoch: i32,
}

/// What a leader's decisions depend on beside what it knows itself.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// `replica.lag.time.max.ms`.
    pub lag_max: Duration,
    /// `min.insync.replicas`. More than there are replicas is as many as there are.
    pub min_isr: usize,
    /// How long an answer of the controller is waited for, and how long a refused change rests.
    pub retry: Duration,
    /// The brokers that are not fenced nor shutting down, and the run that each is in, by the metadata.
    pub alive: &'a BTreeMap<BrokerId, Incarnation>,
}

/// What a follower may be sent: whole batches from `from` on and below `below`, flushed here or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The first offset.
    pub from: Offset,
    /// The log end.
    pub below: Offset,
}

/// There are not enough replicas in sync for acks=all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooFew {
    /// Nothing is appended (Kafka: `NOT_ENOUGH_REPLICAS`).
    BeforeAppend {
        /// How many there are.
        in_sync: usize,
        /// How many it takes.
        needed: usize,
    },
    /// The records are in the log and stay there (Kafka: `NOT_ENOUGH_REPLICAS_AFTER_APPEND`).
    AfterAppend {
        /// How many there are.
        in_sync: usize,
        /// How many it takes.
        needed: usize,
    },
}

/// What the leader of a partition knows.
#[derive(Clone, Debug)]
pub struct Leading {
    me: BrokerId,
    epoch: LeaderEpoch,
    /// Where its epoch begins in its log. Everything that was ever committed lies below.
    start: Offset,
    /// The log start that was durable here when its epoch began. It is no lower than what was told to be deleted before.
    found: Offset,
    low: Offset,
    since: Instant,
    replicas: BTreeSet<BrokerId>,
    isr: Isr,
    progress: BTreeMap<BrokerId, Progress>,
}

impl Leading {
    /// Takes up the leadership of a log, as it is: where it ends the epoch begins.
    pub fn new(now: Instant, given: &Leadership, log: &Log) -> Leading {
        let newest = log.epochs().last().map_or(LeaderEpoch(-1), |last| last.epoch);
        // Without followers nobody can have another record of that epoch.
        let may = newest < given.epoch || given.replicas.len() == 1 && newest == given.epoch;
        assert!(may, "{:?}: epoch {} is led anew", log.id(), given.epoch);
        Leading {
            me: given.me,
            epoch: given.epoch,
            start: log.end(),
            found: log.kept_start(),
            low: Offset(0),
            since: now,
            replicas: given.replicas.iter().copied().collect(),
            isr: Isr::new(given.isr.iter().copied().collect(), given.partition_epoch),
            progress: BTreeMap::new(),
        }
    }

    /// A follower is there in its log; what it is told. Its disk counts only once its log is found to be a part of this one: a
    /// diverging fetch is no progress (KAFKA-13141).
    ///
    /// To be called for every position of a fetch when it comes, and again whenever it is looked at, with the same outcome. That
    /// the run is the one that the metadata names has been seen to ([`crate::replica::serving::Serving::receive`]).
    pub fn fetched(
        &mut self,
        now: Instant,
        from: (BrokerId, Incarnation),
        at: &Position,
        log: &Log,
    ) -> News<Wanted> {
        let news = self.answer(from.0, at, log);
        if matches!(news, News::Records { .. }) {
            let (id, run) = from;
            let before = self.progress.get(&id);
            if let Some(same) = before.filter(|p| p.incarnation() == run).copied() {
                let mut next = same;
                next.fetched(now, at, log.end());
                self.progress.insert(id, next);
            } else {
                let had = self.isr.committed.contains(&id).then_some(self.since);
                let had = before.and_then(Progress::had_everything).max(had);
                self.progress.insert(id, Progress::new(now, run, at, log.end(), had));
            }
        }
        news
    }

    fn answer(&self, from: BrokerId, at: &Position, log: &Log) -> News<Wanted> {
        let from_end = at.tip.end;
        if at.epoch < self.epoch {
            return News::Refused(Refusal::Fenced);
        } else if at.epoch > self.epoch {
            return News::Refused(Refusal::UnknownEpoch);
        } else if from == self.me || !self.replicas.contains(&from) {
            return News::Refused(Refusal::NotReplica);
        } else if lies_below(at.tip, log) {
            return News::Restart(log.start());
        } else if let Some(agreed) = parts_ways(at.tip, self.epoch, log) {
            return News::Diverging(agreed);
        } else if from_end > log.end() {
            // It has nothing that could part from this log, and begins beyond its end.
            return News::Restart(log.start());
        }
        let records = Wanted { from: from_end, below: log.end() };
        News::Records { records, high: log.high(), start: log.start() }
    }

    /// A follower's disk has come further since its fetch, or a later start is durable there. Answers whether that was news.
    pub fn flushed(&mut self, now: Instant, from: (BrokerId, Incarnation), told: &OnDisk, log: &Log) -> bool {
        let known = self.progress.get_mut(&from.0).filter(|p| p.incarnation() == from.1);
        let Some(progress) = known.filter(|_| told.epoch == self.epoch) else { return false };
        let before = (progress.disk().at(), progress.start());
        progress.flushed(now, told.flushed, log.end());
        progress.start_kept(told.start);
        before != (progress.disk().at(), progress.start())
    }

    /// Records are appended to a log that has ended at `before`: who had everything has had it until now. So a follower that has
    /// waited at the end for long does not lag at once.
    pub fn appended(&mut self, now: Instant, before: Offset) {
        self.progress.values_mut().for_each(|p| p.appended(now, before));
    }

    /// Where the high watermark should be. It never falls, stays while fewer are in sync than there must be (KIP-966), and waits
    /// for every member of the maximal in-sync replicas to have flushed, said so in this epoch, the leader among them. It waits
    /// for those too who keep up and are about to be let in, or it would run away from them (Kafka: `maybeIncrementLeaderHW`).
    pub fn high(&self, now: Instant, log: &Log, terms: &Terms) -> Offset {
        if !self.is_shared() {
            return log.flushed().max(log.high());
        }
        if self.isr.committed.len() < self.needed(terms.min_isr) {
            return log.high();
        }
        let others = self.least(now, log.end(), terms, |p| p.disk().at());
        others.unwrap_or(log.flushed()).min(log.flushed()).max(log.high())
    }

    /// Raises the low watermark, to where the log starts durably at every member of the maximal in-sync replicas, as each has said in
    /// this epoch, and here: whoever of them leads next, nothing below comes back. Answers where it is (Kafka:
    /// `Partition.lowWatermarkIfLeader`, which takes what followers have in memory).
    ///
    /// It stays while fewer are in sync than there must be: then one that is not in sync may be elected (KIP-966). And it waits for
    /// those who keep up and are about to be let in, or it would run away from them: a follower is let in only once its start has
    /// come to the low watermark, which so stands still as soon as the follower keeps up with the log.
    pub fn raise_low(&mut self, now: Instant, log: &Log, terms: &Terms) -> Offset {
        if !self.is_shared() {
            self.low = self.low.max(log.kept_start());
        } else if self.isr.committed.len() >= self.needed(terms.min_isr) {
            let others = self.least(now, log.end(), terms, Progress::start);
            self.low = others.unwrap_or(log.kept_start()).min(log.kept_start()).max(self.low);
        }
        self.low
    }

    /// The least of what the others have, in the maximal in-sync replicas or about to be let in; `None` if there are no such others.
    fn least(
        &self,
        now: Instant,
        end: Offset,
        terms: &Terms,
        has: impl Fn(&Progress) -> Offset,
    ) -> Option<Offset> {
        let maximal = self.isr.maximal();
        let others = maximal.iter().filter(|id| **id != self.me);
        let in_sync = others.map(|id| self.progress.get(id).map_or(Offset(0), &has));
        let joining = self.progress.iter().filter(|(id, progress)| {
            !maximal.contains(id)
                && self.may_join(**id, progress, terms)
                && progress.keeps_up(now, end, terms.lag_max)
        });
        in_sync.chain(joining.map(|(_, progress)| has(progress))).min()
    }

    fn needed(&self, min_isr: usize) -> usize {
        min_isr.min(self.replicas.len())
    }

    fn may_join(&self, id: BrokerId, progress: &Progress, terms: &Terms) -> bool {
        self.replicas.contains(&id) && terms.alive.get(&id) == Some(&progress.incarnation())
    }

    /// Proposes to put out who has not kept up, with log or disk, for `lag_max`. Who has had everything stays, however long it has
    /// been silent: whether it is alive is for the controller to find out.
    ///
    /// Somebody proposed before who does not keep up, and may still come in, is ruled out in the same way.
    pub fn shrink(&mut self, now: Instant, log: &Log, terms: &Terms) -> Option<Proposal> {
        if !self.isr.is_free(now) {
            return None;
        }
        let stays = |id: &BrokerId| *id == self.me || self.keeps_up(*id, now, log, terms.lag_max);
        if self.isr.maximal().iter().all(stays) {
            return None;
        }
        let isr: BTreeSet<BrokerId> = self.isr.committed.iter().copied().filter(stays).collect();
        Some(self.propose(now, isr))
    }

    fn keeps_up(&self, id: BrokerId, now: Instant, log: &Log, lag_max: Duration) -> bool {
        match self.progress.get(&id) {
            Some(progress) => progress.keeps_up(now, log.end(), lag_max),
            // It was in sync when this epoch began.
            None => now.since(self.since) <= lag_max,
        }
    }

    /// Proposes to let in who has flushed up to the high watermark and up to where this epoch begins, has nothing any more of what is
    /// deleted for good, keeps up, and is alive in the run that has fetched (Kafka: `Partition.isFollowerInSync`,
    /// `isReplicaIsrEligible`).
    pub fn expand(&mut self, now: Instant, log: &Log, terms: &Terms) -> Option<Proposal> {
        if !self.isr.is_free(now) {
            return None;
        }
        let least = log.high().max(self.start);
        // Not where the log starts here, which retention moves again and again.
        let least_start = self.low.max(self.found);
        let joins = |(id, progress): &(&BrokerId, &Progress)| {
            !self.isr.committed.contains(*id)
                && self.may_join(**id, progress, terms)
                && progress.disk().at() >= least
                && progress.start() >= least_start
                && progress.keeps_up(now, log.end(), terms.lag_max)
        };
        let joining: Vec<BrokerId> = self.progress.iter().filter(joins).map(|(id, _)| *id).collect();
        if joining.is_empty() {
            return None;
        }
        let isr = self.isr.committed.iter().copied().chain(joining).collect();
        Some(self.propose(now, isr))
    }

    fn propose(&mut self, now: Instant, isr: BTreeSet<BrokerId>) -> Proposal {
        let run = |id: BrokerId| self.progress.get(&id).map(Progress::incarnation);
        let isr = isr.into_iter().map(|id| (id, run(id))).collect();
        let partition_epoch = self.isr.partition_epoch;
        self.isr.propose(now, Proposal { epoch: self.epoch, partition_epoch, isr })
    }

    /// The proposal in flight, if no answer has come to it for too long: it is to be sent again.
    pub fn resend(&mut self, now: Instant, terms: &Terms) -> Option<Proposal> {
        self.isr.overdue(now, terms.retry)
    }

    /// The controller has decided who is in sync, in this leader epoch: by what was proposed, or of itself. What is not newer than
    /// what is known changes nothing. Answers whether anything did: then the high watermark may rise (KAFKA-13091).
    pub fn decided(&mut self, isr: &[BrokerId], partition_epoch: i32) -> bool {
        self.isr.decided(isr, partition_epoch)
    }

    /// The replicas, in this leader epoch. Answers whether they are others: who was none of them may be served now.
    pub fn reassigned(&mut self, replicas: &[BrokerId]) -> bool {
        let replicas = replicas.iter().copied().collect();
        std::mem::replace(&mut self.replicas, replicas) != self.replicas
    }

    /// The controller has not done what was proposed on top of that partition epoch. Whatever the reason, whoever was proposed still
    /// counts for the high watermark until the partition epoch moves.
    pub fn refused(&mut self, now: Instant, partition_epoch: i32, why: NotChanged, retry: Duration) {
        let rests = match why {
            NotChanged::Ineligible | NotChanged::Unavailable => retry,
            // The metadata is on its way, and is what is waited for.
            NotChanged::Stale => retry * 4,
        };
        self.isr.refused(now, partition_epoch, rests);
    }

    /// Whether a batch may be appended.
    ///
    /// # Errors
    /// It wants acks=all and too few replicas are in sync (Kafka: `Partition.appendRecordsToLeader`).
    pub fn may_append(&self, acks_all: bool, min_isr: usize) -> Result<(), TooFew> {
        let (in_sync, needed) = (self.isr.committed.len(), self.needed(min_isr));
        if acks_all && in_sync < needed { Err(TooFew::BeforeAppend { in_sync, needed }) } else { Ok(()) }
    }

    /// What is answered to acks=all for records that end at `end`; `None`: not yet.
    ///
    /// # Errors
    /// They are committed, and since then too few replicas are in sync (Kafka: `Partition.checkEnoughReplicasReachOffset`).
    pub fn acknowledges(&self, end: Offset, log: &Log, min_isr: usize) -> Option<Result<(), TooFew>> {
        if log.high() < end {
            return None;
        }
        let (in_sync, needed) = (self.isr.committed.len(), self.needed(min_isr));
        Some(if in_sync < needed { Err(TooFew::AfterAppend { in_sync, needed }) } else { Ok(()) })
    }

    /// Whether there are other replicas.
    pub fn is_shared(&self) -> bool {
        self.replicas.len() > 1 || self.isr.is_of_several()
    }

    /// The epoch in which it leads.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// Where its epoch begins in its log.
    pub fn epoch_start(&self) -> Offset {
        self.start
    }

    /// The low watermark: below it nothing comes back, whoever of the in-sync replicas leads next. As far as this epoch knows.
    pub fn low(&self) -> Offset {
        self.low
    }

    /// The in-sync replicas, as the controller has decided.
    pub fn isr(&self) -> &BTreeSet<BrokerId> {
        &self.isr.committed
    }

    /// The in-sync replicas with everybody who may come in by what was proposed.
    pub fn maximal_isr(&self) -> BTreeSet<BrokerId> {
        self.isr.maximal()
    }

    /// The partition epoch that it knows.
    pub fn partition_epoch(&self) -> i32 {
        self.isr.partition_epoch
    }

    /// The proposal in flight.
    pub fn in_flight(&self) -> Option<&Proposal> {
        self.isr.in_flight()
    }

    /// How far its followers are.
    pub fn progress(&self) -> impl Iterator<Item = (BrokerId, &Progress)> {
        self.progress.iter().map(|(id, progress)| (*id, progress))
    }
}

/// Whether a log that ends there has nothing in common with this one: it ends before this one starts, or just where it does, and
/// nobody can tell any more whether it came there the same way.
fn lies_below(tip: Tip, log: &Log) -> bool {
    let unknown = || log.epochs().of(log.start()).is_none_or(|first| tip.epoch < first);
    // What it has beyond the start is of an epoch that was over before this log starts: it parts from this one below that.
    let trimmed = log.start() > Offset(0);
    let parts_below = || trimmed && log.epochs().of(log.start()).is_some_and(|first| tip.epoch < first);
    tip.end < log.start()
        || tip.epoch >= LeaderEpoch(0) && if tip.end == log.start() { unknown() } else { parts_below() }
}

/// The last epoch in which a log that ends there may agree with this one, and where it ends here; `None` if it is a part of it.
fn parts_ways(tip: Tip, current: LeaderEpoch, log: &Log) -> Option<Tip> {
    if tip.epoch < LeaderEpoch(0) {
        return None;
    }
    let Some((epoch, end)) = log.epochs().end_of(tip.epoch, current, log.end()) else {
        // Nobody has records of an epoch to come; if somebody had, they would not be these.
        return Some(Tip::of(log));
    };
    (epoch < tip.epoch || end < tip.end).then_some(Tip { epoch, end })
}
