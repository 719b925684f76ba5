//! The leader's end of a link: the one fetch that each follower has parked here, and what of it has something new.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{BrokerId, LogId};
use crate::replica::messages::{Incarnation, PartitionAnswer, Position, ReplicaAnswer, ReplicaFetch};
use crate::replica::session::Session;
use crate::time::Instant;

/// The share of an answer that partitions in sync leave to those that catch up: a quarter.
const LEFT_TO_CATCH_UP: usize = 4;

/// The fetches of all followers that are parked at this broker.
#[derive(Clone, Debug)]
pub struct Serving {
    /// How long a fetch is parked at most (`replica.fetch.wait.max.ms`).
    park: Duration,
    sessions: BTreeMap<BrokerId, Session>,
    /// How often a share of the quota was given out.
    turns: u64,
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
    /// Whether the follower is in sync: then the partition goes before those that catch up.
    pub in_sync: bool,
    /// What the quota has to do with it.
    pub quota: Share,
}

/// What a quota has to do with the records of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Nothing.
    None,
    /// What goes counts for it.
    Taken,
    /// It holds them back, until then at least.
    Awaited(Instant),
}

/// How much fits into an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of records.
    pub bytes: usize,
    /// Whether the first batch fits however large it is (KIP-74): nothing else is in the answer yet.
    pub at_least_one: bool,
}

impl Serving {
    /// Nobody has asked yet.
    pub fn new(park: Duration) -> Serving {
        Serving { park, sessions: BTreeMap::new(), turns: 0 }
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
                let before = self.sessions.remove(&from).filter(|s| s.incarnation == fetch.incarnation);
                self.sessions.entry(from).or_insert(Session::after(before, fetch.incarnation))
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

    /// Who is in sync in a partition has changed: who waits there for the quota may have to wait no more.
    pub fn isr_changed(&mut self, log: LogId) {
        self.sessions.values_mut().filter(|s| s.is_resting(log)).for_each(|s| s.queue(log));
    }

    /// The quota is another, or other partitions fall under it.
    pub fn quota_changed(&mut self) {
        self.sessions.values_mut().for_each(Session::rest_no_longer);
    }

    /// The followers whose fetches may be answered now; who has had a share of the quota comes after who waits for one.
    pub fn due(&self, now: Instant) -> Vec<BrokerId> {
        let due = self.sessions.iter().filter(|(_, s)| s.is_due(now)).map(|(id, s)| (s.turn, *id));
        let mut due: Vec<(u64, BrokerId)> = due.collect();
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// When a parked fetch has to be answered, whatever there is, or may be because the quota has room.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.sessions.values().filter_map(Session::deadline).min()
    }

    /// The answer to a follower's fetch, if there is anything new, or it has been parked for long enough. `look` answers what there is
    /// for it in a partition. Those in which it is in sync go first, or they would drop out of sync while others catch up.
    pub fn answer<R>(
        &mut self,
        now: Instant,
        to: BrokerId,
        mut look: impl FnMut(LogId, &Position, Incarnation, Room) -> Found<R>,
    ) -> Option<ReplicaAnswer<R>> {
        let session = self.sessions.get_mut(&to)?;
        let (until, max_bytes) = session.parked?;
        let incarnation = session.incarnation;
        session.wake(now);
        let (mut partitions, mut used) = (Vec::new(), 0);
        let most = max_bytes as usize;
        let left = if session.has_behind() { most / LEFT_TO_CATCH_UP } else { 0 };
        for (in_sync, most) in [(true, most - left), (false, most)] {
            while used < most
                && let Some(log) = session.next(in_sync)
            {
                let room = Room { bytes: most - used, at_least_one: used == 0 };
                let Some((found, is_news)) = session.look(log, room, &mut look) else { continue };
                if found.quota == Share::Taken {
                    self.turns += 1;
                    session.turn = self.turns;
                }
                if is_news {
                    used += found.bytes;
                    partitions.push((log, found.answer));
                }
            }
        }
        session.queue_again();
        if partitions.is_empty() && now < until {
            return None;
        }
        session.parked = None;
        Some(ReplicaAnswer { correlation: session.last, incarnation, resync: false, partitions })
    }

    /// How many partitions wait for the quota, in all fetches.
    pub fn resting(&self) -> usize {
        self.sessions.values().map(Session::resting).sum()
    }

    /// A follower is gone for good: nothing is kept of it.
    pub fn forget(&mut self, follower: BrokerId) {
        self.sessions.remove(&follower);
    }
}
