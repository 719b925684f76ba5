//! Writing: batches of one log gathered over a round go out in one vectored write.

use std::sync::Arc;

use bytes::Bytes;

use super::cache::SegmentKey;
use super::names::{self, FileKind};
use super::ops::{EpochStart, LogFailure};
use super::point::Witness;
use super::state::{LogState, Segment, read, write};
use super::store::{Lane, Store, Trouble};
use crate::disk::{Disk, DiskError, DiskResult};
use crate::ids::{LogId, Offset};
use crate::record::Batch;
use crate::record::batch::PREFIX_BYTES;

/// Batches written at once at most, whatever the options say: two parts each, within the 1024 that one system call takes.
pub(crate) const MAX_BATCHES: usize = 500;
/// Bytes written at once at most, unless a single operation has more.
const MAX_BYTES: usize = 8 << 20;

/// What is to be appended to a log next.
#[derive(Default)]
pub(crate) struct Pending {
    batches: Vec<Batch>,
    bytes: usize,
}

impl<D: Disk> Store<D> {
    /// A new log is nothing on disk until its first batch: ten thousand partitions are made at once, and few are used.
    pub(crate) fn create(&mut self, log: LogId, name: &str, interval: u32) {
        assert!(!self.logs.contains_key(&log), "the log {log:?} is created twice");
        let birth = self.next_birth();
        let state = LogState {
            dir: Arc::from(names::log_dir(log, name)),
            start: Offset(0),
            end: Offset(0),
            interval,
            segments: vec![Segment::empty(Offset(0), birth)],
            epochs: Vec::new(),
            offline: None,
        };
        let lane = Lane {
            state: self.shelf.put(log, state),
            full: false,
            missing: true,
            reach: 0,
            last: None,
            point_end: Offset(0),
            written: false,
            epochs_changed: false,
            producers: Default::default(),
            producer_files: Vec::new(),
            snapshot: None,
            damaged: None,
            rebirth: None,
        };
        self.logs.insert(log, lane);
    }

    /// Makes the directory and the first file of a log if it has neither yet.
    pub(crate) fn make_files(&mut self, log: LogId) -> Result<(), Trouble> {
        if !self.lane(log).missing {
            return Ok(());
        }
        let view = read(&self.lane(log).state).view(log, 0);
        let disk = self.shelf.disk.clone();
        let made = disk.create_dir(&view.dir).and_then(|()| disk.create(&view.path(FileKind::Log)));
        let file = self.or_full(log, made)?;
        self.lane(log).missing = false;
        self.round.dirs.insert(String::new());
        self.new_file(view.key, view.dir, file);
        Ok(())
    }

    fn new_file(&mut self, key: SegmentKey, dir: Arc<str>, file: D::File) {
        self.shelf.files.put(key, file.clone(), 1);
        self.round.dirs.insert(dir.to_string());
        self.round.touched.insert(key, (file, dir));
    }

    /// Passes on an answer of the disk, with a shortage as the trouble of this log alone.
    pub(crate) fn or_full<T>(&mut self, log: LogId, result: DiskResult<T>) -> Result<T, Trouble> {
        match result {
            Err(e) if e.is_shortage() => Err(self.full(log, &e)),
            other => Ok(other?),
        }
    }

    pub(crate) fn append(&mut self, log: LogId, batches: Vec<Batch>, roll: bool) -> Result<(), Trouble> {
        self.check_usable(log)?;
        let first = batches.first().expect("an append has batches").header().base_offset;
        if roll {
            self.flush(log)?;
            self.roll(log, first)?;
        }
        let at_once = self.batches_at_once();
        let pending = self.round.pending.entry(log).or_default();
        pending.bytes += batches.iter().map(Batch::size).sum::<usize>();
        pending.batches.extend(batches);
        if pending.bytes >= MAX_BYTES || pending.batches.len() >= at_once { self.flush(log) } else { Ok(()) }
    }

    fn batches_at_once(&self) -> usize {
        self.options.batches_at_once.clamp(1, MAX_BATCHES)
    }

    fn roll(&mut self, log: LogId, base: Offset) -> Result<(), Trouble> {
        let birth = self.next_birth();
        let state = Arc::clone(&self.lane(log).state);
        let dir = {
            let state = read(&state);
            assert!(
                base == state.end,
                "a segment of {log:?} begins at {base}, the log ends at {}",
                state.end
            );
            let active = state.segments.last().expect("a log has a segment");
            if active.span.bytes == 0 {
                return Ok(());
            }
            Arc::clone(&state.dir)
        };
        let drawn = self.draw_back(log);
        self.or_full(log, drawn)?;
        let made = self.shelf.disk.create(&names::file(&dir, base, FileKind::Log));
        let file = self.or_full(log, made)?;
        self.new_file(SegmentKey { log, base, birth }, dir, file);
        let mut state = write(&state);
        if let Some(indexes) = &mut state.active().loaded {
            indexes.note_peak();
        }
        state.segments.push(Segment::empty(base, birth));
        Ok(())
    }

    /// Writes what is pending for every log.
    pub(crate) fn flush_all(&mut self) -> Result<(), Trouble> {
        let logs: Vec<LogId> = self.round.pending.keys().copied().collect();
        for log in logs {
            let done = self.flush(log);
            self.settle(done).map_err(Trouble::Dead)?;
        }
        Ok(())
    }

    /// Writes what is pending for a log.
    pub(crate) fn flush(&mut self, log: LogId) -> Result<(), Trouble> {
        let Some(pending) = self.round.pending.remove(&log) else { return Ok(()) };
        self.check_usable(log)?;
        self.make_files(log)?;
        self.load_active(log)?;
        let state = Arc::clone(&self.lane(log).state);
        let (view, end) = {
            let state = read(&state);
            (state.view(log, state.segments.len() - 1), state.end)
        };
        check_follows(log, end, &pending.batches);
        if self.round.touched.len() >= self.options.max_open_files {
            self.sync_round()?;
        }
        let file = self.shelf.file(&view);
        let file = self.or_full(log, file)?;
        let position = view.span.bytes;
        self.reach_ahead(log, &file, position, pending.bytes as u64)?;
        for chunk in pending.batches.chunks(self.batches_at_once()) {
            let at = read(&state).segments.last().expect("a log has a segment").span.bytes;
            let written = self.shelf.disk.write_at(&file, at, &parts(chunk));
            if written.as_ref().is_err_and(DiskError::is_shortage) {
                self.shelf.disk.set_len(&file, at)?;
                self.lane(log).reach = 0;
                self.round.touched.insert(view.key, (file.clone(), Arc::clone(&view.dir)));
            }
            self.or_full(log, written)?;
            self.note(log, chunk);
        }
        assert!(position < read(&state).segments.last().expect("a log has a segment").span.bytes);
        self.round.touched.insert(view.key, (file, view.dir));
        Ok(())
    }

    /// Makes sure that the indexes of the active segment are in memory, to be added to.
    pub(crate) fn load_active(&mut self, log: LogId) -> Result<(), Trouble> {
        let state = Arc::clone(&self.lane(log).state);
        let view = {
            let state = read(&state);
            if state.segments.last().expect("a log has a segment").loaded.is_some() {
                return Ok(());
            }
            state.view(log, state.segments.len() - 1)
        };
        match self.shelf.whole_indexes(&view) {
            Ok(indexes) => write(&state).active().loaded = Some(Box::new((*indexes).clone())),
            Err(super::error::ReadError::Io(e)) => return self.or_full(log, Err(e)),
            Err(damage) => return Err(self.take_offline(log, damage.to_string())),
        }
        self.shelf.indexes.forget(&view.key);
        Ok(())
    }

    /// Takes a log offline in which damage was found while it was to be written.
    pub(crate) fn take_offline(&mut self, log: LogId, why: String) -> Trouble {
        write(&self.lane(log).state).offline = Some(why.clone());
        Trouble::Log(LogFailure { log, full: false, message: why })
    }

    /// Takes in what has been written.
    fn note(&mut self, log: LogId, batches: &[Batch]) {
        let lane = self.logs.get_mut(&log).expect("checked by the caller");
        let mut state = write(&lane.state);
        let interval = state.interval;
        for batch in batches {
            let header = batch.header();
            let active = state.active();
            let (position, size) = (active.span.bytes, batch.size() as u64);
            if position == 0 {
                active.span.first_timestamp = header.max_timestamp;
            }
            active.span.bytes += size;
            active.span.max_timestamp = active.span.max_timestamp.max(header.max_timestamp);
            active.loaded.as_mut().expect("loaded before").note(header, (position, size), interval);
            lane.last = Some(Witness { base: header.base_offset, position, size, crc: header.crc });
            if header.has_producer() && lane.producers.replay_from.is_none() {
                lane.producers.replay_from = Some(header.base_offset);
            }
            if state.epochs.last().is_none_or(|e| e.epoch < header.leader_epoch) {
                state.epochs.push(EpochStart { epoch: header.leader_epoch, start: header.base_offset });
                lane.epochs_changed = true;
            }
            state.end = header.next_offset();
        }
        lane.written = true;
    }
}

/// Batches that are not the next ones must never be written: two records would have one offset (KAFKA-3047).
fn check_follows(log: LogId, end: Offset, batches: &[Batch]) {
    let mut next = end;
    for batch in batches {
        let header = batch.header();
        assert!(
            header.base_offset == next,
            "{log:?} ends at {next}, an append begins at {}",
            header.base_offset
        );
        next = header.next_offset();
    }
}

/// The parts of a write: for each batch the stamped prefix and the rest as it arrived. All prefixes share one buffer.
fn parts(batches: &[Batch]) -> Vec<Bytes> {
    let prefixes: Vec<u8> = batches.iter().flat_map(|b| b.prefix()).collect();
    let prefixes = Bytes::from(prefixes);
    let mut parts = Vec::with_capacity(batches.len() * 2);
    for (i, batch) in batches.iter().enumerate() {
        parts.push(prefixes.slice(i * PREFIX_BYTES..(i + 1) * PREFIX_BYTES));
        parts.push(batch.rest());
    }
    parts
}
