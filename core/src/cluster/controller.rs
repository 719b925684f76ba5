//! What the controller decides with: it decides against what is committed and what is on its way, and folds what commits.

use std::collections::VecDeque;

use crate::cluster::facts::Fact;
use crate::cluster::image::MetadataImage;
use crate::ids::{LeaderEpoch, Offset};

/// Both images and the facts between them.
#[derive(Debug, Default)]
pub struct Controller {
    /// The fold of what is committed: what clients are told.
    committed: MetadataImage,
    /// The same with what was appended but is not committed yet: what decisions are made against.
    speculative: MetadataImage,
    under_way: VecDeque<Decided>,
    /// Where the committed image stands: the first offset not in it, and the epoch of the last record that is.
    position: (Offset, LeaderEpoch),
}

/// Facts of one decision, appended as one batch.
#[derive(Debug)]
struct Decided {
    end: Offset,
    epoch: LeaderEpoch,
    facts: Vec<Fact>,
}

impl Controller {
    /// Starts from a snapshot.
    pub fn restore(&mut self, image: MetadataImage, position: (Offset, LeaderEpoch)) {
        assert!(self.under_way.is_empty(), "a snapshot over decisions under way");
        self.speculative = image.clone();
        self.committed = image;
        self.position = position;
    }

    /// Goes on from a snapshot of what is committed elsewhere: whatever was on its way here is in it, or was never decided. Answers the
    /// image that was committed here.
    pub fn replace(&mut self, image: MetadataImage, position: (Offset, LeaderEpoch)) -> MetadataImage {
        assert!(position.0 >= self.position.0, "a snapshot of what is known already");
        self.under_way.clear();
        self.speculative = image.clone();
        self.position = position;
        std::mem::replace(&mut self.committed, image)
    }

    /// Folds a committed fact in that is read back from the log; `next` is the offset after it.
    pub fn replay(&mut self, fact: &Fact, next: Offset, epoch: LeaderEpoch) {
        self.committed.apply(fact);
        self.speculative.apply(fact);
        self.position = (next, epoch);
    }

    /// Facts were appended and end before `end`.
    pub fn decided(&mut self, facts: Vec<Fact>, end: Offset, epoch: LeaderEpoch) {
        facts.iter().for_each(|f| self.speculative.apply(f));
        self.under_way.push_back(Decided { end, epoch, facts });
    }

    /// Takes the next decision that is committed and folds it in.
    pub fn commit(&mut self, high: Offset) -> Option<Vec<Fact>> {
        let decided = self.under_way.pop_front_if(|d| d.end <= high)?;
        decided.facts.iter().for_each(|f| self.committed.apply(f));
        self.position = (decided.end, decided.epoch);
        Some(decided.facts)
    }

    /// The log was cut back to `to`: what lay beyond was never decided.
    pub fn cut(&mut self, to: Offset) {
        self.under_way.retain(|decided| decided.end <= to);
        self.speculative = self.committed.clone();
        self.under_way
            .iter()
            .flat_map(|decided| &decided.facts)
            .for_each(|fact| self.speculative.apply(fact));
    }

    /// What is committed.
    pub fn image(&self) -> &MetadataImage {
        &self.committed
    }

    /// What decisions are made against.
    pub fn draft(&self) -> &MetadataImage {
        &self.speculative
    }

    /// The first offset that is not in the committed image, and the epoch of the last record that is.
    pub fn position(&self) -> (Offset, LeaderEpoch) {
        self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_leader_has_cut_off_counts_for_no_decision_any_more() {
        let mut c = Controller::default();
        let fact = |next| vec![Fact::ProducerIdsAllocated { next }];
        (1..=3).for_each(|n| c.decided(fact(n * 10), Offset(n), LeaderEpoch(0)));
        assert!(c.commit(Offset(1)).is_some());
        c.cut(Offset(2));
        assert_eq!((c.image().next_producer_id(), c.draft().next_producer_id()), (10, 20));
        c.decided(fact(50), Offset(3), LeaderEpoch(1));
        assert_eq!(c.commit(Offset(3)), Some(fact(20)));
        assert_eq!(c.commit(Offset(3)), Some(fact(50)));
    }

    #[test]
    fn decisions_count_at_once_for_the_next_decision_but_are_told_only_once_committed() {
        let mut c = Controller::default();
        c.decided(vec![Fact::ProducerIdsAllocated { next: 10 }], Offset(1), LeaderEpoch(0));
        c.decided(vec![Fact::ProducerIdsAllocated { next: 20 }], Offset(2), LeaderEpoch(0));
        assert_eq!((c.image().next_producer_id(), c.draft().next_producer_id()), (0, 20));
        assert!(c.commit(Offset(1)).is_some() && c.commit(Offset(1)).is_none());
        assert_eq!(c.image().next_producer_id(), 10);
        c.cut(Offset(1));
        assert_eq!(c.draft(), c.image());
    }
}
