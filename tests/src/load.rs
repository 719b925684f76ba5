//! A load: an idempotent producer with acks=all that writes to all partitions in turn, as fast as it is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::producer::{Producer, ThreadedProducer};

use crate::kafka::{PATIENCE, Record, config, send, until};
use crate::pulse::Pulse;
use crate::scene::{Scene, value};

/// Records of one partition that may wait for their acknowledgements: those of a partition without a leader must
/// not fill the queue of all others.
const BACKLOG: usize = 300;

/// How fast a load may be.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// So many records at once, of all partitions together,
    pub burst: usize,
    /// and then a wait.
    pub pause: Duration,
}

/// A producer in a thread of its own.
#[derive(Debug)]
pub struct Load {
    /// Its acknowledgements.
    pub pulse: Pulse,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Load {
    /// Starts to write to the scene's topic.
    pub fn start(scene: &Scene, pace: Pace, configs: &[(&str, &str)]) -> Load {
        let mut config = config(&scene.bootstrap, &[("enable.idempotence", "true"), ("acks", "all")]);
        config.set("linger.ms", "2").set("batch.num.messages", "50").set("retry.backoff.ms", "20");
        config.set("queue.buffering.max.messages", "4000").set("message.timeout.ms", "300000");
        for (name, value) in configs {
            config.set(*name, *value);
        }
        let pulse = Pulse::new(scene.partitions);
        let sender = config.create_with_context(pulse.clone()).expect("the producer's configs are right");
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, shared, scene) = (Arc::clone(&stop), pulse.clone(), scene.clone());
        let thread = std::thread::spawn(move || {
            let mut turn = 0;
            while !stopped.load(Ordering::Relaxed) {
                next(&sender, &scene, &shared, turn % scene.partitions);
                turn += 1;
                if turn.is_multiple_of(pace.burst) {
                    std::thread::sleep(pace.pause);
                }
            }
            // What librdkafka could not bring out counts as a fault, which whoever finishes looks at.
            let _ = sender.flush(PATIENCE);
        });
        Load { pulse, stop, thread }
    }

    /// Waits until as many more records are acknowledged: a life in which nothing happened proves nothing.
    pub fn progress(&self, more: usize, round: usize) {
        let goal = self.pulse.count() + more;
        until(&format!("{more} acknowledgements in round {round}"), PATIENCE, || self.pulse.count() >= goal);
    }

    /// Stops and waits for the last acknowledgement; answers how many records went to each partition.
    pub fn finish(self) -> Vec<usize> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the load's thread ends well");
        let (faults, sent) = (self.pulse.faults(), self.pulse.sent());
        assert!(
            faults.is_empty(),
            "{} faults, the first: {:#?}",
            faults.len(),
            &faults[..faults.len().min(3)]
        );
        assert_eq!(self.pulse.count(), sent.iter().sum::<usize>(), "every record is acknowledged once");
        sent
    }
}

fn next(sender: &ThreadedProducer<Pulse>, scene: &Scene, pulse: &Pulse, partition: usize) {
    if let Some(sequence) = pulse.next(partition, BACKLOG) {
        let record = Record::of(partition as i32, value(partition, sequence));
        send(sender, &scene.topic, &record, sequence);
    }
}
