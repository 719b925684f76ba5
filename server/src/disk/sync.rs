//! Makes many files durable at once: a few parked threads, since one sync after the other pays the disk's latency for each.
//!
//! Syncs that are under way together share the file system's commit; measured, 16 files take about as long as one.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use quipu_core::disk::DiskResult;

use super::RealFile;

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

/// One file of a round.
struct Job {
    file: RealFile,
    index: usize,
    round: Arc<Round>,
}

/// The files that were asked for together.
struct Round {
    left: Mutex<Left>,
    done: Condvar,
}

struct Left {
    answers: Vec<Option<DiskResult<()>>>,
    missing: usize,
}

impl SyncPool {
    /// Makes all files durable; one answer a file, in order.
    pub(super) fn sync_all(&self, files: &[RealFile]) -> Vec<DiskResult<()>> {
        let left = Left { answers: vec![None; files.len()], missing: files.len() };
        let round = Arc::new(Round { left: Mutex::new(left), done: Condvar::new() });
        self.enqueue(files, &round);
        // The caller is one of the threads, and the only one where no other can be had.
        while let Some(job) = self.shared.next() {
            job.run();
        }
        round.wait()
    }

    fn enqueue(&self, files: &[RealFile], round: &Arc<Round>) {
        if files.is_empty() {
            return;
        }
        let mut queue = locked(&self.shared.queue);
        let jobs = files.iter().enumerate();
        queue.jobs.extend(jobs.map(|(index, file)| Job { file: file.clone(), index, round: round.clone() }));
        let wanted = (queue.jobs.len() - 1).min(AT_ONCE - 1);
        while queue.threads < wanted && self.spawn() {
            queue.threads += 1;
        }
        drop(queue);
        self.shared.work.notify_all();
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

impl Job {
    fn run(self) {
        let answer = self.file.sync();
        let mut left = locked(&self.round.left);
        left.answers[self.index] = Some(answer);
        left.missing -= 1;
        if left.missing == 0 {
            self.round.done.notify_all();
        }
    }
}

impl Round {
    fn wait(&self) -> Vec<DiskResult<()>> {
        let left = locked(&self.left);
        let mut left =
            self.done.wait_while(left, |left| left.missing > 0).unwrap_or_else(PoisonError::into_inner);
        left.answers.drain(..).map(|answer| answer.expect("every file of a round is answered")).collect()
    }
}

/// A thread that panicked holds no half-done state here: the queue and the answers change in one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
