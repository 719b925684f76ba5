//! How brokers end, and start again.

use quipu_core::broker::Broker;

use super::event::Event;
use super::network::Place;
use super::server::{Around, Started};
use super::{Phase, World};

/// A damaged disk that has failed its broker more often than this does nothing else any more.
const MOST_DEATHS: u32 = 10;

impl World {
    /// Looks at what has become of a broker's machine: stopped in the middle, dead, or stopped in order.
    pub(super) fn after(&mut self, id: usize) {
        let server = &self.servers[id];
        if server.disk.is_down() {
            let (power, down_ms) = self.crashes[id].take().unwrap_or((true, 100));
            self.end_server(id, power, down_ms);
        } else if server.has_stopped() {
            let down_ms = self.crashes[id].take().map_or(100, |(_, down_ms)| down_ms);
            self.end_server(id, false, down_ms);
        } else if server.broker().is_some_and(Broker::is_dead) {
            if self.crashes[id].is_none() {
                self.deaths[id] += 1;
            }
            if self.watch.damaged[id] && self.deaths[id] > MOST_DEATHS {
                return self.give_up(id);
            }
            let down_ms = self.crashes[id].take().map_or(500, |(_, down_ms)| down_ms);
            // Nobody trusts a disk that failed before it was looked at: the machine is switched off.
            self.end_server(id, true, down_ms);
        }
    }

    pub(super) fn end_server(&mut self, id: usize, power: bool, down_ms: u64) {
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

    pub(super) fn start_server(&mut self, id: usize) {
        self.last_start = self.agenda.now();
        self.look_for_betrayal(id);
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
        self.look_for_betrayal(id);
        let failing = self.crashes[id].take().is_some();
        let disk = &self.servers[id].disk;
        if failing || disk.is_full() || disk.has_failed_reads() {
            self.servers[id].disk.restart();
            let after = self.servers[id].life;
            self.agenda.plan_in(500_000, Event::ServerStarts { server: id, after });
        } else if self.watch.damaged[id] {
            self.give_up(id);
        } else {
            self.watch.breaks("P3", "a broker starts again after any crash", why.to_string());
        }
    }

    /// A broker whose disk is damaged does nothing any more. Alone it is the end; among others it gets an empty disk, and comes in
    /// as a new one.
    fn give_up(&mut self, id: usize) {
        if self.servers.len() == 1 {
            self.phase = Phase::Over;
            return;
        }
        let now = self.agenda.now();
        self.watch.trace.say(now, || format!("somebody empties the disk of broker {}", id + 1));
        self.deaths[id] = 0;
        if self.servers[id].is_up() {
            self.end_server(id, true, 500);
        } else {
            let after = self.servers[id].life;
            self.agenda.plan_in(500_000, Event::ServerStarts { server: id, after });
        }
        self.wipe(id);
    }

    /// A disk is empty from now on.
    pub(super) fn wipe(&mut self, id: usize) {
        self.servers[id].disk.wipe();
        self.servers[id].wipes += u8::from(self.servers.len() > 1);
        self.watch.wiped(id);
        self.history.damaged = true;
    }
}
