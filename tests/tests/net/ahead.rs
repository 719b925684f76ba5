//! A client that reads a log from disk, one stretch after the other, is read ahead for, and gets what it would get anyway.

use std::time::Duration;

use quipu_core::config::BrokerConfig;
use quipu_core::wire::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use quipu_core::wire::{ErrorCode, Response};

use crate::client::{self, Client};
use crate::server::Server;

/// Each record is larger than half of what one partition of an answer takes from disk: one goes into each answer.
const RECORD_BYTES: usize = 700 * 1024;
const RECORDS: u8 = 20;

/// A node that keeps nothing in memory, with one log.
fn server() -> (Server, Client) {
    let mut config = BrokerConfig::default();
    config.hot_tail_bytes = 0;
    // This machine may be busy.
    let server = Server::start_with(config, |limits| limits.read_ahead = Duration::from_secs(60));
    let mut client = Client::connect(server.address);
    client.create_topic("t");
    (0..RECORDS).for_each(|n| assert_eq!(client.produce("t", &vec![n; RECORD_BYTES]), i64::from(n)));
    (server, client)
}

/// Fetches the record at an offset and checks that it is that one.
fn read(client: &mut Client, offset: u8) {
    let answer = client.call(client::fetch("t", i64::from(offset), 0), 11);
    assert!(client::fetched(&answer) > RECORD_BYTES, "{offset}");
    let Response::Fetch(mut fetched) = answer else { panic!("another answer") };
    let records = fetched.responses.remove(0).partitions.remove(0).records;
    let Some(quipu_core::wire::Records::Held(chunks)) = records else { panic!("not held") };
    let bytes = chunks.concat();
    assert_eq!(bytes[..8], i64::from(offset).to_be_bytes());
    assert!(bytes[200..RECORD_BYTES].iter().all(|byte| *byte == offset));
}

#[test]
fn a_client_that_reads_on_and_on_is_read_ahead_for_and_one_that_jumps_about_is_not() {
    let (server, mut client) = server();
    (0..RECORDS).for_each(|offset| read(&mut client, offset));
    let counts = server.counts();
    // A client that is faster than the broker may ask before the broker has begun.
    assert!((1..=u64::from(RECORDS) - 2).contains(&counts.reads_ahead), "{counts:?}");
    assert_eq!(
        counts.disk_reads,
        u64::from(RECORDS),
        "nothing is read twice, nor beyond the end: {counts:?}"
    );
    let mut other = Client::connect(server.address);
    (0..RECORDS).rev().for_each(|offset| read(&mut other, offset));
    let after = server.counts();
    assert_eq!(
        (after.reads_ahead, after.disk_reads),
        (counts.reads_ahead, counts.disk_reads + u64::from(RECORDS))
    );
}

#[test]
fn a_client_that_jumps_away_gets_what_it_asks_for() {
    let (_server, mut client) = server();
    for begin in [0, 3, 10, 4] {
        (begin..begin + 4).for_each(|offset| read(&mut client, offset));
    }
}

#[test]
fn what_was_deleted_since_it_was_read_ahead_is_not_given_out() {
    let (server, mut client) = server();
    (0..3).for_each(|offset| read(&mut client, offset));
    server.wait_until("the record at 3 is read ahead", |counts| counts.disk_reads == 4);
    let partition = DeleteRecordsPartition { partition_index: 0, offset: 10 };
    let topic = DeleteRecordsTopic { name: "t".to_owned(), partitions: vec![partition] };
    let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 30_000 };
    let Response::DeleteRecords(deleted) = client.call(request, 2) else { panic!("another answer") };
    assert_eq!(deleted.topics[0].partitions[0].low_watermark, 10);
    let before = server.counts().reads_ahead;
    let Response::Fetch(fetched) = client.call(client::fetch("t", 3, 0), 11) else {
        panic!("another answer")
    };
    let partition = &fetched.responses[0].partitions[0];
    assert_eq!(partition.error_code, ErrorCode::OFFSET_OUT_OF_RANGE);
    read(&mut client, 10);
    assert_eq!(server.counts().reads_ahead, before);
}
