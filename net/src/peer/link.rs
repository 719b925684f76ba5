//! The link to one other broker as everybody sees it: what waits for it, whether it is up, its end.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use quipu_core::ids::BrokerId;
use quipu_core::time::Instant;

use crate::peer::queue::{Queue, Taken};
use crate::rt::Notify;

/// A link. Its dialer task has it, and the list of links while it is wanted.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) to: BrokerId,
    /// Where that broker is, as `host:port`.
    pub(super) address: String,
    state: Mutex<State>,
    /// Rings for the dialer when something has been queued.
    queued: Notify,
    /// Rings for the dialer when the link is no longer wanted.
    pub(super) end: Notify,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    is_up: bool,
    /// Whether the dialer is writing what it has taken.
    is_writing: bool,
    trouble: Option<String>,
    dropped: u64,
}

/// How the link to one other broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// Whether that broker listens.
    pub is_up: bool,
    /// Why it does not, by the last attempt.
    pub trouble: Option<String>,
    /// Messages that wait.
    pub waiting: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
    /// Messages that were dropped, since there were too many or they had waited for too long.
    pub dropped: u64,
}

impl Link {
    pub(super) fn new(to: BrokerId, address: String, queue: Queue) -> Link {
        let state = State { queue, is_up: false, is_writing: false, trouble: None, dropped: 0 };
        Link { to, address, state: Mutex::new(state), queued: Notify::new(), end: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }

    /// Puts a message behind the others: how many of the oldest had to go.
    pub(super) fn push(&self, pieces: Vec<Bytes>, now: Instant) -> usize {
        let mut state = self.state();
        let dropped = state.queue.push(pieces, now);
        state.dropped += dropped as u64;
        drop(state);
        self.queued.notify_one();
        dropped
    }

    /// See [`Queue::take`].
    pub(super) fn take(&self, into: &mut VecDeque<Bytes>, now: Instant) -> Taken {
        let mut state = self.state();
        let taken = state.queue.take(into, now);
        state.is_writing = taken.messages > 0;
        state.dropped += taken.dropped as u64;
        taken
    }

    /// Whether something is on its way to the system: the link is up, and not everything has been written.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state();
        state.is_up && (state.is_writing || state.queue.waiting().0 > 0)
    }

    /// Everything that waits, for another link to take over.
    pub(super) fn take_queue(&self) -> Queue {
        self.state().queue.take_over()
    }

    /// For the dialer: waits until something may have been queued since this was last waited for.
    pub(super) async fn queued(&self) {
        self.queued.notified().await;
    }

    pub(super) fn is_up(&self) {
        let mut state = self.state();
        (state.is_up, state.trouble) = (true, None);
    }

    pub(super) fn is_down(&self, why: &str) {
        let mut state = self.state();
        (state.is_up, state.trouble) = (false, Some(why.to_owned()));
    }

    pub(super) fn status(&self) -> LinkStatus {
        let state = self.state();
        let (waiting, waiting_bytes) = state.queue.waiting();
        LinkStatus {
            is_up: state.is_up,
            trouble: state.trouble.clone(),
            waiting,
            waiting_bytes,
            dropped: state.dropped,
        }
    }
}
