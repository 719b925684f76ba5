//! Brokers that trim their metadata logs: who has fallen behind goes on from the leader's snapshot, with all that follows from it.

use super::Rig;
use super::batch;
use super::replicas::create;
use super::trio::Trio;
use crate::broker::door::Note;
use crate::ids::{LogId, Offset};
use crate::storage::ops::StoreOp;
use crate::wire::error::ErrorCode;
use crate::wire::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};

fn metadata(rig: &Rig) -> (Offset, Offset) {
    let log = rig.broker.log(LogId::METADATA).expect("the metadata log");
    (log.start(), log.end())
}

/// Everybody but one decides more, and trims all of it that lies behind two snapshots.
fn trim_without(trio: &mut Trio, away: usize) {
    for next in [100, 200, 300] {
        trio.decide(next);
        trio.run(1_000);
        (0..3).filter(|at| *at != away).for_each(|at| trio.keep_snapshot(at));
        trio.run(100);
    }
    let leader = trio.leader();
    assert!(metadata(&trio.rigs[leader]).0 > Offset(0));
    assert!(metadata(&trio.rigs[away]).1 < metadata(&trio.rigs[leader]).0, "nothing follows on what it has");
}

fn same_images(trio: &Trio) {
    let images: Vec<_> = trio.rigs.iter().map(|rig| rig.broker.image().encode()).collect();
    assert!(images[0] == images[1] && images[0] == images[2], "{:?}", trio.known());
}

fn delete(trio: &mut Trio, at: usize, name: &str) {
    let topic = DeleteTopicState { name: Some(name.into()), ..Default::default() };
    trio.rigs[at].send(DeleteTopicsRequest { topics: vec![topic], ..Default::default() });
    trio.run(1_000);
}

fn told(rig: &Rig, words: &str) -> bool {
    rig.notes.iter().any(|note| matches!(note, Note::Info(w) | Note::Warn(w) if w.contains(words)))
}

#[test]
fn a_log_is_trimmed_behind_the_snapshot_before_the_newest_once_that_is_on_disk() {
    let mut trio = Trio::new();
    let leader = trio.leader();
    trio.keep_snapshot(leader);
    let first = trio.rigs[leader].snapshot.clone().expect("it is on disk").0;
    assert_eq!(metadata(&trio.rigs[leader]).0, Offset(0), "who lags a little needs no snapshot");
    trio.decide(10);
    trio.run(1_000);
    trio.rigs[leader].prompt = false;
    trio.keep_snapshot(leader);
    assert_eq!(metadata(&trio.rigs[leader]).0, Offset(0), "it is not on disk yet");
    trio.rigs[leader].complete(&[]);
    assert_eq!(metadata(&trio.rigs[leader]).0, first);
}

#[test]
fn a_snapshot_without_room_trims_nothing_and_the_broker_goes_on() {
    let mut trio = Trio::new();
    let leader = trio.leader();
    trio.keep_snapshot(leader);
    trio.decide(10);
    trio.run(1_000);
    trio.rigs[leader].prompt = false;
    trio.keep_snapshot(leader);
    trio.rigs[leader].complete(&[LogId::METADATA]);
    trio.rigs[leader].prompt = true;
    trio.rigs[leader].complete(&[]);
    trio.run(8_000);
    assert_eq!(metadata(&trio.rigs[leader]).0, Offset(0));
    trio.decide(20);
    trio.run(3_000);
    assert_eq!(trio.known(), [20, 20, 20]);
    trio.keep_snapshot(leader);
    assert!(metadata(&trio.rigs[leader]).0 > Offset(0), "the next one finds room");
}

#[test]
fn who_was_down_while_the_others_trimmed_their_logs_goes_on_from_the_leaders_snapshot_also_after_another_start()
 {
    let mut trio = Trio::new();
    let away = trio.others()[0];
    trio.crash(away);
    trim_without(&mut trio, away);
    trio.restart(away);
    trio.run(8_000);
    assert!(told(&trio.rigs[away], "behind the leader's snapshot"));
    assert!(trio.rigs[away].broker.is_ready());
    same_images(&trio);
    trio.crash(away);
    trio.restart(away);
    trio.run(8_000);
    same_images(&trio);
    assert!(trio.rigs[away].broker.is_ready() && !told(&trio.rigs[away], "does not go on from its snapshot"));
    let leader = trio.leader();
    assert_eq!(metadata(&trio.rigs[away]).1, metadata(&trio.rigs[leader]).1);
}

#[test]
fn who_comes_back_with_an_empty_disk_learns_from_the_snapshot_which_cluster_it_belongs_to() {
    let mut trio = Trio::new();
    let away = trio.others()[0];
    trio.crash(away);
    trim_without(&mut trio, away);
    trio.restart_over(away, None);
    trio.run(8_000);
    let clusters: Vec<_> = trio.rigs.iter().map(|rig| rig.cluster.clone()).collect();
    assert!(
        clusters[0].is_some() && clusters[0] == clusters[1] && clusters[0] == clusters[2],
        "{clusters:?}"
    );
    assert!(trio.rigs[away].broker.is_ready());
    same_images(&trio);
}

#[test]
fn partitions_that_were_removed_added_and_led_anew_meanwhile_are_so_on_who_takes_a_snapshot_while_it_runs() {
    let mut trio = Trio::new();
    create(&mut trio, 0, "stays", 3);
    create(&mut trio, 0, "goes", 2);
    let (away, leader) = (trio.others()[0], trio.leader());
    let (stays, goes) = (trio.rigs[leader].log("stays", 0), trio.rigs[leader].log("goes", 0));
    trio.cut_off.insert(away);
    trio.run(25_000);
    delete(&mut trio, leader, "goes");
    create_on(&mut trio, leader, "comes");
    trim_without(&mut trio, away);
    assert!(trio.rigs[away].broker.log(goes).is_some());
    trio.cut_off.clear();
    trio.run(10_000);
    assert!(told(&trio.rigs[away], "behind the leader's snapshot"), "{:?}", trio.rigs[away].notes);
    same_images(&trio);
    assert!(trio.rigs[away].broker.log(goes).is_none() && !trio.rigs[away].disk.contains_key(&goes));
    let comes = trio.rigs[leader].log("comes", 0);
    assert!(trio.rigs[leader].broker.log(comes).is_some());
    for partition in 0..3 {
        let log = LogId { partition, ..stays };
        let leads: Vec<bool> = trio.rigs.iter().map(|rig| rig.broker.leads(log)).collect();
        let state = trio.rigs[leader].broker.image().partition(log).expect("it is there").clone();
        let by_image: Vec<bool> =
            (0..3).map(|at| state.leader.is_some_and(|id| id.0 as usize == at + 1)).collect();
        assert_eq!(leads, by_image, "{log:?}");
    }
    let led = (0..3).find(|at| trio.rigs[*at].broker.leads(stays)).expect("somebody leads it");
    let to = trio.rigs[led].produce("stays", -1, batch(&["a"]));
    trio.run(1_000);
    assert_eq!(trio.rigs[led].produced(to).error_code, ErrorCode::NONE);
    let ends: Vec<_> = trio.rigs.iter().map(|rig| rig.broker.log(stays).map(|l| l.end())).collect();
    assert_eq!(ends, [Some(Offset(1)); 3]);
}

fn create_on(trio: &mut Trio, at: usize, name: &str) {
    let topic = crate::wire::messages::create_topics::CreatableTopic {
        name: name.into(),
        num_partitions: 1,
        replication_factor: 2,
        ..Default::default()
    };
    let request = crate::wire::messages::create_topics::CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    trio.rigs[at].send(request);
    trio.run(1_000);
}

#[test]
fn the_log_begins_anew_only_once_the_snapshot_is_on_disk_and_counts_only_once_it_has_begun() {
    let mut trio = Trio::new();
    let away = trio.others()[0];
    trio.crash(away);
    trim_without(&mut trio, away);
    trio.restart(away);
    trio.rigs[away].prompt = false;
    trio.rigs[away].complete(&[]);
    let is_snapshot = |op: &StoreOp| matches!(op, StoreOp::Snapshot { .. });
    let restarts = |rig: &Rig| rig.queued.iter().any(|(_, op)| matches!(op, StoreOp::Restart { .. }));
    for _ in 0..400 {
        trio.run(20);
        let rig = &mut trio.rigs[away];
        if rig.queued.iter().any(|(_, op)| is_snapshot(op)) {
            break;
        }
        rig.complete(&[]);
    }
    let rig = &mut trio.rigs[away];
    assert!(rig.queued.iter().any(|(_, op)| is_snapshot(op)) && !restarts(rig), "{:?}", rig.queued);
    let before = metadata(rig).1;
    rig.complete(&[]);
    assert!(restarts(rig), "{:?}", rig.queued);
    let log = rig.broker.log(LogId::METADATA).expect("the metadata log");
    assert!(log.start() > before && log.flushed() == Offset(0));
    rig.complete(&[]);
    let log = rig.broker.log(LogId::METADATA).expect("the metadata log");
    assert!(log.flushed() >= log.start());
}

#[test]
fn a_start_that_finds_a_snapshot_of_another_history_than_its_longer_log_begins_behind_the_snapshot() {
    let mut trio = Trio::new();
    let first = trio.leader();
    // It writes what nobody hears of: its log goes further than the snapshot of the others, which it has when it stops again.
    trio.cut_off.insert(first);
    (0..40).for_each(|n| trio.decide(1_000 + n));
    trio.crash(first);
    trio.cut_off.clear();
    trio.run(8_000);
    trio.decide(10);
    trio.run(1_000);
    let second = trio.leader();
    trio.keep_snapshot(second);
    let snapshot = trio.rigs[second].snapshot.clone();
    let at = snapshot.as_ref().expect("it is on disk").0;
    assert!(metadata(&trio.rigs[first]).1 > at);
    trio.rigs[first].snapshot = snapshot;
    trio.restart(first);
    assert!(told(&trio.rigs[first], "does not go on from its snapshot"));
    assert_eq!(metadata(&trio.rigs[first]), (at, at));
    trio.run(8_000);
    assert_eq!(trio.known()[first], 10);
    same_images(&trio);
}
