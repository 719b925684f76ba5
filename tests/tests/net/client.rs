//! A client that sends what it is told, byte for byte, and waits for whole answers.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use quipu_core::record::BatchBuilder;
use quipu_core::time::Timestamp;
use quipu_core::wire::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use quipu_core::wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use quipu_core::wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use quipu_core::wire::{self, ErrorCode, Out, Request, RequestHeader, Response};

const PATIENCE: Duration = Duration::from_secs(30);

/// One connection. Requests may be sent ahead of the answers, which must come in order.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    next: i32,
    waiting: std::collections::VecDeque<RequestHeader>,
}

impl Client {
    pub(crate) fn connect(to: SocketAddr) -> Client {
        let socket = TcpStream::connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Client { socket, next: 1, waiting: Default::default() }
    }

    /// The bytes of a request, which is then waited for by [`Client::answer`], unless it gets none.
    pub(crate) fn encode(&mut self, request: impl Into<Request>, version: i16) -> Bytes {
        let request = request.into();
        let header = RequestHeader {
            api_key: request.key(),
            version,
            correlation_id: self.next,
            client_id: Some("test".to_owned()),
        };
        self.next += 1;
        let mut out = Out::new();
        wire::encode_request(&mut out, &header, &request).unwrap();
        if !matches!(&request, Request::Produce(produce) if produce.acks == 0) {
            self.waiting.push_back(header);
        }
        out.take_joined()
    }

    pub(crate) fn send(&mut self, request: impl Into<Request>, version: i16) {
        let bytes = self.encode(request, version);
        self.socket.write_all(&bytes).unwrap();
    }

    /// The next answer: it must be the one to the oldest request without one.
    pub(crate) fn answer(&mut self) -> Response {
        let header = self.waiting.pop_front().expect("a request is waiting");
        let frame = self.frame().unwrap();
        let (correlation_id, response) =
            wire::decode_response(header.api_key, header.version, &frame).unwrap();
        assert_eq!(correlation_id, header.correlation_id, "answers must come in the order of the requests");
        response
    }

    pub(crate) fn call(&mut self, request: impl Into<Request>, version: i16) -> Response {
        self.send(request, version);
        self.answer()
    }

    pub(crate) fn frame(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.socket.read_exact(&mut length)?;
        let mut frame = vec![0; i32::from_be_bytes(length) as usize];
        self.socket.read_exact(&mut frame)?;
        Ok(Bytes::from(frame))
    }

    /// Whether the broker closes the connection, without having sent anything more.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.socket.read(&mut [0; 16]) {
            Ok(n) => n == 0,
            Err(error) => {
                matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
            }
        }
    }

    /// Half closes the connection, unless the broker has ended it already.
    pub(crate) fn close_writing(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Makes a topic and waits until it can be written to.
    pub(crate) fn create_topic(&mut self, name: &str) {
        let topic = CreatableTopic {
            name: name.to_owned(),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        let Response::CreateTopics(created) = self.call(request, 5) else { panic!("another answer") };
        assert_eq!(created.topics[0].error_code, ErrorCode::NONE, "{created:?}");
    }

    /// Produces one record and waits for its offset.
    pub(crate) fn produce(&mut self, topic: &str, value: &[u8]) -> i64 {
        let answer = self.call(produce(topic, value, 1), 9);
        base_offset(&answer)
    }
}

pub(crate) fn produce(topic: &str, value: &[u8], acks: i16) -> ProduceRequest {
    let mut batch = BatchBuilder::new();
    batch.push(Timestamp(1_700_000_000_000), None, Some(value));
    let partition = PartitionProduceData { index: 0, records: Some(batch.build().to_bytes()) };
    ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData { name: topic.to_owned(), partition_data: vec![partition] }],
    }
}

pub(crate) fn base_offset(answer: &Response) -> i64 {
    let Response::Produce(produced) = answer else { panic!("not an answer to Produce: {answer:?}") };
    let partition = &produced.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, ErrorCode::NONE, "{partition:?}");
    partition.base_offset
}

pub(crate) fn fetch(topic: &str, from: i64, max_wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition { fetch_offset: from, partition_max_bytes: 1 << 20, ..Default::default() };
    FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 50 << 20,
        topics: vec![FetchTopic {
            topic: topic.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The bytes of records that a fetch brought.
pub(crate) fn fetched(answer: &Response) -> usize {
    let Response::Fetch(fetched) = answer else { panic!("not an answer to Fetch: {answer:?}") };
    let partition = &fetched.responses[0].partitions[0];
    assert_eq!(partition.error_code, ErrorCode::NONE, "{partition:?}");
    partition.records.as_ref().map_or(0, |records| records.held_bytes())
}
