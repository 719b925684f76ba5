//! A witness of failover: for each partition of a topic of its own a client that does nothing but write one record after the other.
//!
//! It keeps no backoff, no batches and no state between records, and asks every broker for the leader after each refusal: what it measures is
//! how long the cluster takes, where a producer of some library measures the two together.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quipu_core::record::BatchBuilder;
use quipu_core::time::Timestamp;
use quipu_core::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use quipu_core::wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use quipu_core::wire::{ErrorCode, Request, Response};

use crate::kafka::{Admin, now_ms, unique};
use crate::line::Line;

/// How long a broker that was asked who leads may take: one that stands still is not waited for.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long a record may wait for its acknowledgement until its leader is looked for again, and the record sent again: two brokers that stand
/// still cost no more than the two times together.
const RECORD_PATIENCE: Duration = Duration::from_millis(150);
/// Between two records, and before a leader is looked for again.
const PAUSE: Duration = Duration::from_millis(5);

const METADATA: i16 = 9;
const PRODUCE: i16 = 9;

/// Its clients, each in a thread of its own.
#[derive(Debug)]
pub struct Witness {
    /// The topic that it writes to.
    pub topic: String,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    marked: Mutex<Mark>,
}

#[derive(Debug)]
struct Mark {
    at: Instant,
    /// By partition, from the mark to the first acknowledgement of a record that was sent after it.
    answered: Vec<Option<Duration>>,
}

impl Shared {
    fn mark(&self) -> MutexGuard<'_, Mark> {
        self.marked.lock().expect("no thread panics with the lock")
    }
}

impl Witness {
    /// Makes its topic, of so many partitions with a replica on each of three brokers, and starts to write.
    pub fn start(brokers: &[SocketAddr], partitions: usize) -> Witness {
        let topic = unique("witness");
        let names: Vec<String> = brokers.iter().map(SocketAddr::to_string).collect();
        let made = Admin::new(&names.join(",")).create_replicated(&topic, (partitions as i32, 3), &[]);
        made.expect("a new topic is created");
        let mark = Mark { at: Instant::now(), answered: vec![None; partitions] };
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), marked: Mutex::new(mark) });
        let client = |partition: usize| {
            let (shared, topic, brokers) = (Arc::clone(&shared), topic.clone(), brokers.to_vec());
            let mut client = Client { topic, partition, brokers, line: None };
            std::thread::spawn(move || client.write(&shared))
        };
        let threads = (0..partitions).map(client).collect();
        Witness { topic, shared, threads }
    }

    /// Measures from here on.
    pub fn mark(&self) {
        let mark = &mut *self.shared.mark();
        mark.at = Instant::now();
        mark.answered.fill(None);
    }

    /// From the mark to the acknowledgement of the slowest of these partitions; nothing while one of them has none, or if there are none.
    pub fn answered(&self, partitions: &[usize]) -> Option<Duration> {
        let mark = self.shared.mark();
        let answered: Option<Vec<Duration>> = partitions.iter().map(|one| mark.answered[*one]).collect();
        answered?.into_iter().max()
    }

    /// Ends its clients.
    pub fn end(self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a witness ends well");
        }
    }
}

/// Who writes to one partition.
struct Client {
    topic: String,
    partition: usize,
    brokers: Vec<SocketAddr>,
    line: Option<Line>,
}

impl Client {
    fn write(&mut self, shared: &Shared) {
        while !shared.stop.load(Ordering::Relaxed) {
            let sent = Instant::now();
            if self.record().is_ok() {
                let mark = &mut *shared.mark();
                if sent >= mark.at {
                    mark.answered[self.partition].get_or_insert(mark.at.elapsed());
                }
            } else {
                self.line = None;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// One record and its acknowledgement, by whoever leads now.
    fn record(&mut self) -> io::Result<()> {
        if self.line.is_none() {
            let leader = self.leader().ok_or(io::ErrorKind::NotFound)?;
            self.line = Some(Line::open(leader, RECORD_PATIENCE)?);
        }
        let request = self.request();
        let line = self.line.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let Response::Produce(told) = line.ask(&request, PRODUCE)? else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let partition = told.responses.first().and_then(|topic| topic.partition_responses.first());
        let taken = partition.is_some_and(|partition| partition.error_code == ErrorCode::NONE);
        taken.then_some(()).ok_or(io::ErrorKind::Other.into())
    }

    fn request(&self) -> Request {
        let mut batch = BatchBuilder::new();
        batch.push(Timestamp(now_ms()), None, Some(b"seen"));
        let records = Some(batch.build().to_bytes());
        let partition = PartitionProduceData { index: self.partition as i32, records };
        let topic = TopicProduceData { name: self.topic.clone(), partition_data: vec![partition] };
        let timeout_ms = 30_000;
        ProduceRequest { transactional_id: None, acks: -1, timeout_ms, topic_data: vec![topic] }.into()
    }

    /// The leader of the newest epoch that any broker tells of.
    fn leader(&self) -> Option<SocketAddr> {
        let topic = MetadataRequestTopic { name: Some(self.topic.clone()), ..Default::default() };
        let topics = Some(vec![topic]);
        let request: Request =
            MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() }.into();
        let ask = |broker: &SocketAddr| match Line::open(*broker, PATIENCE).ok()?.ask(&request, METADATA) {
            Ok(Response::Metadata(told)) => self.told(&told),
            _ => None,
        };
        let newest = self.brokers.iter().filter_map(ask).max_by_key(|(epoch, _)| *epoch)?;
        newest.1
    }

    /// The epoch of the leader, and where it is, unless there is none.
    fn told(&self, told: &MetadataResponse) -> Option<(i32, Option<SocketAddr>)> {
        let mut partitions = told.topics.first()?.partitions.iter();
        let partition = partitions.find(|found| found.partition_index as usize == self.partition)?;
        let leader = told.brokers.iter().find(|broker| broker.node_id == partition.leader_id);
        let at = leader.and_then(|broker| format!("{}:{}", broker.host, broker.port).parse().ok());
        Some((partition.leader_epoch, at))
    }
}
