//! Beginning a log anew: all that it had goes, and it is empty at another offset before anything more is written to it.
//!
//! The recovery point decides which log there is. First it says that no file of the log counts any more: it names no
//! segment of it, only where it begins. Then the files go and the one segment that there is from now on is made, durably.
//! Then the recovery point names that. A start that finds it naming none does the rest again, so that nothing of before
//! can come back, whichever of the entries of the directory a power loss has left; and until it names one, nothing can be
//! appended that such a start would take away.

use bytes::Bytes;

use super::error::StorageError;
use super::names::{self, FileKind, Named};
use super::ops::{EpochStart, LogFailure, RecoveredLog};
use super::point::{LogPoint, ProducersKept};
use super::recover_log::{Files, Found, admit, newest_snapshot, offline};
use super::scan::Scanned;
use super::state::{LogState, Segment, View, read, write};
use super::store::{Lane, Reclaim, Store, Trouble};
use crate::disk::{Disk, DiskResult};
use crate::ids::{LeaderEpoch, LogId, Offset};
use crate::producer::ProducerTable;

/// How far a log that begins anew has come. It takes no appends before that is done.
#[derive(Clone, Debug)]
pub(crate) enum Rebirth {
    /// Every recovery point from now on says so, and names no file of it. The files may be those of before.
    Due(Beginning),
    /// Its file is there, durably, and those of before are gone. The recovery point on disk does not name it yet.
    Made,
}

/// Where a log begins anew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    pub(crate) at: Offset,
    /// The leader epoch of what was before it, where that is known.
    pub(crate) epoch: Option<LeaderEpoch>,
}

impl Beginning {
    fn epochs(self) -> Vec<EpochStart> {
        self.epoch.map(|epoch| EpochStart { epoch, start: self.at }).into_iter().collect()
    }
}

impl<D: Disk> Store<D> {
    pub(crate) fn restart(&mut self, log: LogId, new: Beginning) -> Result<(), Trouble> {
        // What has failed of the old log in this round is no failure of the new one: what follows counts.
        self.round.failed.remove(&log);
        self.begin_anew(log, new)
    }

    fn begin_anew(&mut self, log: LogId, new: Beginning) -> Result<(), Trouble> {
        let offline = read(&self.lane(log).state).offline.clone();
        if let Some(why) = offline {
            return Err(self.take_offline(log, why));
        }
        // What is not written yet would go at once.
        self.round.pending.remove(&log);
        // The other logs go to disk as one state, and so does this one: until the recovery point says so, it is the old one.
        self.settle_everything(false)?;
        let lane = self.lane(log);
        lane.rebirth = Some(Rebirth::Due(new));
        // Of a log without any file the recovery point says nothing yet.
        if !lane.missing && !self.save_point(false)? {
            return Err(self.no_room(log));
        }
        self.empty_at(log, new);
        self.replace_files(log)?;
        self.finish_restart(log)
    }

    /// Goes on with a restart that has found no room; the log is cut to where it begins, which says that nothing is on its way.
    pub(crate) fn restart_again(&mut self, log: LogId, rebirth: Rebirth, to: Offset) -> Result<(), Trouble> {
        match rebirth {
            Rebirth::Due(new) => {
                assert!(to == new.at, "{log:?} is cut to {to}, it begins anew at {}", new.at);
                self.begin_anew(log, new)
            }
            Rebirth::Made => {
                let end = read(&self.lane(log).state).end;
                assert!(to == end, "{log:?} is cut to {to}, it begins anew at {end}");
                self.settle_everything(false)?;
                self.lane(log).full = false;
                self.finish_restart(log)
            }
        }
    }

    fn finish_restart(&mut self, log: LogId) -> Result<(), Trouble> {
        if self.save_point(false)? { Ok(()) } else { Err(self.no_room(log)) }
    }

    fn no_room(&mut self, log: LogId) -> Trouble {
        self.lane(log).full = true;
        let message = "the disk is too full to begin the log anew: there is no room for a new recovery point";
        Trouble::Log(LogFailure { log, full: true, message: message.into() })
    }

    /// Readers see the new log before the files of the old one go.
    fn empty_at(&mut self, log: LogId, new: Beginning) {
        let birth = self.next_birth();
        let lane = self.lane(log);
        let (dir, gone) = {
            let mut state = write(&lane.state);
            let gone: Vec<View> = (0..state.segments.len()).map(|i| state.view(log, i)).collect();
            (state.start, state.end) = (new.at, new.at);
            state.segments = vec![Segment::empty(new.at, birth)];
            state.epochs = new.epochs();
            (state.dir.to_string(), gone)
        };
        (lane.full, lane.written, lane.epochs_changed, lane.reach) = (false, false, true, 0);
        (lane.last, lane.producers) = (None, ProducersKept::default());
        lane.producer_files.clear();
        for old in gone {
            self.shelf.files.forget(&old.key);
            self.shelf.indexes.forget(&old.key);
        }
        let of_it = |item: &Reclaim| matches!(item, Reclaim::Segment { dir: d, .. } if *d == dir);
        self.reclaim.retain(|item| !of_it(item));
        self.markers.retain(|item| !of_it(item));
    }

    fn replace_files(&mut self, log: LogId) -> Result<(), Trouble> {
        let view = read(&self.lane(log).state).view(log, 0);
        let disk = self.shelf.disk.clone();
        let made = if self.lane(log).missing { disk.create_dir(&view.dir) } else { Ok(()) };
        let made = made.and_then(|()| sweep(&disk, &view.dir, view.span.base));
        let file = self.or_full(log, made)?;
        disk.sync(std::slice::from_ref(&file), &["", &view.dir])?;
        self.shelf.files.put(view.key, file, 1);
        let lane = self.lane(log);
        (lane.missing, lane.rebirth) = (false, Some(Rebirth::Made));
        Ok(())
    }
}

/// Leaves nothing of a log but its snapshots, and makes the file of its first segment. The caller syncs both.
fn sweep<D: Disk>(disk: &D, dir: &str, base: Offset) -> DiskResult<D::File> {
    for (name, _) in disk.list(dir)? {
        if matches!(names::parse(&name), Some(Named::File(..) | Named::Epochs | Named::Tmp)) {
            disk.remove(&format!("{dir}/{name}"))?;
        }
    }
    disk.create(&names::file(dir, base, FileKind::Log))
}

/// What a recovery point says of a log that begins anew.
pub(crate) fn bare_point(log: LogId, lane: &Lane, new: Beginning) -> LogPoint {
    let state = read(&lane.state);
    LogPoint {
        log,
        dir: state.dir.to_string(),
        start: new.at,
        end: new.at,
        interval: state.interval,
        segments: Vec::new(),
        witness: None,
        epochs: new.epochs(),
        producers: ProducersKept::default(),
        snapshot: lane.snapshot,
    }
}

/// Whether a recovery point says that no file of a log counts.
pub(crate) fn is_bare(point: &LogPoint) -> bool {
    point.segments.is_empty()
}

/// What a start tells of a log that begins anew.
fn empty(log: LogId, state: &LogState, snapshot: Option<(Offset, LeaderEpoch, Bytes)>) -> RecoveredLog {
    RecoveredLog {
        log,
        start: state.start,
        end: state.end,
        segments: state.segments.iter().map(|s| s.span).collect(),
        epochs: state.epochs.clone(),
        producers: ProducerTable::default(),
        snapshot,
        damage: None,
    }
}

/// Recovers a log that was about to begin anew: whatever files it has are of before, or empty.
pub(crate) fn redo<D: Disk>(
    store: &mut Store<D>,
    found: Found,
    point: &LogPoint,
    (dir, files): (&str, &Files),
    leftovers: &mut Vec<String>,
) -> Result<RecoveredLog, StorageError> {
    let snapshot = match newest_snapshot(&store.shelf.disk, dir, files, Some(point), leftovers)? {
        Ok(snapshot) => snapshot,
        Err(why) => return Ok(offline(store, found, why)),
    };
    let new = Beginning { at: point.end, epoch: point.epochs.last().map(|e| e.epoch) };
    let rebirth = match sweep(&store.shelf.disk, dir, new.at) {
        Ok(file) => {
            store.shelf.disk.sync(&[file], &["", dir])?;
            Rebirth::Made
        }
        // A full disk must not keep a broker from starting: the first append comes by again.
        Err(e) if e.is_shortage() => Rebirth::Due(new),
        Err(e) => return Err(e.into()),
    };
    let state = LogState {
        dir: dir.into(),
        start: new.at,
        end: new.at,
        interval: point.interval,
        segments: vec![Segment::empty(new.at, store.next_birth())],
        epochs: new.epochs(),
        offline: None,
    };
    let recovered = empty(found.log, &state, snapshot);
    store.shelf.put(found.log, state);
    let nothing = Scanned { segments: Vec::new(), end: new.at, epochs: Vec::new(), last: None };
    let kept = recovered.snapshot.as_ref().map(|s| (s.0, s.1));
    admit(store, found.log, &nothing, (ProducersKept::default(), Vec::new()), kept);
    let lane = store.lane(found.log);
    (lane.rebirth, lane.epochs_changed) = (Some(rebirth), true);
    Ok(recovered)
}
