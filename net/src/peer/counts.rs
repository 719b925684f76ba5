//! What the links to other brokers count, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters since the start. Written and read without locks.
#[derive(Debug, Default)]
pub(super) struct PeerStats {
    pub(super) sent: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) linked: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) doubled: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) cut: AtomicU64,
}

/// What the links to other brokers have counted by some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerCounts {
    /// Messages handed to the system for sending.
    pub sent: u64,
    /// Messages dropped before that: there were too many, or there was nobody to send them to.
    pub dropped: u64,
    /// Messages delivered.
    pub received: u64,
    /// Bytes written, after the greeting.
    pub bytes_out: u64,
    /// Bytes read, after the greeting.
    pub bytes_in: u64,
    /// How often a link of this broker came up.
    pub linked: u64,
    /// Connections of other brokers that were welcome.
    pub accepted: u64,
    /// Those among them of a broker that another process with the same node.id had taken the place of.
    pub doubled: u64,
    /// Connections that were not: strangers, other clusters, too many at once.
    pub refused: u64,
    /// Connections that were, and were closed for what came on them, or since nothing did.
    pub cut: u64,
}

impl PeerStats {
    pub(super) fn counts(&self) -> PeerCounts {
        PeerCounts {
            sent: self.sent.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            received: self.received.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            linked: self.linked.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            doubled: self.doubled.load(Relaxed),
            refused: self.refused.load(Relaxed),
            cut: self.cut.load(Relaxed),
        }
    }
}
