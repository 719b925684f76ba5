//! A client's process on its machine: the client machine, and an actor that uses it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use quipu_core::client::Client;
use quipu_core::client::ClientSettings;
use quipu_core::client::{Address, ClientEffect, ClientInput, Event as Told};
use quipu_core::ids::ConnId;

use super::agenda::{Agenda, Moment};
use super::clock::Clock;
use super::event::{Event, UserEvent};
use super::network::{LinkId, Network, Packet, Place, Way};
use super::server::PORT;
use crate::actor::{Actor, Env};
use crate::history::History;
use crate::rng::Rng;
use crate::trace::Trace;

/// A machine that a client runs on.
pub struct User {
    /// Its number.
    pub id: usize,
    /// How often its process has ended.
    pub life: u64,
    /// Its clocks.
    pub clock: Clock,
    /// What uses the client.
    pub actor: Box<dyn Actor>,
    client: Option<Client>,
    links: BTreeMap<ConnId, LinkId>,
    wakes_at: Option<Moment>,
    /// When the actor is called again; a call planned before for another moment does not count.
    ticks_at: Option<Moment>,
    /// How long it goes by what it was told of topics, in milliseconds.
    metadata_max_age_ms: i64,
    /// Connections opened past the client.
    intrusions: u64,
    rng: Rng,
}

/// What a client acts upon.
pub struct Outside<'a> {
    /// What is planned.
    pub agenda: &'a mut Agenda<Event>,
    /// The network.
    pub network: &'a mut Network,
    /// What clients saw.
    pub history: &'a mut History,
    /// The story.
    pub trace: &'a mut Trace,
    /// Whether the load goes on; else what is begun is brought to its end.
    pub loading: bool,
    /// How many times as long as planned clients wait between their deeds.
    pub ease: u64,
    /// How many brokers there are.
    pub servers: usize,
}

impl User {
    /// A client's machine; its process starts later.
    pub fn new(id: usize, seed: u64, clock: Clock, actor: Box<dyn Actor>, metadata_max_age_ms: i64) -> User {
        let rng = Rng::new(seed);
        User {
            id,
            life: 0,
            clock,
            actor,
            client: None,
            links: BTreeMap::new(),
            wakes_at: None,
            ticks_at: None,
            metadata_max_age_ms,
            intrusions: 0,
            rng,
        }
    }

    /// Starts the process.
    pub fn start(&mut self, outside: &mut Outside<'_>) {
        let bootstrap = (1..=outside.servers).map(address).collect();
        let mut settings = ClientSettings {
            client_id: format!("user-{}", self.id),
            seed: self.rng.bits(),
            request_timeout_ms: 5_000,
            connect_timeout_ms: 2_000,
            metadata_max_age_ms: self.metadata_max_age_ms,
            auto_create_topics: false,
            ..ClientSettings::new(bootstrap)
        };
        self.actor.settings(&mut settings);
        self.client = Some(Client::new(settings));
        outside.history.lives.insert(self.id, self.life);
        self.act(outside, |actor, env| actor.started(env));
    }

    /// Whether its process runs.
    pub fn is_up(&self) -> bool {
        self.client.is_some()
    }

    /// The process is gone at once; its machine closes what it had open.
    pub fn end(&mut self, outside: &mut Outside<'_>) {
        self.life += 1;
        self.client = None;
        (self.wakes_at, self.ticks_at) = (None, None);
        for (_, link) in std::mem::take(&mut self.links) {
            outside.network.close(outside.agenda, link, Place::User(self.id));
        }
        outside.history.ended(self.id, outside.agenda.now());
        self.actor.ended();
    }

    /// Something happens in the process.
    pub fn happen(&mut self, outside: &mut Outside<'_>, what: UserEvent) {
        match what {
            UserEvent::Tick if self.ticks_at == Some(outside.agenda.now()) => {
                self.ticks_at = None;
                self.act(outside, |actor, env| actor.tick(env));
            }
            UserEvent::Tick => {}
            // An alarm that an earlier one has overtaken says nothing.
            UserEvent::Wake if self.wakes_at.is_none_or(|at| at > outside.agenda.now()) => {}
            UserEvent::Wake => {
                self.wakes_at = None;
                let now = self.clock.at(outside.agenda.now()).mono;
                if self.client.as_ref().and_then(Client::next_wake).is_some_and(|at| at <= now) {
                    self.step(outside, ClientInput::Wake);
                } else {
                    self.set_alarm(outside.agenda);
                }
            }
        }
    }

    /// The quiet is over: the actor is called soon.
    pub fn rouse(&mut self, outside: &mut Outside<'_>) {
        if self.ticks_at.is_some() {
            let wait = self.rng.below(100_000);
            self.tick_in(outside.agenda, wait);
        }
    }

    fn tick_in(&mut self, agenda: &mut Agenda<Event>, wait: u64) {
        self.ticks_at = Some(agenda.now() + wait);
        let (user, life) = (self.id, self.life);
        agenda.plan_in(wait, Event::User { user, life, what: UserEvent::Tick });
    }

    /// A packet for the process.
    pub fn receive(&mut self, outside: &mut Outside<'_>, link: LinkId, conn: ConnId, packet: Packet) {
        if self.links.get(&conn) != Some(&link) {
            return;
        }
        match packet {
            Packet::Opened => self.step(outside, ClientInput::Connected { conn }),
            Packet::Frame(frame) => self.step(outside, ClientInput::Received { conn, frame }),
            Packet::Closed(why) => self.lost(outside, link, conn, why),
            Packet::Open => {}
        }
    }

    /// A connection is gone.
    pub fn lost(&mut self, outside: &mut Outside<'_>, link: LinkId, conn: ConnId, why: &str) {
        if self.links.get(&conn) == Some(&link) {
            self.links.remove(&conn);
            self.step(outside, ClientInput::Disconnected { conn, why: why.to_string() });
        }
    }

    fn step(&mut self, outside: &mut Outside<'_>, input: ClientInput) {
        let events = self.drive(outside, input);
        if !events.is_empty() {
            self.act(outside, |actor, env| events.into_iter().for_each(|event| actor.told(env, event)));
        }
    }

    /// Steps the client and does what comes out, but for what it tells its user.
    fn drive(&mut self, outside: &mut Outside<'_>, input: ClientInput) -> Vec<Told> {
        let Some(client) = &mut self.client else { return Vec::new() };
        let mut effects = Vec::new();
        client.step(self.clock.at(outside.agenda.now()), input, &mut effects);
        let mut events = Vec::new();
        for effect in effects {
            match effect {
                ClientEffect::Connect { conn, addr } => self.connect(outside, conn, &addr),
                ClientEffect::Send { conn, chunks } => self.send(outside, conn, &chunks),
                ClientEffect::Close { conn } => {
                    if let Some(link) = self.links.remove(&conn) {
                        outside.network.close(outside.agenda, link, Place::User(self.id));
                    }
                }
                ClientEffect::Event(event) => events.push(event),
            }
        }
        self.set_alarm(outside.agenda);
        events
    }

    fn connect(&mut self, outside: &mut Outside<'_>, conn: ConnId, addr: &Address) {
        let server = addr.host.strip_prefix("broker-").and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
        let (from, to) = (Place::User(self.id), Place::Server(server.saturating_sub(1)));
        assert!((1..=outside.servers).contains(&server), "a broker told of {addr}, which does not exist");
        let link = outside.network.connect(outside.agenda, from, to, conn);
        self.links.insert(conn, link);
    }

    fn send(&mut self, outside: &mut Outside<'_>, conn: ConnId, chunks: &[Bytes]) {
        let Some(link) = self.links.get(&conn) else { return };
        let mut stream = Bytes::from(chunks.concat());
        while stream.len() >= 4 {
            let length = u32::from_be_bytes([stream[0], stream[1], stream[2], stream[3]]) as usize;
            let frame = stream.slice(4..4 + length);
            stream = stream.slice(4 + length..);
            outside.network.send(outside.agenda, *link, Way::Up, Packet::Frame(frame));
        }
        if !outside.network.has(*link) {
            // The other side is gone without a word: writing is how a client finds out.
            let (at, link, why) = (Place::User(self.id), *link, "the connection was reset");
            outside.agenda.plan_in(100, Event::Lost { at, link, conn, why });
        }
    }

    /// Lets the actor do something, and tells it what comes of it, until nothing more does.
    fn act(&mut self, outside: &mut Outside<'_>, deed: impl FnOnce(&mut dyn Actor, &mut Env<'_>)) {
        let mut todo = VecDeque::from(self.turn(outside, deed));
        while let Some(events) = todo.pop_front() {
            todo.extend(self.turn(outside, |actor, env| {
                events.into_iter().for_each(|event| actor.told(env, event));
            }));
        }
    }

    fn turn(
        &mut self,
        outside: &mut Outside<'_>,
        deed: impl FnOnce(&mut dyn Actor, &mut Env<'_>),
    ) -> Vec<Vec<Told>> {
        let mut env = Env {
            now: outside.agenda.now(),
            user: self.id,
            life: self.life,
            loading: outside.loading,
            ease: outside.ease,
            wall: self.clock.at(outside.agenda.now()).wall,
            rng: &mut self.rng,
            history: outside.history,
            trace: outside.trace,
            commands: Vec::new(),
            frames: Vec::new(),
            tick_in: None,
        };
        deed(&mut *self.actor, &mut env);
        let Env { commands, frames, tick_in, .. } = env;
        frames.into_iter().for_each(|frames| self.intrude(outside, frames));
        if let Some(wait) = tick_in {
            self.tick_in(outside.agenda, wait);
        }
        let told = commands.into_iter().map(|command| self.drive(outside, ClientInput::Command(command)));
        told.filter(|events| !events.is_empty()).collect()
    }

    /// Opens a connection past the client and sends frames over it. Nobody reads the answers.
    fn intrude(&mut self, outside: &mut Outside<'_>, frames: Vec<Bytes>) {
        self.intrusions += 1;
        let (from, to) =
            (Place::User(self.id), Place::Server(self.rng.below(outside.servers as u64) as usize));
        let link = outside.network.connect(outside.agenda, from, to, ConnId(u64::MAX - self.intrusions));
        for frame in frames {
            outside.network.send(outside.agenda, link, Way::Up, Packet::Frame(frame));
        }
        if self.rng.percent(50) {
            outside.network.close(outside.agenda, link, from);
        }
    }

    fn set_alarm(&mut self, agenda: &mut Agenda<Event>) {
        let Some(wanted) = self.client.as_ref().and_then(Client::next_wake) else { return };
        let at = self.clock.when(wanted).max(agenda.now() + 1);
        if self.wakes_at.is_none_or(|set| at < set || set <= agenda.now()) {
            self.wakes_at = Some(at);
            agenda.plan(at, Event::User { user: self.id, life: self.life, what: UserEvent::Wake });
        }
    }
}

fn address(server: usize) -> Address {
    Address { host: format!("broker-{server}"), port: PORT }
}
