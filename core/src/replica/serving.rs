//! The leader's end of a link: the one fetch that each follower has parked here, and what of it has something new.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::ids::{BrokerId, LogId};
use crate::replica::messages::{Incarnation, News, PartitionAnswer, Position, ReplicaAnswer, ReplicaFetch};
use crate::time::Instant;

/// The fetches of all followers that are parked at this broker.
#[derive(Clone, Debug)]
pub struct Serving {
    /// How long a fetch is parked at most (`replica.fetch.wait.max.ms`).
    park: Duration,
    sessions: BTreeMap<BrokerId, Session>,
}

/// What came of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is parked. What it says of each partition counts now ([`crate::replica::leading::Leading::fetched`]), and then it may be
    /// answered at once ([`Serving::answer`]).
    Parked,
    /// Its sender has to say everything anew: this is to be answered.
    Resync,
    /// It is an old one, or comes twice: it is dropped.
    Dropped,
}

/// What there is for a follower in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<R> {
    /// The answer. With no records in it, it is said only if it is not what was said before of the same position.
    pub answer: PartitionAnswer<R>,
    /// Bytes of the records in it; 0 if there are none.
    pub bytes: usize,
    /// Whether there are more records than these.
    pub more: bool,
}

/// How much fits into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of records.
    pub bytes: usize,
    /// Whether the first batch fits however large it is (KIP-74): nothing else is in the answer yet.
    pub at_least_one: bool,
}

/// What a follower has said, and what it was told.
#[derive(Clone, Debug)]
struct Session {
    incarnation: Incarnation,
    last: u64,
    parked: Option<(Instant, u32)>,
    held: BTreeMap<LogId, Held>,
    /// The partitions that may have something new, those that were served last at the end: so each has its turn.
    ready: VecDeque<LogId>,
    queued: BTreeSet<LogId>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    position: Position,
    told: Option<News<()>>,
}

impl Serving {
    /// Nobody has asked yet.
    pub fn new(park: Duration) -> Serving {
        Serving { park, sessions: BTreeMap::new() }
    }

    /// A fetch has come. `registered` is the run that the metadata says its sender is in: one of another run does not count.
    pub fn receive(
        &mut self,
        now: Instant,
        from: BrokerId,
        fetch: &ReplicaFetch,
        registered: Option<Incarnation>,
    ) -> Received {
        if registered != Some(fetch.incarnation) {
            return Received::Resync;
        }
        let known = self.sessions.get_mut(&from).filter(|s| s.incarnation == fetch.incarnation);
        let session = match (known, fetch.amends) {
            (Some(session), _) if fetch.correlation <= session.last => return Received::Dropped,
            (Some(session), Some(amends)) if amends == session.last => session,
            (_, Some(_)) => return Received::Resync,
            (_, None) => {
                self.sessions.insert(from, Session::new(fetch.incarnation));
                self.sessions.get_mut(&from).expect("it is there now")
            }
        };
        session.amend(fetch);
        session.parked = Some((now + self.park, fetch.max_bytes));
        Received::Parked
    }

    /// A partition has changed: its end, high watermark or start, whether this broker leads it, in which epoch, with which replicas.
    pub fn changed(&mut self, log: LogId) {
        self.sessions.values_mut().filter(|s| s.held.contains_key(&log)).for_each(|s| s.queue(log));
    }

    /// The followers whose fetches may be answered now.
    pub fn due(&self, now: Instant) -> Vec<BrokerId> {
        let due = |s: &Session| s.parked.is_some_and(|(until, _)| until <= now || !s.ready.is_empty());
        self.sessions.iter().filter(|(_, s)| due(s)).map(|(id, _)| *id).collect()
    }

    /// When a parked fetch has to be answered, whatever there is.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.sessions.values().filter_map(|s| s.parked.map(|(until, _)| until)).min()
    }

    /// The answer to a follower's fetch, if there is anything new, or it has been parked for long enough. `look` answers what there is
    /// for it in a partition.
    pub fn answer<R>(
        &mut self,
        now: Instant,
        to: BrokerId,
        mut look: impl FnMut(LogId, &Position, Incarnation, Room) -> Found<R>,
    ) -> Option<ReplicaAnswer<R>> {
        let session = self.sessions.get_mut(&to)?;
        let (until, max_bytes) = session.parked?;
        let incarnation = session.incarnation;
        let (mut partitions, mut again, mut used) = (Vec::new(), Vec::new(), 0);
        while used < max_bytes as usize
            && let Some(log) = session.ready.pop_front()
        {
            session.queued.remove(&log);
            let Some(held) = session.held.get_mut(&log) else { continue };
            let room = Room { bytes: max_bytes as usize - used, at_least_one: used == 0 };
            let found = look(log, &held.position, incarnation, room);
            if found.bytes > 0 || found.more {
                again.push(log);
            }
            let news = Some(found.answer.news.marks());
            if found.bytes > 0 || held.told != news {
                held.told = news;
                used += found.bytes;
                partitions.push((log, found.answer));
            }
        }
        again.into_iter().for_each(|log| session.queue(log));
        if partitions.is_empty() && now < until {
            return None;
        }
        session.parked = None;
        Some(ReplicaAnswer { correlation: session.last, incarnation, resync: false, partitions })
    }

    /// A follower is gone for good: nothing is kept of it.
    pub fn forget(&mut self, follower: BrokerId) {
        self.sessions.remove(&follower);
    }
}

impl Session {
    fn new(incarnation: Incarnation) -> Session {
        let (held, queued) = (BTreeMap::new(), BTreeSet::new());
        Session { incarnation, last: 0, parked: None, held, ready: VecDeque::new(), queued }
    }

    fn amend(&mut self, fetch: &ReplicaFetch) {
        self.last = fetch.correlation;
        for log in &fetch.gone {
            self.held.remove(log);
        }
        for (log, position) in &fetch.partitions {
            let before = self.held.get(log).filter(|held| held.position.epoch == position.epoch);
            // It may have cut its log, or begun anew: then it knows as little as at first.
            let before = before
                .filter(|held| held.position.tip == position.tip || held.position.tip.end < position.tip.end);
            let told = before.and_then(|held| held.told).filter(|told| matches!(told, News::Records { .. }));
            self.held.insert(*log, Held { position: *position, told });
            self.queue(*log);
        }
    }

    fn queue(&mut self, log: LogId) {
        if self.queued.insert(log) {
            self.ready.push_back(log);
        }
    }
}
