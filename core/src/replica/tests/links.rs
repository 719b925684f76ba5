//! The two ends of a link alone: what is asked, what is answered, and what is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::node::log_id;
use crate::ids::{BrokerId, LeaderEpoch, LogId, Offset};
use crate::replica::asking::{Asking, Limits};
use crate::replica::messages::{
    Incarnation, News, OnDisk, PartitionAnswer, Position, ReplicaAnswer, ReplicaFetch, Tip,
};
use crate::replica::serving::{Found, Received, Room, Serving, Share};
use crate::time::Instant;

const LEADER: BrokerId = BrokerId(1);
const FOLLOWER: BrokerId = BrokerId(2);
const RUN: Incarnation = Incarnation(77);
const LIMITS: Limits =
    Limits { patience: Duration::from_secs(3), backoff: Duration::from_millis(200), max_bytes: 1_000 };

/// Both ends. A record is 100 bytes; the numbers are ends of logs.
struct Link {
    now: Instant,
    asking: Asking,
    serving: Serving,
    here: BTreeMap<LogId, i64>,
    there: BTreeMap<LogId, i64>,
    high: i64,
    /// Where the follower is in sync.
    in_sync: BTreeSet<LogId>,
}

type Answer = ReplicaAnswer<i64>;

impl Link {
    fn new(logs: u8) -> Link {
        let mut asking = Asking::new(LEADER, RUN, LIMITS);
        (0..logs).for_each(|n| asking.follow(log_id(n)));
        let ends: BTreeMap<LogId, i64> = (0..logs).map(|n| (log_id(n), 0)).collect();
        let serving = Serving::new(Duration::from_millis(500));
        Link {
            now: Instant(1_000),
            asking,
            serving,
            here: ends.clone(),
            there: ends,
            high: 0,
            in_sync: BTreeSet::new(),
        }
    }

    fn ask(&mut self) -> Option<ReplicaFetch> {
        let here = &self.here;
        self.asking.ask(self.now, |log| {
            let tip = Tip { epoch: LeaderEpoch(1), end: Offset(here[&log]) };
            Some(Position { epoch: LeaderEpoch(1), tip, flushed: tip.end, start: Offset(0) })
        })
    }

    fn receive(&mut self, fetch: &ReplicaFetch) -> Received {
        self.serving.receive(self.now, FOLLOWER, fetch, Some(RUN))
    }

    fn answer(&mut self) -> Option<Answer> {
        let (there, high, in_sync) = (&self.there, self.high, &self.in_sync);
        self.serving.answer(self.now, FOLLOWER, |log, at, _, room: Room| {
            let all = there[&log] - at.tip.end.0;
            let fits = (room.bytes as i64 / 100).max(i64::from(room.at_least_one));
            let taken = all.min(fits);
            let news = News::Records { records: taken, high: Offset(high), start: Offset(0) };
            let answer = PartitionAnswer { epoch: at.epoch, news };
            let in_sync = in_sync.contains(&log);
            Found { answer, bytes: taken as usize * 100, more: taken < all, in_sync, quota: Share::None }
        })
    }

    fn take(&mut self, answer: Answer) -> Vec<(LogId, i64)> {
        let taken = self.asking.take(self.now, LEADER, answer);
        let records = |(log, answer): (LogId, PartitionAnswer<i64>)| match answer.news {
            News::Records { records, .. } => (log, records),
            _ => panic!("nothing else is said here"),
        };
        let taken: Vec<_> = taken.into_iter().map(records).collect();
        taken.iter().for_each(|(log, records)| *self.here.get_mut(log).expect("followed") += records);
        taken
    }

    fn append(&mut self, log: u8, records: i64) {
        *self.there.get_mut(&log_id(log)).expect("it is there") += records;
        self.serving.changed(log_id(log));
    }

    /// Asks, answers and takes.
    fn turn(&mut self) -> Vec<(LogId, i64)> {
        let fetch = self.ask().expect("it is time");
        assert_eq!(self.receive(&fetch), Received::Parked);
        let answer = self.answer().expect("there is something");
        self.take(answer)
    }
}

#[test]
fn a_fetch_is_parked_until_something_is_new_or_its_time_has_come() {
    let mut link = Link::new(2);
    assert_eq!(link.turn().len(), 2, "at first it hears of every partition");
    let fetch = link.ask().expect("the next one");
    assert_eq!((fetch.amends, fetch.partitions.len()), (Some(1), 0), "nothing has moved");
    assert_eq!(link.receive(&fetch), Received::Parked);
    assert_eq!((link.answer(), link.ask()), (None, None), "it is parked, and there is only one");
    link.append(1, 2);
    assert_eq!(link.serving.due(link.now), [FOLLOWER]);
    let answer = link.answer().expect("records");
    assert_eq!(link.take(answer), [(log_id(1), 2)]);
    let fetch = link.ask().expect("the next one");
    assert_eq!(fetch.partitions.len(), 1, "only what has moved is said");
    link.receive(&fetch);
    assert_eq!(link.answer(), None, "it has everything");
    (link.high, link.now) = (2, link.now + Duration::from_millis(10));
    link.serving.changed(log_id(1));
    let answer = link.answer().expect("the high watermark");
    assert_eq!(link.take(answer), [(log_id(1), 0)]);
    let fetch = link.ask().expect("the next one");
    link.receive(&fetch);
    link.now = link.serving.next_deadline().expect("it is parked");
    assert_eq!(link.answer().map(|a| a.partitions.len()), Some(0), "it lives, and that is all");
}

#[test]
fn every_partition_has_its_turn_in_answers_that_are_too_small_for_all() {
    let mut link = Link::new(5);
    link.turn();
    (0..5).for_each(|log| link.append(log, 1_000));
    let mut got = BTreeMap::new();
    for _ in 0..10 {
        for (log, records) in link.turn() {
            *got.entry(log).or_insert(0) += records;
        }
    }
    assert_eq!(got.into_values().collect::<Vec<_>>(), [20; 5]);
}

#[test]
fn what_is_in_sync_goes_before_what_catches_up_and_leaves_a_quarter_to_it() {
    let mut link = Link::new(5);
    link.in_sync = BTreeSet::from([log_id(3), log_id(4)]);
    link.turn();
    (0..3).for_each(|log| link.append(log, 1_000));
    link.append(4, 2);
    assert_eq!(link.turn()[0], (log_id(4), 2), "what is in sync does not wait for three answers");
    link.append(3, 1);
    link.append(4, 1_000);
    let mut got = BTreeMap::new();
    for _ in 0..12 {
        for (log, records) in link.turn() {
            *got.entry(log).or_insert(0) += records;
        }
    }
    assert_eq!(got[&log_id(3)], 1);
    assert!(got[&log_id(4)] >= 12 * 6, "most of each answer: {got:?}");
    assert!((0..3).all(|log| got[&log_id(log)] >= 8), "a quarter of each, in turn: {got:?}");
}

#[test]
fn an_answer_that_is_not_awaited_changes_nothing_and_one_that_is_lost_comes_again() {
    let mut link = Link::new(1);
    link.append(0, 3);
    let fetch = link.ask().expect("it is time");
    link.receive(&fetch);
    let answer = link.answer().expect("records");
    let other = ReplicaAnswer { incarnation: Incarnation(5), ..answer.clone() };
    assert!(link.take(other).is_empty(), "an answer to another run");
    assert!(link.asking.take(link.now, BrokerId(3), answer.clone()).is_empty(), "of another leader");
    link.now = link.now + LIMITS.patience;
    let again = link.ask().expect("there was no answer");
    assert_eq!((again.amends, again.partitions.len()), (None, 1), "everything is said anew");
    assert!(link.take(answer).is_empty(), "too late");
    assert_eq!(link.receive(&again), Received::Parked);
    assert_eq!(link.receive(&fetch), Received::Dropped, "it comes twice");
    let answer = link.answer().expect("records");
    assert_eq!(link.take(answer.clone()), [(log_id(0), 3)]);
    assert!(link.take(answer).is_empty(), "once is enough");
}

#[test]
fn who_amends_what_the_leader_does_not_have_says_everything_again() {
    let mut link = Link::new(2);
    link.turn();
    let lost = link.ask().expect("it is time");
    link.serving.forget(FOLLOWER);
    assert_eq!(link.receive(&lost), Received::Resync);
    let partitions = Vec::new();
    let resync = ReplicaAnswer { correlation: 2, incarnation: RUN, resync: true, partitions };
    assert!(link.take(resync).is_empty());
    let all = link.ask().expect("at once");
    assert_eq!((all.amends, all.partitions.len()), (None, 2));
    assert_eq!(link.serving.receive(link.now, FOLLOWER, &all, None), Received::Resync, "an unknown run");
    let partitions = Vec::new();
    link.take(ReplicaAnswer { correlation: 3, incarnation: RUN, resync: true, partitions });
    assert_eq!(link.ask(), None, "it rests: the leader has to hear of it first");
    link.now = link.now + LIMITS.backoff;
    assert!(link.ask().is_some());
}

#[test]
fn a_new_partition_does_not_wait_for_the_fetch_under_way_and_an_old_one_is_not_heard_of() {
    let mut link = Link::new(1);
    link.turn();
    let parked = link.ask().expect("it is time");
    link.receive(&parked);
    link.asking.follow(log_id(1));
    for ends in [&mut link.here, &mut link.there] {
        ends.insert(log_id(1), 0);
    }
    let fetch = link.ask().expect("at once");
    assert_eq!((fetch.amends, fetch.partitions.len()), (None, 2));
    link.receive(&fetch);
    link.append(0, 1);
    let answer = link.answer().expect("both");
    link.asking.unfollow(log_id(0));
    assert_eq!(link.take(answer), [(log_id(1), 0)], "KAFKA-13207");
    assert_eq!(link.ask().map(|fetch| fetch.gone), Some(vec![log_id(0)]));
}

#[test]
fn a_disk_that_comes_further_is_told_of_while_a_fetch_is_parked() {
    let mut link = Link::new(2);
    let on_disk = |log| OnDisk { log, epoch: LeaderEpoch(1), flushed: Offset(4), start: Offset(0) };
    let flushed = |log| Some(on_disk(log));
    assert_eq!(link.asking.tell(flushed), None, "the next fetch will say it");
    link.ask();
    assert_eq!(link.asking.tell(flushed), None, "nothing has changed");
    link.asking.changed(log_id(1));
    let told = link.asking.tell(flushed).expect("news");
    assert_eq!((told.incarnation, told.logs), (RUN, vec![on_disk(log_id(1))]));
}
