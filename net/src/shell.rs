//! What all parts of a running node share: bounds, counters, clock, disk for reading.

use std::sync::Arc;

use crate::budget::Budget;
use crate::complaints::Complaints;
use crate::limits::Limits;
use crate::reads::Reads;
use crate::rt::{Clock, Spawner};
use crate::stats::Stats;

/// One node's shared means.
pub(crate) struct Shell {
    pub(crate) limits: Limits,
    pub(crate) stats: Arc<Stats>,
    pub(crate) clock: Clock,
    pub(crate) spawner: Spawner,
    /// Bytes of requests read and not yet answered.
    pub(crate) queued: Budget,
    /// Bytes of records read for answers not yet sent.
    pub(crate) answers: Budget,
    pub(crate) reads: Arc<dyn Reads>,
    pub(crate) complaints: Complaints,
}

impl Shell {
    /// Must be called within the runtime that the node is to run in.
    pub(crate) fn new(limits: Limits, reads: Arc<dyn Reads>) -> Shell {
        Shell {
            stats: Arc::default(),
            clock: Clock::new(),
            spawner: Spawner::current(),
            queued: Budget::new(limits.queued_bytes),
            answers: Budget::new(limits.answer_bytes),
            reads,
            complaints: Complaints::default(),
            limits,
        }
    }
}
