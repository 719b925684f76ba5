//! The recovery point: for every log, up to where it is known to be on disk whole. What is wrong below it is damage; what
//! is wrong beyond it is the unsynced tail of a crash.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::StorageError;
use super::index::IndexSum;
use super::ops::{EpochStart, SegmentSpan};
use super::{frame, names};
use crate::disk::{Disk, DiskResult};
use crate::ids::{LeaderEpoch, LogId, Offset};

/// The version of this file's contents.
const VERSION: u32 = 1;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecoveryPoint {
    /// Whether the last stop was orderly: nothing was written after this.
    pub(crate) clean: bool,
    /// The number of the last removal of a log before this was written. A later one voids what is said of that log here.
    pub(crate) removals: u64,
    /// Every log there was.
    pub(crate) logs: Vec<LogPoint>,
}

/// One log as it was when the recovery point was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogPoint {
    pub(crate) log: LogId,
    /// The name of its directory.
    pub(crate) dir: String,
    /// Its first offset.
    pub(crate) start: Offset,
    /// Everything below is synced.
    pub(crate) end: Offset,
    /// `index.interval.bytes`.
    pub(crate) interval: u32,
    /// Its segments; the last one as far as it reached. None: it begins anew at `end`, and no file that it has counts.
    pub(crate) segments: Vec<SegmentPoint>,
    /// The last batch of the last segment.
    pub(crate) witness: Option<Witness>,
    /// Where each leader epoch began.
    pub(crate) epochs: Vec<EpochStart>,
    /// What recovery needs to know to have the producers.
    pub(crate) producers: ProducersKept,
    /// The newest snapshot.
    pub(crate) snapshot: Option<(Offset, LeaderEpoch)>,
}

/// Where the state of the producers of a log is to be had from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProducersKept {
    /// The newest file with their state, by the offset it was taken at.
    pub(crate) at: Option<Offset>,
    /// The first batch since then that a producer sent. With none, that file (or with no file, the empty state) is it.
    pub(crate) replay_from: Option<Offset>,
}

/// One segment as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentPoint {
    pub(crate) span: SegmentSpan,
    /// What its index files must look like, if they were written.
    pub(crate) index: Option<IndexSum>,
}

/// A batch by which a file is recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Witness {
    pub(crate) base: Offset,
    pub(crate) position: u64,
    pub(crate) size: u64,
    pub(crate) crc: u32,
}

/// Writes the recovery point in place of the one before: synced, renamed, and the directory synced. On `Full` the one
/// before still stands.
pub(crate) fn save<D: Disk>(disk: &D, point: &RecoveryPoint) -> DiskResult<()> {
    let contents = postcard::to_stdvec(point).expect("plain values always encode");
    frame::replace(disk, names::RECOVERY_POINT, frame::seal(VERSION, &contents), true)?;
    disk.sync(&[], &[""])
}

/// Takes the clean flag back without room for a new file. Flag and checksum lie in the first sector, which a disk writes
/// whole or not at all.
pub(crate) fn unclean_in_place<D: Disk>(disk: &D) -> Result<(), StorageError> {
    let Some(mut point) = load(disk)? else { return Ok(()) };
    point.clean = false;
    let contents = postcard::to_stdvec(&point).expect("plain values always encode");
    let first = frame::seal(VERSION, &contents);
    let file = disk.open(names::RECOVERY_POINT)?;
    disk.write_at(&file, 0, &[first.slice(..first.len().min(512))])?;
    Ok(disk.sync(&[file], &[])?)
}

/// Reads the recovery point; `None` when there is none.
pub(crate) fn load<D: Disk>(disk: &D) -> Result<Option<RecoveryPoint>, StorageError> {
    let Some(file) = frame::read_whole(disk, names::RECOVERY_POINT)? else { return Ok(None) };
    parse(&file).map(Some).map_err(|why| StorageError::Refused(unusable(&why)))
}

/// What to say when there is a directory in use without a good recovery point.
pub(crate) fn unusable(why: &str) -> String {
    format!(
        "the file {} cannot be used: {why}. Without it a torn end of a log cannot be told from damage. Restore the disk \
         from a copy, or start once with --rescan to read every log whole (it cuts a log at the first bad batch of its last \
         segment, and takes a log with an earlier bad batch offline)",
        names::RECOVERY_POINT
    )
}

fn parse(file: &Bytes) -> Result<RecoveryPoint, String> {
    let contents = frame::unseal(VERSION, file)?;
    postcard::from_bytes(&contents).map_err(|e| format!("its contents do not decode: {e}"))
}
