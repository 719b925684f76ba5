//! Reading while the lane writes: whole batches, each checked before it is served.

use std::sync::{Arc, RwLock};

use bytes::Bytes;

use super::cache::SegmentKey;
use super::error::ReadError;
use super::index::{Indexes, Place};
use super::ops::LogRange;
use super::state::{LogState, Segment, Shelf, View, read, stumbled};
use super::walk::{Step, Stumble, Walk};
use crate::disk::Disk;
use crate::ids::{LogId, Offset};
use crate::record::Batch;

/// Bytes read from a file at once, at least and at most (a larger batch is read whole).
const CHUNK: (usize, usize) = (16 << 10, 1 << 20);
/// How often a read begins again since the lane has cut or trimmed the log under it.
const ATTEMPTS: usize = 5;

/// Reads the logs of one directory from any thread. Clones share everything.
pub struct Reader<D: Disk> {
    pub(crate) shelf: Shelf<D>,
}

impl<D: Disk> Clone for Reader<D> {
    fn clone(&self) -> Self {
        Reader { shelf: self.shelf.clone() }
    }
}

/// What a read brought, and by what it can be told later whether it is still what the log has there.
#[derive(Debug)]
pub struct Stretch {
    /// What was to be read.
    pub range: LogRange,
    /// The bytes of whole batches, in order and in as few pieces as they were read in.
    pub chunks: Vec<Bytes>,
    /// The offset after the last batch; where the read began if there is none.
    pub next: Offset,
    /// Where they come from.
    pub sources: Sources,
}

/// The segments, in the state that they were in, that a stretch comes from. The default is none: it comes from no disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(Vec<SegmentKey>);

/// What a read has gathered.
#[derive(Default)]
struct Gathered {
    batches: Vec<Batch>,
    sources: Sources,
    /// The same bytes, contiguous wherever they were read so.
    runs: Vec<Bytes>,
    bytes: usize,
    /// Whether there is no room, or no need, for more.
    done: bool,
}

impl<D: Disk> Reader<D> {
    pub(crate) fn new(shelf: Shelf<D>) -> Reader<D> {
        Reader { shelf }
    }

    /// The bytes of whole batches, as they go out to a consumer, in order and in as few pieces as they were read in. The
    /// first may begin before `range.from`, which then lies in it. Empty when there is nothing below `range.below`, or
    /// the first batch is too large and need not be sent.
    ///
    /// # Errors
    /// See [`ReadError`]. Of a damaged stretch nothing is answered; what comes before it is, on its own.
    pub fn read(&self, range: LogRange) -> Result<Vec<Bytes>, ReadError> {
        self.stretch(range).map(|stretch| stretch.chunks)
    }

    /// The same, to be kept for a while: before it is served, [`Reader::stands`] says whether it still can be.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn stretch(&self, range: LogRange) -> Result<Stretch, ReadError> {
        let gathered = self.gather(range)?;
        let next = gathered.batches.last().map_or(range.from, |batch| batch.header().next_offset());
        Ok(Stretch { range, chunks: gathered.runs, next, sources: gathered.sources })
    }

    /// Whether reading this stretch again would bring the same batches, and perhaps more: the log still begins at or before
    /// it, and none of its segments has been cut, made anew or removed since. Looks in memory only.
    pub fn stands(&self, stretch: &Stretch) -> bool {
        let Some(state) = self.shelf.log(stretch.range.log) else { return false };
        let state = read(&state);
        let there = |source: &SegmentKey| {
            state.segments.iter().any(|s| (s.span.base, s.birth) == (source.base, source.birth))
        };
        state.offline.is_none() && state.start <= stretch.range.from && stretch.sources.0.iter().all(there)
    }

    /// The same as parsed batches.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn batches(&self, range: LogRange) -> Result<Vec<Batch>, ReadError> {
        self.gather(range).map(|g| g.batches)
    }

    fn gather(&self, range: LogRange) -> Result<Gathered, ReadError> {
        let mut gathered = Gathered::default();
        let mut next = range.from;
        while !gathered.done && next < range.below {
            match self.one_segment(&range, next, &mut gathered) {
                Ok(Some(after)) => next = after,
                Ok(None) => break,
                // What was read before the trouble is good, and the next read begins at the trouble.
                Err(_) if !gathered.batches.is_empty() => break,
                Err(e) => return Err(e),
            }
        }
        Ok(gathered)
    }

    /// Reads on in the segment that holds `from`. Answers where the next one begins.
    fn one_segment(
        &self,
        range: &LogRange,
        from: Offset,
        gathered: &mut Gathered,
    ) -> Result<Option<Offset>, ReadError> {
        let (had_batches, had_runs, had_bytes) =
            (gathered.batches.len(), gathered.runs.len(), gathered.bytes);
        let had_sources = gathered.sources.0.len();
        self.stable(range.log, |state| {
            gathered.batches.truncate(had_batches);
            gathered.runs.truncate(had_runs);
            gathered.sources.0.truncate(had_sources);
            (gathered.bytes, gathered.done) = (had_bytes, false);
            let (view, end) = view_at(state, range.log, from)?;
            if from >= end {
                return Ok((view.key, None));
            }
            gathered.sources.0.push(view.key);
            let mut walk =
                self.walk_to(state, &view, from, range.max_bytes - had_bytes.min(range.max_bytes))?;
            Ok((view.key, pick(&mut walk, range, from, gathered).map_err(|s| stumbled(&view, from, s))?))
        })
    }

    /// Does something with a log's files. The lane may cut or remove them meanwhile: then the result, good or bad, is
    /// worth nothing, and it is done again with what is there now.
    pub(crate) fn stable<T>(
        &self,
        log: LogId,
        mut attempt: impl FnMut(&RwLock<LogState>) -> Result<(SegmentKey, T), ReadError>,
    ) -> Result<T, ReadError> {
        for _ in 0..ATTEMPTS {
            let state = self.shelf.log(log).ok_or_else(|| ReadError::Gone(format!("{log:?} is not here")))?;
            let seen: Vec<(Offset, u64)> = births(&read(&state));
            let result = attempt(&state);
            let there = self.shelf.log(log).is_some_and(|now| Arc::ptr_eq(&now, &state));
            let now = births(&read(&state));
            let unchanged = |key: &SegmentKey| now.contains(&(key.base, key.birth));
            match result {
                Ok((key, answer)) if there && unchanged(&key) => return Ok(answer),
                Err(e) if there && seen.iter().all(|s| now.contains(s)) => return Err(e),
                _ => {}
            }
        }
        Err(ReadError::Gone(format!("{log:?} changes too fast to be read")))
    }

    /// A walk over whole batches that is about to come to the batch with this offset, or to one a little before it.
    pub(crate) fn walk_to(
        &self,
        state: &RwLock<LogState>,
        view: &View,
        from: Offset,
        budget: usize,
    ) -> Result<Walk<'_, D>, ReadError> {
        let place = self.place(state, view, from)?;
        let chunk = budget.saturating_add(view.interval as usize).clamp(CHUNK.0, CHUNK.1);
        let walk = self.walk_from(view, place, chunk)?;
        let Some(place) = place else { return Ok(walk) };
        // An index that lies must not make good data look bad: the batch it points to must be the one it says.
        let mut probe = self.walk_from(view, Some(place), CHUNK.0.min(chunk))?;
        match probe.next_header() {
            Ok(Some(step)) if step.header.last_offset() == place.last => Ok(walk),
            Err(Stumble::Io(e)) => Err(ReadError::Io(e)),
            _ => {
                let again = self.shelf.reindex(view)?;
                self.walk_from(view, again.place(from), chunk)
            }
        }
    }

    fn place(&self, state: &RwLock<LogState>, view: &View, from: Offset) -> Result<Option<Place>, ReadError> {
        self.with_indexes(state, view, |indexes| indexes.place(from))
    }

    /// Asks the indexes of a segment, in memory or from disk.
    pub(crate) fn with_indexes<T>(
        &self,
        state: &RwLock<LogState>,
        view: &View,
        ask: impl Fn(&Indexes) -> T,
    ) -> Result<T, ReadError> {
        {
            let state = read(state);
            let same = |s: &&Segment| s.span.base == view.key.base && s.birth == view.key.birth;
            if let Some(loaded) = state.segments.iter().find(same).and_then(|s| s.loaded.as_ref()) {
                return Ok(ask(loaded));
            }
        }
        Ok(ask(&*self.shelf.indexes(view)?))
    }

    fn walk_from(&self, view: &View, place: Option<Place>, chunk: usize) -> Result<Walk<'_, D>, ReadError> {
        let file = self.shelf.file(view).map_err(|e| super::state::gone_or_io(view, e))?;
        let walk = Walk::headers(&self.shelf.disk, file, place.map_or(0, |p| p.position), view.span.bytes);
        let walk = if place.is_none() { walk.expecting(view.span.base) } else { walk };
        Ok(walk.whole(chunk))
    }
}

/// The segment that holds an offset, and the end of the log.
pub(crate) fn view_at(
    state: &RwLock<LogState>,
    log: LogId,
    from: Offset,
) -> Result<(View, Offset), ReadError> {
    let state = read(state);
    if let Some(why) = &state.offline {
        return Err(ReadError::Damaged(why.clone()));
    }
    if from < state.start || from > state.end {
        let (start, end) = (state.start, state.end);
        return Err(ReadError::Gone(format!("{log:?} has the offsets {start} to {end}, not {from}")));
    }
    Ok((state.view(log, state.segment_of(from)), state.end))
}

fn births(state: &LogState) -> Vec<(Offset, u64)> {
    state.segments.iter().map(|s| (s.span.base, s.birth)).collect()
}

/// Takes the batches of a range off a walk. Answers where the next segment begins when the walk came to its end.
fn pick<D: Disk>(
    walk: &mut Walk<'_, D>,
    range: &LogRange,
    from: Offset,
    gathered: &mut Gathered,
) -> Result<Option<Offset>, Stumble> {
    let mut run: Option<Run> = None;
    let mut after = None;
    walk.skip_below(from)?;
    let result = loop {
        let step = match walk.peek() {
            Ok(Some(step)) => step,
            Ok(None) => break Ok(after),
            Err(stumble) => break Err(stumble),
        };
        if is_too_much(walk, range, &step, gathered)? {
            gathered.done = true;
            break Ok(None);
        }
        let batch = match walk.take(&step) {
            Ok(batch) => batch,
            Err(stumble) => break Err(stumble),
        };
        after = Some(step.header.next_offset());
        gathered.bytes += step.size as usize;
        run = Some(extend(run, walk, &step, &mut gathered.runs));
        gathered.batches.push(batch);
        walk.pass(&step);
        walk.read_ahead(range.max_bytes.saturating_sub(gathered.bytes));
    };
    gathered.runs.extend(run.map(Run::slice));
    match result {
        // The good batches before the trouble are answered; the next read will meet it first.
        Err(_) if after.is_some() => {
            gathered.done = true;
            Ok(None)
        }
        other => other,
    }
}

/// Whether a batch is not to be answered any more: it ends beyond the range, or there is no room for it.
fn is_too_much<D: Disk>(
    walk: &mut Walk<'_, D>,
    range: &LogRange,
    step: &Step,
    gathered: &Gathered,
) -> Result<bool, Stumble> {
    let first = gathered.batches.is_empty();
    if step.header.last_offset() >= range.below {
        // Readers ask up to where a batch ends. A first one that begins below and ends beyond may be a header that lies.
        return if first { walk.take(step).map(|_| true) } else { Ok(true) };
    }
    let fits = gathered.bytes.saturating_add(step.size as usize) <= range.max_bytes;
    Ok(!(fits || first && range.at_least_one))
}

/// Batches that lie side by side in what was read at once.
struct Run {
    chunk: Bytes,
    chunk_at: u64,
    from: usize,
    to: usize,
}

impl Run {
    fn slice(self) -> Bytes {
        self.chunk.slice(self.from..self.to)
    }
}

fn extend<D: Disk>(run: Option<Run>, walk: &Walk<'_, D>, step: &Step, runs: &mut Vec<Bytes>) -> Run {
    let (chunk, chunk_at) = walk.chunk();
    let from = (step.position - chunk_at) as usize;
    let to = from + step.size as usize;
    match run {
        Some(run) if run.chunk_at == chunk_at && run.to == from => Run { to, ..run },
        other => {
            runs.extend(other.map(Run::slice));
            Run { chunk: chunk.clone(), chunk_at, from, to }
        }
    }
}
