//! What may be lost once a disk has done what no single broker survives: the fault budget, spent, and what for.

use quipu_core::client::TopicPartition;
use quipu_core::cluster::names::CLUSTER_METADATA;

use super::World;
use crate::batch;
use crate::ghost::GhostLog;
use crate::plan::fault::{Fault, FaultPlan};
use crate::rng::Rng;

/// What a batch begins with, from its offset to its checksum: by this a recovery point knows it again.
const KNOWN_BY_BYTES: u64 = 21;

impl World {
    /// A bit of what a disk holds is another one from now on.
    pub(super) fn flip(&mut self, server: usize, draw: u64) {
        let mut rng = Rng::new(draw);
        let Some((path, from, to)) = self.place_to_flip(server, &mut rng) else { return };
        let (at, bit) = (from + rng.below(to - from), rng.below(8) as u8);
        let now = self.agenda.now();
        self.watch.trace.say(now, || format!("bit {bit} of byte {at} of {path} is another one"));
        self.damage(server);
        self.excuse(server, &path, at);
        self.servers[server].disk.flip(&path, at, bit);
    }

    /// A file, and from where to where. On a machine at rest mostly what a start looks at: the last batch of a log that the
    /// recovery point vouches for, by what it knows it again.
    fn place_to_flip(&self, server: usize, rng: &mut Rng) -> Option<(String, u64, u64)> {
        let paths = self.servers[server].disk.paths();
        if !self.servers[server].is_up() && rng.percent(75) {
            let known: Vec<(&String, u64)> =
                paths.keys().filter_map(|path| Some((path, self.last_vouched(server, path)?))).collect();
            if !known.is_empty() {
                let (path, at) = known[rng.below(known.len() as u64) as usize];
                return Some((path.clone(), at, at + KNOWN_BY_BYTES));
            }
        }
        let logs_only = rng.percent(50);
        let wanted = |path: &str, len: u64| len > 0 && (!logs_only || path.ends_with(".log"));
        let files: Vec<(&String, u64)> =
            paths.iter().map(|(path, len)| (path, *len)).filter(|(path, len)| wanted(path, *len)).collect();
        let (path, len) = *files.get(rng.below(files.len().max(1) as u64) as usize)?;
        // Often near the end, where what a recovery point vouches for meets what it does not.
        let from = if rng.percent(40) { len.saturating_sub(300) } else { 0 };
        Some((path.clone(), from, len))
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

    /// Takes note of writes that a disk has lost or put elsewhere since it was last looked at.
    pub(super) fn look_for_betrayal(&mut self, server: usize) {
        for (path, at) in self.servers[server].disk.betrayed() {
            let now = self.agenda.now();
            self.watch.trace.say(now, || format!("byte {at} on of {path} is not what it should be"));
            self.damage(server);
            self.excuse(server, &path, at);
        }
    }

    /// Keeps what a disk holds durably. All that was committed by now is there, so only the rest may be lost.
    pub(super) fn keep_image(&mut self, server: usize) {
        let disk = &self.servers[server].disk;
        disk.keep_image();
        self.images[server] = self.committed(server);
    }

    /// A machine comes back with the image that was kept, or with nothing.
    pub(super) fn roll_back(&mut self, server: usize, wiped: bool, down_ms: u64) {
        if !wiped {
            self.damage(server);
        }
        let kept = if wiped { Vec::new() } else { std::mem::take(&mut self.images[server]) };
        for (topic, partition) in self.plan.partitions() {
            let of = TopicPartition::new(topic, partition);
            let from = kept.iter().find(|(kept, _)| *kept == of).map_or(0, |(_, committed)| *committed);
            let excused = self.history.excused.entry(of).or_insert(from);
            *excused = from.min(*excused);
        }
        self.history.reissued_at.get_or_insert(self.agenda.now());
        if self.servers[server].is_up() {
            self.end_server(server, true, down_ms);
        }
        if wiped {
            self.wipe(server);
        } else {
            self.servers[server].disk.roll_back();
        }
    }

    fn committed(&self, server: usize) -> Vec<(TopicPartition, i64)> {
        let Some(broker) = self.servers[server].broker() else { return Vec::new() };
        let all = broker.logs().map(|(log, topic, _)| {
            (TopicPartition::new(topic, log.id().partition), log.flushed().0.min(log.high().0))
        });
        all.collect()
    }

    fn damage(&mut self, server: usize) {
        self.watch.damage(server);
        self.history.damaged = true;
    }

    /// Records at and beyond a damaged byte of a log may be lost if it lies past the recovery point, where damage cannot be
    /// told from a torn tail. Below it nothing may go, though it need not be readable any more.
    fn excuse(&mut self, server: usize, path: &str, at: u64) {
        if path.contains(CLUSTER_METADATA) {
            // Facts may be forgotten: producer ids that were handed out may be handed out again.
            self.history.reissued_at.get_or_insert(self.agenda.now());
        }
        let Some((dir, file)) = path.split_once('/') else { return };
        let of = TopicPartition::new;
        let partition = dir.get(..dir.len().saturating_sub(23)).and_then(|name| name.rsplit_once('-'));
        let Some((topic, index)) = partition.filter(|_| file.ends_with(".log")) else { return };
        // Where the batches before it end, in bytes and offsets: of what is damaged nothing can be read.
        let mut end = 0;
        let mut from = file.trim_end_matches(".log").parse().unwrap_or(0);
        let bytes = self.servers[server].disk.contents(path).unwrap_or_default();
        let hit = batch::read_all(&bytes).into_iter().find(|batch| {
            end += batch.size;
            from = if end > at { batch.base } else { batch.next };
            end > at
        });
        let vouched = self.vouched(server, dir);
        if let (true, Ok(index)) = (hit.is_none_or(|hit| hit.next > vouched), index.parse()) {
            let excused = self.history.excused.entry(of(topic, index)).or_insert(from);
            *excused = from.min(*excused);
        }
    }

    /// Up to where the recovery point vouches for the log in a directory. A disk that loses writes may have lost it.
    fn vouched(&self, server: usize, dir: &str) -> i64 {
        let now_ms = self.agenda.now() / 1000;
        let betrays = |f: &FaultPlan| matches!(f.what, Fault::BetrayWrite { .. }) && f.at_ms <= now_ms;
        if self.plan.faults.iter().any(betrays) {
            return 0;
        }
        self.ghost_of(server, dir).map_or(0, |log| log.vouched)
    }
}
