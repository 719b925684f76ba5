//! Reading a log from its recovery point on: what is good is kept and synced, the first bad batch ends it.

use std::sync::Arc;

use super::error::{ReadError, StorageError};
use super::names::{self, FileKind};
use super::ops::EpochStart;
use super::point::Witness;
use super::recover_log::{Files, Found, standing};
use super::state::{LogState, Segment};
use super::store::Store;
use super::walk::{Step, Stumble, Walk};
use crate::disk::{Disk, DiskResult};
use crate::ids::{LeaderEpoch, Offset};

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// What is left of a log.
pub(crate) struct Scanned {
    pub(crate) segments: Vec<Segment>,
    pub(crate) end: Offset,
    pub(crate) epochs: Vec<EpochStart>,
    pub(crate) last: Option<Witness>,
}

/// Reads a log from where the recovery point leaves off, or whole. Answers why it is damaged, where that is so.
pub(crate) fn scan<D: Disk>(
    store: &mut Store<D>,
    found: &Found,
    dir: &str,
    files: &Files,
) -> Result<Result<Scanned, String>, StorageError> {
    let mut scanned = begin(store, found, files);
    let mut touched = Vec::new();
    let first = scanned.active_base();
    for (base, bytes) in files.segments.range(first..) {
        let from = scanned.segments.last().filter(|s| s.span.base == *base).map_or(0, |s| s.span.bytes);
        let read = match scanned.segments.last().filter(|s| s.span.base == *base) {
            Some(_) => scanned.rest_of(store, dir, *bytes)?,
            None => scanned.next_segment(store, dir, (*base, *bytes))?,
        };
        let next = files.segments.range(Offset(base.0 + 1)..).next().map(|(base, _)| *base);
        // Where the next segment begins just here nothing is missing: what lies behind is what was cut when it was sealed.
        let torn = read.torn.filter(|_| next != Some(scanned.end));
        if let Some(file) = read.file {
            touched.push(Touched { file, from, to: scanned.bytes() });
        } else if next.is_some() && !found.clean && torn.is_none() {
            // That cut may not be durable: were it taken back, what follows could be lost with it.
            let file = store.shelf.disk.open(&names::file(dir, *base, FileKind::Log))?;
            touched.push(Touched { file, from: scanned.bytes(), to: scanned.bytes() });
        }
        let Some((from, why)) = torn else { continue };
        if found.rescan && next.is_some() {
            return Ok(Err(why));
        }
        // Before anything is cut: a segment without its torn end would seem to be followed by what is dropped.
        drop_later(&store.shelf.disk, dir, files, from)?;
        break;
    }
    if scanned.segments.is_empty() {
        return Ok(Err(format!("the segments of {dir} that the recovery point names are missing")));
    }
    sync(&store.shelf.disk, dir, &touched, found.clean)?;
    index_left(store, found, dir, scanned)
}

/// A segment file with what nothing vouches for: a stretch that was read, or only its length. It ends where that does.
struct Touched<F> {
    file: F,
    from: u64,
    to: u64,
}

/// What came of reading a segment.
struct ReadOn<F> {
    /// Its file, if it was looked into.
    file: Option<F>,
    /// Where the log ends before the segment does: the first segment that cannot belong to it any more, and why.
    torn: Option<(Offset, String)>,
}

fn begin<D: Disk>(store: &mut Store<D>, found: &Found, files: &Files) -> Scanned {
    let Some(point) = &found.point else {
        let end = files.segments.keys().next().copied().unwrap_or_default();
        return Scanned { segments: Vec::new(), end, epochs: Vec::new(), last: None };
    };
    let standing = standing(point, files);
    let points = &point.segments[point.segments.len() - standing.len()..];
    let segments: Vec<Segment> = points
        .iter()
        .map(|s| Segment {
            span: s.span,
            birth: store.next_birth(),
            loaded: None,
            filed: s.index,
            filed_bytes: if s.index.is_some() { s.span.bytes } else { 0 },
        })
        .collect();
    // All it knew has been trimmed since: what stands begins with the first segment after that.
    let end = match segments.is_empty() {
        true => files.segments.keys().next().copied().unwrap_or(point.end),
        false => point.end,
    };
    let last = point.witness.filter(|_| !segments.is_empty());
    Scanned { segments, end, epochs: point.epochs.clone(), last }
}

impl Scanned {
    fn active_base(&self) -> Offset {
        self.segments.last().map_or(Offset(0), |s| s.span.base)
    }

    fn bytes(&self) -> u64 {
        self.segments.last().map_or(0, |s| s.span.bytes)
    }

    /// Begins with the next segment, if it is the one that follows.
    fn next_segment<D: Disk>(
        &mut self,
        store: &mut Store<D>,
        dir: &str,
        segment: (Offset, u64),
    ) -> Result<ReadOn<D::File>, StorageError> {
        let (base, bytes) = segment;
        if base != self.end {
            let why = format!("the log {dir} ends at offset {}, the next segment begins at {base}", self.end);
            return Ok(ReadOn { file: None, torn: Some((base, why)) });
        }
        self.segments.push(Segment::empty(base, store.next_birth()));
        self.rest_of(store, dir, bytes)
    }

    /// Reads what the last segment has beyond what is known of it.
    fn rest_of<D: Disk>(
        &mut self,
        store: &mut Store<D>,
        dir: &str,
        bytes: u64,
    ) -> Result<ReadOn<D::File>, StorageError> {
        if bytes == self.bytes() {
            return Ok(ReadOn { file: None, torn: None });
        }
        let (disk, base) = (&store.shelf.disk, self.active_base());
        let path = names::file(dir, base, FileKind::Log);
        let file = disk.open(&path)?;
        match self.read_on(disk, file.clone(), bytes, store.options.index_interval_bytes) {
            Ok(()) => Ok(ReadOn { file: Some(file), torn: None }),
            Err(Stumble::Io(e)) => Err(e.into()),
            Err(Stumble::Bad { position, why }) => {
                let why = format!("{path} is damaged at byte {position} (offset {}): {why}", self.end);
                Ok(ReadOn { file: Some(file), torn: Some((Offset(base.0 + 1), why)) })
            }
        }
    }

    /// Reads the last segment on, up to `limit`.
    fn read_on<D: Disk>(
        &mut self,
        disk: &D,
        file: D::File,
        limit: u64,
        interval: u32,
    ) -> Result<(), Stumble> {
        let epoch = self.epochs.last().map_or(LeaderEpoch(i32::MIN), |e| e.epoch);
        let mut walk =
            Walk::headers(disk, file, self.bytes(), limit).whole(CHUNK).expecting(self.end).not_before(epoch);
        while let Some(step) = walk.next()? {
            self.note(&step, interval);
        }
        Ok(())
    }

    fn note(&mut self, step: &Step, interval: u32) {
        let header = &step.header;
        let segment = self.segments.last_mut().expect("one is being read");
        if step.position == 0 {
            segment.span.first_timestamp = header.max_timestamp;
        }
        segment.span.bytes = step.position + step.size;
        segment.span.max_timestamp = segment.span.max_timestamp.max(header.max_timestamp);
        if let Some(indexes) = &mut segment.loaded {
            indexes.note(header, (step.position, step.size), interval);
        }
        if self.epochs.last().is_none_or(|e| e.epoch < header.leader_epoch) {
            self.epochs.push(EpochStart { epoch: header.leader_epoch, start: header.base_offset });
        }
        let (position, size) = (step.position, step.size);
        self.last = Some(Witness { base: header.base_offset, position, size, crc: header.crc });
        self.end = header.next_offset();
    }
}

/// Removes the segments that cannot belong to the log any more, the last one first.
fn drop_later<D: Disk>(disk: &D, dir: &str, files: &Files, from: Offset) -> DiskResult<()> {
    let later: Vec<Offset> = files.segments.range(from..).rev().map(|(base, _)| *base).collect();
    if later.is_empty() {
        return Ok(());
    }
    later.iter().try_for_each(|base| disk.remove(&names::file(dir, *base, FileKind::Log)))?;
    disk.sync(&[], &[dir])
}

/// What a crash left is not known to be on disk, even if it reads well: it is written again and synced before it counts.
/// A sync alone would not do: after one that failed the system counts pages and lengths as clean, and the next one says Ok.
fn sync<D: Disk>(disk: &D, dir: &str, touched: &[Touched<D::File>], clean: bool) -> DiskResult<()> {
    touched.iter().try_for_each(|t| write_again(disk, t))?;
    let files: Vec<D::File> = touched.iter().map(|t| t.file.clone()).collect();
    let dirs = ["", dir];
    disk.sync(&files, if clean { &[] } else { &dirs })
}

fn write_again<D: Disk>(disk: &D, touched: &Touched<D::File>) -> DiskResult<()> {
    disk.set_len(&touched.file, touched.to)?;
    let mut at = touched.from;
    while at < touched.to {
        let len = usize::try_from(touched.to - at).map_or(CHUNK, |left| left.min(CHUNK));
        let bytes = disk.read_at(&touched.file, at, len)?;
        if bytes.is_empty() {
            break;
        }
        let next = at + bytes.len() as u64;
        disk.write_at(&touched.file, at, &[bytes])?;
        at = next;
    }
    Ok(())
}

/// A segment of the recovery point that grew and is no longer the last one gets the rest of its indexes now.
fn index_left<D: Disk>(
    store: &mut Store<D>,
    found: &Found,
    dir: &str,
    mut scanned: Scanned,
) -> Result<Result<Scanned, String>, StorageError> {
    let Some(point) = &found.point else { return Ok(Ok(scanned)) };
    let old = point.segments.last().map(|s| s.span.base);
    let count = scanned.segments.len();
    let Some(i) = scanned.segments[..count - 1].iter().position(|s| Some(s.span.base) == old) else {
        return Ok(Ok(scanned));
    };
    let state = LogState {
        dir: Arc::from(dir),
        start: point.start,
        end: scanned.end,
        interval: point.interval,
        segments: vec![scanned.segments[i].clone()],
        epochs: Vec::new(),
        offline: None,
    };
    match store.shelf.whole_indexes(&state.view(found.log, 0)) {
        Ok(indexes) => scanned.segments[i].loaded = Some(Box::new((*indexes).clone())),
        Err(ReadError::Gone(why) | ReadError::Damaged(why)) => return Ok(Err(why)),
        // A disk that cannot be read says nothing of the log: the start fails, as it does wherever else that happens.
        Err(ReadError::Io(e)) => return Err(e.into()),
    }
    Ok(Ok(scanned))
}
