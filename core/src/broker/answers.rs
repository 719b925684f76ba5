//! Answers that wait: for several partitions to commit, for the disk, or for their time to run out.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::door::Caller;
use crate::ids::ConnId;
use crate::time::Instant;
use crate::wire::Response;

/// Names an answer that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AnswerId(u64);

/// One thing that an answer waits for: which answer, and which of its topics and partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The answer.
    pub(crate) answer: AnswerId,
    /// Index of the topic in the response, where it has topics.
    pub(crate) topic: usize,
    /// Index of the partition in the topic.
    pub(crate) partition: usize,
}

/// An answer that is ready but for what it waits for.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Whom it goes to.
    pub(crate) to: Caller,
    /// What it says when all goes well; parts that fail are written into it.
    pub(crate) response: Response,
    /// Parts still missing.
    outstanding: usize,
    deadline: Option<Instant>,
}

/// All answers that wait.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    next: u64,
    pending: BTreeMap<AnswerId, Pending>,
    deadlines: BTreeSet<(Instant, AnswerId)>,
}

impl Answers {
    /// Names an answer before its parts are known.
    pub(crate) fn reserve(&mut self) -> AnswerId {
        self.next += 1;
        AnswerId(self.next)
    }

    /// Lets an answer wait for so many parts, until the deadline at most.
    pub(crate) fn wait(
        &mut self,
        id: AnswerId,
        to: Caller,
        response: Response,
        parts: usize,
        deadline: Option<Instant>,
    ) {
        assert!(parts > 0, "an answer that waits for nothing");
        if let Some(at) = deadline {
            self.deadlines.insert((at, id));
        }
        self.pending.insert(id, Pending { to, response, outstanding: parts, deadline });
    }

    /// One part has come. Answers the whole when it was the last one.
    pub(crate) fn part_done(&mut self, id: AnswerId) -> Option<Pending> {
        let pending = self.pending.get_mut(&id)?;
        pending.outstanding -= 1;
        if pending.outstanding > 0 { None } else { self.take(id) }
    }

    /// The answer, to write a part of it that failed. `None` once it was given.
    pub(crate) fn get_mut(&mut self, id: AnswerId) -> Option<&mut Pending> {
        self.pending.get_mut(&id)
    }

    /// Takes an answer whatever it still waits for.
    pub(crate) fn take(&mut self, id: AnswerId) -> Option<Pending> {
        let pending = self.pending.remove(&id)?;
        if let Some(at) = pending.deadline {
            self.deadlines.remove(&(at, id));
        }
        Some(pending)
    }

    /// Takes an answer whose time has run out.
    pub(crate) fn expired(&mut self, now: Instant) -> Option<Pending> {
        let (at, id) = *self.deadlines.first()?;
        if at > now { None } else { self.take(id) }
    }

    /// When the next time runs out.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Forgets the answers of a connection that is gone.
    pub(crate) fn gone(&mut self, conn: ConnId) {
        let its: Vec<AnswerId> =
            self.pending.iter().filter(|(_, p)| p.to.conn == conn).map(|(id, _)| *id).collect();
        its.into_iter().for_each(|id| drop(self.take(id)));
    }
}
