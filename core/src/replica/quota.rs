//! How many bytes a second go to replicas that catch up: what is left of that now, and when there is more.

use std::time::Duration;

use crate::time::Instant;

/// What was not used is good for as long, and no longer (Kafka: `replication.quota.window.size.seconds`).
const CREDIT: Duration = Duration::from_secs(1);
/// What was used counts no longer than this (Kafka: `replication.quota.window.num` times that): so something gets through from time to
/// time, however large it is and however small the rate.
const WINDOW: Duration = Duration::from_secs(11);
/// Once all is used, so much has to come together first, or every small batch would go alone.
const PIECE: Duration = Duration::from_millis(100);

/// A rate of bytes, and how much of it is used (KIP-73; Kafka: `ReplicationQuotaManager`). It never cuts a batch: who goes beyond
/// what is left waits for longer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quota {
    /// Bytes a second; `None` is without limit.
    rate: Option<u64>,
    /// Until then the rate is used; before now, since then it is not.
    used_until: Instant,
}

impl Quota {
    /// Bytes a second, of which nothing is used; `None` is without limit.
    pub fn new(rate: Option<u64>) -> Quota {
        Quota { rate, used_until: Instant::default() }
    }

    /// Sets another rate. By that one nothing is used yet. Answers whether it is another.
    pub fn set(&mut self, rate: Option<u64>) -> bool {
        let other = rate != self.rate;
        if other {
            *self = Quota::new(rate);
        }
        other
    }

    /// Whether there is any limit.
    pub fn is_set(&self) -> bool {
        self.rate.is_some()
    }

    /// The bytes that may go now, at least one, which stands for one batch.
    ///
    /// # Errors
    /// All is used: when it is worth while to ask again, always later than `now`.
    pub fn room(&self, now: Instant) -> Result<usize, Instant> {
        let Some(rate) = self.rate else { return Ok(usize::MAX) };
        let again = self.opens();
        if again > now {
            return Err(again);
        }
        let unused = u128::from(now.since(self.since(now)).as_micros() as u64);
        Ok(usize::try_from(u128::from(rate) * unused / 1_000_000).unwrap_or(usize::MAX).max(1))
    }

    /// When there is room: it may be over.
    pub fn opens(&self) -> Instant {
        self.used_until + PIECE
    }

    /// So many bytes go.
    pub fn used(&mut self, now: Instant, bytes: usize) {
        if bytes > 0 && self.is_set() {
            self.used_until = (self.since(now) + self.takes(bytes)).min(now + WINDOW);
        }
    }

    /// Of `reserved` bytes that counted as used, so many have gone.
    pub fn settle(&mut self, now: Instant, reserved: usize, gone: usize) {
        if gone > reserved {
            self.used(now, gone - reserved);
        } else {
            self.used_until = self.used_until - self.takes(reserved - gone);
        }
    }

    fn since(&self, now: Instant) -> Instant {
        self.used_until.max(now - CREDIT)
    }

    /// How long the rate takes for that.
    fn takes(&self, bytes: usize) -> Duration {
        match self.rate {
            _ if bytes == 0 => Duration::ZERO,
            None => Duration::ZERO,
            Some(0) => WINDOW,
            Some(rate) => {
                let micros = (bytes as u128 * 1_000_000).div_ceil(u128::from(rate));
                Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)).min(WINDOW)
            }
        }
    }
}
