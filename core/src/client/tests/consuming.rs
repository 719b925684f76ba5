//! The consumer: where it begins, what it shows, and what it does when its position is gone or its leader moves.

use bytes::Bytes;

use crate::client::door::{Command, Event, Reset, Start, TopicPartition};
use crate::client::testing::{Bench, Heard, address};
use crate::client::{ConsumerSettings, Isolation};
use crate::ids::{LeaderEpoch, Offset, TopicId};
use crate::record::BatchBuilder;
use crate::time::Timestamp;
use crate::wire::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use crate::wire::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use crate::wire::{ApiKey, ErrorCode, Records, Request};

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn reading(start: Start, reset: Reset) -> Bench {
    let mut bench = Bench::with_topic("t", &[1]);
    bench.command(Command::Consumer(ConsumerSettings { reset, ..Default::default() }));
    bench.command(Command::Assign(vec![(at(0), start)]));
    bench.command(Command::Poll);
    bench
}

/// A batch of records "0", "1", .. from that offset on.
fn batch(base: i64, count: usize) -> Bytes {
    let mut builder = BatchBuilder::new();
    for i in 0..count {
        builder.push(Timestamp(5), None, Some((base + i as i64).to_string().as_bytes()));
    }
    let mut batch = builder.build();
    batch.stamp(Offset(base), LeaderEpoch(1));
    batch.to_bytes()
}

fn fetched(part: PartitionData) -> FetchResponse {
    let topic =
        FetchableTopicResponse { topic: "t".into(), topic_id: TopicId([7; 16]), partitions: vec![part] };
    FetchResponse { responses: vec![topic], ..Default::default() }
}

fn records(bytes: Vec<Bytes>, end: i64) -> FetchResponse {
    let records = Some(Records::Held(bytes));
    fetched(PartitionData { records, high_watermark: end, last_stable_offset: end, ..Default::default() })
}

fn failing(error_code: ErrorCode) -> FetchResponse {
    fetched(PartitionData { error_code, ..Default::default() })
}

fn listed(offset: i64) -> ListOffsetsResponse {
    let part = ListOffsetsPartitionResponse { offset, ..Default::default() };
    let topic = ListOffsetsTopicResponse { name: "t".into(), partitions: vec![part] };
    ListOffsetsResponse { topics: vec![topic], ..Default::default() }
}

fn asked_offset(heard: &Heard) -> i64 {
    let Request::Fetch(r) = &heard.request else { panic!("no fetch") };
    r.topics[0].partitions[0].fetch_offset
}

fn asked_time(heard: &Heard) -> i64 {
    let Request::ListOffsets(r) = &heard.request else { panic!("no lookup") };
    r.topics[0].partitions[0].timestamp
}

/// Values of records, and where the consumer goes on.
fn shown(bench: &mut Bench) -> Vec<(Vec<String>, i64)> {
    let show = |event| match event {
        Event::Records { records, next, .. } => {
            let value = |f: &crate::client::Fetched| {
                String::from_utf8_lossy(f.record.value.as_deref().unwrap()).into()
            };
            Some((records.iter().map(value).collect(), next.0))
        }
        _ => None,
    };
    bench.news().into_iter().filter_map(show).collect()
}

#[test]
fn records_below_the_position_are_skipped_and_a_cut_batch_is_left_for_later() {
    let mut bench = reading(Start::Offset(Offset(2)), Reset::Fail);
    let fetch = bench.heard(ApiKey::Fetch);
    assert_eq!(asked_offset(&fetch), 2);
    let cut = batch(4, 3).slice(..30);
    bench.answer(&fetch, records(vec![batch(0, 4), cut], 7));
    assert_eq!(shown(&mut bench), [(vec!["2".to_string(), "3".into()], 4)]);
    bench.quiet();
    bench.command(Command::Poll);
    assert_eq!(asked_offset(&bench.heard(ApiKey::Fetch)), 4);
}

#[test]
fn nothing_is_fetched_that_nobody_polled_for() {
    let mut bench = reading(Start::Offset(Offset(0)), Reset::Fail);
    let fetch = bench.heard(ApiKey::Fetch);
    bench.answer(&fetch, records(Vec::new(), 0));
    assert_eq!(shown(&mut bench), [(Vec::new(), 0)], "the end is told once");
    let fetch = bench.heard(ApiKey::Fetch);
    bench.answer(&fetch, records(vec![batch(0, 1)], 1));
    assert_eq!(shown(&mut bench), [(vec!["0".to_string()], 1)]);
    bench.pass(10_000);
    bench.quiet();
}

#[test]
fn a_start_by_time_goes_to_the_end_when_nothing_is_that_late() {
    let mut bench = reading(Start::Time(Timestamp(77)), Reset::Fail);
    let lookup = bench.heard(ApiKey::ListOffsets);
    assert_eq!(asked_time(&lookup), 77);
    bench.answer(&lookup, listed(-1));
    let lookup = bench.heard(ApiKey::ListOffsets);
    assert_eq!(asked_time(&lookup), -1);
    bench.answer(&lookup, listed(12));
    assert_eq!(asked_offset(&bench.heard(ApiKey::Fetch)), 12);
}

#[test]
fn a_position_that_does_not_exist_is_reset_as_the_policy_says() {
    for (policy, time) in [(Reset::Earliest, -2), (Reset::Latest, -1)] {
        let mut bench = reading(Start::Offset(Offset(99)), policy);
        let fetch = bench.heard(ApiKey::Fetch);
        bench.answer(&fetch, failing(ErrorCode::OFFSET_OUT_OF_RANGE));
        let lookup = bench.heard(ApiKey::ListOffsets);
        assert_eq!(asked_time(&lookup), time);
        bench.answer(&lookup, listed(40));
        let told = bench.news();
        assert!(
            matches!(&told[..], [Event::Positioned { offset: Offset(40), instead_of: Some(Offset(99)), .. }]),
            "{told:?}"
        );
        assert_eq!(asked_offset(&bench.heard(ApiKey::Fetch)), 40);
    }
}

#[test]
fn a_position_that_does_not_exist_ends_the_partition_without_a_policy() {
    let mut bench = reading(Start::Offset(Offset(99)), Reset::Fail);
    let fetch = bench.heard(ApiKey::Fetch);
    bench.answer(&fetch, failing(ErrorCode::OFFSET_OUT_OF_RANGE));
    assert!(matches!(&bench.news()[..], [Event::Unreadable { .. }]));
    bench.pass(5_000);
    bench.quiet();
}

#[test]
fn reading_goes_on_at_the_new_leader() {
    let mut bench = reading(Start::Offset(Offset(3)), Reset::Fail);
    let fetch = bench.heard(ApiKey::Fetch);
    assert_eq!(bench.open[&fetch.conn], address(1));
    bench.leaders.insert("t".into(), vec![(2, 2)]);
    bench.answer(&fetch, failing(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    bench.pass(1500);
    let fetch = bench.heard(ApiKey::Fetch);
    assert_eq!((bench.open[&fetch.conn].clone(), asked_offset(&fetch)), (address(2), 3));
}

#[test]
fn an_answer_to_a_question_before_a_seek_is_dropped() {
    let mut bench = reading(Start::Offset(Offset(3)), Reset::Fail);
    let fetch = bench.heard(ApiKey::Fetch);
    bench.command(Command::Seek(at(0), Start::Offset(Offset(8))));
    bench.answer(&fetch, records(vec![batch(3, 2)], 20));
    assert_eq!(shown(&mut bench), []);
    assert_eq!(asked_offset(&bench.heard(ApiKey::Fetch)), 8);
}

#[test]
fn a_damaged_batch_is_not_shown() {
    let mut bench = reading(Start::Offset(Offset(0)), Reset::Fail);
    let fetch = bench.heard(ApiKey::Fetch);
    let mut damaged = batch(0, 1).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    bench.answer(&fetch, records(vec![damaged.into()], 1));
    let told = bench.news();
    assert!(
        matches!(&told[..], [Event::Unreadable { failure, .. }] if failure.text.contains("CRC")),
        "{told:?}"
    );
}

#[test]
fn readers_of_committed_records_say_so_and_see_the_stable_end() {
    let mut bench = Bench::with_topic("t", &[1]);
    let isolation = Isolation::ReadCommitted;
    bench.command(Command::Consumer(ConsumerSettings { isolation, ..Default::default() }));
    bench.command(Command::Assign(vec![(at(0), Start::Offset(Offset(0)))]));
    bench.command(Command::Poll);
    let fetch = bench.heard(ApiKey::Fetch);
    assert!(matches!(&fetch.request, Request::Fetch(r) if r.isolation_level == 1));
    let part = PartitionData { high_watermark: 9, last_stable_offset: 4, ..Default::default() };
    bench.answer(&fetch, fetched(part));
    let told = bench.news();
    assert!(matches!(&told[..], [Event::Records { end: Offset(4), .. }]), "{told:?}");
}

#[test]
fn a_reader_goes_to_the_follower_that_it_is_told_of_and_back_when_that_cannot_serve_it() {
    let mut bench = Bench::with_topic("t", &[1]);
    let settings = ConsumerSettings { rack: "r2".into(), reset: Reset::Fail, ..Default::default() };
    bench.command(Command::Consumer(settings));
    bench.command(Command::Assign(vec![(at(0), Start::Offset(Offset(4)))]));
    bench.command(Command::Poll);
    let told = |bench: &mut Bench| {
        let asked = bench.heard(ApiKey::Fetch);
        let Request::Fetch(request) = &asked.request else { panic!("no fetch") };
        assert_eq!((bench.open[&asked.conn].clone(), request.rack_id.as_str()), (address(1), "r2"));
        bench.answer(&asked, fetched(PartitionData { preferred_read_replica: 2, ..Default::default() }));
    };
    told(&mut bench);
    let asked = bench.heard(ApiKey::Fetch);
    assert_eq!((bench.open[&asked.conn].clone(), asked_offset(&asked)), (address(2), 4));
    bench.answer(&asked, records(vec![batch(4, 2)], 6));
    assert_eq!(shown(&mut bench), [(vec!["4".into(), "5".into()], 6)]);
    // What the follower does not have may well be there: only the leader knows.
    for unserved in [failing(ErrorCode::OFFSET_OUT_OF_RANGE), failing(ErrorCode::NOT_LEADER_OR_FOLLOWER)] {
        bench.command(Command::Poll);
        let asked = bench.heard(ApiKey::Fetch);
        assert_eq!((bench.open[&asked.conn].clone(), asked_offset(&asked)), (address(2), 6));
        bench.answer(&asked, unserved);
        bench.pass(1_000);
        told(&mut bench);
    }
    assert!(bench.news().iter().all(|event| !matches!(event, Event::Unreadable { .. })));
}
