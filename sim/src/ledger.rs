//! What is committed of the partitions of several brokers, and who was to keep it: the checkers' own book of both.

use std::collections::BTreeMap;

use quipu_core::broker::door::{Effect, Note};
use quipu_core::cluster::partition::PartitionState;
use quipu_core::ids::{BrokerId, LogId, Offset};

use crate::batch::Written;
use crate::ghost::Ghost;
use crate::watch::Scene;

/// One partition.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// What its leaders have called committed, in order, each batch with the leader epoch in which they did.
    pub committed: Vec<(Written, i32)>,
    /// The newest committed metadata of it.
    pub state: Option<PartitionState>,
    /// All who had it in sync have lost their disks, or an operator has let it go: nothing is claimed of it any more.
    pub lost: bool,
}

impl Page {
    /// The offset after what is committed.
    pub fn end(&self) -> i64 {
        self.committed.last().map_or(0, |(batch, _)| batch.next)
    }

    /// Whether a newer leader epoch is known than this one.
    pub fn is_past(&self, epoch: i32) -> bool {
        self.state.as_ref().is_some_and(|state| state.leader_epoch.0 > epoch)
    }
}

/// The book.
pub struct Ledger {
    pages: BTreeMap<LogId, Page>,
    looked: Vec<Offset>,
    /// The run under which each broker was registered when its disk was emptied: what is said of that one holds no more.
    emptied: Vec<Option<u64>>,
    runs: Vec<u64>,
    /// A disk has forgotten what it promised, and does not know it.
    pub forgot: bool,
}

impl Ledger {
    /// For so many brokers.
    pub fn new(servers: usize) -> Ledger {
        Ledger {
            pages: BTreeMap::new(),
            looked: vec![Offset(-1); servers],
            emptied: vec![None; servers],
            runs: vec![0; servers],
            forgot: false,
        }
    }

    /// A partition, unless nothing is claimed of it any more.
    pub fn page(&self, log: LogId) -> Option<&Page> {
        self.pages.get(&log).filter(|page| !page.lost && !self.forgot)
    }

    /// Whether the metadata of this broker still means the disk of another that was emptied since.
    pub fn means_emptied(&self, scene: &Scene<'_>, server: usize) -> bool {
        let registered = scene.broker.image().brokers().get(&id(server)).map(|r| r.incarnation);
        self.emptied[server].is_some() && self.emptied[server] == registered
    }

    /// A disk is empty. What it alone was to keep may be gone.
    pub fn emptied(&mut self, server: usize) {
        self.emptied[server] = Some(self.runs[server]);
        let keeps = |state: &PartitionState, other: bool| {
            state.isr.iter().chain(&state.elr).any(|b| (*b == id(server)) != other)
        };
        for page in self.pages.values_mut() {
            page.lost |= page.state.as_ref().is_none_or(|state| keeps(state, false) && !keeps(state, true));
        }
    }

    /// An operator has a leader elected whoever it be: what is committed may go.
    pub fn let_go(&mut self, log: LogId) {
        self.pages.entry(log).or_default().lost = true;
    }

    /// Whether nothing is claimed of a partition any more.
    pub fn is_lost(&self, log: LogId) -> bool {
        self.pages.get(&log).is_some_and(|page| page.lost)
    }

    /// A broker has said that more is committed.
    pub fn told(&mut self, scene: &Scene<'_>, ghost: &Ghost, effect: &Effect) {
        let Effect::Note(Note::Committed { log: of, high }) = effect else { return };
        if *of == LogId::METADATA || scene.damaged || !scene.broker.leads(*of) {
            return;
        }
        let (Some(log), Some(epoch)) = (ghost.logs.get(of), epoch_of(scene, *of)) else { return };
        let page = self.pages.entry(*of).or_default();
        let from = log.batches.partition_point(|b| b.base < page.end());
        let more = log.batches[from..].iter().take_while(|b| b.next <= high.0);
        page.committed.extend(more.map(|batch| (*batch, epoch)));
    }

    /// Whether a broker has newer metadata than when it was last asked about.
    pub fn has_news(&self, scene: &Scene<'_>) -> bool {
        self.looked[scene.server] != scene.broker.metadata_position()
    }

    /// Takes note of the metadata that a broker has come to.
    pub fn stepped(&mut self, scene: &Scene<'_>) {
        self.looked[scene.server] = scene.broker.metadata_position();
        for (server, run) in self.runs.iter_mut().enumerate() {
            let known = scene.broker.image().brokers().get(&id(server));
            *run = known.map_or(*run, |r| r.incarnation);
        }
        for (topic, partition, state) in scene.broker.image().partitions() {
            let page = self.pages.entry(LogId { topic: topic.id, partition }).or_default();
            if page.state.as_ref().is_none_or(|known| known.partition_epoch < state.partition_epoch) {
                page.state = Some(state.clone());
            }
        }
    }

    /// A process is gone: what it comes to is looked at anew.
    pub fn ended(&mut self, server: usize) {
        self.looked[server] = Offset(-1);
    }
}

/// The leader epoch of a partition by what a broker knows.
pub fn epoch_of(scene: &Scene<'_>, log: LogId) -> Option<i32> {
    scene.broker.image().partition(log).map(|state| state.leader_epoch.0)
}

/// The id of a broker.
pub fn id(server: usize) -> BrokerId {
    BrokerId(server as i32 + 1)
}

/// The place of a broker.
pub fn place(id: BrokerId) -> usize {
    id.0 as usize - 1
}

#[cfg(test)]
mod tests {
    use quipu_core::ids::{LeaderEpoch, TopicId};

    use super::*;

    const LOG: LogId = LogId { topic: TopicId([7; 16]), partition: 0 };

    fn ledger(isr: &[i32], elr: &[i32]) -> Ledger {
        let ids = |list: &[i32]| list.iter().copied().map(BrokerId).collect::<Vec<_>>();
        let state = PartitionState {
            isr: ids(isr),
            elr: ids(elr),
            leader_epoch: LeaderEpoch(4),
            ..PartitionState::new(&ids(&[1, 2, 3]), |_| true)
        };
        let mut ledger = Ledger::new(3);
        ledger.pages.insert(LOG, Page { state: Some(state), ..Page::default() });
        ledger
    }

    #[test]
    fn what_only_an_emptied_disk_was_to_keep_is_lost_and_nothing_else() {
        let lost = |isr: &[i32], elr: &[i32], emptied: usize| {
            let mut ledger = ledger(isr, elr);
            ledger.emptied(emptied);
            ledger.page(LOG).is_none()
        };
        assert!(lost(&[2], &[], 1));
        assert!(!lost(&[2, 3], &[], 1) && !lost(&[2], &[3], 1) && !lost(&[3], &[], 1));
    }

    #[test]
    fn an_epoch_is_past_once_a_newer_one_is_known_and_nothing_is_claimed_once_a_disk_forgets() {
        let mut ledger = ledger(&[1], &[]);
        assert!(ledger.page(LOG).is_some_and(|page| page.is_past(3) && !page.is_past(4) && page.end() == 0));
        ledger.forgot = true;
        assert!(ledger.page(LOG).is_none());
    }
}
