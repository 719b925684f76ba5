//! Elections, eligible leader replicas and completed reassignments, one partition at a time.

use super::*;
use crate::ids::LeaderEpoch;

fn ids(list: &[i32]) -> Vec<BrokerId> {
    list.iter().copied().map(BrokerId).collect()
}

fn state(replicas: &[i32]) -> PartitionState {
    PartitionState::new(&ids(replicas), |_| true)
}

struct Rules {
    awake: Vec<i32>,
    min_isr: usize,
    election: Election,
    lost: Option<Lost>,
}

fn rules(awake: &[i32], min_isr: usize) -> Rules {
    Rules { awake: awake.to_vec(), min_isr, election: Election::Online, lost: None }
}

/// The state after a change.
fn after(state: &PartitionState, target: Target, rules: &Rules) -> PartitionState {
    let awake = |b: BrokerId| rules.awake.contains(&b.0);
    let terms =
        Terms { acceptable: &awake, min_isr: rules.min_isr, election: rules.election, lost: rules.lost };
    let mut next = state.clone();
    if let Some(change) = change(state, target, &terms) {
        next.apply(&change);
    }
    next
}

/// A state after a broker has left.
fn left(state: &PartitionState, broker: i32, rules: &Rules) -> PartitionState {
    after(state, Target::of(state).without(BrokerId(broker)), rules)
}

fn parts(state: &PartitionState) -> (Option<i32>, Vec<i32>, Vec<i32>) {
    let numbers = |list: &[BrokerId]| list.iter().map(|b| b.0).collect();
    (state.leader.map(|l| l.0), numbers(&state.isr), numbers(&state.elr))
}

#[test]
fn a_leader_that_goes_is_followed_by_the_next_in_sync_in_the_order_of_the_replicas() {
    let mut three = state(&[3, 1, 2]);
    let next = left(&three, 3, &rules(&[1, 2], 1));
    assert_eq!(parts(&next), (Some(1), vec![1, 2], vec![]));
    assert_eq!((next.leader_epoch, next.partition_epoch), (LeaderEpoch(1), 1));
    three.isr = ids(&[3, 2]);
    assert_eq!(parts(&left(&three, 3, &rules(&[1, 2], 1))).0, Some(2), "1 is not in sync");
}

#[test]
fn a_follower_that_goes_leaves_the_leader_and_its_epoch_alone() {
    let next = left(&state(&[1, 2, 3]), 3, &rules(&[1, 2], 1));
    assert_eq!(parts(&next), (Some(1), vec![1, 2], vec![]));
    assert_eq!((next.leader_epoch, next.partition_epoch), (LeaderEpoch(0), 1));
}

#[test]
fn the_last_in_sync_is_kept_as_eligible_and_leads_again_in_a_new_epoch_when_it_is_back() {
    let alone = left(&state(&[1]), 1, &rules(&[], 1));
    assert_eq!(parts(&alone), (None, vec![], vec![1]));
    assert_eq!(alone.last_known_elr, ids(&[1]));
    let back = after(&alone, Target::of(&alone), &rules(&[1], 1));
    assert_eq!(parts(&back), (Some(1), vec![1], vec![]));
    assert_eq!((back.leader_epoch, back.last_known_elr), (LeaderEpoch(2), vec![]));
}

#[test]
fn below_min_insync_replicas_those_who_leave_stay_eligible_and_above_it_nobody_is() {
    let two = left(&state(&[1, 2, 3]), 3, &rules(&[1, 2], 2));
    assert_eq!(parts(&two), (Some(1), vec![1, 2], vec![]), "3 may lack what 1 and 2 commit");
    let one = left(&two, 2, &rules(&[1], 2));
    assert_eq!(parts(&one), (Some(1), vec![1], vec![2]));
    let none = left(&one, 1, &rules(&[], 2));
    assert_eq!(parts(&none), (None, vec![], vec![1, 2]));
    let back = after(&none, Target::of(&none), &rules(&[2], 2));
    assert_eq!(parts(&back), (Some(2), vec![2], vec![1]));
    let joined = after(&back, Target { isr: ids(&[1, 2]), ..Target::of(&back) }, &rules(&[1, 2], 2));
    assert_eq!(parts(&joined), (Some(2), vec![1, 2], vec![]));
}

#[test]
fn an_election_that_fills_the_isr_ends_the_eligibility_of_the_others() {
    let mut none = state(&[1, 2]);
    (none.leader, none.isr, none.elr) = (None, Vec::new(), ids(&[1, 2]));
    // min.insync.replicas has been lowered to 1 meanwhile: 2 commits alone, 1 must not lead after it.
    let back = after(&none, Target::of(&none), &rules(&[2], 1));
    assert_eq!(parts(&back), (Some(2), vec![2], vec![]));
}

#[test]
fn who_may_have_lost_records_is_not_eligible_but_may_lead_as_the_last_known_leader() {
    let lossy = Rules { lost: Some(Lost::Some(BrokerId(1))), ..rules(&[], 1) };
    let gone = left(&state(&[1]), 1, &lossy);
    assert_eq!(parts(&gone), (None, vec![], vec![]));
    assert_eq!(gone.last_known_elr, ids(&[1]));
    let still = after(&gone, Target::of(&gone), &rules(&[], 1));
    assert_eq!(still.leader, None, "it is away");
    assert_eq!(parts(&after(&gone, Target::of(&gone), &rules(&[1], 1))), (Some(1), vec![1], vec![]));
}

#[test]
fn who_has_lost_its_disk_leads_only_by_an_unclean_election() {
    let wiped = Rules { lost: Some(Lost::All(BrokerId(1))), ..rules(&[], 1) };
    let gone = left(&state(&[1]), 1, &wiped);
    assert_eq!((parts(&gone), gone.last_known_elr.len()), ((None, vec![], vec![]), 0));
    assert_eq!(after(&gone, Target::of(&gone), &rules(&[1], 1)).leader, None);
    let unclean = Rules { election: Election::Unclean, ..rules(&[1], 1) };
    assert_eq!(parts(&after(&gone, Target::of(&gone), &unclean)), (Some(1), vec![1], vec![]));
}

#[test]
fn who_fell_out_of_sync_leads_only_by_an_unclean_election_and_then_alone() {
    let mut one = state(&[1, 2, 3]);
    one.isr = ids(&[1]);
    let none = left(&one, 1, &rules(&[2, 3], 1));
    assert_eq!(parts(&none), (None, vec![], vec![1]));
    let unclean = Rules { election: Election::Unclean, ..rules(&[2, 3], 1) };
    let next = left(&one, 1, &unclean);
    assert_eq!(parts(&next), (Some(2), vec![2], vec![]));
    assert_eq!(next.leader_epoch, LeaderEpoch(1));
}

#[test]
fn the_preferred_leader_takes_over_only_when_it_is_in_sync() {
    let mut led = state(&[1, 2, 3]);
    led.leader = Some(BrokerId(2));
    let preferred = |awake: &[i32]| Rules { election: Election::Preferred, ..rules(awake, 1) };
    assert_eq!(after(&led, Target::of(&led), &preferred(&[1, 2, 3])).leader, Some(BrokerId(1)));
    assert_eq!(after(&led, Target::of(&led), &rules(&[1, 2, 3], 1)), led, "an online election leaves it");
    led.isr = ids(&[2, 3]);
    assert_eq!(after(&led, Target::of(&led), &preferred(&[1, 2, 3])), led);
}

#[test]
fn a_reassignment_ends_only_when_all_replicas_that_stay_are_in_sync() {
    let mut moving = state(&[1, 2]);
    moving.replicas = ids(&[3, 4, 1, 2]);
    (moving.adding, moving.removing) = (ids(&[3, 4]), ids(&[1, 2]));
    let one =
        after(&moving, Target { isr: ids(&[1, 2, 3]), ..Target::of(&moving) }, &rules(&[1, 2, 3, 4], 1));
    assert!(one.is_reassigning());
    let both = after(&one, Target { isr: ids(&[1, 2, 3, 4]), ..Target::of(&one) }, &rules(&[1, 2, 3, 4], 1));
    assert!(!both.is_reassigning());
    assert_eq!((both.replicas.clone(), parts(&both)), (ids(&[3, 4]), (Some(3), vec![3, 4], vec![])));
    assert_eq!(both.leader_epoch, LeaderEpoch(1));
}

#[test]
fn a_leader_that_stays_while_a_replica_goes_leads_on_in_a_new_epoch() {
    let mut moving = state(&[1, 2]);
    moving.removing = ids(&[2]);
    let done = after(&moving, Target::of(&moving), &rules(&[1, 2], 1));
    assert_eq!((done.replicas.clone(), done.leader), (ids(&[1]), Some(BrokerId(1))));
    assert_eq!(done.leader_epoch, LeaderEpoch(1));
}

#[test]
fn nothing_to_change_is_no_change() {
    let awake = |_: BrokerId| true;
    let terms = Terms { acceptable: &awake, min_isr: 1, election: Election::Online, lost: None };
    let same = state(&[1, 2]);
    assert_eq!(change(&same, Target::of(&same), &terms), None);
}
