//! The real shell on madsim: a node serves a client over simulated TCP, is killed, starts again, and the record is there.
#![cfg(madsim)]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use madsim::runtime::Handle;
use quipu_core::config::BrokerConfig;
use quipu_core::record::BatchBuilder;
use quipu_core::storage::{FreshIdentity, Store, StoreOptions};
use quipu_core::time::Timestamp;
use quipu_core::wire::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use quipu_core::wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use quipu_core::wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use quipu_core::wire::{self, ErrorCode, Out, Request, RequestHeader, Response};
use quipu_net::{Limits, ListenerOptions, Node, NodeOptions};
use quipu_sim::disk::SimDisk;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const BROKER: &str = "10.0.0.1:9092";
const PATIENCE: Duration = Duration::from_secs(20);

#[madsim::test]
async fn a_record_that_was_acknowledged_is_there_after_the_node_was_killed() {
    let disk = SimDisk::new(madsim::rand::random());
    let theirs = disk.clone();
    let world = Handle::current();
    let machine = world.create_node().name("broker").ip("10.0.0.1".parse().unwrap());
    let machine = machine.init(move || serve(theirs.clone())).build();
    let client = world.create_node().name("client").ip("10.0.0.2".parse().unwrap()).build();
    let offset = client.spawn(write("the knot")).await.unwrap();
    assert_eq!(offset, 0);

    world.kill(machine.id());
    disk.lose_power();
    sleep(Duration::from_secs(1)).await;
    world.restart(machine.id());

    let records = client.spawn(read()).await.unwrap();
    assert!(records.windows(8).any(|bytes| bytes == b"the knot"), "the record is gone: {records:?}");
}

/// Runs a node until it is killed.
async fn serve(disk: SimDisk) {
    let identity = FreshIdentity {
        cluster_id: None,
        new_cluster_id: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        node_id: 1,
        directory_id: [7; 16],
    };
    let (store, found) = Store::open(disk, StoreOptions::default(), &identity, Timestamp(1_600_000_000_000))
        .expect("a log directory");
    let config = BrokerConfig::default();
    let limits = Limits::of(&config);
    let advertised = Some(("10.0.0.1".to_owned(), 9092));
    let listeners =
        vec![ListenerOptions { name: "PLAINTEXT".into(), bind: "0.0.0.0:9092".parse().unwrap(), advertised }];
    let node =
        Node::start(NodeOptions { config, seed: 1, listeners, limits, peer_listen: None }, store, found)
            .await
            .expect("a node");
    node.ended().await;
}

async fn write(value: &str) -> i64 {
    let mut connection = Connection::open().await;
    let topic = CreatableTopic {
        name: "t".to_owned(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    let Response::CreateTopics(created) = connection.call(request.into(), 5).await else {
        panic!("another answer")
    };
    assert_eq!(created.topics[0].error_code, ErrorCode::NONE, "{created:?}");
    let mut batch = BatchBuilder::new();
    // The simulated clock begins in 2022.
    batch.push(Timestamp(1_600_000_000_000), None, Some(value.as_bytes()));
    let partition = PartitionProduceData { index: 0, records: Some(batch.build().to_bytes()) };
    let request = ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 10_000,
        topic_data: vec![TopicProduceData { name: "t".to_owned(), partition_data: vec![partition] }],
    };
    let Response::Produce(produced) = connection.call(request.into(), 9).await else {
        panic!("another answer")
    };
    let partition = &produced.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, ErrorCode::NONE, "{partition:?}");
    partition.base_offset
}

async fn read() -> Vec<u8> {
    let mut connection = Connection::open().await;
    let partition = FetchPartition { fetch_offset: 0, partition_max_bytes: 1 << 20, ..Default::default() };
    let request = FetchRequest {
        max_wait_ms: 1000,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: vec![FetchTopic { topic: "t".to_owned(), partitions: vec![partition], ..Default::default() }],
        ..Default::default()
    };
    let Response::Fetch(fetched) = connection.call(request.into(), 11).await else {
        panic!("another answer")
    };
    let partition = fetched.responses[0].partitions[0].clone();
    assert_eq!(partition.error_code, ErrorCode::NONE, "{partition:?}");
    match partition.records {
        Some(wire::Records::Held(chunks)) => chunks.concat(),
        other => panic!("not the bytes of records: {other:?}"),
    }
}

struct Connection {
    stream: TcpStream,
    next: i32,
}

impl Connection {
    /// Connects as soon as somebody listens.
    async fn open() -> Connection {
        let broker: SocketAddr = BROKER.parse().unwrap();
        for _ in 0..100 {
            match timeout(PATIENCE, TcpStream::connect(broker)).await {
                Ok(Ok(stream)) => return Connection { stream, next: 1 },
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
        panic!("nobody listens at {BROKER}");
    }

    async fn call(&mut self, request: Request, version: i16) -> Response {
        let header =
            RequestHeader { api_key: request.key(), version, correlation_id: self.next, client_id: None };
        self.next += 1;
        let mut out = Out::new();
        wire::encode_request(&mut out, &header, &request).unwrap();
        self.stream.write_all(&out.take_joined()).await.unwrap();
        self.stream.flush().await.unwrap();
        let frame = timeout(PATIENCE, self.frame()).await.expect("an answer in time");
        let (correlation_id, response) = wire::decode_response(header.api_key, version, &frame).unwrap();
        assert_eq!(correlation_id, header.correlation_id);
        response
    }

    async fn frame(&mut self) -> Bytes {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await.unwrap();
        let mut frame = vec![0; i32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut frame).await.unwrap();
        Bytes::from(frame)
    }
}
