//! A world of quorum nodes: time, a network, disks that forget what was not synced, and what must hold of them at all times.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::node::{Disk, Node, Process, SHAPE, Write, voters_in};
use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::log::tail::TailSpace;
use crate::log::{AppendContext, Log};
use crate::quorum::messages::{Answer, Body, Message};
use crate::quorum::{Config, Output, Quorum, Serving, Times, Voter};
use crate::record::build::BatchBuilder;
use crate::time::{Instant, Timestamp};

pub(super) const TIMES: Times = Times {
    election: Duration::from_millis(1000),
    fetch: Duration::from_millis(2000),
    request: Duration::from_millis(500),
};
/// Batches in one answer.
const FETCHED: usize = 4;

/// A message under way.
struct Flight {
    from: BrokerId,
    to: BrokerId,
    message: Message,
}

/// The world.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) nodes: Vec<Node>,
    initial: BTreeSet<BrokerId>,
    seed: u64,
    draws: u64,
    flights: BTreeMap<(Instant, u64), Flight>,
    pub(super) cuts: BTreeSet<(i32, i32)>,
    /// Of a hundred messages, so many are lost, and so many come twice.
    pub(super) loss: u64,
    pub(super) doubles: u64,
    /// So many of a hundred messages arrive late.
    pub(super) late: u64,
    leaders: BTreeMap<i32, BrokerId>,
    /// What is committed, by offset: the epoch of each record, and what it says.
    pub(super) committed: Vec<(i32, Bytes)>,
    values: u64,
    pub(super) story: Vec<String>,
    pub(super) elections: usize,
    pub(super) truncations: usize,
    pub(super) trims: usize,
    /// How often a snapshot was replaced before somebody had all of it.
    pub(super) replaced: usize,
    /// How often a log began anew behind another node's snapshot.
    pub(super) caught_up: usize,
}

impl World {
    pub(super) fn new(voters: i32, observers: i32, seed: u64) -> World {
        let node = |id: i32| Node {
            me: Voter { id: BrokerId(id), directory: [id as u8; 16] },
            disk: Disk::default(),
            slow_us: 3_000,
            paused: Instant(0),
            process: None,
        };
        let mut world = World {
            now: Instant(1_000_000),
            nodes: (1..=voters + observers).map(node).collect(),
            initial: (1..=voters).map(BrokerId).collect(),
            seed,
            draws: 0,
            flights: BTreeMap::new(),
            cuts: BTreeSet::new(),
            loss: 0,
            doubles: 0,
            late: 5,
            leaders: BTreeMap::new(),
            committed: Vec::new(),
            values: 0,
            story: Vec::new(),
            elections: 0,
            truncations: 0,
            trims: 0,
            replaced: 0,
            caught_up: 0,
        };
        (1..=voters + observers).for_each(|id| world.start(id));
        world
    }

    /// A number below `below`.
    pub(super) fn draw(&mut self, below: u64) -> u64 {
        self.draws += 1;
        let mut z =
            (self.seed ^ self.draws.wrapping_mul(0xd134_2543_de82_ef95)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }

    pub(super) fn node(&mut self, id: i32) -> &mut Node {
        &mut self.nodes[id as usize - 1]
    }

    pub(super) fn process(&self, id: i32) -> &Process {
        self.nodes[id as usize - 1].process.as_ref().expect("it runs")
    }

    /// Starts a node on what its disk has.
    pub(super) fn start(&mut self, id: i32) {
        let seed = self.draw(u64::MAX);
        let (now, initial) = (self.now, self.initial.clone());
        let node = self.node(id);
        node.disk.recover();
        let (me, disk) = (node.me, node.disk.clone());
        let mut space = TailSpace::new(1 << 20);
        let log = disk.log(&mut space);
        let voters = voters_in(&disk.facts(), &initial);
        let config = Config { me, times: TIMES, seed };
        let mut quorum = Quorum::new(config, voters, disk.election, now);
        if let Some(snapshot) = &disk.snapshot {
            quorum.set_snapshot(snapshot.of);
        }
        let (tail, snapshot, writes) = (disk.tail, disk.snapshot, VecDeque::new());
        let (on_its_way, taken) = (None, None);
        node.process = Some(Process { quorum, log, tail, space, writes, snapshot, on_its_way, taken });
        self.tell(format!("{id} starts in epoch {}", disk.election.epoch));
    }

    /// Kills a node: what its disk has not done yet is done in part, or not at all.
    pub(super) fn crash(&mut self, id: i32) {
        let Some(process) = self.node(id).process.take() else { return };
        let done = self.draw(process.writes.len() as u64 + 1) as usize;
        let keeps = self.draw(2) == 0;
        for (_, _, write) in process.writes.into_iter().take(if keeps { done } else { 0 }) {
            self.node(id).disk.write(write);
        }
        self.tell(format!("{id} crashes"));
    }

    /// Takes everything that a node's disk has, and its directory's id.
    pub(super) fn wipe(&mut self, id: i32) {
        let node = self.node(id);
        assert!(node.process.is_none(), "a running node's disk is wiped");
        node.disk = Disk::default();
        node.me.directory[15] += 100;
    }

    /// Cuts a node off from all others, both ways.
    pub(super) fn cut_off(&mut self, id: i32) {
        for other in (1..=self.nodes.len() as i32).filter(|other| *other != id) {
            self.cuts.extend([(id, other), (other, id)]);
        }
    }

    pub(super) fn pause(&mut self, id: i32, ms: i64) {
        let until = self.now.after_ms(ms);
        self.node(id).paused = until;
    }

    /// The node that leads in the latest epoch, if it still runs and leads.
    pub(super) fn leader(&self) -> Option<i32> {
        let leads = |n: &&Node| n.process.as_ref().is_some_and(|p| p.quorum.is_leader());
        let newest =
            self.nodes.iter().filter(leads).max_by_key(|n| n.process.as_ref().map(|p| p.quorum.epoch()));
        newest.map(|n| n.me.id.0)
    }

    /// A leader appends a record.
    pub(super) fn propose(&mut self, id: i32) {
        self.values += 1;
        let value = format!("value {}", self.values);
        self.append(id, value.into());
        self.settle(id);
    }

    fn append(&mut self, id: i32, value: Bytes) {
        let due = self.due(id);
        let Some(process) = &mut self.node(id).process else { return };
        let mut batch = BatchBuilder::plain(Timestamp(0), &[(None, Some(value))]);
        let context = AppendContext { epoch: process.quorum.epoch(), shape: SHAPE, at: Timestamp(0) };
        process.log.append(&mut batch, &context, &mut process.space);
        process.store(due, Write::Append(batch));
    }

    /// When a disk will be done with something that it is told now.
    pub(super) fn due(&mut self, id: i32) -> Instant {
        let most = self.node(id).slow_us;
        let took = self.draw(most) + 50;
        let due = self.now + Duration::from_micros(took);
        let last = self.node(id).process.as_ref().and_then(|p| p.writes.back().map(|(due, ..)| *due));
        last.map_or(due, |last| last.max(due))
    }

    /// A node finds that nobody listens where another is reached, be that so or not.
    pub(super) fn lost(&mut self, id: i32, other: i32) {
        self.step(id, |quorum, now, _, _| quorum.lost(now, BrokerId(other)));
    }

    fn settle(&mut self, id: i32) {
        self.step(id, |quorum, now, log, out| quorum.settle(now, log, out));
    }

    /// Gives a node something to do, and carries out what comes of it, to the end.
    pub(super) fn step(&mut self, id: i32, act: impl FnOnce(&mut Quorum, Instant, &Log, &mut Vec<Output>)) {
        let now = self.now;
        let mut out = Vec::new();
        let Some(process) = &mut self.node(id).process else { return };
        act(&mut process.quorum, now, &process.log, &mut out);
        while !out.is_empty() {
            for output in std::mem::take(&mut out) {
                self.carry_out(id, output);
            }
            let initial = self.initial.clone();
            let process = self.node(id).process.as_mut().expect("it runs");
            process.quorum.set_voters(voters_in(&process.facts(), &initial));
            process.quorum.settle(now, &process.log, &mut out);
        }
    }

    fn carry_out(&mut self, id: i32, output: Output) {
        match output {
            Output::Keep(write, election) => {
                let due = self.due(id);
                self.running(id).store(due, Write::Keep(write, election));
            }
            Output::Send(to, message) => {
                self.check_message(id, &message);
                self.send(BrokerId(id), to, message);
            }
            Output::Serve(serving) => self.serve(id, serving),
            Output::ServePiece(serving) => self.serve_piece(id, serving),
            Output::KeepSnapshot(of, bytes) => self.keep_fetched(id, of, &bytes),
            Output::BeginAt(of) => self.begin_at(id, of),
            Output::Warn(why) => panic!("{id}: {why}\n{}", self.story.join("\n")),
            Output::Lead { epoch, forms } => self.lead(id, epoch, forms),
            Output::Take(batches) => batches.into_iter().for_each(|batch| {
                let due = self.due(id);
                let process = self.running(id);
                process.log.follow(&batch, SHAPE, Timestamp(0), &mut process.space).expect("it follows");
                process.store(due, Write::Append(batch));
            }),
            Output::Cut(to) => {
                let due = self.due(id);
                let process = self.running(id);
                let from = process.log.end();
                process.log.truncate(to, &mut process.space);
                process.store(due, Write::Cut(to));
                self.truncations += usize::from(to < from);
                self.tell(format!("{id} cuts its log from {from} to {to}"));
            }
            Output::Commit(high) => self.commit(id, high),
            Output::Leader(epoch, leader) => self.tell(format!("{id} in epoch {epoch}: leader {leader:?}")),
            Output::Fatal(why) => panic!("{id}: {why}\n{}", self.story.join("\n")),
        }
    }

    pub(super) fn running(&mut self, id: i32) -> &mut Process {
        self.node(id).process.as_mut().expect("it runs")
    }

    fn lead(&mut self, id: i32, epoch: LeaderEpoch, forms: Option<BTreeMap<BrokerId, [u8; 16]>>) {
        self.elections += 1;
        self.tell(format!("{id} leads epoch {epoch}"));
        let other = self.leaders.insert(epoch.0, BrokerId(id));
        assert_eq!(other, None, "two leaders in epoch {epoch}\n{}", self.story.join("\n"));
        let opening = match forms {
            Some(voters) => postcard::to_extend(&voters, b"voters ".to_vec()).expect("it has a form"),
            None => format!("epoch {epoch}").into_bytes(),
        };
        self.append(id, opening.into());
    }

    fn serve(&mut self, id: i32, serving: Serving) {
        let process = self.running(id);
        let Ok(from) = usize::try_from(serving.from.0 - process.tail.start) else { return };
        let batches = process.tail.batches.iter().skip(from).take(FETCHED).cloned().collect();
        let body = Body::Answer(Answer::Records { batches, high: serving.high });
        let message = Message { correlation: serving.correlation, epoch: serving.epoch, body };
        self.check_message(id, &message);
        self.send(BrokerId(id), serving.to, message);
    }

    pub(super) fn send(&mut self, from: BrokerId, to: BrokerId, message: Message) {
        let copies = 1 + usize::from(self.draw(100) < self.doubles);
        for _ in 0..copies {
            if self.draw(100) < self.loss {
                continue;
            }
            // Most arrive soon, a few of them late: after what was sent later.
            let late = if self.draw(100) < self.late { 700_000 } else { 4_000 };
            let arrives = self.now + Duration::from_micros(100 + self.draw(late));
            self.fly(arrives, from, to, message.clone());
        }
    }

    pub(super) fn fly(&mut self, at: Instant, from: BrokerId, to: BrokerId, message: Message) {
        self.draws += 1;
        self.flights.insert((at, self.draws), Flight { from, to, message });
    }

    /// Lets that much time pass.
    pub(super) fn run(&mut self, ms: i64) {
        let until = self.now.after_ms(ms);
        let mut events = 0;
        while let Some(next) = self.next_event().filter(|next| *next <= until) {
            events += 1;
            assert!(events < 200_000, "it goes in circles\n{}", self.story.join("\n"));
            self.now = self.now.max(next);
            self.arrive();
            for id in 1..=self.nodes.len() as i32 {
                let now = self.now;
                if self.node(id).paused <= now {
                    self.disk(id);
                    self.wake(id);
                }
            }
        }
        self.now = until;
    }

    fn next_event(&self) -> Option<Instant> {
        let of = |n: &Node| {
            let process = n.process.as_ref()?;
            let disk = process.writes.front().map(|(due, ..)| *due);
            disk.into_iter().chain(process.quorum.next_deadline()).min().map(|at| at.max(n.paused))
        };
        let nodes = self.nodes.iter().filter_map(of);
        nodes.chain(self.flights.keys().map(|(at, _)| *at)).min()
    }

    fn arrive(&mut self) {
        while let Some((&key, flight)) = self.flights.first_key_value() {
            if key.0 > self.now {
                break;
            }
            let (from, to) = (flight.from, flight.to);
            let paused = self.node(to.0).paused;
            let flight = self.flights.remove(&key).expect("it is the first");
            if paused > self.now {
                self.fly(paused, from, to, flight.message);
            } else if !self.cuts.contains(&(from.0, to.0)) {
                self.step(to.0, |quorum, now, log, out| quorum.receive(now, from, flight.message, log, out));
            }
        }
    }

    /// The disk of a node has done what is due, in order.
    fn disk(&mut self, id: i32) {
        let now = self.now;
        while let Some(process) = &mut self.node(id).process {
            if process.writes.front().is_none_or(|(due, ..)| *due > now) {
                break;
            }
            let process = self.running(id);
            let (_, cuts, write) = process.writes.pop_front().expect("there is one");
            let kept = if let Write::Keep(write, _) = &write { Some(*write) } else { None };
            let snapshot = matches!(write, Write::Snapshot(_));
            let appended =
                matches!(write, Write::Append(_) | Write::Restart(_)) && cuts == process.log.cuts();
            self.node(id).disk.write(write);
            let durable = self.node(id).disk.tail.end();
            if snapshot {
                self.snapshot_stored(id);
            }
            if appended {
                self.running(id).log.flushed_to(Offset(durable));
            }
            match kept {
                Some(write) => self.step(id, |quorum, now, log, out| quorum.kept(now, write, log, out)),
                None => self.settle(id),
            }
        }
    }

    fn wake(&mut self, id: i32) {
        let now = self.now;
        if self
            .node(id)
            .process
            .as_ref()
            .is_some_and(|p| p.quorum.next_deadline().is_some_and(|at| at <= now))
        {
            self.step(id, |quorum, now, log, out| quorum.tick(now, log, out));
        }
    }

    /// A node gives up its leadership in order.
    pub(super) fn resign(&mut self, id: i32) {
        self.step(id, |quorum, now, _, out| quorum.resign(now, out));
    }

    /// Whoever leads gives it up.
    pub(super) fn resign_leader(&mut self) {
        if let Some(id) = self.leader() {
            self.tell(format!("{id} resigns"));
            self.resign(id);
        }
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
        (self.loss, self.doubles) = (0, 0);
        for id in 1..=self.nodes.len() as i32 {
            self.node(id).slow_us = 3_000;
            self.node(id).paused = self.now;
            if self.node(id).process.is_none() {
                self.start(id);
            }
        }
    }

    pub(super) fn tell(&mut self, what: String) {
        self.story.push(format!("{:>9.3} {what}", self.now.0 as f64 / 1e6));
    }
}
