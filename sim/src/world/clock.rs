//! The clocks of one machine: both run a little fast or slow, the wall clock is off and may jump.

use quipu_core::time::{Instant, Now, Timestamp};

use super::agenda::Moment;

/// True wall time when a world begins: a day in 2026.
const BEGAN_MS: i64 = 1_790_000_000_000;
const MILLION: u64 = 1_000_000;

/// The clocks of a machine.
#[derive(Clone, Debug)]
pub struct Clock {
    /// What the monotonic clock shows when the world begins.
    pub started_at: u64,
    /// How many of a million microseconds it gains.
    pub drift_ppm: i64,
    /// How far off the wall clock is.
    pub off_ms: i64,
}

impl Clock {
    fn elapsed(&self, at: Moment) -> u64 {
        let gained = i128::from(at) * i128::from(self.drift_ppm) / i128::from(MILLION);
        u64::try_from(i128::from(at) + gained).unwrap_or(0)
    }

    /// What both clocks show at a moment.
    pub fn at(&self, at: Moment) -> Now {
        let elapsed = self.elapsed(at);
        Now {
            mono: Instant(self.started_at + elapsed),
            wall: Timestamp(BEGAN_MS + (elapsed / 1000) as i64 + self.off_ms),
        }
    }

    /// The first moment at which the monotonic clock shows `deadline` or later.
    pub fn when(&self, deadline: Instant) -> Moment {
        let elapsed = deadline.0.saturating_sub(self.started_at);
        let rate = (MILLION as i64 + self.drift_ppm) as u128;
        let mut at =
            (u128::from(elapsed) * u128::from(MILLION) / rate).min(u128::from(u64::MAX / 4)) as Moment;
        while self.elapsed(at) < elapsed.min(u64::MAX / 8) {
            at += 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_at_the_moment_it_is_said_to_be() {
        for drift_ppm in [-50_000, -7, 0, 13, 50_000] {
            let clock = Clock { started_at: 77, drift_ppm, off_ms: -5 };
            for wait in [0, 1, 999, 1_000_000, 86_400_000_000] {
                let deadline = Instant(77 + wait);
                let at = clock.when(deadline);
                assert!(clock.at(at).mono >= deadline, "{drift_ppm} {wait}");
                assert!(at == 0 || clock.at(at - 1).mono < deadline, "{drift_ppm} {wait}");
            }
        }
    }
}
