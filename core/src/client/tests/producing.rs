//! The producer: batches, order, sequence numbers, leader changes, and what is certain about each record.

use bytes::Bytes;

use crate::client::door::{Command, Event, NewRecord, Outcome, Placed};
use crate::client::testing::{Bench, Heard, address};
use crate::client::{Acks, ProducerSettings};
use crate::record::{Batch, BatchHeader};
use crate::wire::messages::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use crate::wire::{ApiKey, ErrorCode, Request};

fn bench(settings: ProducerSettings) -> Bench {
    let mut bench = Bench::with_topic("t", &[1]);
    let idempotent = settings.idempotent && settings.acks == Acks::All;
    bench.command(Command::Producer(ProducerSettings { linger_ms: 0, ..settings }));
    if idempotent {
        // Only after a first batch may several be in flight.
        produce(&mut bench, 99);
        let first = bench.heard(ApiKey::Produce);
        bench.answer(&first, answer(ErrorCode::NONE, 0));
        bench.news();
    }
    bench
}

fn produce(bench: &mut Bench, tag: u64) {
    let record =
        NewRecord { topic: "t".into(), value: Some(Bytes::from(tag.to_string())), ..Default::default() };
    bench.command(Command::Produce { tag, record });
}

fn header(heard: &Heard) -> BatchHeader {
    let Request::Produce(r) = &heard.request else { panic!("no produce") };
    let mut bytes = r.topic_data[0].partition_data[0].records.clone().unwrap();
    *Batch::take(&mut bytes).unwrap().header()
}

fn sequences(bench: &mut Bench, count: usize) -> (Vec<Heard>, Vec<i32>) {
    let heard: Vec<Heard> = (0..count).map(|_| bench.heard(ApiKey::Produce)).collect();
    let sequences = heard.iter().map(|h| header(h).base_sequence).collect();
    (heard, sequences)
}

fn answer(error_code: ErrorCode, base_offset: i64) -> ProduceResponse {
    let part = PartitionProduceResponse { error_code, base_offset, ..Default::default() };
    let topic = TopicProduceResponse { name: "t".into(), partition_responses: vec![part] };
    ProduceResponse { responses: vec![topic], ..Default::default() }
}

/// Fates of records so far: tag, and offset or how it failed.
fn fates(bench: &mut Bench) -> Vec<(u64, String)> {
    let fate = |event| match event {
        Event::Produced { tag, outcome } => Some((
            tag,
            match outcome {
                Outcome::Done(Placed { offset: Some(offset), .. }) => format!("at {offset}"),
                Outcome::Done(_) => "somewhere".into(),
                Outcome::Failed(_) => "failed".into(),
                Outcome::Unknown(_) => "unknown".into(),
            },
        )),
        _ => None,
    };
    bench.news().into_iter().filter_map(fate).collect()
}

fn is(tag: u64, fate: &str) -> (u64, String) {
    (tag, fate.to_string())
}

#[test]
fn records_go_to_the_leader_in_sequence_and_are_answered_with_offsets() {
    let mut bench = bench(ProducerSettings::default());
    (1..=3).for_each(|tag| produce(&mut bench, tag));
    let (heard, numbers) = sequences(&mut bench, 3);
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(header(&heard[0]).producer_id.0, 4001);
    for (i, heard) in heard.iter().enumerate() {
        bench.answer(heard, answer(ErrorCode::NONE, 70 + i as i64));
    }
    assert_eq!(fates(&mut bench), [is(1, "at 70"), is(2, "at 71"), is(3, "at 72")]);
}

#[test]
fn what_lingers_goes_together_and_offsets_count_up_within_the_batch() {
    let mut bench = Bench::with_topic("t", &[1]);
    bench.command(Command::Producer(ProducerSettings { linger_ms: 50, ..Default::default() }));
    (1..=3).for_each(|tag| produce(&mut bench, tag));
    bench.quiet();
    bench.pass(50);
    let heard = bench.heard(ApiKey::Produce);
    assert_eq!(header(&heard).count, 3);
    bench.answer(&heard, answer(ErrorCode::NONE, 10));
    assert_eq!(fates(&mut bench), [is(1, "at 10"), is(2, "at 11"), is(3, "at 12")]);
}

#[test]
fn no_more_than_five_batches_are_in_flight() {
    let mut bench = bench(ProducerSettings::default());
    (1..=7).for_each(|tag| produce(&mut bench, tag));
    let (heard, numbers) = sequences(&mut bench, 5);
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    bench.quiet();
    bench.answer(&heard[0], answer(ErrorCode::NONE, 0));
    assert_eq!(sequences(&mut bench, 1).1, [6]);
}

#[test]
fn a_failed_batch_is_sent_again_before_the_later_ones_with_the_same_numbers() {
    let mut bench = bench(ProducerSettings::default());
    (1..=3).for_each(|tag| produce(&mut bench, tag));
    let (heard, _) = sequences(&mut bench, 3);
    bench.answer(&heard[0], answer(ErrorCode::NOT_ENOUGH_REPLICAS, -1));
    bench.answer(&heard[1], answer(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
    bench.answer(&heard[2], answer(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
    bench.pass(1500);
    let (heard, numbers) = sequences(&mut bench, 3);
    assert_eq!(numbers, [1, 2, 3]);
    for (i, heard) in heard.iter().enumerate() {
        bench.answer(heard, answer(ErrorCode::NONE, i as i64));
    }
    assert_eq!(fates(&mut bench), [is(1, "at 0"), is(2, "at 1"), is(3, "at 2")]);
}

#[test]
fn after_a_leader_change_everything_unanswered_goes_to_the_new_leader_in_order() {
    let mut bench = bench(ProducerSettings::default());
    (1..=2).for_each(|tag| produce(&mut bench, tag));
    let (heard, _) = sequences(&mut bench, 2);
    assert_eq!(bench.open[&heard[0].conn], address(1));
    bench.leaders.insert("t".into(), vec![(2, 2)]);
    bench.answer(&heard[0], answer(ErrorCode::NOT_LEADER_OR_FOLLOWER, -1));
    bench.pass(1500);
    bench.quiet();
    bench.answer(&heard[1], answer(ErrorCode::NOT_LEADER_OR_FOLLOWER, -1));
    bench.pass(1500);
    let (heard, numbers) = sequences(&mut bench, 2);
    assert_eq!(bench.open[&heard[0].conn], address(2));
    assert_eq!(numbers, [1, 2]);
    bench.answer(&heard[0], answer(ErrorCode::NONE, 5));
    // The first copy had reached the log after all: the broker knows its number.
    bench.answer(&heard[1], answer(ErrorCode::DUPLICATE_SEQUENCE_NUMBER, -1));
    assert_eq!(fates(&mut bench), [is(1, "at 5"), is(2, "somewhere")]);
}

#[test]
fn an_idempotent_producer_repeats_what_got_no_answer() {
    let mut bench = bench(ProducerSettings::default());
    produce(&mut bench, 1);
    let heard = bench.heard(ApiKey::Produce);
    bench.cut(heard.conn);
    bench.pass(1500);
    let again = bench.heard(ApiKey::Produce);
    assert_eq!((header(&again).producer_id, header(&again).base_sequence), (header(&heard).producer_id, 1));
    bench.answer(&again, answer(ErrorCode::NONE, 9));
    assert_eq!(fates(&mut bench), [is(1, "at 9")]);
}

#[test]
fn without_idempotence_a_lost_answer_is_an_unknown_outcome_and_nothing_is_repeated() {
    let mut bench = bench(ProducerSettings { idempotent: false, ..Default::default() });
    produce(&mut bench, 1);
    let heard = bench.heard(ApiKey::Produce);
    assert_eq!(header(&heard).producer_id.0, -1);
    bench.cut(heard.conn);
    assert_eq!(fates(&mut bench), [is(1, "unknown")]);
    bench.pass(5000);
    bench.quiet();
}

#[test]
fn without_idempotence_a_record_may_be_repeated_when_the_caller_says_so() {
    let settings = ProducerSettings { idempotent: false, repeat_unknown: true, ..Default::default() };
    let mut bench = bench(settings);
    (1..=2).for_each(|tag| produce(&mut bench, tag));
    let heard = bench.heard(ApiKey::Produce);
    bench.quiet();
    bench.cut(heard.conn);
    bench.pass(1500);
    let again = bench.heard(ApiKey::Produce);
    bench.answer(&again, answer(ErrorCode::NONE, 3));
    assert_eq!(fates(&mut bench), [is(1, "at 3")]);
}

#[test]
fn a_refused_batch_fails_and_the_next_epoch_begins_at_zero() {
    let mut bench = bench(ProducerSettings::default());
    (1..=3).for_each(|tag| produce(&mut bench, tag));
    let (heard, _) = sequences(&mut bench, 3);
    bench.answer(&heard[0], answer(ErrorCode::INVALID_RECORD, -1));
    bench.answer(&heard[1], answer(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
    bench.quiet();
    bench.answer(&heard[2], answer(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1));
    bench.pass(1500);
    let (heard, numbers) = sequences(&mut bench, 2);
    assert_eq!(numbers, [0, 1]);
    assert_eq!(header(&heard[0]).producer_epoch, 1);
    bench.answer(&heard[0], answer(ErrorCode::NONE, 0));
    bench.answer(&heard[1], answer(ErrorCode::NONE, 1));
    assert_eq!(fates(&mut bench), [is(1, "failed"), is(2, "at 0"), is(3, "at 1")]);
}

#[test]
fn a_batch_that_is_too_large_is_cut_in_two() {
    let mut bench = Bench::with_topic("t", &[1]);
    bench.command(Command::Producer(ProducerSettings { linger_ms: 50, ..Default::default() }));
    (1..=4).for_each(|tag| produce(&mut bench, tag));
    bench.pass(50);
    let heard = bench.heard(ApiKey::Produce);
    bench.answer(&heard, answer(ErrorCode::MESSAGE_TOO_LARGE, -1));
    let first = bench.heard(ApiKey::Produce);
    assert_eq!((header(&first).base_sequence, header(&first).count), (0, 2));
    bench.answer(&first, answer(ErrorCode::NONE, 0));
    let second = bench.heard(ApiKey::Produce);
    assert_eq!((header(&second).base_sequence, header(&second).count), (2, 2));
    bench.answer(&second, answer(ErrorCode::MESSAGE_TOO_LARGE, -1));
    let single = bench.heard(ApiKey::Produce);
    bench.answer(&single, answer(ErrorCode::MESSAGE_TOO_LARGE, -1));
    let fates = fates(&mut bench);
    assert_eq!(fates[..3], [is(1, "at 0"), is(2, "at 1"), is(3, "failed")]);
}

#[test]
fn a_record_that_may_be_in_the_log_when_its_time_ends_has_an_unknown_outcome() {
    let mut bench = bench(ProducerSettings { delivery_timeout_ms: 3000, ..Default::default() });
    produce(&mut bench, 1);
    let heard = bench.heard(ApiKey::Produce);
    bench.answers_ordinary = false;
    bench.cut(heard.conn);
    produce(&mut bench, 2);
    bench.pass(4000);
    assert_eq!(fates(&mut bench), [is(1, "unknown"), is(2, "failed")]);
}

#[test]
fn acks_0_is_done_when_it_is_handed_over() {
    let mut bench = bench(ProducerSettings { acks: Acks::None, ..Default::default() });
    (1..=2).for_each(|tag| produce(&mut bench, tag));
    assert_eq!(fates(&mut bench), [is(1, "somewhere"), is(2, "somewhere")]);
}

#[test]
fn a_topic_that_nobody_knows_fails_in_the_end_and_a_partition_that_is_not_there_at_once() {
    let mut bench = bench(ProducerSettings::default());
    let record =
        NewRecord { topic: "nope".into(), value: Some(Bytes::from_static(b"v")), ..Default::default() };
    bench.command(Command::Produce { tag: 1, record });
    bench.pass(9_000);
    assert_eq!(fates(&mut bench), []);
    bench.pass(2_000);
    assert_eq!(fates(&mut bench), [is(1, "failed")]);
    let record = NewRecord { topic: "t".into(), partition: Some(4), ..Default::default() };
    bench.command(Command::Produce { tag: 2, record });
    bench.pass(1_500);
    assert_eq!(fates(&mut bench), [is(2, "failed")]);
}

#[test]
fn a_producer_takes_no_more_than_its_buffer_holds() {
    let mut bench = bench(ProducerSettings { buffer_bytes: 150, ..Default::default() });
    let record =
        || NewRecord { topic: "t".into(), value: Some(Bytes::from(vec![7; 80])), ..Default::default() };
    bench.command(Command::Produce { tag: 1, record: record() });
    bench.command(Command::Produce { tag: 2, record: record() });
    assert_eq!(fates(&mut bench), [is(2, "failed")]);
    let heard = bench.heard(ApiKey::Produce);
    bench.answer(&heard, answer(ErrorCode::NONE, 0));
    bench.command(Command::Produce { tag: 3, record: record() });
    bench.heard(ApiKey::Produce);
}
