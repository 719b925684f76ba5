//! S8: start <= stable <= high watermark <= end, flushed <= end, and nothing counts as high before it is flushed.

use crate::claims::{Claim, Verdict};
use crate::ghost::Ghost;
use crate::watch::Scene;

/// The claim.
pub struct MarksInOrder {
    /// A follower may know that others have on disk what it has not.
    several: bool,
}

impl MarksInOrder {
    /// For so many brokers.
    pub fn new(servers: usize) -> MarksInOrder {
        MarksInOrder { several: servers > 1 }
    }
}

/// The marks of a log.
#[derive(Clone, Copy, Debug)]
struct Marks {
    start: i64,
    stable: i64,
    high: i64,
    flushed: i64,
    end: i64,
}

impl Claim for MarksInOrder {
    fn id(&self) -> &'static str {
        "S8"
    }

    fn says(&self) -> &'static str {
        "start <= stable <= high <= flushed <= end"
    }

    fn stepped(&mut self, scene: &Scene<'_>, _: &Ghost) -> Verdict {
        scene.logs().try_for_each(|(log, topic, _)| {
            let marks = Marks {
                start: log.start().0,
                stable: log.stable().0,
                high: log.high().0,
                flushed: log.flushed().0,
                end: log.end().0,
            };
            let follows = self.several && marks.flushed <= marks.end && marks.high <= marks.end;
            let marks = if follows { Marks { flushed: marks.end, ..marks } } else { marks };
            in_order(topic, log.id().partition, marks)
        })
    }
}

fn in_order(topic: &str, partition: i32, m: Marks) -> Verdict {
    // What lies below its start is not for a log that has just begun anew to flush.
    let durable = m.high <= m.flushed.max(m.start);
    let fine = m.start <= m.stable && m.stable <= m.high && durable && m.flushed <= m.end;
    if fine { Ok(()) } else { Err(format!("{topic}-{partition}: {m:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_out_of_order_are_seen_and_equal_ones_are_fine() {
        let fine = Marks { start: 1, stable: 2, high: 2, flushed: 3, end: 3 };
        assert!(in_order("t", 0, fine).is_ok());
        assert!(in_order("t", 0, Marks { start: 3, ..fine }).is_err());
        assert!(in_order("t", 0, Marks { high: 4, flushed: 5, end: 3, ..fine }).is_err());
        assert!(in_order("t", 0, Marks { high: 3, flushed: 2, ..fine }).is_err(), "high before flushed");
        let anew = Marks { start: 3, stable: 3, high: 3, flushed: 0, end: 3 };
        assert!(in_order("t", 0, anew).is_ok(), "nothing is in it");
        assert!(in_order("t", 0, Marks { high: 4, end: 4, ..anew }).is_err(), "something of it counts");
    }
}
