//! Coming up and going down: replay the metadata log, take leadership, load the coordinators; stop with a clean checkpoint.

use std::collections::BTreeMap;

use crate::broker::door::{Effect, Note};
use crate::broker::lane::Waiting;
use crate::broker::seat::facts_of;
use crate::broker::turn::Turn;
use crate::broker::{Broker, Replica};
use crate::cluster::facts::Fact;
use crate::cluster::image::MetadataImage;
use crate::cluster::names;
use crate::ids::{LeaderEpoch, LoadId, LogId, Offset};
use crate::log::Log;
use crate::quorum::Serving;
use crate::quorum::messages::Tip;
use crate::record::iter::Record;
use crate::record::{Batch, RecordError, Records};
use crate::storage::ops::{EpochStart, LogRange, RecoveredLog, StoreOp};

/// Bytes read at a time when a log is replayed: a bound on how long one step takes.
const LOAD_BYTES: usize = 1 << 20;

/// Most bytes that a batch of the broker's own may unpack to. None of them is compressed, but a tool may have written some.
pub(super) const REPLAY_BYTES: usize = 64 << 20;

/// The epoch of a partition in which this broker has not taken up any role yet.
const NO_ROLE: LeaderEpoch = LeaderEpoch(-1);

/// How far the start has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// The storage has told what there is.
    Found {
        /// The logs.
        logs: Vec<RecoveredLog>,
    },
    /// The metadata log is being replayed; the other logs wait for what it says about them.
    Replaying {
        /// The other logs.
        logs: BTreeMap<LogId, RecoveredLog>,
    },
    /// The election, and then the fact that this broker has started, are on their way.
    Starting {
        /// The other logs.
        logs: BTreeMap<LogId, RecoveredLog>,
    },
    /// Clients are answered.
    Ready,
    /// The last checkpoint is on its way.
    Stopping,
    /// The log directory is dead, or the metadata cannot be read.
    Dead(String),
}

/// The loads under way: which log, and up to where.
#[derive(Debug, Default)]
pub(super) struct Loads {
    next: u64,
    under_way: BTreeMap<LoadId, (LogId, Purpose)>,
}

/// What a piece of a log is read for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// To fold it, and what follows up to this offset.
    Replay(Offset),
    /// To answer another broker's fetch of the metadata.
    Serve(Serving),
    /// To answer a follower: the answer that waits for it.
    Follower(u64),
}

impl Loads {
    /// Reads a log from `from` to `upto`, a piece at a time.
    pub(super) fn begin(&mut self, turn: &mut Turn, log: LogId, from: Offset, upto: Offset) {
        let range = LogRange { log, from, below: upto, max_bytes: LOAD_BYTES, at_least_one: true };
        self.read(turn, range, Purpose::Replay(upto));
    }

    /// Reads a piece of a log.
    pub(super) fn read(&mut self, turn: &mut Turn, range: LogRange, purpose: Purpose) {
        self.next += 1;
        let load = LoadId(self.next);
        self.under_way.insert(load, (range.log, purpose));
        turn.out.push(Effect::Load { load, range });
    }

    fn take(&mut self, load: LoadId) -> Option<(LogId, Purpose)> {
        self.under_way.remove(&load)
    }

    /// Stops reading a log: answers that still come mean nothing. A follower's is waited for all the same, or the other partitions
    /// in it would not be answered.
    pub(super) fn cancel(&mut self, log: LogId) {
        self.under_way.retain(|_, (l, purpose)| *l != log || matches!(purpose, Purpose::Follower(_)));
    }
}

impl Broker {
    /// The first wake: opens the metadata log, or makes it.
    pub(super) fn begin(&mut self, turn: &mut Turn) {
        let Phase::Found { logs } = &mut self.phase else { return };
        let mut logs: BTreeMap<LogId, RecoveredLog> =
            std::mem::take(logs).into_iter().map(|l| (l.log, l)).collect();
        let Some(found) = logs.remove(&LogId::METADATA) else {
            if !logs.is_empty() {
                let why = "there are logs of topics in the data directory, but no metadata log that names them; \
                           restore the directory of __cluster_metadata, or start on an empty data directory";
                return self.die(turn, why.into());
            }
            return self.make_metadata_log(turn);
        };
        if let Some(damage) = found.damage.clone() {
            return self.die(turn, format!("the metadata log is damaged: {damage}"));
        }
        if let Err(why) = self.restore_snapshot(&found) {
            return self.die(turn, why);
        }
        let last =
            found.epochs.last().map(|e| e.epoch).max(found.snapshot.as_ref().map(|(_, epoch, _)| *epoch));
        let epoch = last.unwrap_or_default();
        let log = Log::recovered(&found);
        self.keep(Replica::new(log, names::CLUSTER_METADATA.into(), epoch, None));
        self.begin_behind_snapshot(turn, &found);
        let from = self.controller.position().0.max(found.start);
        let upto = self.partitions[&LogId::METADATA].log.end();
        self.phase = Phase::Replaying { logs };
        if from < upto { self.loads.begin(turn, LogId::METADATA, from, upto) } else { self.replayed(turn) }
    }

    fn restore_snapshot(&mut self, found: &RecoveredLog) -> Result<(), String> {
        let from = found.snapshot.as_ref().map(|(at, ..)| *at);
        if found.start > from.unwrap_or_default() {
            let kept =
                from.map_or("there is no snapshot".into(), |at| format!("its newest snapshot ends at {at}"));
            return Err(format!(
                "the metadata log begins at offset {}, and {kept}: what was decided in between is missing. Restore the \
                 directory of __cluster_metadata; nothing of the topics has been touched",
                found.start
            ));
        }
        if let Some((at, epoch, bytes)) = &found.snapshot {
            self.controller.restore(MetadataImage::decode(bytes)?, (*at, *epoch));
            if !self.is_alone() {
                self.snapshots.found(Tip { epoch: *epoch, end: *at }, bytes.clone());
            }
        }
        Ok(())
    }

    /// Begins the metadata log anew where its snapshot ends, if it ends before that: what would be decided in between, the next
    /// start would pass over. Of a broker alone only a disk that has lost what it called durable leaves it so; one of several
    /// may have been about to begin anew at a snapshot of another, also if its log goes further, with another history.
    fn begin_behind_snapshot(&mut self, turn: &mut Turn, found: &RecoveredLog) {
        let Some((at, epoch, _)) = &found.snapshot else { return };
        let alone = self.is_alone();
        if *at <= found.end && (alone || goes_on_from(found, *at, *epoch)) {
            return;
        }
        let end = found.end;
        turn.warn(if alone {
            format!(
                "the metadata log ends at offset {end}, but its snapshot holds everything below offset {at}: the disk has lost the \
                 end of the log, which it had said was written. The log begins anew at offset {at}, behind the snapshot; what was \
                 decided since the snapshot may be lost. Check the disk of this log directory"
            )
        } else {
            format!(
                "the metadata log, which ends at offset {end}, does not go on from its snapshot of everything below offset {at}: this \
                 broker was about to take over from the leader's snapshot when it stopped, or its disk has lost the end of the log. \
                 The log begins anew at offset {at}, and what follows comes from the leader"
            )
        });
        let Broker { partitions, tails, .. } = self;
        let log = &mut partitions.get_mut(&LogId::METADATA).expect("kept just now").log;
        log.restart(*at, Some(*epoch), tails);
        let cuts = log.cuts();
        let op = StoreOp::Restart { log: LogId::METADATA, at: *at, epoch: Some(*epoch) };
        self.lane.append(turn, op, *at, cuts);
    }

    fn make_metadata_log(&mut self, turn: &mut Turn) {
        let name = names::CLUSTER_METADATA.to_string();
        self.lane.store(
            turn,
            StoreOp::Create { log: LogId::METADATA, name: name.clone(), index_interval_bytes: 4096 },
        );
        self.keep(Replica::new(Log::empty(LogId::METADATA), name, LeaderEpoch(0), None));
        self.phase = Phase::Replaying { logs: BTreeMap::new() };
        self.replayed(turn);
    }

    /// Puts a partition where requests find it, and takes up what this broker is to it.
    fn open(&mut self, turn: &mut Turn, partition: Replica) {
        let log = partition.log.id();
        self.keep(partition);
        if let Some(state) = self.controller.image().partition(log).cloned() {
            self.take_role(turn, log, &state);
        }
    }

    fn keep(&mut self, partition: Replica) {
        self.partitions.insert(partition.log.id(), partition);
    }

    /// A piece of a log has been read back.
    pub(super) fn loaded(&mut self, turn: &mut Turn, load: LoadId, result: Result<Vec<Batch>, String>) {
        let Some((log, purpose)) = self.loads.take(load) else { return };
        let upto = match purpose {
            Purpose::Replay(upto) => upto,
            Purpose::Serve(serving) => return self.metadata_read(turn, serving, result),
            Purpose::Follower(answer) => return self.follower_read(turn, (answer, log), result),
        };
        let batches = match result {
            Ok(batches) if batches.is_empty() => {
                return self.load_failed(turn, log, format!("nothing could be read below offset {upto}"));
            }
            Ok(batches) => batches,
            Err(why) => return self.load_failed(turn, log, why),
        };
        let next = batches.last().map_or(upto, |b| b.header().next_offset());
        let replayed = batches.iter().try_for_each(|batch| self.replay(log, batch));
        match replayed {
            Err(why) => self.load_failed(turn, log, why),
            Ok(()) if next < upto => self.loads.begin(turn, log, next, upto),
            Ok(()) if log == LogId::METADATA => self.replayed(turn),
            Ok(()) => self.shard_loaded(turn, log),
        }
    }

    fn replay(&mut self, log: LogId, batch: &Batch) -> Result<(), String> {
        if log == LogId::METADATA && !self.is_alone() {
            // How much of it is committed is for the quorum's leader to say.
            let facts = facts_of(batch)?;
            self.check_epoch(batch, &facts)?;
            let header = batch.header();
            self.controller.decided(facts, header.next_offset(), header.leader_epoch);
            return Ok(());
        }
        for record in Records::read_all(batch, REPLAY_BYTES).map_err(|e| unreadable(batch, &e))? {
            if log != LogId::METADATA {
                self.replay_group_record(log, record);
            } else if !batch.header().is_control() {
                let fact = fact_in(&record)?;
                self.controller.replay(&fact, record.offset + 1, batch.header().leader_epoch);
            }
        }
        Ok(())
    }

    fn load_failed(&mut self, turn: &mut Turn, log: LogId, why: String) {
        if log == LogId::METADATA {
            self.die(turn, format!("the metadata log cannot be read: {why}"));
        } else {
            self.shard_unreadable(turn, log, why);
        }
    }

    /// The metadata log is replayed: this broker starts a new life, and leads what it led in new epochs.
    fn replayed(&mut self, turn: &mut Turn) {
        let logs = match std::mem::replace(&mut self.phase, Phase::Stopping) {
            Phase::Replaying { logs } => logs,
            // It was asked to stop before it had begun.
            Phase::Stopping => return,
            other => panic!("the metadata log was replayed while {other:?}"),
        };
        self.phase = Phase::Starting { logs };
        self.take_seat(turn);
    }

    /// The start is committed: opens every partition that the image gives this broker, and answers who waited.
    pub(super) fn started(&mut self, turn: &mut Turn) {
        let Phase::Starting { logs } = std::mem::replace(&mut self.phase, Phase::Ready) else { return };
        self.reconfigure(turn);
        self.brokers_changed(turn);
        self.count_shards();
        self.open_partitions(turn, logs);
        self.begin_upkeep(turn);
        turn.out.push(Effect::Note(Note::Ready));
        while let Some(held) = self.held.pop_front() {
            self.request(turn, held);
        }
    }

    fn open_partitions(&mut self, turn: &mut Turn, mut logs: BTreeMap<LogId, RecoveredLog>) {
        let image = self.controller.image();
        let mut wanted = Vec::with_capacity(image.partition_count());
        for topic in image.topics() {
            for (index, state) in topic.partitions.iter().enumerate() {
                if state.replicas.contains(&self.me) {
                    let log = LogId { topic: topic.id, partition: index as i32 };
                    wanted.push((log, topic.name.clone(), state.leader_epoch));
                }
            }
        }
        for (log, name, epoch) in wanted {
            match logs.remove(&log) {
                Some(found) => self.open_found(turn, found, name, epoch),
                None => self.make_log(turn, log, name),
            }
        }
        for stray in logs.into_keys() {
            turn.info(format!(
                "removing the log {stray:?}: its topic has been deleted, or it has other replicas"
            ));
            self.lane.store(turn, StoreOp::Remove { log: stray });
        }
    }

    fn open_found(&mut self, turn: &mut Turn, found: RecoveredLog, name: String, epoch: LeaderEpoch) {
        let damage = found.damage.clone().or_else(|| from_the_future(&found, epoch));
        if let Some(damage) = &damage {
            turn.warn(format!(
                "{name}-{} is offline: {damage}. Nothing was cut off; restore the file from a copy, or delete the topic",
                found.log.partition
            ));
        }
        let log = Log::recovered(&found);
        self.open(turn, Replica::new(log, name, NO_ROLE, damage));
    }

    /// Makes a partition that is new on this broker.
    pub(super) fn make_log(&mut self, turn: &mut Turn, log: LogId, name: String) {
        let index_interval_bytes = self.topic_config(log.topic).index_interval_bytes;
        self.lane.store(turn, StoreOp::Create { log, name: name.clone(), index_interval_bytes });
        self.open(turn, Replica::new(Log::empty(log), name, NO_ROLE, None));
    }

    /// Stops in order: what was appended becomes durable, then the clean checkpoint.
    pub(super) fn stop(&mut self, turn: &mut Turn) {
        if matches!(self.phase, Phase::Dead(_)) {
            return turn.out.push(Effect::Stopped);
        }
        if !self.hands_over(turn) {
            self.stop_now(turn);
        }
    }

    /// Stops without waiting for others any more.
    pub(super) fn stop_now(&mut self, turn: &mut Turn) {
        self.leave();
        if !self.is_alone() {
            self.steer(turn, |quorum, now, _, out| quorum.resign(now, out));
            self.quorum = None;
            self.active = None;
        }
        if matches!(self.phase, Phase::Ready) {
            if self.is_alone() {
                self.keep_snapshot(turn);
            }
            self.keep_producers(turn);
        } else {
            // Who has not begun to lead need not begin any more.
            self.quorum = None;
        }
        self.phase = Phase::Stopping;
        self.lane.store_and_wait(turn, StoreOp::Checkpoint { clean: true }, Waiting::Stop);
    }

    /// Nothing works any more. Nothing is acknowledged from here on. Who was asked to stop has stopped.
    pub(super) fn die(&mut self, turn: &mut Turn, why: String) {
        let stopping = matches!(self.phase, Phase::Stopping) || self.member.is_leaving();
        self.leave();
        (self.quorum, self.active) = (None, None);
        turn.out.push(Effect::Note(Note::DiskDead(why.clone())));
        self.phase = Phase::Dead(why);
        self.refuse_held(turn);
        if stopping {
            turn.out.push(Effect::Stopped);
        }
    }
}

/// Whether a log that goes as far as its snapshot, or further, is of the same history: then the last record in the snapshot is of the
/// same epoch in both. If the log begins there it was made so.
fn goes_on_from(found: &RecoveredLog, at: Offset, epoch: LeaderEpoch) -> bool {
    let holds_last = |start: &EpochStart| start.start < at;
    found.start >= at || found.epochs.iter().rev().find(|e| holds_last(e)).map(|e| e.epoch) == Some(epoch)
}

/// No checksum covers the leader epoch of a batch, so that damage to it shows only here: a log never has an epoch that its
/// leader has not come to.
fn from_the_future(found: &RecoveredLog, epoch: LeaderEpoch) -> Option<String> {
    let newest = found.epochs.last().filter(|newest| newest.epoch > epoch)?;
    let (start, newest) = (newest.start, newest.epoch);
    Some(format!("the batch at offset {start} has leader epoch {newest}, but its leader is in epoch {epoch}"))
}

/// The fact that a record of the metadata log holds.
pub(super) fn fact_in(record: &Record) -> Result<Fact, String> {
    let value = record.value.as_deref().unwrap_or_default();
    Fact::decode(value).map_err(|why| format!("{why}, at offset {}", record.offset))
}

pub(super) fn unreadable(batch: &Batch, why: &RecordError) -> String {
    format!("the batch at offset {} is damaged: {why}", batch.header().base_offset)
}
