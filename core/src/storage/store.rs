//! One log directory, written by its lane: a round of operations goes in, and comes out durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use super::append::{MAX_BATCHES, Pending};
use super::cache::SegmentKey;
use super::election::{self, ElectionFile};
use super::error::StorageError;
use super::identity::FreshIdentity;
use super::ops::{LogFailure, Recovered, StoreOp, Stored};
use super::point::{ProducersKept, Witness};
use super::reader::Reader;
use super::recover;
use super::restart::{Beginning, Rebirth};
use super::state::{LogState, Shelf, read};
use crate::disk::{Disk, DiskError, DiskErrorKind};
use crate::ids::{LeaderEpoch, LogId, Mark, Offset};
use crate::time::Timestamp;

/// How a log directory is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Whether a round is answered only when it is synced. Without, what is written counts as done, a power cut may take
    /// it, and only truncations and recovery points are synced.
    pub synced: bool,
    /// `index.interval.bytes` of logs that were not created with one, found without a recovery point.
    pub index_interval_bytes: u32,
    /// Segment files kept open at most. Those of the round under way and of reads under way come on top.
    pub max_open_files: usize,
    /// Batches of a log written at once at most: what there is beyond is another write of the same round.
    pub batches_at_once: usize,
    /// Memory for indexes of segments that are read but not written, in bytes.
    pub index_cache_bytes: usize,
    /// How far a file that small writes follow one another in is made to reach ahead of its batches, in bytes; without
    /// `synced`, or with 0, it is not.
    pub ahead_bytes: u64,
    /// Whether to start without a usable recovery point: every log is then read whole (see [`Store::open`]).
    pub rescan: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            synced: true,
            index_interval_bytes: 4096,
            max_open_files: 1024,
            batches_at_once: MAX_BATCHES,
            index_cache_bytes: 32 << 20,
            ahead_bytes: 64 << 10,
            rescan: false,
        }
    }
}

/// The log directory, in the hands of the one lane that writes it.
pub struct Store<D: Disk> {
    pub(crate) shelf: Shelf<D>,
    pub(crate) options: StoreOptions,
    pub(crate) logs: BTreeMap<LogId, Lane>,
    /// Once the disk has failed: why. For ever.
    pub(crate) dead: Option<String>,
    pub(crate) round: Round<D>,
    /// Written but not synced, when rounds are not synced.
    pub(crate) unsynced: BTreeMap<SegmentKey, Arc<str>>,
    pub(crate) unsynced_dirs: BTreeSet<String>,
    /// Files that nothing needs once everything written so far is synced.
    pub(crate) superseded: Vec<String>,
    /// Renamed, and yet to be emptied.
    pub(crate) reclaim: Vec<Reclaim>,
    /// Renamed and emptied; they stay until a recovery point no longer names what they were.
    pub(crate) markers: Vec<Reclaim>,
    pub(crate) births: u64,
    pub(crate) removals: u64,
    /// `None` on a directory of before that had no room for it yet.
    pub(crate) election: Option<ElectionFile<D::File>>,
    pub(crate) space: (u64, u64),
}

/// What only the lane needs to know of a log.
pub(crate) struct Lane {
    pub(crate) state: Arc<RwLock<LogState>>,
    /// Set when the disk was full or no file could be opened, until a truncation.
    pub(crate) full: bool,
    /// Nothing is on disk yet: its directory and its first file come with its first batch.
    pub(crate) missing: bool,
    /// How far the file of the active segment was made to reach in advance; no further than its batches if it was not.
    pub(crate) reach: u64,
    /// The last batch.
    pub(crate) last: Option<Witness>,
    /// The end that the recovery point on disk has.
    pub(crate) point_end: Offset,
    /// Whether anything was appended since that.
    pub(crate) written: bool,
    /// Whether the epoch file is behind.
    pub(crate) epochs_changed: bool,
    pub(crate) producers: ProducersKept,
    /// The files with producers that there are, by offset.
    pub(crate) producer_files: Vec<Offset>,
    pub(crate) snapshot: Option<(Offset, LeaderEpoch)>,
    /// What the recovery point said of a log that is offline, to be said again.
    pub(crate) damaged: Option<super::point::LogPoint>,
    /// Set while it begins anew, until the recovery point on disk has it as it is then.
    pub(crate) rebirth: Option<Rebirth>,
}

/// Something renamed that takes up room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reclaim {
    /// A segment file, and the directory it is in.
    Segment { path: String, dir: String },
    /// The directory of a removed log.
    Directory(String),
}

/// What a round has done so far and must still make durable.
pub(crate) struct Round<D: Disk> {
    pub(crate) pending: BTreeMap<LogId, Pending>,
    pub(crate) touched: BTreeMap<SegmentKey, (D::File, Arc<str>)>,
    pub(crate) others: Vec<D::File>,
    pub(crate) dirs: BTreeSet<String>,
    pub(crate) failed: BTreeMap<LogId, LogFailure>,
    /// Logs whose snapshot could not be kept: they must not be trimmed on the strength of it.
    pub(crate) snapless: BTreeSet<LogId>,
    /// A checkpoint could not be kept.
    pub(crate) unkept: bool,
}

impl<D: Disk> Round<D> {
    pub(crate) fn new() -> Round<D> {
        Round {
            pending: BTreeMap::new(),
            touched: BTreeMap::new(),
            others: Vec::new(),
            dirs: BTreeSet::new(),
            failed: BTreeMap::new(),
            snapless: BTreeSet::new(),
            unkept: false,
        }
    }
}

/// Why an operation of a round was not done.
pub(crate) enum Trouble {
    /// One log is out of room, or offline. The others go on.
    Log(LogFailure),
    /// The disk failed: the directory is dead.
    Dead(String),
}

impl From<DiskError> for Trouble {
    fn from(e: DiskError) -> Trouble {
        Trouble::Dead(e.message)
    }
}

impl<D: Disk> Store<D> {
    /// Opens the directory, making it if it is new, and recovers its logs.
    ///
    /// After an orderly stop nothing but lengths is looked at. Otherwise each log is read from its recovery point on and
    /// cut at the first bad batch; what is wrong below the recovery point is reported in
    /// [`damage`](super::ops::RecoveredLog::damage) and left alone. The answer is durable: a crash during `open` or right
    /// after it comes to the same. With `options.rescan` a missing or damaged recovery point is done without: each log is
    /// read whole, cut at a bad batch of its last segment, and offline with a bad batch before that.
    ///
    /// # Errors
    /// The directory is another broker's or cluster's, has another format, its recovery point is unusable, or the disk
    /// failed.
    pub fn open(
        disk: D,
        options: StoreOptions,
        fresh: &FreshIdentity,
        now: Timestamp,
    ) -> Result<(Store<D>, Recovered), StorageError> {
        recover::open(disk, options, fresh, now)
    }

    /// A handle by which any thread reads.
    pub fn reader(&self) -> Reader<D> {
        Reader::new(self.shelf.clone())
    }

    /// Does all of these operations, in order, makes them durable, and empties `round`.
    ///
    /// # Errors
    /// The disk failed, now or at an earlier call: the directory is dead, and nothing of this round may be believed.
    pub fn run(&mut self, round: &mut Vec<(Mark, StoreOp)>) -> Result<Stored, String> {
        let Some(done) = round.last().map(|(mark, _)| *mark) else {
            return Ok(self.stored(Mark(0)));
        };
        let result = match &self.dead {
            Some(why) => Err(why.clone()),
            None => self.run_all(round),
        };
        round.clear();
        match result {
            Ok(()) => Ok(self.stored(done)),
            Err(why) => {
                self.round = Round::new();
                self.dead = Some(why.clone());
                Err(why)
            }
        }
    }

    fn run_all(&mut self, round: &mut Vec<(Mark, StoreOp)>) -> Result<(), String> {
        for (_, op) in round.drain(..) {
            let done = self.one(op);
            self.settle(done)?;
        }
        let done = self.finish();
        self.settle(done)?;
        if let Ok(space) = self.shelf.disk.space() {
            self.space = space;
        }
        Ok(())
    }

    /// Keeps a failure that concerns one log, passes on one that concerns all.
    pub(crate) fn settle(&mut self, done: Result<(), Trouble>) -> Result<(), String> {
        match done {
            Ok(()) => Ok(()),
            Err(Trouble::Log(failure)) => {
                self.round.failed.entry(failure.log).or_insert(failure);
                Ok(())
            }
            Err(Trouble::Dead(why)) => Err(why),
        }
    }

    fn one(&mut self, op: StoreOp) -> Result<(), Trouble> {
        match op {
            StoreOp::Create { log, name, index_interval_bytes } => {
                self.create(log, &name, index_interval_bytes);
                Ok(())
            }
            StoreOp::Append { log, batches, roll } => self.append(log, batches, roll),
            StoreOp::Truncate { log, to } => self.truncate(log, to),
            StoreOp::Restart { log, at, epoch } => self.restart(log, Beginning { at, epoch }),
            StoreOp::Trim { log, start } => self.trim(log, start),
            StoreOp::Remove { log } => self.remove(log),
            StoreOp::Producers { log, at, table } => self.keep_producers(log, at, &table),
            StoreOp::Snapshot { log, at, epoch, bytes } => self.keep_snapshot(log, (at, epoch), &bytes),
            StoreOp::Election { state } => self.keep_election(&state),
            StoreOp::Checkpoint { clean } => {
                let kept = self.checkpoint(clean);
                self.round.unkept |= !matches!(kept, Ok(true));
                kept.map(|_| ())
            }
        }
    }

    /// Durable at once: the round's own sync is left out where records are not synced.
    fn keep_election(&mut self, state: &[u8]) -> Result<(), Trouble> {
        let disk = &self.shelf.disk;
        let file = match &mut self.election {
            Some(file) => file,
            none => {
                let made = election::make(disk)?;
                disk.sync(&[], &[""])?;
                none.insert(made)
            }
        };
        Ok(file.keep(disk, state)?)
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        self.flush_all()?;
        self.sync_round()?;
        self.reclaim_some()
    }

    fn stored(&mut self, done: Mark) -> Stored {
        let round = std::mem::take(&mut self.round);
        let (failed, kept) = (round.failed.into_values().collect(), !round.unkept);
        Stored { done, failed, kept, free_bytes: self.space.0, total_bytes: self.space.1 }
    }

    /// The log of an operation. That there is one is the machine's business, so anything else is our own mistake.
    pub(crate) fn lane(&mut self, log: LogId) -> &mut Lane {
        self.logs
            .get_mut(&log)
            .unwrap_or_else(|| panic!("an operation for the log {log:?}, which does not exist"))
    }

    /// Refuses what changes the contents of a log that is out of room or offline.
    pub(crate) fn check_usable(&mut self, log: LogId) -> Result<(), Trouble> {
        let lane = self.lane(log);
        let offline = read(&lane.state).offline.clone();
        let (full, message) = match offline {
            Some(why) => (false, why),
            None if lane.full || lane.rebirth.is_some() => {
                // What follows on its way must not overtake what is refused here.
                lane.full = true;
                (true, format!("there was no room; {log:?} takes no appends until it is truncated"))
            }
            None => return Ok(()),
        };
        Err(Trouble::Log(LogFailure { log, full, message }))
    }

    /// Marks a log as out of room, or of files that may be open.
    pub(crate) fn full(&mut self, log: LogId, e: &DiskError) -> Trouble {
        self.lane(log).full = true;
        let message = match e.kind {
            DiskErrorKind::Full => format!("the disk is full: {e}"),
            _ => e.to_string(),
        };
        Trouble::Log(LogFailure { log, full: true, message })
    }

    /// A number that no state of a segment has had.
    pub(crate) fn next_birth(&mut self) -> u64 {
        self.births += 1;
        self.births
    }
}

impl<D: Disk> Default for Round<D> {
    fn default() -> Self {
        Round::new()
    }
}
