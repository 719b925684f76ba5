//! Heartbeats, fencing, coming back and stopping in order.

use super::*;
use crate::cluster::tests::{Stage, code, parts, quiet, request};

#[test]
fn a_broker_takes_part_only_once_it_has_applied_its_own_registration() {
    let mut stage = Stage::new(&[1]);
    stage.register(request(2, 1, 2));
    let own = stage.image.brokers()[&BrokerId(2)].at;
    assert_eq!(own + 1, stage.end());
    let behind = Heartbeat { applied: own, ..quiet(2, 1) };
    assert_eq!(stage.heartbeat(behind), Ok(Standing::Fenced));
    let unready = Heartbeat { applied: own + 1, wants_fence: true, ..quiet(2, 1) };
    assert_eq!(stage.heartbeat(unready), Ok(Standing::Fenced));
    assert!(!stage.image.is_active(BrokerId(2)));
    assert_eq!(stage.beat(2, 1), Standing::Active);
    assert!(stage.image.is_active(BrokerId(2)));
}

#[test]
fn the_place_of_a_registration_counts_the_changes_before_it() {
    let mut stage = Stage::new(&[1, 2]);
    stage.topic("t", &[&[1, 2], &[1, 2]], &[]);
    let before = stage.end();
    stage.register(request(1, 2, 1));
    let own = stage.image.brokers()[&BrokerId(1)].at;
    assert_eq!(own, before + 2);
    assert!(matches!(stage.log[own.0 as usize], Fact::BrokerRegistered { .. }));
}

#[test]
fn a_fenced_broker_leads_nothing_and_leads_what_nobody_leads_when_it_is_back() {
    let mut stage = Stage::new(&[1, 2]);
    stage.topic("t", &[&[1, 2], &[1]], &[]);
    stage.fence(1);
    assert_eq!(parts(stage.state("t", 0)), (Some(2), vec![2], vec![]));
    assert_eq!(parts(stage.state("t", 1)), (None, vec![], vec![1]));
    assert_eq!(stage.beat(1, 1), Standing::Active);
    assert_eq!(parts(stage.state("t", 0)), (Some(2), vec![2], vec![]));
    assert_eq!(parts(stage.state("t", 1)), (Some(1), vec![1], vec![]));
}

#[test]
fn two_that_expire_together_are_fenced_one_after_the_other() {
    let mut stage = Stage::new(&[1, 2, 3]);
    stage.topic("t", &[&[1, 2, 3]], &[]);
    stage.now = Instant(0).after_ms(9000);
    stage.beat(3, 1);
    let expired = stage.liveness.expired(&stage.image, stage.now);
    assert_eq!(expired, [(BrokerId(1), 1), (BrokerId(2), 1)]);
    expired.iter().for_each(|(broker, _)| stage.fence(broker.0));
    assert_eq!(parts(stage.state("t", 0)), (Some(3), vec![3], vec![]));
}

#[test]
fn fencing_an_earlier_run_or_a_fenced_broker_decides_nothing() {
    let mut stage = Stage::new(&[1]);
    assert_eq!(fence(&stage.view(), BrokerId(1), 9), []);
    assert_eq!(fence(&stage.view(), BrokerId(2), 1), []);
    stage.fence(1);
    assert_eq!(fence(&stage.view(), BrokerId(1), 1), []);
}

#[test]
fn what_an_earlier_run_says_is_stale() {
    let mut stage = Stage::new(&[1]);
    assert_eq!(code(stage.heartbeat(quiet(1, 9))), ErrorCode::STALE_BROKER_EPOCH);
    assert_eq!(code(stage.heartbeat(quiet(4, 1))), ErrorCode::BROKER_ID_NOT_REGISTERED);
}

#[test]
fn a_broker_stops_only_after_others_lead_and_everybody_knows() {
    let mut stage = Stage::new(&[1, 2]);
    stage.topic("t", &[&[1, 2]], &[]);
    let stop = |stage: &Stage| Heartbeat { applied: stage.end(), wants_stop: true, ..quiet(1, 1) };
    let beat = stop(&stage);
    assert_eq!(stage.heartbeat(beat), Ok(Standing::Stopping));
    assert_eq!(parts(stage.state("t", 0)), (Some(2), vec![2], vec![]));
    let beat = stop(&stage);
    assert_eq!(stage.heartbeat(beat), Ok(Standing::Stopping), "2 has not heard that it leads");
    stage.beat(2, 1);
    let beat = stop(&stage);
    assert_eq!(stage.heartbeat(beat), Ok(Standing::MayStop));
    assert!(stage.image.brokers()[&BrokerId(1)].fenced);
    let beat = stop(&stage);
    assert_eq!(stage.heartbeat(beat), Ok(Standing::MayStop));
}

#[test]
fn a_new_controller_lets_a_stopping_broker_wait_for_what_it_finds_decided() {
    let mut stage = Stage::new(&[1, 2]);
    let beat = Heartbeat { applied: stage.end(), wants_stop: true, ..quiet(1, 1) };
    stage.heartbeat(beat).unwrap();
    stage.liveness = Liveness::new(&stage.image, 9000, stage.now);
    let beat = Heartbeat { applied: stage.end(), wants_stop: true, ..quiet(1, 1) };
    assert_eq!(stage.heartbeat(beat), Ok(Standing::Stopping));
    stage.beat(2, 1);
    assert_eq!(stage.heartbeat(beat), Ok(Standing::MayStop));
}

#[test]
fn the_only_broker_of_a_cluster_may_stop_once_it_knows_itself() {
    let mut stage = Stage::new(&[1]);
    stage.topic("t", &[&[1]], &[]);
    let stop = |stage: &Stage| Heartbeat { applied: stage.end(), wants_stop: true, ..quiet(1, 1) };
    let beat = stop(&stage);
    assert_eq!(stage.heartbeat(beat), Ok(Standing::Stopping));
    assert_eq!(parts(stage.state("t", 0)), (None, vec![], vec![1]));
    let beat = stop(&stage);
    assert_eq!(stage.heartbeat(beat), Ok(Standing::MayStop));
}
