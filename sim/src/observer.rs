//! Who notes what is under way in each broker, and which rare situations come up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quipu_core::broker::door::{Caller, Effect, Input, Note, Request};
use quipu_core::cluster::names::GROUP_OFFSETS;
use quipu_core::ids::{LogId, LookupId, Mark, Offset};
use quipu_core::storage::ops::{Recovered, StoreOp, Stored};
use quipu_core::wire::messages::fetch::FetchResponse;
use quipu_core::wire::messages::produce::ProduceResponse;
use quipu_core::wire::{ApiKey, ErrorCode, Response};

use crate::ghost::Ghost;
use crate::probe::{crossed, sometimes};
use crate::watch::Scene;

/// One in so many steps the groups are looked at.
const EVERY: u64 = 32;

/// What one broker has under way.
#[derive(Default)]
struct UnderWay {
    ready: bool,
    requests: BTreeMap<Caller, ApiKey>,
    orders: VecDeque<(Mark, &'static str)>,
    replays: usize,
    lookups: BTreeSet<LookupId>,
    rebalances: bool,
    /// How many partitions wait for a throttle, led and followed.
    throttled: (usize, usize),
    /// Ends as the start found them, and the last offset answered in each log since.
    found: BTreeMap<LogId, i64>,
    answered: BTreeMap<LogId, i64>,
}

/// The one who notes.
pub struct Observer {
    brokers: Vec<UnderWay>,
    steps: u64,
}

impl Observer {
    /// For so many brokers.
    pub fn new(servers: usize) -> Observer {
        Observer { brokers: (0..servers).map(|_| UnderWay::default()).collect(), steps: 0 }
    }

    /// A fault strikes.
    pub fn struck(&self, fault: &'static str) {
        let all: BTreeSet<&'static str> = self.brokers.iter().flat_map(UnderWay::names).collect();
        all.into_iter().for_each(|under_way| crossed(fault, under_way));
    }

    /// A process has opened its log directory.
    pub fn started(&mut self, server: usize, before: &Ghost, found: &Recovered) {
        if found.clean {
            sometimes("start: after a clean stop");
        }
        for log in &found.logs {
            let ghost = before.logs.get(&log.log);
            let when = |is: bool, name| {
                if is {
                    sometimes(name)
                }
            };
            when(ghost.is_some_and(|g| g.end() > log.end.0), "start: a torn tail cut off");
            when(ghost.is_some_and(|g| g.committed < log.end.0), "start: records that nobody acknowledged");
            when(log.damage.is_some(), "start: a log offline");
            when(!log.producers.is_empty(), "start: with producers");
            if let Some((at, ..)) = &log.snapshot {
                let alone = *at >= log.end;
                when(alone, "start: from a snapshot alone");
                when(!alone, "start: from a snapshot and facts after it");
                when(*at > log.end, "start: from a snapshot beyond the log");
            }
        }
        let found = found.logs.iter().map(|l| (l.log, l.end.0)).collect();
        self.brokers[server] = UnderWay { found, ..UnderWay::default() };
    }

    /// A process is gone.
    pub fn ended(&mut self, server: usize, in_order: bool) {
        let was = std::mem::take(&mut self.brokers[server]);
        if in_order {
            return;
        }
        let ordered = |name| was.orders.iter().any(|(_, kind)| *kind == name);
        let crashed = [
            (!was.ready, "crash: before it was ready"),
            (ordered("append"), "crash: between append and sync"),
            (ordered("checkpoint"), "crash: during a checkpoint"),
            (was.rebalances, "crash: in a rebalance"),
            (was.ready && was.replays > 0, "crash: with a group's log being replayed"),
            (!was.lookups.is_empty(), "crash: with a lookup under way"),
            (ordered("snapshot"), "crash: with a snapshot under way"),
            (ordered("election state"), "crash: with an election state under way"),
            (ordered("trim"), "crash: with a trim under way"),
            (!was.requests.is_empty(), "crash: with answers waiting"),
        ];
        crashed.into_iter().filter(|(is, _)| *is).for_each(|(_, name)| sometimes(name));
    }

    /// An input is about to be given to a broker.
    pub fn asking(&mut self, server: usize, input: &Input) {
        let now = &mut self.brokers[server];
        match input {
            Input::Request { to, request, .. } => now.request(*to, request),
            Input::Stored { result, .. } => now.stored(result),
            Input::Loaded { .. } => now.replays = now.replays.saturating_sub(1),
            Input::Looked { lookup, .. } => drop(now.lookups.remove(lookup)),
            Input::Gone { conn } => {
                let open = now.requests.len();
                now.requests.retain(|to, _| to.conn != *conn);
                if now.requests.len() < open {
                    sometimes("gone: a connection with requests open");
                }
            }
            Input::Stop if !now.ready => sometimes("stop: before it was ready"),
            Input::Stop if now.names().contains("append") => sometimes("stop: with appends under way"),
            Input::Wake
            | Input::Stop
            | Input::Peer { .. }
            | Input::Absent { .. }
            | Input::Unlinked { .. } => {}
        }
    }

    /// A broker has taken an input.
    pub fn stepped(&mut self, scene: &Scene<'_>, ghost: &Ghost, effects: &[Effect]) {
        let now = &mut self.brokers[scene.server];
        effects.iter().for_each(|effect| now.effect(scene, ghost, effect));
        let cut = |e: &Effect| matches!(e, Effect::Store { op: StoreOp::Truncate { .. }, .. });
        if effects.iter().any(cut) && effects.iter().any(|e| matches!(e, Effect::Reply { .. })) {
            sometimes("log: cut back with waiters");
        }
        let (at_leaders, followed) = scene.broker.throttled();
        if at_leaders > std::mem::replace(&mut now.throttled.0, at_leaders) {
            sometimes("throttle: records wait at a leader");
        }
        if followed > std::mem::replace(&mut now.throttled.1, followed) {
            sometimes("throttle: a follower waits before it asks");
        }
        self.steps += 1;
        if self.steps.is_multiple_of(EVERY) {
            now.rebalances = scene.broker.groups().iter().any(|g| g.state.ends_with("Rebalance"));
        }
    }
}

impl UnderWay {
    fn names(&self) -> BTreeSet<&'static str> {
        let mut all: BTreeSet<&'static str> = self.orders.iter().map(|(_, kind)| *kind).collect();
        all.extend(self.requests.values().map(|key| key.name()));
        let others = [
            (!self.ready, "start"),
            (self.replays > 0, "replay"),
            (!self.lookups.is_empty(), "lookup"),
            (self.rebalances, "rebalance"),
        ];
        all.extend(others.into_iter().filter(|(is, _)| *is).map(|(_, name)| name));
        if all.is_empty() {
            all.insert("nothing");
        }
        all
    }

    fn request(&mut self, to: Caller, request: &Request) {
        let key = match request {
            Request::Produce(produce) if produce.acks == 0 => return,
            Request::Produce(_) => ApiKey::Produce,
            Request::Api(request) => request.key(),
        };
        self.requests.insert(to, key);
        match key {
            _ if !self.ready => sometimes("request: before it was ready"),
            ApiKey::Heartbeat if self.replays > 0 => sometimes("request: heartbeat during a replay"),
            ApiKey::JoinGroup if self.replays > 0 => sometimes("request: join during a replay"),
            _ => {}
        }
    }

    fn stored(&mut self, result: &Result<Stored, String>) {
        let Ok(stored) = result else { return sometimes("disk: a round failed") };
        self.orders.retain(|(mark, _)| *mark > stored.done);
        if !stored.kept {
            sometimes("disk: a checkpoint without room");
        }
        for failure in &stored.failed {
            sometimes(if failure.full {
                "disk: a log out of room"
            } else {
                "disk: a log found damaged at work"
            });
        }
    }

    fn effect(&mut self, scene: &Scene<'_>, ghost: &Ghost, effect: &Effect) {
        match effect {
            Effect::Reply { to, response } => {
                self.requests.remove(to);
                self.answer(scene, response);
            }
            Effect::Store { mark, op, .. } => {
                let kind = self.order(scene, ghost, op);
                self.orders.push_back((*mark, kind));
            }
            Effect::Load { .. } => self.replays += 1,
            Effect::Look { lookup, .. } => drop(self.lookups.insert(*lookup)),
            Effect::Note(Note::Ready) => self.ready = true,
            Effect::Note(_)
            | Effect::Close { .. }
            | Effect::Rules(_)
            | Effect::Send { .. }
            | Effect::Cluster(_)
            | Effect::Peers(_)
            | Effect::Stopped => {}
        }
    }

    fn order(&mut self, scene: &Scene<'_>, ghost: &Ghost, op: &StoreOp) -> &'static str {
        match op {
            StoreOp::Append { roll, .. } => {
                self.appended(*roll);
                "append"
            }
            StoreOp::Truncate { log, to } => {
                sometimes(cut_back(scene, *log));
                if cuts_whole_segment(scene, *log, *to) {
                    sometimes("log: cut back to the beginning of a segment with records in it");
                }
                "truncation"
            }
            StoreOp::Restart { .. } => {
                sometimes("log: begun anew");
                "restart"
            }
            StoreOp::Trim { log, start } => {
                if scene.broker.log(*log).is_some_and(|l| l.end() == *start) {
                    sometimes("log: trimmed to its end");
                }
                "trim"
            }
            StoreOp::Remove { log } => {
                if ghost.logs.get(log).is_some_and(|g| g.end() > g.start) {
                    sometimes("log: removed with records in it");
                }
                "removal"
            }
            StoreOp::Snapshot { .. } => {
                sometimes("snapshot: of the metadata");
                "snapshot"
            }
            StoreOp::Checkpoint { .. } => "checkpoint",
            StoreOp::Election { .. } => "election state",
            StoreOp::Create { .. } | StoreOp::Producers { .. } => "other order",
        }
    }

    fn appended(&self, roll: bool) {
        if roll {
            sometimes("log: a segment begun");
        }
        if roll && !self.lookups.is_empty() {
            sometimes("log: a segment begun during a lookup");
        }
    }

    fn answer(&mut self, scene: &Scene<'_>, response: &Response) {
        match response {
            Response::Produce(r) => self.produced(scene, r),
            Response::Fetch(r) => {
                let codes = r.responses.iter().flat_map(|t| &t.partitions).map(|p| p.error_code);
                if codes.into_iter().any(|code| code == ErrorCode::OFFSET_OUT_OF_RANGE) {
                    sometimes("answer: fetch out of range");
                }
                sends_elsewhere(r);
            }
            Response::JoinGroup(r) => match r.error_code {
                ErrorCode::NONE => {}
                ErrorCode::FENCED_INSTANCE_ID => sometimes("answer: a fenced static member"),
                _ => sometimes("answer: a join refused"),
            },
            Response::SyncGroup(r) if r.error_code == ErrorCode::REBALANCE_IN_PROGRESS => {
                sometimes("answer: a sync during the next rebalance");
            }
            Response::OffsetCommit(r) => {
                match r.topics.first().and_then(|t| t.partitions.first()).map(|p| p.error_code) {
                    Some(ErrorCode::ILLEGAL_GENERATION) => sometimes("answer: commit of an old generation"),
                    Some(ErrorCode::UNKNOWN_MEMBER_ID) => sometimes("answer: commit of an unknown member"),
                    Some(ErrorCode::REBALANCE_IN_PROGRESS) => {
                        sometimes("answer: commit while a rebalance completes");
                    }
                    Some(ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS) => {
                        sometimes("answer: commit without a coordinator");
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn produced(&mut self, scene: &Scene<'_>, answer: &ProduceResponse) {
        for topic in &answer.responses {
            let named = scene.broker.image().topic(&topic.name);
            for part in &topic.partition_responses {
                match (part.error_code, named) {
                    (ErrorCode::NONE, Some(named)) => {
                        self.acknowledged(LogId { topic: named.id, partition: part.index }, part.base_offset);
                    }
                    (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, _) => {
                        sometimes("answer: a gap in a producer's sequences");
                    }
                    (ErrorCode::INVALID_PRODUCER_EPOCH, _) => sometimes("answer: a fenced producer epoch"),
                    (ErrorCode::REQUEST_TIMED_OUT, _) => sometimes("answer: a produce after its time-out"),
                    (ErrorCode::KAFKA_STORAGE_ERROR, _) => sometimes("answer: storage error"),
                    _ => {}
                }
            }
        }
    }

    /// Offsets of a log are acknowledged in order, the first time.
    fn acknowledged(&mut self, log: LogId, base: i64) {
        if base < self.found.get(&log).copied().unwrap_or(0) {
            sometimes("answer: a duplicate of an earlier life");
        } else if base <= self.answered.get(&log).copied().unwrap_or(-1) {
            sometimes("answer: a duplicate");
        }
        self.answered.entry(log).and_modify(|last| *last = base.max(*last)).or_insert(base);
    }
}

/// Whether a segment that has something in it begins where a log is to be cut.
fn cuts_whole_segment(scene: &Scene<'_>, log: LogId, to: Offset) -> bool {
    let name = format!("-{}-{}/{:020}.log", log.partition, log.topic, to.0);
    scene.disk.paths().iter().any(|(path, len)| *len > 0 && path.ends_with(&name))
}

fn cut_back(scene: &Scene<'_>, log: LogId) -> &'static str {
    match scene.broker.image().topic_by_id(log.topic) {
        _ if log == LogId::METADATA => "log: the metadata's cut back",
        Some(topic) if topic.name == GROUP_OFFSETS => "log: the group's cut back",
        _ => "log: cut back",
    }
}

/// Whether a consumer is sent to a follower, to read there.
fn sends_elsewhere(response: &FetchResponse) {
    let mut all = response.responses.iter().flat_map(|topic| &topic.partitions);
    if all.any(|partition| partition.preferred_read_replica >= 0) {
        sometimes("answer: read from a follower");
    }
}
