//! What a world does when something of its plan goes wrong, and when it is over.

use quipu_core::client::TopicPartition;

use super::World;
use super::event::Event;
use super::network::Place;
use super::server::Pace;
use crate::batch;
use crate::ghost::GhostLog;
use crate::plan::fault::Fault;
use crate::rng::Rng;

/// What a batch begins with, from its offset to its checksum: by this a recovery point knows it again.
const KNOWN_BY_BYTES: u64 = 21;

impl World {
    /// A fault of the plan begins.
    pub(super) fn strike(&mut self, index: usize) {
        let fault = self.plan.faults[index].what.clone();
        let now = self.agenda.now();
        self.watch.trace.say(now, || format!("fault: {fault:?}"));
        *self.struck.entry(fault.name()).or_insert(0) += 1;
        self.watch.struck(fault.name());
        self.strike_server(index, &fault);
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
            Fault::SlowDisk { server, times, ms } => {
                let Pace { round_us, read_us } = Pace::FAIR;
                self.servers[server].pace = Pace { round_us: round_us * times, read_us: read_us * times };
                self.end_fault_in(index, ms);
            }
            _ => {}
        }
    }

    fn kill(&mut self, server: usize, power: bool, down_ms: u64) {
        if self.servers[server].is_up() {
            self.end_server(server, power, down_ms);
        }
    }

    fn flip(&mut self, server: usize, draw: u64) {
        let mut rng = Rng::new(draw);
        // On a machine at rest mostly what a start looks at: the last batch that the recovery point vouches for.
        let at_rest = !self.servers[server].is_up();
        let logs_only = rng.percent(if at_rest { 90 } else { 50 });
        let wanted = |path: &str, len: u64| len > 0 && (!logs_only || path.ends_with(".log"));
        let mut files: Vec<(String, u64)> =
            self.servers[server].disk.paths().into_iter().filter(|(path, len)| wanted(path, *len)).collect();
        if at_rest && logs_only {
            files = last_of_each(files);
        }
        if files.is_empty() {
            return;
        }
        let (path, len) = &files[rng.below(files.len() as u64) as usize];
        let last = self.last_vouched(server, path).filter(|_| at_rest && rng.percent(60));
        let (from, to) = match last {
            Some(start) => (start, start + KNOWN_BY_BYTES),
            // Often near the end, where what a recovery point vouches for meets what it does not.
            None if rng.percent(40) => (len.saturating_sub(300), *len),
            None => (0, *len),
        };
        let (at, bit) = (from + rng.below(to - from), rng.below(8) as u8);
        let now = self.agenda.now();
        self.watch.trace.say(now, || format!("bit {bit} of byte {at} of {path} is another one"));
        self.watch.damage(server);
        self.history.damaged = true;
        self.excuse(server, path, at);
        self.servers[server].disk.flip(path, at, bit);
    }

    /// Records at and beyond a damaged byte of a log may be lost if it lies past the recovery point, where damage cannot be
    /// told from a torn tail. Below it nothing may go, though it need not be readable any more.
    fn excuse(&mut self, server: usize, path: &str, at: u64) {
        let Some((dir, file)) = path.split_once('/') else { return };
        let of = TopicPartition::new;
        let partition = dir.get(..dir.len().saturating_sub(23)).and_then(|name| name.rsplit_once('-'));
        let Some((topic, index)) = partition.filter(|_| file.ends_with(".log")) else { return };
        let mut end = 0;
        let bytes = self.servers[server].disk.contents(path).unwrap_or_default();
        let hit = batch::read_all(&bytes).into_iter().find(|batch| {
            end += batch.size;
            end > at
        });
        let vouched = self.vouched(server, dir);
        if let (Some(hit), Ok(index)) = (hit.filter(|hit| hit.next > vouched), index.parse()) {
            let from = self.history.excused.entry(of(topic, index)).or_insert(hit.base);
            *from = hit.base.min(*from);
        }
    }

    /// Where in a file the last batch begins that the recovery point vouches for.
    fn last_vouched(&self, server: usize, path: &str) -> Option<u64> {
        let (dir, _) = path.split_once('/').filter(|(_, file)| file.ends_with(".log"))?;
        let vouched = self.ghost_of(server, dir)?.vouched;
        let bytes = self.servers[server].disk.contents(path)?;
        let mut end = 0;
        let last = batch::read_all(&bytes).into_iter().find(|batch| {
            end += batch.size;
            batch.next == vouched
        });
        last.map(|last| end - last.size)
    }

    fn ghost_of(&self, server: usize, dir: &str) -> Option<&GhostLog> {
        let mut logs = self.watch.ghosts[server].logs.iter();
        logs.find(|(id, _)| dir.ends_with(&format!("-{}-{}", id.partition, id.topic))).map(|(_, log)| log)
    }

    /// Up to where the recovery point vouches for the log in a directory. A disk that gets full may have had no room for it.
    fn vouched(&self, server: usize, dir: &str) -> i64 {
        if self.plan.faults.iter().any(|f| matches!(f.what, Fault::Full { .. })) {
            return 0;
        }
        self.ghost_of(server, dir).map_or(0, |log| log.vouched)
    }

    fn end_fault_in(&mut self, index: usize, ms: u64) {
        self.agenda.plan_in(ms * 1000, Event::FaultEnds(index));
    }

    /// A fault that lasts is over.
    pub(super) fn relieve(&mut self, index: usize) {
        match self.plan.faults[index].what.clone() {
            Fault::Full { server, .. } => self.servers[server].disk.set_room(None),
            Fault::SlowDisk { server, .. } => self.servers[server].pace = Pace::FAIR,
            Fault::Cut { user, server, .. } => {
                let (user, server) = (Place::User(user), Place::Server(server));
                self.network.set_cut(&mut self.agenda, user, server, false);
                self.network.set_cut(&mut self.agenda, server, user, false);
            }
            Fault::Storm { .. } => self.network.set_weather(self.plan.weather.clone()),
            Fault::KillUser { user, .. } if self.is_resting_or_loading() && !self.users[user].is_up() => {
                self.with_user(user, |user, outside| user.start(outside));
            }
            _ => {}
        }
    }
}

/// The last file of each directory.
fn last_of_each(mut files: Vec<(String, u64)>) -> Vec<(String, u64)> {
    files.sort();
    let dir = |file: &(String, u64)| file.0.rsplit_once('/').map(|(dir, _)| dir.to_string());
    files.reverse();
    files.dedup_by_key(|file| dir(file));
    files
}
