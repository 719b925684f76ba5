//! What all parts of a running node share: bounds, counters, clock, disk for reading.

use std::sync::Arc;

use crate::budget::Budget;
use crate::complaints::Complaints;
use crate::limits::Limits;
use crate::reads::Reads;
use crate::rt::{Clock, Spawner};
use crate::stats::Stats;

/// The part of the bytes for records read from disk that is for reading ahead: one in so many.
const AHEAD_PART: usize = 4;

/// One node's shared means.
pub(crate) struct Shell {
    pub(crate) limits: Limits,
    pub(crate) stats: Arc<Stats>,
    pub(crate) clock: Clock,
    pub(crate) spawner: Spawner,
    /// Bytes of requests read and not yet answered.
    pub(crate) queued: Budget,
    /// Bytes of records read for answers not yet sent.
    pub(crate) answers: Arc<Budget>,
    /// Bytes of records read before they are asked for. A part of their own, so that nobody who has asked waits for them.
    pub(crate) ahead: Arc<Budget>,
    pub(crate) reads: Arc<dyn Reads>,
    pub(crate) complaints: Complaints,
}

impl Shell {
    /// Must be called within the runtime that the node is to run in.
    pub(crate) fn new(limits: Limits, reads: Arc<dyn Reads>) -> Shell {
        let ahead_bytes = limits.answer_bytes / AHEAD_PART;
        Shell {
            stats: Arc::default(),
            clock: Clock::new(),
            spawner: Spawner::current(),
            queued: Budget::new(limits.queued_bytes),
            answers: Arc::new(Budget::new(limits.answer_bytes - ahead_bytes)),
            ahead: Arc::new(Budget::new(ahead_bytes)),
            reads,
            complaints: Complaints::default(),
            limits,
        }
    }
}
