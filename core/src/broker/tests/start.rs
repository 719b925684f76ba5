//! Starting over what is on disk: the metadata log is replayed, epochs move on, strays go.

use super::{Rig, batch, recovered};
use crate::broker::door::{Input, Note};
use crate::cluster::image::MetadataImage;
use crate::ids::{LeaderEpoch, LogId, Offset, TopicId};
use crate::quorum::Election;
use crate::storage::ops::{RecoveredLog, StoreOp};
use crate::wire::ErrorCode;

/// The same data directory under a new broker.
pub(super) fn restart(rig: Rig) -> Rig {
    let logs = rig.disk.iter().map(|(log, batches)| recovered(*log, batches)).collect();
    let mut next = Rig::over_kept(&[], logs, (Ok(rig.election.clone()), 42));
    (next.disk, next.election) = (rig.disk, rig.election);
    next
}

fn restart_and_wake(rig: Rig) -> Rig {
    let mut next = restart(rig);
    next.wake();
    next
}

#[test]
fn topics_configs_and_records_are_there_again_and_the_leader_epoch_has_moved_on() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 3, &[("retention.ms", "1234")]);
    let to = rig.produce("t", -1, batch(&["a", "b"]));
    assert_eq!(rig.produced(to).base_offset, 0);
    let id = rig.log("t", 0).topic;
    let mut rig = restart(rig);
    rig.wake();
    assert!(rig.broker.status().ready);
    assert_eq!(rig.log("t", 2).topic, id);
    assert_eq!(rig.broker.topic_config(id).retention_ms, Some(1234));
    let to = rig.produce("t", -1, batch(&["c"]));
    assert_eq!(rig.produced(to).base_offset, 2);
    let epochs: Vec<LeaderEpoch> =
        rig.disk[&rig.log("t", 0)].iter().map(|b| b.header().leader_epoch).collect();
    assert_eq!(epochs, [LeaderEpoch(0), LeaderEpoch(1)]);
}

#[test]
fn a_log_without_a_topic_is_removed_and_a_topic_without_a_log_gets_one() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let stray = LogId { topic: TopicId([8; 16]), partition: 0 };
    rig.disk.insert(stray, Vec::new());
    let wanted = rig.log("t", 0);
    assert!(!rig.disk.contains_key(&wanted), "nothing was appended");
    let mut rig = restart(rig);
    rig.prompt = false;
    rig.wake();
    rig.complete(&[]);
    rig.complete(&[]);
    let ops: Vec<&StoreOp> = rig.queued.iter().map(|(_, op)| op).collect();
    assert!(ops.iter().any(|op| matches!(op, StoreOp::Remove { log } if *log == stray)), "{ops:?}");
    assert!(ops.iter().any(|op| matches!(op, StoreOp::Create { log, .. } if *log == wanted)), "{ops:?}");
}

#[test]
fn a_damaged_partition_is_offline_and_named_while_the_others_go_on() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.create("u", 1, &[]);
    for topic in ["t", "u"] {
        rig.produce(topic, 1, batch(&["a"]));
    }
    let broken = rig.log("t", 0);
    let mut logs: Vec<_> = rig.disk.iter().map(|(log, batches)| recovered(*log, batches)).collect();
    logs.iter_mut().filter(|l| l.log == broken).for_each(|l| l.damage = Some("00.log at byte 7".into()));
    let mut next = Rig::over(&[], logs);
    next.disk = std::mem::take(&mut rig.disk);
    next.wake();
    assert!(
        next.notes.iter().any(|n| matches!(n, Note::Warn(w) if w.contains("t-0") && w.contains("at byte 7")))
    );
    let to = next.produce("t", 1, batch(&["b"]));
    assert_eq!(next.produced(to).error_code, ErrorCode::KAFKA_STORAGE_ERROR);
    let to = next.produce("u", 1, batch(&["b"]));
    assert_eq!(next.produced(to).base_offset, 1);
}

#[test]
fn a_log_with_a_leader_epoch_that_its_leader_has_not_come_to_is_offline_and_named() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    rig.produce("t", 1, batch(&["a"]));
    let log = rig.log("t", 0);
    // No checksum covers the epoch of a batch: a flipped bit of it looks like this.
    let flipped = rig.disk.get_mut(&log).and_then(|batches| batches.first_mut()).expect("a batch");
    flipped.stamp(Offset(0), LeaderEpoch(1 << 20));
    let mut rig = restart(rig);
    rig.wake();
    let named = |w: &str| w.contains("t-0 is offline") && w.contains("leader epoch 1048576");
    assert!(rig.notes.iter().any(|n| matches!(n, Note::Warn(w) if named(w))), "{:?}", rig.notes);
    let to = rig.produce("t", 1, batch(&["b"]));
    assert_eq!(rig.produced(to).error_code, ErrorCode::KAFKA_STORAGE_ERROR);
}

#[test]
fn requests_that_come_before_the_start_is_committed_wait_for_it() {
    let mut rig = Rig::over(&[], Vec::new());
    rig.prompt = false;
    rig.wake();
    let to = rig.send(crate::wire::messages::describe_cluster::DescribeClusterRequest {
        endpoint_type: 1,
        ..Default::default()
    });
    rig.complete(&[]);
    assert!(rig.replies.is_empty(), "elected, and the record of the start is on its way");
    rig.complete(&[]);
    assert!(rig.replies.contains_key(&to));
}

#[test]
fn a_controller_writes_nothing_before_its_vote_for_itself_is_on_disk() {
    let mut rig = Rig::over(&[], Vec::new());
    rig.prompt = false;
    rig.wake();
    let appends = |rig: &Rig| rig.queued.iter().any(|(_, op)| matches!(op, StoreOp::Append { .. }));
    let votes = |rig: &Rig| rig.queued.iter().any(|(_, op)| matches!(op, StoreOp::Election { .. }));
    assert!(votes(&rig) && !appends(&rig), "{:?}", rig.queued);
    rig.complete(&[]);
    assert!(appends(&rig), "{:?}", rig.queued);
}

#[test]
fn each_life_leads_the_metadata_log_in_a_later_epoch_whatever_is_left_of_elections() {
    let epochs = |rig: &Rig| {
        let batches = rig.disk[&LogId::METADATA].iter();
        batches.map(|b| b.header().leader_epoch.0).collect::<Vec<_>>()
    };
    let kept = |election| {
        let before = Rig::new(&[]);
        let logs = vec![recovered(LogId::METADATA, &before.disk[&LogId::METADATA])];
        let mut rig = Rig::over_kept(&[], logs, (election, 42));
        rig.disk = before.disk;
        rig.wake();
        rig
    };
    let lost = kept(Err("quorum-state is damaged in both of its places".into()));
    assert!(lost.notes.iter().any(|n| matches!(n, Note::Warn(w) if w.contains("quorum-state is damaged"))));
    assert_eq!(epochs(&lost), [1, 2]);
    let older = Election { epoch: LeaderEpoch(9), ..Election::default() };
    assert_eq!(epochs(&kept(Ok(Some(older.encode().into())))), [1, 10]);
    assert_eq!(epochs(&restart_and_wake(restart_and_wake(Rig::new(&[])))), [1, 2, 3]);
}

#[test]
fn topic_logs_without_a_metadata_log_are_never_touched() {
    let log = LogId { topic: TopicId([8; 16]), partition: 0 };
    let mut rig = Rig::over(&[], vec![recovered(log, &[])]);
    rig.prompt = false;
    rig.wake();
    assert!(rig.queued.is_empty() && rig.broker.status().dead.unwrap().contains("no metadata log"));
}

#[test]
fn a_metadata_log_that_lacks_facts_between_its_snapshot_and_its_start_is_refused_and_no_topic_goes() {
    for snapshot in [None, Some((Offset(1), LeaderEpoch(0), MetadataImage::default().encode().into()))] {
        let mut rig = Rig::new(&[]);
        rig.create("t", 1, &[]);
        rig.produce("t", 1, batch(&["a"]));
        let mut logs: Vec<_> = rig.disk.iter().map(|(log, batches)| recovered(*log, batches)).collect();
        let metadata = logs.iter_mut().find(|l| l.log == LogId::METADATA).expect("the metadata log");
        (metadata.start, metadata.snapshot) = (metadata.end, snapshot);
        let mut next = Rig::over(&[], logs);
        next.prompt = false;
        next.wake();
        let dead = next.broker.status().dead.expect("it does not serve");
        assert!(dead.contains("begins at offset 2") && dead.contains("is missing"), "{dead}");
        assert!(next.queued.is_empty(), "{:?}", next.queued);
    }
}

/// A broker with the topics `t` and `u`, whose disk has kept a snapshot and lost the metadata log from the second batch on.
fn behind_its_snapshot() -> (Rig, (Offset, LeaderEpoch, bytes::Bytes)) {
    let mut rig = Rig::new(&[]);
    ["t", "u"].into_iter().for_each(|topic| rig.create(topic, 1, &[]));
    let (at, epoch) = rig.broker.controller.position();
    let snapshot = (at, epoch, bytes::Bytes::from(rig.broker.controller.image().encode()));
    rig.disk.get_mut(&LogId::METADATA).expect("the metadata log").truncate(1);
    (restart_with(rig, snapshot.clone()), snapshot)
}

fn restart_with(rig: Rig, snapshot: (Offset, LeaderEpoch, bytes::Bytes)) -> Rig {
    let mut logs: Vec<_> = rig.disk.iter().map(|(log, batches)| recovered(*log, batches)).collect();
    let metadata = logs.iter_mut().find(|l| l.log == LogId::METADATA).expect("the metadata log");
    metadata.snapshot = Some(snapshot);
    let mut next = Rig::over_kept(&[], logs, (Ok(rig.election.clone()), 42));
    (next.disk, next.election) = (rig.disk, rig.election);
    next
}

#[test]
fn a_metadata_log_that_ends_before_its_snapshot_begins_anew_behind_it_and_keeps_what_is_decided_then() {
    let (mut rig, snapshot) = behind_its_snapshot();
    rig.wake();
    let named = |w: &str| w.contains("ends at offset 1") && w.contains("begins anew at offset 3");
    assert!(rig.notes.iter().any(|n| matches!(n, Note::Warn(w) if named(w))), "{:?}", rig.notes);
    rig.create("v", 1, &[]);
    let bases: Vec<Offset> = rig.disk[&LogId::METADATA].iter().map(|b| b.header().base_offset).collect();
    assert_eq!(bases, [3, 4].map(Offset), "nothing of the old log is left, and there is no gap");
    let mut next = restart_with(rig, snapshot);
    next.wake();
    assert!(!next.notes.iter().any(|n| matches!(n, Note::Warn(_))), "{:?}", next.notes);
    let topics = ["t", "u", "v"].map(|topic| next.broker.log_of(topic, 0).is_ok());
    assert_eq!(topics, [true; 3]);
}

#[test]
fn nothing_is_appended_to_a_metadata_log_before_it_has_begun_anew_and_it_is_the_first_thing_done() {
    let (mut rig, snapshot) = behind_its_snapshot();
    rig.prompt = false;
    rig.wake();
    let (at, epoch) = (snapshot.0, Some(snapshot.1));
    let StoreOp::Restart { log: LogId::METADATA, at: to, epoch: of } = rig.queued[0].1 else {
        panic!("{:?}", rig.queued)
    };
    assert_eq!((to, of), (at, epoch));
    let log = &rig.broker.partitions[&LogId::METADATA].log;
    assert_eq!((log.start(), log.high(), log.end(), log.flushed()), (at, at, at, Offset(0)));
    rig.complete(&[]);
    assert_eq!(rig.broker.partitions[&LogId::METADATA].log.flushed(), at);
}

#[test]
fn a_voter_whose_log_begins_anew_counts_as_far_as_its_snapshot_goes() {
    let (alone, snapshot) = behind_its_snapshot();
    let batches = &alone.disk[&LogId::METADATA];
    let metadata = RecoveredLog { snapshot: Some(snapshot.clone()), ..recovered(LogId::METADATA, batches) };
    let voters = [("node.id", "1"), ("quipu.voters", "1@a:1,2@b:1,3@c:1")];
    let mut rig = Rig::over_kept(&voters, vec![metadata], (Ok(alone.election.clone()), 42));
    rig.wake();
    let log = &rig.broker.partitions[&LogId::METADATA].log;
    let newest = log.epochs().last().map(|last| (last.epoch, last.start));
    assert_eq!((newest, log.end()), (Some((snapshot.1, snapshot.0)), snapshot.0));
}

#[test]
fn a_stop_while_it_is_elected_stops_and_nothing_is_led_any_more() {
    let mut rig = Rig::over(&[], Vec::new());
    rig.prompt = false;
    rig.wake();
    rig.step(Input::Stop);
    rig.complete(&[]);
    rig.complete(&[]);
    assert!(!rig.disk.contains_key(&LogId::METADATA), "{:?}", rig.disk);
    assert!(rig.queued.is_empty() && rig.broker.next_wake().is_none());
}

#[test]
fn a_stop_while_the_metadata_log_is_read_stops_and_nothing_starts_any_more() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let mut rig = restart(rig);
    rig.hold_loads = true;
    rig.wake();
    assert!(!rig.broker.status().ready);
    rig.step(Input::Stop);
    rig.release_loads();
    assert!(!rig.broker.status().ready && rig.broker.status().dead.is_none());
}
