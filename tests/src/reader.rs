//! Members of a consumer group that check every record they read, and where they resume.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::{config, leave};
use crate::scene::{Scene, place};

/// What all readers of the group know together.
#[derive(Debug)]
pub struct Progress {
    /// By partition, the next offset that nobody has read yet.
    next: Vec<AtomicI64>,
    /// By partition, the highest offset whose commit the server has acknowledged.
    committed: Vec<AtomicI64>,
    again: AtomicUsize,
    commits: AtomicUsize,
    faults: Mutex<Vec<String>>,
}

/// What one member knows of each partition.
#[derive(Clone)]
struct Positions {
    group: Arc<Progress>,
    all: Arc<Mutex<Vec<Position>>>,
}

#[derive(Clone, Copy, Default)]
struct Position {
    /// The offset it reads next. Forgotten when partitions change hands.
    next: Option<i64>,
    /// What was committed when the partition was last given to it, or by itself since: it may not resume below. What another member
    /// commits meanwhile it need not know: one that was expelled while its coordinator stood still learns that late.
    floor: i64,
}

impl ClientContext for Positions {}

impl ConsumerContext for Positions {
    fn pre_rebalance(&self, _: &BaseConsumer<Positions>, rebalance: &Rebalance<'_>) {
        for (partition, known) in self.all.lock().expect("nobody panics here").iter_mut().enumerate() {
            match rebalance {
                Rebalance::Revoke(_) => known.next = None,
                Rebalance::Assign(_) => known.floor = self.group.committed[partition].load(Ordering::SeqCst),
                Rebalance::Error(_) => {}
            }
        }
    }
}

type Member = BaseConsumer<Positions>;

/// One member of the group, in a thread of its own.
#[derive(Debug)]
pub struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Reader {
    /// Joins the scene's group.
    pub fn start(scene: &Scene, progress: &Arc<Progress>) -> Reader {
        let group = [("group.id", scene.group.as_str()), ("auto.offset.reset", "error")];
        let mut config = config(&scene.bootstrap, &group);
        config.set("enable.auto.commit", "false").set("session.timeout.ms", "6000");
        config.set("heartbeat.interval.ms", "300").set("fetch.wait.max.ms", "100");
        let all = Arc::new(Mutex::new(vec![Position::default(); scene.partitions]));
        let positions = Positions { group: Arc::clone(progress), all };
        let consumer: Member =
            config.create_with_context(positions.clone()).expect("the consumer's configs are right");
        consumer.subscribe(&[&scene.topic]).expect("a subscription is taken");
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, shared, topic) = (Arc::clone(&stop), Arc::clone(progress), scene.topic.clone());
        let thread = std::thread::spawn(move || {
            let mut last = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                match consumer.poll(Duration::from_millis(20)) {
                    Some(Ok(message)) => shared.take(&message, &positions),
                    Some(Err(error)) if is_reset(&error) => {
                        shared.fault(format!("no place to resume at: {error}"))
                    }
                    // The server is dead just now; librdkafka tells so and goes on.
                    Some(Err(_)) | None => {}
                }
                if last.elapsed() > Duration::from_millis(100) {
                    shared.commit(&consumer, &topic, &positions);
                    last = Instant::now();
                }
            }
            leave(consumer, |message| shared.take(message, &positions));
        });
        Reader { stop, thread }
    }

    /// Ends without a last commit: whoever takes over reads something again, and must miss nothing.
    pub fn crash(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a reader's thread ends well");
    }
}

/// Whether the server lost the group's place: it knew no offset, or one that its log does not have.
fn is_reset(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset)
}

impl Progress {
    /// Of a group that is placed at the start of so many partitions.
    pub fn new(partitions: usize) -> Progress {
        let zeros = || (0..partitions).map(|_| AtomicI64::new(0)).collect();
        let (again, commits) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Progress { next: zeros(), committed: zeros(), again, commits, faults: Mutex::new(Vec::new()) }
    }

    /// How many commits the server has acknowledged.
    pub fn commits(&self) -> usize {
        self.commits.load(Ordering::Relaxed)
    }

    /// How many records were read again, since a reader had ended before it committed them.
    pub fn again(&self) -> usize {
        self.again.load(Ordering::Relaxed)
    }

    /// By partition, the next offset that nobody has read yet.
    pub fn next(&self) -> Vec<usize> {
        self.next.iter().map(|next| next.load(Ordering::SeqCst) as usize).collect()
    }

    /// What the readers saw that may not be.
    pub fn faults(&self) -> Vec<String> {
        self.faults.lock().expect("nobody panics here").clone()
    }

    /// Checks one record: it says where it must lie, leaves no gap, and lies not below what was committed.
    fn take(&self, message: &BorrowedMessage<'_>, positions: &Positions) {
        let (partition, offset) = (message.partition() as usize, message.offset());
        let said = place(message.payload().unwrap_or_default());
        let next = self.next[partition].load(Ordering::SeqCst);
        let (before, floor) = {
            let known = &mut positions.all.lock().expect("nobody panics here")[partition];
            (known.next.replace(offset + 1), known.floor)
        };
        if said != Some((partition, offset as usize)) {
            self.fault(format!("partition {partition}, offset {offset} holds {said:?}"));
        }
        if offset > next {
            self.fault(format!("partition {partition}: {next} to {offset} were never read"));
        }
        // A record that does not follow the one before it shows where the group resumed.
        if before != Some(offset) && offset < floor {
            self.fault(format!("partition {partition}: resumed at {offset}, but {floor} was committed"));
        }
        if offset < next {
            self.again.fetch_add(1, Ordering::Relaxed);
        }
        self.next[partition].fetch_max(offset + 1, Ordering::SeqCst);
    }

    /// Commits what this member has read of the partitions it owns.
    fn commit(&self, consumer: &Member, topic: &str, positions: &Positions) {
        let known = positions.all.lock().expect("nobody panics here").clone();
        let mut list = TopicPartitionList::new();
        for (partition, Position { next, .. }) in known.iter().enumerate() {
            if let Some(next) = next {
                let next = Offset::Offset(*next);
                list.add_partition_offset(topic, partition as i32, next).expect("an offset can be listed");
            }
        }
        // A commit that fails while the server is dead or the group moves is not acknowledged: nothing to hold.
        if list.count() > 0 && consumer.commit(&list, CommitMode::Sync).is_ok() {
            self.commits.fetch_add(1, Ordering::Relaxed);
            let mut all = positions.all.lock().expect("nobody panics here");
            for (partition, Position { next, .. }) in known.iter().enumerate() {
                let next = next.unwrap_or(0);
                self.committed[partition].fetch_max(next, Ordering::SeqCst);
                all[partition].floor = all[partition].floor.max(next);
            }
        }
    }

    fn fault(&self, text: String) {
        self.faults.lock().expect("nobody panics here").push(text);
    }
}
