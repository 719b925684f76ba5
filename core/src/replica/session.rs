//! What a follower has said to a leader and was told, and in which order its partitions are looked at.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::ids::LogId;
use crate::replica::messages::{Incarnation, News, Position, ReplicaFetch};
use crate::replica::serving::{Found, Room, Share};
use crate::time::Instant;

/// A follower's fetch, and all that it amends.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) incarnation: Incarnation,
    pub(super) last: u64,
    /// Until when its fetch is parked, and how many bytes it wants.
    pub(super) parked: Option<(Instant, u32)>,
    pub(super) held: BTreeMap<LogId, Held>,
    /// When it had last a share of the quota, among all followers.
    pub(super) turn: u64,
    /// The partitions in which it is in sync that may have something new, those that were served last at the end: so each has its turn.
    tail: VecDeque<LogId>,
    /// Those in which it is not in sync.
    behind: VecDeque<LogId>,
    /// Which of the two a partition is in: whether it is `tail`.
    queued: BTreeMap<LogId, bool>,
    /// What was looked at for this answer and is to be looked at for the next: what found no room in it, and what had some.
    again: [Vec<LogId>; 2],
    /// Where it was in sync, by all that was said before everything is said anew.
    in_sync: BTreeSet<LogId>,
    /// The partitions whose records wait for the quota, numbered in the order in which they began to wait.
    resting: BTreeMap<LogId, u64>,
    rests: u64,
    /// When the quota has room again, as far as was heard.
    rest_until: Instant,
}

/// What is known of one partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) position: Position,
    pub(super) told: Option<News<()>>,
    /// Whether the follower was in sync when it was looked at last.
    pub(super) in_sync: bool,
}

impl Session {
    pub(super) fn new(incarnation: Incarnation) -> Session {
        Session {
            incarnation,
            last: 0,
            parked: None,
            held: BTreeMap::new(),
            turn: 0,
            tail: VecDeque::new(),
            behind: VecDeque::new(),
            queued: BTreeMap::new(),
            again: Default::default(),
            in_sync: BTreeSet::new(),
            resting: BTreeMap::new(),
            rests: 0,
            rest_until: Instant::default(),
        }
    }

    /// Everything is said anew. Whose turn it is stays as it was.
    pub(super) fn after(before: Option<Session>, incarnation: Incarnation) -> Session {
        let new = Session::new(incarnation);
        let Some(Session { turn, held, resting, rests, rest_until, .. }) = before else { return new };
        let in_sync = held.into_iter().filter(|(_, held)| held.in_sync).map(|(log, _)| log).collect();
        Session { turn, in_sync, resting, rests, rest_until, ..new }
    }

    /// Takes over what a fetch says.
    pub(super) fn amend(&mut self, fetch: &ReplicaFetch) {
        self.last = fetch.correlation;
        for log in &fetch.gone {
            self.held.remove(log);
            self.resting.remove(log);
        }
        for (log, position) in &fetch.partitions {
            let before = self.held.get(log);
            let in_sync = before.map_or(self.in_sync.contains(log), |held| held.in_sync);
            let before = before.filter(|held| held.position.epoch == position.epoch);
            // It may have cut its log, or begun anew: then it knows as little as at first.
            let before = before
                .filter(|held| held.position.tip == position.tip || held.position.tip.end < position.tip.end);
            let told = before.and_then(|held| held.told).filter(|told| matches!(told, News::Records { .. }));
            self.held.insert(*log, Held { position: *position, told, in_sync });
            self.queue(*log);
        }
        self.in_sync.clear();
    }

    /// Looks at a partition. Answers what there is, and whether that has to be said.
    pub(super) fn look<R>(
        &mut self,
        log: LogId,
        room: Room,
        look: &mut impl FnMut(LogId, &Position, Incarnation, Room) -> Found<R>,
    ) -> Option<(Found<R>, bool)> {
        let Some(held) = self.held.get_mut(&log) else {
            self.resting.remove(&log);
            return None;
        };
        let found = look(log, &held.position, self.incarnation, room);
        held.in_sync = found.in_sync;
        let news = Some(found.answer.news.marks());
        let is_news = found.bytes > 0 || held.told != news;
        if is_news {
            held.told = news;
        }
        if found.bytes > 0 || found.more {
            self.again[usize::from(found.bytes > 0)].push(log);
        }
        match found.quota {
            Share::Awaited(until) => self.rest(log, until),
            Share::None | Share::Taken => drop(self.resting.remove(&log)),
        }
        Some((found, is_news))
    }

    /// A partition is to be looked at.
    pub(super) fn queue(&mut self, log: LogId) {
        let in_sync = self.held.get(&log).is_some_and(|held| held.in_sync);
        if let Entry::Vacant(place) = self.queued.entry(log) {
            place.insert(in_sync);
            if in_sync { self.tail.push_back(log) } else { self.behind.push_back(log) }
        }
    }

    /// What is to be looked at again is queued: who found no room comes before who had some.
    pub(super) fn queue_again(&mut self) {
        let again = std::mem::take(&mut self.again);
        again.into_iter().flatten().for_each(|log| self.queue(log));
    }

    /// The next partition to be looked at among those in sync, or among the others.
    pub(super) fn next(&mut self, in_sync: bool) -> Option<LogId> {
        let log = if in_sync { self.tail.pop_front() } else { self.behind.pop_front() }?;
        self.queued.remove(&log);
        Some(log)
    }

    /// Whether partitions in which it is not in sync are to be looked at.
    pub(super) fn has_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// The records of a partition wait until the quota has room. It keeps the place that it has among those who wait.
    fn rest(&mut self, log: LogId, until: Instant) {
        self.rests += 1;
        self.resting.entry(log).or_insert(self.rests);
        self.rest_until = until;
    }

    /// How many partitions wait for the quota.
    pub(super) fn resting(&self) -> usize {
        self.resting.len()
    }

    /// Whether a partition waits for the quota.
    pub(super) fn is_resting(&self, log: LogId) -> bool {
        self.resting.contains_key(&log)
    }

    /// The quota is another, or other partitions fall under it: all who wait are looked at.
    pub(super) fn rest_no_longer(&mut self) {
        self.rest_until = Instant::default();
    }

    /// Once the quota has room again, who waits for it is looked at, before those who had their share, who has waited longest first.
    pub(super) fn wake(&mut self, now: Instant) {
        if !self.is_rested(now) {
            return;
        }
        let mut waited: Vec<(u64, LogId)> = self.resting.iter().map(|(log, since)| (*since, *log)).collect();
        waited.sort_unstable();
        self.behind.retain(|log| !self.resting.contains_key(log));
        for (_, log) in waited.into_iter().rev() {
            if *self.queued.entry(log).or_insert(false) {
                continue;
            }
            self.behind.push_front(log);
        }
    }

    fn is_rested(&self, now: Instant) -> bool {
        !self.resting.is_empty() && self.rest_until <= now
    }

    /// Whether its fetch may be answered now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let ready = !self.queued.is_empty() || self.is_rested(now);
        self.parked.is_some_and(|(until, _)| until <= now || ready)
    }

    /// When its fetch is to be looked at, if nothing comes before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (until, _) = self.parked?;
        Some(if self.resting.is_empty() { until } else { until.min(self.rest_until) })
    }
}
