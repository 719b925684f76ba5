//! A world: machines, clocks, a network, everything that happens in it, in one thread and in one order.

pub mod agenda;
pub mod clock;
mod damage;
pub mod event;
mod faults;
mod lives;
pub mod network;
pub mod pace;
mod process;
mod quorum;
mod replicas;
pub mod server;
mod streams;
mod strife;
pub mod user;

use std::collections::BTreeMap;

use quipu_core::client::TopicPartition;

use crate::actor::drainer::Drainer;
use crate::history::{Fate, History, Trim};
use crate::plan::{Deeds, Plan};
use crate::rng::Rng;
use crate::trace::Trace;
use crate::watch::{Broken, Watch};
use agenda::{Agenda, Moment};
use clock::Clock;
use event::{Event, ServerEvent};
use network::{Arrival, LinkId, Network, Place, Way};
use server::{Around, Server};
use user::{Outside, User};

/// How long everything may take to come to rest once all is healed, in microseconds: many times every time-out in play.
const PATIENCE: Moment = 300_000_000;
/// The same when a disk was damaged, so that some of it may never come to rest.
const PATIENCE_WITH_DAMAGE: Moment = 20_000_000;
/// How often somebody looks whether it has.
const LOOK: Moment = 250_000;

/// After so many events a load has shown what it can, however long it was to be: a seed takes seconds, not minutes.
const PLENTY: u64 = 60_000;

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
    /// How often each broker's disk failed it without a fault that was to do so.
    deaths: Vec<u32>,
    /// What was committed when the image of each broker's disk was kept.
    images: Vec<Vec<(TopicPartition, i64)>>,
    rng: Rng,
    events: u64,
    /// How many times as long as planned clients wait between their deeds.
    ease: u64,
    /// Since when the metadata quorum is at one, and in which epoch.
    calm_since: Option<(Moment, i32)>,
    /// Since when all replicas are in sync.
    synced_since: Option<Moment>,
    /// When a broker was started last.
    last_start: Moment,
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
        let servers: Vec<Server> = servers
            .map(|(id, (p, clock))| Server::new(id, rng.bits(), clock, p, plan.echoes_per_mille))
            .collect();
        let disks = servers.iter().map(|server| server.disk.clone()).collect();
        let silent_ms = plan.config("producer.id.expiration.ms", 86_400_000);
        let watch = Watch::new(Trace::new(aloud), disks, silent_ms);
        let users = users(&plan, clocks.1, &mut rng);
        let mut network = Network::new(rng.bits());
        network.set_weather(plan.weather.clone());
        World {
            agenda: Agenda::default(),
            network,
            crashes: vec![None; servers.len()],
            deaths: vec![0; servers.len()],
            images: vec![Vec::new(); servers.len()],
            watch,
            servers,
            users,
            history: history_of(&plan),
            struck: BTreeMap::new(),
            lost_power: false,
            phase: Phase::Load,
            since: 0,
            rng,
            events: 0,
            ease: 1,
            calm_since: None,
            synced_since: None,
            last_start: 0,
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
            if self.events == PLENTY && self.phase == Phase::Load {
                self.heal();
            }
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
        for (index, tide) in self.plan.tides.iter().enumerate() {
            self.agenda.plan(tide.at_ms * 1000, Event::Tide(index));
        }
        self.agenda.plan(self.plan.load_ms * 1000, Event::Heal);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Packet { link, way } => self.packet(link, way),
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
                self.server_event(server, life, what);
            }
            Event::User { user, life, what } if self.users[user].life == life => {
                self.with_user(user, |user, outside| user.happen(outside, what));
            }
            Event::ServerStarts { .. } | Event::Server { .. } | Event::User { .. } => {}
            Event::Echo { server, from, frame }
                if self.phase == Phase::Load && self.servers[server].is_up() =>
            {
                self.with_server(server, |server, around| server.told_by(around, from, frame));
            }
            Event::Echo { .. } => {}
            Event::Flap { fault, stands, until } => self.flap(fault, stands, until),
            Event::Fault(index) if self.phase == Phase::Load => self.strike(index),
            Event::FaultEnds(index) => self.relieve(index),
            Event::Tide(index) if self.phase == Phase::Load => self.flow(self.plan.tides[index].ease),
            Event::Fault(_) | Event::Tide(_) => {}
            Event::Heal if self.phase == Phase::Load => self.heal(),
            Event::Heal => {}
            Event::Look => self.look(),
        }
    }

    fn packet(&mut self, link: LinkId, way: Way) {
        if let Some(until) = self.held_until(link, way) {
            return self.agenda.plan(until, Event::Packet { link, way });
        }
        if let Some(arrival) = self.network.arrive(link, way) {
            self.arrived(arrival);
        }
    }

    fn server_event(&mut self, server: usize, life: u64, what: ServerEvent) {
        let until = self.servers[server].waits_until(&what);
        if until > self.agenda.now() {
            // Healing may end the wait before.
            let again = until.min(self.agenda.now() + LOOK);
            return self.agenda.plan(again, Event::Server { server, life, what });
        }
        self.with_server(server, |server, around| server.happen(around, what));
    }

    /// The load gets denser or quieter. Clients that were to wait for long look around at once.
    fn flow(&mut self, ease: u64) {
        let rouses = ease < self.ease;
        self.ease = ease;
        for user in 0..self.users.len() {
            if rouses && self.users[user].is_up() {
                self.with_user(user, |user, outside| user.rouse(outside));
            }
        }
    }

    fn arrived(&mut self, arrival: Arrival) {
        let Arrival { from, to, conn, link, packet } = arrival;
        match to {
            Place::User(user) => {
                let conn = conn.expect("the side that connects has a name for it");
                self.with_user(user, |user, outside| user.receive(outside, link, conn, packet));
            }
            Place::Server(server) => self.with_server(server, |server, around| match from {
                Place::User(_) => server.receive(around, link, conn, packet),
                Place::Server(from) => server.hear(around, (link, from), packet),
            }),
        }
    }

    fn with_user<R>(&mut self, user: usize, deed: impl FnOnce(&mut User, &mut Outside<'_>) -> R) -> R {
        let mut outside = Outside {
            agenda: &mut self.agenda,
            network: &mut self.network,
            history: &mut self.history,
            trace: &mut self.watch.trace,
            loading: self.phase == Phase::Load,
            ease: self.ease,
            servers: self.servers.len(),
        };
        deed(&mut self.users[user], &mut outside)
    }

    fn with_server<R>(&mut self, server: usize, deed: impl FnOnce(&mut Server, &mut Around<'_>) -> R) -> R {
        let mut around =
            Around { agenda: &mut self.agenda, network: &mut self.network, watch: &mut self.watch };
        let done = deed(&mut self.servers[server], &mut around);
        let at = self.agenda.now();
        for (partition, offset) in self.watch.removed.drain(..) {
            self.history.trims.push(Trim { partition, offset, at, done_at: at, fate: Fate::Unknown });
        }
        if std::mem::take(&mut self.watch.deposed_told) {
            self.history.deposed_told.push(at);
        }
        if std::mem::take(&mut self.watch.deposed_listed) {
            self.history.deposed_listed.push(at);
        }
        self.look_for_betrayal(server);
        self.after(server);
        done
    }

    /// Everything that can be repaired is, and clients only finish what they have begun.
    fn heal(&mut self) {
        let now = self.agenda.now();
        self.watch.trace.say(now, || "all is healed".to_string());
        self.phase = Phase::Rest;
        self.since = now;
        self.flow(1);
        self.network.heal(&mut self.agenda);
        self.network.set_weather(network::Weather::FAIR);
        for server in &mut self.servers {
            server.disk.set_room(None);
            server.disk.calm();
            server.pace = pace::Pace::FAIR;
            (server.paused_until, server.stalled_until) = (0, 0);
            server.crash_in_checkpoint = None;
        }
        self.crashes.iter_mut().for_each(|c| *c = None);
        for id in 0..self.servers.len() {
            // What a broker could not read it may have taken offline: somebody starts it again.
            if self.servers[id].is_up() && self.servers[id].disk.has_failed_reads() {
                self.end_server(id, false, 100);
            }
        }
        self.agenda.plan_in(LOOK, Event::Look);
    }

    fn look(&mut self) {
        let idle = self.servers.iter().all(Server::is_up) && self.restless().next().is_none();
        let at_rest = idle && self.quorum_rests() && self.replicas_rest();
        let patience = self.patience();
        let tired = self.agenda.now() > self.since + patience;
        match self.phase {
            Phase::Rest if at_rest || (tired && self.history.damaged) => self.drain(),
            Phase::Drain if at_rest || (tired && self.history.damaged) => {
                self.judge_ends();
                self.phase = Phase::Over;
            }
            Phase::Rest | Phase::Drain if tired => {
                let waiting: Vec<String> = self
                    .restless()
                    .map(|u| format!("user {} ({}) waits for {}", u.id, u.actor.kind(), u.actor.waits_for()))
                    .chain(self.quorum_story())
                    .collect();
                let up: Vec<bool> = self.servers.iter().map(Server::is_up).collect();
                let story = format!("{:?}, brokers up: {up:?}; {}", self.phase, waiting.join("; "));
                self.watch.breaks("L", "once all is healed everything comes to its end", story);
            }
            _ => {}
        }
        self.agenda.plan_in(LOOK, Event::Look);
    }

    /// How long everything may take to come to rest, in microseconds.
    fn patience(&self) -> Moment {
        if self.history.damaged {
            return PATIENCE_WITH_DAMAGE;
        }
        let sessions = self.plan.users.iter().filter_map(|user| match &user.does {
            Deeds::Join(member) => Some(member.session_ms as Moment),
            _ => None,
        });
        // A reader whose place was trimmed away looks for another while its next fetch waits without that partition, and finds out
        // only with the one after whether it is still there: retention may have moved on meanwhile, again and again.
        let waits = self.plan.users.iter().filter_map(|user| match &user.does {
            Deeds::Read(reader) => Some(reader.wait_ms as Moment),
            Deeds::Join(member) => Some(member.wait_ms as Moment),
            _ => None,
        });
        let more = sessions.max().unwrap_or(0) * 10_000 + waits.max().unwrap_or(0) * 8_000;
        PATIENCE + more + self.throttled_for()
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
        (self.calm_since, self.synced_since) = (None, None);
        for user in 0..self.users.len() {
            self.with_user(user, |user, outside| user.end(outside));
        }
        if self.plan.power_loss_at_end {
            for server in 0..self.servers.len() {
                self.end_server(server, true, 100);
            }
        }
        (self.phase, self.since) = (Phase::Drain, self.agenda.now());
        if self.plan.users.is_empty() {
            return;
        }
        let partitions = self.plan.partitions().into_iter().map(|(t, p)| TopicPartition::new(t, p)).collect();
        let clock = Clock { started_at: 0, drift_ppm: 0, off_ms: 0 };
        let last = self.users.len();
        let age = self.plan.metadata_max_age_ms;
        let reader = Box::new(Drainer::new(partitions));
        self.users.push(User::new(last, self.rng.bits(), clock, reader, age));
        self.with_user(last, |user, outside| user.start(outside));
    }
}

/// The clients' machines of a plan.
fn users(plan: &Plan, clocks: Vec<Clock>, rng: &mut Rng) -> Vec<User> {
    let age = plan.metadata_max_age_ms;
    let users = plan.users.iter().zip(clocks).enumerate();
    users.map(|(id, (p, clock))| User::new(id, rng.bits(), clock, p.does.actor(), age)).collect()
}

/// What is known of a history before it begins.
fn history_of(plan: &Plan) -> History {
    let several = plan.servers.len() > 1;
    History { offsets_kept_us: offsets_kept(plan), several, ..History::default() }
}

/// After how much true time at the least offsets of a group without members may be gone, by the fastest clock.
fn offsets_kept(plan: &Plan) -> u64 {
    plan.config("offsets.retention.minutes", 10_080) as u64 * 60_000_000 / 100 * 94
}
