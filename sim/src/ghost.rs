//! What checkers remember of each broker: everything it ordered to be written, and what of that it called committed.

use std::cell::OnceCell;
use std::collections::{BTreeMap, VecDeque};

use quipu_core::broker::door::{Effect, Note};
use quipu_core::ids::{LogId, Mark};
use quipu_core::storage::ops::{Recovered, StoreOp};

use crate::batch::{self, Written};
use crate::disk::SimDisk;

/// One broker's logs.
#[derive(Debug, Default)]
pub struct Ghost {
    /// By log.
    pub logs: BTreeMap<LogId, GhostLog>,
    /// Checkpoints under way: what each will vouch for once it is done.
    checkpoints: VecDeque<(Mark, BTreeMap<LogId, i64>)>,
}

/// One log.
#[derive(Clone, Debug, Default)]
pub struct GhostLog {
    /// Its batches in order, also those that retention has removed since the process started.
    pub batches: Vec<Written>,
    /// Bytes before each batch.
    before: Vec<u64>,
    /// The directory it is in, once somebody asked.
    dir: OnceCell<String>,
    /// The highest high watermark there ever was.
    pub committed: i64,
    /// The highest start there ever was.
    pub start: i64,
    /// Its disk was damaged in the midst of it: of the batches some are not what they were, or are not here.
    pub has_hole: bool,
    /// Everything below is vouched for by the recovery point, unless the disk has lost a write.
    pub vouched: i64,
}

impl GhostLog {
    /// A log with these batches, committed up to that offset.
    pub fn of(batches: Vec<Written>, committed: i64) -> GhostLog {
        let mut log = GhostLog { committed, ..GhostLog::default() };
        batches.into_iter().for_each(|batch| log.push(batch));
        log
    }

    /// The offset after its last batch.
    pub fn end(&self) -> i64 {
        self.batches.last().map_or(self.start, |b| b.next)
    }

    fn push(&mut self, batch: Written) {
        let before = self.before.last().map_or(0, |b| b + self.batches.last().map_or(0, |b| b.size));
        self.before.push(before);
        self.batches.push(batch);
    }

    fn truncate(&mut self, to: i64) {
        let keep = self.batches.partition_point(|b| b.base < to);
        self.batches.truncate(keep);
        self.before.truncate(keep);
    }

    /// Nothing that was before is asked for any more. It may begin below what was.
    fn restart(&mut self, at: i64) {
        self.truncate(i64::MIN);
        // A crash may bring the old log back: no more of it is committed than was before.
        (self.start, self.committed, self.vouched) = (at, self.committed.min(at), at);
        self.has_hole = false;
    }

    /// The batch that holds an offset.
    pub fn at(&self, offset: i64) -> Option<&Written> {
        let place = self.batches.partition_point(|b| b.next <= offset);
        self.batches.get(place).filter(|b| b.base <= offset)
    }

    /// Whether the batch that holds an offset would be there after a power loss.
    pub fn is_durable(&self, log: LogId, offset: i64, disk: &SimDisk) -> bool {
        let place = self.batches.partition_point(|b| b.next <= offset);
        let Some(batch) = self.batches.get(place) else { return false };
        if let Some(found) = self.dir.get().is_none().then(|| directory(disk, log)).flatten() {
            self.dir.set(found).expect("it was empty");
        }
        let Some(dir) = self.dir.get() else { return false };
        let name = format!("{:020}.log", batch.base);
        let Some(file) = disk.durable_floor(dir, &name, ".log") else { return false };
        let base = segment_base(&file).expect("a segment's name");
        let first = self.batches.partition_point(|b| b.base < base);
        let at = self.before[place] - self.before[first];
        let bytes = disk.durable_bytes(&format!("{dir}/{file}"), at, batch.size as usize);
        bytes.and_then(|bytes| batch::read(&bytes)).as_ref() == Some(batch)
    }
}

impl Ghost {
    /// Takes note of what the machine ordered and said. `flushed`: how far the disk of one of several brokers is with a log; what it
    /// has not, it may know to be committed, but does not keep it.
    pub fn effect(&mut self, effect: &Effect, flushed: impl Fn(LogId) -> Option<i64>) {
        match effect {
            Effect::Store { op: StoreOp::Checkpoint { .. }, mark, .. } => {
                let ends = self.logs.iter().map(|(id, log)| (*id, log.end())).collect();
                self.checkpoints.push_back((*mark, ends));
            }
            Effect::Store { op, .. } => self.ordered(op),
            Effect::Note(Note::Committed { log: id, high }) => {
                let log = self.logs.entry(*id).or_default();
                log.committed = log.committed.max(high.0.min(flushed(*id).unwrap_or(high.0)));
            }
            _ => {}
        }
    }

    /// The disk has done everything up to this; whether it had room for the recovery points on the way.
    pub fn stored(&mut self, done: Mark, kept: bool) {
        while let Some((_, ends)) = self.checkpoints.pop_front_if(|(mark, _)| *mark <= done) {
            for (id, end) in ends.into_iter().filter(|_| kept) {
                if let Some(log) = self.logs.get_mut(&id) {
                    log.vouched = log.vouched.max(end);
                }
            }
        }
    }

    fn ordered(&mut self, op: &StoreOp) {
        match op {
            StoreOp::Append { log, batches, .. } => {
                let log = self.logs.entry(*log).or_default();
                for batch in batches {
                    log.push(batch::read(&batch.to_bytes()).expect("what is written is a batch"));
                }
            }
            StoreOp::Truncate { log, to } => {
                let log = self.logs.entry(*log).or_default();
                log.truncate(to.0);
                log.vouched = log.vouched.min(to.0);
            }
            StoreOp::Restart { log, at, .. } => {
                let log = self.logs.entry(*log).or_default();
                log.restart(at.0);
            }
            StoreOp::Trim { log, start } => {
                let log = self.logs.entry(*log).or_default();
                log.start = log.start.max(start.0);
            }
            StoreOp::Remove { log } => drop(self.logs.remove(log)),
            StoreOp::Create { .. }
            | StoreOp::Producers { .. }
            | StoreOp::Snapshot { .. }
            | StoreOp::Election { .. }
            | StoreOp::Checkpoint { .. } => {}
        }
    }

    /// A start has found these logs: what is remembered is what lies on the disk now, read by the checkers themselves. `alone`: there
    /// is no other broker, whose word would be needed for what is committed.
    pub fn started(&mut self, disk: &SimDisk, found: &Recovered, damaged: bool, alone: bool) {
        // Without room the recovery point of the last life still stands.
        let (files, full) = (disk.paths(), disk.is_full());
        self.checkpoints.clear();
        let mut logs = BTreeMap::new();
        for log in &found.logs {
            // Of a damaged disk less may be left than there was.
            let before = self.logs.get(&log.log).filter(|_| !damaged);
            let mut ghost = GhostLog {
                // What a start finds it makes durable: on one broker that is as good as committed.
                committed: before.map_or(0, |b| b.committed).max(if alone { log.end.0 } else { 0 }),
                start: log.start.0.max(before.map_or(0, |b| b.start)),
                vouched: if full { self.logs.get(&log.log).map_or(0, |b| b.vouched) } else { log.end.0 },
                ..GhostLog::default()
            };
            let segments = segments(disk, &files, log.log);
            segments.iter().flat_map(|s| batch::read_all(s)).for_each(|batch| ghost.push(batch));
            let whole = ghost.batches.first().is_none_or(|first| first.base <= log.start.0);
            let dense = whole && ghost.batches.is_sorted_by(|a, b| a.next == b.base);
            let sound = || segments.iter().all(|segment| batch::are_sound(segment));
            ghost.has_hole = damaged && (ghost.end() != log.end.0 || !dense || !sound());
            logs.insert(log.log, ghost);
        }
        self.logs = logs;
    }
}

/// The batches of a log as they lie on the disk.
pub fn on_disk(disk: &SimDisk, files: &BTreeMap<String, u64>, log: LogId) -> Vec<Written> {
    segments(disk, files, log).iter().flat_map(|segment| batch::read_all(segment)).collect()
}

/// The bytes of a log's segments, in order.
fn segments(disk: &SimDisk, files: &BTreeMap<String, u64>, log: LogId) -> Vec<Vec<u8>> {
    let suffix = format!("-{}-{}", log.partition, log.topic);
    let mut segments: Vec<(i64, &String)> = files
        .keys()
        .filter_map(|path| {
            let (dir, name) = path.split_once('/')?;
            dir.ends_with(&suffix).then(|| segment_base(name)).flatten().map(|base| (base, path))
        })
        .collect();
    segments.sort_unstable();
    segments.into_iter().map(|(_, path)| disk.contents(path).unwrap_or_default()).collect()
}

fn directory(disk: &SimDisk, log: LogId) -> Option<String> {
    let suffix = format!("-{}-{}", log.partition, log.topic);
    disk.durable_names("").into_iter().find(|name| name.ends_with(&suffix))
}

fn segment_base(name: &str) -> Option<i64> {
    name.strip_suffix(".log").filter(|base| base.len() == 20)?.parse().ok()
}
