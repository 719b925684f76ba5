//! Making a round durable, and moving the recovery point.

use std::sync::Arc;

use bytes::Bytes;

use super::checkpoint_files::EpochFile;
use super::names::{self, DELETED, FileKind};
use super::ops::LogFailure;
use super::point::{self, LogPoint, RecoveryPoint, SegmentPoint};
use super::restart::{Rebirth, bare_point};
use super::state::{View, read, write};
use super::store::{Lane, Reclaim, Store, Trouble};
use super::{frame, index::IndexSum};
use crate::disk::{Disk, DiskErrorKind, DiskResult};
use crate::ids::{LeaderEpoch, LogId, Offset};
use crate::producer::ProducerTable;

/// Files emptied a round at most: freeing a large file can take the file system many milliseconds.
const RECLAIMED_A_ROUND: usize = 8;
/// Bytes that the indexes of a segment being written may fall behind before a checkpoint files them again.
const INDEX_BEHIND: u64 = 1 << 20;
/// The version of producer snapshots and of the frame around snapshots.
pub(crate) const KEPT_VERSION: u32 = 1;
/// Producer snapshots kept a log: the newest, and the one before in case that is torn.
const PRODUCER_FILES: usize = 2;

impl<D: Disk> Store<D> {
    /// Syncs what this round has written and the directories whose entries it changed, all at once: a new segment's entry
    /// costs no more time than its contents do, and neither counts without the other.
    pub(crate) fn sync_round(&mut self) -> Result<(), Trouble> {
        let round = std::mem::take(&mut self.round);
        self.round.pending = round.pending;
        self.round.failed = round.failed;
        self.round.snapless = round.snapless;
        self.round.unkept = round.unkept;
        if !self.options.synced {
            self.unsynced.extend(round.touched.into_iter().map(|(key, (_, dir))| (key, dir)));
            self.unsynced_dirs.extend(round.dirs);
            self.round.others = round.others;
            return Ok(());
        }
        let files = round.touched.into_values().map(|(file, _)| file).chain(round.others).collect();
        self.sync(files, round.dirs.into_iter().collect())?;
        self.drop_superseded()
    }

    fn sync(&mut self, files: Vec<D::File>, dirs: Vec<String>) -> Result<(), Trouble> {
        let dirs: Vec<&str> = dirs.iter().map(String::as_str).collect();
        Ok(self.shelf.disk.sync(&files, &dirs)?)
    }

    fn drop_superseded(&mut self) -> Result<(), Trouble> {
        for path in self.superseded.drain(..) {
            frame::remove_if_there(&self.shelf.disk, &path)?;
        }
        Ok(())
    }

    /// Empties some of what has been renamed away, if that is durable.
    pub(crate) fn reclaim_some(&mut self) -> Result<(), Trouble> {
        let n = if self.logs.values().any(|l| l.full) { usize::MAX } else { RECLAIMED_A_ROUND };
        let now: Vec<Reclaim> = self.reclaim.drain(..n.min(self.reclaim.len())).collect();
        let mut later = Vec::new();
        for item in now {
            let (Reclaim::Segment { dir: parent, .. } | Reclaim::Directory(parent)) = &item;
            let parent = if matches!(item, Reclaim::Directory(_)) { "" } else { parent.as_str() };
            if !self.options.synced {
                self.shelf.disk.sync(&[], &[parent])?;
            }
            match empty(&self.shelf.disk, &item) {
                Ok(()) => self.markers.push(item),
                Err(e) if e.is_shortage() => later.push(item),
                Err(e) => return Err(e.into()),
            }
        }
        self.reclaim.extend(later);
        Ok(())
    }

    /// Makes everything durable and says so in the recovery point. On a full disk the recovery point stays where it was.
    pub(crate) fn checkpoint(&mut self, clean: bool) -> Result<bool, Trouble> {
        self.settle_everything(clean)?;
        self.save_point(clean)
    }

    /// Everything up to the recovery point itself.
    pub(crate) fn settle_everything(&mut self, clean: bool) -> Result<(), Trouble> {
        self.flush_all()?;
        self.draw_back_idle(clean)?;
        self.file_indexes(clean)?;
        self.file_epochs()?;
        self.sync_round()?;
        self.sync_late()?;
        for _ in 0..self.reclaim.len().div_ceil(RECLAIMED_A_ROUND) {
            self.reclaim_some()?;
        }
        Ok(())
    }

    /// Syncs what earlier rounds have left unsynced.
    fn sync_late(&mut self) -> Result<(), Trouble> {
        let (keys, dirs) = (std::mem::take(&mut self.unsynced), std::mem::take(&mut self.unsynced_dirs));
        let mut files = std::mem::take(&mut self.round.others);
        for (key, dir) in keys {
            files.push(match self.shelf.files.get(&key) {
                Some(file) => file,
                None => self.shelf.disk.open(&names::file(&dir, key.base, FileKind::Log))?,
            });
        }
        self.sync(files, dirs.into_iter().collect())?;
        self.drop_superseded()
    }

    /// Writes the recovery point as everything is now. Answers whether there was room for it.
    pub(crate) fn save_point(&mut self, clean: bool) -> Result<bool, Trouble> {
        let logs = self.logs.iter().filter_map(|(log, lane)| log_point(*log, lane)).collect();
        match point::save(&self.shelf.disk, &RecoveryPoint { clean, removals: self.removals, logs }) {
            Ok(()) => {}
            Err(e) if e.is_shortage() => return Ok(false),
            Err(e) => return Err(e.into()),
        }
        for lane in self.logs.values_mut() {
            lane.point_end = read(&lane.state).end;
            lane.written = false;
            lane.rebirth.take_if(|rebirth| matches!(rebirth, Rebirth::Made));
        }
        for marker in self.markers.drain(..) {
            match marker {
                Reclaim::Segment { path, .. } => frame::remove_if_there(&self.shelf.disk, &path)?,
                Reclaim::Directory(path) => remove_dir_if_there(&self.shelf.disk, &path)?,
            }
        }
        Ok(true)
    }

    /// Writes the indexes of segments that are left, and of those written whose files have fallen behind; what is not
    /// being written is then dropped from memory. Never synced: after a power cut their checksums tell.
    fn file_indexes(&mut self, clean: bool) -> Result<(), Trouble> {
        for (log, lane) in &self.logs {
            let count = read(&lane.state).segments.len();
            for i in 0..count {
                let idle = i + 1 < count || !lane.written;
                let (view, encoded, behind) = {
                    let mut state = write(&lane.state);
                    let segment = &mut state.segments[i];
                    let Some(indexes) = &mut segment.loaded else { continue };
                    let behind = segment.span.bytes - segment.filed_bytes;
                    if !(idle || clean || behind >= INDEX_BEHIND) {
                        continue;
                    }
                    indexes.note_peak();
                    let encoded = indexes.encode();
                    (state.view(*log, i), encoded, behind)
                };
                let filed =
                    if behind > 0 { Some(file_index(&self.shelf.disk, &view, encoded)?) } else { None };
                let segment = &mut write(&lane.state).segments[i];
                if let Some(filed) = filed {
                    (segment.filed, segment.filed_bytes) = (filed, view.span.bytes);
                }
                if idle {
                    segment.loaded = None;
                }
            }
        }
        Ok(())
    }

    /// Writes the epoch files that are behind, all of them synced at once.
    fn file_epochs(&mut self) -> Result<(), Trouble> {
        let mut files = Vec::new();
        for lane in self.logs.values_mut().filter(|l| l.epochs_changed && !l.missing) {
            let state = read(&lane.state);
            let path = format!("{}/{}", state.dir, names::EPOCHS);
            if let Some(file) = EpochFile::begin(&self.shelf.disk, path, &state.epochs)? {
                self.round.dirs.insert(state.dir.to_string());
                files.push(file);
                lane.epochs_changed = false;
            }
        }
        Ok(EpochFile::finish(&self.shelf.disk, files)?)
    }

    pub(crate) fn keep_producers(
        &mut self,
        log: LogId,
        at: Offset,
        table: &ProducerTable,
    ) -> Result<(), Trouble> {
        self.check_usable(log)?;
        self.flush(log)?;
        let lane = self.lane(log);
        let (dir, end) = {
            let state = read(&lane.state);
            (Arc::clone(&state.dir), state.end)
        };
        assert!(at == end, "producers of {log:?} as of {at}, the log ends at {end}");
        let known = lane.producers.replay_from.is_none();
        if known && (lane.producers.at == Some(at) || (lane.producers.at.is_none() && table.is_empty())) {
            return Ok(());
        }
        self.make_files(log)?;
        let contents = postcard::to_stdvec(table).expect("plain values always encode");
        let path = names::file(&dir, at, FileKind::Producers);
        let Some(file) = write_new(&self.shelf.disk, &path, frame::seal(KEPT_VERSION, &contents))? else {
            return Ok(());
        };
        self.round.others.push(file);
        self.round.dirs.insert(dir.to_string());
        let lane = self.lane(log);
        (lane.producers.at, lane.producers.replay_from) = (Some(at), None);
        lane.producer_files.retain(|f| *f != at);
        lane.producer_files.push(at);
        let old = lane.producer_files.len().saturating_sub(PRODUCER_FILES);
        let old: Vec<Offset> = lane.producer_files.drain(..old).collect();
        self.superseded.extend(old.into_iter().map(|at| names::file(&dir, at, FileKind::Producers)));
        Ok(())
    }

    pub(crate) fn keep_snapshot(
        &mut self,
        log: LogId,
        at: (Offset, LeaderEpoch),
        bytes: &Bytes,
    ) -> Result<(), Trouble> {
        let kept = self.write_snapshot(log, at, bytes);
        if kept.is_err() {
            self.round.snapless.insert(log);
        }
        kept
    }

    fn write_snapshot(
        &mut self,
        log: LogId,
        at: (Offset, LeaderEpoch),
        bytes: &Bytes,
    ) -> Result<(), Trouble> {
        self.check_usable(log)?;
        if self.lane(log).snapshot.is_some_and(|newest| newest > at) {
            // One of another broker, that came too late to be begun from. It has all that this one has.
            return Ok(());
        }
        self.make_files(log)?;
        let dir = Arc::clone(&read(&self.lane(log).state).dir);
        let kept = frame::replace(
            &self.shelf.disk,
            &names::snapshot(&dir, at.0, at.1),
            frame::seal(KEPT_VERSION, bytes),
            true,
        );
        self.or_full(log, kept)?;
        self.round.dirs.insert(dir.to_string());
        let before = self.lane(log).snapshot.replace(at).filter(|before| *before != at);
        self.superseded.extend(before.map(|(offset, epoch)| names::snapshot(&dir, offset, epoch)));
        Ok(())
    }

    pub(crate) fn trim(&mut self, log: LogId, start: Offset) -> Result<(), Trouble> {
        self.flush(log)?;
        if self.lane(log).rebirth.is_some() {
            return self.check_usable(log);
        }
        if self.round.snapless.contains(&log) || read(&self.lane(log).state).offline.is_some() {
            let message =
                "the log is not trimmed: its snapshot could not be kept, or it is offline".to_string();
            return Err(Trouble::Log(LogFailure { log, full: false, message }));
        }
        let lane = self.lane(log);
        let (dir, below) = {
            let mut state = write(&lane.state);
            assert!(start <= state.end, "{log:?} is trimmed to {start}, it ends at {}", state.end);
            if start <= state.start {
                return Ok(());
            }
            state.start = start;
            super::state::LogState::trim_epochs(&mut state.epochs, start);
            // Without room for their snapshot, producers are still to be had from the batches alone.
            let needed = lane.producers.replay_from.map_or(start, |from| from.min(start));
            let keep = state.segment_of(needed);
            let below: Vec<View> = (0..keep).map(|i| state.view(log, i)).collect();
            state.segments.drain(..keep);
            (Arc::clone(&state.dir), below)
        };
        lane.epochs_changed = true;
        if !below.is_empty() {
            self.settle_dir(&dir)?;
        }
        for view in below {
            self.send_away(&view)?;
            self.round.dirs.insert(dir.to_string());
        }
        Ok(())
    }

    /// Makes sure that what stays is durably there before the segments below it go: the entries of the other segments, and
    /// the producers that are known by nothing else any more.
    fn settle_dir(&mut self, dir: &str) -> Result<(), Trouble> {
        if self.options.synced && !self.round.dirs.contains(dir) {
            return Ok(());
        }
        self.sync_round()?;
        self.sync_late()
    }

    /// Renames a segment that is below the start of its log, to be emptied once that is durable.
    fn send_away(&mut self, view: &View) -> Result<(), Trouble> {
        let (disk, path) = (&self.shelf.disk, view.path(FileKind::Log));
        let gone = format!("{path}{DELETED}");
        disk.rename(&path, &gone)?;
        frame::remove_if_there(disk, &view.path(FileKind::Index))?;
        frame::remove_if_there(disk, &view.path(FileKind::TimeIndex))?;
        self.shelf.files.forget(&view.key);
        self.shelf.indexes.forget(&view.key);
        self.round.touched.remove(&view.key);
        self.unsynced.remove(&view.key);
        self.reclaim.push(Reclaim::Segment { path: gone, dir: view.dir.to_string() });
        Ok(())
    }

    pub(crate) fn remove(&mut self, log: LogId) -> Result<(), Trouble> {
        self.lane(log);
        let lane = self.logs.remove(&log).expect("looked at just now");
        self.shelf.take(log);
        self.round.pending.remove(&log);
        self.round.touched.retain(|key, _| key.log != log);
        self.unsynced.retain(|key, _| key.log != log);
        let dir = read(&lane.state).dir.to_string();
        self.round.dirs.remove(&dir);
        self.unsynced_dirs.remove(&dir);
        let inside = format!("{dir}/");
        self.superseded.retain(|path| !path.starts_with(&inside));
        self.removals += 1;
        let gone = names::deleted_dir(&dir, self.removals);
        match self.shelf.disk.rename(&dir, &gone) {
            Ok(()) => {}
            Err(e) if e.kind == DiskErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e.into()),
        }
        self.reclaim.retain(|r| !matches!(r, Reclaim::Segment { dir: d, .. } if *d == dir));
        self.markers.retain(|r| !matches!(r, Reclaim::Segment { dir: d, .. } if *d == dir));
        self.round.dirs.insert(String::new());
        self.reclaim.push(Reclaim::Directory(gone));
        Ok(())
    }
}

fn log_point(log: LogId, lane: &Lane) -> Option<LogPoint> {
    if lane.damaged.is_some() || lane.missing {
        return lane.damaged.clone();
    }
    if let Some(Rebirth::Due(new)) = &lane.rebirth {
        return Some(bare_point(log, lane, *new));
    }
    let state = read(&lane.state);
    let segments = state.segments.iter().map(|s| SegmentPoint { span: s.span, index: s.filed }).collect();
    // An empty last segment has no batch to be known by.
    let active = state.segments.last().map(|s| s.span.bytes).filter(|bytes| *bytes > 0);
    Some(LogPoint {
        log,
        dir: state.dir.to_string(),
        start: state.start,
        end: state.end,
        interval: state.interval,
        segments,
        witness: lane.last.filter(|last| Some(last.position + last.size) == active),
        epochs: state.epochs.clone(),
        producers: lane.producers.clone(),
        snapshot: lane.snapshot,
    })
}

/// Writes the two index files of a segment; `None` when there was no room, which costs a walk later.
fn file_index<D: Disk>(disk: &D, view: &View, contents: (Bytes, Bytes)) -> DiskResult<Option<IndexSum>> {
    let sum = IndexSum::of(&contents.0, &contents.1);
    if contents.0.is_empty() && contents.1.is_empty() {
        return Ok(None);
    }
    let offsets = write_new(disk, &view.path(FileKind::Index), contents.0)?;
    let times = write_new(disk, &view.path(FileKind::TimeIndex), contents.1)?;
    Ok((offsets.is_some() && times.is_some()).then_some(sum))
}

/// Makes a file; `None`, and no file, when there was no room.
fn write_new<D: Disk>(disk: &D, path: &str, contents: Bytes) -> DiskResult<Option<D::File>> {
    let written = disk.create(path).and_then(|file| disk.write_at(&file, 0, &[contents]).map(|()| file));
    match written {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.is_shortage() => frame::remove_if_there(disk, path).map(|()| None),
        Err(e) => Err(e),
    }
}

fn empty<D: Disk>(disk: &D, item: &Reclaim) -> DiskResult<()> {
    match item {
        Reclaim::Segment { path, .. } => disk.set_len(&disk.open(path)?, 0),
        Reclaim::Directory(path) => {
            let names = disk.list(path)?;
            names.iter().try_for_each(|(name, _)| disk.remove(&format!("{path}/{name}")))
        }
    }
}

pub(crate) fn remove_dir_if_there<D: Disk>(disk: &D, path: &str) -> DiskResult<()> {
    match disk.remove_dir(path) {
        Err(e) if e.kind == DiskErrorKind::NotFound => Ok(()),
        other => other,
    }
}
