//! Blocks of a chain, keyed by height, with values of 1 to 16 MiB once the limits are raised.

use quipu_tests::kafka::{Admin, Record, consumer, poll, send_all, unique};
use quipu_tests::server::Server;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;

const MIB: usize = 1 << 20;
const LARGE: [(&str, &str); 4] = [
    ("message.max.bytes", "20000000"),
    ("receive.message.max.bytes", "120000000"),
    ("fetch.message.max.bytes", "4194304"),
    ("fetch.wait.max.ms", "100"),
];

/// A block whose every byte depends on its height and place: a misplaced piece cannot look right.
fn block(height: usize, bytes: usize) -> Record {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ (height as u64) << 32;
    let mut value = Vec::with_capacity(bytes + 8);
    while value.len() < bytes {
        // xorshift64: fast, and does not compress.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value.extend_from_slice(&state.to_le_bytes());
    }
    value.truncate(bytes);
    Record { key: Some((height as u64).to_be_bytes().to_vec()), ..Record::of(0, value) }
}

#[test]
fn blocks_of_up_to_16_mib_come_back_whole_and_in_order_of_height() {
    let server = Server::start(&[]);
    let topic = unique("blocks");
    let admin = Admin::new(server.bootstrap());
    admin.create(&topic, 1, &[("max.message.bytes", "20000000")]).expect("a new topic is created");
    let sizes = [MIB, 3 * MIB, 16 * MIB, 100, 8 * MIB, 16 * MIB, 2 * MIB + 1, 0];
    let blocks: Vec<Record> = sizes.iter().enumerate().map(|(height, size)| block(height, *size)).collect();
    let configs = [LARGE[0], ("enable.idempotence", "true")];
    for delivery in send_all(server.bootstrap(), &topic, &configs, &blocks) {
        delivery.expect("every block is taken");
    }
    let consumer = consumer(server.bootstrap(), "blocks", &LARGE);
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(&topic, 0, Offset::Beginning).expect("an offset can be assigned");
    consumer.assign(&assignment).expect("a partition can be assigned");
    let found = poll(&consumer, blocks.len(), Duration::from_secs(60));
    assert_eq!(found.len(), blocks.len());
    for ((offset, found), (height, block)) in found.iter().zip(blocks.iter().enumerate()) {
        assert_eq!(*offset, height as i64);
        assert_eq!(found.key, block.key, "block {height}");
        // Not assert_eq: nobody reads 16 MiB of difference.
        assert!(found.value == block.value, "block {height} differs");
    }
}

#[test]
fn without_raising_the_limit_a_large_block_is_refused_and_small_ones_go_on() {
    let server = Server::start(&[]);
    let topic = unique("blocks");
    Admin::new(server.bootstrap()).create(&topic, 1, &[]).expect("a new topic is created");
    let refused = send_all(server.bootstrap(), &topic, &[LARGE[0]], &[block(0, 2 * MIB)]);
    assert_eq!(refused, [Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge))]);
    let taken = send_all(server.bootstrap(), &topic, &[LARGE[0]], &[block(1, MIB / 2)]);
    assert_eq!(taken, [Ok((0, 0))]);
}
