//! The bounds of the shell: reaching one slows a client down or ends its connection, it never grows memory.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use quipu_core::config::BrokerConfig;

/// How much the shell takes from clients, one by one and together. The names in parentheses are Kafka's.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections in all (`max.connections`).
    pub connections: usize,
    /// Connections from one IP address (`max.connections.per.ip`).
    pub connections_per_ip: usize,
    /// The same for single addresses (`max.connections.per.ip.overrides`).
    pub connections_per_ip_overrides: BTreeMap<IpAddr, usize>,
    /// Bytes of the largest request accepted, without its length prefix (`socket.request.max.bytes`).
    pub request_bytes: usize,
    /// Bytes of the largest request that is no Produce: nothing else needs more.
    pub other_request_bytes: usize,
    /// Bytes of the largest request that is no Produce before any other request was understood on that connection.
    pub first_request_bytes: usize,
    /// Bytes of all requests read and not yet answered (`queued.max.request.bytes`, here with a default that is a bound).
    pub queued_bytes: usize,
    /// Bytes of records read from disk for answers that are not yet sent, over all connections; a quarter of them for
    /// what is read before it is asked for.
    pub answer_bytes: usize,
    /// How soon a client must ask for records, each time, for the next ones to be read before it asks; they are kept as long.
    pub read_ahead: Duration,
    /// Requests of one connection in progress at the same time.
    pub requests_in_flight: usize,
    /// Fetches of one connection in progress at the same time: their answers pin memory.
    pub fetches_in_flight: usize,
    /// Bytes of the requests of one connection in progress at the same time. One larger request still passes, alone.
    pub bytes_in_flight: usize,
    /// Bytes waiting for the disk. Above it, connections stop reading.
    pub lane_bytes: usize,
    /// How long a connection may be silent with nothing in progress (`connections.max.idle.ms`).
    pub idle: Duration,
    /// How long a request that has begun to arrive may make no progress.
    pub stalled_request: Duration,
    /// Bytes a second, on average, that a request must arrive with once `stalled_request` has passed since it began.
    pub slowest_request: usize,
    /// How long an answer may wait for a client that does not read.
    pub stalled_answer: Duration,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 10_000,
            connections_per_ip: 1_000,
            connections_per_ip_overrides: BTreeMap::new(),
            request_bytes: 100 * MIB,
            other_request_bytes: 8 * MIB,
            first_request_bytes: 512 * KIB,
            queued_bytes: 256 * MIB,
            answer_bytes: 256 * MIB,
            read_ahead: Duration::from_secs(1),
            requests_in_flight: 64,
            fetches_in_flight: 4,
            bytes_in_flight: 8 * MIB,
            lane_bytes: 64 * MIB,
            idle: Duration::from_secs(600),
            stalled_request: Duration::from_secs(30),
            slowest_request: 64 * KIB,
            stalled_answer: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// What the configs say. An override for something that is no IP address is left out: it can match no connection.
    pub fn of(config: &BrokerConfig) -> Limits {
        let set = &config.limits;
        let overrides = &set.connections_per_ip_overrides;
        let most = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        Limits {
            connections: most(set.connections),
            connections_per_ip: most(set.connections_per_ip),
            connections_per_ip_overrides: overrides
                .iter()
                .filter_map(|(ip, limit)| Some((ip.parse().ok()?, most(*limit))))
                .collect(),
            request_bytes: most(set.request_bytes),
            queued_bytes: set
                .queued_bytes
                .map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            requests_in_flight: most(set.requests_per_connection),
            bytes_in_flight: most(set.bytes_per_connection),
            idle: set.idle_ms.map_or(Duration::MAX, Duration::from_millis),
            ..Limits::default()
        }
    }

    /// How long a request of that size may take to arrive.
    pub(crate) fn arrival(&self, bytes: usize) -> Duration {
        let seconds = bytes.checked_div(self.slowest_request).unwrap_or(0);
        self.stalled_request.saturating_add(Duration::from_secs(seconds as u64))
    }

    /// How often connections are looked over for stalls.
    pub(crate) fn patrol(&self) -> Duration {
        let shortest = self.idle.min(self.stalled_request).min(self.stalled_answer);
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}
