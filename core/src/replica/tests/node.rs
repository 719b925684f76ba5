//! A broker of the small world: its process, and its disk, which forgets what it was not done with.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::controller::Image;
use crate::ids::{BrokerId, LogId, Offset, TopicId};
use crate::log::Log;
use crate::log::segments::Shape;
use crate::log::tail::TailSpace;
use crate::record::{Batch, Records};
use crate::replica::asking::Asking;
use crate::replica::following::Following;
use crate::replica::leading::Leading;
use crate::replica::messages::Incarnation;
use crate::replica::serving::Serving;
use crate::time::{Instant, Timestamp};

pub(super) const SHAPE: Shape = Shape { bytes: 1 << 20, age_ms: i64::MAX };

/// What a disk has been told to do with a log.
#[derive(Clone)]
pub(super) enum Write {
    Append(Batch),
    Cut(Offset),
    Restart(Offset),
    Trim(Offset),
}

/// The batches of a log, one record each, from its start on.
#[derive(Clone, Default)]
pub(super) struct Kept {
    pub(super) start: Offset,
    pub(super) batches: Vec<Batch>,
}

impl Kept {
    pub(super) fn end(&self) -> Offset {
        self.start + self.batches.len() as i64
    }

    pub(super) fn write(&mut self, write: Write) {
        match write {
            Write::Append(batch) => {
                assert_eq!(batch.header().base_offset, self.end(), "a disk is written with a gap");
                self.batches.push(batch);
            }
            Write::Cut(to) => self.batches.truncate((to - self.start).max(0) as usize),
            Write::Restart(at) => *self = Kept { start: at, batches: Vec::new() },
            Write::Trim(to) if to > self.start => {
                self.batches.drain(..(to - self.start) as usize);
                self.start = to;
            }
            Write::Trim(_) => {}
        }
    }

    /// The epoch of the record at an offset and what it says.
    pub(super) fn said(&self, at: Offset) -> (i32, Bytes) {
        let batch = &self.batches[(at - self.start) as usize];
        let records = Records::read_all(batch, 1 << 16).expect("it can be read");
        (batch.header().leader_epoch.0, records[0].value.clone().unwrap_or_default())
    }
}

/// One broker: its process, if it runs, and its disk.
pub(super) struct Node {
    pub(super) disk: BTreeMap<LogId, Kept>,
    /// How long its disk takes at most, in microseconds.
    pub(super) slow_us: u64,
    /// It does nothing until then.
    pub(super) paused: Instant,
    pub(super) process: Option<Process>,
}

pub(super) enum Role {
    Idle,
    Leads(Leading),
    Follows(Following),
}

/// One replica in a running process.
pub(super) struct Replica {
    pub(super) log: Log,
    pub(super) kept: Kept,
    pub(super) role: Role,
    /// Who waits for an acknowledgement: where the record ends.
    pub(super) waiting: Vec<Offset>,
}

/// A write under way: when it is done, and how often its log had been cut when it was told.
pub(super) struct UnderWay {
    pub(super) due: Instant,
    pub(super) log: LogId,
    pub(super) cuts: u64,
    pub(super) write: Write,
}

pub(super) struct Process {
    pub(super) run: Incarnation,
    pub(super) image: Image,
    pub(super) replicas: BTreeMap<LogId, Replica>,
    pub(super) space: TailSpace,
    pub(super) writes: VecDeque<UnderWay>,
    pub(super) serving: Serving,
    pub(super) asking: BTreeMap<BrokerId, Asking>,
}

impl Process {
    pub(super) fn store(&mut self, due: Instant, log: LogId, write: Write) {
        self.replicas.get_mut(&log).expect("it is kept here").kept.write(write.clone());
        let cuts = self.replicas[&log].log.cuts();
        self.writes.push_back(UnderWay { due, log, cuts, write });
    }
}

pub(super) fn log_id(number: u8) -> LogId {
    LogId { topic: TopicId([number + 1; 16]), partition: i32::from(number) }
}

/// A log as a start finds it.
pub(super) fn recovered(log: LogId, kept: &Kept, space: &mut TailSpace) -> Log {
    let mut found = Log::begun_at(log, kept.start);
    for batch in &kept.batches {
        found.follow(batch, SHAPE, Timestamp(0), space).expect("a disk has a log");
    }
    found.flushed_to(found.end());
    found
}
