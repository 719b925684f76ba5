//! How long a broker waits before it dials another one again.

use std::time::Duration;

use crate::ids::BrokerId;
use crate::mix::mix;

/// The shortest and the longest wait, both before chance makes them up to a half shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first attempt that failed.
    pub first: Duration,
    /// After many.
    pub longest: Duration,
}

impl Default for Backoff {
    /// A process that is gone refuses connections a moment after it has broken those that it had: the sooner that is found out, the
    /// sooner others lead what it led.
    fn default() -> Backoff {
        Backoff { first: Duration::from_millis(5), longest: Duration::from_secs(1) }
    }
}

impl Backoff {
    /// The wait after `failed` attempts in a row, which is twice as long each time, and for each broker another: those that lost
    /// the same one do not all come back in the same moment. `seed` is the dialer's own.
    pub fn pause(&self, seed: u64, to: BrokerId, failed: u32) -> Duration {
        let doublings = failed.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        let chance = mix(mix(seed ^ mix(to.0 as u64)) ^ u64::from(failed));
        let half_us = whole.as_micros() as u64 / 2;
        Duration::from_micros(half_us + chance % (half_us + 1))
    }
}
