//! How far a node has come, for whoever waits for it.

use std::sync::Mutex;

use crate::rt::Notify;

/// The stages of a node's life, in order: it never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It reads what it needs before it can answer.
    #[default]
    Starting,
    /// It answers clients.
    Ready,
    /// It takes no new connections and finishes what is under way.
    Stopping,
    /// The log directory is dead: nothing is acknowledged any more. The process should end.
    Dead,
    /// It has stopped in order: everything is on disk.
    Stopped,
    /// The [`Node`](crate::node::Node) was dropped without having been stopped: the same as a crash.
    Abandoned,
    /// An invariant of the machine broke. The process must end, and the next start recovers.
    Broken,
}

/// The phase of a node, and who waits for it to change.
#[derive(Debug, Default)]
pub(crate) struct Phases {
    now: Mutex<Phase>,
    changed: Notify,
}

impl Phases {
    pub(crate) fn now(&self) -> Phase {
        *self.now.lock().expect("no panic under this lock")
    }

    /// Goes forward to a phase; an earlier one than now changes nothing.
    pub(crate) fn reach(&self, phase: Phase) {
        let mut now = self.now.lock().expect("no panic under this lock");
        *now = phase.max(*now);
        drop(now);
        self.changed.notify_waiters();
    }

    /// Waits until that phase or a later one: which one it is.
    pub(crate) async fn at_least(&self, phase: Phase) -> Phase {
        loop {
            let changed = self.changed.notified();
            let now = self.now();
            if now >= phase {
                return now;
            }
            changed.await;
        }
    }
}
