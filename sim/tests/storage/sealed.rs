//! Sealing a segment, stopped in the middle: its cut to its batches, and what follows it.

use super::*;

/// A log whose process was killed somewhere in the round that sealed its first segment, `step` operations on. The cut of
/// that segment to its batches may be in the cache only; what follows it, too.
fn killed_as_it_rolled(seed: u64, step: u64) -> SimDisk {
    killed_as_it_wrote_and_rolled(seed, step, 0)
}

/// The same, with so many more batches in the sealed segment, of the same round.
fn killed_as_it_wrote_and_rolled(seed: u64, step: u64, more: i64) -> SimDisk {
    let disk = SimDisk::new(seed);
    let mut store = filled(&disk, 3);
    run(&mut store, vec![StoreOp::Checkpoint { clean: false }]);
    let end = 3 + more;
    let roll = StoreOp::Append { log: LOG, batches: vec![batch(end, &[end], 100)], roll: true };
    disk.crash_after(step);
    let round = (3..end).map(|at| append(at, 100)).chain([roll]);
    let _ = store.run(&mut round.map(|op| (Mark(1), op)).collect());
    disk
}

/// Starts on a disk without room for a recovery point, and again after a power loss: what was found stays. Where it ends.
fn stays_without_room(disk: &SimDisk, seed: u64) -> Offset {
    disk.restart();
    disk.set_room(Some(disk.used()));
    let (store, found) = open(disk);
    let end = found.logs[0].end;
    drop(store);
    disk.lose_power();
    let (_, found) = open(disk);
    assert_eq!((found.logs[0].end, &found.logs[0].damage), (end, &None), "seed {seed}");
    end
}

#[test]
fn what_a_start_has_found_behind_a_sealed_segment_stays_without_room_for_a_recovery_point() {
    let mut found_it = 0;
    for seed in 0..300 {
        let disk = killed_as_it_rolled(seed, seed % 8);
        found_it += u32::from(stays_without_room(&disk, seed) == Offset(4));
    }
    assert!(found_it > 0);
}

#[test]
fn a_start_that_stops_in_the_middle_leaves_what_follows_a_torn_end_as_the_next_would_find_it() {
    let mut dropped = 0;
    for seed in 0..300 {
        let disk = killed_as_it_wrote_and_rolled(seed, seed % 8, 2);
        disk.lose_power();
        let whole = disk.fork();
        let (_, first) = open(&whole);
        dropped += u32::from(whole.paths().len() < disk.paths().len());
        for step in 0..12 {
            let again = disk.fork();
            again.crash_after(step);
            let _ = try_open(&again, |_| {});
            again.calm();
            again.restart();
            let (_, second) = open(&again);
            assert_eq!(first.logs, second.logs, "seed {seed}, stopped after {step}");
        }
    }
    assert!(dropped > 0);
}

#[test]
fn a_cut_of_a_sealed_file_that_a_kill_left_in_the_cache_and_a_power_loss_took_back_is_no_damage() {
    let mut taken_back = 0;
    for seed in 0..200 {
        let disk = killed_as_it_rolled(seed, seed % 8);
        disk.restart();
        let (mut store, found) = open(&disk);
        let end = found.logs[0].end.0;
        let roll = StoreOp::Append { log: LOG, batches: vec![batch(end, &[9], 100)], roll: true };
        run(&mut store, vec![roll, StoreOp::Checkpoint { clean: false }]);
        let sealed = disk.contents(FIRST).expect("there").len();
        drop(store);
        disk.lose_power();
        taken_back += u32::from(disk.contents(FIRST).expect("there").len() > sealed);
        let (_, found) = open(&disk);
        assert_eq!((found.logs[0].end.0, &found.logs[0].damage), (end + 1, &None), "seed {seed}");
        assert_eq!(disk.contents(FIRST).expect("there").len(), sealed, "seed {seed}");
    }
    assert!(taken_back > 0);
}

#[test]
fn a_cut_of_a_sealed_file_whose_sync_failed_takes_nothing_with_it() {
    let mut found_it = 0;
    for seed in 0..300 {
        let disk = SimDisk::new(seed);
        let mut store = filled(&disk, 3);
        run(&mut store, vec![StoreOp::Checkpoint { clean: false }]);
        let roll = StoreOp::Append { log: LOG, batches: vec![batch(3, &[3], 100)], roll: true };
        disk.fail_next_sync();
        assert!(store.run(&mut vec![(Mark(1), roll)]).is_err());
        // The process ends, and the next finds all of it in the cache, where it counts as clean.
        drop(store);
        found_it += u32::from(stays_without_room(&disk, seed) == Offset(4));
    }
    assert!(found_it > 0);
}
