//! Time as an input: two clocks that the world hands to the machine with each step.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment on the monotonic clock, in microseconds since some fixed past moment. All deadlines use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instant(pub u64);

impl Instant {
    /// Microseconds from `earlier` to this moment; zero when it is not later.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The moment `ms` milliseconds later; a negative wait is none.
    pub fn after_ms(self, ms: i64) -> Instant {
        Instant(self.0.saturating_add((ms.max(0) as u64).saturating_mul(1000)))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, wait: Duration) -> Instant {
        Instant(self.0.saturating_add(wait.as_micros() as u64))
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, wait: Duration) -> Instant {
        Instant(self.0.saturating_sub(wait.as_micros() as u64))
    }
}

/// Milliseconds since 1970 on the wall clock, as Kafka's timestamps. It may jump: nothing that must be safe depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

/// Both clocks, read at the same moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines and intervals.
    pub mono: Instant,
    /// For record timestamps and retention.
    pub wall: Timestamp,
}
