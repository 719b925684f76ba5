//! librdkafka against a server: every codec, nulls, topics, a group of three whose members come and go.

mod members;

use quipu_tests::kafka::{Admin, PATIENCE, Record, consumer, poll, read, send_all, unique, until};
use quipu_tests::server::Server;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use members::{Member, covered, read_by};

const PARTITIONS: i32 = 6;

fn server() -> Server {
    Server::start(&["group.initial.rebalance.delay.ms=100"])
}

/// Keys that are null, empty and present; values of every byte, empty and null; headers with doubles and nulls.
fn records(count: usize) -> Vec<Record> {
    let every_byte: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let text = |text: &str| Some(text.as_bytes().to_vec());
    let header = |name: &str, value: Option<Vec<u8>>| (name.to_string(), value);
    let one = |number: usize| Record {
        partition: 0,
        key: [None, Some(Vec::new()), Some(format!("key-{number}").into_bytes())][number % 3].clone(),
        value: [Some(every_byte.clone()), Some(Vec::new()), None, text("größe €")][number % 4].clone(),
        headers: match number % 3 {
            0 => Vec::new(),
            1 => vec![header("h", Some(vec![0, 255])), header("h", text("again"))],
            _ => vec![header("empty", Some(Vec::new())), header("null", None)],
        },
        stamp: None,
    };
    (0..count).map(one).collect()
}

#[test]
fn every_codec_brings_back_every_byte_of_keys_values_and_headers() {
    let server = server();
    let admin = Admin::new(server.bootstrap());
    let sent = records(500);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = unique(codec);
        admin.create(&topic, 1, &[]).expect("a new topic is created");
        let configs = [("compression.type", codec), ("enable.idempotence", "true"), ("linger.ms", "5")];
        let acknowledged = send_all(server.bootstrap(), &topic, &configs, &sent);
        let wanted: Vec<(i32, i64)> = (0..500).map(|offset| (0, offset)).collect();
        assert_eq!(acknowledged.into_iter().collect::<Result<Vec<_>, _>>().as_ref(), Ok(&wanted), "{codec}");
        let found = read(server.bootstrap(), &topic, 0, Offset::Beginning, sent.len());
        assert_eq!(found.len(), sent.len(), "{codec}");
        for ((offset, record), (number, sent)) in found.iter().zip(sent.iter().enumerate()) {
            assert_eq!((*offset, record), (number as i64, sent), "{codec}");
        }
    }
}

#[test]
fn one_batch_reaches_the_partition_at_each_level_of_acknowledgement() {
    let server = server();
    let topic = unique("acks");
    Admin::new(server.bootstrap()).create(&topic, 1, &[]).expect("a new topic is created");
    for acks in ["1", "all", "0"] {
        send_all(server.bootstrap(), &topic, &[("acks", acks)], &[Record::of(0, acks)]);
    }
    let found = read(server.bootstrap(), &topic, 0, Offset::Beginning, 3);
    let values: Vec<_> = found.iter().map(|(_, record)| record.value.clone().unwrap_or_default()).collect();
    assert_eq!(values, [b"1".to_vec(), b"all".to_vec(), b"0".to_vec()]);
}

#[test]
fn topics_are_created_listed_refused_twice_and_deleted() {
    let server = server();
    let admin = Admin::new(server.bootstrap());
    let topic = unique("topic");
    admin.create(&topic, 3, &[("retention.ms", "1000000")]).expect("a new topic is created");
    assert!(admin.topics().contains(&(topic.clone(), 3)));
    assert_eq!(admin.create(&topic, 3, &[]), Err(RDKafkaErrorCode::TopicAlreadyExists));
    assert_eq!(
        admin.create(&unique("x"), 1, &[("no.such.config", "1")]),
        Err(RDKafkaErrorCode::InvalidConfig)
    );
    assert_eq!(admin.create("not a name!", 1, &[]), Err(RDKafkaErrorCode::InvalidTopic));
    admin.delete(&topic).expect("a topic is deleted");
    until("the topic is gone", PATIENCE, || !admin.topics().iter().any(|(name, _)| *name == topic));
    assert_eq!(admin.delete(&topic), Err(RDKafkaErrorCode::UnknownTopicOrPartition));
}

#[test]
fn a_recreated_topic_never_shows_its_predecessors_records() {
    let server = server();
    let admin = Admin::new(server.bootstrap());
    let topic = unique("again");
    admin.create(&topic, 1, &[]).expect("a new topic is created");
    send_all(server.bootstrap(), &topic, &[], &[Record::of(0, "old"), Record::of(0, "old")]);
    admin.delete(&topic).expect("a topic is deleted");
    until("the name is free again", PATIENCE, || admin.create(&topic, 1, &[]).is_ok());
    send_all(server.bootstrap(), &topic, &[], &[Record::of(0, "new")]);
    let found = read(server.bootstrap(), &topic, 0, Offset::Beginning, 1);
    assert_eq!(found, [(0, Record::of(0, "new"))]);
}

#[test]
fn a_record_larger_than_the_topics_limit_is_refused_by_name() {
    let server = server();
    let topic = unique("small");
    let admin = Admin::new(server.bootstrap());
    admin.create(&topic, 1, &[("max.message.bytes", "10000")]).expect("a new topic is created");
    let outcome = send_all(server.bootstrap(), &topic, &[], &[Record::of(0, vec![b'x'; 20_000])]);
    let refused = KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);
    assert_eq!(outcome, [Err(refused)]);
}

#[test]
fn a_consumer_resumes_at_the_committed_offset_and_one_outside_the_log_at_its_policy() {
    let server = server();
    let topic = unique("resume");
    let group = unique("group");
    Admin::new(server.bootstrap()).create(&topic, 1, &[]).expect("a new topic is created");
    let sent: Vec<Record> = (0..100).map(|number| Record::of(0, number.to_string())).collect();
    send_all(server.bootstrap(), &topic, &[], &sent);
    let configs = [("auto.offset.reset", "earliest"), ("session.timeout.ms", "6000")];
    for (first, count) in [(0, 40), (40, 60)] {
        let consumer = consumer(server.bootstrap(), &group, &configs);
        consumer.subscribe(&[&topic]).expect("a subscription is taken");
        let found = poll(&consumer, count, PATIENCE);
        let offsets: Vec<i64> = found.iter().map(|(offset, _)| *offset).collect();
        assert_eq!(offsets.first(), Some(&first));
        assert!(offsets.is_sorted(), "{offsets:?}");
        let mut position = TopicPartitionList::new();
        let next = Offset::Offset(first + count as i64);
        position.add_partition_offset(&topic, 0, next).expect("an offset can be listed");
        consumer.commit(&position, CommitMode::Sync).expect("a commit is taken");
    }
    let beyond = read(server.bootstrap(), &topic, 0, Offset::Offset(99), 1);
    assert_eq!(beyond.first().map(|(offset, _)| *offset), Some(99));
}

#[test]
fn three_members_share_a_group_while_one_joins_and_one_leaves_and_nothing_is_lost() {
    let server = server();
    let (topic, group) = (unique("shared"), unique("group"));
    let admin = Admin::new(server.bootstrap());
    admin.create(&topic, PARTITIONS, &[]).expect("a new topic is created");
    let mut sent = 0;
    let mut produce = |count: usize| {
        let one = |number: usize| Record::of((number % PARTITIONS as usize) as i32, number.to_string());
        let records: Vec<Record> = (sent..sent + count).map(one).collect();
        for delivery in send_all(server.bootstrap(), &topic, &[("linger.ms", "5")], &records) {
            delivery.expect("every record is taken");
        }
        sent += count;
        sent
    };
    let join = || Member::join(server.bootstrap(), &group, &topic);
    let (first, second) = (join(), join());
    covered(&[&first, &second], PARTITIONS);
    produce(300);
    let third = join();
    covered(&[&first, &second, &third], PARTITIONS);
    until("the group is stable", PATIENCE, || admin.group(&group) == Some(("Stable".into(), 3)));
    read_by(&[&first, &second, &third], produce(300));
    let left = second.leave();
    covered(&[&first, &third], PARTITIONS);
    let count = produce(300);
    read_by(&[&first, &third, &left], count);
    drop((first.leave(), third.leave()));
    let late = join();
    produce(60);
    until("the late member reads what came since", PATIENCE, || late.values().len() >= 60);
    let values = late.leave().values();
    assert!(values.iter().all(|value| *value >= count), "the late member read records again: {values:?}");
}
