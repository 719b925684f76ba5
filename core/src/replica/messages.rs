//! What two brokers say to one another about the partitions that one of them leads and the other follows.

use serde::{Deserialize, Serialize};

use crate::ids::{LeaderEpoch, LogId, Offset};
use crate::log::Log;

/// One run of a broker, as the controller has registered it (Kafka: the broker epoch, KIP-903). Only ever compared for being the
/// same; which of two is the newer one the metadata says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

/// How far a log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// The epoch of its last record, -1 without any (Kafka: `lastFetchedEpoch`, KIP-595).
    pub epoch: LeaderEpoch,
    /// The offset after its last record.
    pub end: Offset,
}

impl Tip {
    /// That of a log. One without records agrees with every other, whatever it once held.
    pub fn of(log: &Log) -> Tip {
        let last = log.epochs().last().filter(|_| log.start() < log.end());
        Tip { epoch: last.map_or(LeaderEpoch(-1), |last| last.epoch), end: log.end() }
    }
}

/// Where a follower is in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The leader epoch in which it follows.
    pub epoch: LeaderEpoch,
    /// How far its log goes: it wants what comes after.
    pub tip: Tip,
    /// How far its disk has it.
    pub flushed: Offset,
    /// The log start that its disk would come back with (Kafka: the `logStartOffset` of a follower's fetch, KIP-107, which need not
    /// be durable there).
    pub start: Offset,
}

/// A follower asks one leader for all that is new to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaFetch {
    /// Its number among those of this run of the follower to this leader: they rise.
    pub correlation: u64,
    /// The run of the follower.
    pub incarnation: Incarnation,
    /// The fetch whose positions still hold where nothing else is said here, and whose answer has come (KIP-227); `None`: nothing
    /// but what is said here holds.
    pub amends: Option<u64>,
    /// The partitions that it follows or that have moved, and where they are.
    pub partitions: Vec<(LogId, Position)>,
    /// The partitions that it follows no more.
    pub gone: Vec<LogId>,
    /// Record bytes that the answer should have at most.
    pub max_bytes: u32,
}

/// The answer to a [`ReplicaFetch`]. `R` is how records are carried: as batches, or as what the sender reads them from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaAnswer<R> {
    /// The number of the fetch.
    pub correlation: u64,
    /// The run of the follower that it answers: another one numbers its fetches alike, and its log may be another.
    pub incarnation: Incarnation,
    /// Whether the leader could not use the fetch, because it amends what it does not have or comes from a run of the follower
    /// that it has not heard of: all positions have to be said again.
    pub resync: bool,
    /// What is new, by partition, each at most once.
    pub partitions: Vec<(LogId, PartitionAnswer<R>)>,
}

/// What is new in one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionAnswer<R> {
    /// The leader epoch that the follower asked in.
    pub epoch: LeaderEpoch,
    /// What is new.
    pub news: News<R>,
}

/// What a leader has to say to a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum News<R> {
    /// The log up to there is part of its own. What follows, and its marks.
    Records {
        /// Whole batches, in order; maybe none.
        records: R,
        /// The high watermark.
        high: Offset,
        /// The log start offset.
        start: Offset,
    },
    /// The logs part ways: the last epoch in which they may agree, and where that ends in its own (KIP-320, KIP-595).
    Diverging(Tip),
    /// What follows there is not in its log any more, which begins here.
    Restart(Offset),
    /// It does not serve this.
    Refused(Refusal),
}

/// Why a partition is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The follower's epoch is over (Kafka: `FENCED_LEADER_EPOCH`).
    Fenced,
    /// The leader has not heard of the follower's epoch yet (Kafka: `UNKNOWN_LEADER_EPOCH`).
    UnknownEpoch,
    /// It does not lead this partition (Kafka: `NOT_LEADER_OR_FOLLOWER`).
    NotLeader,
    /// The follower is none of its replicas.
    NotReplica,
    /// It leads it and cannot read it (Kafka: `KAFKA_STORAGE_ERROR`).
    Offline,
}

/// A follower's disk has come further since its fetch; nothing is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaFlushed {
    /// The run of the follower.
    pub incarnation: Incarnation,
    /// How far its disk is, by partition.
    pub logs: Vec<OnDisk>,
}

/// How far the disk of a follower is with one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnDisk {
    /// The partition.
    pub log: LogId,
    /// The leader epoch in which it follows.
    pub epoch: LeaderEpoch,
    /// How far its disk has it.
    pub flushed: Offset,
    /// The log start that its disk would come back with.
    pub start: Offset,
}

impl<R> News<R> {
    /// The same news with its records carried another way.
    pub fn map<S>(self, carry: impl FnOnce(R) -> S) -> News<S> {
        match self {
            News::Records { records, high, start } => News::Records { records: carry(records), high, start },
            News::Diverging(tip) => News::Diverging(tip),
            News::Restart(start) => News::Restart(start),
            News::Refused(why) => News::Refused(why),
        }
    }

    /// The news without the records.
    pub fn marks(&self) -> News<()> {
        match self {
            News::Records { high, start, .. } => News::Records { records: (), high: *high, start: *start },
            News::Diverging(tip) => News::Diverging(*tip),
            News::Restart(start) => News::Restart(*start),
            News::Refused(why) => News::Refused(*why),
        }
    }
}
