//! Where each leader epoch of a log began (Kafka: `LeaderEpochFileCache`).

use crate::ids::{LeaderEpoch, Offset};
use crate::storage::ops::EpochStart;

/// Epoch starts, both epochs and offsets strictly rising.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    starts: Vec<EpochStart>,
}

impl Epochs {
    /// Takes what recovery found.
    pub fn new(starts: Vec<EpochStart>) -> Epochs {
        let rising = starts.windows(2).all(|w| w[0].epoch < w[1].epoch && w[0].start <= w[1].start);
        assert!(rising, "leader epochs out of order: {starts:?}");
        Epochs { starts }
    }

    /// A record of this epoch is appended at `start`.
    pub fn assign(&mut self, epoch: LeaderEpoch, start: Offset) {
        match self.starts.last() {
            Some(last) if last.epoch == epoch => {}
            Some(last) => {
                assert!(last.epoch < epoch, "leader epoch {epoch} after {}", last.epoch);
                self.starts.push(EpochStart { epoch, start });
            }
            None => self.starts.push(EpochStart { epoch, start }),
        }
    }

    /// Forgets epochs that begin at or beyond `end`.
    pub fn truncate(&mut self, end: Offset) {
        self.starts.retain(|e| e.start < end);
    }

    /// Forgets epochs that end before `start`; the one that holds it begins there now.
    pub fn trim(&mut self, start: Offset) {
        let holding = self.starts.iter().rposition(|e| e.start <= start).unwrap_or(0);
        self.starts.drain(..holding);
        if let Some(first) = self.starts.first_mut() {
            first.start = first.start.max(start);
        }
    }

    /// The oldest epoch of which anything is left.
    pub fn first(&self) -> Option<EpochStart> {
        self.starts.first().copied()
    }

    /// The newest epoch.
    pub fn last(&self) -> Option<EpochStart> {
        self.starts.last().copied()
    }

    /// The epoch in which the record at `offset` was written.
    pub fn of(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.starts.iter().rev().find(|e| e.start <= offset).map(|e| e.epoch)
    }

    /// The largest epoch that is not newer than `asked` and the offset at which it ended, for a log that ends at `end`
    /// and whose leader is in epoch `current` (Kafka: `LeaderEpochFileCache.endOffsetFor`). `None` when undefined.
    pub fn end_of(
        &self,
        asked: LeaderEpoch,
        current: LeaderEpoch,
        end: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        if asked < LeaderEpoch(0) {
            return None;
        }
        if asked == current {
            return Some((current, end));
        }
        let after = self.starts.iter().position(|e| e.epoch > asked);
        match after {
            // An epoch that has written nothing yet begins at the end: there the one before it has ended.
            None if asked < current => Some((self.last().map_or(asked, |last| last.epoch), end)),
            None => None,
            Some(0) => Some((asked, self.starts[0].start)),
            Some(i) => Some((self.starts[i - 1].epoch, self.starts[i].start)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(pairs: &[(i32, i64)]) -> Epochs {
        let mut e = Epochs::default();
        pairs.iter().for_each(|(epoch, start)| e.assign(LeaderEpoch(*epoch), Offset(*start)));
        e
    }

    #[test]
    fn an_epoch_ends_where_the_next_one_begins() {
        let e = epochs(&[(1, 0), (3, 10), (4, 25)]);
        let ask = |asked| e.end_of(LeaderEpoch(asked), LeaderEpoch(4), Offset(40)).map(|(e, o)| (e.0, o.0));
        assert_eq!(ask(4), Some((4, 40)));
        assert_eq!(ask(3), Some((3, 25)));
        assert_eq!(ask(2), Some((1, 10)), "an epoch that wrote nothing ends where the one before it did");
        assert_eq!(ask(0), Some((0, 0)));
        assert_eq!(ask(9), None, "an epoch that has not come yet is undefined");
        assert_eq!(ask(-1), None, "and so is none at all");
    }

    #[test]
    fn an_older_epoch_ends_at_the_log_end_while_the_current_one_has_written_nothing() {
        let e = epochs(&[(1, 0), (3, 10)]);
        let (current, end) = (LeaderEpoch(5), Offset(20));
        assert_eq!(e.end_of(LeaderEpoch(3), current, end), Some((LeaderEpoch(3), end)));
        assert_eq!(
            e.end_of(LeaderEpoch(4), current, end),
            Some((LeaderEpoch(3), end)),
            "4 wrote nothing either"
        );
        assert_eq!(e.end_of(LeaderEpoch(6), current, end), None, "6 has not begun");
        let empty = Epochs::default();
        assert_eq!(empty.end_of(LeaderEpoch(4), current, Offset(0)), Some((LeaderEpoch(4), Offset(0))));
    }

    #[test]
    fn the_current_epoch_ends_at_the_log_end_even_when_it_has_written_nothing() {
        let e = epochs(&[(1, 0)]);
        assert_eq!(e.end_of(LeaderEpoch(2), LeaderEpoch(2), Offset(7)), Some((LeaderEpoch(2), Offset(7))));
    }

    #[test]
    fn trimming_keeps_the_epoch_that_holds_the_new_start() {
        let mut e = epochs(&[(1, 0), (3, 10), (4, 25)]);
        e.trim(Offset(12));
        assert_eq!(e, epochs(&[(3, 12), (4, 25)]));
        assert_eq!(e.of(Offset(13)), Some(LeaderEpoch(3)));
        e.truncate(Offset(25));
        assert_eq!(e, epochs(&[(3, 12)]));
    }
}
