//! The producer in a storm: a broker that checks sequences, and a network that loses answers, cuts connections and delivers
//! requests of cut connections later. Whatever the producer says of a record must be true in the end.
//!
//! Faults: an answer or a request lost with its connection; a request that arrives after its connection was cut, and after
//! later ones; errors with and without an append; refusals; a leader that answers for a moment that it is none.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::client::ProducerSettings;
use crate::client::chance::draw;
use crate::client::door::{Command, Event, NewRecord, Outcome};
use crate::client::testing::{Bench, Heard};
use crate::ids::{ConnId, LeaderEpoch, Offset};
use crate::producer::{Admission, ProducerTable};
use crate::record::{Batch, Records};
use crate::time::Timestamp;
use crate::wire::messages::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use crate::wire::{ErrorCode, Request};

/// The storm's own dice.
struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    /// Whether something happens that happens `percent` times in a hundred.
    fn falls(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn below(&mut self, n: u64) -> u64 {
        self.thrown += 1;
        draw(self.seed, 77, self.thrown) % n
    }
}

/// The log of the one partition, with what it knows of producers.
#[derive(Default)]
struct Log {
    tags: Vec<u64>,
    producers: ProducerTable,
}

impl Log {
    /// Appends a batch, unless it is in the log or must not be.
    fn append(&mut self, batch: &mut Batch) -> (ErrorCode, i64) {
        let end = Offset(self.tags.len() as i64);
        if batch.header().has_producer() {
            match self.producers.check(batch.header()) {
                Admission::Next => {}
                Admission::Duplicate(past) => return (ErrorCode::NONE, past.base_offset.0),
                Admission::OutOfOrder { .. } => return (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, -1),
                Admission::Fenced { .. } => return (ErrorCode::INVALID_PRODUCER_EPOCH, -1),
            }
        }
        batch.stamp(end, LeaderEpoch(1));
        self.producers.append(batch.header(), Timestamp(1));
        self.producers.settle(batch.header().producer_id, batch.header().next_offset());
        for record in Records::read_all(batch, 1 << 20).unwrap() {
            self.tags.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap().parse().unwrap());
        }
        (ErrorCode::NONE, end.0)
    }
}

fn batch_of(heard: &Heard) -> Batch {
    let Request::Produce(r) = &heard.request else { panic!("{:?}", heard.request) };
    Batch::take(&mut r.topic_data[0].partition_data[0].records.clone().unwrap()).unwrap()
}

fn answer(error_code: ErrorCode, base_offset: i64) -> ProduceResponse {
    let part = PartitionProduceResponse { error_code, base_offset, ..Default::default() };
    let topic = TopicProduceResponse { name: "t".into(), partition_responses: vec![part] };
    ProduceResponse { responses: vec![topic], ..Default::default() }
}

struct Storm {
    bench: Bench,
    dice: Dice,
    log: Log,
    /// Requests that have not reached the broker, by connection, in order.
    under_way: BTreeMap<ConnId, VecDeque<Heard>>,
    fates: BTreeMap<u64, Outcome<i64>>,
}

impl Storm {
    fn new(seed: u64, settings: ProducerSettings) -> Storm {
        let mut bench = Bench::with_topic("t", &[1]);
        bench.command(Command::Producer(settings));
        let dice = Dice { seed, thrown: 0 };
        Storm { bench, dice, log: Log::default(), under_way: BTreeMap::new(), fates: BTreeMap::new() }
    }

    fn produce(&mut self, tag: u64) {
        let value = Some(Bytes::from(tag.to_string()));
        self.bench.command(Command::Produce {
            tag,
            record: NewRecord { topic: "t".into(), value, ..Default::default() },
        });
    }

    /// Notes what has been sent and what has been told.
    fn listen(&mut self) {
        for heard in self.bench.take_heard() {
            self.under_way.entry(heard.conn).or_default().push_back(heard);
        }
        for event in self.bench.news() {
            if let Event::Produced { tag, outcome } = event {
                let fate = match outcome {
                    Outcome::Done(placed) => Outcome::Done(placed.offset.map_or(-1, |o| o.0)),
                    Outcome::Failed(why) => Outcome::Failed(why),
                    Outcome::Unknown(why) => Outcome::Unknown(why),
                };
                assert!(self.fates.insert(tag, fate).is_none(), "record {tag} was answered twice");
            }
        }
    }

    /// One request reaches the broker, which answers if its connection is still open.
    fn arrive(&mut self, stormy: bool) {
        let conns: Vec<ConnId> =
            self.under_way.iter().filter(|(_, q)| !q.is_empty()).map(|(c, _)| *c).collect();
        let Some(conn) = conns.get(self.dice.below(conns.len().max(1) as u64) as usize) else { return };
        let Some(heard) = self.under_way.get_mut(conn).and_then(VecDeque::pop_front) else { return };
        let mut batch = batch_of(&heard);
        let fault = if stormy { self.dice.below(100) } else { 100 };
        let (code, base) = match fault {
            0..5 => (ErrorCode::NOT_ENOUGH_REPLICAS, -1),
            5..8 => (ErrorCode::INVALID_RECORD, -1),
            8..12 if batch.header().count > 1 => (ErrorCode::MESSAGE_TOO_LARGE, -1),
            12..16 => (ErrorCode::NOT_LEADER_OR_FOLLOWER, -1),
            16..20 => (ErrorCode::REQUEST_TIMED_OUT, -1),
            20..26 => match self.log.append(&mut batch) {
                (ErrorCode::NONE, _) => (ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND, -1),
                refused => refused,
            },
            _ => self.log.append(&mut batch),
        };
        if self.bench.open.contains_key(&heard.conn) {
            self.bench.answer(&heard, answer(code, base));
        }
    }

    /// A connection breaks. What was under way on it is lost, or arrives later.
    fn cut(&mut self) {
        let open: Vec<ConnId> =
            self.under_way.keys().filter(|c| self.bench.open.contains_key(c)).copied().collect();
        let Some(conn) = open.get(self.dice.below(open.len().max(1) as u64) as usize).copied() else {
            return;
        };
        if self.dice.falls(50) {
            self.under_way.remove(&conn);
        }
        self.bench.cut(conn);
    }

    fn run(&mut self, records: u64) {
        let mut next = 0;
        while next < records {
            if self.dice.falls(40) {
                self.produce(next);
                next += 1;
            }
            self.listen();
            if self.dice.falls(50) {
                self.arrive(true);
            }
            if self.dice.falls(4) {
                self.cut();
            }
            let ms = self.dice.below(40) as i64;
            self.bench.pass(ms);
        }
        // Calm: everything arrives and is answered.
        for _ in 0..400 {
            self.listen();
            self.arrive(false);
            self.bench.pass(50);
        }
        self.listen();
    }

    /// What was said of each record is true, and those written stand in the order they were produced in.
    fn check(&self, records: u64, ordered: bool) {
        let seed = self.dice.seed;
        for tag in 0..records {
            let copies = self.log.tags.iter().filter(|t| **t == tag).count();
            match self.fates.get(&tag) {
                Some(Outcome::Done(offset)) => {
                    assert_eq!(copies, 1, "seed {seed}: record {tag} is done and {copies} times in the log");
                    let there = usize::try_from(*offset).ok().map(|o| self.log.tags[o]);
                    assert!(there.is_none_or(|t| t == tag), "seed {seed}: record {tag} is not at {offset}");
                }
                Some(Outcome::Failed(why)) => {
                    assert_eq!(copies, 0, "seed {seed}: record {tag} failed: {why}")
                }
                Some(Outcome::Unknown(_)) => assert!(copies <= 1, "seed {seed}: record {tag} {copies} times"),
                None => panic!("seed {seed}: record {tag} was never answered"),
            }
        }
        let done = |tag: &&u64| ordered || matches!(self.fates.get(*tag), Some(Outcome::Done(_)));
        let written: Vec<u64> = self.log.tags.iter().filter(done).copied().collect();
        assert!(written.is_sorted(), "seed {seed}: out of order: {written:?}");
    }
}

fn weather(
    seeds: std::ops::Range<u64>,
    settings: impl Fn(u64) -> ProducerSettings,
    ordered: bool,
) -> [usize; 3] {
    let mut told = [0; 3];
    for seed in seeds {
        let mut storm = Storm::new(seed, settings(seed));
        storm.run(60);
        storm.check(60, ordered);
        for fate in storm.fates.values() {
            told[match fate {
                Outcome::Done(_) => 0,
                Outcome::Failed(_) => 1,
                Outcome::Unknown(_) => 2,
            }] += 1;
        }
    }
    told
}

#[test]
fn an_idempotent_producer_tells_the_truth_and_keeps_order_in_any_weather() {
    let settings = |seed: u64| ProducerSettings {
        linger_ms: [0, 30][(seed % 2) as usize],
        delivery_timeout_ms: [120_000, 900][(seed / 2 % 2) as usize],
        ..Default::default()
    };
    let [done, failed, unknown] = weather(0..300, settings, true);
    assert!(done > 10_000 && failed > 100 && unknown > 20, "{done} done, {failed} failed, {unknown} unknown");
}

#[test]
fn a_producer_without_idempotence_tells_the_truth_in_any_weather() {
    let settings = |seed: u64| ProducerSettings {
        idempotent: false,
        linger_ms: [0, 30][(seed % 2) as usize],
        ..Default::default()
    };
    let [done, failed, unknown] = weather(1000..1200, settings, false);
    assert!(done > 5_000 && failed > 100 && unknown > 100, "{done} done, {failed} failed, {unknown} unknown");
}

#[test]
fn the_same_seed_twice_is_the_same_storm() {
    let run = || {
        let mut storm = Storm::new(5, ProducerSettings::default());
        storm.run(60);
        (storm.log.tags, format!("{:?}", storm.fates), storm.bench.now)
    };
    assert_eq!(run(), run());
}
