//! Members of a group, each polling in its own thread as an application would.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use quipu_tests::kafka::{PATIENCE, config, leave, until};
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::message::{BorrowedMessage, Message};

/// What a member shows of itself.
#[derive(Default)]
struct Seen {
    values: Vec<usize>,
    owned: BTreeSet<i32>,
}

/// Commits what was read before partitions are given away.
struct CommitsFirst;

impl ClientContext for CommitsFirst {}

impl ConsumerContext for CommitsFirst {
    fn pre_rebalance(&self, consumer: &BaseConsumer<CommitsFirst>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Revoke(_)) {
            // With nothing read there is nothing to commit: that is an error of librdkafka's, and no loss.
            let _ = consumer.commit_consumer_state(CommitMode::Sync);
        }
    }
}

/// One member.
pub(crate) struct Member {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    /// Joins the group and starts to read.
    pub(crate) fn join(bootstrap: &str, group: &str, topic: &str) -> Member {
        let mut config = config(bootstrap, &[("group.id", group), ("auto.offset.reset", "earliest")]);
        config.set("enable.auto.commit", "false").set("session.timeout.ms", "6000");
        config.set("heartbeat.interval.ms", "300").set("fetch.wait.max.ms", "100");
        let consumer: BaseConsumer<CommitsFirst> =
            config.create_with_context(CommitsFirst).expect("the consumer's configs are right");
        consumer.subscribe(&[topic]).expect("a subscription is taken");
        let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
        let (shown, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                turn(&consumer, &shown);
            }
            leave(consumer, |message| {
                take(message, &mut shown.lock().expect("no thread panics with the lock"))
            });
            shown.lock().expect("no thread panics with the lock").owned.clear();
        });
        Member { seen, stop, thread: Some(thread) }
    }

    /// The numbers it read, in the order they came.
    pub(crate) fn values(&self) -> Vec<usize> {
        self.seen.lock().expect("no thread panics with the lock").values.clone()
    }

    fn owned(&self) -> BTreeSet<i32> {
        self.seen.lock().expect("no thread panics with the lock").owned.clone()
    }

    /// Commits, leaves the group, and keeps what it read.
    pub(crate) fn leave(mut self) -> Member {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("a member leaves once");
        thread.join().expect("the member's thread ends well");
        self
    }
}

fn turn(consumer: &BaseConsumer<CommitsFirst>, seen: &Mutex<Seen>) {
    let message = consumer.poll(Duration::from_millis(50));
    let assignment = consumer.assignment().expect("a consumer knows its assignment");
    let mut seen = seen.lock().expect("no thread panics with the lock");
    seen.owned = assignment.elements().iter().map(|part| part.partition()).collect();
    if let Some(Ok(message)) = message {
        take(&message, &mut seen);
    }
}

fn take(message: &BorrowedMessage<'_>, seen: &mut Seen) {
    let text =
        std::str::from_utf8(message.payload().expect("values are never null")).expect("values are text");
    seen.values.push(text.parse().expect("values are numbers"));
}

/// Waits until the members own all partitions between them, each at least one.
pub(crate) fn covered(members: &[&Member], partitions: i32) {
    until("the members own all partitions between them", PATIENCE, || {
        let owned: Vec<BTreeSet<i32>> = members.iter().map(|member| member.owned()).collect();
        let all: BTreeSet<i32> = owned.iter().flatten().copied().collect();
        let count: usize = owned.iter().map(BTreeSet::len).sum();
        all.len() == partitions as usize && count == all.len() && owned.iter().all(|some| !some.is_empty())
    });
}

/// Waits until every number below `count` was read by one of the members.
pub(crate) fn read_by(members: &[&Member], count: usize) {
    until("everything sent is read", PATIENCE, || {
        let read: BTreeSet<usize> = members.iter().flat_map(|member| member.values()).collect();
        read.len() >= count && (0..count).all(|number| read.contains(&number))
    });
}
