//! Makes many files and directories durable at once: a few parked threads, since one sync after the other pays the disk's
//! latency for each.
//!
//! Syncs that are under way together share the file system's commit; measured, 16 files take about as long as one.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use quipu_core::disk::DiskResult;

use super::{RealFile, sync_directory};

/// Threads at most, with the caller's: as many syncs are under way at once.
const AT_ONCE: usize = 16;
/// A thread that calls `fdatasync` needs no more stack than this.
const STACK_BYTES: usize = 64 * 1024;

/// The threads, made when they are first needed; they end when the pool is dropped.
#[derive(Default)]
pub(super) struct SyncPool {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    closed: bool,
}

/// What is to be made durable.
pub(super) enum Target {
    /// Contents and length of a file.
    File(RealFile),
    /// The entries of a directory.
    Directory(PathBuf),
}

/// One of a round.
struct Job {
    target: Target,
    round: Arc<Round>,
}

/// What was asked for together.
struct Round {
    left: Mutex<Left>,
    done: Condvar,
}

struct Left {
    missing: usize,
    /// Of those done so far: the first failure.
    answer: DiskResult<()>,
}

impl SyncPool {
    /// Makes all of them durable.
    pub(super) fn sync_all(&self, targets: impl Iterator<Item = Target>) -> DiskResult<()> {
        let mut targets = targets.peekable();
        let Some(first) = targets.next() else { return Ok(()) };
        if targets.peek().is_none() {
            return first.sync();
        }
        let rest: Vec<Target> = targets.collect();
        let left = Left { missing: rest.len() + 1, answer: Ok(()) };
        let round = Arc::new(Round { left: Mutex::new(left), done: Condvar::new() });
        self.enqueue(rest, &round);
        // The caller begins at once, while the others wake up. Where no other can be had it does all the work.
        Job { target: first, round: round.clone() }.run();
        while let Some(job) = self.shared.next() {
            job.run();
        }
        round.wait()
    }

    fn enqueue(&self, targets: Vec<Target>, round: &Arc<Round>) {
        let count = targets.len();
        let mut queue = locked(&self.shared.queue);
        queue.jobs.extend(targets.into_iter().map(|target| Job { target, round: round.clone() }));
        let wanted = queue.jobs.len().min(AT_ONCE - 1);
        while queue.threads < wanted && self.spawn() {
            queue.threads += 1;
        }
        let wake = count.min(queue.threads);
        drop(queue);
        // Not all of them: each that wakes for nothing is in the way of one that has something to do.
        (0..wake).for_each(|_| self.shared.work.notify_one());
    }

    /// Whether there is one thread more. Where the system gives none, the others do its work.
    fn spawn(&self) -> bool {
        let shared = self.shared.clone();
        let thread = thread::Builder::new().name("sync".to_string()).stack_size(STACK_BYTES);
        thread.spawn(move || shared.serve()).is_ok()
    }
}

impl Drop for SyncPool {
    fn drop(&mut self) {
        locked(&self.shared.queue).closed = true;
        self.shared.work.notify_all();
    }
}

impl Shared {
    fn next(&self) -> Option<Job> {
        locked(&self.queue).jobs.pop_front()
    }

    fn serve(&self) {
        let mut queue = locked(&self.queue);
        while !queue.closed {
            match queue.jobs.pop_front() {
                Some(job) => {
                    drop(queue);
                    job.run();
                    queue = locked(&self.queue);
                }
                None => queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Target {
    fn sync(&self) -> DiskResult<()> {
        match self {
            Target::File(file) => file.sync(),
            Target::Directory(path) => sync_directory(path),
        }
    }
}

impl Job {
    fn run(self) {
        let answer = self.target.sync();
        let mut left = locked(&self.round.left);
        if left.answer.is_ok() {
            left.answer = answer;
        }
        left.missing -= 1;
        if left.missing == 0 {
            self.round.done.notify_all();
        }
    }
}

impl Round {
    fn wait(&self) -> DiskResult<()> {
        let left = locked(&self.left);
        let left =
            self.done.wait_while(left, |left| left.missing > 0).unwrap_or_else(PoisonError::into_inner);
        left.answer.clone()
    }
}

/// A thread that panicked holds no half-done state here: the queue and the answers change in one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
