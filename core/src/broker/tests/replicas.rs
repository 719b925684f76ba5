//! Three brokers that keep the same records: what is acknowledged is on the disks of all in sync, and survives who leads.

use std::collections::BTreeSet;

use super::trio::Trio;
use super::{Rig, batch};
use crate::broker::door::Input;
use crate::cluster::facts::Fact;
use crate::ids::{BrokerId, LaneId, LogId, Offset};
use crate::peer::message::PeerMessage;
use crate::storage::ops::StoreOp;
use crate::wire::Response;
use crate::wire::error::ErrorCode;
use crate::wire::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use crate::wire::messages::find_coordinator::FindCoordinatorRequest;
use crate::wire::messages::init_producer_id::InitProducerIdRequest;
use crate::wire::messages::metadata::MetadataRequest;
use crate::wire::messages::offset_commit as commit;
use crate::wire::messages::offset_fetch as fetch;
use crate::wire::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

pub(super) fn create(trio: &mut Trio, at: usize, name: &str, partitions: i32) {
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: 3,
        ..Default::default()
    };
    let to = trio.rigs[at].send(CreateTopicsRequest { topics: vec![topic], ..Default::default() });
    trio.run(1_000);
    let Response::CreateTopics(made) = trio.rigs[at].answer(to) else {
        panic!("not an answer to CreateTopics")
    };
    assert_eq!(made.topics[0].error_code, ErrorCode::NONE, "{:?}", made.topics[0].error_message);
}

pub(super) fn leader_of(trio: &Trio, at: usize, log: LogId) -> Option<usize> {
    let state = trio.rigs[at].broker.image().partition(log).expect("there is such a partition");
    state.leader.map(|BrokerId(id)| id as usize - 1)
}

pub(super) fn ends(trio: &Trio, log: LogId) -> Vec<(Offset, Offset)> {
    let of = |rig: &Rig| rig.broker.log(log).map_or((Offset(-1), Offset(-1)), |l| (l.high(), l.end()));
    trio.rigs.iter().map(of).collect()
}

#[test]
fn brokers_register_and_are_ready() {
    let trio = Trio::new();
    for rig in &trio.rigs {
        assert!(rig.broker.is_ready(), "{:?}", rig.notes);
        assert_eq!(rig.broker.image().brokers().len(), 3);
        assert!(rig.broker.image().brokers().values().all(|r| r.is_active()));
    }
}

#[test]
fn what_is_acknowledged_is_on_three_disks_and_is_there_after_its_leader_died() {
    let mut trio = Trio::new();
    create(&mut trio, 0, "t", 3);
    let log = trio.rigs[0].log("t", 0);
    let leader = leader_of(&trio, 1, log).expect("somebody leads it");
    let to = trio.rigs[leader].produce("t", -1, batch(&["a", "b"]));
    trio.run(100);
    let produced = trio.rigs[leader].produced(to);
    assert_eq!((produced.error_code, produced.base_offset), (ErrorCode::NONE, 0));
    trio.run(600);
    assert_eq!(ends(&trio, log), [(Offset(2), Offset(2)); 3]);
    trio.crash(leader);
    trio.run(8_000);
    let next = (leader + 1) % 3;
    let second = leader_of(&trio, next, log).expect("somebody leads it again");
    assert_ne!(second, leader);
    let to = trio.rigs[second].produce("t", -1, batch(&["c"]));
    trio.run(600);
    let produced = trio.rigs[second].produced(to);
    assert_eq!((produced.error_code, produced.base_offset), (ErrorCode::NONE, 2), "{produced:?}");
    trio.restart(leader);
    trio.run(8_000);
    assert_eq!(ends(&trio, log), [(Offset(3), Offset(3)); 3]);
    let state = trio.rigs[leader].broker.image().partition(log).unwrap();
    assert_eq!(state.isr.len(), 3, "who came back is in sync again");
}

#[test]
fn after_all_were_down_no_client_is_told_of_a_cluster_without_brokers_or_topics() {
    let mut trio = Trio::new();
    create(&mut trio, 0, "t", 1);
    (0..3).for_each(|at| trio.crash(at));
    (0..3).for_each(|at| trio.restart(at));
    // Asked as soon as they listen; some clients forget every broker that an answer does not name, for ever.
    let asked: Vec<_> = trio
        .rigs
        .iter_mut()
        .map(|rig| rig.send(MetadataRequest { topics: None, ..Default::default() }))
        .collect();
    trio.run(8_000);
    for (rig, to) in trio.rigs.iter_mut().zip(asked) {
        let Response::Metadata(told) = rig.answer(to) else { panic!("not an answer to Metadata") };
        let me = rig.broker.me.0;
        assert!(
            told.brokers.iter().any(|broker| broker.node_id == me),
            "{me} is told of: {:?}",
            told.brokers
        );
        assert!(told.topics.iter().any(|topic| topic.name.as_deref() == Some("t")));
    }
}

#[test]
fn who_knows_of_nobody_that_takes_part_tells_of_all_that_are_registered() {
    let mut trio = Trio::new();
    let rig = &mut trio.rigs[0];
    let runs = rig.broker.image().brokers().iter().map(|(id, r)| (*id, r.incarnation));
    for (broker, incarnation) in runs.collect::<Vec<_>>() {
        let (next, epoch) = rig.broker.controller.position();
        rig.broker.controller.replay(&Fact::BrokerFenced { broker, incarnation }, next, epoch);
    }
    let Response::Metadata(told) = rig.ask(MetadataRequest::default()) else { panic!("not an answer") };
    assert_eq!(told.brokers.iter().map(|broker| broker.node_id).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_broker_whose_disk_dies_while_it_hands_over_has_stopped_and_stays_so() {
    for asked_first in [true, false] {
        let mut trio = Trio::new();
        let rig = &mut trio.rigs[0];
        if asked_first {
            rig.step(Input::Stop);
            assert!(!rig.stopped, "it waits for others to take over");
        }
        rig.step(Input::Stored { lane: LaneId(0), result: Err("sync: Input/output error".into()) });
        assert_eq!(rig.stopped, asked_first);
        if !asked_first {
            rig.step(Input::Stop);
        }
        assert!(rig.stopped);
        rig.pass_ms(20_000);
    }
}

#[test]
fn a_leader_tells_where_an_epoch_ends_by_its_log_and_not_by_what_it_knows_to_be_committed() {
    let mut trio = Trio::new();
    create(&mut trio, 0, "t", 1);
    let log = trio.rigs[0].log("t", 0);
    let first = leader_of(&trio, 0, log).unwrap();
    // A leader that has just come back may know nothing of what was committed: consumers must not take their records for gone.
    trio.cut_off.insert(first);
    trio.rigs[first].produce("t", 1, batch(&["a", "b"]));
    assert_eq!(trio.rigs[first].broker.log(log).unwrap().high(), Offset(0));
    let epoch = trio.rigs[first].broker.image().partition(log).unwrap().leader_epoch.0;
    let partition = OffsetForLeaderPartition { partition: 0, current_leader_epoch: -1, leader_epoch: epoch };
    let topics = vec![OffsetForLeaderTopic { topic: "t".into(), partitions: vec![partition] }];
    let asked = OffsetForLeaderEpochRequest { topics, ..Default::default() };
    let Response::OffsetForLeaderEpoch(told) = trio.rigs[first].ask(asked) else { panic!("not an answer") };
    assert_eq!(told.topics[0].partitions[0].end_offset, 2);
}

#[test]
fn who_is_not_there_any_more_is_replaced_before_its_silence_is_too_long() {
    let mut trio = Trio::new();
    create(&mut trio, 0, "t", 3);
    let gone = trio.leader();
    let led: Vec<LogId> = (0..3).map(|index| trio.rigs[0].log("t", index)).collect();
    let before: Vec<_> = led.iter().map(|log| leader_of(&trio, 0, *log)).collect();
    assert!(before.contains(&Some(gone)), "the active controller leads partitions too");
    trio.crash(gone);
    for other in [(gone + 1) % 3, (gone + 2) % 3] {
        trio.rigs[other].now.mono = trio.now;
        trio.rigs[other].step(Input::Absent { broker: BrokerId(gone as i32 + 1) });
    }
    trio.run(300);
    let other = (gone + 1) % 3;
    assert!(led.iter().all(|log| leader_of(&trio, other, *log).is_some_and(|leader| leader != gone)));
    // It comes back, and is taken for what it is.
    trio.restart(gone);
    trio.run(8_000);
    let state = trio.rigs[other].broker.image().partition(led[0]).unwrap();
    assert_eq!(state.isr.len(), 3, "it is in sync again");
}

#[test]
fn a_controller_that_hangs_is_not_given_another_session_by_the_next() {
    let mut trio = Trio::new();
    create(&mut trio, 0, "t", 3);
    let hangs = trio.leader();
    let led: Vec<LogId> = (0..3).map(|index| trio.rigs[0].log("t", index)).collect();
    let mine = *led.iter().find(|log| leader_of(&trio, 0, **log) == Some(hangs)).expect("it leads one");
    trio.cut_off.insert(hangs);
    let other = (hangs + 1) % 3;
    let since = trio.now;
    while leader_of(&trio, other, mine) == Some(hangs) {
        trio.run(10);
        assert!(trio.now < since.after_ms(20_000), "nobody takes over");
    }
    // The fetch time-out of the quorum, an election, and no session time-out on top of these.
    let took = trio.now.since(since).as_millis();
    let config = &trio.rigs[other].broker.config;
    let quorum = u128::from(config.quorum.fetch_timeout_ms + config.quorum.election_timeout_ms);
    assert!(took < quorum + config.cluster.session_ms as u128 / 2, "{took} ms");
}

#[test]
fn any_broker_takes_what_the_active_controller_decides_and_tells_of_all_brokers() {
    let mut trio = Trio::new();
    (0..3).for_each(|at| create(&mut trio, at, &format!("made-at-{at}"), 2));
    trio.run(1_000);
    for rig in &mut trio.rigs {
        let Response::Metadata(told) = rig.ask(MetadataRequest { topics: None, ..Default::default() }) else {
            panic!("not an answer to Metadata")
        };
        assert_eq!(told.topics.len(), 3);
        assert_eq!(told.brokers.iter().map(|b| b.node_id).collect::<Vec<_>>(), [1, 2, 3]);
        let all = told.topics.iter().flat_map(|t| &t.partitions);
        assert!(all.clone().all(|p| p.isr_nodes.len() == 3 && p.leader_id > 0), "{told:?}");
    }
}

#[test]
fn a_request_that_the_active_controller_cannot_read_is_given_up_at_once_and_said_so() {
    let mut trio = Trio::new();
    let other = trio.others()[0];
    trio.rigs[other].send(CreateTopicsRequest::default());
    let garbled = trio.rigs[other].sent.iter_mut().find_map(|(_, message)| match message {
        PeerMessage::Forward { frame, .. } => Some(frame),
        _ => None,
    });
    garbled.expect("it is forwarded").truncate(5);
    trio.run(100);
    let closed = &trio.rigs[other].closed;
    assert!(closed[0].contains("CreateTopics") && closed[0].contains("cannot be read"), "{closed:?}");
}

#[test]
fn a_leader_that_is_cut_off_acknowledges_nothing_and_what_it_wrote_alone_is_gone_after() {
    let mut trio = Trio::new();
    create(&mut trio, 0, "t", 1);
    let log = trio.rigs[0].log("t", 0);
    let first = leader_of(&trio, 0, log).unwrap();
    trio.cut_off.insert(first);
    let to = trio.rigs[first].produce("t", -1, batch(&["lost"]));
    let one = trio.rigs[first].produce("t", 1, batch(&["lost too, as acks=1 may be"]));
    assert_eq!(
        trio.rigs[first].produced(one).error_code,
        ErrorCode::NONE,
        "its own disk is all that it takes"
    );
    trio.run(8_000);
    // Its time is up: nobody says that it is committed.
    assert_eq!(trio.rigs[first].produced(to).error_code, ErrorCode::REQUEST_TIMED_OUT);
    let next = leader_of(&trio, (first + 1) % 3, log).expect("another leads");
    let to = trio.rigs[next].produce("t", -1, batch(&["kept"]));
    trio.run(200);
    assert_eq!(trio.rigs[next].produced(to).base_offset, 0);
    trio.cut_off.clear();
    trio.run(8_000);
    assert_eq!(ends(&trio, log), [(Offset(1), Offset(1)); 3]);
    let to = trio.rigs[first].produce("t", -1, batch(&["x"]));
    let refused = trio.rigs[first].produced(to).error_code;
    assert!(refused == ErrorCode::NOT_LEADER_OR_FOLLOWER, "{refused}");
}

pub(super) fn coordinator(trio: &mut Trio, at: usize) -> Option<usize> {
    let request = FindCoordinatorRequest { coordinator_keys: vec!["g".into()], ..Default::default() };
    let to = trio.rigs[at].send(request);
    trio.run(1_000);
    let Response::FindCoordinator(told) = trio.rigs[at].answer(to) else { panic!("not an answer") };
    let found = &told.coordinators[0];
    (found.error_code == ErrorCode::NONE).then_some(found.node_id as usize - 1)
}

pub(super) fn commit(rig: &mut Rig, offset: i64) -> crate::broker::door::Caller {
    let partition = commit::OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
    rig.send(commit::OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: -1,
        topics: vec![commit::OffsetCommitRequestTopic { name: "t".into(), partitions: vec![partition] }],
        ..Default::default()
    })
}

pub(super) fn committed(rig: &mut Rig) -> (ErrorCode, i64) {
    let topic = fetch::OffsetFetchRequestTopics { name: "t".into(), partition_indexes: vec![0] };
    let group = fetch::OffsetFetchRequestGroup {
        group_id: "g".into(),
        topics: Some(vec![topic]),
        ..Default::default()
    };
    let Response::OffsetFetch(told) =
        rig.ask(fetch::OffsetFetchRequest { groups: vec![group], ..Default::default() })
    else {
        panic!("not an answer to OffsetFetch")
    };
    let group = &told.groups[0];
    let offset = group.topics.first().map_or(-1, |t| t.partitions[0].committed_offset);
    (group.error_code, offset)
}

#[test]
fn groups_follow_the_leader_of_their_partition_with_what_they_have_committed() {
    let mut trio = Trio::new();
    create(&mut trio, 0, "t", 1);
    let found = coordinator(&mut trio, 1).or_else(|| coordinator(&mut trio, 1));
    let first = found.expect("the topic of groups is made on first use");
    let to = commit(&mut trio.rigs[first], 7);
    trio.run(500);
    let Response::OffsetCommit(told) = trio.rigs[first].answer(to) else { panic!("not an answer") };
    assert_eq!(told.topics[0].partitions[0].error_code, ErrorCode::NONE);
    let other = (first + 1) % 3;
    assert_eq!(committed(&mut trio.rigs[other]).0, ErrorCode::NOT_COORDINATOR);
    trio.crash(first);
    trio.run(8_000);
    let second = coordinator(&mut trio, other).expect("another coordinates it");
    assert_ne!(second, first);
    assert_eq!(committed(&mut trio.rigs[second]), (ErrorCode::NONE, 7));
}

#[test]
fn no_two_brokers_give_out_the_same_producer_id() {
    let mut trio = Trio::new();
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let asked: Vec<_> = trio
            .rigs
            .iter_mut()
            .map(|rig| {
                rig.send(InitProducerIdRequest {
                    transactional_id: None,
                    producer_id: -1,
                    producer_epoch: -1,
                    ..Default::default()
                })
            })
            .collect();
        trio.run(1_000);
        for (rig, to) in trio.rigs.iter_mut().zip(asked) {
            let Response::InitProducerId(told) = rig.answer(to) else { panic!("not an answer") };
            assert!(told.producer_id >= 0 && seen.insert(told.producer_id), "{told:?} after {seen:?}");
        }
    }
}

#[test]
fn a_broker_that_stops_in_order_hands_over_first() {
    let mut trio = Trio::new();
    create(&mut trio, 0, "t", 3);
    let log = trio.rigs[0].log("t", 0);
    let first = leader_of(&trio, 0, log).unwrap();
    trio.rigs[first].now.mono = trio.now;
    trio.rigs[first].step(Input::Stop);
    let before = trio.now;
    trio.run(1_000);
    let other = (first + 1) % 3;
    let second = leader_of(&trio, other, log).expect("another leads");
    assert_ne!(second, first);
    assert!(!trio.rigs[first].broker.is_ready(), "it has stopped");
    assert!(trio.now.since(before).as_millis() <= 1_000);
    let to = trio.rigs[second].produce("t", -1, batch(&["a"]));
    trio.run(300);
    assert_eq!(trio.rigs[second].produced(to).error_code, ErrorCode::NONE);
}

#[test]
fn who_waits_for_the_disk_of_a_leader_that_hands_over_is_told_where_its_record_may_be() {
    let mut trio = Trio::new();
    create(&mut trio, 0, "t", 1);
    let log = trio.rigs[0].log("t", 0);
    let first = leader_of(&trio, 0, log).unwrap();
    trio.rigs[first].now.mono = trio.now;
    trio.rigs[first].step(Input::Stop);
    // It has the hand-over on disk and the others have not: when it is committed a record is on its way to the disk.
    let others = [(first + 1) % 3, (first + 2) % 3];
    others.iter().for_each(|at| trio.rigs[*at].prompt = false);
    trio.run(1);
    trio.rigs[first].prompt = false;
    let to = trio.rigs[first].produce("t", 1, batch(&["on its way"]));
    for at in others {
        trio.rigs[at].prompt = true;
        trio.rigs[at].complete(&[]);
    }
    trio.run(1_000);
    let told = trio.rigs[first].produced(to);
    assert_eq!(
        (told.error_code, told.base_offset),
        (ErrorCode::NOT_LEADER_OR_FOLLOWER, 0),
        "it was appended there"
    );
    // Behind its last checkpoint nothing is written, whatever the others still answer.
    let second = leader_of(&trio, others[0], log).expect("another leads");
    trio.rigs[second].produce("t", 1, batch(&["goes to all that have asked"]));
    trio.run(3_000);
    let last = trio.rigs[first].queued.last().map(|(_, op)| op);
    assert!(matches!(last, Some(StoreOp::Checkpoint { clean: true })), "{last:?}");
}

#[test]
fn a_commit_that_is_on_one_slow_disk_when_its_coordinator_dies_is_there_after_or_is_not_and_no_other_is() {
    let mut trio = Trio::new();
    create(&mut trio, 0, "t", 1);
    let found = coordinator(&mut trio, 1).or_else(|| coordinator(&mut trio, 1));
    let first = found.expect("the topic of groups is made on first use");
    // The others have what is committed next, and not on disk: nothing is acknowledged, and one of them is to lead.
    let others: Vec<usize> = (0..3).filter(|at| *at != first).collect();
    let to = commit(&mut trio.rigs[first], 7);
    for at in &others {
        trio.rigs[*at].prompt = false;
    }
    trio.run(100);
    drop(trio.rigs[first].replies.remove(&to));
    let to = commit(&mut trio.rigs[first], 9);
    trio.run(100);
    assert!(!trio.rigs[first].replies.contains_key(&to), "it is on one disk alone");
    trio.crash(first);
    for _ in 0..40 {
        // Their disks are slow: of the metadata they have all by the end of each turn, and the group's log is in it.
        trio.run(250);
        others.iter().for_each(|at| trio.rigs[*at].complete(&[]));
    }
    others.iter().for_each(|at| trio.rigs[*at].prompt = true);
    trio.run(4_000);
    let second = coordinator(&mut trio, others[0]).expect("another coordinates it");
    let (code, offset) = committed(&mut trio.rigs[second]);
    assert_eq!(code, ErrorCode::NONE);
    assert!(offset == 7 || offset == 9, "{offset}");
}

#[test]
fn a_follower_whose_disk_was_full_asks_again_for_what_found_no_room() {
    let mut trio = Trio::new();
    create(&mut trio, 0, "t", 1);
    let log = trio.rigs[0].log("t", 0);
    let leader = leader_of(&trio, 0, log).expect("somebody leads it");
    let full = (leader + 1) % 3;
    trio.rigs[full].prompt = false;
    let to = trio.rigs[leader].produce("t", 1, batch(&["a", "b"]));
    trio.run(100);
    assert_eq!(trio.rigs[leader].produced(to).error_code, ErrorCode::NONE);
    trio.rigs[full].complete(&[log]);
    trio.rigs[full].prompt = true;
    trio.rigs[full].complete(&[]);
    assert_eq!(trio.rigs[full].broker.log(log).unwrap().end(), Offset(0), "it is cut back");
    // Nothing is written any more that would have the leader say something.
    trio.run(3_000);
    assert_eq!(ends(&trio, log), [(Offset(2), Offset(2)); 3]);
}
