//! A node of the small world: its process, and its disk, which forgets what it was not done with.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use crate::ids::{BrokerId, LogId, Offset};
use crate::log::Log;
use crate::log::segments::Shape;
use crate::log::tail::TailSpace;
use crate::quorum::messages::Tip;
use crate::quorum::{Election, Quorum, Voter, Voters, WriteId};
use crate::record::{Batch, Records};
use crate::time::{Instant, Timestamp};

pub(super) const SHAPE: Shape = Shape { bytes: 1 << 20, age_ms: i64::MAX };

/// What a disk has been told to do, and when it will have.
pub(super) enum Write {
    Keep(WriteId, Election),
    Append(Batch),
    Cut(Offset),
    Snapshot(Snapshot),
    Trim(Offset),
    Restart(Tip),
}

/// Everything below an offset: the epoch of each record, and what it says.
#[derive(Clone)]
pub(super) struct Snapshot {
    pub(super) of: Tip,
    pub(super) facts: Vec<(i32, Bytes)>,
}

/// Batches of one record each, and where they begin.
#[derive(Clone, Default)]
pub(super) struct Tail {
    pub(super) start: i64,
    pub(super) batches: Vec<Batch>,
}

/// What a disk has for certain.
#[derive(Clone, Default)]
pub(super) struct Disk {
    pub(super) election: Election,
    pub(super) tail: Tail,
    pub(super) snapshot: Option<Snapshot>,
}

/// One node: its process, if it runs, and its disk.
pub(super) struct Node {
    pub(super) me: Voter,
    pub(super) disk: Disk,
    /// How long its disk takes at most, in microseconds.
    pub(super) slow_us: u64,
    /// It does nothing until then.
    pub(super) paused: Instant,
    pub(super) process: Option<Process>,
}

pub(super) struct Process {
    pub(super) quorum: Quorum,
    pub(super) log: Log,
    pub(super) tail: Tail,
    pub(super) space: TailSpace,
    pub(super) writes: VecDeque<(Instant, u64, Write)>,
    /// The newest snapshot that is durable and that the log goes on from.
    pub(super) snapshot: Option<Snapshot>,
    /// On its way to the disk, and whether it is another node's.
    pub(super) on_its_way: Option<(Snapshot, bool)>,
    /// Another node's, and durable.
    pub(super) taken: Option<Snapshot>,
}

impl Snapshot {
    pub(super) fn encode(&self) -> Vec<u8> {
        let facts: Vec<(i32, &[u8])> =
            self.facts.iter().map(|(epoch, value)| (*epoch, value.as_ref())).collect();
        postcard::to_allocvec(&facts).expect("it has a form")
    }

    pub(super) fn decode(of: Tip, bytes: &[u8]) -> Snapshot {
        let facts: Vec<(i32, Vec<u8>)> = postcard::from_bytes(bytes).expect("it reads back");
        Snapshot { of, facts: facts.into_iter().map(|(epoch, value)| (epoch, value.into())).collect() }
    }
}

impl Tail {
    pub(super) fn end(&self) -> i64 {
        self.start + self.batches.len() as i64
    }

    fn cut(&mut self, to: Offset) {
        self.batches.truncate((to.0 - self.start) as usize);
    }

    fn trim(&mut self, to: Offset) {
        self.batches.drain(..(to.0 - self.start).max(0) as usize);
        self.start = self.start.max(to.0);
    }

    fn write(&mut self, write: &Write) {
        match write {
            Write::Append(batch) => self.batches.push(batch.clone()),
            Write::Cut(to) => self.cut(*to),
            Write::Trim(to) => self.trim(*to),
            Write::Restart(of) => *self = Tail { start: of.end.0, batches: Vec::new() },
            Write::Keep(..) | Write::Snapshot(_) => {}
        }
    }

    /// The epoch of the record before an offset, if it is here.
    fn before(&self, offset: i64) -> Option<i32> {
        self.batches.get(usize::try_from(offset - 1 - self.start).ok()?).map(|b| b.header().leader_epoch.0)
    }
}

impl Disk {
    pub(super) fn write(&mut self, write: Write) {
        self.tail.write(&write);
        match write {
            Write::Keep(_, election) => self.election = election,
            Write::Snapshot(new) if self.snapshot.as_ref().is_none_or(|old| old.of.end <= new.of.end) => {
                self.snapshot = Some(new);
            }
            _ => {}
        }
    }

    /// What a start makes of it, as the broker does: a log that does not go on from the snapshot begins anew behind it.
    pub(super) fn recover(&mut self) {
        let Some(snapshot) = &self.snapshot else { return };
        let of = snapshot.of;
        let continues = self.tail.start >= of.end.0 || self.tail.before(of.end.0) == Some(of.epoch.0);
        assert!(self.tail.start <= of.end.0, "what lies between the snapshot and the log is missing");
        if self.tail.end() < of.end.0 || !continues {
            self.tail = Tail { start: of.end.0, batches: Vec::new() };
        }
    }

    /// Its log.
    pub(super) fn log(&self, space: &mut TailSpace) -> Log {
        let mut log = Log::empty(LogId::METADATA);
        if self.tail.start > 0 {
            log.restart(Offset(self.tail.start), None, space);
        }
        for batch in &self.tail.batches {
            log.follow(batch, SHAPE, Timestamp(0), space).expect("a disk has a log");
        }
        log.flushed_to(log.end());
        log.raise_high(self.snapshot.as_ref().map_or(Offset(0), |s| s.of.end));
        log
    }

    pub(super) fn facts(&self) -> Vec<(i32, Bytes)> {
        facts(self.snapshot.as_ref(), &self.tail)
    }
}

impl Process {
    pub(super) fn store(&mut self, due: Instant, write: Write) {
        self.tail.write(&write);
        self.writes.push_back((due, self.log.cuts(), write));
    }

    /// What its log says, and the snapshot before it.
    pub(super) fn facts(&self) -> Vec<(i32, Bytes)> {
        facts(self.snapshot.as_ref(), &self.tail)
    }
}

fn facts(snapshot: Option<&Snapshot>, tail: &Tail) -> Vec<(i32, Bytes)> {
    let below = snapshot.map_or(&[][..], |s| &s.facts[..]);
    assert!(below.len() as i64 >= tail.start, "there is a gap behind the snapshot");
    let below = below.iter().take(tail.start as usize).cloned();
    below.chain(tail.batches.iter().map(said)).collect()
}

/// The epoch of a batch and what its record says.
pub(super) fn said(batch: &Batch) -> (i32, Bytes) {
    let records = Records::read_all(batch, 1 << 16).expect("it can be read");
    (batch.header().leader_epoch.0, records[0].value.clone().unwrap_or_default())
}

/// The voters, by the newest record of them.
pub(super) fn voters_in(facts: &[(i32, Bytes)], initial: &BTreeSet<BrokerId>) -> Voters {
    let formed = facts.iter().rev().find_map(|(_, value)| {
        postcard::from_bytes(value.strip_prefix(b"voters ")?).ok().map(Voters::Formed)
    });
    formed.unwrap_or_else(|| Voters::Forming(initial.clone()))
}
