//! What the machine asks of its storage, and what the storage tells it: plain values, no I/O.

use bytes::Bytes;

use crate::ids::{LeaderEpoch, LogId, Mark, Offset};
use crate::producer::ProducerTable;
use crate::record::Batch;
use crate::time::Timestamp;

/// One operation on the log directory. A lane executes them in the order they were sent.
#[derive(Clone, Debug)]
pub enum StoreOp {
    /// Makes a new, empty log. `name` is the topic's, for people who look at the directory.
    Create {
        /// The new log.
        log: LogId,
        /// The topic's name.
        name: String,
        /// Bytes between two entries of the offset index (`index.interval.bytes`).
        index_interval_bytes: u32,
    },
    /// Writes batches at the end of a log: already stamped, and following what is there without a gap.
    /// With `roll`, in a new segment whose base offset is the first batch's.
    Append {
        /// The log.
        log: LogId,
        /// What to write.
        batches: Vec<Batch>,
        /// Whether a new segment begins here.
        roll: bool,
    },
    /// Cuts a log back: `to` becomes its end. Also makes a log usable again after an append that found the disk full.
    Truncate {
        /// The log.
        log: LogId,
        /// The new end.
        to: Offset,
    },
    /// Drops everything that a log has, and begins it anew, empty, at an offset that may be beyond its end or anywhere below (Kafka:
    /// `truncateFullyAndStartAt`). Segments, indexes, producers and leader epochs go; snapshots stay. A crash leaves the old
    /// log or the new one, whole, and what is appended after it counts only once this does. When there is no room for it the
    /// log is refused until a `Truncate` to that offset arrives, which tries again.
    Restart {
        /// The log.
        log: LogId,
        /// Its new start and end.
        at: Offset,
        /// The leader epoch of what lies before it, where that is known, as from a snapshot: the new log has it as its newest,
        /// as a log has that was trimmed to its end.
        epoch: Option<LeaderEpoch>,
    },
    /// Moves the start of a log forward and removes the segments that lie wholly below it; their room is free at once.
    /// The new start is durable once the next `Checkpoint` is.
    Trim {
        /// The log.
        log: LogId,
        /// The new start.
        start: Offset,
    },
    /// Removes a log and its files.
    Remove {
        /// The log.
        log: LogId,
    },
    /// Keeps the state of the producers of a log as it is at its end now, so that recovery reads only what follows.
    Producers {
        /// The log.
        log: LogId,
        /// The end of the log that the state belongs to.
        at: Offset,
        /// The state (shared with nobody: a copy of the moment).
        table: ProducerTable,
    },
    /// Keeps a snapshot of what a log folds into (the metadata image), replacing the one before unless that goes further.
    Snapshot {
        /// The log.
        log: LogId,
        /// The first offset that the snapshot does not contain.
        at: Offset,
        /// The leader epoch of the last record in it.
        epoch: LeaderEpoch,
        /// The snapshot.
        bytes: Bytes,
    },
    /// Keeps what this node knows of the elections of the metadata quorum, durably and in place of what was kept before.
    Election {
        /// It, encoded; at most 4,000 bytes.
        state: Bytes,
    },
    /// Makes everything sent before durable and then moves the recovery point there. `clean` at an orderly shutdown. On a
    /// full disk the recovery point stays where it was, which costs a longer recovery and nothing else.
    Checkpoint {
        /// Nothing will follow: the next start need not look at any file's contents.
        clean: bool,
    },
}

/// What a round of operations came to. Everything sent with a mark up to `done` is durable, but for the logs in `failed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The last operation of the round.
    pub done: Mark,
    /// The logs for which an operation of this round failed or was refused. Nothing of theirs in this round counts.
    pub failed: Vec<LogFailure>,
    /// Whether every `Checkpoint` of the round has moved the recovery point: on a full disk it stays where it was, and
    /// with it the starts that `Trim` had moved.
    pub kept: bool,
    /// Free bytes of the volume after the round.
    pub free_bytes: u64,
    /// All bytes of the volume.
    pub total_bytes: u64,
}

/// Why the operations of one log failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFailure {
    /// The log.
    pub log: LogId,
    /// The disk is full, or no more files may be open: what was written of the failed append is cut off again, and every
    /// further append to this log is refused until a `Truncate` arrives. Otherwise damage was found in this log and it is offline. (A disk that fails is
    /// no failure of one log: the whole round is answered with an error, and the directory is dead.)
    pub full: bool,
    /// For people.
    pub message: String,
}

/// Who this log directory belongs to. Made once, at the first start, and kept.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// The version of the data format.
    pub format: u32,
    /// The cluster's id: 22 characters of base64, as Kafka's.
    pub cluster_id: String,
    /// `node.id`.
    pub node_id: i32,
    /// This directory's id, by which a wiped disk is told from the one before (KIP-858).
    pub directory_id: [u8; 16],
}

/// Everything that a start found in a log directory.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Whose directory it is.
    pub identity: Identity,
    /// Whether the last stop was orderly.
    pub clean: bool,
    /// The logs, by id.
    pub logs: Vec<RecoveredLog>,
    /// What was kept last of the elections of the metadata quorum, if anything; or why that is not known any more.
    pub election: Result<Option<Bytes>, String>,
    /// Free and total bytes of the volume.
    pub space: (u64, u64),
}

/// One log as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredLog {
    /// Its identity.
    pub log: LogId,
    /// First offset.
    pub start: Offset,
    /// Offset after the last record; everything below is on disk and synced (recovery syncs what it keeps).
    pub end: Offset,
    /// Its segments in order, the last one active. Never empty.
    pub segments: Vec<SegmentSpan>,
    /// Where each leader epoch began, in order.
    pub epochs: Vec<EpochStart>,
    /// Its producers, as of `end`.
    pub producers: ProducerTable,
    /// The newest good snapshot, if it has any: first offset not in it, epoch of its last record, contents.
    pub snapshot: Option<(Offset, LeaderEpoch, Bytes)>,
    /// Damage below the recovery point: the log is offline, with the file and the offset named here.
    pub damage: Option<String>,
}

/// One segment, as far as rolling and retention need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SegmentSpan {
    /// Offset that names its file.
    pub base: Offset,
    /// Bytes of its batches.
    pub bytes: u64,
    /// Largest timestamp of its first batch (rolling by time counts from it, as in Kafka); -1 while it is empty.
    pub first_timestamp: Timestamp,
    /// Largest timestamp in it; -1 while it has none.
    pub max_timestamp: Timestamp,
}

/// The first offset written by a leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its first offset.
    pub start: Offset,
}

/// A stretch of a log to read: whole batches from the one that holds `from` on, all below `below`, about `max_bytes` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRange {
    /// The log.
    pub log: LogId,
    /// The first offset wanted.
    pub from: Offset,
    /// The first offset that must not be read.
    pub below: Offset,
    /// Batches are read while they fit; the first one always, when `at_least_one`.
    pub max_bytes: usize,
    /// Whether the first batch is read even if it is larger than `max_bytes` (KIP-74).
    pub at_least_one: bool,
}

/// A question to the time index of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The first record whose timestamp is at or after this one (ListOffsets with a timestamp).
    AtOrAfter(Timestamp),
    /// The first of the records with the largest timestamp (ListOffsets with -3).
    MaxTimestamp,
}

/// What a lookup found: a record's own offset, timestamp and leader epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// The epoch it was written in.
    pub epoch: LeaderEpoch,
}
