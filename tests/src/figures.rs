//! Durations that were measured, and what a report says of them.

use std::time::Duration;

/// Durations of one kind, in the order they were measured.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<Duration>);

impl Figures {
    /// One more.
    pub fn push(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The shortest that is not shorter than so many percent of all; nothing when nothing was measured.
    pub fn percentile(&self, percent: usize) -> Option<Duration> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied()
    }

    /// The percentile in seconds, for a column of a table.
    pub fn seconds(&self, percent: usize) -> String {
        self.percentile(percent).map_or("-".into(), |found| format!("{:.2} s", found.as_secs_f64()))
    }
}

impl Extend<Duration> for Figures {
    fn extend<I: IntoIterator<Item = Duration>>(&mut self, more: I) {
        self.0.extend(more);
    }
}

#[test]
fn percentiles_are_durations_that_were_measured() {
    let mut figures = Figures::default();
    assert_eq!((figures.percentile(50), figures.seconds(50).as_str()), (None, "-"));
    figures.extend([30, 10, 20, 40].map(Duration::from_millis));
    assert_eq!(figures.percentile(50), Some(Duration::from_millis(20)));
    assert_eq!(figures.percentile(95), Some(Duration::from_millis(40)));
    assert_eq!(figures.seconds(100), "0.04 s");
}
