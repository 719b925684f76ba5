//! One broker on a simulated disk, whose rounds, clock and requests the scenario has in its hand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::disk::SimDisk;
use quipu_core::broker::Broker;
use quipu_core::broker::door::{Caller, Client, Effect, Input, Request};
use quipu_core::config::{BrokerConfig, Settings};
use quipu_core::exchange::records;
use quipu_core::ids::{ConnId, LaneId, Mark};
use quipu_core::storage::ops::StoreOp;
use quipu_core::storage::{FreshIdentity, Store, StoreOptions};
use quipu_core::time::{Instant, Now, Timestamp};
use quipu_core::wire::dialect::Dialect;
use quipu_core::wire::{self, ApiKey, Response};

use crate::scenarios::shown;

/// Where scenarios begin, in milliseconds since 1970.
const BEGAN_MS: i64 = 1_800_000_000_000;

/// A broker, a disk, and time.
pub(super) struct Stage {
    pub(super) disk: SimDisk,
    pub(super) ms: i64,
    pub(super) process: Option<Process>,
    pub(super) told: Vec<String>,
    /// The member ids that answers told, by the answer's number: `@2` in commands.
    members: BTreeMap<u64, String>,
    asked: u64,
    lives: u64,
}

/// The broker's process.
pub(super) struct Process {
    pub(super) broker: Broker,
    store: Store<SimDisk>,
    queue: Vec<(Mark, StoreOp)>,
    inputs: VecDeque<Input>,
}

impl Default for Stage {
    fn default() -> Stage {
        Stage {
            disk: SimDisk::new(1),
            ms: 0,
            process: None,
            told: Vec::new(),
            members: BTreeMap::new(),
            asked: 0,
            lives: 0,
        }
    }
}

impl Stage {
    fn now(&self) -> Now {
        let mono = Instant(1_000_000 + self.ms as u64 * 1000);
        Now { mono, wall: Timestamp(BEGAN_MS + self.ms) }
    }

    /// Starts the process, with these configs.
    pub(super) fn start(&mut self, configs: &[(&str, &str)]) {
        let fresh = FreshIdentity {
            cluster_id: None,
            new_cluster_id: "c2NlbmFyaW8tY2x1c3Rlcg".into(),
            node_id: 1,
            directory_id: [1; 16],
        };
        let (store, found) =
            match Store::open(self.disk.clone(), StoreOptions::default(), &fresh, self.now().wall) {
                Ok(opened) => opened,
                Err(why) => return self.told.push(format!("it does not start: {why}")),
            };
        found.logs.iter().for_each(|log| self.told.push(shown::found(log)));
        let mut settings = Settings::new();
        for (name, value) in [("offsets.topic.num.partitions", "1")].iter().chain(configs) {
            settings.set(name, value).expect("a config");
        }
        self.lives += 1;
        let broker = Broker::new(BrokerConfig::new(settings), self.lives, found);
        self.process = Some(Process { broker, store, queue: Vec::new(), inputs: VecDeque::new() });
        self.step(Input::Wake);
    }

    /// Asks something, as version `version` of the API has it.
    pub(super) fn ask(&mut self, request: Request, key: ApiKey, version: i16) {
        self.asked += 1;
        let to = Caller { conn: ConnId(1), seq: self.asked };
        let from = Client {
            client_id: "scenario".into(),
            host: "/10.0.0.9".into(),
            advertised: ("broker-1".into(), 9092),
        };
        let dialect = Dialect::of(key, version);
        self.step(Input::Request { to, from: Arc::new(from), dialect, request });
    }

    /// Asks something that is no produce.
    pub(super) fn call(&mut self, request: impl Into<wire::Request>) {
        let request = request.into();
        let key = request.key();
        self.ask(Request::Api(request), key, *key.advertised().end());
    }

    /// A member id: as it stands, or the one that answer `@n` told.
    pub(super) fn member(&self, word: &str) -> String {
        match word.strip_prefix('@').and_then(|n| n.parse().ok()) {
            Some(answer) => self.members.get(&answer).expect("an answer that told a member id").clone(),
            None => word.to_string(),
        }
    }

    /// The disk does everything it was told to.
    pub(super) fn round(&mut self) {
        let Some(process) = &mut self.process else { return };
        if process.queue.is_empty() {
            return self.told.push("nothing is to be written".into());
        }
        let result = process.store.run(&mut process.queue);
        self.told.push(shown::round(&result));
        if !self.disk.is_down() {
            self.step(Input::Stored { lane: LaneId(0), result });
        }
    }

    /// Time passes, and the machine is woken when it wants to be.
    pub(super) fn pass(&mut self, ms: i64) {
        let until = self.ms + ms;
        while let Some(at) = self.process.as_ref().and_then(|p| p.broker.next_wake()) {
            let wake_ms = (at.0.saturating_sub(1_000_000)).div_ceil(1000) as i64;
            if wake_ms > until {
                break;
            }
            self.ms = self.ms.max(wake_ms);
            self.step(Input::Wake);
        }
        self.ms = until;
    }

    /// Steps the machine, and tells what comes out.
    pub(super) fn step(&mut self, input: Input) {
        let now = self.now();
        let Some(process) = &mut self.process else { return };
        process.inputs.push_back(input);
        while let Some(input) = process.inputs.pop_front() {
            let mut effects = Vec::new();
            process.broker.step(now, input, &mut effects);
            for effect in effects {
                if let Effect::Reply { to, response: Response::JoinGroup(r) } = &effect {
                    self.members.insert(to.seq, r.member_id.clone());
                }
                process.carry_out(effect, &mut self.told);
            }
        }
    }
}

impl Process {
    fn carry_out(&mut self, effect: Effect, told: &mut Vec<String>) {
        let reader = self.store.reader();
        match effect {
            Effect::Store { mark, op, .. } => {
                told.push(shown::ordered(&self.broker, &op));
                self.queue.push((mark, op));
            }
            Effect::Load { load, range } => {
                let result = reader.batches(range).map_err(|e| e.to_string());
                self.inputs.push_back(Input::Loaded { load, result });
            }
            Effect::Look { lookup, log, what, below } => {
                let result = reader.look(log, what, below).map_err(|e| e.to_string());
                self.inputs.push_back(Input::Looked { lookup, result });
            }
            Effect::Reply { to, mut response } => {
                if records::is_on_disk(&response) {
                    records::fill(&mut response, |range| reader.read(range));
                }
                told.push(format!("answer {}: {}", to.seq, answer(&response)));
            }
            Effect::Close { reason, .. } => told.push(format!("the connection is closed: {reason}")),
            Effect::Note(note) => told.extend(shown::note(&self.broker, &note)),
            Effect::Rules(_) | Effect::Send { .. } | Effect::Cluster(_) | Effect::Peers(_) => {}
            Effect::Stopped => told.push("it has stopped".into()),
        }
    }
}

fn answer(response: &Response) -> String {
    shown::answer(response)
}
