//! S15: what a partition remembers of its producers is what its batches say: the last five of each, and the epoch.

use std::collections::{BTreeMap, BTreeSet};

use quipu_core::broker::door::Effect;
use quipu_core::ids::LogId;
use quipu_core::log::Log;
use quipu_core::producer::PastBatch;
use quipu_core::storage::ops::{Recovered, StoreOp};

use crate::batch::Written;
use crate::claims::{Claim, Verdict};
use crate::disk::SimDisk;
use crate::ghost::Ghost;
use crate::rng::Rng;
use crate::watch::Scene;

/// Batches that a client may have under way, and a partition remembers.
const REMEMBERED: usize = 5;
/// One in so many steps is looked at.
const EVERY: u64 = 64;

/// The claim.
pub struct ProducersAreAFold {
    /// When to look; of its own, so that looking changes nothing.
    rng: Rng,
    /// Logs that were looked at since their process started.
    seen: Vec<BTreeSet<LogId>>,
    /// A producer that is silent for so long may be forgotten, in milliseconds of the wall clock.
    silent_ms: i64,
    /// By broker: when it appended a batch since its process started, by its own wall clock.
    heard: Vec<Heard>,
    /// The same of its earlier lives. Of a batch that a process found there it has only the batch's time to go by; but what
    /// its producers were forgotten by then was what the process before had heard.
    heard_before: Vec<Heard>,
    /// By broker: the latest time that its wall clock has shown.
    latest: Vec<i64>,
    /// By broker: logs that it cut below what was committed, since a leader's disk has lost that. It remembers as many batches as may be
    /// cut of a log that is not, until it reads the log anew.
    rewound: Vec<BTreeSet<LogId>>,
}

impl ProducersAreAFold {
    /// For so many brokers, which may forget producers that are silent for so many milliseconds.
    pub fn new(servers: usize, silent_ms: i64) -> ProducersAreAFold {
        let seen = vec![BTreeSet::new(); servers];
        let (heard, latest) = (vec![BTreeMap::new(); servers], vec![i64::MIN; servers]);
        let heard_before = heard.clone();
        let rewound = seen.clone();
        ProducersAreAFold { rng: Rng::new(15), seen, silent_ms, heard, heard_before, latest, rewound }
    }
}

/// When batches were appended, by log and offset, in milliseconds.
type Heard = BTreeMap<(LogId, i64), i64>;

/// A batch of a producer: epoch, sequence of its first record, offsets of the first and after the last one.
type Past = (i16, i32, i64, i64);

impl Claim for ProducersAreAFold {
    fn id(&self) -> &'static str {
        "S15"
    }

    fn says(&self) -> &'static str {
        "the state of producers is a fold of the log"
    }

    fn started(&mut self, server: usize, _: &Ghost, _: &SimDisk, _: &Recovered, _: bool) -> Verdict {
        self.seen[server].clear();
        self.rewound[server].clear();
        let heard = std::mem::take(&mut self.heard[server]);
        self.heard_before[server].extend(heard);
        Ok(())
    }

    fn told(&mut self, scene: &Scene<'_>, before: &Ghost, effect: &Effect) -> Verdict {
        if let Effect::Store { op: StoreOp::Truncate { log, to }, .. } = effect
            && before.logs.get(log).is_some_and(|known| to.0 < known.committed)
        {
            self.rewound[scene.server].insert(*log);
        }
        if let Effect::Store { op: StoreOp::Append { log, batches, .. }, .. } = effect {
            for header in batches.iter().map(|b| b.header()).filter(|h| h.has_producer()) {
                self.heard[scene.server].insert((*log, header.base_offset.0), scene.now.wall.0);
            }
        }
        Ok(())
    }

    fn stepped(&mut self, scene: &Scene<'_>, ghost: &Ghost) -> Verdict {
        let latest = &mut self.latest[scene.server];
        *latest = scene.now.wall.0.max(*latest);
        let silent_since = *latest - self.silent_ms;
        let (heard, before) = (&self.heard[scene.server], &self.heard_before[scene.server]);
        let all = self.rng.below(EVERY) == 0;
        let seen = &mut self.seen[scene.server];
        if scene.damaged || !all && seen.len() == ghost.logs.len() {
            return Ok(());
        }
        for (log, topic, offline) in scene.logs() {
            let (fresh, known) = (seen.insert(log.id()), ghost.logs.get(&log.id()));
            let rewound = self.rewound[scene.server].contains(&log.id());
            let judged = !offline && !rewound && (fresh || all);
            let Some(known) = known.filter(|_| judged) else { continue };
            let found =
                |b: &Written| before.get(&(log.id(), b.base)).map_or(i64::MAX, |at| *at).min(b.max_timestamp);
            let at = |b: &Written| heard.get(&(log.id(), b.base)).copied().unwrap_or_else(|| found(b));
            let silent = |b: &Written| at(b) < silent_since;
            same(&told(log), &known.batches, silent)
                .map_err(|why| format!("{topic}-{}: {why}", log.id().partition))?;
        }
        Ok(())
    }
}

fn told(log: &Log) -> BTreeMap<i64, Vec<Past>> {
    let past = |b: &PastBatch| (b.epoch, b.first_sequence, b.base_offset.0, b.last_offset.0 + 1);
    log.producers().batches().map(|(id, batches)| (id.0, batches.map(past).collect())).collect()
}

/// Whether the newest batches told of each producer are those of the log. What retention has removed may still be told. One
/// that is `silent` since a batch may be forgotten with all up to that batch.
fn same(told: &BTreeMap<i64, Vec<Past>>, log: &[Written], silent: impl Fn(&Written) -> bool) -> Verdict {
    let mut fold: BTreeMap<i64, Vec<Past>> = BTreeMap::new();
    let mut silences: BTreeMap<i64, Vec<bool>> = BTreeMap::new();
    for batch in log.iter().filter(|b| b.producer >= 0) {
        let past = (batch.producer_epoch, batch.sequence, batch.base, batch.next);
        fold.entry(batch.producer).or_default().push(past);
        silences.entry(batch.producer).or_default().push(silent(batch));
    }
    let begins = log.first().map_or(i64::MAX, |b| b.base);
    for (producer, batches) in &fold {
        let newest = &batches[batches.len().saturating_sub(REMEMBERED)..];
        let known = told.get(producer).map(Vec::as_slice).unwrap_or_default();
        let kept = &known[known.len().saturating_sub(newest.len())..];
        let forgotten = newest.len() - kept.len();
        let silent = forgotten > 0 && {
            let last = batches.len() - kept.len() - 1;
            silences[producer][last]
        };
        if kept != &newest[if silent { forgotten } else { 0 }..] {
            return Err(format!("producer {producer} has {known:?}, the log has {newest:?}"));
        }
    }
    for (producer, batches) in told {
        let of_log = fold.get(producer).map(Vec::as_slice).unwrap_or_default();
        if let Some(never) = batches.iter().find(|b| b.2 >= begins && !of_log.contains(b)) {
            return Err(format!("producer {producer} has {never:?}, which is not in the log"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of one record by producer 5, from sequence and offset `from` on.
    fn log(from: i32, upto: i32) -> Vec<Written> {
        let batch = |i: i32| Written {
            base: i64::from(i),
            next: i64::from(i) + 1,
            size: 100,
            epoch: 0,
            producer: 5,
            producer_epoch: 1,
            sequence: i,
            count: 1,
            max_timestamp: 0,
            hash: 0,
        };
        (from..upto).map(batch).collect()
    }

    fn told(sequences: &[i32]) -> BTreeMap<i64, Vec<Past>> {
        let past = |i: &i32| (1, *i, i64::from(*i), i64::from(*i) + 1);
        [(5, sequences.iter().map(past).collect())].into()
    }

    fn since(time: i64) -> impl Fn(&Written) -> bool {
        move |b| b.max_timestamp < time
    }

    #[test]
    fn a_batch_that_is_missing_and_one_that_never_was_are_seen() {
        assert!(same(&BTreeMap::new(), &log(0, 2), since(0)).is_err(), "forgotten");
        assert!(same(&told(&[0, 1]), &log(0, 3), since(0)).is_err(), "the last one");
        assert!(same(&told(&[4, 5, 6]), &log(0, 7), since(0)).is_err(), "only three of five");
        assert!(same(&told(&[0, 1, 2]), &log(0, 2), since(0)).is_err(), "cut off");
        let mut other = told(&[0, 1]);
        other.get_mut(&5).unwrap()[1].0 = 2;
        assert!(same(&other, &log(0, 2), since(0)).is_err(), "another epoch");
    }

    #[test]
    fn more_than_five_and_what_was_removed_are_fine() {
        assert!(same(&told(&[2, 3, 4, 5, 6]), &log(0, 7), since(0)).is_ok());
        assert!(same(&told(&[0, 1, 2, 3, 4, 5, 6]), &log(0, 7), since(0)).is_ok());
        assert!(same(&told(&[2, 3, 4, 5, 6]), &log(5, 7), since(0)).is_ok(), "the first are removed");
        assert!(same(&told(&[2, 3]), &[], since(0)).is_ok());
    }

    #[test]
    fn one_that_was_silent_for_long_may_be_forgotten_and_begin_again() {
        assert!(same(&BTreeMap::new(), &log(0, 2), since(1)).is_ok());
        assert!(same(&BTreeMap::new(), &log(0, 2), since(0)).is_err(), "not silent for long enough");
        assert!(same(&told(&[1]), &log(0, 2), since(1)).is_ok(), "and then it wrote again");
        assert!(same(&told(&[1]), &log(0, 2), since(0)).is_err(), "not silent for long enough, in part");
        assert!(same(&told(&[0]), &log(0, 2), since(1)).is_err(), "the newest is missing");
    }
}
