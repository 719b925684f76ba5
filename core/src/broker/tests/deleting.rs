//! DeleteRecords among three brokers: answered once nothing of what is deleted can come back with another leader.

use super::replicas::create;
use super::trio::Trio;
use super::{Rig, batch};
use crate::broker::door::Caller;
use crate::ids::{BrokerId, LogId, Offset};
use crate::wire::Response;
use crate::wire::error::ErrorCode;
use crate::wire::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};

/// Three brokers with a partition of four committed records; its leader, and the others.
fn trio() -> (Trio, LogId, usize, [usize; 2]) {
    let mut trio = Trio::new();
    create(&mut trio, 0, "t", 1);
    let log = trio.rigs[0].log("t", 0);
    let leader = leader(&trio, 0, log);
    let to = trio.rigs[leader].produce("t", -1, batch(&["a", "b", "c", "d"]));
    trio.run(600);
    assert_eq!(trio.rigs[leader].produced(to).error_code, ErrorCode::NONE);
    (trio, log, leader, [(leader + 1) % 3, (leader + 2) % 3])
}

fn leader(trio: &Trio, at: usize, log: LogId) -> usize {
    let state = trio.rigs[at].broker.image().partition(log).expect("there is such a partition");
    state.leader.map(|BrokerId(id)| id as usize - 1).expect("somebody leads it")
}

fn delete(trio: &mut Trio, at: usize, asked: &[(i32, i64)], timeout_ms: i32) -> Caller {
    let partition = |(partition_index, offset): &(i32, i64)| DeleteRecordsPartition {
        partition_index: *partition_index,
        offset: *offset,
    };
    let topics =
        vec![DeleteRecordsTopic { name: "t".into(), partitions: asked.iter().map(partition).collect() }];
    trio.rigs[at].now.mono = trio.now;
    trio.rigs[at].send(DeleteRecordsRequest { topics, timeout_ms })
}

fn told(rig: &mut Rig, to: Caller) -> Vec<(ErrorCode, i64)> {
    let Response::DeleteRecords(told) = rig.answer(to) else { panic!("not an answer to DeleteRecords") };
    told.topics[0].partitions.iter().map(|p| (p.error_code, p.low_watermark)).collect()
}

fn start(trio: &Trio, at: usize, log: LogId) -> (Offset, Offset) {
    let log = trio.rigs[at].broker.log(log).expect("it is kept there");
    (log.start(), log.kept_start())
}

#[test]
fn a_deletion_is_answered_once_it_is_durable_at_every_in_sync_replica() {
    let (mut trio, log, leads, [slow, other]) = trio();
    trio.rigs[slow].prompt = false;
    let to = delete(&mut trio, leads, &[(0, 3), (7, 3)], 30_000);
    trio.run(1_000);
    assert_eq!(start(&trio, leads, log), (Offset(3), Offset(3)));
    assert_eq!(start(&trio, other, log), (Offset(3), Offset(3)), "it keeps the start without being asked to");
    assert_eq!(start(&trio, slow, log), (Offset(3), Offset(0)), "its disk is slow");
    assert!(!trio.rigs[leads].replies.contains_key(&to));
    trio.rigs[slow].prompt = true;
    trio.rigs[slow].complete(&[]);
    trio.run(100);
    let answer = told(&mut trio.rigs[leads], to);
    assert_eq!(answer, [(ErrorCode::NONE, 3), (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1)]);
    assert_eq!(start(&trio, slow, log), (Offset(3), Offset(3)));
    let to = delete(&mut trio, leads, &[(0, 1)], 30_000);
    assert_eq!(told(&mut trio.rigs[leads], to), [(ErrorCode::NONE, 3)], "it is deleted already");
}

#[test]
fn a_follower_that_dies_leaves_the_in_sync_replicas_and_the_answer_comes() {
    let (mut trio, log, leads, [dies, _]) = trio();
    trio.crash(dies);
    let to = delete(&mut trio, leads, &[(0, -1)], 30_000);
    trio.run(300);
    assert!(!trio.rigs[leads].replies.contains_key(&to), "it may lead next");
    trio.run(8_000);
    assert_eq!(told(&mut trio.rigs[leads], to), [(ErrorCode::NONE, 4)]);
    trio.restart(dies);
    trio.run(8_000);
    assert_eq!(trio.rigs[leads].broker.image().partition(log).expect("it is there").isr.len(), 3);
    assert_eq!(start(&trio, dies, log), (Offset(4), Offset(4)), "who comes back has nothing of it");
}

#[test]
fn what_is_deleted_does_not_come_back_with_the_next_leader_nor_after_all_were_down() {
    let (mut trio, log, leads, [second, third]) = trio();
    let to = delete(&mut trio, leads, &[(0, 3)], 30_000);
    trio.run(10);
    assert_eq!(told(&mut trio.rigs[leads], to), [(ErrorCode::NONE, 3)]);
    trio.crash(leads);
    trio.run(8_000);
    let next = leader(&trio, second, log);
    assert_ne!(next, leads);
    assert_eq!(start(&trio, next, log).0, Offset(3));
    [second, third].into_iter().for_each(|at| trio.crash(at));
    (0..3).for_each(|at| trio.restart(at));
    trio.run(8_000);
    for at in 0..3 {
        assert_eq!(start(&trio, at, log), (Offset(3), Offset(3)), "broker {}", at + 1);
    }
}

#[test]
fn a_deletion_that_takes_too_long_is_told_so_with_the_low_watermark_as_it_is() {
    let (mut trio, _, leads, [slow, _]) = trio();
    let to = delete(&mut trio, leads, &[(0, 1)], 500);
    trio.run(100);
    assert_eq!(told(&mut trio.rigs[leads], to), [(ErrorCode::NONE, 1)]);
    trio.rigs[slow].prompt = false;
    let to = delete(&mut trio, leads, &[(0, 3), (9, 3)], 500);
    trio.run(499);
    assert!(!trio.rigs[leads].replies.contains_key(&to));
    trio.run(2);
    let answer = told(&mut trio.rigs[leads], to);
    assert_eq!(answer, [(ErrorCode::REQUEST_TIMED_OUT, 1), (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1)]);
    trio.rigs[slow].prompt = true;
    trio.rigs[slow].complete(&[]);
    trio.run(100);
    let to = delete(&mut trio, leads, &[(0, 3)], 500);
    assert_eq!(told(&mut trio.rigs[leads], to), [(ErrorCode::NONE, 3)], "it is deleted all the same");
}

#[test]
fn who_waits_for_a_deletion_at_a_leader_that_is_deposed_is_told_to_look_for_another() {
    let (mut trio, log, leads, [slow, _]) = trio();
    trio.cut_off.insert(leads);
    let to = delete(&mut trio, leads, &[(0, 3)], 60_000);
    trio.run(8_000);
    assert_ne!(leader(&trio, slow, log), leads);
    assert!(!trio.rigs[leads].replies.contains_key(&to), "it does not know");
    trio.cut_off.clear();
    trio.run(8_000);
    assert_eq!(told(&mut trio.rigs[leads], to), [(ErrorCode::NOT_LEADER_OR_FOLLOWER, -1)]);
}

#[test]
fn who_waits_for_a_deletion_at_a_leader_whose_disk_dies_is_told_so() {
    use crate::broker::door::Input;
    use crate::ids::LaneId;
    let (mut trio, _, leads, [slow, _]) = trio();
    trio.rigs[slow].prompt = false;
    let to = delete(&mut trio, leads, &[(0, 3)], 60_000);
    trio.run(100);
    trio.rigs[leads].step(Input::Stored { lane: LaneId(0), result: Err("sync: Input/output error".into()) });
    assert_eq!(told(&mut trio.rigs[leads], to), [(ErrorCode::KAFKA_STORAGE_ERROR, -1)]);
}

#[test]
fn who_comes_back_is_let_in_however_fast_records_are_deleted_meanwhile() {
    let (mut trio, log, leads, [dies, _]) = trio();
    trio.crash(dies);
    trio.run(8_000);
    trio.restart(dies);
    let mut done = 0;
    for _ in 0..800 {
        trio.rigs[leads].produce("t", 1, batch(&["x"]));
        let to = delete(&mut trio, leads, &[(0, -1)], 60_000);
        trio.run(10);
        done += usize::from(trio.rigs[leads].replies.remove(&to).is_some());
    }
    assert_eq!(trio.rigs[leads].broker.image().partition(log).expect("it is there").isr.len(), 3);
    assert!(done > 700, "deletions go on: {done}");
}
