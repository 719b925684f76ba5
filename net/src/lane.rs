//! The lane of a log directory: what the machine wants done on disk, in order, and everything that gathered in one round.

use std::io;
use std::mem;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use quipu_core::broker::door::Input;
use quipu_core::disk::Disk;
use quipu_core::ids::{LaneId, Mark};
use quipu_core::storage::ops::StoreOp;
use quipu_core::storage::store::Store;

use crate::driver::Driver;
use crate::pace::Pace;
use crate::rt::{self, Bell, Notify};
use crate::stats::add;

/// What an operation counts beside its batches.
const OPERATION_BYTES: usize = 64;

/// The queue between the machine and the worker of a log directory.
#[derive(Debug)]
pub(crate) struct Lane {
    id: LaneId,
    queue: Mutex<Queue>,
    bell: Arc<Bell>,
    /// Bytes queued and in the round under way.
    bytes: AtomicUsize,
    limit: usize,
    room: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    ops: Vec<(Mark, StoreOp)>,
    /// Nothing is done any more: the directory is dead or the node has stopped.
    closed: bool,
}

impl Lane {
    pub(crate) fn new(id: LaneId, limit_bytes: usize) -> Lane {
        Lane {
            id,
            queue: Mutex::default(),
            bell: Arc::new(Bell::default()),
            bytes: AtomicUsize::new(0),
            limit: limit_bytes,
            room: Notify::new(),
        }
    }

    /// Takes over operations, in order. Whether the worker must be woken with [`Lane::ring`], which may be done later and
    /// without the lock under which the order was decided.
    #[must_use]
    pub(crate) fn push(&self, ops: &mut Vec<(Mark, StoreOp)>) -> bool {
        let mut queue = self.lock();
        if queue.closed {
            ops.clear();
            return false;
        }
        let was_empty = queue.ops.is_empty();
        self.bytes.fetch_add(ops.iter().map(|(_, op)| weight(op)).sum(), Relaxed);
        queue.ops.append(ops);
        was_empty
    }

    /// Wakes the worker.
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }

    /// Whether so much waits for the disk that nothing more should be read from clients.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.load(Relaxed) >= self.limit
    }

    /// Waits until the lane is not full any more.
    pub(crate) async fn room(&self) {
        while self.is_full() {
            let freed = self.room.notified();
            if !self.is_full() {
                return;
            }
            freed.await;
        }
    }

    /// Ends the worker once its round is done; what is queued then is dropped.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.bytes.store(0, Relaxed);
        self.room.notify_waiters();
        self.ring();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no panic under this lock")
    }

    /// Exchanges what is queued for the empty `ops`.
    fn swap(&self, ops: &mut Vec<(Mark, StoreOp)>) -> ControlFlow<()> {
        assert!(ops.is_empty(), "a round is run to its end");
        let mut queue = self.lock();
        if queue.closed {
            return ControlFlow::Break(());
        }
        mem::swap(&mut queue.ops, ops);
        ControlFlow::Continue(())
    }

    fn release(&self, bytes: usize) {
        let _ = self.bytes.fetch_update(Relaxed, Relaxed, |all| Some(all.saturating_sub(bytes)));
        if !self.is_full() {
            self.room.notify_waiters();
        }
    }
}

/// Starts the worker: it runs rounds and brings what came of them to the machine, until an error or [`Lane::close`].
pub(crate) fn start(driver: &Arc<Driver>, store: Store<impl Disk>) -> io::Result<()> {
    let lane = Arc::clone(driver.lane());
    let bell = Arc::clone(&lane.bell);
    let mut worker =
        Worker { driver: Arc::clone(driver), lane, store, ops: Vec::new(), pace: Pace::default() };
    rt::start_worker("quipu-lane", bell, move || worker.work())
}

struct Worker<D: Disk> {
    driver: Arc<Driver>,
    lane: Arc<Lane>,
    store: Store<D>,
    /// The round under way: its memory and the queue's take turns.
    ops: Vec<(Mark, StoreOp)>,
    pace: Pace,
}

impl<D: Disk> Worker<D> {
    /// Runs rounds until the queue is empty.
    fn work(&mut self) -> ControlFlow<()> {
        loop {
            if let Some(pause) = self.pace.pause(self.lane.bytes.load(Relaxed)) {
                rt::pause(pause);
            }
            self.lane.swap(&mut self.ops)?;
            if self.ops.is_empty() {
                return ControlFlow::Continue(());
            }
            self.round()?;
        }
    }

    fn round(&mut self) -> ControlFlow<()> {
        let bytes = self.ops.iter().map(|(_, op)| weight(op)).sum();
        add(&self.driver.stats().rounds, 1);
        add(&self.driver.stats().stored_ops, self.ops.len());
        let clock = &self.driver.shell.clock;
        let begun = clock.mono();
        let result = self.store.run(&mut self.ops);
        self.pace.done(bytes, clock.mono().since(begun));
        self.lane.release(bytes);
        let dead = result.is_err();
        if dead {
            // Nothing after a failed sync can be trusted: this is the last that is heard of the directory.
            self.lane.close();
        }
        self.driver.drive([Input::Stored { lane: self.lane.id, result }]);
        if dead { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn weight(op: &StoreOp) -> usize {
    let batches = match op {
        StoreOp::Append { batches, .. } => batches.iter().map(|batch| batch.size()).sum(),
        StoreOp::Snapshot { bytes, .. } => bytes.len(),
        StoreOp::Create { .. }
        | StoreOp::Truncate { .. }
        | StoreOp::Restart { .. }
        | StoreOp::Trim { .. }
        | StoreOp::Remove { .. }
        | StoreOp::Producers { .. }
        | StoreOp::Election { .. }
        | StoreOp::Checkpoint { .. } => 0,
    };
    OPERATION_BYTES + batches
}
