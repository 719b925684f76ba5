//! When a round of the lane begins: a moment later where many small requests come in turns, so that one sync serves them all.
//!
//! Clients that wait for each answer fall into two halves: while one half is made durable, the other gathers, and every
//! round syncs every file for half of them. The first half writes again as soon as it is answered; who waits for it a
//! fraction of what a sync takes has them all in one round from then on.

use std::time::Duration;

/// A round of more bytes than this pays for its sync by itself: a pause would only keep the disk idle.
const SMALL_BYTES: usize = 256 * 1024;
/// Where rounds take less than this there is nothing to save, and a pause could not be as short as it should.
const SLOW_FROM: Duration = Duration::from_micros(250);
/// The part of the last round that a pause may take: one in so many.
const PART: u32 = 4;
/// The longest pause: a disk that is stuck for long does not show how long others will be.
const LONGEST: Duration = Duration::from_millis(1);

/// What the last round was like.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    bytes: usize,
    took: Duration,
}

impl Pace {
    /// A round of so many bytes is done.
    pub(crate) fn done(&mut self, bytes: usize, took: Duration) {
        *self = Pace { bytes, took };
    }

    /// How long to wait before the next round, of which `queued` bytes are there by now.
    pub(crate) fn pause(&mut self, queued: usize) -> Option<Duration> {
        let last = std::mem::take(self);
        let pays = last.took >= SLOW_FROM && last.bytes > 0 && last.bytes <= SMALL_BYTES;
        (pays && queued > 0 && queued <= SMALL_BYTES).then(|| (last.took / PART).min(LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(bytes: usize, took_us: u64) -> Pace {
        let mut pace = Pace::default();
        pace.done(bytes, Duration::from_micros(took_us));
        pace
    }

    #[test]
    fn small_requests_that_came_during_a_slow_round_wait_for_those_it_answered() {
        assert_eq!(after(6_000, 1_000).pause(6_000), Some(Duration::from_micros(250)));
        assert_eq!(after(6_000, 60_000_000).pause(6_000), Some(LONGEST));
    }

    #[test]
    fn whoever_is_alone_waits_for_nobody() {
        assert_eq!(after(200, 1_000).pause(0), None);
    }

    #[test]
    fn large_rounds_and_fast_disks_go_on_at_once() {
        assert_eq!(after(1 << 20, 1_000).pause(6_000), None);
        assert_eq!(after(6_000, 1_000).pause(1 << 20), None);
        assert_eq!(after(6_000, 100).pause(6_000), None);
    }

    #[test]
    fn one_round_brings_one_pause() {
        let mut pace = after(6_000, 1_000);
        assert!(pace.pause(6_000).is_some());
        assert_eq!(pace.pause(12_000), None);
    }
}
