//! A disk without room, or without descriptors: what is refused, and that nothing needs a restart.

use super::*;

#[test]
fn a_checkpoint_that_finds_no_room_says_so() {
    let disk = SimDisk::new(1);
    let mut store = filled(&disk, 3);
    disk.set_room(Some(0));
    let ops = || vec![StoreOp::Trim { log: LOG, start: Offset(2) }, StoreOp::Checkpoint { clean: false }];
    assert!(!run(&mut store, ops()).kept, "a crash now would bring the old start back");
    disk.set_room(None);
    assert!(run(&mut store, ops()).kept);
    drop(store);
    disk.restart();
    assert_eq!(open(&disk).1.logs[0].start, Offset(2));
}

#[test]
fn a_full_disk_refuses_appends_until_a_truncation_and_nothing_needs_a_restart() {
    let disk = SimDisk::new(2);
    let mut store = filled(&disk, 5);
    disk.set_room(Some(disk.used() + 90));
    let mut before = disk.contents(FIRST).expect("there");
    before.truncate(5 * batch(0, &[0], 100).size());
    let stored = run(&mut store, vec![append(5, 100)]);
    assert!(stored.failed[0].full && stored.failed[0].log == LOG, "{stored:?}");
    assert_eq!(disk.contents(FIRST), Some(before), "what was written in part is cut off again");
    assert_eq!(store.reader().batches(all(0, 5)).expect("reads go on").len(), 5);
    disk.set_room(None);
    let stored = run(&mut store, vec![append(5, 100)]);
    assert!(stored.failed[0].full, "there may be later appends on the way that must not overtake");
    run(&mut store, vec![StoreOp::Truncate { log: LOG, to: Offset(5) }]);
    assert!(run(&mut store, vec![append(5, 100)]).failed.is_empty());
    disk.lose_power();
    let (store, found) = open(&disk);
    assert_eq!(found.logs[0].end, Offset(6));
    assert_eq!(store.reader().batches(all(0, 6)).expect("good").len(), 6);
}

#[test]
fn a_cut_that_keeps_what_found_no_room_is_refused_until_one_comes_that_does_not() {
    let disk = SimDisk::new(2);
    let mut store = filled(&disk, 5);
    disk.set_room(Some(disk.used() + 90));
    let cut = |to| StoreOp::Truncate { log: LOG, to: Offset(to) };
    // In the round of the append that fails, and in the next one.
    let first = run(&mut store, vec![append(5, 100), append(6, 100), cut(6)]);
    disk.set_room(None);
    let second = run(&mut store, vec![cut(6), append(6, 100)]);
    for stored in [first, second] {
        assert!(stored.failed.iter().all(|failure| failure.full && failure.log == LOG), "{stored:?}");
        assert!(!stored.failed.is_empty());
    }
    let stored = run(&mut store, vec![cut(5), append(5, 100)]);
    assert!(stored.failed.is_empty(), "{stored:?}");
    disk.lose_power();
    let (store, found) = open(&disk);
    assert_eq!(found.logs[0].end, Offset(6));
    assert_eq!(store.reader().batches(all(0, 6)).expect("good").len(), 6);
}

#[test]
fn without_descriptors_what_needs_one_is_refused_and_nothing_needs_a_restart() {
    let disk = SimDisk::new(9);
    let logs: Vec<LogId> = (0..20).map(|partition| LogId { partition, ..LOG }).collect();
    let one = |log: LogId, at: i64, roll| StoreOp::Append { log, batches: vec![batch(at, &[at], 50)], roll };
    let (mut store, _) = open(&disk);
    for log in &logs[..19] {
        run(&mut store, vec![create(*log), one(*log, 0, false)]);
    }
    run(&mut store, vec![create(logs[19]), StoreOp::Checkpoint { clean: false }]);
    disk.refuse_opens(true);
    // The first has been closed, the last has no file yet; the one before still is open, but its next segment is not.
    for (log, roll) in [(0, false), (19, false), (18, true)] {
        let stored = run(&mut store, vec![one(logs[log], i64::from(log != 19), roll)]);
        let failure = &stored.failed[0];
        assert!(failure.full && failure.message.contains("too many open files"), "{failure:?}");
    }
    let read = store.reader().read(LogRange { log: logs[1], ..all(0, 1) });
    assert!(matches!(read, Err(ReadError::Io(e)) if e.is_shortage()));
    run(&mut store, vec![StoreOp::Remove { log: logs[2] }, StoreOp::Checkpoint { clean: false }]);
    disk.refuse_opens(false);
    for (log, end) in [(0, 1), (19, 0), (18, 1)] {
        let to = Offset(end);
        let ops = vec![StoreOp::Truncate { log: logs[log], to }, one(logs[log], end, log == 18)];
        assert!(run(&mut store, ops).failed.is_empty());
    }
    run(&mut store, vec![StoreOp::Checkpoint { clean: false }]);
    disk.lose_power();
    let (_, found) = open(&disk);
    let ends: Vec<i64> = found.logs.iter().map(|l| l.end.0).collect();
    assert_eq!(ends, [&[2][..], &[1; 16], &[2, 1]].concat());
    assert!(disk.paths().keys().all(|p| !p.contains(".deleted")), "{:?}", disk.paths());
}

#[test]
fn a_log_that_is_out_of_room_keeps_the_facts_that_a_snapshot_was_to_replace() {
    let disk = SimDisk::new(4);
    let mut store = filled(&disk, 5);
    let snapshot = |at| StoreOp::Snapshot {
        log: LOG,
        at: Offset(at),
        epoch: LeaderEpoch(0),
        bytes: bytes::Bytes::from_static(b"an image"),
    };
    disk.set_room(Some(disk.used() + 90));
    assert!(run(&mut store, vec![append(5, 100)]).failed[0].full);
    // Until the machine has heard of that, a snapshot is refused without being tried.
    let trim = StoreOp::Trim { log: LOG, start: Offset(5) };
    assert!(run(&mut store, vec![snapshot(5), trim]).failed[0].full);
    disk.set_room(None);
    let truncate = StoreOp::Truncate { log: LOG, to: Offset(5) };
    assert!(run(&mut store, vec![truncate, StoreOp::Checkpoint { clean: false }]).kept);
    disk.lose_power();
    let found = &open(&disk).1.logs[0];
    assert_eq!((found.start, found.end, &found.snapshot), (Offset(0), Offset(5), &None));
}

#[test]
fn a_full_disk_can_be_emptied_by_retention_and_started_on() {
    let disk = SimDisk::new(3);
    let mut store = filled(&disk, 5);
    let roll = StoreOp::Append { log: LOG, batches: vec![batch(5, &[5], 10)], roll: true };
    run(&mut store, vec![roll, StoreOp::Checkpoint { clean: false }]);
    disk.set_room(Some(disk.used()));
    assert!(run(&mut store, vec![append(6, 100)]).failed[0].full);
    assert!(run(&mut store, vec![StoreOp::Checkpoint { clean: true }]).failed.is_empty());
    drop(store);
    disk.restart();
    let (mut store, found) = open(&disk);
    assert_eq!(found.logs[0].end, Offset(6));
    let used = disk.used();
    let stored = run(&mut store, vec![StoreOp::Trim { log: LOG, start: Offset(5) }]);
    assert!(disk.used() + 500 < used && stored.free_bytes > 500, "the room is there at once");
    assert!(run(&mut store, vec![append(6, 100)]).failed.is_empty());
    disk.lose_power();
    let (_, found) = open(&disk);
    assert_eq!(
        (found.logs[0].start, found.logs[0].end, &found.logs[0].damage),
        (Offset(5), Offset(7), &None)
    );
}

#[test]
fn starts_on_a_full_disk_do_not_miss_what_was_trimmed_or_removed_before_it_was_full() {
    let other = LogId { partition: 4, ..LOG };
    let disk = SimDisk::new(3);
    let (mut store, _) = open(&disk);
    run(&mut store, vec![create(LOG), create(other)]);
    let there = StoreOp::Append { log: other, batches: vec![batch(0, &[0], 100)], roll: false };
    run(&mut store, vec![append(0, 100), there]);
    run(&mut store, vec![StoreOp::Append { log: LOG, batches: vec![batch(1, &[1], 100)], roll: true }]);
    run(&mut store, vec![StoreOp::Checkpoint { clean: false }]);
    // The recovery point names both from here on.
    run(&mut store, vec![StoreOp::Trim { log: LOG, start: Offset(1) }, StoreOp::Remove { log: other }]);
    for room in [Some(0), Some(0), None, None] {
        drop(store);
        disk.lose_power();
        disk.set_room(room);
        let (next, found) = open(&disk);
        let states: Vec<_> = found.logs.iter().map(|l| (l.log, l.start.0, l.damage.clone())).collect();
        assert_eq!(states, [(LOG, 1, None)], "with room {room:?}");
        store = next;
    }
    run(&mut store, vec![append(2, 100)]);
    assert!(disk.paths().keys().all(|p| !p.contains(".deleted")), "{:?}", disk.paths());
}
