//! How dense a load is in the course of time: bursts in which much is under way, and quiet stretches left to timers.

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

const MINUTE_MS: u64 = 60_000;

/// From some moment of the load on, clients do things so much less often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tide {
    /// When, in milliseconds of true time.
    pub at_ms: u64,
    /// How many times as long as planned clients wait between their deeds; 1 in a burst.
    pub ease: u64,
}

/// The course of a load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// How long it is, in milliseconds of true time.
    pub load_ms: u64,
    /// How dense it is, from when on; a burst all along if there is none.
    pub tides: Vec<Tide>,
}

impl Course {
    /// As often a burst of seconds as minutes or hours with bursts in them.
    pub fn draw(rng: &mut Rng) -> Course {
        match rng.below(10) {
            0..4 => Course { load_ms: 4_000 + rng.below(16_000), tides: Vec::new() },
            4..7 => Course::waves(between(rng, MINUTE_MS / 2, 10 * MINUTE_MS), rng),
            _ => Course::waves(between(rng, 10 * MINUTE_MS, 480 * MINUTE_MS), rng),
        }
    }

    /// For several brokers, which never are quite silent: a burst of seconds, or now and then minutes with bursts in them.
    pub fn draw_cluster(rng: &mut Rng) -> Course {
        if rng.percent(75) {
            return Course { load_ms: 6_000 + rng.below(30_000), tides: Vec::new() };
        }
        Course::waves(between(rng, MINUTE_MS / 2, 4 * MINUTE_MS), rng)
    }

    /// Bursts of some seconds, the first at once, each followed by a quiet stretch.
    fn waves(load_ms: u64, rng: &mut Rng) -> Course {
        let bursts = 1 + rng.below(4);
        let part = load_ms / bursts;
        let mut tides = Vec::new();
        for i in 0..bursts {
            let burst = (500 + rng.below(3_500)).min(part / 4);
            let at_ms = part * i + if i == 0 { 0 } else { rng.below(part / 2) };
            // So that a client does some dozens of things in a quiet stretch, however long it is.
            let ease = (part / (60 * (10 + rng.below(150)))).max(2);
            tides.extend([Tide { at_ms, ease: 1 }, Tide { at_ms: at_ms + burst, ease }]);
        }
        Course { load_ms, tides }
    }

    /// Whether there are quiet stretches.
    pub fn is_long(&self) -> bool {
        !self.tides.is_empty()
    }

    /// The bursts: from when to when, in milliseconds.
    pub fn bursts(&self) -> Vec<(u64, u64)> {
        let pairs = self.tides.chunks(2).map(|pair| (pair[0].at_ms, pair[1].at_ms));
        if self.is_long() { pairs.collect() } else { vec![(0, self.load_ms)] }
    }

    /// A time-out or an interval: as for a load of seconds if it is that, else some share of the load, so that it passes
    /// tens to thousands of times, but `most` at the most.
    pub fn interval(&self, rng: &mut Rng, short: (u64, u64), most: u64) -> u64 {
        let (least, spread) = short;
        if !self.is_long() {
            return least + rng.below(spread);
        }
        let least = (self.load_ms / 3_000).clamp(least, most / 2);
        between(rng, least, (self.load_ms / 50).clamp(2 * least, most))
    }
}

/// A number from `least` to `most`; each order of magnitude is as likely as the other.
pub fn between(rng: &mut Rng, least: u64, most: u64) -> u64 {
    let doublings = (most / least.max(1)).max(1).ilog2();
    let base = least.max(1) << rng.below(u64::from(doublings) + 1);
    (base + rng.below(base)).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_loads_last_seconds_and_some_hours_with_bursts_in_them() {
        let courses: Vec<Course> = (0..500).map(|seed| Course::draw(&mut Rng::new(seed))).collect();
        assert!(courses.iter().any(|c| c.load_ms < 10_000 && !c.is_long()));
        assert!(courses.iter().any(|c| c.load_ms > 180 * MINUTE_MS && c.bursts().len() > 2));
        for course in courses.iter().filter(|c| c.is_long()) {
            assert!(course.tides.is_sorted_by_key(|t| t.at_ms), "{course:?}");
            let dense: u64 = course.bursts().iter().map(|(from, to)| to - from).sum();
            assert!(course.bursts()[0].0 == 0 && dense <= 16_000, "{course:?}");
            assert!(course.tides.last().is_some_and(|t| t.at_ms < course.load_ms && t.ease > 1));
        }
    }

    #[test]
    fn an_interval_passes_often_in_any_load() {
        let mut rng = Rng::new(1);
        for _ in 0..500 {
            let course = Course::draw(&mut rng);
            let ms = course.interval(&mut rng, (200, 5_000), 600_000);
            assert!(ms >= 200 && ms <= (course.load_ms / 30).max(5_200), "{ms} in {course:?}");
        }
    }
}
