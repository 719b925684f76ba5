//! A stretch that was read and kept: whether it is still what the log has there.

use super::*;

/// Ten batches, the last four in a segment of their own.
fn two_segments(disk: &SimDisk) -> Store<SimDisk> {
    let mut store = filled(disk, 6);
    for at in 6..10 {
        run(
            &mut store,
            vec![StoreOp::Append { log: LOG, batches: vec![batch(at, &[at], 100)], roll: at == 6 }],
        );
    }
    store
}

#[test]
fn a_stretch_says_where_it_ends_and_stands_while_the_log_only_grows() {
    let disk = SimDisk::new(1);
    let mut store = two_segments(&disk);
    let reader = store.reader();
    let [first, both, nothing] =
        [all(2, 5), all(4, 9), all(10, 10)].map(|range| reader.stretch(range).unwrap());
    assert_eq!([first.next, both.next, nothing.next], [5, 9, 10].map(Offset));
    assert_eq!(first.chunks, reader.read(all(2, 5)).unwrap());
    run(&mut store, vec![append(10, 100)]);
    run(&mut store, vec![StoreOp::Append { log: LOG, batches: vec![batch(11, &[11], 100)], roll: true }]);
    run(&mut store, vec![StoreOp::Checkpoint { clean: false }]);
    assert!(reader.stands(&first) && reader.stands(&both) && reader.stands(&nothing));
}

#[test]
fn a_stretch_does_not_stand_once_a_segment_of_it_was_cut_even_when_it_has_grown_again() {
    let disk = SimDisk::new(1);
    let mut store = two_segments(&disk);
    let reader = store.reader();
    let [first, both] = [all(2, 5), all(4, 9)].map(|range| reader.stretch(range).unwrap());
    run(&mut store, vec![StoreOp::Truncate { log: LOG, to: Offset(8) }]);
    assert!(reader.stands(&first), "its segment is as it was");
    assert!(!reader.stands(&both));
    // The same offsets at the same bytes, by another leader.
    let mut other = batch(8, &[8], 100);
    other.stamp(Offset(8), LeaderEpoch(1));
    run(&mut store, vec![StoreOp::Append { log: LOG, batches: vec![other], roll: false }]);
    assert!(!reader.stands(&both));
    assert_ne!(reader.stretch(all(4, 9)).unwrap().chunks, both.chunks);
}

#[test]
fn a_stretch_does_not_stand_once_the_log_begins_after_it_or_is_gone() {
    let disk = SimDisk::new(1);
    let mut store = two_segments(&disk);
    let reader = store.reader();
    let [first, both, last] = [all(2, 5), all(4, 9), all(7, 9)].map(|range| reader.stretch(range).unwrap());
    run(&mut store, vec![StoreOp::Trim { log: LOG, start: Offset(3) }]);
    assert!(!reader.stands(&first), "the log begins within it");
    assert!(reader.stands(&both));
    run(&mut store, vec![StoreOp::Trim { log: LOG, start: Offset(6) }]);
    assert!(!reader.stands(&both));
    assert!(reader.stands(&last));
    run(&mut store, vec![StoreOp::Remove { log: LOG }]);
    assert!(!reader.stands(&last));
    run(&mut store, vec![create(LOG)]);
    assert!(!reader.stands(&last), "a log with the same name is another one");
}
