//! A cluster under a load that proves itself, and readers that check it: what chaos and failover have in common.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::cluster::Cluster;
use crate::kafka::until;
use crate::load::{Load, Pace};
use crate::pulse::Outage;
use crate::reader::{Progress, Reader};
use crate::scene::Scene;
use crate::story::Story;
use crate::view::View;

/// Partitions of the topic that is written to, each with a replica on every broker.
const PARTITIONS: usize = 6;

/// Members of the group.
const READERS: usize = 3;

/// How long a partition may go without an acknowledgement until the cluster is said not to come back.
const SILENCE: Duration = Duration::from_secs(120);

/// What a cluster is started with beside the defaults.
const CONFIGS: [&str; 5] = [
    "min.insync.replicas=2",
    "default.replication.factor=3",
    "offsets.topic.replication.factor=3",
    "offsets.topic.num.partitions=6",
    "group.initial.rebalance.delay.ms=100",
];

/// A producer that gives up a broker that stands still while others might lead: with librdkafka's defaults it
/// waits half a minute for an answer, and nothing would be seen of what the cluster does meanwhile.
const PRODUCER: [(&str, &str); 2] = [("request.timeout.ms", "1000"), ("socket.timeout.ms", "1000")];

/// 2,000 records a second: silences are seen to a few ms.
const PACE: Pace = Pace { burst: 10, pause: Duration::from_millis(5) };

/// A cluster, its load and its readers.
#[derive(Debug)]
pub struct Trial {
    /// The brokers.
    pub cluster: Cluster,
    /// The topic and the group.
    pub scene: Scene,
    /// Who writes.
    pub load: Load,
    /// What is drawn.
    pub chance: Chance,
    progress: Arc<Progress>,
    readers: Vec<Reader>,
    started: Instant,
    strikes: usize,
}

impl Trial {
    /// Starts everything.
    pub fn start(name: &str, seed: u64) -> Trial {
        let cluster = Cluster::start(&CONFIGS);
        let scene = Scene::open(&cluster.bootstrap(), name, (PARTITIONS, 3));
        let progress = Arc::new(Progress::new(PARTITIONS));
        let readers = (0..READERS).map(|_| Reader::start(&scene, &progress)).collect();
        let load = Load::start(&scene, PACE, &PRODUCER);
        let (chance, started) = (Chance::new(seed), Instant::now());
        Trial { cluster, scene, load, chance, progress, readers, started, strikes: 0 }
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until the cluster is whole and every partition takes records, then for a moment that is drawn.
    /// Every other time that moment falls into a group that commits; else it may still be rebalancing.
    pub fn calm(&mut self) -> View {
        let view = self.cluster.whole();
        self.load.pulse.mark();
        self.all_answered("before a strike");
        if self.strikes.is_multiple_of(2) {
            let commits = self.progress.commits();
            until("a commit", SILENCE, || self.progress.commits() > commits);
        }
        std::thread::sleep(self.chance.pause(500));
        self.strikes += 1;
        view
    }

    /// Waits until every partition has acknowledged a record that was sent after the mark.
    pub fn all_answered(&self, when: &str) {
        let all: Vec<usize> = (0..PARTITIONS).collect();
        self.answered(&all, when);
    }

    /// Waits until each of these partitions has acknowledged a record that was sent after the mark.
    pub fn answered(&self, partitions: &[usize], when: &str) {
        let end = Instant::now() + SILENCE;
        loop {
            self.faultless();
            let outages = self.load.pulse.outages();
            let silent = |partition: &usize| outages[*partition].answered.is_none();
            let waiting: Vec<usize> = partitions.iter().copied().filter(silent).collect();
            if waiting.is_empty() {
                return;
            }
            let late = Instant::now() > end;
            assert!(!late, "{when}: partitions {waiting:?} acknowledge nothing after {SILENCE:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the cluster has got over a strike; answers how each partition fared since the mark.
    pub fn over(&mut self, when: &str) -> Vec<Outage> {
        self.cluster.whole();
        self.all_answered(when);
        let outages = self.load.pulse.outages();
        // librdkafka goes on by itself where it was; only a new member asks where the group had stopped.
        let (next, new) = (self.strikes % READERS, Reader::start(&self.scene, &self.progress));
        std::mem::replace(&mut self.readers[next], new).crash();
        self.faultless();
        outages
    }

    /// Panics when the load or a reader saw what may not be.
    fn faultless(&self) {
        let faults = [self.load.pulse.faults(), self.progress.faults()].concat();
        assert!(
            faults.is_empty(),
            "{} faults, the first: {:#?}",
            faults.len(),
            &faults[..faults.len().min(10)]
        );
    }

    /// Ends the load and holds the log and the readers against it; prints what was proved.
    pub fn finish(self, name: &str) {
        let Trial { cluster, scene, load, progress, readers, started, .. } = self;
        let sent = load.finish();
        let story = Story { scene: &scene, sent: &sent };
        story.log_is_exact();
        story.readers_saw_everything(readers, &progress);
        let (all, consumed) = (sent.iter().sum::<usize>(), progress.next().iter().sum::<usize>());
        let (again, commits, took) = (progress.again(), progress.commits(), started.elapsed().as_secs());
        println!("{name}: {all} records in {took} s, all acknowledged once: 0 lost, 0 doubled, 0 reordered");
        println!("{name}: {consumed} consumed, {again} of them again after a reader had crashed");
        println!("{name}: {commits} commits acknowledged, every resume at or after the last of them");
        drop(cluster);
    }
}
