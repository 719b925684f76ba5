//! A world: machines, clocks, a network, everything that happens in it, in one thread and in one order.

pub mod agenda;
pub mod clock;
pub mod event;
mod faults;
pub mod network;
mod process;
pub mod server;
pub mod user;

use std::collections::BTreeMap;

use quipu_core::client::TopicPartition;

use crate::actor::drainer::Drainer;
use crate::history::History;
use crate::plan::Plan;
use crate::rng::Rng;
use crate::trace::Trace;
use crate::watch::{Broken, Watch};
use agenda::{Agenda, Moment};
use clock::Clock;
use event::Event;
use network::{Arrival, Network, Place};
use server::{Around, Server, Started};
use user::{Outside, User};

/// How long everything may take to come to rest once all is healed, in microseconds: many times every time-out in play.
const PATIENCE: Moment = 300_000_000;
/// The same when a disk was damaged, so that some of it may never come to rest.
const PATIENCE_WITH_DAMAGE: Moment = 20_000_000;
/// How often somebody looks whether it has.
const LOOK: Moment = 250_000;

/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Clients do things, and things go wrong.
    Load,
    /// Nothing goes wrong any more; what was begun comes to its end.
    Rest,
    /// Everything is read.
    Drain,
    /// It is over.
    Over,
}

/// A world.
pub struct World {
    plan: Plan,
    agenda: Agenda<Event>,
    network: Network,
    servers: Vec<Server>,
    users: Vec<User>,
    /// What clients did and saw.
    pub history: History,
    /// Those who watch.
    pub watch: Watch,
    /// How often each kind of fault struck.
    pub struck: BTreeMap<&'static str, u64>,
    /// Whether power was lost.
    pub lost_power: bool,
    phase: Phase,
    since: Moment,
    /// What a machine that stops in the middle of something does next: whether it loses power, and how long it is down.
    crashes: Vec<Option<(bool, u64)>>,
    rng: Rng,
    events: u64,
}

impl World {
    /// The world of a plan.
    pub fn new(plan: Plan, aloud: bool) -> World {
        let mut rng = Rng::new(plan.seed);
        let mut clock = |drift_ppm, off_ms| Clock { started_at: rng.below(1 << 40), drift_ppm, off_ms };
        let clocks: (Vec<Clock>, Vec<Clock>) = (
            plan.servers.iter().map(|p| clock(p.drift_ppm, p.off_ms)).collect(),
            plan.users.iter().map(|p| clock(p.drift_ppm, p.off_ms)).collect(),
        );
        let servers = plan.servers.iter().zip(clocks.0).enumerate();
        let servers: Vec<Server> =
            servers.map(|(id, (p, clock))| Server::new(id, rng.bits(), clock, p)).collect();
        let users = plan.users.iter().zip(clocks.1).enumerate();
        let users = users.map(|(id, (p, clock))| User::new(id, rng.bits(), clock, p.does.actor())).collect();
        let mut network = Network::new(rng.bits());
        network.set_weather(plan.weather.clone());
        World {
            agenda: Agenda::default(),
            network,
            crashes: vec![None; servers.len()],
            watch: Watch::new(Trace::new(aloud), servers.len()),
            servers,
            users,
            history: History::default(),
            struck: BTreeMap::new(),
            lost_power: false,
            phase: Phase::Load,
            since: 0,
            rng,
            events: 0,
            plan,
        }
    }

    /// Runs it to its end. The first claim that broke, if one did.
    pub fn run(&mut self) -> Option<Broken> {
        self.begin();
        while self.phase != Phase::Over && self.watch.broken.is_none() {
            let event = self.agenda.pop().expect("somebody always looks again");
            self.events += 1;
            self.happen(event);
        }
        self.watch.broken.clone()
    }

    /// Seconds of true time that passed.
    pub fn seconds(&self) -> f64 {
        self.agenda.now() as f64 / 1e6
    }

    /// Things that happened.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The plan it follows.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    fn begin(&mut self) {
        for server in 0..self.servers.len() {
            self.agenda.plan(0, Event::ServerStarts { server, after: 0 });
        }
        for user in 0..self.users.len() {
            self.with_user(user, |user, outside| user.start(outside));
        }
        for (index, fault) in self.plan.faults.iter().enumerate() {
            self.agenda.plan(fault.at_ms * 1000, Event::Fault(index));
        }
        self.agenda.plan(self.plan.load_ms * 1000, Event::Heal);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Packet { link, way } => {
                if let Some(arrival) = self.network.arrive(link, way) {
                    self.arrived(arrival);
                }
            }
            Event::Lost { at: Place::User(user), link, conn, why } => {
                self.with_user(user, |user, outside| user.lost(outside, link, conn, why));
            }
            Event::Lost { at: Place::Server(server), link, conn, .. } => {
                self.with_server(server, |server, around| server.lost(around, link, conn));
            }
            Event::ServerStarts { server, after } if self.servers[server].life == after => {
                self.start_server(server);
            }
            Event::Server { server, life, what } if self.servers[server].life == life => {
                let until = self.servers[server].paused_until;
                if until > self.agenda.now() {
                    return self.agenda.plan(until, Event::Server { server, life, what });
                }
                self.with_server(server, |server, around| server.happen(around, what));
            }
            Event::User { user, life, what } if self.users[user].life == life => {
                self.with_user(user, |user, outside| user.happen(outside, what));
            }
            Event::ServerStarts { .. } | Event::Server { .. } | Event::User { .. } => {}
            Event::Fault(index) if self.phase == Phase::Load => self.strike(index),
            Event::FaultEnds(index) => self.relieve(index),
            Event::Fault(_) => {}
            Event::Heal => self.heal(),
            Event::Look => self.look(),
        }
    }

    fn arrived(&mut self, arrival: Arrival) {
        let Arrival { to, conn, link, packet } = arrival;
        match to {
            Place::User(user) => {
                let conn = conn.expect("the side that connects has a name for it");
                self.with_user(user, |user, outside| user.receive(outside, link, conn, packet));
            }
            Place::Server(server) => {
                self.with_server(server, |server, around| server.receive(around, link, conn, packet));
            }
        }
    }

    fn with_user<R>(&mut self, user: usize, deed: impl FnOnce(&mut User, &mut Outside<'_>) -> R) -> R {
        let mut outside = Outside {
            agenda: &mut self.agenda,
            network: &mut self.network,
            history: &mut self.history,
            trace: &mut self.watch.trace,
            loading: self.phase == Phase::Load,
            servers: self.servers.len(),
        };
        deed(&mut self.users[user], &mut outside)
    }

    fn with_server<R>(&mut self, server: usize, deed: impl FnOnce(&mut Server, &mut Around<'_>) -> R) -> R {
        let mut around =
            Around { agenda: &mut self.agenda, network: &mut self.network, watch: &mut self.watch };
        let done = deed(&mut self.servers[server], &mut around);
        self.after(server);
        done
    }

    /// Looks at what has become of a broker's machine: stopped in the middle, dead, or stopped in order.
    fn after(&mut self, id: usize) {
        let server = &self.servers[id];
        if server.disk.is_down() {
            let (power, down_ms) = self.crashes[id].take().unwrap_or((true, 100));
            self.end_server(id, power, down_ms);
        } else if server.has_stopped() {
            let down_ms = self.crashes[id].take().map_or(100, |(_, down_ms)| down_ms);
            self.end_server(id, false, down_ms);
        } else if server.broker().is_some_and(|b| b.status().dead.is_some()) {
            let down_ms = self.crashes[id].take().map_or(500, |(_, down_ms)| down_ms);
            // Nobody trusts a disk that failed before it was looked at: the machine is switched off.
            self.end_server(id, true, down_ms);
        }
    }

    fn end_server(&mut self, id: usize, power: bool, down_ms: u64) {
        let place = Place::Server(id);
        for link in self.network.links_of(place) {
            if power {
                self.network.reset(&mut self.agenda, link, (false, false));
            } else {
                self.network.close(&mut self.agenda, link, place);
            }
        }
        let server = &mut self.servers[id];
        if !power {
            server.finish_round();
        }
        server.end(&mut self.watch);
        if power {
            server.disk.lose_power();
            self.lost_power = true;
        } else {
            server.disk.restart();
        }
        let now = self.agenda.now();
        self.watch.trace.say(now, || {
            format!("broker {} is down{}", id + 1, if power { ": its machine lost power" } else { "" })
        });
        let after = self.servers[id].life;
        self.agenda.plan_in(down_ms * 1000, Event::ServerStarts { server: id, after });
    }

    fn start_server(&mut self, id: usize) {
        let mut around =
            Around { agenda: &mut self.agenda, network: &mut self.network, watch: &mut self.watch };
        let started = self.servers[id].start(&mut around);
        let now = self.agenda.now();
        match started {
            Started::Up => self.watch.trace.say(now, || format!("broker {} is up", id + 1)),
            Started::Crashed => {
                self.watch.trace.say(now, || format!("broker {} crashed in its recovery", id + 1));
                self.after(id);
            }
            Started::Refused(why) => {
                self.watch.trace.say(now, || format!("broker {} refused to start: {why}", id + 1));
                self.refused(id, &why);
            }
        }
    }

    /// A broker that does not start: right after damage, or when an operation of its start failed; else a fault of ours.
    fn refused(&mut self, id: usize, why: &str) {
        let failing = self.crashes[id].take().is_some();
        if failing || self.servers[id].disk.is_full() {
            self.servers[id].disk.restart();
            let after = self.servers[id].life;
            self.agenda.plan_in(500_000, Event::ServerStarts { server: id, after });
        } else if self.watch.damaged[id] {
            self.phase = Phase::Over;
        } else {
            self.watch.breaks("P3", "a broker starts again after any crash", why.to_string());
        }
    }

    /// Everything that can be repaired is, and clients only finish what they have begun.
    fn heal(&mut self) {
        let now = self.agenda.now();
        self.watch.trace.say(now, || "all is healed".to_string());
        self.phase = Phase::Rest;
        self.since = now;
        self.network.heal(&mut self.agenda);
        self.network.set_weather(network::Weather::FAIR);
        for server in &mut self.servers {
            server.disk.set_room(None);
            server.disk.calm();
            server.pace = server::Pace::FAIR;
            server.paused_until = 0;
            server.crash_in_checkpoint = None;
        }
        self.crashes.iter_mut().for_each(|c| *c = None);
        self.agenda.plan_in(LOOK, Event::Look);
    }

    fn look(&mut self) {
        let at_rest = self.servers.iter().all(Server::is_up) && self.restless().next().is_none();
        let patience = if self.plan.damages() { PATIENCE_WITH_DAMAGE } else { PATIENCE };
        let tired = self.agenda.now() > self.since + patience;
        match self.phase {
            Phase::Rest if at_rest || (tired && self.plan.damages()) => self.drain(),
            Phase::Drain if at_rest || (tired && self.plan.damages()) => self.phase = Phase::Over,
            Phase::Rest | Phase::Drain if tired => {
                let waiting: Vec<String> = self
                    .restless()
                    .map(|u| format!("user {} ({}) waits for {}", u.id, u.actor.kind(), u.actor.waits_for()))
                    .collect();
                let up: Vec<bool> = self.servers.iter().map(Server::is_up).collect();
                let story = format!("{:?}, brokers up: {up:?}; {}", self.phase, waiting.join("; "));
                self.watch.breaks("L", "once all is healed everything comes to its end", story);
            }
            _ => {}
        }
        self.agenda.plan_in(LOOK, Event::Look);
    }

    /// Whether clients may still be started.
    fn is_resting_or_loading(&self) -> bool {
        matches!(self.phase, Phase::Load | Phase::Rest)
    }

    /// Clients that wait for something, or are to be started again. In the end only the last reader counts.
    fn restless(&self) -> impl Iterator<Item = &User> {
        let draining = self.phase == Phase::Drain;
        self.users.iter().filter(move |u| if u.is_up() { !u.actor.is_at_rest() } else { !draining })
    }

    /// The clients leave, and one reads everything.
    fn drain(&mut self) {
        for user in 0..self.users.len() {
            self.with_user(user, |user, outside| user.end(outside));
        }
        if self.plan.power_loss_at_end {
            for server in 0..self.servers.len() {
                self.end_server(server, true, 100);
            }
        }
        let partitions = self.plan.partitions().into_iter().map(|(t, p)| TopicPartition::new(t, p)).collect();
        let clock = Clock { started_at: 0, drift_ppm: 0, off_ms: 0 };
        let last = self.users.len();
        self.users.push(User::new(last, self.rng.bits(), clock, Box::new(Drainer::new(partitions))));
        (self.phase, self.since) = (Phase::Drain, self.agenda.now());
        self.with_user(last, |user, outside| user.start(outside));
    }
}
