//! One follower alone, told what its leader says: what it takes, what it drops, and where it cuts its log.

use bytes::Bytes;

use super::node::log_id;
use super::rules::{Kept, on_disk, run};
use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::log::Log;
use crate::mix::mix;
use crate::record::build::BatchBuilder;
use crate::replica::following::{Following, Step};
use crate::replica::leading::{Leadership, Leading};
use crate::replica::messages::{News, PartitionAnswer, Tip};
use crate::time::{Instant, Timestamp};

fn answer<R>(epoch: i32, news: News<R>) -> PartitionAnswer<R> {
    PartitionAnswer { epoch: LeaderEpoch(epoch), news }
}

#[test]
fn a_follower_drops_what_is_said_of_another_epoch_or_of_a_log_that_has_changed() {
    let mut kept = Kept::of(&[1, 1, 2, 2]);
    let parts = || News::Diverging(Tip { epoch: LeaderEpoch(1), end: Offset(2) });
    let mut following = Following::new(BrokerId(1), LeaderEpoch(5));
    assert!(following.answered(answer(5, parts()), &kept.log).is_empty(), "nothing was asked");
    following.ask(&kept.log);
    assert!(following.answered(answer(4, parts()), &kept.log).is_empty());
    following.ask(&kept.log);
    kept.append(2);
    assert!(following.answered(answer(5, parts()), &kept.log).is_empty());
    following.ask(&kept.log);
    let steps = following.answered(answer(5, parts()), &kept.log);
    assert!(matches!(steps[..], [Step::Cut(Offset(2))]), "{steps:?}");
    assert!(following.answered(answer(5, parts()), &kept.log).is_empty(), "it comes twice");
}

#[test]
fn a_follower_commits_no_more_than_it_has_and_tells_of_its_disk_once_the_logs_agree() {
    let mut kept = Kept::of(&[1, 1]);
    let more = Kept::of(&[1, 1, 5, 5, 6]).batches.split_off(2);
    let mut following = Following::new(BrokerId(1), LeaderEpoch(5));
    following.ask(&kept.log);
    assert_eq!(following.flushed(&kept.log), None);
    let records = News::Records { records: more, high: Offset(9), start: Offset(3) };
    let steps = following.answered(answer(5, records), &kept.log);
    let [Step::Take(batches), Step::Commit(Offset(4)), Step::Start(Offset(3))] = &steps[..] else {
        panic!("{steps:?}")
    };
    assert_eq!(batches.len(), 2, "nobody leads in epoch 6 yet");
    kept.append(5);
    assert_eq!(following.flushed(&kept.log), None);
    kept.log.flushed_to(Offset(3));
    assert_eq!(following.flushed(&kept.log), Some(on_disk(5, 3, 0)));
    assert_eq!(following.flushed(&kept.log), None);
    kept.log.raise_high(Offset(3));
    kept.log.raise_start(Offset(2));
    assert_eq!(following.flushed(&kept.log), None, "its disk would come back with the old start");
    kept.log.start_kept(Offset(2));
    assert_eq!(following.flushed(&kept.log), Some(on_disk(5, 3, 2)));
    assert_eq!(following.flushed(&kept.log), None);
}

#[test]
fn what_is_committed_is_never_cut() {
    let mut kept = Kept::of(&[1, 1, 2]);
    kept.log.raise_high(Offset(3));
    let mut following = Following::new(BrokerId(1), LeaderEpoch(5));
    let diverging = News::Diverging(Tip { epoch: LeaderEpoch(1), end: Offset(2) });
    for (news, begins) in [(diverging, 0), (News::Restart(Offset(1)), 1)] {
        following.ask(&kept.log);
        let steps = following.answered(answer(5, news), &kept.log);
        let [Step::Lost { high: Offset(3), anew, .. }] = steps[..] else { panic!("{steps:?}") };
        assert_eq!(anew, Offset(begins), "what both have is not lacked afterwards");
    }
    following.ask(&kept.log);
    let steps = following.answered(answer(5, News::Restart(Offset(8))), &kept.log);
    assert!(matches!(steps[..], [Step::Restart(Offset(8))]), "{steps:?}");
}

#[test]
fn an_empty_log_that_begins_within_a_batch_of_its_leader_begins_with_that_batch() {
    let record = (None, Some(Bytes::from_static(b"x")));
    let mut batch = BatchBuilder::plain(Timestamp(0), &[record.clone(), record.clone(), record]);
    batch.stamp(Offset(5), LeaderEpoch(5));
    for (begins, whole) in [(7, true), (4, false), (8, false)] {
        let log = Log::begun_at(log_id(0), Offset(begins));
        let mut following = Following::new(BrokerId(1), LeaderEpoch(5));
        following.ask(&log);
        let news = News::Records { records: vec![batch.clone()], high: Offset(8), start: Offset(7) };
        match &following.answered(answer(5, news), &log)[..] {
            [Step::Restart(Offset(5)), Step::Take(_), Step::Commit(Offset(8)), Step::Start(Offset(7))] => {
                assert!(whole, "from {begins} on");
            }
            steps => assert!(!whole && steps.is_empty(), "from {begins} on: {steps:?}"),
        }
    }
}

/// Lets a follower find out where its log parts from a leader's. The epochs of what it keeps, and how often it cut.
fn reconcile(leader: &[i32], follower: &[i32]) -> (Vec<i32>, usize) {
    let given = Leadership {
        me: BrokerId(1),
        epoch: LeaderEpoch(50),
        replicas: vec![BrokerId(1), BrokerId(2)],
        isr: vec![BrokerId(1)],
        partition_epoch: 0,
    };
    let (theirs, mut ours) = (Kept::of(leader), Kept::of(follower));
    let mut leading = Leading::new(Instant(0), &given, &theirs.log);
    let mut following = Following::new(BrokerId(1), LeaderEpoch(50));
    for cuts in 0..20 {
        let at = following.ask(&ours.log);
        let news = leading.fetched(Instant(0), (BrokerId(2), run(2)), &at, &theirs.log);
        match following.answered(answer(50, news.map(|_| Vec::new())), &ours.log)[..] {
            [] => return (ours.epochs(), cuts),
            [Step::Cut(to)] => ours.log.truncate(to, &mut ours.space),
            ref other => panic!("{other:?}"),
        }
    }
    panic!("{leader:?} and {follower:?} do not come together")
}

#[test]
fn logs_are_cut_where_they_part_and_no_further() {
    assert_eq!(reconcile(&[1, 1, 1, 3], &[1, 1, 1, 1, 1]), (vec![1, 1, 1], 1), "KIP-101: it wrote on, alone");
    assert_eq!(reconcile(&[1, 1, 3, 3, 3], &[1, 1, 2, 2]), (vec![1, 1], 1), "KIP-279: two fast elections");
    assert_eq!(reconcile(&[1, 3, 3, 3, 5], &[1, 2, 2, 4, 4]), (vec![1], 2), "epochs by turns");
    assert_eq!(reconcile(&[1, 1], &[1]), (vec![1], 0));
    assert_eq!(reconcile(&[], &[1, 2]), (vec![], 1));
}

#[test]
fn logs_of_any_history_are_cut_where_they_part() {
    for seed in 0..2_000 {
        let mut draws = 0;
        let mut draw = |below: u64| {
            draws += 1;
            mix(seed * 1_000 + draws) % below
        };
        let mut shared: Vec<i32> = (0..draw(8)).map(|_| draw(6) as i32).collect();
        shared.sort_unstable();
        let last = shared.last().copied().unwrap_or(0);
        // What each has alone is of epochs in which the other wrote nothing, or nothing more.
        let mut alone = |odd: i32| {
            let mut epochs: Vec<i32> = (0..draw(7)).map(|_| last + 1 + odd + 2 * draw(5) as i32).collect();
            epochs.sort_unstable();
            [shared.clone(), epochs].concat()
        };
        let (one, other) = (alone(0), alone(1));
        assert_eq!(reconcile(&one, &other).0, shared, "{one:?} and {other:?}");
    }
}
