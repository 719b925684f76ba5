//! Followers that catch up under a quota, and others that do not, on the links of one leader: a small world without faults, in which
//! nobody may be forgotten. Fetches are parked for a month, so that no time-out makes good a wake that was lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::node::log_id;
use crate::ids::{BrokerId, LeaderEpoch, LogId, Offset};
use crate::mix::mix;
use crate::replica::asking::{Asking, Limits};
use crate::replica::messages::{
    Incarnation, News, PartitionAnswer, Position, ReplicaAnswer, ReplicaFetch, Tip,
};
use crate::replica::quota::Quota;
use crate::replica::serving::{Found, Received, Serving, Share};
use crate::time::Instant;

const MONTH: Duration = Duration::from_secs(30 * 86_400);
const RUN: Incarnation = Incarnation(7);
/// A record, which is a batch of its own.
const BYTES: usize = 100;
const FOLLOWERS: i32 = 3;
const LOGS: u8 = 4;

enum Said {
    Fetch(ReplicaFetch),
    Answer(ReplicaAnswer<i64>),
}

struct World {
    now: Instant,
    seed: u64,
    draws: u64,
    serving: Serving,
    quota: Quota,
    rate: u64,
    askings: BTreeMap<i32, Asking>,
    /// Where the leader's logs end, and those of followers.
    ends: BTreeMap<LogId, i64>,
    there: BTreeMap<(i32, LogId), i64>,
    throttled: BTreeSet<LogId>,
    in_sync: BTreeSet<(i32, LogId)>,
    /// What is under way, and when it arrives.
    sent: Vec<(Instant, i32, Said)>,
    /// What went under the quota: to whom, of what, and when.
    shares: Vec<(Instant, i32, LogId, usize)>,
    /// Since when who is not held back has not had all that there is.
    waits: BTreeMap<(i32, LogId), Instant>,
}

impl World {
    fn new(seed: u64) -> World {
        let limits = Limits {
            patience: MONTH * 2,
            backoff: Duration::from_millis(100),
            max_bytes: [BYTES, BYTES * 4, BYTES * 40][(mix(seed) % 3) as usize] as u32,
        };
        let mut world = World {
            now: Instant(50_000_000),
            seed,
            draws: 0,
            serving: Serving::new(MONTH),
            quota: Quota::default(),
            rate: 0,
            askings: (2..2 + FOLLOWERS).map(|id| (id, Asking::new(BrokerId(1), RUN, limits))).collect(),
            ends: (0..LOGS).map(|n| (log_id(n), 0)).collect(),
            there: BTreeMap::new(),
            throttled: BTreeSet::new(),
            in_sync: BTreeSet::new(),
            sent: Vec::new(),
            shares: Vec::new(),
            waits: BTreeMap::new(),
        };
        world.rate = [50, 1_000, 20_000][world.draw(3) as usize];
        world.quota = Quota::new(Some(world.rate));
        for log in (0..LOGS).map(log_id) {
            let end = world.draw(300) as i64;
            world.ends.insert(log, end);
            if world.draw(3) > 0 {
                world.throttled.insert(log);
            }
            for id in 2..2 + FOLLOWERS {
                let in_sync = world.draw(3) == 0;
                let there = if in_sync { world.ends[&log] } else { 0 };
                world.there.insert((id, log), there);
                world.askings.get_mut(&id).expect("it asks").follow(log);
                if in_sync {
                    world.in_sync.insert((id, log));
                }
            }
        }
        world
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.draws += 1;
        mix(self.seed ^ mix(self.draws)) % below
    }

    fn is_bounded(&self, id: i32, log: LogId) -> bool {
        self.throttled.contains(&log) && !self.in_sync.contains(&(id, log))
    }

    fn send(&mut self, id: i32, said: Said) {
        // A connection keeps the order.
        let before = self.sent.iter().filter(|(_, to, _)| *to == id).map(|(at, ..)| *at).max();
        let at = (self.now + Duration::from_micros(200 + self.draw(2_000))).max(before.unwrap_or_default());
        self.sent.push((at, id, said));
    }

    fn ask(&mut self) {
        for id in 2..2 + FOLLOWERS {
            let there = &self.there;
            let asked = self.askings.get_mut(&id).expect("it asks").ask(self.now, |log| {
                let end = Offset(there[&(id, log)]);
                let tip = Tip { epoch: LeaderEpoch(1), end };
                Some(Position { epoch: LeaderEpoch(1), tip, flushed: end, start: Offset(0) })
            });
            if let Some(fetch) = asked {
                self.send(id, Said::Fetch(fetch));
            }
        }
    }

    fn serve(&mut self) {
        for to in self.serving.due(self.now) {
            let (now, id) = (self.now, to.0);
            let World { serving, quota, ends, throttled, in_sync, shares, .. } = self;
            let answer = serving.answer(now, to, |log, at, _, room| {
                let all = ends[&log] - at.tip.end.0;
                let in_sync = in_sync.contains(&(id, log));
                let bounded = throttled.contains(&log) && !in_sync && quota.is_set();
                let left = if bounded { quota.room(now) } else { Ok(usize::MAX) };
                let fits = left.map_or(0, |left| (room.bytes.min(left) / BYTES).max(1) as i64);
                let taken = all.min(fits);
                let share = match left {
                    Err(until) if all > 0 => Share::Awaited(until),
                    Ok(_) if bounded && taken > 0 => Share::Taken,
                    _ => Share::None,
                };
                if share == Share::Taken {
                    quota.used(now, taken as usize * BYTES);
                    shares.push((now, id, log, taken as usize * BYTES));
                }
                let news = News::Records { records: taken, high: Offset(0), start: Offset(0) };
                let answer = PartitionAnswer { epoch: at.epoch, news };
                let more = taken < all && left.is_ok();
                Found { answer, bytes: taken as usize * BYTES, more, in_sync, quota: share }
            });
            if let Some(answer) = answer {
                self.send(id, Said::Answer(answer));
            }
        }
    }

    fn arrive(&mut self, id: i32, said: Said) {
        match said {
            Said::Fetch(fetch) => {
                let received = self.serving.receive(self.now, BrokerId(id), &fetch, Some(RUN));
                assert_eq!(received, Received::Parked);
            }
            Said::Answer(answer) => {
                let asking = self.askings.get_mut(&id).expect("it asks");
                for (log, answer) in asking.take(self.now, BrokerId(1), answer) {
                    if let News::Records { records, .. } = answer.news {
                        *self.there.get_mut(&(id, log)).expect("it is followed") += records;
                    }
                }
            }
        }
    }

    /// The next thing that happens; whether anything will.
    fn step(&mut self, until: Instant) -> bool {
        self.ask();
        self.serve();
        let next = self.sent.iter().map(|(at, ..)| *at).chain(self.serving.next_deadline()).min();
        let Some(next) = next.filter(|at| *at <= until) else {
            self.now = until;
            return false;
        };
        assert!(next > self.now, "it goes in circles");
        self.now = next;
        let (come, sent) = std::mem::take(&mut self.sent).into_iter().partition(|(at, ..)| *at <= next);
        self.sent = sent;
        let come: Vec<(Instant, i32, Said)> = come;
        come.into_iter().for_each(|(_, id, said)| self.arrive(id, said));
        self.check_those_not_held_back();
        true
    }

    /// Who is in sync, or not throttled, gets what there is while others wait for the quota.
    fn check_those_not_held_back(&mut self) {
        for ((id, log), there) in self.there.clone() {
            let behind = there < self.ends[&log] && !self.is_bounded(id, log);
            let since = *self.waits.entry((id, log)).or_insert(self.now);
            if !behind {
                self.waits.remove(&(id, log));
            }
            let waited = self.now.since(since);
            assert!(waited < Duration::from_secs(20), "seed {}: {id} waits for {log:?}", self.seed);
        }
    }

    fn change(&mut self) {
        let log = log_id(self.draw(u64::from(LOGS)) as u8);
        let id = self.draw(FOLLOWERS as u64) as i32 + 2;
        match self.draw(12) {
            0 => {
                self.rate = [30, 2_000, 15_000][self.draw(3) as usize];
                self.quota.set(Some(self.rate));
                self.serving.quota_changed();
            }
            1 => {
                if !self.throttled.remove(&log) {
                    self.throttled.insert(log);
                }
                self.serving.quota_changed();
            }
            2 => {
                if !self.in_sync.remove(&(id, log)) {
                    self.in_sync.insert((id, log));
                }
                self.serving.isr_changed(log);
            }
            // A partition is followed anew: everything is said again, and what is under way does not count.
            3 => self.askings.get_mut(&id).expect("it asks").follow(log),
            _ => {
                let more = 1 + self.draw(5) as i64;
                *self.ends.get_mut(&log).expect("it is led") += more;
                self.serving.changed(log);
            }
        }
    }
}

fn shares_of(world: &World) -> BTreeMap<(i32, LogId), usize> {
    let mut had = BTreeMap::new();
    world.shares.iter().for_each(|(_, id, log, _)| *had.entry((*id, *log)).or_insert(0) += 1);
    had
}

#[test]
fn who_waits_for_the_quota_is_not_forgotten_and_who_does_not_is_not_held_up() {
    for seed in 0..60 {
        let mut world = World::new(seed);
        for _ in 0..60 {
            let until = world.now + Duration::from_millis(world.draw(1_500));
            while world.step(until) {}
            world.change();
        }
        // Nothing is appended any more: what is left takes its time and no more, though no fetch is ever given up.
        let left: i64 = world.there.iter().map(|((_, log), there)| world.ends[log] - there).sum();
        let batches = u64::try_from(left).expect("nobody is ahead");
        let until = world.now + Duration::from_secs(batches * BYTES as u64 / world.rate + 20);
        while world.step(until) && world.there.iter().any(|((_, log), there)| *there < world.ends[log]) {}
        for ((id, log), there) in &world.there {
            assert_eq!(*there, world.ends[log], "seed {seed}: {id} has not all of {log:?}");
        }
    }
}

#[test]
fn in_any_stretch_of_time_no_more_goes_than_the_quota_says() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        for _ in 0..40 {
            let until = world.now + Duration::from_millis(world.draw(1_500));
            while world.step(until) {}
            let log = log_id(world.draw(u64::from(LOGS)) as u8);
            *world.ends.get_mut(&log).expect("it is led") += 20;
            world.serving.changed(log);
        }
        for (at, (from, ..)) in world.shares.iter().enumerate() {
            let mut bytes = 0;
            for (to, _, _, more) in &world.shares[at..] {
                bytes += *more as u64;
                let most = world.rate * (to.since(*from).as_millis() as u64 + 1_001) / 1_000 + BYTES as u64;
                assert!(bytes <= most, "seed {seed}: {bytes} in {:?}", to.since(*from));
            }
        }
    }
}

#[test]
fn those_who_wait_have_their_share_in_turn() {
    for (rate, max_bytes) in [(40, 1 << 20), (1_000, BYTES), (5_000, 1 << 20)] {
        let mut world = World::new(3);
        (world.rate, world.quota) = (rate, Quota::new(Some(rate)));
        let limits = Limits { patience: MONTH * 2, backoff: MONTH, max_bytes: max_bytes as u32 };
        for (id, asking) in &mut world.askings {
            *asking = Asking::new(BrokerId(1), RUN, limits);
            (0..LOGS).for_each(|n| asking.follow(log_id(n)));
            assert!((2..2 + FOLLOWERS).contains(id));
        }
        world.in_sync.clear();
        world.throttled = (0..LOGS).map(log_id).collect();
        world.there.values_mut().for_each(|there| *there = 0);
        world.ends.values_mut().for_each(|end| *end = 1 << 40);
        let until = world.now + Duration::from_secs(600);
        let mut round = 0;
        while world.step(until) {
            round += 1;
            if round % 7 == 0 {
                // Appends do not cost a partition its place.
                world.serving.changed(log_id((round % u32::from(LOGS)) as u8));
            }
        }
        let had = shares_of(&world);
        assert_eq!(had.len(), FOLLOWERS as usize * LOGS as usize, "everybody has had one");
        let (least, most) = (had.values().min().unwrap(), had.values().max().unwrap());
        assert!(most - least <= 2 + most / 10, "at {rate} bytes a second: {had:?}");
    }
}
