//! The story of a run: a hash of everything that happened, and the words of it when somebody reads along.

/// What happened so far.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    told: u64,
    aloud: bool,
}

impl Trace {
    /// A story; read out to the standard output while it happens when `aloud`.
    pub fn new(aloud: bool) -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, told: 0, aloud }
    }

    /// Something happened that these numbers tell from anything else.
    pub fn mark(&mut self, words: &[u64]) {
        self.told += 1;
        for word in words {
            self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
    }

    /// Something for a reader; the words are only put together when somebody reads.
    pub fn say(&mut self, at: u64, words: impl FnOnce() -> String) {
        self.mark(&[at]);
        if self.aloud {
            println!("{:>12.6} s  {}", at as f64 / 1e6, words());
        }
    }

    /// Whether somebody reads along.
    pub fn is_aloud(&self) -> bool {
        self.aloud
    }

    /// The hash of everything so far.
    pub fn hash(&self) -> u64 {
        self.hash ^ self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_story_has_another_hash() {
        let hash = |events: &[u64]| {
            let mut trace = Trace::new(false);
            events.iter().for_each(|e| trace.mark(&[*e]));
            trace.hash()
        };
        assert_eq!(hash(&[1, 2]), hash(&[1, 2]));
        assert_ne!(hash(&[1, 2]), hash(&[2, 1]));
        assert_ne!(hash(&[1, 2]), hash(&[1, 2, 0]));
    }
}
