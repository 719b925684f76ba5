//! What lane and readers share: the present shape of every log, under short locks that are never held over I/O.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::cache::{Cache, SegmentKey};
use super::error::ReadError;
use super::frame;
use super::index::{IndexSum, Indexes, Place};
use super::names::{self, FileKind};
use super::ops::{EpochStart, SegmentSpan};
use super::walk::{Stumble, Walk};
use crate::disk::{Disk, DiskErrorKind, DiskResult};
use crate::ids::{LogId, Offset};

/// One log, as it is now.
#[derive(Clone, Debug)]
pub(crate) struct LogState {
    pub(crate) dir: Arc<str>,
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    pub(crate) interval: u32,
    pub(crate) segments: Vec<Segment>,
    pub(crate) epochs: Vec<EpochStart>,
    /// Why the log is offline: what is damaged, and where.
    pub(crate) offline: Option<String>,
}

/// One segment of it.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) span: SegmentSpan,
    /// Tells this state of the file from those before a cut.
    pub(crate) birth: u64,
    /// Its indexes while they are in memory: always when batches are being added to it.
    pub(crate) loaded: Option<Box<Indexes>>,
    /// What its index files look like, if they were written. They may lack the newest entries.
    pub(crate) filed: Option<IndexSum>,
    /// Bytes of the segment when they were written.
    pub(crate) filed_bytes: u64,
}

/// What a reader takes along from under the lock: one segment, and where in it to begin.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) key: SegmentKey,
    pub(crate) dir: Arc<str>,
    pub(crate) span: SegmentSpan,
    pub(crate) interval: u32,
    filed: Option<IndexSum>,
}

impl Segment {
    /// A segment without batches.
    pub(crate) fn empty(base: Offset, birth: u64) -> Segment {
        let span = SegmentSpan {
            base,
            bytes: 0,
            first_timestamp: crate::time::Timestamp(-1),
            max_timestamp: crate::time::Timestamp(-1),
        };
        Segment { span, birth, loaded: Some(Box::new(Indexes::new(base))), filed: None, filed_bytes: 0 }
    }
}

impl LogState {
    /// Which segment holds the offset, or would.
    pub(crate) fn segment_of(&self, offset: Offset) -> usize {
        self.segments.partition_point(|s| s.span.base <= offset).saturating_sub(1)
    }

    /// The segment that is being written.
    pub(crate) fn active(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a log has a segment")
    }

    /// One of its segments, to take along.
    pub(crate) fn view(&self, log: LogId, segment: usize) -> View {
        let s = &self.segments[segment];
        View {
            key: SegmentKey { log, base: s.span.base, birth: s.birth },
            dir: Arc::clone(&self.dir),
            span: s.span,
            interval: self.interval,
            filed: s.filed,
        }
    }

    /// Takes the start forward: epochs that ended before it are forgotten, the one it lies in begins there.
    pub(crate) fn trim_epochs(epochs: &mut Vec<EpochStart>, start: Offset) {
        let below = epochs.partition_point(|e| e.start <= start);
        epochs.drain(..below.saturating_sub(1));
        if let Some(first) = epochs.first_mut().filter(|_| below > 0) {
            first.start = start;
        }
    }
}

impl View {
    /// The path of one of its files.
    pub(crate) fn path(&self, kind: FileKind) -> String {
        names::file(&self.dir, self.span.base, kind)
    }

    /// How damage in it is reported.
    pub(crate) fn damage(&self, position: u64, offset: Offset, why: &str) -> String {
        format!("{} is damaged at byte {position} (offset {offset}): {why}", self.path(FileKind::Log))
    }
}

/// Every log of the directory.
pub(crate) struct Shelf<D: Disk> {
    pub(crate) disk: D,
    logs: Arc<RwLock<BTreeMap<LogId, Arc<RwLock<LogState>>>>>,
    pub(crate) files: Cache<D::File>,
    pub(crate) indexes: Cache<Arc<Indexes>>,
}

impl<D: Disk> Clone for Shelf<D> {
    fn clone(&self) -> Self {
        Shelf {
            disk: self.disk.clone(),
            logs: Arc::clone(&self.logs),
            files: self.files.clone(),
            indexes: self.indexes.clone(),
        }
    }
}

impl<D: Disk> Shelf<D> {
    /// An empty one that keeps so many files open and so many bytes of indexes.
    pub(crate) fn new(disk: D, open_files: usize, index_bytes: usize) -> Shelf<D> {
        let (files, indexes) = (Cache::new(open_files), Cache::new(index_bytes));
        Shelf { disk, logs: Arc::default(), files, indexes }
    }

    /// Puts a log there.
    pub(crate) fn put(&self, log: LogId, state: LogState) -> Arc<RwLock<LogState>> {
        let shared = Arc::new(RwLock::new(state));
        write(&self.logs).insert(log, Arc::clone(&shared));
        shared
    }

    /// Takes a log away.
    pub(crate) fn take(&self, log: LogId) {
        write(&self.logs).remove(&log);
    }

    /// A log, if it is there.
    pub(crate) fn log(&self, log: LogId) -> Option<Arc<RwLock<LogState>>> {
        read(&self.logs).get(&log).cloned()
    }

    /// The open file of a segment.
    pub(crate) fn file(&self, view: &View) -> DiskResult<D::File> {
        if let Some(file) = self.files.get(&view.key) {
            return Ok(file);
        }
        let file = self.disk.open(&view.path(FileKind::Log))?;
        self.files.put(view.key, file.clone(), 1);
        Ok(file)
    }

    /// The indexes of a segment that are not in memory: from their files as far as these match, and the rest, or else all,
    /// from the batches themselves. Where a batch is damaged they end: whoever goes on from there will meet it.
    pub(crate) fn indexes(&self, view: &View) -> Result<Arc<Indexes>, ReadError> {
        self.gather(view).map(|(indexes, _)| indexes)
    }

    /// The same, or the damage.
    pub(crate) fn whole_indexes(&self, view: &View) -> Result<Arc<Indexes>, ReadError> {
        let (indexes, damage) = self.gather(view)?;
        damage.map_or(Ok(indexes), Err)
    }

    fn gather(&self, view: &View) -> Result<(Arc<Indexes>, Option<ReadError>), ReadError> {
        match self.indexes.get(&view.key) {
            Some(indexes) => Ok((indexes, None)),
            None => {
                let filed = self.filed(view).map_err(ReadError::Io)?;
                self.complete(view, filed.unwrap_or_else(|| Indexes::new(view.span.base)))
            }
        }
    }

    /// The indexes of a segment made again from its batches alone.
    pub(crate) fn reindex(&self, view: &View) -> Result<Arc<Indexes>, ReadError> {
        self.complete(view, Indexes::new(view.span.base)).map(|(indexes, _)| indexes)
    }

    fn filed(&self, view: &View) -> DiskResult<Option<Indexes>> {
        let Some(sum) = view.filed else { return Ok(None) };
        let offsets = frame::read_whole(&self.disk, &view.path(FileKind::Index))?.unwrap_or_default();
        let times = frame::read_whole(&self.disk, &view.path(FileKind::TimeIndex))?.unwrap_or_default();
        Ok(Indexes::decode(view.span.base, (&offsets, &times), &sum))
    }

    fn complete(
        &self,
        view: &View,
        mut indexes: Indexes,
    ) -> Result<(Arc<Indexes>, Option<ReadError>), ReadError> {
        if view.span.bytes == 0 {
            // There may be no file yet.
            return Ok((Arc::new(Indexes::new(view.span.base)), None));
        }
        let place = indexes.place(Offset(i64::MAX));
        let file = self.file(view).map_err(|e| gone_or_io(view, e))?;
        let position = place.map_or(0, |p| p.position);
        let mut walk = Walk::headers(&self.disk, file, position, view.span.bytes);
        if place.is_none() {
            walk = walk.expecting(view.span.base);
        }
        let mut next = place.map_or(view.span.base, |p: Place| p.last);
        let damage = loop {
            match walk.next() {
                Ok(None) => break None,
                Ok(Some(step)) => {
                    next = step.header.next_offset();
                    indexes.renote(&step.header, (step.position, step.size), view.interval);
                }
                Err(stumble) => match stumbled(view, next, stumble) {
                    ReadError::Io(e) => return Err(ReadError::Io(e)),
                    damage => break Some(damage),
                },
            }
        };
        let indexes = Arc::new(indexes);
        if damage.is_none() {
            self.indexes.put(view.key, Arc::clone(&indexes), indexes.bytes());
        }
        Ok((indexes, damage))
    }
}

/// What a stumble in a segment means to a reader who expected `offset` there.
pub(crate) fn stumbled(view: &View, offset: Offset, stumble: Stumble) -> ReadError {
    match stumble {
        Stumble::Bad { position, why } => ReadError::Damaged(view.damage(position, offset, &why)),
        Stumble::Io(e) => gone_or_io(view, e),
    }
}

/// A file that is not there is taken for one that has gone; the reader then looks whether that can be.
pub(crate) fn gone_or_io(view: &View, e: crate::disk::DiskError) -> ReadError {
    match e.kind {
        DiskErrorKind::NotFound => ReadError::Damaged(view.damage(0, view.span.base, "the file is missing")),
        _ => ReadError::Io(e),
    }
}

/// Locks for reading. A panic of another thread does not spoil the state: every change to it is made in one piece.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for writing.
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
