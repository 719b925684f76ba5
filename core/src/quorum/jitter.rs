//! The chance in a time-out: a pure function, so that nothing that draws in between shifts it.

use std::time::Duration;

use crate::ids::{BrokerId, LeaderEpoch};
use crate::mix::mix;

/// Between one and two times `base`, by seed, node, epoch and attempt.
pub(super) fn within(base: Duration, seed: u64, me: BrokerId, epoch: LeaderEpoch, attempt: u32) -> Duration {
    let mut x = seed;
    for part in [me.0 as u64, epoch.0 as u64, u64::from(attempt)] {
        x = mix(x ^ mix(part));
    }
    let base = base.as_micros() as u64;
    Duration::from_micros(base + x % base.max(1))
}
