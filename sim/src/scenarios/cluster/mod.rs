//! Several brokers, whose network, disks and clocks the scenario has in its hand.
//!
//! What a line begins happens to its end before the next one: messages arrive, disks write and sync, while all clocks stand still.
//! What shall not happen a line says before: a rule holds messages back, a disk stalls. The simulator's claims watch every step, so
//! that a scenario fails on what is wrong, and not only on what is other than it was.

mod network;
mod news;
mod node;
mod orders;
mod prefixes;
mod table;
mod words;

use std::collections::VecDeque;

use quipu_core::broker::door::{Caller, Effect, Input, Note, Request};
use quipu_core::exchange::records;
use quipu_core::ids::{BrokerId, ConnId, LaneId, Mark};
use quipu_core::storage::ops::StoreOp;
use quipu_core::wire::dialect::Dialect;
use quipu_core::wire::{ApiKey, Response};

use super::departure::Departure;
use super::shown;
use crate::trace::Trace;
use crate::watch::Watch;
use network::{Letter, Network};
use news::News;
use node::{Node, client};

/// Longer than everything that can come of one line.
const STEPS: usize = 100_000;
/// Producers are never silent for long enough to be forgotten.
const SILENT_MS: i64 = 86_400_000;

/// The brokers and what is between them.
pub(super) struct Cluster {
    nodes: Vec<Node>,
    network: Network,
    watch: Watch,
    news: News,
    configs: Vec<(String, String)>,
    told: Vec<String>,
    asked: u64,
}

impl Cluster {
    /// So many machines with empty disks, on which nothing runs.
    pub(super) fn new(brokers: usize, configs: Vec<(String, String)>) -> Cluster {
        let nodes: Vec<Node> = (0..brokers).map(Node::new).collect();
        let disks = nodes.iter().map(|node| node.disk.clone()).collect();
        Cluster {
            watch: Watch::new(Trace::new(false), disks, SILENT_MS),
            news: News::new(brokers),
            network: Network::default(),
            nodes,
            configs,
            told: Vec::new(),
            asked: 0,
        }
    }

    /// Starts a process.
    fn start(&mut self, at: usize) {
        let voters: Vec<String> = (1..=self.nodes.len()).map(|id| format!("{id}@broker-{id}:9192")).collect();
        let mut configs = self.configs.clone();
        configs.push(("node.id".into(), (at + 1).to_string()));
        // One that is alone has no voters to name: it keeps its metadata otherwise.
        if voters.len() > 1 {
            configs.push(("quipu.voters".into(), voters.join(",")));
        }
        let node = &mut self.nodes[at];
        assert!(node.process.is_none(), "broker {} runs already", at + 1);
        self.watch.starting(at, &node.disk);
        match node.open() {
            Ok((store, found)) => {
                self.watch.started(at, &node.disk, &found);
                node.begin(&configs, (store, found));
                self.step(at, Input::Wake);
            }
            Err(why) => self.told.push(format!("{} | does not start: {why}", at + 1)),
        }
    }

    /// The process is gone. What its disk was told and has not done was never written.
    fn end(&mut self, at: usize, how: &str) {
        let node = &mut self.nodes[at];
        let in_order = node.process.take().is_some_and(|process| process.is_stopped);
        self.watch.ended(at, in_order);
        self.news.ended(at);
        self.told.push(format!("{} | {how}", at + 1));
    }

    /// A client asks a broker.
    fn ask(&mut self, at: usize, request: Request, (key, version): (ApiKey, i16)) {
        self.asked += 1;
        let to = Caller { conn: ConnId(1), seq: self.asked };
        let dialect = Dialect::of(key, version);
        self.step(at, Input::Request { to, from: client(at), dialect, request });
    }

    /// Everything happens that takes no time and that nothing holds back.
    fn settle(&mut self) {
        for _ in 0..STEPS {
            if let Some(letter) = self.network.next() {
                self.deliver(&letter);
            } else if let Some(at) = self.nodes.iter().position(has_work) {
                self.round(at, usize::MAX);
            } else if let Some(at) = self.nodes.iter().position(|node| node.due_in() == Some(0)) {
                self.step(at, Input::Wake);
            } else {
                return;
            }
        }
        panic!("it goes in circles");
    }

    fn deliver(&mut self, letter: &Letter) {
        if self.nodes[letter.to].process.is_some() {
            let from = BrokerId(letter.from as i32 + 1);
            self.news.hears(letter);
            self.step(letter.to, Input::Peer { from, message: letter.message.clone() });
        }
    }

    /// A disk does what it was told to, or so much of it, and syncs it.
    fn round(&mut self, at: usize, most: usize) {
        let node = &mut self.nodes[at];
        let Some(process) = &mut node.process else { return };
        let first = process.queue.len().min(most);
        let mut round: Vec<(Mark, StoreOp)> = process.queue.drain(..first).collect();
        let result = process.store.run(&mut round);
        if node.is_stalled || result.as_ref().map_or(true, |stored| !stored.failed.is_empty()) {
            self.told.push(format!("{} | {}", at + 1, shown::round(&result)));
        }
        self.step(at, Input::Stored { lane: LaneId(0), result });
    }

    /// Time passes on the clocks of these machines; whoever wants to be woken is.
    fn pass(&mut self, ms: u64, on: &[usize]) {
        let mut left = ms * 1000;
        for _ in 0..STEPS {
            self.settle();
            let next = on.iter().filter_map(|at| self.nodes[*at].due_in()).min();
            let step = next.unwrap_or(left).min(left);
            on.iter().for_each(|at| self.nodes[*at].us += step);
            left -= step;
            if left == 0 {
                return self.settle();
            }
        }
        panic!("time does not pass");
    }

    /// Steps a broker, does what comes out, and looks whether all that must hold does.
    fn step(&mut self, at: usize, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let node = &mut self.nodes[at];
            let now = node.now();
            let Some(process) = &mut node.process else { return };
            self.watch.asking(at, &process.broker, &input);
            let mut effects = Vec::new();
            process.broker.step(now, input, &mut effects);
            node.turn += 1;
            let scene = node.scene(self.watch.damaged[at]).expect("it runs");
            self.watch.stepped(&scene, &effects);
            self.told.extend(self.news.stepped(at, scene.broker, &effects));
            self.dies_of_something(&effects);
            for effect in effects {
                inputs.extend(self.carry_out(at, effect));
            }
        }
        self.judge();
    }

    /// Does what a broker wants done; what it is told of it at once.
    fn carry_out(&mut self, at: usize, effect: Effect) -> Option<Input> {
        let node = &mut self.nodes[at];
        let process = node.process.as_mut()?;
        let reader = process.store.reader();
        match effect {
            Effect::Store { mark, op, .. } => {
                if node.is_stalled {
                    let order = shown::ordered(&process.broker, &op);
                    self.told.push(format!("{} | {order} (waits)", at + 1));
                }
                process.queue.push((mark, op));
            }
            Effect::Load { load, range } => {
                let result = reader.batches(range).map_err(|e| e.to_string());
                return Some(Input::Loaded { load, result });
            }
            Effect::Look { lookup, log, what, below } => {
                let result = reader.look(log, what, below).map_err(|e| e.to_string());
                return Some(Input::Looked { lookup, result });
            }
            Effect::Reply { to, response } => self.reply(at, to, response),
            Effect::Close { reason, .. } => {
                self.told.push(format!("{} | the connection is closed: {reason}", at + 1));
            }
            Effect::Send { to, message } => {
                self.told.extend(self.network.post(at, to.0 as usize - 1, &message));
            }
            Effect::Stopped => {
                process.is_stopped = true;
                self.told.push(format!("{} | has stopped", at + 1));
            }
            // All of them vote: where they are, the configs say.
            Effect::Rules(_) | Effect::Cluster(_) | Effect::Peers(_) | Effect::Note(_) => {}
        }
        None
    }

    /// No disk fails here: a broker gives up only where something was damaged, there or on the disk of another that it follows.
    fn dies_of_something(&mut self, effects: &[Effect]) {
        let dead = effects.iter().find_map(|effect| match effect {
            Effect::Note(Note::DiskDead(why)) => Some(why),
            _ => None,
        });
        if let Some(why) = dead.filter(|_| !self.watch.damaged.contains(&true)) {
            self.watch.breaks("P3", "a broker starts again after any crash", why.clone());
        }
    }

    fn reply(&mut self, at: usize, to: Caller, mut response: Response) {
        let node = &self.nodes[at];
        if let Some(process) = &node.process
            && records::is_on_disk(&response)
        {
            let reader = process.store.reader();
            records::fill(&mut response, |range| reader.read(range));
        }
        let scene = node.scene(self.watch.damaged[at]).expect("it runs");
        self.watch.sending(&scene, &response);
        self.told.push(format!("{} | answer {}: {}", at + 1, to.seq, shown::answer(&response)));
    }

    /// Nothing that must hold is broken.
    fn judge(&self) {
        let broke = |claim: &str, story: String| Departure::Broke { claim: claim.to_string(), story }.raise();
        if let Some(broken) = &self.watch.broken {
            broke(&format!("claim {}, {},", broken.claim, broken.says), broken.story.clone());
        }
        if let Err(story) = prefixes::agree(&self.watch) {
            broke("that what is committed is the same everywhere", story);
        }
        if let Err(story) = prefixes::are_whole(&self.watch, self.news.partitions()) {
            broke("that who is in sync or eligible lacks nothing", story);
        }
    }
}

fn has_work(node: &Node) -> bool {
    !node.is_stalled && node.process.as_ref().is_some_and(|process| !process.queue.is_empty())
}
