//! From a frame to what the machine understands, on a thread that may take its time over it.

use bytes::Bytes;
use quipu_core::exchange::entry::{self, Entry};
use quipu_core::record::check::Rules;
use quipu_core::time::Timestamp;
use quipu_core::wire::Unreadable;

use crate::rt;

/// Frames with more bytes than this, whose batches must be checked, are left to a thread that nothing else waits for.
const LONG_CHECK_BYTES: usize = 2 * 1024 * 1024;

/// Reads a frame that took `bytes` from the budget.
pub(crate) fn parse(frame: &Bytes, bytes: usize, rules: &Rules, now: Timestamp) -> Result<Entry, Unreadable> {
    if frame.len() > LONG_CHECK_BYTES {
        rt::computing(|| entry::read(frame, bytes, rules, now))
    } else {
        entry::read(frame, bytes, rules, now)
    }
}
