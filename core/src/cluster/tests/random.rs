//! Random lives of small clusters, from a seed: what must hold is looked at after every fact, and after every decision that
//! whoever may lead has everything that was committed.

mod ghost;

use std::collections::BTreeMap;

use super::{Stage, ids, quiet, request};
use crate::cluster::alter_partition::{AlterPartition, Member, alter_partition};
use crate::cluster::change::Election;
use crate::cluster::elections::{elect, elect_leaderless, rebalance, settle_eligible};
use crate::cluster::facts::{ConfigOwner, Fact};
use crate::cluster::image::MetadataImage;
use crate::cluster::lifecycle::{Heartbeat, fence, heartbeat};
use crate::cluster::membership::{RegistrationRequest, register, unregister};
use crate::cluster::partition::PartitionState;
use crate::cluster::producer_ids;
use crate::cluster::reassign::{Reassignment, reassign};
use crate::cluster::topics;
use crate::cluster::view::View;
use crate::ids::{BrokerId, LogId, Offset, TopicId};
use crate::mix::mix;
use ghost::{Cause, Ghost};

const BROKERS: i32 = 5;
const SEEDS: u64 = 60;
const STEPS: usize = 400;

/// Numbers from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(1);
        (mix(self.0) % bound as u64) as usize
    }

    fn broker(&mut self) -> i32 {
        self.below(BROKERS as usize) as i32 + 1
    }

    fn some_brokers(&mut self) -> Vec<i32> {
        let mut all: Vec<i32> = (1..=BROKERS).collect();
        for at in (1..all.len()).rev() {
            all.swap(at, self.below(at + 1));
        }
        all.truncate(self.below(3) + 1);
        all
    }
}

/// A cluster, and what it has come to.
struct World {
    stage: Stage,
    draw: Draw,
    ghost: Ghost,
    /// The newest run of each broker, and its disk.
    runs: BTreeMap<i32, (u64, u8)>,
    disks: u8,
    topics: u8,
    /// The image at some moment, as a snapshot, and how many facts it holds.
    snapshot: (Vec<u8>, usize),
    /// How often each kind of step decided something.
    decided: BTreeMap<&'static str, usize>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut stage = Stage::new(&[1, 2, 3, 4, 5]);
        stage.topic("a", &[&[1, 2, 3], &[2, 3, 4], &[5]], &[("min.insync.replicas", "2")]);
        let mut ghost = Ghost::default();
        ghost.settle(&stage.view(), Cause::Plain);
        World {
            snapshot: (stage.image.encode(), stage.log.len()),
            stage,
            draw: Draw(mix(seed)),
            ghost,
            runs: (1..=BROKERS).map(|b| (b, (1, b as u8))).collect(),
            disks: 100,
            topics: 100,
            decided: BTreeMap::new(),
        }
    }

    /// Folds a decision in, looking after every fact.
    fn take(&mut self, step: &'static str, facts: impl IntoIterator<Item = Fact>, cause: Cause) {
        for fact in facts {
            let before = self.stage.image.clone();
            assert_eq!(Fact::decode(&fact.encode()).as_ref(), Ok(&fact));
            self.stage.fold([fact.clone()]);
            look(&before, &fact, &self.stage.image);
            *self.decided.entry(step).or_default() += 1;
        }
        self.ghost.settle(&self.stage.view(), cause);
    }

    fn step(&mut self) {
        match self.draw.below(32) {
            0 => self.restart(),
            1..=8 => self.beat(),
            9 => self.expire(),
            10..=20 => self.alter(),
            21..=23 => self.elect(),
            24 | 25 => self.reassign(),
            26 => self.change_topics(),
            27 => self.change_min_isr(),
            28..=30 => self.sweep(),
            _ => self.snapshot = (self.stage.image.encode(), self.stage.log.len()),
        }
    }

    fn restart(&mut self) {
        let broker = self.draw.broker();
        let (run, disk) = self.runs[&broker];
        let wiped = self.draw.below(4) == 0;
        let disk = if wiped { self.disks } else { disk };
        self.disks += u8::from(wiped);
        let lost_tail = !wiped && self.draw.below(6) == 0;
        if wiped {
            self.stage.now = self.stage.now.after_ms(super::SESSION_MS);
        }
        let request = RegistrationRequest { lost_tail, ..request(broker, run + 1, disk) };
        let at = (self.stage.now, self.stage.end());
        let view = View { image: &self.stage.image, config: &self.stage.config };
        let lost = wiped || lost_tail || !self.stage.image.brokers().contains_key(&BrokerId(broker));
        let facts = register(&view, &mut self.stage.liveness, &request, at).expect("its session is over");
        self.runs.insert(broker, (run + 1, disk));
        self.take("register", facts, if lost { Cause::Lost(BrokerId(broker)) } else { Cause::Plain });
    }

    fn beat(&mut self) {
        let broker = self.draw.broker();
        let behind = self.draw.below(4) == 0;
        let beat = Heartbeat {
            applied: if behind { Offset(0) } else { self.stage.end() },
            wants_fence: self.draw.below(40) == 0,
            wants_stop: self.draw.below(40) == 0,
            ..quiet(broker, self.runs[&broker].0)
        };
        let at = (self.stage.now, self.stage.end());
        let view = View { image: &self.stage.image, config: &self.stage.config };
        if let Ok((_, facts)) = heartbeat(&view, &mut self.stage.liveness, beat, at) {
            self.take("heartbeat", facts, Cause::Plain);
        }
    }

    fn expire(&mut self) {
        self.stage.now = self.stage.now.after_ms(4000);
        for (broker, run) in self.stage.liveness.expired(&self.stage.image, self.stage.now) {
            if self.draw.below(2) == 0 {
                let facts = fence(&self.stage.view(), broker, run);
                self.take("fence", facts, Cause::Plain);
            }
        }
    }

    /// Any partition with its topic's name.
    fn partition(&mut self) -> (String, LogId, PartitionState) {
        let at = self.draw.below(self.stage.image.partition_count());
        let (topic, partition, state) = self.stage.image.partitions().nth(at).expect("it is below the count");
        (topic.name.clone(), LogId { topic: topic.id, partition }, state.clone())
    }

    fn alter(&mut self) {
        let (_, log, state) = self.partition();
        let Some(leader) = state.leader else { return };
        let stale = |draw: &mut Draw| i32::from(draw.below(20) == 0);
        let member = |broker: BrokerId, back: i32| Member {
            broker,
            incarnation: self.runs[&broker.0].0 - back as u64,
        };
        let others = state.replicas.iter().filter(|b| **b != leader && self.draw.below(5) > 0);
        let chosen: Vec<BrokerId> = others.copied().collect();
        let mut isr = vec![member(leader, 0)];
        isr.extend(chosen.into_iter().map(|b| member(b, stale(&mut self.draw))));
        let mut asked = AlterPartition {
            log,
            leader: isr[0],
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch - stale(&mut self.draw),
            isr,
        };
        asked.leader_epoch.0 -= stale(&mut self.draw);
        if let Ok((fact, told)) = alter_partition(&self.stage.view(), &asked) {
            // A run that is over says nothing of the disk that is there now.
            let current = asked.isr.iter().filter(|m| self.runs[&m.broker.0].0 == m.incarnation);
            let joined = current.map(|m| m.broker).collect();
            self.take("alter", fact, Cause::CaughtUp(log, joined));
            assert_eq!(self.stage.image.partition(log), Some(&told));
        }
    }

    fn elect(&mut self) {
        let (topic, log, _) = self.partition();
        let unclean = self.draw.below(3) == 0;
        let (election, cause) = if unclean {
            (Election::Unclean, Cause::Unclean(log))
        } else {
            (Election::Preferred, Cause::Plain)
        };
        let decided = elect(&self.stage.view(), (&topic, log.partition), election);
        self.take(if unclean { "elect unclean" } else { "elect preferred" }, decided.ok(), cause);
    }

    fn reassign(&mut self) {
        let (topic, log, _) = self.partition();
        let replicas = (self.draw.below(3) > 0).then(|| self.draw.some_brokers());
        let step = if replicas.is_some() { "reassign" } else { "call off" };
        let asked = Reassignment { topic, partition: log.partition, replicas };
        let decided = reassign(&self.stage.view(), &asked, true);
        self.take(step, decided.ok().flatten(), Cause::Plain);
    }

    fn change_topics(&mut self) {
        if self.stage.image.topics().count() > 3 {
            let (_, log, _) = self.partition();
            return self.take("delete", [Fact::TopicDeleted { id: log.topic }], Cause::Plain);
        }
        self.topics += 1;
        let new = topics::NewTopic {
            name: format!("t{}", self.topics),
            partitions: 4,
            replication_factor: self.draw.below(3) as i16 + 1,
            assignments: Vec::new(),
            configs: BTreeMap::new(),
        };
        let created = topics::create(&self.stage.image, new, TopicId([self.topics; 16])).ok();
        self.take("create", created, Cause::Plain);
        let (name, ..) = self.partition();
        let topic = self.stage.image.topic(&name).expect("it was just there");
        let grown = topics::grow(&self.stage.image, topic, topic.partitions.len() as i32 + 1, None).ok();
        self.take("grow", grown, Cause::Plain);
    }

    fn change_min_isr(&mut self) {
        let (_, log, _) = self.partition();
        let value = Some((self.draw.below(3) + 1).to_string());
        let set =
            Fact::ConfigSet { of: ConfigOwner::Topic(log.topic), name: "min.insync.replicas".into(), value };
        let mut after = self.stage.image.clone();
        after.apply(&set);
        let mut facts = vec![set];
        facts.extend(settle_eligible(&View { image: &after, config: &self.stage.config }));
        self.take("min isr", facts, Cause::Plain);
    }

    fn sweep(&mut self) {
        let facts = match self.draw.below(4) {
            0 => elect_leaderless(&self.stage.view(), 100),
            1 => rebalance(&self.stage.view(), Some(10), 100),
            2 => unregister(&self.stage.view(), BrokerId(self.draw.broker())).unwrap_or_default(),
            _ => {
                let broker = self.draw.broker();
                let granted = producer_ids::grant(&self.stage.view(), BrokerId(broker), self.runs[&broker].0);
                granted.into_iter().collect()
            }
        };
        let cause = facts.iter().find_map(|f| match f {
            Fact::BrokerUnregistered { broker, .. } => Some(Cause::Lost(*broker)),
            _ => None,
        });
        self.take("sweep", facts, cause.unwrap_or(Cause::Plain));
    }

    /// A snapshot and the facts after it give what all facts give, to the byte.
    fn end(&self) {
        let mut whole = MetadataImage::default();
        self.stage.log.iter().for_each(|fact| whole.apply(fact));
        let mut rest = MetadataImage::decode(&self.snapshot.0).unwrap();
        assert_eq!(rest.encode(), self.snapshot.0);
        self.stage.log[self.snapshot.1..].iter().for_each(|fact| rest.apply(fact));
        assert_eq!(rest, whole);
        assert_eq!(rest.encode(), whole.encode());
        assert_eq!(whole, self.stage.image);
    }
}

/// What must hold after a fact, whatever comes of the decision it is part of.
fn look(before: &MetadataImage, fact: &Fact, after: &MetadataImage) {
    for (topic, partition, state) in after.partitions() {
        let place = format!("{}-{partition} after {fact:?}: {state:?}", topic.name);
        let active = |b: &BrokerId| after.is_active(*b);
        assert!(state.leader.is_none_or(|leader| state.isr.contains(&leader)), "{place}");
        assert!(state.leader.is_some() || state.isr.is_empty(), "{place}");
        assert!(state.isr.iter().all(active), "in sync and not active: {place}");
        for list in [&state.isr, &state.elr, &state.adding, &state.removing, &state.last_known_elr] {
            let ordered: Vec<BrokerId> =
                state.replicas.iter().copied().filter(|b| list.contains(b)).collect();
            assert_eq!(*list, ordered, "{place}");
        }
        assert!(!state.isr.iter().any(|b| state.elr.contains(b)), "{place}");
        let log = LogId { topic: topic.id, partition };
        let Some(old) = before.partition(log) else { continue };
        assert!(state.leader_epoch >= old.leader_epoch, "{place}");
        assert_eq!(state.partition_epoch, old.partition_epoch + i32::from(state != old), "{place}");
        assert!(state.leader == old.leader || state.leader_epoch > old.leader_epoch, "{place}");
    }
}

#[test]
fn whatever_happens_every_fact_leaves_a_sound_image_and_whoever_may_lead_has_what_is_committed() {
    let mut decided: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut offline, mut from_elr) = (0, 0);
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.end();
        world.decided.into_iter().for_each(|(step, n)| *decided.entry(step).or_default() += n);
        offline += world.ghost.offline;
        from_elr += world.ghost.elected_from_elr;
    }
    let kinds = [
        "register",
        "heartbeat",
        "fence",
        "alter",
        "elect preferred",
        "elect unclean",
        "reassign",
        "call off",
        "create",
        "grow",
        "delete",
        "min isr",
        "sweep",
    ];
    for kind in kinds {
        assert!(
            decided.get(kind).is_some_and(|n| *n > 20),
            "{kind} hardly ever decides anything: {decided:?}"
        );
    }
    assert!(offline > 100 && from_elr > 50, "{offline} {from_elr}");
}

#[test]
fn fencing_everybody_and_unfencing_anybody_brings_every_partition_back_that_it_was_last_in_sync_with() {
    for last in 1..=3 {
        let mut stage = Stage::new(&[1, 2, 3]);
        stage.topic("t", &[&[1, 2, 3]], &[("min.insync.replicas", "2")]);
        let order: Vec<i32> = (1..=3).filter(|b| *b != last).chain([last]).collect();
        order.iter().for_each(|b| stage.fence(*b));
        let state = stage.state("t", 0);
        assert_eq!((state.leader, state.isr.len()), (None, 0));
        assert_eq!(state.elr, {
            let mut kept = ids(&order[1..]);
            kept.sort();
            kept
        });
        stage.beat(last, 1);
        assert_eq!(stage.state("t", 0).leader, Some(BrokerId(last)));
    }
}
