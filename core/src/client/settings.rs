//! What a client is told at its start. Names and defaults are those of Kafka's clients where Kafka has one.

use crate::record::Codec;

use super::door::{Address, Reset};
use super::member::assign::Strategy;

/// What every client needs.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Brokers to begin with (`bootstrap.servers`). At least one.
    pub bootstrap: Vec<Address>,
    /// How the client names itself to brokers (`client.id`).
    pub client_id: String,
    /// What choices and back-off jitter are drawn from.
    pub seed: u64,
    /// How long one request may wait for its answer (`request.timeout.ms`). When it passes, the connection is given up.
    pub request_timeout_ms: i64,
    /// How long a connection may take to open.
    pub connect_timeout_ms: i64,
    /// The first wait before something is tried again (`retry.backoff.ms`).
    pub retry_backoff_ms: i64,
    /// The longest such wait (`retry.backoff.max.ms`).
    pub retry_backoff_max_ms: i64,
    /// Metadata is asked for again after this long (`metadata.max.age.ms`).
    pub metadata_max_age_ms: i64,
    /// A connection unused for this long is closed (`connections.max.idle.ms`): sooner than the broker closes it.
    pub idle_ms: i64,
    /// The largest frame a broker may send.
    pub frame_max_bytes: usize,
    /// Whether metadata requests may create the topics they name (`allow.auto.create.topics`).
    pub auto_create_topics: bool,
    /// How long a topic that brokers do not know is waited for.
    pub unknown_topic_timeout_ms: i64,
}

impl ClientSettings {
    /// Kafka's defaults, for a client that begins at `bootstrap`.
    pub fn new(bootstrap: Vec<Address>) -> ClientSettings {
        ClientSettings {
            bootstrap,
            client_id: "quipu".into(),
            seed: 0,
            request_timeout_ms: 30_000,
            connect_timeout_ms: 10_000,
            retry_backoff_ms: 100,
            retry_backoff_max_ms: 1_000,
            metadata_max_age_ms: 300_000,
            idle_ms: 540_000,
            frame_max_bytes: 256 << 20,
            auto_create_topics: true,
            unknown_topic_timeout_ms: 10_000,
        }
    }
}

/// Whom a producer waits for (`acks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// Nobody: a record counts as delivered when it is handed to the connection.
    None,
    /// The leader.
    Leader,
    /// All in-sync replicas.
    All,
}

impl Acks {
    /// As the protocol writes it.
    pub(crate) fn code(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

/// Where a record goes that names no partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitioner {
    /// By murmur2 hash of the key, as Java's default; without a key one partition a batch (KIP-480).
    KeyHash,
    /// In turn, whatever the key.
    RoundRobin,
}

/// What a producer is told at its start.
#[derive(Clone, Debug)]
pub struct ProducerSettings {
    /// Whom to wait for.
    pub acks: Acks,
    /// Whether to take a producer id, so that a repeated batch is written once (`enable.idempotence`). Needs acks=all.
    pub idempotent: bool,
    /// Whether a batch whose fate is unknown is sent again by a producer that is not idempotent: it may then be written twice.
    pub repeat_unknown: bool,
    /// Batches sent and not answered, per partition (`max.in.flight.requests.per.connection`). At most 5 when idempotent.
    pub max_in_flight: usize,
    /// How long a record waits for company (`linger.ms`).
    pub linger_ms: i64,
    /// The size in bytes before compression at which a batch is closed (`batch.size`).
    pub batch_bytes: usize,
    /// The largest request (`max.request.size`); a larger record is refused.
    pub request_max_bytes: usize,
    /// Bytes of records taken and not yet answered (`buffer.memory`); beyond it records are refused.
    pub buffer_bytes: usize,
    /// How batches are compressed (`compression.type`).
    pub codec: Codec,
    /// Where records without a partition go.
    pub partitioner: Partitioner,
    /// How long after it was taken a record is given up (`delivery.timeout.ms`).
    pub delivery_timeout_ms: i64,
}

impl Default for ProducerSettings {
    fn default() -> ProducerSettings {
        ProducerSettings {
            acks: Acks::All,
            idempotent: true,
            repeat_unknown: false,
            max_in_flight: 5,
            linger_ms: 5,
            batch_bytes: 64 << 10,
            request_max_bytes: 1 << 20,
            buffer_bytes: 32 << 20,
            codec: Codec::None,
            partitioner: Partitioner::KeyHash,
            delivery_timeout_ms: 120_000,
        }
    }
}

/// Which records a consumer sees (`isolation.level`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// All, also of transactions that are open or aborted.
    ReadUncommitted,
    /// Only those of no transaction or a committed one.
    ReadCommitted,
}

/// What a consumer is told at its start.
#[derive(Clone, Debug)]
pub struct ConsumerSettings {
    /// Which records it sees.
    pub isolation: Isolation,
    /// How long a broker may wait for records (`fetch.max.wait.ms`).
    pub max_wait_ms: i32,
    /// How many bytes it waits for (`fetch.min.bytes`).
    pub min_bytes: i32,
    /// The most bytes of one answer (`fetch.max.bytes`).
    pub max_bytes: i32,
    /// The most bytes of one partition in an answer (`max.partition.fetch.bytes`).
    pub partition_max_bytes: i32,
    /// What to do when a position does not exist (`auto.offset.reset`).
    pub reset: Reset,
    /// Where it stands (`client.rack`): the leader may tell it to read from a follower there (KIP-392). Empty: nowhere.
    pub rack: String,
}

impl Default for ConsumerSettings {
    fn default() -> ConsumerSettings {
        ConsumerSettings {
            isolation: Isolation::ReadUncommitted,
            max_wait_ms: 500,
            min_bytes: 1,
            max_bytes: 50 << 20,
            partition_max_bytes: 1 << 20,
            reset: Reset::Latest,
            rack: String::new(),
        }
    }
}

/// What a member of a consumer group is told at its start.
#[derive(Clone, Debug)]
pub struct MemberSettings {
    /// The group (`group.id`).
    pub group: String,
    /// The topics it reads.
    pub topics: Vec<String>,
    /// The name of a static member (`group.instance.id`, KIP-345).
    pub instance: Option<String>,
    /// Assignors it can act by, the most wanted first (`partition.assignment.strategy`).
    pub strategies: Vec<Strategy>,
    /// Without a heartbeat for this long the coordinator drops it (`session.timeout.ms`).
    pub session_timeout_ms: i32,
    /// How often it sends one (`heartbeat.interval.ms`).
    pub heartbeat_ms: i64,
    /// How long the coordinator waits for it in a rebalance (`max.poll.interval.ms`).
    pub rebalance_timeout_ms: i32,
    /// How often offsets marked as processed are committed (`auto.commit.interval.ms`); `None`: only when told to.
    pub auto_commit_ms: Option<i64>,
}

impl MemberSettings {
    /// Kafka's defaults for a member of `group` that reads `topics`.
    pub fn new(group: &str, topics: Vec<String>) -> MemberSettings {
        MemberSettings {
            group: group.into(),
            topics,
            instance: None,
            strategies: vec![Strategy::Range, Strategy::RoundRobin],
            session_timeout_ms: 45_000,
            heartbeat_ms: 3_000,
            rebalance_timeout_ms: 300_000,
            auto_commit_ms: Some(5_000),
        }
    }
}
