//! Fetch: plan what to answer from tails and disk; if it is too little, park until the partitions have advanced.
//!
//! No sessions are kept: every answer says session id 0, which KIP-227 allows.

use crate::broker::door::Caller;
use crate::broker::fetches::{FetchId, Parked};
use crate::broker::turn::Turn;
use crate::broker::{Broker, Replica};
use crate::ids::{BrokerId, LeaderEpoch, LogId, Offset, TopicId};
use crate::log::Slice;
use crate::record::check::CompressionType;
use crate::replica::Role;
use crate::storage::ops::LogRange;
use crate::wire::dialect::Dialect;
use crate::wire::error::ErrorCode;
use crate::wire::messages::fetch::{
    EpochEndOffset, FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse,
    LeaderIdAndEpoch, PartitionData,
};
use crate::wire::records::Records;

/// isolation.level: read_committed.
const READ_COMMITTED: i8 = 1;
/// Longest that a fetch waits, whatever it asks for.
const MAX_WAIT_MS: i64 = 300_000;

/// Most that one partition of one answer takes from disk: reading, checking and sending that much stays in the processor's
/// cache, and a consumer that is far behind asks again at once.
const MOST_FROM_DISK_BYTES: usize = 1 << 20;

/// An answer as far as it is known, and whether it may wait for more.
struct Plan {
    response: FetchResponse,
    /// Bytes found; those on disk count as what was reserved for them.
    bytes: usize,
    /// An error, or records of a log that diverged: the client should hear of it at once.
    urgent: bool,
    logs: Vec<LogId>,
}

impl Broker {
    /// Handles a fetch request.
    pub(super) fn fetch(&mut self, turn: &mut Turn, to: Caller, dialect: Dialect, request: FetchRequest) {
        if let Some(error_code) = refuse(&request) {
            return turn.reply(to, FetchResponse { error_code, ..Default::default() }.into());
        }
        let plan = self.plan(&request, dialect);
        let wait_ms = i64::from(request.max_wait_ms).min(MAX_WAIT_MS);
        if plan.is_enough(&request) || wait_ms <= 0 || plan.logs.is_empty() {
            return turn.reply(to, plan.response.into());
        }
        let deadline = turn.now.mono.after_ms(wait_ms);
        let logs = plan.logs;
        let id = self.fetches.park(to, (request, dialect), logs.clone(), deadline);
        for log in logs {
            self.partitions
                .get_mut(&log)
                .expect("a fetch parks at partitions that are here")
                .parked
                .insert(id);
        }
    }

    /// A log has advanced: answers the fetches parked there that have enough now.
    pub(super) fn wake_fetches(&mut self, turn: &mut Turn, log: LogId) {
        let Some(partition) = self.partitions.get(&log) else { return };
        let ids: Vec<FetchId> = partition.parked.iter().copied().collect();
        for id in ids {
            let Some(parked) = self.fetches.get(id) else { continue };
            let plan = self.plan(&parked.request, parked.dialect);
            if plan.is_enough(&parked.request) {
                self.answer_fetch(turn, id, plan);
            }
        }
    }

    /// Answers a fetch with what there is, because its time is up or its partition goes.
    pub(super) fn answer_fetch_now(&mut self, turn: &mut Turn, id: FetchId) {
        let Some(parked) = self.fetches.get(id) else { return };
        let plan = self.plan(&parked.request, parked.dialect);
        self.answer_fetch(turn, id, plan);
    }

    fn answer_fetch(&mut self, turn: &mut Turn, id: FetchId, plan: Plan) {
        if let Some(to) = self.unpark(id) {
            turn.reply(to, plan.response.into());
        }
    }

    /// Takes a fetch out of the partitions it is parked at.
    pub(super) fn unpark(&mut self, id: FetchId) -> Option<Caller> {
        let Parked { to, logs, .. } = self.fetches.take(id)?;
        for log in logs {
            if let Some(partition) = self.partitions.get_mut(&log) {
                partition.parked.remove(&id);
            }
        }
        Some(to)
    }

    /// What a fetch would be answered now. Pure.
    fn plan(&self, request: &FetchRequest, dialect: Dialect) -> Plan {
        let most = request.max_bytes.min(self.config.fetch_max_bytes).max(0) as usize;
        let mut plan = Plan { response: FetchResponse::default(), bytes: 0, urgent: false, logs: Vec::new() };
        let reader = Reader {
            committed: request.isolation_level == READ_COMMITTED,
            knows_zstd: dialect.fetch_zstd,
            rack: dialect.fetch_followers.then_some(request.rack_id.as_str()),
        };
        for topic in &request.topics {
            let (id, unknown) = self.fetch_topic(topic, dialect);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for asked in &topic.partitions {
                let log = LogId { topic: id, partition: asked.partition };
                let read = match unknown {
                    Some(code) => Err(code),
                    None => self.read(asked, log, reader, (most.saturating_sub(plan.bytes), plan.bytes == 0)),
                };
                partitions.push(plan.take(asked.partition, (log, reader), read));
            }
            plan.response.responses.push(FetchableTopicResponse {
                topic: topic.topic.clone(),
                topic_id: topic.topic_id,
                partitions,
            });
        }
        plan
    }

    /// The topic by name, or from version 13 by id, and the code for one that does not exist.
    fn fetch_topic(&self, topic: &FetchTopic, dialect: Dialect) -> (TopicId, Option<ErrorCode>) {
        let image = self.controller.image();
        if dialect.fetch_topic_ids {
            let known = image.topic_by_id(topic.topic_id).is_some();
            return (topic.topic_id, (!known).then_some(ErrorCode::UNKNOWN_TOPIC_ID));
        }
        match image.topic(&topic.topic) {
            Some(found) => (found.id, None),
            None => (TopicId::ZERO, Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
        }
    }

    fn read(
        &self,
        asked: &FetchPartition,
        log: LogId,
        reader: Reader<'_>,
        room: (usize, bool),
    ) -> Result<Read, ErrorCode> {
        let partition = self.found(log, reader)?;
        check_epoch(partition, asked.current_leader_epoch)?;
        let from = Offset(asked.fetch_offset);
        if let Some(diverging) = diverges(partition, asked.last_fetched_epoch, from) {
            return Ok(Read::of(partition, Slice::Empty, Some(diverging)));
        }
        if let Some(nearer) = self.nearer_replica(partition, reader.rack, from) {
            return Ok(Read { preferred: Some(nearer), ..Read::of(partition, Slice::Empty, None) });
        }
        // A log that has just begun anew is committed up to there, and nothing of it is on disk yet.
        let (start, end) = (partition.log.start(), partition.log.high().min(partition.log.flushed()));
        // An offset beyond the high watermark but not beyond the end is one whose records are not committed yet.
        if from < start || from > partition.log.end() {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let below = if reader.committed { partition.log.stable().min(end) } else { end };
        let (left, nothing_yet) = room;
        let max_bytes = left.min(asked.partition_max_bytes.max(0) as usize);
        let slice = if left == 0 && !nothing_yet {
            Slice::Empty
        } else {
            match partition.log.read(LogRange { log, from, below, max_bytes, at_least_one: nothing_yet }) {
                Slice::OnDisk(range) => {
                    Slice::OnDisk(LogRange { max_bytes: max_bytes.min(MOST_FROM_DISK_BYTES), ..range })
                }
                held => held,
            }
        };
        Ok(Read::of(partition, slice, None))
    }

    /// The partition, if this broker may serve it to such a reader.
    fn found(&self, log: LogId, reader: Reader<'_>) -> Result<&Replica, ErrorCode> {
        let found = if reader.rack.is_some() { self.readable(log) } else { self.usable(log) };
        let compression = self.topic_config(log.topic).compression;
        match found.map_err(|(code, _)| code)? {
            _ if matches!(compression, CompressionType::Zstd { .. }) && !reader.knows_zstd => {
                Err(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE)
            }
            partition => Ok(partition),
        }
    }

    /// The replica that a consumer in this rack is told to read from, if that is not the leader (Kafka: `RackAwareReplicaSelector`): one
    /// that is in sync, so that it has all that is committed, or is about to know that it is, and whose log does not begin only behind what is
    /// asked for, as that of one may that has led and deleted (Kafka: `ReplicaManager.findPreferredReadReplica`).
    fn nearer_replica(&self, partition: &Replica, rack: Option<&str>, from: Offset) -> Option<BrokerId> {
        let asked = rack.filter(|rack| !rack.is_empty() && self.config.cluster.reads_in_rack)?;
        let Role::Leads(leading) = &partition.role else { return None };
        let stands_here = self.config.cluster.rack.as_deref() == Some(asked);
        if stands_here || from < partition.log.start() || from > partition.log.high() {
            return None;
        }
        let image = self.controller.image();
        let stands_there = |id: &BrokerId| {
            let registered = image.brokers().get(id).filter(|r| r.is_active());
            registered.is_some_and(|r| r.rack.as_deref() == Some(asked))
        };
        let has =
            |id: &BrokerId| leading.progress().any(|(of, progress)| of == *id && progress.start() <= from);
        let state = image.partition(partition.log.id())?;
        let in_sync = state.replicas.iter().copied().filter(|id| state.isr.contains(id));
        in_sync.filter(stands_there).find(has)
    }
}

/// What a client wants to see, and what it can.
#[derive(Clone, Copy)]
struct Reader<'a> {
    committed: bool,
    knows_zstd: bool,
    /// Where it stands; `None` for one that reads from leaders alone.
    rack: Option<&'a str>,
}

/// What reading one partition came to.
struct Read {
    high: Offset,
    stable: Offset,
    start: Offset,
    slice: Slice,
    diverging: Option<(LeaderEpoch, Offset)>,
    /// Whom to read from instead.
    preferred: Option<BrokerId>,
}

impl Read {
    fn of(partition: &Replica, slice: Slice, diverging: Option<(LeaderEpoch, Offset)>) -> Read {
        let log = &partition.log;
        let (high, stable, start) = (log.high(), log.stable(), log.start());
        Read { high, stable, start, slice, diverging, preferred: None }
    }
}

impl Plan {
    fn is_enough(&self, request: &FetchRequest) -> bool {
        self.urgent || self.bytes >= request.min_bytes.max(0) as usize
    }

    fn take(
        &mut self,
        partition_index: i32,
        (log, reader): (LogId, Reader<'_>),
        read: Result<Read, ErrorCode>,
    ) -> PartitionData {
        let read = match read {
            Ok(read) => read,
            Err(error_code) => {
                self.urgent = true;
                return failed(partition_index, error_code);
            }
        };
        self.logs.push(log);
        self.urgent |= read.diverging.is_some() || read.preferred.is_some();
        let records = match read.slice {
            Slice::Empty => Records::default(),
            Slice::Held(chunks) => Records::Held(chunks),
            Slice::OnDisk(range) => Records::OnDisk(range),
        };
        self.bytes += match &records {
            Records::OnDisk(range) => range.max_bytes.max(1),
            held => held.held_bytes(),
        };
        let (epoch, end) = read.diverging.map_or((-1, -1), |(epoch, end)| (epoch.0, end.0));
        PartitionData {
            partition_index,
            high_watermark: read.high.0,
            last_stable_offset: read.stable.0,
            log_start_offset: read.start.0,
            // Nothing is ever aborted here: an empty list for who asks, and none for who does not.
            aborted_transactions: reader.committed.then(Vec::new),
            records: Some(records),
            diverging_epoch: EpochEndOffset { epoch, end_offset: end },
            preferred_read_replica: read.preferred.map_or(-1, |id| id.0),
            ..Default::default()
        }
    }
}

fn failed(partition_index: i32, error_code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index,
        error_code,
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        aborted_transactions: None,
        records: Some(Records::default()),
        current_leader: LeaderIdAndEpoch::default(),
        ..Default::default()
    }
}

/// Requests that cannot be answered as a whole.
fn refuse(request: &FetchRequest) -> Option<ErrorCode> {
    let replica = request.replica_id.max(request.replica_state.replica_id);
    if replica >= 0 {
        // A client that says it is a follower could move the high watermark (CVE-2018-1288); brokers have their own port.
        return Some(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    }
    // A full fetch ends the session that it names, if there is one; every other epoch goes on with a session.
    let is_full = matches!(request.session_epoch, 0 | -1);
    (!is_full).then_some(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)
}

/// A client that knows another leader epoch than this one must look for the leader again (KIP-320).
pub(super) fn check_epoch(partition: &Replica, known: i32) -> Result<(), ErrorCode> {
    match known {
        -1 => Ok(()),
        older if older < partition.epoch.0 => Err(ErrorCode::FENCED_LEADER_EPOCH),
        newer if newer > partition.epoch.0 => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
        _ => Ok(()),
    }
}

/// Where the log of a reader that fetched up to `from` in `last` parts from this one, if it does (KIP-595).
fn diverges(partition: &Replica, last: i32, from: Offset) -> Option<(LeaderEpoch, Offset)> {
    // A follower may be behind who reads from it: that its log ends earlier says nothing.
    if last < 0 || !matches!(partition.role, Role::Leads(_)) {
        return None;
    }
    let log = &partition.log;
    let (epoch, end) = log.epochs().end_of(LeaderEpoch(last), partition.epoch, log.end())?;
    (epoch < LeaderEpoch(last) || end < from).then_some((epoch, end))
}
