//! The storage over real files: what a round wrote is found by the next process.

use quipu_core::ids::{LeaderEpoch, LogId, Mark, Offset};
use quipu_core::record::{Batch, BatchBuilder};
use quipu_core::storage::ops::{LogRange, Recovered, StoreOp};
use quipu_core::storage::{FreshIdentity, Store, StoreOptions};
use quipu_core::time::Timestamp;

use super::RealDisk;
use crate::scratch::Scratch;

fn open(scratch: &Scratch) -> (Store<RealDisk>, Recovered) {
    let fresh =
        FreshIdentity { cluster_id: None, new_cluster_id: "c".into(), node_id: 1, directory_id: [7; 16] };
    let disk = RealDisk::new(scratch.path().to_path_buf());
    Store::open(disk, StoreOptions::default(), &fresh, Timestamp(1)).unwrap()
}

fn batch(at: i64, value: &str) -> Batch {
    let mut builder = BatchBuilder::new();
    builder.push(Timestamp(1), None, Some(value.as_bytes()));
    let mut batch = builder.build();
    batch.stamp(Offset(at), LeaderEpoch(0));
    batch
}

fn create_and_append(store: &mut Store<RealDisk>, batches: Vec<Batch>) {
    let create = StoreOp::Create { log: LogId::METADATA, name: "m".into(), index_interval_bytes: 4096 };
    let append = StoreOp::Append { log: LogId::METADATA, batches, roll: false };
    let mut round = vec![(Mark(1), create), (Mark(2), append)];
    let stored = store.run(&mut round).unwrap();
    assert_eq!((stored.done, stored.failed), (Mark(2), vec![]));
}

#[test]
fn what_was_stored_is_found_again_without_an_orderly_stop() {
    let scratch = Scratch::new("storage");
    let (mut store, found) = open(&scratch);
    assert!(found.logs.is_empty() && found.clean);
    create_and_append(&mut store, vec![batch(0, "first"), batch(1, "second")]);
    drop(store);
    let (store, found) = open(&scratch);
    assert!(!found.clean);
    assert_eq!((found.logs[0].start, found.logs[0].end), (Offset(0), Offset(2)));
    let range = LogRange {
        log: LogId::METADATA,
        from: Offset(1),
        below: Offset(2),
        max_bytes: 1 << 20,
        at_least_one: true,
    };
    let read = store.reader().batches(range).unwrap();
    assert_eq!(read.iter().map(|b| b.header().base_offset).collect::<Vec<_>>(), [Offset(1)]);
    assert_eq!(read[0].body(), batch(1, "second").body());
}

#[test]
fn an_orderly_stop_is_found_as_one() {
    let scratch = Scratch::new("storage");
    let (mut store, _) = open(&scratch);
    create_and_append(&mut store, vec![batch(0, "first")]);
    store.run(&mut vec![(Mark(3), StoreOp::Checkpoint { clean: true })]).unwrap();
    drop(store);
    let (_, found) = open(&scratch);
    assert!(found.clean);
    assert_eq!(found.logs[0].end, Offset(1));
}
