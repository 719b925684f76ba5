//! Compare-and-set on both epochs, and who may be in an ISR.

use super::*;
use crate::cluster::reassign::{Reassignment, reassign};
use crate::cluster::tests::{Stage, code, parts, request};
use crate::ids::TopicId;

fn member(broker: i32, run: u64) -> Member {
    Member { broker: BrokerId(broker), incarnation: run }
}

/// What the leader of the first partition would ask for.
fn asked(stage: &Stage, isr: &[i32]) -> AlterPartition {
    let state = stage.state("t", 0);
    AlterPartition {
        log: LogId { topic: stage.image.topic("t").unwrap().id, partition: 0 },
        leader: Member { broker: state.leader.unwrap(), incarnation: 1 },
        leader_epoch: state.leader_epoch,
        partition_epoch: state.partition_epoch,
        isr: isr.iter().map(|b| member(*b, 1)).collect(),
    }
}

fn stage() -> Stage {
    let mut stage = Stage::new(&[1, 2, 3]);
    stage.topic("t", &[&[1, 2, 3]], &[]);
    stage
}

/// Asks, folds in, and answers the code.
fn ask(stage: &mut Stage, asked: &AlterPartition) -> ErrorCode {
    let decided = alter_partition(&stage.view(), asked);
    decided.map_or_else(
        |(code, _)| code,
        |(fact, told)| {
            stage.fold(fact);
            assert_eq!(*stage.state("t", 0), told, "the answer is what the facts come to");
            ErrorCode::NONE
        },
    )
}

#[test]
fn a_leader_shrinks_and_expands_its_isr_and_the_leader_epoch_stays() {
    let mut stage = stage();
    let shrink = asked(&stage, &[1]);
    assert_eq!(ask(&mut stage, &shrink), ErrorCode::NONE);
    assert_eq!(parts(stage.state("t", 0)), (Some(1), vec![1], vec![]));
    let expand = asked(&stage, &[3, 1]);
    assert_eq!(ask(&mut stage, &expand), ErrorCode::NONE);
    let state = stage.state("t", 0);
    assert_eq!(parts(state), (Some(1), vec![1, 3], vec![]));
    assert_eq!((state.leader_epoch, state.partition_epoch), (LeaderEpoch(0), 2));
}

#[test]
fn a_question_from_an_older_state_is_refused_and_one_asked_again_is_answered() {
    let mut stage = stage();
    let first = asked(&stage, &[1, 2]);
    assert_eq!(ask(&mut stage, &first), ErrorCode::NONE);
    let facts = stage.log.len();
    assert_eq!(ask(&mut stage, &first), ErrorCode::NONE);
    assert_eq!(stage.log.len(), facts, "it has that already");
    let other = AlterPartition { isr: vec![member(1, 1), member(3, 1)], ..first };
    assert_eq!(ask(&mut stage, &other), ErrorCode::INVALID_UPDATE_VERSION);
}

#[test]
fn a_deposed_leader_is_fenced_and_a_later_one_is_no_business_of_an_old_controller() {
    let mut stage = stage();
    let old = asked(&stage, &[1, 2]);
    stage.fence(1);
    stage.beat(1, 1);
    assert_eq!(ask(&mut stage, &old), ErrorCode::FENCED_LEADER_EPOCH);
    let mut later = asked(&stage, &[2]);
    later.leader_epoch.0 += 1;
    assert_eq!(ask(&mut stage, &later), ErrorCode::NOT_CONTROLLER);
    let mut later = asked(&stage, &[2]);
    later.partition_epoch += 1;
    assert_eq!(ask(&mut stage, &later), ErrorCode::NOT_CONTROLLER);
}

#[test]
fn fenced_stopping_and_restarted_replicas_stay_out_of_the_isr() {
    let mut stage = stage();
    stage.fence(3);
    let with_three = asked(&stage, &[1, 2, 3]);
    assert_eq!(ask(&mut stage, &with_three), ErrorCode::INELIGIBLE_REPLICA);
    stage.beat(3, 1);
    stage.fold([Fact::BrokerStopping { broker: BrokerId(3), incarnation: 1 }]);
    assert_eq!(ask(&mut stage, &with_three), ErrorCode::INELIGIBLE_REPLICA);
    stage.register(request(3, 2, 3));
    stage.beat(3, 2);
    assert_eq!(ask(&mut stage, &with_three), ErrorCode::INELIGIBLE_REPLICA, "the run that caught up is over");
    let isr = vec![member(1, 1), member(2, 1), member(3, 2)];
    assert_eq!(ask(&mut stage, &AlterPartition { isr, ..with_three }), ErrorCode::NONE);
}

#[test]
fn only_the_leader_asks_and_only_for_replicas_itself_among_them() {
    let mut stage = stage();
    let good = asked(&stage, &[1, 2]);
    let refused = |asked: AlterPartition| code(alter_partition(&stage.view(), &asked));
    assert_eq!(refused(AlterPartition { leader: member(2, 1), ..good.clone() }), ErrorCode::INVALID_REQUEST);
    assert_eq!(
        refused(AlterPartition { leader: member(1, 7), ..good.clone() }),
        ErrorCode::STALE_BROKER_EPOCH
    );
    for isr in [&[2, 3][..], &[1, 4], &[1, 2, 2], &[]] {
        assert_eq!(refused(asked(&stage, isr)), ErrorCode::INVALID_REQUEST, "{isr:?}");
    }
    let nowhere = LogId { partition: 5, ..good.log };
    assert_eq!(
        refused(AlterPartition { log: nowhere, ..good.clone() }),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
    let unknown = LogId { topic: TopicId([99; 16]), partition: 0 };
    assert_eq!(refused(AlterPartition { log: unknown, ..good.clone() }), ErrorCode::UNKNOWN_TOPIC_ID);
    assert_eq!(ask(&mut stage, &good), ErrorCode::NONE);
}

#[test]
fn the_isr_change_that_ends_a_reassignment_names_the_new_leader() {
    let mut stage = stage();
    stage.topic("u", &[&[1]], &[]);
    stage.fold([Fact::TopicDeleted { id: stage.image.topic("t").unwrap().id }]);
    stage.topic("t", &[&[1]], &[]);
    let wanted = Reassignment { topic: "t".into(), partition: 0, replicas: Some(vec![2, 3]) };
    let fact = reassign(&stage.view(), &wanted, true).unwrap();
    stage.fold(fact);
    let half = asked(&stage, &[1, 2]);
    assert_eq!(ask(&mut stage, &half), ErrorCode::NONE);
    assert_eq!(stage.state("t", 0).leader, Some(BrokerId(1)));
    let whole = asked(&stage, &[1, 2, 3]);
    assert_eq!(ask(&mut stage, &whole), ErrorCode::NONE);
    assert_eq!(parts(stage.state("t", 0)), (Some(2), vec![2, 3], vec![]));
}
