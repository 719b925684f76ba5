//! One leader alone, told where logs start durably at its followers: how far deletions reach for good, and who is let in.

use super::rules::{Leads, on_disk, run};
use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::log::Log;
use crate::replica::messages::{Position, Tip};

/// A follower that has the whole log, whose disk would come back with this start.
fn fetch(one: &mut Leads, from: i32, start: i64) {
    let (tip, flushed) = (Tip::of(&one.kept.log), one.kept.log.end());
    let at = Position { epoch: LeaderEpoch(5), tip, flushed, start: Offset(start) };
    one.leading.fetched(one.now, (BrokerId(from), run(from)), &at, &one.kept.log);
    one.raise();
}

fn tell(one: &mut Leads, from: i32, start: i64) -> bool {
    let told = on_disk(5, one.kept.log.end().0, start);
    one.leading.flushed(one.now, (BrokerId(from), run(from)), &told, &one.kept.log)
}

/// The leader's log starts there now, on disk too.
fn trim(one: &mut Leads, to: i64) {
    one.kept.log.raise_start(Offset(to));
    one.kept.log.start_kept(Offset(to));
}

fn low(one: &mut Leads) -> i64 {
    let alive = one.alive.clone();
    let terms = crate::replica::leading::Terms { alive: &alive, ..one.terms() };
    one.leading.raise_low(one.now, &one.kept.log, &terms).0
}

#[test]
fn the_low_watermark_waits_for_the_durable_starts_of_all_in_sync_and_the_leaders_own() {
    let mut one = Leads::new(&[1, 1, 1, 1], &[1, 2, 3]);
    fetch(&mut one, 2, 0);
    fetch(&mut one, 3, 0);
    one.kept.log.raise_start(Offset(3));
    assert_eq!(low(&mut one), 0, "a crash would bring it back here");
    assert!(tell(&mut one, 2, 3) && tell(&mut one, 3, 2));
    assert_eq!(low(&mut one), 0);
    one.kept.log.start_kept(Offset(3));
    assert_eq!(low(&mut one), 2, "and there");
    assert!(!tell(&mut one, 3, 2), "no news");
    fetch(&mut one, 3, 3);
    assert_eq!(low(&mut one), 3);
    fetch(&mut one, 3, 2);
    assert_eq!(
        (low(&mut one), one.leading.low()),
        (3, Offset(3)),
        "what was said in an older fetch changes nothing"
    );
}

#[test]
fn of_who_has_said_nothing_in_this_epoch_nothing_is_known() {
    let mut one = Leads::new(&[1, 1, 1], &[1, 2]);
    one.kept.log.raise_high(Offset(3));
    trim(&mut one, 2);
    assert_eq!(low(&mut one), 0);
    one.decided(&[1], 8);
    assert_eq!(low(&mut one), 2, "it is not in sync any more");
}

#[test]
fn the_low_watermark_stays_while_fewer_are_in_sync_than_there_must_be() {
    let mut one = Leads::new(&[1, 1, 1], &[1, 2]);
    one.min_isr = 2;
    fetch(&mut one, 2, 1);
    trim(&mut one, 1);
    assert_eq!(low(&mut one), 1);
    one.decided(&[1], 8);
    one.wait(31);
    one.append(1);
    one.wait(31);
    trim(&mut one, 2);
    assert_eq!(low(&mut one), 1, "who has left may be elected yet (KIP-966)");
    one.min_isr = 1;
    assert_eq!(low(&mut one), 2);
}

#[test]
fn nobody_is_let_in_who_has_what_is_deleted_for_good() {
    let mut one = Leads::new(&[1, 1, 1, 1], &[1]);
    one.kept.log.raise_high(Offset(4));
    trim(&mut one, 2);
    assert_eq!(low(&mut one), 2);
    fetch(&mut one, 2, 1);
    assert_eq!(one.expand(), None);
    trim(&mut one, 3);
    tell(&mut one, 2, 2);
    assert_eq!(low(&mut one), 2, "the low watermark waits for it");
    assert_eq!(one.expand(), Some(vec![1, 2]), "its start is the one before: nobody was told more");
    assert_eq!(low(&mut one), 2, "it may be in sync already");
    tell(&mut one, 2, 3);
    assert_eq!(low(&mut one), 3);
}

#[test]
fn nobody_is_let_in_below_the_start_that_an_epoch_has_found() {
    let mut one = Leads::new(&[1, 1, 1, 1], &[1]);
    one.kept.log.raise_high(Offset(4));
    trim(&mut one, 2);
    // The next epoch does not know what the one before has told.
    let log: &Log = &one.kept.log;
    let given = crate::replica::leading::Leadership {
        me: BrokerId(1),
        epoch: LeaderEpoch(5),
        replicas: (1..=4).map(BrokerId).collect(),
        isr: vec![BrokerId(1)],
        partition_epoch: 8,
    };
    one.leading = crate::replica::leading::Leading::new(one.now, &given, log);
    fetch(&mut one, 2, 1);
    assert_eq!((low(&mut one), one.expand()), (1, None));
    tell(&mut one, 2, 2);
    assert_eq!(one.expand(), Some(vec![1, 2]));
}

#[test]
fn however_often_a_start_moves_who_keeps_up_with_the_log_is_let_in() {
    let mut one = Leads::new(&[1; 40], &[1]);
    one.kept.log.raise_high(Offset(40));
    // What a follower has been told comes to its disk four moves later.
    let mut told = [0; 4];
    for to in 1..40 {
        trim(&mut one, to);
        let before = low(&mut one);
        if to < 10 {
            assert_eq!(before, to, "nobody keeps up");
            continue;
        }
        fetch(&mut one, 2, told[3]);
        told = [to, told[0], told[1], told[2]];
        if let Some(isr) = one.expand() {
            assert_eq!(
                (isr, to),
                (vec![1, 2], 14),
                "as soon as it is where the low watermark stood when it came"
            );
            return;
        }
    }
    panic!("it is kept out for ever");
}

#[test]
fn a_log_that_begins_anew_is_durably_there_once_the_disk_has_that() {
    let mut one = Leads::new(&[1, 1, 1], &[1]);
    let log = &mut one.kept.log;
    log.raise_high(Offset(3));
    log.raise_start(Offset(2));
    log.start_kept(Offset(2));
    log.restart(Offset(9), None, &mut one.kept.space);
    assert_eq!(log.kept_start(), Offset(2), "the old one may come back");
    log.start_kept(Offset(3));
    assert_eq!(log.kept_start(), Offset(3), "with what was under way for it");
    log.flushed_to(Offset(9));
    assert_eq!(log.kept_start(), Offset(9));
    log.restart(Offset(4), None, &mut one.kept.space);
    log.start_kept(Offset(7));
    assert_eq!(log.kept_start(), Offset(4), "it may begin there");
}
