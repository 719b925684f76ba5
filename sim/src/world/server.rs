//! A broker's process on its machine: the machine, its storage and its connections, driven by events.

mod answers;
mod peers;

use std::sync::Arc;

use bytes::Bytes;
use quipu_core::broker::Broker;
use quipu_core::broker::door::{Caller, Client, Effect, Input, Note};
use quipu_core::config::BrokerConfig;
use quipu_core::exchange::entry::{self, Entry};
use quipu_core::ids::{ConnId, LaneId};
use quipu_core::storage::ops::StoreOp;
use quipu_core::storage::{FreshIdentity, Store, StoreOptions};

use super::agenda::{Agenda, Moment};
use super::clock::Clock;
use super::event::{Event, Read, ServerEvent};
use super::network::{LinkId, Network, Packet, Place};
use super::pace::Pace;
use super::process::{Process, settings};
use crate::disk::SimDisk;
use crate::plan::ServerPlan;
use crate::rng::Rng;
use crate::watch::{Scene, Watch};

/// The port that every broker listens on.
pub const PORT: u16 = 9092;

/// Where the other brokers reach the one with this id.
pub fn peer_address(id: usize) -> String {
    format!("broker-{id}:9192")
}

/// A machine that a broker runs on.
pub struct Server {
    /// Its number.
    pub id: usize,
    /// Its disk.
    pub disk: SimDisk,
    /// Its clocks.
    pub clock: Clock,
    /// How often its process has ended.
    pub life: u64,
    /// The configs it is started with.
    pub configs: Vec<(String, String)>,
    batches_at_once: usize,
    /// How long the disk takes.
    pub pace: Pace,
    /// Nothing happens in the process before.
    pub paused_until: Moment,
    /// The disk does nothing before.
    pub stalled_until: Moment,
    /// So many operations, or syncs, into its next checkpoint the machine stops.
    pub crash_in_checkpoint: Option<(u64, bool)>,
    /// Why the last start was refused.
    pub refused: Option<String>,
    /// How often it came back with an empty disk: each time its data directory is another one.
    pub wipes: u8,
    /// Of a thousand messages of other brokers so many come again, late.
    echoes_per_mille: u64,
    process: Option<Process>,
    /// Steps that its brokers have taken.
    turn: u64,
    rng: Rng,
    echo_rng: Rng,
}

/// What a server acts upon.
pub struct Around<'a> {
    /// What is planned.
    pub agenda: &'a mut Agenda<Event>,
    /// The network.
    pub network: &'a mut Network,
    /// Who watches.
    pub watch: &'a mut Watch,
}

/// How a start went.
pub enum Started {
    /// The process runs.
    Up,
    /// The machine stopped in the middle of it: a crash that was planned.
    Crashed,
    /// It refused to start, and said why.
    Refused(String),
}

impl Server {
    /// A machine with an empty disk.
    pub fn new(id: usize, seed: u64, clock: Clock, plan: &ServerPlan, echoes_per_mille: u64) -> Server {
        let mut rng = Rng::new(seed);
        Server {
            id,
            disk: SimDisk::new(rng.bits()),
            clock,
            life: 0,
            configs: plan.configs.clone(),
            batches_at_once: plan.batches_at_once,
            pace: Pace::FAIR,
            paused_until: 0,
            stalled_until: 0,
            crash_in_checkpoint: None,
            refused: None,
            wipes: 0,
            echoes_per_mille,
            process: None,
            turn: 0,
            rng,
            echo_rng: Rng::new(!seed),
        }
    }

    /// Whether its process runs.
    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Whether the disk is in the middle of a round.
    pub fn is_writing(&self) -> bool {
        self.process.as_ref().is_some_and(|p| p.round.is_some())
    }

    /// Before when something in the process cannot happen.
    pub fn waits_until(&self, what: &ServerEvent) -> Moment {
        match what {
            ServerEvent::Wake | ServerEvent::Dial(_) => self.paused_until,
            ServerEvent::RoundDone | ServerEvent::Read(_) => self.paused_until.max(self.stalled_until),
        }
    }

    /// The machine inside.
    pub fn broker(&self) -> Option<&Broker> {
        self.process.as_ref().map(|p| &p.broker)
    }

    /// The id that a data directory gets which is made now.
    fn directory(&self) -> [u8; 16] {
        let mut id = [self.id as u8 + 1; 16];
        id[15] = id[15].wrapping_add(self.wipes << 4);
        id
    }

    /// Starts the process.
    pub fn start(&mut self, around: &mut Around<'_>) -> Started {
        assert!(self.process.is_none(), "a process starts once");
        let now = self.clock.at(around.agenda.now());
        let fresh = FreshIdentity {
            cluster_id: None,
            new_cluster_id: "c2ltdWxhdGVkLWNsdXN0ZQ".into(),
            node_id: self.id as i32 + 1,
            directory_id: self.directory(),
        };
        let config = BrokerConfig::new(settings(&self.configs));
        let (max_open_files, batches_at_once) = (64, self.batches_at_once);
        let options =
            StoreOptions { max_open_files, batches_at_once, ahead_bytes: 1024, ..StoreOptions::default() };
        around.watch.starting(self.id, &self.disk);
        let (store, found) = match Store::open(self.disk.clone(), options, &fresh, now.wall) {
            Ok(opened) => opened,
            Err(_) if self.disk.is_down() => return Started::Crashed,
            Err(error) => {
                self.refused = Some(error.to_string());
                return Started::Refused(error.to_string());
            }
        };
        self.refused = None;
        self.look_for_betrayal(around.watch);
        around.watch.started(self.id, &self.disk, &found);
        self.process = Some(Process::new(config, self.rng.bits(), store, found));
        self.step(around, [Input::Wake]);
        Started::Up
    }

    /// The process is gone at once. Whether its machine was in the middle of writing is seen on the disk.
    pub fn end(&mut self, watch: &mut Watch) {
        self.life += 1;
        if let Some(process) = &self.process {
            watch.ended(self.id, process.stopped);
        }
        self.process = None;
        self.paused_until = 0;
        self.crash_in_checkpoint = None;
    }

    /// Lets the disk go on with the round under way until a crash that was planned, or its end.
    pub fn finish_round(&mut self) {
        if let Some(process) = &mut self.process
            && let Some(mut round) = process.round.take()
        {
            let _ = process.store.run(&mut round);
        }
    }

    /// Asks the process to stop in order.
    pub fn stop(&mut self, around: &mut Around<'_>) {
        self.step(around, [Input::Stop]);
    }

    /// Whether the process has stopped in order, and may be ended.
    pub fn has_stopped(&self) -> bool {
        self.process.as_ref().is_some_and(|p| p.stopped)
    }

    /// Something happens in the process.
    pub fn happen(&mut self, around: &mut Around<'_>, what: ServerEvent) {
        match what {
            ServerEvent::Wake => self.wake(around),
            ServerEvent::RoundDone => self.round_done(around),
            ServerEvent::Read(read) => self.read(around, read),
            ServerEvent::Dial(to) => self.dial(around, to),
        }
    }

    /// A packet for the process.
    pub fn receive(&mut self, around: &mut Around<'_>, link: LinkId, conn: Option<ConnId>, packet: Packet) {
        let Some(process) = &mut self.process else {
            return around.network.reset(around.agenda, link, (true, false));
        };
        match (packet, conn) {
            (Packet::Open, _) => {
                let conn = process.accept(self.id, link);
                around.network.accept(around.agenda, link, conn);
            }
            (Packet::Frame(frame), Some(conn)) if process.has(conn, link) => self.frame(around, conn, &frame),
            (Packet::Closed(_), Some(conn)) => self.lost(around, link, conn),
            (Packet::Opened | Packet::Frame(_) | Packet::Closed(_), _) => {}
        }
    }

    /// A connection is gone.
    pub fn lost(&mut self, around: &mut Around<'_>, link: LinkId, conn: ConnId) {
        let Some(process) = self.process.as_mut().filter(|p| p.has(conn, link)) else {
            return self.stream_lost(around, link);
        };
        if let Some(mut session) = process.sessions.remove(&conn) {
            session.replies.close();
            self.step(around, [Input::Gone { conn }]);
        }
    }

    fn frame(&mut self, around: &mut Around<'_>, conn: ConnId, frame: &Bytes) {
        let now = self.clock.at(around.agenda.now());
        let Some(process) = &mut self.process else { return };
        let Some(session) = process.sessions.get_mut(&conn) else { return };
        match entry::read(frame, frame.len(), &process.rules, now.wall) {
            Err(_) => self.cut(around, conn),
            Ok(Entry::Answer { ask, response, .. }) => {
                let seq = session.replies.open(ask);
                session.replies.complete(seq, response);
                self.flush(around, conn);
            }
            Ok(Entry::Ask { ask, client_id, dialect, request }) => {
                let to = Caller { conn, seq: session.replies.open(ask) };
                if session.from.client_id != client_id {
                    session.from = Arc::new(Client { client_id, ..(*session.from).clone() });
                }
                let from = Arc::clone(&session.from);
                self.step(around, [Input::Request { to, from, dialect, request }]);
            }
        }
    }

    /// The broker closes a connection.
    fn cut(&mut self, around: &mut Around<'_>, conn: ConnId) {
        let Some(process) = &mut self.process else { return };
        if let Some(session) = process.sessions.remove(&conn) {
            around.network.close(around.agenda, session.link, Place::Server(self.id));
            self.step(around, [Input::Gone { conn }]);
        }
    }

    fn wake(&mut self, around: &mut Around<'_>) {
        let Some(process) = &mut self.process else { return };
        // An alarm that an earlier one has overtaken says nothing; answered with another alarm it would come back for ever.
        if process.wakes_at.take_if(|at| *at <= around.agenda.now()).is_none() {
            return;
        }
        let now = self.clock.at(around.agenda.now());
        if process.broker.next_wake().is_some_and(|at| at <= now.mono) {
            self.step(around, [Input::Wake]);
        } else {
            self.set_alarm(around.agenda);
        }
    }

    fn round_done(&mut self, around: &mut Around<'_>) {
        let Some(process) = &mut self.process else { return };
        let Some(mut round) = process.round.take() else { return };
        let checkpoints = round.iter().any(|(_, op)| matches!(op, StoreOp::Checkpoint { .. }));
        match self.crash_in_checkpoint.take_if(|_| checkpoints) {
            Some((operations, false)) => self.disk.crash_after(operations),
            Some((syncs, true)) => self.disk.crash_in_sync(syncs),
            None => {}
        }
        let result = process.store.run(&mut round);
        self.look_for_betrayal(around.watch);
        if self.disk.is_down() {
            // The machine stopped in the middle of the round. The world finds it so.
            return;
        }
        self.step(around, [Input::Stored { lane: LaneId(0), result }]);
    }

    /// Tells those who watch before the machine takes for done what the disk has not done.
    fn look_for_betrayal(&self, watch: &mut Watch) {
        if self.disk.has_betrayed() {
            watch.damage(self.id);
        }
    }

    fn read(&mut self, around: &mut Around<'_>, read: Read) {
        let Some(process) = &mut self.process else { return };
        let reader = process.reader.clone();
        let input = match read {
            Read::Load(load, range) => {
                Input::Loaded { load, result: reader.batches(range).map_err(|e| e.to_string()) }
            }
            Read::Look(lookup, log, what, below) => {
                Input::Looked { lookup, result: reader.look(log, what, below).map_err(|e| e.to_string()) }
            }
            Read::Answer(conn) => return self.answer_read(around, conn, &reader),
        };
        self.step(around, [input]);
    }

    /// Steps the machine and does what comes out.
    fn step(&mut self, around: &mut Around<'_>, inputs: impl IntoIterator<Item = Input>) {
        let now = self.clock.at(around.agenda.now());
        let Some(process) = &mut self.process else { return };
        let mut effects = std::mem::take(&mut process.effects);
        for input in inputs {
            around.watch.asking(self.id, &process.broker, &input);
            let told = effects.len();
            process.broker.step(now, input, &mut effects);
            self.turn += 1;
            let scene = Scene {
                server: self.id,
                broker: &process.broker,
                disk: &self.disk,
                now,
                turn: self.turn,
                damaged: around.watch.damaged[self.id],
            };
            around.watch.stepped(&scene, &effects[told..]);
        }
        let (mut touched, mut cut) = (Vec::new(), Vec::new());
        for effect in effects.drain(..) {
            self.carry_out(around, effect, &mut touched, &mut cut);
        }
        if let Some(process) = &mut self.process {
            process.effects = effects;
        }
        touched.into_iter().for_each(|conn| self.flush(around, conn));
        cut.into_iter().for_each(|conn| self.cut(around, conn));
        self.begin_round(around.agenda);
        self.set_alarm(around.agenda);
    }

    fn carry_out(
        &mut self,
        around: &mut Around<'_>,
        effect: Effect,
        touched: &mut Vec<ConnId>,
        cut: &mut Vec<ConnId>,
    ) {
        let Some(process) = &mut self.process else { return };
        match effect {
            Effect::Reply { to, response } => {
                if let Some(session) = process.sessions.get_mut(&to.conn)
                    && session.replies.complete(to.seq, response)
                {
                    touched.push(to.conn);
                }
            }
            Effect::Close { conn, .. } => cut.push(conn),
            Effect::Store { mark, op, .. } => process.queue.push((mark, op)),
            Effect::Load { load, range } => self.plan_read(around.agenda, Read::Load(load, range)),
            Effect::Look { lookup, log, what, below } => {
                self.plan_read(around.agenda, Read::Look(lookup, log, what, below));
            }
            Effect::Rules(rules) => process.rules = rules,
            Effect::Send { to, message } => self.say(around, to, &message),
            // Its links carry what is said whatever the cluster is called.
            Effect::Cluster(_) => {}
            Effect::Peers(addresses) => process.addresses = addresses,
            Effect::Note(note) => self.note(around, &note),
            Effect::Stopped => process.stopped = true,
        }
    }

    fn note(&self, around: &mut Around<'_>, note: &Note) {
        match note {
            Note::Warn(text) | Note::Info(text) | Note::DiskDead(text) => {
                let now = around.agenda.now();
                around.watch.trace.say(now, || format!("broker {}: {text}", self.id + 1));
            }
            Note::Ready | Note::Committed { .. } => {}
        }
    }

    fn plan_read(&mut self, agenda: &mut Agenda<Event>, read: Read) {
        let takes = self.pace.read_us / 2 + self.rng.below(self.pace.read_us);
        self.plan(agenda, takes, ServerEvent::Read(read));
    }

    fn plan(&self, agenda: &mut Agenda<Event>, wait: u64, what: ServerEvent) {
        agenda.plan_in(wait, Event::Server { server: self.id, life: self.life, what });
    }

    /// Hands what has gathered to the disk, unless it is at a round.
    fn begin_round(&mut self, agenda: &mut Agenda<Event>) {
        let Some(process) = &mut self.process else { return };
        if process.round.is_some() || process.queue.is_empty() {
            return;
        }
        process.round = Some(std::mem::take(&mut process.queue));
        let takes = self.pace.round_us / 2 + self.rng.below(self.pace.round_us);
        self.plan(agenda, takes, ServerEvent::RoundDone);
    }

    fn set_alarm(&mut self, agenda: &mut Agenda<Event>) {
        let Some(process) = &mut self.process else { return };
        let Some(wanted) = process.broker.next_wake() else { return };
        let at = self.clock.when(wanted).max(agenda.now() + 1);
        if process.wakes_at.is_none_or(|set| at < set || set <= agenda.now()) {
            process.wakes_at = Some(at);
            agenda.plan(at, Event::Server { server: self.id, life: self.life, what: ServerEvent::Wake });
        }
    }
}
