//! The producers of a recovered log: the newest good snapshot of them, and every batch since.

use super::durable::KEPT_VERSION;
use super::error::{ReadError, StorageError};
use super::names::{self, FileKind};
use super::point::ProducersKept;
use super::reader::Reader;
use super::recover::read_sealed;
use super::recover_log::{Files, Found};
use super::state::{read, stumbled};
use super::store::Store;
use crate::disk::Disk;
use crate::ids::{LogId, Offset};
use crate::producer::ProducerTable;
use crate::time::Timestamp;

type Recovered = (ProducerTable, ProducersKept, Vec<Offset>);

/// The producers as of the end of a log that has been put into the store, and the files that stay.
pub(crate) fn producers<D: Disk>(
    store: &Store<D>,
    found: &Found,
    files: &Files,
    now: Timestamp,
    leftovers: &mut Vec<String>,
) -> Result<Result<Recovered, String>, StorageError> {
    let state = store.shelf.log(found.log).expect("put there by the caller");
    let (dir, first, end) = {
        let state = read(&state);
        // Batches below the start that are still there count: a producer may be known by nothing else.
        (state.dir.clone(), state.segments[0].span.base, state.end)
    };
    let path = |at: Offset| names::file(&dir, at, FileKind::Producers);
    let mut kept: Option<(Offset, ProducerTable)> = None;
    let mut good = Vec::new();
    let mut at: Vec<Offset> = files.producers.clone();
    at.sort();
    for at in at.into_iter().rev() {
        let table = if at <= end && good.len() < 2 { load(store, &path(at))? } else { None };
        match table {
            Some(table) => {
                good.insert(0, at);
                kept = kept.or(Some((at, table)));
            }
            None => leftovers.push(path(at)),
        }
    }
    let from = replay_from(found, kept.as_ref().map(|k| k.0), first);
    let (at, mut table) = kept.map_or((None, ProducerTable::default()), |(at, table)| (Some(at), table));
    match replay(store, found.log, (from.max(first), end), &mut table, now) {
        Ok(first) => Ok(Ok((table, ProducersKept { at, replay_from: first }, good))),
        Err(ReadError::Io(e)) => Err(e.into()),
        Err(ReadError::Gone(why) | ReadError::Damaged(why)) => Ok(Err(why)),
    }
}

fn load<D: Disk>(store: &Store<D>, path: &str) -> Result<Option<ProducerTable>, StorageError> {
    let bytes = read_sealed(&store.shelf.disk, path, KEPT_VERSION)?;
    Ok(bytes.and_then(|bytes| postcard::from_bytes(&bytes).ok()))
}

/// From where the batches must be heard again. The recovery point knows of batches without producers that need not be.
fn replay_from(found: &Found, kept: Option<Offset>, start: Offset) -> Offset {
    let Some(point) = &found.point else { return kept.unwrap_or(start) };
    match kept {
        Some(at) if at > point.end => at,
        kept if kept == point.producers.at => point.producers.replay_from.unwrap_or(point.end),
        Some(at) => at,
        None => start,
    }
}

/// Hears the batches of a stretch again. Answers the first that a producer sent.
fn replay<D: Disk>(
    store: &Store<D>,
    log: LogId,
    stretch: (Offset, Offset),
    table: &mut ProducerTable,
    now: Timestamp,
) -> Result<Option<Offset>, ReadError> {
    let (mut next, end) = stretch;
    let mut first = None;
    let reader = Reader::new(store.shelf.clone());
    let state = store.shelf.log(log).expect("put there by the caller");
    while next < end {
        let (view, bound) = {
            let state = read(&state);
            let i = state.segment_of(next);
            (state.view(log, i), state.segments.get(i + 1).map_or(end, |s| s.span.base))
        };
        let mut walk = reader.walk_to(&state, &view, next, 0)?;
        while let Some(step) = walk.next_header().map_err(|s| stumbled(&view, next, s))? {
            let header = step.header;
            if header.base_offset < next {
                continue;
            }
            next = header.next_offset();
            if header.has_producer() {
                first = first.or(Some(header.base_offset));
                table.append(&header, heard_at(header.max_timestamp, now));
            }
        }
        if next != bound {
            // Only headers are looked at here, and this one says something else than when it was written.
            let path = view.path(FileKind::Log);
            let why = format!(
                "{path} is damaged: its batches end at offset {next}, and the log goes on at {bound}"
            );
            return Err(ReadError::Damaged(why));
        }
    }
    Ok(first)
}

/// When a producer was last heard of, as far as a batch tells. One from the future would never expire, and a batch without
/// a timestamp at once.
fn heard_at(batch: Timestamp, now: Timestamp) -> Timestamp {
    if batch.0 < 0 { now } else { batch.min(now) }
}
