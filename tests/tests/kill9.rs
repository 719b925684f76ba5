//! kill -9 under load: an idempotent producer and a consumer group go on through every restart.
//!
//! Each record says where it must lie: `partition:sequence`. When nothing is lost, doubled or reordered, the
//! sequence of every record is its offset; one look at one record is enough to see a fault. The consumers commit
//! as they go, so the offset each resumes at must be one they committed, or were committing when the server died.
//! `KILL9_ROUNDS` says how many kills (3 by default), `KILL9_SEED` repeats a run's moments.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quipu_tests::kafka::{
    Acks, Admin, PATIENCE, Record, Sender, config, leave, now_ms, read, send, sender, unique, until,
};
use quipu_tests::server::Server;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

const PARTITIONS: usize = 4;
/// Acknowledgements that each life of the server must give before it is killed again.
const PROGRESS: usize = 200;

#[test]
fn nothing_acknowledged_is_lost_doubled_or_reordered_and_groups_resume_where_they_stopped() {
    let rounds: usize = number("KILL9_ROUNDS").unwrap_or(3);
    let seed = number("KILL9_SEED").unwrap_or(now_ms() as usize) as u64;
    println!("kill9: {rounds} rounds, seed {seed}");
    let mut server = Server::start(&["group.initial.rebalance.delay.ms=100"]);
    let (topic, group) = (unique("kill9"), unique("kill9-group"));
    let (bootstrap, partitions) = (server.bootstrap().to_string(), PARTITIONS as i32);
    Admin::new(&bootstrap).create(&topic, partitions, &[]).expect("a new topic is created");
    place_at_start(&bootstrap, &topic, &group);
    let load = Load::start(&bootstrap, &topic);
    let progress = Arc::new(Progress::new());
    let join = || Reader::start(&bootstrap, &topic, &group, &progress);
    let mut readers = [join(), join()];
    let mut moments = Moments(seed | 1);
    let mut recoveries = Vec::new();
    for round in 0..rounds {
        load.progress(PROGRESS, round);
        // Every other kill falls into a quiet group, whose offsets move; the others into one that is still rebalancing.
        let commits = progress.commits.load(Ordering::Relaxed);
        if round % 2 == 0 {
            until("a commit", PATIENCE, || progress.commits.load(Ordering::Relaxed) > commits);
        }
        std::thread::sleep(moments.next());
        let before = load.acks.count();
        server.kill();
        let opened = server.again();
        let started = Instant::now();
        until("a first acknowledgement", PATIENCE, || load.acks.count() > before);
        recoveries.push((opened, opened + started.elapsed()));
        // librdkafka goes on by itself where it was; only a new member asks where the group had stopped.
        std::mem::replace(&mut readers[round % 2], join()).crash();
    }
    load.progress(PROGRESS, rounds);
    let sent = load.finish();
    let story = Story { bootstrap: &bootstrap, topic: &topic, sent: &sent };
    story.log_is_exact();
    let (consumed, again, commits) = story.readers_saw_everything(readers, &progress);
    report(&recoveries, sent.iter().sum(), (consumed, again, commits));
}

fn number(name: &str) -> Option<usize> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

/// The group has a committed offset from the first moment: any resume without one is a fault.
fn place_at_start(bootstrap: &str, topic: &str, group: &str) {
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition as i32, Offset::Offset(0))
            .expect("an offset can be listed");
    }
    let consumer = quipu_tests::kafka::consumer(bootstrap, group, &[]);
    consumer.commit(&list, CommitMode::Sync).expect("an empty group's offsets can be set");
}

/// Waits of 0 to 250 ms, the same for the same seed.
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(self.0 % 250)
    }
}

/// An idempotent producer that writes to all partitions in turn, as fast as it is acknowledged.
struct Load {
    acks: Acks,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(Sender, Vec<usize>)>,
}

impl Load {
    fn start(bootstrap: &str, topic: &str) -> Load {
        let configs = [
            ("enable.idempotence", "true"),
            ("linger.ms", "2"),
            ("batch.num.messages", "50"),
            ("queue.buffering.max.messages", "2000"),
            ("message.timeout.ms", "300000"),
            ("retry.backoff.ms", "20"),
        ];
        let (sender, acks) = sender(bootstrap, &configs);
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, topic) = (Arc::clone(&stop), topic.to_string());
        let thread = std::thread::spawn(move || {
            let mut sent = vec![0; PARTITIONS];
            let mut number = 0;
            while !stopped.load(Ordering::Relaxed) {
                let partition = number % PARTITIONS;
                let value = format!("{partition}:{}:{}", sent[partition], "x".repeat(200));
                send(&sender, &topic, &Record::of(partition as i32, value), number);
                sent[partition] += 1;
                number += 1;
                if number % 100 == 0 {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            (sender, sent)
        });
        Load { acks, stop, thread }
    }

    /// Waits until as many more records are acknowledged: a life in which nothing happened proves nothing.
    fn progress(&self, more: usize, round: usize) {
        let goal = self.acks.count() + more;
        until(&format!("{more} acknowledgements in round {round}"), PATIENCE, || self.acks.count() >= goal);
    }

    /// Stops and waits for the last acknowledgement; answers how many records went to each partition.
    fn finish(self) -> Vec<usize> {
        use rdkafka::producer::Producer;
        self.stop.store(true, Ordering::Relaxed);
        let (sender, sent) = self.thread.join().expect("the load's thread ends well");
        sender.flush(PATIENCE).expect("the last records are acknowledged");
        let refused: Vec<_> =
            self.acks.taken().into_iter().filter(|(_, delivery)| delivery.is_err()).take(3).collect();
        assert!(refused.is_empty(), "records were given up: {refused:?}");
        assert_eq!(self.acks.count(), sent.iter().sum::<usize>(), "every record is acknowledged once");
        sent
    }
}

/// What both readers of the group know together.
struct Progress {
    /// By partition, the next offset that nobody has read yet.
    next: Vec<AtomicI64>,
    /// By partition, the highest offset whose commit the server has acknowledged.
    committed: Vec<AtomicI64>,
    again: AtomicUsize,
    commits: AtomicUsize,
    faults: Mutex<Vec<String>>,
}

/// By partition, the offset a member reads next. Forgotten when partitions change hands.
#[derive(Clone)]
struct Positions(Arc<Mutex<Vec<Option<i64>>>>);

impl ClientContext for Positions {}

impl ConsumerContext for Positions {
    fn pre_rebalance(&self, _: &BaseConsumer<Positions>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Revoke(_)) {
            self.0.lock().expect("nobody panics here").fill(None);
        }
    }
}

type Member = BaseConsumer<Positions>;

/// One member of the group, in a thread of its own.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Reader {
    fn start(bootstrap: &str, topic: &str, group: &str, progress: &Arc<Progress>) -> Reader {
        let mut config = config(bootstrap, &[("group.id", group), ("auto.offset.reset", "error")]);
        config.set("enable.auto.commit", "false").set("session.timeout.ms", "6000");
        config.set("heartbeat.interval.ms", "300").set("fetch.wait.max.ms", "100");
        let positions = Positions(Arc::new(Mutex::new(vec![None; PARTITIONS])));
        let consumer: Member =
            config.create_with_context(positions.clone()).expect("the consumer's configs are right");
        consumer.subscribe(&[topic]).expect("a subscription is taken");
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, shared, topic) = (Arc::clone(&stop), Arc::clone(progress), topic.to_string());
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
    fn crash(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a reader's thread ends well");
    }
}

/// Whether the server lost the group's place: it knew no offset, or one that its log does not have.
fn is_reset(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset)
}

impl Progress {
    fn new() -> Progress {
        let zeros = || (0..PARTITIONS).map(|_| AtomicI64::new(0)).collect();
        let (again, commits) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Progress { next: zeros(), committed: zeros(), again, commits, faults: Mutex::new(Vec::new()) }
    }

    /// Checks one record: it says where it must lie, leaves no gap, and lies not below what was committed.
    fn take(&self, message: &BorrowedMessage<'_>, positions: &Positions) {
        let (partition, offset) = (message.partition() as usize, message.offset());
        let text = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
        let next = self.next[partition].load(Ordering::SeqCst);
        let committed = self.committed[partition].load(Ordering::SeqCst);
        let before = positions.0.lock().expect("nobody panics here")[partition].replace(offset + 1);
        if !text.starts_with(&format!("{partition}:{offset}:")) {
            self.fault(format!(
                "partition {partition}, offset {offset} holds {}",
                &text[..text.len().min(30)]
            ));
        }
        if offset > next {
            self.fault(format!("partition {partition}: {next} to {offset} were never read"));
        }
        // A record that does not follow the one before it shows where the group resumed.
        if before != Some(offset) && offset < committed {
            self.fault(format!("partition {partition}: resumed at {offset}, but {committed} was committed"));
        }
        if offset < next {
            self.again.fetch_add(1, Ordering::Relaxed);
        }
        self.next[partition].fetch_max(offset + 1, Ordering::SeqCst);
    }

    /// Commits what this member has read of the partitions it owns.
    fn commit(&self, consumer: &Member, topic: &str, positions: &Positions) {
        let known = positions.0.lock().expect("nobody panics here").clone();
        let mut list = TopicPartitionList::new();
        for (partition, next) in known.iter().enumerate() {
            if let Some(next) = next {
                let next = Offset::Offset(*next);
                list.add_partition_offset(topic, partition as i32, next).expect("an offset can be listed");
            }
        }
        // A commit that fails while the server is dead or the group moves is not acknowledged: nothing to hold.
        if list.count() > 0 && consumer.commit(&list, CommitMode::Sync).is_ok() {
            self.commits.fetch_add(1, Ordering::Relaxed);
            for (partition, next) in known.iter().enumerate() {
                self.committed[partition].fetch_max(next.unwrap_or(0), Ordering::SeqCst);
            }
        }
    }

    fn fault(&self, text: String) {
        self.faults.lock().expect("nobody panics here").push(text);
    }
}

/// What was sent where: the truth that the log and the readers are held against.
struct Story<'a> {
    bootstrap: &'a str,
    topic: &'a str,
    sent: &'a [usize],
}

impl Story<'_> {
    /// Reads every partition from the start: exactly what was sent, in order, once.
    fn log_is_exact(&self) {
        for (partition, sent) in self.sent.iter().enumerate() {
            let found = read(self.bootstrap, self.topic, partition as i32, Offset::Beginning, *sent);
            assert_eq!(found.len(), *sent, "partition {partition}: records lost");
            for (place, (offset, record)) in found.iter().enumerate() {
                let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
                let right = *offset == place as i64 && value.starts_with(&format!("{partition}:{place}:"));
                assert!(
                    right,
                    "partition {partition}: offset {offset} holds {}",
                    &value[..value.len().min(30)]
                );
            }
            let past = read_past_end(self.bootstrap, self.topic, partition as i32, *sent as i64);
            assert_eq!(past, Ok(()), "partition {partition}: records doubled at the end");
        }
    }

    /// Lets the group read to the end, then shows how much it read, how often again, and its commits.
    fn readers_saw_everything(&self, readers: [Reader; 2], progress: &Progress) -> (usize, usize, usize) {
        let next = |partition: usize| progress.next[partition].load(Ordering::SeqCst);
        until("the group reads to the end", PATIENCE, || {
            self.sent.iter().enumerate().all(|(partition, sent)| next(partition) >= *sent as i64)
        });
        readers.into_iter().for_each(Reader::crash);
        let faults = progress.faults.lock().expect("nobody panics here");
        assert!(
            faults.is_empty(),
            "{} faults, the first: {:#?}",
            faults.len(),
            &faults[..faults.len().min(5)]
        );
        let consumed = (0..PARTITIONS).map(|partition| next(partition) as usize).sum();
        let (again, commits) =
            (progress.again.load(Ordering::Relaxed), progress.commits.load(Ordering::Relaxed));
        assert!(commits > 0, "no commit was acknowledged: resuming was not tested");
        (consumed, again, commits)
    }
}

/// The high watermark must be just past the last record sent.
fn read_past_end(bootstrap: &str, topic: &str, partition: i32, end: i64) -> Result<(), KafkaError> {
    let consumer = quipu_tests::kafka::consumer(bootstrap, "watermarks", &[]);
    let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE)?;
    let exact = low == 0 && high == end;
    if exact { Ok(()) } else { Err(KafkaError::OffsetFetch(RDKafkaErrorCode::OffsetOutOfRange)) }
}

fn report(
    recoveries: &[(Duration, Duration)],
    sent: usize,
    (consumed, again, commits): (usize, usize, usize),
) {
    let mut first_acks: Vec<u128> = recoveries.iter().map(|(_, ack)| ack.as_millis()).collect();
    first_acks.sort_unstable();
    let slowest_open = recoveries.iter().map(|(open, _)| open.as_millis()).max().unwrap_or(0);
    let (median, most) = match first_acks.as_slice() {
        [] => (0, 0),
        some => (some[some.len() / 2], some[some.len() - 1]),
    };
    println!("kill9: {} kills, {sent} records sent, all acknowledged once", recoveries.len());
    println!(
        "kill9: 0 lost, 0 doubled, 0 reordered; {consumed} consumed, {again} of them again after a restart"
    );
    println!("kill9: {commits} commits acknowledged, every resume at or after the last of them");
    println!(
        "kill9: ready after {slowest_open} ms at most; first acknowledgement after {median} ms (median), {most} ms (most)"
    );
}
