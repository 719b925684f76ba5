//! Fetch in its corners: sessions, bounds, order, epochs of readers, and the fields that clients trip over.

use super::start::restart;
use super::{Rig, batch};
use crate::ids::{LeaderEpoch, Offset};
use crate::wire::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionData};
use crate::wire::{ErrorCode, Records, Response};

fn partitions(response: Response) -> Vec<PartitionData> {
    let Response::Fetch(fetch) = response else { panic!("not an answer to Fetch") };
    assert_eq!(fetch.error_code, ErrorCode::NONE);
    fetch.responses.into_iter().flat_map(|t| t.partitions).collect()
}

fn bytes(partition: &PartitionData) -> usize {
    partition.records.as_ref().expect("records are never null").held_bytes()
}

/// The same fetch of several partitions of the topic, in that order.
fn fetch_all(rig: &Rig, topic: &str, indexes: &[i32]) -> FetchRequest {
    let mut request = rig.fetch_from(topic, 0);
    let one = request.topics[0].partitions[0].clone();
    request.topics[0].partitions =
        indexes.iter().map(|partition| FetchPartition { partition: *partition, ..one.clone() }).collect();
    request
}

fn fill(rig: &mut Rig, topic: &str, partition: i32) {
    let to = rig.produce_in(topic, partition, 1, Ok(batch(&["a record"])));
    assert_eq!(rig.produced(to).error_code, ErrorCode::NONE);
}

#[test]
fn a_full_fetch_gets_no_session_and_one_that_goes_on_with_a_session_finds_none() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    fill(&mut rig, "t", 0);
    let mut ask = |id, epoch| {
        let request = FetchRequest { session_id: id, session_epoch: epoch, ..rig.fetch_from("t", 0) };
        let Response::Fetch(fetch) = rig.ask(request) else { panic!() };
        (fetch.error_code, fetch.session_id, fetch.responses.len())
    };
    for (id, epoch) in [(0, 0), (0, -1), (7, 0), (7, -1)] {
        assert_eq!(ask(id, epoch), (ErrorCode::NONE, 0, 1), "session {id}, epoch {epoch}: a full fetch");
    }
    for (id, epoch) in [(0, 1), (7, 1), (7, i32::MAX)] {
        let unknown = ErrorCode::FETCH_SESSION_ID_NOT_FOUND;
        assert_eq!(ask(id, epoch), (unknown, 0, 0), "session {id}, epoch {epoch}");
    }
}

#[test]
fn the_first_partition_with_records_gives_a_whole_batch_and_the_others_keep_to_what_is_left() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 4, &[]);
    for partition in 1..4 {
        fill(&mut rig, "t", partition);
    }
    let size = batch(&["a record"]).size();
    let mut ask = |max_bytes: usize, partition_max_bytes: usize| {
        let mut request = fetch_all(&rig, "t", &[0, 1, 2, 3]);
        request.max_bytes = max_bytes as i32;
        for p in &mut request.topics[0].partitions {
            p.partition_max_bytes = partition_max_bytes as i32;
        }
        partitions(rig.ask(request)).iter().map(bytes).collect::<Vec<_>>()
    };
    assert_eq!(ask(1, 1 << 20), [0, size, 0, 0], "larger than all that was asked for");
    assert_eq!(ask(1 << 20, 1), [0, size, 0, 0], "larger than asked for of its partition");
    assert_eq!(ask(2 * size, 1 << 20), [0, size, size, 0]);
    assert_eq!(ask(3 * size - 1, 1 << 20), [0, size, size, 0], "whole batches only");
    assert_eq!(ask(3 * size, 1 << 20), [0, size, size, size]);
}

#[test]
fn topics_and_partitions_are_answered_in_the_order_in_which_they_were_asked_for() {
    let mut rig = Rig::new(&[]);
    rig.create("a", 3, &[]);
    rig.create("b", 1, &[]);
    let mut request = fetch_all(&rig, "b", &[0]);
    request.topics.extend(fetch_all(&rig, "a", &[2, 9, 0, 1]).topics);
    request.max_wait_ms = 0;
    let Response::Fetch(fetch) = rig.ask(request.clone()) else { panic!() };
    let told: Vec<_> = fetch
        .responses
        .iter()
        .map(|t| (t.topic_id, t.partitions.iter().map(|p| p.partition_index).collect::<Vec<_>>()))
        .collect();
    let asked = |t: &FetchTopic| (t.topic_id, t.partitions.iter().map(|p| p.partition).collect::<Vec<_>>());
    assert_eq!(told, request.topics.iter().map(asked).collect::<Vec<_>>());
}

#[test]
fn an_error_in_one_partition_ends_the_wait_for_the_others() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let request = fetch_all(&rig, "t", &[0, 7]);
    let codes: Vec<_> = partitions(rig.ask(request)).iter().map(|p| p.error_code).collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION]);
}

#[test]
fn aborted_transactions_are_a_list_for_who_reads_committed_and_null_for_others() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    fill(&mut rig, "t", 0);
    for (isolation_level, aborted) in [(0, None), (1, Some(Vec::new()))] {
        let request = FetchRequest { isolation_level, ..rig.fetch_from("t", 0) };
        let got = &partitions(rig.ask(request))[0];
        assert_eq!((&got.aborted_transactions, got.last_stable_offset), (&aborted, 1));
    }
}

#[test]
fn a_fetch_into_the_middle_of_a_batch_gets_all_of_it() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.produce("t", 1, batch(&["a", "b", "c"]));
    let whole = rig.disk[&rig.log("t", 0)][0].to_bytes();
    let request = rig.fetch_from("t", 2);
    let got = &partitions(rig.ask(request))[0];
    let Some(Records::Held(chunks)) = &got.records else { panic!("{:?}", got.records) };
    assert_eq!(chunks.concat(), whole, "the batch begins at offset 0, and clients skip");
}

#[test]
fn no_other_replica_is_preferred_even_for_a_client_that_tells_its_rack() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    fill(&mut rig, "t", 0);
    let request = FetchRequest { rack_id: "r1".into(), ..rig.fetch_from("t", 0) };
    assert_eq!(partitions(rig.ask(request))[0].preferred_read_replica, -1);
}

#[test]
fn a_reader_whose_log_parts_from_this_one_is_told_where_at_once() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.produce("t", 1, batch(&["a", "b"]));
    let mut rig = restart(rig);
    rig.wake();
    rig.produce("t", 1, batch(&["c"]));
    let mut ask = |last_fetched_epoch, offset| {
        let mut request = rig.fetch_from("t", offset);
        request.max_wait_ms = 0;
        request.topics[0].partitions[0].last_fetched_epoch = last_fetched_epoch;
        let got = partitions(rig.ask(request)).remove(0);
        let end = (LeaderEpoch(got.diverging_epoch.epoch), Offset(got.diverging_epoch.end_offset));
        (got.error_code, end, bytes(&got) > 0)
    };
    let none = (LeaderEpoch(-1), Offset(-1));
    assert_eq!(ask(0, 2), (ErrorCode::NONE, none, true), "epoch 0 ends there");
    assert_eq!(ask(0, 3), (ErrorCode::NONE, (LeaderEpoch(0), Offset(2)), false));
    assert_eq!(ask(1, 3), (ErrorCode::NONE, none, false), "the end");
    assert_eq!(ask(-1, 3), (ErrorCode::NONE, none, false), "a client that does not say");
}
