//! Who has every committed record of a partition, by the rules of replication alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::partition::PartitionState;
use crate::cluster::view::View;
use crate::config::TopicConfig;
use crate::ids::{BrokerId, LogId};

/// What a decision was taken for, as far as it matters to the records.
pub(super) enum Cause {
    /// Nothing was lost and nobody caught up.
    Plain,
    /// A leader saw these replicas catch up.
    CaughtUp(LogId, BTreeSet<BrokerId>),
    /// A broker may lack records that it had.
    Lost(BrokerId),
    /// Somebody wanted a leader at any price.
    Unclean(LogId),
}

/// Of every partition: its state, and who has all that is committed.
#[derive(Default)]
pub(super) struct Ghost {
    known: BTreeMap<LogId, (PartitionState, BTreeSet<BrokerId>)>,
    /// How often a partition lost its leader.
    pub(super) offline: usize,
    /// How often a leader came from among the eligible ones.
    pub(super) elected_from_elr: usize,
}

impl Ghost {
    /// Takes in what a decision came to.
    pub(super) fn settle(&mut self, view: &View<'_>, cause: Cause) {
        let mut next = BTreeMap::new();
        for (topic, partition, state) in view.image.partitions() {
            let log = LogId { topic: topic.id, partition };
            let config = TopicConfig::resolve(view.config, &topic.configs);
            let min_isr = (config.min_insync_replicas as usize).min(state.replicas.len());
            let whole = match self.known.remove(&log) {
                // An empty log: nobody lacks anything.
                None => state.replicas.iter().copied().collect(),
                Some((old, whole)) => self.moved(log, (&old, whole), state, &cause),
            };
            for broker in state.isr.iter().chain(&state.elr) {
                assert!(whole.contains(broker), "{broker} lacks committed records of {log:?}: {state:?}");
            }
            // The high watermark moves with the ISR, and with nobody else, once that is large enough.
            let commits = state.leader.is_some() && state.isr.len() >= min_isr;
            let whole = if commits { state.isr.iter().copied().collect() } else { whole };
            next.insert(log, (state.clone(), whole));
        }
        self.known = next;
    }

    fn moved(
        &mut self,
        log: LogId,
        (old, mut whole): (&PartitionState, BTreeSet<BrokerId>),
        state: &PartitionState,
        cause: &Cause,
    ) -> BTreeSet<BrokerId> {
        match cause {
            Cause::CaughtUp(of, joined) if *of == log => whole.extend(joined),
            Cause::Lost(broker) => drop(whole.remove(broker)),
            _ => {}
        }
        self.offline += usize::from(old.leader.is_some() && state.leader.is_none());
        let Some(leader) = state.leader.filter(|_| old.leader != state.leader) else {
            let kept = |s: &PartitionState| !s.isr.is_empty() || !s.elr.is_empty();
            let lost = matches!(cause, Cause::Lost(_));
            assert!(kept(state) || !kept(old) || lost, "nobody may lead {log:?} any more: {state:?}");
            return whole;
        };
        self.elected_from_elr += usize::from(old.elr.contains(&leader) && old.isr.is_empty());
        if whole.contains(&leader) {
            return whole;
        }
        let asked = matches!(cause, Cause::Unclean(of) if *of == log);
        let last = old.last_known_elr == [leader] && old.isr.is_empty() && old.elr.is_empty();
        assert!(asked || last, "{leader} lacks committed records of {log:?} and leads: {old:?} to {state:?}");
        // What it has is what counts from here on.
        BTreeSet::from([leader])
    }
}
