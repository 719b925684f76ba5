//! Old records go: by time, by size, and a reader who asks for them is told where the log starts now.

use std::time::Duration;

use quipu_tests::kafka::{Admin, PATIENCE, Record, consumer, now_ms, poll, read, send_all, unique, until};
use quipu_tests::server::Server;
use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};

/// Apache Kafka looks for the first time 30 s after its start.
const RETENTION: Duration = Duration::from_secs(90);

fn server() -> Server {
    Server::start(&["log.retention.check.interval.ms=300"])
}

fn start_and_end(server: &Server, topic: &str) -> (i64, i64) {
    let consumer = consumer(server.bootstrap(), "watermarks", &[]);
    consumer.fetch_watermarks(topic, 0, PATIENCE).expect("the server answers")
}

/// Fills a partition with records of 10 kB, made `age_ms` ago, in batches smaller than a segment.
fn fill(server: &Server, topic: &str, count: usize, age_ms: i64) {
    let stamp = Some(now_ms() - age_ms);
    let one = |number: usize| Record { stamp, ..Record::of(0, vec![number as u8; 10_000]) };
    let records: Vec<Record> = (0..count).map(one).collect();
    for delivery in send_all(server.bootstrap(), topic, &[("batch.size", "50000")], &records) {
        delivery.expect("every record is taken");
    }
}

#[test]
fn by_size_the_oldest_segments_go_until_the_rest_fits() {
    let server = server();
    let topic = unique("by-size");
    let configs =
        [("segment.bytes", "1048576"), ("retention.bytes", "3000000"), ("file.delete.delay.ms", "100")];
    Admin::new(server.bootstrap()).create(&topic, 1, &configs).expect("a new topic is created");
    fill(&server, &topic, 1000, 0);
    until("the start moves", RETENTION, || start_and_end(&server, &topic).0 > 500);
    let (start, end) = start_and_end(&server, &topic);
    assert_eq!(end, 1000, "the end stays");
    // Kafka keeps at least retention.bytes: it removes a segment only when what is left is still as large.
    let kept = (end - start) * 10_000;
    assert!((2_900_000..6_000_000).contains(&kept), "{kept} bytes are kept, from offset {start}");
    let found = read(server.bootstrap(), &topic, 0, Offset::Beginning, (end - start) as usize);
    assert_eq!(found.first().map(|(offset, _)| *offset), Some(start));
    assert_eq!(found.len() as i64, end - start);
}

#[test]
fn by_time_everything_old_goes_and_new_records_go_on_at_the_next_offset() {
    let server = server();
    let topic = unique("by-time");
    let configs = [("retention.ms", "600000"), ("file.delete.delay.ms", "100")];
    Admin::new(server.bootstrap()).create(&topic, 1, &configs).expect("a new topic is created");
    fill(&server, &topic, 50, 3_600_000);
    until("everything old is gone", RETENTION, || start_and_end(&server, &topic) == (50, 50));
    let taken = send_all(server.bootstrap(), &topic, &[], &[Record::of(0, "new")]);
    assert_eq!(taken, [Ok((0, 50))]);
    // Asked for an offset that is gone, librdkafka goes to where its policy says.
    let policy = [("auto.offset.reset", "earliest"), ("fetch.wait.max.ms", "100")];
    let reader = consumer(server.bootstrap(), &unique("late"), &policy);
    let mut gone = TopicPartitionList::new();
    gone.add_partition_offset(&topic, 0, Offset::Offset(3)).expect("an offset can be assigned");
    reader.assign(&gone).expect("a partition can be assigned");
    let found = poll(&reader, 1, PATIENCE);
    assert_eq!(found, [(50, Record::of(0, "new"))]);
}
