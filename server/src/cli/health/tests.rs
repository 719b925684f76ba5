//! Clusters in all states of health, as they describe themselves.

use quipu_core::wire::ErrorCode;
use quipu_core::wire::messages::describe_quorum::DescribeQuorumResponsePartition;
use quipu_core::wire::messages::metadata::MetadataResponseBroker;

use super::super::cluster_view::NoQuorum;
use super::*;

/// The leader's clock.
const NOW: i64 = 1_700_000_100_000;

fn voter(id: i32, end: i64, fetched_ms_ago: i64, level_ms_ago: i64) -> ReplicaState {
    ReplicaState {
        replica_id: id,
        log_end_offset: end,
        last_fetch_timestamp: NOW - fetched_ms_ago,
        last_caught_up_timestamp: NOW - level_ms_ago,
        ..Default::default()
    }
}

fn quorum(others: Vec<ReplicaState>) -> QuorumView {
    let current_voters = [vec![voter(1, 100, 0, 0)], others].concat();
    let state = DescribeQuorumResponsePartition {
        leader_id: 1,
        leader_epoch: 4,
        high_watermark: 100,
        current_voters,
        ..Default::default()
    };
    QuorumView { state, listeners: BTreeMap::new() }
}

fn broker(id: i32, fenced: bool) -> BrokerView {
    BrokerView { id, host: format!("host-{id}"), port: 9092, rack: None, fenced }
}

fn view(quorum: Result<QuorumView, NoQuorum>, fenced: &[i32]) -> ClusterView {
    let brokers = (1..=3).map(|id| broker(id, fenced.contains(&id))).collect();
    ClusterView { cluster_id: Some("c".into()), active_controller: Some(1), brokers, quorum }
}

fn well() -> ClusterView {
    view(Ok(quorum(vec![voter(2, 100, 300, 300), voter(3, 99, 200, 700)])), &[])
}

fn partition(leader_id: i32, replicas: &[i32], isr: &[i32]) -> MetadataResponsePartition {
    MetadataResponsePartition {
        leader_id,
        replica_nodes: replicas.to_vec(),
        isr_nodes: isr.to_vec(),
        ..Default::default()
    }
}

/// A topic `t` of one partition, with that `min.insync.replicas`, in a cluster of three.
fn found(view: &ClusterView, of: MetadataResponsePartition, min_insync: i32) -> Health {
    let topic = MetadataResponseTopic { name: Some("t".into()), partitions: vec![of], ..Default::default() };
    let broker = |id| MetadataResponseBroker { node_id: id, ..Default::default() };
    let brokers = view.brokers.iter().filter(|b| !b.fenced).map(|b| broker(b.id)).collect();
    let metadata = MetadataResponse { topics: vec![topic], brokers, ..Default::default() };
    Health::of(view, &metadata, &Required::from([("t".to_string(), min_insync)]))
}

fn kinds(health: &Health) -> Vec<(&'static str, bool, Vec<i32>)> {
    health.findings.iter().map(|f| (f.kind, f.bad, f.nodes.clone())).collect()
}

#[test]
fn a_cluster_without_faults_is_healthy() {
    let health = found(&well(), partition(1, &[1, 2, 3], &[1, 2, 3]), 2);
    assert_eq!(kinds(&health), []);
    assert!(health.is_well());
    assert_eq!(health.verdict, "healthy: 3 brokers, 1 partitions");
}

#[test]
fn each_partition_is_told_with_the_worst_that_is_wrong_and_with_who_is_missing() {
    let cases = [
        (partition(-1, &[1, 2, 3], &[2]), 2, "no_leader", vec![1, 3]),
        (partition(-1, &[1, 2, 3], &[]), 2, "no_leader", vec![1, 2, 3]),
        (partition(1, &[1, 2, 3], &[1]), 2, "under_min_isr", vec![2, 3]),
        (partition(1, &[1], &[1]), 2, "under_min_isr", vec![]),
        (partition(1, &[1, 2, 3], &[1, 3]), 2, "under_replicated", vec![2]),
    ];
    for (partition, min_insync, kind, missing) in cases {
        let health = found(&well(), partition.clone(), min_insync);
        assert_eq!(kinds(&health), [(kind, true, missing)], "{partition:?}");
        assert!(!health.is_well() && health.findings[0].text.starts_with("t-0: "));
        assert_eq!(health.findings[0].partitions, [("t".to_string(), 0)]);
        assert_eq!(health.verdict, "unhealthy: 1 problem; 3 brokers, 1 partitions");
    }
}

#[test]
fn a_preferred_leader_that_does_not_lead_is_a_note_once_it_could() {
    let health = found(&well(), partition(2, &[1, 2, 3], &[2, 3, 1]), 2);
    assert_eq!(kinds(&health), [("not_preferred_leader", false, vec![1])]);
    assert!(health.is_well() && health.findings[0].text.ends_with("others lead: t-0"));
    let behind = found(&well(), partition(2, &[1, 2, 3], &[2, 3]), 2);
    assert_eq!(kinds(&behind), [("under_replicated", true, vec![1])]);
}

#[test]
fn a_broker_that_is_missed_is_a_problem_and_one_that_keeps_nothing_is_a_note() {
    let view = view(well().quorum, &[2, 3]);
    let health = found(&view, partition(1, &[1, 3, 9], &[1, 3, 9]), 1);
    let expected = [
        ("broker_missing", false, vec![2]),
        ("broker_missing", true, vec![3]),
        ("broker_missing", true, vec![9]),
    ];
    assert_eq!(kinds(&health), expected);
    assert!(health.findings[1].text.contains("host-3:9092"), "{}", health.findings[1].text);
    assert!(health.findings[2].text.contains("not in the cluster"), "{}", health.findings[2].text);
}

#[test]
fn a_voter_that_does_not_fetch_or_catch_up_is_told_and_so_is_how_many_are_left() {
    let never = ReplicaState { last_caught_up_timestamp: -1, ..voter(3, 90, 100, 0) };
    let unheard = ReplicaState {
        replica_id: 3,
        log_end_offset: -1,
        last_fetch_timestamp: -1,
        last_caught_up_timestamp: -1,
        ..Default::default()
    };
    let cases = [
        (voter(3, 90, 60_000, 61_000), Some("voter_silent"), "for 60 s"),
        (unheard, Some("voter_silent"), "fetched nothing since 1 leads"),
        (voter(3, 90, 100, 30_000), Some("voter_lags"), "for 30 s: it lacks 10 records"),
        (never, Some("voter_lags"), "since it is back: it lacks 10 records"),
        (voter(3, 90, 100, 9_000), None, ""),
        (voter(3, 100, 9_000, 9_000), None, ""),
    ];
    for (third, kind, words) in cases {
        let view = view(Ok(quorum(vec![voter(2, 100, 1, 1), third])), &[]);
        let health = found(&view, partition(1, &[1], &[1]), 1);
        let expected: Vec<_> =
            kind.into_iter().flat_map(|k| [(k, true, vec![3]), ("quorum_margin", false, vec![])]).collect();
        assert_eq!(kinds(&health), expected, "{words}");
        if let [first, margin] = &health.findings[..] {
            assert!(first.text.contains(words), "{}", first.text);
            assert!(margin.text.ends_with("2 of 3 voters keep up, 2 are needed"), "{}", margin.text);
        }
    }
}

#[test]
fn a_kafka_that_tells_no_times_is_judged_by_what_it_tells() {
    let untimed = |id, end| ReplicaState {
        replica_id: id,
        log_end_offset: end,
        last_fetch_timestamp: -1,
        last_caught_up_timestamp: -1,
        ..Default::default()
    };
    let mut old = quorum(vec![untimed(2, 90), untimed(3, -1)]);
    old.state.current_voters[0] = untimed(1, 100);
    let health = found(&view(Ok(old), &[]), partition(1, &[1], &[1]), 1);
    assert_eq!(kinds(&health), [("voter_silent", true, vec![3]), ("quorum_margin", false, vec![])]);
}

#[test]
fn a_quorum_without_a_leader_is_a_problem_and_one_that_cannot_be_asked_a_note() {
    for unsupported in [false, true] {
        let none = NoQuorum { unsupported, why: "the broker does not offer DescribeQuorum".into() };
        let health = found(&view(Err(none), &[]), partition(1, &[1], &[1]), 1);
        assert_eq!(kinds(&health), [("quorum_unknown", !unsupported, vec![])]);
    }
}

#[test]
fn a_topic_that_is_told_with_an_error_is_a_problem() {
    let error_code = ErrorCode::LEADER_NOT_AVAILABLE;
    let topic = MetadataResponseTopic { error_code, name: Some("t".into()), ..Default::default() };
    let metadata = MetadataResponse { topics: vec![topic], ..Default::default() };
    let health = Health::of(&well(), &metadata, &Required::new());
    assert_eq!(kinds(&health), [("topic_error", true, vec![])]);
    assert!(health.findings[0].text.contains("LEADER_NOT_AVAILABLE"), "{}", health.findings[0].text);
}
