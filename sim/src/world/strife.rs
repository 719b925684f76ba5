//! Faults among brokers: partitions that stand or flap, streams that break, slow paths, and blows at whoever leads.

use std::collections::BTreeSet;

use super::agenda::Moment;
use super::event::Event;
use super::network::Place;
use super::{Phase, World};
use crate::plan::fault::{Blow, Fault};
use crate::probe::sometimes;

/// So many of a hundred streams have broken by the end of a partition; over the others what waited arrives, late as it is.
const BREAKS: u64 = 50;

impl World {
    /// A fault among brokers begins.
    pub(super) fn strike_peers(&mut self, index: usize, fault: &Fault) {
        match *fault {
            Fault::Part { ref ways, flaps_ms, ms, .. } => {
                let until = self.agenda.now() + ms * 1000;
                if ways.is_empty() {
                    return;
                }
                if flaps_ms > 0 {
                    self.flap(index, true, until);
                } else {
                    self.part(index);
                    self.end_fault_in(index, ms);
                }
            }
            Fault::ResetPeers { one, other, tells } => {
                let (one, other) = (Place::Server(one), Place::Server(other));
                let mut links = self.network.links_between(one, other);
                links.extend(self.network.links_between(other, one));
                for link in links {
                    self.network.reset(&mut self.agenda, link, tells);
                }
            }
            Fault::SlowPath { from, to, by_us, ms } => {
                self.network.set_slow(Place::Server(from), Place::Server(to), by_us);
                self.end_fault_in(index, ms);
            }
            Fault::AllDown { power, down_ms } => {
                for server in 0..self.servers.len() {
                    // Not all at once again: who is first finds nobody.
                    let more = self.rng.below(down_ms + 1);
                    self.kill(server, power, down_ms + more);
                }
            }
            Fault::StrikeLeader { blow, ms } => self.strike_leader(index, blow, ms),
            _ => {}
        }
    }

    /// Whoever leads the metadata quorum is struck, if anybody does.
    fn strike_leader(&mut self, index: usize, blow: Blow, ms: u64) {
        let leads = |s: &super::Server| s.broker().and_then(|b| b.quorum()).is_some_and(|q| q.leads);
        let Some(leader) = self.servers.iter().position(leads) else { return };
        let others = (0..self.servers.len()).filter(|other| *other != leader).map(Place::Server);
        let leader_place = Place::Server(leader);
        let (out, back): (BTreeSet<_>, BTreeSet<_>) =
            others.map(|other| ((leader_place, other), (other, leader_place))).unzip();
        let wall = match blow {
            Blow::Kill => return self.kill(leader, false, ms),
            Blow::PowerLoss => return self.kill(leader, true, ms),
            Blow::Pause => return self.servers[leader].paused_until = self.agenda.now() + ms * 1000,
            Blow::Isolate => out.union(&back).copied().collect(),
            Blow::Mute => out,
            Blow::Deafen => back,
        };
        sometimes("quorum: a leader is cut off");
        self.network.wall_off(index, wall);
        self.end_fault_in(index, ms);
    }

    fn part(&mut self, index: usize) {
        let Fault::Part { ways, .. } = &self.plan.faults[index].what else { return };
        let wall = ways.iter().map(|(from, to)| (Place::Server(*from), Place::Server(*to))).collect();
        self.network.wall_off(index, wall);
    }

    /// A partition that flaps stands up or falls.
    pub(super) fn flap(&mut self, index: usize, stands: bool, until: Moment) {
        let Fault::Part { flaps_ms, .. } = self.plan.faults[index].what else { return };
        let over = self.phase != Phase::Load || self.agenda.now() >= until;
        if stands && !over {
            self.part(index);
        } else {
            self.network.take_down(&mut self.agenda, index, BREAKS);
        }
        if !over {
            let wait = 1 + self.rng.below(flaps_ms * 2_000);
            self.agenda.plan_in(wait, Event::Flap { fault: index, stands: !stands, until });
        }
    }

    /// A fault among brokers that lasts is over.
    pub(super) fn relieve_peers(&mut self, index: usize) {
        match self.plan.faults[index].what {
            Fault::Part { .. } | Fault::StrikeLeader { .. } => {
                self.network.take_down(&mut self.agenda, index, BREAKS);
            }
            Fault::SlowPath { from, to, .. } => {
                self.network.set_slow(Place::Server(from), Place::Server(to), 0);
            }
            _ => {}
        }
    }
}
