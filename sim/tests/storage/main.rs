//! The storage over simulated disks: what it makes of faults, of a full disk, and of power loss anywhere.

mod election;
mod faults;
mod full;
mod kept;
mod power_loss;
mod restart;
mod sealed;

use std::cell::Cell;

use bytes::Bytes;
use quipu_core::ids::{LeaderEpoch, LogId, Mark, Offset, TopicId};
use quipu_core::record::{Batch, BatchBuilder, Records};
use quipu_core::storage::ops::{Found, LogRange, Lookup, Recovered, StoreOp, Stored};
use quipu_core::storage::{FreshIdentity, ReadError, Store, StoreOptions};
use quipu_core::time::Timestamp;
use quipu_sim::disk::SimDisk;
use quipu_sim::rng::Rng;

const LOG: LogId = LogId { topic: TopicId([5; 16]), partition: 3 };
const ELECTION: &str = "quorum-state";
const FIRST: &str = "orders-3-BQUFBQUFBQUFBQUFBQUFBQ/00000000000000000000.log";

fn try_open(
    disk: &SimDisk,
    change: impl Fn(&mut StoreOptions),
) -> Result<(Store<SimDisk>, Recovered), String> {
    let fresh =
        FreshIdentity { cluster_id: None, new_cluster_id: "sim".into(), node_id: 1, directory_id: [3; 16] };
    let mut options = StoreOptions { max_open_files: 8, ahead_bytes: 1000, ..StoreOptions::default() };
    change(&mut options);
    Store::open(disk.clone(), options, &fresh, Timestamp(1000)).map_err(|e| e.to_string())
}

fn open(disk: &SimDisk) -> (Store<SimDisk>, Recovered) {
    try_open(disk, |_| {}).expect("starts")
}

fn run(store: &mut Store<SimDisk>, ops: Vec<StoreOp>) -> Stored {
    store.run(&mut ops.into_iter().map(|op| (Mark(1), op)).collect()).expect("the disk works")
}

fn create(log: LogId) -> StoreOp {
    StoreOp::Create { log, name: "orders".into(), index_interval_bytes: 200 }
}

fn batch(at: i64, times: &[i64], bytes: usize) -> Batch {
    let mut builder = BatchBuilder::new();
    times.iter().for_each(|t| builder.push(Timestamp(*t), None, Some(&vec![b'v'; bytes])));
    let mut batch = builder.build();
    batch.stamp(Offset(at), LeaderEpoch(0));
    batch
}

fn append(at: i64, bytes: usize) -> StoreOp {
    StoreOp::Append { log: LOG, batches: vec![batch(at, &[at], bytes)], roll: false }
}

fn all(from: i64, below: i64) -> LogRange {
    LogRange { log: LOG, from: Offset(from), below: Offset(below), max_bytes: 1 << 20, at_least_one: true }
}

/// A log with so many batches of one record.
fn filled(disk: &SimDisk, batches: i64) -> Store<SimDisk> {
    let (mut store, _) = open(disk);
    run(&mut store, vec![create(LOG)]);
    for at in 0..batches {
        run(&mut store, vec![append(at, 100)]);
    }
    store
}
