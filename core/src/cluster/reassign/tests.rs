//! Reassignments from their start to their end, and off the way.

use super::*;
use crate::cluster::partition::PartitionState;
use crate::cluster::tests::{Stage, code, ids, parts};

fn wanted(replicas: Option<&[i32]>) -> Reassignment {
    Reassignment { topic: "t".into(), partition: 0, replicas: replicas.map(<[i32]>::to_vec) }
}

fn stage() -> Stage {
    let mut stage = Stage::new(&[1, 2, 3, 4, 5]);
    stage.topic("t", &[&[1, 2]], &[]);
    stage
}

/// Asks and folds in.
fn ask(stage: &mut Stage, replicas: Option<&[i32]>) -> ErrorCode {
    match reassign(&stage.view(), &wanted(replicas), true) {
        Ok(fact) => {
            stage.fold(fact);
            ErrorCode::NONE
        }
        Err((code, _)) => code,
    }
}

/// The ISR, as the leader asks for it.
fn catch_up(stage: &mut Stage, isr: &[i32]) {
    let place = stage.view().find("t", 0).unwrap();
    let target = Target { isr: ids(isr), ..Target::of(place.2) };
    let fact = stage.view().change(place, target, None, Movement::default());
    stage.fold(fact);
}

fn lists(state: &PartitionState) -> [Vec<BrokerId>; 3] {
    [state.replicas.clone(), state.adding.clone(), state.removing.clone()]
}

#[test]
fn a_reassignment_adds_first_and_removes_once_all_are_in_sync() {
    let mut stage = stage();
    assert_eq!(ask(&mut stage, Some(&[3, 2])), ErrorCode::NONE);
    assert_eq!(lists(stage.state("t", 0)), [ids(&[3, 2, 1]), ids(&[3]), ids(&[1])]);
    assert_eq!(parts(stage.state("t", 0)).1, [2, 1]);
    assert_eq!(under_way(&stage.image).count(), 1);
    catch_up(&mut stage, &[1, 2, 3]);
    assert_eq!(lists(stage.state("t", 0)), [ids(&[3, 2]), ids(&[]), ids(&[])]);
    assert_eq!(parts(stage.state("t", 0)), (Some(3), vec![3, 2], vec![]));
    assert_eq!(under_way(&stage.image).count(), 0);
}

#[test]
fn a_reassignment_to_replicas_that_are_all_in_sync_is_done_at_once() {
    let mut stage = stage();
    assert_eq!(ask(&mut stage, Some(&[2])), ErrorCode::NONE);
    assert_eq!(lists(stage.state("t", 0)), [ids(&[2]), ids(&[]), ids(&[])]);
    assert_eq!(stage.state("t", 0).leader, Some(BrokerId(2)));
    let facts = stage.log.len();
    assert_eq!(ask(&mut stage, Some(&[2])), ErrorCode::NONE);
    assert_eq!(stage.log.len(), facts, "there is nothing to do");
}

#[test]
fn a_reassignment_that_is_called_off_leaves_what_was_there_before_even_after_it_was_changed() {
    let mut stage = stage();
    assert_eq!(ask(&mut stage, None), ErrorCode::NO_REASSIGNMENT_IN_PROGRESS);
    ask(&mut stage, Some(&[3, 4]));
    catch_up(&mut stage, &[1, 2, 3]);
    assert_eq!(ask(&mut stage, Some(&[5, 2])), ErrorCode::NONE);
    assert_eq!(lists(stage.state("t", 0)), [ids(&[5, 2, 1]), ids(&[5]), ids(&[1])]);
    assert_eq!(parts(stage.state("t", 0)), (Some(1), vec![2, 1], vec![]));
    assert_eq!(ask(&mut stage, None), ErrorCode::NONE);
    let mut replicas = lists(stage.state("t", 0));
    replicas[0].sort();
    assert_eq!(replicas, [ids(&[1, 2]), ids(&[]), ids(&[])]);
}

#[test]
fn a_reassignment_is_not_called_off_when_only_the_new_replicas_are_in_sync() {
    let mut stage = stage();
    ask(&mut stage, Some(&[3, 4]));
    catch_up(&mut stage, &[1, 3]);
    stage.fence(1);
    stage.fence(2);
    assert_eq!(parts(stage.state("t", 0)), (Some(3), vec![3], vec![]));
    assert_eq!(ask(&mut stage, None), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    assert_eq!(ask(&mut stage, Some(&[1, 2])), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    assert_eq!(parts(stage.state("t", 0)), (Some(3), vec![3], vec![]));
}

#[test]
fn what_cannot_be_is_refused_with_its_own_code() {
    let stage = stage();
    let refused = |asked: Reassignment, free| code(reassign(&stage.view(), &asked, free));
    assert_eq!(
        refused(Reassignment { partition: 3, ..wanted(None) }, true),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    for bad in [&[1, 9][..], &[1, 1], &[]] {
        assert_eq!(refused(wanted(Some(bad)), true), ErrorCode::INVALID_REPLICA_ASSIGNMENT, "{bad:?}");
    }
    assert_eq!(refused(wanted(Some(&[1, 2, 3])), false), ErrorCode::INVALID_REPLICATION_FACTOR);
    assert_eq!(refused(wanted(Some(&[1, 3])), false), ErrorCode::NONE);
}
