//! A bench for the client: its clock, a scripted cluster that answers the ordinary questions, and the rest for the test.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::door::{Address, ClientEffect, ClientInput, Command, Event};
use super::{Client, ClientSettings};
use crate::ids::{ConnId, TopicId};
use crate::time::{Instant, Now, Timestamp};
use crate::wire::frame::{RequestHeader, decode_request, encode_response};
use crate::wire::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use crate::wire::messages::find_coordinator::{Coordinator, FindCoordinatorResponse};
use crate::wire::messages::init_producer_id::InitProducerIdResponse;
use crate::wire::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::wire::{ApiKey, Out, Request, Response};

/// A request that the client has sent.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) conn: ConnId,
    pub(crate) header: RequestHeader,
    pub(crate) request: Request,
}

/// The bench.
pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) now: Now,
    pub(crate) events: Vec<Event>,
    /// Where each open connection leads to.
    pub(crate) open: BTreeMap<ConnId, Address>,
    pub(crate) closed: Vec<ConnId>,
    heard: VecDeque<Heard>,
    /// Leaders and epochs by topic and partition.
    pub(crate) leaders: BTreeMap<String, Vec<(i32, i32)>>,
    /// Brokers 1 to this.
    pub(crate) brokers: i32,
    /// The coordinator of every group.
    pub(crate) coordinator: i32,
    pub(crate) next_producer_id: i64,
    pub(crate) answers_ordinary: bool,
}

/// Where broker `id` listens.
pub(crate) fn address(id: i32) -> Address {
    Address { host: format!("b{id}"), port: 9000 + id as u16 }
}

impl Bench {
    /// A client of brokers 1 and 2 that begins at broker 1.
    pub(crate) fn new() -> Bench {
        Bench {
            client: Client::new(ClientSettings::new(vec![address(1)])),
            now: Now { mono: Instant(1_000_000), wall: Timestamp(1_700_000_000_000) },
            events: Vec::new(),
            open: BTreeMap::new(),
            closed: Vec::new(),
            heard: VecDeque::new(),
            leaders: BTreeMap::new(),
            brokers: 2,
            coordinator: 1,
            next_producer_id: 4000,
            answers_ordinary: true,
        }
    }

    /// The same, with a topic whose partitions have these leaders, all in epoch 1.
    pub(crate) fn with_topic(topic: &str, leaders: &[i32]) -> Bench {
        let mut bench = Bench::new();
        bench.leaders.insert(topic.into(), leaders.iter().map(|l| (*l, 1)).collect());
        bench
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.step(ClientInput::Command(command));
    }

    /// Lets time pass, waking the client whenever it wants.
    pub(crate) fn pass(&mut self, ms: i64) {
        let end = self.now.mono.after_ms(ms);
        while let Some(wake) = self.client.next_wake().filter(|w| *w <= end) {
            self.now.mono = wake.max(self.now.mono);
            self.step(ClientInput::Wake);
            assert!(
                self.client.next_wake() != Some(wake),
                "a wake that changes nothing would be repeated for ever"
            );
        }
        self.now.mono = end;
        self.step(ClientInput::Wake);
    }

    pub(crate) fn step(&mut self, input: ClientInput) {
        let mut out = Vec::new();
        self.client.step(self.now, input, &mut out);
        for effect in out {
            match effect {
                ClientEffect::Connect { conn, addr } => {
                    self.open.insert(conn, addr);
                    if self.answers_ordinary {
                        self.step(ClientInput::Connected { conn });
                    }
                }
                ClientEffect::Send { conn, chunks } => {
                    self.hear(conn, Bytes::from(chunks.concat()).slice(4..))
                }
                ClientEffect::Close { conn } => {
                    self.open.remove(&conn);
                    self.closed.push(conn);
                }
                ClientEffect::Event(event) => self.events.push(event),
            }
        }
    }

    fn hear(&mut self, conn: ConnId, frame: Bytes) {
        let (header, request) = decode_request(&frame).expect("the client sends what brokers can read");
        let heard = Heard { conn, header, request };
        match self.ordinary(&heard.request) {
            Some(response) if self.answers_ordinary => self.answer(&heard, response),
            _ => self.heard.push_back(heard),
        }
    }

    fn ordinary(&mut self, request: &Request) -> Option<Response> {
        match request {
            Request::ApiVersions(_) => Some(versions(&[])),
            Request::Metadata(r) => {
                let asked = r.topics.iter().flatten().filter_map(|t| t.name.clone());
                Some(self.metadata(asked.collect()))
            }
            Request::InitProducerId(_) => {
                self.next_producer_id += 1;
                let producer_id = self.next_producer_id;
                Some(InitProducerIdResponse { producer_id, ..Default::default() }.into())
            }
            Request::FindCoordinator(r) => {
                let Address { host, port } = address(self.coordinator);
                let (node_id, port) = (self.coordinator, i32::from(port));
                let found = Coordinator {
                    key: r.coordinator_keys[0].clone(),
                    node_id,
                    host,
                    port,
                    ..Default::default()
                };
                Some(FindCoordinatorResponse { coordinators: vec![found], ..Default::default() }.into())
            }
            _ => None,
        }
    }

    pub(crate) fn metadata(&self, topics: Vec<String>) -> Response {
        let broker = |id: i32| {
            let Address { host, port } = address(id);
            MetadataResponseBroker { node_id: id, host, port: i32::from(port), rack: None }
        };
        let partition = |(i, (leader_id, leader_epoch)): (usize, &(i32, i32))| MetadataResponsePartition {
            partition_index: i as i32,
            leader_id: *leader_id,
            leader_epoch: *leader_epoch,
            ..Default::default()
        };
        let topic = |name: String| {
            let known = self.leaders.get(&name);
            let missing = crate::wire::ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            MetadataResponseTopic {
                error_code: if known.is_some() { Default::default() } else { missing },
                topic_id: if known.is_some() { TopicId([7; 16]) } else { TopicId::ZERO },
                partitions: known.map(|l| l.iter().enumerate().map(partition).collect()).unwrap_or_default(),
                name: Some(name),
                ..Default::default()
            }
        };
        MetadataResponse {
            brokers: (1..=self.brokers).map(broker).collect(),
            controller_id: 1,
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        }
        .into()
    }

    /// Answers a request.
    pub(crate) fn answer(&mut self, heard: &Heard, response: impl Into<Response>) {
        let mut out = Out::new();
        let (id, version) = (heard.header.correlation_id, heard.header.version);
        encode_response(&mut out, id, version, &response.into()).expect("the test's answer can be written");
        let frame = out.take_joined().slice(4..);
        self.step(ClientInput::Received { conn: heard.conn, frame });
    }

    /// The next request, which must be of that kind.
    pub(crate) fn heard(&mut self, key: ApiKey) -> Heard {
        let heard =
            self.heard.pop_front().unwrap_or_else(|| panic!("no {key} was sent; events {:?}", self.events));
        assert_eq!(heard.header.api_key, key, "{:?}", heard.request);
        heard
    }

    /// The next request of that kind, whatever else was sent before.
    pub(crate) fn find(&mut self, key: ApiKey) -> Option<Heard> {
        let at = self.heard.iter().position(|h| h.header.api_key == key)?;
        self.heard.remove(at)
    }

    /// Everything that was sent.
    pub(crate) fn take_heard(&mut self) -> Vec<Heard> {
        self.heard.drain(..).collect()
    }

    /// Nothing more was sent.
    pub(crate) fn quiet(&self) {
        assert!(self.heard.is_empty(), "{:?}", self.heard);
    }

    /// The connection breaks.
    pub(crate) fn cut(&mut self, conn: ConnId) {
        self.open.remove(&conn);
        self.step(ClientInput::Disconnected { conn, why: "connection reset".into() });
    }

    /// Events since the last time this was asked.
    pub(crate) fn news(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

/// An ApiVersions answer with all that this client speaks, but for `changed`: (key, lowest, highest).
pub(crate) fn versions(changed: &[(ApiKey, i16, i16)]) -> Response {
    let api_keys = ApiKey::ALL.iter().map(|key| {
        let (_, low, high) = changed.iter().find(|(k, ..)| k == key).copied().unwrap_or((
            *key,
            *key.accepted().start(),
            *key.accepted().end(),
        ));
        ApiVersion { api_key: key.number(), min_version: low, max_version: high }
    });
    ApiVersionsResponse { api_keys: api_keys.collect(), ..Default::default() }.into()
}
