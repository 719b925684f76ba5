//! What a broker keeps about the other replicas of its partitions: whom it asks, who asks it, and what is still to be looked at.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::throttle::Throttle;
use crate::config::ClusterConfig;
use crate::ids::{BrokerId, LogId};
use crate::peer::message::Carried;
use crate::replica::asking::{Asking, Limits};
use crate::replica::isr::Proposal;
use crate::replica::messages::{Incarnation, ReplicaAnswer};
use crate::replica::serving::Serving;
use crate::time::Instant;

/// An answer to a follower whose records are still being read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) to: BrokerId,
    pub(super) answer: ReplicaAnswer<Carried>,
    pub(super) outstanding: usize,
    /// Bytes that count as used of the leader's quota, by partition: what is read may be less.
    pub(super) reserved: BTreeMap<LogId, usize>,
}

/// Both ends of replication.
#[derive(Debug)]
pub(super) struct Replication {
    limits: Limits,
    /// The fetch under way at each leader, kept for the whole run: the numbers of its fetches must not come twice.
    pub(super) asking: BTreeMap<BrokerId, Asking>,
    /// The fetches of followers that are parked here.
    pub(super) serving: Serving,
    pub(super) throttle: Throttle,
    /// The partitions led here in which something may have come of what was heard.
    touched: BTreeSet<LogId>,
    /// What is to be proposed to the active controller.
    pub(super) proposals: Vec<(LogId, Proposal)>,
    next: u64,
    readings: BTreeMap<u64, Reading>,
    /// Logs followed here that found no room: where, and when that is tried again.
    without_room: BTreeMap<LogId, (BrokerId, Instant)>,
}

impl Replication {
    /// Nobody is asked yet, and nobody asks.
    pub(super) fn new(config: &ClusterConfig) -> Replication {
        let limits = Limits {
            patience: config.fetch_patience,
            backoff: config.fetch_backoff,
            max_bytes: config.fetch_bytes,
        };
        Replication {
            limits,
            asking: BTreeMap::new(),
            serving: Serving::new(config.fetch_wait),
            throttle: Throttle::new(config),
            touched: BTreeSet::new(),
            proposals: Vec::new(),
            next: 0,
            readings: BTreeMap::new(),
            without_room: BTreeMap::new(),
        }
    }

    /// What was fetched of a log found no room here. It is asked for again after a while, and not at once: the disk may be full for long.
    pub(super) fn found_no_room(&mut self, now: Instant, leader: BrokerId, log: LogId) {
        self.without_room.insert(log, (leader, now + self.limits.backoff));
    }

    /// Asks again for what had found no room, where the time for it has come.
    pub(super) fn try_for_room(&mut self, now: Instant) {
        let due = self.without_room.extract_if(.., |_, (_, at)| *at <= now);
        for (log, (leader, _)) in due.collect::<Vec<_>>() {
            self.followed_changed(leader, log);
        }
    }

    /// Asks again for what is throttled, once the quota has room.
    pub(super) fn try_for_quota(&mut self, now: Instant) {
        for (log, leader) in self.throttle.rested(now) {
            self.followed_changed(leader, log);
        }
    }

    /// A partition that may be led here is to be looked at before the step ends.
    pub(super) fn touch(&mut self, log: LogId) {
        self.touched.insert(log);
    }

    /// The next partition to be looked at.
    pub(super) fn next_touched(&mut self) -> Option<LogId> {
        self.touched.pop_first()
    }

    /// A partition is followed there from now on.
    pub(super) fn follow(&mut self, leader: BrokerId, run: Incarnation, log: LogId) {
        let limits = self.limits;
        self.asking.entry(leader).or_insert_with(|| Asking::new(leader, run, limits)).follow(log);
    }

    /// This broker goes on as another run: leaders are asked anew for all that is followed.
    pub(super) fn new_run(&mut self, run: Incarnation) {
        for (leader, asking) in &mut self.asking {
            let mut anew = Asking::new(*leader, run, self.limits);
            asking.followed().for_each(|log| anew.follow(log));
            *asking = anew;
        }
    }

    /// A partition is followed there no more.
    pub(super) fn unfollow(&mut self, leader: BrokerId, log: LogId) {
        self.throttle.release(log);
        if let Some(asking) = self.asking.get_mut(&leader) {
            asking.unfollow(log);
        }
    }

    /// A partition that is followed there has changed.
    pub(super) fn followed_changed(&mut self, leader: BrokerId, log: LogId) {
        if let Some(asking) = self.asking.get_mut(&leader) {
            asking.changed(log);
        }
    }

    /// Names an answer whose records are being read.
    pub(super) fn reading(&mut self, reading: Reading) -> u64 {
        self.next += 1;
        self.readings.insert(self.next, reading);
        self.next
    }

    /// Takes out how many bytes of the quota count as used for a partition that is being read.
    pub(super) fn reserved(&mut self, id: u64, log: LogId) -> Option<usize> {
        self.readings.get_mut(&id)?.reserved.remove(&log)
    }

    /// Changes an answer whose records are being read; takes it out once nothing is outstanding.
    pub(super) fn read(
        &mut self,
        id: u64,
        change: impl FnOnce(&mut ReplicaAnswer<Carried>),
    ) -> Option<Reading> {
        let reading = self.readings.get_mut(&id)?;
        change(&mut reading.answer);
        reading.outstanding -= 1;
        if reading.outstanding == 0 { self.readings.remove(&id) } else { None }
    }

    /// When something here has to be done, whatever is heard.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let asked = self.asking.values().filter_map(Asking::next_deadline).min();
        let room = self.without_room.values().map(|(_, at)| *at).min();
        [asked, self.serving.next_deadline(), room, self.throttle.next_deadline()].into_iter().flatten().min()
    }
}
