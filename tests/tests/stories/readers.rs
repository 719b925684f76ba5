//! Several groups that read one topic, each at its own pace, and one that reads it all again.

use quipu_tests::kafka::{Admin, PATIENCE, Record, consumer, now_ms, poll, send_all, unique};
use quipu_tests::server::Server;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, DefaultConsumerContext};
use rdkafka::{Offset, TopicPartitionList};

const PARTITIONS: i32 = 3;

fn filled(server: &Server, count: usize) -> String {
    let topic = unique("events");
    Admin::new(server.bootstrap()).create(&topic, PARTITIONS, &[]).expect("a new topic is created");
    let one = |number: usize| Record::of((number % PARTITIONS as usize) as i32, number.to_string());
    let records: Vec<Record> = (0..count).map(one).collect();
    for delivery in send_all(server.bootstrap(), &topic, &[("linger.ms", "5")], &records) {
        delivery.expect("every record is taken");
    }
    topic
}

fn member(server: &Server, group: &str, topic: &str) -> BaseConsumer<DefaultConsumerContext> {
    let configs =
        [("auto.offset.reset", "earliest"), ("session.timeout.ms", "6000"), ("fetch.wait.max.ms", "100")];
    let consumer = consumer(server.bootstrap(), group, &configs);
    consumer.subscribe(&[topic]).expect("a subscription is taken");
    consumer
}

/// Reads `count` records, commits, leaves; answers the numbers read, sorted.
fn sitting(server: &Server, group: &str, topic: &str, count: usize) -> Vec<usize> {
    let consumer = member(server, group, topic);
    let found = poll(&consumer, count, PATIENCE);
    assert_eq!(found.len(), count, "{group}");
    let mut next = [None; PARTITIONS as usize];
    for (offset, record) in &found {
        next[record.partition as usize] = Some(offset + 1);
    }
    let mut position = TopicPartitionList::new();
    for (partition, offset) in
        next.iter().enumerate().filter_map(|(partition, next)| Some((partition, (*next)?)))
    {
        let offset = Offset::Offset(offset);
        position.add_partition_offset(topic, partition as i32, offset).expect("an offset can be listed");
    }
    consumer.commit(&position, CommitMode::Sync).expect("a commit is taken");
    numbers(&found)
}

fn numbers(found: &[(i64, Record)]) -> Vec<usize> {
    let text =
        |record: &Record| String::from_utf8(record.value.clone().unwrap_or_default()).unwrap_or_default();
    let mut out: Vec<usize> =
        found.iter().map(|(_, record)| text(record).parse().expect("a number")).collect();
    out.sort_unstable();
    out
}

#[test]
fn groups_read_independently_each_at_its_own_pace() {
    let server = Server::start(&["group.initial.rebalance.delay.ms=0"]);
    let topic = filled(&server, 300);
    let (fast, slow) = (unique("fast"), unique("slow"));
    let everything: Vec<usize> = (0..300).collect();
    let first_half = sitting(&server, &slow, &topic, 150);
    assert_eq!(sitting(&server, &fast, &topic, 300), everything);
    let mut both = sitting(&server, &slow, &topic, 150);
    both.extend(first_half);
    both.sort_unstable();
    assert_eq!(both, everything, "the slow group missed or repeated records");
}

#[test]
fn a_group_replays_from_the_beginning_when_it_sets_its_offsets_back() {
    let server = Server::start(&["group.initial.rebalance.delay.ms=0"]);
    let topic = filled(&server, 200);
    let group = unique("replay");
    let everything: Vec<usize> = (0..200).collect();
    assert_eq!(sitting(&server, &group, &topic, 200), everything);
    let back = consumer(server.bootstrap(), &group, &[]);
    let mut start = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        start.add_partition_offset(&topic, partition, Offset::Offset(0)).expect("an offset can be listed");
    }
    back.commit(&start, CommitMode::Sync).expect("an empty group's offsets can be set");
    assert_eq!(sitting(&server, &group, &topic, 200), everything);
}

#[test]
fn a_reader_finds_the_first_record_of_a_moment() {
    let server = Server::start(&[]);
    let topic = filled(&server, 30);
    let later = now_ms() + 60_000;
    let late = Record { stamp: Some(later), ..Record::of(0, "late") };
    send_all(server.bootstrap(), &topic, &[], &[late]);
    let consumer = consumer(server.bootstrap(), "by-time", &[]);
    let mut wanted = TopicPartitionList::new();
    for partition in 0..2 {
        let moment = Offset::Offset(later - 10_000);
        wanted.add_partition_offset(&topic, partition, moment).expect("a moment can be listed");
    }
    let found = consumer.offsets_for_times(wanted, PATIENCE).expect("the server answers");
    let offset = |partition| found.find_partition(&topic, partition).map(|part| part.offset());
    assert_eq!(offset(0), Some(Offset::Offset(10)), "the late record");
    assert_eq!(offset(1), Some(Offset::End), "nothing came later here");
}
