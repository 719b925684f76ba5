//! What clients did and saw, told by themselves: the only evidence of the history claims.

use std::collections::BTreeMap;

use bytes::Bytes;
use quipu_core::client::{Fetched, NewRecord, TopicPartition};
use quipu_core::record::{Record, RecordHeader};

use crate::batch;
use crate::rng::Rng;

/// Microseconds of true time.
type Moment = u64;

/// What clients did and saw.
#[derive(Debug, Default)]
pub struct History {
    /// Every record that was handed to a client, by the number that its value carries.
    pub sends: Vec<Sent>,
    /// Of each of them a hash of key, value and headers as they were handed over.
    pub prints: Vec<u64>,
    /// Everything that was read.
    pub polls: Vec<Poll>,
    /// Commits of groups.
    pub commits: Vec<Commit>,
    /// Committed offsets as they were told.
    pub sightings: Vec<Sighting>,
    /// Offsets asked for.
    pub lookups: Vec<OffsetLookup>,
    /// DeleteRecords, in the order they were asked for: nothing below is expected any more.
    pub trims: Vec<Trim>,
    /// From which offset on a partition's records may be lost, since they lay on a damaged disk and nowhere else.
    pub excused: BTreeMap<TopicPartition, i64>,
    /// Who was a member in which generation, in the order in which clients were told.
    pub members: Vec<Membership>,
    /// What hostile clients did in others' names and brokers took.
    pub trespasses: Vec<String>,
    /// The life that each client is in, or ended in.
    pub lives: BTreeMap<usize, u64>,
    /// Since when producer ids that were handed out may be handed out again, in microseconds: two producers who share one
    /// take each other's records for their own.
    pub reissued_at: Option<Moment>,
    /// How long at the least offsets are kept of a group without members, in microseconds of true time.
    pub offsets_kept_us: u64,
    /// Whether there are several brokers: then acks=1 promises nothing when a leader is lost.
    pub several: bool,
    /// Whether any disk was damaged.
    pub damaged: bool,
    /// What was read that nobody wrote so.
    pub garbled: Vec<String>,
    /// When coordinators that were deposed, and did not know it yet, told committed offsets.
    pub deposed_told: Vec<Moment>,
    /// When leaders that were deposed, and did not know it yet, told offsets.
    pub deposed_listed: Vec<Moment>,
    /// A disk puts writes in the place of others.
    pub misdirects: bool,
    /// Each partition as the last reader found it, from its first record on.
    pub logs: BTreeMap<TopicPartition, FinalLog>,
}

/// A partition in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalLog {
    /// Where it began.
    pub start: i64,
    /// Offset, number of the value, and timestamp of each record.
    pub records: Vec<(i64, u64, i64)>,
    /// Why it could not be read to its end, if it could not.
    pub unreadable: Option<String>,
}

/// A record on its way.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Which client, and which life of it.
    pub by: (usize, u64),
    /// Where to.
    pub partition: TopicPartition,
    /// Whether the producer is idempotent.
    pub idempotent: bool,
    /// 0, 1 or -1.
    pub acks: i8,
    /// Batches that the producer had under way at once, at most.
    pub in_flight: usize,
    /// Whether a batch whose fate was unknown is sent again.
    pub repeats: bool,
    /// Its timestamp.
    pub timestamp: i64,
    /// When it was handed over.
    pub at: Moment,
    /// When its fate was known.
    pub done_at: Moment,
    /// What became of it.
    pub fate: Fate,
}

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing is known yet; also of what a dead process did.
    Open,
    /// Done; for a record, at this offset if the broker told.
    Done(Option<i64>),
    /// Not done.
    Failed,
    /// Nobody can tell.
    Unknown,
}

/// Records that arrived together.
#[derive(Clone, Debug)]
pub struct Poll {
    /// Which client, and which life of it.
    pub by: (usize, u64),
    /// The group it reads for, if any.
    pub group: Option<String>,
    /// Counts the places from where the reader went on by its own will: an assignment, a seek, a reset.
    pub run: u64,
    /// The partition.
    pub partition: TopicPartition,
    /// When.
    pub at: Moment,
    /// Offset and number of the value of each.
    pub records: Vec<(i64, u64)>,
    /// Where the reader goes on.
    pub next: i64,
    /// The high watermark told.
    pub end: i64,
}

/// A commit of one partition's offset.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The group.
    pub group: String,
    /// Which client, and which life of it.
    pub by: (usize, u64),
    /// The partition.
    pub partition: TopicPartition,
    /// The offset.
    pub offset: i64,
    /// When it was asked for.
    pub at: Moment,
    /// When its fate was known.
    pub done_at: Moment,
    /// What became of it.
    pub fate: Fate,
}

/// What a client was told when it joined a group.
#[derive(Clone, Debug)]
pub struct Membership {
    /// The group.
    pub group: String,
    /// The name that the client was given.
    pub member: String,
    /// The generation.
    pub generation: i32,
    /// Whether the group had offsets by then: it is not forgotten when its last member is gone.
    pub lasts: bool,
}

/// A DeleteRecords of one partition.
#[derive(Clone, Debug)]
pub struct Trim {
    /// The partition.
    pub partition: TopicPartition,
    /// Everything below is to go.
    pub offset: i64,
    /// When it was asked for.
    pub at: Moment,
    /// When its fate was known.
    pub done_at: Moment,
    /// What became of it; if it was done, the log start that was told.
    pub fate: Fate,
}

/// A committed offset, told to somebody.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The group.
    pub group: String,
    /// The partition.
    pub partition: TopicPartition,
    /// The offset; -1 where there is none.
    pub offset: i64,
    /// When it was asked for, or earlier.
    pub asked_at: Moment,
    /// When it was told.
    pub at: Moment,
}

/// An offset asked for.
#[derive(Clone, Debug)]
pub struct OffsetLookup {
    /// The partition.
    pub partition: TopicPartition,
    /// -1 latest, -2 earliest, else a timestamp.
    pub what: i64,
    /// The answer: offset and timestamp.
    pub found: (i64, i64),
    /// When it was asked for.
    pub asked_at: Moment,
    /// When it was told.
    pub at: Moment,
}

impl History {
    /// Takes note of a record that is handed to a client, and makes it.
    pub fn send(&mut self, sent: Sent) -> (u64, NewRecord) {
        let number = self.sends.len() as u64;
        let record = record(number, &sent);
        self.prints.push(print(record.key.as_ref(), record.value.as_ref(), &record.headers));
        self.sends.push(sent);
        (number, record)
    }

    /// A record that was handed over, once more.
    pub fn record(&self, number: u64) -> NewRecord {
        record(number, &self.sends[number as usize])
    }

    /// Whether anything was ever removed from the front of a partition.
    pub fn is_trimmed(&self, partition: &TopicPartition) -> bool {
        self.trims.iter().any(|trim| trim.partition == *partition)
    }

    /// What became of a record.
    pub fn sent(&mut self, number: u64, at: Moment, fate: Fate) {
        let sent = &mut self.sends[number as usize];
        (sent.fate, sent.done_at) = (fate, at);
    }

    /// Whether another log's batch may lie there. Kafka's format does not say whose a batch is: one that a disk has put in the
    /// place of another, where no recovery point vouches for that, is taken for it if its offset fits.
    fn is_misplaced(&self, partition: &TopicPartition, offset: i64) -> bool {
        self.misdirects && self.excused.get(partition).is_some_and(|from| offset >= *from)
    }

    /// The number of a record that was read, if it is as it was written.
    pub fn recognise(&mut self, partition: &TopicPartition, offset: i64, fetched: &Fetched) -> Option<u64> {
        let number = number_of(fetched.record.value.as_ref());
        let sent = number.and_then(|n| self.sends.get(n as usize).map(|sent| (n, sent)));
        let right = sent.is_some_and(|(n, sent)| {
            let Record { key, value, headers, timestamp, .. } = &fetched.record;
            let time = fetched.append_time || timestamp.0 == sent.timestamp;
            let print = print(key.as_ref(), value.as_ref(), headers);
            sent.partition == *partition && self.prints[n as usize] == print && time
        });
        if !right && self.is_misplaced(partition, offset) {
            return None;
        }
        if !right {
            self.garbled.push(format!(
                "{partition} offset {offset}: {:?} is not what anybody wrote there (value number {number:?})",
                fetched.record
            ));
            return None;
        }
        number
    }

    /// A client is told that it is a member of a group, and in which generation.
    pub fn joined(&mut self, group: &str, member: String, generation: i32) {
        let lasts = self.commits.iter().any(|c| c.group == group && matches!(c.fate, Fate::Done(_)));
        self.members.push(Membership { group: group.to_string(), member, generation, lasts });
    }

    /// Members of a group in generations before its newest one, with the generation.
    pub fn old_members(&self, group: &str) -> Vec<(String, i32)> {
        // A group whose offsets expire may be forgotten and begin anew, with its first generation.
        if self.offsets_kept_us < 86_400_000_000 {
            return Vec::new();
        }
        let all = || self.members.iter().filter(|m| m.group == group);
        // So may one that has none yet and whose last member is gone. A name is given once: who has it in a later generation has it in none before.
        let is_old = |m: &Membership| {
            let counts = |other: &Membership| other.member == m.member || m.lasts && other.lasts;
            all().any(|other| counts(other) && other.generation > m.generation)
        };
        all().filter(|m| is_old(m)).map(|m| (m.member.clone(), m.generation)).collect()
    }

    /// The process of a client is gone: what it had under way stays open.
    pub fn ended(&mut self, user: usize, at: Moment) {
        for sent in self.sends.iter_mut().rev().filter(|s| s.by.0 == user && s.fate == Fate::Open) {
            sent.done_at = at;
        }
    }

    /// How many things clients did and were told.
    pub fn operations(&self) -> usize {
        let History { sends, polls, commits, sightings, lookups, trims, .. } = self;
        sends.len() + polls.len() + commits.len() + sightings.len() + lookups.len() + trims.len()
    }

    /// Whether a record that was acknowledged must be there for good.
    pub fn promises(&self, sent: &Sent) -> bool {
        match sent.acks {
            0 => false,
            1 => !self.several,
            _ => true,
        }
    }

    /// How many records were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.sends.iter().filter(|s| matches!(s.fate, Fate::Done(_)) && s.acks != 0).count()
    }
}

/// The record with a number: key, headers and the length of the value follow from the number.
fn record(number: u64, sent: &Sent) -> NewRecord {
    let mut rng = Rng::new(number ^ 0x5eed);
    let size = [8, 20, 100, 600, 3_000][rng.below(5) as usize] + rng.below(50);
    let mut value = Vec::with_capacity(size as usize + 128);
    value.extend(number.to_be_bytes());
    // Half of it repeats, so that there is something to compress.
    while value.len() < size as usize {
        value.extend([b'q'; 64]);
        (0..8).for_each(|_| value.extend(rng.bits().to_be_bytes()));
    }
    value.truncate(size as usize);
    let key = (!rng.percent(30)).then(|| Bytes::from(format!("key-{}", rng.below(7))));
    let header =
        |i| RecordHeader { key: format!("h{i}").into(), value: Some(Bytes::from(format!("{number}"))) };
    NewRecord {
        topic: sent.partition.topic.to_string(),
        partition: Some(sent.partition.partition),
        key,
        value: Some(value.into()),
        headers: (0..rng.below(3)).map(header).collect(),
        timestamp: Some(quipu_core::time::Timestamp(sent.timestamp)),
    }
}

/// A hash of what a record says, which absent, empty and shifted parts change.
fn print(key: Option<&Bytes>, value: Option<&Bytes>, headers: &[RecordHeader]) -> u64 {
    let of = |bytes: Option<&Bytes>| bytes.map_or(1, |bytes| batch::hash(bytes));
    let parts = headers.iter().flat_map(|h| [batch::hash(&h.key), of(h.value.as_ref())]);
    [of(key), of(value)].into_iter().chain(parts).fold(headers.len() as u64, |hash, part| {
        (hash ^ part).wrapping_mul(0x2545_f491_4f6c_dd1d).rotate_left(29)
    })
}

fn number_of(value: Option<&Bytes>) -> Option<u64> {
    let head = value?.get(..8)?;
    Some(u64::from_be_bytes(head.try_into().expect("eight bytes")))
}
