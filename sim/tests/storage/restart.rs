//! A log that begins anew at another offset: stopped after each operation of the disk, without room, and while it is read.

use quipu_core::ids::ProducerId;
use quipu_core::producer::ProducerTable;
use quipu_core::storage::ops::EpochStart;

use super::*;

/// Where it begins anew: beyond its end, at its end, where a segment begins, within one, at its start.
const PLACES: [i64; 5] = [20, 8, 6, 3, 0];

/// Offsets 0 to 7 of one producer in three segments, of which the first is trimmed away, with a snapshot of the log and one of
/// its producers, and a recovery point within it.
fn old_log(disk: &SimDisk) -> Store<SimDisk> {
    let (mut store, _) = open(disk);
    run(&mut store, vec![create(LOG)]);
    let mut table = ProducerTable::default();
    for at in 0..8 {
        let batch = sent(at, 0);
        table.append(batch.header(), Timestamp(at));
        run(&mut store, vec![StoreOp::Append { log: LOG, batches: vec![batch], roll: at == 3 || at == 6 }]);
        if at == 4 {
            let bytes = Bytes::from_static(b"what it comes to");
            let snapshot = StoreOp::Snapshot { log: LOG, at: Offset(5), epoch: LeaderEpoch(0), bytes };
            let producers = StoreOp::Producers { log: LOG, at: Offset(5), table: table.clone() };
            run(&mut store, vec![snapshot, producers, StoreOp::Checkpoint { clean: false }]);
        }
    }
    run(&mut store, vec![StoreOp::Trim { log: LOG, start: Offset(3) }]);
    store
}

/// A batch of one record of a producer.
fn sent(at: i64, epoch: i32) -> Batch {
    let mut builder = BatchBuilder::new().producer(ProducerId(9), 0, at as i32);
    builder.push(Timestamp(at), None, Some(&[b'v'; 100]));
    let mut batch = builder.build();
    batch.stamp(Offset(at), LeaderEpoch(epoch));
    batch
}

fn restart_at(at: i64) -> StoreOp {
    StoreOp::Restart { log: LOG, at: Offset(at), epoch: Some(LeaderEpoch(4)) }
}

fn then_append(at: i64) -> StoreOp {
    StoreOp::Append { log: LOG, batches: vec![batch_of_epoch(at)], roll: false }
}

fn batch_of_epoch(at: i64) -> Batch {
    let mut batch = batch(at, &[at], 50);
    batch.stamp(Offset(at), LeaderEpoch(5));
    batch
}

fn bytes_of(batches: &[Batch]) -> Vec<Bytes> {
    batches.iter().map(Batch::to_bytes).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Old,
    New,
    NewAndAppended,
}

/// Which log a start finds; never anything else.
fn which(disk: &SimDisk, at: i64, what: &str) -> Which {
    let (store, found) = open(disk);
    let log = &found.logs[0];
    assert_eq!((&log.damage, found.logs.len()), (&None, 1), "{what}");
    let snapshot = log.snapshot.as_ref().map(|(at, ..)| *at);
    assert_eq!(snapshot, Some(Offset(5)), "{what}: the snapshot stays");
    let read: Vec<Bytes> = bytes_of(&store.reader().batches(all(log.start.0, log.end.0)).expect("readable"));
    if log.epochs.first().is_some_and(|e| e.epoch == LeaderEpoch(0)) {
        assert_eq!((log.start.0 <= 3, log.end.0), (true, 8), "{what}");
        assert_eq!(read, (log.start.0..8).map(|at| sent(at, 0).to_bytes()).collect::<Vec<_>>(), "{what}");
        assert_eq!(log.producers.len(), 1, "{what}");
        return Which::Old;
    }
    // Once there is a record of a later one, the epoch of before has nothing in the log.
    let newest = LeaderEpoch(if log.end.0 == at { 4 } else { 5 });
    assert_eq!(
        (log.start, &log.epochs[..]),
        (Offset(at), &[EpochStart { epoch: newest, start: Offset(at) }][..]),
        "{what}"
    );
    assert!(log.producers.is_empty(), "{what}: producers of the old log have come back");
    assert_eq!((log.segments.len(), log.segments[0].base), (1, Offset(at)), "{what}");
    let index = if read.is_empty() { ".log" } else { ".index" };
    let others: Vec<String> = disk.paths().into_keys().filter(|p| stays_behind(p, at, index)).collect();
    assert!(others.is_empty(), "{what}: {others:?} are left");
    assert_eq!(read, if log.end.0 == at { vec![] } else { vec![batch_of_epoch(at).to_bytes()] }, "{what}");
    if read.is_empty() { Which::New } else { Which::NewAndAppended }
}

/// Whether a file is of the old log: it is of none of these kinds, or of another segment.
fn stays_behind(path: &str, at: i64, index: &str) -> bool {
    let own = [".log", index, &index.replace('.', ".time")].map(|kind| format!("/{at:020}{kind}"));
    let is_file =
        [".log", ".producers", ".index", ".timeindex", ".deleted"].iter().any(|s| path.ends_with(s));
    is_file && !own.iter().any(|own| path.ends_with(own))
}

/// Loses the power after each number of changes; a recovery is stopped on the way, too.
fn cut_short_anywhere(at: i64, seed: u64) -> [usize; 3] {
    let mut seen = [0; 3];
    for step in 0.. {
        let disk = SimDisk::new(seed * 1_000 + step);
        let mut store = old_log(&disk);
        disk.crash_after(step);
        let done = store.run(&mut vec![(Mark(1), restart_at(at)), (Mark(2), then_append(at))]);
        drop(store);
        disk.calm();
        disk.lose_power();
        disk.crash_after(step % 17);
        drop(try_open(&disk, |_| {}));
        disk.calm();
        disk.lose_power();
        let what = format!("at {at}, seed {seed}, stopped after {step} changes");
        let found = which(&disk, at, &what);
        assert_eq!(which(&disk, at, &format!("{what}, found again")), found);
        assert!(done.is_err() || found == Which::NewAndAppended, "{what}: {found:?}");
        seen[found as usize] += 1;
        if done.is_ok() {
            return seen;
        }
    }
    seen
}

#[test]
fn whatever_operation_the_power_goes_at_the_log_is_the_old_one_or_the_new_one() {
    let mut seen = [0; 3];
    for (at, seed) in PLACES.iter().flat_map(|at| (0..12).map(move |seed| (*at, seed))) {
        let one = cut_short_anywhere(at, seed);
        (0..3).for_each(|i| seen[i] += one[i]);
    }
    assert!(seen.iter().all(|n| *n > 50), "{seen:?}");
}

#[test]
fn a_log_without_any_file_begins_where_it_is_told_to() {
    for step in 0.. {
        let disk = SimDisk::new(step);
        let (mut store, _) = open(&disk);
        run(&mut store, vec![create(LOG)]);
        disk.crash_after(step);
        let done = store.run(&mut vec![(Mark(1), restart_at(20)), (Mark(2), then_append(20))]);
        drop(store);
        disk.calm();
        disk.lose_power();
        let (_, found) = open(&disk);
        let spans: Vec<(i64, i64)> = found.logs.iter().map(|l| (l.start.0, l.end.0)).collect();
        assert!([&[][..], &[(20, 20)], &[(20, 21)]].contains(&&spans[..]), "{step}: {spans:?}");
        if done.is_ok() {
            assert_eq!(spans, [(20, 21)]);
            return;
        }
    }
}

#[test]
fn without_room_it_is_refused_until_a_truncation_tries_again_and_meanwhile_nothing_is_appended() {
    for (at, room) in PLACES.iter().flat_map(|at| (0..40).map(move |room| (*at, room * 20))) {
        let disk = SimDisk::new(7);
        let mut store = old_log(&disk);
        disk.set_room(Some(disk.used() + room));
        let trim = StoreOp::Trim { log: LOG, start: Offset(at + 1) };
        let stored = run(&mut store, vec![restart_at(at), then_append(at), trim]);
        let refused = !stored.failed.is_empty();
        assert!(stored.failed.iter().all(|f| f.full && f.log == LOG), "{stored:?}");
        // A start in between finds one or the other, and goes on.
        let found = which(&disk.fork(), at, &format!("at {at}, with room for {room} bytes"));
        assert!(refused || found == Which::NewAndAppended, "{found:?}");
        if refused {
            disk.set_room(None);
            run(&mut store, vec![StoreOp::Checkpoint { clean: false }]);
            let late = run(&mut store, vec![then_append(at)]);
            assert!(!late.failed.is_empty(), "it was on its way before the truncation");
            let again = StoreOp::Truncate { log: LOG, to: Offset(at) };
            assert_eq!(run(&mut store, vec![again, then_append(at)]).failed, []);
        }
        drop(store);
        disk.lose_power();
        assert_eq!(which(&disk, at, "with room again"), Which::NewAndAppended);
    }
}

#[test]
fn what_had_no_room_in_the_old_log_is_no_failure_of_the_new_one() {
    for begins_anew in [false, true] {
        let disk = SimDisk::new(3);
        let mut store = old_log(&disk);
        disk.set_room(Some(disk.used() + 2_000));
        let batches = (8..12).map(|at| batch(at, &[at], 1_000)).collect();
        let large = StoreOp::Append { log: LOG, batches, roll: false };
        let rolled = StoreOp::Append { log: LOG, batches: vec![batch(12, &[12], 10)], roll: true };
        let mut round = vec![large, rolled];
        if begins_anew {
            round.extend([restart_at(20), then_append(20)]);
        }
        assert_eq!(run(&mut store, round).failed.is_empty(), begins_anew);
        drop(store);
        disk.lose_power();
        let wanted = if begins_anew { Which::NewAndAppended } else { Which::Old };
        assert_eq!(which(&disk, 20, "in one round"), wanted);
    }
}

#[test]
fn a_start_without_room_finds_the_new_log_and_loses_nothing_that_it_says_is_stored() {
    let mut refused = 0;
    for step in 0..40 {
        let disk = SimDisk::new(step);
        let mut store = old_log(&disk);
        disk.crash_after(step);
        let _ = store.run(&mut vec![(Mark(1), restart_at(20))]);
        drop(store);
        disk.calm();
        disk.lose_power();
        if which(&disk.fork(), 20, "a look") != Which::New {
            continue;
        }
        disk.set_room(Some(0));
        let (mut store, _) = open(&disk);
        disk.set_room(None);
        let stored = run(&mut store, vec![then_append(20)]);
        if !stored.failed.is_empty() {
            refused += 1;
            run(&mut store, vec![StoreOp::Checkpoint { clean: false }]);
            let late = run(&mut store, vec![then_append(20)]);
            assert!(!late.failed.is_empty(), "it was on its way before the truncation");
            let again = StoreOp::Truncate { log: LOG, to: Offset(20) };
            assert!(run(&mut store, vec![again, then_append(20)]).failed.is_empty());
        }
        drop(store);
        disk.lose_power();
        assert_eq!(which(&disk, 20, &format!("step {step}")), Which::NewAndAppended);
    }
    assert!(refused > 0);
}

#[test]
fn a_reader_of_the_old_log_finds_it_gone_and_what_it_has_kept_does_not_stand() {
    let disk = SimDisk::new(1);
    let mut store = old_log(&disk);
    let reader = store.reader();
    let kept = reader.stretch(all(4, 8)).expect("there");
    run(&mut store, vec![restart_at(4), then_append(4)]);
    assert!(!reader.stands(&kept));
    assert!(matches!(reader.read(all(3, 4)), Err(ReadError::Gone(_))));
    let read = reader.batches(all(4, 5)).expect("there");
    assert_eq!(bytes_of(&read), [batch_of_epoch(4).to_bytes()]);
    run(&mut store, vec![StoreOp::Checkpoint { clean: true }]);
    drop(store);
    disk.restart();
    assert_eq!(which(&disk, 4, "after an orderly stop"), Which::NewAndAppended);
}
