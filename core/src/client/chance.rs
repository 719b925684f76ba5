//! Choices that look random and are a function of the seed: where to begin, and how long to wait before trying again.

/// A well mixed number for the `n`th choice of one kind (splitmix64's finaliser).
pub(crate) fn draw(seed: u64, kind: u64, n: u64) -> u64 {
    let mut z = seed ^ kind.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n.wrapping_mul(0xd1b5_4a32_d192_ed03);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Exponential back-off with jitter, as Kafka's `ExponentialBackoff`: doubling from `first_ms` to `most_ms`, 20% either way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// The first wait.
    pub(crate) first_ms: i64,
    /// The longest wait.
    pub(crate) most_ms: i64,
    /// What the jitter is drawn from.
    pub(crate) seed: u64,
}

impl Backoff {
    /// The wait before attempt number `attempt` (0 is the first repetition), in milliseconds.
    pub(crate) fn wait_ms(&self, attempt: u32) -> i64 {
        let doubled = self.first_ms.saturating_mul(1i64 << attempt.min(20)).min(self.most_ms).max(1);
        let jitter = (draw(self.seed, 1, u64::from(attempt)) % 401) as i64 - 200;
        (doubled + doubled.saturating_mul(jitter) / 1000).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_stay_near_their_mean() {
        let backoff = Backoff { first_ms: 100, most_ms: 1000, seed: 7 };
        for (attempt, mean) in [(0, 100), (1, 200), (2, 400), (3, 800), (4, 1000), (40, 1000)] {
            let wait = backoff.wait_ms(attempt);
            assert!((mean * 8 / 10..=mean * 12 / 10).contains(&wait), "attempt {attempt} waits {wait} ms");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
        assert_ne!(draw(1, 2, 3), draw(1, 2, 4));
        assert_ne!(draw(1, 2, 3), draw(2, 2, 3));
    }
}
