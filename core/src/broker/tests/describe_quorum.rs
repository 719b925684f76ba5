//! DescribeQuorum: the leader of the metadata quorum tells how far its voters are, whichever broker is asked.

use super::Rig;
use super::trio::Trio;
use crate::broker::door::Input;
use crate::ids::{BrokerId, LeaderEpoch, LogId, Offset};
use crate::peer::message::PeerMessage;
use crate::quorum::Voter;
use crate::quorum::messages::{Body, Fetch, Message, Question, Tip};
use crate::wire::messages::describe_cluster::DescribeClusterRequest;
use crate::wire::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumRequestPartition, DescribeQuorumRequestTopic,
    DescribeQuorumResponse, DescribeQuorumResponsePartition, ReplicaState,
};
use crate::wire::{ErrorCode, Response};

fn asked(topic_name: &str, indexes: &[i32]) -> DescribeQuorumRequest {
    let partition = |index: &i32| DescribeQuorumRequestPartition { partition_index: *index };
    let partitions = indexes.iter().map(partition).collect();
    let topic = DescribeQuorumRequestTopic { topic_name: topic_name.into(), partitions };
    DescribeQuorumRequest { topics: vec![topic] }
}

fn answer(response: Response) -> DescribeQuorumResponse {
    let Response::DescribeQuorum(told) = response else { panic!("not an answer to DescribeQuorum") };
    told
}

/// What a broker of three is told, once that much time has passed.
fn told_at(trio: &mut Trio, at: usize, ms: i64) -> DescribeQuorumResponse {
    trio.rigs[at].now.mono = trio.now;
    let to = trio.rigs[at].send(asked("__cluster_metadata", &[0]));
    trio.run(ms);
    answer(trio.rigs[at].answer(to))
}

fn quorum(told: &DescribeQuorumResponse) -> &DescribeQuorumResponsePartition {
    assert_eq!(told.error_code, ErrorCode::NONE, "{:?}", told.error_message);
    let partition = &told.topics[0].partitions[0];
    assert_eq!(partition.error_code, ErrorCode::NONE, "{:?}", partition.error_message);
    partition
}

fn voter(told: &DescribeQuorumResponse, at: usize) -> &ReplicaState {
    quorum(told).current_voters.iter().find(|v| v.replica_id == at as i32 + 1).expect("it has a vote")
}

#[test]
fn a_broker_alone_is_a_quorum_of_one_that_has_everything() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    let end = rig.broker.log(LogId::METADATA).unwrap().end().0;
    let told = answer(rig.ask(asked("__cluster_metadata", &[0])));
    let found = quorum(&told);
    assert_eq!((found.leader_id, found.high_watermark), (1, end));
    assert!(end > 0 && found.observers.is_empty());
    let now = rig.now.wall.0;
    let me = ReplicaState {
        replica_id: 1,
        replica_directory_id: rig.broker.me().directory,
        log_end_offset: end,
        last_fetch_timestamp: now,
        last_caught_up_timestamp: now,
    };
    assert_eq!(found.current_voters, [me]);
    let listeners = told.nodes.iter().map(|n| (n.node_id, n.listeners[0].name.as_str(), n.listeners[0].port));
    assert_eq!(listeners.collect::<Vec<_>>(), [(1, "PLAINTEXT", 9092)]);
}

#[test]
fn only_the_metadata_log_is_kept_by_a_quorum() {
    let mut rig = Rig::new(&[]);
    rig.create("t", 1, &[]);
    for (topic, partition) in [("t", 0), ("__cluster_metadata", 1), ("__cluster_metadata", -1), ("", 0)] {
        let told = answer(rig.ask(asked(topic, &[partition, partition])));
        let [refused] = &told.topics[0].partitions[..] else { panic!("once: {told:?}") };
        assert_eq!((told.error_code, refused.partition_index), (ErrorCode::NONE, partition));
        assert_eq!((refused.error_code, refused.leader_id), (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1));
        assert!(refused.current_voters.is_empty());
    }
    assert_eq!(answer(rig.ask(DescribeQuorumRequest::default())).topics, []);
}

#[test]
fn whichever_broker_is_asked_the_active_controller_answers() {
    let mut trio = Trio::new();
    trio.decide(10);
    trio.run(3_000);
    let leader = trio.leader();
    let log = trio.rigs[leader].broker.log(LogId::METADATA).unwrap();
    let (end, high) = (log.end().0, log.high().0);
    let epoch = trio.rigs[leader].broker.quorum().unwrap().epoch.0;
    for at in 0..3 {
        let told = told_at(&mut trio, at, 0);
        let found = quorum(&told);
        assert_eq!((found.leader_id, found.leader_epoch), (leader as i32 + 1, epoch));
        assert_eq!((found.high_watermark, found.observers.len()), (high, 0));
        let ends =
            found.current_voters.iter().map(|v| (v.replica_id, v.log_end_offset, v.replica_directory_id));
        assert_eq!(ends.collect::<Vec<_>>(), [1, 2, 3].map(|id| (id, end, [id as u8; 16])));
        let hosts = told.nodes.iter().map(|n| (n.node_id, n.listeners[0].host.as_str()));
        assert_eq!(hosts.collect::<Vec<_>>(), [(1, "host-1"), (2, "host-2"), (3, "host-3")]);
        let wall = trio.rigs[leader].now.wall.0;
        let silent = |v: &ReplicaState| wall - v.last_fetch_timestamp.min(v.last_caught_up_timestamp);
        let silent: Vec<i64> = found.current_voters.iter().map(silent).collect();
        assert!(silent.iter().all(|ms| (0..=1_000).contains(ms)), "{silent:?}");
        assert_eq!(silent[leader], 0, "the leader has everything now");
    }
}

#[test]
fn a_voter_that_has_died_stays_where_it_was_and_its_last_fetch_grows_old() {
    let mut trio = Trio::new();
    trio.decide(10);
    trio.run(3_000);
    let (leader, dead) = (trio.leader(), trio.others()[0]);
    let before = told_at(&mut trio, leader, 0);
    trio.crash(dead);
    trio.run(4_000);
    trio.decide(20);
    trio.run(3_000);
    let other = trio.others().into_iter().find(|at| *at != dead).unwrap();
    for asked in [leader, other] {
        let told = told_at(&mut trio, asked, 0);
        let (was, is) = (voter(&before, dead), voter(&told, dead));
        assert_eq!(is.log_end_offset, was.log_end_offset);
        let wall = trio.rigs[leader].now.wall.0;
        for then in [is.last_fetch_timestamp, is.last_caught_up_timestamp] {
            assert!((7_000..9_000).contains(&(wall - then)), "{} ms", wall - then);
        }
        let (end, high) = (voter(&told, other).log_end_offset, quorum(&told).high_watermark);
        assert!(end > is.log_end_offset && high == end, "the others go on: {told:?}");
    }
    trio.crash(leader);
    trio.restart(dead);
    trio.run(8_000);
    let told = told_at(&mut trio, other, 100);
    let never = voter(&told, leader);
    assert_eq!(
        (never.log_end_offset, never.last_fetch_timestamp, never.last_caught_up_timestamp),
        (-1, -1, -1)
    );
    assert_eq!(never.replica_directory_id, [leader as u8 + 1; 16], "but that it has a vote is known");
}

#[test]
fn a_node_that_lost_its_directory_has_no_vote_and_only_reads_along() {
    let mut trio = Trio::new();
    let (leader, lost) = (trio.leader(), trio.others()[0]);
    let (id, end) =
        (BrokerId(lost as i32 + 1), trio.rigs[leader].broker.log(LogId::METADATA).unwrap().end().0);
    trio.crash(lost);
    trio.run(500);
    let by = Voter { id, directory: [77; 16] };
    let tip = Tip { epoch: LeaderEpoch(-1), end: Offset(0) };
    let fetch = Question::Fetch(Fetch { by, tip, flushed: Offset(0) });
    let epoch = trio.rigs[leader].broker.quorum().unwrap().epoch;
    let message = PeerMessage::Quorum(Message { correlation: 1, epoch, body: Body::Question(fetch) });
    trio.rigs[leader].step(Input::Peer { from: id, message });
    let told = told_at(&mut trio, leader, 0);
    let voters = |v: &ReplicaState| (v.replica_id, v.log_end_offset);
    assert_eq!(voters(voter(&told, lost)), (id.0, -1), "{told:?}");
    let observers = quorum(&told).observers.iter().map(|o| (voters(o), o.replica_directory_id));
    assert_eq!(observers.collect::<Vec<_>>(), [((id.0, 0), [77; 16])]);
    assert_eq!(voters(voter(&told, leader)), (leader as i32 + 1, end));
}

#[test]
fn who_knows_of_no_leader_says_so_at_once() {
    // Who led knows that nobody listens; who followed asks for votes, and remembers the leader that it gave up.
    for leads in [true, false] {
        let mut trio = Trio::new();
        let left = if leads { trio.leader() } else { trio.others()[0] };
        (0..3).filter(|at| *at != left).for_each(|at| trio.crash(at));
        trio.run(20_000);
        let told = told_at(&mut trio, left, 0);
        assert_eq!((told.error_code, told.topics.len()), (ErrorCode::NOT_LEADER_OR_FOLLOWER, 0));
        let why = told.error_message.expect("words");
        assert!(why.contains(&format!("broker {} knows of no leader", left + 1)), "{why}");
    }
}

#[test]
fn brokers_that_are_down_are_told_of_when_they_are_asked_for() {
    let mut trio = Trio::new();
    let (leader, dead) = (trio.leader(), trio.others()[0]);
    trio.crash(dead);
    trio.run(20_000);
    for include_fenced_brokers in [false, true] {
        let request =
            DescribeClusterRequest { endpoint_type: 1, include_fenced_brokers, ..Default::default() };
        let Response::DescribeCluster(told) = trio.rigs[leader].ask(request) else { panic!() };
        let mut brokers: Vec<_> = told.brokers.iter().map(|b| (b.broker_id, b.is_fenced)).collect();
        brokers.sort_unstable();
        let expected = (0..3).map(|at| (at as i32 + 1, at == dead));
        assert_eq!(brokers, expected.filter(|(_, down)| !down || include_fenced_brokers).collect::<Vec<_>>());
    }
}
