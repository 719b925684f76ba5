//! Elections on request, sweeps, and leaders put back where they belong.

use super::*;
use crate::cluster::facts::ConfigOwner;
use crate::cluster::tests::{Stage, code, parts};

#[test]
fn the_preferred_leader_is_put_back_on_request_when_it_is_in_sync() {
    let mut stage = Stage::new(&[1, 2]);
    stage.topic("t", &[&[1, 2]], &[]);
    let ask = |stage: &Stage| elect(&stage.view(), ("t", 0), Election::Preferred);
    assert_eq!(code(ask(&stage)), ErrorCode::ELECTION_NOT_NEEDED);
    stage.fence(1);
    stage.beat(1, 1);
    assert_eq!(code(ask(&stage)), ErrorCode::PREFERRED_LEADER_NOT_AVAILABLE, "it has not caught up");
    stage.fold(grown(&stage, &[1, 2]));
    let fact = ask(&stage).unwrap();
    stage.fold([fact]);
    assert_eq!(stage.state("t", 0).leader, Some(BrokerId(1)));
    assert_eq!(
        code(elect(&stage.view(), ("t", 1), Election::Preferred)),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
}

/// The ISR of the first partition of `t`, changed as its leader would ask for.
fn grown(stage: &Stage, isr: &[i32]) -> Option<Fact> {
    let place = stage.view().find("t", 0)?;
    let target = Target { isr: isr.iter().copied().map(BrokerId).collect(), ..Target::of(place.2) };
    stage.view().change(place, target, None, Movement::default())
}

#[test]
fn an_unclean_election_on_request_is_only_for_partitions_that_nobody_leads() {
    let mut stage = Stage::new(&[1, 2]);
    stage.topic("t", &[&[1, 2]], &[]);
    let ask = |stage: &Stage| elect(&stage.view(), ("t", 0), Election::Unclean);
    assert_eq!(code(ask(&stage)), ErrorCode::ELECTION_NOT_NEEDED);
    stage.fence(2);
    stage.fence(1);
    assert_eq!(code(ask(&stage)), ErrorCode::ELIGIBLE_LEADERS_NOT_AVAILABLE);
    stage.beat(2, 1);
    assert_eq!(parts(stage.state("t", 0)), (None, vec![], vec![1]));
    let fact = ask(&stage).unwrap();
    stage.fold([fact]);
    assert_eq!(parts(stage.state("t", 0)), (Some(2), vec![2], vec![]));
}

#[test]
fn unclean_elections_are_off_unless_the_topic_allows_them() {
    let mut stage = Stage::new(&[1, 2]);
    stage.topic("t", &[&[1, 2]], &[]);
    stage.fence(2);
    stage.fence(1);
    stage.beat(2, 1);
    assert_eq!(elect_leaderless(&stage.view(), 10), []);
    let id = stage.image.topic("t").unwrap().id;
    stage.fold([Fact::ConfigSet {
        of: ConfigOwner::Topic(id),
        name: "unclean.leader.election.enable".into(),
        value: Some("true".into()),
    }]);
    assert_eq!(elect_leaderless(&stage.view(), 0), []);
    let facts = elect_leaderless(&stage.view(), 10);
    stage.fold(facts);
    assert_eq!(parts(stage.state("t", 0)), (Some(2), vec![2], vec![]));
}

#[test]
fn when_min_insync_replicas_is_lowered_nobody_stays_eligible_who_may_miss_records_from_now_on() {
    let mut stage = Stage::new(&[1, 2]);
    stage.topic("t", &[&[1, 2]], &[("min.insync.replicas", "2")]);
    stage.fence(2);
    assert_eq!(parts(stage.state("t", 0)), (Some(1), vec![1], vec![2]));
    assert_eq!(settle_eligible(&stage.view()), []);
    let id = stage.image.topic("t").unwrap().id;
    stage.fold([Fact::ConfigSet {
        of: ConfigOwner::Topic(id),
        name: "min.insync.replicas".into(),
        value: Some("1".into()),
    }]);
    let facts = settle_eligible(&stage.view());
    stage.fold(facts);
    assert_eq!(parts(stage.state("t", 0)), (Some(1), vec![1], vec![]));
}

#[test]
fn leaders_go_back_to_brokers_that_lead_too_little_and_only_so_many_at_a_time() {
    let mut stage = Stage::new(&[1, 2, 3]);
    let one: &[i32] = &[1, 2];
    stage.topic("t", &[one; 4], &[]);
    stage.topic("u", &[&[3, 2], &[3, 2], &[3, 2], &[3, 2], &[3, 2]], &[]);
    let led_by_two = |stage: &mut Stage, topic: &str, partition| {
        let place = stage.view().find(topic, partition).unwrap();
        let change = crate::cluster::partition::PartitionChange {
            leader: Some(Some(BrokerId(2))),
            ..Default::default()
        };
        let fact = Fact::PartitionChanged { topic: place.0.id, partition, change };
        stage.fold([fact]);
    };
    (0..3).for_each(|p| led_by_two(&mut stage, "t", p));
    led_by_two(&mut stage, "u", 0);
    assert_eq!(rebalance(&stage.view(), Some(20), 100).len(), 3, "1 misses 75 %, 3 misses 20 %");
    assert_eq!(rebalance(&stage.view(), Some(19), 100).len(), 4);
    assert_eq!(rebalance(&stage.view(), None, 2).len(), 2);
    let facts = rebalance(&stage.view(), None, 100);
    stage.fold(facts);
    assert!(stage.image.partitions().all(|(.., state)| state.has_preferred_leader()));
}
