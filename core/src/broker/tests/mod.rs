//! The broker by itself, on a disk that keeps everything in memory and answers when the test says so.

mod admin;
mod belonging;
mod bounds;
mod deleting;
mod delivery;
mod describe_quorum;
mod dialects;
mod doubt;
mod elsewhere;
mod epochs;
mod failures;
mod fetching;
mod finding;
mod groups;
mod moving;
mod observers;
mod quorum;
mod reading;
mod replicas;
mod snapshots;
mod start;
mod throttle;
mod topics;
mod trio;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::broker::Broker;
use crate::broker::door::{Caller, Client, Effect, Input, Note, Produce, ProduceTopic, Request};
use crate::config::{BrokerConfig, Settings};
use crate::ids::{BrokerId, ConnId, LaneId, LeaderEpoch, LoadId, LogId, LookupId, Mark, Offset};
use crate::peer::message::PeerMessage;
use crate::producer::ProducerTable;
use crate::record::check::Refused;
use crate::record::{Batch, BatchBuilder};
use crate::storage::ops::{
    Identity, LogFailure, LogRange, Lookup, Recovered, RecoveredLog, SegmentSpan, StoreOp, Stored,
};
use crate::time::{Instant, Now, Timestamp};
use crate::wire::dialect::Dialect;
use crate::wire::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use crate::wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use crate::wire::messages::produce::PartitionProduceResponse;
use crate::wire::{self, ApiKey, Response};

/// A broker with a lane whose completions the test holds in its hand.
struct Rig {
    broker: Broker,
    now: Now,
    effects: Vec<Effect>,
    /// Operations sent and not answered yet.
    queued: Vec<(Mark, StoreOp)>,
    disk: BTreeMap<LogId, Vec<Batch>>,
    /// What is kept of elections.
    election: Option<Bytes>,
    /// The newest snapshot of the metadata.
    snapshot: Option<(Offset, LeaderEpoch, Bytes)>,
    /// Where the metadata log begins.
    metadata_start: Offset,
    /// Where logs start since they were trimmed, and where a checkpoint has kept that they do.
    trimmed: BTreeMap<LogId, Offset>,
    starts: BTreeMap<LogId, Offset>,
    /// Complete operations as soon as they are sent.
    prompt: bool,
    /// Leave what the machine wants to read unread.
    hold_loads: bool,
    loads: Vec<(LoadId, LogRange)>,
    free_bytes: u64,
    next_seq: u64,
    replies: BTreeMap<Caller, Response>,
    closed: Vec<String>,
    stopped: bool,
    notes: Vec<Note>,
    /// The cluster that it was told to belong to.
    cluster: Option<String>,
    /// Where it was told that the other brokers are.
    addresses: BTreeMap<BrokerId, String>,
    /// What was said to other brokers and is not delivered yet.
    sent: Vec<(BrokerId, PeerMessage)>,
    /// Questions to time indexes that are not answered yet.
    looks: Vec<(LookupId, Lookup)>,
}

const CONN: ConnId = ConnId(1);

fn identity() -> Identity {
    Identity { format: 1, cluster_id: "AAAAAAAAAAAAAAAAAAAAAg".into(), node_id: 1, directory_id: [1; 16] }
}

impl Rig {
    fn new(settings: &[(&str, &str)]) -> Rig {
        let mut rig = Rig::over(settings, Vec::new());
        rig.wake();
        assert!(rig.broker.status().ready);
        rig
    }

    fn over(settings: &[(&str, &str)], logs: Vec<RecoveredLog>) -> Rig {
        Rig::over_kept(settings, logs, (Ok(None), 42))
    }

    /// The same with what the start finds of elections, and the entropy of the run.
    fn over_kept(
        settings: &[(&str, &str)],
        logs: Vec<RecoveredLog>,
        kept: (Result<Option<Bytes>, String>, u64),
    ) -> Rig {
        let id = settings.iter().find(|(name, _)| *name == "node.id").map_or("1", |(_, id)| id);
        Rig::in_directory(settings, logs, kept, [id.parse().unwrap(); 16])
    }

    /// The same in a data directory with this id.
    fn in_directory(
        settings: &[(&str, &str)],
        logs: Vec<RecoveredLog>,
        (election, seed): (Result<Option<Bytes>, String>, u64),
        directory_id: [u8; 16],
    ) -> Rig {
        let mut set = Settings::new();
        settings.iter().for_each(|(name, value)| set.set(name, value).unwrap());
        let space = (1 << 40, 1 << 40);
        let mut identity = Identity { directory_id, ..identity() };
        if let Some((_, id)) = settings.iter().find(|(name, _)| *name == "node.id") {
            identity.node_id = id.parse().unwrap();
        }
        let found = Recovered { identity, clean: true, logs, election, space };
        Rig {
            broker: Broker::new(BrokerConfig::new(set), seed, found),
            now: Now { mono: Instant(1_000_000), wall: Timestamp(1_700_000_000_000) },
            effects: Vec::new(),
            queued: Vec::new(),
            disk: BTreeMap::new(),
            election: None,
            snapshot: None,
            metadata_start: Offset(0),
            trimmed: BTreeMap::new(),
            starts: BTreeMap::new(),
            prompt: true,
            hold_loads: false,
            loads: Vec::new(),
            free_bytes: 1 << 40,
            next_seq: 0,
            replies: BTreeMap::new(),
            closed: Vec::new(),
            stopped: false,
            notes: Vec::new(),
            cluster: None,
            addresses: BTreeMap::new(),
            sent: Vec::new(),
            looks: Vec::new(),
        }
    }

    fn step(&mut self, input: Input) {
        let mut out = std::mem::take(&mut self.effects);
        self.broker.step(self.now, input, &mut out);
        for effect in out.drain(..) {
            self.effect(effect);
        }
        self.effects = out;
        if self.prompt && !self.queued.is_empty() {
            self.complete(&[]);
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Reply { to, response } => {
                assert!(self.replies.insert(to, response).is_none(), "{to:?} was answered twice");
            }
            Effect::Close { reason, .. } => self.closed.push(reason),
            Effect::Store { mark, op, .. } => self.queued.push((mark, op)),
            Effect::Load { load, range } if self.hold_loads => self.loads.push((load, range)),
            Effect::Load { load, range } => self.load(load, range),
            Effect::Look { lookup, what, .. } => self.looks.push((lookup, what)),
            Effect::Send { to, message } => self.sent.push((to, message)),
            Effect::Cluster(id) => self.cluster = Some(id),
            Effect::Peers(addresses) => self.addresses = addresses,
            Effect::Rules(_) => {}
            Effect::Stopped => {
                assert!(!self.stopped, "it says twice that it has stopped");
                self.stopped = true;
            }
            Effect::Note(note) => self.notes.push(note),
        }
    }

    /// Reads what the machine asked for.
    fn load(&mut self, load: LoadId, range: LogRange) {
        let all = self.disk.get(&range.log).cloned().unwrap_or_default();
        let wanted = all
            .into_iter()
            .filter(|b| b.header().last_offset() >= range.from && b.header().next_offset() <= range.below);
        let result = Ok(wanted.take(2).collect());
        self.step(Input::Loaded { load, result });
    }

    /// Reads what was held back.
    fn release_loads(&mut self) {
        self.hold_loads = false;
        std::mem::take(&mut self.loads).into_iter().for_each(|(load, range)| self.load(load, range));
    }

    /// The lane finishes all it was sent; appends to the logs in `full` find no room.
    fn complete(&mut self, full: &[LogId]) {
        let round = std::mem::take(&mut self.queued);
        let Some((done, _)) = round.last() else { return };
        let done = *done;
        let mut failed: Vec<LogFailure> = Vec::new();
        for (_, op) in round {
            match op {
                StoreOp::Append { log, .. } if full.contains(&log) => {
                    failed.push(LogFailure { log, full: true, message: "No space left on device".into() });
                }
                StoreOp::Snapshot { log, .. } if full.contains(&log) => {
                    failed.push(LogFailure { log, full: true, message: "No space left on device".into() });
                }
                StoreOp::Append { log, batches, .. } => self.disk.entry(log).or_default().extend(batches),
                StoreOp::Truncate { log, to } => {
                    self.disk.entry(log).or_default().retain(|b| b.header().base_offset < to);
                }
                StoreOp::Restart { log, at, .. } => {
                    self.disk.insert(log, Vec::new());
                    if log == LogId::METADATA {
                        self.metadata_start = at;
                    }
                }
                StoreOp::Trim { log: LogId::METADATA, start } => self.metadata_start = start,
                StoreOp::Trim { log, start } => drop(self.trimmed.insert(log, start)),
                StoreOp::Checkpoint { .. } => self.starts = self.trimmed.clone(),
                StoreOp::Snapshot { at, epoch, bytes, .. } => self.snapshot = Some((at, epoch, bytes)),
                StoreOp::Remove { log } => drop(self.disk.remove(&log)),
                StoreOp::Election { state } => self.election = Some(state),
                _ => {}
            }
        }
        let (free_bytes, total_bytes) = (self.free_bytes, 1 << 40);
        self.step(Input::Stored {
            lane: LaneId(0),
            result: Ok(Stored { done, failed, kept: true, free_bytes, total_bytes }),
        });
    }

    /// The lane finishes all it was sent, but finds that a log is damaged.
    fn fail(&mut self, log: LogId) {
        let done = self.queued.last().unwrap().0;
        self.queued.clear();
        let failed = vec![LogFailure { log, full: false, message: "00.log is shorter than it was".into() }];
        let stored = Stored { done, failed, kept: true, free_bytes: 1 << 40, total_bytes: 1 << 40 };
        self.step(Input::Stored { lane: LaneId(0), result: Ok(stored) });
    }

    fn wake(&mut self) {
        self.step(Input::Wake);
    }

    /// Lets time pass, waking the broker whenever it asks for it.
    fn pass_ms(&mut self, ms: u64) {
        let until = Instant(self.now.mono.0 + ms * 1000);
        while let Some(at) = self.broker.next_wake().filter(|at| *at <= until) {
            self.now.wall.0 += (at.0.saturating_sub(self.now.mono.0) / 1000) as i64;
            self.now.mono = at.max(self.now.mono);
            self.wake();
        }
        self.now.wall.0 += (until.0.saturating_sub(self.now.mono.0) / 1000) as i64;
        self.now.mono = until;
    }

    fn send_as(&mut self, client_id: &str, request: Request, dialect: Dialect) -> Caller {
        let from = Client {
            client_id: client_id.into(),
            host: "/127.0.0.1".into(),
            advertised: ("localhost".into(), 9092),
        };
        self.send_from(from, request, dialect)
    }

    fn send_from(&mut self, from: Client, request: Request, dialect: Dialect) -> Caller {
        let to = Caller { conn: CONN, seq: self.next_seq };
        self.next_seq += 1;
        self.step(Input::Request { to, from: Arc::new(from), dialect, request });
        to
    }

    /// Sends a request in the newest version of its kind.
    fn send(&mut self, request: impl Into<wire::Request>) -> Caller {
        let request = request.into();
        let newest = *request.key().accepted().end();
        self.send_in(newest, request)
    }

    /// Sends a request that means what that version of it means.
    fn send_in(&mut self, version: i16, request: impl Into<wire::Request>) -> Caller {
        let request = request.into();
        let dialect = Dialect::of(request.key(), version);
        self.send_as("test", Request::Api(request), dialect)
    }

    fn answer(&mut self, to: Caller) -> Response {
        self.replies.remove(&to).unwrap_or_else(|| panic!("{to:?} has no answer; closed: {:?}", self.closed))
    }

    fn ask(&mut self, request: impl Into<wire::Request>) -> Response {
        let to = self.send(request);
        self.answer(to)
    }

    fn ask_in(&mut self, version: i16, request: impl Into<wire::Request>) -> Response {
        let to = self.send_in(version, request);
        self.answer(to)
    }

    fn create(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let configs =
            configs.iter().map(|(name, value)| wire::messages::create_topics::CreatableTopicConfig {
                name: name.to_string(),
                value: Some(value.to_string()),
            });
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let Response::CreateTopics(made) = self.ask(request) else { panic!("not an answer to CreateTopics") };
        assert_eq!(made.topics[0].error_code, wire::ErrorCode::NONE, "{:?}", made.topics[0].error_message);
    }

    fn log(&self, topic: &str, partition: i32) -> LogId {
        self.broker.log_of(topic, partition).unwrap()
    }

    fn produce(&mut self, topic: &str, acks: i16, batch: Batch) -> Caller {
        self.produce_in(topic, 0, acks, Ok(batch))
    }

    fn produce_in(
        &mut self,
        topic: &str,
        partition: i32,
        acks: i16,
        batch: Result<Batch, Refused>,
    ) -> Caller {
        let topics = vec![ProduceTopic { name: topic.into(), partitions: vec![(partition, batch)] }];
        let produce = Produce { transactional_id: None, acks, timeout_ms: 1_000, frame_bytes: 0, topics };
        self.send_as("test", Request::Produce(produce), Dialect::of(ApiKey::Produce, 11))
    }

    fn produced(&mut self, to: Caller) -> PartitionProduceResponse {
        let Response::Produce(mut response) = self.answer(to) else { panic!("not an answer to Produce") };
        response.responses.remove(0).partition_responses.remove(0)
    }

    fn fetch_from(&self, topic: &str, offset: i64) -> FetchRequest {
        let partition = FetchPartition {
            partition: 0,
            fetch_offset: offset,
            partition_max_bytes: 1 << 20,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
            ..Default::default()
        };
        let topic_id = self.broker.controller.image().topic(topic).map(|t| t.id).unwrap_or_default();
        FetchRequest {
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: 1 << 20,
            topics: vec![FetchTopic { topic: topic.into(), topic_id, partitions: vec![partition] }],
            ..Default::default()
        }
    }
}

fn batch(values: &[&str]) -> Batch {
    let records: Vec<_> = values.iter().map(|v| (None, Some(Bytes::copy_from_slice(v.as_bytes())))).collect();
    BatchBuilder::plain(Timestamp(1_700_000_000_000), &records)
}

fn idempotent(epoch: i16, sequence: i32, value: &str) -> Batch {
    let mut builder = BatchBuilder::new().producer(crate::ids::ProducerId(9), epoch, sequence);
    builder.push(Timestamp(1_700_000_000_000), None, Some(value.as_bytes()));
    builder.build()
}

/// A log as recovery would have found it.
fn recovered(log: LogId, batches: &[Batch]) -> RecoveredLog {
    let start = batches.first().map_or(Offset(0), |b| b.header().base_offset);
    let end = batches.last().map_or(Offset(0), |b| b.header().next_offset());
    let mut epochs: Vec<crate::storage::ops::EpochStart> = Vec::new();
    let mut producers = ProducerTable::default();
    for b in batches {
        let header = b.header();
        if epochs.last().is_none_or(|e| e.epoch < header.leader_epoch) {
            epochs.push(crate::storage::ops::EpochStart {
                epoch: header.leader_epoch,
                start: header.base_offset,
            });
        }
        producers.append(header, header.max_timestamp);
    }
    let bytes = batches.iter().map(|b| b.size() as u64).sum();
    let (first_timestamp, max_timestamp) = (Timestamp(-1), Timestamp(-1));
    let segments = vec![SegmentSpan { base: start, bytes, first_timestamp, max_timestamp }];
    RecoveredLog { log, start, end, segments, epochs, producers, snapshot: None, damage: None }
}
