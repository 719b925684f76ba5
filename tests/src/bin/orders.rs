//! The order story's two processes: `orders write` takes orders, `orders read` bills some of them and stops.

use quipu_tests::kafka::{PATIENCE, Record, consumer, poll, send_all};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

/// `orders write BOOTSTRAP TOPIC FROM TO` or `orders read BOOTSTRAP TOPIC GROUP COUNT`; prints what it read.
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["write", bootstrap, topic, from, to] => write(bootstrap, topic, number(from), number(to)),
        ["read", bootstrap, topic, group, count] => read((bootstrap, topic), group, number(count)),
        other => panic!("orders does not know {other:?}"),
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn write(bootstrap: &str, topic: &str, from: usize, to: usize) {
    let order = |number: usize| Record {
        key: Some(format!("customer-{}", number % 7).into_bytes()),
        ..Record::of(0, format!("order {number}"))
    };
    let orders: Vec<Record> = (from..to).map(order).collect();
    for delivery in send_all(bootstrap, topic, &[("enable.idempotence", "true")], &orders) {
        delivery.expect("every order is taken");
    }
}

/// Handles `count` orders, commits after each as one does who bills, and stops.
fn read((bootstrap, topic): (&str, &str), group: &str, count: usize) {
    let configs =
        [("auto.offset.reset", "earliest"), ("session.timeout.ms", "6000"), ("fetch.wait.max.ms", "100")];
    let consumer = consumer(bootstrap, group, &configs);
    consumer.subscribe(&[topic]).expect("a subscription is taken");
    for _ in 0..count {
        let found = poll(&consumer, 1, PATIENCE);
        let (offset, record) = found.first().expect("an order comes");
        println!("{} {}", offset, String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()));
        let mut position = TopicPartitionList::new();
        let next = Offset::Offset(offset + 1);
        position.add_partition_offset(topic, record.partition, next).expect("an offset can be listed");
        consumer.commit(&position, CommitMode::Sync).expect("a commit is taken");
    }
}
