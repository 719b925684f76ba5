//! A node of the small world: its process, and its disk, which forgets what it was not done with.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use crate::ids::{BrokerId, Offset};
use crate::log::Log;
use crate::log::tail::TailSpace;
use crate::quorum::{Election, Quorum, Voter, Voters, WriteId};
use crate::record::{Batch, Records};
use crate::time::Instant;

/// What a disk has been told to do, and when it will have.
pub(super) enum Write {
    Keep(WriteId, Election),
    Append(Batch),
    Cut(Offset),
}

/// What a disk has for certain.
#[derive(Clone, Default)]
pub(super) struct Disk {
    pub(super) election: Election,
    pub(super) batches: Vec<Batch>,
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
    pub(super) batches: Vec<Batch>,
    pub(super) space: TailSpace,
    pub(super) writes: VecDeque<(Instant, u64, Write)>,
}

impl Disk {
    pub(super) fn write(&mut self, write: Write) {
        match write {
            Write::Keep(_, election) => self.election = election,
            Write::Append(batch) => self.batches.push(batch),
            Write::Cut(to) => self.batches.truncate(to.0 as usize),
        }
    }
}

impl Process {
    pub(super) fn store(&mut self, due: Instant, write: Write) {
        match &write {
            Write::Append(batch) => self.batches.push(batch.clone()),
            Write::Cut(to) => self.batches.truncate(to.0 as usize),
            Write::Keep(..) => {}
        }
        self.writes.push_back((due, self.log.cuts(), write));
    }
}

/// The epoch of a batch and what its record says.
pub(super) fn said(batch: &Batch) -> (i32, Bytes) {
    let records = Records::read_all(batch, 1 << 16).expect("it can be read");
    (batch.header().leader_epoch.0, records[0].value.clone().unwrap_or_default())
}

/// The voters, by the newest record of them in a log.
pub(super) fn voters_in(batches: &[Batch], initial: &BTreeSet<BrokerId>) -> Voters {
    let formed = batches.iter().rev().map(said).find_map(|(_, value)| {
        postcard::from_bytes(value.strip_prefix(b"voters ")?).ok().map(Voters::Formed)
    });
    formed.unwrap_or_else(|| Voters::Forming(initial.clone()))
}
