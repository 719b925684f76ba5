//! How far a follower has come, and since when it lags: what decides whether it is in sync.

use std::time::Duration;

use crate::ids::Offset;
use crate::replica::messages::{Incarnation, Position};
use crate::time::Instant;

/// How far one thing of a follower has come, its log or its disk, and when it had last all that there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    at: Offset,
    caught_up: Option<Instant>,
    /// The leader's log end at some moment: once this is reached, it had everything of that moment.
    mark: (Offset, Instant),
}

impl Pace {
    fn new(now: Instant, at: Offset, end: Offset, caught_up: Option<Instant>) -> Pace {
        let caught_up = if at >= end { Some(now) } else { caught_up };
        Pace { at, caught_up, mark: (end, now) }
    }

    /// It is there, while the leader's log ends at `end`.
    fn reached(&mut self, now: Instant, at: Offset, end: Offset) {
        self.at = at;
        if at >= end {
            (self.caught_up, self.mark) = (Some(now), (end, now));
        } else if at >= self.mark.0 {
            (self.caught_up, self.mark) = (self.caught_up.max(Some(self.mark.1)), (end, now));
        }
    }

    /// The leader appends to a log that has ended at `before`: who had that much has had everything until now.
    fn appended(&mut self, now: Instant, before: Offset) {
        if self.at >= before {
            self.caught_up = Some(now);
        }
    }

    /// How far it is.
    pub fn at(&self) -> Offset {
        self.at
    }

    /// When it had last all that there was (Kafka: `lastCaughtUpTimeMs`).
    pub fn caught_up(&self) -> Option<Instant> {
        self.caught_up
    }

    /// Whether it has everything, or had within `lag_max` (Kafka: `ReplicaState.isCaughtUp`).
    fn keeps_up(&self, now: Instant, end: Offset, lag_max: Duration) -> bool {
        self.at >= end || self.caught_up.is_some_and(|then| now.since(then) <= lag_max)
    }
}

/// What a leader knows of a follower, all of it said in the leader's epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    incarnation: Incarnation,
    fetched: Instant,
    records: Pace,
    disk: Pace,
    /// The log start that is durable there.
    start: Offset,
}

impl Progress {
    /// The first fetch of a run. `caught_up` is when this follower is known to have had everything.
    pub(super) fn new(
        now: Instant,
        by: Incarnation,
        at: &Position,
        end: Offset,
        caught_up: Option<Instant>,
    ) -> Progress {
        let flushed = at.flushed.min(at.tip.end);
        Progress {
            incarnation: by,
            fetched: now,
            records: Pace::new(now, at.tip.end, end, caught_up),
            disk: Pace::new(now, flushed, end, caught_up),
            start: at.start,
        }
    }

    /// It has fetched, while the leader's log ends at `end` (Kafka: `Replica.updateFetchStateOrThrow`).
    ///
    /// Its log is measured as Kafka does, at each fetch by the leader's end at the one before. Its disk cannot be: under a steady
    /// load a sync comes many fetches later. So there a mark stays until it is reached.
    pub(super) fn fetched(&mut self, now: Instant, at: &Position, end: Offset) {
        self.fetched = now;
        self.records.reached(now, at.tip.end, end);
        self.records.mark = (end, now);
        self.flushed(now, at.flushed, end);
        self.start_kept(at.start);
    }

    /// That log start is durable there. One that was said to be stays so.
    pub(super) fn start_kept(&mut self, start: Offset) {
        self.start = self.start.max(start);
    }

    /// Its disk is there. What it has not said it has does not count, and what is on disk stays.
    pub(super) fn flushed(&mut self, now: Instant, to: Offset, end: Offset) {
        let to = to.min(self.records.at).max(self.disk.at);
        self.disk.reached(now, to, end);
    }

    /// The leader appends to a log that has ended at `before`.
    pub(super) fn appended(&mut self, now: Instant, before: Offset) {
        self.records.appended(now, before);
        self.disk.appended(now, before);
    }

    /// The run of the follower that this is about.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// When it fetched last.
    pub fn last_fetch(&self) -> Instant {
        self.fetched
    }

    /// Its log.
    pub fn records(&self) -> &Pace {
        &self.records
    }

    /// Its disk.
    pub fn disk(&self) -> &Pace {
        &self.disk
    }

    /// The log start that is durable there, as far as it has said.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// Whether it keeps up, with its log and with its disk: one whose disk has stalled has to leave the in-sync replicas,
    /// or the high watermark would wait for it for ever (`replica.lag.time.max.ms`).
    pub fn keeps_up(&self, now: Instant, end: Offset, lag_max: Duration) -> bool {
        self.records.keeps_up(now, end, lag_max) && self.disk.keeps_up(now, end, lag_max)
    }

    /// When it was last known to have everything, on disk.
    pub(super) fn had_everything(&self) -> Option<Instant> {
        self.disk.caught_up
    }
}
