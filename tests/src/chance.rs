//! What a test draws by a seed, and the numbers that the environment gives it.

use std::time::Duration;

/// Draws, the same for the same seed (xorshift).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Any seed will do.
    pub fn new(seed: u64) -> Chance {
        Chance(seed | 1)
    }

    /// A number below this one, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// A wait shorter than so many ms.
    pub fn pause(&mut self, below_ms: u64) -> Duration {
        Duration::from_millis(self.below(below_ms))
    }

    /// One of these, if there is any.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        match all.len() {
            0 => None,
            len => Some(all[self.below(len as u64) as usize]),
        }
    }

    /// Any order is as likely as any other.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for end in (1..all.len()).rev() {
            all.swap(end, self.below(end as u64 + 1) as usize);
        }
    }
}

/// The number in an environment variable, if it is set; panics when it is no number.
pub fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

#[test]
fn one_seed_draws_one_order_and_another_another() {
    let order = |seed| {
        let mut all: Vec<u64> = (0..20).collect();
        Chance::new(seed).shuffle(&mut all);
        all
    };
    assert_eq!(order(7), order(7));
    assert_ne!(order(7), order(9));
    let mut sorted = order(7);
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..20));
}
