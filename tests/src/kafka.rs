//! librdkafka in a few words: topics, records sent and acknowledged, partitions read from an offset.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, DefaultConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

/// How long anything a test asks for may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One record, as it is sent and as it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The partition it goes to.
    pub partition: i32,
    /// Its key; null is not empty.
    pub key: Option<Vec<u8>>,
    /// Its value; null is not empty.
    pub value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// When it is said to have been made, in ms since 1970; nothing for now, and nothing once it is read.
    pub stamp: Option<i64>,
}

impl Record {
    /// A record of a partition that has only a value.
    pub fn of(partition: i32, value: impl Into<Vec<u8>>) -> Record {
        Record { partition, value: Some(value.into()), ..Record::default() }
    }
}

/// librdkafka's configs for a server, with more `name, value` pairs.
pub fn config(bootstrap: &str, more: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    // A server that was killed comes back at once: look for it more often than a person would.
    config.set("reconnect.backoff.ms", "20").set("reconnect.backoff.max.ms", "200");
    for (name, value) in more {
        config.set(*name, *value);
    }
    config
}

/// An admin client and what runs its futures.
#[allow(missing_debug_implementations, reason = "librdkafka's handle has none")]
pub struct Admin {
    client: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl Admin {
    /// Connects when it is first asked something.
    pub fn new(bootstrap: &str) -> Admin {
        let client = config(bootstrap, &[]).create().expect("the admin client's configs are right");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Admin { client, runtime: runtime.expect("a runtime can be made") }
    }

    /// Creates a topic; the error is the server's.
    pub fn create(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<(), RDKafkaErrorCode> {
        self.create_replicated(name, (partitions, 1), configs)
    }

    /// Creates a topic of so many partitions with so many replicas each; the error is the server's.
    pub fn create_replicated(
        &self,
        name: &str,
        (partitions, replicas): (i32, i32),
        configs: &[(&str, &str)],
    ) -> Result<(), RDKafkaErrorCode> {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
        for (config, value) in configs {
            topic = topic.set(config, value);
        }
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let results = self.runtime.block_on(self.client.create_topics([&topic], &options));
        let mut results = results.expect("the server answers");
        results.remove(0).map(|_| ()).map_err(|(_, code)| code)
    }

    /// Deletes a topic; the error is the server's.
    pub fn delete(&self, name: &str) -> Result<(), RDKafkaErrorCode> {
        let results = self.runtime.block_on(self.client.delete_topics(&[name], &AdminOptions::new()));
        results.expect("the server answers").remove(0).map(|_| ()).map_err(|(_, code)| code)
    }

    /// The names of all topics with their numbers of partitions.
    pub fn topics(&self) -> Vec<(String, usize)> {
        let metadata = self.client.inner().fetch_metadata(None, PATIENCE).expect("the server answers");
        metadata.topics().iter().map(|topic| (topic.name().into(), topic.partitions().len())).collect()
    }

    /// A group's state and its number of members, or nothing when it is unknown.
    pub fn group(&self, name: &str) -> Option<(String, usize)> {
        let found = self.client.inner().fetch_group_list(Some(name), PATIENCE).expect("the server answers");
        found.groups().first().map(|group| (group.state().into(), group.members().len()))
    }
}

/// What became of one record: its partition and offset, or why it was not taken.
pub type Delivery = Result<(i32, i64), KafkaError>;

/// Collects acknowledgements, by the number each record was sent with.
#[derive(Clone, Debug, Default)]
pub struct Acks(Arc<Mutex<Vec<(usize, Delivery)>>>);

impl Acks {
    /// How many have come in.
    pub fn count(&self) -> usize {
        self.0.lock().expect("no thread panics with the lock").len()
    }

    /// Those that came in so far, in order of their coming.
    pub fn taken(&self) -> Vec<(usize, Delivery)> {
        self.0.lock().expect("no thread panics with the lock").clone()
    }
}

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let delivery = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        self.0.lock().expect("no thread panics with the lock").push((number, delivery));
    }
}

/// A producer whose acknowledgements are collected.
pub type Sender = ThreadedProducer<Acks>;

/// Makes a producer.
pub fn sender(bootstrap: &str, more: &[(&str, &str)]) -> (Sender, Acks) {
    let acks = Acks::default();
    let sender = config(bootstrap, more).create_with_context(acks.clone());
    (sender.expect("the producer's configs are right"), acks)
}

/// Queues one record; waits while librdkafka's queue is full.
pub fn send<C>(sender: &ThreadedProducer<C>, topic: &str, record: &Record, number: usize)
where
    C: ProducerContext<DeliveryOpaque = usize> + 'static,
{
    let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (name, value)| {
        headers.insert(Header { key: name, value: value.as_ref() })
    });
    let mut queued = BaseRecord::<Vec<u8>, Vec<u8>, usize>::with_opaque_to(topic, number);
    queued.partition = Some(record.partition);
    queued.key = record.key.as_ref();
    queued.payload = record.value.as_ref();
    queued.headers = Some(headers);
    queued.timestamp = record.stamp;
    loop {
        match sender.send(queued) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => queued = back,
            Err((error, _)) => panic!("librdkafka does not take record {number}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends records and waits until each is acknowledged; answers in the order they were sent.
pub fn send_all(bootstrap: &str, topic: &str, more: &[(&str, &str)], records: &[Record]) -> Vec<Delivery> {
    let (sender, acks) = sender(bootstrap, more);
    for (number, record) in records.iter().enumerate() {
        send(&sender, topic, record, number);
    }
    sender.flush(PATIENCE).expect("everything is answered in time");
    let mut taken = acks.taken();
    taken.sort_by_key(|(number, _)| *number);
    assert_eq!(taken.len(), records.len(), "every record is answered once");
    taken.into_iter().map(|(_, delivery)| delivery).collect()
}

/// A consumer; with a group it commits only when told to.
pub fn consumer(bootstrap: &str, group: &str, more: &[(&str, &str)]) -> BaseConsumer<DefaultConsumerContext> {
    let mut config = config(bootstrap, more);
    config.set("group.id", group).set("enable.auto.commit", "false").set("check.crcs", "true");
    config.create().expect("the consumer's configs are right")
}

/// Reads `count` records of one partition from `first` on, with their offsets. Fewer come when time runs out.
pub fn read(bootstrap: &str, topic: &str, partition: i32, first: Offset, count: usize) -> Vec<(i64, Record)> {
    let consumer = consumer(bootstrap, "reads-without-a-group", &[("fetch.wait.max.ms", "100")]);
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, first).expect("an offset can be assigned");
    consumer.assign(&assignment).expect("a partition can be assigned");
    poll(&consumer, count, PATIENCE)
}

/// Polls until `count` records came, or the time is over.
pub fn poll(
    consumer: &BaseConsumer<DefaultConsumerContext>,
    count: usize,
    patience: Duration,
) -> Vec<(i64, Record)> {
    let end = Instant::now() + patience;
    let mut out = Vec::new();
    while out.len() < count && Instant::now() < end {
        match consumer.poll(Duration::from_millis(50)) {
            None => {}
            Some(Ok(message)) => out.push((message.offset(), record_of(&message))),
            Some(Err(error)) => eprintln!("consumer: {error}"),
        }
    }
    out
}

/// Leaves the group in good order before the consumer is dropped; what still comes meanwhile goes to `take`.
///
/// Dropped while its group rebalances, rust-rdkafka can wait for ever: it answers the rebalance of a group that
/// librdkafka has already ended. Without a subscription no rebalance comes.
pub fn leave<C: ConsumerContext>(consumer: BaseConsumer<C>, mut take: impl FnMut(&BorrowedMessage<'_>)) {
    consumer.unsubscribe();
    let end = Instant::now() + PATIENCE;
    while consumer.assignment().is_ok_and(|owned| owned.count() > 0) && Instant::now() < end {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(20)) {
            take(&message);
        }
    }
}

fn record_of(message: &impl Message) -> Record {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        let one = |header: Header<'_, &[u8]>| (header.key.to_string(), header.value.map(<[u8]>::to_vec));
        headers.iter().map(one).collect()
    });
    Record {
        partition: message.partition(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
        stamp: None,
    }
}

/// Now, in ms since 1970.
pub fn now_ms() -> i64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_millis() as i64
}

/// A name that no other run of these tests uses.
pub fn unique(name: &str) -> String {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970");
    format!("{name}-{:x}-{:x}", std::process::id(), since.as_nanos() & 0xff_ffff)
}

/// Waits until something is so.
pub fn until(what: &str, patience: Duration, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + patience;
    while !ready() {
        assert!(Instant::now() < end, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
