//! Recovering one log: what the recovery point vouches for is checked against the files, what follows is read and kept
//! as far as it is good.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::durable::KEPT_VERSION;
use super::error::StorageError;
use super::names::{self, FileKind, Named};
use super::ops::RecoveredLog;
use super::point::{LogPoint, ProducersKept, Witness};
use super::reach::cut_left_over;
use super::recover::read_sealed;
use super::recover_producers::producers;
use super::restart::{is_bare, redo};
use super::scan::{Scanned, scan};
use super::state::{LogState, Segment};
use super::store::{Lane, Store};
use crate::disk::Disk;
use crate::ids::{LeaderEpoch, LogId, Offset};
use crate::producer::ProducerTable;
use crate::record::Batch;
use crate::record::batch::HEADER_BYTES;
use crate::time::Timestamp;

/// A log that is there or should be.
pub(crate) struct Found {
    pub(crate) log: LogId,
    pub(crate) dir: Option<String>,
    pub(crate) point: Option<LogPoint>,
    /// Whether the last stop was orderly.
    pub(crate) clean: bool,
    /// Whether there is no recovery point to go by at all.
    pub(crate) rescan: bool,
}

/// The files of a log.
#[derive(Default)]
pub(crate) struct Files {
    pub(crate) segments: BTreeMap<Offset, u64>,
    pub(crate) trimmed: BTreeSet<Offset>,
    pub(crate) producers: Vec<Offset>,
    pub(crate) snapshots: Vec<(Offset, LeaderEpoch)>,
}

/// Recovers a log and puts it into the store. `None` when there is none: its directory was never finished.
/// What can go once the new recovery point stands is added to `leftovers`.
pub(crate) fn recover_log<D: Disk>(
    store: &mut Store<D>,
    found: Found,
    now: Timestamp,
    leftovers: &mut Vec<String>,
) -> Result<Option<RecoveredLog>, StorageError> {
    let Some(dir) = found.dir.clone() else {
        let why = "its directory is missing".to_string();
        return Ok(Some(offline(store, found, why)));
    };
    let mut own = Vec::new();
    let mut files = look_inside(&store.shelf.disk, &dir, &mut own)?;
    if let Some(point) = found.point.clone().filter(is_bare) {
        return redo(store, found, &point, (&dir, &files), leftovers).map(Some);
    }
    drop_trimmed(&mut files, &found, &dir, &mut own);
    if files.segments.is_empty() && found.point.is_none() {
        leftovers.push(dir);
        return Ok(None);
    }
    if let Some(point) = &found.point {
        cut_left_over(&store.shelf.disk, &dir, point, &mut files)?;
    }
    match recover_files(store, &found, &dir, &files, (now, &mut own))? {
        Ok(recovered) => {
            leftovers.extend(own);
            Ok(Some(recovered))
        }
        Err(why) => Ok(Some(offline(store, found, why))),
    }
}

/// Checks and reads what is there. Answers why it is damaged, where that is so.
fn recover_files<D: Disk>(
    store: &mut Store<D>,
    found: &Found,
    dir: &str,
    files: &Files,
    (now, leftovers): (Timestamp, &mut Vec<String>),
) -> Result<Result<RecoveredLog, String>, StorageError> {
    let point = found.point.as_ref();
    let wrong = point.map(|p| check(&store.shelf.disk, dir, p, files, found.clean));
    if let Some(why) = wrong.transpose()?.flatten() {
        return Ok(Err(why));
    }
    let snapshot = match newest_snapshot(&store.shelf.disk, dir, files, point, leftovers)? {
        Ok(snapshot) => snapshot,
        Err(why) => return Ok(Err(why)),
    };
    let mut scanned = match scan(store, found, dir, files)? {
        Ok(scanned) => scanned,
        Err(why) => return Ok(Err(why)),
    };
    let start = point.map_or(Offset(0), |p| p.start).max(scanned.segments[0].span.base);
    LogState::trim_epochs(&mut scanned.epochs, start);
    store.shelf.put(found.log, shared(store, found, dir, (start, &scanned)));
    let (table, kept, producer_files) = match producers(store, found, files, now, leftovers)? {
        Ok(producers) => producers,
        Err(why) => return Ok(Err(why)),
    };
    admit(store, found.log, &scanned, (kept, producer_files), snapshot.as_ref().map(|s| (s.0, s.1)));
    store.lane(found.log).epochs_changed = point.is_none_or(|p| p.epochs != scanned.epochs);
    Ok(Ok(RecoveredLog {
        log: found.log,
        start,
        end: scanned.end,
        segments: scanned.segments.iter().map(|s| s.span).collect(),
        epochs: scanned.epochs,
        producers: table,
        snapshot,
        damage: None,
    }))
}

fn shared<D: Disk>(store: &Store<D>, found: &Found, dir: &str, log: (Offset, &Scanned)) -> LogState {
    let (start, scanned) = log;
    LogState {
        dir: Arc::from(dir),
        start,
        end: scanned.end,
        interval: found.point.as_ref().map_or(store.options.index_interval_bytes, |p| p.interval),
        segments: scanned.segments.clone(),
        epochs: scanned.epochs.clone(),
        offline: None,
    }
}

fn look_inside<D: Disk>(disk: &D, dir: &str, leftovers: &mut Vec<String>) -> Result<Files, StorageError> {
    let mut files = Files::default();
    for (name, bytes) in disk.list(dir)? {
        match (names::parse(&name), bytes) {
            (Some(Named::File(base, FileKind::Log)), Some(bytes)) => drop(files.segments.insert(base, bytes)),
            (Some(Named::File(base, FileKind::DeletedLog)), _) => {
                files.trimmed.insert(base);
                leftovers.push(format!("{dir}/{name}"));
            }
            (Some(Named::File(at, FileKind::Producers)), _) => files.producers.push(at),
            (Some(Named::Snapshot(at, epoch)), _) => files.snapshots.push((at, epoch)),
            (Some(Named::Tmp), _) => leftovers.push(format!("{dir}/{name}")),
            _ => {}
        }
    }
    Ok(files)
}

/// What lies below a segment that was on its way out was on its way out too. And where nothing vouches for a log, its
/// first segment must be its first, or follow on one that is known to have gone: else the crash took the one before.
fn drop_trimmed(files: &mut Files, found: &Found, dir: &str, leftovers: &mut Vec<String>) {
    let trimmed = files.trimmed.last().copied();
    let recorded = found.point.as_ref().map_or(Offset(0), |p| p.segments[0].span.base);
    let first = trimmed.map_or(Offset(0), |last| Offset(last.0.saturating_add(1))).max(recorded);
    let vouched = found.point.is_some() || found.rescan || trimmed.is_some();
    let keep_all = vouched || files.segments.contains_key(&Offset(0));
    let (gone, kept) =
        std::mem::take(&mut files.segments).into_iter().partition(|(b, _)| *b < first || !keep_all);
    let gone: BTreeMap<Offset, u64> = gone;
    leftovers.extend(gone.keys().map(|base| names::file(dir, *base, FileKind::Log)));
    files.segments = kept;
}

/// Compares the files with what the recovery point says of them. Answers what is wrong.
fn check<D: Disk>(
    disk: &D,
    dir: &str,
    point: &LogPoint,
    files: &Files,
    clean: bool,
) -> Result<Option<String>, StorageError> {
    let path = |base: Offset| names::file(dir, base, FileKind::Log);
    let standing = standing(point, files);
    for (i, span) in standing.iter().enumerate() {
        let active =
            i + 1 == standing.len() && span.base == point.segments[point.segments.len() - 1].span.base;
        let (recorded, base) = (span.bytes, span.base);
        match files.segments.get(&base) {
            None => return Ok(Some(format!("{} (offset {base} on) is missing", path(base)))),
            Some(bytes) if *bytes < recorded || (*bytes > recorded && !active) => {
                let at = (*bytes).min(recorded);
                let file = path(base);
                return Ok(Some(format!(
                    "{file} is damaged at byte {at} (offset {base} on): it has {bytes} bytes, {recorded} were synced"
                )));
            }
            Some(_) => {}
        }
    }
    match (standing.last(), &point.witness) {
        (Some(last), Some(witness)) if !clean => {
            let file = disk.open(&path(last.base))?;
            let header = disk.read_at(&file, witness.position, HEADER_BYTES)?;
            let why = unlike(&header, witness);
            Ok(why.map(|why| {
                let (at, offset) = (witness.position, witness.base);
                format!("{} is damaged at byte {at} (offset {offset}): {why}", path(last.base))
            }))
        }
        _ => Ok(None),
    }
}

/// The segments of the recovery point that have not been trimmed away since.
pub(crate) fn standing(point: &LogPoint, files: &Files) -> Vec<super::ops::SegmentSpan> {
    let spans = point.segments.iter().map(|s| s.span);
    spans.filter(|s| files.trimmed.last().is_none_or(|last| s.base > *last)).collect()
}

fn unlike(header: &[u8], witness: &Witness) -> Option<String> {
    match Batch::peek(header) {
        Err(e) => Some(e.to_string()),
        Ok((h, size))
            if h.base_offset != witness.base || h.crc != witness.crc || size as u64 != witness.size =>
        {
            Some(format!(
                "another batch than the recovery point names lies here (base offset {})",
                h.base_offset
            ))
        }
        Ok(_) => None,
    }
}

pub(crate) type Snapshot = Option<(Offset, LeaderEpoch, bytes::Bytes)>;

/// The newest snapshot. One that is there has been complete, so a bad one is damage, as is a missing one.
pub(crate) fn newest_snapshot<D: Disk>(
    disk: &D,
    dir: &str,
    files: &Files,
    point: Option<&LogPoint>,
    leftovers: &mut Vec<String>,
) -> Result<Result<Snapshot, String>, StorageError> {
    let newest = files.snapshots.iter().max().copied();
    let recorded = point.and_then(|p| p.snapshot);
    if newest < recorded {
        let (at, epoch) = recorded.expect("greater than something");
        return Ok(Err(format!("{} is missing", names::snapshot(dir, at, epoch))));
    }
    let Some((at, epoch)) = newest else { return Ok(Ok(None)) };
    let path = names::snapshot(dir, at, epoch);
    let Some(bytes) = read_sealed(disk, &path, KEPT_VERSION)? else {
        return Ok(Err(format!("{path} is damaged: its checksum does not match its contents")));
    };
    let older = files.snapshots.iter().filter(|s| **s != (at, epoch));
    leftovers.extend(older.map(|(at, epoch)| names::snapshot(dir, *at, *epoch)));
    Ok(Ok(Some((at, epoch, bytes))))
}

pub(crate) fn admit<D: Disk>(
    store: &mut Store<D>,
    log: LogId,
    scanned: &Scanned,
    producers: (ProducersKept, Vec<Offset>),
    snapshot: Option<(Offset, LeaderEpoch)>,
) {
    let lane = Lane {
        state: store.shelf.log(log).expect("put there just now"),
        full: false,
        missing: false,
        reach: 0,
        last: scanned.last,
        point_end: scanned.end,
        written: false,
        epochs_changed: false,
        producers: producers.0,
        producer_files: producers.1,
        snapshot,
        damaged: None,
        rebirth: None,
    };
    store.logs.insert(log, lane);
}

/// A log that is damaged below its recovery point (or, without one, before its last segment): nothing of it is touched.
pub(crate) fn offline<D: Disk>(store: &mut Store<D>, found: Found, why: String) -> RecoveredLog {
    let dir = found.dir.or_else(|| found.point.as_ref().map(|p| p.dir.clone())).unwrap_or_default();
    let why = format!("{why}. The log {dir} is offline; its files are left as they are");
    let points = found.point.as_ref().map(|p| p.segments.clone()).unwrap_or_default();
    let mut segments: Vec<Segment> = points
        .iter()
        .map(|s| Segment { span: s.span, loaded: None, ..Segment::empty(s.span.base, 0) })
        .collect();
    if segments.is_empty() {
        segments.push(Segment::empty(found.point.as_ref().map_or(Offset(0), |p| p.start), 0));
    }
    let point = found.point.as_ref();
    let state = LogState {
        dir: Arc::from(dir),
        start: point.map_or(Offset(0), |p| p.start),
        end: point.map_or(Offset(0), |p| p.end),
        interval: point.map_or(store.options.index_interval_bytes, |p| p.interval),
        segments,
        epochs: point.map(|p| p.epochs.clone()).unwrap_or_default(),
        offline: Some(why.clone()),
    };
    let recovered = RecoveredLog {
        log: found.log,
        start: state.start,
        end: state.end,
        segments: state.segments.iter().map(|s| s.span).collect(),
        epochs: state.epochs.clone(),
        producers: ProducerTable::default(),
        snapshot: None,
        damage: Some(why),
    };
    let scanned = Scanned { segments: Vec::new(), end: state.end, epochs: Vec::new(), last: None };
    store.shelf.put(found.log, state);
    admit(store, found.log, &scanned, (ProducersKept::default(), Vec::new()), None);
    let lane = store.lane(found.log);
    lane.missing = found.point.is_none();
    lane.damaged = found.point;
    recovered
}
