//! M6: the committed metadata is what all facts ever committed come to, also after a snapshot and a replay.

use std::collections::{BTreeMap, BTreeSet};

use quipu_core::broker::door::{Effect, Note};
use quipu_core::cluster::facts::{ConfigOwner, Fact};
use quipu_core::cluster::image::MetadataImage;
use quipu_core::ids::{BrokerId, LogId, TopicId};
use quipu_core::record::{Batch, Records};
use quipu_core::storage::ops::{Recovered, StoreOp};

use crate::canon::Canon;
use crate::claims::{Claim, Cluster, Verdict};
use crate::disk::SimDisk;
use crate::ghost::Ghost;
use crate::watch::Scene;

/// So many facts are shown where they do not come to what is there.
const LAST_SHOWN: usize = 20;

/// The claim.
pub struct MetadataIsAFold {
    brokers: Vec<Facts>,
}

/// The facts of one broker.
#[derive(Default)]
struct Facts {
    fold: Fold,
    /// Appended and not committed, with their offsets.
    pending: Vec<(i64, Fact)>,
    ready: bool,
    /// Up to where facts are in the fold, among several brokers.
    folded: i64,
    /// There is something new to compare.
    moved: bool,
}

/// What facts come to, by their own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Fold {
    topics: BTreeMap<TopicId, Topic>,
    incarnations: BTreeMap<i32, u64>,
    /// Brokers that are registered and may not lead now.
    away: BTreeSet<i32>,
    configs: BTreeMap<ConfigOwner, BTreeMap<String, String>>,
    next_producer_id: i64,
}

/// Its name, its configs, and of each partition the leader and the leader epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Topic {
    name: String,
    configs: BTreeMap<String, String>,
    partitions: Vec<(i32, i32)>,
}

impl MetadataIsAFold {
    /// For so many brokers.
    pub fn new(servers: usize) -> MetadataIsAFold {
        MetadataIsAFold { brokers: (0..servers).map(|_| Facts::default()).collect() }
    }
}

impl Claim for MetadataIsAFold {
    fn id(&self) -> &'static str {
        "M6"
    }

    fn says(&self) -> &'static str {
        "the metadata is the fold of all facts"
    }

    fn started(&mut self, server: usize, _: &Ghost, _: &SimDisk, found: &Recovered, _: bool) -> Verdict {
        let facts = &mut self.brokers[server];
        let log = found.logs.iter().find(|l| l.log == LogId::METADATA);
        // What a start finds counts; what it does not find never will.
        facts.commit(log.map_or(0, |l| l.end.0));
        facts.pending.clear();
        facts.ready = false;
        if self.brokers.len() > 1 {
            self.brokers[server] = Facts::default();
        }
        Ok(())
    }

    fn told(&mut self, scene: &Scene<'_>, _: &Ghost, effect: &Effect) -> Verdict {
        if self.brokers.len() > 1 {
            // What is committed among several, no one of them says.
            return Ok(());
        }
        let facts = &mut self.brokers[scene.server];
        match effect {
            Effect::Store { op: StoreOp::Append { log: LogId::METADATA, batches, .. }, .. } => {
                for batch in batches {
                    facts.pending.extend(read(batch)?);
                }
            }
            Effect::Store { op: StoreOp::Truncate { log: LogId::METADATA, to }, .. } => {
                facts.pending.retain(|(offset, _)| *offset < to.0);
            }
            Effect::Store { op: StoreOp::Restart { log: LogId::METADATA, at, .. }, .. } => {
                // A snapshot holds everything below, and nothing is left of what was beyond.
                facts.commit(at.0);
                facts.pending.clear();
            }
            Effect::Note(Note::Committed { log: LogId::METADATA, high }) => facts.commit(high.0),
            Effect::Note(Note::Ready) => (facts.ready, facts.moved) = (true, true),
            _ => {}
        }
        Ok(())
    }

    /// Of several brokers each has taken over what is committed, from its beginning to where it says, and nothing else.
    fn stepped_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>) -> Verdict {
        let facts = &mut self.brokers[scene.server];
        let to = scene.broker.metadata_position().0;
        if to == facts.folded || scene.damaged || cluster.canon.torn || scene.broker.quorum().is_none() {
            return Ok(());
        }
        facts.advance(cluster.canon, to)?;
        same(&facts.fold, &of_image(scene.broker.image())).map_err(|why| {
            let all: Vec<&(i64, Fact)> =
                cluster.canon.batches.iter().flat_map(|b| cluster.canon.facts(b)).collect();
            let last = &all[all.len().saturating_sub(LAST_SHOWN)..];
            format!("{why}; the last facts: {last:?}")
        })
    }

    fn stepped(&mut self, scene: &Scene<'_>, _: &Ghost) -> Verdict {
        if self.brokers.len() > 1 {
            return Ok(());
        }
        let facts = &mut self.brokers[scene.server];
        if facts.ready && !scene.damaged && std::mem::take(&mut facts.moved) {
            same(&facts.fold, &of_image(scene.broker.image()))?;
        }
        Ok(())
    }
}

fn read(batch: &Batch) -> Result<Vec<(i64, Fact)>, String> {
    let records = Records::read_all(batch, 1 << 20).map_err(|e| e.to_string())?;
    records.into_iter().map(|r| Ok((r.offset.0, Fact::decode(&r.value.unwrap_or_default())?))).collect()
}

impl Facts {
    /// Takes what is committed up to there.
    fn advance(&mut self, canon: &Canon, to: i64) -> Verdict {
        if to < self.folded || to > canon.end() {
            let (folded, end) = (self.folded, canon.end());
            return Err(format!("facts up to {to} are taken over, after {folded}, and {end} are committed"));
        }
        let first = canon.batches.partition_point(|b| b.next <= self.folded);
        let more = canon.batches[first..].iter().take_while(|b| b.next <= to);
        more.flat_map(|b| canon.facts(b)).for_each(|(_, fact)| self.fold.take(fact.clone()));
        self.folded = to;
        Ok(())
    }

    fn commit(&mut self, below: i64) {
        let committed = self.pending.partition_point(|(offset, _)| *offset < below);
        self.moved |= committed > 0;
        self.pending.drain(..committed).for_each(|(_, fact)| self.fold.take(fact));
    }
}

impl Fold {
    fn take(&mut self, fact: Fact) {
        match fact {
            Fact::BrokerStarted { broker, incarnation } => {
                self.incarnations.insert(broker.0, incarnation);
                let led = self.topics.values_mut().flat_map(|t| &mut t.partitions);
                led.filter(|(leader, _)| *leader == broker.0).for_each(|(_, epoch)| *epoch += 1);
            }
            Fact::TopicCreated { id, name, replicas, configs } => {
                let partitions = replicas.iter().map(|r| (self.first(r), 0)).collect();
                self.topics.insert(id, Topic { name, configs, partitions });
            }
            Fact::PartitionsAdded { id, replicas } => {
                let more: Vec<(i32, i32)> = replicas.iter().map(|r| (self.first(r), 0)).collect();
                if let Some(topic) = self.topics.get_mut(&id) {
                    topic.partitions.extend(more);
                }
            }
            Fact::TopicDeleted { id } => drop(self.topics.remove(&id)),
            Fact::ConfigSet { of: ConfigOwner::Topic(id), name, value } => {
                if let Some(topic) = self.topics.get_mut(&id) {
                    set(&mut topic.configs, name, value);
                }
            }
            Fact::ConfigSet { of, name, value } => set(self.configs.entry(of).or_default(), name, value),
            Fact::ProducerIdsAllocated { next: end } | Fact::ProducerIdsGranted { end, .. } => {
                self.next_producer_id = self.next_producer_id.max(end);
            }
            other => self.take_of_several(other),
        }
    }

    /// Who leads a new partition: the first of its replicas that is there.
    fn first(&self, replicas: &[BrokerId]) -> i32 {
        replicas.iter().find(|id| !self.away.contains(&id.0)).map_or(-1, |id| id.0)
    }

    /// Whether this run of a broker is the one that is registered.
    fn is(&self, broker: BrokerId, run: u64) -> bool {
        self.incarnations.get(&broker.0) == Some(&run)
    }

    /// What only a cluster of several brokers says.
    fn take_of_several(&mut self, fact: Fact) {
        match fact {
            Fact::BrokerRegistered { broker, incarnation, .. } => {
                self.incarnations.insert(broker.0, incarnation);
                self.away.insert(broker.0);
            }
            Fact::BrokerFenced { broker, incarnation } | Fact::BrokerStopping { broker, incarnation }
                if self.is(broker, incarnation) =>
            {
                self.away.insert(broker.0);
            }
            Fact::BrokerUnfenced { broker, incarnation } if self.is(broker, incarnation) => {
                self.away.remove(&broker.0);
            }
            Fact::BrokerUnregistered { broker, incarnation } if self.is(broker, incarnation) => {
                self.incarnations.remove(&broker.0);
                self.away.remove(&broker.0);
            }
            Fact::PartitionChanged { topic, partition, change } => {
                let known =
                    self.topics.get_mut(&topic).and_then(|t| t.partitions.get_mut(partition as usize));
                if let (Some(state), Some(leader)) = (known, change.leader) {
                    *state = (leader.map_or(-1, |l| l.0), state.1 + 1);
                }
            }
            // Nothing that is compared here.
            _ => {}
        }
    }
}

fn set(configs: &mut BTreeMap<String, String>, name: String, value: Option<String>) {
    match value {
        Some(value) => drop(configs.insert(name, value)),
        None => drop(configs.remove(&name)),
    }
}

/// What an image says of the same things.
fn of_image(image: &MetadataImage) -> Fold {
    let topic = |t: &quipu_core::cluster::image::Topic| Topic {
        name: t.name.clone(),
        configs: t.configs.clone(),
        partitions: t.partitions.iter().map(|p| (p.leader.map_or(-1, |l| l.0), p.leader_epoch.0)).collect(),
    };
    let incarnations: BTreeMap<i32, u64> =
        image.brokers().iter().map(|(id, r)| (id.0, r.incarnation)).collect();
    let owners = incarnations.keys().map(|id| ConfigOwner::Broker(BrokerId(*id)));
    let owners = owners.chain([ConfigOwner::Cluster]);
    Fold {
        topics: image.topics().map(|t| (t.id, topic(t))).collect(),
        configs: owners.filter_map(|of| Some((of, image.broker_configs(of)?.clone()))).collect(),
        away: image.brokers().iter().filter(|(_, r)| !r.is_active()).map(|(id, _)| id.0).collect(),
        incarnations,
        next_producer_id: image.next_producer_id(),
    }
}

fn same(fold: &Fold, image: &Fold) -> Verdict {
    if fold == image {
        Ok(())
    } else {
        Err(format!("the facts come to {fold:?}, and the image is {image:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Vec<Fact> {
        let topic = |id: u8| Fact::TopicCreated {
            id: TopicId([id; 16]),
            name: format!("t{id}"),
            replicas: vec![vec![BrokerId(1)]; 2],
            configs: BTreeMap::new(),
        };
        let started = |incarnation| Fact::BrokerStarted { broker: BrokerId(1), incarnation };
        vec![
            started(5),
            topic(1),
            topic(2),
            started(6),
            Fact::ConfigSet {
                of: ConfigOwner::Cluster,
                name: "log.retention.ms".into(),
                value: Some("7".into()),
            },
            Fact::TopicDeleted { id: TopicId([1; 16]) },
            Fact::ProducerIdsAllocated { next: 1000 },
        ]
    }

    fn fold(facts: &[Fact]) -> Fold {
        let mut fold = Fold::default();
        facts.iter().for_each(|f| fold.take(f.clone()));
        fold
    }

    fn image(facts: &[Fact]) -> Fold {
        let mut image = MetadataImage::default();
        facts.iter().for_each(|f| image.apply(f));
        of_image(&image)
    }

    #[test]
    fn an_image_that_lacks_any_of_the_facts_is_seen() {
        let all = facts();
        for lost in 0..all.len() {
            let mut rest = all.clone();
            rest.remove(lost);
            // An earlier start and a topic that is deleted later leave no trace.
            let expected = lost <= 1;
            assert_eq!(same(&fold(&all), &image(&rest)).is_ok(), expected, "fact {lost}");
        }
    }

    #[test]
    fn facts_that_are_not_committed_are_not_taken_over_and_those_that_are_may_be_one_by_one() {
        let mut facts = Facts::default();
        assert!(facts.advance(&Canon::formed(3), 1).is_err());
        assert!(facts.advance(&Canon::formed(3), 0).is_ok());
    }

    #[test]
    fn an_image_of_all_facts_also_after_one_that_names_nothing_is_fine() {
        let mut all = facts();
        all.push(Fact::TopicDeleted { id: TopicId([9; 16]) });
        assert!(same(&fold(&all), &image(&all)).is_ok());
    }
}
