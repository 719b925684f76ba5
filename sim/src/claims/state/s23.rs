//! S23: records are removed from the front of a log because somebody asked for it, or because they are old or too many.

use std::collections::{BTreeMap, BTreeSet};

use quipu_core::broker::Broker;
use quipu_core::broker::door::{Effect, Input, Request};
use quipu_core::cluster::names::GROUP_OFFSETS;
use quipu_core::ids::LogId;
use quipu_core::storage::ops::StoreOp;
use quipu_core::wire;

use crate::batch::Written;
use crate::claims::{Claim, Verdict};
use crate::ghost::Ghost;
use crate::watch::Scene;

/// The claim.
pub struct RemovedForAReason {
    /// By broker: below which offset DeleteRecords asked to remove everything of each partition; all of it, if it did not say.
    asked: Vec<BTreeMap<(String, i32), i64>>,
    /// Removed in this step: from which offset to which.
    removed: Vec<(LogId, i64, i64)>,
    /// Among several brokers: the logs that were ever cut, by broker.
    cut: BTreeSet<(usize, LogId)>,
}

/// What a topic keeps.
#[derive(Clone, Copy, Debug)]
struct Keep {
    /// `retention.ms`; Kafka's default if the topic does not say. `None` keeps for ever.
    age_ms: Option<i64>,
    /// `retention.bytes`; `None` keeps any number.
    bytes: Option<u64>,
}

impl RemovedForAReason {
    /// For so many brokers.
    pub fn new(servers: usize) -> RemovedForAReason {
        RemovedForAReason { asked: vec![BTreeMap::new(); servers], removed: Vec::new(), cut: BTreeSet::new() }
    }
}

impl Claim for RemovedForAReason {
    fn id(&self) -> &'static str {
        "S23"
    }

    fn says(&self) -> &'static str {
        "retention takes what is old or too much, and nothing else"
    }

    fn asking(&mut self, server: usize, _: &Broker, input: &Input) {
        let Input::Request { request: Request::Api(wire::Request::DeleteRecords(request)), .. } = input
        else {
            return;
        };
        for topic in &request.topics {
            for part in &topic.partitions {
                let log = (topic.name.clone(), part.partition_index);
                let to = if part.offset < 0 { i64::MAX } else { part.offset };
                let asked = self.asked[server].entry(log).or_insert(to);
                *asked = to.max(*asked);
            }
        }
    }

    fn told(&mut self, scene: &Scene<'_>, before: &Ghost, effect: &Effect) -> Verdict {
        if let Effect::Store { op: StoreOp::Truncate { log, .. }, .. } = effect
            && self.asked.len() > 1
        {
            self.cut.insert((scene.server, *log));
        }
        if let Effect::Store { op: StoreOp::Trim { log, start }, .. } = effect {
            self.removed.push((*log, before.logs.get(log).map_or(0, |g| g.start), start.0));
        }
        Ok(())
    }

    /// Once all is known that the step has written: it counts in what is left.
    fn stepped(&mut self, scene: &Scene<'_>, ghost: &Ghost) -> Verdict {
        let removed_now = std::mem::take(&mut self.removed);
        // What is read there of a batch's age need not be what the broker remembers of it.
        for (log, from, start) in removed_now.into_iter().filter(|_| !scene.damaged) {
            // The offsets of groups and the metadata are no subject of retention.
            let topic = scene.broker.image().topic_by_id(log.topic).filter(|t| t.name != GROUP_OFFSETS);
            let (Some(topic), Some(known)) = (topic, ghost.logs.get(&log)) else { continue };
            if self.asked.len() > 1 && (!scene.broker.leads(log) || self.cut.contains(&(scene.server, log))) {
                // A follower's log begins where its leader's does; and of a segment that was cut, what is left is not measured yet.
                continue;
            }
            let asked = self.asked[scene.server].get(&(topic.name.clone(), log.partition));
            if start <= asked.copied().unwrap_or(0) {
                continue;
            }
            let number = |name: &str| topic.configs.get(name).and_then(|value| value.parse::<i64>().ok());
            let keep = Keep {
                age_ms: Some(number("retention.ms").unwrap_or(604_800_000)).filter(|ms| *ms >= 0),
                bytes: number("retention.bytes").and_then(|bytes| u64::try_from(bytes).ok()),
            };
            let first = known.batches.partition_point(|b| b.next <= from);
            removed(keep, scene.now.wall.0, &known.batches[first..], start)
                .map_err(|why| format!("{}-{}: {why}", topic.name, log.partition))?;
        }
        Ok(())
    }
}

/// Whether what lies below `start` may go: each batch is old, or what comes after it is as much as is kept. A segment that is
/// too much may well be followed by one that is old, where a clock was behind.
fn removed(keep: Keep, now: i64, log: &[Written], start: i64) -> Verdict {
    let mut left: u64 = log.iter().map(|b| b.size).sum();
    for gone in log.iter().filter(|b| b.next <= start) {
        left -= gone.size;
        let old = keep.age_ms.is_some_and(|ms| now - gone.max_timestamp > ms);
        if !old && keep.bytes.is_none_or(|bytes| left < bytes) {
            return Err(format!("{gone:?} is removed at {now}, with {left} bytes after it; {keep:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two batches of 100 bytes with the times 10 and 20.
    fn log() -> [Written; 2] {
        let batch = |base: i64, max_timestamp| Written {
            base,
            next: base + 1,
            size: 100,
            epoch: 0,
            producer: -1,
            producer_epoch: -1,
            sequence: -1,
            count: 1,
            max_timestamp,
            hash: 0,
        };
        [batch(0, 10), batch(1, 20)]
    }

    fn keep(age_ms: Option<i64>, bytes: Option<u64>) -> Keep {
        Keep { age_ms, bytes }
    }

    #[test]
    fn what_is_young_and_not_too_much_must_stay() {
        assert!(removed(keep(Some(5), None), 15, &log(), 1).is_err(), "as old as may be kept");
        assert!(removed(keep(Some(5), None), 20, &log(), 2).is_err(), "the second is young");
        assert!(removed(keep(None, Some(101)), 99, &log(), 1).is_err(), "too little is left");
        assert!(removed(keep(None, None), 99, &log(), 1).is_err());
    }

    #[test]
    fn what_is_old_or_too_much_may_go() {
        assert!(removed(keep(Some(5), None), 16, &log(), 1).is_ok());
        assert!(removed(keep(Some(5), None), 26, &log(), 2).is_ok());
        assert!(removed(keep(None, Some(100)), 0, &log(), 1).is_ok());
        assert!(
            removed(keep(Some(5), Some(100)), 26, &log(), 2).is_ok(),
            "the first is too much, the second old"
        );
        assert!(removed(keep(None, None), 0, &log(), 0).is_ok(), "nothing goes");
    }
}
