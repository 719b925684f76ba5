//! What the shell counts, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters since the start, and gauges. Written and read without locks.
#[derive(Debug, Default)]
pub struct Stats {
    pub(crate) connections_accepted: AtomicU64,
    pub(crate) connections_open: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) connections_cut: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) rounds: AtomicU64,
    pub(crate) stored_ops: AtomicU64,
    pub(crate) disk_reads: AtomicU64,
    pub(crate) reads_ahead: AtomicU64,
    pub(crate) drives: AtomicU64,
}

/// The values of [`Stats`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted and admitted.
    pub connections_accepted: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// Connections refused because there were too many.
    pub connections_refused: u64,
    /// Connections that the broker ended: bad input, stalls, idleness, failed produces without acknowledgement.
    pub connections_cut: u64,
    /// Requests understood.
    pub requests: u64,
    /// Bytes read from clients.
    pub bytes_in: u64,
    /// Bytes written to clients.
    pub bytes_out: u64,
    /// Reads from sockets that brought something.
    pub reads: u64,
    /// Writes to sockets.
    pub writes: u64,
    /// Rounds of the log directory's lane: each makes everything durable that had gathered.
    pub rounds: u64,
    /// Operations in those rounds.
    pub stored_ops: u64,
    /// Stretches of records read back from disk.
    pub disk_reads: u64,
    /// Stretches of records that were sent and had been read back from disk before they were asked for.
    pub reads_ahead: u64,
    /// Times that the broker was locked and stepped.
    pub drives: u64,
}

impl Stats {
    /// All values now.
    pub fn counts(&self) -> Counts {
        Counts {
            connections_accepted: self.connections_accepted.load(Relaxed),
            connections_open: self.connections_open.load(Relaxed),
            connections_refused: self.connections_refused.load(Relaxed),
            connections_cut: self.connections_cut.load(Relaxed),
            requests: self.requests.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            reads: self.reads.load(Relaxed),
            writes: self.writes.load(Relaxed),
            rounds: self.rounds.load(Relaxed),
            stored_ops: self.stored_ops.load(Relaxed),
            disk_reads: self.disk_reads.load(Relaxed),
            reads_ahead: self.reads_ahead.load(Relaxed),
            drives: self.drives.load(Relaxed),
        }
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Relaxed);
}
