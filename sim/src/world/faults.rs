//! What a world does when something of its plan goes wrong, and when it is over.

use super::event::Event;
use super::network::Place;
use super::pace::Pace;
use super::{Phase, World};
use crate::disk::Mishap;
use crate::plan::fault::Fault;

impl World {
    /// A fault of the plan begins.
    pub(super) fn strike(&mut self, index: usize) {
        let fault = self.plan.faults[index].what.clone();
        let now = self.agenda.now();
        self.watch.trace.say(now, || format!("fault: {fault:?}"));
        *self.struck.entry(fault.name()).or_insert(0) += 1;
        self.watch.struck(fault.name());
        self.strike_server(index, &fault);
        self.strike_peers(index, &fault);
        match fault {
            Fault::Cut { user, server, up, down, ms } => {
                let (user, server) = (Place::User(user), Place::Server(server));
                if up {
                    self.network.set_cut(&mut self.agenda, user, server, true);
                }
                if down {
                    self.network.set_cut(&mut self.agenda, server, user, true);
                }
                self.end_fault_in(index, ms);
            }
            Fault::Reset { user, server, tells } => {
                for link in self.network.links_between(Place::User(user), Place::Server(server)) {
                    self.network.reset(&mut self.agenda, link, tells);
                }
            }
            Fault::Storm { weather, ms } => {
                self.network.set_weather(weather);
                self.end_fault_in(index, ms);
            }
            Fault::KillUser { user, down_ms } => {
                self.with_user(user, |user, outside| user.end(outside));
                self.end_fault_in(index, down_ms);
            }
            _ => {}
        }
    }

    fn strike_server(&mut self, index: usize, fault: &Fault) {
        match *fault {
            Fault::Kill { server, down_ms } => self.kill(server, false, down_ms),
            Fault::PowerLoss { server, down_ms } => self.kill(server, true, down_ms),
            Fault::CrashWriting { server, operations, power, down_ms } => {
                self.crashes[server] = Some((power, down_ms));
                self.servers[server].disk.crash_after(operations);
            }
            Fault::CrashRecovering { server, operations, power, down_ms } => {
                self.kill(server, power, down_ms);
                self.crashes[server] = Some((power, down_ms));
                self.servers[server].disk.crash_after(operations);
            }
            Fault::CrashCheckpointing { server, operations, syncs, power, down_ms } => {
                self.crashes[server] = Some((power, down_ms));
                self.servers[server].crash_in_checkpoint = Some((operations, syncs));
            }
            Fault::Flip { server, draw } => self.flip(server, draw),
            Fault::BetrayWrite { server, operations, elsewhere } => {
                let how = if elsewhere { Mishap::Misdirected } else { Mishap::Lost };
                self.history.misdirects |= elsewhere;
                self.servers[server].disk.betray_after(operations, how);
            }
            Fault::RollBack { server, ms, .. } => {
                self.keep_image(server);
                self.end_fault_in(index, ms);
            }
            Fault::Wipe { server, down_ms } => self.roll_back(server, true, down_ms),
            Fault::Jump { server, by_ms } => self.servers[server].clock.off_ms += by_ms,
            _ => self.hamper_server(index, fault),
        }
    }

    /// What leaves a broker running, but worse off.
    fn hamper_server(&mut self, index: usize, fault: &Fault) {
        match *fault {
            Fault::Stop { server, down_ms } if self.servers[server].is_up() => {
                self.crashes[server] = Some((false, down_ms));
                self.with_server(server, |server, around| server.stop(around));
            }
            Fault::Pause { server, ms } => {
                self.servers[server].paused_until = self.agenda.now() + ms * 1000;
            }
            Fault::FailSync { server, down_ms } => {
                self.crashes[server] = Some((true, down_ms));
                self.servers[server].disk.fail_next_sync();
            }
            Fault::FailWrite { server, operations, down_ms } => {
                self.crashes[server] = Some((true, down_ms));
                self.servers[server].disk.fail_after(operations);
            }
            Fault::Full { server, room, ms } => {
                let disk = &self.servers[server].disk;
                disk.set_room(Some(disk.used() + room));
                self.end_fault_in(index, ms);
            }
            Fault::Stall { server, ms } => {
                self.servers[server].stalled_until = self.agenda.now() + ms * 1000;
            }
            Fault::FailReads { server, one_in, ms } => {
                self.servers[server].disk.fail_reads(one_in);
                self.end_fault_in(index, ms);
            }
            Fault::SlowDisk { server, times, ms } => {
                let Pace { round_us, read_us } = Pace::FAIR;
                self.servers[server].pace = Pace { round_us: round_us * times, read_us: read_us * times };
                self.end_fault_in(index, ms);
            }
            _ => {}
        }
    }

    pub(super) fn kill(&mut self, server: usize, power: bool, down_ms: u64) {
        if self.servers[server].is_up() {
            self.end_server(server, power, down_ms);
        }
    }

    pub(super) fn end_fault_in(&mut self, index: usize, ms: u64) {
        self.agenda.plan_in(ms * 1000, Event::FaultEnds(index));
    }

    /// A fault that lasts is over.
    pub(super) fn relieve(&mut self, index: usize) {
        self.relieve_peers(index);
        match self.plan.faults[index].what.clone() {
            Fault::Full { server, .. } => self.servers[server].disk.set_room(None),
            Fault::FailReads { server, .. } => self.servers[server].disk.fail_reads(0),
            Fault::RollBack { server, down_ms, .. } if self.phase == Phase::Load => {
                self.roll_back(server, false, down_ms);
            }
            Fault::SlowDisk { server, .. } => self.servers[server].pace = Pace::FAIR,
            Fault::Cut { user, server, .. } => {
                let (user, server) = (Place::User(user), Place::Server(server));
                self.network.set_cut(&mut self.agenda, user, server, false);
                self.network.set_cut(&mut self.agenda, server, user, false);
            }
            // Once all is healed the weather is fair, and stays so.
            Fault::Storm { .. } if self.phase == Phase::Load => {
                self.network.set_weather(self.plan.weather.clone());
            }
            Fault::KillUser { user, .. } if self.is_resting_or_loading() && !self.users[user].is_up() => {
                self.with_user(user, |user, outside| user.start(outside));
            }
            _ => {}
        }
    }
}
