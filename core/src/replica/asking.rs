//! The follower's end of a link: the one fetch that it has under way at a leader, over all partitions that it follows there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::{BrokerId, LogId};
use crate::replica::messages::{
    Incarnation, OnDisk, PartitionAnswer, Position, ReplicaAnswer, ReplicaFetch, ReplicaFlushed,
};
use crate::time::Instant;

/// What a follower asks one leader. Kept for the whole run of the broker, even while it follows nothing there: the numbers of its
/// fetches must not come twice.
///
/// Only what has moved is said again, on top of a fetch whose answer has come. When in doubt, after a silence, a lost connection or
/// a new partition, everything is.
#[derive(Clone, Debug)]
pub struct Asking {
    leader: BrokerId,
    incarnation: Incarnation,
    limits: Limits,
    /// What is followed there, and the position that the leader was told.
    followed: BTreeMap<LogId, Option<Position>>,
    changed: BTreeSet<LogId>,
    gone: BTreeSet<LogId>,
    last: u64,
    /// The last fetch that was answered, if positions of it still hold.
    amends: Option<u64>,
    under_way: Option<(u64, Instant)>,
}

/// No fetch has this number.
const NONE: u64 = 0;

/// How much is asked for, and how long it is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long an answer is waited for before everything is asked anew (`replica.socket.timeout.ms`). Longer than the leader parks.
    pub patience: Duration,
    /// How long it rests when the leader cannot use all that it was told (`replica.fetch.backoff.ms`).
    pub backoff: Duration,
    /// Record bytes in one answer (`replica.fetch.response.max.bytes`).
    pub max_bytes: u32,
}

impl Asking {
    /// Nothing is followed there yet.
    pub fn new(leader: BrokerId, incarnation: Incarnation, limits: Limits) -> Asking {
        Asking {
            leader,
            incarnation,
            limits,
            followed: BTreeMap::new(),
            changed: BTreeSet::new(),
            gone: BTreeSet::new(),
            last: NONE,
            amends: None,
            under_way: None,
        }
    }

    /// A partition is followed there from now on, or in a new epoch. The fetch under way is given up for one that has it.
    pub fn follow(&mut self, log: LogId) {
        self.followed.insert(log, None);
        self.gone.remove(&log);
        self.start_over();
    }

    /// A partition is followed there no more. What an answer says of it is dropped.
    pub fn unfollow(&mut self, log: LogId) {
        if self.followed.remove(&log).is_some() {
            self.gone.insert(log);
            self.changed.remove(&log);
        }
    }

    /// The log of a partition has changed, or how far its disk is.
    pub fn changed(&mut self, log: LogId) {
        if self.followed.contains_key(&log) {
            self.changed.insert(log);
        }
    }

    /// The connection to the leader is gone: what is under way will not be answered.
    pub fn disconnected(&mut self) {
        self.start_over();
    }

    fn start_over(&mut self) {
        (self.under_way, self.amends) = (None, None);
    }

    /// The next fetch, if it is time for one. `position` answers where a partition is, `None` if it cannot be followed now.
    pub fn ask(
        &mut self,
        now: Instant,
        mut position: impl FnMut(LogId) -> Option<Position>,
    ) -> Option<ReplicaFetch> {
        if self.under_way.is_some_and(|(_, until)| until <= now) {
            self.start_over();
        }
        let nothing = self.followed.is_empty() && self.gone.is_empty();
        if self.under_way.is_some() || nothing {
            return None;
        }
        let partitions = self.positions(&mut position);
        self.last += 1;
        self.under_way = Some((self.last, now + self.limits.patience));
        Some(ReplicaFetch {
            correlation: self.last,
            incarnation: self.incarnation,
            amends: self.amends,
            partitions,
            gone: std::mem::take(&mut self.gone).into_iter().collect(),
            max_bytes: self.limits.max_bytes,
        })
    }

    /// What has to be said: what has moved since the fetch that is amended, or everything.
    fn positions(&mut self, position: &mut impl FnMut(LogId) -> Option<Position>) -> Vec<(LogId, Position)> {
        let asked: Vec<LogId> = match self.amends {
            Some(_) => std::mem::take(&mut self.changed).into_iter().collect(),
            None => self.followed.keys().copied().collect(),
        };
        self.changed.clear();
        let mut partitions = Vec::new();
        for log in asked {
            let told = self.followed.get_mut(&log).expect("what changes is followed");
            match position(log) {
                Some(at) if self.amends.is_some() && *told == Some(at) => {}
                Some(at) => {
                    *told = Some(at);
                    partitions.push((log, at));
                }
                None => {
                    if told.take().is_some() {
                        self.gone.insert(log);
                    }
                }
            }
        }
        partitions
    }

    /// What an answer says of the partitions that are followed there. Nothing, if it is not the awaited one: any other may be an old
    /// one, about logs that were others then.
    pub fn take<R>(
        &mut self,
        now: Instant,
        from: BrokerId,
        answer: ReplicaAnswer<R>,
    ) -> Vec<(LogId, PartitionAnswer<R>)> {
        let awaited =
            self.under_way.is_some_and(|(number, _)| number != NONE && number == answer.correlation);
        if from != self.leader || answer.incarnation != self.incarnation || !awaited {
            return Vec::new();
        }
        if answer.resync {
            // A fetch that said everything is of no use before the leader has heard more: it does not know this run yet.
            let rests = self.amends.is_none().then(|| (NONE, now + self.limits.backoff));
            (self.under_way, self.amends) = (rests, None);
            return Vec::new();
        }
        (self.under_way, self.amends) = (None, Some(answer.correlation));
        let ours = answer.partitions.into_iter().filter(|(log, _)| self.followed.contains_key(log));
        let ours: Vec<_> = ours.collect();
        self.changed.extend(ours.iter().map(|(log, _)| *log));
        ours
    }

    /// What the leader is told at once of disks that have come further, and of log starts that are durable, while a fetch is under way; otherwise the next one says it.
    /// That it arrives is not needed: the next fetch says it again. `flushed` answers for a partition what is new, if anything
    /// is ([`crate::replica::following::Following::flushed`]).
    pub fn tell(&self, mut flushed: impl FnMut(LogId) -> Option<OnDisk>) -> Option<ReplicaFlushed> {
        self.under_way?;
        let logs: Vec<OnDisk> = self.changed.iter().filter_map(|log| flushed(*log)).collect();
        (!logs.is_empty()).then_some(ReplicaFlushed { incarnation: self.incarnation, logs })
    }

    /// When [`Asking::ask`] is wanted next, if nothing comes before.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.under_way.map(|(_, until)| until)
    }

    /// Whom it asks.
    pub fn leader(&self) -> BrokerId {
        self.leader
    }

    /// The partitions that are followed there.
    pub fn followed(&self) -> impl Iterator<Item = LogId> + '_ {
        self.followed.keys().copied()
    }
}
