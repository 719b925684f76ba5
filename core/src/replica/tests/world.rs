//! A world of brokers: time, a network that loses, doubles and reorders, and what each broker does with what it hears.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::controller::{Controller, Image};
use super::node::{Kept, Node, Process, Replica, Role, SHAPE, UnderWay, Write, log_id, recovered};
use crate::ids::{BrokerId, LogId, Offset};
use crate::log::AppendContext;
use crate::log::tail::TailSpace;
use crate::record::Batch;
use crate::record::build::BatchBuilder;
use crate::replica::asking::Limits;
use crate::replica::isr::{NotChanged, Proposal};
use crate::replica::messages::{Incarnation, ReplicaAnswer, ReplicaFetch, ReplicaFlushed};
use crate::replica::serving::Serving;
use crate::time::{Instant, Timestamp};

pub(super) const LAG_MAX: Duration = Duration::from_millis(3_000);
pub(super) const RETRY: Duration = Duration::from_millis(400);
const PARK: Duration = Duration::from_millis(500);
pub(super) const LIMITS: Limits =
    Limits { patience: Duration::from_millis(1_500), backoff: Duration::from_millis(100), max_bytes: 400 };
const TICK_MS: i64 = 50;
/// The controller, among the nodes of the network.
pub(super) const CONTROLLER: i32 = 0;

/// What is said.
#[derive(Clone)]
pub(super) enum Talk {
    Fetch(ReplicaFetch),
    Answer(ReplicaAnswer<Vec<Batch>>),
    Flushed(ReplicaFlushed),
    Heartbeat(Incarnation, u64),
    Image(Image),
    Propose(Incarnation, LogId, Proposal),
    NotChanged(LogId, i32, NotChanged),
}

pub(super) struct Flight {
    pub(super) from: i32,
    pub(super) to: i32,
    pub(super) talk: Talk,
}

/// What is known for ever of a partition.
#[derive(Default)]
pub(super) struct Ghost {
    /// What is committed, by offset: the epoch of each record, and what it says.
    pub(super) committed: Vec<(i32, Bytes)>,
    /// What was acknowledged, by offset.
    pub(super) acked: BTreeMap<Offset, Bytes>,
    /// What was ever written at an offset in an epoch.
    pub(super) written: BTreeMap<(Offset, i32), Bytes>,
    /// Below this nothing comes back, as some leader has said.
    pub(super) deleted: Offset,
    /// Who led in an epoch, in which run.
    pub(super) leaders: BTreeMap<i32, (i32, Incarnation)>,
}

/// The world.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) nodes: Vec<Node>,
    pub(super) controller: Controller,
    announced: Image,
    pub(super) min_isr: usize,
    seed: u64,
    draws: u64,
    pub(super) flights: BTreeMap<(Instant, u64), Flight>,
    pub(super) cuts: BTreeSet<(i32, i32)>,
    /// Of a hundred messages, so many are lost, and so many come twice.
    pub(super) loss: u64,
    pub(super) doubles: u64,
    pub(super) ghosts: BTreeMap<LogId, Ghost>,
    values: u64,
    pub(super) story: Vec<String>,
    pub(super) seen: Seen,
}

/// What has happened, so that a world in which nothing does is found out.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) acked: usize,
    pub(super) elections: usize,
    pub(super) cuts: usize,
    pub(super) restarts: usize,
    pub(super) shrinks: usize,
    pub(super) expansions: usize,
    /// How often a low watermark has risen.
    pub(super) deletions: usize,
}

impl World {
    pub(super) fn new(brokers: i32, logs: u8, seed: u64) -> World {
        let ids: Vec<BrokerId> = (1..=brokers).map(BrokerId).collect();
        let disk: BTreeMap<LogId, Kept> = (0..logs).map(|n| (log_id(n), Kept::default())).collect();
        let node = |_| Node { disk: disk.clone(), slow_us: 3_000, paused: Instant(0), process: None };
        let mut world = World {
            now: Instant(10_000_000),
            nodes: (1..=brokers).map(node).collect(),
            controller: Controller::new((0..logs).map(log_id), &ids),
            announced: Image::default(),
            min_isr: 1,
            seed,
            draws: 0,
            flights: BTreeMap::new(),
            cuts: BTreeSet::new(),
            loss: 0,
            doubles: 0,
            ghosts: (0..logs).map(|n| (log_id(n), Ghost::default())).collect(),
            values: 0,
            story: Vec::new(),
            seen: Seen::default(),
        };
        world.tell(format!("seed {seed}"));
        (1..=brokers).for_each(|id| world.start(id));
        world
    }

    /// A number below `below`.
    pub(super) fn draw(&mut self, below: u64) -> u64 {
        self.draws += 1;
        crate::mix::mix(self.seed ^ crate::mix::mix(self.draws)) % below.max(1)
    }

    pub(super) fn node(&mut self, id: i32) -> &mut Node {
        &mut self.nodes[id as usize - 1]
    }

    pub(super) fn running(&mut self, id: i32) -> &mut Process {
        self.node(id).process.as_mut().expect("it runs")
    }

    pub(super) fn replica(&self, id: i32, log: LogId) -> &Replica {
        &self.nodes[id as usize - 1].process.as_ref().expect("it runs").replicas[&log]
    }

    /// Starts a broker on what its disk has.
    pub(super) fn start(&mut self, id: i32) {
        self.draws += 1;
        let run = Incarnation(self.draws);
        let mut space = TailSpace::new(1 << 22);
        let of = |(log, kept): (&LogId, &Kept)| {
            let found = recovered(*log, kept, &mut space);
            let replica = Replica { log: found, kept: kept.clone(), role: Role::Idle, waiting: Vec::new() };
            (*log, replica)
        };
        let replicas = self.node(id).disk.iter().map(of).collect();
        self.node(id).process = Some(Process {
            run,
            image: Image::default(),
            replicas,
            space,
            writes: VecDeque::new(),
            serving: Serving::new(PARK),
            asking: BTreeMap::new(),
        });
        self.tell(format!("{id} starts as run {}", run.0));
    }

    /// Kills a broker. With a power loss its disk has done only a part of what it was told, otherwise all of it.
    pub(super) fn crash(&mut self, id: i32, power_lost: bool) {
        let Some(process) = self.node(id).process.take() else { return };
        let all = process.writes.len();
        let done = if power_lost { self.draw(all as u64 + 1) as usize } else { all };
        for write in process.writes.into_iter().take(done) {
            self.done(id, write.log, write.write);
        }
        self.tell(format!("{id} crashes; its disk has done {done} of {all} writes"));
    }

    /// A disk has done something for certain.
    fn done(&mut self, id: i32, log: LogId, write: Write) {
        let loses = matches!(write, Write::Cut(_) | Write::Restart(_));
        self.node(id).disk.get_mut(&log).expect("it is kept here").write(write);
        if loses {
            self.check_in_sync(log);
        }
    }

    pub(super) fn store(&mut self, id: i32, log: LogId, write: Write) {
        let slow = self.node(id).slow_us;
        let took = self.draw(slow) + 50;
        let due = self.now + Duration::from_micros(took);
        let process = self.running(id);
        let due = process.writes.back().map_or(due, |last| due.max(last.due));
        process.store(due, log, write);
    }

    pub(super) fn leader(&self, log: LogId) -> Option<i32> {
        let id = self.controller.image.partitions[&log].leader?.0;
        let process = self.nodes[id as usize - 1].process.as_ref()?;
        matches!(process.replicas[&log].role, Role::Leads(_)).then_some(id)
    }

    /// A leader takes a record, if it may.
    pub(super) fn produce(&mut self, id: i32, log: LogId) -> bool {
        self.values += 1;
        let (value, now, min_isr) = (format!("value {}", self.values), self.now, self.min_isr);
        let Some(process) = &mut self.node(id).process else { return false };
        let replica = process.replicas.get_mut(&log).expect("it is kept here");
        let Role::Leads(leading) = &mut replica.role else { return false };
        if leading.may_append(true, min_isr).is_err() {
            return false;
        }
        leading.appended(now, replica.log.end());
        let mut batch = BatchBuilder::plain(Timestamp(0), &[(None, Some(value.into()))]);
        let context = AppendContext { epoch: leading.epoch(), shape: SHAPE, at: Timestamp(0) };
        replica.log.append(&mut batch, &context, &mut process.space);
        replica.waiting.push(replica.log.end());
        process.serving.changed(log);
        self.wrote(log, &batch);
        self.store(id, log, Write::Append(batch));
        self.settle(id);
        true
    }

    /// Moves the start of a log forward, as DeleteRecords does.
    pub(super) fn trim(&mut self, id: i32, log: LogId) {
        let to = self.replica(id, log).log.high();
        self.raise_start(id, log, to);
        self.running(id).serving.changed(log);
        self.settle(id);
    }

    pub(super) fn raise_start(&mut self, id: i32, log: LogId, to: Offset) {
        if self.running(id).replicas.get_mut(&log).expect("it is kept here").log.raise_start(to) {
            self.store(id, log, Write::Trim(to));
        }
    }

    /// Sends a message, maybe twice, maybe in vain.
    pub(super) fn send(&mut self, from: i32, to: i32, talk: Talk) {
        let copies = 1 + usize::from(self.draw(100) < self.doubles);
        for _ in 0..copies {
            if self.draw(100) < self.loss || self.cuts.contains(&(from, to)) {
                continue;
            }
            // Most arrive soon, a few of them late: after what was sent later.
            let late = if self.doubles > 0 && self.draw(20) == 0 { 3_000_000 } else { 3_000 };
            let at = self.now + Duration::from_micros(100 + self.draw(late));
            self.fly(at, Flight { from, to, talk: talk.clone() });
        }
    }

    pub(super) fn fly(&mut self, at: Instant, flight: Flight) {
        self.draws += 1;
        self.flights.insert((at, self.draws), flight);
    }

    /// Lets that much time pass.
    pub(super) fn run(&mut self, ms: i64) {
        let until = self.now.after_ms(ms);
        while self.now < until {
            let tick = Instant((self.now.0 / 50_000 + 1) * 50_000);
            let next = self.next_event().unwrap_or(tick).clamp(self.now, tick);
            if next > until {
                break;
            }
            self.now = next;
            self.arrive();
            (1..=self.nodes.len() as i32).for_each(|id| self.disk(id));
            if next == tick {
                self.tick();
            }
        }
        self.now = until;
    }

    fn next_event(&self) -> Option<Instant> {
        let disks = self
            .nodes
            .iter()
            .filter_map(|n| n.process.as_ref()?.writes.front().map(|write| write.due.max(n.paused)));
        disks.chain(self.flights.keys().map(|(at, _)| *at)).min()
    }

    fn tick(&mut self) {
        let now = self.now;
        self.controller.tick(now);
        for id in 1..=self.nodes.len() as i32 {
            if self.node(id).paused > now {
                continue;
            }
            let Some(process) = &self.node(id).process else { continue };
            let heartbeat = Talk::Heartbeat(process.run, process.image.version);
            if (now.0 / (TICK_MS as u64 * 1000)) % 6 == id as u64 % 6 {
                self.send(id, CONTROLLER, heartbeat);
            }
            self.settle(id);
        }
        self.announce();
    }

    fn arrive(&mut self) {
        while let Some((&key, _)) = self.flights.first_key_value().filter(|(key, _)| key.0 <= self.now) {
            let flight = self.flights.remove(&key).expect("it is the first");
            let paused = if flight.to == CONTROLLER { Instant(0) } else { self.node(flight.to).paused };
            if paused > self.now {
                self.fly(paused, flight);
            } else if flight.to == CONTROLLER {
                self.ask_controller(flight.from, flight.talk);
                self.announce();
            } else if self.node(flight.to).process.is_some() {
                self.hear(flight.to, flight.from, flight.talk);
                self.settle(flight.to);
            }
        }
    }

    fn hear(&mut self, id: i32, from: i32, talk: Talk) {
        match talk {
            Talk::Fetch(fetch) => self.asked(id, from, &fetch),
            Talk::Answer(answer) => self.answered(id, from, answer),
            Talk::Flushed(flushed) => self.follower_flushed(id, from, &flushed),
            Talk::Image(image) => self.learn(id, image),
            Talk::NotChanged(log, partition_epoch, why) => {
                let now = self.now;
                let replica = self.running(id).replicas.get_mut(&log).expect("it is kept here");
                if let Role::Leads(leading) = &mut replica.role {
                    leading.refused(now, partition_epoch, why, RETRY);
                }
            }
            Talk::Heartbeat(..) | Talk::Propose(..) => panic!("{id} is no controller"),
        }
    }

    /// The controller has been told something.
    fn ask_controller(&mut self, from: i32, talk: Talk) {
        let now = self.now;
        match talk {
            Talk::Heartbeat(run, version) => {
                self.controller.heartbeat(now, BrokerId(from), run);
                if version < self.controller.image.version {
                    self.send(CONTROLLER, from, Talk::Image(self.controller.image.clone()));
                }
            }
            Talk::Propose(run, log, proposal) => {
                let before = self.controller.image.partitions[&log].isr.len();
                match self.controller.proposed(BrokerId(from), run, log, &proposal) {
                    Ok(()) => {
                        let after = self.controller.image.partitions[&log].isr.len();
                        self.seen.shrinks += usize::from(after < before);
                        self.seen.expansions += usize::from(after > before);
                    }
                    Err(why) => {
                        let talk = Talk::NotChanged(log, proposal.partition_epoch, why);
                        self.send(CONTROLLER, from, talk);
                    }
                }
            }
            _ => panic!("the controller is no replica"),
        }
    }

    /// Tells all brokers of what is new in the metadata, and checks what must hold of it.
    pub(super) fn announce(&mut self) {
        let image = self.controller.image.clone();
        if image.version == self.announced.version {
            return;
        }
        for (log, partition) in &image.partitions {
            if self.announced.partitions.get(log) != Some(partition) {
                let (leader, epoch, isr) = (partition.leader, partition.epoch, &partition.isr);
                let isr: Vec<i32> = isr.iter().map(|id| id.0).collect();
                self.tell(format!("{log:?}: leader {leader:?} in epoch {epoch}, isr {isr:?}"));
                self.check_in_sync(*log);
            }
        }
        self.announced = image.clone();
        for id in 1..=self.nodes.len() as i32 {
            self.send(CONTROLLER, id, Talk::Image(image.clone()));
        }
    }

    /// The disk of a broker has done what is due, in order.
    fn disk(&mut self, id: i32) {
        let now = self.now;
        let mut any = false;
        while let Node { process: Some(process), paused, .. } = self.node(id) {
            if process.writes.front().is_none_or(|write| write.due > now) || *paused > now {
                break;
            }
            any = true;
            let write = self.running(id).writes.pop_front().expect("there is one");
            self.done(id, write.log, write.write.clone());
            self.written(id, write);
        }
        if any {
            self.settle(id);
        }
    }

    fn written(&mut self, id: i32, write: UnderWay) {
        let Process { asking, replicas, .. } = self.running(id);
        let replica = replicas.get_mut(&write.log).expect("it is kept here");
        if let Write::Trim(to) = write.write {
            replica.log.start_kept(to);
            asking.values_mut().for_each(|asking| asking.changed(write.log));
            return;
        }
        if replica.log.cuts() != write.cuts {
            return;
        }
        match write.write {
            Write::Append(batch) => replica.log.flushed_to(batch.header().next_offset()),
            Write::Restart(at) => replica.log.flushed_to(at),
            Write::Cut(_) | Write::Trim(_) => return,
        }
        asking.values_mut().for_each(|asking| asking.changed(write.log));
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

    /// Cuts a broker off from all others and the controller, both ways.
    pub(super) fn cut_off(&mut self, id: i32) {
        for other in (0..=self.nodes.len() as i32).filter(|other| *other != id) {
            self.cuts.extend([(id, other), (other, id)]);
        }
    }

    pub(super) fn tell(&mut self, what: String) {
        self.story.push(format!("{:>9.3} {what}", self.now.0 as f64 / 1e6));
    }

    pub(super) fn told(&self) -> String {
        self.story.join("\n")
    }
}
